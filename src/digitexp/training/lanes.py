"""Train many dense networks as one program: lanes that share one stream of batches.

A small network spends more time between its operations than in them. Here `lanes` networks of one seed are stacked: the first
layer is one wide product of the shared batch, (batch, 784) x (784, lanes * units), the others are batched products,
(lanes, batch, units) x (lanes, units, next units). XLA compiles one step, and an epoch is a loop over steps with the data in
memory as bytes. (Compiling the loop as well makes it a hundred times slower.)

Lanes may differ in widths, activations, dropout rates, loss and the settings of their optimizer. Narrow layers are padded
with units that are held at exactly 0. What a lane computes is what `train.train` computes for it alone: the same initial
weights, the same order of images and, to rounding, the same weights after every step; its dropout masks have another source,
which depends on (seed, epoch, step, layer) and not on the other lanes. A loss that is no longer a number stays in its lane.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from digitexp import registry
from digitexp.data.digits import Digits
from digitexp.errors import TrainingError
from digitexp.models import network
from digitexp.models.layers import LayerSpec, layers
from digitexp.settings import Config, Dense
from digitexp.training import updates
from digitexp.training.train import Metrics, State, _order, evaluate

OnEpoch = Callable[[int, int, Metrics], bool]
Trained = tuple[keras.Model, State] | TrainingError

PREDICTED_AT_ONCE = 512  # images, for all lanes together
WASTE = 1.5  # multiplications of a padded bundle for each one that its networks need
COPIES = 8  # of the weights: themselves, gradients, at most three slots, and those that a step writes anew
OF_WHOLE_BATCH = ("dice", "tversky")  # losses that are no mean over the images of a batch
UNSUPPORTED = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")


def supports(config: Config) -> bool:
    """Whether `config` can be a lane: a dense network, with an optimizer of `updates` and a loss and activations of Keras."""
    return (
        isinstance(config.model, Dense)
        and config.optimizer.name in updates.RULES
        and registry.LOSSES[config.loss].build is None
        and config.loss not in OF_WHOLE_BATCH
        and not any(name in config.optimizer.settings for name in UNSUPPORTED)
    )


def key(config: Config) -> Hashable:
    """Configurations with equal keys can be lanes of one bundle."""
    training, data = repr(config.training), repr(config.data)
    return config.seed, data, training, config.optimizer.name, len(_widths(config))


def bundles(configs: Sequence[Config], lanes: int = 32, memory: float = 2e9) -> list[list[int]]:
    """Divide `configs`, all supported, into bundles for `train`: lists of positions.

    Networks of similar widths come together, at most `lanes` in a bundle that needs at most `memory` bytes by estimate.
    """
    found: list[list[int]] = []
    order = sorted(range(len(configs)), key=lambda index: (repr(key(configs[index])), _widths(configs[index])))
    for _, group in groupby(order, key=lambda index: key(configs[index])):
        found.append([])
        for index in group:
            if found[-1] and not _fits([configs[position] for position in [*found[-1], index]], lanes, memory):
                found.append([])
            found[-1].append(index)
    return found


def train(
    configs: Sequence[Config],
    sets: Mapping[str, Digits],
    start: Sequence[State] | None = None,
    until: int | None = None,
    on_epoch: OnEpoch = lambda lane, epoch, metrics: True,
) -> list[Trained]:
    """Train `configs`, which have one `key`, on `sets["train"]`: `train.train` for many, with its states and its curves.

    After every epoch, `on_epoch(lane, epoch, metrics)` is told of every lane that is still training, and says whether it goes
    on. For each lane, in order, a Keras model with its optimizer and its state, or the TrainingError with which that
    lane ended. `start` are the states of the same lanes after one and the same epoch. Raises TrainingError when TensorFlow
    cannot go on with any.
    """
    program = _Program(configs, sets["train"])
    done = start[0].epoch if start else 0
    curves = [{name: list(values) for name, values in state.curves.items()} for state in start or []]
    lanes = [_Lane(config, model, measured) for config, model, measured in
             zip(configs, program.models, curves or [{} for _ in configs], strict=True)]  # fmt: skip
    if start:
        for lane, state in zip(lanes, start, strict=True):
            lane.restore(state)
        program.load()
    for epoch in range(done + 1, (until or configs[0].training.epochs) + 1):
        pass
    return []


def _widths(config: Config) -> list[int]:
    """The units of every layer that is present, the output among them."""
    return [spec.shape[0] for spec in layers(config) or [] if spec.kind == "dense"]
