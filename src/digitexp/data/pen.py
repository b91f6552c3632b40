"""A seeded pen: drawings made by a program, "synthetic" everywhere, for those who have drawn nothing yet.

They are drawn as in seed 003's window: with a mouse, white on a black canvas of 60 x 60 pixels, anywhere and of any
size, and then only resized to 28 x 28.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE, Digits
from digitexp.data.mnist import CLASSES

Points = NDArray[Any]  # points x, y: `(n, 2)`
CANVAS = 60  # pixels

# The ways to write each digit, each a list of strokes; a stroke is a list of points x,y in percent of the digit's box,
# from the upper left, joined by a smooth curve. A point given twice is a corner.
FORMS = (
    (
        ["62,4 26,6 5,38 8,74 36,98 70,92 95,60 88,22 60,3 44,5"],
        ["38,4 10,30 8,70 36,98 76,90 94,52 80,12 46,2 30,8"],
        ["50,1 86,16 95,52 78,90 42,99 10,76 6,36 24,8 54,2"],
    ),
    (
        ["28,30 50,14 64,0 64,0 60,50 57,100"],
        ["36,26 52,12 60,0 60,0 60,50 58,100"],
        ["56,0 52,50 48,100"],
        ["30,28 50,14 60,0 60,0 59,50 58,99", "28,99 58,99 90,98"],
    ),
    (
        ["8,24 24,4 58,0 86,15 80,40 48,68 5,97 5,97 50,96 98,98"],
        ["10,20 42,0 82,12 82,40 50,74 18,94 8,84 26,78 56,92 98,95"],
        ["8,14 40,2 76,4 90,24 76,46 40,72 4,99 4,99 50,98 92,97"],
    ),
    (
        ["8,14 42,0 80,10 80,34 40,47 40,47 80,54 93,78 58,99 6,92"],
        ["8,3 46,4 88,3 88,3 64,22 42,42 42,42 80,50 94,74 62,98 8,92"],
        ["12,8 50,1 82,16 70,40 42,46 42,46 76,50 90,72 74,95 36,99 6,88"],
    ),
    (
        ["22,0 14,26 6,56 6,56 50,57 98,54", "72,8 70,50 68,100"],
        ["66,0 34,34 2,68 2,68 50,68 100,66", "66,0 66,50 65,100"],
        ["14,2 10,28 18,52 48,56 84,46", "88,2 84,46 78,100"],
    ),
    (
        ["20,4 17,24 13,45 13,45 52,36 90,58 84,86 46,100 4,92", "20,4 55,3 94,2"],
        ["92,3 56,4 20,5 20,5 17,24 14,46 14,46 56,38 93,64 74,94 36,100 4,90"],
        ["18,3 18,22 18,42 18,42 66,42 90,66 72,95 34,99 2,96", "18,3 56,3 90,4"],
    ),
    (
        ["82,5 40,16 10,50 10,82 40,99 78,92 88,68 58,53 22,64 10,80"],
        ["62,0 28,32 8,68 28,97 70,96 90,73 66,54 28,60 9,78"],
        ["88,10 56,0 20,22 6,60 18,92 54,100 88,82 76,56 40,52 8,68"],
    ),
    (
        ["4,4 50,5 96,3 96,3 66,46 46,100"],
        ["4,5 50,5 94,4 94,4 66,46 50,100", "32,52 60,51 90,50"],
        ["4,20 8,5 8,5 50,5 96,4 96,4 64,44 40,100"],
        ["4,5 50,4 94,3 94,3 72,30 60,62 58,100", "28,54 60,52 92,54"],
    ),
    (
        ["80,16 50,0 18,16 28,38 62,53 90,76 52,100 10,80 30,56 66,40 82,18"],
        ["50,0 18,12 22,38 50,46 80,36 80,10 50,0", "50,46 14,60 10,88 50,100 90,88 86,60 50,46"],
        ["52,46 22,34 24,8 54,0 80,14 74,38 40,52 10,74 26,97 66,99 90,78 74,56 46,45"],
    ),
    (
        ["86,16 52,0 14,14 14,42 48,52 82,36 86,14 86,14 88,52 76,88 12,98"],
        ["84,10 48,0 12,16 18,44 54,50 82,32 86,8 86,8 82,52 74,100"],
        ["88,8 52,1 14,8 12,42 46,50 86,44 88,8 88,8 92,50 88,94 50,99 8,97"],
    ),
)


def draw(count: int, seed: int) -> Digits:
    """`count` drawings of 0, 1, ... 9, 0, ... in this order, of origin "synthetic".

    Drawing i depends on `seed` and i only: fewer drawings are the first ones of more.
    """
    labels = np.arange(count, dtype=np.int64) % len(FORMS)
    images = np.zeros((count, SIDE, SIDE), np.uint8)
    for index, label in enumerate(labels):
        canvas = write(int(label), np.random.default_rng([seed, index]))
        images[index] = cv2.resize(canvas, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Digits(images, labels, CLASSES, np.full(count, "synthetic"))


def write(digit: int, hand: np.random.Generator) -> NDArray[np.uint8]:
    """One digit on a canvas: uint8 `(60, 60)`, 255 where the pen was."""
    width, paths = trace(digit, hand)
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    for path in paths:
        cv2.polylines(canvas, [np.rint(path).astype(np.int32)], False, 255, width)  # a mouse knows whole pixels
    return canvas


def trace(digit: int, hand: np.random.Generator) -> tuple[int, list[Points]]:
    """The pen's width, and the path of each stroke of one digit, in pixels of the canvas; some may lead outside of it."""
    forms = _forms()[digit]
    strokes = forms[hand.integers(len(forms))]
    warp, place = _warp(hand), _place(hand)
    width = int(hand.integers(4, 8))  # pixels
    paths = []
    for stroke in strokes:
        slip = hand.normal(0, 0.015, 2) * (len(strokes) > 1)  # the pen was lifted
        path = place(warp(_shorten(stroke, hand) + slip))
        paths.append(path + hand.normal(0, 0.35, path.shape))
    return width, paths


def _warp(hand: np.random.Generator) -> Callable[[Points], Points]:
    """No two are alike: points move by smooth random waves, so that what touched still touches."""
    waves = hand.normal(0, 2.8, (2, 3))  # radians per box
    phases = hand.uniform(0, 2 * np.pi, 3)
    shifts = hand.normal(0, 0.03, (3, 2))  # boxes
    return lambda points: points + np.sin(points @ waves + phases) @ shifts


def _place(hand: np.random.Generator) -> Callable[[Points], Points]:
    """From the digit's box to the canvas: narrow or wide, small or large, upright or leaning, anywhere."""
    height = hand.uniform(32, 54)  # pixels
    width = height * hand.uniform(0.45, 0.85)
    slant, turn = hand.normal(-0.12, 0.12), hand.normal(0, 0.08)  # pixels per pixel, radians
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = turned @ np.array([[width, slant * height], [0, height]])
    middle = CANVAS / 2 + hand.normal(0, 1, 2) * (5, (CANVAS - height) / 5)
    return lambda points: (points - 0.5) @ matrix.T + middle


def _shorten(path: Points, hand: np.random.Generator) -> Points:
    """Leave out up to 4 % at each end: loops do not always close."""
    first, last = (int(share * len(path)) for share in hand.uniform(0, 0.04, 2))
    return path[first : len(path) - last]


@cache
def _forms() -> list[list[list[Points]]]:
    """`FORMS` as digits of forms of strokes, each a path in a box from 0 to 1."""
    return [[[_stroke(text) for text in form] for form in forms] for forms in FORMS]


def _stroke(text: str) -> Points:
    points = np.array([point.split(",") for point in text.split()], float) / 100
    corners = np.flatnonzero((points[1:] == points[:-1]).all(axis=1)) + 1
    return np.concatenate([_curve(part) for part in np.split(points, corners)])


def _curve(points: Points, steps: int = 8) -> Points:
    """A smooth curve through all of two or more points (Catmull and Rom, 1974), in `steps` steps from each to the next."""
    a, d = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    before, start = np.concatenate([[a], points[:-2]]), points[:-1]
    end, after = points[1:], np.concatenate([points[2:], [d]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    cubic = 3 * (start - end) + after - before
    curve = start + t / 2 * (end - before + t * (2 * before - 5 * start + 4 * end - after + t * cubic))
    return np.concatenate([curve.swapaxes(0, 1).reshape(-1, 2), points[-1:]])
