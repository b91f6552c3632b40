"""The one place where all rooms meet: a question is searched, run, tracked and ranked, and its best network kept."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from digitexp import planning
from digitexp.compose import CONF, compose
from digitexp.config import change, flatten, to_yaml
from digitexp.data import sets, sources
from digitexp.errors import ConfigError, DataError, DigitexpError, TrackingError
from digitexp.planning import Job, Plan
from digitexp.reports import answer, audit_pages, claims, exploration_page, pages, pictures, ranking, verdicts
from digitexp.reports import audit as audits
from digitexp.reports import exploration as explorations
from digitexp.reports import front as front_page
from digitexp.reports import report as reports
from digitexp.reports.ranking import Row, Scored
from digitexp.results import Failure, Result
from digitexp.settings import Config
from digitexp.signature import question
from digitexp.tracking import liveness, portable, reader, recorder, registry
from digitexp.tracking import store as stores
from digitexp.tracking.reader import Recorded
from digitexp.tracking.records import RunRecord, SweepRecord
from digitexp.tracking.store import Store, open_store
from digitexp.training.engines import resolve
from digitexp.watch import Watch

# `runs` and `search` bring TensorFlow along, which takes seconds: they are imported where they are used.
if TYPE_CHECKING:
    from digitexp.recognise.submission import Submission
    from digitexp.search.loop import Trial


@dataclass(frozen=True)
class Outcome:
    """A finished sweep."""

    rows: Sequence[Row]
    trained: int
    reused: int
    imported: int
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
    elsewhere = portable.finished(plan.config.tracking.runs)
    sets.load(plan.config.data)  # what cannot be read is refused before anything is written
    store = open_store(plan.config.tracking.uri)
    parent = recorder.begin_sweep(store, plan.config, plan.question, text, to_yaml(plan.config))
    with liveness.Heartbeat(store) as heart:
        heart.runs.add(parent)
        sweep = _Sweep(plan, store, parent, heart, watch or Watch(), elsewhere)
        try:
            sweep.search()
            outcome = sweep.conclude()
        except BaseException:
            sweep.close("KILLED")
            raise
    recorder.end(store, parent, "FAILED" if outcome.failed else "FINISHED")
    if plan.config.search.refit and outcome.rows[0].rank:
        return replace(outcome, best=_refit(plan, outcome, watch))
    return outcome


def _refit(sweep: Plan, outcome: Outcome, watch: Watch | None) -> str | None:
    """Train the winner again on training and validation images together, and make that the best network of the sweep.

    It is a run of its own, outside the sweep: nothing of it can be compared with runs that left the validation images out.
    """
    alone: dict[str, object] = {
        "search.name": None,
        "search.space": {},
        "search.method": "grid",
        "search.repeats": 1,
        "search.refit": False,
        "tracking.runs": None,
    }
    whole = {"data.validation": 0.0, "data.folds": None, "data.fold": 1, "search.objective": None}
    config = change(sweep.config, {**outcome.rows[0].scored.point, **alone, **whole})
    refitted = run(planning.plan(config), "The winner, trained on training and validation images", watch)
    store = open_store(config.tracking.uri)
    run_id = next(found.id for found in reader.finished(store) if found.parent == refitted.parent)
    return registry.register_best(store, refitted.parent, outcome.experiment, run_id, reader.result(store, run_id).network)


@dataclass(frozen=True)
class Reported:
    """A written report: its answer, the files, and what to know of the choice of the sweep, if anything."""

    answer: str
    files: Sequence[Path]
    note: str


def report(config: Config) -> Reported:
    """Write the report of a recorded sweep into its folder, from the store or from the file `report.runs`.

    From the store, it also becomes an artifact of the sweep. Needs no TensorFlow, and no data. Raises TrackingError when
    the sweep is not recorded, DataError for a file that is no runs.csv.
    """
    store = None
    if config.report.runs:
        file = Path(config.report.runs)
        sweep = portable.read(file, config.search.name, f"report.runs={file}")
    else:
        if not stores.exists(config.tracking.uri):
            asked = config.search.name or "NAME"
            raise TrackingError(f"report: there is no store at {stores.resolve(config.tracking.uri)} yet; type digitexp "
                                f"+sweep={asked} first, or report.runs=FILE to report from a runs.csv.")  # fmt: skip
        store = open_store(config.tracking.uri)
        sweep = reader.sweep(store, config.search.name, _question(config))
    gathered = reports.gather(sweep)
    models = [file.stem for file in sorted((CONF / "model").glob("*.yaml"))]
    folder = _folder(config, sweep)
    evidence = verdicts.judge(gathered, claims.read(Path(config.report.folder), sweep.name), config.rule)
    files = pages.write(gathered, folder, models, evidence)
    if store:
        recorder.log_report(store, sweep.parent, files)
    return Reported(answer.answer(gathered), files, sweep.note)


@dataclass(frozen=True)
class Promoted:
    """The champion that was chosen, what it was chosen from, and the champion before, or ""."""

    address: str
    chosen: str
    before: str


def promote(config: Config) -> Promoted:
    """Move the alias `champion` to a network, or to the best one of a sweep. Raises ConfigError, TrackingError."""
    asked = config.promote.model or config.search.name
    if asked is None:
        raise ConfigError("promote: found no network to promote; type digitexp promote SWEEP, or models:/NAME@ALIAS.")
    chosen = asked if asked.startswith("models:") else f"models:/{registry.model_name(asked)}@{registry.ALIAS}"
    if not stores.exists(config.tracking.uri):
        raise TrackingError(f"promote: there is no store at {stores.resolve(config.tracking.uri)} yet; "
                            "type digitexp +sweep=NAME first.")  # fmt: skip
    address, before = registry.promote(open_store(config.tracking.uri), chosen)
    return Promoted(address, chosen, before)


@dataclass(frozen=True)
class Explored:
    """A look at the data: what stands out, the files, and the id of the run that has them."""

    summary: str
    files: Sequence[Path]
    run: str


def explore(config: Config, say: Callable[[str], None] = lambda text: None) -> Explored:
    """Look at the data, and write what there is to see into its folder in `explore.folder` and into the store.

    `say` is told what is being done. Needs no TensorFlow. Raises DataError.
    """
    exploration = explorations.gather(config.data, config.explore.labels, say)
    drawn = "" if config.data.drawn.source == "none" else "-drawn"
    name = f"{config.data.name}{drawn}"
    say("drawing the figures")
    files = exploration_page.write(exploration, Path(config.explore.folder, name), _explore_command(config))
    say("writing to MLflow")
    store = open_store(config.tracking.uri)
    run_id = recorder.log_exploration(store, config, name, exploration_page.measured(exploration), files)
    return Explored(exploration_page.summary(exploration), files, run_id)


def _explore_command(config: Config) -> str:
    """What to type for this look: the settings that are not those of the data's own file."""
    usual = flatten(compose([f"data={config.data.name}"]).data, "data.")
    chosen = {path: value for path, value in flatten(config.data, "data.").items() if value != usual[path]}
    words = [f"{path}={'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"
             for path, value in chosen.items()]  # fmt: skip
    skipped = [] if config.explore.labels else ["explore.labels=false"]
    return shlex.join(["python", "-m", "digitexp", "explore", f"data={config.data.name}", *words, *skipped])


def audit(config: Config) -> Reported:
    """Judge the reported numbers in the folder of the reports by themselves. Raises DataError when there are none."""
    folder = Path(config.report.folder)
    found = audits.audit(claims.read_all(folder), config.rule)
    return Reported(audit_pages.summary(found), audit_pages.write(found, config.rule, folder / audit_pages.FOLDER), "")


def front(config: Config) -> Reported:
    """Write the table of claims anew into the file `report.readme`, from the files in the folder of the reports."""
    file, folder = Path(str(config.report.readme)), Path(config.report.folder)
    front_page.write(file, folder, config.rule)
    return Reported(f"The table of claims in {file} says what the files in {folder} say.", [file], "")


def submit(config: Config) -> "Submission":
    """Write `submit.file` from `submit.models`; what its images were used for before is told by the networks' own runs."""
    from digitexp.recognise import submission

    def settings_of(address: str) -> dict[str, Any]:
        if not address.startswith("models:"):
            raise DataError(f"{address}: a file does not say what it was trained on.")
        if not stores.exists(config.tracking.uri):  # opening it would make one
            raise TrackingError(f"{address}: there is no store at {stores.resolve(config.tracking.uri)} yet.")
        store = open_store(config.tracking.uri)
        return reader.settings(store, registry.fetch(store, address).run)

    return submission.submit(config, settings_of)


def _question(config: Config) -> str | None:
    """The question that is asked, if it can be told: its data may lie on another machine."""
    try:
        return question(resolve(config), sources.source_digests(config.data))
    except DigitexpError:
        return None


def _folder(config: Config, sweep: SweepRecord) -> Path:
    parts = Path(sweep.name).parts
    if ".." in parts or Path(sweep.name).is_absolute():
        raise ConfigError(f"search.name={sweep.name}: cannot name a folder in {config.report.folder}; it must be a relative "
                          "path without '..'.")  # fmt: skip
    return Path(config.report.folder, sweep.name)


class _Sweep:
    """One invocation of a sweep: what is known to be finished, what is being trained, and what failed."""

    def __init__(self, plan: Plan, store: Store, parent: str, heart: liveness.Heartbeat, watch: Watch,
                 elsewhere: Mapping[str, RunRecord]) -> None:  # fmt: skip
        self.plan, self.store, self.parent, self.heart, self.watch = plan, store, parent, heart, watch
        self.objective = plan.config.search.objective
        self.trials: list[Trial] = []
        self.trained = self.reused = self.imported = 0
        self.failures: dict[int, str] = {}
        self._own: dict[tuple[int, str], Recorded] = {}
        self._anywhere: dict[str, Recorded] = {}
        self._elsewhere = elsewhere
        for found in reader.finished(store):
            self._remember(found)

    def search(self) -> None:
        """Have every trial proposed, and its runs finished."""
        from digitexp.search.loop import search

        direction = ranking.direction(self.objective or "")
        settings = self.plan.config.search
        self.trials = search(
            settings.method, self.plan.parameters, self.plan.points, self._evaluate,
            trials=settings.trials, direction=direction, seed=self.plan.config.seed,
        )  # fmt: skip

    def conclude(self) -> Outcome:
        """Rank the trials, write table and pictures, and register the best network."""
        self.watch.say("comparing the runs")
        rows = ranking.rank([self._scored(trial) for trial in self.trials], self.objective)
        best = rows[0].scored if rows and rows[0].rank else None
        self._draw(rows, best)
        address = None
        if best and not self.plan.config.search.refit:
            self.watch.say("registering the best network")
            first = self._runs(best.trial, best.point)[0]
            network = reader.result(self.store, first.id).network
            address = registry.register_best(self.store, self.parent, self._name, first.id, network)
        failed = len(self.failures)
        return Outcome(rows, self.trained, self.reused, self.imported, failed, self._name, self.parent, address,
                       self.store.uri)  # fmt: skip

    def close(self, status: str) -> None:
        """End every run that this invocation holds open."""
        for run in list(self.heart.runs):
            recorder.end(self.store, run, status)

    @property
    def _name(self) -> str:
        return self.plan.config.experiment

    def _evaluate(self, trials: Sequence["Trial"]) -> list[float | None]:
        """The mean objective of each trial; None where a run failed."""
        jobs = [job for trial in trials for job in self.plan.jobs(trial.number, trial.point)]
        known = {*self._anywhere, *self._elsewhere}
        self._train([job for job in jobs if job.signature not in known])
        for job in jobs:
            if (job.trial, job.signature) in self._own:
                continue
            if job.signature in self._anywhere:
                self._reuse(job, self._anywhere[job.signature])
            elif job.signature in self._elsewhere:
                self._import(job, self._elsewhere[job.signature])
        return [None if trial.number in self.failures else self._value(trial) for trial in trials]

    def _value(self, trial: "Trial") -> float:
        if self.objective is None:
            return 0.0
        return float(np.mean([run.metrics[self.objective] for run in self._runs(trial.number, trial.point)]))

    def _train(self, jobs: Sequence[Job]) -> None:
        from digitexp import runs

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
            for index, outcome in runs.run([job.config for job in unique], Path(folder), on_epoch):
                job, run = unique[index], ids[index]
                if isinstance(outcome, Failure):
                    recorder.fail_run(self.store, run, outcome)
                    self.failures |= {same.trial: outcome.message for same in jobs if same.signature == job.signature}
                else:
                    recorder.finish_run(self.store, run, outcome)
                    self._remember(reader.one(self.store, run))
                    self.trained += 1
                self.heart.runs.discard(run)
                self.watch.end(job, outcome)

    def _reuse(self, job: Job, source: Recorded) -> None:
        """Write a run that was trained elsewhere again as a child of this sweep."""
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
        recorder.finish_run(self.store, run, result, about)
        self._remember(reader.one(self.store, run))

    def _remember(self, run: Recorded) -> None:
        if run.parent == self.parent:
            self._own[run.trial, run.signature] = run
        self._anywhere.setdefault(run.signature, run)

    def _runs(self, trial: int, point: Mapping[str, object]) -> list[Recorded]:
        return [self._own[trial, job.signature] for job in self.plan.jobs(trial, dict(point))]

    def _scored(self, trial: "Trial") -> Scored:
        if trial.number in self.failures:
            return Scored(trial.number, trial.point, [], {}, self.failures[trial.number])
        found = self._runs(trial.number, trial.point)
        metrics = [run.metrics for run in found]
        if any(run.imported for run in found):
            return Scored(trial.number, trial.point, metrics, {}, images=reader.images(self.store, found[0].id))
        predicted = [reader.predictions(self.store, run.id) for run in found]
        hits = {name: [one[name].hits for one in predicted] for name in predicted[0]}
        return Scored(trial.number, trial.point, metrics, hits)

    def _draw(self, rows: Sequence[Row], best: Scored | None) -> None:
        """Table and picture of the sweep; pictures of every run that has none yet, or of the best trial's only."""
        with TemporaryDirectory(prefix="digitexp-") as folder:
            ranking.table(rows).to_csv(Path(folder, "results.csv"), index=False)
            if best:
                mark = pictures.LEAKAGE if any(self._leaking(trial) for trial in self.trials) else ""
                pictures.draw_ranking(rows, str(self.objective), f"{self._name}{mark}", Path(folder, "ranking.png"))
            recorder.log_files(self.store, self.parent, Path(folder))
        everyone = self.plan.config.tracking.pictures == "all"
        chosen = [trial for trial in self.trials if trial.number not in self.failures]
        pending = [
            (run, pictures.LEAKAGE if self._leaking(trial) else "")
            for trial in chosen
            if everyone or (best and trial.number == best.trial)
            for run in self._runs(trial.number, trial.point)
            if not (run.pictures or run.imported)
        ]
        for number, (run, mark) in enumerate(pending, 1):
            self.watch.say(f"drawing the pictures of run {number} of {len(pending)}")
            with TemporaryDirectory(prefix="digitexp-") as folder:
                title = f"{ranking.label(run.point)} seed={run.seed}{mark}"
                pictures.draw_run(reader.result(self.store, run.id), title, Path(folder))
                recorder.log_pictures(self.store, run.id, Path(folder))

    def _leaking(self, trial: "Trial") -> bool:
        return change(self.plan.config, trial.point).data.allow_leakage


def _child(job: Job) -> recorder.Child:
    return recorder.Child(job.trial, job.point, job.config, job.signature)
