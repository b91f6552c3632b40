"""Pages written by our own pen at known places, and a reader that knows exactly the digits that were written."""

import cv2
import numpy as np

from digitexp.data.geometry import crop, normalise
from digitexp.data.pen import write

CLASSES = tuple("0123456789")


def digit(label, seed=0, height=60):
    """Ink (h, w), 0 or 255, as high as `height`."""
    ink = crop(write(label, np.random.default_rng([seed, label])))
    width = max(6, round(ink.shape[1] * height / ink.shape[0]))
    return cv2.resize(ink, (width, height), interpolation=cv2.INTER_CUBIC)


def page_of(lines, height=60, gap=30, leading=120, side=(700, 1000), slope=0.0):
    """A cover of ink 0 to 1 (h, w) with these lines of digits, and the boxes x, y, width, height line by line."""
    cover, boxes = np.zeros(side, np.float32), []
    for row, line in enumerate(lines):
        x = 50
        for place, label in enumerate(line):
            ink = digit(int(label), seed=10 * row + place, height=height)
            y = 60 + row * leading + round(slope * x)
            np.maximum(cover[y : y + ink.shape[0], x : x + ink.shape[1]], ink / 255, out=cover[y : y + ink.shape[0], x : x + ink.shape[1]])
            boxes.append((x, y, ink.shape[1], ink.shape[0]))
            x += ink.shape[1] + gap
    return cover, boxes


def on_paper(cover, paper=(235, 240, 238), ink=(40, 40, 40)):
    """BGR uint8: that ink on that paper."""
    cover = cover[..., None]
    return np.rint(np.array(paper) * (1 - cover) + np.array(ink) * cover).astype(np.uint8)


def reader(lines):
    """Probabilities of images by their likeness to the digits of `page_of(lines)`: sure of those, of nothing else."""
    known = [(int(label), normalise(np.pad(digit(int(label), seed=10 * row + place), 2)))
             for row, line in enumerate(lines) for place, label in enumerate(line)]  # fmt: skip
    templates = np.stack([cv2.GaussianBlur(image, (0, 0), 1).astype(float).ravel() for _, image in known])

    def probabilities(images):
        given = np.full((len(images), 10), 0.01, np.float32)
        for row, image in enumerate(images):
            seen = cv2.GaussianBlur(image, (0, 0), 1).astype(float).ravel()
            likeness = templates @ seen / (np.linalg.norm(templates, axis=1) * max(np.linalg.norm(seen), 1))
            best = int(likeness.argmax())
            given[row, known[best][0]] = np.clip((likeness[best] - 0.8) / 0.15, 0.02, 1)
        return given / given.sum(axis=1, keepdims=True)

    return probabilities


def overlap(one, other):
    """Intersection over union of two boxes."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    inner = max(wide, 0) * max(high, 0)
    return inner / (one[2] * one[3] + other[2] * other[3] - inner)
