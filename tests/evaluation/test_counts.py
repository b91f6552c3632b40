"""Published counts against worked examples of the literature, exact fractions, and simulation."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from digitexp.evaluation.counts import (
    Count,
    correlation,
    correlation_of_settings,
    difference,
    fisher,
    needed,
    needed_for_equality,
)

counts = st.integers(1, 60).flatmap(lambda n: st.builds(Count, st.integers(0, n), st.just(n)))


def exact(a, b):
    """Fisher's p-value as a fraction: every table of the same margins that is no likelier than the one that was found."""
    total, right = a.n + b.n, a.correct + b.correct
    ways = [
        Fraction(math.comb(a.n, k) * math.comb(b.n, right - k), math.comb(total, right))
        for k in range(max(0, right - b.n), min(a.n, right) + 1)
    ]
    found = Fraction(math.comb(a.n, a.correct) * math.comb(b.n, b.correct), math.comb(total, right))
    return float(sum(way for way in ways if way <= found))


def test_the_lady_who_tasted_tea():
    assert fisher(Count(3, 4), Count(1, 4)) == pytest.approx(34 / 70)  # Fisher 1935


@settings(max_examples=60)
@given(counts, counts)
def test_fisher_is_the_sum_of_exact_fractions(a, b):
    assert fisher(a, b) == pytest.approx(exact(a, b), rel=1e-6)


# Newcombe (1998), Statistics in Medicine 17, 873-890, table II, method 10.
@pytest.mark.parametrize(
    ("a", "b", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
    ],
)
def test_intervals_of_a_difference_as_published(a, b, low, high):
    assert difference(Count(*a), Count(*b)) == pytest.approx((low, high), abs=5e-5)


@settings(max_examples=40)
@given(counts, counts)
def test_the_interval_turns_with_the_pair(a, b):
    low, high = difference(a, b)
    assert low <= a.share - b.share <= high
    assert difference(b, a) == pytest.approx((-high, -low))


def test_needed_as_published():
    assert needed(0.6, 0.7) == 376  # Fleiss, Levin and Paik (2003), table A.4
    assert needed_for_equality(0.5, 0.1) == math.ceil(0.5 * (1.6449 + 1.2816) ** 2 / 0.01)
    assert needed(0.5, 0.5) is None


def test_so_many_images_find_the_difference_four_times_in_five():
    n, rng = needed(0.7, 0.85), np.random.default_rng(0)
    pairs = rng.binomial(n, [0.7, 0.85], (400, 2))
    found = np.mean([fisher(Count(int(a), n), Count(int(b), n)) < 0.05 for a, b in pairs])
    assert 0.74 < found < 0.87


def test_so_many_images_show_equality_four_times_in_five():
    n, rng = needed_for_equality(0.9, 0.03), np.random.default_rng(1)
    pairs = rng.binomial(n, 0.9, (400, 2))
    ends = [difference(Count(int(a), n), Count(int(b), n), 0.9) for a, b in pairs]
    assert 0.74 < np.mean([low > -0.03 and high < 0.03 for low, high in ends]) < 0.86


class TestCorrelation:
    def test_is_spearmans(self):
        a, b = [1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]
        r, (low, high), p = correlation(a, b)
        assert r == pytest.approx(1 - 6 * 6 / (6 * 35))  # the formula for ranks without ties
        assert p == pytest.approx(stats.spearmanr(a, b).pvalue)
        assert -1 < low < r < high < 1

    def test_covers_the_truth(self):
        rng, truth = np.random.default_rng(2), 6 / np.pi * np.arcsin(0.5 / 2)  # of a normal pair with correlation 1/2
        pairs = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], (500, 30))
        inside = [low <= truth <= high for _, (low, high), _ in (correlation(*table.T) for table in pairs)]
        assert 0.92 < np.mean(inside) < 0.98

    def test_of_too_little_says_nothing(self):
        assert math.isnan(correlation([1, 2, 3], [1, 2, 3])[0])
        assert math.isnan(correlation([1, 1, 1, 1], [1, 2, 3, 4])[0])

    def test_runs_of_a_setting_are_no_settings(self):
        """Ten seeds of each of five settings are not fifty settings: the interval stays that of five."""
        rng = np.random.default_rng(3)
        few = [[(x, y)] for x, y in rng.normal(size=(5, 2))]
        many = [[(x + rng.normal(0, 1e-3), y + rng.normal(0, 1e-3)) for _ in range(10)] for ((x, y),) in few]
        (_, one), (_, ten) = correlation_of_settings(few), correlation_of_settings(many)
        assert one.high - one.low > 1
        assert ten.high - ten.low > 0.7 * (one.high - one.low)
        naive = correlation(*np.reshape(many, (-1, 2)).T)[1]
        assert naive.high - naive.low < 0.7 * (ten.high - ten.low)

    def test_of_settings_that_agree_is_one(self):
        r, (low, high) = correlation_of_settings([[(x, 2 * x)] for x in range(6)])
        assert (r, low, high) == pytest.approx((1, 1, 1))
        assert math.isnan(correlation_of_settings([[(1, 2)], [(2, 3)]])[0])
