"""Which of several settings decides a measure: permutation importance in random forests (Breiman 2001), with its spread."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST = 20  # trials; fewer say nothing about several settings
EXPLAINED = 0.1  # of the variance; where a forest explains less, its drops are those of noise


class Importance(NamedTuple):
    """`drops` `(resamples, settings)`: the share of the measure's variance that a forest loses when a setting is shuffled.

    `explained` is the share that the forest explains of trials that it did not see; near 0, the drops mean nothing.
    """

    paths: Sequence[str]
    drops: NDArray[np.float64]
    explained: float


def importance(
    points: Sequence[Mapping[str, Any]], values: Sequence[float], resamples: int = 40, shuffles: int = 5, seed: int = 0
) -> Importance | None:
    """How much each setting decides `values`, one for each point, judged on trials that a forest did not see.

    Each resample draws trials anew, fits a forest, and shuffles one setting at a time among the trials left out; so the
    spread contains the choice of the trials and the forest's own chance. None for fewer than LEAST trials, fewer than
    two settings that vary, or values that are all the same.
    """
    paths = [path for path in dict.fromkeys(path for point in points for path in point)
             if len({str(point.get(path)) for point in points}) > 1]  # fmt: skip
    y = np.array(values, dtype=float)
    if len(points) < LEAST or len(paths) < 2 or np.ptp(y) == 0:
        return None
    from sklearn.ensemble import RandomForestRegressor  # seconds: only where there is something to explain

    x = np.column_stack([_codes([point.get(path) for point in points]) for path in paths])
    rng = np.random.default_rng(seed)
    drops, errors, spread = [], 0.0, 0.0
    for _ in range(resamples):
        drawn = rng.integers(len(y), size=len(y))
        left = np.setdiff1d(np.arange(len(y)), drawn)
        forest = RandomForestRegressor(60, min_samples_leaf=2, random_state=int(rng.integers(2**31))).fit(x[drawn], y[drawn])
        variance = float(np.var(y))
        error = float(np.mean((forest.predict(x[left]) - y[left]) ** 2))
        errors, spread = errors + error, spread + variance
        shuffled = []
        for column in range(len(paths)):
            tables = np.concatenate([_shuffled(x[left], column, rng) for _ in range(shuffles)])
            wrong = float(np.mean((forest.predict(tables) - np.tile(y[left], shuffles)) ** 2))
            shuffled.append((wrong - error) / variance)
        drops.append(shuffled)
    return Importance(paths, np.array(drops), 1 - errors / spread)


def _codes(column: Sequence[Any]) -> NDArray[np.float64]:
    """Numbers as they are, else the place of each kind; -1 where a setting is absent and everything else is positive."""
    seen = [value for value in column if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in seen):
        absent = min(map(float, seen)) - 1
        return np.array([absent if value is None else float(value) for value in column])
    kinds = sorted({str(value) for value in column})
    return np.array([kinds.index(str(value)) for value in column], dtype=float)


def _shuffled(x: NDArray[np.float64], column: int, rng: np.random.Generator) -> NDArray[np.float64]:
    shuffled = x.copy()
    rng.shuffle(shuffled[:, column])
    return shuffled
