"""The loop and KerasTuner's oracles, handed a plain function."""

from collections import Counter

import keras_tuner
import pytest

from digitexp.compose import compose
from digitexp.config import change
from digitexp.errors import SpaceError
from digitexp.planning import plan, rounds
from digitexp.search import oracles
from digitexp.search.loop import search
from digitexp.space import parse, points

SPACES = {
    "names": {"optimizer.name": ["adam", "sgd"], "loss": ["poisson", "huber"]},
    "condition": {
        "optimizer.name": ["adam", "sgd", "rmsprop"],
        "optimizer.momentum": {"values": [0.0, 0.9], "when": {"optimizer.name": ["sgd", "rmsprop"]}},
    },
    "condition of a condition": {
        "model.layer_2.units": [0, 50],
        "model.layer_3.units": {"values": [0, 50], "when": {"model.layer_2.units": [50]}},
        "model.layer_4.units": {"values": [0, 50], "when": {"model.layer_3.units": [50]}},
    },
    "whole and other numbers": {"model.layer_1.dropout": [0, 0.25, 0.5]},
    "null": {"optimizer.learning_rate": [None, 0.01]},
    "true and false": {"optimizer.nesterov": [True, False], "optimizer.momentum": [0.9]},
    "null and truth": {"optimizer.nesterov": [None, True], "optimizer.momentum": [0.9]},
    "range": {"training.epochs": {"min": 1, "max": 9, "step": 4}},
}
RANGES = {
    "model.layer_1.units": {"min": 16, "max": 256, "log": True},
    "model.layer_2.units": {"min": 10, "max": 20},
    "model.layer_3.units": {"min": 10, "max": 40, "step": 10},
    "model.layer_1.dropout": {"min": 0.0, "max": 0.6},
    "optimizer.learning_rate": {"min": 0.0001, "max": 0.1, "log": True},
    "optimizer.name": ["adam", "sgd"],
    "optimizer.momentum": {"values": [0.5, 0.9], "when": {"optimizer.name": ["sgd"]}},
}
REFERENCE = compose()


def space(content, method="grid"):
    reference = change(REFERENCE, {"optimizer.name": "sgd"}) if "optimizer.name" not in content else REFERENCE
    config = change(reference, {"search.space": content, "search.method": method})
    parameters = parse(config)
    return parameters, points(config, parameters)


@pytest.mark.parametrize("name", SPACES)
def test_a_list_is_proposed_as_it_stands(name):
    parameters, listed = space(SPACES[name])
    batches = []
    done = search("grid", parameters, listed, lambda batch: batches.append(batch) or [0.5] * len(batch))
    assert [trial.point for trial in done] == listed
    assert [trial.number for trial in done] == list(range(len(listed)))
    assert len(batches) == 1  # a list is known before a result is


def test_a_reference_value_may_be_null_and_in_no_list():
    parameters, listed = space({"training.augmentation.shear": [10.0], "optimizer.momentum": [0.9]}, "one_at_a_time")
    done = search("one_at_a_time", parameters, listed, lambda batch: [0.5] * len(batch))
    assert [trial.point for trial in done] == listed
    assert listed[0] == {"training.augmentation.shear": None, "optimizer.momentum": None}


def test_a_reference_value_may_be_none_of_a_range():
    parameters, listed = space({"model.layer_1.dropout": {"min": 0.1, "max": 0.5, "step": 0.2}}, "one_at_a_time")
    done = search("one_at_a_time", parameters, listed, lambda batch: [0.5] * len(batch))
    assert [trial.point["model.layer_1.dropout"] for trial in done] == [0.0, 0.1, 0.3, 0.5]


def test_every_trial_is_issued_by_an_oracle_of_keras_tuner(monkeypatch):
    issued = []
    create = keras_tuner.Oracle.create_trial
    monkeypatch.setattr(
        keras_tuner.Oracle, "create_trial", lambda self, worker: issued.append(create(self, worker)) or issued[-1]
    )
    parameters, listed = space(SPACES["names"])
    done = search("grid", parameters, listed, lambda batch: [0.5] * len(batch))
    settings = {"trials": 0, "epochs": 1, "factor": 3, "direction": "max", "seed": 1}
    assert isinstance(oracles.oracle("grid", parameters, listed, **settings), keras_tuner.Oracle)
    assert [trial.point for trial in done] == [
        trial.hyperparameters.values for trial in issued if trial.status == "COMPLETED"
    ]


def test_results_are_told_under_their_trials():
    parameters, listed = space(SPACES["names"])
    told = {}
    end = oracles.ListOracle.end_trial
    try:
        oracles.ListOracle.end_trial = lambda self, trial: (end(self, trial), told.update({trial.trial_id: trial.score}))[0]
        search("grid", parameters, listed, lambda batch: [0.1 * trial.number for trial in batch])
    finally:
        oracles.ListOracle.end_trial = end
    assert [round(told[key], 6) for key in sorted(told)] == [0.0, 0.1, 0.2, 0.3]


def test_failures_end_no_search():
    parameters, listed = space({"training.epochs": list(range(1, 11))})
    assert len(search("grid", parameters, listed, lambda batch: [None] * len(batch))) == 10


def test_random_search_draws_within_the_space_and_the_same_again():
    parameters, listed = space(RANGES, "random")
    assert listed is None
    first, again, other = (
        [trial.point for trial in search("random", parameters, None, lambda batch: [0.5] * len(batch), trials=30, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == 30
    for point in first:
        assert 16 <= point["model.layer_1.units"] <= 256
        assert isinstance(point["model.layer_1.units"], int)
        assert 10 <= point["model.layer_2.units"] <= 20
        assert point["model.layer_3.units"] in (10, 20, 30, 40)
        assert 0 <= point["model.layer_1.dropout"] <= 0.6
        assert 0.0001 <= point["optimizer.learning_rate"] <= 0.1
        assert ("optimizer.momentum" in point) == (point["optimizer.name"] == "sgd")
    assert len({point["model.layer_2.units"] for point in first}) > 5


@pytest.mark.parametrize(
    ("path", "form", "count"),
    [
        ("model.layer_1.dropout", {"min": 0.0, "max": 0.6, "step": 0.1}, 7),
        ("model.layer_1.units", {"min": 16, "max": 256, "step": 1.5, "log": True}, 7),
        ("optimizer.learning_rate", {"min": 0.0001, "max": 1.0, "step": 10, "log": True}, 5),
    ],
)
def test_random_search_draws_the_very_values_of_a_grid(path, form, count):
    parameters, listed = space({path: form})
    assert len(listed) == count
    drawn = search("random", parameters, None, lambda batch: [0.5] * len(batch), trials=40)
    assert sorted(trial.point[path] for trial in drawn) == sorted(point[path] for point in listed)


def test_random_search_ends_when_the_space_is_used_up():
    parameters, _ = space({"loss": ["poisson", "huber"]}, "random")
    found = search("random", parameters, None, lambda batch: [0.5] * len(batch), trials=20)
    assert sorted(trial.point["loss"] for trial in found) == ["huber", "poisson"]


def test_what_failed_does_not_change_what_random_search_draws():
    parameters, _ = space(RANGES, "random")
    good = search("random", parameters, None, lambda batch: [0.5] * len(batch), trials=10)
    bad = search("random", parameters, None, lambda batch: [None] * len(batch), trials=10)
    assert [trial.point for trial in good] == [trial.point for trial in bad]


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parameters, listed = space(SPACES["condition"])
    search("grid", parameters, listed, lambda batch: [0.5] * len(batch))
    assert list(tmp_path.iterdir()) == []


def hill(batch):
    """Best at 100 neurons and a dropout of 0.2."""
    return [
        1 - ((trial.point["model.layer_1.units"] - 100) / 200) ** 2 - (trial.point["model.layer_1.dropout"] - 0.2) ** 2
        for trial in batch
    ]


HILL = {"model.layer_1.units": {"min": 10, "max": 300}, "model.layer_1.dropout": {"min": 0.0, "max": 0.8}}


def test_bayesian_search_learns_and_proposes_the_same_again():
    parameters, listed = space(HILL, "bayesian")
    batches = []
    runs = [
        search("bayesian", parameters, listed, lambda batch: batches.append(len(batch)) or hill(batch), trials=22)
        for _ in range(2)
    ]
    assert [trial.point for trial in runs[0]] == [trial.point for trial in runs[1]]
    assert batches[:6] == [4, 4, 4, 4, 4, 2]
    values = hill(runs[0])
    assert max(values[8:]) > max(values[:8])
    assert max(values) > 0.98


def test_bayesian_search_repeats_no_point():
    parameters, _ = space({"model.layer_1.units": [10, 20, 30, 40], "model.layer_1.dropout": [0.0, 0.5]}, "bayesian")
    found = search("bayesian", parameters, None, hill, trials=50)
    points = [tuple(trial.point.items()) for trial in found]
    assert len(points) == len(set(points)) >= 6  # of 8; random search gives up where it meets too many known points


def test_bayesian_search_goes_on_after_failures():
    parameters, _ = space(HILL, "bayesian")
    found = search("bayesian", parameters, None, lambda batch: [None, *hill(batch[1:])], trials=16)
    assert len(found) == 16


@pytest.mark.parametrize(("epochs", "factor"), [(9, 3), (10, 3), (27, 3), (8, 2), (1, 3)])
def test_hyperband_proposes_the_rounds_that_the_plan_knows(epochs, factor):
    parameters, _ = space(HILL, "hyperband")
    batches = []

    def evaluate(batch):
        batches.append(Counter(trial.point["training.until"] for trial in batch))
        return hill(batch)

    found = search("hyperband", parameters, None, evaluate, epochs=epochs, factor=factor)
    known = sum((Counter({each.epochs: each.size}) for each in rounds(epochs, factor)), Counter())
    assert sum(batches, Counter()) == known
    assert max(trial.point["training.until"] for trial in found) == epochs
    longest = [trial for trial in found if trial.point["training.until"] == epochs]
    again = search("hyperband", parameters, None, hill, epochs=epochs, factor=factor)
    assert [trial.point for trial in again] == [trial.point for trial in found]
    assert len(longest) < len(found) or epochs == 1


def test_hyperband_keeps_the_best_of_each_round():
    parameters, _ = space(HILL, "hyperband")
    found = search("hyperband", parameters, None, hill, epochs=9)
    first = [trial for trial in found if trial.point["training.until"] == 1]
    best = sorted(first, key=lambda trial: -hill([trial])[0])[: len(first) // 3]
    units = {trial.point["model.layer_1.units"] for trial in found if trial.point["training.until"] == 3}
    assert {trial.point["model.layer_1.units"] for trial in best} <= units


@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_failure_takes_no_bracket_of_hyperband_its_horizon(direction):
    parameters, _ = space(HILL, "hyperband")
    asked = {"epochs": 27, "direction": direction}
    sound = search("hyperband", parameters, None, hill, **asked)
    failed = []

    def evaluate(batch):
        values = [None if trial.number == 0 else value for trial, value in zip(batch, hill(batch), strict=True)]
        failed.extend(trial for trial in batch if trial.number == 0)
        return values

    found = search("hyperband", parameters, None, evaluate, **asked)
    assert Counter(trial.point["training.until"] for trial in found) == Counter(
        trial.point["training.until"] for trial in sound
    )
    first = {**failed[0].point, "training.until": 3}
    assert first not in [trial.point for trial in found]  # what failed is not trained on


def test_hyperband_ends_when_all_fails():
    parameters, _ = space(HILL, "hyperband")
    assert len(search("hyperband", parameters, None, lambda batch: [None] * len(batch), epochs=9)) >= 9


@pytest.mark.parametrize(
    ("points", "content"),
    [
        (2, {"optimizer.name": ["adam", "sgd"]}),
        (7, {"training.batch_size": {"min": 16, "max": 112, "step": 16}}),
        (21, {"model.layer_1.units": {"min": 10, "max": 30, "log": True}}),
        (10, {
            "optimizer.name": ["adam", "nadam", "sgd", "adamax", "rmsprop", "adagrad", "adadelta", "ftrl"],
            "optimizer.momentum": {"values": [0.0, 0.5, 0.9], "when": {"optimizer.name": ["sgd"]}},
        }),
    ],
)  # fmt: skip
def test_a_space_that_is_too_small_for_hyperband_is_refused(points, content):
    with pytest.raises(SpaceError, match=rf"has {points} points, but Hyperband begins with 22 different .*search\.method=grid"):
        plan(change(REFERENCE, {"search.space": content, "search.method": "hyperband"}))


@pytest.mark.parametrize("values", [{"min": 16, "max": 37, "step": 1}, {"min": 16, "max": 37}, {"min": 1, "max": 2**31 - 1}])
def test_a_space_that_is_just_large_enough_for_hyperband(values):
    space = {"training.batch_size": values}
    assert plan(change(REFERENCE, {"search.space": space, "search.method": "hyperband"})).points is None


def test_hyperband_varies_the_epochs_itself():
    with pytest.raises(SpaceError, match=r"Hyperband varies how long a trial is trained"):
        space({"training.epochs": [1, 2]}, "hyperband")
