"""Estimates against SciPy, and against the tests of compare.py and shares.py that they are the one-sided halves of."""

import numpy as np
import pytest
from scipy import stats

from digitexp.evaluation import compare, estimates, shares
from digitexp.evaluation.estimates import Estimate
from digitexp.evaluation.shares import Shares

RNG = np.random.default_rng(3)
A, B = (RNG.random((4, 300)) < share for share in (0.9, 0.84))


def test_of_hits_is_the_half_of_the_paired_test():
    found = estimates.of_hits(A, B)
    assert 2 * found.above(0) == pytest.approx(compare.paired(A, B))
    assert found.interval(0.9) == pytest.approx(compare.difference(A, B, 0.9))
    assert found.above(0) == pytest.approx(found.turned.below(0)) == pytest.approx(1 - found.below(0))


def test_of_hits_against_a_number():
    one = A[:1]
    expected = stats.ttest_1samp(one[0].astype(float), 0.87, alternative="greater").pvalue
    assert estimates.of_hits(one, 0.87).above(0) == pytest.approx(expected)
    assert estimates.of_hits(A, 0.87).mean == pytest.approx(A.mean() - 0.87)


def test_of_hits_without_spread_is_not_sure():
    same = estimates.of_hits(A, A)
    assert same.above(0) == 0.5
    assert same.below(2 / 300) < 0.05 < same.below(1 / 300)


def test_of_shares_is_the_half_of_the_unpaired_test():
    one, other = (Shares([0.90, 0.91, 0.93], 400), Shares([0.88, 0.87, 0.9], 400))
    found = estimates.of_shares(one, other)
    assert 2 * found.above(0) == pytest.approx(shares.unpaired(one, other))
    assert found.interval(0.9) == pytest.approx(shares.difference(one, other, 0.9))
    assert estimates.of_shares(one, 0.5).mean == pytest.approx(np.mean(one.accuracies) - 0.5)


def test_of_values_is_welch():
    one, other = [5.0, 6.0, 7.5], [8.0, 8.5, 9.0, 10.0]
    expected = stats.ttest_ind(one, other, equal_var=False, alternative="less").pvalue
    assert estimates.of_values(one, other).below(0) == pytest.approx(expected)
    assert estimates.of_values(one, 9.0).below(0) == pytest.approx(stats.ttest_1samp(one, 9, alternative="less").pvalue)


def test_what_does_not_vary_is_sure():
    assert estimates.of_values([1.5, 1.5], [2.5, 2.5]).below(0) == 0
    assert Estimate(1.0, 0.0, 1.0).above(1.0) == 1


@pytest.mark.parametrize(("one", "other"), [([3, 3, 3], [4, 4, 4]), ([3, 3, 3], [3, 3, 3])])
def test_whole_numbers_that_do_not_vary_are_not_sure(one, other):
    found = estimates.of_values([float(value) for value in one], [float(value) for value in other])
    assert found.error == pytest.approx((2 / 36) ** 0.5)
    assert 0.001 < found.below(0) <= 0.5
    low, high = found.interval(0.9)
    assert low < found.mean < high


def test_seldom_is_one_of_two_settings_with_the_same_epochs_said_to_be_quicker():
    drawn = np.random.default_rng(1).integers(3, 5, (2000, 2, 3)).astype(float)
    wrong = np.mean([estimates.of_values(one, other).below(0) < 0.05 / 40 for one, other in drawn])
    assert wrong <= 0.05 / 40
