"""What would end a tie: how often one setting beats another, and how many more seeds or images would tell them apart."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from digitexp.evaluation.compare import ALPHA, Interval, Luck, Setting, components, error, luck_apart, score, stack
from digitexp.evaluation.counts import POWER
from digitexp.evaluation.shares import Shares, variances

MOST = 10**7  # seeds or images; beyond it, no number is worth saying

# The standard error of the mean difference and its degrees of freedom, with so many times as many seeds and images.
Spread = Callable[[float, float], tuple[float, float]]


class Further(NamedTuple):
    """How many more seeds (on the same images), or more images (by the same seeds), would tell two settings apart.

    None where no number of these alone would, or where nothing can be said.
    """

    seeds: int | None
    images: int | None


def chance_better(a: Setting, b: Setting, confidence: float = 0.95) -> tuple[float, Interval]:
    """How often a network of setting a reads more than one of b of the same seed, ties counted half, and its interval.

    The probability of outperforming (Bouthillier et al. 2021), over the seeds; Wilson's interval of so many pairs.
    """
    first, second = stack(a), stack(b)
    if len(first) != len(second):
        raise ValueError(f"seeds are compared in pairs, found {len(first)} and {len(second)}")
    apart = np.sign(first.sum(axis=1).astype(int) - second.sum(axis=1))
    share = float(np.mean((apart + 1) / 2))
    return share, score(share, len(apart), confidence)


def further(
    a: Setting, b: Setting, alpha: float = ALPHA, power: float = POWER, lucks: tuple[Luck, Luck] | None = None
) -> Further:
    """What would tell two settings apart with that power, if their difference is as large as it was here.

    It takes the variances of seeds and of images as they were measured by `compare.paired`, with the same `lucks` as that
    test; more seeds are more of every setting. Of one seed each nothing is known of seeds, so only images are given
    (Miettinen 1968). From few seeds it is a rough number.
    """
    first, second = stack(a), stack(b)
    seeds, images = first.shape
    apart = first.astype(np.float64) - second
    mean = float(apart.mean())
    if images < 2 or mean == 0 or np.ptp(apart) == 0:
        return Further(None, None)
    if seeds == 1:
        disagree = float(np.mean(apart != 0))
        z = stats.norm.isf(alpha / 2) * math.sqrt(disagree) + stats.norm.ppf(power) * math.sqrt(disagree - mean**2)
        return Further(None, max(math.ceil((z / mean) ** 2) - images, 1))
    luck = luck_apart(*lucks) if lucks else Luck(0.0, seeds - 1)
    parts = components(apart, luck)

    def spread(more_seeds: float, more_images: float) -> tuple[float, float]:
        return error(parts, seeds * more_seeds, images * more_images, _freedom(luck.freedom, seeds, more_seeds))

    return _further(abs(mean), spread, seeds, images, alpha, power)


def _freedom(known: float, seeds: int, more_seeds: float) -> float:
    """The degrees of freedom with which the luck of seeds is known, with so many times as many of every setting."""
    return known * (seeds * more_seeds - 1) / (seeds - 1)


def further_shares(
    a: Shares, b: Shares, alpha: float = ALPHA, power: float = POWER, lucks: tuple[Luck, Luck] | None = None
) -> Further:
    """The same where only accuracies are known, as if each setting had read other images (see `shares.unpaired`)."""
    mean = abs(float(np.mean(a.accuracies) - np.mean(b.accuracies)))
    seeds, images = min(len(a.accuracies), len(b.accuracies)), min(a.images, b.images)
    if mean == 0:
        return Further(None, None)
    found = [variances(one, luck) for one, luck in zip((a, b), lucks or (None, None), strict=True)]

    def spread(more_seeds: float, more_images: float) -> tuple[float, float]:
        times = np.array([more_images, more_seeds])  # of images, and of seeds where there are several
        parts = np.concatenate([part / times[: len(part)] for part, _ in found])
        freedom = np.concatenate([
            [(of_images + 1) * more_images - 1, *(_freedom(one, seeds, more_seeds) for one in of_seeds)]
            for _, (of_images, *of_seeds) in found
        ])  # fmt: skip
        return float(np.sqrt(parts.sum())), float(parts.sum() ** 2 / np.sum(parts**2 / freedom))

    more = _further(mean, spread, seeds, images, alpha, power)
    return more if seeds > 1 else Further(None, more.images)


def _further(mean: float, spread: Spread, seeds: int, images: int, alpha: float, power: float) -> Further:
    def enough(more_seeds: float, more_images: float) -> bool:
        error_of_mean, freedom = spread(more_seeds, more_images)
        return mean / error_of_mean >= stats.t.isf(alpha / 2, freedom) + stats.t.ppf(power, freedom)

    return Further(
        _least(lambda more: enough((seeds + more) / seeds, 1.0)),
        _least(lambda more: enough(1.0, (images + more) / images)),
    )


def _least(enough: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 that is enough, to within 1 %; None beyond MOST."""
    high = 1
    while not enough(high):
        high *= 2
        if high > MOST:
            return None
    low = high // 2
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
