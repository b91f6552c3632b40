"""Train one network so that epoch e depends only on its configuration, its seed and e (law 1).

The order of the images, their augmentation and the dropout masks of an epoch are drawn from (seed, epoch), so a run that
stopped after any epoch goes on exactly as if it had not. An epoch is one TensorFlow function over data that stays in memory
as bytes: Keras' `fit` spends more time between the steps of a small network than in them. Steps, losses and optimizers are
Keras' own, and a test holds the weights against those of `fit`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from digitexp.data.augmentation import augment
from digitexp.data.digits import Digits
from digitexp.errors import OutOfMemoryError, TrainingError
from digitexp.models import network
from digitexp.settings import Config, EarlyStopping, Training
from digitexp.training.schedules import best_epoch, rates, stopped

Metrics = dict[str, float]
OnEpoch = Callable[[int, Metrics], bool]
Keep = Callable[[Callable[[], "State"]], None]
PREDICTED_AT_ONCE = 2048  # images; more needs more memory and is no faster


@dataclass(frozen=True)
class State:
    """All that a run needs to go on: the epochs done, every variable of model and optimizer, and the curves so far.

    `best` are the weights of the best epoch, where `training.early_stopping` keeps them, and else the last ones. `ends` are
    the seconds that it took up to the end of each epoch, and `seconds` what it took in all.
    """

    epoch: int
    variables: list[np.ndarray]
    curves: dict[str, list[float]] = field(default_factory=dict)
    best: list[np.ndarray] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def measured(self, stopping: EarlyStopping) -> Metrics:
        """The metrics of the epoch whose weights the network has."""
        epoch = best_epoch(stopping, self.curves) if stopping.patience and self.curves else self.epoch
        return {name: values[epoch - 1] for name, values in self.curves.items()}


@contextmanager
def as_ours() -> Iterator[None]:
    """Errors of TensorFlow, of what it traces (such as a user's loss), and a lack of memory, as errors of ours."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        raise OutOfMemoryError(f"there is not enough memory: {_first_line(error)}") from error
    except tf.errors.OpError as error:
        raise TrainingError(f"TensorFlow says: {_first_line(error)}") from error
    except Exception as error:
        blocks = str(error).split("\n\n", 2)
        if blocks[0] != "in user code:":  # what AutoGraph tells begins so; then come the lines of code, and the error itself
            raise
        raise TrainingError(_first_line(blocks[-1])) from error


def _first_line(error: Exception | str) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


@as_ours()
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
    rate = float(model.optimizer.learning_rate)  # as configured, before a schedule or an earlier state changes it
    variables = [*model.variables, *model.optimizer.variables]
    curves: dict[str, list[float]] = {}
    best: list[np.ndarray] = []
    ends: list[float] = []
    done, spent, stopping = 0, 0.0, config.training.early_stopping
    if start is None:
        network.begin(config, model)
    else:
        done, best, spent, ends = start.epoch, start.best, start.seconds, list(start.ends)
        curves = {name: list(values) for name, values in start.curves.items()}
        for variable, value in zip(variables, start.variables, strict=True):
            variable.assign(value)

    def state() -> State:
        copied = {name: list(measured) for name, measured in curves.items()}
        took = spent + time.perf_counter() - began
        return State(done, [np.array(variable) for variable in variables], copied, best, list(ends), took)

    images_of = images_by_epoch(config, sets["train"])
    run_epoch = _epoch_function(model, sets["train"], config.training)
    for epoch in range(done + 1, (until or config.training.last) + 1):
        if stopped(stopping, curves):
            break
        _reseed_dropout(model, config.seed, epoch)
        steps = -(-len(sets["train"]) // config.training.batch_size)
        planned = rates(config.training, rate, epoch, steps, curves)
        try:
            metrics = run_epoch(images_of(epoch), _order(config.seed, epoch, len(sets["train"])), planned)
        except tf.errors.OpError as error:
            raise TrainingError(f"epoch {epoch}: TensorFlow says: {_first_line(error)}") from error
        if not np.isfinite(metrics["train/loss"]):
            raise TrainingError(
                f"epoch {epoch}: the training loss is {metrics['train/loss']}; a smaller optimizer.learning_rate may help."
            )
        with _averaged(model):
            if "val" in sets:
                metrics |= evaluate(model, sets["val"], "val", predict(model, sets["val"].images))
            for name, measured in metrics.items():
                curves.setdefault(name, []).append(measured)
            if stopping.patience and best_epoch(stopping, curves) == epoch:
                best = model.get_weights()
        done = epoch
        ends.append(spent + time.perf_counter() - began)
        keep(state)
        if not on_epoch(epoch, metrics):
            break
    reached = state()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    if best:
        model.set_weights(best)
    return model, reached


@contextmanager
def _averaged(model: keras.Model) -> Iterator[None]:
    """The model with the moving average of its weights, where `training.ema` asks for one; not that of its statistics."""
    if not model.optimizer.use_ema:
        yield
        return
    last = [np.array(variable) for variable in model.trainable_variables]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    yield
    for variable, value in zip(model.trainable_variables, last, strict=True):
        variable.assign(value)


@as_ours()
def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Probabilities (n, classes) float32 of images (n, 28, 28) uint8."""
    parts = [
        model(tf.cast(images[first : first + PREDICTED_AT_ONCE], tf.float32), training=False)
        for first in range(0, len(images), PREDICTED_AT_ONCE)
    ]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])


@as_ours()
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


def measure(loss: Callable[[np.ndarray, np.ndarray], object], name: str, labels: np.ndarray, said: np.ndarray) -> Metrics:
    """The same of probabilities `said` (n, classes) that no network gave, by a loss on one-hot labels."""
    truth = np.eye(said.shape[1], dtype=np.float32)[labels]
    return {
        f"{name}/loss": float(np.mean(np.asarray(loss(truth, said)))),
        f"{name}/accuracy": float(np.mean(said.argmax(axis=1) == labels)),
    }


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
    model: keras.Model, digits: Digits, training: Training
) -> Callable[[tf.Tensor, np.ndarray, np.ndarray], Metrics]:
    """One epoch, as a function of the images (n, 28, 28) uint8, their order (n,) and the learning rates (steps,)."""
    labels = tf.constant(digits.labels)
    classes, count, batch_size = len(digits.classes), len(digits), training.batch_size
    weights = class_weights(digits) if training.class_weights == "balanced" else None
    changing, smoothing = training.schedule.name != "constant", training.label_smoothing

    @tf.function(reduce_retracing=True)
    def step(images: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = tf.cast(tf.gather(images, rows), tf.float32)
        y = tf.gather(labels, rows)
        truth = tf.one_hot(y, classes)
        if smoothing:
            truth = truth * (1 - smoothing) + smoothing / classes
        with tf.GradientTape() as tape:
            probabilities = model(x, training=True)
            weight = None if weights is None else tf.gather(weights, y)
            loss = model.compute_loss(x, truth, probabilities, sample_weight=weight)
        variables = model.trainable_variables
        model.optimizer.apply(tape.gradient(loss, variables), variables)
        correct = tf.argmax(probabilities, axis=1, output_type=y.dtype) == y
        return loss * tf.cast(tf.size(rows), loss.dtype), tf.reduce_sum(tf.cast(correct, tf.int32))

    @tf.function
    def epoch(images: tf.Tensor, order: tf.Tensor, rates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        loss, correct = tf.constant(0.0), tf.constant(0)
        for first in tf.range(0, count, batch_size):
            if changing:
                model.optimizer.learning_rate = rates[first // batch_size]
            batch_loss, batch_correct = step(images, order[first : first + batch_size])
            loss, correct = loss + batch_loss, correct + batch_correct
        return loss / count, correct / count

    def run(images: tf.Tensor, order: np.ndarray, rates: np.ndarray) -> Metrics:
        loss, accuracy = epoch(images, tf.constant(order), tf.constant(rates))
        metrics = {"train/loss": float(loss), "train/accuracy": float(accuracy)}
        return metrics | ({"train/learning_rate": float(rates.mean(dtype=np.float64))} if changing else {})

    return run
