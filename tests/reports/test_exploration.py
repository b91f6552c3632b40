"""A look at the data says what is in it, and finds labels that were made wrong on purpose."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import write_kaggle

from digitexp import experiment
from digitexp.compose import compose
from digitexp.data.pen import draw
from digitexp.data.sets import undivided
from digitexp.errors import DataError
from digitexp.reports import exploration, exploration_page
from digitexp.tracking.store import open_store

DRAWN = Path(__file__).parents[2].parent / "shared" / "data" / "drawn"
WRITERS = DRAWN.parent / "mnist_writers.npz"


def write_drawings(folder, images, labels):
    """Drawings as csv files; the settings that name them."""
    folder.mkdir(exist_ok=True)
    np.savetxt(folder / "images.csv", images.reshape(len(images), -1), "%d", ",")
    np.savetxt(folder / "labels.csv", labels, "%d")
    return ["data.drawn.source=csv", f"data.drawn.images={folder}/images.csv", f"data.drawn.labels={folder}/labels.csv"]


def looked(*overrides, labels=True):
    return exploration.gather(compose(overrides).data, labels, lambda text: None)


def rows_of(file):
    return list(csv.DictReader(file.read_text().splitlines()))


@pytest.fixture(scope="module")
def slipped(tmp_path_factory):
    """The scans and 60 drawings of our own pen, whose last 20 labels slipped by a row; one is a copy, one is blank.

    As a person has it: the folder, what was on the screen, and which libraries were loaded.
    """
    folder = tmp_path_factory.mktemp("slipped")
    pen = draw(60, 3)
    order = np.random.default_rng(0).permutation(60)
    images, labels = pen.images[order], pen.labels[order]
    images[5] = 0
    images[7], labels[7] = images[3], (labels[3] + 1) % 10
    labels[40:] = np.roll(labels[40:], 1)
    words = [*write_drawings(folder / "drawn", images, labels), f"explore.folder={folder}/looks"]
    code = (
        f"import sys; from digitexp.cli import main; print(main(['explore', *{words!r}]));"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done.stdout.splitlines(), labels


def test_the_command_writes_a_page_and_says_what_stands_out(slipped):
    folder, screen, _ = slipped
    assert screen[-2:] == ["0", "[]"]  # done, without TensorFlow
    said = " ".join(" ".join(screen).split())
    assert "In drawn, labels and images have slipped against each other from row 41 to row 60: each image fits" in said
    assert "1 image is a copy of another; it has more than one label. 1 image is blank." in said
    files = {file.name for file in (folder / "looks" / "digits-drawn").iterdir()}
    assert files == {
        "index.html", "slip-1.png", "suspicious-drawn.png", "suspicious-digits-train.png", "classes.png", "means.png", "copies.png", "geometry.png",
        "samples-digits-train.png", "samples-digits-test.png", "samples-drawn.png", "suspicious.csv", "copies.csv",
    }  # fmt: skip
    assert all(any(line.endswith(name) for line in screen) for name in files)
    assert {file.name for file in folder.iterdir()} == {"drawn", "looks", "mlruns"}


def test_a_look_at_kaggles_images_says_what_to_type():
    command = experiment._explore_command(compose(["data=kaggle", "data.path=folder"]))
    assert command == "python -m digitexp explore data=kaggle data.path=folder"


def test_the_page_stands_alone(slipped):
    page = (slipped[0] / "looks" / "digits-drawn" / "index.html").read_text()
    assert not re.search(r"<script|<link|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == 10
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<td>41 to 60</td><td>+1</td>" in page
    assert "one label too many, or one image missing, before row 41" in page
    assert "python -m digitexp explore data=digits data.drawn.source=csv" in page


def test_the_tables_name_rows_as_the_file_has_them(slipped):
    folder, _, labels = slipped
    look = folder / "looks" / "digits-drawn"
    assert [(row["set"], row["row"], row["label"]) for row in rows_of(look / "copies.csv")] == [
        ("drawn", "4", str(labels[3])), ("drawn", "8", str(labels[7])),
    ]  # fmt: skip
    suspicious = rows_of(look / "suspicious.csv")
    assert suspicious
    for row in suspicious:
        if row["set"] == "drawn":
            assert row["label"] == str(labels[int(row["row"]) - 1])
            assert float(row["probability"]) > float(row["probability_of_label"])


def test_it_is_a_run_of_its_own_in_mlflow(slipped):
    folder, _, _ = slipped
    client = open_store(f"sqlite:///{folder}/mlruns/mlflow.db").client
    (run,) = client.search_runs([client.get_experiment_by_name("explore").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["data.drawn.source"] == "csv"
    assert run.data.metrics["slipped_rows"] == 20
    assert run.data.metrics["drawn/images"] == 60
    assert run.data.metrics["contradicting_copies"] == 1
    kept = {item.path for item in client.list_artifacts(run.info.run_id, "explore")}
    assert "explore/index.html" in kept
    assert len(kept) == 13


def test_looking_again_removes_what_is_no_longer_there_and_keeps_what_is_not_ours(tmp_path, configure):
    look = tmp_path / "looks" / "digits"
    look.mkdir(parents=True)
    for name in ("slip-1.png", "suspicious.csv", "notes.txt"):
        (look / name).write_text("of an earlier look")
    words = [f"explore.folder={tmp_path}/looks", "explore.labels=false", "data.limit=100"]
    explored = experiment.explore(configure(*words))
    assert {file.name for file in look.iterdir()} == {"notes.txt", *(file.name for file in explored.files)}
    assert not {"slip-1.png", "suspicious.csv"} & {file.name for file in look.iterdir()}
    assert explored.summary.startswith("The labels were not looked at.")
    page = (look / "index.html").read_text()
    assert "Not looked for (explore.labels=false)." in page
    assert "A stratified part: 100 of the 1,437 images to train on" in page
    assert "explore data=digits data.limit=100 explore.labels=false" in page
    before = {file.name: file.read_bytes() for file in explored.files}
    assert before == {file.name: file.read_bytes() for file in experiment.explore(configure(*words)).files}


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "afile").touch()
    found = looked("data.limit=100", labels=False)
    with pytest.raises(DataError, match=r"afile/digits: cannot be written: Not a directory; type explore\.folder=FOLDER for another"):
        exploration_page.write(found, tmp_path / "afile" / "digits", "")


def test_a_part_keeps_its_rows():
    whole = undivided(compose(["data.limit=100"]).data, "raw")["train"]
    part = looked("data.limit=100", labels=False).parts[0]
    assert len(part.rows) == 100
    assert (part.digits.images == whole.images[part.rows - 1]).all()


@pytest.mark.parametrize("words", [["data=kaggle", "data.path={}"], ["data=digits", "data.also.name=kaggle", "data.also.path={}"]])
def test_kaggles_rows_are_those_of_its_file(tmp_path, words):
    pen = draw(40, 3)
    write_kaggle(tmp_path, pen, pen)
    found = looked(*(word.format(tmp_path) for word in words), labels=False)
    (part,) = (part for part in found.parts if part.name.startswith("kaggle"))
    assert part.rows.tolist() == list(range(1, 41))
    np.testing.assert_array_equal(part.digits.images, pen.images)


def test_every_image_is_there_whatever_is_held_out():
    words = ["data.validation=0.5", "data.drawn.source=synthetic", "data.drawn.count=30", "data.drawn.holdout=10", "data.manual_labels=20"]
    found = looked(*words, labels=False)
    assert [(part.name, len(part.digits)) for part in found.parts] == [
        ("digits train", 1437), ("digits test", 360), ("synthetic drawn", 30),
    ]  # fmt: skip
    assert [part.start for part in found.parts] == [0, 1437, 1797]
    assert [found.place(index).part.name for index in (0, 1436, 1437, 1797)] == [
        "digits train", "digits train", "digits test", "synthetic drawn",
    ]  # fmt: skip
    assert found.place(1799).row == 3


def test_copies_across_sets_are_counted_for_each_pair(tmp_path):
    scans = undivided(compose().data, "raw")
    images = np.concatenate([scans["train"].images[:3], scans["test"].images[:2], scans["test"].images[:1]])
    labels = np.concatenate([scans["train"].labels[:3], scans["test"].labels[:2], (scans["test"].labels[:1] + 1) % 10])
    found = looked(*write_drawings(tmp_path, images, labels), labels=False)
    assert exploration_page.content(found, "")["copies"] == [
        ["drawn, also in digits train", "3", "0"],
        ["drawn, also in digits test", "3", "2"],
        ["within drawn", "1", "1"],
    ]


def test_a_class_without_images_is_named(tmp_path):
    pen = draw(9, 3)
    np.savez(tmp_path / "mnist.npz", x_train=pen.images, y_train=pen.labels, x_test=pen.images, y_test=pen.labels)
    found = looked("data=mnist", f"data.path={tmp_path}/mnist.npz")
    assert exploration_page.summary(found).endswith("There is no 9 in mnist train, no 9 in mnist test.")
    assert "9 images are copies of another, all with the same label." in exploration_page.summary(found)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """MNIST with 2 % of the labels to train on changed at random, and 400 drawings whose last 20 labels slipped by a row."""
    mnist = DRAWN.parent / "mnist.npz"
    if not mnist.exists() or not DRAWN.exists():
        pytest.skip("real MNIST and drawings are not beside the checkout (../shared/data)")
    folder, rng = tmp_path_factory.mktemp("wrong"), np.random.default_rng(4)
    arrays = dict(np.load(mnist))
    labels = arrays["y_train"].astype(int)
    changed = rng.random(len(labels)) < 0.02
    arrays["y_train"] = np.where(changed, (labels + rng.integers(1, 10, len(labels))) % 10, labels)
    np.savez(folder / "mnist.npz", **arrays)
    images = np.loadtxt(DRAWN / "images.csv", delimiter=",", dtype=np.uint8)[400:800]
    given = np.loadtxt(DRAWN / "labels.csv", dtype=int)[400:800]
    given[-20:] = np.roll(given[-20:], 1)
    words = ["data=mnist", f"data.path={folder}/mnist.npz", "data.limit=10000", f"data.writers={WRITERS}"]
    return looked(*words, *write_drawings(folder / "drawn", images, given)), changed


@pytest.mark.slow
def test_random_errors_and_a_slip_are_found(wrong, capsys):
    found, changed = wrong
    train, drawn = found.parts[0], found.parts[-1]
    suspicious = np.isin(np.arange(len(train.rows)), found.suspicious(train))
    true = changed[train.rows - 1]
    recall, precision = suspicious[true].mean(), true[suspicious].mean()
    ((part, slip),) = found.slips
    rows = np.arange(380, 400)
    covered = ((rows >= slip.first) & (rows <= slip.last)).mean()
    outside = max(380 - slip.first, 0)
    with capsys.disabled():
        print(f"\n  random errors: {true.sum()} of {len(true):,} labels, {suspicious.sum()} suspicious: "
              f"recall {recall:.3f}, precision {precision:.3f}")  # fmt: skip
        print(f"  slip: rows 381 to 400 of 400, found {slip.first + 1} to {slip.last + 1}, shift {slip.shift:+d}: "
              f"{100 * covered:.0f} %")  # fmt: skip
    assert recall >= 0.8
    assert precision >= 0.8
    assert (part, slip.shift) == (drawn, 1)
    assert covered >= 0.9
    assert outside == 0


def test_mnist_is_measured_as_it_is_known(wrong):
    found, _ = wrong
    train, test, drawn = found.parts
    pixels = {row[0]: row for row in exploration_page.content(found, "")["pixels"]}
    assert pixels["mnist test"][2:4] == ["0.1325", "0.3105"]
    assert train.measures.height.max() <= 20
    assert test.measures.width.max() <= 20
    for place in (train.measures.row, train.measures.column):
        assert np.median(place) == pytest.approx(14, abs=0.1)
    assert drawn.moved
    assert np.abs(np.median(drawn.measures.row) - 14) > 1  # drawings are not centred
    assert np.median(drawn.fitted_measures.row) == pytest.approx(14, abs=0.3)
    assert not train.moved


def test_no_writer_is_in_both_sets(wrong):
    content = exploration_page.content(wrong[0], "")
    assert [row[0] for row in content["writers"]] == ["mnist train", "mnist test"]
    assert content["shared_writers"] == "No writer of mnist test is in mnist train."
    assert content["writers"][1][1] == f"{len(np.unique(np.load(WRITERS)['writer_test'])):,}"
