"""Law 1: an epoch depends on configuration, seed and its number alone; and training is Keras' own training."""

from itertools import pairwise

import keras
import numpy as np
import pytest

from digitexp.compose import compose
from digitexp.config import change
from digitexp.data.sets import load
from digitexp.errors import ConfigError, TrainingError
from digitexp.models import network
from digitexp.training import train as module
from digitexp.training.train import evaluate, predict, train

SMALL = ["data.limit=300", "training.batch_size=32"]


def weights(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def trained(*overrides, **how):
    config = compose([*SMALL, *overrides])
    return train(config, load(config.data), **how)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.layer_1.dropout=0.5"],
        ["model.layer_1.dropout=0.5", "optimizer.name=nadam", "training.augmentation.preset=rotate_zoom_shift"],
        ["training.schedule.name=plateau", "training.schedule.patience=1", "training.early_stopping.patience=6"],
        ["training.schedule.name=exponential", "training.ema=0.9", "training.label_smoothing=0.1"],
        ["training.schedule.name=one_cycle"],
        ["training.precision=mixed_bfloat16", "model.layer_1.dropout=0.2"],
        ["training.schedule.name=cosine", "training.early_stopping.patience=9", "training.ema=0.9"],
        ["model=cnn", "model.conv_1.filters=4", "model.conv_2.filters=4", "model.conv_1.batch_normalization=true"],
    ],
)
def test_three_and_six_epochs_equal_nine(overrides):
    whole, whole_state = trained(*overrides, "training.epochs=9")
    _, state = trained(*overrides, "training.epochs=9", until=3)
    parts, parts_state = trained(*overrides, "training.epochs=9", start=state)
    assert np.array_equal(weights(whole), weights(parts))
    assert whole_state.curves == parts_state.curves
    assert (state.epoch, parts_state.epoch, len(parts_state.curves["val/accuracy"])) == (3, 9, 9)


def test_the_rate_is_lowered_on_a_plateau_also_when_training_goes_on_after_it():
    overrides = ["training.schedule.name=plateau", "training.schedule.patience=1", "training.schedule.monitor=train/accuracy",
                 "optimizer.learning_rate=1e-9", "training.epochs=4"]  # fmt: skip
    _, state = trained(*overrides, until=2)
    _, state = trained(*overrides, start=state)
    assert state.curves["train/learning_rate"] == pytest.approx([1e-9, 1e-9, 1e-9, 1e-9])  # below the minimum it stays
    _, state = trained(*overrides, "training.schedule.minimum=0", until=2)
    _, state = trained(*overrides, "training.schedule.minimum=0", start=state)
    assert state.curves["train/learning_rate"] == pytest.approx([1e-9, 1e-9, 0.5e-9, 0.25e-9])


def test_early_stopping_keeps_the_best_weights_and_goes_no_further():
    overrides = ["optimizer.name=sgd", "optimizer.learning_rate=3", "training.epochs=12", "training.early_stopping.patience=2"]
    config = compose([*SMALL, *overrides])
    sets = load(config.data)
    model, state = train(config, sets)
    curve = state.curves["val/accuracy"]
    best = int(np.argmax(curve))
    assert state.epoch == len(curve) == best + 3 < 12
    assert evaluate(model, sets["val"], "val", predict(model, sets["val"].images))["val/accuracy"] == curve[best]
    assert state.measured(config.training.early_stopping)["val/accuracy"] == curve[best]
    again, same = train(config, sets, start=state)
    assert same.epoch == state.epoch
    assert np.array_equal(weights(again), weights(model))


def test_the_moving_average_of_the_weights_by_hand():
    config = compose([*SMALL, "training.epochs=1", "training.ema=0.8", "data.limit=100", "data.validation=0",
                      "search.objective=null", "training.batch_size=25"])  # fmt: skip
    sets = load(config.data)
    averaged, _ = train(config, sets)
    plain = network.compile(change(config, {"training.ema": None}))
    order, average = module._order(config.seed, 1, 100), None
    for rows in np.split(order, 4):
        plain.train_on_batch(sets["train"].images[rows].astype("float32"), np.eye(10)[sets["train"].labels[rows]])
        average = weights(plain) if average is None else 0.8 * average + 0.2 * weights(plain)
    assert weights(averaged) == pytest.approx(average, abs=1e-5)


def test_smoothed_labels_are_what_keras_smooths():
    config = compose([*SMALL, "training.epochs=1", "training.label_smoothing=0.2"])
    sets = load(config.data)
    ours, state = train(config, sets)
    theirs = network.build(config)
    theirs.compile(optimizer=network.optimizer(config), loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.2))
    order = module._order(config.seed, 1, len(sets["train"]))
    truth = np.eye(10, dtype="float32")[sets["train"].labels[order]]
    history = theirs.fit(sets["train"].images[order].astype("float32"), truth, batch_size=32, shuffle=False, verbose=0)
    assert weights(ours) == pytest.approx(weights(theirs), abs=1e-5)
    assert state.curves["train/loss"][0] == pytest.approx(history.history["loss"][0], rel=1e-4)


def test_training_starts_from_a_saved_network(tmp_path):
    config = compose([*SMALL, "training.epochs=2", "seed=5"])
    sets = load(config.data)
    first, _ = train(config, sets)
    network.save(config, first, tmp_path / "network.keras")
    goes_on = change(config, {"training.start": str(tmp_path / "network.keras"), "optimizer.learning_rate": 1e-12})
    again, state = train(goes_on, sets)
    assert weights(again) == pytest.approx(weights(first), abs=1e-6)
    assert state.epoch == 2
    with pytest.raises(ConfigError, match=r"training\.start=.*: has weights of other shapes"):
        train(change(goes_on, {"model.layer_1.units": 9}), sets)
    with pytest.raises(ConfigError, match=r"training\.start=nowhere\.keras: is no network that Keras can read"):
        train(change(goes_on, {"training.start": "nowhere.keras"}), sets)


def test_what_was_trained_before_changes_nothing():
    first, _ = trained("training.epochs=2", "model.layer_1.dropout=0.5")
    keras.utils.set_random_seed(5)
    trained("training.epochs=1", "seed=3")
    again, _ = trained("training.epochs=2", "model.layer_1.dropout=0.5")
    assert np.array_equal(weights(first), weights(again))


def test_augmentation_trains_on_other_images_in_every_epoch():
    overrides = ["training.epochs=2", "training.augmentation.preset=rotate_zoom_shift"]
    augmented, _ = trained(*overrides)
    unchanged, _ = trained(overrides[0])
    assert not np.array_equal(weights(augmented), weights(unchanged))
    config = compose([*SMALL, *overrides])
    train_set = load(config.data)["train"]
    images_of = module.images_by_epoch(config, train_set)
    seen = [train_set.images, images_of(1).numpy(), images_of(2).numpy()]
    assert not any(np.array_equal(one, other) for one, other in pairwise(seen))
    assert np.array_equal(images_of(1), seen[1])


def test_another_seed_is_another_run():
    first, _ = trained("training.epochs=1")
    other, _ = trained("training.epochs=1", "seed=2")
    assert not np.array_equal(weights(first), weights(other))


@pytest.mark.parametrize("name", ["adam", "nadam", "sgd", "adamax", "rmsprop", "adagrad", "adadelta", "ftrl"])
def test_an_epoch_is_that_of_keras_fit(name):
    config = compose([*SMALL, f"optimizer.name={name}", "training.epochs=1"])
    sets = load(config.data)
    ours, state = train(config, sets)
    theirs = network.compile(config)
    order = module._order(config.seed, 1, len(sets["train"]))
    images = sets["train"].images[order].astype("float32")
    truth = np.eye(10, dtype="float32")[sets["train"].labels[order]]
    history = theirs.fit(images, truth, batch_size=32, epochs=1, shuffle=False, verbose=0)
    difference = np.linalg.norm(weights(ours) - weights(theirs)) / np.linalg.norm(weights(theirs))
    assert difference < 1e-5
    assert state.curves["train/loss"][0] == pytest.approx(history.history["loss"][0], rel=1e-4)
    assert state.curves["train/accuracy"][0] == pytest.approx(history.history["accuracy"][0], abs=1e-6)


def test_epochs_are_told_and_training_may_be_ended():
    told = []

    def on_epoch(epoch, metrics):
        told.append((epoch, sorted(metrics)))
        return epoch < 2

    _, state = trained("training.epochs=5", on_epoch=on_epoch)
    assert state.epoch == 2
    assert told == [(epoch, ["train/accuracy", "train/loss", "val/accuracy", "val/loss"]) for epoch in (1, 2)]


def test_a_loss_that_is_no_number_ends_the_run():
    with pytest.raises(
        TrainingError, match=r"epoch \d+: the training loss is (nan|inf); a smaller optimizer\.learning_rate"
    ):
        trained("optimizer.name=sgd", "optimizer.learning_rate=1e30", "loss=mean_squared_logarithmic_error",
                "model.layer_1.activation=linear", "training.epochs=5")  # fmt: skip


def test_predictions_do_not_depend_on_how_many_are_made_at_once(monkeypatch):
    model = network.build(compose())
    images = load(compose().data)["test"].images
    whole = predict(model, images)
    monkeypatch.setattr(module, "PREDICTED_AT_ONCE", 100)
    assert np.allclose(predict(model, images), whole, atol=1e-6)
    assert np.allclose(whole.sum(axis=1), 1, atol=1e-5)


def test_in_bfloat16_a_network_learns_as_well_and_is_no_copy_of_the_other():
    overrides = ["model=cnn", "model.conv_1.filters=8", "model.conv_2.filters=8", "training.epochs=4"]
    full, mixed = (trained(*overrides, f"training.precision={name}") for name in ("float32", "mixed_bfloat16"))
    assert {weight.dtype for weight in mixed[0].get_weights()} == {np.dtype("float32")}
    assert mixed[0].output.dtype == "float32"
    assert not np.array_equal(weights(full[0]), weights(mixed[0]))
    accuracies = [state.curves["val/accuracy"][-1] for _, state in (full, mixed)]
    assert min(accuracies) > 0.6
    assert abs(accuracies[0] - accuracies[1]) < 0.1  # 45 images


def test_it_learns():
    _, state = trained("training.epochs=15", "data.limit=null")
    assert state.curves["val/accuracy"][-1] > 0.9


def test_class_weights_are_those_of_keras_fit():
    config = compose([*SMALL, "training.epochs=1", "training.class_weights=balanced", "data.balance=skewed"])
    sets = load(config.data)
    counts = np.bincount(sets["train"].labels)
    weights_of = module.class_weights(sets["train"])
    assert counts.max() > 4 * counts.min()
    assert np.allclose(counts * weights_of, len(sets["train"]) / 10)  # all classes together weigh the same
    ours, state = train(config, sets)
    theirs = network.compile(config)
    order = module._order(config.seed, 1, len(sets["train"]))
    images, labels = sets["train"].images[order].astype("float32"), sets["train"].labels[order]
    history = theirs.fit(images, np.eye(10, dtype="float32")[labels], sample_weight=weights_of[labels],
                         batch_size=32, epochs=1, shuffle=False, verbose=0)  # fmt: skip
    difference = np.linalg.norm(weights(ours) - weights(theirs)) / np.linalg.norm(weights(theirs))
    assert difference < 1e-5
    # Keras divides the loss of an epoch by the weights, we by the images.
    assert state.curves["train/loss"][0] == pytest.approx(history.history["loss"][0], rel=0.1)
    unweighted, _ = train(change(config, {"training.class_weights": "none"}), sets)
    assert np.linalg.norm(weights(ours) - weights(unweighted)) / np.linalg.norm(weights(ours)) > 1e-3
