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
from digitexp.models import network
from digitexp.models.layers import layers, training_flops
from digitexp.results import Failure, Predictions, Result
from digitexp.settings import Config
from digitexp.training import checkpoints as kept
from digitexp.training import lanes
from digitexp.training import train as training

OnEpoch = Callable[[int, int, dict[str, float]], bool]


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
    for positions in bundles(configs):
        for index in positions:
            on_epoch(index, 0, {})
        try:
            yield from _train(configs, positions, folder, on_epoch, files)
        except (ConfigError, DataError, TrainingError) as error:
            yield from ((index, Failure(str(error), traceback.format_exc())) for index in positions)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            # Keras' own errors, and those of functions that a user registered
            message = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            yield from ((index, Failure(message, traceback.format_exc())) for index in positions)


def bundles(configs: Sequence[Config]) -> list[list[int]]:
    """Positions of runs that are trained as one program, and of every other run by itself."""
    able = [index for index, config in enumerate(configs) if _laned(config)]
    bundled = [[able[place] for place in bundle] for bundle in lanes.bundles([configs[index] for index in able])]
    return sorted([*bundled, *([index] for index in range(len(configs)) if index not in able)])


def _laned(config: Config) -> bool:
    return config.training.engine == "lanes" and lanes.supports(config)


def _train(
    configs: Sequence[Config],
    positions: Sequence[int],
    folder: Path,
    on_epoch: OnEpoch,
    checkpoints: Sequence[Path | None],
) -> Iterator[tuple[int, Result | Failure]]:
    chosen, files = [configs[index] for index in positions], [checkpoints[index] for index in positions]
    sets = data_sets.load(chosen[0].data)
    states = [kept.load(file, config.training.last) if file else None for config, file in zip(chosen, files, strict=True)]
    keepers = [_Keeper(config, file) for config, file in zip(chosen, files, strict=True)]
    trained: dict[int, lanes.Trained] = {}
    if not _laned(chosen[0]):
        told = partial(on_epoch, positions[0])
        trained[0] = training.train(chosen[0], sets, states[0], on_epoch=told, keep=keepers[0].keep)
    for group in _starts(states) if _laned(chosen[0]) else ():
        own = [positions[place] for place in group]
        trained |= dict(zip(group, lanes.train(
            [chosen[place] for place in group],
            sets,
            [state for place in group if (state := states[place])] or None,
            on_epoch=partial(_by_lane, on_epoch, own),
            keep=partial(_keep_lane, [keepers[place] for place in group]),
        ), strict=True))  # fmt: skip
    for place, (index, config, keeper) in enumerate(zip(positions, chosen, keepers, strict=True)):
        outcome = trained[place]
        if isinstance(outcome, TrainingError):
            yield index, Failure(str(outcome), str(outcome))
        else:
            keeper.end(outcome[1])
            yield index, _result(config, sets, *outcome, folder / f"{index}.keras")


def _starts(states: Sequence[training.State | None]) -> list[list[int]]:
    """Places of the lanes that begin after the same epoch."""
    epochs = [state.epoch if state else 0 for state in states]
    return [[place for place, own in enumerate(epochs) if own == epoch] for epoch in sorted(set(epochs))]


def _by_lane(on_epoch: OnEpoch, positions: Sequence[int], lane: int, epoch: int, metrics: dict[str, float]) -> bool:
    return on_epoch(positions[lane], epoch, metrics)


class _Keeper:
    """Keeps the state of a run in its file now and then, and the last one of a run that may be continued."""

    def __init__(self, config: Config, file: Path | None) -> None:
        self._config, self._file, self._kept = config, file, time.monotonic()

    def keep(self, state: Callable[[], training.State]) -> None:
        if self._file and time.monotonic() - self._kept >= self._config.execution.checkpoint_seconds:
            kept.save(self._file, state())
            self._kept = time.monotonic()

    def end(self, state: training.State) -> None:
        if self._file and state.epoch < self._config.training.epochs:
            kept.save(self._file, state)


def _keep_lane(keepers: Sequence[_Keeper], lane: int, state: Callable[[], training.State]) -> None:
    keepers[lane].keep(state)


def _result(config: Config, sets: Mapping[str, Digits], model: Any, state: training.State, file: Path) -> Result:
    predictions = {
        name: Predictions(sets[name].labels, training.predict(model, sets[name].images))
        for name in config.data.evaluation_sets
    }
    metrics = {name: values[-1] for name, values in state.curves.items()}
    for name, predicted in predictions.items():
        metrics |= training.evaluate(model, sets[name], name, predicted.probabilities)
        metrics |= _registered_metrics(config, name, predicted)
    metrics |= {"seconds": state.seconds, "parameters": float(model.count_params()), "epochs": float(state.epoch)}
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
