"""Figures of images."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from digitexp.figures.look import PAGE, PALE, empty, look


@look
def digits_figure(
    images: NDArray[np.uint8], captions: Sequence[str], title: str, columns: int = 10, whole: bool = False
) -> Figure:
    """A grid of images `(n, 28, 28)`, dark ink on white, each above its caption; `whole`: never less than all columns."""
    texts = ["\n".join(textwrap.fill(line, 15) for line in caption.splitlines()) for caption in captions]
    lines = max((text.count("\n") + 1 for text in texts), default=1)
    columns = columns if whole else max(min(columns, len(images)), 1)
    rows = max(math.ceil(len(images) / columns), 1)
    wide, high = 34, 34 + 5 * lines  # pixels of the images, as are the coordinates; 30 an inch
    figure = empty(title, max(columns * wide / 30, 3) + 0.3, rows * high / 30 + 0.2)
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


@look
def rows_figure(rows: Mapping[str, NDArray[np.number]], title: str, columns: Sequence[str] = ()) -> Figure:
    """Rows of images `(n, 28, 28)`, each row behind its name, the columns below their names; dark ink on white."""
    names = [textwrap.fill(name, 12) for name in rows]
    longest = max((len(line) for name in names for line in name.splitlines()), default=0)
    wide, step = max((len(images) for images in rows.values()), default=1), 30  # images; pixels
    field = np.zeros((max(len(rows), 1) * step, max(wide, 1) * step))
    for row, images in enumerate(rows.values()):
        for column, image in enumerate(images):
            field[row * step + 1 : row * step + 29, column * step + 1 : column * step + 29] = image
    side = (PAGE - 0.4 - 0.09 * longest) / max(wide, 1)  # inches of an image
    figure = empty(title, PAGE, side * len(rows) + (0.5 if columns else 0.25))
    axes = figure.subplots()
    axes.imshow(field, cmap="gray_r", vmin=0, vmax=255)
    axes.set_yticks(np.arange(len(rows)) * step + step / 2 - 0.5, names)
    axes.set_xticks(np.arange(len(columns)) * step + step / 2 - 0.5, columns)
    axes.tick_params(length=0, top=False, labeltop=bool(columns), labelbottom=False)
    axes.spines[:].set_visible(False)
    return figure
