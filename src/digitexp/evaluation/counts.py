"""What published counts support, `correct` of `n` images each, where nothing else is known: no seeds, no single images.

Every number is one trained network, and each was scored on other images. So a difference found here is one of these two
networks; that another seed would show it too is not said.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from digitexp.evaluation.compare import ALPHA, Interval, wilson

POWER = 0.8  # how often a difference that is real is to be found


class Count(NamedTuple):
    """`correct` of `n` images."""

    correct: int
    n: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.correct / self.n


def fisher(a: Count, b: Count) -> float:
    """Two-sided exact p-value that two shares differ (Fisher 1935)."""
    table = [[a.correct, a.n - a.correct], [b.correct, b.n - b.correct]]
    return float(stats.fisher_exact(table).pvalue)


def binomial(a: Count, share: float) -> float:
    """Two-sided exact p-value that a share differs from a number that is no sample, such as that of a guess."""
    return float(stats.binomtest(a.correct, a.n, share).pvalue)


def difference(a: Count, b: Count, confidence: float = 0.95) -> Interval:
    """The interval of share a minus share b from the two score intervals (Newcombe 1998, method 10)."""
    (low_a, high_a), (low_b, high_b) = wilson(*a, confidence), wilson(*b, confidence)
    apart = a.share - b.share
    below = math.hypot(a.share - low_a, high_b - b.share)
    above = math.hypot(high_a - a.share, b.share - low_b)
    return Interval(apart - below, apart + above)


def needed(a: float, b: float, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """How many images each of two shares needs to be told apart with that power; None where they are equal.

    The continuity-corrected number of Fleiss, Tytun and Ury (1980), which Fisher's test needs.
    """
    if a == b:
        return None
    z, mean = stats.norm.isf(alpha / 2), (a + b) / 2
    spread = z * math.sqrt(2 * mean * (1 - mean)) + stats.norm.ppf(power) * math.sqrt(a * (1 - a) + b * (1 - b))
    plain = (spread / (a - b)) ** 2
    return math.ceil(plain / 4 * (1 + math.sqrt(1 + 4 / (plain * abs(a - b)))) ** 2)


def needed_for_equality(share: float, margin: float, alpha: float = ALPHA, power: float = POWER) -> int:
    """How many images each of two equal shares needs to be shown equal within a margin (Chow, Shao and Wang 2008)."""
    z = stats.norm.isf(alpha) + stats.norm.ppf((1 + power) / 2)
    return math.ceil(2 * share * (1 - share) * (float(z) / margin) ** 2)


def correlation(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> tuple[float, Interval, float]:
    """Spearman's rank correlation, its interval (Bonett and Wright 2000), and the p-value that it is not 0.

    Fewer than four pairs, or no spread: (NaN, (-1, 1), 1).
    """
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if len(first) < 4 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan, Interval(-1.0, 1.0), 1.0
    found = stats.spearmanr(first, second)
    r = float(found.statistic)
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt((1 + r**2 / 2) / (len(first) - 3))
    middle = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    return r, Interval(math.tanh(middle - half), math.tanh(middle + half)), float(found.pvalue)


def correlation_of_settings(
    pairs: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, Interval]:
    """Spearman's rank correlation over all runs, `pairs` `(settings, seeds, 2)`, and its interval from settings drawn anew.

    The runs of a setting are alike, so drawing runs would take one setting for several. Fewer than four settings, or no
    spread: (NaN, (-1, 1)).
    """
    table = np.asarray(pairs, dtype=float)
    if len(table) < 4 or math.isnan(correlation(*table.reshape(-1, 2).T)[0]):
        return math.nan, Interval(-1.0, 1.0)
    drawn = table[np.random.default_rng(seed).integers(len(table), size=(resamples, len(table)))]
    ranks = stats.rankdata(drawn.reshape(resamples, -1, 2), axis=1)
    apart = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.prod(np.sum(apart**2, axis=1), axis=1))
    found = np.prod(apart, axis=2).sum(axis=1)[spread > 0] / spread[spread > 0]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return correlation(*table.reshape(-1, 2).T)[0], Interval(float(low), float(high))
