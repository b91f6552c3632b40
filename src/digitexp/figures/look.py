"""What all figures share: colours, one look, an empty figure under its title, and a file written whole."""

import os
import textwrap
from pathlib import Path
from typing import Literal

from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure

INK, GREY, PALE = "#222222", "#6b6b6b", "#d9d9d9"
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#aa4499"  # told apart by all eyes (Okabe and Ito 2008)
OF_SET = {
    "train": BLUE, "val": ORANGE, "test": GREEN, "drawn": PURPLE, "kaggle": "#e69f00", "kaggle_stand_in": "#e69f00",
}  # fmt: skip
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#e69f00", "#56b4e9", "#000000", "#8a6d3b")  # for lines that are settings
SHADES = colormaps["viridis"]
PAGE = 5.4  # inches: on a phone, letters of 10 points are then still 7 pixels high

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


@look  # matplotlib makes most ticks only when it draws
def save(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a PNG; whoever reads `path` meanwhile sees the old picture or the new one, never half of one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(unfinished, format="png", dpi=dpi)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def empty(title: str, wide: float, high: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """An empty figure, `wide` inches and below its title `high` inches; a long title is broken into lines."""
    text = textwrap.fill(title, int(wide / 0.125))  # inches a letter
    figure = Figure(figsize=(wide, high + 0.23 * (text.count("\n") + 1)), layout=layout)
    figure.suptitle(text)
    return figure
