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
from digitexp.settings import Config

settings.register_profile("digitexp", deadline=None)  # the machine is shared: a pause is no failure
settings.load_profile("digitexp")

SHARED = Path(__file__).parents[1].parent / "shared" / "data"


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
