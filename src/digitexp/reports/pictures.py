"""The pictures of a run and of a sweep, drawn into a folder from what was recorded."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digitexp import figures
from digitexp.evaluation import calibration, roc, scores
from digitexp.evaluation.scores import Floats, Labels
from digitexp.evidence.ranking import Row, label
from digitexp.evidence.report import Report, short
from digitexp.evidence.report import name as name_of
from digitexp.results import Result


def draw_run(result: Result, title: str, folder: Path, images: Mapping[str, NDArray[np.uint8]]) -> None:
    """Curves and diagram of the network, if there is one; for every evaluation set its confusion table, how digits are told
    apart, whether it is right as often as it says, and its surest errors, where the `images` of the set are at hand.
    """
    if result.curves:
        figures.save(figures.curves_figure(result.curves, title), folder / "curves.png")
    if result.layers:
        figures.save(figures.network_figure(result.layers, title), folder / "network.png")
    told = {
        name: _told(predicted.labels, [predicted.probabilities], result.classes)
        for name, predicted in result.predictions.items()
    }
    figures.save(figures.roc_figure(told, title), folder / "roc.png")
    pairs = {name: (predicted.labels, predicted.probabilities) for name, predicted in result.predictions.items()}
    bins = {name: calibration.reliability(*pair) for name, pair in pairs.items()}
    errors = {name: calibration.expected_error(*pair) for name, pair in pairs.items()}
    figures.save(figures.reliability_figure(bins, errors, title), folder / "calibration.png")
    for name, (labels, said) in pairs.items():
        table = scores.confusion(labels, said.argmax(axis=1), len(result.classes))
        (folder / name).mkdir()
        figures.save(figures.confusion_figure(table, result.classes, f"{title}, {name}"), folder / name / "confusion.png")
        if name in images and (said.argmax(axis=1) != labels).any():
            figure = _worst(images[name], labels, said, result.classes, f"{title}, {name}: the surest errors")
            figures.save(figure, folder / name / "worst_errors.png")


def _worst(
    images: NDArray[np.uint8], labels: Labels, said: Floats, classes: Sequence[str], title: str
) -> Figure:
    rows = scores.worst_errors(labels, said, WORST)
    read = said.argmax(axis=1)
    captions = [
        f"{classes[labels[row]]} read as {classes[read[row]]}\n{said[row, read[row]]:.2f} to {said[row, labels[row]]:.2f}"
        for row in rows
    ]
    return figures.digits_figure(images[rows], captions, title, columns=5)


def draw_ranking(rows: Sequence[Row], objective: str, title: str, file: Path) -> None:
    """The ranked trials with their intervals; of many, the best: a thousand rows are 25 seconds and nobody's picture."""
    every = [row for row in rows if row.rank]
    ranked = every[:RANKED]
    if len(every) > RANKED:
        title = f"{title}: the best {RANKED} of {len(every):,}"
    unknown = (math.nan, math.nan)
    figure = figures.ranking_figure(
        [label(row.scored.point) for row in ranked],
        [row.value for row in ranked],
        [row.intervals.get(objective, unknown) for row in ranked],
        [row.top for row in ranked],
        f"{objective} (chosen on)",
        title,
    )
    figures.save(figure, file)


LEAKAGE = " (LEAKAGE PERMITTED)"  # ends the title of every figure where it was
WORST = 15  # errors in the picture of a run
RANKED, CURVES = 20, 8  # settings in the ranking; settings that have a colour of their own
DPI = 150


def draw_report(report: Report, folder: Path) -> list[str]:
    """The figures of a report, those that there is something to draw of; gives the names of the files."""
    mark = LEAKAGE if report.leakage else ""
    drawn = {"ranking.png": _standings(report, mark)} if len(report.finished) > 1 else {}
    drawn |= _values(report, mark) | _curves(report, mark) | _ends(report, mark) | _means(report, mark)
    for file, figure in drawn.items():
        figures.save(figure, folder / file, DPI)
    return list(drawn)


def _standings(report: Report, mark: str) -> Figure:
    metric = report.sweep.objective or f"{report.evidence}/accuracy"
    unknown = (math.nan, math.nan)
    rows = report.by_evidence[:RANKED]
    top = {row.scored.trial for row in report.top}
    return figures.standings_figure(
        [short(row.scored.point, report.paths) for row in rows],
        [row.scored.mean(metric) for row in rows],
        [row.intervals.get(metric, unknown) for row in rows],
        [row.scored.trial in top for row in rows],
        f"{metric}{', chosen on' if report.sweep.objective else ''}",
        f"{metric}{_by(report)}{mark}",
    )


def _by(report: Report) -> str:
    return f" by {report.paths[0]}" if len(report.paths) == 1 else ""


def numeric(report: Report) -> str | None:
    """The one varied setting that is a number; None when there is none, or several."""
    points = [row.scored.point for row in report.finished]
    values = {path: [point[path] for point in points if path in point] for path in report.paths}
    found = [
        path for path, seen in values.items()
        if all(isinstance(one, int | float) and not isinstance(one, bool) for one in seen) and len(set(seen)) > 1
    ]  # fmt: skip
    return found[0] if len(found) == 1 else None


def _values(report: Report, mark: str) -> dict[str, Figure]:
    """Accuracy against the one numeric setting: a line a set; where other settings vary too, a line for each of those."""
    path = numeric(report)
    if path is None:
        return {}
    rows = [row for row in report.finished if path in row.scored.point]
    values = sorted({row.scored.point[path] for row in rows})
    others = [other for other in report.paths if other != path]
    lines = {}
    if not others:
        for part in report.sets:
            chosen = f"{part}/accuracy" == report.sweep.objective
            found = {row.scored.point[path]: row for row in rows}
            lines[f"chosen on: {part}" if chosen else part] = _line([found.get(one) for one in values], part)
    else:
        labels = list(dict.fromkeys(name_of(row.scored.point, others) for row in rows))
        mark = f", the first {CURVES} of {len(labels)}{mark}" if len(labels) > CURVES else mark
        for label_of in labels[:CURVES]:
            found = {row.scored.point[path]: row for row in rows if name_of(row.scored.point, others) == label_of}
            lines[label_of] = _line([found.get(one) for one in values], report.evidence)
    metric = "accuracy" if not others else f"{report.evidence}/accuracy"
    return {"values.png": figures.values_figure(values, lines, path, metric, f"{metric} by {path}{mark}")}


def _line(rows: Sequence[Row | None], part: str) -> tuple[list[float], list[tuple[float, float]]]:
    unknown = (math.nan, math.nan)
    metric = f"{part}/accuracy"
    means = [row.scored.mean(metric) if row and metric in row.intervals else math.nan for row in rows]
    return means, [row.intervals.get(metric, unknown) if row else unknown for row in rows]


def _curves(report: Report, mark: str) -> dict[str, Figure]:
    drawn = {}
    ordered = len(report.paths) == 1 and numeric(report) is not None
    path = report.paths[0] if ordered else ""
    rows = sorted(report.by_evidence[:CURVES], key=lambda row: row.scored.point[path]) if ordered else report.by_evidence
    rows = [*rows, *report.by_evidence[CURVES:]] if ordered else rows
    for metric in ("accuracy", "loss"):
        for part in ("val", "train"):
            curves = {
                short(row.scored.point, report.paths): [run.curves[f"{part}/{metric}"] for run in report.runs(row)]
                for row in rows
                if all(f"{part}/{metric}" in run.curves for run in report.runs(row))
            }
            if curves:
                title = f"{part}/{metric}{_by(report)}{mark}"
                drawn[f"{metric}.png"] = figures.learning_figure(curves, CURVES, f"{part}/{metric}", title, ordered)
                break
    return drawn


def _ends(report: Report, mark: str) -> dict[str, Figure]:
    """Best and worst on the evidence: what they confuse, and how they tell the digits apart."""
    ordered = report.by_evidence
    ends = {"best": ordered[0], "worst": ordered[-1]} if len(ordered) > 1 else {"best": ordered[0]} if ordered else {}
    drawn = {}
    for end, row in ends.items():
        table = report.confusion(row)
        if table is not None:
            title = f"{name_of(row.scored.point, report.paths)}, {report.evidence}{mark}"
            drawn[f"confusion-{end}.png"] = figures.counts_figure(table, report.classes, title)
        known = report.probabilities(row)
        if known is not None:
            title = name_of(row.scored.point, report.paths) + mark
            drawn[f"roc-{end}.png"] = figures.roc_figure({report.evidence: _told(*known, report.classes)}, title)
    return drawn


def _means(report: Report, mark: str) -> dict[str, Figure]:
    """How well the settings tell the digits apart, on average over these, a line a setting."""
    known = [(row, report.probabilities(row)) for row in report.by_evidence[:CURVES]]
    told = {short(row.scored.point, report.paths): _told(*found, report.classes) for row, found in known if found}
    told = {label: (alarms, lines) for label, (alarms, lines) in told.items() if lines}
    if len(told) < 2:
        return {}
    alarms = next(iter(told.values()))[0]
    lines = {label: found["mean"] for label, (_, found) in told.items()}
    title = f"average over the digits{_by(report)}{mark}"
    return {"roc.png": figures.roc_figure({report.evidence: (alarms, lines)}, title, "setting")}


def _told(labels: Labels, probabilities: Sequence[Floats], classes: Sequence[str]) -> figures.Told:
    """The receiver operating characteristic of each digit and their mean, over the seeds, at shares of false alarms."""
    by_seed = [roc.curves(labels, said) for said in probabilities]
    areas = np.mean([roc.areas(labels, said) for said in probabilities], axis=0)
    alarms = np.logspace(-np.log10(max(len(labels), 10)), 0, 200)
    found = {digit: roc.found_at([curves[digit] for curves in by_seed], alarms) for digit in by_seed[0]}
    lines = {classes[digit]: (line, float(areas[digit])) for digit, line in found.items()}
    if lines:
        lines["mean"] = np.mean(list(found.values()), axis=0), float(np.nanmean(areas))
    return alarms, lines
