"""What is measured of single images: how much ink there is, where it lies, how wide its strokes are."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE
from digitexp.data.geometry import FINE, FLOOR, stroke_width

AT_ONCE = 2000  # images; more need more memory and are no faster

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """Of `n` images, each `(n,)`; all but `ink` and `border` are NaN where there is no ink.

    ink      the share of pixels with ink (`FLOOR` or more)
    border   whether there is ink in the outermost pixels
    height, width   pixels of the smallest rectangle with all of the ink
    row, column     pixels from the centre of the first pixel to the centre of mass
    stroke   pixels of the mean width of the strokes, as `geometry.stroke_width` has it
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
    blank = np.asarray(~mask.any(axis=(1, 2)))
    border = mask[:, [0, -1]].any(axis=(1, 2)) | mask[:, :, [0, -1]].any(axis=(1, 2))
    height, width = (np.where(blank, np.nan, _extent(np.any(mask, axis=axis))) for axis in (2, 1))
    grey = images.astype(np.float32)
    mass = np.where(blank, np.nan, grey.sum(axis=(1, 2), dtype=np.float64))
    place = np.arange(SIDE)
    row, column = (grey.sum(axis=axis, dtype=np.float64) @ place / mass for axis in (2, 1))
    stroke = np.array([np.nan if empty else _stroke(image) for image, empty in zip(images, blank, strict=True)], np.float64)
    return mask.mean(axis=(1, 2)), border, height, width, row, column, stroke


def _stroke(image: NDArray[np.uint8]) -> float:
    framed = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)  # the edge of the image ends a stroke
    large = cv2.resize(framed, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
    return stroke_width(cv2.distanceTransform((2.0 * large > large.max()).astype(np.uint8), cv2.DIST_L2, 5))


def _extent(taken: NDArray[np.bool_]) -> NDArray[np.int64]:
    """From the first to the last that is taken, both counted, of each row."""
    return taken.shape[1] - taken.argmax(axis=1) - taken[:, ::-1].argmax(axis=1)
