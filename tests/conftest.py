"""Fixtures: the real configuration of conf/, a store of its own for a test, real MNIST where it lies beside the checkout."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from digitexp.compose import compose
from digitexp.data.digits import Digits
from digitexp.settings import Config

settings.register_profile("digitexp", deadline=None)  # the machine is shared: a pause is no failure
settings.load_profile("digitexp")

SHARED = Path(__file__).parents[1].parent / "shared" / "data"


def write_kaggle(folder: Path, train: Digits, test: Digits) -> None:
    """train.csv, test.csv and test_labels.csv as the Kaggle competition has, or would have, them."""
    number = [str(value).encode() for value in range(256)]
    pixels = ",".join(f"pixel{place}" for place in range(784)).encode()
    flat = [[b",".join([number[value] for value in image.tobytes()]) for image in part.images] for part in (train, test)]
    labelled = [number[label] + b"," + row for label, row in zip(train.labels, flat[0], strict=True)]
    (folder / "train.csv").write_bytes(b"\n".join([b"label," + pixels, *labelled, b""]))
    (folder / "test.csv").write_bytes(b"\n".join([pixels, *flat[1], b""]))
    (folder / "test_labels.csv").write_bytes(b"\n".join([*(number[label] for label in test.labels), b""]))


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Config]:
    """The settings of conf/ with overrides, and a store under this test's folder."""
    return lambda *overrides: compose([f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", *overrides])


@pytest.fixture
def mnist() -> Path:
    """The file of real MNIST."""
    file = SHARED / "mnist.npz"
    if not file.exists():
        pytest.skip("real MNIST is not beside the checkout (../shared/data/mnist.npz)")
    return file


@pytest.fixture(scope="session")
def fake_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved Keras network of the right shape, untrained."""
    from digitexp.models import network

    file = tmp_path_factory.mktemp("network") / "network.keras"
    config = compose(["model.layer_1.units=0", "model.layer_2.units=0"])
    network.save(config, network.build(config), file)
    return file


@pytest.fixture
def fake(fake_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `fake_training`, which trains in the place of `runs.run`."""
    folder = tmp_path / "fake"
    folder.mkdir()
    shutil.copyfile(fake_network, folder / "network.keras")
    monkeypatch.setenv("FAKE", str(folder))
    return folder


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in it, in which one network was trained and registered as `models:/digitexp.single@best`."""
    from digitexp import experiment, planning

    folder = tmp_path_factory.mktemp("recorded")
    words = ["data.limit=300", "training.epochs=3", "tracking.pictures=best"]
    experiment.run(planning.plan(compose([f"tracking.uri=sqlite:///{folder}/mlruns/mlflow.db", *words])))
    return folder


@pytest.fixture(scope="session")
def uri(recorded: Path) -> str:
    """The address of that store."""
    return f"sqlite:///{recorded}/mlruns/mlflow.db"


@pytest.fixture(scope="session")
def network_file(uri: str) -> Path:
    """The registered network as a `.keras` file; retraining, which another test does, registers more."""
    from digitexp.tracking import registry
    from digitexp.tracking.store import open_store

    return registry.fetch(open_store(uri), "models:/digitexp.single@best").file
