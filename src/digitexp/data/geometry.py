"""MNIST's own normalisation (LeCun, Bottou, Bengio and Haffner, 1998): a 20-pixel box, centred by its mass in 28 x 28.

Ink is bright on a dark background.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.errors import DataError

SIDE = 28  # pixels of the field
BOX = 20  # pixels of the longer side of the ink
CENTRE = 14  # the pixel, counted from 0, nearest to the centre of mass: so in all 70,000 images of MNIST
FLOOR = 16  # grey levels: fainter pixels are noise; MNIST's own boxes keep their size up to this one


def normalise(image: NDArray[np.uint8], floor: int = FLOOR) -> NDArray[np.uint8]:
    """Bring the ink of a uint8 image `(h, w)` of any size to MNIST's place and scale: uint8 `(28, 28)`.

    Pixels fainter than `floor` do not count for the crop; an image without ink comes out blank.
    Raises DataError for anything but a uint8 matrix with at least one pixel.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or image.size == 0:
        raise DataError(f"image: found {image.dtype} of shape {image.shape}, allowed is uint8 (height, width).")
    ink = crop(image, floor)
    return centre(scale(ink)) if ink.size else np.zeros((SIDE, SIDE), np.uint8)


def crop(image: NDArray[np.uint8], floor: int = FLOOR) -> NDArray[np.uint8]:
    """The smallest rectangle with every pixel of at least `floor`; `(0, 0)` without any."""
    x, y, width, height = cv2.boundingRect((image >= floor).astype(np.uint8))
    return image[y : y + height, x : x + width]


def scale(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Resize with anti-aliasing so that the longer side has 20 pixels, keeping the aspect ratio."""
    height, width = ink.shape
    longer = max(height, width)
    if longer == BOX:
        return ink
    size = (max(1, round(width * BOX / longer)), max(1, round(height * BOX / longer)))
    resized: NDArray[np.uint8] = cv2.resize(
        ink, size, interpolation=cv2.INTER_AREA if longer > BOX else cv2.INTER_CUBIC
    )
    return resized


def centre(ink: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Place ink of at most 28 x 28 in a blank field, its centre of mass on the central pixel.

    As in MNIST the shift is by whole pixels, so that nothing is blurred, and no ink leaves the field.
    """
    field = np.zeros((SIDE, SIDE), np.uint8)
    mass = cv2.moments(ink)
    if not mass["m00"]:
        return field
    height, width = ink.shape
    top = min(max(round(CENTRE - mass["m01"] / mass["m00"]), 0), SIDE - height)
    left = min(max(round(CENTRE - mass["m10"] / mass["m00"]), 0), SIDE - width)
    field[top : top + height, left : left + width] = ink
    return field
