"""Arrays in, matplotlib figures out: one look for all, no pyplot, so no window and nothing shared between figures."""

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from digitexp.evaluation.scores import by_row
from digitexp.models.layers import LayerRow

INK, GREY, PALE = "#222222", "#6b6b6b", "#d9d9d9"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#aa4499"  # told apart by all eyes (Okabe and Ito 2008)
OF_SET = {
    "train": BLUE, "val": ORANGE, "test": GREEN, "drawn": PURPLE, "kaggle": "#e69f00", "kaggle_stand_in": "#e69f00",
}  # fmt: skip
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#e69f00", "#56b4e9", "#000000", "#8a6d3b")  # for lines that are settings
SHADES = colormaps["viridis"]
DIGITS = colormaps["tab10"]
Told = tuple[NDArray[np.float64], Mapping[str, tuple[NDArray[np.float64], float]]]  # see roc_figure
PAGE = 5.4  # inches: on a phone, letters of 10 points are then still 7 pixels high
OF_KIND = {"conv": "#cfe4f3", "dense": "#fbdcc4", "batch": "#cdebe0"}  # by how a layer's kind begins; others are white
ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#f9c9ab", "#e8813f"]).with_extremes(bad="#e3eef6")

look = rc_context(
    {
        "font.size": 10,
        "axes.titlesize": 11,
        "figure.titlesize": 13,
        "figure.titleweight": "bold",
        "figure.constrained_layout.h_pad": 0.08,  # inches
        "figure.constrained_layout.w_pad": 0.12,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GREY,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": PALE,
        "text.parse_math": False,  # a name with two dollar signs is a name
    }
)


@look
def confusion_figure(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """Counts and shares by row. Colour shows the errors alone: they would vanish beside the hundreds read correctly."""
    side = 1.1 + 0.46 * max(len(classes), 5)  # inches
    figure = _figure(title, 2 * side, side, layout="compressed")
    left, right = figure.subplots(1, 2)
    shares = 100 * by_row(confusion)
    _draw_table(left, confusion, "d", classes)
    _draw_table(right, shares, ".1f", classes)
    left.set_title("images")
    right.set_title("% of the images of the true digit")
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
def curves_figure(curves: Mapping[str, Sequence[float]], title: str) -> Figure:
    """A panel for each metric, loss first, a line for each set. Keys are `set/metric`, values one for each epoch."""
    metrics = sorted({key.rpartition("/")[2] for key in curves}, key=lambda metric: (metric != "loss", metric))
    sets = list(dict.fromkeys(key.rpartition("/")[0] for key in curves))
    colours = {name: OF_SET.get(name, GREY) for name in sets}
    epochs = max(map(len, curves.values()), default=1)
    marker = "o" if epochs <= 12 else ""
    figure = _figure(title, 5.2 * max(len(metrics), 1), 4)
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
    figure = _figure(title, 7 + 0.075 * longest, 1.3 + len(names) * (0.1 + 0.17 * lines))
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
    figure = _figure(title, PAGE, 1.1 + 0.42 * len(names))
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
    figure = _figure(title, PAGE, 3.5 + 0.22 * math.ceil(min(len(curves), shown + 1) / 2))
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
def counts_figure(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> Figure:
    """One confusion table as counts, for a page; colour shows the errors alone."""
    side = 0.9 + 0.44 * max(len(classes), 8)  # inches
    figure = _figure(title, side, side, layout="compressed")
    axes = figure.subplots()
    _draw_table(axes, confusion, "d", classes)
    return figure


@look
def roc_figure(sets: Mapping[str, Told], title: str, of: str = "digit") -> Figure:
    """Receiver operating characteristics, a panel a set, from the shares of false alarms `(n,)` on a logarithmic axis.

    For each line by name, of a digit or what else, the shares found at these `(n,)` and the area under the curve; "mean"
    is drawn heavier. What the axis leaves out at the left is nearer to no false alarm than one image.
    """
    lines_of_legend = max((len(lines) for _, lines in sets.values()), default=0) if of != "digit" else 0
    figure = _figure(title, PAGE * max(len(sets), 1), 4.2 + 0.2 * lines_of_legend)
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
            axes.legend(loc="lower right", title="digit, area (AUC)", fontsize=8, title_fontsize=8)
    if lines_of_legend:
        figure.legend(loc="outside lower center", title=f"{of}, area (AUC)", frameon=False, fontsize=9, title_fontsize=9)
    return figure


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
    figure = _figure(title, PAGE, 3.6)
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
    figure.legend(loc="outside lower center", ncols=min(len(lines), 3), frameon=False)
    return figure


@look
def running_figure(curves: Mapping[str, Sequence[tuple[int, float, float, float]]], title: str) -> Figure:
    """Accuracy after n drawings, a line for each network in the band of its interval; rows of n, accuracy, low, high."""
    figure = _figure(title, PAGE, 3.2)
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


@look
def network_figure(layers: Sequence[LayerRow], title: str) -> Figure:
    """The layers as boxes, from the input at the top; what does not fit in a column goes on in the next one."""
    rows = math.ceil(len(layers) / math.ceil(len(layers) / 11))
    columns = math.ceil(len(layers) / rows)
    wide, high, gap, gutter = 3.4, 0.5, 0.28, 0.6  # inches, as are the coordinates
    figure = _figure(title, columns * (wide + gutter), rows * (high + gap) + 0.4)
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


@look
def digits_figure(images: NDArray[np.uint8], captions: Sequence[str], title: str, columns: int = 10) -> Figure:
    """A grid of images `(n, 28, 28)`, dark ink on white, each above its caption."""
    texts = ["\n".join(textwrap.fill(line, 15) for line in caption.splitlines()) for caption in captions]
    lines = max((text.count("\n") + 1 for text in texts), default=1)
    columns = max(min(columns, len(images)), 1)
    rows = max(math.ceil(len(images) / columns), 1)
    wide, high = 34, 34 + 5 * lines  # pixels of the images, as are the coordinates; 30 an inch
    figure = _figure(title, max(columns * wide / 30, 3) + 0.3, rows * high / 30 + 0.2)
    axes = figure.subplots()
    for index, (image, text) in enumerate(zip(images, texts, strict=True)):
        row, column = divmod(index, columns)
        x, y = column * wide, row * high
        axes.imshow(image, cmap="gray_r", vmin=0, vmax=255, extent=(x, x + 28, y + 28, y))
        axes.add_patch(Rectangle((x, y), 28, 28, fill=False, edgecolor=PALE))
        axes.text(x + 14, y + 30, text, ha="center", va="top", size=8.5, linespacing=1.1)
    axes.set(xlim=(-3, columns * wide - 3), ylim=(rows * high, -1), aspect="equal")
    axes.axis("off")
    return figure


@look  # matplotlib makes most ticks only when it draws
def save(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a PNG; whoever reads `path` meanwhile sees the old picture or the new one, never half of one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(unfinished, format="png", dpi=dpi)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _figure(title: str, wide: float, high: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """An empty figure, `wide` inches and below its title `high` inches; a long title is broken into lines."""
    text = textwrap.fill(title, int(wide / 0.125))  # inches a letter
    figure = Figure(figsize=(wide, high + 0.23 * (text.count("\n") + 1)), layout=layout)
    figure.suptitle(text)
    return figure
