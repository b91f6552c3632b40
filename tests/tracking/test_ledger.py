"""The ledger says what MLflow says, without MLflow."""

import sqlite3

import pytest

from digitexp.tracking import ledger, reader
from digitexp.tracking.store import open_store


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    """A store with runs as the recorder leaves them: finished here, elsewhere, reused, without a cost, and running."""
    import socket

    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    client = open_store(uri).client
    here = {"digitexp.host": socket.gethostname()}
    for number, (tags, metrics, status) in enumerate([
        (here, {"tflop": 2.0, "seconds": 5.0}, "FINISHED"),
        ({"digitexp.host": "elsewhere"}, {"tflop": 2.0, "seconds": 1.0}, "FINISHED"),
        (here | {"digitexp.workers": "2"}, {"tflop": 1.0, "seconds": 3.0}, "FINISHED"),
        (here | {"digitexp.cluster": "dask"}, {"tflop": 1.0, "seconds": 3.0}, "FINISHED"),
        (here | {"digitexp.trained_in": "another"}, {"tflop": 2.0, "seconds": 1.0}, "FINISHED"),
        (here, {"seconds": 1.0}, "FINISHED"),
        (here, {"tflop": 2.0, "seconds": 1.0}, "KILLED"),
    ]):  # fmt: skip
        ours = {"digitexp.kind": "run", "digitexp.signature": f"s{number}", "digitexp.trial": "0", "digitexp.point": "{}"}
        run = client.create_run("0", start_time=number + 1, tags=tags | ours | {"mlflow.parentRunId": "parent"}).info.run_id
        client.log_param(run, "model.kind", "dense")
        client.log_param(run, "training.engine", "lanes" if number == 0 else "keras")
        client.log_param(run, "seed", 1)
        for name, value in metrics.items():
            client.log_metric(run, name, value)
        client.set_terminated(run, status)
    return uri


EXPECTED = [
    ledger.Entry("s0", "lanes", 2.0, 5.0),
    ledger.Entry("s1", "dense", None, None),
    ledger.Entry("s2", "dense", 1.0, 1.5),  # it had half of the machine
    ledger.Entry("s3", "dense", 1.0, None),  # another machine took that long
    ledger.Entry("s4", "dense", None, None),
    ledger.Entry("s5", "dense", None, 1.0),
]


def test_finished_runs_and_what_they_cost_here(uri):
    assert ledger.finished(uri) == EXPECTED


def test_mlflow_is_asked_where_the_tables_are_others(uri, monkeypatch):
    monkeypatch.setattr(ledger, "_QUERY", "SELECT nothing FROM nowhere")
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect(":memory:").execute(ledger._QUERY)
    assert ledger.finished(uri) == EXPECTED
    assert [run.signature for run in reader.finished(open_store(uri))] == ["s0", "s1", "s2", "s3", "s4", "s5"]
