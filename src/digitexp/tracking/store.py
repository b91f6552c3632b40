"""The MLflow store: where it lies, and how it is opened."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitexp.errors import TrackingError

FOLDER = "mlruns"
TAG = "digitexp."  # the prefix of every tag of ours
NETWORK = "network.keras"  # the trained network among the artifacts of its run


@dataclass(frozen=True)
class Store:
    """An open store. `artifacts` is the folder beside a SQLite file, or None where the server decides."""

    uri: str
    client: Any
    artifacts: Path | None

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


def exists(uri: str | None) -> bool:
    """Whether there is a store already, without importing MLflow; a server is taken to be there."""
    resolved = resolve(uri)
    return not resolved.startswith("sqlite:///") or Path(resolved.removeprefix("sqlite:///")).exists()


def open_store(uri: str | None) -> Store:
    """Open the store, creating a SQLite file where there is none; TrackingError when it cannot be used."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    resolved = resolve(uri)
    folder = Path(resolved.removeprefix("sqlite:///")).parent if resolved.startswith("sqlite:///") else None
    try:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        from mlflow import MlflowClient

        client = MlflowClient(resolved, resolved)
        client.search_experiments(max_results=1)  # the first question creates the tables, or fails
    except Exception as error:  # MLflow, SQLAlchemy, the file system: each has its own
        reason = str(error).strip().splitlines()[0]
        raise TrackingError(f"tracking.uri={resolved}: the store cannot be opened: {reason}") from error
    return Store(resolved, client, folder / "artifacts" if folder else None)
