"""A run: one configuration trained and evaluated. Needs no tuner and no tracker.

`run(configs, folder, on_epoch)` takes configurations and gives a `Result` or a `Failure` for each.
"""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from digitexp import registry
from digitexp.data import sets as data_sets
from digitexp.data.digits import Digits
from digitexp.errors import ConfigError, DataError, OutOfMemoryError, TrainingError
from digitexp.evaluation import calibration, roc, shifts
from digitexp.evaluation.shifts import SHIFTED
from digitexp.models import network
from digitexp.models.layers import layers, training_flops
from digitexp.results import Failure, Predictions, Result
from digitexp.settings import Baseline, Config
from digitexp.training import baselines, lanes
from digitexp.training import train as training

OnEpoch = Callable[[int, int, dict[str, float]], bool]


def run(
    configs: Sequence[Config], folder: Path, on_epoch: OnEpoch = lambda index, epoch, metrics: True
) -> Iterator[tuple[int, Result | Failure]]:
    """Train and evaluate each of `configs`; gives (position, outcome) as they finish. Networks are saved in `folder`.

    `on_epoch(index, epoch, metrics)` is called when the run at `index` begins (epoch 0) and after each of its epochs, and
    says whether to go on. Runs that can be lanes of one program (`training.engine=lanes`) begin and finish together.
    """
    clock = _Clock(on_epoch)
    for positions in _bundles(configs):
        for index in positions:
            clock(index, 0, {})
        try:
            yield from _train(configs, positions, folder, clock)
        except (ConfigError, DataError, TrainingError) as error:
            yield from ((index, Failure(str(error), traceback.format_exc())) for index in positions)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            # Keras' own errors, and those of functions that a user registered
            message = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            yield from ((index, Failure(message, traceback.format_exc())) for index in positions)


class _Clock:
    """Tells epochs on, each once: a bundle that was split begins again, with the same numbers. Notes when they ended."""

    def __init__(self, on_epoch: OnEpoch) -> None:
        self.on_epoch = on_epoch
        self.ends: dict[int, list[float]] = {}  # by run, `time.perf_counter`

    def __call__(self, index: int, epoch: int, metrics: dict[str, float]) -> bool:
        if index in self.ends and epoch <= len(self.ends[index]):
            return True
        ends = self.ends.setdefault(index, [])
        if epoch:
            ends.append(time.perf_counter())
        return self.on_epoch(index, epoch, metrics)


def _bundles(configs: Sequence[Config]) -> list[list[int]]:
    """Positions of runs that are trained as one program, and of every other run by itself."""
    able = [index for index, config in enumerate(configs) if config.training.engine == "lanes"]
    bundled = _lanes(configs, able)
    return sorted([*bundled, *([index] for index in range(len(configs)) if index not in able)])


def _lanes(configs: Sequence[Config], positions: Sequence[int], most: int = lanes.LANES) -> list[list[int]]:
    bundles = lanes.bundles([configs[index] for index in positions], most)
    return [[positions[place] for place in bundle] for bundle in bundles]


def _train(
    configs: Sequence[Config], positions: Sequence[int], folder: Path, clock: _Clock
) -> Iterator[tuple[int, Result | Failure]]:
    chosen = [configs[index] for index in positions]
    loaded = {repr(config.data): data_sets.load(config.data) for config in chosen}
    sets = [loaded[repr(config.data)] for config in chosen]
    if isinstance(chosen[0].model, Baseline):
        yield positions[0], _baseline(chosen[0], sets[0])
        return
    started = time.perf_counter()
    outcomes: Sequence[lanes.Trained]
    try:
        if chosen[0].training.engine == "lanes":
            outcomes = lanes.train(
                chosen, sets, on_epoch=lambda lane, epoch, metrics: clock(positions[lane], epoch, metrics)
            )
        else:
            outcomes = [training.train(chosen[0], sets[0], on_epoch=partial(clock, positions[0]))]
    except OutOfMemoryError:
        if len(chosen) == 1:
            raise
        for fewer in _lanes(configs, positions, len(chosen) // 2):
            yield from _train(configs, fewer, folder, clock)
        return
    ended = time.perf_counter()
    seconds = (ended - started) / len(chosen)
    for index, config, own, outcome in zip(positions, chosen, sets, outcomes, strict=True):
        if isinstance(outcome, TrainingError):
            yield index, Failure(str(outcome), str(outcome))
        else:
            ends = [seconds - (ended - end) / len(chosen) for end in clock.ends[index]]
            yield index, _result(config, own, *outcome, seconds, ends, folder / f"{index}.keras")


def _result(
    config: Config, sets: Mapping[str, Digits], model: Any, state: training.State, seconds: float, ends: Sequence[float],
    file: Path,
) -> Result:  # fmt: skip
    predictions = _predictions(config, sets, partial(training.predict, model))
    metrics = state.measured(config.training.early_stopping)
    for name, predicted in predictions.items():
        part = sets[name.removesuffix(SHIFTED)]
        metrics |= training.evaluate(model, part, name, predicted.probabilities) | _scores(config, name, predicted)
    if "val/accuracy" in metrics:
        metrics["val/gap"] = metrics["train/accuracy"] - metrics["val/accuracy"]
    metrics |= {"seconds": seconds, "parameters": float(model.count_params()), "epochs": float(state.epoch)}
    metrics["images_per_second"] = len(sets["train"]) * state.epoch / seconds
    metrics |= _reached(config.evaluation.target, state.curves.get("val/accuracy", []), ends)
    specs = layers(config)
    if specs is not None:
        metrics["tflop"] = training_flops(specs) * len(sets["train"]) * state.epoch / 1e12
    network.save(config, model, file)
    return Result(metrics, state.curves, predictions, network.layer_table(model), network.used_settings(config),
                  *_about(sets, predictions), list(config.data.classes), file)  # fmt: skip


def _baseline(config: Config, sets: Mapping[str, Digits]) -> Result:
    """A run without network, epochs and curves."""
    started = time.perf_counter()
    predict = baselines.fit(config.model, sets["train"], config.seed)
    metrics = {"seconds": time.perf_counter() - started, "epochs": 0.0}
    predictions = _predictions(config, sets, predict)
    for name, predicted in predictions.items():
        metrics |= training.measure(network.loss(config), name, predicted.labels, predicted.probabilities)
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
        measure = registry.METRICS[metric].build
        if measure is not None:
            measured[f"{name}/{metric}"] = float(measure(predicted.labels, predicted.probabilities))
    return measured
