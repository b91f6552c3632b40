"""Laws of dividing: nothing lost, nothing twice, the same shares, the same seed the same part."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digitexp.data.digits import Digits
from digitexp.data.splits import SKEW, fold, limit, rebalance, split, split_by_writer
from digitexp.errors import DataError

NAMES = ("zero", "one", "two", "three", "four")
Counts = st.lists(st.integers(10, 60), min_size=1, max_size=5)
Seeds = st.integers(0, 2**32 - 1)


def make(counts: Sequence[int]) -> Digits:
    """Images that are all different: the first two pixels are the number of the row."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.zeros((len(labels), 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(len(labels)), 256)
    return Digits(images, labels, NAMES, np.full(len(labels), "made"))


def rows(digits: Digits) -> list[int]:
    pixels = digits.images[:, 0].astype(int)
    return (256 * pixels[:, 0] + pixels[:, 1]).tolist()


def assert_same_shares(part: Digits, counts: Sequence[int]) -> None:
    expected = np.array(counts) * len(part) / sum(counts)
    assert (np.abs(np.bincount(part.labels, minlength=len(counts)) - expected) < 1 + 1e-9).all()


@settings(deadline=None)
@given(Counts, st.floats(0.2, 0.8), Seeds)
def test_split_is_a_partition_with_the_same_shares(counts: list[int], fraction: float, seed: int) -> None:
    digits = make(counts)
    rest, part = split(digits, fraction, seed)
    assert sorted(rows(rest) + rows(part)) == rows(digits)
    assert abs(len(part) - fraction * len(digits)) < 1
    for side in (rest, part):
        assert rows(side) == sorted(rows(side))
        assert (side.labels == digits.labels[rows(side)]).all()
        assert_same_shares(side, counts)


@settings(deadline=None)
@given(Counts, st.integers(1, 300), Seeds)
def test_limit_keeps_the_shares_and_the_order(counts: list[int], n: int, seed: int) -> None:
    digits = make(counts)
    assume(n * min(counts) >= sum(counts))  # fewer may leave a class without images, and are refused
    part = limit(digits, n, seed)
    assert len(part) == min(n, len(digits))
    assert rows(part) == sorted(set(rows(part)))
    assert (part.labels == digits.labels[rows(part)]).all()
    assert_same_shares(part, counts)


@settings(deadline=None, max_examples=20)
@given(Counts, Seeds)
def test_the_seed_decides(counts: list[int], seed: int) -> None:
    digits = make(counts)
    assert split(digits, 0.3, seed)[1].digest() == split(digits, 0.3, seed)[1].digest()
    assert limit(digits, 40, seed).digest() == limit(digits, 40, seed).digest()


def test_another_seed_is_another_part() -> None:
    digits = make([40, 40])
    assert rows(split(digits, 0.5, 1)[1]) != rows(split(digits, 0.5, 2)[1])
    assert rows(limit(digits, 40, 1)) != rows(limit(digits, 40, 2))


def test_no_fraction_is_an_empty_part() -> None:
    rest, part = split(make([3, 1]), 0, 1)
    assert len(rest) == 4
    assert len(part) == 0
    assert part.classes == NAMES


@pytest.mark.parametrize(
    ("counts", "fraction", "message"),
    [
        ([50, 1], 0.5, "class 'one': found 1 of 51 images, too few to hold out 0.5 of each class"),
        ([50, 2], 0.1, "class 'one': found 2 of 52 images, too few to hold out 0.1"),
        ([3, 4, 5], 0.1, "class 'zero': found 3 of 12 images"),
        ([1], 0.5, "class 'zero': found 1 of 1 images"),
        ([], 0.5, "images: found none, too few to hold out 0.5"),
    ],
)
def test_split_names_the_class_that_is_too_small(counts: list[int], fraction: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split(make(counts), fraction, 1)


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, float("nan")])
def test_split_refuses_what_is_no_share(fraction: float) -> None:
    with pytest.raises(DataError, match="allowed is 0 or more and less than 1"):
        split(make([9, 9]), fraction, 1)


def test_limit_of_all_or_more_changes_nothing() -> None:
    digits = make([3, 4])
    assert limit(digits, 7, 1) is digits
    assert limit(digits, 100, 1) is digits
    assert len(limit(digits, 6, 1)) == 6


def test_limit_refuses_fewer_images_than_classes() -> None:
    with pytest.raises(DataError, match="limit: found 2 images, allowed is 3 or more, one for each class"):
        limit(make([5, 5, 5]), 2, 1)
    with pytest.raises(DataError, match="class 'one': found 1 of 101 images, too few to be among 5 images"):
        limit(make([100, 1]), 5, 1)
    assert len(limit(make([5, 5, 5]), 3, 1)) == 3


def written(writers: int, each: int, classes: int = 3) -> Digits:
    """Images of which every writer wrote `each`, of all classes in turn, in a mixed order."""
    count = writers * each
    order = np.random.default_rng(2).permutation(count)
    digits = make([count])
    return replace(digits, labels=(np.arange(count) % each % classes)[order], writers=(np.arange(count) // each)[order])


def writers_of(digits: Digits) -> set[int]:
    assert digits.writers is not None
    return set(digits.writers.tolist())


@settings(max_examples=40)
@given(st.integers(4, 30), st.integers(3, 9), st.floats(0.05, 0.7), Seeds)
def test_nobody_writes_on_both_sides(writers: int, each: int, fraction: float, seed: int) -> None:
    digits = written(writers, each)
    rest, part = split_by_writer(digits, fraction, seed)
    assert sorted(rows(rest) + rows(part)) == rows(digits)
    assert not writers_of(rest) & writers_of(part)
    assert len(part) - each < fraction * len(digits) <= len(part) + 1e-6
    for side in (rest, part):
        assert rows(side) == sorted(rows(side))
        assert np.array_equal(side.writers, digits.writers[rows(side)])
    assert rows(split_by_writer(digits, fraction, seed)[1]) == rows(part)


def test_all_writers_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match=r"too few to hold out 0\.9 of the writers"):
        split_by_writer(written(2, 6), 0.9, 1)
    assert len(split_by_writer(written(2, 6), 0, 1)[1]) == 0


@settings(max_examples=20)
@given(st.integers(2, 5), st.booleans(), Seeds)
def test_folds_are_a_partition(folds: int, by_writer: bool, seed: int) -> None:
    digits = written(10, 6) if by_writer else make([20, 30, 25])
    parts = []
    for number in range(1, folds + 1):
        rest, part = fold(digits, folds, number, seed, by_writer)
        assert sorted(rows(rest) + rows(part)) == rows(digits)
        assert abs(len(part) - len(digits) / folds) <= (6 if by_writer else 3)
        if by_writer:
            assert not writers_of(rest) & writers_of(part)
        else:
            assert_same_shares(part, np.bincount(digits.labels))
        parts += rows(part)
    assert sorted(parts) == rows(digits)


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(DataError, match=r"data\.folds=11: found 10 writers, allowed are 2 to 10 folds"):
        fold(written(10, 6), 11, 1, 1, by_writer=True)
    with pytest.raises(DataError, match=r"data\.folds=7: found 6 images of the rarest class, allowed are 2 to 6 folds"):
        fold(replace(written(9, 2), labels=np.arange(18) % 3), 7, 1, 1, by_writer=True)
    with pytest.raises(DataError, match="found 3 images of the rarest class"):
        fold(make([3, 9]), 4, 1, 1)


@settings(max_examples=30)
@given(st.lists(st.integers(100, 300), min_size=2, max_size=5), Seeds)
def test_balance_alone_tells_skewed_from_balanced(counts: list[int], seed: int) -> None:
    digits = replace(make(counts), classes=NAMES[: len(counts)])
    skewed, balanced = (rebalance(digits, how, seed) for how in ("skewed", "balanced"))
    found = np.bincount(skewed.labels)
    assert found[0] == min(counts)
    assert abs(found[-1] - min(counts) / SKEW) <= 0.5
    steps = found[1:] / found[:-1]
    assert np.allclose(steps, steps.mean(), atol=0.5 / found[1:].min())  # by the same factor, to half an image
    assert len(set(np.bincount(balanced.labels))) == 1
    assert 0 <= len(skewed) - len(balanced) < len(counts)
    for part in (skewed, balanced):
        assert rows(part) == sorted(set(rows(part)))
        assert (part.labels == digits.labels[rows(part)]).all()
    assert rows(rebalance(digits, "skewed", seed)) == rows(skewed)


def test_what_lacks_a_class_is_not_balanced() -> None:
    with pytest.raises(DataError, match="class 'two': found 0 of 10 images, too few to be balanced"):
        rebalance(make([5, 5]), "balanced", 1)  # of the classes, three have no image


def test_a_class_without_images_is_in_no_fold() -> None:
    digits = make([0, 9, 9])
    rest, part = fold(digits, 3, 1, 1)
    assert (len(rest), len(part)) == (12, 6)
