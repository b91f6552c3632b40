"""How well networks have read the drawings of a store: so far, by digit, by writer, and two against each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.store import DrawingStore, Sitting
from digitexp.evaluation import compare, ties

POINTS = 60  # of a curve, at most


@dataclass(frozen=True)
class Share:
    """`correct` of `n` drawings, with Wilson's 95 % interval."""

    name: str
    correct: int
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """What one network read: in all, by class, by writer; and its accuracy after each of some numbers of drawings.

    running   rows of n, accuracy, and the ends of its 95 % interval
    """

    model: str
    digest: str
    total: Share
    digits: list[Share]
    writers: list[Share]
    running: list[tuple[int, float, float, float]]


@dataclass(frozen=True)
class Duel:
    """Two networks on the drawings that both have read; `further`: how many more would tell them apart (80 % power).

    `further` is 0 where they are told apart already, None where nothing can be said.
    """

    n: int
    only_first: int
    only_second: int
    p: float
    further: int | None


def standings(store: DrawingStore, sitting: Sitting | None = None) -> list[Standing]:
    """Of every network that has read drawings with a label, in one sitting or in all, the one that began first at first."""
    return [_standing(rows) for rows in _by_network(store, sitting).values()]


def duel(store: DrawingStore, first: str, second: str, sitting: Sitting | None = None) -> Duel:
    """Two networks, by their digests; of one that has read nothing there is no drawing that both have read."""
    found = _by_network(store, sitting)
    hits = [{row[0]: row[3] == row[6] for row in found.get(digest, [])} for digest in (first, second)]
    both = sorted(hits[0].keys() & hits[1].keys())
    a, b = (np.array([one[number] for number in both], bool) for one in hits)
    if not both:
        return Duel(0, 0, 0, 1.0, None)
    p = compare.mcnemar(a, b)
    further = 0 if p < compare.ALPHA else ties.further([a], [b]).images
    return Duel(len(both), int(np.sum(a & ~b)), int(np.sum(b & ~a)), p, further)


def _by_network(store: DrawingStore, sitting: Sitting | None) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for row in store.answers(sitting):
        found.setdefault(row[5], []).append(row)
    return found


def _standing(rows: Sequence[tuple[Any, ...]]) -> Standing:
    _, _, writers, labels, models, digests, read = zip(*rows, strict=True)
    hits = np.array(labels) == np.array(read)
    return Standing(
        models[-1], digests[0], _share("all", hits), _shares(labels, hits), _shares(writers, hits), running(hits)
    )


def running(hits: NDArray[np.bool_]) -> list[tuple[int, float, float, float]]:
    """Accuracy after n drawings, and its interval, for at most 60 values of n, the last among them."""
    at = np.unique(np.linspace(1, max(len(hits), 1), min(POINTS, len(hits))).round().astype(int))
    correct = np.cumsum(hits)
    return [(int(n), float(correct[n - 1] / n), *compare.score(float(correct[n - 1] / n), int(n))) for n in at]


def _shares(names: Sequence[str], hits: NDArray[np.bool_]) -> list[Share]:
    array = np.array(names)
    return [_share(name, hits[array == name]) for name in sorted(set(names))]


def _share(name: str, hits: NDArray[np.bool_]) -> Share:
    correct, n = int(hits.sum()), len(hits)
    return Share(name, correct, n, *compare.score(correct / n, n))
