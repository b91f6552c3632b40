"""Accuracies alone: intervals and p-values that err towards a tie."""

import numpy as np
import pytest

from digitexp.evaluation import compare
from digitexp.evaluation.shares import Shares, against_best, interval, unpaired


@pytest.mark.parametrize("correct", [0, 1, 150, 199, 200])
def test_of_one_seed_it_is_wilsons(correct):
    assert interval(Shares([correct / 200], 200)) == compare.wilson(correct, 200)


def test_seeds_that_agree_are_one_seed_and_seeds_that_differ_widen_it():
    one = compare.wilson(180, 200)
    assert interval(Shares([0.9, 0.9, 0.9], 200)) == pytest.approx(one)
    low, high = interval(Shares([0.85, 0.9, 0.95], 200))
    assert low < one.low
    assert high > one.high


@pytest.mark.parametrize("accuracies", [[1.0, 1.0], [0.0, 0.0]])
def test_it_stays_between_0_and_1(accuracies):
    low, high = interval(Shares(accuracies, 50))
    assert 0 <= low < high <= 1


def test_the_interval_covers_the_truth():
    """Seeds with a spread of their own on images of their own: at least 95 of 100, less what chance allows."""
    rng = np.random.default_rng(0)
    truth, covered = 0.9, 0
    for _ in range(400):
        shares = np.clip(truth + rng.normal(0, 0.005, 3), 0, 1)
        low, high = interval(Shares(list(rng.binomial(500, shares) / 500), 500))
        covered += low <= truth <= high
    assert covered / 400 > 0.93


def test_it_tells_apart_what_lies_apart_and_no_more_than_pairs_do():
    better, worse = np.arange(500) < 480, np.arange(500) < 465
    alone = unpaired(Shares([0.96], 500), Shares([0.93], 500))
    assert 0.02 < alone < 0.06
    assert alone > compare.mcnemar(better, worse)
    assert unpaired(Shares([0.9], 500), Shares([0.5], 500)) < 1e-6
    assert unpaired(Shares([0.9], 500), Shares([0.9], 500)) == pytest.approx(1)


def test_two_perfect_settings_are_alike():
    assert unpaired(Shares([1.0], 40), Shares([1.0], 40)) == pytest.approx(1)


def test_the_best_has_1_and_is_the_first_of_equals():
    assert against_best([Shares([0.5], 400), Shares([0.9], 400), Shares([0.9], 400)]) == pytest.approx([0, 1, 1], abs=1e-9)
