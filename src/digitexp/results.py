"""What a run gives: a `Result` or a `Failure`. Plain arrays and numbers, so that it travels between processes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.models.layers import LayerRow


@dataclass(frozen=True)
class Predictions:
    """What a run says of one evaluation set: true labels (n,) and probabilities (n, classes) float32."""

    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def hits(self) -> np.ndarray:
        """Which images were recognised: bool (n,)."""
        return self.probabilities.argmax(axis=1) == self.labels


@dataclass(frozen=True)
class Result:
    """A finished run, picklable: numbers, curves by epoch, predictions by set, and the file of the trained network.

    `images` and `digests` are by set, the training images among them. Of a run that was imported from a runs.csv, curves,
    predictions and layers are empty, and there is no network; of a baseline, curves and layers.
    """

    metrics: dict[str, float]
    curves: dict[str, list[float]]
    predictions: dict[str, Predictions]
    layers: list[LayerRow]
    used: dict[str, Any]
    images: dict[str, int]
    digests: dict[str, str]
    classes: list[str]
    network: Path | None


@dataclass(frozen=True)
class Failure:
    """A run that ended with an error: its sentence, and the traceback for whoever looks further."""

    message: str
    details: str = field(repr=False)
