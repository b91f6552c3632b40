"""MLflow's model registry: the best network of each sweep, as `models:/digitexp.<sweep>@best`."""

import logging
from importlib.metadata import version
from pathlib import Path

from digitexp.tracking.store import TAG, Store

ALIAS = "best"


def model_name(sweep: str) -> str:
    """The registered model of a sweep; MLflow allows no slash in it."""
    return f"digitexp.{sweep.replace('/', '.')}"


def register_best(store: Store, parent: str, sweep: str, run: str, network: Path) -> str:
    """Make the network of `run` the best one of the sweep, and give its address; nothing is done when it is already.

    It takes images (n, 28, 28) uint8, 0 background to 255 ink, and gives probabilities (n, classes) float32.
    """
    name = model_name(sweep)
    address = f"models:/{name}@{ALIAS}"
    if _current(store, name) == run:
        return address
    import keras
    import mlflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    model = keras.saving.load_model(network, compile=False)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(store.uri)
    with mlflow.start_run(run_id=parent):
        logged = mlflow.keras.log_model(
            model,
            name="best",
            signature=ModelSignature(
                Schema([TensorSpec(np.dtype(np.uint8), (-1, 28, 28))]),
                Schema([TensorSpec(np.dtype(np.float32), (-1, int(model.output.shape[-1])))]),
            ),
            pip_requirements=[f"{package}=={version(package)}" for package in ("keras", "tensorflow", "numpy")],
        )
    if not store.client.search_registered_models(f"name = '{name}'"):
        store.client.create_registered_model(name)
    tags = {f"{TAG}run": run}
    created = store.client.create_model_version(name, logged.model_uri, run, tags=tags, model_id=logged.model_id)
    store.client.set_registered_model_alias(name, ALIAS, created.version)
    return address


def _current(store: Store, name: str) -> str | None:
    """The run whose network is the best one now."""
    for model in store.client.search_registered_models(f"name = '{name}'"):
        if ALIAS in model.aliases:
            return str(store.client.get_model_version_by_alias(name, ALIAS).tags.get(f"{TAG}run"))
    return None
