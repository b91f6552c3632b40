"""The way through the house, on a real store: record, resume, reuse, fail, be interrupted."""

import re
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest

from digitexp import experiment, screen
from digitexp.compose import compose
from digitexp.data.sets import load
from digitexp.data.sources import read_digits
from digitexp.errors import DataError, TrackingError
from digitexp.planning import plan
from digitexp.tracking import ledger, reader
from digitexp.tracking.store import open_store
from digitexp.watch import Watch

pytestmark = pytest.mark.slow

QUICK = ["data.limit=150", "training.epochs=2"]
SPACE = "search.space={optimizer.name:[adam,ftrl]}"


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture(scope="module")
def ask(uri):
    """Ask a question of the module's store, and answer it."""

    def ask(*overrides, watch=None, name="asked"):
        config = compose([f"tracking.uri={uri}", f"search.name={name}", *QUICK, *overrides])
        return experiment.run(plan(config), "Which?", watch)

    return ask


@pytest.fixture(scope="module")
def answered(ask):
    return ask(SPACE, "search.repeats=2")


@pytest.fixture(scope="module")
def client(uri):
    return open_store(uri).client


def children(client, parent, status="FINISHED"):
    experiment_id = client.get_run(parent).info.experiment_id
    found = client.search_runs(
        [experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'", order_by=["attributes.start_time"]
    )
    return [run for run in found if run.info.status == status]


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Equal tables but for the seconds."""
    columns = [column for column in one if column != "seconds"]
    return one[columns].equals(other[columns])


def test_one_parent_and_a_child_for_each_trial_and_seed(answered, client):
    parent = client.get_run(answered.parent)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["mlflow.note.content"] == "Which?"
    found = children(client, answered.parent)
    assert sorted((run.data.params["optimizer.name"], run.data.params["seed"]) for run in found) == [
        ("adam", "1"), ("adam", "2"), ("ftrl", "1"), ("ftrl", "2"),
    ]  # fmt: skip
    assert (answered.trained, answered.reused, answered.failed) == (4, 0, 0)


def test_a_child_carries_all_of_its_run(answered, client):
    run = children(client, answered.parent)[0]
    assert run.data.params["optimizer.learning_rate"] == "0.001"  # Keras' default, as it was used
    assert run.data.params["model.layer_1.units"] == "50"
    assert not any(path.startswith("model.layer_3") for path in run.data.params)
    assert {"val/accuracy", "val/loss", "test/accuracy", "test/loss", "seconds", "parameters", "tflop"} <= set(
        run.data.metrics
    )
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, name)] == [1, 2]
    assert len(client.get_metric_history(run.info.run_id, "test/accuracy")) == 1  # read once
    digests = {item.dataset.name: item.dataset.digest for item in run.inputs.dataset_inputs}
    sets = load(compose(QUICK).data)
    assert digests == {f"digits-{name}": digits.digest()[:36] for name, digits in sets.items()}
    files = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert files == {
        "calibration.png",
        "curves.png",
        "layers.csv",
        "network.keras",
        "network.png",
        "predictions.npz",
        "result.json",
        "roc.png",
        "test",
        "val",
    }
    assert {item.path for item in client.list_artifacts(run.info.run_id, "val")} == {
        f"val/{name}"
        for name in ("auc.csv", "calibration.csv", "confusion.csv", "confusion_by_row.csv", "confusion.png", "per_digit.csv",
                     "most_confused.csv", "worst_errors.csv", "worst_errors.png")
    }
    assert {"digitexp.pid", "digitexp.heartbeat", "digitexp.command", "mlflow.source.git.commit"} <= set(run.data.tags)


def test_confusion_and_accuracy_agree_with_the_predictions(answered, client, uri):
    run = children(client, answered.parent)[0]
    predicted = reader.predictions(open_store(uri), run.info.run_id)["test"]
    assert np.mean(predicted.hits) == pytest.approx(run.data.metrics["test/accuracy"])
    file = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="test/confusion.csv", tracking_uri=uri)
    table = pd.read_csv(file, index_col=0).to_numpy()
    assert np.trace(table) / table.sum() == pytest.approx(run.data.metrics["test/accuracy"])


def test_the_objective_is_the_mean_over_the_seeds(answered, client):
    values = [
        run.data.metrics["val/accuracy"]
        for run in children(client, answered.parent)
        if run.data.params["optimizer.name"] == "adam"
    ]
    assert answered.rows[0].scored.point == {"optimizer.name": "adam"}
    assert answered.rows[0].value == pytest.approx(np.mean(values))


def test_the_best_model_predicts_the_same_classes(answered, client, uri):
    assert answered.best == "models:/digitexp.asked@best"
    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model(answered.best)
    test = load(compose(QUICK).data)["test"]
    best = next(run for run in children(client, answered.parent) if run.data.params["optimizer.name"] == "adam")
    assert best.data.params["seed"] == "1"  # the first seed of the best trial, never the luckiest
    expected = reader.predictions(open_store(uri), best.info.run_id)["test"].probabilities.argmax(axis=1)
    assert np.array_equal(np.asarray(model.predict(np.array(test.images))).argmax(axis=1), expected)


def test_asked_again_it_trains_nothing(answered, ask, client):
    again = ask(SPACE, "search.repeats=2")
    assert (again.trained, again.reused, again.parent) == (0, 0, answered.parent)
    assert same(again.table, answered.table)
    assert len(children(client, again.parent)) == 4
    assert len(client.search_model_versions("name = 'digitexp.asked'")) == 1


def test_another_sweep_reuses_what_is_finished(answered, ask, client):
    other = ask("search.space={optimizer.name:[adam,sgd]}", "search.repeats=2", name="other")
    assert (other.trained, other.reused) == (2, 2)
    copies = [run for run in children(client, other.parent) if "digitexp.trained_in" in run.data.tags]
    originals = {run.info.run_id: run for run in children(client, answered.parent)}
    assert len(copies) == 2
    for copy in copies:
        original = originals[copy.data.tags["digitexp.trained_in"]]
        assert copy.data.metrics == original.data.metrics
        assert copy.data.params == original.data.params
        curve = [
            [point.value for point in client.get_metric_history(run.info.run_id, "val/loss")] for run in (copy, original)
        ]
        assert curve[0] == curve[1]


def test_one_network_without_a_sweep(answered, uri, client):
    config = compose([f"tracking.uri={uri}", *QUICK])
    outcome = experiment.run(plan(config))
    assert (outcome.experiment, outcome.trained, outcome.reused, len(outcome.rows)) == ("single", 0, 1, 1)


def test_points_that_are_the_same_run_train_once(ask):
    outcome = ask("search.space={model.layer_2.units:[0],model.layer_2.dropout:[0.0,0.5]}", name="same")
    assert (outcome.trained, outcome.reused, len(outcome.rows)) == (1, 1, 2)


def test_a_failure_is_a_result(ask, client):
    space = "search.space={optimizer.learning_rate:[0.01,1e30]}"
    settings = ["optimizer.name=sgd", "loss=mean_squared_logarithmic_error", "model.layer_1.activation=linear"]
    outcome = ask(space, *settings, name="failing")
    assert (outcome.trained, outcome.failed) == (1, 1)
    assert "the training loss is" in outcome.rows[-1].scored.failure
    assert client.get_run(outcome.parent).info.status == "FAILED"
    failed = children(client, outcome.parent, "FAILED")[0]
    assert "the training loss is" in failed.data.tags["digitexp.error"]
    again = ask(space, *settings, name="failing")
    assert (again.trained, again.failed, again.parent) == (0, 1, outcome.parent)  # tried again, not forgotten


def test_without_an_objective_nothing_wins(ask):
    outcome = ask("search.space={loss:[poisson,huber]}", "search.objective=null", name="listed")
    assert outcome.best is None
    assert [row.rank for row in outcome.rows] == [None, None]
    assert [row.scored.point["loss"] for row in outcome.rows] == ["poisson", "huber"]


def test_random_search_continues_where_it_was(ask):
    settings = ["search.method=random", "search.trials=3", "search.space={model.layer_1.units:{min:10,max:60}}"]
    first = ask(*settings, name="drawn")
    again = ask(*settings, name="drawn")
    assert (first.trained, again.trained) == (3, 0)
    assert same(first.table, again.table)


class Interrupting(Watch):
    """Ctrl-C in the first epoch of the second run."""

    def __init__(self):
        self.begun = 0

    def begin(self, job, number, of):
        self.begun += 1

    def epoch(self, job, epoch, metrics):
        if self.begun == 2:
            raise KeyboardInterrupt


def test_an_interrupted_sweep_closes_its_runs_and_goes_on(ask, client):
    asked = ["search.space={training.batch_size:[15,31,63]}"]
    with pytest.raises(KeyboardInterrupt):
        ask(*asked, watch=Interrupting(), name="interrupted")
    experiment_id = client.get_experiment_by_name("interrupted").experiment_id
    assert sorted(run.info.status for run in client.search_runs([experiment_id])) == ["FINISHED", "KILLED", "KILLED"]
    whole = ask(*asked, name="interrupted")
    undisturbed = ask(*asked, name="undisturbed")
    assert (whole.trained, undisturbed.trained) == (2, 0)  # the undisturbed one reuses: law 3
    assert same(whole.table, undisturbed.table)


def test_pictures_of_the_best_only(ask, client):
    outcome = ask("search.space={training.batch_size:[50,100]}", "tracking.pictures=best", name="pictures")
    drawn = ["digitexp.pictures" in run.data.tags for run in children(client, outcome.parent)]
    assert sorted(drawn) == [False, True]


def test_the_winner_is_refitted_on_training_and_validation_images(ask, client, uri):
    space = "search.space={optimizer.name:[adam,ftrl]}"
    asked = space, "search.refit=true", "evaluation.target=0.9"  # the target is one of validation
    outcome = ask(*asked, name="refitted")
    version = client.get_model_version_by_alias("digitexp.refitted", "best")
    run = client.get_run(version.tags["digitexp.run"])
    assert (run.data.params["data.validation"], run.data.params["optimizer.name"]) == ("0.0", "adam")
    assert "val/accuracy" not in run.data.metrics
    assert run.info.experiment_id == client.get_experiment_by_name("single").experiment_id
    assert ask(*asked, name="refitted").trained == 0
    assert client.get_model_version_by_alias("digitexp.refitted", "best").version == version.version
    assert outcome.best == "models:/digitexp.refitted@best"


def test_lanes_give_what_keras_gives(ask, client):
    space = "search.space={model.layer_1.units:[20,40]}"
    keras, lanes = (ask(space, f"training.engine={engine}", name=f"by_{engine}") for engine in ("keras", "lanes"))
    assert (lanes.trained, lanes.failed) == (2, 0)  # another engine is another signature
    for name in ("train/loss", "val/loss", "test/loss"):
        by_trial = {row.scored.trial: row.scored.mean(name) for row in keras.rows}
        assert {row.scored.trial: row.scored.mean(name) for row in lanes.rows} == pytest.approx(by_trial, rel=1e-3)
    steps = [point.step for point in client.get_metric_history(children(client, lanes.parent)[0].info.run_id, "val/loss")]
    assert steps == [1, 2]


def test_what_lanes_do_not_support_trains_by_itself(ask):
    outcome = ask("search.space={optimizer.clipnorm:[1.0,2.0]}", "training.engine=lanes", name="unsupported")
    assert (outcome.trained, outcome.failed) == (2, 0)


def test_points_that_are_the_same_run_fail_together(ask):
    space = "search.space={model.layer_2.units:[0],model.layer_2.dropout:[0.0,0.5]}"
    diverging = ["optimizer.name=sgd", "optimizer.learning_rate=1e30", "loss=mean_squared_logarithmic_error"]
    outcome = ask(space, *diverging, "model.layer_1.activation=linear", name="failing_together")
    assert (outcome.trained, outcome.failed, outcome.best) == (0, 1, None)  # one run, which both settings are
    assert all("the training loss is" in row.scored.failure for row in outcome.rows)


@pytest.fixture(scope="module")
def imported(answered, uri, tmp_path_factory):
    """Another machine: an empty store, and the runs.csv that the report of this one wrote."""
    folder = tmp_path_factory.mktemp("elsewhere")
    experiment.report(compose([f"tracking.uri={uri}", "search.name=asked", f"report.folder={folder}"]))
    file = folder / "asked" / "runs.csv"

    def ask(*overrides):
        settings = [f"tracking.uri=sqlite:///{folder}/mlflow.db", "search.name=asked", f"tracking.runs={file}", *QUICK]
        return experiment.run(plan(compose([*settings, SPACE, "search.repeats=2", *overrides])), "Which?")

    return file, ask


def test_an_empty_store_imports_runs_and_trains_nothing(answered, imported, monkeypatch, client, tmp_path):
    file, ask = imported
    with monkeypatch.context() as patched:
        patched.setattr("digitexp.runs.run", lambda configs, *_: pytest.fail("trained") if configs else [])
        outcome = ask()
    assert (outcome.trained, outcome.imported, outcome.failed) == (0, 4, 0)
    assert outcome.best is None  # a file of numbers holds no network
    shown = ["trial", "optimizer.name", "val/accuracy", "test/accuracy", "test/loss", "seconds", "seeds"]
    assert outcome.table[shown].equals(answered.table[shown])
    here, there = open_store(outcome.store).client, children(client, answered.parent)
    found = {run.data.tags["digitexp.signature"]: run for run in children(here, outcome.parent)}
    assert set(found) == {run.data.tags["digitexp.signature"] for run in there}
    for run in there:
        tags = found[run.data.tags["digitexp.signature"]].data.tags
        assert tags["digitexp.imported_from"] == str(file)
        for fact in ("digitexp.cpu", "digitexp.version.keras", "mlflow.source.git.commit"):
            assert tags[fact] == run.data.tags[fact]
    settings = [f"tracking.uri={outcome.store}", "search.name=asked", f"report.folder={tmp_path}"]
    known = shutil.copytree(file.parent, tmp_path / "asked") / "hits.npz"
    told = known.read_bytes()
    experiment.report(compose(settings))
    assert (tmp_path / "asked" / "runs.csv").read_text() == file.read_text()
    assert known.read_bytes() == told  # the store does not know them


def test_after_an_import_only_what_is_missing_is_trained(imported):
    outcome = imported[1]("search.repeats=3")
    assert (outcome.trained, outcome.imported + outcome.reused, outcome.failed) == (2, 4, 0)
    assert [len(row.scored.metrics) for row in outcome.rows] == [3, 3]


def test_a_file_that_tells_of_no_runs_is_refused_before_anything_is_written(configure, tmp_path):
    with pytest.raises(DataError, match=r"tracking.runs=missing.csv: cannot be read"):
        experiment.run(plan(configure(*QUICK, SPACE, "search.name=asked", "tracking.runs=missing.csv")))
    assert not list(tmp_path.iterdir())


def test_baselines_are_runs_of_the_same_form_without_a_network(ask, client, uri, tmp_path):
    space = "search.space={model.estimator:[knn,random_forest]}"
    outcome = ask("model=baseline", "model.trees=10", space, name="without_network")
    assert (outcome.trained, outcome.failed, outcome.best) == (2, 0, None)
    run = children(client, outcome.parent)[0]
    for metric in ("val/accuracy", "val/loss", "test/auc", "test/calibration_error", "seconds"):
        assert metric in run.data.metrics
    assert "tflop" not in run.data.metrics
    paths = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"predictions.npz", "roc.png", "calibration.png", "test"} <= paths
    assert not {"network.keras", "curves.png", "network.png"} & paths
    assert ask("model=baseline", "model.trees=10", space, name="without_network").trained == 0
    experiment.report(compose([f"tracking.uri={uri}", "search.name=without_network", f"report.folder={tmp_path}"]))
    assert "random\\_forest" in (tmp_path / "without_network" / "README.md").read_text()


@pytest.fixture(scope="module")
def read_together(ask):
    asked = ["evaluation.ensemble=true", "evaluation.shifts=1", "evaluation.target=0.01", "training.schedule.name=cosine"]
    return ask("search.space={model:[dense,lenet5]}", "search.repeats=2", *asked, name="together")


def test_seeds_read_together_and_images_read_moved_are_told_beside_the_single_network(read_together, client, uri):
    store = open_store(uri)
    for row in read_together.rows:
        found = [run for run in reader.finished(store) if run.parent == read_together.parent and run.trial == row.scored.trial]
        predicted = [reader.predictions(store, run.id) for run in found]
        for part in ("val", "test", "val_shifted", "test_shifted"):
            mean = np.mean([one[part].probabilities for one in predicted], axis=0)
            expected = np.mean(mean.argmax(axis=1) == predicted[0][part].labels)
            assert row.scored.together[part] == pytest.approx(expected)
            assert f"{part}/ensemble_accuracy" in read_together.table
        assert not np.array_equal(predicted[0]["test"].probabilities, predicted[0]["test_shifted"].probabilities)


def test_networks_are_varied_whole_and_told_with_their_own_settings(read_together, client, uri, tmp_path):
    found = {run.data.params["model"]: run.data.params for run in children(client, read_together.parent)}
    assert (found["dense"]["model.kind"], found["lenet5"]["model.conv_2.filters"]) == ("dense", "16")
    experiment.report(compose([f"tracking.uri={uri}", "search.name=together", f"report.folder={tmp_path}"]))
    written = pd.read_csv(tmp_path / "together" / "runs.csv")
    assert written.loc[written["model.kind"] == "cnn", "model.conv_2.filters"].tolist() == [16.0, 16.0]
    assert "read together" in (tmp_path / "together" / "README.md").read_text()
    assert "test_shifted/ensemble_accuracy" in pd.read_csv(tmp_path / "together" / "results.csv")


def test_what_a_run_cost_and_when_it_reached_its_target(read_together, client):
    metrics = children(client, read_together.parent)[0].data.metrics
    assert metrics["epochs_to_target"] == 1
    assert 0 < metrics["seconds_to_target"] < metrics["seconds"]
    assert metrics["images_per_second"] == pytest.approx(127 * 2 / metrics["seconds"])
    assert metrics["val/gap"] == pytest.approx(metrics["train/accuracy"] - metrics["val/accuracy"])
    history = client.get_metric_history(children(client, read_together.parent)[0].info.run_id, "train/learning_rate")
    assert [point.step for point in history] == [1, 2]


def test_after_early_stopping_the_store_tells_of_the_best_weights(ask, client, uri):
    settings = ["optimizer.name=sgd", "optimizer.learning_rate=3", "training.epochs=12", "training.early_stopping.patience=2"]
    outcome = ask("search.space={training.batch_size:[32]}", *settings, name="stopped")
    run = children(client, outcome.parent)[0]
    curve = [point.value for point in client.get_metric_history(run.info.run_id, "val/accuracy") if point.step <= 11]
    assert run.data.metrics["val/accuracy"] == max(curve)
    hits = reader.predictions(open_store(uri), run.info.run_id)["val"].hits
    assert hits.mean() == pytest.approx(run.data.metrics["val/accuracy"])
    assert run.data.metrics["epochs"] < 12


def test_training_begins_with_the_best_network_of_a_sweep(answered, ask, client, uri):
    def begin(config):
        return plan(config, lambda address: ledger.network(uri, address))

    settings = [f"tracking.uri={uri}", "search.name=begun", *QUICK, "optimizer.learning_rate=1e-12"]
    space = "search.space={training.start:[scratch,'models:/digitexp.asked@best']}"
    outcome = experiment.run(begin(compose([*settings, space])))
    scratch, begun = sorted(outcome.rows, key=lambda row: row.scored.trial)
    assert begun.scored.metrics[0]["val/accuracy"] == pytest.approx(answered.rows[0].scored.metrics[0]["val/accuracy"])
    assert scratch.scored.metrics[0]["val/accuracy"] < begun.scored.metrics[0]["val/accuracy"]
    assert experiment.run(begin(compose([*settings, space]))).trained == 0
    with pytest.raises(TrackingError, match=r"training\.start=models:/nothing@best: no such network in .*digitexp\.asked"):
        begin(compose([*settings, "search.space={}", "search.name=null", "training.start=models:/nothing@best"]))


def test_leakage_marks_what_is_drawn_and_said_and_the_rest_of_each_set_is_scored(ask, client, tmp_path, monkeypatch, capsys):
    scans = read_digits()
    np.savez(tmp_path / "mnist.npz", x_train=scans.images[:200], y_train=scans.labels[:200],
             x_test=scans.images[200:400], y_test=scans.labels[200:400])  # fmt: skip
    titles = []
    monkeypatch.setattr("digitexp.reports.pictures.draw_run", lambda result, title, folder, images: titles.append(title))
    settings = ["data=mnist", f"data.path={tmp_path}/mnist.npz", "data.also.name=kaggle_stand_in", "data.limit=null",
                "data.validation=0", "data.remove_leakage=true", "search.objective=null",
                "search.space={data.allow_leakage:[false,true]}"]  # fmt: skip
    outcome = ask(*settings, name="leaking")
    clean, leaking = (run.data for run in children(client, outcome.parent))
    assert titles == ["data.allow_leakage=False seed=1", "data.allow_leakage=True seed=1 (LEAKAGE PERMITTED)"]
    assert clean.params["data.remove_leakage"] == leaking.params["data.allow_leakage"] == "True"
    assert not any(name.startswith(("test_clean", "kaggle_stand_in_clean")) for name in clean.metrics)
    for name in ("test", "kaggle_stand_in"):
        assert {f"{name}/accuracy", f"{name}/auc"} <= set(clean.metrics)
        assert {f"{name}_clean/accuracy", f"{name}_clean/loss", f"{name}_clean/auc"} <= set(leaking.metrics)
    given = compose([f"tracking.uri={outcome.store}", "search.name=leaking", f"report.folder={tmp_path}"])
    experiment.report(given)
    page = (tmp_path / "leaking" / "README.md").read_text()
    assert "LEAKAGE WAS PERMITTED with data.allow\\_leakage=true" in page
    assert re.search(r"kaggle_stand_in \(of 160\) \| kaggle_stand_in_clean \(of \d+\)", page)
    screen.show_outcome(plan(compose([*settings, "search.name=leaking"])), outcome)
    said = capsys.readouterr().out
    assert "LEAKAGE WAS PERMITTED" in said
    assert "kaggle_stand_in_clean/accuracy" in said
