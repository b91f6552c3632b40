"""What a sweep came to."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from digitexp.evidence import ranking
from digitexp.evidence.ranking import Row

INTERRUPTED, BUDGET, FAILURES = "interrupted", "budget", "failures"  # why a sweep ended early


@dataclass(frozen=True)
class Outcome:
    """A sweep that has ended: `early` says why where it is not finished, `left` how many runs there are still to train.

    Counts are of runs: one of each setting and seed; `found` were finished before. `estimated` and `seconds` are what
    training was to take by the plan, and what it took. `refitted` says whether the winner was trained again on all images,
    where that was asked for.
    """

    rows: Sequence[Row]
    trained: int
    reused: int
    imported: int
    found: int
    failed: int
    experiment: str
    parent: str
    best: str | None  # the address of the registered model
    store: str
    early: str | None = None
    left: int = 0
    estimated: float = 0.0
    seconds: float = 0.0
    refitted: bool | None = None

    @property
    def table(self) -> pd.DataFrame:
        """The ranking, one row a trial."""
        return ranking.table(self.rows)
