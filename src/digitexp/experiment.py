"""The one place where all rooms meet: a question is searched, run, tracked and ranked, and its best network kept."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitexp import planning
from digitexp.compose import compose, source
from digitexp.config import CONF, change, flatten, to_yaml
from digitexp.data import sets
from digitexp.errors import ConfigError, DataError, DigitexpError, TrackingError
from digitexp.evidence import audit as audits
from digitexp.evidence import claims, verdicts
from digitexp.evidence import report as reports
from digitexp.executors.executor import Work
from digitexp.planning import Plan
from digitexp.reports import answer, audit_pages, exploration_page, pages
from digitexp.reports import exploration as explorations
from digitexp.reports import front as front_page
from digitexp.settings import Config, seconds
from digitexp.sweep.outcome import Outcome
from digitexp.sweep.sweep import Sweep
from digitexp.tracking import ledger, liveness, patience, portable, reader, recorder, registry
from digitexp.tracking import store as stores
from digitexp.tracking.records import RunRecord, SweepRecord
from digitexp.tracking.store import Store, open_store
from digitexp.watch import Watch

if TYPE_CHECKING:
    from digitexp.recognise.submission import Submission

__all__ = ["Explored", "Outcome", "Promoted", "Reported", "audit", "explore", "front", "promote", "report", "run", "submit"]


def run(plan: Plan, text: str = "", watch: Watch | None = None, work: Work | None = None) -> Outcome:
    """Answer a question: train what is not finished, rank, register the best network. `text` says the question in words.

    A run that fails is recorded and the sweep goes on. Interrupted, every open run is closed as KILLED, and the next
    call goes on from there. `work` trains in the place of `runs.run`.
    """
    elsewhere = portable.finished(plan.config.tracking.runs)
    sets.load(plan.config.data)  # what cannot be read is refused before anything is written
    store = open_store(plan.config.tracking.uri)
    try:
        return _run(plan, text, watch or Watch(), work, store, elsewhere)
    except DigitexpError:
        raise
    except Exception as error:
        raise patience.explain(error, store.uri) or error from error


def _run(
    plan: Plan, text: str, watch: Watch, work: Work | None, store: Store, elsewhere: Mapping[str, RunRecord]
) -> Outcome:
    begun = time.monotonic()
    parent = recorder.begin_sweep(store, plan.config, plan.question, text, to_yaml(plan.config))
    with liveness.Heartbeat(store) as heart:
        heart.runs.add(parent)
        sweep = Sweep(plan, store, parent, heart, watch, elsewhere, work)
        try:
            sweep.search()
            outcome = sweep.conclude()
            sweep.close("KILLED" if outcome.early else "FAILED" if outcome.failed else "FINISHED")
        except BaseException:
            sweep.close("KILLED")
            raise
    if not (plan.config.search.refit and outcome.rows and outcome.rows[0].rank) or outcome.early:
        return outcome
    again = _refit(plan, outcome, time.monotonic() - begun, watch, work)
    if again.refitted:
        return replace(outcome, best=again.best, refitted=True)
    address, failed = sweep.conclusion.register(outcome.rows[0].scored), outcome.failed + again.failed
    return replace(outcome, best=address, refitted=False, early=again.early, left=again.left, failed=failed)


def _refit(sweep: Plan, outcome: Outcome, spent: float, watch: Watch, work: Work | None) -> Outcome:
    """Train the winner again on training and validation images together, and make that the best network of the sweep.

    It is a run of its own, outside the sweep: nothing of it can be compared with runs that left the validation images out.
    Where it fails or may not begin, its outcome is not `refitted`. `spent` are the seconds that the sweep has taken of its
    budget.
    """
    alone: dict[str, object] = {
        "search.name": None,
        "search.space": {},
        "search.method": "grid",
        "search.repeats": 1,
        "search.refit": False,
        "tracking.runs": None,
    }
    whole = {"data.validation": 0.0, "data.folds": None, "data.fold": 1, "search.objective": None, "evaluation.target": None}
    if sweep.config.search.budget:
        alone["search.budget"] = f"{max(seconds(sweep.config.search.budget) - spent, 0.001):.3f}s"
    config = change(sweep.config, {**outcome.rows[0].scored.point, **alone, **whole})
    spelt = planning.plan(config, partial(ledger.network, config.tracking.uri))
    refitted = run(spelt, "The winner, trained on training and validation images", watch, work)
    store = open_store(config.tracking.uri)
    run_id = next((found.id for found in reader.finished(store) if found.parent == refitted.parent), None)
    if run_id is None:
        return refitted
    network = reader.result(store, run_id).network
    address = registry.register_best(store, refitted.parent, outcome.experiment, run_id, network)
    return replace(refitted, best=address, refitted=True)


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
        store = open_recorded(config)
        sweep = reader.sweep(store, config.search.name, _question(config))
    folder = _folder(config, sweep)
    # Of a run that came from a runs.csv the store does not know which images it recognised; the report before may.
    gathered = reports.gather(replace(sweep, runs=portable.with_hits(sweep.runs, folder / portable.HITS)))
    models = [file.stem for file in sorted((CONF / "model").glob("*.yaml"))]
    evidence = verdicts.judge(gathered, claims.read(Path(config.report.claims), sweep.name), config.rule)
    files = pages.write(gathered, folder, models, evidence)
    if store:
        recorder.log_report(store, sweep.parent, files)
    return Reported(answer.answer(gathered), files, sweep.note)


def open_recorded(config: Config) -> Store:
    """The store that a report is made from; opening one that is not there would make it. Raises TrackingError."""
    if not stores.exists(config.tracking.uri):
        asked = config.search.name or "NAME"
        raise TrackingError(f"report: there is no store at {stores.resolve(config.tracking.uri)} yet; type digitexp "
                            f"+sweep={asked} first, or report.runs=FILE to report from a runs.csv.")  # fmt: skip
    return open_store(config.tracking.uri)


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
    usual = flatten(compose(source(config.data.name)).data, "data.")
    chosen = {path: value for path, value in flatten(config.data, "data.").items() if value != usual[path]}
    words = [f"{path}={'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"
             for path, value in chosen.items()]  # fmt: skip
    skipped = [] if config.explore.labels else ["explore.labels=false"]
    return shlex.join(["python", "-m", "digitexp", "explore", f"data={config.data.name}", *words, *skipped])


def audit(config: Config) -> Reported:
    """Judge the numbers in `report.claims` by themselves. Raises DataError when there are none."""
    found = audits.audit(claims.read_all(Path(config.report.claims)), config.rule)
    files = audit_pages.write(found, config.rule, Path(config.report.folder, audit_pages.FOLDER))
    return Reported(audit_pages.summary(found), files, "")


def front(config: Config) -> Reported:
    """Write the table of claims anew into the file `report.readme`, from the files in the folder of the reports."""
    file, folder = Path(str(config.report.readme)), Path(config.report.folder)
    front_page.write(file, folder, Path(config.report.claims), config.rule)
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
        return planning.plan(config, partial(ledger.network, config.tracking.uri)).question
    except DigitexpError:
        return None


def _folder(config: Config, sweep: SweepRecord) -> Path:
    parts = Path(sweep.name).parts
    if ".." in parts or Path(sweep.name).is_absolute():
        raise ConfigError(f"search.name={sweep.name}: cannot name a folder in {config.report.folder}; it must be a relative "
                          "path without '..'.")  # fmt: skip
    return Path(config.report.folder, sweep.name)
