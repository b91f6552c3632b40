"""Digits that touch: the ways from top to bottom, or from side to side, that cross the least ink."""

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.recognise.shapes import Box, Image, Region, Scale, Shape, weighed

CUT = 1.0  # what a cut costs: most digits do not touch
CUTS = 4  # places to cut that are tried in ink as wide as two digits


def cut(shape: Shape, scale: Scale) -> Region:
    """One shape, and the runs of pieces into which it may fall where it is wide or high enough for two digits."""
    alone = Region(1, {(0, 0): weighed(shape, scale)})
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
                shapes[first, last] = weighed(Shape(piece.box, piece.mask, shape.cost + cost), scale)
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
