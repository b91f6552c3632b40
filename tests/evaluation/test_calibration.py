"""Calibration by hand and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from digitexp.evaluation.calibration import expected_error, reliability


def said(*sure):
    """Two classes, the first read with these probabilities."""
    return np.array([[one, 1 - one] for one in sure])


def test_by_hand():
    labels = np.array([0, 0, 0, 1, 0])
    bins = reliability(labels, said(0.65, 0.62, 0.9, 0.9, 1.0), bins=5)
    assert [(one.images, one.accuracy) for one in bins] == [(2, 1.0), (3, pytest.approx(2 / 3))]
    assert [(one.low, one.high) for one in bins] == [(pytest.approx(0.6), pytest.approx(0.8)), (pytest.approx(0.8), 1.0)]
    assert bins[0].confidence == pytest.approx(0.635)
    expected = 2 / 5 * (1 - 0.635) + 3 / 5 * abs(2 / 3 - 2.8 / 3)
    assert expected_error(labels, said(0.65, 0.62, 0.9, 0.9, 1.0), bins=5) == pytest.approx(expected)


def test_who_is_sure_and_right_has_no_error_and_who_is_sure_and_wrong_all_of_it():
    assert expected_error(np.array([0, 0]), said(1.0, 1.0)) == 0
    assert expected_error(np.array([1, 1]), said(1.0, 1.0)) == 1


@settings(max_examples=40)
@given(st.integers(1, 200), st.integers(0, 10**6))
def test_bins_are_those_of_scikit_learn(images, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(4), images)
    labels = rng.integers(0, 4, images)
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=15, strategy="uniform")
    bins = reliability(labels, probabilities)
    assert [one.accuracy for one in bins] == pytest.approx(list(accuracy))
    assert [one.confidence for one in bins] == pytest.approx(list(confidence))
    assert sum(one.images for one in bins) == images
