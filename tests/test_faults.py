"""A disk that is full, a store that may not be written: a sentence, and nothing is lost."""

import shutil
import subprocess
from pathlib import Path

import driver
import pytest

from digitexp.errors import TrackingError
from digitexp.tracking import artifacts
from digitexp.tracking.store import open_store

pytestmark = pytest.mark.slow

SMALL = ["search.trials=3", "search.repeats=1", "training.epochs=1"]


@pytest.fixture
def folder(tmp_path, fake_network, monkeypatch):
    shutil.copyfile(fake_network, tmp_path / "network.keras")
    monkeypatch.setenv("FAKE", str(tmp_path))
    return tmp_path


def goes_on(uri, first):
    """The same command trains what was not finished, and nothing else."""
    client = open_store(uri).client
    kept = [run for run in client.search_runs([client.get_experiment_by_name("soak").experiment_id]) if "digitexp.signature" in run.data.tags]
    assert "RUNNING" not in {run.info.status for run in kept}
    assert len([run for run in kept if run.info.status == "FINISHED"]) == first
    outcome = driver.ask(uri, *SMALL)
    assert (outcome.trained, len(outcome.rows)) == (3 - first, 3)


def test_no_space_is_left_for_a_result(folder, monkeypatch):
    uri = f"sqlite:///{folder}/mlflow.db"
    write, written = artifacts.write, []

    def full(result, place):
        if written:
            raise OSError(28, "No space left on device", str(place))
        written.append(place)
        write(result, place)

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "write", full)
        with pytest.raises(TrackingError, match=r"the disk is full; free some space: what is finished is kept"):
            driver.ask(uri, *SMALL)
    goes_on(uri, 1)


def test_a_store_that_may_not_be_written(folder):
    place = folder / "readonly"
    place.mkdir()
    uri = f"sqlite:///{place}/mlflow.db"
    open_store(uri)
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", place, place], capture_output=True, check=False).returncode == 0
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
    else:
        pytest.skip("nothing may be mounted here")
    try:
        with pytest.raises(TrackingError, match=r"may not be written"):
            driver.ask(uri, *SMALL)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_is_really_full(folder):
    place = Path(folder, "small")
    place.mkdir()
    size = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", place]
    if subprocess.run(size, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        uri = f"sqlite:///{place}/mlflow.db"
        open_store(uri)
        ballast = place / "ballast"
        free = shutil.disk_usage(place).free
        ballast.write_bytes(bytes(max(0, free - 150_000)))
        with pytest.raises(TrackingError, match=r"the disk is full"):
            driver.ask(uri, *SMALL)
        ballast.unlink()
        outcome = driver.ask(uri, *SMALL)
        assert len(outcome.rows) == 3
    finally:
        subprocess.run(["umount", "-l", place], check=True)
