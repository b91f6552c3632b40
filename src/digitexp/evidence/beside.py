"""Reported numbers beside ours: which setting of ours is the reported one, and whether its number could be one more seed."""

import math
from dataclasses import dataclass

from digitexp.evaluation import compare, shares
from digitexp.evaluation.compare import Interval
from digitexp.evidence.claims import Number, Point, Reported
from digitexp.evidence.ranking import Row
from digitexp.evidence.report import Report
from digitexp.settings import Rule
from digitexp.tracking.records import RunRecord

AGREES, DIFFERS = "could be one more seed of ours", "could not be one more seed of ours"
WIDE, FEW = "too wide to tell", "too few seeds"
HELD = (AGREES, DIFFERS, WIDE, FEW)  # of numbers that are held against ours


@dataclass(frozen=True)
class Beside:
    """A reported number beside ours. `range` is where a further seed of ours would lie, None of too few seeds.

    It is a prediction range for all numbers of the sweep that are held against ours together (Bonferroni).
    """

    number: Number
    row: Row
    mean: float
    interval: Interval | None
    range: Interval | None
    verdict: str


def beside(report: Report, reported: Reported, rule: Rule) -> list[Beside]:
    """Every reported number of a setting of ours, beside ours, by metric and then in the order of the list."""
    pairs = [(number, row, _apart(report, row, number, rule)) for number in reported.numbers
             if number.point and number.value is not None and (row := row_of(report, number.point))
             and all(number.metric in run.metrics for run in report.runs(row))]  # fmt: skip
    held = sum(not why for *_, why in pairs)
    found = []
    for number, row, why in pairs:
        further = _further(row, number.metric, 1 - rule.alpha / max(held, 1), rule)
        verdict = why or _number_verdict(number, further, rule)
        found.append(Beside(number, row, row.scored.mean(number.metric), row.intervals.get(number.metric), further, verdict))
    return sorted(found, key=lambda one: (one.number.metric, one.row.scored.trial))


def row_of(report: Report, point: Point) -> Row | None:
    """The finished setting that a reported point is, all else as in the first of the list; None if there is none."""
    first = _whole(min(report.sweep.runs, key=lambda run: run.trial))
    wanted = {path: first.get(path) for path in report.paths} | dict(point)
    rows = [row for row in report.finished if _is(report.runs(row)[0], point)]
    exact = [row for row in rows if _is(report.runs(row)[0], wanted)]
    return exact[0] if exact else rows[0] if len(rows) == 1 else None


def _is(run: RunRecord, point: Point) -> bool:
    return all(_whole(run).get(path) == value for path, value in point.items())


def _whole(run: RunRecord) -> Point:
    """The settings of a run, `model` among them where a whole network was chosen by name."""
    return {**run.settings, **run.point}


def _apart(report: Report, row: Row, number: Number, rule: Rule) -> str:
    """Why a reported number is not held against ours, if so: other images, other data, or other epochs."""
    settings = report.runs(row)[0].settings
    if number.metric not in rule.widest:
        return "other images" if number.metric.startswith("drawn/") else "the rule says nothing of this measure"
    if settings["data.name"] not in rule.data or settings.get("data.limit") or report.leakage:
        return "other data"
    if number.epochs not in (None, settings["training.epochs"]):
        return f"other epochs: {settings['training.epochs']}, reported {number.epochs}"
    return ""


def _further(row: Row, metric: str, confidence: float, rule: Rule) -> Interval | None:
    """Where one more seed of ours would lie, on other images where theirs were others (val)."""
    values = [run[metric] for run in row.scored.metrics]
    found = shares.further_seed(values, confidence) if len(values) >= rule.seeds else None
    if found is None or not metric.endswith("/accuracy"):
        return found and Interval(max(0.0, found.low), found.high)  # a loss
    mean, half = (found.low + found.high) / 2, (found.high - found.low) / 2
    if metric.startswith("val/"):
        images = compare.score(mean, row.scored.shares("val").images, confidence)
        half = math.hypot(half, math.sqrt(2) * (images.high - images.low) / 2)  # of our images, and of theirs
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def _number_verdict(number: Number, further: Interval | None, rule: Rule) -> str:
    """Whether a reported number could be a further seed of ours."""
    if further is None or number.value is None:
        return FEW
    if not further.low <= number.value <= further.high:
        return DIFFERS
    return WIDE if further.high - further.low > rule.widest[number.metric] else AGREES
