"""Written pixels in, regions out: specks and blots dropped, broken digits joined, neighbours kept apart and as one."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.recognise.cuts import cut
from digitexp.recognise.shapes import Box, Image, Region, Scale, Shape, in_box, union, weighed

SMALLEST = 8  # pixels of the longer side of a digit
NEAR = 0.22  # heights of a digit between a piece and the digit that it was broken from


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
            both = union(ordered[0], ordered[1], distance - 3 * _above(ordered[0].box, ordered[1].box))
            yield Region(2, {(0, 0): ordered[0], (1, 1): ordered[1], (0, 1): weighed(both, scale)})
    yield from (cut(shapes[index], scale) for index in sorted(left))


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
    away = cv2.distanceTransform(cv2.bitwise_not(in_box(one, both)), cv2.DIST_L2, 3)
    return float(away[in_box(other, both) > 0].min())
