"""Figures of a sweep: settings ranked, their learning curves, and what a numeric setting does."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from digitexp.figures.look import BLUE, GREY, OF_SET, PAGE, SERIES, SHADES, empty, look


@look
def ranking_figure(
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    top: Sequence[bool],
    metric: str,
    title: str,
) -> Figure:
    """A dot and an interval for each setting, in the order given, the first on top; the top group is in colour.

    An interval of two NaN is left out. Settings far beyond the better half would squeeze it into one dot: they are
    arrows at the edge, and their values are in the column at the right.
    """
    labels = [textwrap.fill(name, 72) for name in names]
    lines = max(label.count("\n") + 1 for label in labels)
    longest = max(len(line) for label in labels for line in label.splitlines())
    figure = empty(title, 7 + 0.075 * longest, 1.3 + len(names) * (0.1 + 0.17 * lines))
    axes = figure.subplots()
    left, right = _window(means, intervals)
    edge = 0.015 * (right - left)
    for row, (mean, (low, high), is_top) in enumerate(zip(means, intervals, top, strict=True)):
        colour = BLUE if is_top else GREY
        marker = "<" if mean < left else ">" if mean > right else "o"
        axes.plot([low, high], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(np.clip(mean, left + edge, right - edge), row, marker, color=colour, markersize=7)
        text = f"{mean:.4f}" if math.isnan(low) else f"{mean:.4f}  ({low:.4f} to {high:.4f})"
        axes.text(1.03, row, text, transform=axes.get_yaxis_transform(), va="center", color=colour)
    axes.set_yticks(range(len(names)), labels)
    axes.set(xlim=(left, right), ylim=(len(names) - 0.4, -0.6), xlabel=metric)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    keys = [
        Line2D([], [], color=BLUE, marker="o", label="cannot be told from the best"),
        Line2D([], [], color=GREY, marker="o", label="can be told from it"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _window(means: Sequence[float], intervals: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """What to show of the axis: everything, but at most four times the extent of the better half to each side."""
    table = np.column_stack([means, intervals])
    table = np.where(np.isfinite(table), table, np.nan)  # a metric of one's own may be infinite: it is beyond the edge
    table = table[~np.isnan(table).all(axis=1)]
    if not len(table):
        return 0.0, 1.0
    better = table[: max(2, math.ceil(len(table) / 2))]
    left, right = np.nanmin(table), np.nanmax(table)
    extent = np.nanmax(better) - np.nanmin(better)
    if extent > 0:
        left, right = max(left, np.nanmin(better) - 4 * extent), min(right, np.nanmax(better) + 4 * extent)
    margin = 0.04 * (right - left) or 0.01
    return float(left - margin), float(right + margin)


@look
def standings_figure(
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    top: Sequence[bool],
    metric: str,
    title: str,
) -> Figure:
    """The ranking for a page that is also read on a phone: narrow, each name and value above its own interval.

    An interval of two NaN is left out; what lies far beyond the better half is an arrow at the edge.
    """
    labels = [textwrap.shorten(name, 44, placeholder=" ...") for name in names]
    figure = empty(title, PAGE, 1.1 + 0.42 * len(names))
    axes = figure.subplots()
    left, right = _window(means, intervals)
    edge = 0.015 * (right - left)
    for row, (label, mean, (low, high), is_top) in enumerate(zip(labels, means, intervals, top, strict=True)):
        colour = BLUE if is_top else GREY
        marker = "<" if mean < left else ">" if mean > right else "o"
        axes.plot([low, high], [row, row], color=colour, linewidth=2.6, solid_capstyle="butt")
        axes.plot(np.clip(mean, left + edge, right - edge), row, marker, color=colour, markersize=7.5)
        weight = "bold" if is_top else "normal"
        ends = axes.get_yaxis_transform()
        axes.text(0, row - 0.3, label, transform=ends, va="center", color=colour, weight=weight, size=10.5)
        axes.text(1, row - 0.3, f"{mean:.4f}", transform=ends, va="center", ha="right", color=colour, weight=weight)
    axes.set(xlim=(left, right), ylim=(len(names) - 0.5, -0.7), xlabel=metric, yticks=[])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    return figure


@look
def learning_figure(
    curves: Mapping[str, Sequence[Sequence[float]]], shown: int, metric: str, title: str, ordered: bool = False
) -> Figure:
    """A line a setting, the mean of its seeds, in a band from the lowest to the highest. `curves` has a list a seed.

    The first `shown` settings are in colour, the others grey; colours go from dark to light where settings are `ordered`.
    Accuracies are spaced by their errors and losses by their factor, so that good ones are told apart and bad ones seen.
    """
    shown = min(shown, len(curves), len(SERIES))
    colours = [to_hex(shade) for shade in SHADES(np.linspace(0, 0.88, shown))] if ordered else SERIES
    figure = empty(title, PAGE, 3.5 + 0.22 * math.ceil(min(len(curves), shown + 1) / 2))
    axes = figure.subplots()
    epochs = max((len(run) for runs in curves.values() for run in runs), default=1)
    accuracy = metric.endswith("/accuracy")
    floor = _floor(curves, accuracy)
    marker = "o" if epochs <= 12 else ""
    for place, runs in enumerate(curves.values()):
        length = min(map(len, runs))
        table = np.array([run[:length] for run in runs], dtype=float)
        table = np.maximum(1 - table if accuracy else table, floor)
        colour, order = (colours[place], 3) if place < shown else ("#b5b5b5", 2)
        x = np.arange(1, length + 1)
        axes.plot(x, table.mean(axis=0), color=colour, marker=marker, markersize=4, linewidth=1.8, zorder=order)
        if len(runs) > 1:
            axes.fill_between(
                x, table.min(axis=0), table.max(axis=0), color=colour, alpha=0.18, linewidth=0, zorder=order - 1
            )
    axes.set_yscale("log")
    if accuracy:
        axes.invert_yaxis()
    axes.set(xlabel="epoch", ylabel=metric, xlim=(0.7, epochs + 0.3))
    _label_decades(axes, accuracy)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y")
    named = [textwrap.shorten(name, 56, placeholder=" ...") for name in list(curves)[:shown]]
    keys = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=name)
        for name, colour in zip(named, colours, strict=False)
    ]
    if len(curves) > len(named):
        keys.append(Line2D([], [], color="#b5b5b5", label=f"the other {len(curves) - len(named)}"))
    columns = 1 if max((len(name) for name in named), default=0) > 24 else 2
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def _floor(curves: Mapping[str, Sequence[Sequence[float]]], accuracy: bool) -> float:
    """Where a logarithmic axis ends: half of the smallest error or loss that is not 0."""
    values = np.array([value for runs in curves.values() for run in runs for value in run], dtype=float)
    values = 1 - values if accuracy else values
    above = values[(values > 1e-9) & np.isfinite(values)]
    return float(above.min() / 2) if above.size else 1e-3


def _label_decades(axes: Axes, accuracy: bool) -> None:
    """Up to nine round values as ticks of a logarithmic axis; where errors are spaced, the accuracies that they leave."""
    low, high = sorted(axes.get_ylim())
    for parts in ((1, 2, 3, 5, 7), (1, 2, 5), (1,)):
        steps = [part * 10.0**decade for decade in range(-6, 7) for part in parts]
        ticks = [step for step in steps if low <= step <= high and not (accuracy and step >= 1)]
        if len(ticks) <= 9:
            break
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_yticks(ticks, [f"{1 - tick:.6g}" if accuracy else f"{tick:g}" for tick in ticks])


@look
def values_figure(
    values: Sequence[float],
    lines: Mapping[str, tuple[Sequence[float], Sequence[tuple[float, float]]]],
    path: str,
    metric: str,
    title: str,
) -> Figure:
    """What a numeric setting does: for each line its means and intervals, one for each of `values`, NaN where none is.

    Values that reach over two powers of ten or more are spaced by their factor.
    """
    figure = empty(title, PAGE, 3.6)
    axes = figure.subplots()
    x = np.array(values, dtype=float)
    wide = x.min() > 0 and x.max() / x.min() >= 50
    step = 0.008 * float(np.ptp(x) or 1)
    for place, (name, (means, intervals)) in enumerate(lines.items()):
        colour = OF_SET.get(name.split()[-1], SERIES[place % len(SERIES)])
        middle = place - (len(lines) - 1) / 2
        at = x * 1.015**middle if wide else x + step * middle  # beside each other, not on each other
        ends = np.array(intervals, dtype=float)
        reach = np.abs(ends.T - np.array(means, dtype=float))
        axes.errorbar(at, means, yerr=reach, label=name, color=colour, marker="o", markersize=5, linewidth=1.8, capsize=3)
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if len(x) <= 10:
        axes.set_xticks(x, [f"{value:g}" for value in values])
    axes.set(xlabel=path, ylabel=metric)
    axes.grid(axis="y")
    columns = 60 // (max(map(len, lines)) + 7)  # letters across the page, and a name with its mark
    figure.legend(loc="outside lower center", ncols=max(1, min(len(lines), 3, columns)), frameon=False)
    return figure
