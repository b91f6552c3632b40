"""Figures of a sitting: how a network reads drawings while they are drawn."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from digitexp.figures.look import PAGE, SERIES, empty, look


@look
def sitting_figure(curves: Mapping[str, Sequence[tuple[int, float, float, float]]], title: str) -> Figure:
    """Accuracy after n drawings, a line for each network in the band of its interval; rows of n, accuracy, low, high."""
    figure = empty(title, PAGE, 3.2)
    axes = figure.subplots()
    for (name, rows), colour in zip(curves.items(), SERIES, strict=False):
        n, accuracy, low, high = np.array(rows, float).T
        axes.fill_between(n, low, high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(n, accuracy, color=colour, label=f"{name}: {accuracy[-1]:.3f} of {n[-1]:.0f}")
    axes.set(xlabel="drawings", ylabel="accuracy, with 95 % interval", ylim=(0, 1.02), xlim=(0, None))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y")
    figure.legend(loc="outside lower left", frameon=False)
    return figure
