"""Settings of the training, optimizer, schedule and augmentation among them, and of what is measured after it."""

from dataclasses import dataclass, fields
from typing import Any, Optional

from omegaconf import MISSING

from digitexp import registry
from digitexp.errors import ConfigError
from digitexp.settings.checks import choose, require

# ruff: noqa: UP045  (OmegaConf reads `Optional[int]` in a schema in every version, `int | None` only in the newest)

MONITORED = ("val/accuracy", "val/loss", "train/accuracy", "train/loss")

# The settings that a schedule of the learning rate has; the others change nothing.
SCHEDULES: dict[str, tuple[str, ...]] = {
    "constant": (),
    "plateau": ("monitor", "factor", "patience", "minimum"),
    "exponential": ("decay",),
    "one_cycle": ("warmup", "start", "end"),
    "cosine": ("warmup", "end"),
}

# What a preset of `Augmentation` gives to the kinds of change that are null.
PRESETS: dict[str, dict[str, float]] = {
    "none": {},
    "rotate_zoom_shift": {"rotation": 10.0, "zoom": 0.1, "shift": 0.1},  # seeds 000 and 004
}
SCRATCH = "scratch"
FLOAT32, MIXED = "float32", "mixed_bfloat16"  # as Keras names them; mixed keeps weights and sums in float32


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
