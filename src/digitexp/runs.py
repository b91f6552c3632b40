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
from digitexp.errors import ConfigError, DataError, TrainingError
from digitexp.evaluation import roc
from digitexp.models import network
from digitexp.models.layers import layers, training_flops
from digitexp.results import Failure, Predictions, Result
from digitexp.settings import Config
from digitexp.training import lanes
from digitexp.training import train as training

OnEpoch = Callable[[int, int, dict[str, float]], bool]


def run(
    configs: Sequence[Config], folder: Path, on_epoch: OnEpoch = lambda index, epoch, metrics: True
) -> Iterator[tuple[int, Result | Failure]]:
    """Train and evaluate each of `configs`; gives (position, outcome) as they finish. Networks are saved in `folder`.

    `on_epoch(index, epoch, metrics)` is called when the run at `index` begins (epoch 0) and after each of its epochs, and
    says whether to go on. Runs that can be lanes of one program (`training.engine=lanes`) begin and finish together.
    """
    for positions in _bundles(configs):
        for index in positions:
            on_epoch(index, 0, {})
        try:
            yield from _train(configs, positions, folder, on_epoch)
        except (ConfigError, DataError, TrainingError) as error:
            yield from ((index, Failure(str(error), traceback.format_exc())) for index in positions)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            # Keras' own errors, and those of functions that a user registered
            message = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            yield from ((index, Failure(message, traceback.format_exc())) for index in positions)


def _bundles(configs: Sequence[Config]) -> list[list[int]]:
    """Positions of runs that are trained as one program, and of every other run by itself."""
    able = [index for index, config in enumerate(configs) if config.training.engine == "lanes" and lanes.supports(config)]
    bundled = [[able[place] for place in bundle] for bundle in lanes.bundles([configs[index] for index in able])]
    return sorted([*bundled, *([index] for index in range(len(configs)) if index not in able)])


def _train(
    configs: Sequence[Config], positions: Sequence[int], folder: Path, on_epoch: OnEpoch
) -> Iterator[tuple[int, Result | Failure]]:
    chosen = [configs[index] for index in positions]
    sets = data_sets.load(chosen[0].data)
    started = time.perf_counter()
    outcomes: Sequence[lanes.Trained]
    if len(chosen) == 1:
        outcomes = [training.train(chosen[0], sets, on_epoch=partial(on_epoch, positions[0]))]
    else:
        outcomes = lanes.train(chosen, sets, on_epoch=lambda lane, epoch, metrics: on_epoch(positions[lane], epoch, metrics))
    seconds = (time.perf_counter() - started) / len(chosen)
    for index, config, outcome in zip(positions, chosen, outcomes, strict=True):
        if isinstance(outcome, TrainingError):
            yield index, Failure(str(outcome), str(outcome))
        else:
            yield index, _result(config, sets, *outcome, seconds, folder / f"{index}.keras")


def _result(
    config: Config, sets: Mapping[str, Digits], model: Any, state: training.State, seconds: float, file: Path
) -> Result:
    predictions = {
        name: Predictions(digits.labels, training.predict(model, digits.images))
        for name, digits in sets.items()
        if name != "train"
    }
    metrics = {name: values[-1] for name, values in state.curves.items()}
    for name, predicted in predictions.items():
        metrics |= training.evaluate(model, sets[name], name, predicted.probabilities)
        area = roc.mean_area(predicted.labels, predicted.probabilities)
        metrics |= {} if area is None else {f"{name}/auc": area}
        metrics |= _registered_metrics(config, name, predicted)
    metrics |= {"seconds": seconds, "parameters": float(model.count_params()), "epochs": float(state.epoch)}
    specs = layers(config)
    if specs is not None:
        metrics["tflop"] = training_flops(specs) * len(sets["train"]) * state.epoch / 1e12
    network.save(config, model, file)
    return Result(metrics, state.curves, predictions, network.layer_table(model), network.used_settings(config),
                  {name: len(digits) for name, digits in sets.items()},
                  {name: digits.digest() for name, digits in sets.items()}, list(config.data.classes), file)  # fmt: skip


def _registered_metrics(config: Config, name: str, predicted: Predictions) -> dict[str, float]:
    measured = {}
    for metric in config.evaluation.metrics:
        measure = registry.METRICS[metric].build
        if measure is not None:
            measured[f"{name}/{metric}"] = float(measure(predicted.labels, predicted.probabilities))
    return measured
