"""The pictures of a run and of a sweep, drawn into a folder from what was recorded."""

import math
from collections.abc import Sequence
from pathlib import Path

from digitexp import figures
from digitexp.evaluation import scores
from digitexp.reports.ranking import Row, label
from digitexp.results import Result


def draw_run(result: Result, title: str, folder: Path) -> None:
    """Curves, the network's diagram, and for every evaluation set its confusion table."""
    figures.save(figures.curves_figure(result.curves, title), folder / "curves.png")
    figures.save(figures.network_figure(result.layers, title), folder / "network.png")
    for name, predicted in result.predictions.items():
        read = predicted.probabilities.argmax(axis=1)
        table = scores.confusion(predicted.labels, read, len(result.classes))
        (folder / name).mkdir()
        figures.save(figures.confusion_figure(table, result.classes, f"{title}, {name}"), folder / name / "confusion.png")


def draw_ranking(rows: Sequence[Row], objective: str, title: str, file: Path) -> None:
    """The ranked trials with their intervals."""
    ranked = [row for row in rows if row.rank]
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
