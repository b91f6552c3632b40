"""A result as a folder of files: what MLflow keeps of a run besides its numbers, and what a run is read back from.

result.json           metrics, curves, layers, optimizer settings, what the data are: all of a Result but its arrays
predictions.npz       {set}.labels (n,) and {set}.probabilities (n, classes), for every evaluation set
network.keras         the trained network, as any Keras loads it
layers.csv            the table of layers, for people
{set}/confusion.csv, confusion_by_row.csv, per_digit.csv, most_confused.csv, auc.csv, calibration.csv, worst_errors.csv

Of a baseline there is no network, and of a run that was imported from a runs.csv there is result.json alone.
"""

import csv
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.evaluation import calibration, roc, scores
from digitexp.results import Predictions, Result
from digitexp.tracking.store import NETWORK

RESULT, PREDICTIONS = "result.json", "predictions.npz"
WORST = 100  # errors in the table
_PLAIN = ("metrics", "curves", "layers", "used", "images", "digests", "classes")


def write(result: Result, folder: Path) -> None:
    """Write all of a result into a folder, over what was written of it before."""
    (folder / RESULT).write_text(json.dumps({name: getattr(result, name) for name in _PLAIN}, indent=1), "utf-8")
    arrays: dict[str, np.ndarray] = {}
    for name, predicted in result.predictions.items():
        arrays |= {f"{name}.labels": predicted.labels, f"{name}.probabilities": predicted.probabilities}
        _write_scores(folder / name, predicted, result.classes)
    if result.predictions:
        np.savez_compressed(folder / PREDICTIONS, allow_pickle=False, **arrays)
    if result.network:
        shutil.copyfile(result.network, folder / NETWORK)
        _write_csv(folder / "layers.csv", list(result.layers[0]), (layer.values() for layer in result.layers))


def read(folder: Path) -> Result:
    """The result that `write` wrote."""
    plain = json.loads((folder / RESULT).read_text("utf-8"))
    predictions = read_predictions(folder / PREDICTIONS) if (folder / PREDICTIONS).exists() else {}
    return Result(**plain, predictions=predictions, network=folder / NETWORK if (folder / NETWORK).exists() else None)


def read_predictions(file: Path) -> dict[str, Predictions]:
    """The predictions of every evaluation set."""
    with np.load(file, allow_pickle=False) as arrays:
        names = [key.removesuffix(".labels") for key in arrays if key.endswith(".labels")]
        return {name: Predictions(arrays[f"{name}.labels"], arrays[f"{name}.probabilities"]) for name in names}


def _write_scores(folder: Path, predicted: Predictions, classes: Sequence[str]) -> None:
    folder.mkdir(exist_ok=True)
    said = predicted.probabilities
    table = scores.confusion(predicted.labels, said.argmax(axis=1), len(classes))
    for name, cells in (("confusion", table), ("confusion_by_row", scores.by_row(table).round(4))):
        rows = ([true, *row] for true, row in zip(classes, cells.tolist(), strict=True))
        _write_csv(folder / f"{name}.csv", ["true / read as", *classes], rows)
    for name, kind, found in (
        ("per_digit", scores.ClassScore, scores.per_class(table, classes)),
        ("most_confused", scores.ConfusedPair, scores.most_confused(table, classes, limit=10)),
    ):
        _write_csv(folder / f"{name}.csv", [column.name for column in fields(kind)], map(astuple, found))
    _write_csv(folder / "calibration.csv", calibration.Bin._fields, calibration.reliability(predicted.labels, said))
    worst = scores.worst_errors(predicted.labels, said, WORST)
    read = said.argmax(axis=1)
    header = ["image", "true", "read as", "probability of what was read", "probability of the true class"]
    _write_csv(folder / "worst_errors.csv", header, (
        (row, classes[predicted.labels[row]], classes[read[row]], said[row, read[row]], said[row, predicted.labels[row]])
        for row in worst
    ))  # fmt: skip
    areas = roc.areas(predicted.labels, said).tolist()
    _write_csv(folder / "auc.csv", ["name", "auc"], zip(classes, areas, strict=True))


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)
