"""The pictures of findings.py: what was reported beside ours, running accuracy, what decides, how the errors differ."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digitexp import figures
from digitexp.evaluation import compare
from digitexp.evaluation.importance import EXPLAINED, Importance, importance
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Row
from digitexp.evidence.report import Report, name, short
from digitexp.evidence.verdicts import Evidence
from digitexp.figures import effects
from digitexp.reports.pictures import numeric

FIGURES = ("reported.png", "running.png", "importance.png", "parallel.png", "confusion-change.png")
LINES = 8  # settings in the figure of the running accuracy
PARALLEL = 8  # trials from which lines across axes say something
DPI = 150


def draw(report: Report, evidence: Evidence, folder: Path) -> list[str]:
    """Those of FIGURES that there is something to draw of; gives their names."""
    mark = " (LEAKAGE PERMITTED)" if report.leakage else ""
    drawn = {
        "reported.png": _reported(report, evidence, mark),
        "running.png": _running(report, mark),
        "importance.png": _importance(report, mark),
        "parallel.png": _parallel(report, mark),
        "confusion-change.png": _change(report, mark),
    }
    for file, figure in drawn.items():
        if figure is not None:
            figures.save(figure, folder / file, DPI)
    return [file for file, figure in drawn.items() if figure is not None]


def captions(report: Report) -> dict[str, str]:
    """What each of FIGURES shows."""
    first, reference = _ends(report) or ("", "")
    known = importance_of(report)
    explained = f"; the forest explains {100 * known.explained:.0f} % of trials that it did not see" if known else ""
    return {
        "reported.png": "Reported (one run; Wilson) and ours (all seeds; 95 % intervals), of other images and epochs where "
                        "the page says so. The drawings are others, so on them only directions can be compared.",
        "running.png": "drawn/accuracy over the first drawings, as seed 003 drew it: the mean of the seeds with the 95 % "
                       "interval of these seeds and so many drawings.",
        "importance.png": "How much of the variance between the trials is lost when a setting is shuffled (random forests, "
                          f"trials drawn anew; the middle 95 %){explained}. Blue: surely more than nothing.",
        "parallel.png": "Every trial as a line across its settings, past those that it does not have; the darker, the "
                        "better.",
        "confusion-change.png": f"{first} minus {reference}, counts of the {report.evidence} images, all seeds: orange "
                                "where it errs more, violet where less.",
    }  # fmt: skip


def _reported(report: Report, evidence: Evidence, mark: str) -> Any:
    """The accuracies that were reported, beside ours, by metric."""
    metrics = [metric for metric in ("drawn/accuracy", "val/accuracy", "test/accuracy")
               if any(one.number.metric == metric for one in evidence.beside)]  # fmt: skip
    if not metrics:
        return None
    rows = list({one.row.scored.trial: one.row for one in evidence.beside}.values())
    nothing = (np.nan, np.nan)
    panels: dict[str, dict[str, tuple[list[float], list[tuple[float, float]]]]] = {}
    for metric in metrics:
        found = {one.row.scored.trial: one for one in evidence.beside if one.number.metric == metric}
        theirs, ours = ([], []), ([], [])  # type: tuple[list[float], list[Any]], tuple[list[float], list[Any]]
        for row in rows:
            one = found.get(row.scored.trial)
            theirs[0].append(one.number.value if one and one.number.value is not None else np.nan)
            theirs[1].append(compare.wilson(*one.number.count) if one and one.number.count else nothing)
            ours[0].append(row.scored.mean(metric))
            ours[1].append(row.intervals.get(metric, nothing))
        panels[metric] = {"reported": theirs, "ours": ours}
    names = [short(row.scored.point, report.paths) for row in rows]
    return effects.beside_figure(names, panels, f"Reported and found{mark}")


def _running(report: Report, mark: str) -> Any:
    rows = [row for row in report.by_evidence if "drawn" in row.scored.hits][:LINES]
    if len(rows) < 2:
        return None
    ordered = len(report.paths) == 1 and numeric(report) is not None
    rows = sorted(rows, key=lambda row: row.scored.point[report.paths[0]]) if ordered else rows
    hits = {short(row.scored.point, report.paths): np.stack(list(row.scored.hits["drawn"])) for row in rows}
    return effects.running_figure(hits, "drawn/accuracy so far", f"Running accuracy on drawings{mark}", ordered)


def importance_of(report: Report) -> Importance | None:
    """What decides the measure that ranks, else the accuracy on the evidence; None of a list or too few trials."""
    if len(report.paths) < 2:
        return None
    return importance([row.scored.point for row in _measured(report)], _measure(report)[1])


def _measure(report: Report) -> tuple[str, list[float]]:
    metric = report.sweep.objective or f"{report.evidence}/accuracy"
    return metric, [row.scored.mean(metric) for row in _measured(report)]


def _measured(report: Report) -> list[Row]:
    """The settings whose measure is a number; that of a loss need not be."""
    metric = report.sweep.objective or f"{report.evidence}/accuracy"
    return [row for row in report.finished if math.isfinite(row.scored.mean(metric))]


def _importance(report: Report, mark: str) -> Any:
    found = importance_of(report)
    if found is None or found.explained < EXPLAINED:
        return None
    return effects.importance_figure(found.paths, found.drops, f"What decides {_measure(report)[0]}{mark}")


def _parallel(report: Report, mark: str) -> Any:
    if len(report.paths) < 2 or len(_measured(report)) < PARALLEL:
        return None
    metric, values = _measure(report)
    columns = [[row.scored.point.get(path) for row in _measured(report)] for path in report.paths]
    better = [-value for value in values] if ranking.direction(metric) == "min" else values
    return effects.parallel_figure(report.paths, columns, values, better, metric, f"Every trial{mark}")


def _ends(report: Report) -> tuple[str, str] | None:
    """The best and the reference: the first setting of the list, or the second where that is the best."""
    pair = _pair(report)
    return (name(pair[0].scored.point, report.paths), name(pair[1].scored.point, report.paths)) if pair else None


def _pair(report: Report) -> tuple[Row, Row] | None:
    listed = sorted(report.finished, key=lambda row: row.scored.trial)
    if len(listed) < 2:
        return None
    best = report.by_evidence[0]
    return best, listed[1] if listed[0] is best else listed[0]


def _change(report: Report, mark: str) -> Any:
    pair = _pair(report)
    tables = [report.confusion(row) for row in pair or ()]
    first, second = tables if len(tables) == 2 else (None, None)
    if pair is None or first is None or second is None or first.sum() != second.sum():
        return None
    names: Sequence[str] = [short(row.scored.point, report.paths) for row in pair]
    title = f"{names[0]} minus {names[1]}, {report.evidence}{mark}"
    return effects.difference_table_figure(first - second, report.classes, title)
