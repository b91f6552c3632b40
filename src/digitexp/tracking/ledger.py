"""What is finished and what it cost, for the plan: read from a SQLite store's file without MLflow.

Importing MLflow and its tables takes some 4 seconds of CPU, which is longer than a plan may take. The tables read here
are those of MLflow 2 and 3; of a store that has others, or that is a server, MLflow is asked.
"""

import re
import socket
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from digitexp.config import from_yaml
from digitexp.errors import TrackingError, nearest
from digitexp.tracking.store import NETWORK, TAG, exists, open_store, resolve

_QUERY = f"""
    SELECT signature.value, CASE engine.value WHEN 'lanes' THEN engine.value ELSE kind.value END,
        tflop.value, CASE WHEN cluster.value IS NULL THEN seconds.value / COALESCE(workers.value, 1) END,
        host.value, trained_in.value
    FROM runs
    JOIN tags signature ON signature.run_uuid = runs.run_uuid AND signature.key = '{TAG}signature'
    JOIN params kind ON kind.run_uuid = runs.run_uuid AND kind.key = 'model.kind'
    LEFT JOIN params engine ON engine.run_uuid = runs.run_uuid AND engine.key = 'training.engine'
    LEFT JOIN latest_metrics tflop ON tflop.run_uuid = runs.run_uuid AND tflop.key = 'tflop'
    LEFT JOIN latest_metrics seconds ON seconds.run_uuid = runs.run_uuid AND seconds.key = 'seconds'
    LEFT JOIN tags host ON host.run_uuid = runs.run_uuid AND host.key = '{TAG}host'
    LEFT JOIN tags workers ON workers.run_uuid = runs.run_uuid AND workers.key = '{TAG}workers'
    LEFT JOIN tags cluster ON cluster.run_uuid = runs.run_uuid AND cluster.key = '{TAG}cluster'
    LEFT JOIN tags trained_in ON trained_in.run_uuid = runs.run_uuid AND trained_in.key = '{TAG}trained_in'
    WHERE runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active'
    ORDER BY runs.start_time
"""


_ASKED = f"""
    SELECT question.value, runs.start_time, runs.artifact_uri
    FROM runs
    JOIN experiments ON experiments.experiment_id = runs.experiment_id AND experiments.name = ?
    JOIN tags question ON question.run_uuid = runs.run_uuid AND question.key = '{TAG}question'
    WHERE runs.lifecycle_stage = 'active'
    ORDER BY runs.start_time
"""


@dataclass(frozen=True)
class Asked:
    """A recorded question: its hash, when it was first asked (ms), and its settings by dotted path."""

    question: str
    started: int
    settings: dict[str, Any]


def asked(uri: str | None, sweep: str) -> list[Asked]:
    """The questions that are recorded under the name of a sweep, oldest first; of a store that is a file."""
    if not resolve(uri).startswith("sqlite:///"):
        return []
    file = resolve(uri).removeprefix("sqlite:///")
    try:
        with _open(file) as database:
            found = database.execute(_ASKED, [sweep]).fetchall()
        return [
            Asked(question, started, from_yaml(Path(url2pathname(urlparse(place).path), "config.yaml").read_text("utf-8")))
            for question, started, place in found
        ]
    except (sqlite3.Error, OSError):
        return []


@dataclass(frozen=True)
class Entry:
    """A finished run: its kind as in `reader.Recorded`, and what it cost where that is known and was spent here.

    Of the seconds, a run that shared the machine has its share: so long would the whole machine have taken.
    """

    signature: str
    kind: str
    tflop: float | None
    seconds: float | None


def finished(uri: str | None) -> list[Entry]:
    """Every finished run of a store that exists, oldest first."""
    file = resolve(uri).removeprefix("sqlite:///")
    try:
        with _open(file) as database:
            return [_entry(*row) for row in database.execute(_QUERY)]
    except sqlite3.Error:
        from digitexp.tracking import reader

        return [
            _entry(run.signature, run.kind, run.metrics.get("tflop"), run.machine_seconds, run.host, run.trained_in)
            for run in reader.finished(open_store(uri))
        ]


def network(uri: str | None, address: str) -> Path:
    """The file of the network that FILE.keras, models:/NAME@ALIAS or models:/NAME/VERSION names. Raises TrackingError."""
    if address.endswith(".keras"):
        return Path(address).expanduser()
    named = re.fullmatch(r"models:/([^/@]+)(?:@(.+)|/(\d+))", address)
    if not named:
        raise TrackingError(f"training.start={address}: must be scratch, FILE.keras or models:/NAME@ALIAS.")
    if not exists(uri):
        raise TrackingError(f"training.start={address}: there is no store at {resolve(uri)} yet.")
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    store = open_store(uri)
    name, alias, number = named.groups()
    try:
        ask, which = ("get_model_version_by_alias", alias) if alias else ("get_model_version", number)
        found = getattr(store.client, ask)(name, which)
        run = found.tags[f"{TAG}run"]
        return Path(download_artifacts(run_id=run, artifact_path=NETWORK, tracking_uri=store.uri))
    except (MlflowException, KeyError) as error:
        known = [model.name for model in store.client.search_registered_models()]
        raise TrackingError(f"training.start={address}: no such network in {store.uri}; there are "
                            f"{', '.join(known) or 'none'}.{nearest(name, known)}") from error  # fmt: skip


def _open(file: str) -> sqlite3.Connection:
    """A store to read from; a path may hold what means something in an address."""
    return sqlite3.connect(f"{Path(file).absolute().as_uri()}?mode=ro", uri=True)


def _entry(
    signature: str, kind: str, tflop: float | None, seconds: float | None, host: str | None, trained_in: str | None
) -> Entry:
    if host != socket.gethostname() or trained_in:
        return Entry(signature, kind, None, None)
    return Entry(signature, kind, tflop, seconds)
