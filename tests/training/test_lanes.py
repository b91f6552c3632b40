"""Lanes are Keras' own training: the same weights for every optimizer, loss and activation, whatever is trained beside them."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from digitexp import registry
from digitexp.compose import compose
from digitexp.config import change
from digitexp.data.digits import Digits
from digitexp.data.sets import load
from digitexp.errors import TrainingError
from digitexp.models import network
from digitexp.training import engines, lanes, padding, program, updates
from digitexp.training import train as alone

TOLERANCE = 1e-4  # ||difference|| / ||weights|| of each tensor, after 100 steps
BATCH, STEPS = 16, 50  # an epoch; the last batch is half a batch
WIDTHS = [(50, 50), (16, 40), (33, 7), (64, 64), (1, 5), (20, 80), (80, 20), (48, 50)]
OPTIMIZERS = {
    "adam": [{}, {"amsgrad": True}, {"beta_1": 0.8, "epsilon": 1e-4}, {"weight_decay": 0.01}],
    "nadam": [{}, {"beta_1": 0.8}, {"beta_2": 0.9}],
    "sgd": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"learning_rate": 0.1}],
    "adamax": [{}, {"beta_2": 0.9}],
    "rmsprop": [{}, {"momentum": 0.5}, {"centered": True}, {"rho": 0.5}],
    "adagrad": [{}, {"initial_accumulator_value": 0.5}],
    "adadelta": [{}, {"learning_rate": 1.0}],
    "ftrl": [{}, {"l1_regularization_strength": 0.01}, {"l2_shrinkage_regularization_strength": 0.01, "beta": 0.1}],
    "adamw": [{}, {"weight_decay": 0.1}],
    "lion": [{}, {"learning_rate": 0.0005}],
}
LOSSES = [name for name in registry.LOSSES if name not in ("dice", "tversky")]
PLAIN = {"optimizer.name": "sgd"}  # Adam's first steps are the sign of the gradient, that of a rounding error too


def digits(count=BATCH * STEPS - BATCH // 2):
    """Ten noisy patterns: learned in an epoch, and no pixel is always 0."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, count)
    patterns = np.random.default_rng(1).integers(0, 256, (10, 28, 28))
    images = (0.5 * patterns[labels] + 0.5 * rng.integers(0, 256, (count, 28, 28))).astype(np.uint8)
    return Digits(images, labels, tuple("0123456789"), np.full(count, "made"))


SETS = {"train": digits(), "val": digits(200)}
FEW = {"train": digits(20 * BATCH)}  # compiled faster: all batches have one size, and there is no other set
CONFIG = compose([f"training.batch_size={BATCH}", "training.epochs=2"])


def train(configs, sets, **settings):
    """Lanes that have the same data."""
    return lanes.train(configs, [sets] * len(configs), **settings)


def configure(values, widths=(50, 50)):
    return change(CONFIG, {"model.layer_1.units": widths[0], "model.layer_2.units": widths[1]} | values)


def difference(found, expected):
    """The largest relative difference of the tensors of two models."""
    pairs = zip(found.get_weights(), expected.get_weights(), strict=True)
    return max(np.linalg.norm(one - other) / max(np.linalg.norm(other), 1e-9) for one, other in pairs)


def assert_equal(found, expected):
    """Weights, optimizers and curves of two (model, state) are equal but for rounding."""
    assert difference(found[0], expected[0]) <= TOLERANCE
    for one, other in zip(found[0].optimizer.variables, expected[0].optimizer.variables, strict=True):
        assert np.linalg.norm(np.subtract(one, other)) <= 1e-3 * max(np.linalg.norm(other), 1e-6), other.path
    assert found[1].epoch == expected[1].epoch
    for name, values in expected[1].curves.items():
        assert found[1].curves[name] == pytest.approx(values, rel=1e-3, abs=2 / 200), name


def assert_each_is_trained_as_keras_does(configs):
    """Every lane has the weights of a few of Keras' own steps, taken one by one, without a compiled function."""
    sets = {"train": digits(4 * BATCH)}
    for config, (model, _) in zip(configs, train(configs, sets, until=1), strict=True):
        assert difference(model, stepped(config, sets["train"])) <= TOLERANCE, config


def stepped(config, images):
    model = network.compile(config)
    for rows in np.split(alone._order(config.seed, 1, len(images)), len(images) // BATCH):
        truth = np.eye(10, dtype=np.float32)[images.labels[rows]]
        with tf.GradientTape() as tape:
            probabilities = model(images.images[rows].astype(np.float32), training=True)
            loss = model.compute_loss(y=truth, y_pred=probabilities)
        model.optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", updates.RULES)
def test_a_hundred_steps_of_every_optimizer_in_a_bundle_of_other_widths_and_settings(name):
    variants = OPTIMIZERS[name]
    settings = [{f"optimizer.{key}": value for key, value in variants[index % len(variants)].items()} for index in range(4)]
    configs = [configure({"optimizer.name": name} | own, widths) for own, widths in zip(settings, WIDTHS, strict=False)]
    assert len({lanes.key(config) for config in configs}) == 1
    assert_equal(train(configs, FEW, until=5)[1], alone.train(configs[1], FEW, until=5))


@pytest.mark.parametrize(
    ("name", "values"), [(name, values) for name, variants in OPTIMIZERS.items() for values in variants]
)
def test_a_rule_is_the_class_of_keras(name, values):
    config = configure({"optimizer.name": name} | {f"optimizer.{key}": value for key, value in values.items()})
    optimizer, rng = network.optimizer(config), np.random.default_rng(0)
    variable = keras.Variable(rng.normal(size=(30, 20)).astype(np.float32), name="kernel")
    optimizer.build([variable])
    weights = tf.constant(np.array(variable))[None]
    slots = {
        padding.SHARED if found.shape == () else found.name.removeprefix("kernel_"): tf.constant(np.atleast_2d(found)[None])
        for found in optimizer.variables[2:]
    }
    settings = {setting: found[:, None, None] for setting, found in program._settings([config]).items()}
    for step in range(1, 101):
        gradient = (rng.normal(size=(30, 20)) * rng.choice([0, 1e-3, 1], (30, 20))).astype(np.float32)
        optimizer.apply([tf.constant(gradient)], [variable])
        decayed = updates.decay(settings, weights)
        weights, slots = updates.RULES[name](
            settings, tf.constant(step, tf.float32), slots, tf.constant(gradient[None]), decayed
        )
    assert np.linalg.norm(weights[0] - np.array(variable)) <= 1e-5 * np.linalg.norm(variable)


@pytest.mark.slow
def test_every_loss():
    assert_each_is_trained_as_keras_does([configure(PLAIN | {"loss": name}) for name in LOSSES])


@pytest.mark.slow
def test_every_activation():
    first = [{"model.layer_1.activation": name, "model.layer_2.activation": "tanh"} for name in registry.ACTIVATIONS]
    configs = [configure(PLAIN | own, WIDTHS[index % 8]) for index, own in enumerate(first)]
    assert_each_is_trained_as_keras_does(configs)


@pytest.mark.slow
@pytest.mark.parametrize(
    "units", [(0, 0, 0, 0), (0, 30, 0, 0), (30, 0, 20, 10)], ids=["no hidden layer", "the second only", "three of four"]
)
def test_absent_layers(units):
    present = {f"model.layer_{layer}.units": count for layer, count in enumerate(units, 1)}
    configs = [change(CONFIG, present), change(CONFIG, {path: count and count + 5 for path, count in present.items()})]
    assert_each_is_trained_as_keras_does(configs)


@pytest.mark.slow
@pytest.mark.parametrize("beside", [[], WIDTHS[1:]], ids=["alone", "one of eight"])
def test_a_hundred_steps_are_those_of_keras(beside):
    config = configure({})
    theirs = network.compile(config)
    for epoch in (1, 2):
        order = alone._order(config.seed, epoch, len(SETS["train"]))
        images, truth = SETS["train"].images[order].astype("float32"), np.eye(10)[SETS["train"].labels[order]]
        theirs.fit(images, truth, batch_size=BATCH, shuffle=False, verbose=0)
    (model, _), *_ = train([config, *(configure({}, widths) for widths in beside)], SETS)
    assert int(model.optimizer.iterations) == 2 * STEPS
    assert difference(model, theirs) <= TOLERANCE


@pytest.mark.slow
def test_each_of_thirty_two_is_as_it_is_alone():
    configs = [configure({"optimizer.learning_rate": 0.001 + 0.0001 * (lane // 8)}, WIDTHS[lane % 8]) for lane in range(32)]
    bundle = train(configs, FEW, until=2)
    for lane in (0, 4, 19, 31):
        assert_equal(bundle[lane], alone.train(configs[lane], FEW, until=2))


@pytest.mark.slow
def test_with_dropout_the_losses_over_seeds_are_distributed_as_those_of_keras():
    dropped = {"model.layer_1.dropout": 0.4, "model.layer_2.dropout": 0.2}
    configs = [configure(dropped | {"seed": seed}) for seed in range(1, 17)]
    side_by_side = [state.curves["train/loss"][-1] for _, state in train(configs, FEW)]
    one_by_one = [alone.train(config, FEW)[1].curves["train/loss"][-1] for config in configs]
    assert stats.ttest_ind(side_by_side, one_by_one).pvalue > 0.01
    assert stats.levene(side_by_side, one_by_one).pvalue > 0.01
    fewer = [configure({"model.layer_1.dropout": 0.2} | {"seed": seed}) for seed in range(1, 17)]
    other = [state.curves["train/loss"][-1] for _, state in train(fewer, FEW)]
    assert stats.ttest_ind(other, one_by_one).pvalue < 0.01  # what it would not have missed


@pytest.mark.slow
def test_with_dropout_too_a_lane_does_not_depend_on_its_bundle():
    dropped = [configure({"model.layer_1.dropout": 0.5, "model.layer_2.dropout": 0.2} | PLAIN, widths) for widths in WIDTHS]
    bundle = train([*dropped, configure(PLAIN)], FEW)
    assert_equal(bundle[2], train([dropped[2]], FEW)[0])
    assert difference(bundle[0][0], bundle[-1][0]) > 0.01


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 0.9])
def test_dropout_keeps_the_share_that_it_should_and_the_mean(rate):
    ones = np.ones((2, 200, 500), np.float32)
    dropped = program._dropout(tf.constant(ones), [rate, 0.3], program._uniform(ones.shape, 200, [3, 4])).numpy()
    kept = dropped[0] != 0
    error = 4 * np.sqrt(rate * (1 - rate) / kept.size)
    assert kept.mean() == pytest.approx(1 - rate, abs=error + 1e-12)
    assert dropped[0][kept] == pytest.approx(1 / (1 - rate))
    assert np.abs(kept.mean(axis=0) - (1 - rate)).max() < 0.2
    assert np.abs(kept.mean(axis=1) - (1 - rate)).max() < 0.2


def test_a_dropout_mask_depends_on_its_seed_and_not_on_the_widest_lane():
    def mask(units, seed):
        compiled = tf.function(
            lambda h: program._dropout(h, [0.5], program._uniform(h.shape, 40, seed)), jit_compile=True
        )
        return compiled(tf.ones((1, 40, units))).numpy()

    assert np.array_equal(mask(30, [1, 2]), mask(77, [1, 2])[:, :, :30])
    assert not np.array_equal(mask(30, [1, 2]), mask(30, [1, 3]))
    assert not np.array_equal(mask(30, [1, 2]), mask(30, [2, 2]))


@pytest.mark.slow
def test_padded_weights_are_exactly_zero():
    activation = {"model.layer_1.activation": "sigmoid", "model.layer_2.activation": "softplus"}  # not 0 at 0
    configs = [configure({"optimizer.epsilon": 0.0} | activation, widths) for widths in WIDTHS]
    models = [network.compile(config) for config in configs]
    for model in models:
        model.optimizer.build(model.trainable_variables)
    bundle = program.Program(configs, models, [SETS["train"]])
    bundle.epoch([alone._order(1, 1, len(SETS["train"]))], np.zeros((1, 2)))
    for lane, (one, two) in enumerate(WIDTHS):
        kernels = [bundle.of_lane(p, bundle._weights[p], lane) for p in (0, 2, 4)]
        biases = [bundle._weights[p].numpy()[lane, 0] for p in (1, 3)]
        padding = [
            kernels[0][:, one:],
            kernels[1][one:],
            kernels[1][:, two:],
            kernels[2][two:],
            biases[0][one:],
            biases[1][two:],
        ]
        assert all(np.all(part == 0) for part in padding)
        assert all(np.any(part != 0) for part in [*kernels, *biases])


@pytest.mark.slow
def test_a_lane_whose_loss_is_no_number_ends_alone():
    wild = {
        "model.layer_1.activation": "exponential",
        "model.layer_2.activation": "exponential",
        "optimizer.learning_rate": 1e6,
    }
    told = []
    quiet, broken = configure(PLAIN), configure(PLAIN | wild, WIDTHS[3])
    found = train([quiet, broken], SETS, on_epoch=lambda lane, epoch, metrics: told.append((lane, epoch)) or True)
    assert isinstance(found[1], TrainingError)
    assert str(found[1]).startswith("epoch 1: the training loss is nan; a smaller")
    assert told == [(0, 1), (0, 2)]
    assert_equal(found[0], alone.train(quiet, SETS))


@pytest.mark.slow
def test_lanes_stop_and_go_on_as_if_they_had_not():
    configs = [
        configure({"optimizer.name": "nadam", "training.epochs": 3, "model.layer_1.dropout": 0.2}, widths)
        for widths in WIDTHS[:2]
    ]
    whole = train(configs, FEW)
    parts = train(configs, FEW, until=1)
    parts = train(configs, FEW, start=[state for _, state in parts])
    for one, other in zip(parts, whole, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one[1].variables, other[1].variables, strict=True))
        assert one[1].curves == other[1].curves


@pytest.mark.slow
def test_one_engine_goes_on_where_the_other_stopped_and_a_lane_may_end_early():
    configs = [configure({}, widths) for widths in WIDTHS[:2]]
    begun = train(configs, SETS, on_epoch=lambda lane, epoch, metrics: lane == 1)
    assert [state.epoch for _, state in begun] == [1, 2]
    assert_equal(alone.train(configs[0], SETS, start=begun[0][1]), alone.train(configs[0], SETS))


@pytest.mark.slow
def test_lanes_see_the_images_that_a_network_alone_sees():
    preset = {"training.augmentation.preset": "rotate_zoom_shift"}
    configs = [configure(PLAIN | preset, widths) for widths in WIDTHS[:2]]
    assert_equal(train(configs, FEW)[1], alone.train(configs[1], FEW))


def test_what_is_supported():
    assert engines.supported(CONFIG)
    assert not engines.supported(compose(["model=cnn"]))
    for path, value in [("loss", "dice"), ("optimizer.clipnorm", 1.0), ("optimizer.name", "muon"),
                        ("training.class_weights", "balanced")]:  # fmt: skip
        assert not engines.supported(change(CONFIG, {path: value})), path


def test_lanes_of_a_bundle_have_one_key_and_those_of_a_stream_one_order_of_images():
    for path, value in [
        ("training.batch_size", 8),
        ("optimizer.name", "sgd"),
        ("model.layer_2.units", 0),
        ("training.augmentation.shear", 5),
        ("data.classes", [*"0123456789ab"]),
    ]:
        assert lanes.key(change(CONFIG, {path: value})) != lanes.key(CONFIG), path
    for path, value in [("seed", 2), ("data.limit", 900)]:
        other = change(CONFIG, {path: value})
        assert lanes.key(other) == lanes.key(CONFIG), path
        assert lanes.stream(other) != lanes.stream(CONFIG), path
    for path, value in [
        ("loss", "poisson"),
        ("optimizer.epsilon", 0.1),
        ("model.layer_2.units", 9),
        ("model.layer_1.dropout", 0.1),
    ]:
        other = change(CONFIG, {path: value})
        assert (lanes.key(other), lanes.stream(other)) == (lanes.key(CONFIG), lanes.stream(CONFIG)), path


def test_bundles_hold_every_configuration_once_and_similar_ones_together():
    configs = [
        change(CONFIG, {"seed": seed, "model.layer_1.units": units}) for units in (10, 500, 12, 480) for seed in (1, 2)
    ]
    assert lanes.bundles(configs) == [[0, 4, 1, 5], [6, 2, 7, 3]]
    assert lanes.bundles(configs, lanes=2) == [[0, 4], [1, 5], [6, 2], [7, 3]]
    assert lanes.bundles([*configs, CONFIG]) == [[0, 4, 1, 5], [6, 2, 7, 3], [8]]  # streams have equally many lanes
    assert lanes.bundles([CONFIG] * 5, lanes=2) == [[0, 1], [2, 3], [4]]
    assert lanes.bundles([CONFIG] * 3, memory=1) == [[0], [1], [2]]
    assert lanes.bundles([]) == []


@pytest.mark.parametrize("rates", [9, 10])
def test_a_bundle_has_equally_many_lanes_of_every_stream(rates):
    """Else some would be fed with the images of another stream."""
    configs = [
        change(CONFIG, {"seed": seed, "model.layer_1.units": units, "model.layer_2.units": 0, "optimizer.epsilon": 0.1**rate})
        for units in (64, 128) for rate in range(rates) for seed in (1, 2)
    ]  # fmt: skip
    found = lanes.bundles(configs)
    assert sorted(index for bundle in found for index in bundle) == list(range(len(configs)))
    for bundle in found:
        assert len(set(Counter(lanes.stream(configs[index]) for index in bundle).values())) == 1


def test_streams_of_unequal_numbers_of_lanes_are_refused():
    configs = [CONFIG, CONFIG, change(CONFIG, {"seed": 2})]
    with pytest.raises(ValueError, match="equally many lanes, found 2, 1"):
        lanes.train(configs, [load(config.data) for config in configs])


@pytest.mark.slow
def test_streams_of_other_seeds_and_lengths_are_trained_as_each_alone():
    """The second stream ends two and a half batches before the first, and its seed is another."""
    longer, shorter = digits(8 * BATCH + 3), digits(6 * BATCH - BATCH // 2)
    own = {"optimizer.name": "nadam", "model.layer_1.dropout": 0.3}
    configs = [configure(own | {"seed": seed}, widths) for widths in WIDTHS[:2] for seed in (1, 2)]
    sets = [{"train": longer, "val": SETS["val"]}, {"train": shorter, "val": digits(50)}] * 2
    bundle = lanes.train(configs, sets)
    for lane in (1, 2):  # of each stream and of each width
        assert_equal(bundle[lane], *lanes.train([configs[lane]], [sets[lane]]))


@pytest.mark.slow
def test_streams_of_one_length_are_those_of_keras():
    configs = [configure(PLAIN | {"seed": seed}) for seed in (1, 2, 3)]
    for config, found in zip(configs, train(configs, FEW), strict=True):
        assert_equal(found, alone.train(config, FEW))


def test_which_engine_trains_is_decided_by_the_configuration_alone():
    def engine(*overrides):
        return engines.resolve(compose(list(overrides))).training.engine

    assert engine() == "keras"  # 1,222 scans, 10 epochs: not worth a compilation
    assert engine("training.epochs=300") == "lanes"
    assert engine("training.engine=lanes") == "lanes"
    assert engine("training.epochs=300", "training.engine=keras") == "keras"
    assert engine("training.epochs=300", "loss=dice") == engine("model=cnn", "training.engine=lanes") == "keras"


@pytest.mark.parametrize("units", [True, False])
def test_which_precision_follows_from_the_processor_and_only_for_cnns(units, monkeypatch):
    monkeypatch.setattr(engines, "has_bfloat16_units", lambda: units)

    def precision(*overrides):
        return engines.resolve(compose(list(overrides))).training.precision

    assert precision() == precision("model=cnn", "training.precision=float32") == "float32"
    assert precision("model=cnn") == ("mixed_bfloat16" if units else "float32")
    assert precision("training.precision=mixed_bfloat16") == "mixed_bfloat16"
    assert engines.resolve(compose(["training.engine=lanes", "training.precision=mixed_bfloat16"])).training.engine == "keras"


def test_the_engines_know_the_rules_that_there_are():
    assert set(engines.OPTIMIZERS) == set(updates.RULES)
