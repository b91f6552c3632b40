"""Figures of many numbers: how they are distributed over classes, and over their own range."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from digitexp.figures.look import PAGE, SERIES, empty, look

DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")  # for lines that lie on each other
MOST = 60  # whole numbers that have a bin each


@look
def classes_figure(counts: Mapping[str, NDArray[np.int64]], classes: Sequence[str], title: str) -> Figure:
    """The share of each class `(classes,)` in % of its set, a bar for each set."""
    figure = empty(title, PAGE, 3.2 + 0.22 * math.ceil(len(counts) / 3))
    axes = figure.subplots()
    wide = 0.8 / max(len(counts), 1)
    for place, (name, count) in enumerate(counts.items()):
        at = np.arange(len(classes)) + (place - (len(counts) - 1) / 2) * wide
        axes.bar(at, 100 * count / max(count.sum(), 1), wide, label=name, color=SERIES[place % len(SERIES)])
    axes.set_xticks(range(len(classes)), classes)
    axes.set(xlabel="class", ylabel="% of the images")
    axes.grid(axis="y")
    axes.tick_params(axis="x", length=0)
    figure.legend(loc="outside lower center", ncols=min(len(counts), 3), frameon=False)
    return figure


@look
def histograms_figure(panels: Mapping[str, Mapping[str, NDArray[np.floating]]], title: str, of: str = "images") -> Figure:
    """A panel for each measure, in it the outline of a histogram for each set, in % of its images.

    NaN is left out; the outermost half per cent of each set may be in the first and last bins.
    """
    columns = min(2, len(panels))
    names = list(dict.fromkeys(name for values in panels.values() for name in values))
    high = 2.1 * math.ceil(len(panels) / columns)
    figure = empty(title, PAGE, high + 0.3 + 0.22 * math.ceil(len(names) / 2))
    grid = figure.subplots(math.ceil(len(panels) / columns), columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (measure, values) in zip(grid.flat, panels.items(), strict=False):
        edges = _edges(values.values())
        for name, numbers in values.items():
            known = np.clip(numbers[np.isfinite(numbers)], edges[0], np.nextafter(edges[-1], edges[0]))
            share = 100 * np.histogram(known, edges)[0] / max(len(known), 1)
            place = names.index(name)
            axes.stairs(share, edges, color=SERIES[place], linestyle=DASHES[place % len(DASHES)], linewidth=1.6)
        axes.set(xlabel=measure, xlim=(edges[0], edges[-1]), ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for row in grid:
        row[0].set_ylabel(f"% of the {of}")
    keys = [
        Line2D([], [], color=SERIES[place], linestyle=DASHES[place % len(DASHES)], label=name)
        for place, name in enumerate(names)
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _edges(sets: Iterable[NDArray[np.floating]]) -> NDArray[np.float64]:
    """Edges of bins that hold all of each set but its outermost half per cent; whole numbers have bins of their own."""
    known = [values[np.isfinite(values)] for values in sets]
    known = [values for values in known if len(values)]
    if not known:
        return np.array([0.0, 1.0])
    ends = np.array([np.quantile(values, (0.005, 0.995)) for values in known])
    low, high = ends[:, 0].min(), ends[:, 1].max()
    if all((values == np.floor(values)).all() for values in known) and high - low <= MOST:
        return np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    return np.linspace(low, high, 25) if high > low else np.linspace(low - 0.5, low + 0.5, 25)
