"""From the strokes of a pen to the raster that is recognised, and what may be wrong with a drawing."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.data.geometry import FLOOR, crop

CANVAS = 280  # pixels of the raster's side
PEN = 22  # pixels: of a digit over three quarters of the canvas, the stroke is about as wide as MNIST's
SMALL = CANVAS / 7  # pixels of the ink's longer side
SHIFT = 4  # bits: points are drawn to a 16th of a pixel

Points = Sequence[Sequence[float]]  # x, y, and whatever else


def rasterise(strokes: Sequence[Points], size: float) -> NDArray[np.uint8]:
    """The canvas that a pen left strokes on, uint8 (280, 280), ink 255; points are from 0 to `size` in both directions."""
    canvas = np.zeros((CANVAS, CANVAS), np.uint8)
    for stroke in strokes:
        points = np.array([point[:2] for point in stroke], float).reshape(-1, 2) * (CANVAS / size)
        if not len(points):
            continue
        # A point alone is a dot; OpenCV counts from the centre of the first pixel.
        path = np.rint((np.vstack([points, points[-1:]]) - 0.5) * 2**SHIFT).astype(np.int32)
        cv2.polylines(canvas, [path.reshape(-1, 1, 2)], False, 255, PEN, cv2.LINE_AA, SHIFT)
    return canvas


def warnings(raster: NDArray[np.uint8]) -> list[str]:
    """What a person should know of a drawing: it touches the border, or there is too little of it."""
    ink = crop(raster)
    if not ink.size:
        return ["There is no ink."]
    found = []
    edges = (raster[0], raster[-1], raster[:, 0], raster[:, -1])
    if any((edge >= FLOOR).any() for edge in edges):
        found.append("It touches the border: part of it may be missing.")
    if max(ink.shape) < SMALL:
        found.append("There is very little ink: draw it larger.")
    return found
