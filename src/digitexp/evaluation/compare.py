"""What scores support: intervals of an accuracy, and tests whether two settings differ on the same images.

The *hits* of a run are booleans `(images,)`: was this image read correctly? A setting is a sequence of hits, one array
for each seed, all on the same images in the same order. The images are a sample of all images, the seeds of all seeds.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Hits = NDArray[np.bool_]
Setting = Sequence[Hits]
ALPHA = 0.05  # how often two settings that are alike may be told apart
OUTLYING = 0.01  # how often a setting whose seeds differ as much as the others' may be kept out of their pool


class Interval(NamedTuple):
    """Where the true share plausibly lies."""

    low: float
    high: float


def interval(hits: Setting, confidence: float = 0.95) -> Interval:
    """The interval of a setting's accuracy: Wilson for one run, seeds and images both random for several.

    Several runs: Wilson's formula with the number of images of which a single run would be as uncertain (Kish 1965). What
    is uncertain comes from the table of seeds and images, as in `paired`; images are stretched by the normal quantile and
    seeds by Student's, since few seeds may happen to lie close together and Satterthwaite's freedom is then too large
    (compare Graybill and Wang 1980). It held the truth in 94 to 99 of 100 simulated settings, where a percentile bootstrap
    held it in 51 to 99: 2, 3 and 5 seeds on 400 and 10,000 images, with a standard deviation of up to 0.1 about an
    accuracy of 0.83, or 0.02 about 0.97. What happens to one seed in ten, such as divergence, few seeds do not tell.

    Runs that read everything right (or wrong) show no spread: Wilson as well, as if of one run.
    """
    runs = stack(hits)
    seeds, images = runs.shape
    mean = float(runs.mean()) if images else 0.0
    if seeds == 1 or images < 2 or mean in (0.0, 1.0):
        return wilson(int(runs[0].sum()), images, confidence)
    parts = components(runs.astype(np.float64))
    normal, student = stats.norm.ppf((1 + confidence) / 2), stats.t.ppf((1 + confidence) / 2, seeds - 1)
    stretched = parts.images / images + (student / normal) ** 2 * (parts.seeds + parts.rest / images) / seeds
    return score(mean, mean * (1 - mean) / stretched, confidence)


def wilson(correct: int, n: int, confidence: float = 0.95) -> Interval:
    """The score interval of a share (Wilson 1927): `correct` of `n` images. Nothing is known of no images: (0, 1)."""
    return score(correct / n, n, confidence) if n else Interval(0.0, 1.0)


def score(share: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share of `n` things, neither of which need be whole."""
    z = float(stats.norm.ppf((1 + confidence) / 2))
    if share in (0, 1):  # exactly: rounding would leave an end beside the share
        return Interval(0.0, z**2 / (n + z**2)) if share == 0 else Interval(n / (n + z**2), 1.0)
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    return Interval(max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def mcnemar(a: Hits, b: Hits) -> float:
    """Exact two-sided p-value that two runs differ (McNemar 1947): a sign test of what only one of them read right."""
    if a.shape != b.shape:
        raise ValueError(f"two runs are compared on the same images, found {len(a)} and {len(b)}")
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    return min(1.0, float(2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))  # a tenth of binomtest's time


def paired(a: Setting, b: Setting, luck: "Luck | None" = None) -> float:
    """The p-value that two settings differ in accuracy; seeds are paired by position, images by index.

    One seed each: McNemar, which compares these two networks and knows nothing of other seeds. Several: a t-test of the
    mean difference with seeds and images both random and crossed, as radiology compares instruments by readers who all
    see the same cases (Dorfman, Berbaum and Metz 1992). Its variance contains images, seeds, and what a seed does to
    single images; it comes from the mean squares of the two-way table, negative components set to 0, and its degrees
    of freedom are Satterthwaite's (1946). A permutation over images alone would take the luck of a few seeds for a
    property of the setting. Two seeds say little about seeds: they separate only what lies far apart, and where seeds
    differ much they still err about twice as often as promised; three or more keep the promise at 5 %, but not far below it,
    as few seeds may happen to lie close together. So where many are compared, `luck` says what seeds do to such a
    difference in more settings than these two; the larger of that and of what these seeds show is taken.

    Sequences of different lengths: ValueError.
    """
    first, second = stack(a), stack(b)
    if first.shape != second.shape:
        raise ValueError(
            "two settings are compared on the same seeds and images, found "
            f"{' x '.join(map(str, first.shape))} and {' x '.join(map(str, second.shape))} (seeds x images)"
        )
    seeds, images = first.shape
    difference = first.astype(np.float64) - second
    if seeds == 1 or images < 2 or np.ptp(difference) == 0:  # no spread to measure
        return mcnemar(first[0], second[0])
    return _crossed(difference, luck)


class Luck(NamedTuple):
    """How far accuracies differ from seed to seed: their variance, and the degrees of freedom with which it is known."""

    variance: float
    freedom: float


def luck_apart(a: Luck, b: Luck) -> Luck:
    """The luck in a difference between two settings: one pool counts once, else the freedom is Satterthwaite's (1946)."""
    total = a.variance + b.variance
    if a == b or not total:
        return Luck(total, a.freedom)
    return Luck(total, total**2 / (a.variance**2 / a.freedom + b.variance**2 / b.freedom))


def luck(accuracies: ArrayLike) -> list[Luck]:
    """The luck of the seeds of each setting, from accuracies `(settings, seeds)` of two or more seeds.

    It is pooled over the settings, as in an analysis of variance (Fisher 1925): three seeds of eight settings tell it with
    16 degrees of freedom instead of 2. A setting whose seeds differ far more than the others' (Cochran's test for the
    largest variance, 1941, at 1 % as in ISO 5725-2), such as one that diverges now and then, stands for itself.
    """
    variances = np.var(np.asarray(accuracies, dtype=np.float64), axis=1, ddof=1)
    free = np.shape(accuracies)[1] - 1
    pool = list(np.argsort(variances, kind="stable"))
    while len(pool) > 2:
        largest, rest = float(variances[pool[-1]]), float(np.sum(variances[pool[:-1]]))
        times = (len(pool) - 1) * largest / rest if rest else np.inf if largest else 0.0
        if len(pool) * stats.f.sf(times, free, (len(pool) - 1) * free) >= OUTLYING:
            break
        pool.pop()
    pooled = Luck(float(np.mean(variances[pool])), float(free * len(pool)))
    return [pooled if i in pool else Luck(float(variance), float(free)) for i, variance in enumerate(variances)]


class Components(NamedTuple):
    """The variances of a difference between two settings: of one image, of one seed, and of what neither explains."""

    images: float
    seeds: float
    rest: float


def components(difference: NDArray[np.float64], luck: Luck | None = None) -> Components:
    """The variance components of a table `(seeds, images)` of two or more each, negative ones set to 0.

    `luck`: what seeds do as more settings tell it, taken where it is larger than what these seeds show.
    """
    seeds, images = difference.shape
    mean, of_seed, of_image = difference.mean(), difference.mean(axis=1), difference.mean(axis=0)
    rest = float(np.sum((difference - of_seed[:, None] - of_image + mean) ** 2)) / ((seeds - 1) * (images - 1))
    squares = np.array([seeds * of_image.var(ddof=1), images * of_seed.var(ddof=1)])  # mean squares
    # Rounding must not decide whether images and seeds add anything to the rest.
    adds = np.where(squares > rest * (1 + 1e-9), squares - rest, 0.0)
    # The luck holds, as the seeds' means do, a share of the rest.
    of_seeds = max(float(adds[1] / images), luck.variance - rest / images if luck else 0.0)
    return Components(float(adds[0] / seeds), of_seeds, rest)


def error(parts: Components, seeds: float, images: float, free: float | None = None) -> tuple[float, float]:
    """The standard error of the mean of a table of so many seeds and images, and its degrees of freedom (Satterthwaite).

    `free`: the degrees of freedom of what the seeds do, where it was not learned from this table.
    """
    of = np.array([seeds * parts.images, images * parts.seeds])
    squares = np.append(of + parts.rest, parts.rest)
    adds = of > 0
    weights = np.append(adds, 1 - adds.sum())  # the rest, and what images and seeds add to it
    freedom = np.array([images - 1, free or seeds - 1, (seeds - 1) * (images - 1)])
    variance = weights @ squares
    spread = np.sum((weights * squares) ** 2 / freedom)
    return float(np.sqrt(variance / (seeds * images))), float(variance**2 / spread)


def difference(a: Setting, b: Setting, confidence: float = 0.95) -> Interval:
    """The interval of accuracy a minus accuracy b, by the test of `paired`; one seed each: images alone are random."""
    first, second = stack(a), stack(b)
    if first.shape != second.shape:
        raise ValueError(f"two settings are compared on the same seeds and images, found {first.shape} and {second.shape}")
    apart = first.astype(np.float64) - second
    mean, images = float(apart.mean()), apart.shape[1]
    if images < 2 or np.ptp(apart) == 0:  # no spread to measure: one more image could be read by either alone
        return Interval(mean - 1 / max(images, 1), mean + 1 / max(images, 1))
    return _around(mean, *_spread(apart), confidence)


class Gain(NamedTuple):
    """How many more images a setting reads than another, as a share, with its interval."""

    share: float
    interval: Interval


def gains_apart(own: tuple[Setting, Setting], others: tuple[Setting, Setting], confidence: float = 0.95) -> Gain:
    """How much more the first setting of `own` gains over the second than the first of `others` does, on other images.

    Each pair is compared as `difference` does; the variances of the two, whose images are not the same, are added
    (Welch 1947; what a seed does to both at once is counted twice, which makes the interval wide rather than narrow).
    """
    tables = [stack(after).astype(np.float64) - stack(before) for after, before in (own, others)]
    apart = float(tables[0].mean() - tables[1].mean())
    if any(table.shape[1] < 2 for table in tables):
        return Gain(apart, Interval(-1.0, 1.0))
    spreads = [_spread(table) if np.ptp(table) else (0.0, 1.0) for table in tables]
    variances = [spread**2 for spread, _ in spreads]
    total = sum(variances)
    if not total:
        fewest = min(table.shape[1] for table in tables)
        return Gain(apart, Interval(apart - 1 / fewest, apart + 1 / fewest))
    freedom = total**2 / sum(variance**2 / free for variance, (_, free) in zip(variances, spreads, strict=True))
    return Gain(apart, _around(apart, float(np.sqrt(total)), freedom, confidence))


def _spread(apart: NDArray[np.float64]) -> tuple[float, float]:
    """The standard error of the mean of a table `(seeds, images)`, and its degrees of freedom; one seed: of images alone."""
    seeds, images = apart.shape
    if seeds == 1:
        return float(apart.std(ddof=1)) / float(np.sqrt(images)), float(images - 1)
    return error(components(apart), seeds, images)


def _around(mean: float, spread: float, freedom: float, confidence: float) -> Interval:
    half = float(stats.t.ppf((1 + confidence) / 2, freedom) * spread)
    return Interval(max(-1.0, mean - half), min(1.0, mean + half))


def _crossed(difference: NDArray[np.float64], luck: Luck | None) -> float:
    """Two-sided p-value that the mean of a table `(seeds, images)` is not 0, rows and columns both random."""
    seeds, images = difference.shape
    spread, freedom = error(components(difference, luck), seeds, images, luck.freedom if luck else None)
    return float(2 * stats.t.sf(abs(difference.mean()) / spread, freedom))


def holm(p_values: ArrayLike, picked: bool = False) -> NDArray[np.float64]:
    """P-values adjusted for their number (Holm 1979), in the order given.

    `picked`: they compare one setting with all others, and it was picked as the best by these very numbers. Then each
    counts as many as there are pairs of settings not yet told apart, since any of those could have been first and last.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    left = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * (left * (left + 1) / 2 if picked else left)))
    return adjusted


def against(winner: Setting, others: Sequence[Setting]) -> list[float]:
    """P-values, not adjusted, that each of the others differs from the winner; the luck of several seeds is that of all."""
    if len(stack(winner)) == 1:
        return [paired(other, winner) for other in others]
    own, *lucks = luck([stack(setting).mean(axis=1) for setting in (winner, *others)])
    return [paired(other, winner, luck_apart(theirs, own)) for other, theirs in zip(others, lucks, strict=True)]


def against_best(settings: Sequence[Setting]) -> list[float]:
    """P-values (Holm, over all pairs) that each setting differs from the best, which itself has 1.

    The best is the highest mean accuracy, the first of equals; those with p >= ALPHA are the top group with it. The best was
    picked by these very images, so each comparison counts as all pairs (`holm`), and `luck` pools the seeds:
    with each pair's own seeds, one of 8 settings x 3 seeds that were all equal was called worse in 27 of 100 simulated
    sweeps, one of 20 x 2 in 62. So it is in 4 of 100 at most, for 4 to 20 settings of 1 to 5 seeds, and what is worse is
    found more often from three seeds on. It is in more where settings that are equal differ much in their luck: in 6 where
    half of them have twice as much, 14 at worst where they have five times as much, and 16 at worst where one has ten times
    as much and two seeds must tell (7 for three seeds, 3 for five).
    """
    best = int(np.argmax([stack(setting).sum() for setting in settings]))
    others = [i for i in range(len(settings)) if i != best]
    found = against(settings[best], [settings[i] for i in others])
    adjusted = dict(zip(others, holm(found, picked=True), strict=True))
    return [float(adjusted.get(i, 1.0)) for i in range(len(settings))]


def stack(setting: Setting) -> Hits:
    """The hits `(seeds, images)` of a setting."""
    lengths = {len(hits) for hits in setting}
    if len(lengths) != 1:
        raise ValueError(f"a setting needs one or more runs on the same images, found runs on {sorted(lengths)} images")
    return np.stack(list(setting))
