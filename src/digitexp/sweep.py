"""One invocation of a question: what is known to be finished, what is being trained, what failed, and when to end.

The loop asks for trials, an executor trains their runs, and everything comes back here, to the one process that writes.
"""

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from digitexp import planning
from digitexp.data import sets
from digitexp.errors import DataError
from digitexp.evaluation import scores
from digitexp.executors.choice import executor
from digitexp.executors.executor import Bundle, Executor, Work
from digitexp.planning import Job, Plan, Spent
from digitexp.reports import pictures, ranking
from digitexp.reports.ranking import Row, Scored
from digitexp.results import Failure, Result
from digitexp.settings import seconds
from digitexp.tracking import liveness, reader, recorder, registry
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


class Sweep:
    """Has trials proposed, their runs trained or found, and their results ranked."""

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
        self._failed: set[str] = set()  # signatures of runs
        self.early: str | None = None
        self._folder = stores.folder(plan.config.tracking.uri)
        self._recording = Recording(store, parent, heart, self._folder / SPOOL)
        self._recording.deliver()
        budget = plan.config.search.budget
        self._deadline = time.monotonic() + seconds(budget) if budget else None
        self._own: dict[tuple[int, str], Recorded] = {}
        self._anywhere: dict[str, Recorded] = {}
        self._elsewhere = elsewhere
        self._reached: dict[str, int] = {}  # the epoch up to which a run was trained in this invocation, by its whole
        self._hits: dict[str, Mapping[str, np.ndarray]] = {}  # of what was trained in this invocation: read back, they cost
        self._looked = 0.0
        self._spent: list[Spent] = []
        self._look()
        self._planned = tuple(self._spent)
        self._estimated = self._took = 0.0

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
        self._look()
        self.watch.say("comparing the runs")
        complete = [trial for trial in self.trials if trial.number in self.failures or self._complete(trial)]
        rows = ranking.rank([self._scored(trial) for trial in complete], self.objective)
        best = rows[0].scored if rows and rows[0].rank else None
        self._draw(complete, rows, best)
        address = None
        if best and not self.plan.config.search.refit:
            address = self.register(best)
        if self._took:
            recorder.log_plan(self.store, self.parent, self._estimated, self._took)
        if not self.early:
            self._forget_checkpoints()
        left = self._left() if self.early else 0
        found = self._finished() - self.trained - self.reused - self.imported
        return Outcome(rows, self.trained, self.reused, self.imported, found, len(self._failed), self._name,
                       self.parent, address, self.store.uri, self.early, left, self._estimated, self._took)  # fmt: skip

    def register(self, best: Scored) -> str | None:
        """Make the first seed of a trial the best network, and give its address; None where it has none."""
        self.watch.say("registering the best network")
        first = self._runs(best.trial, best.point)[0]
        network = reader.result(self.store, first.id).network
        return self.store.client.wait(
            lambda: registry.register_best(self.store, self.parent, self._name, first.id, network)
        )

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
        jobs = [job for trial in trials for job in self.plan.jobs(trial.number, trial.point)]
        if any(job.signature not in self._anywhere for job in jobs):
            self._look()  # another sweep may have trained them meanwhile
        self._train([job for job in jobs if job.signature not in {*self._anywhere, *self._elsewhere}], chosen)
        for job in jobs:
            if (job.trial, job.signature) in self._own:
                continue
            if job.signature in self._anywhere:
                self._reuse(job, self._anywhere[job.signature])
            elif job.signature in self._elsewhere:
                self._import(job, self._elsewhere[job.signature])
        if self.early:
            return None
        return [None if trial.number in self.failures else self._value(trial) for trial in trials]

    def _value(self, trial: "Trial") -> float | None:
        """What an oracle is told; None where the objective is no number, or a run was recorded without it."""
        if self.objective is None:
            return 0.0
        value = float(np.mean([run.metrics.get(self.objective, np.nan) for run in self._runs(trial.number, trial.point)]))
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
        if self._deadline and time.monotonic() + planning.expected_seconds(jobs, self._spent)[0] > self._deadline:
            return BUDGET
        return None

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
            self._estimated += planning.expected_seconds([job], self._planned)[0] / self.plan.config.execution.workers
            self._remember(finished)
            self._hits[job.signature] = {name: told.hits for name, told in outcome.predictions.items()}
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
        for trial in self.trials:
            for job in self.plan.jobs(trial.number, trial.point):
                with suppress(OSError):
                    self._checkpoint(job).unlink(missing_ok=True)

    def _reuse(self, job: Job, source: Recorded) -> None:
        """Write a run that was trained elsewhere again as a child of this sweep."""
        if not source.id:  # it was trained just now, and waits for the store
            self._recording.deliver()
            self._look()
            source = self._anywhere[job.signature]
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
        self._remember(reader.one(self.store, run.id))

    def _look(self) -> None:
        """Learn of every run that has been finished since the last look."""
        looked = time.time()
        for found in reader.finished(self.store, since=self._looked):
            self._remember(found)
        self._looked = looked

    def _remember(self, run: Recorded) -> None:
        if run.parent == self.parent:
            known = self._own.get((run.trial, run.signature))
            if known is None or not known.id:
                self._own[run.trial, run.signature] = run
        known = self._anywhere.get(run.signature)
        here = run.host == socket.gethostname() and not run.trained_in and not run.imported
        if known is None and here and "seconds" in run.metrics:
            self._spent.append(Spent(run.kind, run.metrics.get("tflop"), run.metrics["seconds"]))
        if known is None or not known.id:
            self._anywhere[run.signature] = run

    def _complete(self, trial: "Trial") -> bool:
        return all((trial.number, job.signature) in self._own for job in self.plan.jobs(trial.number, trial.point))

    def _left(self) -> int:
        """How many runs of the question are neither finished nor failed."""
        if self.plan.points is not None:
            done = {signature for _, signature in self._own}
            return len({job.signature for job in self.plan.listed_jobs()} - done - self._failed)
        return self.plan.runs - self._finished() - len(self._failed)

    def _finished(self) -> int:
        """How many runs of the trials that were asked for are finished."""
        jobs = (job for trial in self.trials for job in self.plan.jobs(trial.number, trial.point))
        return sum((job.trial, job.signature) in self._own for job in jobs)

    def _runs(self, trial: int, point: Mapping[str, object]) -> list[Recorded]:
        return [self._own[trial, job.signature] for job in self.plan.jobs(trial, dict(point))]

    def _scored(self, trial: "Trial") -> Scored:
        if trial.number in self.failures:
            return Scored(trial.number, trial.point, [], {}, self.failures[trial.number])
        found = self._runs(trial.number, trial.point)
        metrics = [run.metrics for run in found]
        if any(run.imported for run in found):
            return Scored(trial.number, trial.point, metrics, {}, images=reader.images(self.store, found[0].id))
        each = [self._hits_of(run) for run in found]
        hits = {name: [of_seed[name] for of_seed in each] for name in each[0]}
        return Scored(trial.number, trial.point, metrics, hits, together=self._together(found))

    def _hits_of(self, run: Recorded) -> Mapping[str, np.ndarray]:
        known = self._hits.get(run.signature)
        return known or {name: told.hits for name, told in reader.predictions(self.store, run.id).items()}

    def _together(self, runs: Sequence[Recorded]) -> dict[str, float]:
        """The accuracies of the seeds read together, where that is asked for."""
        if not self.plan.config.evaluation.ensemble or len(runs) < 2:
            return {}
        predicted = [reader.predictions(self.store, run.id) for run in runs]
        return {
            name: scores.together(predicted[0][name].labels, [one[name].probabilities for one in predicted])
            for name in predicted[0]
        }

    def _draw(self, trials: Sequence["Trial"], rows: Sequence[Row], best: Scored | None) -> None:
        """Table and picture of the sweep; pictures of every run that has none yet, or of the best trial's only."""
        with TemporaryDirectory(prefix="digitexp-") as folder:
            ranking.table(rows).to_csv(Path(folder, "results.csv"), index=False)
            if best:
                mark = pictures.LEAKAGE if any(self._leaking(trial) for trial in trials) else ""
                pictures.draw_ranking(rows, str(self.objective), f"{self._name}{mark}", Path(folder, "ranking.png"))
            recorder.log_files(self.store, self.parent, Path(folder))
        everyone = self.plan.config.tracking.pictures == "all"
        chosen = [trial for trial in trials if trial.number not in self.failures]
        pending = [
            (run, trial)
            for trial in chosen
            if everyone or (best and trial.number == best.trial)
            for run in self._runs(trial.number, trial.point)
            if not (run.pictures or run.imported)
        ]
        for number, (run, trial) in enumerate(pending, 1):
            self.watch.say(f"drawing the pictures of run {number} of {len(pending)}")
            with TemporaryDirectory(prefix="digitexp-") as folder:
                title = f"{ranking.label(run.point)} seed={run.seed}{pictures.LEAKAGE if self._leaking(trial) else ''}"
                images = {name: part.images for name, part in sets.load(self.plan.data(trial.number, trial.point)).items()}
                pictures.draw_run(reader.result(self.store, run.id), title, Path(folder), images)
                recorder.log_pictures(self.store, run.id, Path(folder))

    def _leaking(self, trial: "Trial") -> bool:
        return self.plan.data(trial.number, trial.point).allow_leakage


def _child(job: Job) -> recorder.Child:
    return recorder.Child(job.trial, job.point, job.config, job.signature)
