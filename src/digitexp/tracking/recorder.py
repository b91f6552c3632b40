"""Write runs to MLflow: a parent for each question, a child for each (trial, seed).

A child is FINISHED only after everything of it is written: whoever finds a finished run finds all of it.
"""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.utils.file_utils import local_file_uri_to_path

from digitexp.config import flatten
from digitexp.decisive import present
from digitexp.errors import TrackingError
from digitexp.results import Failure, Result
from digitexp.settings import Config, Execution
from digitexp.tracking import artifacts, liveness, provenance
from digitexp.tracking.reader import Recorded
from digitexp.tracking.store import TAG, Store

EXPLORE = "explore"  # the experiment of looks at the data, and their folder of artifacts
NOT_ASKED = ("search.name", "search.budget", "search.max_failures")  # settings of search that are no part of the question
BATCH, METRICS = 100, 1000  # MLflow takes at most so many parameters and tags, and so many metrics, in one call


@dataclass(frozen=True)
class Child:
    """Who a child run is: its trial, its point, its configuration and its signature."""

    trial: int
    point: Mapping[str, Any]
    config: Config
    signature: str

    @property
    def name(self) -> str:
        """What differs between the runs of a sweep, and nothing else."""
        settings = [f"{path}={value}" for path, value in self.point.items()]
        return " ".join([*settings, f"seed={self.config.seed}"])

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What is logged of the configuration: what is varied too where it changes nothing, and nothing that is null."""
        decided = present(self.config) | dict(self.point)
        return {path: value for path, value in decided.items() if value is not None}


@dataclass(frozen=True)
class Begun:
    """A run that the store has begun: its id, and the address of its files."""

    id: str
    files: str


def begin_sweep(store: Store, config: Config, question: str, text: str, resolved: str) -> str:
    """The parent run of this question, RUNNING: the recorded one when the question was asked before, else a new one."""
    name = config.experiment
    experiment = store.experiment(name)
    liveness.close_stale(store, experiment)
    wanted = f"tags.`{TAG}question` = '{question}'"
    oldest = ["attributes.start_time ASC", "attributes.run_id ASC"]
    known = store.client.search_runs([experiment], wanted, max_results=1, order_by=oldest)
    # Who it is comes before, or with, its being under way: what runs and does not say who runs it is taken for dead.
    if known:
        parent = str(known[0].info.run_id)
        _refuse_twice(known[0])
        _log(store, parent, tags=liveness.identity() | provenance.tags())
        store.client.update_run(parent, status="RUNNING")
    else:
        tags = {f"{TAG}kind": "sweep", f"{TAG}question": question, "mlflow.note.content": text, "mlflow.runName": name}
        tags |= liveness.identity() | provenance.tags()
        parent = str(store.client.create_run(experiment, tags=tags, run_name=name).info.run_id)
        asked = {path: value for path, value in flatten(config.search, "search.").items() if path not in NOT_ASKED}
        _log(store, parent, params=asked)
    store.client.log_text(parent, resolved, "config.yaml")
    first = store.client.search_runs([experiment], wanted, max_results=1, order_by=oldest)[0]
    try:
        _refuse_twice(first)  # the same command may have been typed twice at once
    except TrackingError:
        if first.info.run_id != parent:
            store.client.set_terminated(parent, "KILLED")
        raise
    return parent


def _refuse_twice(parent: Any) -> None:
    tags, ours = parent.data.tags, liveness.identity()
    elsewhere = any(tags.get(f"{TAG}{name}") != ours[f"{TAG}{name}"] for name in ("host", "pid", "process_start"))
    if parent.info.status == "RUNNING" and elsewhere:
        raise TrackingError(f"{parent.info.run_name}: process {tags.get(f'{TAG}pid')} on {tags.get(f'{TAG}host')} is "
                            "answering this very question; wait for it, or end it and type the command again (if its "
                            "machine is gone, in five minutes).")  # fmt: skip


def begin_run(store: Store, parent: str, child: Child, started: str = "") -> Begun:
    """A new child run, RUNNING, with its parameters; `started` is when, where that is not now."""
    tags = {
        f"{TAG}kind": "run",
        f"{TAG}signature": child.signature,
        f"{TAG}trial": str(child.trial),
        f"{TAG}point": json.dumps(dict(child.point)),
        f"{TAG}rule": child.config.rule.digest,
        "mlflow.parentRunId": parent,
        "mlflow.source.name": "digitexp",
    }
    start = int(datetime.fromisoformat(started).timestamp() * 1000) if started else None
    tags |= liveness.identity() | provenance.tags() | _trained_by(child.config.execution)
    created = store.client.create_run(_experiment(store.client, parent), start, tags, child.name)
    run = Begun(str(created.info.run_id), str(created.info.artifact_uri))
    _log(store, run.id, params=child.settings)
    return run


def _trained_by(execution: Execution) -> dict[str, str]:
    """How many runs share the machine; or that it is another one, of which nothing is known here."""
    if execution.sharing:
        return {f"{TAG}workers": str(execution.sharing)}
    return {f"{TAG}{name}": "" for name in ("cpu", "cores", "memory")} | {f"{TAG}cluster": execution.executor}


@lru_cache(maxsize=8)
def _experiment(client: Any, run: str) -> str:
    """The experiment of a run, which stays what it is."""
    return str(client.get_run(run).info.experiment_id)


def log_epochs(store: Store, run: str, epochs: Mapping[int, Mapping[str, float]]) -> None:
    """The measures of some epochs, in one call."""
    _log(store, run, metrics=[(name, value, epoch) for epoch in sorted(epochs) for name, value in epochs[epoch].items()])


def finish_run(
    store: Store,
    run: Begun,
    child: Child,
    result: Result,
    about: Mapping[str, str] | None = None,
    logged: Collection[int] = (),
) -> None:
    """Write all of a result and end the run of `child`; of its curves, the epochs that are not `logged` yet.

    `about` has tags for one that was trained elsewhere, as below.
    """
    last = int(result.metrics["epochs"])
    # Curves first, as if each epoch had been written when it ended: a table has its columns in this order.
    metrics = [
        (name, value, step)
        for name, values in result.curves.items()
        for step, value in enumerate(values, 1)
        if step not in logged
    ]
    # Where training went back to the weights of its best epoch, that is its last step.
    metrics += [
        (name, value, last + 1)
        for name, value in result.metrics.items()
        if name in result.curves and value != result.curves[name][-1]
    ]
    metrics += [(name, value, last) for name, value in result.metrics.items() if name not in result.curves]
    used = {path: value for path, value in result.used.items() if path not in child.settings}
    _log(store, run.id, params=used, metrics=metrics, tags=about)
    store.client.log_inputs(run.id, datasets=[
        DatasetInput(Dataset(name=f"{child.config.data.name}-{part}", digest=digest[:36], source_type="local",
                             source=json.dumps({"sha256": digest})), tags=[])
        for part, digest in result.digests.items()
    ])  # fmt: skip
    with _files(store, run) as folder:
        artifacts.write(result, folder)
    store.client.set_terminated(run.id, "FINISHED")


@contextmanager
def _files(store: Store, run: Begun) -> Iterator[Path]:
    """A folder for the files of a run: their own place where it is on this machine, else one that is sent."""
    # MLflow would ask for the whole run to learn its address, and copy: a third of what it costs to record a short run.
    if run.files.startswith("file:"):
        folder = Path(local_file_uri_to_path(run.files))
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    else:
        with TemporaryDirectory() as sent:
            yield Path(sent)
            store.client.log_artifacts(run.id, sent)


def trained_in(run: Recorded) -> dict[str, str]:
    """The tags of a run that another sweep of this store trained, or imported."""
    return {f"{TAG}trained_in": run.id} | ({f"{TAG}imported_from": run.imported} if run.imported else {})


def imported_from(file: str, facts: Mapping[str, str]) -> dict[str, str]:
    """The tags of a run that a runs.csv tells of: machine, versions and commit are those that trained it."""
    told = {"workers": "1", **facts}  # a file of before says nothing of them
    tags = {f"{TAG}{name}": value for name, value in told.items() if name not in ("commit", "trained_in")}
    known = {f"{TAG}rule": facts.get("rule", ""), "mlflow.source.git.commit": facts.get("commit", "")}
    return tags | known | {f"{TAG}imported_from": file}


def log_plan(store: Store, parent: str, estimated: float, took: float) -> None:
    """What training was to take by the plan, and what it took, in seconds."""
    _log(store, parent, metrics=[
        ("plan/estimated_seconds", estimated, 0), ("plan/seconds", took, 0), ("plan/ratio", took / max(estimated, 1e-9), 0)
    ])  # fmt: skip


def fail_run(store: Store, run: str, failure: Failure) -> None:
    """End a run as FAILED, with its cause."""
    store.client.log_text(run, failure.details, "error.txt")
    _log(store, run, tags={f"{TAG}error": failure.message[:5000]})
    store.client.set_terminated(run, "FAILED")


def disown(store: Store, run: str) -> None:
    """Mark a finished run whose files are gone as FAILED, so that it is trained again."""
    _log(store, run, tags={f"{TAG}error": "its files are gone"})
    store.client.set_terminated(run, "FAILED")


def end(store: Store, run: str, status: str) -> None:
    """End a run as FINISHED, FAILED or KILLED."""
    store.client.set_terminated(run, status)


def log_pictures(store: Store, run: str, folder: Path) -> None:
    """The pictures of a run, which are then not drawn again."""
    log_files(store, run, folder)
    _log(store, run, tags={f"{TAG}pictures": "drawn"})


def log_files(store: Store, run: str, folder: Path) -> None:
    """Everything in a folder, as artifacts."""
    store.client.log_artifacts(run, str(folder))


def log_report(store: Store, run: str, files: Sequence[Path]) -> None:
    """The files of a report, as artifacts of the sweep."""
    for file in files:
        store.client.log_artifact(run, str(file), "report")


def record_sitting(
    store: Store, identity: str, name: str, settings: Mapping[str, Any], curve: Sequence[tuple[int, Mapping[str, float]]],
    folder: Path,
) -> str:  # fmt: skip
    """A sitting of drawings as one run in the experiment `sittings`, with measures after each number of drawings.

    The run of that identity is written anew where there is one. `folder` holds its files.
    """
    experiment = store.experiment("sittings")
    for known in store.client.search_runs([experiment], f"tags.`{TAG}sitting` = '{identity}'"):
        store.client.delete_run(known.info.run_id)
    tags = {f"{TAG}kind": "sitting", f"{TAG}sitting": identity}
    run = str(store.client.create_run(experiment, tags=tags, run_name=name).info.run_id)
    metrics = [(metric, value, step) for step, values in curve for metric, value in values.items()]
    _log(store, run, params=settings, metrics=metrics, tags=provenance.tags())
    store.client.log_artifacts(run, str(folder))
    store.client.set_terminated(run, "FINISHED")
    return run


def log_exploration(store: Store, config: Config, name: str, metrics: Mapping[str, float], files: Sequence[Path]) -> str:
    """A finished run of the experiment `explore`, with the settings of the data, the counts, and the files; its id."""
    experiment = store.experiment(EXPLORE)
    tags = {f"{TAG}kind": "exploration", "mlflow.source.name": "digitexp"}
    run = str(store.client.create_run(experiment, tags=tags, run_name=name).info.run_id)
    settings = {path: value for path, value in flatten(config.data, "data.").items() if value is not None}
    _log(store, run, params=settings, metrics=[(name, value, 0) for name, value in metrics.items()], tags=provenance.tags())
    for file in files:
        store.client.log_artifact(run, str(file), EXPLORE)
    store.client.set_terminated(run, "FINISHED")
    return run


def _log(
    store: Store,
    run: str,
    params: Mapping[str, Any] | None = None,
    metrics: Sequence[tuple[str, float, int]] = (),
    tags: Mapping[str, str] | None = None,
) -> None:
    now = int(time.time() * 1000)
    parameters = [Param(name, str(value)) for name, value in (params or {}).items()]
    marks = [RunTag(name, value) for name, value in (tags or {}).items()]
    values = [Metric(name, float(value), now, step) for name, value, step in metrics]
    for first in range(0, max(len(parameters), len(marks), -(-len(values) // METRICS) * BATCH, 1), BATCH):
        part = slice(first, first + BATCH)
        many = slice(first // BATCH * METRICS, (first // BATCH + 1) * METRICS)
        store.client.log_batch(run, metrics=values[many], params=parameters[part], tags=marks[part])
