"""Where a page was written on: uneven light is divided out, light or dark and coloured ink become the same, ruled lines go.

A page is BGR uint8 `(h, w, 3)`; ink is uint8 `(h, w)`, 0 where nothing was written, 255 for the strongest ink there can be.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.recognise.photographs import reduced

Image = NDArray[np.uint8]

GROUND_SIDE = 512  # pixels of the longer side at which the ground is estimated: finer is no smoother
FAINTEST = 18  # of 255: fainter traces than this are never ink
NOISY = 4.0  # grey levels of noise from which it is smoothed away


@dataclass(frozen=True)
class Ink:
    """`strength` 0 to 255 of every pixel, whether a pixel is `written` (0 or 255), and what was taken for `ruled` lines."""

    strength: Image
    written: Image
    ruled: Image


def find(page: Image) -> Ink:
    """The ink of a page: everything that stands out from the ground near it, less ruled lines."""
    ground, light_on_dark = _ground(page)
    strength, noise = _strength(page, ground, light_on_dark)
    above, near = _thresholds(strength, noise)
    ruled = ruled_lines(above, strength)  # beside strong ink, a line is below the nearer threshold
    return Ink(strength, cv2.subtract(near, ruled), ruled)


def _ground(page: Image) -> tuple[Image, bool]:
    """The page without what was written, and whether that was lighter.

    A median over a quarter of the page: it keeps slopes and the straight edges of shadows, and ink is the smaller part.
    """
    small = reduced(page, GROUND_SIDE)
    side = min(max(small.shape[:2]) // 4, 254) | 1
    edge = side // 2  # mirrored, since a dark edge would otherwise be most of what is seen there
    framed = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_REFLECT)
    ground = cv2.medianBlur(framed, side)[edge : edge + small.shape[0], edge : edge + small.shape[1]]
    difference = small.astype(np.int16) - ground
    strongest = np.abs(difference).max(axis=2)
    standing_out = strongest > max(FAINTEST, float(np.quantile(strongest, 0.999)) / 3)
    light = int((difference.sum(axis=2)[standing_out] > 0).sum())
    dark = int((difference.sum(axis=2)[standing_out] < 0).sum())
    if small is not page:
        ground = cv2.resize(ground, (page.shape[1], page.shape[0]), interpolation=cv2.INTER_LINEAR)
    return ground, light > dark


def _strength(page: Image, ground: Image, light_on_dark: bool) -> tuple[Image, float]:
    """How much of the ground's light is missing, in the channel in which most is: shadows cancel, any colour is ink.

    A noisy page is made smoother. What noise is left on the ground has the mean 0, and the standard deviation that is given.
    """
    blur = 0.8 if _noise(page) < NOISY else 1.3  # pixels
    if light_on_dark:
        page, ground = cv2.bitwise_not(page), cv2.bitwise_not(ground)
    missing = cv2.bitwise_not(cv2.divide(page, cv2.max(ground, 1), scale=255))
    strength = cv2.GaussianBlur(missing.max(axis=2), (0, 0), blur)
    middle, below = np.quantile(strength[::3, ::3], (0.5, 0.16))  # of a normal distribution: mean, mean less deviation
    return cv2.subtract(strength, float(middle)), float(middle - below)


def _noise(page: Image) -> float:
    """Standard deviation of a channel's noise in grey levels (Immerkaer, 1996), by a median, which strokes do not move."""
    height, width = page.shape[:2]
    page = page[height // 4 : height - height // 4, width // 4 : width - width // 4]  # the middle stands for all of it
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(page, cv2.CV_16S, mask))
    return float(np.median(response[::2, ::2])) / (0.6745 * 6)


def _thresholds(strength: Image, noise: float) -> tuple[Image, Image]:
    """What is no noise anywhere on the page, and of that what has nearly half the strength of the strongest ink near it."""
    faintest = max(FAINTEST, 4 * noise)
    candidates = strength[strength > faintest]
    if not candidates.size:
        return np.zeros_like(strength), np.zeros_like(strength)
    floor = max(faintest, 0.25 * float(np.quantile(candidates, 0.95)))
    side = max(15, max(strength.shape) // 16) | 1
    nearby = cv2.dilate(strength, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))
    above = cv2.threshold(strength, floor, 255, cv2.THRESH_BINARY)[1]
    return above, cv2.bitwise_and(above, cv2.compare(strength, cv2.convertScaleAbs(nearby, alpha=0.45), cv2.CMP_GT))


def ruled_lines(above: Image, strength: Image) -> Image:
    """The pixels of ruled lines, horizontal and vertical: long, thin, nearly straight; strokes that cross them are kept."""
    across = _horizontal_lines(above, strength)
    rest = np.ascontiguousarray(cv2.subtract(above, across).T)
    return cv2.bitwise_or(across, np.ascontiguousarray(_horizontal_lines(rest, np.ascontiguousarray(strength.T)).T))


def _horizontal_lines(above: Image, strength: Image) -> Image:
    width = above.shape[1]
    run = max(25, width // 30)  # pixels that a line must go on for
    thick = cv2.dilate(above, np.ones((3, 1), np.uint8))  # a line may slope
    runs = cv2.morphologyEx(thick, cv2.MORPH_OPEN, np.ones((1, run), np.uint8))
    joined = cv2.morphologyEx(runs, cv2.MORPH_CLOSE, np.ones((3, 2 * run + 1), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    lines = np.zeros_like(above)
    for label in range(1, count):
        x, y, wide, high, _ = map(int, stats[label])
        if wide < 0.3 * width or high > 0.12 * wide + 6:
            continue
        box = np.s_[y : y + high, x : x + wide]
        band = np.where((labels[box] == label) & (runs[box] > 0), np.uint8(255), np.uint8(0))
        columns = (band > 0).sum(axis=0)
        thickness = max(1, int(np.median(columns[columns > 0])) - 2)  # `thick` added one on each side
        more = thickness + 3
        frame = np.s_[max(0, y - more) : y + high + more, x : x + wide]
        inside = slice(min(y, more), min(y, more) + high)
        lines[box] |= _line(band, above[frame], strength[frame], inside, thickness)
    return lines


def _line(band: Image, above: Image, strength: Image, inside: slice, thickness: int) -> Image:
    """Of a band, the pixels of the line: not where a stroke crosses it, which is higher than the line, or darker."""
    strokes = cv2.morphologyEx(above, cv2.MORPH_OPEN, np.ones((thickness + 3, 1), np.uint8))
    line = cv2.bitwise_and(cv2.subtract(above, strokes)[inside], band)
    if not line.any():
        return line
    usual = float(np.median(strength[inside][line > 0]))
    line[strength[inside] > 1.4 * usual + 10] = 0
    framed = np.zeros_like(above)
    framed[inside] = line
    joined = cv2.morphologyEx(cv2.subtract(above, framed), cv2.MORPH_CLOSE, np.ones((thickness + 4, 1), np.uint8))
    return cv2.subtract(line, joined[inside])  # what is left of a stroke above and below the line is one again
