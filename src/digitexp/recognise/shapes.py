"""Ink that may be digits. What one digit is cannot always be told without reading it.

So a `Region` is a row of pieces, and every run of neighbouring pieces that could be one digit is a `Shape`; sheet.py has all
of them read, and takes the best way through the row.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Box(NamedTuple):
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int

    def around(self, other: "Box") -> "Box":
        """The smallest box around both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        right, bottom = max(self.x + self.width, other.x + other.width), max(self.y + self.height, other.y + other.height)
        return Box(x, y, right - x, bottom - y)

    def away(self, others: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pixels from this box to each of `others` (n, 4), 0 where they overlap."""
        x, y, width, height = others.reshape(-1, 4).T
        across = np.maximum(self.x, x) - np.minimum(self.x + self.width, x + width)
        down = np.maximum(self.y, y) - np.minimum(self.y + self.height, y + height)
        return np.maximum(np.maximum(across, down), 0)

    @property
    def size(self) -> int:
        """The longer side."""
        return max(self.width, self.height)


@dataclass(frozen=True, eq=False)
class Shape:
    """Ink that may be one digit: its box on the page, which of the box's pixels are its own (255), and its cost."""

    box: Box
    mask: Image
    cost: float = 0.0  # what is taken from the logarithm of its probability


@dataclass(frozen=True, eq=False)
class Region:
    """Pieces in a row, `count` of them; `shapes[first, last]` is the run of pieces first to last as one shape."""

    count: int
    shapes: dict[tuple[int, int], Shape]


@dataclass(frozen=True)
class Scale:
    """How large this page is written: height of a digit and width of a stroke, in pixels."""

    height: float
    stroke: float


def in_box(shape: Shape, box: Box) -> Image:
    """The pixels of a shape within a box that holds it."""
    mask = np.zeros((box.height, box.width), np.uint8)
    top, left = shape.box.y - box.y, shape.box.x - box.x
    mask[top : top + shape.box.height, left : left + shape.box.width] = shape.mask
    return mask


def union(one: Shape, other: Shape, cost: float = 0.0) -> Shape:
    """Both as one shape."""
    both = one.box.around(other.box)
    return Shape(both, cv2.bitwise_or(in_box(one, both), in_box(other, both)), cost)


def weighed(shape: Shape, scale: Scale) -> Shape:
    """With what speaks against its being one digit: digits are seldom much wider than high, nor much smaller than others."""
    wide = max(0.0, shape.box.width / max(shape.box.height, 0.6 * scale.height) - 1.15)
    small = max(0.0, 0.7 - shape.box.size / scale.height)
    high = max(0.0, shape.box.height / scale.height - 1.5)
    flat = max(0.0, 0.5 - shape.box.height / scale.height)
    return Shape(shape.box, shape.mask, shape.cost + 4 * (wide + small + high + flat))
