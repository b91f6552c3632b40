"""The one place where all rooms meet: a question is searched, run, tracked and ranked, and its best network kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from digitexp import runs
from digitexp.config import to_yaml
from digitexp.data import sets
from digitexp.planning import Job, Plan
from digitexp.reports import pictures, ranking
from digitexp.reports.ranking import Row, Scored
from digitexp.results import Failure
from digitexp.search.loop import Trial, search
from digitexp.tracking import liveness, reader, recorder, registry
from digitexp.tracking.reader import Recorded
from digitexp.tracking.store import Store, open_store
from digitexp.watch import Watch


@dataclass(frozen=True)
class Outcome:
    """A finished sweep."""

    rows: Sequence[Row]
    trained: int
    reused: int
    failed: int
    experiment: str
    parent: str
    best: str | None  # the address of the registered model
    store: str

    @property
    def table(self) -> pd.DataFrame:
        """The ranking, one row a trial."""
        return ranking.table(self.rows)


def run(plan: Plan, text: str = "", watch: Watch | None = None) -> Outcome:
    """Answer a question: train what is not finished, rank, register the best network. `text` says the question in words.

    A run that fails is recorded and the sweep goes on. Interrupted, every open run is closed as KILLED, and the next
    call goes on from there.
    """
    sets.load(plan.config.data)  # what cannot be read is refused before anything is written
    store = open_store(plan.config.tracking.uri)
    parent = recorder.begin_sweep(store, plan.config, plan.question, text, to_yaml(plan.config))
    with liveness.Heartbeat(store) as heart:
        heart.runs.add(parent)
        sweep = _Sweep(plan, store, parent, heart, watch or Watch())
        try:
            sweep.search()
            outcome = sweep.conclude()
        except BaseException:
            sweep.close("KILLED")
            raise
    recorder.end(store, parent, "FAILED" if outcome.failed else "FINISHED")
    return outcome


class _Sweep:
    """One invocation of a sweep: what is known to be finished, what is being trained, and what failed."""

    def __init__(self, plan: Plan, store: Store, parent: str, heart: liveness.Heartbeat, watch: Watch) -> None:
        self.plan, self.store, self.parent, self.heart, self.watch = plan, store, parent, heart, watch
        self.objective = plan.config.search.objective
        self.trials: list[Trial] = []
        self.trained = self.reused = 0
        self.failures: dict[int, str] = {}
        self._own: dict[tuple[int, str], Recorded] = {}
        self._anywhere: dict[str, Recorded] = {}
        for found in reader.finished(store):
            self._remember(found)

    def search(self) -> None:
        """Have every trial proposed, and its runs finished."""
        direction = ranking.direction(self.objective or "")
        settings = self.plan.config.search
        self.trials = search(
            self.plan.parameters, self.plan.points, self._evaluate,
            trials=settings.trials, direction=direction, seed=self.plan.config.seed,
        )  # fmt: skip

    def conclude(self) -> Outcome:
        """Rank the trials, write table and pictures, and register the best network."""
        self.watch.say("comparing the runs")
        rows = ranking.rank([self._scored(trial) for trial in self.trials], self.objective)
        best = rows[0].scored if rows and rows[0].rank else None
        self._draw(rows, best)
        address = None
        if best:
            self.watch.say("registering the best network")
            first = self._runs(best.trial, best.point)[0]
            network = reader.result(self.store, first.id).network
            address = registry.register_best(self.store, self.parent, self._name, first.id, network)
        failed = len(self.failures)
        return Outcome(rows, self.trained, self.reused, failed, self._name, self.parent, address, self.store.uri)

    def close(self, status: str) -> None:
        """End every run that this invocation holds open."""
        for run in list(self.heart.runs):
            recorder.end(self.store, run, status)

    @property
    def _name(self) -> str:
        return self.plan.config.experiment

    def _evaluate(self, trials: Sequence[Trial]) -> list[float | None]:
        """The mean objective of each trial; None where a run failed."""
        jobs = [job for trial in trials for job in self.plan.jobs(trial.number, trial.point)]
        self._train([job for job in jobs if job.signature not in self._anywhere])
        for job in jobs:
            if (job.trial, job.signature) not in self._own and job.signature in self._anywhere:
                self._reuse(job, self._anywhere[job.signature])
        return [None if trial.number in self.failures else self._value(trial) for trial in trials]

    def _value(self, trial: Trial) -> float:
        if self.objective is None:
            return 0.0
        return float(np.mean([run.metrics[self.objective] for run in self._runs(trial.number, trial.point)]))

    def _train(self, jobs: Sequence[Job]) -> None:
        unique = list({job.signature: job for job in jobs}.values())
        ids: dict[int, str] = {}

        def on_epoch(index: int, epoch: int, metrics: Mapping[str, float]) -> bool:
            job = unique[index]
            if epoch == 0:
                ids[index] = recorder.begin_run(self.store, self.parent, _child(job))
                self.heart.runs.add(ids[index])
                self.watch.begin(job, index + 1, len(unique))
            else:
                recorder.log_epoch(self.store, ids[index], epoch, metrics)
                self.watch.epoch(job, epoch, metrics)
            return True

        with TemporaryDirectory(prefix="digitexp-") as folder:
            for index, outcome in enumerate(runs.run([job.config for job in unique], Path(folder), on_epoch)):
                job, run = unique[index], ids[index]
                if isinstance(outcome, Failure):
                    recorder.fail_run(self.store, run, outcome)
                    self.failures[job.trial] = outcome.message
                else:
                    recorder.finish_run(self.store, run, outcome)
                    self._remember(reader.one(self.store, run))
                    self.trained += 1
                self.heart.runs.discard(run)
                self.watch.end(job, outcome)

    def _reuse(self, job: Job, source: Recorded) -> None:
        """Write a run that was trained elsewhere again as a child of this sweep."""
        run = recorder.begin_run(self.store, self.parent, _child(job))
        recorder.finish_run(self.store, run, reader.result(self.store, source.id), trained_in=source.id)
        self._remember(reader.one(self.store, run))
        self.reused += 1

    def _remember(self, run: Recorded) -> None:
        if run.parent == self.parent:
            self._own[run.trial, run.signature] = run
        self._anywhere.setdefault(run.signature, run)

    def _runs(self, trial: int, point: Mapping[str, object]) -> list[Recorded]:
        return [self._own[trial, job.signature] for job in self.plan.jobs(trial, dict(point))]

    def _scored(self, trial: Trial) -> Scored:
        if trial.number in self.failures:
            return Scored(trial.number, trial.point, [], {}, self.failures[trial.number])
        found = self._runs(trial.number, trial.point)
        predicted = [reader.predictions(self.store, run.id) for run in found]
        hits = {name: [one[name].hits for one in predicted] for name in predicted[0]}
        return Scored(trial.number, trial.point, [run.metrics for run in found], hits)

    def _draw(self, rows: Sequence[Row], best: Scored | None) -> None:
        """Table and picture of the sweep; pictures of every run that has none yet, or of the best trial's only."""
        with TemporaryDirectory(prefix="digitexp-") as folder:
            ranking.table(rows).to_csv(Path(folder, "results.csv"), index=False)
            if best:
                pictures.draw_ranking(rows, str(self.objective), self._name, Path(folder, "ranking.png"))
            recorder.log_files(self.store, self.parent, Path(folder))
        everyone = self.plan.config.tracking.pictures == "all"
        chosen = [trial for trial in self.trials if trial.number not in self.failures]
        pending = [
            run
            for trial in chosen
            if everyone or (best and trial.number == best.trial)
            for run in self._runs(trial.number, trial.point)
            if not run.pictures
        ]
        for number, run in enumerate(pending, 1):
            self.watch.say(f"drawing the pictures of run {number} of {len(pending)}")
            with TemporaryDirectory(prefix="digitexp-") as folder:
                title = f"{ranking.label(run.point)} seed={run.seed}"
                pictures.draw_run(reader.result(self.store, run.id), title, Path(folder))
                recorder.log_pictures(self.store, run.id, Path(folder))


def _child(job: Job) -> recorder.Child:
    return recorder.Child(job.trial, job.point, job.config, job.signature)
