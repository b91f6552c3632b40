"""What accuracies alone support, where it is not known which images were read correctly.

A setting is its accuracies, one for each seed, each a share of the same number of images. compare.py says more, and is
used wherever there are hits of the same images: it knows that the settings met the same images, so it tells more apart.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from digitexp.evaluation.compare import Interval, Luck, holm, luck, score, wilson


class Shares(NamedTuple):
    """The accuracies of a setting, one for each seed, and the number of images that each is a share of."""

    accuracies: Sequence[float]
    images: int


def interval(setting: Shares, confidence: float = 0.95) -> Interval:
    """Wilson's interval for one run. For several, his formula with the effective number of images (Kish 1965).

    That is the number whose binomial variance is that of the images plus that of the mean over the seeds, stretched as in
    `compare.interval`. The images count once, not once a seed, since all seeds read the same ones: wider than there, if
    anything.
    """
    accuracies, images = setting
    seeds, mean = len(accuracies), float(np.mean(accuracies))
    if seeds == 1:
        return wilson(round(mean * images), images, confidence)
    binomial = mean * (1 - mean)
    stretch = stats.t.ppf((1 + confidence) / 2, seeds - 1) / stats.norm.ppf((1 + confidence) / 2)
    spread = stretch**2 * np.var(accuracies, ddof=1) / seeds
    return score(mean, float(binomial / (binomial / images + spread)) if binomial else images, confidence)


def unpaired(a: Shares, b: Shares, lucks: tuple[Luck, Luck] | None = None) -> float:
    """Two-sided p-value that two settings differ, as if they had read different images: it errs towards a tie.

    Welch's t-test (1947) on variances of images and of seeds, with Satterthwaite's degrees of freedom (1946). One more
    right and one more wrong keep the variance of a perfect setting above 0 (Agresti and Caffo 2000). `lucks`: what seeds
    do to each as more settings tell it (see `compare.luck`), taken where it is larger than what its own seeds show.
    """
    mean, error, freedom = _difference(a, b, lucks)
    return float(2 * stats.t.sf(abs(mean) / error, freedom))


def difference(a: Shares, b: Shares, confidence: float = 0.95) -> Interval:
    """The interval of accuracy a minus accuracy b, by the test of `unpaired`."""
    mean, error, freedom = _difference(a, b)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * error)
    return Interval(max(-1.0, mean - half), min(1.0, mean + half))


def _difference(a: Shares, b: Shares, lucks: tuple[Luck, Luck] | None = None) -> tuple[float, float, float]:
    """The mean difference, its standard error, and the degrees of freedom of that."""
    both = [variances(setting, one) for setting, one in zip((a, b), lucks or (None, None), strict=True)]
    parts, freedoms = (np.concatenate(each) for each in zip(*both, strict=True))
    total = parts.sum()
    mean = float(np.mean(a.accuracies) - np.mean(b.accuracies))
    return mean, float(np.sqrt(total)), float(total**2 / np.sum(parts**2 / freedoms))


def against(winner: Shares, others: Sequence[Shares]) -> list[float]:
    """P-values, not adjusted, that each of the others differs from the winner; the luck of several seeds is that of all."""
    if len(winner.accuracies) == 1:
        return [unpaired(other, winner) for other in others]
    own, *lucks = luck([setting.accuracies for setting in (winner, *others)])
    return [unpaired(other, winner, (theirs, own)) for other, theirs in zip(others, lucks, strict=True)]


def against_best(settings: Sequence[Shares]) -> list[float]:
    """P-values (Holm, over all pairs) that each differs from the highest mean, the first of equals, which itself has 1."""
    best = int(np.argmax([np.mean(setting.accuracies) for setting in settings]))
    others = [i for i in range(len(settings)) if i != best]
    found = against(settings[best], [settings[i] for i in others])
    adjusted = dict(zip(others, holm(found, picked=True), strict=True))
    return [float(adjusted.get(i, 1.0)) for i in range(len(settings))]


def further_seed(values: Sequence[float], confidence: float = 0.95) -> Interval | None:
    """Where one more seed of the same setting would lie: Student's prediction interval; None of a single seed."""
    if len(values) < 2:
        return None
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) * np.sqrt(1 + 1 / len(values))
    half = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * spread)
    return Interval(mean - half, mean + half)


def variances(setting: Shares, luck: Luck | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The variances of a setting's mean, from its images and, where there are several, its seeds; degrees of freedom."""
    accuracies, images = setting
    share = (np.mean(accuracies) * images + 1) / (images + 2)
    found, freedoms = [float(share * (1 - share) / (images + 2))], [float(max(images - 1, 1))]
    if len(accuracies) > 1:
        own = Luck(float(np.var(accuracies, ddof=1)), float(len(accuracies) - 1))
        found.append(max(own, luck or own).variance / len(accuracies))
        freedoms.append((luck or own).freedom)
    return np.array(found), np.array(freedoms)
