"""Read runs back from MLflow: which are finished, and what they gave."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts

from digitexp.results import Predictions, Result
from digitexp.tracking import artifacts
from digitexp.tracking.store import TAG, Store

PAGE = 1000  # runs in one answer of the store


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
    kind: str
    host: str
    trained_in: str
    pictures: bool


def finished(store: Store) -> list[Recorded]:
    """Every finished run of every sweep, oldest first."""
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    wanted = f"attributes.status = 'FINISHED' and tags.`{TAG}kind` = 'run'"
    found, token = [], None
    while experiments:
        page = store.client.search_runs(
            experiments, wanted, max_results=PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        found += [_recorded(run) for run in page]
        token = page.token
        if not token:
            break
    return found


def one(store: Store, run: str) -> Recorded:
    """A finished run by its id."""
    return _recorded(store.client.get_run(run))


def predictions(store: Store, run: str) -> dict[str, Predictions]:
    """What a finished run says of every evaluation set."""
    return artifacts.read_predictions(_local(store, run, artifacts.PREDICTIONS))


def result(store: Store, run: str) -> Result:
    """All of a finished run."""
    return artifacts.read(_local(store, run, ""))


def _local(store: Store, run: str, path: str) -> Path:
    return Path(download_artifacts(run_id=run, artifact_path=path, tracking_uri=store.uri))


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
        kind=run.data.params["model.kind"],
        host=tags.get(f"{TAG}host", ""),
        trained_in=tags.get(f"{TAG}trained_in", ""),
        pictures=f"{TAG}pictures" in tags,
    )
