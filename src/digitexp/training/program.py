"""Dense networks of equal depth as one TensorFlow program: their weights are stacked, and one step trains them all.

`lanes` networks, of which number l has widths (784, u_1l, u_2l, ..., classes), are padded to the widest, U_k = max u_kl:

    kernel 1        (784, lanes, U_1)        a wide product of the shared batch: (batch, 784) x (784, lanes * U_1)
    kernel k > 1    (lanes, U_k-1, U_k)      batched products: (lanes, batch, U_k-1) x (lanes, U_k-1, U_k)
    biases          (lanes, 1, U_k)

The output of a padded unit is set to 0, so no gradient reaches its weights, and each update leaves them exactly 0. A number
that is none spreads through the lane where it arose and into no other: no sum runs over lanes.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

import keras
import numpy as np
import tensorflow as tf

from digitexp.data.digits import Digits
from digitexp.models import network
from digitexp.settings import Config
from digitexp.training import updates

PREDICTED_AT_ONCE = 512  # images, by all lanes together
SHARED = "u_product"  # what Nadam remembers of no weight in particular: one number


class Program:
    """The networks `models` of `configs`, compiled and built, with the state of their optimizers, and data to train on.

    Neighbours with the same loss and activations are computed together, so sorted lanes are faster.
    """

    def __init__(self, configs: Sequence[Config], models: Sequence[keras.Model], digits: Digits) -> None:
        self._models, self._lanes, self._count = models, len(models), len(digits)
        self._batch, self._classes = configs[0].training.batch_size, len(digits.classes)
        self._losses = [config.loss for config in configs]
        self._activations, self._rates = _by_layer(configs)
        self._labels = tf.constant(digits.labels, tf.int32)

        parameters = [list(column) for column in zip(*(model.trainable_variables for model in models), strict=True)]
        self._weights = [tf.Variable(_stack(column, axis(p))) for p, column in enumerate(parameters)]
        self._slots = [_stack_slots([slots(model)[p] for model in models], self._weights[p], axis(p))
                       for p in range(len(parameters))]  # fmt: skip
        self._step_number = tf.Variable(int(models[0].optimizer.iterations), dtype=tf.int64)
        widths = np.array([[kernel.shape[1] for kernel in model.trainable_variables[::2]] for model in models])
        self._real = [_real(widths, layer) for layer in range(widths.shape[1])]
        self._rule = updates.RULES[configs[0].optimizer.name]
        self._settings = _settings(configs)
        self._compiled_step = tf.function(self._step, jit_compile=True, autograph=False)
        self._compiled_epoch = tf.function(self._epoch)
        self._compiled_probabilities = tf.function(self._probabilities, jit_compile=True, autograph=False)

    def epoch(self, images: tf.Tensor, order: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Train on each of `images` (n, 28, 28) uint8 once, in `order` (n,); losses and accuracies, (lanes,) each.

        `keys` int32 (hidden layers,) are the source of the dropout masks of this epoch.
        """
        loss, correct = self._compiled_epoch(images, tf.constant(order), tf.constant(keys, tf.int32))
        return loss.numpy() / self._count, correct.numpy() / self._count

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (lanes, n, classes) float32 of images (n, 28, 28) uint8."""
        parts = [
            self._compiled_probabilities(images[first : first + PREDICTED_AT_ONCE])
            for first in range(0, len(images), PREDICTED_AT_ONCE)
        ]
        return np.concatenate(parts, axis=1)

    def unload(self, lane: int) -> None:
        """Write the weights of a lane, and the state of its optimizer, into its Keras model."""
        model = self._models[lane]
        model.optimizer.iterations.assign(self._step_number)
        for p, (variable, own) in enumerate(zip(model.trainable_variables, slots(model), strict=True)):
            _unstack(self._weights[p], axis(p), lane, variable)
            for name, slot in own.items():
                _unstack(self._slots[p][name], axis(p), lane, slot)

    def _epoch(self, images: tf.Tensor, order: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        whole = self._count // self._batch * self._batch
        loss, correct = tf.zeros(self._lanes), tf.zeros(self._lanes, tf.int32)
        for first in tf.range(0, whole, self._batch):
            rows = tf.ensure_shape(order[first : first + self._batch], [self._batch])
            losses, hits = self._compiled_step(
                tf.gather(images, rows), tf.gather(self._labels, rows), keys, first // self._batch
            )
            loss, correct = loss + losses * self._batch, correct + hits
        if whole < self._count:
            rows = tf.ensure_shape(order[whole:], [self._count - whole])
            losses, hits = self._compiled_step(
                tf.gather(images, rows), tf.gather(self._labels, rows), keys, whole // self._batch
            )
            loss, correct = loss + losses * (self._count - whole), correct + hits
        return loss, correct

    def _step(self, images: tf.Tensor, labels: tf.Tensor, keys: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on one batch: mean losses and numbers of images recognised, (lanes,) each."""
        with tf.GradientTape() as tape:
            logits = self._logits(images, keys, number)
            losses = self._mean_losses(logits, tf.one_hot(labels, self._classes))
            total = tf.reduce_sum(losses)  # its gradient is that of each lane's own loss
        gradients = tape.gradient(total, self._weights)
        self._step_number.assign_add(1)
        for p, gradient in enumerate(gradients):
            self._update(p, gradient, tf.cast(self._step_number, tf.float32))
        hits = tf.argmax(logits, axis=-1, output_type=tf.int32) == labels
        return losses, tf.reduce_sum(tf.cast(hits, tf.int32), axis=1)

    def _update(self, p: int, gradient: tf.Tensor, step: tf.Tensor) -> None:
        weights, remembered = self._weights[p], self._slots[p]
        settings = {name: np.expand_dims(values, (0, 2) if axis(p) else (1, 2)) for name, values in self._settings.items()}
        old = {name: tf.convert_to_tensor(slot) for name, slot in remembered.items()}
        new, slots = self._rule(settings, step, old, gradient, updates.decay(settings, tf.convert_to_tensor(weights)))
        columns, rows = self._real[p // 2]
        for real in (columns,) if p % 2 else (columns, rows):
            if not real.all():
                # Not a product: 0 / 0 of a rule without epsilon is no number, and no number times 0 is none either.
                new = tf.where(np.moveaxis(real, 0, axis(p)), new, 0.0)
        weights.assign(new)
        for name, slot in slots.items():
            remembered[name].assign(slot)

    def _logits(self, images: tf.Tensor, keys: tf.Tensor | None = None, number: tf.Tensor | None = None) -> tf.Tensor:
        """(lanes, batch, classes) of images (batch, 28, 28) uint8; with dropout when there are keys."""
        kernels, biases = self._weights[::2], self._weights[1::2]
        inputs, _, units = kernels[0].shape
        x = tf.reshape(tf.cast(images, tf.float32) * (1 / 255), (-1, inputs))
        wide = tf.reshape(x @ tf.reshape(kernels[0], (inputs, -1)), (-1, self._lanes, units))
        h = tf.transpose(wide, (1, 0, 2)) + biases[0]
        for layer, (kernel, bias) in enumerate(zip(kernels[1:], biases[1:], strict=True)):
            h = _by_run(self._activations[layer], h, lambda name, part: keras.activations.get(name)(part))
            columns, _ = self._real[layer]
            if not columns.all():
                h = tf.where(columns, h, 0.0)
            if keys is not None and any(self._rates[layer]):
                h = _dropout(h, self._rates[layer], tf.stack([keys[layer], number]))
            h = h @ kernel + bias
        return h

    def _mean_losses(self, logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        def mean_loss(name: str, part: tf.Tensor) -> tf.Tensor:
            of_each = keras.losses.get(name)(tf.broadcast_to(truth, part.shape), keras.activations.softmax(part))
            return tf.reduce_mean(of_each, axis=1)

        return _by_run(self._losses, logits, mean_loss)

    def _probabilities(self, images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self._logits(images))


def axis(p: int) -> int:
    """Along which axis the lanes of parameter `p` lie."""
    return 1 if p == 0 else 0


def slots(model: keras.Model) -> list[dict[str, keras.Variable]]:
    """What the optimizer remembers of each parameter, by Keras' names: `layer_1_kernel_momentum` is "momentum" of a kernel.

    A number that it remembers of none in particular (Nadam's product of momenta) is given with each.
    """
    remembered = model.optimizer.variables[2:]  # after the count of steps and the learning rate
    shared = {SHARED: remembered[-1]} if remembered and remembered[-1].shape == () else {}
    stems = [f"{parameter.path.replace('/', '_')}_" for parameter in model.trainable_variables]
    return [
        {variable.name.removeprefix(stem): variable for variable in remembered if variable.name.startswith(stem)} | shared
        for stem in stems
    ]


def _by_layer(configs: Sequence[Config]) -> tuple[list[list[str]], list[list[float]]]:
    """Activations and dropout rates of every hidden layer, one a lane."""
    present = [[slot for slot in vars(config.model).values() if getattr(slot, "units", 0)] for config in configs]
    by_layer = list(zip(*present, strict=True))
    activations = [[slot.activation for slot in lanes] for lanes in by_layer]
    return activations, [[slot.dropout for slot in lanes] for lanes in by_layer]


def _settings(configs: Sequence[Config]) -> dict[str, np.ndarray]:
    """Every setting of the optimizers, (lanes,) float64; 0 where one is not set."""
    used = [network.used_settings(config) for config in configs]
    names = sorted({name for settings in used for name in settings} | {"optimizer.weight_decay"})
    return {name.removeprefix("optimizer."): np.array([float(settings.get(name, 0)) for settings in used]) for name in names}


def _real(widths: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Which columns (lanes, 1, units) and which rows (lanes, units before, 1) of a layer's kernels are no padding."""
    before = widths[:, layer - 1] if layer else np.ones(len(widths), int)
    columns = np.arange(widths[:, layer].max()) < widths[:, layer, None]
    rows = np.arange(before.max()) < before[:, None]
    return columns[:, None, :], rows[:, :, None]


def _stack(variables: Sequence[keras.Variable | None], at: int) -> np.ndarray:
    """One array of three dimensions of the lanes' matrices, vectors or numbers, padded with 0; None is all 0."""
    matrices = [np.zeros((1, 1), np.float32) if variable is None else np.atleast_2d(variable) for variable in variables]
    stacked = np.zeros((len(matrices), *np.max([matrix.shape for matrix in matrices], axis=0)), np.float32)
    for lane, matrix in zip(stacked, matrices, strict=True):
        lane[: matrix.shape[0], : matrix.shape[1]] = matrix
    return np.moveaxis(stacked, 0, at)


def _stack_slots(lanes: Sequence[dict[str, keras.Variable]], weights: tf.Variable, at: int) -> dict[str, tf.Variable]:
    """The lanes' slots by name; one that is as large as the weights of its lane is padded as they are."""
    stacked = {name: _stack([slots.get(name) for slots in lanes], at) for name in sorted(set().union(*lanes))}
    return {name: tf.Variable(slot if name == SHARED else _pad(slot, weights.shape)) for name, slot in stacked.items()}


def _pad(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.pad(array, [(0, size - found) for size, found in zip(shape, array.shape, strict=True)])


def _unstack(stacked: tf.Variable, at: int, lane: int, variable: keras.Variable) -> None:
    matrix = np.take(stacked, lane, axis=at)
    rows, columns = np.atleast_2d(variable).shape
    variable.assign(matrix[:rows, :columns].reshape(variable.shape))


def _by_run(names: Sequence[str], lanes: tf.Tensor, apply: Callable[[str, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """`apply(name, part)` for every run of neighbouring lanes (lanes, ...) with the same name, and the whole of it again."""
    runs = [(name, len(list(run))) for name, run in groupby(names)]
    parts = tf.split(lanes, [length for _, length in runs]) if len(runs) > 1 else [lanes]
    return tf.concat([apply(name, part) for (name, _), part in zip(runs, parts, strict=True)], axis=0)


def _dropout(h: tf.Tensor, rates: Sequence[float], seed: tf.Tensor) -> tf.Tensor:
    """Keep a share 1 - rate of h (lanes, batch, units), divided by that share (Srivastava et al., 2014).

    Unit u and image b have one uniform number for all lanes, whatever the width of the widest: it is number u * batch + b
    of a stream that begins at `seed`. So lanes are pairs here too, as runs of one seed are in `train.train`.
    """
    _, batch, units = h.shape
    uniform = tf.random.stateless_uniform((units, batch), seed, alg="philox")
    rate = np.array(rates, np.float32)[:, None, None]
    return tf.where(tf.transpose(uniform) >= rate, h * (1 / (1 - rate)), 0.0)
