"""Learning rates against Keras' and PyTorch's definitions, by hand where neither is at hand; when training ends."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from digitexp.compose import compose
from digitexp.errors import ConfigError
from digitexp.settings import SCHEDULES, EarlyStopping
from digitexp.training.schedules import best_epoch, rates, stopped

STEPS = 7


def whole(name, *overrides, epochs=10, rate=0.1, curves=None):
    """The rates of all steps of a run."""
    training = compose([f"training.epochs={epochs}", f"training.schedule.name={name}", *overrides]).training
    told = curves or {"val/accuracy": [0.5] * epochs}
    return np.concatenate([
        rates(training, rate, epoch, STEPS, {metric: values[: epoch - 1] for metric, values in told.items()})
        for epoch in range(1, epochs + 1)
    ])  # fmt: skip


def test_constant_and_exponential_by_hand():
    assert np.array_equal(whole("constant"), np.full(70, np.float32(0.1)))
    expected = np.repeat(0.001 * 0.9 ** np.arange(20), STEPS)  # seed 004: 1e-3 * 0.9 ** x
    assert whole("exponential", epochs=20, rate=0.001) == pytest.approx(expected, rel=1e-6)


def test_cosine_rises_along_a_line_and_falls_as_keras_says():
    found = whole("cosine", "training.schedule.warmup=0", "training.schedule.end=0.1")
    keras_own = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=69, alpha=0.1)
    assert found == pytest.approx([float(keras_own(step)) for step in range(70)], rel=1e-5)
    risen = whole("cosine", "training.schedule.warmup=0.5")
    assert risen[0] == pytest.approx(0.1 / 35.5, rel=1e-6)
    assert np.diff(risen[:35]) == pytest.approx(np.full(34, 0.1 / 35.5), rel=1e-3)
    assert risen[-1] == pytest.approx(0, abs=1e-9)


def test_one_cycle_is_that_of_pytorch():
    # torch.optim.lr_scheduler.OneCycleLR(max_lr=0.1, total_steps=70, pct_start=0.3, div_factor=25, final_div_factor=100)
    # anneals from 0.004 up to 0.1 at step 0.3 * 70 - 1 = 20 and down to 0.00004 at step 69; ours is highest at 0.3 * 69
    up, last = 0.3 * 69, 69
    found = whole("one_cycle", "training.schedule.warmup=0.3", "training.schedule.start=0.04", "training.schedule.end=0.0004")
    rising = [0.1 + (0.004 - 0.1) / 2 * (1 + np.cos(np.pi * step / up)) for step in range(21)]
    falling = [0.00004 + (0.1 - 0.00004) / 2 * (1 + np.cos(np.pi * (step - up) / (last - up))) for step in range(21, 70)]
    assert found == pytest.approx(rising + falling, rel=1e-5)


@hypothesis(max_examples=15)
@given(st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.70005, 0.8]), min_size=1, max_size=25), st.integers(1, 4), st.booleans())
def test_plateau_is_that_of_keras(values, patience, by_loss):
    metric = "val/loss" if by_loss else "val/accuracy"
    found = whole("plateau", f"training.schedule.patience={patience}", f"training.schedule.monitor={metric}",
                  "training.schedule.minimum=0.02", epochs=len(values) + 1, curves={metric: [*values, 0.0]})  # fmt: skip
    model = keras.Sequential([])
    model.optimizer = keras.optimizers.SGD(0.1)
    theirs = keras.callbacks.ReduceLROnPlateau(metric, factor=0.5, patience=patience, min_lr=0.02, verbose=0,
                                               mode="min" if by_loss else "max")  # fmt: skip
    theirs.set_model(model)
    theirs.on_train_begin()
    expected = [0.1]
    for epoch, value in enumerate(values):
        theirs.on_epoch_end(epoch, {metric: value})
        expected.append(float(model.optimizer.learning_rate))
    assert found[::STEPS] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_rate_is_never_negative_and_never_above_the_optimizers(name):
    found = whole(name, epochs=3)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert found.max() <= np.float32(0.1)


def test_one_epoch_of_one_step():
    training = compose(["training.epochs=1", "training.schedule.name=one_cycle"]).training
    assert np.isfinite(rates(training, 0.1, 1, 1, {})).all()


def test_training_ends_when_the_best_epoch_is_old_enough():
    stopping = EarlyStopping(patience=2, monitor="val/accuracy")
    curve = [0.5, 0.7, 0.7, 0.6, 0.9]
    assert [stopped(stopping, {"val/accuracy": curve[:n]}) for n in range(6)] == [False] * 4 + [True, False]
    assert best_epoch(stopping, {"val/accuracy": curve[:4]}) == 2
    assert best_epoch(EarlyStopping(2, "val/loss"), {"val/loss": [0.3, 0.2, 0.4]}) == 2
    assert not stopped(EarlyStopping(None, "val/accuracy"), {"val/accuracy": [0.9, 0.1, 0.1, 0.1]})


def test_what_is_no_number_is_never_the_best():
    assert best_epoch(EarlyStopping(2, "val/loss"), {"val/loss": [0.5, 0.3, math.nan]}) == 2
    assert best_epoch(EarlyStopping(2, "val/accuracy"), {"val/accuracy": [math.nan, 0.3, math.nan]}) == 2


def test_what_is_not_measured_cannot_be_monitored():
    with pytest.raises(ConfigError, match=r"training\.schedule\.monitor=val/accuracy: is not measured .* train/loss"):
        whole("plateau", curves={"train/loss": [0.1] * 10})
