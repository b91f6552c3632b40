"""Has the trials of a question proposed, what is not finished trained, and decides when to end.

The loop asks for trials, an executor trains their runs, and everything comes back here, to the one process that writes.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from digitexp.costs import expected_seconds
from digitexp.errors import DataError, DigitexpError
from digitexp.evidence import ranking
from digitexp.executors.choice import executor
from digitexp.executors.executor import Bundle, Executor, Work
from digitexp.planning import Job, Plan
from digitexp.results import Failure, Result
from digitexp.settings import seconds
from digitexp.sweep.conclusion import Conclusion
from digitexp.sweep.known import Known
from digitexp.sweep.outcome import BUDGET, FAILURES, INTERRUPTED, Outcome
from digitexp.tracking import liveness, reader, recorder
from digitexp.tracking import store as stores
from digitexp.tracking.reader import Recorded
from digitexp.tracking.recording import Recording
from digitexp.tracking.records import RunRecord
from digitexp.tracking.store import Store
from digitexp.watch import Watch

# `runs` and `search` bring TensorFlow along, which takes seconds: they are imported where they are used.
if TYPE_CHECKING:
    from digitexp.search.loop import Trial

SPOOL, CHECKPOINTS = "spool", "checkpoints"  # folders beside the store


class Sweep:
    """Has trials proposed, and their runs trained or found; `conclusion` ranks what they gave."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        parent: str,
        heart: liveness.Heartbeat,
        watch: Watch,
        elsewhere: Mapping[str, RunRecord],
        work: Work | None = None,
    ) -> None:
        self.plan, self.store, self.parent, self.heart, self.watch, self.work = plan, store, parent, heart, watch, work
        self.objective = plan.config.search.objective
        self.trials: list[Trial] = []
        self.trained = self.reused = self.imported = 0
        self.failures: dict[int, str] = {}  # by trial
        self._failed: set[str] = set()  # signatures of runs; names of those that cannot be
        self.early: str | None = None
        self._folder = stores.folder(plan.config.tracking.uri)
        self._recording = Recording(store, parent, heart, self._folder / SPOOL)
        self._recording.deliver()
        budget = plan.config.search.budget
        self._deadline = time.monotonic() + seconds(budget) if budget else None
        self._elsewhere = elsewhere
        self._known = Known(plan, store, parent)
        self._planned = tuple(self._known.spent)
        self._reached: dict[str, int] = {}  # the epoch up to which a run was trained in this invocation, by its whole
        self._estimated = self._took = 0.0
        self.conclusion = Conclusion(plan, store, parent, watch, self._known, self.failures)

    def search(self) -> None:
        """Have every trial proposed, and its runs finished."""
        from digitexp import runs
        from digitexp.search.loop import search

        settings, training = self.plan.config.search, self.plan.config.training
        with executor(self.plan.config.execution, self.work or runs.run) as chosen:
            self.trials = search(
                settings.method, self.plan.parameters, self.plan.points, lambda trials: self._evaluate(trials, chosen),
                trials=settings.trials, epochs=training.epochs, factor=settings.factor,
                direction=ranking.direction(self.objective or ""), seed=self.plan.config.seed,
            )  # fmt: skip

    def conclude(self) -> Outcome:
        """Rank the trials, write table and pictures, and register the best network."""
        if self._recording.waiting:
            self.watch.say(f"waiting for {self.store.uri}: {self._recording.waiting} runs are kept on disk until it answers")
        self._recording.deliver()
        liveness.close_lost(self.store, self.store.experiment(self._name), self.heart.runs)
        self._known.look()
        rows, best = self.conclusion.compare(self.trials)
        address = self.conclusion.register(best) if best and not self.plan.config.search.refit else None
        if self._took:
            recorder.log_plan(self.store, self.parent, self._estimated, self._took)
        if not self.early:
            self._forget_checkpoints()
        left = self._left() if self.early else 0
        found = self._known.count(filter(self._possible, self.trials)) - self.trained - self.reused - self.imported
        return Outcome(rows, self.trained, self.reused, self.imported, found, len(self._failed), self._name,
                       self.parent, address, self.store.uri, self.early, left, self._estimated, self._took)  # fmt: skip

    def close(self, status: str) -> None:
        """End every run that this invocation holds open, as far as the store can be reached."""
        for run in list(self.heart.runs):
            with suppress(Exception), self.store.client.at_once():
                recorder.end(self.store, run, status)

    @property
    def _name(self) -> str:
        return self.plan.config.experiment

    def _evaluate(self, trials: Sequence["Trial"], chosen: Executor) -> list[float | None] | None:
        """The mean objective of each trial, None where a run failed; None for all when the sweep ends early."""
        jobs = [job for trial in trials if self._possible(trial) for job in self.plan.jobs(trial.number, trial.point)]
        if not all(self._known.anywhere(job.signature) for job in jobs):
            self._known.look()  # another sweep may have trained them meanwhile
        known = [self._known.anywhere(job.signature) or self._elsewhere.get(job.signature) for job in jobs]
        self._train([job for job, found in zip(jobs, known, strict=True) if not found], chosen)
        for job in jobs:
            if self._known.has(job):
                continue
            if found := self._known.anywhere(job.signature):
                self._reuse(job, found)
            elif job.signature in self._elsewhere:
                self._import(job, self._elsewhere[job.signature])
        if self.early:
            return None
        return [None if trial.number in self.failures else self._value(trial) for trial in trials]

    def _possible(self, trial: "Trial") -> bool:
        """Whether there are such runs; what an oracle proposed need not be a network, or a part of the data."""
        try:
            self.plan.jobs(trial.number, trial.point)
        except DigitexpError as error:
            self.failures[trial.number] = str(error)
            self._failed |= {f"trial {trial.number}, seed {seed}" for seed in range(self.plan.config.search.repeats)}
            return False
        return True

    def _value(self, trial: "Trial") -> float | None:
        """What an oracle is told; None where the objective is no number, or a run was recorded without it."""
        if self.objective is None:
            return 0.0
        runs = self._known.runs(trial.number, trial.point)
        value = float(np.mean([run.metrics.get(self.objective, np.nan) for run in runs]))
        return None if np.isnan(value) else value

    def _train(self, jobs: Sequence[Job], chosen: Executor) -> None:
        unique = [
            replace(job, start=self._reached.get(job.whole, 0)) for job in {job.signature: job for job in jobs}.values()
        ]
        begun = time.monotonic()
        seen: set[int] = set()

        def told(index: int, epoch: int, metrics: Mapping[str, float]) -> None:
            job = unique[index]
            if epoch:
                self._recording.epoch(job.signature, epoch, metrics)
                self.watch.epoch(job, epoch, metrics)
            elif index not in seen:  # a run whose worker was killed begins again
                seen.add(index)
                self._recording.begin(_child(job))
                self.watch.begin(job, len(seen), len(unique))

        def ready(positions: Sequence[int]) -> bool:
            self.early = self.early or self._ended([unique[index] for index in positions])
            return not self.early

        with TemporaryDirectory(prefix="digitexp-") as folder:
            for index, outcome in chosen.run(self._bundles(unique, Path(folder)), told, ready):
                job = unique[index]
                told(index, 0, {})  # one that was killed too soon to say that it begins
                self._end(job, outcome, [same.trial for same in jobs if same.signature == job.signature])
        self._took += time.monotonic() - begun if unique else 0.0

    def _bundles(self, jobs: Sequence[Job], folder: Path) -> list[Bundle]:
        from digitexp import runs

        bundles = runs.bundles([job.config for job in jobs], self.plan.config.execution.workers)
        return [
            Bundle(
                positions,
                [jobs[index].config for index in positions],
                [self._checkpoint(jobs[index]) for index in positions],
                folder / str(number),
            )
            for number, positions in enumerate(bundles)
        ]

    def _ended(self, jobs: Sequence[Job]) -> str | None:
        """Why these runs may not begin, if they may not."""
        if self.watch.stopped():
            return INTERRUPTED
        most = self.plan.config.search.max_failures
        if most is not None and len(self._failed) >= most:
            return FAILURES
        if self._deadline and time.monotonic() + self._expected(jobs) > self._deadline:
            return BUDGET
        return None

    def _expected(self, jobs: Sequence[Job]) -> float:
        """How long these runs would take, in the share of the machine that each worker has."""
        try:
            return expected_seconds(jobs, self._known.spent)[0] * self.plan.config.execution.workers
        except DigitexpError:  # of a network that cannot be: it fails soon enough
            return 0.0

    def _end(self, job: Job, outcome: Result | Failure, trials: Sequence[int]) -> None:
        try:
            self.plan.refuse_changed(job)
        except DataError:
            self._checkpoint(job).unlink(missing_ok=True)  # nobody knows which data its state has seen
            raise
        finished = self._recording.end(job.signature, outcome)
        if isinstance(outcome, Failure):
            self._failed.add(job.signature)
            self.failures |= dict.fromkeys(trials, outcome.message)
        elif finished:
            self._estimated += expected_seconds([job], self._planned)[0]
            self._known.remember(finished, {name: told.hits for name, told in outcome.predictions.items()})
            self._reached[job.whole] = job.config.training.last
            self.trained += 1
            if outcome.network:
                outcome.network.unlink()  # it is in the store, or waits for it elsewhere
            if job.signature == job.whole and (file := self._checkpoint(job)):
                file.unlink(missing_ok=True)
        self.watch.end(job, outcome)

    def _checkpoint(self, job: Job) -> Path:
        return self._folder / CHECKPOINTS / f"{job.whole}.npz"

    def _forget_checkpoints(self) -> None:
        for trial in filter(self._possible, self.trials):
            for job in self.plan.jobs(trial.number, trial.point):
                with suppress(OSError):
                    self._checkpoint(job).unlink(missing_ok=True)

    def _reuse(self, job: Job, source: Recorded) -> None:
        """Write a run that was trained elsewhere again as a child of this sweep."""
        if not source.id:  # it was trained just now, and waits for the store
            self._recording.deliver()
            self._known.look()
            source = self._known.anywhere(job.signature) or source
        self._record(job, reader.result(self.store, source.id), recorder.trained_in(source))
        self.reused += 1

    def _import(self, job: Job, told: RunRecord) -> None:
        """Write a run that another machine trained, as its runs.csv tells of it."""
        result = Result(dict(told.metrics), {}, {}, [], dict(told.used), dict(told.images), dict(told.digests),
                        list(job.config.data.classes), network=None)  # fmt: skip
        self._record(job, result, recorder.imported_from(str(self.plan.config.tracking.runs), told.facts), told.started)
        self.imported += 1

    def _record(self, job: Job, result: Result, about: Mapping[str, str], started: str = "") -> None:
        run = recorder.begin_run(self.store, self.parent, _child(job), started)
        recorder.finish_run(self.store, run, _child(job), result, about)
        self._known.remember(reader.one(self.store, run.id))

    def _left(self) -> int:
        """How many runs of the question are neither finished nor failed."""
        if self.plan.points is not None:
            return len({job.signature for job in self.plan.listed_jobs()} - self._known.own() - self._failed)
        return self.plan.runs - self._known.count(filter(self._possible, self.trials)) - len(self._failed)


def _child(job: Job) -> recorder.Child:
    return recorder.Child(job.trial, job.point, job.config, job.signature)
