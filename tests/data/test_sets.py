"""The sets that a configuration asks for; that the test set is the same whatever else is asked."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitexp.compose import compose
from digitexp.data.digits import Digits
from digitexp.data.drawings import PEN_SEED
from digitexp.data.geometry import normalise
from digitexp.data.pen import draw
from digitexp.data.sets import load, size, undivided
from digitexp.errors import ConfigError, DataError
from digitexp.settings import Also, Data, Drawn

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
DIGITS = Data(
    name="digits",
    path=None,
    test_labels=None,
    also=Also(name="none", path=None),
    limit=None,
    validation=0.1,
    test=0.2,
    split="stratified",
    split_seed=1,
    writers=None,
    folds=None,
    fold=1,
    balance="natural",
    classes=[str(number) for number in range(10)],
    manual_labels=0,
    allow_leakage=False,
    remove_leakage=False,
    near_duplicates=False,
    drawn=Drawn(source="none", images=None, labels=None, count=30, geometry="raw", stroke_width=0.0, holdout=12),
)
SYNTHETIC = replace(DIGITS.drawn, source="synthetic")


def numbered(n: int, first: int) -> Any:
    """Images that are all different: the first two pixels are a number."""
    images = np.zeros((n, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(first + np.arange(n), 256)
    return images


def numbers(digits: Digits) -> list[int]:
    return (256 * digits.images[:, 0, 0].astype(int) + digits.images[:, 0, 1]).tolist()


def write(folder: Path, n: int = 400) -> Path:
    np.savez(
        folder / "mnist.npz",
        x_train=numbered(n, 0),
        y_train=np.arange(n) % 10,
        x_test=numbered(50, 1000),
        y_test=np.arange(50) % 10,
    )
    return folder / "mnist.npz"


@pytest.fixture
def mnist(tmp_path: Path) -> Data:
    return replace(DIGITS, name="mnist", path=str(write(tmp_path)), test=None)


def sizes(data: Data) -> dict[str, int]:
    return {name: len(digits) for name, digits in load(data).items()}


@pytest.mark.parametrize("limit", [None, 100, 399, 400, 5000])
@pytest.mark.parametrize("validation", [0, 0.1, 0.5])
@pytest.mark.parametrize("split_seed", [0, 7])
def test_mnist_pool_is_divided_and_its_test_set_never_touched(
    mnist: Data, limit: int | None, validation: float, split_seed: int
) -> None:
    sets = load(replace(mnist, limit=limit, validation=validation, split_seed=split_seed))
    assert numbers(sets["test"]) == list(range(1000, 1050))
    assert list(sets) == (["train", "val", "test"] if validation else ["train", "test"])
    pool = [number for name in sets if name != "test" for number in numbers(sets[name])]
    assert len(pool) == len(set(pool)) == min(limit or 400, 400)
    assert max(pool) < 400
    assert len(sets["train"]) == len(pool) * (1 - validation) // 1


def test_digits_hold_out_their_own_test_set() -> None:
    assert sizes(DIGITS) == {"train": 1293, "val": 144, "test": 360}
    test = load(DIGITS)["test"].digest()
    limited = load(replace(DIGITS, limit=200, validation=0.25))
    assert {name: len(digits) for name, digits in limited.items()} == {"train": 150, "val": 50, "test": 360}
    assert limited["test"].digest() == test
    assert load(replace(DIGITS, split_seed=2))["test"].digest() != test
    together = {image.tobytes() for digits in load(DIGITS).values() for image in digits.images}
    assert len(together) == 1797


@pytest.mark.parametrize("validation", [0, 0.1])
def test_names_are_those_of_the_sets(mnist: Data, validation: float) -> None:
    for data in (mnist, DIGITS):
        asked = replace(data, validation=validation)
        assert asked.evaluation_sets == tuple(name for name in load(asked) if name != "train")


def test_the_test_images_of_mnist_stay_unread_while_one_chooses(mnist: Data) -> None:
    choosing = replace(mnist, validation=0.2, test=0)
    sets, whole = load(choosing), load(replace(mnist, validation=0.2))
    assert tuple(sets) == ("train", *choosing.evaluation_sets) == ("train", "val")
    assert sets["val"].digest() == whole["val"].digest()
    assert len(undivided(choosing, "mnist")["test"]) == len(whole["test"])


def test_refuses_a_run_that_is_scored_on_nothing() -> None:
    with pytest.raises(ConfigError, match="a run is scored on some images"):
        compose(["data=mnist", "data.test=0", "data.validation=0", "search.objective=null"])


def test_the_same_question_is_answered_from_memory(mnist: Data) -> None:
    first = load(mnist)
    again = load(replace(mnist, classes=list(mnist.classes)))
    assert all(again[name] is first[name] for name in first)
    first.clear()
    assert load(mnist)
    assert load(replace(mnist, limit=100))["train"] is not again["train"]


def test_a_changed_file_is_read_again(mnist: Data, tmp_path: Path) -> None:
    assert sizes(mnist)["train"] == 360
    write(tmp_path, n=200)
    assert sizes(mnist)["train"] == 180
    before = load(mnist)["train"]
    os.utime(tmp_path / "mnist.npz", ns=(1, 1))
    assert load(mnist)["train"] is not before


def test_kept_arrays_are_read_only(mnist: Data) -> None:
    for data in (mnist, replace(mnist, validation=0), DIGITS):
        for digits in load(data).values():
            for array in (digits.images, digits.labels, digits.origin):
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = array[1]


def test_classes_are_renamed() -> None:
    romans = ["O", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    sets = load(replace(DIGITS, classes=romans))
    assert {digits.classes for digits in sets.values()} == {tuple(romans)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["a", "b"]}, "data.classes: found 2 names, allowed with data=digits are 10"),
        ({"classes": ["0"] * 10}, "classes: found 0, 0, .* allowed is a list of different names"),
        ({"name": "letters"}, "data.name=letters: no such source"),
        ({"name": "mnist", "path": "missing.npz"}, "data.path=missing.npz: no such file or folder"),
        ({"limit": 9}, "limit: found 9 images, allowed is 10 or more"),
        (
            {"manual_labels": 19, "drawn": SYNTHETIC},
            r"data.manual_labels=19: found 30 drawings, of which the last 12 are scored .*; allowed are 0 to 18",
        ),
        ({"manual_labels": 1, "drawn": replace(SYNTHETIC, holdout=400)}, "the last 30 are scored .*; allowed are 0 to 0"),
        ({"limit": 20}, "class .* too few to hold out 0.1 of each class"),
    ],
)
def test_refuses_in_one_sentence(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(replace(DIGITS, **changes))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 30), st.integers(0, 40), st.data())
def test_the_first_drawings_are_trained_on_and_the_last_scored(count: int, holdout: int, choose: st.DataObject) -> None:
    scored = min(holdout, count)
    manual = choose.draw(st.integers(0, count - scored))
    drawn = replace(SYNTHETIC, count=count, holdout=holdout)
    data = replace(DIGITS, manual_labels=manual, drawn=drawn, limit=200)
    sets, without = load(data), load(replace(DIGITS, limit=200))
    assert tuple(name for name in sets if name != "train") == data.evaluation_sets
    assert size(data) == len(sets["train"]) == size(replace(DIGITS, limit=200)) + manual
    images = sets["train"].images[len(sets["train"]) - manual :]
    if scored:
        images = np.concatenate([images, sets["drawn"].images])
    expected = load(replace(data, manual_labels=0, drawn=replace(drawn, holdout=count)))["drawn"].images
    assert np.array_equal(images, np.concatenate([expected[:manual], expected[count - scored :]]))
    for name in ("val", "test"):
        assert sets[name] is without[name]


@pytest.mark.parametrize("geometry", ["raw", "box", "mnist"])
def test_geometry_is_that_of_all_drawings(geometry: str) -> None:
    drawn = replace(SYNTHETIC, geometry=geometry)
    sets = load(replace(DIGITS, manual_labels=18, drawn=drawn))
    raw = draw(30, PEN_SEED).images
    expected = raw if geometry == "raw" else np.stack([normalise(image, geometry) for image in raw])
    assert np.array_equal(sets["train"].images[-18:], expected[:18])
    assert np.array_equal(sets["drawn"].images, expected[18:])
    assert set(sets["train"].origin) == {"digits", "synthetic"}


def write_drawings(folder: Path, images: Any) -> Drawn:
    np.savetxt(folder / "images.csv", images.reshape(len(images), -1), fmt="%d", delimiter=",")
    np.savetxt(folder / "labels.csv", np.arange(len(images)) % 10, fmt="%d")
    return Drawn("csv", str(folder / "images.csv"), str(folder / "labels.csv"), 1, "raw", 0.0, 4)


def test_what_is_scored_is_not_trained_on(mnist: Data, tmp_path: Path) -> None:
    images = numbered(10, 5000)
    images[1] = images[8]
    data = replace(mnist, manual_labels=6, drawn=write_drawings(tmp_path, images))
    with pytest.raises(DataError, match=r"found 1 of the 4 images of drawn in train too; .* type data\.allow_leakage=true"):
        load(data)
    assert sizes(replace(data, allow_leakage=True)) == {"train": 366, "val": 40, "test": 50, "drawn": 4, "drawn_clean": 3}
    assert sizes(replace(data, manual_labels=1))["train"] == 361


def test_test_images_are_no_manual_labels(mnist: Data, tmp_path: Path) -> None:
    data = replace(mnist, manual_labels=6, drawn=write_drawings(tmp_path, numbered(10, 1000)))
    with pytest.raises(DataError, match="found 6 of the 50 images of test in train too"):
        load(data)


def test_changed_drawings_are_read_again(mnist: Data, tmp_path: Path) -> None:
    data = replace(mnist, drawn=write_drawings(tmp_path, numbered(10, 5000)))
    before = load(data)["drawn"].digest()
    write_drawings(tmp_path, numbered(11, 6000))
    assert load(data)["drawn"].digest() != before


def mixture(mnist: Data) -> Data:
    """MNIST and a stand-in made of the same 450 images: 270 to train on, 180 scored."""
    return replace(mnist, also=Also("kaggle_stand_in", None))


def test_a_mixture_keeps_the_origin_of_each_image(mnist: Data, tmp_path: Path) -> None:
    drawn = write_drawings(tmp_path, numbered(10, 5000))
    data = replace(mixture(mnist), drawn=drawn, manual_labels=6, allow_leakage=True)
    train = load(data)["train"]
    origins = dict(zip(*np.unique(train.origin, return_counts=True), strict=True))
    assert set(origins) == {"mnist", "kaggle stand-in", "drawn"}
    assert origins["drawn"] == 6
    assert origins["mnist"] + origins["kaggle stand-in"] == 603  # nine tenths of 400 + 270
    assert data.evaluation_sets == ("val", "test", "kaggle_stand_in", "drawn")


def test_a_mixture_that_holds_what_is_scored_is_refused_cleaned_or_marked(mnist: Data) -> None:
    data = replace(mixture(mnist), validation=0)
    with pytest.raises(DataError, match=r"images of test in train too; .*data\.remove_leakage=true.*data\.allow_leakage=true"):
        load(data)
    removed, allowed = load(replace(data, remove_leakage=True)), load(replace(data, allow_leakage=True, remove_leakage=True))
    scored = {image.tobytes() for name in ("test", "kaggle_stand_in") for image in removed[name].images}
    assert not scored & {image.tobytes() for image in removed["train"].images}
    assert len(allowed["train"]) == 670
    known = {image.tobytes() for image in allowed["train"].images}
    for name in ("test", "kaggle_stand_in"):
        rest = [image.tobytes() for image in allowed[name].images if image.tobytes() not in known]
        assert [image.tobytes() for image in allowed[f"{name}_clean"].images] == rest
        assert removed[name] is not None
        assert len(removed[name]) == len(allowed[name])
    assert size(replace(data, remove_leakage=True)) == len(removed["train"])


@pytest.mark.parametrize("name", ["digits", "kaggle_stand_in"])
def test_a_source_without_a_test_set_holds_out_its_own(mnist: Data, name: str) -> None:
    data = DIGITS if name == "digits" else replace(mnist, name=name, test=0.2)
    sets = load(data)
    assert tuple(sets) == ("train", *data.evaluation_sets)
    if name != "digits":
        assert {part: len(found) for part, found in sets.items()} == {"train": 194, "val": 22, "test": 54, name: 180}
        assert len({image.tobytes() for found in sets.values() for image in found.images}) == 450
    assert size(data) == len(sets["train"])


@pytest.fixture
def by_writer(mnist: Data, tmp_path: Path) -> Data:
    np.savez(tmp_path / "writers.npz", writer_train=np.arange(400) // 20)
    return replace(mnist, split="writer", writers=str(tmp_path / "writers.npz"))


@pytest.mark.parametrize("changes", [{}, {"limit": 200}, {"folds": 4, "fold": 3}, {"manual_labels": 2, "drawn": SYNTHETIC}])
def test_nobody_who_wrote_a_validation_image_wrote_a_training_image(by_writer: Data, changes: dict[str, Any]) -> None:
    data = replace(by_writer, **changes)
    sets = load(data)
    writers = {name: {number // 20 for number in numbers(sets[name]) if number < 400} for name in ("train", "val")}
    whole = [digits for digits in (sets["train"], sets["val"]) for origin in digits.origin if origin == "mnist"]
    assert not writers["train"] & writers["val"] or data.manual_labels  # a drawing has no number
    assert len(whole) == (data.limit or 400)
    assert size(data) == len(sets["train"])


def test_a_fold_is_the_validation_set(mnist: Data) -> None:
    found = [numbers(load(replace(mnist, folds=5, fold=number, validation=0))["val"]) for number in range(1, 6)]
    assert sorted(number for fold in found for number in fold) == list(range(400))


@pytest.mark.parametrize("balance", ["balanced", "skewed"])
def test_balance_is_that_of_the_training_images_alone(mnist: Data, balance: str, tmp_path: Path) -> None:
    natural = load(mnist)
    data = replace(mnist, balance=balance, manual_labels=6, drawn=write_drawings(tmp_path, numbered(10, 5000)))
    sets = load(data)
    assert all(sets[name].digest() == natural[name].digest() for name in ("val", "test"))
    assert list(sets["train"].origin[-6:]) == ["drawn"] * 6
    counts = np.bincount(sets["train"].labels[:-6])
    assert (len(set(counts)) == 1) == (balance == "balanced")
    assert counts[0] > counts[-1] or balance == "balanced"
    assert size(data) == len(sets["train"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "mnist", "test": None}, 54_000),
        ({"name": "mnist", "test": None, "folds": 7, "fold": 3, "validation": 0.0}, 51_428),  # three of the folds have one more
        ({"name": "mnist", "test": None, "folds": 7, "fold": 4, "validation": 0.0}, 51_429),
        ({"name": "mnist", "test": None, "balance": "skewed"}, 12_108),
        ({"name": "kaggle_stand_in"}, 30_240),  # nine tenths of four fifths of 42,000
        ({"also": Also(name="mnist", path=None)}, 55_293),  # nine tenths of 1,437 and 60,000
        ({"also": Also(name="mnist", path=None), "limit": 1000}, 900),
    ],
)
def test_the_size_is_known_before_the_download(changes: dict[str, Any], expected: int, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("digitexp.data.mnist._download", lambda: pytest.fail("a plan must not download"))
    assert size(replace(DIGITS, **changes)) == expected


def test_real_drawings() -> None:
    if not (SHARED / "drawn" / "images.csv").is_file():
        pytest.skip(f"needs the drawings in {SHARED}")
    paths = {name: str(SHARED / "drawn" / f"{name}.csv") for name in ("images", "labels")}
    drawn = Drawn("csv", **paths, count=1, geometry="mnist", stroke_width=0.0, holdout=400)
    assert sizes(replace(DIGITS, drawn=drawn)) == {"train": 1293, "val": 144, "test": 360, "drawn": 400}
    assert sizes(replace(DIGITS, drawn=drawn, manual_labels=1000))["train"] == 2293
    # Drawings 1,196 and 1,197 are the same.
    with pytest.raises(DataError, match="found 1 of the 204 images of drawn in train too"):
        load(replace(DIGITS, drawn=replace(drawn, holdout=204), manual_labels=1196))


def test_real_mnist() -> None:
    if not (SHARED / "mnist.npz").is_file():
        pytest.skip(f"needs MNIST in {SHARED}")
    data = replace(DIGITS, name="mnist", path=str(SHARED), test=None)
    assert sizes(data) == {"train": 54_000, "val": 6_000, "test": 10_000}
    assert sizes(replace(data, limit=1000, validation=0.2)) == {"train": 800, "val": 200, "test": 10_000}
