"""Two Dask workers on loopback, and a store on PostgreSQL behind MLflow's server, give the table of one process."""

import shutil
import threading
import time

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


def test_a_worker_that_has_other_data_is_refused(tmp_path, mnist):
    """It would train on them, and be told as what was asked."""
    from digitexp.compose import compose
    from digitexp.errors import DataError
    from digitexp.executors import cluster

    config = compose(["data=mnist", f"data.path={mnist}", "data.limit=100"])
    asked = cluster._digests([config])
    cluster._refuse_other_files(cluster._digests([config, config]), asked * 2)
    with pytest.raises(DataError, match=r"mnist\.npz: a worker on .* has other bytes there than the one who asks; copy the file"):
        cluster._refuse_other_files([{**asked[0], "mnist.npz": "0"}], asked)


def test_a_baseline_comes_back_without_a_network(tmp_path):
    from digitexp.executors import cluster
    from digitexp.results import Result

    result = Result({"val/accuracy": 0.9}, {}, {}, [], {}, {}, {}, ["0", "1"], network=None)
    assert cluster._unpacked(cluster._Trained(0, result), tmp_path, None) == result
    assert not list(tmp_path.iterdir())


def test_no_scheduler_is_a_sentence(alone, tmp_path):
    with pytest.raises(ConfigError, match=r"execution\.address=tcp://127\.0\.0\.1:9: no Dask scheduler answers there"):
        driver.ask(f"sqlite:///{tmp_path}/mlflow.db", "execution.executor=dask", "execution.address=tcp://127.0.0.1:9")


def test_a_cluster_whose_workers_are_away_is_waited_for(alone, tmp_path, monkeypatch):
    from distributed import LocalCluster

    from digitexp.executors import cluster as module
    from digitexp.tracking.recording import Recording

    monkeypatch.setattr(module, "WAIT", 30)
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        end, ends = Recording.end, []

        def ended(self, *given):
            if not ends:  # after the first run nobody is left, and somebody comes only after a while
                cluster.scale(0)
                while cluster.scheduler_info["workers"]:
                    time.sleep(0.05)
                threading.Timer(2, cluster.scale, [1]).start()
            ends.append(1)
            return end(self, *given)

        monkeypatch.setattr(Recording, "end", ended)
        outcome = driver.ask(f"sqlite:///{tmp_path}/mlflow.db", "execution.executor=dask",
                             f"execution.address={cluster.scheduler_address}")  # fmt: skip
    assert (outcome.trained, outcome.failed) == (12, 0)
    assert outcome.table.drop(columns="seconds").equals(alone[1])


def test_a_scheduler_without_workers_is_a_sentence(alone, tmp_path, monkeypatch):
    from distributed import LocalCluster

    from digitexp.executors import cluster as module

    monkeypatch.setattr(module, "WAIT", 0.5)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster:
        dask = ["execution.executor=dask", f"execution.address={cluster.scheduler_address}"]
        with pytest.raises(ConfigError, match=r"execution\.address=.*: the scheduler has no worker; type dask scheduler on"):
            driver.ask(f"sqlite:///{tmp_path}/mlflow.db", *dask)


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
