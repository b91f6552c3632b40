"""The space: lists, ranges, conditions; grids, one at a time, zips; what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitexp.compose import compose
from digitexp.config import change, flatten
from digitexp.errors import SpaceError
from digitexp.space import Range, apply, parse, points

OPTIMIZERS = ["adam", "nadam", "sgd", "adamax"]


CONFIG = compose()


def spell(space, method="grid", **search):
    config = change(CONFIG, {"search.space": space, "search.method": method, "search.name": "asked"})
    config = change(config, {f"search.{name}": value for name, value in search.items()})
    return points(config, parse(config))


def test_grid_varies_the_last_fastest():
    assert spell({"model.layer_1.units": [10, 20], "loss": ["mean_squared_error", "mean_absolute_error"]}) == [
        {"model.layer_1.units": 10, "loss": "mean_squared_error"},
        {"model.layer_1.units": 10, "loss": "mean_absolute_error"},
        {"model.layer_1.units": 20, "loss": "mean_squared_error"},
        {"model.layer_1.units": 20, "loss": "mean_absolute_error"},
    ]


def test_whole_networks_are_varied_by_name():
    assert spell({"model": ["dense", "lenet5"], "training.epochs": [1, 2]})[1:3] == [
        {"model": "dense", "training.epochs": 2}, {"model": "lenet5", "training.epochs": 1},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("space", "method", "sentence"),
    [
        ({"model": ["dense", "lenet"]}, "grid", r"search\.space 'model': model=lenet: no such choice; .*'lenet5'"),
        ({"model": ["dense"], "model.layer_1.units": [3]}, "grid", r"whole networks are varied, or the settings of one"),
        ({"model.layer_1.units": [3], "model": ["dense"]}, "grid", r"whole networks are varied, or the settings of one"),
        ({"model": ["dense", "lenet5"]}, "one_at_a_time", r"whole networks have no reference value"),
    ],
)
def test_whole_networks_that_cannot_be_varied_so(space, method, sentence):
    with pytest.raises(SpaceError, match=sentence):
        spell(space, method)


def test_seeds_alone_may_be_asked_for():
    assert spell({}, repeats=3) == [{}]


def test_a_condition_switches_a_setting_on():
    space = {
        "optimizer.name": ["adam", "sgd"],
        "optimizer.momentum": {"values": [0.0, 0.9], "when": {"optimizer.name": ["sgd"]}},
    }
    assert spell(space) == [
        {"optimizer.name": "adam"},
        {"optimizer.name": "sgd", "optimizer.momentum": 0.0},
        {"optimizer.name": "sgd", "optimizer.momentum": 0.9},
    ]


def test_one_at_a_time_begins_with_the_reference_and_holds_each_point_once():
    found = spell({"model.layer_1.dropout": [0.0, 0.2], "training.epochs": [10, 20]}, "one_at_a_time")
    assert found == [
        {"model.layer_1.dropout": 0.0, "training.epochs": 10},
        {"model.layer_1.dropout": 0.2, "training.epochs": 10},
        {"model.layer_1.dropout": 0.0, "training.epochs": 20},
    ]


def test_one_at_a_time_takes_the_reference_of_what_a_value_switches_on():
    space = {
        "optimizer.name": ["adam", "sgd"],
        "optimizer.momentum": {"values": [0.9], "when": {"optimizer.name": ["sgd"]}},
    }
    assert spell(space, "one_at_a_time") == [
        {"optimizer.name": "adam"},
        {"optimizer.name": "sgd", "optimizer.momentum": None},
    ]


def test_zip_pairs():
    assert spell({"training.epochs": [1, 2], "training.batch_size": [32, 64]}, "zip") == [
        {"training.epochs": 1, "training.batch_size": 32},
        {"training.epochs": 2, "training.batch_size": 64},
    ]


def test_zip_leaves_out_what_its_values_switch_off():
    momentum = {"values": [0.5, 0.9], "when": {"optimizer.name": ["sgd"]}}
    assert spell({"optimizer.name": ["sgd", "adam"], "optimizer.momentum": momentum}, "zip") == [
        {"optimizer.name": "sgd", "optimizer.momentum": 0.5},
        {"optimizer.name": "adam"},
    ]


def test_a_condition_holds_for_the_value_that_its_parent_takes():
    """KerasTuner takes all values of a list for the type of the first: 0 and 0.25 would be 0 and 0."""
    when = {"model.layer_1.dropout": [0, 0.25]}
    space = {"model.layer_1.dropout": [0, 0.25, 0.5], "model.layer_2.units": {"values": [20, 40], "when": when}}
    _, units = parse(change(CONFIG, {"search.space": space}))
    assert [(value, type(value)) for value in units.when["model.layer_1.dropout"]] == [(0.0, float), (0.25, float)]


def test_zip_says_a_value_as_often_as_it_is_meant():
    assert spell({"training.epochs": [1, 2, 2], "training.batch_size": [32, 32, 64]}, "zip") == [
        {"training.epochs": 1, "training.batch_size": 32},
        {"training.epochs": 2, "training.batch_size": 32},
        {"training.epochs": 2, "training.batch_size": 64},
    ]


def test_random_search_has_no_list():
    assert spell({"training.epochs": [1, 2]}, "random", objective="val/accuracy") is None


@pytest.mark.parametrize(
    ("form", "values"),
    [
        ({"min": 1, "max": 7, "step": 2}, [1, 3, 5, 7]),
        ({"min": 1, "max": 100, "step": 10, "log": True}, [1, 10, 100]),
        ({"min": 2, "max": 5, "step": 2}, [2, 4]),
    ],
)
def test_ranges_of_whole_numbers(form, values):
    assert [point["training.epochs"] for point in spell({"training.epochs": form})] == values


def test_ranges_of_numbers_are_as_a_person_would_write_them():
    found = spell({"model.layer_1.dropout": {"min": 0.0, "max": 0.6, "step": 0.1}})
    assert [point["model.layer_1.dropout"] for point in found] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@given(low=st.integers(1, 50), steps=st.integers(0, 30), step=st.integers(1, 9))
def test_a_range_holds_both_its_ends(low, steps, step):
    values = Range(low, low + steps * step, step).values()
    assert (values[0], values[-1], len(values)) == (low, low + steps * step, steps + 1)


@given(st.lists(st.sampled_from(OPTIMIZERS), min_size=1), st.lists(st.integers(1, 500), min_size=1, max_size=5))
def test_a_grid_holds_every_combination_once(names, units):
    found = spell({"optimizer.name": names, "model.layer_1.units": units})
    combinations = {(point["optimizer.name"], point["model.layer_1.units"]) for point in found}
    assert combinations == {(name, unit) for name in names for unit in units}
    assert len(found) == len(combinations)


def test_apply_changes_just_what_the_point_says():
    config = CONFIG
    changed = flatten(apply(config, {"optimizer.name": "sgd", "optimizer.momentum": 0.9}))
    assert {path for path, value in flatten(config).items() if changed[path] != value} == {
        "optimizer.name",
        "optimizer.momentum",
    }


REFUSED = {
    "empty list": ({"optimizer.name": []}, r"found \[\]; a list needs at least one value"),
    "mixed types": ({"optimizer.name": ["adam", 3]}, r"'optimizer\.name': found 3 \(int\); must be a text"),
    "text among numbers": ({"training.epochs": [1, "2"]}, r"found '2' \(str\); must be a whole number"),
    "unknown choice": ({"optimizer.name": ["adam", "sg"]}, r"Did you mean 'sgd'"),
    "unknown path": ({"model.layer_2.unit": [5]}, r"no such setting; .*Did you mean 'model\.layer_2\.units'"),
    "the seed": ({"seed": [1, 2]}, r"type search\.repeats=3"),
    "not part of a run": ({"tracking.pictures": ["all"]}, r"cannot be varied"),
    "a single value": ({"training.epochs": 3}, r"found 3; allowed is a list of values"),
    "half a range": ({"training.epochs": {"min": 3}}, r"found \{min\}; allowed is"),
    "upside down": ({"training.epochs": {"min": 3, "max": 1, "step": 1}}, r"from 3 to 1 is no range"),
    "log from zero": ({"model.layer_1.dropout": {"min": 0.0, "max": 0.5, "log": True}}, r"and above 0"),
    "step of zero": ({"training.epochs": {"min": 1, "max": 3, "step": 0}}, r"step=0\.0; must be a number above 0"),
    "half a step": ({"training.epochs": {"min": 1, "max": 3, "step": 0.5}}, r"step=0\.5; must be a whole number"),
    "factor of one": ({"training.epochs": {"min": 1, "max": 3, "step": 1, "log": True}}, r"must be a factor above 1"),
    "range of names": ({"optimizer.name": {"min": 1, "max": 3}}, r"a range needs a number"),
    "no step in a grid": ({"training.epochs": {"min": 1, "max": 3}}, r"needs a step"),
    "when of nothing": ({"training.epochs": {"values": [1], "when": {"loss": ["x"]}}}, r"nothing is declared before it"),
    "when never true": (
        {"optimizer.name": ["adam"], "optimizer.momentum": {"values": [0.9], "when": {"optimizer.name": ["sgd"]}}},
        r"that setting takes \['adam'\]",
    ),
    "when on a list": (
        {"data.classes": [["0", "1"]], "loss": {"values": ["huber"], "when": {"data.classes": ["0", "1"]}}},
        r"when 'data\.classes' is one of \['0', '1'\], but that setting takes \[\['0', '1'\]\]",
    ),
    "impossible value": ({"model.layer_1.dropout": [0.0, 1.0]}, r"model\.layer_1\.dropout=1\.0: must be a share"),
    "at odds": ({"optimizer.momentum": [0.9]}, r"adam has no momentum"),
    "nothing": ({}, r"asked varies nothing"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_in_one_sentence(case):
    space, sentence = REFUSED[case]
    with pytest.raises(SpaceError, match=sentence) as refused:
        spell(space)
    assert "\n" not in str(refused.value)


def test_refuses_lists_of_different_length_in_a_zip():
    with pytest.raises(SpaceError, match=r"zip pairs lists of one length"):
        spell({"training.epochs": [1, 2], "training.batch_size": [32]}, "zip")
