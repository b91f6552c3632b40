"""A submission scores what the run says, is a mean of networks, tells what was seen before, and is valid or not there."""

import csv
import json

import numpy as np
import pytest
from conftest import write_kaggle

from digitexp import experiment, planning
from digitexp.compose import compose
from digitexp.data.digits import Digits
from digitexp.data.pen import draw
from digitexp.data.sets import load
from digitexp.errors import ConfigError, DataError
from digitexp.recognise import network as networks
from digitexp.recognise.submission import _met, _write, validate

BEST = "models:/digitexp.single@best"
LABELS = "data.test_labels"


@pytest.fixture(scope="module")
def pen(tmp_path_factory):
    """Kaggle's files from drawings of our own pen, all different."""
    drawings = draw(260, seed=5)
    rows = np.arange(260)
    folder = tmp_path_factory.mktemp("pen")
    write_kaggle(folder, drawings.take(rows[:200]), drawings.take(rows[200:]))
    return folder


@pytest.fixture(scope="module")
def submit(tmp_path_factory, uri):
    """Submit with these settings: what is known of it, the labels that were written, and the companion."""
    file = tmp_path_factory.mktemp("submit") / "submission.csv"

    def run(*overrides, store=uri):
        made = experiment.submit(compose([f"tracking.uri={store}", f"submit.file={file}", "data=kaggle", *overrides]))
        rows = list(csv.reader(file.read_text().splitlines()))
        assert rows[0] == ["ImageId", "Label"]
        assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, made.images + 1)]
        return made, np.array([int(row[1]) for row in rows[1:]]), json.loads(file.with_suffix(".json").read_text())

    return run


def test_it_scores_what_the_run_says(configure, pen, submit):
    config = configure("data=kaggle", f"data.path={pen}", f"{LABELS}={pen}/test_labels.csv", "training.epochs=2", "tracking.pictures=best")
    outcome = experiment.run(planning.plan(config))
    made, labels, told = submit(f"data.path={pen}", f"{LABELS}={pen}/test_labels.csv", f"submit.models=[{BEST}]", store=config.tracking.uri)
    assert made.accuracy == pytest.approx(outcome.rows[0].scored.mean("kaggle/accuracy"), abs=1e-9)
    assert made.accuracy == np.mean(labels == np.loadtxt(pen / "test_labels.csv"))
    assert (made.leaked, made.clean_accuracy) == (0, made.accuracy)
    assert (told["images"], told["accuracy"], told["networks"][0]["trained_on"], told["networks"][0]["chosen_by"]) == (60, made.accuracy, 0, 0)


def test_without_labels_there_is_no_score(pen, submit):
    made, labels, told = submit(f"data.path={pen}", f"submit.models=[{BEST}]")
    assert (made.accuracy, made.clean_accuracy, told["accuracy"], len(labels)) == (None, None, None, 60)


def test_it_is_the_mean_of_its_networks(pen, submit, uri, tmp_path):
    other = networks.load(BEST, (), uri)
    images = draw(260, seed=5).images[200:]
    weaker = tmp_path / "weaker.keras"
    weights = other.model.layers[-1].get_weights()
    hand = np.random.default_rng(0)
    other.model.layers[-1].set_weights([hand.normal(0, 0.5, part.shape) for part in weights])
    other.model.save(weaker)
    mean = (networks.load(BEST, (), uri).probabilities(images).astype(float) + other.probabilities(images)) / 2
    made, labels, _ = submit(f"data.path={pen}", f"submit.models=[{BEST},{weaker}]")
    np.testing.assert_array_equal(labels, mean.argmax(axis=1))
    assert (mean.argmax(axis=1) != networks.load(BEST, (), uri).probabilities(images).argmax(axis=1)).any()
    assert made.networks[1].trained_on is None
    assert "does not say what it was trained on" in made.networks[1].unknown_because
    assert made.leaked is None


def test_it_counts_what_was_trained_on_and_chosen_by(tmp_path, submit, configure):
    sets = load(configure("data.limit=300").data)  # as the registered network was trained
    parts = [sets["train"].take(np.arange(31)), sets["val"].take(np.arange(17)), sets["test"].take(np.arange(12))]
    scored = Digits(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels")),
                    parts[0].classes, np.full(60, "mixed"))  # fmt: skip
    write_kaggle(tmp_path, draw(20, seed=1), scored)
    made, labels, told = submit(f"data.path={tmp_path}", f"{LABELS}={tmp_path}/test_labels.csv", f"submit.models=[{BEST}]")
    assert (made.networks[0].trained_on, made.networks[0].chosen_by, made.leaked) == (31, 17, 48)
    assert made.clean_accuracy == np.mean((labels == scored.labels)[48:])
    assert told["leaked"] == 48


def test_what_the_weights_saw_that_it_began_with_is_not_known():
    settings = {"data.name": "digits", "training.start": "models:/digitexp.other@best"}
    counts, rows = _met("models:/mine/1", draw(20, seed=5).images, compose(), lambda address: settings)
    assert rows is None
    assert counts == {"unknown_because": "it began with the weights of models:/digitexp.other@best, "
                                         "which had seen images of their own"}  # fmt: skip


def test_other_data_is_refused(submit):
    with pytest.raises(ConfigError, match=r"submit: data.name=digits: must be kaggle or kaggle_stand_in; type data=kaggle"):
        submit("data=digits", f"submit.models=[{BEST}]")


def test_a_submission_that_failed_leaves_the_old_one(pen, submit, uri):
    made, before, _ = submit(f"data.path={pen}", f"submit.models=[{BEST}]")
    with pytest.raises(DataError, match=r"test\.csv: cannot be read: No such file or directory"):
        submit(f"data.path={pen}/nowhere", f"submit.models=[{BEST}]")
    again, after, _ = submit(f"data.path={pen}", f"submit.models=[{BEST}]")
    np.testing.assert_array_equal(before, after)
    assert made.sha256 == again.sha256


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "afile").touch()
    with pytest.raises(DataError, match=r"submit\.file=.*submission\.csv: cannot be written: (Not a directory|File exists)"):
        _write(tmp_path / "afile" / "submission.csv", ["3"], "0123456789")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("ImageId,Label\n1,3\n2,4\n", None),
        ("", r"row 1: found nothing, allowed is ImageId,Label"),
        ("id,label\n1,3\n2,4\n", r"row 1: found id,label, allowed is ImageId,Label"),
        ("ImageId,Label\n1,3\n", r"found 1 images, allowed are 2"),
        ("ImageId,Label\n0,3\n1,4\n", r"row 2: found 0,3, allowed is 1 and one of 0, 1"),
        ("ImageId,Label\n1,3\n2,10\n", r"row 3: found 2,10, allowed is 2 and one of"),
        ("ImageId,Label\n1,3.0\n2,4\n", r"row 2: found 1,3\.0"),
        ("ImageId,Label\n1,3\n2\n", r"row 3: found 2,"),
    ],
)
def test_what_the_competition_would_refuse_is_refused(tmp_path, content, sentence):
    file = tmp_path / "submission.csv"
    file.write_text(content)
    if sentence is None:
        validate(file, 2, "0123456789")
        return
    with pytest.raises(DataError, match=sentence):
        validate(file, 2, "0123456789")
