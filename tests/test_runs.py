"""A run goes on from its checkpoint, and is what it would have been."""

import time
import weakref
from contextlib import suppress

import numpy as np
import pytest
import tensorflow as tf

from digitexp import registry, runs
from digitexp.compose import compose
from digitexp.results import Failure, Result
from digitexp.settings import Dense
from digitexp.training import checkpoints, lanes
from digitexp.training.train import State

pytestmark = pytest.mark.slow

SMALL = ["data.limit=150", "training.epochs=5", "execution.checkpoint_seconds=0", "model.layer_1.dropout=0.3"]
ENGINES = {
    "keras": ["training.engine=keras"],
    "lanes": ["training.engine=lanes"],
}


class Killed(BaseException):
    """As if the process were gone."""


def train(configs, folder, checkpoint=True, until=None):
    """Outcomes, and the epochs that were told; killed after epoch `until` of the first run."""
    folder.mkdir(exist_ok=True)
    told = []

    def on_epoch(index, epoch, metrics):
        told.append((index, epoch))
        if epoch == until and index == 0:
            raise Killed
        return True

    files = [folder / f"{index}.npz" for index in range(len(configs))] if checkpoint else []
    outcomes = {}
    with suppress(Killed):
        outcomes = dict(runs.run(configs, folder, on_epoch, files))
    return outcomes, told


def same(one: Result, other: Result, engine="keras"):
    """To the last bit; of lanes, which are computed beside others or not, to rounding."""
    apart = 0 if engine == "keras" else 1e-4
    pairs = [(one.predictions[name].probabilities, other.predictions[name].probabilities) for name in one.predictions]
    pairs += [(one.curves[name], other.curves[name]) for name in one.curves]
    return all(np.allclose(*pair, rtol=apart, atol=apart) for pair in pairs)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_run_goes_on_from_its_checkpoint(engine, tmp_path):
    configs = [compose([*SMALL, *ENGINES[engine], f"model.layer_1.units={units}"]) for units in (20, 30)]
    whole, _ = train(configs, tmp_path / "whole", checkpoint=False)
    _, told = train(configs, tmp_path / "killed", until=3)
    assert (0, 3) in told
    outcomes, told = train(configs, tmp_path / "killed")
    assert [epoch for index, epoch in told if index == 0] == [0, 4, 5]
    assert all(same(outcomes[index], whole[index], engine) for index in (0, 1))


def test_a_run_that_ends_early_leaves_its_state_to_who_goes_on(tmp_path):
    config = compose(SMALL)
    whole, _ = train([config], tmp_path / "whole", checkpoint=False)
    first, _ = train([compose([*SMALL, "training.until=2"])], tmp_path / "parts")
    assert first[0].metrics["epochs"] == 2
    outcomes, told = train([config], tmp_path / "parts")
    assert [epoch for _, epoch in told] == [0, 3, 4, 5]
    assert same(outcomes[0], whole[0])
    assert outcomes[0].metrics["seconds"] > first[0].metrics["seconds"]  # of all epochs


def test_what_cannot_be_read_is_trained_again(tmp_path):
    file = tmp_path / "state.npz"
    assert checkpoints.load(file, 9) is None
    state = State(3, [np.arange(4.0), np.ones((2, 2))], {"val/loss": [3.0, 2.0, 1.0]}, [np.ones(4)], seconds=7.5)
    checkpoints.save(file, state)
    loaded = checkpoints.load(file, 9)
    assert (loaded.epoch, loaded.curves, loaded.seconds) == (3, state.curves, 7.5)
    for kept, given in ((loaded.variables, state.variables), (loaded.best, state.best)):
        assert all(np.array_equal(one, other) for one, other in zip(kept, given, strict=True))
    assert checkpoints.load(file, 2) is None  # it has gone further than is asked for
    file.write_bytes(file.read_bytes()[:100])
    assert checkpoints.load(file, 9) is None
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


def test_the_seconds_of_a_baseline_are_of_its_reading_too(tmp_path, monkeypatch):
    def predict(images):
        time.sleep(0.1)
        return np.full((len(images), 10), 0.1, np.float32)

    monkeypatch.setattr(runs.baselines, "fit", lambda *given: predict)
    outcomes, _ = train([compose(["model=baseline"])], tmp_path, checkpoint=False)
    assert outcomes[0].metrics["seconds"] >= 0.2  # val and test


def test_a_disk_that_refuses_a_checkpoint_stops_no_training(tmp_path):
    (tmp_path / "file").touch()
    checkpoints.save(tmp_path / "file" / "state.npz", State(1, [np.ones(3)]))


def test_a_bundle_that_is_too_much_is_split_and_lets_go_of_what_it_held(tmp_path, monkeypatch):
    configs = [compose([*SMALL, *ENGINES["lanes"], f"model.layer_1.units={units}"]) for units in (20, 22, 24, 26)]
    whole, _ = train(configs, tmp_path / "whole", checkpoint=False)
    programs, alive = [], []

    class Large(lanes.Program):
        def __init__(self, *given):
            alive.append(sum(program() is not None for program in programs))
            super().__init__(*given)
            programs.append(weakref.ref(self))

        def epoch(self, *given):
            if self._lanes > 1:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return super().epoch(*given)

    monkeypatch.setattr(lanes, "Program", Large)
    split, told = train(configs, tmp_path / "split", checkpoint=False)
    assert all(same(split[index], whole[index], "lanes") for index in range(4))
    assert sorted(told) == [(index, epoch) for index in range(4) for epoch in range(6)]  # each once
    assert len(programs) == 7  # of four, two and one, two and one
    assert not any(alive)


def test_one_network_that_is_too_much_is_a_failure_in_one_sentence(tmp_path, monkeypatch):
    def exhausted(*given, **named):
        raise MemoryError

    monkeypatch.setattr(lanes, "Program", exhausted)
    outcomes, _ = train([compose([*SMALL, *ENGINES["lanes"]])], tmp_path, checkpoint=False)
    assert outcomes[0].message == "there is not enough memory: MemoryError"


def test_a_measure_that_fails_for_one_lane_fails_no_other(tmp_path, monkeypatch):
    calls = []

    def fails_at_the_second(labels, probabilities):
        calls.append(len(labels))
        if len(calls) == 2:
            raise ValueError
        return 0.5

    monkeypatch.setitem(registry.METRICS, "halves", registry.Entry("halves", build=fails_at_the_second))
    asked = [*SMALL, *ENGINES["lanes"], "evaluation.metrics=[halves]", "data.validation=0", "search.objective=null"]
    outcomes, _ = train([compose([*asked, f"model.layer_1.units={units}"]) for units in (20, 30, 40)], tmp_path)
    assert [type(outcomes[index]) for index in range(3)] == [Result, Failure, Result]
    assert outcomes[1].message == "halves, which you registered: ValueError()"


def test_a_setting_that_keras_refuses_fails_its_own_run_only(tmp_path):
    asked = [*SMALL, *ENGINES["lanes"], "optimizer.name=sgd"]
    configs = [compose([*asked, f"optimizer.momentum={momentum}"]) for momentum in (0.0, 0.5, 1.5, 0.9)]
    outcomes, told = train(configs, tmp_path)
    assert [type(outcomes[index]) for index in range(4)] == [Result, Result, Failure, Result]
    assert "momentum" in outcomes[2].message
    assert sorted(told) == [(index, epoch) for index in range(4) for epoch in range(1 if index == 2 else 6)]


def test_a_mistake_in_a_function_of_ones_own_fails_the_run_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setitem(registry.METRICS, "halves", registry.Entry("halves", build=lambda labels, said: labels.halves))
    outcomes, _ = train([compose([*SMALL, "evaluation.metrics=[halves]"])], tmp_path)
    assert outcomes[0].message.startswith("halves, which you registered: AttributeError(")


@pytest.mark.parametrize(
    ("kind", "choice"),
    [
        ("metric", ["evaluation.metrics=[own]"]),
        ("loss", ["loss=own"]),
        ("loss", ["model=baseline", "loss=own"]),
        ("optimizer", ["optimizer.name=own"]),
        ("network", ["model.kind=own"]),
    ],
)
def test_an_error_of_ones_own_fails_the_run_and_no_more(kind, choice, tmp_path, monkeypatch):
    class OwnError(Exception):
        pass

    def fails(*arguments, **settings):
        raise OwnError("not today")

    monkeypatch.setitem(registry.KINDS[kind], "own", registry.Entry("own", build=fails, schema=Dense))
    small = [word for word in SMALL if not (choice[0] == "model=baseline" and word.startswith("model"))]
    outcomes, _ = train([compose([*small, *choice])], tmp_path)
    told = "OwnError: not today" if choice == ["loss=own"] else "own, which you registered: OwnError('not today')"
    assert outcomes[0].message == told


def test_a_network_that_says_no_numbers_has_failed(tmp_path):
    """Its one step comes after the loss was measured, so no loss tells."""
    config = compose(["data.limit=150", "training.batch_size=256", "training.epochs=1", "optimizer.name=sgd",
                      "optimizer.learning_rate=1e38"])  # fmt: skip
    outcomes, _ = train([config], tmp_path)
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].message.startswith("epoch 1: its probabilities are no numbers; a smaller optimizer.learning_rate")


def test_every_worker_is_given_some_of_the_lanes():
    configs = [compose([*SMALL, *ENGINES["lanes"], f"model.layer_1.units={20 + units}"]) for units in range(6)]
    assert [len(bundle) for bundle in runs.bundles(configs)] == [6]
    assert [len(bundle) for bundle in runs.bundles(configs, workers=2)] == [3, 3]
    assert [len(bundle) for bundle in runs.bundles(configs, workers=9)] == [1] * 6
