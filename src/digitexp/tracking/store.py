"""The MLflow store: where it lies, and how it is opened."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitexp.errors import TrackingError
from digitexp.tracking import patience

FOLDER = "mlruns"
CREATING = 60  # seconds that another process may take to create a store
TAG = "digitexp."  # the prefix of every tag of ours
NETWORK = "network.keras"  # the trained network among the artifacts of its run


@dataclass(frozen=True)
class Store:
    """An open store. `artifacts` is the folder beside a SQLite file, or None where the server decides."""

    uri: str
    client: Any
    artifacts: Path | None

    @property
    def remote(self) -> bool:
        """Whether it is a server, which may go away and come back."""
        return self.uri.startswith("http")

    def experiment(self, name: str) -> str:
        """The id of the experiment of that name, created when there is none."""
        found = self.client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        if found is not None:
            return str(found.experiment_id)
        location = (self.artifacts / name).as_uri() if self.artifacts else None
        return str(self.client.create_experiment(name, artifact_location=location))


def resolve(uri: str | None) -> str:
    """The address of the store: `tracking.uri`, with a SQLite file's path made absolute; mlruns/mlflow.db when null."""
    if uri is None:
        return f"sqlite:///{Path(FOLDER).resolve() / 'mlflow.db'}"
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).resolve()}"
    if uri.startswith(("http://", "https://", "postgresql", "mysql")):
        return uri
    raise TrackingError(f"tracking.uri={uri}: no such kind of store; allowed are sqlite:///FILE, http(s)://HOST:PORT, "
                        "or null for mlruns/mlflow.db.")  # fmt: skip


def folder(uri: str | None) -> Path:
    """Where this machine keeps what belongs to a store and is not in it: beside a SQLite file, else mlruns/."""
    resolved = resolve(uri)
    return Path(resolved.removeprefix("sqlite:///")).parent if resolved.startswith("sqlite:///") else Path(FOLDER).resolve()


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """In this context, no other process creates the tables of a file that does not exist yet; two at once would fail."""
    mark = file.with_suffix(".creating")
    deadline = time.monotonic() + CREATING
    creator = False
    while not creator and (not file.exists() or mark.exists()):  # in this order: the mark stands before the file does
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            time.sleep(0.1)
            creator = time.monotonic() > deadline  # whoever began it was killed
        else:
            creator = True
    try:
        yield
    finally:
        if creator:
            mark.unlink(missing_ok=True)


def upgrade(uri: str | None) -> None:
    """Bring the tables of a SQLite store of an older MLflow up to date, with a copy of the file kept beside it."""
    resolved = resolve(uri)
    if not resolved.startswith("sqlite:///"):
        raise TrackingError(f"tracking.uri={resolved}: is no file; type mlflow db upgrade {resolved} where its server runs.")
    file = Path(resolved.removeprefix("sqlite:///"))
    shutil.copyfile(file, file.with_suffix(".before-upgrade.db"))
    from mlflow.store.db import utils

    utils._upgrade_db(utils.create_sqlalchemy_engine_with_retry(resolved))


def exists(uri: str | None) -> bool:
    """Whether there is a store already, without importing MLflow; a server is taken to be there."""
    resolved = resolve(uri)
    return not resolved.startswith("sqlite:///") or Path(resolved.removeprefix("sqlite:///")).exists()


def open_store(uri: str | None) -> Store:
    """Open the store, creating a SQLite file where there is none; TrackingError when it cannot be used."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # we wait ourselves, and only where nothing else is to do
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    resolved = resolve(uri)
    beside = folder(resolved) if resolved.startswith("sqlite:///") else None
    try:
        if beside:
            beside.mkdir(parents=True, exist_ok=True)
        from mlflow import MlflowClient

        # the tables are created by the client or by its first question, as the version of MLflow has it
        with _alone(Path(resolved.removeprefix("sqlite:///"))) if beside else nullcontext():
            client = patience.Patient(MlflowClient(resolved, resolved))
            with nullcontext() if beside else client.at_once():
                client.search_experiments(max_results=1)
    except Exception as error:  # MLflow, SQLAlchemy, the file system: each has its own
        reason = str(error).strip().splitlines()[0]
        sentence = TrackingError(f"tracking.uri={resolved}: the store cannot be opened: {reason}")
        raise patience.explain(error, resolved) or sentence from error
    return Store(resolved, client, beside / "artifacts" if beside else None)
