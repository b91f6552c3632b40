"""What is known to be finished, of this question and in the whole store."""

import socket
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from digitexp.costs import Spent
from digitexp.planning import Job, Plan
from digitexp.tracking import reader
from digitexp.tracking.reader import Recorded
from digitexp.tracking.store import Store

if TYPE_CHECKING:  # it brings KerasTuner along, which takes seconds
    from digitexp.search.loop import Trial


class Known:
    """The finished runs: the children of this sweep's parent, and for every signature one of any sweep.

    `spent` says what the runs of this machine took, for the plan.
    """

    def __init__(self, plan: Plan, store: Store, parent: str) -> None:
        self._plan, self._store, self._parent = plan, store, parent
        self._own: dict[tuple[int, str], Recorded] = {}
        self._anywhere: dict[str, Recorded] = {}
        self._hits: dict[str, Mapping[str, np.ndarray]] = {}  # of what was trained in this invocation: read back, they cost
        self._looked = 0.0
        self.spent: list[Spent] = []
        self.look()

    def look(self) -> None:
        """Learn of every run that has been finished since the last look."""
        looked = time.time()
        for found in reader.finished(self._store, since=self._looked):
            self.remember(found)
        self._looked = looked

    def remember(self, run: Recorded, hits: Mapping[str, np.ndarray] | None = None) -> None:
        """A run is finished; `hits` are which images it recognised, by set, where that is at hand."""
        if hits:
            self._hits[run.signature] = hits
        if run.parent == self._parent:
            own = self._own.get((run.trial, run.signature))
            if own is None or not own.id:
                self._own[run.trial, run.signature] = run
        known = self._anywhere.get(run.signature)
        here = run.host == socket.gethostname() and not run.trained_in and not run.imported
        if known is None and here and run.machine_seconds is not None:
            self.spent.append(Spent(run.kind, run.metrics.get("tflop"), run.machine_seconds))
        if known is None or not known.id:
            self._anywhere[run.signature] = run

    def has(self, job: Job) -> bool:
        """Whether it is finished as a run of this sweep."""
        return (job.trial, job.signature) in self._own

    def anywhere(self, signature: str) -> Recorded | None:
        """The finished run of that signature in any sweep."""
        return self._anywhere.get(signature)

    def own(self) -> set[str]:
        """The signatures of what is finished of this sweep."""
        return {signature for _, signature in self._own}

    def runs(self, trial: int, point: Mapping[str, Any]) -> list[Recorded]:
        """The runs of a trial that is complete, by seed."""
        return [self._own[trial, job.signature] for job in self._plan.jobs(trial, dict(point))]

    def complete(self, trial: "Trial") -> bool:
        """Whether every run of a trial is finished."""
        return all(map(self.has, self._plan.jobs(trial.number, trial.point)))

    def count(self, trials: Iterable["Trial"]) -> int:
        """How many runs of some trials are finished."""
        return sum(self.has(job) for trial in trials for job in self._plan.jobs(trial.number, trial.point))

    def hits(self, run: Recorded) -> Mapping[str, np.ndarray]:
        """Which images of each set a run recognised."""
        known = self._hits.get(run.signature)
        return known or {name: told.hits for name, told in reader.predictions(self._store, run.id).items()}
