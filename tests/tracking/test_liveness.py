"""Which runs are dead and may be closed: never one whose process lives and says so."""

import os
import socket
import subprocess
import sys
import time

import psutil
import pytest

from digitexp.compose import compose
from digitexp.errors import TrackingError
from digitexp.tracking import liveness, recorder
from digitexp.tracking.store import open_store

OLD = f"{time.time() - 301:.0f}"


def tags(**changes):
    return liveness.identity() | {f"digitexp.{name}": value for name, value in changes.items()}


def gone():
    """The pid and start of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    start = psutil.Process(process.pid).create_time()
    process.wait()
    return {"pid": str(process.pid), "process_start": f"{start:.2f}"}


@pytest.mark.parametrize(
    ("changes", "ended", "dead"),
    [
        ({}, False, False),
        ({"heartbeat": OLD}, False, True),
        ({}, True, True),
        ({"process_start": "1.0"}, False, True),  # the pid lives, but it is another process
        ({"host": "elsewhere"}, True, False),  # its process cannot be looked at, but it beats
        ({"host": "elsewhere", "heartbeat": OLD}, False, True),
    ],
)
def test_stale(changes, ended, dead):
    assert liveness.stale(tags(**changes, **(gone() if ended else {}))) is dead


def test_a_run_that_says_nothing_is_stale():
    assert liveness.stale({})


def test_only_stale_runs_of_ours_are_closed(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    ours = {"digitexp.kind": "run"}
    dead, alive, foreign = (
        store.client.create_run("0", tags=found).info.run_id for found in (ours | tags(**gone()), ours | tags(), {})
    )
    assert liveness.close_stale(store, "0") == [dead]
    states = [store.client.get_run(run).info.status for run in (dead, alive, foreign)]
    assert states == ["KILLED", "RUNNING", "RUNNING"]


def test_the_heart_beats_for_every_run(tmp_path, monkeypatch):
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.05)
    store = open_store(f"sqlite:///{tmp_path}/mlflow.db")
    run = store.client.create_run("0", tags=tags(heartbeat="0")).info.run_id
    with liveness.Heartbeat(store) as heart:
        heart.runs.add(run)
        deadline = time.monotonic() + 20
        while store.client.get_run(run).data.tags["digitexp.heartbeat"] == "0" and time.monotonic() < deadline:
            time.sleep(0.05)
    assert float(store.client.get_run(run).data.tags["digitexp.heartbeat"]) > time.time() - 60


def test_host_is_this_one():
    assert liveness.identity()["digitexp.host"] == socket.gethostname()


def another(monkeypatch, pid):
    """This process, as the process of that number would name itself."""
    started = psutil.Process(pid).create_time()
    told = {"digitexp.pid": str(pid), "digitexp.process_start": f"{started:.2f}"}
    own = liveness.identity()
    monkeypatch.setattr(liveness, "identity", lambda: own | told)


def test_a_sweep_that_begins_is_alive_from_its_first_moment(tmp_path, monkeypatch):
    store, config = open_store(f"sqlite:///{tmp_path}/mlflow.db"), compose(["search.name=asked"])
    create = store.client.create_run

    def created(experiment, *given, **named):
        run = create(experiment, *given, **named)
        assert liveness.close_stale(store, experiment) == []  # as another sweep would, that begins now
        return run

    monkeypatch.setattr(store.client, "create_run", created, raising=False)
    parent = recorder.begin_sweep(store, config, "q", "?", "")
    assert store.client.get_run(parent).info.status == "RUNNING"


def test_of_two_that_ask_the_same_at_once_one_gives_up(tmp_path, monkeypatch):
    store, config = open_store(f"sqlite:///{tmp_path}/mlflow.db"), compose(["search.name=asked"])
    with monkeypatch.context() as patch:
        another(patch, os.getppid())
        first = recorder.begin_sweep(store, config, "q", "?", "")
    search, looks = store.client.search_runs, []

    def unseen(*given, **named):  # the first of the two had not yet written when the second looked
        looks.append(1)
        return search(*given, **named) if len(looks) > 2 else []

    monkeypatch.setattr(store.client, "search_runs", unseen, raising=False)
    with pytest.raises(TrackingError, match=f"process {os.getppid()} on .* is answering this very question"):
        recorder.begin_sweep(store, config, "q", "?", "")
    found = search([store.experiment("asked")], "tags.`digitexp.kind` = 'sweep'", order_by=["attributes.start_time ASC"])
    assert [(run.info.run_id == first, run.info.status) for run in found] == [(True, "RUNNING"), (False, "KILLED")]
