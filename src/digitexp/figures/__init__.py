"""Arrays in, matplotlib figures out: one look for all, no pyplot, so no window and nothing shared between figures."""

from digitexp.figures.distributions import classes_figure, histograms_figure
from digitexp.figures.images import digits_figure, rows_figure
from digitexp.figures.look import BLUE, GREY, save
from digitexp.figures.runs import (
    Told,
    confusion_figure,
    counts_figure,
    curves_figure,
    network_figure,
    reliability_figure,
    roc_figure,
)
from digitexp.figures.sittings import sitting_figure
from digitexp.figures.sweeps import learning_figure, ranking_figure, standings_figure, values_figure

__all__ = [
    "BLUE", "GREY", "Told", "classes_figure", "confusion_figure", "counts_figure", "curves_figure", "digits_figure",
    "histograms_figure", "learning_figure", "network_figure", "ranking_figure", "reliability_figure", "roc_figure",
    "rows_figure", "save",
    "sitting_figure", "standings_figure", "values_figure",
]  # fmt: skip
