"""What one run scored: labels and probabilities in, numbers out.

Labels and predicted classes are indices `(n,)`, probabilities are floats `(n, classes)`; a confusion table is
`(classes, classes)`, the true class by row and the class it was read as by column.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ClassScore:
    """How well one class was read: shares from 0 to 1, and 0 where there was nothing to share."""

    name: str
    support: int  # images of this class
    precision: float
    recall: float
    f1: float
    errors: int  # images of this class that were read as another
    error_rate: float


@dataclass(frozen=True)
class ConfusedPair:
    """`count` images of the class `true`, `of` as many, were read as `read_as`."""

    true: str
    read_as: str
    count: int
    of: int


def accuracy(labels: Labels, probabilities: Floats) -> float:
    """The share of images whose most probable class is the true one. No images: ValueError."""
    if len(labels) == 0:
        raise ValueError("no images: the accuracy of an empty set is not defined")
    return float(np.mean(labels == probabilities.argmax(axis=1)))


def together(labels: Labels, probabilities: Sequence[Floats]) -> float:
    """The accuracy of several networks that read the same images together: by the mean of their probabilities."""
    return accuracy(labels, np.mean(np.asarray(probabilities, dtype=np.float64), axis=0))


def confusion(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.int64]:
    """Counts `(classes, classes)`, rows true. A class outside 0 .. classes - 1: ValueError."""
    found = np.concatenate([labels, predicted])
    if np.any((found < 0) | (found >= classes)):
        raise ValueError(f"classes must be from 0 to {classes - 1}, found {found.min()} to {found.max()}")
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (labels, predicted), 1)
    return table


def by_row(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each row's counts as shares of that row; a row without images stays 0."""
    return _share(confusion, confusion.sum(axis=1, keepdims=True))


def per_class(confusion: NDArray[np.int64], classes: Sequence[str]) -> list[ClassScore]:
    """One row a class, in the order of `classes`."""
    right, support, read = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    columns = (support, _share(right, read), _share(right, support), _share(2 * right, support + read), support - right,
               _share(support - right, support))  # fmt: skip
    return [ClassScore(name, *row) for name, *row in zip(classes, *(c.tolist() for c in columns), strict=True)]


def most_confused(confusion: NDArray[np.int64], classes: Sequence[str], limit: int = 5) -> list[ConfusedPair]:
    """The `limit` most frequent errors, most frequent first, equals in the order of the classes."""
    errors = [(int(count), *cell) for cell, count in np.ndenumerate(confusion) if cell[0] != cell[1] and count > 0]
    errors.sort(key=lambda error: -error[0])  # stable: the table's own order breaks ties
    support = confusion.sum(axis=1)
    return [ConfusedPair(classes[true], classes[read], count, int(support[true])) for count, true, read in errors[:limit]]


def worst_errors(labels: Labels, probabilities: Floats, limit: int) -> NDArray[np.intp]:
    """The rows of at most `limit` errors, the surest first.

    Sure is the probability of the class that was read minus that of the true class.
    """
    predicted = probabilities.argmax(axis=1)
    rows = np.flatnonzero(predicted != labels)
    margin = probabilities[rows, predicted[rows]] - probabilities[rows, labels[rows]]
    return rows[np.argsort(-margin, kind="stable")[:limit]]


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
