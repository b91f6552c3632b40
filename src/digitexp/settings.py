"""Every setting's name, type and range, as dataclasses. The values live in conf/, never here.

Each class checks its own settings in `check(at)`, where `at` is its dotted path; config.py calls them all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
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
    holdout: int = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.source", self.source, dict.fromkeys(["none", "csv", "folder", "synthetic"]))
        choose(f"{at}.geometry", self.geometry, dict.fromkeys(["raw", "mnist"]))
        self._check_path(f"{at}.images", self.images, at, {"csv": "the csv file of images", "folder": "the folder of PNGs"})
        self._check_path(f"{at}.labels", self.labels, at, {"csv": "the csv file of labels"})
        require(self.count >= 1, f"{at}.count", self.count, "a number of drawings from 1")
        require(self.holdout >= 0, f"{at}.holdout", self.holdout, "a number of drawings, 0 to score none")

    def _check_path(self, path: str, value: str | None, at: str, needed: Mapping[str, str]) -> None:
        if self.source in needed:
            allowed = f"{needed[self.source]} with {at}.source={self.source}; type {path}=PATH"
        else:
            allowed = f"null with {at}.source={self.source}; to read it, type {at}.source={' or '.join(needed)}"
        require((value is not None) == (self.source in needed), path, value, allowed)


@dataclass
class Data:
    """Where the images come from and how they are divided; `validation` and `test` are shares of the images."""

    name: str = MISSING
    path: Optional[str] = MISSING
    limit: Optional[int] = MISSING
    validation: float = MISSING
    test: Optional[float] = MISSING
    split_seed: int = MISSING
    classes: list[str] = MISSING
    manual_labels: int = MISSING
    allow_leakage: bool = MISSING
    drawn: Drawn = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, dict.fromkeys(["digits", "mnist"]))
        if self.name == "digits":
            require(self.path is None, f"{at}.path", self.path,
                     "null with data=digits, which reads no file (data=mnist does)")  # fmt: skip
            require(self.test is not None and 0 < self.test < 1, f"{at}.test", self.test, "a share between 0 and 1")
        else:
            require(self.test is None, f"{at}.test", self.test, "null with data=mnist, which has its own test set")
        require(self.limit is None or self.limit > 0, f"{at}.limit", self.limit, "a number of images, or null for all")
        require(0 <= self.validation < 1, f"{at}.validation", self.validation, "a share from 0 to below 1")
        require(self.split_seed >= 0, f"{at}.split_seed", self.split_seed, "a whole number from 0")
        require(self.manual_labels >= 0, f"{at}.manual_labels", self.manual_labels, "a number of drawings from 0")
        require(self.manual_labels == 0 or self.drawn.source != "none", f"{at}.manual_labels", self.manual_labels,
                 f"0 without drawings; type {at}.drawn.source=synthetic, csv or folder to have some")  # fmt: skip

    @property
    def evaluation_sets(self) -> tuple[str, ...]:
        """The names of the sets on which a run is scored."""
        val = ("val",) if self.validation else ()
        drawn = ("drawn",) if self.drawn.source != "none" and self.drawn.holdout else ()
        return (*val, "test", *drawn)


@dataclass
class Layer:
    """A dense layer; `units: 0` means that it is absent."""

    units: int = MISSING
    activation: str = MISSING
    dropout: float = MISSING

    def check(self, at: str) -> None:
        require(self.units >= 0, f"{at}.units", self.units, "a number of neurons, 0 for no such layer")
        _check_layer(self, at)


@dataclass
class Head(Layer):
    """A dense layer after the convolutions; `units: 0` means that it is absent."""

    batch_normalization: bool = MISSING


@dataclass
class Convolution:
    """A convolution, then pooling and dropout; `filters: 0` means that all of it is absent, `pool: 0` its pooling."""

    filters: int = MISSING
    kernel_size: int = MISSING
    padding: str = MISSING
    activation: str = MISSING
    pool: int = MISSING
    dropout: float = MISSING
    batch_normalization: bool = MISSING

    def check(self, at: str) -> None:
        require(self.filters >= 0, f"{at}.filters", self.filters, "a number of filters, 0 for no such layer")
        require(1 <= self.kernel_size <= 28, f"{at}.kernel_size", self.kernel_size, "pixels, from 1 to 28")
        choose(f"{at}.padding", self.padding, dict.fromkeys(["valid", "same"]))
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
    """Convolutions, a dense head, then one output per class."""

    kind: str = MISSING
    conv_1: Convolution = MISSING
    conv_2: Convolution = MISSING
    conv_3: Convolution = MISSING
    conv_4: Convolution = MISSING
    conv_5: Convolution = MISSING
    conv_6: Convolution = MISSING
    head_1: Head = MISSING
    head_2: Head = MISSING
    head_3: Head = MISSING


registry.NETWORKS["dense"] = registry.Entry("dense", schema=Dense)
registry.NETWORKS["cnn"] = registry.Entry("cnn", schema=Cnn)


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


@dataclass
class Training:
    """How long and in which steps a network trains, and by which engine: Keras one by one, or lanes side by side.

    `epochs` is the horizon, which schedules follow; `until` ends the training after an earlier epoch.
    """

    engine: str = MISSING
    epochs: int = MISSING
    until: Optional[int] = MISSING
    batch_size: int = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.engine", self.engine, dict.fromkeys(["keras", "lanes"]))
        require(self.epochs >= 1, f"{at}.epochs", self.epochs, "a whole number from 1")
        require(self.until is None or 1 <= self.until <= self.epochs, f"{at}.until", self.until,
                f"an epoch from 1 to {at}.epochs={self.epochs}, or null for the last")  # fmt: skip
        require(self.batch_size >= 1, f"{at}.batch_size", self.batch_size, "a number of images from 1")

    @property
    def last(self) -> int:
        """The epoch after which training ends."""
        return self.until or self.epochs


@dataclass
class Evaluation:
    """What is measured on every evaluation set, besides accuracy and loss: names of registered metrics."""

    metrics: list[str] = MISSING

    def check(self, at: str) -> None:
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
    """Where MLflow keeps the runs, and which runs get pictures: all, or only the best trial's."""

    uri: Optional[str] = MISSING
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
class Report:
    """`digitexp report`: the folder in which each sweep has its own; `runs` is a runs.csv to read instead of the store."""

    folder: str = MISSING
    runs: Optional[str] = MISSING


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
    report: Report = MISSING
    doctor: Doctor = MISSING

    @property
    def experiment(self) -> str:
        """Where the runs are recorded: the sweep's name, `single` for runs that belong to none."""
        return self.search.name or "single"

    def check(self, at: str) -> None:
        require(self.seed >= 1, "seed", self.seed, "a whole number from 1")
        choose("loss", self.loss, registry.LOSSES)
        objective = self.search.objective
        if objective is None:
            return
        metrics = ["accuracy", "loss", *self.evaluation.metrics]
        allowed = [f"{part}/{metric}" for part in self.data.evaluation_sets if part != "test" for metric in metrics]
        if objective not in allowed:
            why = "nothing is chosen by the test set" if objective.startswith("test/") else "this data cannot give it"
            offer = f"allowed are {', '.join(allowed)}" if allowed else "with data.validation=0 there is none to choose by"
            raise ConfigError(f"search.objective={objective}: {why}; {offer}, or null.{nearest(objective, allowed)}")
