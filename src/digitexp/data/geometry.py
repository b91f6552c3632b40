"""MNIST's own normalisation (LeCun, Bottou, Bengio and Haffner, 1998): ink in a 20-pixel box, centred by its mass.

Ink is bright on a dark background.
"""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE
from digitexp.errors import DataError

BOX = 20  # pixels of the longer side of the ink
CENTRE = (SIDE - 1) / 2  # pixels from the centre of the first pixel: 13.5; the masses of MNIST lie in 13.5 to 14.5
FLOOR = 16  # grey levels: fainter pixels are noise; up to here the boxes of MNIST's own images keep their 20 pixels


def normalise(image: NDArray[np.uint8], floor: int = FLOOR) -> NDArray[np.uint8]:
    """Bring the ink of a uint8 image `(h, w)` of any size to MNIST's place and size: uint8 `(28, 28)`.

    Pixels fainter than `floor` do not count for the crop; an image without ink comes out blank.
    Raises DataError for anything but a uint8 matrix of at least one pixel.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or image.size == 0:
        raise DataError(f"image: found {image.dtype} of shape {image.shape}, allowed is uint8 of shape (h, w).")
    ink = crop(image, floor)
    return centre(scale(ink)) if ink.size else np.zeros((SIDE, SIDE), np.uint8)


def crop(image: NDArray[np.uint8], floor: int = FLOOR) -> NDArray[np.uint8]:
    """The smallest rectangle with every pixel of `floor` or more: `(0, 0)` where there is none."""
    x, y, width, height = cv2.boundingRect((image >= floor).astype(np.uint8))
    return image[y : y + height, x : x + width]


def scale(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize to a longer side of 20 pixels, anti-aliased, with the same aspect ratio."""
    longer = max(ink.shape)
    if longer == BOX:
        return ink
    height, width = (max(1, round(side * BOX / longer)) for side in ink.shape)
    # Only the mean over an area sees all the pixels of a large drawing; where there is less to see, cubic is smooth.
    method = cv2.INTER_AREA if longer > BOX else cv2.INTER_CUBIC
    return cv2.resize(ink, (width, height), interpolation=method)


def centre(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Put ink of at most 28 x 28 pixels into a blank field, with its centre of mass in the middle.

    The shift is in whole pixels, rounded up, as MNIST's was, so that nothing is blurred; no ink leaves the field.
    """
    field = np.zeros((SIDE, SIDE), np.uint8)
    mass = cv2.moments(ink)
    if mass["m00"] == 0:
        return field
    height, width = ink.shape
    top = min(max(ceil(CENTRE - mass["m01"] / mass["m00"]), 0), SIDE - height)
    left = min(max(ceil(CENTRE - mass["m10"] / mass["m00"]), 0), SIDE - width)
    field[top : top + height, left : left + width] = ink
    return field


def enlarge(counts: NDArray[np.uint8], factor: int = 8) -> NDArray[np.uint8]:
    """Undo the reduction of a black and white drawing `(h, w)` to the share of ink in each block, 0 to 255.

    Smooth, with a margin for the edges of the strokes: uint8 `((h + 4) * factor, (w + 4) * factor)`. A point is ink
    where the share is over a half; the slope of 2 there leaves about as many grey pixels as MNIST has.
    """
    framed = cv2.copyMakeBorder(counts, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    smooth = cv2.resize(framed, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.clip(2.0 * smooth - 127.5, 0, 255).astype(np.uint8)
