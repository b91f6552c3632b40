"""That every image which is scored and trained on is found, and nothing else."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitexp.data.digits import Digits
from digitexp.data.leakage import leaked, refuse
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
