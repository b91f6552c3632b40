"""Fixtures: the real configuration of conf/, a store of its own for a test, real MNIST where it lies beside the checkout."""

import os
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
