"""That every image which is scored and trained on is found, and nothing else."""

import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digitexp.data.digits import Digits
from digitexp.data.leakage import clean, leaked, refuse, remove
from digitexp.errors import DataError


def make(numbers: list[int], label: int = 0) -> Digits:
    """Images that differ where their numbers do, in two pixels."""
    images = np.zeros((len(numbers), 28, 28), np.uint8)
    images[:, 13, 5], images[:, 27, 27] = np.divmod(np.array(numbers, int), 256)
    return Digits(images, np.full(len(numbers), label), ("a", "b"), np.full(len(numbers), "made"))


Numbers = st.lists(st.integers(0, 1000), max_size=40)


@given(Numbers, Numbers)
def test_finds_exactly_what_is_in_both(scored: list[int], seen: list[int]) -> None:
    found = leaked(make(scored), make(seen, label=1))
    assert found.dtype == bool
    assert found.tolist() == [number in seen for number in scored]


@given(st.lists(Numbers, min_size=4, max_size=4))
def test_refuses_exactly_what_overlaps(numbers: list[list[int]]) -> None:
    train, val, test, drawn = map(set, numbers)
    sets = dict(zip(("train", "val", "test", "drawn"), map(make, numbers), strict=True))
    if train & (val | test | drawn) or val & (test | drawn):
        with pytest.raises(DataError, match=r"data: found .* images of .* in (train|val) too"):
            refuse(sets)
    else:
        refuse(sets)  # the test set and the drawings may share images: nothing is chosen by either


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            {"train": [1, 2], "test": [2, 2, 3]},
            r"found 2 of the 3 images of test in train too; .* data\.allow_leakage=true\.$",
        ),
        ({"train": [1], "val": [2], "test": [2]}, "found 1 of the 1 images of test in val too"),
        ({"train": [1], "val": [1], "test": [2]}, "found 1 of the 1 images of val in train too"),
        ({"train": [1], "val": [3], "drawn": [3, 4]}, "found 1 of the 2 images of drawn in val too"),
    ],
)
def test_says_how_many_of_which_set(sets: dict[str, list[int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        refuse({name: make(numbers) for name, numbers in sets.items()})


def test_a_single_grey_level_is_another_image() -> None:
    one, other = make([1]), make([1])
    other.images[0, 4, 4] = 1
    assert not leaked(one, other).any()


def test_is_quick_for_all_of_mnist() -> None:
    images = np.random.default_rng(1).integers(0, 256, (70_000, 28, 28), np.uint8)
    digits = Digits(images, np.zeros(70_000, np.int64), ("a",), np.full(70_000, "made"))
    sets = {"train": digits.take(np.arange(60_000)), "test": digits.take(np.arange(60_000, 70_000))}
    started = time.process_time()
    refuse(sets)
    assert time.process_time() - started < 0.5  # found: 0.07 s


@pytest.mark.parametrize("name", ["train", "val"])
def test_nothing_left_is_refused(name: str) -> None:
    sets = {"train": make([7]), "val": make([8]), "test": make([1, 2, 3])} | {name: make([1, 2])}
    with pytest.raises(DataError, match=f"found all 2 images of {name} among those that are scored later"):
        remove(sets)


@settings(max_examples=50)
@given(st.lists(Numbers, min_size=4, max_size=4))
def test_removed_from_what_is_seen_and_never_from_what_is_scored(numbers: list[list[int]]) -> None:
    sets = dict(zip(("train", "val", "test", "drawn"), map(make, numbers), strict=True))
    assume(set(numbers[0]) - {*numbers[1], *numbers[2], *numbers[3]} and set(numbers[1]) - {*numbers[2], *numbers[3]})
    kept = remove(sets)
    refuse(kept)
    assert kept["test"] is sets["test"]
    assert kept["drawn"] is sets["drawn"]
    _, val, test, drawn = map(set, numbers)
    assert numbers_of(kept["train"]) == [number for number in numbers[0] if number not in val | test | drawn]
    assert numbers_of(kept["val"]) == [number for number in numbers[1] if number not in test | drawn]


@settings(max_examples=50)
@given(st.lists(Numbers, min_size=3, max_size=3))
def test_clean_is_the_rest_of_each_set(numbers: list[list[int]]) -> None:
    train, val, test = numbers
    found = clean(dict(zip(("train", "val", "test"), map(make, numbers), strict=True)))
    expected = {
        "val_clean": [number for number in val if number not in train],
        "test_clean": [number for number in test if number not in {*train, *val}],
    }
    whole = {"val_clean": val, "test_clean": test}
    assert {name: numbers_of(part) for name, part in found.items()} == {
        name: rest for name, rest in expected.items() if rest and rest != whole[name]
    }


def numbers_of(digits: Digits) -> list[int]:
    return (256 * digits.images[:, 13, 5].astype(int) + digits.images[:, 27, 27]).tolist()


@pytest.mark.parametrize(
    ("down", "right", "near"),
    [(0, 0, True), (0, 1, True), (-1, 1, True), (1, 0, True), (-1, -1, True), (0, 2, False), (2, 1, False)],
)
def test_an_image_that_was_moved_by_a_pixel_is_near(down: int, right: int, near: bool) -> None:
    images = np.zeros((3, 28, 28), np.uint8)
    images[:, 4:24, 4:24] = np.random.default_rng(1).integers(0, 256, (3, 20, 20))
    seen = Digits(images, np.zeros(3, int), ("a",), np.full(3, "made"))
    moved = Digits(np.roll(images, (down, right), (1, 2)), np.zeros(3, int), ("a",), np.full(3, "made"))
    assert leaked(moved, seen, near=True).all() == near
    assert leaked(moved, seen).all() == ((down, right) == (0, 0))
    if near and (down or right):
        refuse({"train": seen, "test": moved})
        with pytest.raises(DataError, match="found 3 of the 3 images of test in train too, or moved by one pixel"):
            refuse({"train": seen, "test": moved}, near=True)


def test_what_is_moved_over_the_edge_does_not_come_back_at_the_other() -> None:
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 27, 5] = images[0, 3, 3] = 9
    seen = Digits(np.roll(images, 1, 1), np.zeros(1, int), ("a",), np.full(1, "made"))
    assert not leaked(Digits(images, np.zeros(1, int), ("a",), np.full(1, "made")), seen, near=True).any()


@pytest.mark.parametrize(("down", "right"), [(1, 0), (-1, 1), (0, -1)])
def test_near_is_mutual_where_ink_touches_the_edge(down: int, right: int) -> None:
    images = np.random.default_rng(2).integers(1, 256, (3, 28, 28)).astype(np.uint8)
    moved = np.roll(images, (down, right), (1, 2))
    moved[:, : max(down, 0)] = moved[:, :, : max(right, 0)] = 0
    moved[:, 28 + min(down, 0) :] = moved[:, :, 28 + min(right, 0) :] = 0
    one, other = (Digits(part, np.zeros(3, int), ("a",), np.full(3, "made")) for part in (images, moved))
    for train, test in ((one, other), (other, one)):
        assert leaked(test, train, near=True).all()
        with pytest.raises(DataError, match="found all 3 images of train"):
            remove({"train": train, "test": test}, near=True)
