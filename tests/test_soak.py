"""kill -9 of the parent, of a worker, of the MLflow server: every run is finished once, and the table is the same.

The loop, the executors and the store are real, the training takes no time. `make test` runs three of the moments, `make
soak` all twenty, each a number of epochs after which the kill comes.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import driver
import pandas as pd
import psutil
import pytest
import services

from digitexp.tracking.store import open_store

pytestmark = pytest.mark.slow

EPOCHS = 6 * 2 * 4  # trials, seeds, epochs
_RANDOM = random.Random(996)
MOMENTS = [(kind, _RANDOM.randrange(1, EPOCHS)) for kind in ["parent"] * 8 + ["worker"] * 6 + ["server"] * 6]
DAILY = [0, 8, 14]  # one of each kind
WAIT = 400  # seconds for whatever is waited for: the machine is shared


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, fake_network):
    """An empty store to copy, and the table of a sweep that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    open_store(f"sqlite:///{folder}/empty.db")
    shutil.copyfile(folder / "empty.db", folder / "mlflow.db")
    shutil.copyfile(fake_network, folder / "network.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE", str(folder))
        table = driver.ask(f"sqlite:///{folder}/mlflow.db").table
    table.drop(columns="seconds").to_csv(folder / "table.csv", index=False)
    return folder


@pytest.fixture
def folder(tmp_path, undisturbed, monkeypatch):
    """An empty store, and a folder for the training, in which an epoch takes a moment."""
    shutil.copyfile(undisturbed / "empty.db", tmp_path / "mlflow.db")
    shutil.copyfile(undisturbed / "network.keras", tmp_path / "network.keras")
    (tmp_path / "pause").write_text("0.05")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def moments(chosen):
    return [pytest.param(*MOMENTS[number], id=f"{number}-{MOMENTS[number][0]}-{MOMENTS[number][1]}") for number in chosen]


@pytest.mark.parametrize(("kind", "after"), moments(DAILY))
def test_a_kill_is_survived(kind, after, folder, undisturbed):
    survive(kind, after, folder, undisturbed)


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "after"), moments(range(len(MOMENTS))))
def test_every_kill_is_survived(kind, after, folder, undisturbed):
    survive(kind, after, folder, undisturbed)


def test_two_sweeps_at_once_on_one_store_that_is_not_there_yet(folder, undisturbed):
    (folder / "mlflow.db").unlink()
    store = f"sqlite:///{folder}/mlflow.db"
    second = folder / "second"
    second.mkdir()
    both = [start(store, folder), start(store, second, "search.name=other", "seed=50")]
    assert [process.wait(WAIT) for process in both] == [0, 0], (folder / "errors").read_text() + (second / "errors").read_text()
    check(open_store(store).client, folder, undisturbed)
    found = open_store(store).client.get_experiment_by_name("other")
    runs = open_store(store).client.search_runs([found.experiment_id], "tags.`digitexp.kind` = 'run'")
    assert Counter(run.info.status for run in runs) == {"FINISHED": 12}


def survive(kind, after, folder, undisturbed):
    store = f"sqlite:///{folder}/mlflow.db"
    if kind == "server":
        with services.server(store, folder / "artifacts") as server:
            process = start(server.uri, folder)
            wait_for_epochs(folder, after, process)
            server.kill()
            time.sleep(3)  # training goes on meanwhile
            server.start()
            assert process.wait(WAIT) == 0, (folder / "errors").read_text()
            check(open_store(server.uri).client, folder, undisturbed)
        return
    process = start(store, folder, *(["execution.workers=2"] if kind == "worker" else []))
    wait_for_epochs(folder, after, process)
    if kind == "worker":
        workers = [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]
        workers[0].send_signal(signal.SIGKILL)
        assert process.wait(WAIT) == 0, (folder / "errors").read_text()
    else:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert start(store, folder).wait(WAIT) == 0, (folder / "errors").read_text()
    check(open_store(store).client, folder, undisturbed)


def start(uri, folder, *overrides):
    command = [sys.executable, driver.__file__, uri, str(folder / "table.csv"), *overrides]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with (folder / "errors").open("w") as errors:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, cwd=folder, env=environment)


def wait_for_epochs(folder, count, process):
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline and process.poll() is None:
        if (folder / "epochs").exists() and len((folder / "epochs").read_text().splitlines()) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {count} epochs: {(folder / 'errors').read_text()}")


def check(client, folder, undisturbed):
    experiment_id = client.get_experiment_by_name("soak").experiment_id
    found = client.search_runs([experiment_id])
    assert "RUNNING" not in {run.info.status for run in found}
    finished = [run for run in found if run.info.status == "FINISHED" and "digitexp.signature" in run.data.tags]
    times = Counter((run.data.tags["digitexp.trial"], run.data.params["seed"]) for run in finished)
    assert len(times) == 12
    assert set(times.values()) == {1}
    for run in finished:
        assert len({metric.step for metric in client.get_metric_history(run.info.run_id, "val/accuracy")}) == 4
    pd.testing.assert_frame_equal(pd.read_csv(folder / "table.csv"), pd.read_csv(undisturbed / "table.csv"))
    assert not list(Path(folder, "mlruns", "spool").glob("*"))
