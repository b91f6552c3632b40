"""Two Dask workers on loopback, and a store on PostgreSQL behind MLflow's server, give the table of one process."""

import shutil

import driver
import pytest
import services
from pandas.testing import assert_frame_equal

from digitexp.errors import ConfigError
from digitexp.tracking.store import open_store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::DeprecationWarning:tornado"),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, fake_network):
    """A folder for the training, and the table of one process."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copyfile(fake_network, folder / "network.keras")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE", str(folder))
        yield folder, driver.ask(f"sqlite:///{folder}/mlflow.db").table.drop(columns="seconds")


def test_two_dask_workers_give_the_same_table(alone, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        dask = ["execution.executor=dask", f"execution.address={cluster.scheduler_address}"]
        outcome = driver.ask(f"sqlite:///{tmp_path}/mlflow.db", *dask)
    assert outcome.trained == 12
    assert outcome.table.drop(columns="seconds").equals(alone[1])
    client = open_store(f"sqlite:///{tmp_path}/mlflow.db").client
    run = client.search_runs([client.get_experiment_by_name("soak").experiment_id], "tags.`digitexp.kind` = 'run'")[0]
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val/loss")] == [1, 2, 3, 4]


def test_no_scheduler_is_a_sentence(alone, tmp_path):
    with pytest.raises(ConfigError, match=r"execution\.address=tcp://127\.0\.0\.1:9: no Dask scheduler answers there"):
        driver.ask(f"sqlite:///{tmp_path}/mlflow.db", "execution.executor=dask", "execution.address=tcp://127.0.0.1:9")


@pytest.mark.skipif(not services.POSTGRESQL, reason="Debian's PostgreSQL is not installed")
def test_a_server_on_postgresql_gives_the_same_table(alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "database").mkdir()
    with services.postgresql(tmp_path / "database") as database, services.server(database, tmp_path / "artifacts") as server:
        outcome = driver.ask(server.uri)
        again = driver.ask(server.uri)
    assert (outcome.trained, again.trained) == (12, 0)
    for answer in (outcome, again):  # a server gives the metrics of a run in another order
        assert_frame_equal(answer.table.drop(columns="seconds"), alone[1], check_like=True, check_exact=True)
