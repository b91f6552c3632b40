"""`Digits`: images in MNIST's form with their labels; every source ends here, every network starts here."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitexp.errors import DataError

SIDE = 28  # pixels


@dataclass(frozen=True, eq=False)
class Digits:
    """`n` images with what is known of each; the order of the arrays is the same.

    images   uint8 `(n, 28, 28)`, from 0 (background) to 255 (ink)
    labels   int64 `(n,)`, indices into `classes`
    classes  distinct names, in the order of a network's outputs
    origin   str `(n,)`: the source of each image
    writers  int64 `(n,)`: who wrote each image, or None where that is not known

    Raises DataError when they are anything else.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    origin: NDArray[np.str_]
    writers: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        images, labels, classes = self.images, self.labels, self.classes
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE):
            raise DataError(f"images: found {_form(images)}, allowed is uint8 of shape (n, {SIDE}, {SIDE}).")
        if labels.dtype != np.int64 or labels.shape != (len(images),):
            raise DataError(
                f"labels: found {_form(labels)}, allowed is int64 of shape ({len(images)},), one label for each image."
            )
        if not classes or len(set(classes)) != len(classes):
            raise DataError(f"classes: found {', '.join(classes) or 'none'}, allowed is a list of different names.")
        wrong = labels[(labels < 0) | (labels >= len(classes))]
        if wrong.size:
            raise DataError(
                f"labels: found {wrong[0]}, allowed is an index into {len(classes)} classes, 0 to {len(classes) - 1}."
            )
        if self.origin.dtype.kind != "U" or self.origin.shape != labels.shape:
            raise DataError(f"origin: found {_form(self.origin)}, allowed is str of shape {labels.shape}.")
        if self.writers is not None and self.writers.shape != labels.shape:
            raise DataError(f"writers: found {_form(self.writers)}, allowed is int64 of shape {labels.shape}.")

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Digits":
        """The images at `rows` (indices, or a mask `(n,)`), in that order, as a copy."""
        writers = None if self.writers is None else self.writers[rows]
        return Digits(self.images[rows], self.labels[rows], self.classes, self.origin[rows], writers)

    def digest(self) -> str:
        """SHA-256 (hex) of images, labels and classes, in their order: the identity of this set of images."""
        digest = hashlib.sha256(json.dumps([len(self), self.classes]).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        return digest.hexdigest()


def concatenate(parts: Sequence[Digits]) -> Digits:
    """All images of `parts`, one after the other. Their writers are dropped.

    Raises DataError for no parts, or for parts of different classes.
    """
    found = {part.classes for part in parts}
    if len(found) != 1:
        raise DataError(f"concatenate: found {len(found)} lists of classes in {len(parts)} parts, allowed is one.")
    return Digits(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        found.pop(),
        np.concatenate([part.origin for part in parts]),
    )


def _form(array: NDArray[np.generic]) -> str:
    return f"{array.dtype} of shape {array.shape}"
