"""Train one network so that epoch e depends only on its configuration, its seed and e (law 1).

The order of the images, their augmentation and the dropout masks of an epoch are drawn from (seed, epoch), so a run that
stopped after any epoch goes on exactly as if it had not. An epoch is one TensorFlow function over data that stays in memory
as bytes: Keras' `fit` spends more time between the steps of a small network than in them. Steps, losses and optimizers are
Keras' own, and a test holds the weights against those of `fit`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from digitexp.data.augmentation import augment
from digitexp.data.digits import Digits
from digitexp.errors import TrainingError
from digitexp.models import network
from digitexp.settings import Config

Metrics = dict[str, float]
OnEpoch = Callable[[int, Metrics], bool]
Keep = Callable[[Callable[[], "State"]], None]
PREDICTED_AT_ONCE = 2048  # images; more needs more memory and is no faster


@dataclass(frozen=True)
class State:
    """All that a run needs to go on: the epochs done, every variable of model and optimizer, and the curves so far.

    `seconds` is what it took, in all.
    """

    epoch: int
    variables: list[np.ndarray]
    curves: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0


def train(
    config: Config,
    sets: Mapping[str, Digits],
    start: State | None = None,
    until: int | None = None,
    on_epoch: OnEpoch = lambda epoch, metrics: True,
    keep: Keep = lambda state: None,
) -> tuple[keras.Model, State]:
    """Train on `sets["train"]`, from `start` (default: untrained) to epoch `until` (default: the configured last one).

    After every epoch, `on_epoch(epoch, metrics)` is told the losses and accuracies of train and, where there is one, val;
    when it answers False, training ends there. `keep(state)` is given a function that copies the state, should it be
    wanted. Raises TrainingError when the loss is no longer a number.
    """
    began = time.perf_counter()
    model = network.compile(config)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    curves: dict[str, list[float]] = {}
    done, spent = 0, 0.0
    if start is not None:
        done, spent = start.epoch, start.seconds
        curves = {name: list(values) for name, values in start.curves.items()}
        for variable, value in zip(variables, start.variables, strict=True):
            variable.assign(value)

    def state() -> State:
        values = [np.array(variable) for variable in variables]
        copied = {name: list(measured) for name, measured in curves.items()}
        return State(done, values, copied, spent + time.perf_counter() - began)

    weights = class_weights(sets["train"]) if config.training.class_weights == "balanced" else None
    images_of = images_by_epoch(config, sets["train"])
    run_epoch = _epoch_function(model, sets["train"], config.training.batch_size, weights)
    for epoch in range(done + 1, (until or config.training.last) + 1):
        _reseed_dropout(model, config.seed, epoch)
        try:
            metrics = run_epoch(images_of(epoch), _order(config.seed, epoch, len(sets["train"])))
        except tf.errors.OpError as error:
            raise TrainingError(f"epoch {epoch}: TensorFlow says: {str(error).strip().splitlines()[0]}") from error
        if not np.isfinite(metrics["train/loss"]):
            raise TrainingError(
                f"epoch {epoch}: the training loss is {metrics['train/loss']}; a smaller optimizer.learning_rate may help."
            )
        if "val" in sets:
            metrics |= evaluate(model, sets["val"], "val", predict(model, sets["val"].images))
        for name, measured in metrics.items():
            curves.setdefault(name, []).append(measured)
        done = epoch
        keep(state)
        if not on_epoch(epoch, metrics):
            break
    return model, state()


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) float32 of images (n, 28, 28) uint8."""
    parts = [
        model(tf.cast(images[first : first + PREDICTED_AT_ONCE], tf.float32), training=False)
        for first in range(0, len(images), PREDICTED_AT_ONCE)
    ]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


def evaluate(model: keras.Model, digits: Digits, name: str, probabilities: np.ndarray) -> Metrics:
    """`{name}/loss`, by the loss that the model was compiled with, and `{name}/accuracy`."""
    truth = np.eye(len(digits.classes), dtype=np.float32)[digits.labels]
    return {
        f"{name}/loss": float(model.compute_loss(y=truth, y_pred=tf.constant(probabilities), training=False)),
        f"{name}/accuracy": float(np.mean(probabilities.argmax(axis=1) == digits.labels)),
    }


def class_weights(digits: Digits) -> np.ndarray:
    """What an image of each class weighs, float32 `(classes,)`: all classes together the same, the images 1 on average."""
    counts = np.bincount(digits.labels, minlength=len(digits.classes))
    return (len(digits) / (np.count_nonzero(counts) * np.maximum(counts, 1))).astype(np.float32)


def images_by_epoch(config: Config, digits: Digits) -> Callable[[int], tf.Tensor]:
    """The images (n, 28, 28) uint8 of each epoch, as a function of its number: augmented, or always the same tensor."""
    untouched = tf.constant(digits.images)

    def images_of(epoch: int) -> tf.Tensor:
        augmented = augment(digits.images, config.training.augmentation, config.seed, epoch)
        return untouched if augmented is digits.images else tf.constant(augmented)

    return images_of


def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count).astype(np.int32)


def _reseed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    for position, layer in enumerate(model._flatten_layers()):
        if hasattr(layer, "seed_generator"):
            drawn = np.random.SeedSequence([seed, epoch, position]).generate_state(1)[0]
            layer.seed_generator.state.assign(np.array([drawn, 0], np.uint32))


def _epoch_function(
    model: keras.Model, digits: Digits, batch_size: int, weights: np.ndarray | None = None
) -> Callable[[tf.Tensor, np.ndarray], Metrics]:
    """One epoch, as a function of the images (n, 28, 28) uint8 and of their order.

    `weights` are what an image of each class weighs.
    """
    labels = tf.constant(digits.labels)
    classes, count = len(digits.classes), len(digits)

    @tf.function(reduce_retracing=True)
    def step(images: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.cast(tf.gather(images, rows), tf.float32)
        y = tf.gather(labels, rows)
        with tf.GradientTape() as tape:
            probabilities = model(x, training=True)
            weight = None if weights is None else tf.gather(weights, y)
            loss = model.compute_loss(x, tf.one_hot(y, classes), probabilities, sample_weight=weight)
        variables = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        correct = tf.argmax(probabilities, axis=1, output_type=y.dtype) == y
        return loss * tf.cast(tf.size(rows), loss.dtype), tf.reduce_sum(tf.cast(correct, tf.int32))

    @tf.function
    def epoch(images: tf.Tensor, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, correct = tf.constant(0.0), tf.constant(0)
        for first in tf.range(0, count, batch_size):
            batch_loss, batch_correct = step(images, order[first : first + batch_size])
            loss, correct = loss + batch_loss, correct + batch_correct
        return loss / count, correct / count

    def run(images: tf.Tensor, order: np.ndarray) -> Metrics:
        loss, accuracy = epoch(images, tf.constant(order))
        return {"train/loss": float(loss), "train/accuracy": float(accuracy)}

    return run
