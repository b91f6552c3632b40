"""Networks, optimizers and losses by name, against Keras' own."""

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

from digitexp import registry
from digitexp.compose import compose
from digitexp.config import change
from digitexp.models import network
from digitexp.models.layers import layers
from digitexp.signature import signature
from digitexp.training import engines

SHARED = {"name", "use_ema", "ema_momentum", "ema_overwrite_frequency", "loss_scale_factor"}
LEFT_OUT = {"exclude_layers", "exclude_embeddings", "muon_a", "muon_b", "muon_c", "rms_rate"}


@pytest.mark.parametrize("name", registry.OPTIMIZERS)
def test_every_setting_of_an_optimizer_is_keras_own(name):
    taken = set(inspect.signature(network._OPTIMIZERS[name]).parameters) - SHARED - LEFT_OUT - {"kwargs"}
    assert set(registry.OPTIMIZERS[name].settings) == taken


def test_every_optimizer_of_keras_can_be_chosen():
    known = {name.lower() for name, kind in vars(keras.optimizers).items() if inspect.isclass(kind)}
    wrappers = {"optimizer", "lossscaleoptimizer", "optimizermap", "multioptimizer", "schedulefreeadamw"}
    assert known - wrappers <= set(registry.OPTIMIZERS)


@pytest.mark.parametrize("name", registry.LOSSES)
def test_every_loss_takes_probabilities(name):
    truth, probabilities = np.eye(3, dtype="float32"), np.full((3, 3), 1 / 3, "float32")
    assert np.isfinite(np.asarray(network.loss(compose([f"loss={name}"]))(truth, probabilities))).all()


@pytest.mark.parametrize("name", registry.ACTIVATIONS)
def test_every_activation_is_keras_own(name):
    assert callable(keras.activations.get(name))


def test_settings_reach_the_optimizer_and_defaults_are_told():
    config = compose(["optimizer.name=sgd", "optimizer.momentum=0.9"])
    assert network.optimizer(config).momentum == 0.9
    used = network.used_settings(config)
    assert (used["optimizer.momentum"], used["optimizer.learning_rate"]) == (0.9, 0.01)
    assert network.used_settings(compose(["optimizer.name=adadelta"]))["optimizer.learning_rate"] == 0.001


def test_weights_come_from_the_seed_alone():
    first = network.build(compose(["seed=7"])).get_weights()
    keras.utils.set_random_seed(99)
    again = network.build(compose(["seed=7"])).get_weights()
    other = network.build(compose(["seed=8"])).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_a_saved_network_needs_nothing_of_ours(tmp_path: Path):
    config = compose()
    model = network.compile(config)
    network.save(config, model, tmp_path / "network.keras")
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert np.array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))


def test_a_network_trained_in_bfloat16_is_saved_for_any_processor(tmp_path: Path):
    model = network.compile(compose(["model=cnn", "training.precision=mixed_bfloat16"]))
    assert {layer.compute_dtype for layer in model.layers if layer.name.startswith("conv")} == {"bfloat16"}
    network.save(compose(["model=cnn", "training.precision=mixed_bfloat16"]), model, tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    assert {layer.compute_dtype for layer in loaded.layers} == {"float32"}
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    assert loaded.predict(images, verbose=0) == pytest.approx(model.predict(images, verbose=0), abs=0.01)


@pytest.mark.parametrize("kind", ["Dense", "Cnn"])
def test_a_users_network_with_our_settings_is_the_users(kind, tmp_path, monkeypatch):
    file = tmp_path / "own.py"
    file.write_text(
        f"import digitexp, keras\nfrom digitexp.settings import {kind}\n\n"
        f"@digitexp.register('network', settings={kind})\n"
        "def own(settings, inputs, classes):\n"
        "    return keras.layers.Dense(classes, 'softmax')(keras.layers.Flatten(name='mine')(inputs))\n"
    )
    monkeypatch.setattr(engines, "has_bfloat16_units", lambda: True)
    words = [f"extensions=[{file}]", f"model={kind.lower()}", "model.kind=own", "training.engine=lanes"]
    config = engines.resolve(compose(words))
    assert (config.training.engine, config.training.precision) == ("keras", "float32")
    assert layers(config) is None
    assert "mine" in [layer.name for layer in network.build(config).layers]
    del registry.NETWORKS["own"]


def test_a_users_network(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "from dataclasses import dataclass\n"
        "import digitexp\n\n"
        "@dataclass\nclass Perceptron:\n    kind: str = 'perceptron'\n    units: int = 5\n\n"
        "@digitexp.register('network', settings=Perceptron)\n"
        "def perceptron(settings, inputs, classes):\n"
        "    import keras\n"
        "    hidden = keras.layers.Dense(settings.units)(keras.layers.Flatten()(inputs))\n"
        "    return keras.layers.Dense(classes, activation='softmax')(hidden)\n"
    )
    config = compose([f"extensions=[{file}]", "~model", "+model={kind: perceptron, units: 7}"])
    model = network.build(config)
    assert model.count_params() == 784 * 7 + 7 + 7 * 10 + 10
    assert [row["kind"] for row in network.layer_table(model)][-2:] == ["Dense", "Dense"]
    signatures = {signature(change(config, {"model.units": units}), {}) for units in (0, 5, 7)}
    assert len(signatures) == 3  # a network without units is no absent layer
    del registry.NETWORKS["perceptron"]
