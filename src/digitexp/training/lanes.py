"""Train many dense networks as one program: lanes, fed by one stream of batches or by several.

A small network spends more time between its operations than in them. So `program` stacks the networks, XLA compiles one
training step for all, and an epoch is a loop over steps with the data in memory as bytes.

Lanes have one batch size, number of epochs, depth and kind of optimizer; they may differ in widths, activations, dropout
rates, loss, and the settings of the optimizer. Those of one seed and data share a stream of batches, others have their own.
What a lane computes is what `train.train` computes for it alone: the same initial weights, the same order of images and, to
rounding, the same weights after every step. Its dropout masks are others, but no more than those of `train.train` do they
depend on what is trained beside it: they come from (seed, epoch, step, layer). Rounding does, as wider neighbours change
the order of sums; over tens of thousands of steps it grows until a run is as another seed would be. A loss that is no
longer a number ends its own lane only.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TypeVar

import keras
import numpy as np

from digitexp.data.augmentation import augment
from digitexp.data.digits import SIDE, Digits
from digitexp.data.sets import size
from digitexp.errors import TrainingError
from digitexp.models import network
from digitexp.models.layers import layers
from digitexp.settings import Config
from digitexp.training.program import Program
from digitexp.training.train import Metrics, State, _order, as_ours, evaluate

Item = TypeVar("Item")
OnEpoch = Callable[[int, int, Metrics], bool]
Keep = Callable[[Mapping[int, Callable[[], State]]], None]
Trained = tuple[keras.Model, State] | TrainingError

PIXELS = SIDE * SIDE
LANES = 32
MEMORY = 4e9  # bytes
WASTE = 1.5  # multiplications of a padded bundle for each one that its networks need
COPIES = 8  # of the weights: themselves, gradients, at most three slots, and what a step writes anew


def key(config: Config) -> Hashable:
    """Configurations that are supported and have equal keys can be lanes of one bundle."""
    return repr(config.training), config.optimizer.name, len(_widths(config)), len(config.data.classes)


def stream(config: Config) -> Hashable:
    """Configurations with equal streams are trained on the same batches."""
    return config.seed, repr(config.data)


def bundles(configs: Sequence[Config], lanes: int = LANES, memory: float = MEMORY) -> list[list[int]]:
    """Divide `configs`, all supported, into bundles for `train`: lists of positions.

    Networks of similar widths come together, at most `lanes` of them, such that padding costs at most half as much again
    and a bundle needs at most `memory` bytes, by estimate. A network that needs more by itself is a bundle of one. First
    those of one stream, as they share its batches; then equally many of several streams, side by side.
    """

    def join(parts: Iterable[list[int]]) -> list[list[int]]:
        found: list[list[int]] = []
        for part in parts:
            if found and _fit([configs[index] for index in [*found[-1], *part]], lanes, memory):
                found[-1] += part
            else:
                found.append(list(part))
        return found

    def widths(index: int) -> list[int]:
        return _widths(configs[index])

    found: list[list[int]] = []
    for together in _grouped(range(len(configs)), lambda index: key(configs[index])):
        of_one = [
            bundle
            for indices in _grouped(together, lambda index: stream(configs[index]))
            for bundle in join([index] for index in sorted(indices, key=widths))
        ]
        for equal in _grouped(of_one, len):
            found += join(sorted(equal, key=lambda bundle: [widths(index) for index in bundle]))
    return found


@as_ours()
def train(
    configs: Sequence[Config],
    sets: Sequence[Mapping[str, Digits]],
    start: Sequence[State] | None = None,
    until: int | None = None,
    on_epoch: OnEpoch = lambda lane, epoch, metrics: True,
    keep: Keep = lambda states: None,
) -> list[Trained]:
    """Train `configs`, which have one `key`, each on its "train" of `sets`: `train.train` for many, with states and curves.

    Every `stream` among them must have equally many lanes. After every epoch, `on_epoch(lane, epoch, metrics)` is told of
    each lane that is still training; when it answers False, the training of that lane ends there. Before, `keep(states)` is
    given a function for each of them that copies its state. Gives, in the order of `configs`, the trained model and its
    state, or the TrainingError that ended the lane. `start`: the states of all lanes after one and the same epoch. Raises
    OutOfMemoryError when there is not enough for all of them at once, TrainingError when TensorFlow can go on with no lane.
    """
    began = time.perf_counter()
    lanes = [_lane(config) for config in configs]
    for lane, state in zip(lanes, start, strict=True) if start else ():
        lane.restore(state)
    streams = _grouped(range(len(configs)), lambda index: stream(configs[index]))
    if len(set(map(len, streams))) > 1:  # the program cuts its lanes evenly: some would be fed with another's images
        raise ValueError(f"every stream needs equally many lanes, found {', '.join(str(len(lane)) for lane in streams)}")
    # Equal neighbours are computed together.
    places = [index for indices in streams for index in sorted(indices, key=lambda index: _kinds(configs[index]))]
    seeds = [configs[indices[0]].seed for indices in streams]
    data = [sets[indices[0]]["train"] for indices in streams]
    epoch, last = start[0].epoch if start else 0, until or configs[0].training.last
    changes = configs[0].training.augmentation
    augmented = any(changes.amounts.values())
    program = Program([configs[index] for index in places], [lanes[index].model for index in places], data, augmented)

    def reached(index: int) -> State:
        return lanes[index].state(epoch, program, places.index(index), (time.perf_counter() - began) / len(lanes))

    def training() -> list[int]:
        return [index for index, lane in enumerate(lanes) if lane.outcome is None]

    while epoch < last and training():
        epoch += 1
        orders = [_order(seed, epoch, len(digits)) for seed, digits in zip(seeds, data, strict=True)]
        fed = zip(data, seeds, strict=True)
        images = [augment(digits.images, changes, seed, epoch) for digits, seed in fed] if augmented else None
        losses, accuracies = program.epoch(orders, _keys(seeds, epoch), images)
        scored = {id(own["val"]): own["val"] for own in sets if "val" in own}
        probabilities = {name: program.predict(digits.images) for name, digits in scored.items()}
        told: dict[int, Metrics] = {}
        for index in training():
            lane, own, place = lanes[index], sets[index], places.index(index)
            told[index] = {"train/loss": float(losses[place]), "train/accuracy": float(accuracies[place])}
            if "val" in own and np.isfinite(losses[place]):
                told[index] |= evaluate(lane.model, own["val"], "val", probabilities[id(own["val"])][place])
            lane.note(epoch, told[index])
            lane.ends.append(lane.spent + (time.perf_counter() - began) / len(lanes))
        keep({index: partial(reached, index) for index in training()})
        for index in training():
            if not on_epoch(index, epoch, told[index]):
                lanes[index].outcome = lanes[index].model, reached(index)
    for index in training():
        lanes[index].outcome = lanes[index].model, reached(index)
    return [lane.outcome for lane in lanes if lane.outcome is not None]


def _keys(seeds: Sequence[int], epoch: int) -> np.ndarray:
    """Where the dropout masks of an epoch begin: int32 (streams, hidden layers)."""
    keys = [[np.random.SeedSequence([seed, epoch, layer]).generate_state(1)[0] for layer in range(4)] for seed in seeds]
    return np.array(keys, np.uint32).view(np.int32)


@dataclass
class _Lane:
    """A network of the bundle, its curves so far, and what it came to, once it has."""

    model: keras.Model
    curves: dict[str, list[float]] = field(default_factory=dict)
    outcome: Trained | None = None
    ends: list[float] = field(default_factory=list)
    spent: float = 0.0  # seconds, before

    @property
    def variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def restore(self, state: State) -> None:
        self.curves = {name: list(values) for name, values in state.curves.items()}
        self.spent, self.ends = state.seconds, list(state.ends)
        for variable, value in zip(self.variables, state.variables, strict=True):
            variable.assign(value)

    def note(self, epoch: int, metrics: Metrics) -> None:
        """Add the metrics of an epoch to the curves; the lane ends when its loss is no longer a number."""
        if not np.isfinite(metrics["train/loss"]):
            self.outcome = TrainingError(
                f"epoch {epoch}: the training loss is {metrics['train/loss']}; a smaller optimizer.learning_rate may help."
            )
            return
        for name, value in metrics.items():
            self.curves.setdefault(name, []).append(value)

    def state(self, epoch: int, program: Program, place: int, seconds: float) -> State:
        """A copy of the state; takes the trained weights out of the program."""
        program.unload(place)
        copied = {name: list(values) for name, values in self.curves.items()}
        values = [np.array(variable) for variable in self.variables]
        return State(epoch, values, copied, ends=list(self.ends), seconds=self.spent + seconds)


def _lane(config: Config) -> _Lane:
    model = network.compile(config)
    model.optimizer.build(model.trainable_variables)
    return _Lane(model)


def _grouped(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """The items with equal keys together, in the order in which they come first."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _widths(config: Config) -> list[int]:
    """The units of every layer that is present, the output among them."""
    return [spec.shape[0] for spec in layers(config) or [] if spec.kind == "dense"]


def _kinds(config: Config) -> tuple[str, ...]:
    return config.loss, *(str(spec.arguments["activation"]) for spec in layers(config) or [] if spec.kind == "dense")


def _fit(configs: Sequence[Config], lanes: int, memory: float) -> bool:
    """Whether one bundle of `configs` keeps within the bounds of `bundles`, and has equally many of every stream."""
    widths = [[PIXELS, *_widths(config)] for config in configs]
    padded = len(configs) * _products([max(layer) for layer in zip(*widths, strict=True)])
    streams = Counter(map(stream, configs))
    if len(set(streams.values())) > 1:
        return False
    augmented = any(configs[0].training.augmentation.amounts.values())  # then each stream has images of its own
    held = {stream(config) if augmented else repr(config.data): config.data for config in configs}
    pixels = PIXELS * sum(map(size, held.values()))
    floats = COPIES * padded + 4 * configs[0].training.batch_size * (sum(map(sum, widths)) + PIXELS * len(streams))
    return len(configs) <= lanes and padded <= WASTE * sum(map(_products, widths)) and 4 * floats + pixels <= memory


def _products(widths: Sequence[int]) -> int:
    return sum(before * after for before, after in pairwise(widths))
