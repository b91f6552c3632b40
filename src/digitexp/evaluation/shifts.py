"""Test-time shifts: an image is read as it is and moved by some pixels each way, and what is said is averaged."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

SHIFTED = "_shifted"  # what a set read so adds to the set's name
Images = NDArray[np.uint8]


def moved(images: Images, pixels: int) -> Iterator[Images]:
    """The images (n, 28, 28) as they are, and moved by up to `pixels` up, down, left, right and aslant."""
    padded = np.pad(images, ((0, 0), (pixels, pixels), (pixels, pixels)))
    _, height, width = images.shape
    for down in range(2 * pixels + 1):
        for right in range(2 * pixels + 1):
            yield padded[:, down : down + height, right : right + width]


def average(predict: Callable[[Images], NDArray[np.float32]], images: Images, pixels: int) -> NDArray[np.float32]:
    """The mean of the probabilities (n, classes) that `predict` gives for the moved images."""
    said = [predict(np.ascontiguousarray(view)) for view in moved(images, pixels)]
    return np.asarray(np.mean(said, axis=0, dtype=np.float64), np.float32)
