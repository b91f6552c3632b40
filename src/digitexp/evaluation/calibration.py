"""Whether a network is right as often as it says: how probable it calls what it reads, and how often that is true.

Labels are indices `(n,)`, probabilities floats `(n, classes)`. Only the most probable class counts (Guo et al. 2017).
"""

from typing import NamedTuple

import numpy as np

from digitexp.evaluation.scores import Floats, Labels

BINS = 15  # as many as Guo et al. take


class Bin(NamedTuple):
    """The images whose highest probability is above `low` and at most `high`: how many, how sure, and how often right."""

    low: float
    high: float
    images: int
    confidence: float
    accuracy: float


def reliability(labels: Labels, probabilities: Floats, bins: int = BINS) -> list[Bin]:
    """The bins of equal width that hold an image, from unsure to sure."""
    sure = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    places = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    return [
        Bin(float(edges[place]), float(edges[place + 1]), int(inside.sum()), float(sure[inside].mean()),
            float(right[inside].mean()))
        for place in np.unique(places)
        for inside in [places == place]
    ]  # fmt: skip


def expected_error(labels: Labels, probabilities: Floats, bins: int = BINS) -> float:
    """The expected calibration error: how far sureness and accuracy lie apart in the bins, on average over the images."""
    found = reliability(labels, probabilities, bins)
    return float(sum(one.images * abs(one.accuracy - one.confidence) for one in found) / max(len(labels), 1))
