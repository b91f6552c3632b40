"""Figures of one run: learning curves, confusion tables, what is found at how many false alarms, the network."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from digitexp.evaluation.calibration import Bin
from digitexp.evaluation.scores import by_row
from digitexp.figures.look import BLUE, GREY, INK, OF_SET, PAGE, empty, look
from digitexp.models.layers import LayerRow

DIGITS = colormaps["tab10"]
Told = tuple[NDArray[np.float64], Mapping[str, tuple[NDArray[np.float64], float]]]  # see roc_figure
OF_KIND = {"conv": "#cfe4f3", "dense": "#fbdcc4", "batch": "#cdebe0"}  # by how a layer's kind begins; others are white
ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#f9c9ab", "#e8813f"]).with_extremes(bad="#e3eef6")


@look
def confusion_figure(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """Counts and shares by row. Colour shows the errors alone: they would vanish beside the hundreds read correctly."""
    side = 1.1 + 0.46 * max(len(classes), 5)  # inches
    figure = empty(title, 2 * side, side, layout="compressed")
    left, right = figure.subplots(1, 2)
    shares = 100 * by_row(confusion)
    _draw_table(left, confusion, "d", classes)
    _draw_table(right, shares, ".1f", classes)
    left.set_title("images")
    right.set_title("% of the images of the true digit")
    return figure


@look
def counts_figure(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """One confusion table as counts, for a page; colour shows the errors alone."""
    side = 0.9 + 0.44 * max(len(classes), 8)  # inches
    figure = empty(title, side, side, layout="compressed")
    axes = figure.subplots()
    _draw_table(axes, confusion, "d", classes)
    return figure


def _draw_table(axes: Axes, table: NDArray[np.number], form: str, classes: Sequence[str]) -> None:
    errors = np.ma.masked_array(table, mask=np.eye(len(table), dtype=bool))
    axes.imshow(errors, cmap=ERRORS, vmin=0, vmax=np.max(table, initial=0, where=~errors.mask) or 1)
    for row, column in zip(*np.nonzero(table), strict=True):  # an empty cell says 0
        weight = "bold" if row == column else "normal"
        cell = axes.text(column, row, format(table[row, column], form), ha="center", va="center", size=9, weight=weight)
        cell.set_in_layout(False)  # measuring them all would take as long as drawing them
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="read as", ylabel="true digit")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


@look
def roc_figure(sets: Mapping[str, Told], title: str, of: str = "digit") -> Figure:
    """Receiver operating characteristics, a panel a set, from the shares of false alarms `(n,)` on a logarithmic axis.

    For each line by name, of a digit or what else, the shares found at these `(n,)` and the area under the curve; "mean"
    is drawn heavier. What the axis leaves out at the left is nearer to no false alarm than one image.
    """
    columns = 3 if of == "digit" else 1  # of the legend: digits are short, and each panel has its own areas
    rows = -(-max((len(lines) for _, lines in sets.values()), default=0) // columns)
    figure = empty(title, PAGE * max(len(sets), 1), 4.2 + 0.2 * rows)
    legend: dict[str, Any] = {"title": f"{of}, area (AUC)", "frameon": False, "fontsize": 9, "title_fontsize": 9}
    panels = figure.subplots(1, max(len(sets), 1), squeeze=False).flat
    for axes, (name, (alarms, lines)) in zip(panels, sets.items(), strict=False):
        for place, (label, (found, area)) in enumerate(lines.items()):
            style = {"color": INK, "linewidth": 2.4} if label == "mean" else {"color": DIGITS(place % 10), "linewidth": 1.4}
            axes.plot(alarms, found, label=f"{textwrap.shorten(label, 56)}   {area:.4f}", **style)
        lowest = min((found[np.searchsorted(alarms, 1e-3)] for found, _ in lines.values()), default=0.0)
        axes.set(xscale="log", xlim=(alarms[0], 1), ylim=(max(0.0, lowest - 0.1), 1.005), title=name)
        decades = [10.0**power for power in range(-6, 1) if alarms[0] <= 10.0**power]
        axes.set_xticks(decades, [f"{100 * decade:g} %" for decade in decades])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(xlabel="share of the others that are taken for it", ylabel="share that is found")
        axes.grid()
        if of == "digit" and lines:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns, **legend)
    if of != "digit" and rows:
        figure.legend(loc="outside lower center", **legend)
    return figure


@look
def reliability_figure(sets: Mapping[str, Sequence[Bin]], errors: Mapping[str, float], title: str) -> Figure:
    """How often a network is right against how sure it is, a panel a set; below, how many images are how sure.

    `errors` are the expected calibration errors by set. On the diagonal a network is as often right as it says.
    """
    figure = empty(title, 4.2 * max(len(sets), 1), 4.6)
    panels = figure.subplots(2, max(len(sets), 1), squeeze=False, sharex=True, height_ratios=(3, 1))
    for (above, below), (name, bins) in zip(panels.T, sets.items(), strict=False):
        sure, right = [one.confidence for one in bins], [one.accuracy for one in bins]
        middles, width = [(one.low + one.high) / 2 for one in bins], bins[0].high - bins[0].low if bins else 0.1
        above.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        above.plot(sure, right, color=OF_SET.get(name, BLUE), marker="o", markersize=5)
        above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right", title=f"{name}: error {errors[name]:.4f}")
        above.grid()
        below.bar(middles, [one.images for one in bins], width * 0.9, color=OF_SET.get(name, BLUE))
        below.set(yscale="log", xlabel="probability of what is read", ylabel="images", ylim=(0.5, None))
        most = max((one.images for one in bins), default=1)
        decades = [10**power for power in range(7) if 10**power <= most]
        below.yaxis.set_minor_locator(NullLocator())
        below.set_yticks(decades, [f"{count:,}" for count in decades])
    return figure


@look
def curves_figure(curves: Mapping[str, Sequence[float]], title: str) -> Figure:
    """A panel for each metric, loss first, a line for each set. Keys are `set/metric`, values one for each epoch."""
    metrics = sorted({key.rpartition("/")[2] for key in curves}, key=lambda metric: (metric != "loss", metric))
    sets = list(dict.fromkeys(key.rpartition("/")[0] for key in curves))
    colours = {name: OF_SET.get(name, GREY) for name in sets}
    epochs = max(map(len, curves.values()), default=1)
    marker = "o" if epochs <= 12 else ""
    figure = empty(title, 5.2 * max(len(metrics), 1), 4)
    for axes, metric in zip(figure.subplots(1, max(len(metrics), 1), squeeze=False).flat, metrics, strict=False):
        for name in sets:
            values = curves.get(f"{name}/{metric}", [])
            axes.plot(range(1, len(values) + 1), values, color=colours[name], marker=marker, markersize=5)
        axes.set(title=metric, xlabel="epoch", xlim=(0.5, epochs + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(axis="y")
    keys = [Line2D([], [], color=colours[name], marker=marker, label=name) for name in sets]
    figure.legend(handles=keys, loc="outside lower center", ncols=max(len(keys), 1), frameon=False)
    return figure


@look
def network_figure(layers: Sequence[LayerRow], title: str) -> Figure:
    """The layers as boxes, from the input at the top; what does not fit in a column goes on in the next one."""
    rows = math.ceil(len(layers) / math.ceil(len(layers) / 11))
    columns = math.ceil(len(layers) / rows)
    wide, high, gap, gutter = 3.4, 0.5, 0.28, 0.6  # inches, as are the coordinates
    figure = empty(title, columns * (wide + gutter), rows * (high + gap) + 0.4)
    axes = figure.subplots()
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1.4, "mutation_scale": 13, "shrinkA": 0, "shrinkB": 0}
    for index, layer in enumerate(layers):
        column, row = divmod(index, rows)
        x, y = column * (wide + gutter), row * (high + gap)
        _draw_layer(axes, layer, x, y, wide, high)
        if row:
            axes.annotate("", (x + wide / 2, y), (x + wide / 2, y - gap), arrowprops=arrow)
        elif column:  # out of the foot of the last column, up between the two, and into the head of this one
            foot, between, head = (rows - 1) * (high + gap) + high / 2, x - gutter / 2, y + high / 2
            axes.plot([x - gutter, between, between], [foot, foot, head], color=GREY, linewidth=1.4)
            axes.annotate("", (x, head), (between, head), arrowprops=arrow)
    total = sum(layer["parameters"] for layer in layers)
    right, bottom = columns * (wide + gutter) - gutter, rows * (high + gap) - gap
    axes.text(right, bottom + 0.2, f"{total:,} parameters in all", ha="right", va="top", size=9, color=GREY)
    axes.set(xlim=(-0.05, right + 0.05), ylim=(bottom + 0.4, -0.05))
    axes.axis("off")
    return figure


def _draw_layer(axes: Axes, layer: LayerRow, x: float, y: float, wide: float, high: float) -> None:
    tint = next((tint for start, tint in OF_KIND.items() if layer["kind"].lower().startswith(start)), "#ffffff")
    box = FancyBboxPatch((x, y), wide, high, "round,pad=0,rounding_size=0.08", facecolor=tint, edgecolor=GREY)
    axes.add_patch(box)
    first, second, left, right = y + 0.17, y + 0.36, x + 0.12, x + wide - 0.12
    parameters = f"{layer['parameters']:,} parameters" if layer["parameters"] else ""
    axes.text(left, first, layer["kind"], va="center", weight="bold")
    axes.text(right, first, layer["shape"], va="center", ha="right")
    axes.text(left, second, layer["name"], va="center", size=8.5, color=GREY)
    axes.text(right, second, parameters, va="center", ha="right", size=8.5, color=GREY)
