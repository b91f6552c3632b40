"""A trained network, loaded to recognise: from the model registry or from a `.keras` file, in Keras' safe mode."""

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE
from digitexp.errors import TrackingError
from digitexp.tracking import registry
from digitexp.tracking import store as stores

MODELS = "models:/"
BATCH = 128  # images that are read at once: more are no faster, and of seed 003's network 1,000 take 300 MB


@dataclass(frozen=True, eq=False)
class Network:
    """A network that recognises: what it is called, what it is, and the classes of its outputs, in their order.

    name    the version of a registered model (`models:/digitexp/3`), or the file as it was typed
    digest  12 hexadecimal digits of its layers and weights: the same network has the same, whatever its name
    run     the MLflow run that trained it, "" where that is not known
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    run: str = ""
    model: Any = field(repr=False, default=None)

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of images (n, 28, 28), 0 background to 255 ink, the probabilities (n, classes) float32."""
        if not len(images):
            return np.zeros((0, len(self.classes)), np.float32)
        parts = [
            np.asarray(self.model.predict_on_batch(images[first : first + BATCH].astype(np.float32)), np.float32)
            for first in range(0, len(images), BATCH)
        ]
        return np.concatenate(parts)


def load(address: str, classes: Sequence[str], uri: str | None) -> Network:
    """Load `models:/NAME@ALIAS`, `models:/NAME/VERSION` (from the MLflow store `uri`), or a `.keras` file.

    A registered network brings its classes along, as its run recorded them; of a file they are `classes`. Raises
    TrackingError for what is missing, broken, or no network from 28 x 28 pixels to that many classes.
    """
    if address.startswith(MODELS):
        if not stores.exists(uri):
            place = stores.resolve(uri)
            raise TrackingError(f"{address}: there is no store at {place} yet; type digitexp +sweep=NAME first.")
        found = registry.fetch(stores.open_store(uri), address)
        return _network(found.address, found.file, found.classes or tuple(classes), found.run)
    file = Path(address).expanduser()
    if not file.is_file():
        raise TrackingError(f"{address}: no such file; allowed are models:/NAME@ALIAS, models:/NAME/VERSION, a .keras file.")
    return _network(address, file, tuple(classes), "")


def _network(name: str, file: Path, classes: tuple[str, ...], run: str) -> Network:
    if file.suffix != ".keras" or not zipfile.is_zipfile(file):
        raise TrackingError(f"{name}: found no Keras network, or one cut short; allowed is a whole .keras file.")
    import keras

    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        taken, given = model.input_shape, model.output_shape  # which a network that was never built does not have
    except Exception as error:  # of a broken or hostile file, Keras raises nearly anything
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise TrackingError(f"{name}: cannot be loaded in Keras' safe mode: {reason.rstrip('.')}.") from error
    if taken != (None, SIDE, SIDE) or given != (None, len(classes)):
        raise TrackingError(
            f"{name}: takes {taken} and gives {given}; allowed is from (None, {SIDE}, {SIDE}) to "
            f"(None, {len(classes)}), one output for each of the classes {', '.join(classes)}."
        )
    return Network(name, _digest(model), classes, run, model)


def _digest(model: Any) -> str:
    digest = hashlib.sha256(" ".join(type(layer).__name__ for layer in model.layers).encode())
    for weights in model.get_weights():
        digest.update(f"{weights.shape}{weights.dtype}".encode() + np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()[:12]
