"""Every setting's name, type and range, as dataclasses. The values live in conf/, never here.

Each class checks its own settings in `check(at)`, where `at` is its dotted path; config.py calls them all.
"""

from dataclasses import dataclass, replace
from typing import Any

from omegaconf import MISSING

from digitexp import registry
from digitexp.errors import ConfigError, nearest
from digitexp.settings.checks import choose, require, seconds
from digitexp.settings.data import CLEAN, KAGGLE, SOURCES, Also, Data, Drawn
from digitexp.settings.model import ESTIMATORS, Baseline, Cnn, Convolution, Dense, Head, Layer
from digitexp.settings.sweep import PROPOSED, Execution, Search, Tracking
from digitexp.settings.training import (
    FLOAT32,
    MIXED,
    SCHEDULES,
    SCRATCH,
    Augmentation,
    EarlyStopping,
    Evaluation,
    Optimizer,
    Schedule,
    Training,
)
from digitexp.settings.verbs import Doctor, Draw, Explore, Predict, Promote, Report, Reproduce, Rule, Submit, Ui

__all__ = [
    "CLEAN", "ESTIMATORS", "FLOAT32", "KAGGLE", "MIXED", "PROPOSED", "SCHEDULES", "SCRATCH", "SOURCES", "Also",
    "Augmentation", "Baseline", "Cnn", "Config", "Convolution", "Data", "Dense", "Drawn", "EarlyStopping",
    "Execution", "Head", "Layer", "Rule", "Schedule", "Training", "choose", "seconds",
]  # fmt: skip


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
        refitted = replace(self.data, validation=0.0, folds=None)
        require(not self.search.refit or bool(refitted.evaluation_sets), "search.refit", "true",
                "false with data.test=0 and no drawings: trained on the validation images too, the winner is scored on none")
        self._check_watched()
        if isinstance(self.model, Baseline):
            self._check_baseline()
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

    def _check_watched(self) -> None:
        """What is watched of "val" after each epoch needs such a set; a winner that is trained again has none."""
        training, validated = self.training, "val" in self.data.evaluation_sets
        why = "search.refit=true, which trains the winner" if validated else "data.validation=0, which trains"
        watched = {
            "training.early_stopping.monitor": training.early_stopping.patience and training.early_stopping.monitor,
            "training.schedule.monitor": training.schedule.name == "plateau" and training.schedule.monitor,
        }
        for path, monitor in watched.items():
            require(not monitor or monitor.startswith("train/") or (validated and not self.search.refit), path, monitor,
                    f"train/accuracy or train/loss with {why} without such a set")  # fmt: skip
        require(self.evaluation.target is None or validated, "evaluation.target", self.evaluation.target,
                "null with data.validation=0: it is an accuracy of val")  # fmt: skip

    def _check_baseline(self) -> None:
        """What belongs to epochs would silently do nothing."""
        why = "with model=baseline, which is fitted once, to the images as they are"
        for name, amount in self.training.augmentation.amounts.items():
            require(amount == 0, f"training.augmentation.{name}", amount, f"0 {why}")
        training = self.training
        for path, value, neutral in (
            ("training.class_weights", training.class_weights, "none"),
            ("training.start", training.start, SCRATCH),
            ("training.schedule.name", training.schedule.name, "constant"),
            ("training.early_stopping.patience", training.early_stopping.patience, None),
            ("training.label_smoothing", training.label_smoothing, 0),
            ("training.ema", training.ema, None),
            ("evaluation.target", self.evaluation.target, None),
        ):
            require(value == neutral, path, value, f"{'null' if neutral is None else neutral} {why}")
