"""Figures of evidence: what was claimed and what was found, as differences and beside each other."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from digitexp.evaluation.compare import interval
from digitexp.figures.look import BLUE, GREY, INK, ORANGE, PAGE, PALE, SERIES, SHADES, empty, look

Ends = tuple[float, float]
BAND = 60  # places at which a band is computed, and drawn straight between


@look
def differences_figure(
    names: Sequence[str],
    found: Sequence[float],
    intervals: Sequence[Ends],
    stands: Sequence[bool],
    xlabel: str,
    title: str,
    keys: tuple[str, str],
) -> Figure:
    """A difference and its interval a row, each under its name; what stands is in colour. `keys` names the two colours."""
    figure = empty(title, PAGE, 1.3 + 0.4 * len(names))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=0.8)
    ends, white = axes.get_yaxis_transform(), {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for row, (name, value, (low, high), strong) in enumerate(zip(names, found, intervals, stands, strict=True)):
        colour = BLUE if strong else GREY
        axes.plot([low, high], [row, row], color=colour, linewidth=2.6, solid_capstyle="butt")
        axes.plot(value, row, "o", color=colour, markersize=6.5)
        weight = "bold" if strong else "normal"
        label = _cut(name, 52)
        style: dict[str, Any] = {"transform": ends, "va": "center", "color": colour, "weight": weight, "size": 9.5}
        axes.text(0, row - 0.35, label, bbox=white, **style)
        axes.text(1, row - 0.35, f"{value:+.3f}", ha="right", **style)
    axes.set(ylim=(len(names) - 0.4, -0.8), yticks=[], xlabel=xlabel)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    handles = [Line2D([], [], color=colour, marker="o", label=key) for colour, key in zip((BLUE, GREY), keys, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure


@look
def beside_figure(
    names: Sequence[str], panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[Ends]]]], title: str
) -> Figure:
    """Reported and own values of the same settings: a panel a metric, in it for each source its values and intervals.

    Values that are NaN are left out; an interval of two NaN is not drawn.
    """
    figure = empty(title, PAGE, 0.9 + len(panels) * (0.75 + 0.36 * len(names)))
    colours = dict(zip(next(iter(panels.values())), (ORANGE, BLUE), strict=False))
    markers = dict(zip(colours, ("D", "o"), strict=False))
    for axes, (metric, sources) in zip(figure.subplots(len(panels), 1, squeeze=False).flat, panels.items(), strict=True):
        for place, (source, (values, intervals)) in enumerate(sources.items()):
            rows = np.arange(len(names)) + 0.3 * (place - (len(sources) - 1) / 2)
            for row, value, (low, high) in zip(rows, values, intervals, strict=True):
                axes.plot([low, high], [row, row], color=colours[source], linewidth=2.4, solid_capstyle="butt")
                axes.plot(value, row, markers[source], color=colours[source], markersize=5.5)
        axes.set_yticks(range(len(names)), [_cut(name, 26) for name in names])
        axes.set(ylim=(len(names) - 0.45, -0.55), title=metric)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    handles = [Line2D([], [], color=colours[source], marker=markers[source], label=source) for source in colours]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


@look
def running_figure(hits: Mapping[str, NDArray[np.bool_]], metric: str, title: str, ordered: bool) -> Figure:
    """The accuracy over the first images, one line a setting: `hits` `(seeds, images)`, in the order of the images.

    The band around the mean of the seeds is the 95 % interval of these seeds and so many images; colours go from dark to
    light where settings are `ordered`.
    """
    figure = empty(title, PAGE, 3.6 + 0.22 * math.ceil(len(hits) / 2))
    axes = figure.subplots()
    colours = SHADES(np.linspace(0, 0.88, len(hits))) if ordered else SERIES
    lowest = 1.0
    for colour, runs in zip(colours, hits.values(), strict=False):
        n = np.arange(1, runs.shape[1] + 1)
        share = np.cumsum(runs.mean(axis=0)) / n
        first = min(len(n) - 1, max(9, len(n) // 20))  # before that, a line says nothing and its band everything
        some = np.unique(np.linspace(n[first], n[-1], BAND).astype(int))
        low, high = np.transpose([interval(list(runs[:, :count])) for count in some])
        axes.plot(n[first:], share[first:], color=colour, linewidth=1.8, zorder=3)
        axes.fill_between(some, low, high, color=colour, alpha=0.1, linewidth=0)
        lowest = min(lowest, float(low.min()))
    axes.set(xlabel="images, in the order in which they were drawn", ylabel=metric, ylim=(max(0, lowest - 0.01), 1.005))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    named = [_cut(name, 56) for name in hits]
    handles = [Line2D([], [], color=colour, label=name) for name, colour in zip(named, colours, strict=False)]
    columns = 1 if max(map(len, hits), default=0) > 24 else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure


@look
def importance_figure(names: Sequence[str], drops: NDArray[np.floating], title: str) -> Figure:
    """How much each setting matters: `drops` `(resamples, settings)`, shown by their mean and the middle 95 %."""
    order = np.argsort(-drops.mean(axis=0))
    figure = empty(title, PAGE, 1.1 + 0.4 * len(names))
    axes = figure.subplots()
    low, high = np.quantile(drops, [0.025, 0.975], axis=0)
    for row, place in enumerate(order):
        colour = BLUE if low[place] > 0 else GREY
        axes.plot([low[place], high[place]], [row, row], color=colour, linewidth=2.6, solid_capstyle="butt")
        axes.plot(drops[:, place].mean(), row, "o", color=colour, markersize=6.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(range(len(names)), [_cut(names[place], 34) for place in order])
    axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="share of the variance that is lost without it")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    return figure


@look
def parallel_figure(
    paths: Sequence[str],
    columns: Sequence[Sequence[object]],
    values: Sequence[float],
    better: Sequence[float],
    metric: str,
    title: str,
) -> Figure:
    """A line a trial across one axis for each setting, the measure last; the better, the darker and the further in front.

    `better` is `values`, turned where less is better.

    `columns` has a value a trial for each path, None where the setting is absent there. Numbers that span a factor of 50
    or more are spaced by their factor; everything else that is no number is spaced evenly.
    """
    figure = empty(title, PAGE, 4.2)
    axes = figure.subplots()
    heights = [_heights(column) for column in columns]
    place_of = np.argsort(better)
    low, high = values[place_of[0]], values[place_of[-1]]
    score = (np.array(values) - low) / ((high - low) or 1)
    order = np.argsort(score)
    across = np.arange(len(paths) + 1)
    for place in order:
        line = np.array([height[place] for height, _ in heights] + [score[place]])
        there = ~np.isnan(line)  # past the axis of a setting that a trial does not have
        look_of = {"color": SHADES(0.92 * (1 - score[place])), "linewidth": 0.8 + 1.4 * score[place], "alpha": 0.75}
        axes.plot(across[there], line[there], **look_of)
    white = {"facecolor": "white", "edgecolor": "none", "pad": 0.3, "alpha": 0.8}
    for place, (_, ticks) in enumerate(heights):
        axes.axvline(place, color=PALE, zorder=0)
        for at, text in ticks:
            axes.text(place, at, f" {text}", size=8, va="center", bbox=white)
    axes.axvline(len(paths), color=PALE, zorder=0)
    for at, value in ((0, low), (1, high)):
        axes.text(len(paths), at, f" {value:.4f}", size=8, va="center")
    letters = max(6, 72 // len(across))
    axes.set_xticks(across, [_stacked(name, letters) for name in (*paths, metric)], size=8.5)
    axes.set(yticks=[], xlim=(-0.15, len(paths) + 0.45), ylim=(-0.06, 1.06))
    axes.tick_params(axis="x", length=0)
    axes.spines[:].set_visible(False)
    return figure


def _cut(name: str, most: int) -> str:
    """A name of at most so many letters."""
    return name if len(name) <= most else f"{name[: most - 4]} ..."


def _stacked(path: str, letters: int) -> str:
    """A dotted path in lines of about so many letters, broken at its dots and underscores."""
    lines = [""]
    for part in re.findall(r"[^._]+[._]?", path):
        if len(lines[-1]) + len(part) > letters and lines[-1]:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _heights(column: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """Where each value lies on its axis, from 0 to 1, and the ticks; NaN where a setting is absent."""
    seen = [value for value in column if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen):
        numbers = np.array([np.nan if value is None else value for value in column], dtype=float)
        least, most = np.nanmin(numbers), np.nanmax(numbers)
        scale = np.log if least > 0 and most / least >= 50 else np.asarray
        low, high = float(scale(least)), float(scale(most))
        heights = (scale(numbers) - low) / ((high - low) or 1)
        shown = sorted(set(seen)) if len(set(seen)) <= 6 else [least, most]
        return heights.tolist(), [((float(scale(value)) - low) / ((high - low) or 1), f"{value:.4g}") for value in shown]
    kinds = sorted({str(value) for value in seen})
    at = {kind: place / max(len(kinds) - 1, 1) for place, kind in enumerate(kinds)}
    return [math.nan if value is None else at[str(value)] for value in column], [(at[kind], kind) for kind in kinds]


@look
def difference_table_figure(table: NDArray[np.integer], classes: Sequence[str], title: str) -> Figure:
    """A confusion table minus another, in counts: violet where fewer, orange where more are read so than in the other."""
    side = 0.9 + 0.44 * max(len(classes), 8)
    figure = empty(title, side, side, layout="compressed")
    axes = figure.subplots()
    errors = np.where(np.eye(len(table), dtype=bool), 0, table)
    reach = float(np.abs(errors).max()) or 1
    axes.imshow(errors, cmap="PuOr_r", vmin=-reach * 1.4, vmax=reach * 1.4)
    for row, column in zip(*np.nonzero(table), strict=True):
        weight = "bold" if row == column else "normal"
        cell = axes.text(column, row, f"{table[row, column]:+g}", ha="center", va="center", size=8.5, weight=weight)
        cell.set_in_layout(False)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="read as", ylabel="true digit")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.xaxis.set_minor_locator(NullLocator())
    return figure
