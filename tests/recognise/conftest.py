"""One small trained network, registered as the best of a sweep, for all tests of this folder."""

from pathlib import Path

import pytest

from digitexp import experiment, planning
from digitexp.compose import compose
from digitexp.config import change


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """A folder with a store in it, in which one network was trained and registered as `models:/digitexp.single@best`."""
    folder = tmp_path_factory.mktemp("recognise")
    config = compose([f"tracking.uri=sqlite:///{folder}/mlruns/mlflow.db", "data.limit=300", "training.epochs=3"])
    config = change(config, {"tracking.pictures": "best"})
    experiment.run(planning.plan(config))
    return folder


@pytest.fixture(scope="session")
def uri(recorded) -> str:
    return f"sqlite:///{recorded}/mlruns/mlflow.db"


@pytest.fixture(scope="session")
def network_file(recorded) -> Path:
    """The registered network as a `.keras` file."""
    (file,) = recorded.glob("mlruns/artifacts/*/models/*/artifacts/data/model.keras")
    return file
