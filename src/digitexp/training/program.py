"""Dense networks of equal depth as one TensorFlow program: their weights are stacked, and one step trains them all.

`lanes` networks, of which number l has widths (784, u_1l, u_2l, ..., classes), are padded to the widest, U_k = max u_kl.
They are fed by `streams` streams of batches, equally many by each, those of one stream side by side:

    kernel 1        (streams, 784, lanes / streams, U_1)    a wide product of each batch: (batch, 784) x (784, ... * U_1)
    kernel k > 1    (lanes, U_k-1, U_k)                     batched products: (lanes, batch, U_k-1) x (lanes, U_k-1, U_k)
    biases          (lanes, 1, U_k)

The output of a padded unit is set to 0, so no gradient reaches its weights, and each update leaves them exactly 0. A number
that is none spreads through the lane where it arose and into no other: no sum runs over lanes. Where streams differ in
length, the last batches of the shorter ones are padded with images that do not count, and at the end they idle.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from digitexp.data.digits import Digits
from digitexp.models import network
from digitexp.settings import Config
from digitexp.training import updates
from digitexp.training.padding import assign, slots, stack, stack_slots, unpadded

PREDICTED_AT_ONCE = 512  # images, by all lanes together


class Batch(NamedTuple):
    """One batch of every stream: images (streams, batch, 28, 28) uint8, labels and `real` (streams, batch).

    `real` says which images count; it is None where all do. `number` is that of the step within its epoch.
    """

    images: tf.Tensor
    labels: tf.Tensor
    number: tf.Tensor
    real: tf.Tensor | None = None


class Program:
    """The networks `models` of `configs`, compiled and built, with the state of their optimizers, and data to train on.

    `streams` are the data of each stream: the first feeds the first networks, and so on. Where `augmented`, every epoch
    brings their images anew. Neighbours with the same loss and activations are computed together, so lanes that are sorted
    within their stream are faster.
    """

    def __init__(
        self, configs: Sequence[Config], models: Sequence[keras.Model], streams: Sequence[Digits], augmented: bool = False
    ) -> None:
        self._models, self._lanes, self._streams = models, len(models), len(streams)
        self._batch, self._classes = configs[0].training.batch_size, len(streams[0].classes)
        self._counts = np.array([len(digits) for digits in streams])
        self._losses = [config.loss for config in configs]
        self._activations, self._rates = _by_layer(configs)
        unique = list(streams) if augmented else list({id(digits): digits for digits in streams}.values())
        begins = np.cumsum([0, *map(len, unique)])[:-1]  # of their rows in what is joined
        shared = dict(zip(map(id, unique), begins, strict=True))
        self._offsets = begins if augmented else [shared[id(digits)] for digits in streams]
        self._images = None if augmented else tf.constant(_joined([digits.images for digits in unique]))
        self._labels = tf.constant(_joined([digits.labels for digits in unique]), tf.int32)

        parameters = [list(column) for column in zip(*(model.trainable_variables for model in models), strict=True)]
        self._weights = [tf.Variable(self._fold(p, stack(column))) for p, column in enumerate(parameters)]
        remembered = list(zip(*map(slots, models), strict=True))
        self._slots = [
            {name: tf.Variable(self._fold(p, slot)) for name, slot in stack_slots(remembered[p], column).items()}
            for p, column in enumerate(parameters)
        ]
        self._steps = tf.Variable([int(model.optimizer.iterations) for model in models], dtype=tf.int64)
        widths = np.array([[kernel.shape[1] for kernel in model.trainable_variables[::2]] for model in models])
        self._real = [unpadded(widths, layer) for layer in range(widths.shape[1])]
        self._rule = updates.RULES[configs[0].optimizer.name]
        self._settings = _settings(configs)
        self._compiled_step = tf.function(self._step, jit_compile=True, autograph=False)
        self._compiled_epoch = tf.function(self._epoch)
        self._compiled_probabilities = tf.function(self._probabilities, jit_compile=True, autograph=False)

    def epoch(
        self, orders: Sequence[np.ndarray], keys: np.ndarray, images: Sequence[np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Train on every image of every stream once; losses and accuracies, (lanes,) each.

        `orders` are the rows of each stream's data in the order of training; `keys` int32 (streams, hidden layers) are the
        source of the dropout masks of this epoch; `images` are those of this epoch, by stream, where they are augmented.
        """
        steps = -(-self._counts.max() // self._batch)
        rows = np.zeros((self._streams, steps * self._batch), np.int32)
        for stream, (order, offset) in enumerate(zip(orders, self._offsets, strict=True)):
            rows[stream, : len(order)] = order + offset
        pool = self._images if images is None else tf.constant(_joined(images))
        loss, correct = self._compiled_epoch(pool, tf.constant(rows), tf.constant(keys, tf.int32))
        counts = np.repeat(self._counts, self._lanes // self._streams)
        return loss.numpy() / counts, correct.numpy() / counts

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (lanes, n, classes) float32 of images (n, 28, 28) uint8."""
        parts = [
            self._compiled_probabilities(images[None, first : first + PREDICTED_AT_ONCE])
            for first in range(0, len(images), PREDICTED_AT_ONCE)
        ]
        return np.concatenate(parts, axis=1)

    def unload(self, lane: int) -> None:
        """Write the weights of a lane, and the state of its optimizer, into its Keras model."""
        model = self._models[lane]
        model.optimizer.iterations.assign(self._steps[lane])
        for p, (variable, own) in enumerate(zip(model.trainable_variables, slots(model), strict=True)):
            assign(self.of_lane(p, self._weights[p], lane), variable)
            for name, slot in own.items():
                assign(self.of_lane(p, self._slots[p][name], lane), slot)

    def of_lane(self, p: int, folded: tf.Variable, lane: int) -> np.ndarray:
        """Parameter `p`, or a slot of it, of one lane: (rows, columns)."""
        stream, place = divmod(lane, self._lanes // self._streams)
        return (folded[stream, :, place] if p == 0 else folded[lane]).numpy()  # no copy of what is not asked for

    def _fold(self, p: int, stacked: np.ndarray) -> np.ndarray:
        """Parameter `p`, or a slot of it, of all lanes, (lanes, rows, columns), as the program holds it."""
        if p:
            return stacked
        return stacked.reshape(self._streams, -1, *stacked.shape[1:]).swapaxes(1, 2)

    def _of_lanes(self, of_streams: tf.Tensor) -> tf.Tensor:
        """What each lane is given by its stream: (streams, ...) as (lanes, ...)."""
        return tf.repeat(of_streams, self._lanes // self._streams, axis=0)

    def _epoch(self, images: tf.Tensor, rows: tf.Tensor, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        count, equal = int(self._counts.max()), bool(np.ptp(self._counts) == 0)
        whole = count // self._batch * self._batch
        loss, correct = tf.zeros(self._lanes), tf.zeros(self._lanes, tf.int32)
        for first in tf.range(0, whole if equal else rows.shape[1], self._batch):
            found = self._compiled_step(self._take(images, rows, first, self._batch, equal), keys)
            loss, correct = loss + found[0], correct + found[1]
        if equal and whole < count:
            found = self._compiled_step(self._take(images, rows, tf.constant(whole), count - whole, equal), keys)
            loss, correct = loss + found[0], correct + found[1]
        return loss, correct

    def _take(self, images: tf.Tensor, rows: tf.Tensor, first: tf.Tensor, size: int, equal: bool) -> Batch:
        chosen = tf.ensure_shape(rows[:, first : first + size], [self._streams, size])
        real = None if equal else first + tf.range(size) < self._counts[:, None]
        return Batch(tf.gather(images, chosen), tf.gather(self._labels, chosen), first // self._batch, real)

    def _step(self, batch: Batch, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Train on one batch of each stream: sums of losses and numbers of images recognised, (lanes,) each."""
        real = None if batch.real is None else self._of_lanes(batch.real)
        with tf.GradientTape() as tape:
            logits = self._logits(batch.images, keys, batch.number)
            losses = self._losses_of_each(logits, self._of_lanes(tf.one_hot(batch.labels, self._classes)))
            if real is not None:
                losses = tf.where(real, losses, 0.0)
            count = tf.reduce_sum(tf.ones_like(losses) if real is None else tf.cast(real, tf.float32), axis=1)
            sums = tf.reduce_sum(losses, axis=1)
            total = tf.reduce_sum(sums / tf.maximum(count, 1.0))  # its gradient is that of each lane's own mean loss
        gradients = tape.gradient(total, self._weights)
        active = None if real is None else count > 0
        self._steps.assign_add(tf.ones_like(self._steps) if active is None else tf.cast(active, tf.int64))
        for p, gradient in enumerate(gradients):
            self._update(p, gradient, tf.cast(self._steps, tf.float32), active)
        hits = tf.argmax(logits, axis=-1, output_type=tf.int32) == self._of_lanes(batch.labels)
        hits = hits if real is None else hits & real
        return sums, tf.reduce_sum(tf.cast(hits, tf.int32), axis=1)

    def _update(self, p: int, gradient: tf.Tensor, steps: tf.Tensor, active: tf.Tensor | None) -> None:
        weights, shape = self._weights[p], (self._streams, 1, -1, 1) if p == 0 else (-1, 1, 1)
        settings = {name: values.reshape(shape) for name, values in self._settings.items()}
        old = {name: tf.convert_to_tensor(slot) for name, slot in self._slots[p].items()}
        before = tf.convert_to_tensor(weights)
        decayed = updates.decay(settings, before)
        new, slots = self._rule(settings, tf.reshape(steps, shape), old, gradient, decayed)
        columns, rows = self._real[p // 2]
        for real in (columns,) if p % 2 else (columns, rows):
            if not real.all():
                # Not a product: 0 / 0 of a rule without epsilon is no number, and no number times 0 is none either.
                new = tf.where(self._fold(p, real), new, 0.0)
        if active is not None:
            active = tf.reshape(active, shape)
            new = tf.where(active, new, before)
            slots = {name: tf.where(active, slot, old[name]) for name, slot in slots.items()}
        weights.assign(new)
        for name, slot in slots.items():
            self._slots[p][name].assign(slot)

    def _logits(self, images: tf.Tensor, keys: tf.Tensor | None = None, number: tf.Tensor | None = None) -> tf.Tensor:
        """(lanes, batch, classes) of images (streams or 1, batch, 28, 28) uint8; with dropout when there are keys."""
        kernels, biases = self._weights[::2], self._weights[1::2]
        _, inputs, lanes, units = kernels[0].shape
        x = tf.reshape(tf.cast(images, tf.float32) * (1 / 255), (-1, images.shape[1], inputs))
        wide = x @ tf.reshape(kernels[0], (self._streams, inputs, lanes * units))
        split = tf.transpose(tf.reshape(wide, (self._streams, -1, lanes, units)), (0, 2, 1, 3))
        h = tf.reshape(split, (self._lanes, -1, units)) + biases[0]
        for layer, (kernel, bias) in enumerate(zip(kernels[1:], biases[1:], strict=True)):
            h = _by_run(self._activations[layer], lambda name, part: keras.activations.get(name)(part), h)
            columns, _ = self._real[layer]
            if not columns.all():
                h = tf.where(columns, h, 0.0)
            if keys is not None and any(self._rates[layer]):
                seeds = [tf.stack([keys[stream, layer], number]) for stream in range(self._streams)]
                uniform = tf.stack([_uniform(h.shape, self._batch, seed) for seed in seeds])
                h = _dropout(h, self._rates[layer], self._of_lanes(uniform))
            h = h @ kernel + bias
        return h

    def _losses_of_each(self, logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
        """(lanes, batch); all losses here are means over the images of a batch."""

        def losses(name: str, logits: tf.Tensor, truth: tf.Tensor) -> tf.Tensor:
            return keras.losses.get(name)(truth, keras.activations.softmax(logits))

        return _by_run(self._losses, losses, logits, truth)

    def _probabilities(self, images: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(self._logits(images))


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


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """One after the other; a single one as it is, without a copy."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _by_run(names: Sequence[str], apply: Callable[..., tf.Tensor], *lanes: tf.Tensor) -> tf.Tensor:
    """`apply(name, *parts)` for every run of neighbouring lanes with the same name, and all of it together again."""
    runs = [(name, len(list(run))) for name, run in groupby(names)]
    if len(runs) == 1:
        return apply(names[0], *lanes)
    parts = zip(*(tf.split(tensor, [length for _, length in runs]) for tensor in lanes), strict=True)
    return tf.concat([apply(name, *part) for (name, _), part in zip(runs, parts, strict=True)], axis=0)


def _uniform(shape: tf.TensorShape, batch: int, seed: tf.Tensor) -> tf.Tensor:
    """A uniform number for each image and unit of a stream, (batch, units) of (lanes, batch, units).

    Unit u and image b have number u * batch + b of a sequence that begins at `seed`, whatever the width of the widest lane
    and however many images are left for this step. So lanes are pairs here too, as runs of one seed are in `train.train`.
    """
    _, images, units = shape
    return tf.transpose(tf.random.stateless_uniform((units, batch), seed, alg="philox"))[:images]


def _dropout(h: tf.Tensor, rates: Sequence[float], uniform: tf.Tensor) -> tf.Tensor:
    """Keep a share 1 - rate of h (lanes, batch, units), divided by that share (Srivastava et al., 2014)."""
    rate = np.array(rates, np.float32)[:, None, None]
    return tf.where(uniform >= rate, h * (1 / (1 - rate)), 0.0)
