"""Shapes, parameters and cost by arithmetic, against the published counts and against Keras."""

import keras
import pytest

from digitexp.compose import compose
from digitexp.models.layers import layers, training_flops
from digitexp.models.network import build

CNN = "model=cnn"
NETWORKS = {
    "dense": ((), 42_310),
    "dense with dropout after layer 1": (("model.layer_1.dropout=0.2",), 42_310),
    "one layer": (("model.layer_2.units=0",), 784 * 50 + 50 + 50 * 10 + 10),
    "cnn": ((CNN,), 2_380_938),
    "cnn with the third convolution": ((CNN, "model.conv_3.filters=64"), None),
    "same padding, pooling by 3": ((CNN, "model.conv_1.padding=same", "model.conv_2.pool=3"), None),
    "batch normalization": ((CNN, "model.conv_1.batch_normalization=true", "model.head_1.batch_normalization=true"), None),
    "two heads": ((CNN, "model.head_2.units=32", "model.head_2.dropout=0.1"), None),
    "strides, valid and same": (
        (CNN, "model.conv_1.strides=2", "model.conv_2.strides=3", "model.conv_2.padding=same", "model.conv_2.pool=0"), None
    ),
    "average pooling": ((CNN, "model.conv_2.pooling=average"), 2_380_938),
    "one number a filter": ((CNN, "model.global_pooling=average", "model.head_1.units=0"), 320 + 18_496 + 65 * 10),
    "the highest of a filter": ((CNN, "model.global_pooling=max", "model.head_1.units=0"), 320 + 18_496 + 65 * 10),
    "seed 000": (("model=seed000",), 832 + 25_632 + 18_496 + 36_928 + 803_072 + 2_570),
    "seed 001": (("model=seed001",), None),
    "seed 002": (("model=seed002",), 320 + 18_496 + 1_179_776 + 1_290),
    "seed 004": (("model=seed004",), 2_213_610),
    "LeNet-5": (("model=lenet5",), 156 + 2_416 + 48_120 + 10_164 + 850),
    "compact": (("model=compact",), 137_290),
    "no hidden layer": ((CNN, "model.conv_2.filters=0", "model.head_1.units=0"), None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_shapes_are_those_of_keras(name):
    overrides, published = NETWORKS[name]
    config = compose(list(overrides))
    specs = layers(config)
    model = build(config)
    assert sum(spec.parameters for spec in specs) == model.count_params()
    assert published is None or model.count_params() == published
    named = {layer.name: layer for layer in model.layers}
    for spec in specs:
        assert named[spec.name].output.shape[1:] == spec.shape
        assert named[spec.name].count_params() == spec.parameters


def test_the_layers_of_seed_004_are_those_of_its_summary():
    specs = [spec for spec in layers(compose(["model=seed004"])) if spec.kind != "activation"]
    assert [spec.parameters for spec in specs if spec.parameters] == [
        320, 128, 9_248, 128, 18_496, 256, 36_928, 256, 1_606_144, 2_048, 525_312, 4_096, 10_250,
    ]  # fmt: skip
    kinds = ["conv2d", "batchnormalization"] * 2 + ["maxpooling2d", "dropout"]
    head = ["dense", "batchnormalization", "dropout"]
    assert [spec.kind for spec in specs] == [*kinds, *kinds, "flatten", *head, *head, "dense"]


def test_batch_normalisation_stands_before_or_after_the_activation():
    normalised = [CNN, "model.conv_1.batch_normalization=true"]
    found = {}
    for place in ("before", "after"):
        specs = layers(compose([*normalised, f"model.conv_1.normalization={place}"]))
        found[place] = [(spec.kind, spec.arguments.get("activation")) for spec in specs if spec.name.startswith("conv_1")]
    assert found["before"] == [("conv2d", None), ("batchnormalization", None), ("activation", "relu")]
    assert found["after"] == [("conv2d", "relu"), ("batchnormalization", None)]


def test_the_cost_of_a_network_by_hand():
    # forward 2 x (784 x 50 + 50 x 50 + 50 x 10); backward twice that, but no gradient of the images
    assert training_flops(layers(compose())) == 2 * (3 * (39_200 + 2_500 + 500) - 39_200)


def test_the_cost_of_seed_003():
    # 944 TFLOP for 200 epochs of 60,000 images
    assert training_flops(layers(compose([CNN]))) * 60_000 * 200 / 1e12 == pytest.approx(944, abs=0.5)


def test_padding_valid_and_pooling_round_down():
    shapes = {spec.name: spec.shape for spec in layers(compose([CNN, "model.conv_3.filters=16"]))}
    assert shapes["conv_1"] == (26, 26, 32)
    assert shapes["conv_2_pool"] == (12, 12, 64)
    assert shapes["conv_3_pool"] == (5, 5, 16)
    assert shapes["flatten"] == (400,)


def test_the_output_is_one_probability_a_class():
    model = build(compose([CNN]))
    assert isinstance(model.layers[-1], keras.layers.Dense)
    assert model.output.shape == (None, 10)
