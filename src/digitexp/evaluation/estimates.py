"""A difference that is estimated: how surely it lies above or below a bound, and its interval. Student's t throughout."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from digitexp.evaluation import compare, shares
from digitexp.evaluation.compare import Interval, Setting
from digitexp.evaluation.shares import Shares


class Estimate(NamedTuple):
    """A mean, its standard error, and the degrees of freedom of that."""

    mean: float
    error: float
    freedom: float

    def interval(self, confidence: float) -> Interval:
        """Where the true mean plausibly lies."""
        half = float(stats.t.ppf((1 + confidence) / 2, self.freedom)) * self.error
        return Interval(self.mean - half, self.mean + half)

    def above(self, bound: float) -> float:
        """The one-sided p-value of "not above the bound": small where the mean surely is."""
        if not self.error:
            return 0.0 if self.mean > bound else 1.0
        return float(stats.t.sf((self.mean - bound) / self.error, self.freedom))

    def below(self, bound: float) -> float:
        """The one-sided p-value of "not below the bound"."""
        return self.turned.above(-bound)

    @property
    def turned(self) -> "Estimate":
        """The same with the other sign."""
        return self._replace(mean=-self.mean)


def of_hits(a: Setting, b: Setting | float) -> Estimate:
    """Accuracy a minus accuracy b, or minus a number, seeds and images both random, as in `compare.paired`."""
    table = compare.stack(a).astype(np.float64) - (b if isinstance(b, float) else compare.stack(b))
    mean, (seeds, images) = float(table.mean()), table.shape
    if images < 2 or np.ptp(table) == 0:  # no spread to measure: one more image could be read by either alone
        return Estimate(mean, 1 / max(images, 1), math.inf)
    if seeds == 1:
        return Estimate(mean, float(table.std(ddof=1)) / math.sqrt(images), images - 1)
    return Estimate(mean, *compare.error(compare.components(table), seeds, images))


def of_shares(a: Shares, b: Shares | float) -> Estimate:
    """The same where only accuracies are known, as in `shares.unpaired`: as if each setting had read other images."""
    both = [shares.variances(one) for one in (a, b) if isinstance(one, Shares)]
    parts, freedoms = (np.concatenate(found) for found in zip(*both, strict=True))
    other = b if isinstance(b, float) else float(np.mean(b.accuracies))
    return _sum(float(np.mean(a.accuracies)) - other, parts, freedoms)


def of_values(a: Sequence[float], b: Sequence[float] | float) -> Estimate:
    """Mean a minus mean b of what is no share of images, from the spread of two seeds or more each (Welch 1947).

    Whole numbers, such as epochs, are rounded: three seeds of 3 epochs each vary by what rounding hides (Sheppard 1898).
    """
    both = [np.asarray(one, dtype=float) for one in (a, b) if not isinstance(one, float)]
    hidden = 1 / 12 if all(np.all(one == one.round()) for one in both) else 0.0
    parts = [max(float(np.var(one, ddof=1)), hidden) / len(one) for one in both]
    return _sum(float(np.mean(a) - np.mean(b)), parts, [len(one) - 1 for one in both])


def _sum(mean: float, variances: ArrayLike, freedoms: ArrayLike) -> Estimate:
    """Of independent parts, with Satterthwaite's degrees of freedom (1946)."""
    parts = np.asarray(variances, dtype=float)
    total, spread = float(parts.sum()), float(np.sum(parts**2 / np.asarray(freedoms, dtype=float)))
    return Estimate(mean, math.sqrt(total), total**2 / spread if spread else math.inf)
