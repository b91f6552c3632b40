"""Read runs back from MLflow: which are finished, and what they gave."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from digitexp.config import from_yaml
from digitexp.decisive import NEUTRAL, decisive
from digitexp.errors import TrackingError, nearest
from digitexp.results import Predictions, Result
from digitexp.tracking import artifacts
from digitexp.tracking.records import RunRecord, SweepRecord
from digitexp.tracking.store import NETWORK, TAG, Store

PAGE = 1000  # runs in one answer of the store
CLOCKS = 60  # seconds by which those of several machines may differ


@dataclass(frozen=True)
class Recorded:
    """A finished run in the store."""

    id: str
    parent: str
    signature: str
    trial: int
    seed: int
    point: Mapping[str, Any]
    metrics: Mapping[str, float]
    kind: str  # of the network, or "lanes" where several were trained as one: what its cost may be compared with
    host: str
    trained_in: str
    workers: int  # runs that shared the machine with it, itself counted; 0 where that was another one, of a cluster
    imported: str  # the runs.csv that it came from: there are metrics, and neither predictions nor network
    pictures: bool

    @property
    def machine_seconds(self) -> float | None:
        """Its share of the seconds in which the machine was its and others': so long would the whole machine have taken."""
        return self.metrics["seconds"] / self.workers if "seconds" in self.metrics and self.workers else None


def finished(store: Store, since: float = 0.0) -> list[Recorded]:
    """Every finished run of every sweep, oldest first; those that ended after `since` (seconds, as `time.time` gives)."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    wanted = f"attributes.status = 'FINISHED' and tags.`{TAG}kind` = 'run'"
    if since:
        wanted += f" and attributes.end_time >= {int((since - CLOCKS) * 1000)}"
    return [_recorded(run) for run in _search(store, experiments, wanted)]


def one(store: Store, run: str) -> Recorded:
    """A finished run by its id."""
    return _recorded(store.client.get_run(run))


def missing(store: Store, run: Recorded) -> list[str]:
    """Which of the files of a finished run are gone; an imported one has its numbers alone, a baseline no network."""
    there = {file.path for file in store.client.list_artifacts(run.id)}
    files = [artifacts.RESULT] if run.imported else [artifacts.RESULT, artifacts.PREDICTIONS]
    files += [NETWORK] if not run.imported and run.kind != "baseline" else []
    return [name for name in files if name not in there]


def has(store: Store, parent: str, trial: int, signature: str) -> bool:
    """Whether a run of a sweep is finished."""
    experiment = store.client.get_run(parent).info.experiment_id
    wanted = (f"attributes.status = 'FINISHED' and tags.`mlflow.parentRunId` = '{parent}' and "
              f"tags.`{TAG}signature` = '{signature}' and tags.`{TAG}trial` = '{trial}'")  # fmt: skip
    return bool(store.client.search_runs([experiment], wanted, max_results=1))


def record(store: Store, run: str) -> RunRecord:
    """All that a report knows of a finished run, by its id."""
    child = store.client.get_run(run)
    parent = child.data.tags["mlflow.parentRunId"]
    return _run_record(store, child, from_yaml(_local(store, parent, "config.yaml").read_text("utf-8")))


def predictions(store: Store, run: str) -> dict[str, Predictions]:
    """What a finished run says of every evaluation set."""
    return artifacts.read_predictions(_local(store, run, artifacts.PREDICTIONS))


def images(store: Store, run: str) -> dict[str, int]:
    """How many images each set held on which a finished run was scored."""
    return {part: count for part, count in _plain(store, run).get("images", {}).items() if part != "train"}


def digests(store: Store, run: str) -> dict[str, str]:
    """What stands for the bytes of each set on which a finished run was scored."""
    found: dict[str, str] = _plain(store, run)["digests"]
    return found


def result(store: Store, run: str) -> Result:
    """All of a finished run."""
    return artifacts.read(_local(store, run, ""))


def settings(store: Store, run: str) -> dict[str, Any]:
    """The settings from which a finished run can be trained again, its seed among them, as `{dotted path: value}`."""
    found = store.client.get_run(run)
    asked = from_yaml(_local(store, found.data.tags["mlflow.parentRunId"], "config.yaml").read_text("utf-8"))
    point = json.loads(found.data.tags[f"{TAG}point"])
    return decisive(_resolved(asked, found) | point) | {"seed": int(found.data.params["seed"])}


def epochs(store: Store, signature: str) -> int:
    """How many epochs the newest run of that signature has behind it, 0 where there is none yet."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    found = _search(store, experiments, f"tags.`{TAG}signature` = '{signature}'")
    curve = store.client.get_metric_history(found[-1].info.run_id, "train/accuracy") if found else []
    return max((point.step for point in curve), default=0)


def sweep(store: Store, name: str | None, question: str | None = None) -> SweepRecord:
    """A recorded sweep: the newest, or the newest of that name; of several questions under it, `question` if it is one.

    Raises TrackingError when there is none, or when none of its runs has ended.
    """
    parents = _parents(store)
    name = name or _newest(parents)
    asked = [parent for parent in parents if parent["name"] == name]
    if not asked:
        known = sorted({parent["name"] for parent in parents})
        there = f"recorded are {', '.join(known)}" if known else "nothing is recorded"
        what = f"no sweep {name} is" if name else "no sweep is"
        raise TrackingError(f"report: {what} recorded in {store.uri}; {there}; type digitexp +sweep={name or 'NAME'} first."
                            f"{nearest(name or '', known)}")  # fmt: skip
    exact = [parent for parent in asked if parent["question"] == question]
    chosen = (exact or asked)[-1]
    note = ""
    if len(asked) > 1:
        which = "the one that was asked for" if exact else "the newest"
        note = f"{len(asked)} questions are recorded as {name}; this is {which}, {chosen['question']}."
    return _sweep(store, chosen, note)


def _parents(store: Store) -> list[dict[str, Any]]:
    """Every recorded question, the one that was asked last at the end."""
    experiments = {found.experiment_id: found.name for found in store.client.search_experiments()}
    found = _search(store, list(experiments), f"tags.`{TAG}kind` = 'sweep'")
    found.sort(key=lambda run: float(run.data.tags.get(f"{TAG}heartbeat", 0)))
    return [
        {"name": experiments[run.info.experiment_id], "question": run.data.tags[f"{TAG}question"], "run": run}
        for run in found
    ]


def _newest(parents: Sequence[Mapping[str, Any]]) -> str | None:
    """The sweep that was asked last; networks that were trained alone are no sweep."""
    sweeps = [parent["name"] for parent in parents if parent["run"].data.params.get("search.space", "{}") != "{}"]
    return sweeps[-1] if sweeps else None


def _sweep(store: Store, parent: Mapping[str, Any], note: str) -> SweepRecord:
    run = parent["run"]
    asked = from_yaml(_local(store, run.info.run_id, "config.yaml").read_text("utf-8"))
    children = _search(store, [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    finished: dict[tuple[int, int], Any] = {}
    failed: dict[tuple[int, int], Any] = {}
    for child in children:  # the oldest first; a run that failed may have been trained again
        known = {"FINISHED": finished, "FAILED": failed}.get(child.info.status)
        if known is not None:  # one that was killed may not even have its parameters
            known[int(child.data.tags[f"{TAG}trial"]), int(child.data.params["seed"])] = child
    ended = failed | finished
    if not ended:
        raise TrackingError(f"report: no run of {parent['name']} has ended yet; type digitexp +sweep={parent['name']}.")
    return SweepRecord(
        name=parent["name"],
        text=run.data.tags.get("mlflow.note.content", ""),
        question=parent["question"],
        method=asked["search.method"],
        objective=asked["search.objective"],
        repeats=asked["search.repeats"],
        status=run.info.status,
        command=run.data.tags.get(f"{TAG}command", ""),
        runs=[_run_record(store, child, asked) for _, child in sorted(ended.items(), key=lambda item: item[0])],
        parent=run.info.run_id,
        note=note,
    )


def _run_record(store: Store, run: Any, asked: Mapping[str, Any]) -> RunRecord:
    tags = run.data.tags
    point, seed = json.loads(tags[f"{TAG}point"]), int(run.data.params["seed"])
    settings = decisive(_resolved(asked, run) | point)
    started = datetime.fromtimestamp(run.info.start_time / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {"signature": tags[f"{TAG}signature"], "trial": int(tags[f"{TAG}trial"]), "seed": seed, "point": point,
              "settings": settings, "started": started, "facts": _facts(store, run)}  # fmt: skip
    if run.info.status == "FAILED":
        return RunRecord(**record, failure=tags.get(f"{TAG}error", "the run failed"))
    plain = _plain(store, run.info.run_id)
    predicted = {} if f"{TAG}imported_from" in tags else predictions(store, run.info.run_id)
    train = {"train": int(tags[f"{TAG}images.train"])} if f"{TAG}images.train" in tags else {}  # of an older run
    return RunRecord(
        **record,
        used={path: value for path, value in plain["used"].items() if settings.get(path) is None},
        metrics=plain["metrics"],
        images=plain.get("images") or train | {part: len(found.labels) for part, found in predicted.items()},
        digests=plain["digests"],
        curves=plain["curves"],
        labels={part: found.labels for part, found in predicted.items()},
        read={part: found.probabilities.argmax(axis=1) for part, found in predicted.items()},
        probabilities={part: found.probabilities for part, found in predicted.items()},
    )


def _resolved(asked: Mapping[str, Any], run: Any) -> dict[str, Any]:
    """What was asked, with what trained the run in the place of `auto`: as it was logged, neutral where it was not."""
    known = NEUTRAL | run.data.params
    return {path: known.get(path, value) if value == "auto" else value for path, value in asked.items()}


def _facts(store: Store, run: Any) -> dict[str, str]:
    """Where and with what a run was trained: for one that was taken from another sweep, what that one says."""
    tags = run.data.tags
    origin = tags.get(f"{TAG}trained_in", "")
    if origin:
        try:
            tags = store.client.get_run(origin).data.tags
        except Exception:  # it was deleted since
            tags = {}
    told = ("host", "cpu", "cores", "memory", "workers", "cluster", "python", "rule")
    named = {name: tags.get(f"{TAG}{name}", "") for name in told}
    versions = {key.removeprefix(TAG): value for key, value in sorted(tags.items()) if key.startswith(f"{TAG}version.")}
    facts = named | {"commit": tags.get("mlflow.source.git.commit", ""), "trained_in": origin} | versions
    return {name: value for name, value in facts.items() if value}


def _search(store: Store, experiments: Sequence[str], wanted: str) -> list[Any]:
    """Every run that is wanted, oldest first."""
    found, token = [], None
    while experiments:
        page = store.client.search_runs(
            experiments, wanted, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        found += page
        token = page.token
        if not token:
            break
    return found


def _plain(store: Store, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_local(store, run, artifacts.RESULT).read_text("utf-8"))
    return found


def _local(store: Store, run: str, path: str) -> Path:
    return Path(store.client.download_artifacts(run, path))


def _recorded(run: Any) -> Recorded:
    tags = run.data.tags
    return Recorded(
        id=run.info.run_id,
        parent=tags["mlflow.parentRunId"],
        signature=tags[f"{TAG}signature"],
        trial=int(tags[f"{TAG}trial"]),
        seed=int(run.data.params["seed"]),
        point=json.loads(tags[f"{TAG}point"]),
        metrics=run.data.metrics,
        kind="lanes" if run.data.params.get("training.engine") == "lanes" else run.data.params["model.kind"],
        host=tags.get(f"{TAG}host", ""),
        trained_in=tags.get(f"{TAG}trained_in", ""),
        workers=0 if f"{TAG}cluster" in tags else int(tags.get(f"{TAG}workers", 1)),
        imported=tags.get(f"{TAG}imported_from", ""),
        pictures=f"{TAG}pictures" in tags,
    )
