"""Scores against hand-made tables and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from digitexp.evaluation.scores import (
    ClassScore,
    ConfusedPair,
    accuracy,
    by_row,
    confusion,
    most_confused,
    per_class,
    together,
    worst_errors,
)

DIGITS = [str(digit) for digit in range(10)]

# Two arrays of classes, `(2, images)`.
pairs = st.integers(1, 60).flatmap(lambda images: hnp.arrays(np.int64, (2, images), elements=st.integers(0, 9)))

# Of four 0 one is read as 1 and one as 2; of two 1 one is read as 0; there is no 2.
TABLE = np.array([[2, 1, 1], [1, 1, 0], [0, 0, 0]])


def test_accuracy_is_the_share_of_hits():
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.7, 0.3], [0.2, 0.8]])
    assert accuracy(np.array([0, 1, 1, 1]), probabilities) == 0.75


def test_networks_read_together_by_the_mean_of_their_probabilities():
    one, other = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.4, 0.6], [0.9, 0.1]])  # means: 0.65 and 0.55 for the first
    assert together(np.array([0, 0]), [one, other]) == 1
    assert together(np.array([0, 1]), [one, other]) == 0.5
    assert together(np.array([0, 1]), [one]) == accuracy(np.array([0, 1]), one)


def test_accuracy_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no images"):
        accuracy(np.array([], dtype=int), np.zeros((0, 10)))


@settings(deadline=None, max_examples=50)
@given(pairs)
def test_scores_agree_with_scikit_learn(pair):
    labels, predicted = pair
    table = confusion(labels, predicted, 10)
    np.testing.assert_array_equal(table, confusion_matrix(labels, predicted, labels=range(10)))
    expected = precision_recall_fscore_support(labels, predicted, labels=range(10), zero_division=0.0)
    found = per_class(table, DIGITS)
    for field, column in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        np.testing.assert_allclose([getattr(score, field) for score in found], column)
    assert accuracy(labels, np.eye(10)[predicted]) == accuracy_score(labels, predicted)


@settings(deadline=None, max_examples=50)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(pair, random):
    order = random.sample(range(pair.shape[1]), pair.shape[1])
    np.testing.assert_array_equal(confusion(*pair, 10), confusion(*pair[:, order], 10))


def test_labels_of_any_integer_type_are_counted():
    labels = np.full(300, 9, dtype=np.uint8)  # 9 * 10 + 9 is near the end of 8 bits
    assert confusion(labels, labels, 10)[9, 9] == 300


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_class_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match=f"from 0 to 2, found .*{wrong}"):
        confusion(np.array([0, wrong]), np.array([1, 1]), 3)


def test_no_images_make_an_empty_table():
    empty = np.array([], dtype=int)
    assert confusion(empty, empty, 3).sum() == 0


def test_rows_become_shares_and_empty_rows_stay_empty():
    np.testing.assert_array_equal(by_row(TABLE), [[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0, 0, 0]])


def test_each_class_has_its_scores():
    assert per_class(TABLE, ["zero", "one", "two"]) == [
        ClassScore("zero", support=4, precision=2 / 3, recall=0.5, f1=4 / 7, errors=2, error_rate=0.5),
        ClassScore("one", support=2, precision=0.5, recall=0.5, f1=0.5, errors=1, error_rate=0.5),
        ClassScore("two", support=0, precision=0.0, recall=0.0, f1=0.0, errors=0, error_rate=0.0),
    ]


def test_most_confused_come_first_and_equals_in_order():
    table = np.array([[90, 2, 0], [5, 80, 2], [0, 1, 70]])
    assert most_confused(table, "abc", limit=3) == [
        ConfusedPair("b", "a", 5, of=87),
        ConfusedPair("a", "b", 2, of=92),
        ConfusedPair("b", "c", 2, of=87),
    ]


def test_what_is_never_confused_is_not_listed():
    assert most_confused(np.diag([3, 4]), "ab") == []


def test_worst_errors_are_the_surest():
    probabilities = np.array(
        [
            [0.9, 0.1, 0.0],  # right
            [0.5, 0.4, 0.1],  # wrong by 0.1
            [0.1, 0.0, 0.9],  # wrong by 0.9
            [0.8, 0.1, 0.1],  # wrong by 0.7
            [0.4, 0.5, 0.1],  # wrong by 0.1, as row 1
        ]
    )
    labels = np.array([0, 1, 1, 2, 0])
    assert worst_errors(labels, probabilities, limit=10).tolist() == [2, 3, 1, 4]
    assert worst_errors(labels, probabilities, limit=2).tolist() == [2, 3]
