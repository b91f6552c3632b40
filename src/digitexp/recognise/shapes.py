"""Written pixels in, the shapes that may be digits out: specks dropped, broken digits joined, touching ones cut.

What one digit is cannot always be told without reading it. So a `Region` is a row of pieces, and every run of neighbouring
pieces that could be one digit is a `Shape`; sheet.py has all of them read, and takes the best way through the row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

SMALLEST = 8  # pixels of the longer side of a digit
CUT = 1.0  # what a cut costs: most digits do not touch
CUTS = 4  # places to cut that are tried in ink as wide as two digits
NEAR = 0.22  # heights of a digit between a piece and the digit that it was broken from


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


def find(written: Image) -> tuple[list[Region], Scale]:
    """The regions of a page of written pixels (255), in no order, and its scale."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(written, connectivity=8)
    widths = _widths(written, labels, count)
    plausible = _plausible(stats, widths, written.shape)
    boxes = {label: Box(*map(int, stats[label][:4])) for label in plausible}
    areas = {label: int(stats[label][cv2.CC_STAT_AREA]) for label in boxes}
    if not any(box.size >= SMALLEST for box in boxes.values()):
        return [], Scale(0.0, 0.0)
    scale = _scale(boxes, areas, widths)
    boxes = {label: box for label, box in boxes.items() if areas[label] >= scale.stroke**2 / 3}
    groups = _joined(labels, boxes, scale)
    shapes = [_shape(labels, boxes, group) for group in groups]
    shapes = [shape for shape in shapes if _could_be_a_digit(shape, scale)]
    return list(_regions(shapes, scale)), scale


def _widths(written: Image, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """The mean width of the strokes of every component: across a stroke of width w, the mean depth is (w + 2) / 4."""
    depth = cv2.distanceTransform(written, cv2.DIST_L2, 3)
    inside = np.flatnonzero(written)
    each = labels.ravel()[inside]
    sums = np.bincount(each, depth.ravel()[inside], count)
    return np.maximum(4 * sums / np.maximum(np.bincount(each, minlength=count), 1) - 2, 1)


def _plausible(stats: NDArray[np.int32], widths: NDArray[np.float64], page: tuple[int, ...]) -> list[int]:
    """Components that are no dust, no blot, and not the edge of the paper or of the photograph."""
    height, width = page
    x, y, wide, high, area = stats.T
    at_edge = (x <= 1) | (y <= 1) | (x + wide >= width - 1) | (y + high >= height - 1)
    kept = (area >= 6) & ~(at_edge & ((wide > 0.5 * width) | (high > 0.5 * height)))
    kept &= ~((wide > 0.95 * width) & (high > 0.95 * height))
    kept &= ~((widths > 0.4 * np.minimum(wide, high)) & (np.minimum(wide, high) > 0.6 * np.maximum(wide, high))
              & (area > 0.7 * wide * high) & (np.maximum(wide, high) >= 2 * SMALLEST))  # fmt: skip
    kept[0] = False  # the ground
    return [int(label) for label in np.flatnonzero(kept)]


def _scale(boxes: dict[int, Box], areas: dict[int, int], widths: NDArray[np.float64]) -> Scale:
    """The size in which the middle pixel of all ink is written, and its stroke."""
    large = [label for label, box in boxes.items() if box.size >= SMALLEST]
    return Scale(
        _middle({label: float(boxes[label].size) for label in large}, areas),
        _middle({label: float(widths[label]) for label in large}, areas),
    )


def _middle(values: dict[int, float], weights: dict[int, int]) -> float:
    """The median of values with weights."""
    order = sorted(values, key=lambda label: values[label])
    total = np.cumsum([weights[label] for label in order])
    return values[order[int(np.searchsorted(total, total[-1] / 2))]]


def _stroke(mask: Image) -> float:
    """The mean width of the strokes of one shape in pixels."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return float(_widths(framed, np.where(framed, 1, 0).astype(np.int32), 2)[1])


def _joined(labels: NDArray[np.int32], boxes: dict[int, Box], scale: Scale) -> list[list[int]]:
    """Components, each with the small pieces that lie so near that they were broken from it."""
    group = {label: label for label in boxes}

    def leader(label: int) -> int:
        while group[label] != label:
            label = group[label]
        return label

    whole = dict(boxes)
    names, places = list(boxes), np.array(list(boxes.values()))
    near = NEAR * scale.height
    small = sorted((label for label in boxes if boxes[label].size < 0.6 * scale.height), key=lambda label: boxes[label].size)
    for label in small:
        around = {leader(names[index]) for index in np.flatnonzero(boxes[label].away(places) <= near)}
        fitting = [other for other in around - {leader(label)} if _fits(whole[leader(label)], whole[other], scale)]
        if not fitting:
            continue
        distances: dict[int, float] = {}
        for other, distance in _distances(labels, label, boxes[label], round(near)).items():
            if other in group:
                distances[leader(other)] = min(distance, distances.get(leader(other), near))
        nearest = min(fitting, key=lambda other: distances.get(other, near + 1))
        if distances.get(nearest, near + 1) <= near:
            whole[nearest] = whole[leader(label)].around(whole[nearest])
            group[leader(label)] = nearest
    members: dict[int, list[int]] = {}
    for label in boxes:
        members.setdefault(leader(label), []).append(label)
    return list(members.values())


def _fits(piece: Box, other: Box, scale: Scale) -> bool:
    """Whether both together would still be as large as a digit."""
    both = piece.around(other)
    largest = max(scale.height, other.size)
    widest = 1.6 if piece.height < 0.35 * scale.height else 1.1  # a dash alone is no digit: the bar of a 5 may reach far
    return both.height <= 1.3 * largest and both.width <= max(widest * scale.height, 1.1 * other.width)


def _distances(labels: NDArray[np.int32], label: int, box: Box, reach: int) -> dict[int, float]:
    """Pixels from one component to every other within reach."""
    top, left = max(0, box.y - reach), max(0, box.x - reach)
    window = labels[top : box.y + box.height + reach, left : box.x + box.width + reach]
    away = cv2.distanceTransform(np.where(window == label, np.uint8(0), np.uint8(255)), cv2.DIST_L2, 3)
    return {int(other): float(away[window == other].min()) for other in np.unique(window) if other not in (0, label)}


def _shape(labels: NDArray[np.int32], boxes: dict[int, Box], group: Sequence[int]) -> Shape:
    box = boxes[group[0]]
    for label in group[1:]:
        box = box.around(boxes[label])
    window = labels[box.y : box.y + box.height, box.x : box.x + box.width]
    return Shape(box, np.where(np.isin(window, group), np.uint8(255), np.uint8(0)))


def _could_be_a_digit(shape: Shape, scale: Scale) -> bool:
    """As large as the others, no dash, and made of strokes: a blot is filled, and a hair is thin."""
    box = shape.box
    if not 0.5 * scale.height <= box.size <= 6 * scale.height or box.height < 0.3 * scale.height:
        return False
    if box.height > 2.6 * scale.height or box.size < SMALLEST:
        return False
    if _stroke(shape.mask) < 0.4 * scale.stroke:
        return False
    filled = cv2.countNonZero(shape.mask) / (box.width * box.height)
    return not (filled > 0.9 and min(box.width, box.height) > 0.6 * scale.height)


def _regions(shapes: Sequence[Shape], scale: Scale) -> Iterator[Region]:
    """Shapes as regions: two near each other that may be one, one that may be several, and all others by themselves."""
    left = set(range(len(shapes)))
    pairs = sorted(
        (_between(shapes[first], shapes[second]) / reach, first, second)
        for first, second in _neighbours(shapes, scale)
        for reach in [scale.height * (0.12 + 0.12 * _above(shapes[first].box, shapes[second].box))]
    )
    for distance, first, second in pairs:
        if distance <= 1 and {first, second} <= left:
            left -= {first, second}
            ordered = sorted((shapes[first], shapes[second]), key=lambda shape: shape.box.x)
            both = _union(ordered[0], ordered[1], distance - 3 * _above(ordered[0].box, ordered[1].box))
            yield Region(2, {(0, 0): ordered[0], (1, 1): ordered[1], (0, 1): _weighed(both, scale)})
    yield from (_cut(shapes[index], scale) for index in sorted(left))


def _neighbours(shapes: Sequence[Shape], scale: Scale) -> Iterator[tuple[int, int]]:
    places = np.array([shape.box for shape in shapes]).reshape(-1, 4)
    for first, one in enumerate(shapes):
        for after in np.flatnonzero(one.box.away(places[first + 1 :]) <= 0.24 * scale.height).tolist():
            both = one.box.around(shapes[first + 1 + after].box)
            if both.width <= 1.05 * scale.height and both.height <= 1.3 * scale.height:
                yield first, first + 1 + after


def _above(one: Box, other: Box) -> float:
    """Which share of the narrower box is above or below the other: of digits beside each other, little is."""
    covered = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    return max(0, covered) / min(one.width, other.width)


def _between(one: Shape, other: Shape) -> float:
    """Pixels between the ink of two shapes."""
    both = one.box.around(other.box)
    away = cv2.distanceTransform(cv2.bitwise_not(_in_box(one, both)), cv2.DIST_L2, 3)
    return float(away[_in_box(other, both) > 0].min())


def _in_box(shape: Shape, box: Box) -> Image:
    mask = np.zeros((box.height, box.width), np.uint8)
    top, left = shape.box.y - box.y, shape.box.x - box.x
    mask[top : top + shape.box.height, left : left + shape.box.width] = shape.mask
    return mask


def _union(one: Shape, other: Shape, cost: float = 0.0) -> Shape:
    both = one.box.around(other.box)
    return Shape(both, cv2.bitwise_or(_in_box(one, both), _in_box(other, both)), cost)


def _weighed(shape: Shape, scale: Scale) -> Shape:
    """With what speaks against its being one digit: digits are seldom much wider than high, nor much smaller than others."""
    wide = max(0.0, shape.box.width / max(shape.box.height, 0.6 * scale.height) - 1.15)
    small = max(0.0, 0.7 - shape.box.size / scale.height)
    high = max(0.0, shape.box.height / scale.height - 1.5)
    flat = max(0.0, 0.5 - shape.box.height / scale.height)
    return Shape(shape.box, shape.mask, shape.cost + 4 * (wide + small + high + flat))


def _cut(shape: Shape, scale: Scale) -> Region:
    """One shape, and the runs of pieces into which it may fall where it is wide or high enough for two digits."""
    alone = Region(1, {(0, 0): _weighed(shape, scale)})
    if shape.box.width >= 0.9 * scale.height:
        return _pieces(shape, scale, turned=False) or alone
    if shape.box.height >= 1.6 * scale.height:
        return _pieces(shape, scale, turned=True) or alone
    return alone


def _pieces(shape: Shape, scale: Scale, turned: bool) -> Region | None:
    """The shape cut from top to bottom, or `turned` from side to side; None where there is no place to cut."""
    mask = np.ascontiguousarray(shape.mask.T) if turned else shape.mask
    seams = _seams(mask, scale)
    if not seams:
        return None
    columns = np.arange(mask.shape[1])
    edges = [np.zeros(len(mask), int), *(seam for seam, _ in seams), np.full(len(mask), mask.shape[1])]
    crossed = [0.0, *(cost for _, cost in seams), 0.0]
    shapes = {}
    for first in range(len(edges) - 1):
        for last in range(first, len(edges) - 1):
            inside = (columns >= edges[first][:, None]) & (columns < edges[last + 1][:, None])
            part = np.where(inside, mask, np.uint8(0))
            piece = _trimmed(np.ascontiguousarray(part.T) if turned else part, shape.box)
            if piece is not None:
                cost = (crossed[first] + crossed[last + 1]) / 2
                shapes[first, last] = _weighed(Shape(piece.box, piece.mask, shape.cost + cost), scale)
    return Region(len(edges) - 1, shapes)


def _trimmed(mask: Image, box: Box) -> Shape | None:
    x, y, width, height = cv2.boundingRect(mask)
    if not width:
        return None
    return Shape(Box(box.x + x, box.y + y, width, height), np.ascontiguousarray(mask[y : y + height, x : x + width]))


def _seams(mask: Image, scale: Scale) -> list[tuple[NDArray[np.int64], float]]:
    """Ways from top to bottom that cross little ink: the column for each row, and the cost, 0 for one thin stroke."""
    ink = (mask > 0).astype(np.float32)
    margin, step = max(3, round(0.15 * scale.height)), max(2, round(0.1 * scale.height))
    places = np.arange(margin, mask.shape[1] - margin, step)
    if not places.size:
        return []
    ways = _cheapest_ways(ink, places, step)
    crossed = ink[np.arange(len(ink)), ways].sum(axis=1)
    chosen: list[int] = []
    for index in np.argsort(crossed, kind="stable").tolist():
        if all(np.abs(ways[index] - ways[other]).max() >= step for other in chosen):
            chosen.append(index)
        if len(chosen) >= CUTS * mask.shape[1] / (1.3 * scale.height):
            break
    costs = CUT + np.maximum(0, crossed / scale.stroke - 1.2)
    return _ordered([(ways[index], float(costs[index])) for index in sorted(chosen)])


def _ordered(seams: list[tuple[NDArray[np.int64], float]]) -> list[tuple[NDArray[np.int64], float]]:
    """Without crossings: no seam lies left of the one before it."""
    kept: list[tuple[NDArray[np.int64], float]] = []
    for seam, cost in seams:
        if not kept:
            kept.append((seam, cost))
        elif (seam > kept[-1][0]).any():
            kept.append((np.maximum(seam, kept[-1][0]), cost))
    return kept


def _cheapest_ways(ink: NDArray[np.float32], places: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    """The cheapest way from top to bottom near each place: its column in every row, `(places, rows)`.

    By dynamic programming; from row to row a way moves by one column at most.
    """
    columns = places[:, None] + np.arange(-reach, reach + 1)
    outside = (columns < 0) | (columns >= ink.shape[1])
    columns = np.clip(columns, 0, ink.shape[1] - 1)
    aside = 0.02 * np.abs(np.arange(-reach, reach + 1)) / max(reach, 1)
    prices = ink[:, columns] + np.where(outside, np.inf, aside)  # (rows, places, columns)
    total = np.full((len(places), columns.shape[1] + 2), np.inf)  # with a wall on each side
    total[:, 1:-1] = prices[0]
    steps = np.zeros(prices.shape, np.int64)
    for row in range(1, len(prices)):
        options = np.stack([total[:, :-2] + 0.05, total[:, 1:-1], total[:, 2:] + 0.05])
        steps[row] = options.argmin(axis=0) - 1
        total[:, 1:-1] = options.min(axis=0) + prices[row]
    at = total[:, 1:-1].argmin(axis=1)
    each = np.arange(len(places))
    ways = np.zeros((len(places), len(prices)), np.int64)
    for row in range(len(prices) - 1, -1, -1):
        ways[:, row] = columns[each, at]
        at = at + steps[row, each, at]
    return ways
