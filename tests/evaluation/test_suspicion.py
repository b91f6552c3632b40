"""Slips, runs and contradictions that are known are found, and those that are not there are not."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from digitexp.evaluation.suspicion import Slip, Suspicion, confident_classes, find_runs, find_slips


def sure_of(truth, share=0.97, classes=10):
    """Probabilities of a reader that is `share` sure of the truth."""
    found = np.full((len(truth), classes), (1 - share) / (classes - 1))
    found[np.arange(len(truth)), truth] = share
    return found


def test_confident_learning_by_hand():
    """Thresholds are the means of what is labelled so: 0.6 of class 0, 0.75 of class 1."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7], [0.65, 0.35]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    #  row 2 is a sure 1; row 5 a sure 0; row 3 is no sure 0, though it is no sure 1 either
    assert confident_classes(labels, probabilities).tolist() == [0, 0, 1, 1, 1, 0]


def test_a_class_without_images_is_never_read():
    probabilities = np.array([[0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])
    assert confident_classes(np.array([0, 1]), probabilities).tolist() == [0, 1]


def test_what_is_not_sure_of_anything_contradicts_nothing():
    labels = np.arange(10)
    assert confident_classes(labels, np.full((10, 10), 0.1)).tolist() == labels.tolist()


def test_the_surest_come_first():
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1], [0.05, 0.95]])
    assert Suspicion(np.array([0, 0, 0]), probabilities, np.array([1, 0, 1])).rows.tolist() == [2, 0]


@settings(max_examples=40)
@given(st.data())
def test_a_slip_is_found_with_its_shift_and_its_rows(data):
    """Labels move by -3 to 3 rows from a row on, and come in again at the end."""
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    count, shift = data.draw(st.integers(40, 300)), data.draw(st.sampled_from([-3, -2, -1, 1, 2, 3]))
    truth = rng.integers(0, 10, count)
    first = data.draw(st.integers(0, count - 20))
    labels = truth.copy()
    labels[first:] = np.roll(truth[first:], shift)
    wrong = np.flatnonzero(labels != truth)
    assume(len(wrong) >= 12)
    (slip, *others) = find_slips(labels, sure_of(truth))
    assert others == []
    assert slip.shift == shift
    fitting = wrong[(wrong + shift >= first) & (wrong + shift < count)]  # the others came in again at the other end
    assert slip.first <= fitting[0]
    assert slip.last >= fitting[-1]
    assert slip.first >= wrong[0]


def test_two_slips_are_two():
    truth = np.random.default_rng(0).integers(0, 10, 200)
    labels = truth.copy()
    labels[20:60] = np.roll(truth[20:60], 1)
    labels[120:160] = np.roll(truth[120:160], -2)
    first, second = find_slips(labels, sure_of(truth))
    assert (first.shift, second.shift) == (1, -2)
    assert first.first - 20 in (0, 1)
    assert second.last - 159 in (-2, -1, 0)


def test_a_slip_of_sorted_labels_shows_at_the_borders_of_the_classes():
    truth = np.repeat(np.arange(10), 20)
    labels = np.roll(truth, 1)
    assert find_slips(labels, sure_of(truth)) == [Slip(0, 180, 1)]


def test_right_labels_have_no_slip():
    """Labels are drawn from the very probabilities, so that a slip is found by chance in 1 of 100 at most."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        probabilities = rng.dirichlet(np.full(10, 0.1), 100)
        labels = (probabilities.cumsum(axis=1) < rng.random((100, 1))).sum(axis=1).clip(0, 9)
        found += bool(find_slips(labels, probabilities))
    assert found <= 7  # with a chance of 1/100 each, more than that has one of 1/1000


def test_random_errors_are_no_slip():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 10, 2000)
    labels = np.where(rng.random(2000) < 0.1, rng.integers(0, 10, 2000), truth)
    assert find_slips(labels, sure_of(truth)) == []


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_slips_alone(count):
    assert find_slips(np.zeros(count, int), np.full((count, 10), 0.1)) == []


def test_runs_are_what_is_too_long_for_chance():
    suspicious = np.zeros(2000, bool)
    suspicious[[3, 50, 51, 200]] = True
    suspicious[100:106] = True
    suspicious[1997:] = True
    assert find_runs(suspicious) == [(100, 105), (1997, 1999)]
    assert find_runs(suspicious[-30:]) == []  # three of thirty may well be beside each other
    assert find_runs(np.ones(50, bool)) == []  # where all are suspicious, no run says more
    assert find_runs(np.zeros(0, bool)) == []
