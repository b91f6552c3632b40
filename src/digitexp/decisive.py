"""Which settings decide a run's numbers: what is absent, unused or neutral is no part of what a run is."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from digitexp.config import SWEPT, flatten, network_named
from digitexp.settings import ESTIMATORS, SCHEDULES, SCRATCH, Baseline, Config, Data, Training

# Settings that change nothing at these values: left out of what decides a run, so that a run that was recorded before
# the setting existed is still the same run.
NEUTRAL: dict[str, Any] = {
    "data.test_labels": None,
    "data.also.name": "none",
    "data.also.path": None,
    "data.split": "stratified",
    "data.writers": None,
    "data.folds": None,
    "data.balance": "natural",
    "data.remove_leakage": False,
    "data.near_duplicates": False,
    "data.drawn.stroke_width": 0.0,
    "training.precision": "float32",
    "training.class_weights": "none",
    "training.until": None,
    "training.start": SCRATCH,
    "training.schedule.name": "constant",
    "training.early_stopping.patience": None,
    "training.label_smoothing": 0.0,
    "training.ema": None,
    "evaluation.target": None,
    "evaluation.shifts": 0,
    "model.global_pooling": "none",
    **{f"model.conv_{number}.strides": 1 for number in range(1, 7)},
    **{f"model.conv_{number}.pooling": "max" for number in range(1, 7)},
    **{f"model.conv_{number}.normalization": "before" for number in range(1, 7)},
    **{f"model.head_{number}.normalization": "before" for number in range(1, 4)},
    **{f"training.augmentation.{name}": 0.0 for name in ("rotation", "zoom", "shift", "shear", "brightness")},
}


def present(config: Config) -> dict[str, Any]:
    """What decides a run's numbers, as `{dotted path: value}`: absent layers and settings left to Keras are removed."""
    kept: dict[str, Any] = {"seed": config.seed}
    for section in ("data", "model", "optimizer", "training", "evaluation"):
        kept |= flatten(getattr(config, section), f"{section}.")
    kept["loss"] = config.loss
    # What a preset stands for decides, not its name.
    del kept["training.augmentation.preset"]
    kept |= {f"training.augmentation.{name}": amount for name, amount in config.training.augmentation.amounts.items()}
    absent = _absent(kept)
    unused = _unused(config.data) | _unused_of_training(config.training)
    unused |= _unused_of_cnn(config) | _unused_of_baseline(config)
    unused.add("evaluation.ensemble")  # of runs that are finished
    if config.training.last == config.training.epochs:  # it is the whole run, whoever asks for it
        unused.add("training.until")
    return {
        path: value
        for path, value in kept.items()
        if path not in unused
        and not (path in NEUTRAL and value == NEUTRAL[path])
        and path.rpartition(".")[0] not in absent
        and not (path.startswith("optimizer.") and value is None)
    }


def _absent(settings: Mapping[str, Any]) -> set[str]:
    """The layers of which there are none: without units, or without filters. A network itself is no layer."""
    sizes = (path for path, value in settings.items() if path.endswith((".units", ".filters")) and value == 0)
    return {path.rpartition(".")[0] for path in sizes if path.count(".") > 1}


def _unused(data: Data) -> set[str]:
    """The settings that change nothing with this data; without drawings, a run is the same as ever."""
    unused = {"data.remove_leakage" if data.allow_leakage else "data.allow_leakage"}
    unused |= {"data.validation"} if data.folds else {"data.fold"}
    unused |= set() if data.split == "writer" else {"data.writers"}
    if data.drawn.source == "none":
        return unused | {"data.manual_labels", *flatten(data.drawn, "data.drawn.")}
    if data.drawn.source != "store":
        unused |= {"data.drawn.store", "data.drawn.recognised_by"}
    return unused if data.drawn.source == "synthetic" else unused | {"data.drawn.count"}


def _unused_of_training(training: Training) -> set[str]:
    schedule = {f"training.schedule.{field.name}" for field in fields(training.schedule) if field.name != "name"}
    schedule -= {f"training.schedule.{name}" for name in SCHEDULES[training.schedule.name]}
    return schedule | ({"training.early_stopping.monitor"} if training.early_stopping.patience is None else set())


def _unused_of_cnn(config: Config) -> set[str]:
    """How to pool where a layer does not pool, and where to normalise where it does not."""
    if config.model.kind != "cnn":
        return set()
    settings = flatten(config.model, "model.")
    needed = {path: path.replace(".pooling", ".pool").replace(".normalization", ".batch_normalization") for path in settings}
    return {path for path, switch in needed.items() if switch != path and not settings[switch]}


def _unused_of_baseline(config: Config) -> set[str]:
    """A baseline has settings of its own, and neither optimizer nor epochs."""
    if not isinstance(config.model, Baseline):
        return set()
    others = {field.name for field in fields(Baseline)} - {"kind", "estimator", *ESTIMATORS[config.model.estimator]}
    elsewhere = [*flatten(config.training, "training."), *flatten(config.optimizer, "optimizer.")]
    return {*(f"model.{name}" for name in others), *elsewhere}


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of all settings as `{dotted path: value}`, those from which a run can be configured again, less its seed.

    Of an absent layer only its `units: 0` or `filters: 0` is kept, of the optimizer only what has a value. Where
    `model` names a file of conf/model, the settings of that network are kept.
    """
    if "model" in settings:
        named = flatten(network_named(settings["model"]), "model.")
        settings = {path: value for path, value in settings.items() if path.split(".")[0] != "model"} | named
    absent = _absent(settings)
    return {
        path: value
        for path, value in settings.items()
        if (path.split(".")[0] in (*SWEPT, "evaluation") or (path == "extensions" and value))
        and (path.rpartition(".")[0] not in absent or path.endswith((".units", ".filters")))
        and not (path.startswith("optimizer.") and value is None)
        and not (path == "training.until" and value is None)
    }
