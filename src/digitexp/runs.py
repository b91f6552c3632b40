"""A run: one configuration trained and evaluated. Needs no tuner and no tracker.

`run(configs, folder, on_epoch)` takes a bundle of configurations and gives a `Result` or `Failure` for each, in order.
"""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from digitexp import registry
from digitexp.data import sets as data_sets
from digitexp.data.digits import Digits
from digitexp.errors import ConfigError, DataError, TrainingError
from digitexp.models import network
from digitexp.models.layers import layers, training_flops
from digitexp.results import Failure, Predictions, Result
from digitexp.settings import Config
from digitexp.training import train as training

OnEpoch = Callable[[int, int, dict[str, float]], bool]


def run(
    configs: Sequence[Config], folder: Path, on_epoch: OnEpoch = lambda index, epoch, metrics: True
) -> Iterator[Result | Failure]:
    """Train and evaluate each of `configs`; the networks are saved in `folder`, named by their position.

    `on_epoch(index, epoch, metrics)` is called when the run at `index` begins (epoch 0) and after each of its epochs, and
    says whether to go on.
    """
    for index, config in enumerate(configs):
        on_epoch(index, 0, {})
        try:
            yield _run(config, folder / f"{index}.keras", partial(on_epoch, index))
        except (ConfigError, DataError, TrainingError) as error:
            yield Failure(str(error), traceback.format_exc())
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            # Keras' own errors, and those of functions that a user registered
            yield Failure(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}", traceback.format_exc())


def _run(config: Config, file: Path, on_epoch: training.OnEpoch) -> Result:
    sets = data_sets.load(config.data)
    started = time.perf_counter()
    model, state = training.train(config, sets, on_epoch=on_epoch)
    seconds = time.perf_counter() - started
    predictions = {
        name: Predictions(sets[name].labels, training.predict(model, sets[name].images))
        for name in config.data.evaluation_sets
    }
    metrics = {name: values[-1] for name, values in state.curves.items()}
    for name, predicted in predictions.items():
        metrics |= training.evaluate(model, sets[name], name, predicted.probabilities)
        metrics |= _registered_metrics(config, name, predicted)
    metrics |= {"seconds": seconds, "parameters": float(model.count_params()), "epochs": float(state.epoch)}
    specs = layers(config)
    if specs is not None:
        metrics["tflop"] = training_flops(specs) * len(sets["train"]) * state.epoch / 1e12
    network.save(config, model, file)
    return Result(metrics, state.curves, predictions, network.layer_table(model), network.used_settings(config),
                  _digests(sets), list(config.data.classes), file)  # fmt: skip


def _registered_metrics(config: Config, name: str, predicted: Predictions) -> dict[str, float]:
    measured = {}
    for metric in config.evaluation.metrics:
        measure = registry.METRICS[metric].build
        if measure is not None:
            measured[f"{name}/{metric}"] = float(measure(predicted.labels, predicted.probabilities))
    return measured


def _digests(sets: Mapping[str, Digits]) -> dict[str, str]:
    return {name: digits.digest() for name, digits in sets.items()}
