"""A page in, its digits out, in reading order. The network is a function, so that this room's image processing needs none.

ink.find -> components.find -> all shapes in MNIST's geometry -> one batch through the network -> best_way
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE
from digitexp.data.geometry import normalise
from digitexp.recognise import components, ink
from digitexp.recognise.shapes import Box, Region, Scale, Shape

Image = NDArray[np.uint8]
Probabilities = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

UNSURE = "?"
SMALL_PAGE = 240  # pixels: one that is smaller is enlarged to this
THIN = 0.1  # heights: MNIST's strokes are wider than this, a thinner pen's are made as wide


@dataclass(frozen=True)
class Mark:
    """A digit on the page: `digit` is its class, or "?" where `probability` is below the limit; `guess` is never "?"."""

    line: int  # from 1, from the top
    box: Box  # pixels of the page
    digit: str
    guess: str
    probability: float
    runner_up: str
    runner_up_probability: float


@dataclass(frozen=True, eq=False)
class Reading:
    """The marks in reading order, and every step's picture by its name, for whoever wants to know why."""

    marks: list[Mark]
    steps: dict[str, Image]

    @property
    def lines(self) -> list[str]:
        """What is written, line by line."""
        numbers = sorted({mark.line for mark in self.marks})
        return ["".join(mark.digit for mark in self.marks if mark.line == number) for number in numbers]


def read(
    page: Image, probabilities: Probabilities, classes: Sequence[str], confidence: float, debug: bool = False
) -> Reading:
    """Read a page, BGR uint8 `(h, w, 3)`. `probabilities` takes uint8 `(n, 28, 28)` and gives float32 `(n, classes)`."""
    factor = max(1, math.ceil(SMALL_PAGE / max(page.shape[:2])))
    large = cv2.resize(page, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC) if factor > 1 else page
    found = ink.find(large)
    regions, scale = components.find(found.written)
    candidates = [shape for region in regions for shape in region.shapes.values()]
    images = [as_mnist(shape, found.strength, scale) for shape in candidates]
    given = probabilities(np.stack(images)) if images else np.zeros((0, len(classes)), np.float32)
    said = dict(zip(map(id, candidates), given, strict=True))
    chosen = [shape for region in regions for shape in best_way(region, lambda shape: float(said[id(shape)].max()))]
    marks = _numbered([_mark(shape.box, said[id(shape)], classes, confidence, factor) for shape in chosen])
    steps = _steps(large, found, candidates, images) if debug else {}
    return Reading(marks, steps)


def as_mnist(shape: Shape, strength: Image, scale: Scale) -> Image:
    """The grey ink of a shape alone, at full strength and not too thin, in MNIST's geometry: uint8 `(28, 28)`."""
    edge = max(1, round(0.3 * scale.stroke))  # strokes are soft at their edges
    box = shape.box
    framed = cv2.copyMakeBorder(shape.mask, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=0)
    own = cv2.dilate(framed, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1)))
    x, y = box.x - edge, box.y - edge
    top, left = max(0, y), max(0, x)
    window = strength[top : y + own.shape[0], left : x + own.shape[1]]
    own = own[top - y : top - y + window.shape[0], left - x : left - x + window.shape[1]]
    grey = np.where(own > 0, window, np.uint8(0))
    inside = window[own > 0]
    full = float(np.partition(inside, int(0.9 * inside.size))[int(0.9 * inside.size)])
    grey = cv2.convertScaleAbs(grey, alpha=255 / max(full, 1.0))
    pen = max(0, round(THIN * box.size - scale.stroke)) + 1
    # Ground at all edges, which tells `normalise` what is ink, and room for a wider pen.
    grey = cv2.copyMakeBorder(grey, pen, pen, pen, pen, cv2.BORDER_CONSTANT, value=0)
    if pen > 1:
        grey = cv2.dilate(grey, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (pen, pen)))
    return normalise(grey)


def best_way(region: Region, probability: Callable[[Shape], float]) -> list[Shape]:
    """The shapes that cover all pieces of a region with the largest product of probabilities, less what they cost."""
    best: list[tuple[float, list[Shape]]] = [(0.0, [])]
    for last in range(region.count):
        options = [(-math.inf, best[last][1])]  # a piece that is no shape at all
        for first in range(last + 1):
            if (shape := region.shapes.get((first, last))) is not None:
                score = math.log(max(probability(shape), 1e-6)) - shape.cost
                options.append((best[first][0] + score, [*best[first][1], shape]))
        best.append(max(options, key=lambda option: option[0]))
    return best[-1][1]


def _mark(box: Box, said: NDArray[np.float32], classes: Sequence[str], confidence: float, factor: int) -> Mark:
    first, second = np.argsort(said)[::-1][:2]
    x, y, *sides = (round(value / factor) for value in box)
    small = Box(x, y, *(max(1, side) for side in sides))
    sure = float(said[first]) >= confidence
    return Mark(0, small, classes[first] if sure else UNSURE, classes[first], float(said[first]), classes[second],
                float(said[second]))  # fmt: skip


def _numbered(marks: Sequence[Mark]) -> list[Mark]:
    """The marks line by line, each line from left to right.

    From left to right, every mark joins the line whose last marks it is level with, so that lines may slope.
    """
    lines: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.box.x + mark.box.width / 2):
        level = [(_offset(line, mark), line) for line in lines]
        nearest = min(level, key=lambda entry: entry[0], default=None)
        if nearest is not None and nearest[0] < 0.6:
            nearest[1].append(mark)
        else:
            lines.append([mark])
    lines = _merged(lines)
    lines.sort(key=lambda line: float(np.mean([_middle(mark) for mark in line])))
    return [replace(mark, line=number) for number, line in enumerate(lines, 1) for mark in line]


def _offset(line: Sequence[Mark], mark: Mark) -> float:
    """How far above or below the end of a line a mark is, in heights."""
    last = line[-3:]
    height = max(float(np.mean([other.box.height for other in last])), mark.box.height)
    return abs(float(np.mean([_middle(other) for other in last])) - _middle(mark)) / height


def _merged(lines: list[list[Mark]]) -> list[list[Mark]]:
    """Lines that a hand which goes up and down has split: level on the whole, and no mark of one above one of the other."""
    for short in sorted(lines, key=len):
        for line in sorted(lines, key=len, reverse=True):
            if line is not short and short in lines and _is_one(short, line):
                lines = [other for other in lines if other is not short and other is not line]
                lines.append(sorted([*line, *short], key=lambda mark: mark.box.x + mark.box.width / 2))
    return lines


def _is_one(short: Sequence[Mark], line: Sequence[Mark]) -> bool:
    places = np.array([(mark.box.x, mark.box.x + mark.box.width) for mark in line])
    offsets = []
    for mark in short:
        left, right = mark.box.x, mark.box.x + mark.box.width
        covered = np.minimum(places[:, 1], right) - np.maximum(places[:, 0], left)
        if (covered > 0.5 * np.minimum(places[:, 1] - places[:, 0], mark.box.width)).any():
            return False
        offsets.append(_offset([line[int(covered.argmax())]], mark))
    return float(np.mean(offsets)) < 1.0


def _middle(mark: Mark) -> float:
    return mark.box.y + mark.box.height / 2


def _steps(page: Image, found: ink.Ink, candidates: Sequence[Shape], images: Sequence[Image]) -> dict[str, Image]:
    """Pictures of what was done, by number and name."""
    boxes = page.copy()
    for shape in candidates:
        x, y, width, height = shape.box
        cv2.rectangle(boxes, (x, y), (x + width, y + height), (0, 160, 0), 1)
    columns = 20
    sheet = np.zeros((math.ceil(max(len(images), 1) / columns) * SIDE, columns * SIDE), np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = image
    return {
        "1_strength": found.strength,
        "2_ruled": found.ruled,
        "3_written": found.written,
        "4_candidates": boxes,
        "5_digits": cv2.resize(sheet, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST),
    }
