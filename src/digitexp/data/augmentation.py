"""Augmentation: in every epoch each training image is turned, zoomed, shifted, slanted and lit anew, within bounds.

All of it but the light is one affine map of the plane, so an image is resampled once, bilinearly; what comes into view is
background. Nothing is mirrored: a mirrored digit is another sign. What happens to an image depends on (seed, epoch) and its
index alone (law 1), and each kind of change has a number of its own: switching one off leaves the others as they were.
"""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE
from digitexp.settings import Augmentation

LAST = SIDE - 1
CENTRE = LAST / 2  # pixels from the centre of the first pixel
AT_ONCE = 256  # images; OpenCV shares them among its threads, and their coordinates stay in the processor's cache
TALLEST = 32_767  # pixels that OpenCV can address
STREAM = 0x617567  # the generator of (seed, epoch, STREAM) is no other's


def augment(images: NDArray[np.uint8], augmentation: Augmentation, seed: int, epoch: int) -> NDArray[np.uint8]:
    """Images (n, 28, 28) uint8 as they are in an epoch, in the same order; the very same array where nothing is changed.

    Image i depends on its pixels, the settings and (seed, epoch, i): but for rounding, not on n, on the batches, or on the
    number of threads.
    """
    amounts = augmentation.amounts
    if not any(amounts.values()):
        return images
    drawn = np.random.default_rng([seed, epoch, STREAM]).uniform(-1, 1, (len(images), 7))  # filled row by row
    return _light(_warp(images, maps(drawn, amounts)), 1 + amounts["brightness"] * drawn[:, 6])


def maps(drawn: NDArray[np.float64], amounts: dict[str, float]) -> NDArray[np.float64]:
    """Affine maps (n, 2, 3) from pixels x, y of the new image to those of the old, of numbers (n, 7) from -1 to 1.

    Zoom, then slant, shift and rotation about the centre, composed as Keras' ImageDataGenerator does.
    """
    angle = np.radians(amounts["rotation"]) * drawn[:, 0]
    zoom = 1 + amounts["zoom"] * drawn[:, 1:3]  # how much wider and higher is what is seen
    shift = amounts["shift"] * SIDE * drawn[:, 3:5]  # pixels
    slant = np.tan(np.radians(amounts["shear"]) * drawn[:, 5])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    linear = turn.copy()
    linear[:, :, 1] += slant[:, None] * turn[:, :, 0]
    linear *= zoom[:, None, :]
    offset = (turn * shift[:, None, :]).sum(axis=2) + CENTRE - linear.sum(axis=2) * CENTRE
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _warp(images: NDArray[np.uint8], affine: NDArray[np.float64]) -> NDArray[np.uint8]:
    """One call of OpenCV for many images, which lie under each other with gaps that no map leaps over."""
    corners = np.array([[0, LAST, 0, LAST], [0, 0, LAST, LAST], [1, 1, 1, 1]])
    reached = affine[:, 1] @ corners
    gap = 1 + ceil(max(-reached.min(initial=0), reached.max(initial=LAST) - LAST))
    at_once = min(AT_ONCE, TALLEST // (SIDE + gap) - 1)
    column = np.zeros((at_once * (SIDE + gap) + gap, SIDE), np.uint8)
    cells = column[gap:].reshape(at_once, SIDE + gap, SIDE)[:, :SIDE]
    tops = gap + (SIDE + gap) * np.arange(at_once)
    x, y = np.empty((2, at_once, SIDE, SIDE), np.float32)
    result = np.empty_like(images)
    for first in range(0, len(images), at_once):
        part = slice(first, first + at_once)
        count = len(images[part])
        cells[:count] = images[part]
        _place(affine[part, 0], 0, x[:count])
        _place(affine[part, 1], tops[:count], y[:count])
        cv2.remap(column, x[:count].reshape(-1, SIDE), y[:count].reshape(-1, SIDE), cv2.INTER_LINEAR,
                  result[part].reshape(-1, SIDE))  # fmt: skip
    return result


def _place(rows: NDArray[np.float64], top: NDArray[np.intp] | int, out: NDArray[np.float32]) -> None:
    """Where each pixel of the new images is read: a x + b y + c + top, for rows (n, 3) of a, b and c."""
    a, b, c = rows.T
    along = np.arange(SIDE)
    across, down = np.multiply.outer(a, along), np.multiply.outer(b, along) + (c + top)[:, None]
    np.add(across.astype(np.float32)[:, None, :], down.astype(np.float32)[:, :, None], out=out)


def _light(images: NDArray[np.uint8], factors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Grey levels times a factor for each image; white stays white."""
    if (factors == 1).all():
        return images
    levels = np.clip(np.rint(np.arange(256) * factors[:, None]), 0, 255).astype(np.uint8)
    return np.take_along_axis(levels, images.reshape(len(images), -1), axis=1).reshape(images.shape)
