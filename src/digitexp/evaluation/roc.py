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
    """The area under the curve of each class `(classes,)`; NaN where no image is of the class, or every one is."""
    from sklearn.metrics import roc_auc_score

    found = np.full(probabilities.shape[1], np.nan)
    for digit in _told(labels, probabilities):
        found[digit] = roc_auc_score(labels == digit, probabilities[:, digit])
    return found


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
