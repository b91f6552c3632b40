"""A recorded run trained again gives what it gave; two runs are compared image by image."""

import csv
from dataclasses import replace

import fake_training
import numpy as np
import pytest

from digitexp import cli, experiment, reproduction, screen
from digitexp.compose import compose
from digitexp.errors import ConfigError, TrackingError
from digitexp.planning import digests, plan
from digitexp.reports import pair
from digitexp.signature import signature
from digitexp.tracking import portable, reader
from digitexp.tracking.store import open_store
from digitexp.training import engines

QUICK = ["data.limit=150", "training.epochs=2", "search.space={optimizer.name:[adam,sgd]}", "search.name=asked"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A recorded sweep of two runs: its settings, and the signature of each."""
    folder = tmp_path_factory.mktemp("asked")
    settings = [f"tracking.uri=sqlite:///{folder}/mlflow.db", f"report.folder={folder}/experiments"]
    experiment.run(plan(compose([*settings, *QUICK])))
    experiment.report(compose([*settings, "search.name=asked"]))
    runs = portable.read(folder / "experiments" / "asked" / "runs.csv").runs
    return folder, settings, runs


@pytest.mark.slow
def test_a_run_of_the_store_comes_again(asked):
    _, settings, runs = asked
    config = compose(settings)
    recorded = reproduction.find(config, runs[1].signature[:9])
    assert recorded.settings["optimizer.name"] == "sgd"
    again = reproduction.again(config, runs[1].signature)
    assert (again.verdict, again.signature, again.differs) == ("identical", runs[1].signature, {})
    assert again.name == "optimizer.name=sgd seed=1"
    accuracy = next(one for one in again.measured if one.metric == "val/accuracy")
    assert (accuracy.changed, accuracy.p) == (0, 1.0)
    assert accuracy.interval.low <= 0 <= accuracy.interval.high


@pytest.mark.slow
def test_so_does_a_run_of_a_file_and_what_changed_is_named(asked, tmp_path, monkeypatch):
    folder, _, runs = asked
    sweep = portable.read(folder / "experiments" / "asked" / "runs.csv")
    told = replace(
        runs[0], facts=runs[0].facts | {"version.keras": "3.0.0"}, digests=runs[0].digests | {"test": "other"},
        metrics=runs[0].metrics | {"test/accuracy": 0.0},
    )  # fmt: skip
    file = tmp_path / "runs.csv"
    file.write_text(portable.table(replace(sweep, runs=[told])))
    shown = []
    monkeypatch.setattr(screen, "show_again", shown.append)
    words = ["reproduce", runs[0].signature[:8], f"report.runs={file}", f"tracking.uri=sqlite:///{tmp_path}/none.db"]
    assert cli.main(words) == 1
    (again,) = shown
    assert again.verdict == "different"
    assert again.differs.keys() == {"version.keras", "data test"}
    assert next(one for one in again.measured if one.metric == "test/accuracy").p < 0.001
    assert not (tmp_path / "none.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("units", "precision"), [(False, "float32"), (True, "mixed_bfloat16")])
def test_a_run_comes_again_in_the_precision_that_trained_it(units, precision, fake, configure, monkeypatch, tmp_path):
    """`auto` stands for another one where the processor is of the other kind."""
    config = configure("model=cnn", "search.name=asked", "search.repeats=2", "search.objective=null",
                       "tracking.pictures=best", *QUICK[:2])  # fmt: skip
    monkeypatch.setattr(engines, "has_bfloat16_units", lambda: units)
    outcome = experiment.run(plan(config), "", None, fake_training.run)
    monkeypatch.setattr(engines, "has_bfloat16_units", lambda: not units)
    store = open_store(config.tracking.uri)
    sweep = reader.sweep(store, "asked")
    file = tmp_path / "runs.csv"
    file.write_text(portable.table(sweep))
    for run in (*sweep.runs, *portable.read(file).runs):
        assert run.settings["training.precision"] == precision
        again = reproduction.configured(run, config)
        assert (again.training.precision, signature(again, digests(again))) == (precision, run.signature)
    begun = next(run.id for run in reader.finished(store) if run.parent == outcome.parent)
    assert reader.settings(store, begun)["training.precision"] == precision
    older = replace(sweep.runs[0], settings=sweep.runs[0].settings | {"training.precision": "auto"})
    file.write_text(portable.table(replace(sweep, runs=[older])))
    assert portable.read(file).runs[0].settings["training.precision"] == "auto"


def test_what_is_not_recorded_is_refused(asked, tmp_path):
    _, settings, runs = asked
    with pytest.raises(TrackingError, match=r"found no finished run of that id or signature in sqlite.*type more of it"):
        reproduction.find(compose(settings), "nothing")
    with pytest.raises(TrackingError, match="found 2 of that beginning, "):
        reproduction.find(compose(settings), "")
    with pytest.raises(TrackingError, match=r"there is no store at .*report.runs=FILE"):
        reproduction.find(compose([f"tracking.uri=sqlite:///{tmp_path}/none.db"]), "a")
    foreign = replace(runs[0], settings=runs[0].settings | {"data.name": "letters"})
    with pytest.raises(ConfigError, match="data=letters: no such file in conf/data"):
        reproduction.configured(foreign, compose(settings))
    assert cli.main(["reproduce"]) == 2


def test_a_run_on_kaggles_images_is_configured_again_with_the_files_where_they_lie_now(asked):
    _, settings, runs = asked
    kaggle = {"data.name": "kaggle", "data.path": "then", "training.engine": "keras"}
    run = replace(runs[0], settings=runs[0].settings | kaggle)
    assert reproduction.configured(run, compose(settings)).data.path == "then"
    assert reproduction.configured(run, compose([*settings, "data=kaggle", "data.path=now"])).data.path == "now"


def test_a_run_on_drawings_is_configured_again_with_the_store_that_was_recorded(asked):
    _, settings, runs = asked
    run = replace(runs[0], settings=runs[0].settings | {"data.drawn.source": "store", "data.drawn.store": "mine.db"})
    assert reproduction.configured(run, compose(settings)).data.drawn.store == "mine.db"
    assert reproduction.configured(run, compose([*settings, "data.drawn.store=moved.db"])).data.drawn.store == "moved.db"


@pytest.mark.slow
def test_two_runs_image_by_image(asked):
    folder, settings, runs = asked
    a, b = (reproduction.find(compose(settings), run.signature) for run in runs)
    given = reproduction.pair(compose([*settings, f"report.compare=['{runs[0].signature}','{runs[1].signature}']"]))
    place = folder / "experiments" / "compare" / f"{runs[0].signature[:8]}-{runs[1].signature[:8]}"
    assert given.note == ""
    assert {"index.html", "README.md", "images.csv", "only-a-test.png"} <= {file.name for file in given.files}
    assert {file.name for file in place.iterdir()} == {file.name for file in given.files}
    with (place / "images.csv").open() as text:
        rows = [row for row in csv.DictReader(text) if row["set"] == "test"]
    assert [int(row["image"]) for row in rows] == list(np.flatnonzero(a.read["test"] != b.read["test"]))
    assert all(a.labels["test"][int(row["image"])] == int(row["true"]) for row in rows)
    test = next(part for part in pair.parts(a, b) if part.name == "test")
    assert sum(test.counts) == len(a.labels["test"])
    assert test.apart == pytest.approx(runs[0].metrics["test/accuracy"] - runs[1].metrics["test/accuracy"])
    assert "| optimizer.name | adam | sgd |" in (place / "README.md").read_text()


@pytest.mark.slow
def test_two_runs_of_a_file_are_compared_by_what_they_recognised(asked, tmp_path):
    folder, settings, runs = asked
    file = folder / "experiments" / "asked" / "runs.csv"
    told = [*settings, f"report.runs={file}", f"report.compare=['{runs[0].signature}','{runs[1].signature}']"]
    of_store = reproduction.pair(compose([word for word in told if "report.runs" not in word]))
    of_file = reproduction.pair(compose([*told, f"report.folder={tmp_path}"]))
    assert of_file.answer == of_store.answer
    assert {each.name for each in of_file.files} == {"index.html", "README.md"}
    assert "is known only where the runs were trained" in of_file.files[1].read_text()
    (alone,) = (replace(run, hits={}) for run in runs[:1])
    assert pair.answer(alone, runs[1]).startswith("Which images the two runs recognised is not known")


def test_runs_on_other_images_are_not_compared(asked):
    _, settings, runs = asked
    a = reproduction.find(compose(settings), runs[0].signature)
    assert pair.parts(a, replace(a, digests=dict.fromkeys(a.digests, "other"))) == []
    assert "not scored on the same images" in pair.answer(a, replace(a, digests=dict.fromkeys(a.digests, "other")))
