"""A run: one configuration trained and evaluated. Needs no tuner and no tracker.

`run(configs, folder, on_epoch)` takes configurations and gives a `Result` or a `Failure` for each.
"""

import gc
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from digitexp import registry
from digitexp.data import sets as data_sets
from digitexp.data.digits import Digits
from digitexp.errors import DigitexpError, TrainingError
from digitexp.evaluation import calibration, roc, shifts
from digitexp.evaluation.shifts import SHIFTED
from digitexp.models import network
from digitexp.models.layers import layers, training_flops
from digitexp.results import Failure, Predictions, Result
from digitexp.settings import Baseline, Config
from digitexp.training import baselines, lanes
from digitexp.training import checkpoints as states
from digitexp.training import train as training

OnEpoch = Callable[[int, int, dict[str, float]], bool]

# What ends one run and no other: ours, Keras' own, and those of functions that a user registered. Not OSError: a disk that
# is full, or a store that is away, ends the sweep.
RUN_ERRORS = (
    DigitexpError, ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, MemoryError, NameError,
    RuntimeError, TypeError, ValueError,
)  # fmt: skip


def run(
    configs: Sequence[Config],
    folder: Path,
    on_epoch: OnEpoch = lambda index, epoch, metrics: True,
    checkpoints: Sequence[Path | None] = (),
) -> Iterator[tuple[int, Result | Failure]]:
    """Train and evaluate each of `configs`; gives (position, outcome) as they finish. Networks are saved in `folder`.

    `on_epoch(index, epoch, metrics)` is called when the run at `index` begins (epoch 0) and after each of its epochs, and
    says whether to go on. Runs that can be lanes of one program (`training.engine=lanes`) begin and finish together.
    `checkpoints` are the files, one a run, in which its state is kept: a run whose file has a state goes on from there, and
    one that ends before its horizon leaves its last.
    """
    files = list(checkpoints) or [None] * len(configs)
    told: dict[int, int] = {}

    def tell(index: int, epoch: int, metrics: dict[str, float]) -> bool:
        """A bundle that was split begins again, with the same numbers: each epoch is told once."""
        if epoch <= told.get(index, -1):
            return True
        told[index] = epoch
        return on_epoch(index, epoch, metrics)

    waiting = deque(bundles(configs))
    while waiting:
        left = waiting.popleft()
        for index in left:
            tell(index, 0, {})
        try:
            for index, outcome in _train(configs, tuple(left), folder, tell, files):
                left.remove(index)
                yield index, outcome
        except RUN_ERRORS as error:
            failure = _failure(error)
        if len(left) == 1:
            yield left[0], failure
        elif left:  # one of them is at fault, or they are too much at once
            waiting.extendleft(reversed(_lanes(configs, left, -(-len(left) // 2))))
        if waiting:  # here, where the error no longer holds what was too much
            gc.collect()  # a program is a cycle


def bundles(configs: Sequence[Config], workers: int = 1) -> list[list[int]]:
    """Positions of runs that are trained as one program, so that each worker has some, and of every other by itself."""
    able = [index for index, config in enumerate(configs) if config.training.engine == "lanes"]
    bundled = _lanes(configs, able, min(lanes.LANES, max(1, -(-len(able) // workers))))
    return sorted([*bundled, *([index] for index in range(len(configs)) if index not in able)])


def _lanes(configs: Sequence[Config], positions: Sequence[int], most: int = lanes.LANES) -> list[list[int]]:
    found = lanes.bundles([configs[index] for index in positions], most)
    return [[positions[place] for place in bundle] for bundle in found]


def _train(
    configs: Sequence[Config],
    positions: Sequence[int],
    folder: Path,
    on_epoch: OnEpoch,
    files: Sequence[Path | None],
) -> Iterator[tuple[int, Result | Failure]]:
    chosen = [configs[index] for index in positions]
    kept = {index: _Kept(configs[index], files[index]) for index in positions}
    starts = [checkpoint.epoch for checkpoint in kept.values()]
    if chosen[0].training.engine == "lanes" and len(set(starts)) > 1:
        for start in sorted(set(starts)):  # lanes begin after one and the same epoch
            for together in _lanes(configs, [index for index in positions if kept[index].epoch == start]):
                yield from _train(configs, together, folder, on_epoch, files)
        return
    loaded = {repr(config.data): data_sets.load(config.data) for config in chosen}
    sets = [loaded[repr(config.data)] for config in chosen]
    if isinstance(chosen[0].model, Baseline):
        yield positions[0], _baseline(chosen[0], sets[0])
        return
    outcomes: Sequence[lanes.Trained]
    if chosen[0].training.engine == "lanes":
        outcomes = lanes.train(
            chosen,
            sets,
            [checkpoint.state for checkpoint in kept.values() if checkpoint.state] or None,
            on_epoch=lambda lane, epoch, metrics: on_epoch(positions[lane], epoch, metrics),
            keep=lambda states: _keep({kept[positions[lane]]: state for lane, state in states.items()}),
        )
    else:
        (own,) = kept.values()
        told = partial(on_epoch, positions[0])
        outcomes = [training.train(chosen[0], sets[0], own.state, on_epoch=told, keep=lambda state: _keep({own: state}))]
    for index, config, scored, outcome in zip(positions, chosen, sets, outcomes, strict=True):
        if isinstance(outcome, TrainingError):
            yield index, Failure(str(outcome), str(outcome))
        else:
            kept[index].end(outcome[1])
            try:
                yield index, _result(config, scored, *outcome, folder / f"{index}.keras")
            except RUN_ERRORS as error:
                yield index, _failure(error)


def _failure(error: Exception) -> Failure:
    text = str(error).strip() or "no more is known"
    message = text if isinstance(error, DigitexpError) else f"{type(error).__name__}: {text.splitlines()[0]}"
    return Failure(message, traceback.format_exc())


class _Kept:
    """The state of a run in its file: what it begins with, kept now and then, and the last of one that may be continued."""

    def __init__(self, config: Config, file: Path | None) -> None:
        self._config, self._file, self._kept = config, file, time.monotonic()
        self.state = states.load(file, config.training.last) if file else None

    @property
    def epoch(self) -> int:
        return self.state.epoch if self.state else 0

    @property
    def due(self) -> bool:
        return self._file is not None and time.monotonic() - self._kept >= self._config.execution.checkpoint_seconds

    def keep(self, state: training.State) -> None:
        if self._file:
            states.save(self._file, state)
            self._kept = time.monotonic()

    def end(self, state: training.State) -> None:
        if self._file and state.epoch < self._config.training.epochs:
            states.save(self._file, state)


def _keep(states: Mapping[_Kept, Callable[[], training.State]]) -> None:
    """Keep the states of all or of none: runs that train together go on together where their epochs are the same."""
    if any(kept.due for kept in states):
        for kept, state in states.items():
            kept.keep(state())


def _result(config: Config, sets: Mapping[str, Digits], model: Any, state: training.State, file: Path) -> Result:
    predictions = _predictions(config, sets, partial(training.predict, model))
    if not all(np.isfinite(told.probabilities).all() for told in predictions.values()):
        raise TrainingError(f"epoch {state.epoch}: its probabilities are no numbers; a smaller optimizer.learning_rate may "
                            "help.")  # fmt: skip
    metrics = state.measured(config.training.early_stopping)
    for name, predicted in predictions.items():
        part = sets[name.removesuffix(SHIFTED)]
        metrics |= training.evaluate(model, part, name, predicted.probabilities) | _scores(config, name, predicted)
    if "val/accuracy" in metrics:
        metrics["val/gap"] = metrics["train/accuracy"] - metrics["val/accuracy"]
    metrics |= {"seconds": state.seconds, "parameters": float(model.count_params()), "epochs": float(state.epoch)}
    metrics["images_per_second"] = len(sets["train"]) * state.epoch / state.seconds
    metrics |= _reached(config.evaluation.target, state.curves.get("val/accuracy", []), state.ends)
    specs = layers(config)
    if specs is not None:
        metrics["tflop"] = training_flops(specs) * len(sets["train"]) * state.epoch / 1e12
    network.save(config, model, file)
    return Result(metrics, state.curves, predictions, network.layer_table(model), network.used_settings(config),
                  *_about(sets, predictions), list(config.data.classes), file)  # fmt: skip


def _baseline(config: Config, sets: Mapping[str, Digits]) -> Result:
    """A run without network, epochs and curves. Its seconds are of the reading too: nearest neighbours work only then."""
    started = time.perf_counter()
    predictions = _predictions(config, sets, baselines.fit(config.model, sets["train"], config.seed))
    metrics = {"seconds": time.perf_counter() - started, "epochs": 0.0}
    entry = registry.LOSSES[config.loss]
    loss = entry.call if entry.build else network.loss(config)
    for name, predicted in predictions.items():
        metrics |= training.measure(loss, name, predicted.labels, predicted.probabilities)
        metrics |= _scores(config, name, predicted)
    return Result(metrics, {}, predictions, [], {}, *_about(sets, predictions), list(config.data.classes), None)


def _about(sets: Mapping[str, Digits], predictions: Mapping[str, Predictions]) -> tuple[dict[str, int], dict[str, str]]:
    """How many images each set holds, and their digests."""
    parts = {name: sets[name.removesuffix(SHIFTED)] for name in ("train", *predictions)}
    return {name: len(part) for name, part in parts.items()}, {name: part.digest() for name, part in parts.items()}


def _predictions(config: Config, sets: Mapping[str, Digits], predict: Callable[[Any], Any]) -> dict[str, Predictions]:
    """What is said of every evaluation set, and, where `evaluation.shifts` asks for it, of the same images moved."""
    scored = {name: digits for name, digits in sets.items() if name != "train"}
    found = {name: Predictions(digits.labels, predict(digits.images)) for name, digits in scored.items()}
    pixels = config.evaluation.shifts
    for name, digits in scored.items() if pixels else ():
        found[f"{name}{SHIFTED}"] = Predictions(digits.labels, shifts.average(predict, digits.images, pixels))
    return found


def _scores(config: Config, name: str, predicted: Predictions) -> dict[str, float]:
    """What is told of a set from the probabilities alone."""
    area = roc.mean_area(predicted.labels, predicted.probabilities)
    metrics = {} if area is None else {f"{name}/auc": area}
    metrics[f"{name}/calibration_error"] = calibration.expected_error(predicted.labels, predicted.probabilities)
    return metrics | _registered_metrics(config, name, predicted)


def _reached(target: float | None, accuracies: Sequence[float], ends: Sequence[float]) -> dict[str, float]:
    """The epochs and the seconds of training after which the accuracy was `target`; nothing where it never was."""
    epoch = next((epoch for epoch, accuracy in enumerate(accuracies, 1) if target is not None and accuracy >= target), None)
    return {} if epoch is None else {"epochs_to_target": float(epoch), "seconds_to_target": ends[epoch - 1]}


def _registered_metrics(config: Config, name: str, predicted: Predictions) -> dict[str, float]:
    measured = {}
    for metric in config.evaluation.metrics:
        entry = registry.METRICS[metric]
        if entry.build is not None:
            measured[f"{name}/{metric}"] = float(entry.call(predicted.labels, predicted.probabilities))
    return measured
