"""Intervals and tests against published examples, SciPy, brute force, and simulated truth."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from digitexp.evaluation.compare import (
    ALPHA,
    Interval,
    against_best,
    difference,
    gains_apart,
    holm,
    interval,
    luck,
    luck_apart,
    mcnemar,
    paired,
    wilson,
)


def top_group(settings):
    """Which cannot be told from the best."""
    return [p >= ALPHA for p in against_best(settings)]


def hits(images, *shape):
    return hnp.arrays(np.bool_, (*shape, images))


# Two settings on the same images and seeds, `(2, seeds, images)`.
pairs_of_settings = st.tuples(st.integers(1, 4), st.integers(1, 30)).flatmap(lambda size: hnp.arrays(np.bool_, (2, *size)))
p_values = st.lists(st.floats(0, 1), max_size=12)


def simulate(rng, gain=0.0, spread=0.0, seeds=4, images=400):
    """Hits `(2, seeds, images)` of two settings: images differ in difficulty, training is noisy, and seeds have luck.

    Setting 0 is better by `gain`; `spread` is the standard deviation of a seed's luck. Both are in units of the noise.
    """
    ease = rng.normal(4, 2.5, images)
    luck = rng.normal(0, spread, (2, seeds, 1))
    better = np.array([gain, 0]).reshape(2, 1, 1)
    return ease + luck + better + rng.normal(0, 1, (2, seeds, images)) > 0


def equals(rng, count, seeds, spread, gain=0.0, images=400):
    """Hits `(count, seeds, images)` of settings as in `simulate`, equal but for their `gain`."""
    each = (count, 1, 1)
    luck_of_seeds = np.broadcast_to(spread, count).reshape(each) * rng.normal(0, 1, (count, seeds, 1))
    better = np.broadcast_to(gain, count).reshape(each)
    return rng.normal(4, 2.5, images) + luck_of_seeds + better + rng.normal(0, 1, (count, seeds, images)) > 0


class TestWilson:
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    @pytest.mark.parametrize(
        ("correct", "n", "low", "high"),
        [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
    )
    def test_published_examples(self, correct, n, low, high):
        assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)

    def test_of_nothing_nothing_is_known(self):
        assert wilson(0, 0) == Interval(0.0, 1.0)

    @given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.9, 0.95]))
    def test_is_that_of_scipy(self, counts, confidence):
        theirs = stats.binomtest(*counts).proportion_ci(confidence, method="wilson")
        assert wilson(*counts, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
        assert wilson(*counts).low <= counts[0] / counts[1] <= wilson(*counts).high

    @settings(deadline=None, max_examples=50)
    @given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_holds_the_share_and_shrinks_with_more_images(self, share):
        correct, n = share
        low, high = wilson(correct, n)
        more = wilson(10 * correct, 10 * n)
        assert 0 <= low <= correct / n + 1e-12
        assert correct / n - 1e-12 <= high <= 1
        assert more.high - more.low < high - low


class TestInterval:
    def test_of_one_run_is_wilson(self):
        run = np.arange(100) < 97
        assert interval([run]) == wilson(97, 100)

    def test_of_runs_that_agree_is_that_of_one(self):
        run = np.arange(100) < 97
        assert interval([run] * 5) == pytest.approx(wilson(97, 100), abs=4e-4)

    def test_of_runs_without_errors_is_not_a_point(self):
        assert interval(np.ones((5, 100), dtype=bool)) == wilson(100, 100)
        assert interval(np.zeros((5, 100), dtype=bool)) == wilson(0, 100)

    def test_of_no_images_is_everything(self):
        assert interval(np.ones((2, 0), dtype=bool)) == Interval(0.0, 1.0)

    @settings(deadline=None, max_examples=50)
    @given(pairs_of_settings)
    def test_holds_the_mean_and_stays_between_0_and_1(self, both):
        low, high = interval(both[0])
        assert 0 <= low <= both[0].mean() + 1e-9
        assert both[0].mean() - 1e-9 <= high <= 1
        assert low < high

    def test_shrinks_with_more_images_and_widens_with_unlike_seeds(self):
        rng = np.random.default_rng(3)
        runs, unlike = simulate(rng)[0], simulate(rng, spread=1.5)[0]
        few, many, wide = interval(runs), interval(np.tile(runs, 9)), interval(unlike)
        assert few.low < many.low < runs.mean() < many.high < few.high
        assert wide.high - wide.low > 1.5 * (few.high - few.low)

    @pytest.mark.parametrize(
        ("accuracy", "spread"), [(0.83, 0.0), (0.83, 0.2), (0.83, 1.2), (0.97, 0.0), (0.97, 0.2), (0.97, 0.8)]
    )
    @pytest.mark.parametrize("seeds", [3, 5])
    def test_covers_the_truth(self, accuracy, spread, seeds):
        """One of 20 misses, and what chance adds: seeds alike, and those whose accuracies differ by up to 0.1 or 0.02."""
        rng = np.random.default_rng(20)
        ease = stats.norm.ppf(accuracy) * np.sqrt(2.5**2 + spread**2 + 1)
        shape, covered = (300, seeds, 400), 0
        latent = rng.normal(ease, 2.5, (300, 1, 400)) + rng.normal(0, spread, (300, seeds, 1)) + rng.normal(0, 1, shape)
        for runs in latent > 0:
            low, high = interval(runs)
            covered += low <= accuracy <= high
        assert covered / 300 >= 0.92

    def test_of_no_runs_is_refused(self):
        with pytest.raises(ValueError, match="one or more runs"):
            interval([])

    def test_runs_on_different_images_are_refused(self):
        with pytest.raises(ValueError, match=r"found runs on \[2, 3\] images"):
            interval([np.ones(2, dtype=bool), np.ones(3, dtype=bool)])


class TestMcNemar:
    def test_counts_only_what_one_read_right(self):
        a = np.array([True] * 9 + [False] * 1 + [True] * 50 + [False] * 7)
        b = np.array([False] * 9 + [True] * 1 + [True] * 50 + [False] * 7)
        assert mcnemar(a, b) == pytest.approx(2 * (1 + 10) / 2**10)  # at most one head in ten throws, two-sided

    @settings(deadline=None, max_examples=50)
    @given(hits(30, 2))
    def test_is_symmetric_and_a_probability(self, both):
        assert 0 < mcnemar(*both) <= 1
        assert mcnemar(*both) == pytest.approx(mcnemar(*both[::-1]))
        assert mcnemar(both[0], both[0]) == 1.0

    def test_different_images_are_refused(self):
        with pytest.raises(ValueError, match="same images, found 3 and 4"):
            mcnemar(np.ones(3, dtype=bool), np.ones(4, dtype=bool))


class TestPaired:
    @settings(deadline=None, max_examples=50)
    @given(pairs_of_settings)
    def test_is_symmetric_and_a_probability(self, both):
        assert 0 < paired(*both) <= 1
        assert paired(*both) == pytest.approx(paired(*both[::-1]))
        assert paired(both[0], both[0]) == 1.0

    @settings(deadline=None, max_examples=50)
    @given(pairs_of_settings, st.randoms(use_true_random=False))
    def test_the_order_of_images_and_seeds_does_not_matter(self, both, random):
        _, seeds, images = both.shape
        moved = both[:, random.sample(range(seeds), seeds)][:, :, random.sample(range(images), images)]
        assert paired(*both) == pytest.approx(paired(*moved))

    def test_of_one_seed_is_mcnemar(self):
        a, b = simulate(np.random.default_rng(7), seeds=1)
        assert paired(a, b) == mcnemar(a[0], b[0])

    def test_is_a_t_test_over_images_where_all_seeds_agree(self):
        a, b = np.repeat(simulate(np.random.default_rng(8), gain=0.5, seeds=1), 3, axis=1)
        assert paired(a, b) == pytest.approx(stats.ttest_1samp(a[0].astype(float) - b[0], 0).pvalue)

    def test_is_a_t_test_over_seeds_where_all_images_agree(self):
        a, b = np.repeat([[[1], [1], [0], [1], [1]], [[0], [0], [0], [1], [0]]], 50, axis=2).astype(bool)
        assert paired(a, b) == pytest.approx(stats.ttest_1samp([1, 1, 0, 0, 1], 0).pvalue)

    def test_agrees_with_a_two_way_table_by_hand(self):
        a = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], dtype=bool)
        b = np.zeros_like(a)
        # Sums of squares about the mean 1/2: 3 in all, of images 5/3, of seeds 1/2; degrees of freedom 11 = 3 + 2 + 6.
        images, seeds, rest = 5 / 3 / 3, 1 / 2 / 2, (3 - 5 / 3 - 1 / 2) / 6
        variance = images + seeds - rest
        freedom = variance**2 / (images**2 / 3 + seeds**2 / 2 + rest**2 / 6)
        assert paired(a, b) == pytest.approx(2 * stats.t.sf(0.5 / np.sqrt(variance / 12), freedom))

    def test_without_any_spread_is_mcnemar(self):
        assert paired(np.ones((2, 9), dtype=bool), np.zeros((2, 9), dtype=bool)) == pytest.approx(2 / 2**9)

    def test_few_images_are_never_certain(self):
        a = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], dtype=bool)  # neither images nor seeds differ, yet not all is alike
        assert paired(a, np.zeros_like(a)) > 0.05

    @pytest.mark.parametrize("spread", [0.0, 0.2, 0.5])
    def test_seldom_finds_a_difference_where_there_is_none(self, spread):
        rng = np.random.default_rng(9)
        found = np.mean([paired(*simulate(rng, spread=spread)) < 0.05 for _ in range(500)])
        assert found < 0.08

    def test_luck_of_seeds_would_mislead_a_test_of_images_alone(self):
        rng = np.random.default_rng(10)
        fooled = [stats.ttest_1samp(np.subtract(*simulate(rng, spread=0.5).mean(axis=1)), 0).pvalue for _ in range(300)]
        assert np.mean(np.array(fooled) < 0.05) > 0.2

    def test_finds_a_difference_where_there_is_one(self):
        rng = np.random.default_rng(11)
        found = np.mean([paired(*simulate(rng, gain=0.6, images=2000)) < 0.05 for _ in range(50)])
        assert found > 0.9

    def test_different_seeds_or_images_are_refused(self):
        with pytest.raises(ValueError, match=r"found 2 x 5 and 3 x 5 \(seeds x images\)"):
            paired(np.ones((2, 5), dtype=bool), np.ones((3, 5), dtype=bool))


class TestGainsApart:
    def test_of_one_seed_it_is_welch_on_the_gains(self):
        rng = np.random.default_rng(0)
        after, before, late, early = (rng.random(n) < share for n, share in ((300, 0.9), (300, 0.6), (90, 0.8), (90, 0.7)))
        found = gains_apart(([after], [before]), ([late], [early]))
        gains = [one.astype(float) - other for one, other in ((after, before), (late, early))]
        expected = stats.ttest_ind(*gains, equal_var=False)
        assert found.share == pytest.approx(gains[0].mean() - gains[1].mean())
        assert tuple(found.interval) == pytest.approx(tuple(expected.confidence_interval(0.95)))

    def test_others_who_gain_nothing_add_no_doubt(self):
        rng = np.random.default_rng(1)
        own = tuple([rng.random(200) < share for _ in range(3)] for share in (0.8, 0.7))
        still = [rng.random(50) < 0.9] * 3
        assert gains_apart(own, (still, still)).interval == pytest.approx(difference(*own))

    def test_nothing_changes_anywhere(self):
        still = [np.ones(50, bool)] * 3
        assert gains_apart((still, still), (still, still)) == (0.0, (-1 / 50, 1 / 50))

    def test_covers_the_truth_as_often_as_it_says(self):
        rng = np.random.default_rng(2)
        covered = 0
        for _ in range(300):
            own, other = (
                tuple(list(rng.random((4, n)) < np.clip(share + rng.normal(0, 0.02, (4, 1)), 0, 1)) for share in shares)
                for n, shares in ((200, (0.8, 0.6)), (300, (0.7, 0.6)))
            )
            low, high = gains_apart(own, other).interval
            covered += low <= 0.1 <= high
        assert covered / 300 >= 0.92


class TestHolm:
    def test_worked_example(self):
        np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])

    @settings(deadline=None, max_examples=50)
    @given(p_values)
    def test_agrees_with_the_definition(self, p):
        """A hypothesis falls at every level at which it and all smaller ones pass alpha / (those not yet fallen)."""
        expected = [
            min(1, max((sum(r >= q for r in p) * q for q in p if q <= mine), default=0)) for mine in p
        ]  # of equal p-values the first of them to be tested decides, and it meets the strictest level
        np.testing.assert_allclose(holm(p), expected)

    @settings(deadline=None, max_examples=50)
    @given(p_values, st.randoms(use_true_random=False))
    def test_keeps_the_order_given_and_that_of_size(self, p, random):
        order = random.sample(range(len(p)), len(p))
        adjusted = holm(p)
        np.testing.assert_allclose(holm([p[i] for i in order]), [adjusted[i] for i in order])
        assert all(a <= b for a, b in pairwise(adjusted[np.argsort(p)]))
        assert np.all(adjusted >= p)


    def test_what_was_picked_counts_as_all_pairs_not_yet_told_apart(self):
        np.testing.assert_allclose(holm([0.001, 0.02, 0.004], picked=True), [0.006, 0.02, 0.012])
        np.testing.assert_allclose(holm([0.01], picked=True), [0.01])


class TestLuck:
    def test_is_that_of_all_settings(self):
        found = luck([[0.90, 0.92, 0.94], [0.80, 0.80, 0.80], [0.70, 0.71, 0.72]])
        assert found == [pytest.approx(((4e-4 + 0 + 1e-4) / 3, 6))] * 3

    def test_a_setting_that_diverges_stands_for_itself(self):
        *alike, wild = luck([[0.98, 0.981, 0.982]] * 6 + [[0.1, 0.5, 0.9]])
        assert alike == [pytest.approx((1e-6, 12))] * 6
        assert wild == pytest.approx((0.16, 2))
        assert luck_apart(alike[0], alike[1]) == pytest.approx((2e-6, 12))
        assert luck_apart(alike[0], wild) == pytest.approx((0.160001, 2), rel=1e-4)

    @pytest.mark.parametrize("accuracies", [[[0.5, 0.5]] * 4, [[0.1, 0.9], [0.5, 0.5]]])
    def test_two_settings_or_none_that_differs_are_one_pool(self, accuracies):
        assert len(set(luck(accuracies))) == 1

    def test_of_which_none_else_differs_stands_for_itself(self):
        assert [one.variance for one in luck([[0.5, 0.5], [0.1, 0.9], [0.6, 0.6]])] == pytest.approx([0, 0.32, 0])


class TestTopGroup:
    def test_settings_that_read_alike_are_all_in_it(self):
        a, b = simulate(np.random.default_rng(12))
        assert top_group([a, b, a]) == [True, True, True]

    def test_a_clearly_worse_setting_is_not(self):
        a, b = simulate(np.random.default_rng(13), gain=3)
        assert top_group([b, a, a]) == [False, True, True]

    def test_one_seed_each_is_enough(self):
        a, b = simulate(np.random.default_rng(14), gain=3, seeds=1)
        assert top_group([a, b]) == [True, False]

    def test_more_comparisons_need_more_evidence(self):
        a = np.ones(100, dtype=bool)
        b = np.arange(100) >= 7  # McNemar 2 / 2 ** 7 = 0.016
        assert top_group([[a], [b]]) == [True, False]
        assert top_group([[a], [b], [a], [a], [a]]) == [True, True, True, True, True]

    def test_the_best_is_always_in_it(self):
        assert top_group([[np.array([False])]]) == [True]

    def test_seldom_leaves_out_the_best(self):
        """Eight settings of which the first is truly best, by a little."""
        rng = np.random.default_rng(16)
        left_out = 0
        for _ in range(150):
            ease = rng.normal(4, 2.5, 400)
            better = np.zeros((8, 1, 1))
            better[0] = 0.05
            runs = ease + better + rng.normal(0, 0.2, (8, 3, 1)) + rng.normal(0, 1, (8, 3, 400)) > 0
            left_out += not top_group(runs)[0]
        assert left_out / 150 < 0.05

    @pytest.mark.parametrize(
        ("count", "seeds", "spread"),
        [(4, 3, 0.2), (8, 1, 0.0), (8, 2, 0.5), (8, 3, 0.2), (8, 3, 0.5), (20, 3, 0.2), (8, 3, [0.2] * 4 + [0.4] * 4)],
    )
    def test_seldom_calls_one_of_equal_settings_worse(self, count, seeds, spread):
        rng = np.random.default_rng(17)
        found = [not all(top_group(equals(rng, count, seeds, spread))) for _ in range(100)]
        assert np.mean(found) <= 0.08

    def test_a_setting_that_diverges_hides_no_difference(self):
        """Seven settings of which two are worse, and one that reads most images now and then."""
        rng, told = np.random.default_rng(18), 0
        for _ in range(60):
            gain = np.array([0, 0, 0, 0, 0, -1.5, -1.5, -3])
            told += top_group(equals(rng, 8, 3, [0.2] * 7 + [4], gain))[:7] == [True] * 5 + [False] * 2
        assert told / 60 > 0.8
