"""Who gains from drawings that are trained on: by writer, from a store of two people's drawings."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from digitexp import cli, experiment, reproduction
from digitexp.compose import compose
from digitexp.data import drawings, pen
from digitexp.data.store import DrawingStore
from digitexp.errors import DataError
from digitexp.evidence import report
from digitexp.planning import plan
from digitexp.reports import writers
from digitexp.tracking import reader
from digitexp.tracking.records import RunRecord, SweepRecord
from digitexp.tracking.store import open_store

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Forty drawings of Ann's to train on; twenty of hers and thirty of Ben's, upside down, to score. And a sweep on them."""
    folder = tmp_path_factory.mktemp("drawn")
    with DrawingStore(folder / "drawings.db") as store:
        for writer, role, count in (("ann", "train", 40), ("ann", "score", 20), ("ben", "score", 30)):
            sitting = store.begin(writer, role)
            for number in range(count):
                canvas = pen.write(number % 10, np.random.default_rng((number, len(writer), role == "score")))
                canvas = canvas[::-1].copy() if writer == "ben" else canvas
                store.put(sitting, f"{writer}-{role}-{number}", [], canvas, label=str(number % 10))
    settings = [
        f"tracking.uri=sqlite:///{folder}/mlflow.db", f"report.folder={folder}/experiments", "search.name=asked",
        "data.drawn.source=store", f"data.drawn.store={folder}/drawings.db", "data.limit=300", "training.epochs=3",
        "search.objective=null",
    ]  # fmt: skip
    experiment.run(plan(compose([*settings, "search.space={data.manual_labels:[40,0]}", "search.repeats=2"])))
    return folder, settings


@pytest.mark.slow
def test_each_writer_has_a_column_and_the_own_one_says_so(drawn, capsys):
    folder, settings = drawn
    assert cli.main(["report", "writers", *settings[:5]]) == 0
    assert "From 0 to 40 drawings trained on, ann gains" in capsys.readouterr().out.replace("\n", " ")
    place = folder / "experiments" / "asked" / "writers"
    assert {file.name for file in place.iterdir()} == {"index.html", "README.md", "writers.csv", "writers.png"}
    text = (place / "README.md").read_text()
    assert "ann<br>20 images; own drawings are trained on | ben<br>30 images | the writers of the test images<br>" in text
    with (place / "writers.csv").open() as file:
        rows = {(row["data.manual_labels"], row["writer"]): row for row in csv.DictReader(file)}
    assert next(iter(rows)) == ("0", "ann")
    store = open_store(f"sqlite:///{folder}/mlflow.db")
    with_labels = [run for run in reader.sweep(store, "asked").runs if run.point == {"data.manual_labels": 40}]
    hits = np.array([run.labels["drawn"] == run.read["drawn"] for run in with_labels])
    assert float(rows["40", "ann"]["accuracy"]) == pytest.approx(hits[:, :20].mean(), abs=1e-6)
    assert float(rows["40", "ben"]["accuracy"]) == pytest.approx(hits[:, 20:].mean(), abs=1e-6)


@pytest.mark.parametrize("people", [1, 2])
def test_without_a_second_person_hands_cannot_be_told_apart(people):
    """The own writer gains 0.5, the test images nothing: that may be the pen. Beside another person it is the hand."""
    runs = [
        RunRecord(
            f"{labels}-{seed}", labels, seed, {writers.LABELS: labels}, {"data.classes": CLASSES, "training.epochs": 1}, "2026-01-01", {},
            metrics={"drawn/accuracy": 0.5, "test/accuracy": 0.5}, images={"drawn": 80, "test": 80}, digests={},
            labels=dict.fromkeys(("drawn", "test"), np.zeros(80, int)),
            read={"drawn": np.arange(80) % 4 // (4 if labels else 2), "test": np.arange(80) % 2},
        )
        for labels in (0, 40)
        for seed in (1, 2, 3)
    ]  # fmt: skip
    runs = [replace(run, read=run.read | {"drawn": np.where(np.arange(80) < 40, run.read["drawn"], np.arange(80) % 2)}) for run in runs]
    runs = runs if people == 2 else [replace(run, **{name: {part: getattr(run, name)[part][:40] for part in ("drawn", "test")} for name in ("labels", "read")}) for run in runs]
    gathered = report.gather(SweepRecord("made", "Whose?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))
    found = writers.by_writer(gathered, (["ann"] * 40 + ["ben"] * 40)[: 40 * people], ["ann"] * 40)
    said = writers.answer(found)
    assert said.startswith("From 0 to 40 drawings trained on, ann gains +0.5000")
    assert said.endswith("nobody else was scored with the same pen.") == (people == 1)
    assert ("they teach their own writer more. The difference is" in said) == (people == 2)


@pytest.mark.slow
def test_drawings_that_changed_since_tell_nothing(drawn, tmp_path):
    folder, settings = drawn
    with DrawingStore(folder / "drawings.db") as source, DrawingStore(tmp_path / "fewer.db") as fewer:
        for one in source.drawings(labelled=True)[:55]:
            sitting = fewer.begin(one.sitting.writer, one.sitting.role, id=one.sitting.id)
            fewer.put(sitting, one.id, [], one.raster, label=one.label)
    moved = [word for word in settings if "drawn.store" not in word]
    with pytest.raises(DataError, match="the drawings are not those on which asked was scored any more"):
        reproduction.writers(compose([*moved, f"data.drawn.store={tmp_path}/fewer.db"]))


@pytest.mark.slow
def test_what_cannot_tell_is_refused(drawn):
    _, settings = drawn
    experiment.run(plan(compose([*settings, "search.space={optimizer.name:[adam,sgd]}", "search.name=other"])))
    with pytest.raises(DataError, match=r"other must vary data\.manual_labels alone"):
        reproduction.writers(compose([*settings, "search.name=other"]))
    with pytest.raises(DataError, match=r"report\.runs=FILE\.csv does not say which image was read as what; leave"):
        reproduction.writers(compose([*settings, "search.name=other", "report.runs=FILE.csv"]))


def test_a_store_knows_who_drew_what_and_a_pen_is_one_hand(drawn):
    _, settings = drawn
    store = compose(settings).data.drawn
    assert drawings.writers(store, CLASSES) == ["ann"] * 60 + ["ben"] * 30
    pen_alone = compose(["data.drawn.source=synthetic", "data.drawn.count=7"]).data.drawn
    assert drawings.writers(pen_alone, CLASSES) == [drawings.ONE_HAND] * 7
