"""What is written of a run while it trains: epochs together, at most every two seconds, and each of them once."""

import numpy as np
import pytest

from digitexp.compose import compose
from digitexp.config import to_yaml
from digitexp.results import Failure, Predictions, Result
from digitexp.tracking import recorder
from digitexp.tracking.liveness import Heartbeat
from digitexp.tracking.recorder import Child
from digitexp.tracking.recording import Recording
from digitexp.tracking.store import open_store

EPOCHS = 12
CURVE = [epoch / 100 for epoch in range(1, EPOCHS + 1)]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A recording, the client of its store, and how many measures each call of `log_batch` had."""
    config = compose(["search.name=asked", "search.space={optimizer.name:[sgd]}"])
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    parent = recorder.begin_sweep(store, config, "q", "?", to_yaml(config))
    calls = []
    log_batch = store.client.log_batch

    def counted(run, metrics=(), **rest):
        calls.append(len(metrics))
        return log_batch(run, metrics=metrics, **rest)

    monkeypatch.setattr(store.client, "log_batch", counted, raising=False)
    child = Child(0, {"optimizer.name": "sgd"}, config, "a" * 16)
    return Recording(store, parent, Heartbeat(store), tmp_path / "spool"), child, store.client, calls


def trained():
    labels = np.arange(20) % 10
    predictions = {"test": Predictions(labels, np.eye(10, dtype=np.float32)[labels])}
    metrics = {"val/accuracy": CURVE[-1], "test/accuracy": 1.0, "epochs": float(EPOCHS), "seconds": 2.0}
    return Result(metrics, {"val/accuracy": CURVE}, predictions, [], {}, {"test": 20}, {"test": "d" * 64},
                  [str(digit) for digit in range(10)], network=None)  # fmt: skip


def history(client, run):
    return [(point.step, point.value) for point in client.get_metric_history(run, "val/accuracy")]


def test_a_short_run_is_written_in_few_calls_and_whole(asked):
    recording, child, client, calls = asked
    recording.begin(child)
    for epoch, value in enumerate(CURVE, 1):
        recording.epoch(child.signature, epoch, {"val/accuracy": value})
    run = recording.end(child.signature, trained())
    assert calls == [0, EPOCHS + 3]  # its settings; the curve, and what it gave
    assert history(client, run.id) == list(enumerate(CURVE, 1))
    assert client.get_run(run.id).info.status == "FINISHED"


def test_of_a_run_that_waits_on_disk_the_store_has_no_files(asked, monkeypatch):
    recording, child, _, _ = asked
    recording.begin(child)
    monkeypatch.setattr(recording, "_try", lambda write: False)  # the server went away
    assert recording.end(child.signature, trained()).id == ""
    assert recording.waiting == 1


def test_a_long_run_can_be_watched(asked, monkeypatch):
    recording, child, client, calls = asked
    monkeypatch.setattr("digitexp.tracking.recording.EVERY", 0)
    recording.begin(child)
    recording.epoch(child.signature, 1, {"val/accuracy": CURVE[0]})
    recording.epoch(child.signature, 1, {"val/accuracy": CURVE[0]})  # its worker was killed
    assert calls == [0, 1]
    monkeypatch.setattr("digitexp.tracking.recording.EVERY", 100)
    recording.epoch(child.signature, 2, {"val/accuracy": CURVE[1]})
    assert calls == [0, 1]
    run = recording.end(child.signature, trained())
    assert history(client, run.id) == list(enumerate(CURVE, 1))


def test_what_a_failed_run_reached_is_kept(asked):
    recording, child, client, _ = asked
    recording.begin(child)
    for epoch in (1, 2):
        recording.epoch(child.signature, epoch, {"val/accuracy": CURVE[epoch - 1]})
    assert recording.end(child.signature, Failure("epoch 3: the training loss is nan", "a traceback")) is None
    (run,) = client.search_runs(client_experiments(client), "attributes.status = 'FAILED'")
    assert history(client, run.info.run_id) == [(1, CURVE[0]), (2, CURVE[1])]


def test_a_run_that_arrived_though_the_answer_was_lost_stays_finished(asked, monkeypatch):
    recording, child, client, _ = asked
    recording.begin(child)
    (run,) = recording._heart.runs
    with monkeypatch.context() as patched:
        patched.setattr(recording, "_try", lambda write: write() and False)  # the server had it, and went away
        recording.end(child.signature, trained())
    assert (recording.waiting, client.get_run(run).info.status) == (1, "FINISHED")
    recording.deliver()
    assert (recording.waiting, recording._heart.runs) == (0, set())


def client_experiments(client):
    return [experiment.experiment_id for experiment in client.search_experiments()]
