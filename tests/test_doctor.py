"""What the doctor finds is really wrong, and is right afterwards."""

import shutil
import sqlite3
import time
from collections import namedtuple

import driver
import pytest

from digitexp import cli, doctor
from digitexp.compose import compose
from digitexp.errors import TrackingError
from digitexp.tracking import patience
from digitexp.tracking.store import open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, fake_network):
    """A store with a finished sweep of two runs."""
    folder = tmp_path_factory.mktemp("healthy")
    shutil.copyfile(fake_network, folder / "network.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE", str(folder))
        driver.ask(f"sqlite:///{folder}/mlflow.db", "search.trials=2", "search.repeats=1", "training.epochs=1")
    return folder


@pytest.fixture
def config(healthy):
    return compose([f"tracking.uri=sqlite:///{healthy}/mlflow.db"])


def found(config):
    return " ".join(finding.what for finding in doctor.examine(config))


def mend(config):
    for finding in doctor.examine(config):
        if finding.mend:
            finding.mend()


def test_nothing_is_wrong_with_what_is_well(config):
    assert doctor.examine(config) == []


def test_nothing_is_wrong_where_there_is_nothing(tmp_path):
    assert doctor.examine(compose([f"tracking.uri=sqlite:///{tmp_path}/none/mlflow.db"])) == []


def test_a_stale_run_is_closed(config):
    client = open_store(config.tracking.uri).client
    run = client.create_run("0", tags={"digitexp.kind": "run", "digitexp.host": "gone"}).info.run_id
    assert f"run {run} is RUNNING, but its process is gone" in found(config)
    mend(config)
    assert client.get_run(run).info.status == "KILLED"
    assert found(config) == ""


def test_a_run_whose_files_are_gone_is_trained_again(config, healthy, tmp_path, monkeypatch):
    place = next((healthy / "artifacts").rglob("predictions.npz"))
    place.rename(tmp_path / "predictions.npz")
    assert "has lost predictions.npz" in found(config)
    mend(config)
    assert found(config) == ""
    shutil.copyfile(healthy / "network.keras", tmp_path / "network.keras")
    monkeypatch.setenv("FAKE", str(tmp_path))
    again = driver.ask(config.tracking.uri, "search.trials=2", "search.repeats=1", "training.epochs=1")
    assert again.trained == 1


def test_checkpoints_that_were_left_over_are_a_cache(config, healthy):
    (healthy / "checkpoints").mkdir(exist_ok=True)
    (healthy / "checkpoints" / "0123456789abcdef.npz").write_bytes(b"state")
    assert "holds 1 checkpoints" in found(config)
    mend(config)
    assert found(config) == ""


def test_a_missing_data_file_is_found(healthy):
    config = compose([f"tracking.uri=sqlite:///{healthy}/mlflow.db", "data=mnist", "data.path=nowhere.npz"])
    assert [finding.what for finding in doctor.examine(config)] == ["the data cannot be read"]


def test_too_many_threads_are_found(config, healthy, monkeypatch):
    monkeypatch.setattr(doctor, "cores", lambda: 2)
    many = compose([f"tracking.uri=sqlite:///{healthy}/mlflow.db", "execution.workers=8"])
    assert "execution.workers=8 on 2 cores" in found(many)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert "OMP_NUM_THREADS=4 for each of 1 workers on 2 cores" in found(config)


def test_a_full_disk_is_found(config, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: usage(1e12, 1e12, 3e6))
    assert "has 3 MB left" in found(config)


@pytest.mark.parametrize(
    ("version", "sentence"),
    [("ffffffffffff", "was written by a newer MLflow, whose tables this one does not know"),
     ("0584bdc529eb", "was written by an older MLflow; type digitexp doctor doctor.fix=true")],
)  # fmt: skip
def test_a_store_of_another_version(healthy, tmp_path, version, sentence, capsys):
    file = tmp_path / f"{version}.db"
    shutil.copyfile(healthy / "mlflow.db", file)
    with sqlite3.connect(file) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [version])
    database.close()
    with pytest.raises(TrackingError, match=sentence):
        open_store(f"sqlite:///{file}")
    assert cli.main(["doctor", f"tracking.uri=sqlite:///{file}"]) == 1
    assert "the store cannot be opened" in capsys.readouterr().out
    (finding,) = doctor.examine(compose([f"tracking.uri=sqlite:///{file}"]))
    assert (finding.mend is not None) == ("older" in sentence)


def test_a_locked_store_is_waited_for(config, healthy, monkeypatch):
    """MLflow itself waits for 20 s; then it is asked again."""
    store = open_store(config.tracking.uri)
    run = store.client.create_run("0").info.run_id
    locker = sqlite3.connect(healthy / "mlflow.db", check_same_thread=False, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    asked = []

    def answer():
        asked.append(time.monotonic())
        if len(asked) == 1:
            raise RuntimeError("(sqlite3.OperationalError) database is locked")  # what MLflow says after 20 s
        locker.execute("COMMIT")
        return store.client.client.get_run(run)

    assert store.client.wait(answer).info.run_id == run
    locker.close()
    assert len(asked) == 2


@pytest.mark.soak
def test_a_store_that_another_process_locks_for_25_seconds(config, healthy):
    import threading

    store = open_store(config.tracking.uri)
    run = store.client.create_run("0").info.run_id
    locker = sqlite3.connect(healthy / "mlflow.db", check_same_thread=False, isolation_level=None)
    locker.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(25, lambda: locker.execute("COMMIT"))
    release.start()
    store.client.log_metric(run, "waited", 1.0)
    release.join()
    locker.close()
    assert store.client.get_run(run).data.metrics["waited"] == 1.0


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device", "x"), "the disk is full; free some space: what is finished is kept"),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), "the disk is full"),
        (PermissionError(13, "Permission denied", "/a/b"), r"may not be written \(/a/b\); make its folder writable"),
        (RuntimeError("(sqlite3.OperationalError) attempt to write a readonly database"), "may not be written"),
        (RuntimeError("(sqlite3.OperationalError) database is locked"), "another process has kept the database locked"),
        (RuntimeError("API request to http://x failed with exception refused"), "the server cannot be reached; start it"),
    ],
)
def test_every_refusal_of_a_store_is_one_sentence(error, sentence):
    with pytest.raises(TrackingError, match=sentence):
        raise patience.explain(error, "sqlite:///x.db")
    assert patience.explain(ValueError("something else"), "sqlite:///x.db") is None
