"""What is measured of single images: how much ink there is, where it lies, how wide its strokes are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE
from digitexp.data.geometry import FLOOR

AT_ONCE = 2000  # images; more need more memory and are no faster

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """Of `n` images, each `(n,)`; all but `ink` and `border` are NaN where there is no ink.

    ink      the share of pixels with ink (`FLOOR` or more)
    border   whether there is ink in the outermost pixels
    height, width   pixels of the smallest rectangle with all of the ink
    row, column     pixels from the centre of the first pixel to the centre of mass
    stroke   pixels of the mean width of the strokes: twice their area by the length of their outline, where the outline
             is the total variation of the grey levels, so that grey edges count as parts of pixels
    """

    ink: Floats
    border: NDArray[np.bool_]
    height: Floats
    width: Floats
    row: Floats
    column: Floats
    stroke: Floats


def measure(images: NDArray[np.uint8]) -> Measures:
    """Measure uint8 images `(n, 28, 28)`."""
    parts = [_measure(images[first : first + AT_ONCE]) for first in range(0, max(len(images), 1), AT_ONCE)]
    return Measures(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def first_alike(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """For each image, the number of the first that is the same pixel by pixel: its own where there is none before it."""
    flat = np.ascontiguousarray(images).reshape(len(images), SIDE * SIDE)
    seen: dict[bytes, int] = {}
    pixels = flat.view(f"V{SIDE * SIDE}").ravel().tolist()
    return np.array([seen.setdefault(image, number) for number, image in enumerate(pixels)], np.int64)


def _measure(images: NDArray[np.uint8]) -> tuple[Any, ...]:
    mask = np.asarray(images >= FLOOR)
    blank = ~mask.any(axis=(1, 2))
    border = mask[:, [0, -1]].any(axis=(1, 2)) | mask[:, :, [0, -1]].any(axis=(1, 2))
    height, width = (np.where(blank, np.nan, _extent(np.any(mask, axis=axis))) for axis in (2, 1))
    grey = images.astype(np.float32)
    mass = np.where(blank, np.nan, grey.sum(axis=(1, 2), dtype=np.float64))
    place = np.arange(SIDE)
    row, column = (grey.sum(axis=axis, dtype=np.float64) @ place / mass for axis in (2, 1))
    framed = np.pad(grey, ((0, 0), (1, 1), (1, 1)))
    down, right = np.diff(framed, axis=1)[:, :, :-1], np.diff(framed, axis=2)[:, :-1]
    outline = np.hypot(down, right).sum(axis=(1, 2), dtype=np.float64)
    stroke = 2 * mass / np.where(blank, np.nan, outline)
    return mask.mean(axis=(1, 2)), border, height, width, row, column, stroke


def _extent(taken: NDArray[np.bool_]) -> NDArray[np.int64]:
    """From the first to the last that is taken, both counted, of each row."""
    return taken.shape[1] - taken.argmax(axis=1) - taken[:, ::-1].argmax(axis=1)
