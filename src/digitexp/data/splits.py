"""Parts of a set of images in which every class keeps its share, to within one image."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import Digits
from digitexp.errors import DataError


def split(digits: Digits, fraction: float, seed: int) -> tuple[Digits, Digits]:
    """Divide into the rest and a random part of `fraction` (0 <= fraction < 1, rounded up), both in the given order.

    Raises DataError when a class has too few images to be on both sides.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"split: found the share {fraction}, allowed is 0 or more and less than 1.")
    rows = np.arange(len(digits))
    if fraction == 0:
        return digits, digits.take(rows[:0])
    from sklearn.model_selection import train_test_split

    try:
        rest, part = train_test_split(rows, test_size=fraction, random_state=seed, stratify=digits.labels)
    except ValueError as error:  # too few for scikit-learn to try
        raise _too_few(digits, f"to hold out {fraction:g} of each class") from error
    for side in (rest, part):
        _require_every_class(digits, side, f"to hold out {fraction:g} of each class")
    return digits.take(np.sort(rest)), digits.take(np.sort(part))


def limit(digits: Digits, n: int, seed: int) -> Digits:
    """A random part of `n` images in the given order; all of them where there are no more than `n`.

    Raises DataError when `n` leaves a class without images.
    """
    return digits if n >= len(digits) else digits.take(limited_rows(digits, n, seed))


def limited_rows(digits: Digits, n: int, seed: int) -> NDArray[np.int64]:
    """The rows of the images that `limit` keeps, in order."""
    if n >= len(digits):
        return np.arange(len(digits))
    present = len(np.unique(digits.labels))
    if n < present:
        raise DataError(f"limit: found {n} images, allowed is {present} or more, one for each class.")
    from sklearn.utils import resample

    rows: NDArray[Any] = resample(
        np.arange(len(digits)), replace=False, n_samples=n, random_state=seed, stratify=digits.labels
    )
    _require_every_class(digits, rows, f"to be among {n} images")
    return np.sort(rows)


def _require_every_class(digits: Digits, rows: NDArray[Any], purpose: str) -> None:
    if len(np.unique(digits.labels[rows])) < len(np.unique(digits.labels)):
        raise _too_few(digits, purpose)


def _too_few(digits: Digits, purpose: str) -> DataError:
    labels, counts = np.unique(digits.labels, return_counts=True)
    if not len(labels):
        return DataError(f"images: found none, too few {purpose}.")
    name, count = digits.classes[labels[counts.argmin()]], counts.min()
    return DataError(f"class '{name}': found {count} of {len(digits)} images, too few {purpose}.")
