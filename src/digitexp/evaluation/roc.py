"""How well each class is told from all others, at every threshold: receiver operating characteristics and their areas.

Labels are indices `(n,)`, probabilities floats `(n, classes)`. One class against the rest, averaged over the classes, each
with the same weight (Fawcett 2006), so that a rare class counts as much as a frequent one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from digitexp.evaluation.scores import Floats, Labels

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def areas(labels: Labels, probabilities: Floats) -> NDArray[np.float64]:
    """The area under the curve of each class `(classes,)`; NaN where no image is of the class, or every one is.

    By ranks, all classes at once: the area is the share of pairs of an own image and another in which the own one is
    above, ties half (Mann and Whitney 1947).
    """
    from scipy.stats import rankdata

    own = labels[:, None] == np.arange(probabilities.shape[1])
    count = own.sum(axis=0)
    above = np.sum(rankdata(probabilities, axis=0), axis=0, where=own) - count * (count + 1) / 2
    pairs = count * (len(labels) - count)
    return np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def mean_area(labels: Labels, probabilities: Floats) -> float | None:
    """The mean of those areas; None where no class can be told from another."""
    found = areas(labels, probabilities)
    return None if np.isnan(found).all() else float(np.nanmean(found))


def curves(labels: Labels, probabilities: Floats) -> dict[int, Curve]:
    """By class, the shares of the others taken for it (rising) and of its own images found, one for each threshold."""
    from sklearn.metrics import roc_curve

    return {digit: roc_curve(labels == digit, probabilities[:, digit])[:2] for digit in _told(labels, probabilities)}


def found_at(curves: Sequence[Curve], false_alarms: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over curves of the share that is found at given shares of false alarms, `(len(false_alarms),)`.

    At a share between two thresholds it is that of the stricter one, which is what can be had.
    """
    steps = [found[np.searchsorted(alarms, false_alarms, side="right") - 1] for alarms, found in curves]
    return np.mean(steps, axis=0)


def _told(labels: Labels, probabilities: Floats) -> list[int]:
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    return [digit for digit, count in enumerate(counts) if 0 < count < len(labels)]
