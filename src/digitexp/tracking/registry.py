"""MLflow's model registry: the best network of each sweep, `models:/digitexp.<sweep>@best`, and the champion, in use."""

import json
import logging
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from digitexp.errors import TrackingError, nearest
from digitexp.tracking import artifacts
from digitexp.tracking.store import TAG, Store

ALIAS = "best"
MODEL = "digitexp"  # the registered model whose alias `champion` is the network in use
CHAMPION = f"models:/{MODEL}@champion"


@dataclass(frozen=True)
class Registered:
    """A version of a registered model: its exact address, its `.keras` file, its classes and the run that trained it."""

    address: str
    file: Path
    classes: tuple[str, ...]
    run: str


def model_name(sweep: str) -> str:
    """The registered model of a sweep; MLflow allows no slash in it."""
    return f"digitexp.{sweep.replace('/', '.')}"


def register_best(store: Store, parent: str, sweep: str, run: str, network: Path | None) -> str | None:
    """Make the network of `run` the best one of the sweep, and give its address; nothing is done when it is already.

    None for a run that has no network, since it was imported.

    It takes images (n, 28, 28) uint8, 0 background to 255 ink, and gives probabilities (n, classes) float32.
    """
    if network is None:
        return None
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
    found = _aliased(store, name, ALIAS)
    return str(found.tags.get(f"{TAG}run")) if found else None


def fetch(store: Store, address: str) -> Registered:
    """What lies at `models:/NAME@ALIAS` or `models:/NAME/VERSION`. Raises TrackingError when there is nothing."""
    import mlflow
    from mlflow.artifacts import download_artifacts

    found = _version(store, address)
    mlflow.set_tracking_uri(store.uri)  # logged models are looked up in MLflow's own default store
    exact = f"models:/{found.name}/{found.version}"
    try:
        folder = Path(download_artifacts(found.source, tracking_uri=store.uri))
        (file,) = folder.rglob("*.keras")
    except Exception as error:  # MLflow, the file system, or not exactly one network
        raise TrackingError(f"{address}: the files of {exact} are not where the store says: {found.source}.") from error
    run = found.tags.get(f"{TAG}run", "")
    return Registered(exact, file, _classes(store, run), run)


def promote(store: Store, address: str) -> tuple[str, str]:
    """Make the network at that address the champion, and give its exact address, and the one of the champion before, or "".

    A network that was champion once gets no new version: going back moves the alias only. Raises TrackingError.
    """
    import mlflow

    found = _version(store, address)
    mlflow.set_tracking_uri(store.uri)  # logged models are looked up in MLflow's own default store
    before = _aliased(store, MODEL, "champion")
    if not store.client.search_registered_models(f"name = '{MODEL}'"):
        store.client.create_registered_model(MODEL)
    known = {each.source: each for each in store.client.search_model_versions(f"name = '{MODEL}'")}
    champion = known.get(found.source)
    if champion is None:
        tags = dict(found.tags) | {f"{TAG}promoted_from": f"models:/{found.name}/{found.version}"}
        champion = store.client.create_model_version(
            MODEL, found.source, found.run_id, tags=tags, model_id=found.model_id
        )
    store.client.set_registered_model_alias(MODEL, "champion", champion.version)
    return f"models:/{MODEL}/{champion.version}", f"models:/{MODEL}/{before.version}" if before else ""


def _version(store: Store, address: str) -> Any:
    """The version of a registered model at an address."""
    name, alias, label = address.removeprefix("models:/").partition("@")
    if not alias:
        name, _, label = name.rpartition("/")
    if not address.startswith("models:/") or not name or "'" in name or not label or (not alias and not label.isdecimal()):
        raise TrackingError(f"{address}: is no address of a network; allowed are models:/NAME@ALIAS, models:/NAME/VERSION.")
    known = store.client.search_registered_models(f"name = '{name}'")
    if not known:
        models = [model.name for model in store.client.search_registered_models()]
        offer = f"there are {', '.join(sorted(models))}" if models else "type digitexp +sweep=NAME to train some"
        first = " Type digitexp promote SWEEP to choose the first champion." if name == MODEL and models else ""
        raise TrackingError(f"{address}: no network is registered as {name}; {offer}.{first or nearest(name, models)}")
    found = _aliased(store, name, label) if alias else _numbered(store, name, label)
    if found is None:
        aliases = [f"@{each}" for each in known[0].aliases]
        numbers = [f"/{each.version}" for each in store.client.search_model_versions(f"name = '{name}'")]
        raise TrackingError(f"{address}: {name} has no such {'alias' if alias else 'version'}; "
                            f"it has {', '.join([*aliases, *numbers]) or 'none'}.")  # fmt: skip
    return found


def _aliased(store: Store, name: str, alias: str) -> Any | None:
    for model in store.client.search_registered_models(f"name = '{name}'"):
        if alias in model.aliases:
            return store.client.get_model_version_by_alias(name, alias)
    return None


def _numbered(store: Store, name: str, number: str) -> Any | None:
    versions = store.client.search_model_versions(f"name = '{name}'")
    return next((each for each in versions if int(each.version) == int(number)), None)


def _classes(store: Store, run: str) -> tuple[str, ...]:
    """The classes of a run's network; none where the run is not known any more."""
    from mlflow.artifacts import download_artifacts

    try:
        file = download_artifacts(run_id=run, artifact_path=artifacts.RESULT, tracking_uri=store.uri)
    except Exception:  # the run was deleted since
        return ()
    return tuple(json.loads(Path(file).read_text("utf-8"))["classes"])
