"""Which labels are probably wrong: labels and out-of-fold probabilities in, rows out; rows are counted from 0.

Labels are class indices `(n,)`, probabilities `(n, classes)` of classifiers that did not learn from the image itself.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from digitexp.evaluation.reading import read

Labels = NDArray[np.int64]
Floats = NDArray[np.floating]

REACH = 3  # rows by which two files may have slipped
CHANCE = 0.01  # that a slip, or a run, is found where labels and images fit
DOUBT = 0.1  # the share of a probability that is spread over all classes, so that one image alone decides nothing
SHORTEST = 3  # contradictions that make a run


@dataclass(frozen=True)
class Suspicion:
    """What each image was read as, with confidence: `confident` is the label itself where nothing contradicts it."""

    labels: Labels
    probabilities: Floats
    confident: Labels

    @property
    def rows(self) -> NDArray[np.intp]:
        """The suspicious rows, the surest first: by the probability of what was read less that of the label."""
        rows = np.flatnonzero(self.confident != self.labels)
        sure = self.probabilities[rows, self.confident[rows]] - self.probabilities[rows, self.labels[rows]]
        return rows[np.argsort(-sure, kind="stable")]


@dataclass(frozen=True)
class Slip:
    """From row `first` to row `last`, each image fits the label of the row `shift` further on."""

    first: int
    last: int
    shift: int


def suspect(images: NDArray[np.uint8], labels: Labels, classes: int, alike: NDArray[np.int64], seed: int = 0) -> Suspicion:
    """Read all images twice, the second time without learning from what the first found suspicious.

    `alike` as in `reading.read`.
    """
    everything = np.ones(len(labels), bool)
    first = read(images, labels, classes, everything, alike, seed)
    clean = confident_classes(labels, first) == labels
    second = read(images, labels, classes, clean, alike, seed)
    return Suspicion(labels, second, confident_classes(labels, second))


def confident_classes(labels: Labels, probabilities: Floats) -> Labels:
    """What each image is with confidence, its label where nothing is (confident learning: Northcutt et al. 2021).

    A class is credible when its probability is at least its mean over the images that are labelled so; the most
    probable credible class counts, where it is more probable than the label.
    """
    classes = probabilities.shape[1]
    thresholds = np.full(classes, np.inf)  # nothing is credible as a class without images
    for label in np.unique(labels):
        thresholds[label] = probabilities[labels == label, label].mean()
    credible = np.where(probabilities >= thresholds, probabilities, -1.0)
    own = probabilities[np.arange(len(labels)), labels]
    return np.where(credible.max(axis=1) > own, credible.argmax(axis=1), labels).astype(np.int64)


def find_slips(labels: Labels, probabilities: Floats) -> list[Slip]:
    """Where labels fit the images of other rows, by -3 to 3: the rows of each slip, in the order of the rows.

    For each shift, the likelihood of a stretch with the labels of the shifted rows is compared with that of its own
    labels. The product of such ratios exceeds c somewhere after a given row with a probability of at most 1/c where the
    labels are right (Ville 1939), whatever their order; c allows for all rows and shifts. A row whose shifted label lies
    beyond the ends is compared with a label at random.
    """
    count, classes = probabilities.shape
    if count < 2:
        return []
    rows = np.arange(count)
    logs = np.log((1 - DOUBT) * probabilities + DOUBT / classes)
    shifts = [shift for shift in range(-REACH, REACH + 1) if shift]
    gains = np.full((len(shifts), count), -math.log(classes))
    for place, shift in enumerate(shifts):
        inside = (rows + shift >= 0) & (rows + shift < count)
        gains[place, inside] = logs[rows[inside], labels[rows[inside] + shift]]
    gains -= logs[rows, labels]
    found: list[Slip] = []
    enough = math.log(count * len(shifts) / CHANCE)
    while True:
        gain, first, last, place = max((*_best_stretch(line), place) for place, line in enumerate(gains))
        if gain < enough:
            return sorted(found, key=lambda slip: slip.first)
        found.append(Slip(first, last, shifts[place]))
        gains[:, first : last + 1] = -np.inf


def find_runs(suspicious: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last row of every run of suspicious rows that is too long for chance, where each has the same chance."""
    share = suspicious.mean() if len(suspicious) else 0.0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], suspicious, [False]])))
    runs = [(int(first), int(after) - 1) for first, after in zip(edges[::2], edges[1::2], strict=True)]
    return [
        (first, last)
        for first, last in runs
        if last - first + 1 >= SHORTEST and len(suspicious) * share ** (last - first + 1) < CHANCE
    ]


def _best_stretch(gains: Floats) -> tuple[float, int, int]:
    """The stretch with the largest sum, and its first and last row (Kadane; Bentley 1984)."""
    best, total, start = (0.0, 0, 0), 0.0, 0
    for row, gain in enumerate(gains.tolist()):
        if total <= 0:
            total, start = 0.0, row
        total += gain
        if total > best[0]:
            best = (total, start, row)
    return best
