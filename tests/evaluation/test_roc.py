"""Areas and curves against hand-made cases, against scikit-learn's own average, and against their meaning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from digitexp.evaluation.roc import areas, curves, found_at, mean_area


@st.composite
def readings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Labels of 3 classes, each there, and probabilities with ties."""
    labels = np.array([0, 1, 2, *draw(st.lists(st.integers(0, 2), max_size=30))])
    scores = np.array(draw(st.lists(st.tuples(*[st.integers(1, 5)] * 3), min_size=len(labels), max_size=len(labels))))
    return labels, scores / scores.sum(axis=1, keepdims=True)


@settings(max_examples=50)
@given(readings())
def test_the_mean_is_scikit_learns(reading):
    labels, probabilities = reading
    expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert mean_area(labels, probabilities) == pytest.approx(expected)


@settings(max_examples=50)
@given(readings())
def test_an_area_is_how_often_an_image_of_the_class_is_above_another(reading):
    labels, probabilities = reading
    for digit, area in enumerate(areas(labels, probabilities)):
        own, others = probabilities[labels == digit, digit], probabilities[labels != digit, digit]
        above = own[:, None] - others[None, :]
        assert area == pytest.approx(np.mean(above > 0) + np.mean(above == 0) / 2)  # Mann and Whitney 1947


def test_a_perfect_a_reversed_and_an_even_class():
    labels = np.array([0, 0, 1, 1])
    first = np.array([0.9, 0.8, 0.2, 0.1])
    assert areas(labels, np.column_stack([first, 1 - first])).tolist() == [1, 1]
    assert areas(labels, np.column_stack([1 - first, first])).tolist() == [0, 0]
    assert areas(labels, np.full((4, 2), 0.5)).tolist() == [0.5, 0.5]


def test_a_class_that_is_absent_or_alone_has_no_area():
    probabilities = np.full((3, 3), 1 / 3)
    found = areas(np.array([0, 1, 1]), probabilities)
    assert np.isnan(found).tolist() == [False, False, True]
    assert mean_area(np.array([0, 1, 1]), probabilities) == 0.5
    assert mean_area(np.array([1, 1, 1]), probabilities) is None
    assert set(curves(np.array([0, 1, 1]), probabilities)) == {0, 1}


def test_what_is_found_at_a_share_of_false_alarms_by_hand():
    # Sorted by probability, of the class 0: own, other, own, other.
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])
    curve = curves(labels, probabilities)[0]
    assert found_at([curve], np.array([0, 0.49, 0.5, 1])).tolist() == [0.5, 0.5, 1, 1]
    assert areas(labels, probabilities)[0] == 0.75
    perfect = (np.array([0.0, 0, 1]), np.array([0.0, 1, 1]))
    assert found_at([curve, perfect], np.array([0.0, 0.5])).tolist() == [0.75, 1]
