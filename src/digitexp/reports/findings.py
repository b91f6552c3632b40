"""What a report adds to its ranking: reported claims, the best against the others, what decides, what choosing gains."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digitexp import figures
from digitexp.evaluation import compare
from digitexp.evaluation.importance import EXPLAINED, Importance, importance
from digitexp.figures import effects
from digitexp.reports import ranking, ties, verdicts
from digitexp.reports.claims import point_text
from digitexp.reports.pictures import numeric
from digitexp.reports.ranking import Row
from digitexp.reports.report import Report, name, short
from digitexp.reports.ties import Against
from digitexp.reports.verdicts import REPRODUCED, UNTESTABLE, Beside, Evidence, Tested, Verdict

FIGURES = ("reported.png", "running.png", "importance.png", "parallel.png", "confusion-change.png")
VERDICTS = "verdicts.csv"
HELD = (verdicts.AGREES, verdicts.DIFFERS, verdicts.WIDE, verdicts.FEW)  # of numbers that are held against ours
TOLD = ("test/", "val/")  # measures of which a reported number can be
SHOWN = 10  # settings that the best is set against; claims have all their comparisons in the file
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


def content(report: Report, evidence: Evidence) -> dict[str, Any]:
    """What the page says of all this."""
    best = report.by_evidence[0] if report.finished else None
    part = report.marked or report.evidence
    same = [one for one in evidence.beside if one.verdict in HELD]
    others, level = report.by_evidence[1 : SHOWN + 1], ties.level(report.top)
    fixed = {
        None: "the runs do not say by which rule they were to be judged",
        True: "the runs were made under this very rule",
        False: f"the runs were made under an earlier rule ({', '.join(evidence.earlier)}) and are judged by this one",
    }[evidence.fixed_before]
    return {
        "verdicts": [_shown(verdict) for verdict in evidence.verdicts],
        "rule": f"Rule {evidence.rule}: {fixed}." if evidence.verdicts else "",
        "beside": [_beside(report, one) for one in evidence.beside if one.number.metric.startswith(TOLD)] if same else [],
        "together": len(same),
        "alpha": f"{100 * evidence.alpha:g}",
        "level": f"{100 * (1 - 2 * evidence.alpha):g}",
        "apart": "" if same or not evidence.beside else _why_apart(evidence),
        "against": [_against(report, ties.against(best, row, part, level)) for row in others] if best else [],
        "against_part": part,
        "against_more": f"The first {SHOWN} of {len(report.finished) - 1}." if len(report.finished) > SHOWN + 1 else "",
        "first": name(best.scored.point, report.paths) if best and len(report.paths) == 1 else "The best",
        "several": report.sweep.repeats > 1,
        "optimism": optimism(report),
    }


def tie(report: Report) -> str:
    """What would tell the best of a tie from the next."""
    names = ["the first", "the second"]
    if len(report.paths) == 1 and len(report.top) > 1:
        first, second = (row.scored.point for row in report.top[:2])
        names = [name(first, report.paths), short(second, report.paths)]
    return ties.of_group(report.top, names, report.marked) if report.marked else ""


def optimism(report: Report) -> str:
    """How much higher the best epoch of each run stands than its last, by val: what choosing an epoch would flatter."""
    runs = [run for row in report.finished for run in report.runs(row)]
    curves = [run.curves["val/accuracy"] for run in runs if run.curves.get("val/accuracy")]
    if any(run.settings.get("training.early_stopping.patience") for run in runs):
        return ""  # the network is that of its best epoch
    if not curves or max(map(len, curves)) < 3:
        return ""
    gains = [max(curve) - curve[-1] for curve in curves]
    epochs = [int(np.argmax(curve)) + 1 for curve in curves]
    lengths = set(map(len, curves))
    where = f"the best epoch is {np.median(epochs):.0f} of {max(lengths)} at the median"
    if len(lengths) > 1:
        where = f"the last epoch is the best in {sum(gain == 0 for gain in gains)} of them"
    return (f"At its best epoch a run stands {np.mean(gains):.4f} higher on val than after its last (mean of {len(gains)} "
            f"runs, at most {max(gains):.4f}; {where}): so much would be gained, or flattered, by choosing the epoch. test "
            "is read once, after the last epoch, so val has to show it.")  # fmt: skip


def table(report: Report, evidence: Evidence) -> str:
    """verdicts.csv: a line a claim."""
    lines = rows(report, evidence)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def rows(report: Report, evidence: Evidence) -> list[dict[str, Any]]:
    """The lines of verdicts.csv."""
    return [_line(report, evidence, verdict) for verdict in evidence.verdicts]


def _line(report: Report, evidence: Evidence, verdict: Verdict) -> dict[str, Any]:
    images = report.images(verdict.claim.metric.split("/")[0])
    one = verdict.tested[0] if len(verdict.tested) == 1 else None
    ours, theirs = verdict.epochs
    return {
        "claim": verdict.claim.id, "sweep": verdict.claim.sweep, "text": str(verdict.claim), "metric": verdict.claim.metric,
        "wording": verdict.claim.wording, "reported": verdict.reported, "ours": _means(verdict),
        **_exactly(one),
        "verdict": verdict.verdict, "why": verdict.why,
        "seeds": report.sweep.repeats, "images": images, "epochs": ours, "epochs_reported": theirs,
        "geometry": _geometry(report) if "drawn/accuracy" in (verdict.claim.metric, verdict.claim.right) else "",
        "rule": evidence.rule,
        "rule_fixed_before": {None: "unknown", True: "yes", False: "no"}[evidence.fixed_before],
    }  # fmt: skip


def _exactly(one: Tested | None) -> dict[str, str]:
    """The difference, its interval and the p-values, all digits: whoever reads them rounds once."""
    if one is None:
        return dict.fromkeys(("difference", "low", "high", "p_holm", "p_excluded_holm"), "")
    found = (one.left - one.right, one.interval.low, one.interval.high, one.p, one.excluded)
    names = ("difference", "low", "high", "p_holm", "p_excluded_holm")
    return {name: repr(float(value)) for name, value in zip(names, found, strict=True)}


def _geometry(report: Report) -> str:
    """How the drawings were brought to 28 x 28, where that is the same in all runs."""
    found = {str(run.settings.get("data.drawn.geometry", "")) for run in report.sweep.runs}
    return found.pop() if len(found) == 1 else ""


def fine(metric: str) -> str:
    """How a measure is printed: seconds and epochs to a tenth, areas, which lie close to 1, to four digits."""
    return ".4f" if metric.endswith("/auc") else ".3f" if "/" in metric else ".1f"


def _means(verdict: Verdict) -> str:
    """Our means, left and right."""
    if len(verdict.tested) != 1:
        return ""
    one, digits = verdict.tested[0], fine(verdict.claim.metric)
    left, right = f"{one.left:{digits}}", f"{one.right:{digits}}"
    return left if isinstance(one.comparison.right, float) else f"{left} and {right}"


def _shown(verdict: Verdict) -> dict[str, Any]:
    one = verdict.tested[0] if len(verdict.tested) == 1 else None
    ours, theirs = verdict.epochs
    digits = fine(verdict.claim.metric)
    return {
        "claim": str(verdict.claim),
        "metric": verdict.claim.metric,
        "wording": verdict.claim.wording,
        "reported": verdict.reported,
        "ours": _means(verdict),
        "difference": f"{one.left - one.right:+{digits}}" if one else "",
        "interval": f"{one.interval.low:+{digits}} to {one.interval.high:+{digits}}" if one else "",
        "verdict": verdict.verdict,
        "strong": verdict.verdict == REPRODUCED,
        "why": verdict.why,
        "epochs": f"{ours} epochs, reported {theirs}" if theirs and ours != theirs and verdict.verdict != UNTESTABLE else "",
        "parts": [_part(verdict, place) for place in range(len(verdict.tested))] if len(verdict.tested) > 1 else [],
    }


def _part(verdict: Verdict, place: int) -> str:
    one = verdict.tested[place]
    left, right = (point_text(end).partition("=")[2] for end in (one.comparison.left, one.comparison.right))
    return f"{left} {one.comparison.relation} {right}: {one.left - one.right:+.3f}, {one.verdict}"


def _beside(report: Report, one: Beside) -> dict[str, str]:
    low, high = one.interval or (None, None)
    return {
        "setting": short(one.row.scored.point, report.paths),
        "metric": one.number.metric,
        "reported": one.number.text,
        "of": f"{one.number.count.n:,}" if one.number.count else "",
        "ours": f"{one.mean:.4f}",
        "interval": f"{low:.4f} to {high:.4f}" if one.interval else "",
        "range": f"{one.range.low:.4f} to {one.range.high:.4f}" if one.range else "",
        "verdict": one.verdict,
    }


def _why_apart(evidence: Evidence) -> str:
    """Why no reported number can be held against ours."""
    why = [one.verdict for one in evidence.beside if one.number.metric.startswith(TOLD)]
    return f"No reported number is held against ours, number to number ({why[0]})." if why else ""


def _against(report: Report, one: Against) -> dict[str, str]:
    share, (low, high) = one.better or (0, (0, 0))
    wins = (f"{share:.2f}", f"{low:.2f} to {high:.2f}") if one.better else ("", "")
    more = [ties.rounded(number) if number is not None else "" for number in one.further]
    apart = report.differs.get(one.row.scored.trial, 1) < compare.ALPHA
    return {"setting": short(one.row.scored.point, report.paths), "difference": f"{one.apart:+.4f}",
            "interval": f"{one.interval.low:+.4f} to {one.interval.high:+.4f}", "wins": wins[0], "wins_interval": wins[1],
            "seeds": "" if apart else more[0], "images": "" if apart else more[1]}  # fmt: skip


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
