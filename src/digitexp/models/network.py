"""A configuration in, a Keras model out: `build` for the network alone, `compile` with optimizer and loss."""

import inspect
from pathlib import Path
from typing import Any

import keras
import numpy as np

from digitexp import registry
from digitexp.config import change
from digitexp.errors import ConfigError
from digitexp.models.layers import LayerRow, LayerSpec, layers
from digitexp.settings import FLOAT32, MIXED, SCRATCH, Config

_LAYERS = {
    "flatten": keras.layers.Flatten,
    "dense": keras.layers.Dense,
    "conv2d": keras.layers.Conv2D,
    "maxpooling2d": keras.layers.MaxPooling2D,
    "averagepooling2d": keras.layers.AveragePooling2D,
    "globalaveragepooling2d": keras.layers.GlobalAveragePooling2D,
    "globalmaxpooling2d": keras.layers.GlobalMaxPooling2D,
    "dropout": keras.layers.Dropout,
    "batchnormalization": keras.layers.BatchNormalization,
    "activation": keras.layers.Activation,
}
_OPTIMIZERS = {name.lower(): kind for name, kind in vars(keras.optimizers).items() if inspect.isclass(kind)}


def build(config: Config) -> keras.Model:
    """The network: grey values 0 to 255 of shape (batch, 28, 28) in, probabilities (batch, classes) out.

    It scales the grey values itself, so that whoever loads it need not know how it was trained. Its weights and its
    dropout are drawn from `config.seed` and the layer's position alone: no global state has a part in them.
    """
    inputs = keras.Input((28, 28), name="image")
    scaled = keras.layers.Rescaling(1 / 255, name="scale")(inputs)
    specs = layers(config)
    if specs is None:
        keras.utils.set_random_seed(config.seed)  # a user's layers draw their weights from Keras' global state
        outputs = registry.NETWORKS[config.model.kind].call(config.model, scaled, len(config.data.classes))
    else:
        outputs = scaled if specs[0].kind == "flatten" else keras.layers.Reshape((28, 28, 1), name="channel")(scaled)
        for spec, seed in zip(specs, _seeds(config.seed, len(specs)), strict=True):
            outputs = _layer(spec, seed, config.training.precision)(outputs)
    return keras.Model(inputs, outputs, name=config.model.kind)


def compile(config: Config) -> keras.Model:
    """The network with its optimizer and its loss, as Keras' own `fit` would train it."""
    model = build(config)
    model.compile(optimizer=optimizer(config), loss=loss(config), metrics=["accuracy"])
    return model


def begin(config: Config, model: keras.Model) -> None:
    """Give `model` the weights that `training.start` names. Raises ConfigError when they are not those of such a network."""
    if config.training.start == SCRATCH:
        return
    at = f"training.start={config.training.start}"
    try:
        weights = keras.saving.load_model(config.training.start, compile=False).get_weights()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{at}: is no network that Keras can read: {str(error).strip().splitlines()[0]}") from error
    found, needed = ([weight.shape for weight in weights] for weights in (weights, model.get_weights()))
    if found != needed:
        raise ConfigError(f"{at}: has weights of other shapes than the configured network; found {found}, allowed is "
                          f"{needed}; choose its model.")  # fmt: skip
    model.set_weights(weights)


def optimizer(config: Config) -> keras.optimizers.Optimizer:
    """The configured optimizer; settings that are null have Keras' defaults."""
    entry = registry.OPTIMIZERS[config.optimizer.name]
    make = entry.call if entry.build else _OPTIMIZERS[entry.name]
    chosen: keras.optimizers.Optimizer = make(**config.optimizer.settings)
    if config.training.ema is not None:
        chosen.use_ema, chosen.ema_momentum = True, config.training.ema
    return chosen


def loss(config: Config) -> Any:
    """The configured loss, on one-hot labels and probabilities."""
    entry = registry.LOSSES[config.loss]
    return entry.build or keras.losses.get(entry.name)


def save(config: Config, model: keras.Model, file: Path) -> None:
    """Write the trained network as Keras' `.keras` file, without optimizer and loss: any Keras loads it to predict."""
    network = build(change(config, {"training.precision": FLOAT32}))  # for any processor
    network.set_weights(model.get_weights())
    network.save(file)


def used_settings(config: Config) -> dict[str, Any]:
    """What the optimizer really had, defaults of Keras included, as `{optimizer.learning_rate: 0.001}`."""
    entry = registry.OPTIMIZERS[config.optimizer.name]
    parameters = inspect.signature(entry.build or _OPTIMIZERS[entry.name]).parameters
    defaults = {name: parameters[name].default for name in entry.settings if name in parameters}
    used = defaults | config.optimizer.settings
    return {f"optimizer.{name}": value for name, value in used.items() if value is not None}


def layer_table(model: keras.Model) -> list[LayerRow]:
    """One row a layer, for tables and the diagram."""
    return [
        {
            "name": layer.name,
            "kind": type(layer).__name__,
            "shape": " x ".join(str(size) for size in layer.output.shape[1:]),
            "parameters": int(layer.count_params()),
        }
        for layer in model.layers
    ]


def _layer(spec: LayerSpec, seed: int, precision: str) -> keras.layers.Layer:
    """A layer with a policy of its own, as the global one does not reach into compiled steps; probabilities are float32."""
    arguments = dict(spec.arguments)
    if precision == MIXED and spec.name != "output":
        arguments["dtype"] = keras.DTypePolicy(MIXED)
    if spec.kind in ("dense", "conv2d"):
        arguments["kernel_initializer"] = keras.initializers.GlorotUniform(seed=seed)
    if spec.kind == "dropout":
        arguments["seed"] = seed
    return _LAYERS[spec.kind](name=spec.name, **arguments)


def _seeds(seed: int, count: int) -> list[int]:
    """One seed a layer, each independent of how many layers follow."""
    return [int(np.random.SeedSequence([seed, position]).generate_state(1)[0]) for position in range(count)]
