"""Every setting's name, type and range, as dataclasses. The values live in conf/, never here.

Each class checks its own settings in `check(at)`, where `at` is its dotted path; config.py calls them all.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Optional

from omegaconf import MISSING

from digitexp import registry
from digitexp.errors import ConfigError, nearest

# ruff: noqa: UP045  (OmegaConf reads `Optional[int]` in a schema in every version, `int | None` only in the newest)


def require(condition: bool, path: str, found: object, allowed: str) -> None:
    """Refuse a value that is out of range."""
    if not condition:
        shown = "null" if found is None else found
        raise ConfigError(f"{path}={shown}: must be {allowed}.")


def choose(path: str, name: str, known: Mapping[str, Any]) -> None:
    """Refuse a name that is not among the known ones."""
    if name not in known:
        raise ConfigError(f"{path}={name}: no such choice; allowed are {', '.join(known)}.{nearest(str(name), known)}")


def seconds(time: str) -> float:
    """A time such as 2h, 90min, 1h30min or 45s in seconds; 0 for what is none."""
    found = re.fullmatch(r"(?:(\d+\.?\d*) ?h)? ?(?:(\d+\.?\d*) ?m(?:in)?)? ?(?:(\d+\.?\d*) ?s)?", time.strip())
    parts = found.groups(default="0") if found else ()
    return sum(float(part) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


@dataclass
class Drawn:
    """Drawings that a person labelled, or our own pen's; the last `holdout` at most are scored, never trained on."""

    source: str = MISSING
    images: Optional[str] = MISSING
    labels: Optional[str] = MISSING
    count: int = MISSING
    geometry: str = MISSING
    stroke_width: float = MISSING
    holdout: int = MISSING
    store: Optional[str] = MISSING
    recognised_by: Optional[str] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.source", self.source, dict.fromkeys(["none", "csv", "folder", "store", "synthetic"]))
        choose(f"{at}.geometry", self.geometry, dict.fromkeys(["raw", "box", "mnist"]))
        require(self.stroke_width == 0 or 1 <= self.stroke_width <= 6, f"{at}.stroke_width", self.stroke_width,
                "pixels from 1 to 6, or 0 for strokes as they were drawn")  # fmt: skip
        require(self.stroke_width == 0 or self.geometry != "raw", f"{at}.stroke_width", self.stroke_width,
                f"0 with {at}.geometry=raw, which has no box to measure strokes in")  # fmt: skip
        self._check_path(f"{at}.images", self.images, at, {"csv": "the csv file of images", "folder": "the folder of PNGs"})
        self._check_path(f"{at}.labels", self.labels, at, {"csv": "the csv file of labels"})
        require(self.store is not None or self.source != "store", f"{at}.store", self.store,
                 f"the file of drawings with {at}.source=store; type {at}.store=FILE")  # fmt: skip
        require(self.recognised_by is None or self.source == "store", f"{at}.recognised_by", self.recognised_by,
                 f"null with {at}.source={self.source}: only a store knows which network recognised a drawing")  # fmt: skip
        require(self.count >= 1, f"{at}.count", self.count, "a number of drawings from 1")
        require(self.holdout >= 0, f"{at}.holdout", self.holdout, "a number of drawings, 0 to score none")

    def _check_path(self, path: str, value: str | None, at: str, needed: Mapping[str, str]) -> None:
        if self.source in needed:
            allowed = f"{needed[self.source]} with {at}.source={self.source}; type {path}=PATH"
        else:
            allowed = f"null with {at}.source={self.source}; to read it, type {at}.source={' or '.join(needed)}"
        require((value is not None) == (self.source in needed), path, value, allowed)


SOURCES = ("digits", "mnist", "kaggle", "kaggle_stand_in")
KAGGLE = ("kaggle", "kaggle_stand_in")  # the evaluation sets that these sources bring have their names
CLEAN = "_clean"  # ends the name of the part of a set that was not seen before


@dataclass
class Also:
    """A second source, all of whose training images join those of the first; `none` for no such source."""

    name: str = MISSING
    path: Optional[str] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, dict.fromkeys(["none", *SOURCES]))
        _check_source(self.name, self.path, at)


def _check_source(name: str, path: str | None, at: str) -> None:
    if name in ("none", "digits"):
        require(path is None, f"{at}.path", path,
                f"null with {at}.name={name}, which reads no file ({', '.join(SOURCES[1:])} do)")  # fmt: skip
    if name == "kaggle":
        require(path is not None, f"{at}.path", path, f"the folder of train.csv and test.csv; type {at}.path=FOLDER")


@dataclass
class Data:
    """Where the images come from and how they are divided; `validation` and `test` are shares of the images."""

    name: str = MISSING
    path: Optional[str] = MISSING
    test_labels: Optional[str] = MISSING
    also: Also = MISSING
    limit: Optional[int] = MISSING
    validation: float = MISSING
    test: Optional[float] = MISSING
    split: str = MISSING
    split_seed: int = MISSING
    writers: Optional[str] = MISSING
    folds: Optional[int] = MISSING
    fold: int = MISSING
    balance: str = MISSING
    classes: list[str] = MISSING
    manual_labels: int = MISSING
    allow_leakage: bool = MISSING
    remove_leakage: bool = MISSING
    near_duplicates: bool = MISSING
    drawn: Drawn = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, dict.fromkeys(SOURCES))
        _check_source(self.name, self.path, at)
        if self.name == "mnist":
            require(self.test is None or self.test == 0, f"{at}.test", self.test,
                    "null with data=mnist, which has its own test set, or 0 to leave that set unread")  # fmt: skip
        elif self.name in KAGGLE:
            require(self.test is not None and 0 <= self.test < 1, f"{at}.test", self.test,
                    "a share from 0 to below 1; with 0 there is no such set")  # fmt: skip
        else:
            require(self.test is not None and 0 < self.test < 1, f"{at}.test", self.test, "a share between 0 and 1")
        require(self.also.name != self.name, f"{at}.also.name", self.also.name, "another source than the first")
        require(self.test_labels is None or "kaggle" in self.sources, f"{at}.test_labels", self.test_labels,
                 "null without Kaggle's images; they are the labels of its test.csv")  # fmt: skip
        self._check_split(at)
        choose(f"{at}.balance", self.balance, dict.fromkeys(["natural", "balanced", "skewed"]))
        require(self.limit is None or self.limit > 0, f"{at}.limit", self.limit, "a number of images, or null for all")
        require(0 <= self.validation < 1, f"{at}.validation", self.validation, "a share from 0 to below 1")
        require(self.split_seed >= 0, f"{at}.split_seed", self.split_seed, "a whole number from 0")
        require(self.manual_labels >= 0, f"{at}.manual_labels", self.manual_labels, "a number of drawings from 0")
        require(self.manual_labels == 0 or self.drawn.source != "none", f"{at}.manual_labels", self.manual_labels,
                 f"0 without drawings; type {at}.drawn.source=store, csv, folder or synthetic to have some")  # fmt: skip

    def _check_split(self, at: str) -> None:
        choose(f"{at}.split", self.split, dict.fromkeys(["stratified", "writer"]))
        by_writer = self.split == "writer"
        require(not by_writer or self.sources == ("mnist",), f"{at}.split", self.split,
                "stratified, since only MNIST's writers are known, and of no second source")  # fmt: skip
        require(not by_writer or self.writers is not None, f"{at}.writers", self.writers,
                f"the file that says who wrote each image; type {at}.writers=FILE")  # fmt: skip
        require(self.folds is None or self.folds >= 2, f"{at}.folds", self.folds, "a number of folds from 2, or null")
        require(1 <= self.fold <= (self.folds or 1), f"{at}.fold", self.fold,
                f"a fold from 1 to {self.folds}" if self.folds else f"1 without folds; type {at}.folds=5")  # fmt: skip

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the one or two sources."""
        return (self.name,) if self.also.name == "none" else (self.name, self.also.name)

    @property
    def evaluation_sets(self) -> tuple[str, ...]:
        """The names of the sets on which a run is scored."""
        val = ("val",) if self.validation or self.folds else ()
        known = {"kaggle": self.test_labels is not None, "kaggle_stand_in": True}
        kaggle = [name for name in KAGGLE if name in self.sources and known[name]]
        drawn = ("drawn",) if self.drawn.source != "none" and self.drawn.holdout else ()
        test = () if self.test == 0 else ("test",)
        return (*val, *test, *kaggle, *drawn)


@dataclass
class Layer:
    """A dense layer; `units: 0` means that it is absent."""

    units: int = MISSING
    activation: str = MISSING
    dropout: float = MISSING

    def check(self, at: str) -> None:
        require(self.units >= 0, f"{at}.units", self.units, "a number of neurons, 0 for no such layer")
        _check_layer(self, at)


NORMALIZATION = ("before", "after")  # where batch normalisation stands: before or after the activation


@dataclass
class Head(Layer):
    """A dense layer after the convolutions; `units: 0` means that it is absent."""

    batch_normalization: bool = MISSING
    normalization: str = MISSING

    def check(self, at: str) -> None:
        super().check(at)
        choose(f"{at}.normalization", self.normalization, dict.fromkeys(NORMALIZATION))


@dataclass
class Convolution:
    """A convolution, then pooling and dropout; `filters: 0` means that all of it is absent, `pool: 0` its pooling."""

    filters: int = MISSING
    kernel_size: int = MISSING
    strides: int = MISSING
    padding: str = MISSING
    activation: str = MISSING
    pool: int = MISSING
    pooling: str = MISSING
    dropout: float = MISSING
    batch_normalization: bool = MISSING
    normalization: str = MISSING

    def check(self, at: str) -> None:
        require(self.filters >= 0, f"{at}.filters", self.filters, "a number of filters, 0 for no such layer")
        require(1 <= self.kernel_size <= 28, f"{at}.kernel_size", self.kernel_size, "pixels, from 1 to 28")
        require(1 <= self.strides <= 28, f"{at}.strides", self.strides, "pixels, from 1 to 28")
        choose(f"{at}.padding", self.padding, dict.fromkeys(["valid", "same"]))
        choose(f"{at}.pooling", self.pooling, dict.fromkeys(["max", "average"]))
        choose(f"{at}.normalization", self.normalization, dict.fromkeys(NORMALIZATION))
        require(self.pool == 0 or 2 <= self.pool <= 28, f"{at}.pool", self.pool, "pixels, from 2 to 28, or 0 for no pooling")
        _check_layer(self, at)


def _check_layer(layer: Layer | Convolution, at: str) -> None:
    choose(f"{at}.activation", layer.activation, registry.ACTIVATIONS)
    require(0 <= layer.dropout < 1, f"{at}.dropout", layer.dropout, "a share from 0 to below 1")


@dataclass
class Dense:
    """Dense layers on the 784 pixels, then one output per class."""

    kind: str = MISSING
    layer_1: Layer = MISSING
    layer_2: Layer = MISSING
    layer_3: Layer = MISSING
    layer_4: Layer = MISSING


@dataclass
class Cnn:
    """Convolutions, a dense head, then one output per class; `global_pooling` leaves the head one number a filter."""

    kind: str = MISSING
    conv_1: Convolution = MISSING
    conv_2: Convolution = MISSING
    conv_3: Convolution = MISSING
    conv_4: Convolution = MISSING
    conv_5: Convolution = MISSING
    conv_6: Convolution = MISSING
    global_pooling: str = MISSING
    head_1: Head = MISSING
    head_2: Head = MISSING
    head_3: Head = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.global_pooling", self.global_pooling, dict.fromkeys(["none", "average", "max"]))


# The settings that a baseline has; the others change nothing.
ESTIMATORS: dict[str, tuple[str, ...]] = {
    "logistic_regression": ("C",),
    "svm": ("C", "gamma"),
    "knn": ("neighbors",),
    "random_forest": ("trees",),
}


@dataclass
class Baseline:
    """No neural network: one of scikit-learn's classifiers, fitted to the training images once; it spelt the settings."""

    kind: str = MISSING
    estimator: str = MISSING
    C: float = MISSING
    gamma: Optional[float] = MISSING
    neighbors: int = MISSING
    trees: int = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.estimator", self.estimator, ESTIMATORS)
        require(self.C > 0, f"{at}.C", self.C, "a number above 0")
        require(self.gamma is None or self.gamma > 0, f"{at}.gamma", self.gamma, "a number above 0, or null for its default")
        require(self.neighbors >= 1, f"{at}.neighbors", self.neighbors, "a number of images from 1")
        require(self.trees >= 1, f"{at}.trees", self.trees, "a number of trees from 1")


registry.NETWORKS["dense"] = registry.Entry("dense", schema=Dense)
registry.NETWORKS["cnn"] = registry.Entry("cnn", schema=Cnn)
registry.NETWORKS["baseline"] = registry.Entry("baseline", schema=Baseline)


@dataclass
class Optimizer:
    """One of Keras' optimizers, or a registered one. A setting that is null has Keras' default."""

    name: str = MISSING
    learning_rate: Optional[float] = MISSING
    momentum: Optional[float] = MISSING
    nesterov: Optional[bool] = MISSING
    beta_1: Optional[float] = MISSING
    beta_2: Optional[float] = MISSING
    epsilon: Optional[float] = MISSING
    rho: Optional[float] = MISSING
    amsgrad: Optional[bool] = MISSING
    centered: Optional[bool] = MISSING
    initial_accumulator_value: Optional[float] = MISSING
    learning_rate_power: Optional[float] = MISSING
    l1_regularization_strength: Optional[float] = MISSING
    l2_regularization_strength: Optional[float] = MISSING
    l2_shrinkage_regularization_strength: Optional[float] = MISSING
    beta: Optional[float] = MISSING
    beta_2_decay: Optional[float] = MISSING
    epsilon_1: Optional[float] = MISSING
    epsilon_2: Optional[float] = MISSING
    clip_threshold: Optional[float] = MISSING
    relative_step: Optional[bool] = MISSING
    adam_beta_1: Optional[float] = MISSING
    adam_beta_2: Optional[float] = MISSING
    adam_weight_decay: Optional[float] = MISSING
    adam_lr_ratio: Optional[float] = MISSING
    ns_steps: Optional[int] = MISSING
    weight_decay: Optional[float] = MISSING
    clipnorm: Optional[float] = MISSING
    clipvalue: Optional[float] = MISSING
    global_clipnorm: Optional[float] = MISSING
    gradient_accumulation_steps: Optional[int] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, registry.OPTIMIZERS)
        require(self.learning_rate is None or self.learning_rate > 0, f"{at}.learning_rate", self.learning_rate,
                 "a rate above 0, or null for Keras' default")  # fmt: skip
        taken = registry.OPTIMIZERS[self.name].settings
        for setting, value in self.settings.items():
            if setting not in taken:
                raise ConfigError(
                    f"optimizer.{setting}={value}: {self.name} has no {setting}; it has {', '.join(taken)}. "
                    f"In a sweep over optimizers, say when: {{optimizer.name: [...]}}."
                )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were given a value, by name."""
        return {
            field.name: value
            for field in fields(self)
            if field.name != "name" and (value := getattr(self, field.name)) is not None
        }


MONITORED = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")

# The settings that a schedule of the learning rate has; the others change nothing.
SCHEDULES: dict[str, tuple[str, ...]] = {
    "constant": (),
    "plateau": ("monitor", "factor", "patience", "minimum"),
    "exponential": ("decay",),
    "one_cycle": ("warmup", "start", "end"),
    "cosine": ("warmup", "end"),
}


@dataclass
class Schedule:
    """How the learning rate changes, around `optimizer.learning_rate`; see training/schedules.py."""

    name: str = MISSING
    monitor: str = MISSING
    factor: float = MISSING
    patience: int = MISSING
    minimum: float = MISSING
    decay: float = MISSING
    warmup: float = MISSING
    start: float = MISSING
    end: float = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, SCHEDULES)
        choose(f"{at}.monitor", self.monitor, dict.fromkeys(MONITORED))
        require(0 < self.factor < 1, f"{at}.factor", self.factor, "a share between 0 and 1")
        require(self.patience >= 1, f"{at}.patience", self.patience, "a number of epochs from 1")
        require(self.minimum >= 0, f"{at}.minimum", self.minimum, "a rate from 0")
        require(0 < self.decay <= 1, f"{at}.decay", self.decay, "a share above 0, at most 1")
        for name in ("warmup", "start", "end"):
            value = getattr(self, name)
            require(0 <= value < 1, f"{at}.{name}", value, "a share from 0 to below 1")


@dataclass
class EarlyStopping:
    """Training ends when `monitor` has not improved for `patience` epochs, null for never; the best weights are kept."""

    patience: Optional[int] = MISSING
    monitor: str = MISSING

    def check(self, at: str) -> None:
        require(self.patience is None or self.patience >= 1, f"{at}.patience", self.patience,
                "a number of epochs from 1, or null for never")  # fmt: skip
        choose(f"{at}.monitor", self.monitor, dict.fromkeys(MONITORED))


# What a preset of `Augmentation` gives to the kinds of change that are null.
PRESETS: dict[str, dict[str, float]] = {
    "none": {},
    "rotate_zoom_shift": {"rotation": 10.0, "zoom": 0.1, "shift": 0.1},  # seeds 000 and 004
}


@dataclass
class Augmentation:
    """How far the training images are changed at random, new in every epoch; 0 is not at all, null is what `preset` says.

    rotation    degrees to either side
    zoom        share by which what is seen is wider or narrower, and apart from it higher or lower
    shift       share of the side, across and down
    shear       degrees by which upright lines lean to either side
    brightness  share by which grey levels are raised or lowered
    """

    preset: str = MISSING
    rotation: Optional[float] = MISSING
    zoom: Optional[float] = MISSING
    shift: Optional[float] = MISSING
    shear: Optional[float] = MISSING
    brightness: Optional[float] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.preset", self.preset, PRESETS)
        highest = {"rotation": (180, "degrees"), "zoom": (0.9, "a share"), "shift": (1, "a share of the side"),
                   "shear": (60, "degrees"), "brightness": (1, "a share")}  # fmt: skip
        for name, (high, unit) in highest.items():
            value = getattr(self, name)
            require(value is None or 0 <= value <= high, f"{at}.{name}", value, f"{unit} from 0 to {high}, or null")

    @property
    def amounts(self) -> dict[str, float]:
        """How much of each kind of change there is, the preset's among them."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "preset"}
        return {name: PRESETS[self.preset].get(name, 0.0) if value is None else value for name, value in given.items()}


SCRATCH = "scratch"


FLOAT32, MIXED = "float32", "mixed_bfloat16"  # as Keras names them; mixed keeps weights and sums in float32


@dataclass
class Training:
    """How long and in which steps a network trains, and by which engine: Keras one by one, or lanes side by side.

    `epochs` is the horizon, which schedules follow; `until` ends the training after an earlier epoch.
    """

    engine: str = MISSING
    precision: str = MISSING
    epochs: int = MISSING
    until: Optional[int] = MISSING
    batch_size: int = MISSING
    class_weights: str = MISSING
    start: str = MISSING
    schedule: Schedule = MISSING
    early_stopping: EarlyStopping = MISSING
    label_smoothing: float = MISSING
    ema: Optional[float] = MISSING
    augmentation: Augmentation = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.engine", self.engine, dict.fromkeys(["auto", "keras", "lanes"]))
        choose(f"{at}.precision", self.precision, dict.fromkeys(["auto", FLOAT32, MIXED]))
        choose(f"{at}.class_weights", self.class_weights, dict.fromkeys(["none", "balanced"]))
        require(self.epochs >= 1, f"{at}.epochs", self.epochs, "a whole number from 1")
        require(self.until is None or 1 <= self.until <= self.epochs, f"{at}.until", self.until,
                f"an epoch from 1 to {at}.epochs={self.epochs}, or null for the last")  # fmt: skip
        require(self.batch_size >= 1, f"{at}.batch_size", self.batch_size, "a number of images from 1")
        require(0 <= self.label_smoothing < 1, f"{at}.label_smoothing", self.label_smoothing, "a share from 0 to below 1")
        require(self.ema is None or 0 < self.ema < 1, f"{at}.ema", self.ema, "a share between 0 and 1, or null for none")

    @property
    def plain(self) -> bool:
        """Whether the settings that only Keras' own training knows are neutral."""
        return (
            self.class_weights == "none"
            and self.start == SCRATCH
            and self.schedule.name == "constant"
            and self.early_stopping.patience is None
            and self.label_smoothing == 0
            and self.ema is None
        )

    @property
    def last(self) -> int:
        """The epoch after which training ends."""
        return self.until or self.epochs


@dataclass
class Evaluation:
    """What is measured on every evaluation set, besides accuracy and loss: names of registered metrics.

    `target` is an accuracy of "val": after how many epochs and seconds was it reached? `shifts` are pixels by which images
    are moved to be read again; `ensemble` says whether the seeds of a trial are also read together.
    """

    metrics: list[str] = MISSING
    target: Optional[float] = MISSING
    shifts: int = MISSING
    ensemble: bool = MISSING

    def check(self, at: str) -> None:
        require(self.target is None or 0 < self.target <= 1, f"{at}.target", self.target,
                "a share above 0, at most 1, or null for none")  # fmt: skip
        require(0 <= self.shifts <= 4, f"{at}.shifts", self.shifts, "pixels from 0 to 4")
        for name in self.metrics:
            choose(f"{at}.metrics", name, registry.METRICS)


PROPOSED = ("random", "bayesian", "hyperband")  # trial by trial; the others are lists
METHODS = ("grid", "one_at_a_time", "zip", *PROPOSED)


@dataclass
class Search:
    """The question: which settings are varied, how, and by which measure they are ranked."""

    name: Optional[str] = MISSING
    method: str = MISSING
    objective: Optional[str] = MISSING
    repeats: int = MISSING
    trials: int = MISSING
    factor: int = MISSING
    refit: bool = MISSING
    budget: Optional[str] = MISSING
    max_failures: Optional[int] = MISSING
    space: dict[str, Any] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.method", self.method, dict.fromkeys(METHODS))
        require(self.repeats >= 1, f"{at}.repeats", self.repeats, "a number of seeds from 1")
        require(self.objective is not None or not self.refit, f"{at}.refit", True,
                "false without an objective: there is no winner to train again")  # fmt: skip
        require(self.trials >= 1, f"{at}.trials", self.trials, "a number of trials from 1")
        require(self.factor >= 2, f"{at}.factor", self.factor, "a whole number from 2")
        require(self.budget is None or seconds(self.budget) > 0, f"{at}.budget", self.budget,
                "a time such as 2h, 90min or 1h30min, or null for as long as it takes")  # fmt: skip
        require(self.max_failures is None or self.max_failures >= 1, f"{at}.max_failures", self.max_failures,
                "a number of runs from 1, or null to go on whatever fails")  # fmt: skip
        require(self.objective is not None or self.method not in PROPOSED, f"{at}.objective", None,
                f"a measure such as val/accuracy, since {self.method} search ranks its trials")  # fmt: skip


@dataclass
class Execution:
    """By whom runs are trained. Nothing here changes a number of a run, so nothing here is part of its signature."""

    executor: str = MISSING
    workers: int = MISSING
    address: Optional[str] = MISSING
    retries: int = MISSING
    runs_per_worker: int = MISSING
    memory_per_worker: float = MISSING
    checkpoint_seconds: float = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.executor", self.executor, dict.fromkeys(["auto", "in_process", "pool", "dask"]))
        require(self.workers >= 1, f"{at}.workers", self.workers, "a number of processes from 1")
        require(self.workers == 1 or self.executor != "in_process", f"{at}.workers", self.workers,
                f"1 in process; type {at}.executor=pool for more")  # fmt: skip
        require((self.address is not None) == (self.executor == "dask"), f"{at}.address", self.address,
                f"tcp://HOST:PORT with {at}.executor=dask, else null")  # fmt: skip
        require(self.retries >= 0, f"{at}.retries", self.retries, "a number from 0")
        require(self.runs_per_worker >= 1, f"{at}.runs_per_worker", self.runs_per_worker, "a number of runs from 1")
        require(self.memory_per_worker > 0, f"{at}.memory_per_worker", self.memory_per_worker, "GiB, above 0")
        require(self.checkpoint_seconds >= 0, f"{at}.checkpoint_seconds", self.checkpoint_seconds, "seconds from 0")


@dataclass
class Tracking:
    """Where MLflow keeps the runs, and which runs get pictures: all, or only the best trial's.

    `runs` is a runs.csv: what is finished there counts as finished here.
    """

    uri: Optional[str] = MISSING
    runs: Optional[str] = MISSING
    pictures: str = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.pictures", self.pictures, dict.fromkeys(["all", "best"]))


@dataclass
class Ui:
    """`digitexp ui`."""

    port: int = MISSING


@dataclass
class Doctor:
    """`digitexp doctor`: whether what it finds is mended."""

    fix: bool = MISSING


@dataclass
class Rule:
    """When a reported claim counts as reproduced; `margin` by metric."""

    alpha: float = MISSING
    seeds: int = MISSING
    margin: dict[str, float] = MISSING
    correlation: float = MISSING
    data: list[str] = MISSING
    drawings: list[str] = MISSING

    def check(self, at: str) -> None:
        require(0 < self.alpha < 0.5, f"{at}.alpha", self.alpha, "a probability between 0 and 0.5")
        require(self.seeds >= 1, f"{at}.seeds", self.seeds, "a number of seeds from 1")
        require(0 < self.correlation < 1, f"{at}.correlation", self.correlation, "a correlation between 0 and 1")
        for metric, margin in self.margin.items():
            require(margin > 0, f"{at}.margin.{metric}", margin, "a difference above 0")

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that stand for the values of the rule."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Report:
    """`digitexp report`: the folder in which each sweep has its own; `runs` is a runs.csv to read instead of the store."""

    folder: str = MISSING
    runs: Optional[str] = MISSING
    audit: bool = MISSING
    writers: bool = MISSING
    compare: list[str] = MISSING
    readme: Optional[str] = MISSING

    def check(self, at: str) -> None:
        require(len(self.compare) in (0, 2), f"{at}.compare", self.compare, "a list of two runs, as in [RUN_A,RUN_B]")


@dataclass
class Reproduce:
    """`digitexp reproduce RUN`."""

    run: Optional[str] = MISSING


@dataclass
class Draw:
    """`digitexp draw`: the networks that recognise, and the sitting that the page begins with."""

    model: str = MISSING
    against: Optional[str] = MISSING
    port: int = MISSING
    writer: str = MISSING
    role: str = MISSING
    prompted: bool = MISSING
    add: Optional[str] = MISSING
    export: Optional[str] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.role", self.role, dict.fromkeys(["train", "score"]))
        named = 0 < len(self.writer) <= 60 and self.writer.isprintable()
        require(named, f"{at}.writer", self.writer, "a name of 1 to 60 letters")
        require(self.add is None or self.export is None, f"{at}.add", self.add, f"null together with {at}.export")


@dataclass
class Promote:
    """`digitexp promote SWEEP`, or the address of a network."""

    model: Optional[str] = MISSING


@dataclass
class Predict:
    """`digitexp predict IMAGE...`: the network that reads, where its files go, and below which probability it says "?"."""

    model: str = MISSING
    folder: str = MISSING
    confidence: float = MISSING
    debug: bool = MISSING

    def check(self, at: str) -> None:
        require(0 <= self.confidence < 1, f"{at}.confidence", self.confidence, "a probability from 0 to below 1")


@dataclass
class Submit:
    """`digitexp submit`: the networks whose probabilities are averaged, and the file that is written."""

    models: list[str] = MISSING
    file: str = MISSING

    def check(self, at: str) -> None:
        require(len(self.models) >= 1, f"{at}.models", self.models, "a list of one network or several")
        require(self.file.endswith(".csv"), f"{at}.file", self.file, "a file that ends in .csv")


@dataclass
class Explore:
    """`digitexp explore`: the folder in which each data set has its own; whether suspicious labels are looked for."""

    folder: str = MISSING
    labels: bool = MISSING


@dataclass
class Config:
    """All settings of one run, and of the sweep that it belongs to."""

    seed: int = MISSING
    extensions: list[str] = MISSING
    data: Data = MISSING
    model: Any = MISSING
    optimizer: Optimizer = MISSING
    loss: str = MISSING
    training: Training = MISSING
    evaluation: Evaluation = MISSING
    search: Search = MISSING
    execution: Execution = MISSING
    tracking: Tracking = MISSING
    ui: Ui = MISSING
    rule: Rule = MISSING
    report: Report = MISSING
    doctor: Doctor = MISSING
    explore: Explore = MISSING
    reproduce: Reproduce = MISSING
    promote: Promote = MISSING
    draw: Draw = MISSING
    predict: Predict = MISSING
    submit: Submit = MISSING

    @property
    def experiment(self) -> str:
        """Where the runs are recorded: the sweep's name, `single` for runs that belong to none."""
        return self.search.name or "single"

    def check(self, at: str) -> None:
        require(self.training.precision != MIXED or self.model.kind in ("dense", "cnn"), "training.precision", MIXED,
                f"{FLOAT32} with model.kind={self.model.kind}, whose layers are not ours")  # fmt: skip
        require(self.seed >= 1, "seed", self.seed, "a whole number from 1")
        choose("loss", self.loss, registry.LOSSES)
        whole = self.loss in registry.OF_WHOLE_BATCH
        require(not whole or self.training.class_weights == "none", "training.class_weights", self.training.class_weights,
                f"none with loss={self.loss}, which is no mean over images")  # fmt: skip
        require(bool(self.data.evaluation_sets), "data.test", self.data.test,
                "more than 0 where data.validation=0 and nothing is drawn; a run is scored on some images")  # fmt: skip
        objective = self.search.objective
        if objective is None:
            return
        metrics = ["accuracy", "loss", "auc", *self.evaluation.metrics]
        scored = ("test", *KAGGLE)
        allowed = [f"{part}/{metric}" for part in self.data.evaluation_sets if part not in scored for metric in metrics]
        if objective not in allowed:
            last = objective.split("/")[0] in scored
            why = "nothing is chosen by the images that are scored last" if last else "this data cannot give it"
            offer = f"allowed are {', '.join(allowed)}" if allowed else "with data.validation=0 there is none to choose by"
            raise ConfigError(f"search.objective={objective}: {why}; {offer}, or null.{nearest(objective, allowed)}")
