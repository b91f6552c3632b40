"""One way for every image to a network: drawings, the drawing page, cut-outs of photographs, scans.

MNIST's own normalisation (LeCun, Bottou, Bengio and Haffner, 1998) puts the ink into a 20-pixel box, centred by its mass.
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
FINE = 4  # pixels for one of the box's, where strokes are measured


def normalise(
    image: NDArray[np.uint8],
    geometry: str = "mnist",
    stroke_width: float = 0.0,
    light_ink: bool | None = None,
) -> NDArray[np.uint8]:
    """Bring a uint8 image `(h, w)` of any size to MNIST's form: light ink on a dark ground, uint8 `(28, 28)`.

    geometry      "raw": only resized; "box": the ink in a box of 20 pixels in the middle; "mnist": that box, placed so that
                  the mass of the ink is in the middle
    stroke_width  mean width of the strokes in pixels of that box, 0 as they are; MNIST's median is 2.5
    light_ink     whether the ink is lighter than its ground; None: the outermost pixels are ground, and tell. Say it where
                  the ink may fill the edges, as in a tight crop: a bar is a 1, or paper

    An image without ink comes out blank. Raises DataError for anything but a uint8 matrix of at least one pixel.
    """
    if image.dtype != np.uint8 or image.ndim != 2 or image.size == 0:
        raise DataError(f"image: found {image.dtype} of shape {image.shape}, allowed is uint8 of shape (h, w).")
    light = not has_light_ground(image) if light_ink is None else light_ink
    image = image if light else 255 - image
    if geometry == "raw":
        return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    ink = crop(image)
    if not ink.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    ink = scale(redraw(ink, stroke_width) if stroke_width else ink)
    return centre(ink, by_mass=geometry == "mnist")


def has_light_ground(image: NDArray[np.uint8]) -> bool:
    """Whether most of the outermost pixels of an image `(h, w)` are light."""
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    return sum(int(np.count_nonzero(edge > 127)) for edge in edges) > sum(image.shape)


def opaque(pixels: NDArray[np.uint8], page: float = 0.5) -> NDArray[np.uint8]:
    """BGRA `(h, w, 4)` without its transparency, BGR `(h, w, 3)`, on a ground that its ink can be told from.

    What is seen is ink on nothing; where it is more than the share `page` of all, it is a page with its corners cut.
    """
    colours, weight = pixels[..., :3], pixels[..., 3:].astype(np.float32) / 255
    if not weight.any():
        return np.full_like(colours, 255)
    mean = (colours * weight).sum(axis=(0, 1)) / weight.sum()
    ground = mean if weight.mean() > page else np.full(3, 0.0 if mean.mean() > 127 else 255.0)
    return np.rint(colours * weight + ground * (1 - weight)).astype(np.uint8)


def crop(image: NDArray[np.uint8], floor: int = FLOOR) -> NDArray[np.uint8]:
    """The smallest rectangle with every pixel of `floor` or more: `(0, 0)` where there is none."""
    x, y, width, height = cv2.boundingRect(cv2.threshold(image, floor - 1, 255, cv2.THRESH_BINARY)[1])
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


def centre(ink: NDArray[np.uint8], by_mass: bool = True) -> NDArray[np.uint8]:
    """Put ink of at most 28 x 28 pixels into a blank field, with its centre of mass, or that of its box, in the middle.

    The shift is in whole pixels, rounded up, as MNIST's was, so that nothing is blurred; no ink leaves the field.
    """
    field = np.zeros((SIDE, SIDE), np.uint8)
    mass = cv2.moments(ink)
    if mass["m00"] == 0:
        return field
    height, width = ink.shape
    y, x = (mass["m01"] / mass["m00"], mass["m10"] / mass["m00"]) if by_mass else ((height - 1) / 2, (width - 1) / 2)
    top = min(max(ceil(CENTRE - y), 0), SIDE - height)
    left = min(max(ceil(CENTRE - x), 0), SIDE - width)
    field[top : top + height, left : left + width] = ink
    return field


def redraw(ink: NDArray[np.uint8], width: float) -> NDArray[np.uint8]:
    """The ink `(h, w)` black and white and enlarged, so that its strokes have this mean width once it is in the box.

    Every edge moves by the same distance. Strokes become at most half as wide, so that no thin one is lost.
    """
    fine = BOX * FINE / max(ink.shape)
    size = [max(1, round(side * fine)) for side in ink.shape[::-1]]
    large = cv2.resize(ink, size, interpolation=cv2.INTER_AREA if fine < 1 else cv2.INTER_CUBIC)
    if not large.any():  # fainter than a grey level at the size of the box: there are no strokes
        return ink
    margin = ceil(width * FINE) + 1
    large = cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    mask = (2.0 * large > large.max()).astype(np.uint8)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    edge = inside - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    found = stroke_width(inside)
    # The box grows with the strokes, and is then scaled back: (found + grown) * BOX / (BOX + grown) is the width.
    grown = max(BOX * (width - found) / (BOX - width), -found / 2)
    return crop(np.where(edge > -grown * FINE / 2, np.uint8(255), np.uint8(0)))


def stroke_width(inside: NDArray[np.float32]) -> float:
    """Mean width of strokes, in pixels of the box, from the distance of each fine pixel of the ink to its edge, 0 outside.

    In a long stroke of width w the mean distance is w / 4; half a pixel lies between the first centre and the edge.
    """
    return 4 * (float(inside[inside > 0].mean()) - 0.5) / FINE


def enlarge(counts: NDArray[np.uint8], factor: int = 8) -> NDArray[np.uint8]:
    """Undo the reduction of a black and white drawing `(h, w)` to the share of ink in each block, 0 to 255.

    Smooth, with a margin for the edges of the strokes: uint8 `((h + 4) * factor, (w + 4) * factor)`. A point is ink
    where the share is over a half; the slope of 2 there leaves about as many grey pixels as MNIST has.
    """
    framed = cv2.copyMakeBorder(counts, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=0)
    smooth = cv2.resize(framed, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.clip(2.0 * smooth - 127.5, 0, 255).astype(np.uint8)
