"""A sweep as it was recorded, whether read from a store or from a runs.csv: what a report is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class RunRecord:
    """A finished or failed run. Labels and what was read are class indices `(n,)` by set, probabilities `(n, classes)`;
    empty where only a file is known. Of a file, `hits` may be known: which images were recognised, bool `(n,)` by set.

    `settings` is what was configured, `used` what Keras chose where that was null. `facts` are host, cpu, cores, memory
    (GiB), commit, python, version.keras, ... as text, of the machine that trained it; `images` and `digests` are by set.
    """

    signature: str
    trial: int
    seed: int
    point: Mapping[str, Any]
    settings: Mapping[str, Any]
    started: str
    facts: Mapping[str, str]
    used: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    read: Mapping[str, np.ndarray] = field(default_factory=dict)
    probabilities: Mapping[str, np.ndarray] = field(default_factory=dict)
    hits: Mapping[str, np.ndarray] = field(default_factory=dict)
    failure: str | None = None

    @property
    def recognised(self) -> dict[str, np.ndarray]:
        """Which images were recognised, by set, from what was read or from a file."""
        return {**self.hits, **{part: self.labels[part] == read for part, read in self.read.items()}}


@dataclass(frozen=True)
class SweepRecord:
    """One question with its runs, by trial and seed. `parent` is its run in the store, empty where it is from a file."""

    name: str
    text: str
    question: str
    method: str
    objective: str | None
    repeats: int
    status: str
    command: str
    runs: Sequence[RunRecord]
    parent: str = ""
    note: str = ""  # which of several questions this is
