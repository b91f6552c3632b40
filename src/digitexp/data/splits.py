"""Parts of a set of images: with every class at its share, by writer, in folds; and parts with other shares."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import Digits
from digitexp.errors import DataError

SKEW = 100  # how many times the first class of a skewed part is as frequent as the last


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


def split_by_writer(digits: Digits, fraction: float, seed: int) -> tuple[Digits, Digits]:
    """The same by writer: random writers with all of their images, until these are `fraction` of all or more.

    So the part is seldom exactly `fraction`, and its classes have only about their shares. Raises DataError as `split`.
    """
    assert digits.writers is not None
    if fraction == 0:
        return digits, digits.take(np.arange(0))
    writers, counts = np.unique(digits.writers, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(writers))
    needed = int(np.searchsorted(counts[order].cumsum(), fraction * len(digits) - 1e-9)) + 1
    held = np.isin(digits.writers, writers[order[:needed]])
    for side in (~held, held):
        _require_every_class(digits, np.flatnonzero(side), f"to hold out {fraction:g} of the writers")
    return digits.take(~held), digits.take(held)


def fold(digits: Digits, folds: int, number: int, seed: int, by_writer: bool = False) -> tuple[Digits, Digits]:
    """Divide into the rest and fold `number` (from 1) of `folds`; the folds of one seed are a partition.

    Every class has its share of each; `by_writer`, about its share, and all images of a writer are in one fold.
    Raises DataError when a class or the writers are too few.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    counts = np.unique(digits.labels, return_counts=True)[1]  # of the classes that there are
    fewest, of = int(counts.min()), "images of the rarest class"
    if by_writer:
        fewest, of = min((fewest, of), (len(np.unique(np.array(digits.writers))), "writers"))
    if fewest < folds:
        raise DataError(f"data.folds={folds}: found {fewest} {of}, allowed are 2 to {fewest} folds.")
    kind = StratifiedGroupKFold if by_writer else StratifiedKFold
    divided = kind(folds, shuffle=True, random_state=seed).split(digits.images[:, 0, 0], digits.labels, digits.writers)
    rest, part = list(divided)[number - 1]
    return digits.take(rest), digits.take(part)


def rebalance(digits: Digits, how: str, seed: int) -> Digits:
    """A random part in which the classes are "skewed" or "balanced", in the given order.

    Skewed: each class is rarer than the one before by the same factor, the first as frequent as the rarest was, the last a
    hundredth of it (a long tail, Cui et al. 2019). Balanced: as many images in all, equally many of each class; so that
    balance alone tells the two apart. Raises DataError when there is a class without images.
    """
    present = np.bincount(digits.labels, minlength=len(digits.classes))
    if not present.all():
        name = digits.classes[int(present.argmin())]
        raise DataError(f"class '{name}': found 0 of {len(digits)} images, too few to be {how}.")
    counts = class_counts(int(present.min()), len(present), how)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(np.flatnonzero(digits.labels == label)) for label in range(len(counts))]
    return digits.take(np.sort(np.concatenate([order[:count] for order, count in zip(orders, counts, strict=True)])))


def class_counts(fewest: int, classes: int, how: str) -> NDArray[np.int64]:
    """How many images of each class `rebalance` keeps, where the rarest has `fewest`."""
    counts = np.maximum(1, np.rint(fewest * SKEW ** -np.linspace(0, 1, classes))).astype(np.int64)
    return np.full(classes, counts.sum() // classes) if how == "balanced" else counts


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
