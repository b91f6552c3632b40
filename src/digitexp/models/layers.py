"""The layers of a configured network, worked out by arithmetic alone: shapes, parameters, cost. No Keras.

network.py builds its Keras layers from this very list, so the cost in the plan is that of the network.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from digitexp.errors import ConfigError
from digitexp.settings import Cnn, Config, Convolution, Dense, Head, Layer

IMAGE = (28, 28, 1)


@dataclass(frozen=True)
class LayerSpec:
    """One layer. `kind` is Keras' name of it in lower case, `shape` its output's without the batch.

    `multiplications` counts multiply-adds of one image on the way forward.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int = 0
    multiplications: int = 0
    arguments: dict[str, Any] = field(default_factory=dict)


class LayerRow(TypedDict):
    """One row of the table of layers: of any Keras model, a user's too."""

    name: str
    kind: str
    shape: str  # of what comes out, such as "26 x 26 x 32"
    parameters: int


def layers(config: Config) -> list[LayerSpec] | None:
    """The layers of `config.model`, the output among them; None for a network that a user registered.

    Raises ConfigError when an image has no pixels left for a convolution or a pooling.
    """
    classes = len(config.data.classes)
    # By its name: a user's network may have the settings of ours.
    if config.model.kind == "dense":
        return list(_dense(config.model, classes))
    if config.model.kind == "cnn":
        return list(_cnn(config.model, classes))
    return None


def training_flops(specs: Sequence[LayerSpec]) -> int:
    """Floating-point operations of training on one image once.

    A multiply-add counts two. Backward costs as much as forward twice, for the weights and for the input, except that
    the first layer with weights needs no gradient of its input.
    """
    weighted = [spec.multiplications for spec in specs if spec.multiplications]
    return 2 * (3 * sum(weighted) - (weighted[0] if weighted else 0))


def _dense(model: Dense, classes: int) -> Iterator[LayerSpec]:
    inputs = math.prod(IMAGE)
    yield LayerSpec("flatten", "flatten", (inputs,))
    slots = {name: getattr(model, name) for name in ("layer_1", "layer_2", "layer_3", "layer_4")}
    yield from _fully_connected(slots, inputs, classes)


def _cnn(model: Cnn, classes: int) -> Iterator[LayerSpec]:
    shape = IMAGE
    for number in range(1, 7):
        slot = getattr(model, f"conv_{number}")
        if slot.filters:
            for spec in _convolution(f"conv_{number}", slot, shape):
                shape = spec.shape  # type: ignore[assignment]  # convolutions and poolings keep three dimensions
                yield spec
    if model.global_pooling == "none":
        inputs = math.prod(shape)
        yield LayerSpec("flatten", "flatten", (inputs,))
    else:
        inputs = shape[-1]
        yield LayerSpec("global_pooling", f"global{model.global_pooling}pooling2d", (inputs,))
    slots = {name: getattr(model, name) for name in ("head_1", "head_2", "head_3")}
    yield from _fully_connected(slots, inputs, classes)


def _convolution(name: str, slot: Convolution, shape: tuple[int, int, int]) -> Iterator[LayerSpec]:
    height, width, channels = shape
    kernel = slot.kernel_size**2 * channels
    shape = (_convolved(height, slot), _convolved(width, slot), slot.filters)
    _require_pixels(shape, f"model.{name}.kernel_size={slot.kernel_size}", (height, width))
    convolution = {
        "filters": slot.filters, "kernel_size": slot.kernel_size, "strides": slot.strides, "padding": slot.padding,
    }  # fmt: skip
    yield LayerSpec(
        name, "conv2d", shape, (kernel + 1) * slot.filters, math.prod(shape) * kernel,
        convolution | {"activation": _fused(slot)},
    )  # fmt: skip
    yield from _normalised(name, slot, shape)
    if slot.pool:
        pooled = (shape[0] // slot.pool, shape[1] // slot.pool, slot.filters)
        _require_pixels(pooled, f"model.{name}.pool={slot.pool}", shape[:2])
        shape = pooled
        yield LayerSpec(f"{name}_pool", f"{slot.pooling}pooling2d", shape, arguments={"pool_size": slot.pool})
    if slot.dropout:
        yield LayerSpec(f"{name}_dropout", "dropout", shape, arguments={"rate": slot.dropout})


def _convolved(pixels: int, slot: Convolution) -> int:
    """How many pixels of a side are left."""
    if slot.padding == "same":
        return math.ceil(pixels / slot.strides)
    return (pixels - slot.kernel_size) // slot.strides + 1


def _fully_connected(slots: dict[str, Layer | Head], inputs: int, classes: int) -> Iterator[LayerSpec]:
    for name, slot in slots.items():
        if not slot.units:
            continue
        yield _product(name, inputs, slot.units, _fused(slot))
        inputs = slot.units
        yield from _normalised(name, slot, (inputs,))
        if slot.dropout:
            yield LayerSpec(f"{name}_dropout", "dropout", (inputs,), arguments={"rate": slot.dropout})
    yield _product("output", inputs, classes, "softmax")


def _product(name: str, inputs: int, units: int, activation: str | None) -> LayerSpec:
    arguments = {"units": units, "activation": activation}
    return LayerSpec(name, "dense", (units,), (inputs + 1) * units, inputs * units, arguments)


def _fused(slot: Layer | Convolution) -> str | None:
    """The activation that a layer has in itself: none where batch normalisation comes between."""
    between = isinstance(slot, Head | Convolution) and slot.batch_normalization and slot.normalization == "before"
    return None if between else slot.activation


def _normalised(name: str, slot: Layer | Convolution, shape: tuple[int, ...]) -> Iterator[LayerSpec]:
    if isinstance(slot, Head | Convolution) and slot.batch_normalization:
        yield LayerSpec(f"{name}_batch_normalization", "batchnormalization", shape, 4 * shape[-1])
        if slot.normalization == "before":
            yield LayerSpec(f"{name}_activation", "activation", shape, arguments={"activation": slot.activation})


def _require_pixels(shape: tuple[int, ...], setting: str, before: tuple[int, ...]) -> None:
    if min(shape) < 1:
        raise ConfigError(
            f"{setting}: leaves nothing of an image that has {before[0]} x {before[1]} pixels at that layer; "
            "take a smaller one, padding: same, or fewer layers."
        )
