"""Figures of evidence: what was claimed and what was found, as differences and beside each other."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import NDArray

from digitexp.figures import BLUE, GREY, INK, ORANGE, PAGE, PALE, SERIES, SHADES, _figure, look

Ends = tuple[float, float]


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
    figure = _figure(title, PAGE, 1.3 + 0.4 * len(names))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=0.8)
    ends, white = axes.get_yaxis_transform(), {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    for row, (name, value, (low, high), strong) in enumerate(zip(names, found, intervals, stands, strict=True)):
        colour = BLUE if strong else GREY
        axes.plot([low, high], [row, row], color=colour, linewidth=2.6, solid_capstyle="butt")
        axes.plot(value, row, "o", color=colour, markersize=6.5)
        weight = "bold" if strong else "normal"
        label = textwrap.shorten(name, 52, placeholder=" ...")
        axes.text(0, row - 0.35, label, transform=ends, va="center", color=colour, weight=weight, size=9.5, bbox=white)
        axes.text(1, row - 0.35, f"{value:+.3f}", transform=ends, va="center", ha="right", color=colour, weight=weight, size=9.5)
    axes.set(ylim=(len(names) - 0.4, -0.8), yticks=[], xlabel=xlabel)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    handles = [Line2D([], [], color=colour, marker="o", label=key) for colour, key in zip((BLUE, GREY), keys, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    return figure
