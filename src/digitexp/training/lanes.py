"""Train many dense networks as one program: lanes that share one stream of batches.

A small network spends more time between its operations than in them. So `program` stacks the networks, XLA compiles one
training step for all, and an epoch is a loop over steps with the data in memory as bytes.

Lanes have one seed, data, batch size, number of epochs, depth and kind of optimizer; they may differ in widths, activations,
dropout rates, loss, and the settings of the optimizer. What a lane computes is what `train.train` computes for it alone: the
same initial weights, the same order of images and, to rounding, the same weights after every step. Its dropout masks are
others, but no more than those of `train.train` do they depend on what is trained beside it: they come from (seed, epoch,
step, layer). A loss that is no longer a number ends its own lane only.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, pairwise

import keras
import numpy as np
import tensorflow as tf

from digitexp import registry
from digitexp.data.digits import Digits
from digitexp.errors import TrainingError
from digitexp.models import network
from digitexp.models.layers import layers
from digitexp.settings import Config, Dense
from digitexp.training import updates
from digitexp.training.program import Program
from digitexp.training.train import Metrics, State, _order, evaluate

OnEpoch = Callable[[int, int, Metrics], bool]
Keep = Callable[[int, Callable[[], State]], None]
Trained = tuple[keras.Model, State] | TrainingError

WASTE = 1.5  # multiplications of a padded bundle for each one that its networks need
COPIES = 8  # of the weights: themselves, gradients, at most three slots, and what a step writes anew
_OF_WHOLE_BATCH = ("dice", "tversky")  # losses that are no mean over the images of a batch
_UNSUPPORTED = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")


def supports(config: Config) -> bool:
    """Whether `config` can be a lane: a dense network with Keras' losses and the optimizers of `updates.RULES`."""
    return (
        isinstance(config.model, Dense)
        and config.optimizer.name in updates.RULES
        and registry.LOSSES[config.loss].build is None
        and config.loss not in _OF_WHOLE_BATCH
        and not any(name in config.optimizer.settings for name in _UNSUPPORTED)
    )


def key(config: Config) -> Hashable:
    """Configurations that are supported and have equal keys can be lanes of one bundle."""
    return config.seed, repr(config.data), repr(config.training), config.optimizer.name, len(_widths(config))


def bundles(configs: Sequence[Config], lanes: int = 32, memory: float = 2e9) -> list[list[int]]:
    """Divide `configs`, all supported, into bundles for `train`: lists of positions.

    Networks of similar widths come together, at most `lanes` of them, such that padding costs at most half as much again
    and a bundle needs at most `memory` bytes, by estimate. A network that needs more by itself is a bundle of one.
    """
    found: list[list[int]] = []
    order = sorted(range(len(configs)), key=lambda index: (repr(key(configs[index])), _widths(configs[index])))
    for _, group in groupby(order, key=lambda index: key(configs[index])):
        found.append([])
        for index in group:
            if found[-1] and not _fit([configs[position] for position in [*found[-1], index]], lanes, memory):
                found.append([])
            found[-1].append(index)
    return found


def train(
    configs: Sequence[Config],
    sets: Mapping[str, Digits],
    start: Sequence[State] | None = None,
    until: int | None = None,
    on_epoch: OnEpoch = lambda lane, epoch, metrics: True,
    keep: Keep = lambda lane, state: None,
) -> list[Trained]:
    """Train `configs`, which have one `key`, on `sets["train"]`: `train.train` for many, with its states and its curves.

    After every epoch, `on_epoch(lane, epoch, metrics)` is told of each lane that is still training; when it answers False,
    the training of that lane ends there. `keep(lane, state)` is given a function that copies its state. Gives, in the order
    of `configs`, the trained model and its state, or the TrainingError that ended the lane. `start`: the states of all lanes
    after one and the same epoch. Raises TrainingError when TensorFlow can go on with no lane, for want of memory say.
    """
    began = time.perf_counter()
    lanes = [_lane(config) for config in configs]
    for lane, state in zip(lanes, start, strict=True) if start else ():
        lane.restore(state)
    places = sorted(range(len(lanes)), key=lambda index: _kinds(configs[index]))  # equal neighbours are computed together
    program = Program([configs[index] for index in places], [lanes[index].model for index in places], sets["train"])
    epoch, last = start[0].epoch if start else 0, until or configs[0].training.last

    def reached(index: int) -> State:
        return lanes[index].state(epoch, program, places.index(index), (time.perf_counter() - began) / len(lanes))

    while epoch < last and any(lane.outcome is None for lane in lanes):
        epoch += 1
        measured = _epoch(program, configs[0], sets, epoch)
        for index, lane in enumerate(lanes):
            if lane.outcome is None:
                place = places.index(index)
                metrics = lane.measure(epoch, {name: values[place] for name, values in measured.items()}, sets)
                if lane.outcome is None:
                    keep(index, partial(reached, index))
                    if not on_epoch(index, epoch, metrics):
                        lane.outcome = lane.model, reached(index)
    for index, lane in enumerate(lanes):
        if lane.outcome is None:
            lane.outcome = lane.model, reached(index)
    return [lane.outcome for lane in lanes if lane.outcome is not None]


@dataclass
class _Lane:
    """A network of the bundle, its curves so far, and what it came to, once it has."""

    model: keras.Model
    curves: dict[str, list[float]] = field(default_factory=dict)
    outcome: Trained | None = None
    spent: float = 0.0  # seconds, before

    @property
    def variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore(self, state: State) -> None:
        self.curves = {name: list(values) for name, values in state.curves.items()}
        self.spent = state.seconds
        for variable, value in zip(self.variables, state.variables, strict=True):
            variable.assign(value)

    def measure(self, epoch: int, measured: dict[str, np.ndarray], sets: Mapping[str, Digits]) -> Metrics:
        """The metrics of an epoch, added to the curves; the lane ends when its loss is no longer a number."""
        metrics = {name: float(measured[name]) for name in ("train/loss", "train/accuracy")}
        if not np.isfinite(metrics["train/loss"]):
            self.outcome = TrainingError(
                f"epoch {epoch}: the training loss is {metrics['train/loss']}; a smaller optimizer.learning_rate may help."
            )
            return metrics
        if "val" in sets:
            metrics |= evaluate(self.model, sets["val"], "val", measured["val"])
        for name, value in metrics.items():
            self.curves.setdefault(name, []).append(value)
        return metrics

    def state(self, epoch: int, program: Program, place: int, seconds: float) -> State:
        """A copy of the state; takes the trained weights out of the program."""
        program.unload(place)
        copied = {name: list(values) for name, values in self.curves.items()}
        return State(epoch, [np.array(variable) for variable in self.variables], copied, self.spent + seconds)


def _lane(config: Config) -> _Lane:
    model = network.compile(config)
    model.optimizer.build(model.trainable_variables)
    return _Lane(model)


def _epoch(program: Program, config: Config, sets: Mapping[str, Digits], epoch: int) -> dict[str, np.ndarray]:
    """Train for an epoch: losses and accuracies (lanes,), and probabilities (lanes, n, classes) of "val" if there is one."""
    keys = [np.random.SeedSequence([config.seed, epoch, layer]).generate_state(1)[0] for layer in range(4)]
    try:
        loss, accuracy = program.epoch(
            _order(config.seed, epoch, len(sets["train"])), np.array(keys, np.uint32).view(np.int32)
        )
        measured = {"train/loss": loss, "train/accuracy": accuracy}
        return measured | ({"val": program.predict(sets["val"].images)} if "val" in sets else {})
    except tf.errors.OpError as error:
        raise TrainingError(f"epoch {epoch}: TensorFlow says: {str(error).strip().splitlines()[0]}") from error


def _widths(config: Config) -> list[int]:
    """The units of every layer that is present, the output among them."""
    return [spec.shape[0] for spec in layers(config) or [] if spec.kind == "dense"]


def _kinds(config: Config) -> tuple[str, ...]:
    return config.loss, *(str(spec.arguments["activation"]) for spec in layers(config) or [] if spec.kind == "dense")


def _fit(configs: Sequence[Config], lanes: int, memory: float) -> bool:
    """Whether one bundle of `configs` keeps within the bounds of `bundles`."""
    widths = [[784, *_widths(config)] for config in configs]
    padded = len(configs) * _products([max(layer) for layer in zip(*widths, strict=True)])
    floats = COPIES * padded + 4 * configs[0].training.batch_size * sum(map(sum, widths))
    return len(configs) <= lanes and padded <= WASTE * sum(map(_products, widths)) and 4 * floats <= memory


def _products(widths: Sequence[int]) -> int:
    return sum(before * after for before, after in pairwise(widths))
