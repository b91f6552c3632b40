"""What would end a tie, checked by simulation: so many more, and the difference is found four times in five."""

import numpy as np
import pytest

from digitexp.evaluation.compare import components, difference, error, luck, luck_apart, paired
from digitexp.evaluation.shares import Shares, further_seed, unpaired
from digitexp.evaluation.ties import Further, chance_better, further, further_shares


def simulate(rng, gain=0.2, spread=0.1, seeds=8, images=400):
    """Hits of two settings: images differ in difficulty, training is noisy, and seeds have luck."""
    ease = rng.normal(4, 2.5, images)
    luck = rng.normal(0, spread, (2, seeds, 1))
    better = np.array([gain, 0]).reshape(2, 1, 1)
    return ease + luck + better + rng.normal(0, 1, (2, seeds, images)) > 0


def median(found):
    return int(np.median([np.inf if number is None else number for number in found]))


def test_so_many_more_find_the_difference_four_times_in_five():
    rng = np.random.default_rng(0)
    found = [further(*simulate(rng)) for _ in range(40)]
    seeds, images = median(one.seeds for one in found), median(one.images for one in found)
    for more in ({"seeds": 8 + seeds}, {"images": 400 + images}):
        power = np.mean([paired(*simulate(rng, **more)) < 0.05 for _ in range(200)])
        assert 0.68 < power < 0.93, more


def test_the_luck_of_all_settings_counts_as_in_the_test():
    rng = np.random.default_rng(5)

    def six(seeds):
        settings = [setting for _ in range(3) for setting in simulate(rng, seeds=seeds)]
        return settings[0], settings[1], luck([setting.mean(axis=1) for setting in settings])[:2]

    found = median(further(a, b, lucks=tuple(lucks)).seeds for a, b, lucks in (six(8) for _ in range(60)))
    power = np.mean([paired(a, b, luck_apart(*lucks)) < 0.05 for a, b, lucks in (six(8 + found) for _ in range(200))])
    assert 0.68 < power < 0.93


def test_seeds_that_happen_to_lie_close_together_are_not_believed():
    a, b = simulate(np.random.default_rng(3), gain=0.3, spread=0, seeds=3)
    others = [[0.93, 0.95, 0.97], [0.90, 0.92, 0.94]]
    lucks = tuple(luck([a.mean(axis=1), b.mean(axis=1), *others])[:2])
    p, believed = paired(a, b, luck_apart(*lucks)), paired(a, b)
    assert believed < p
    assert further(a, b, 1e-3).seeds < further(a, b, 1e-3, lucks=lucks).seeds
    assert further(a, b, lucks=lucks).images is None  # no image takes the luck away


def test_of_one_seed_images_are_found_by_mcnemar():
    rng = np.random.default_rng(1)
    found = [further(*simulate(rng, gain=0.5, spread=0, seeds=1)) for _ in range(60)]
    assert all(one.seeds is None for one in found)
    images = 400 + median(one.images for one in found)
    power = np.mean([paired(*simulate(rng, gain=0.5, spread=0, seeds=1, images=images)) < 0.05 for _ in range(200)])
    assert 0.68 < power < 0.93


def test_luck_of_seeds_is_not_averaged_away_by_images():
    a = np.zeros((3, 400), bool)
    b = a.copy()
    a[0, :60], a[1, :20], b[2, :20] = True, True, True  # seeds differ far more than images
    assert further(a, b).images is None
    assert further(a, b).seeds is not None


def test_of_one_image_nothing_can_be_said():
    right, wrong = np.array([True]), np.array([False])
    assert further([right, right], [wrong, right]) == (None, None)


def test_what_is_alike_is_never_told_apart():
    a = np.arange(100) < 90
    assert further([a, a], [a, a]) == Further(None, None)
    assert further([a], [a]) == Further(None, None)
    assert further_shares(Shares([0.9, 0.8], 100), Shares([0.8, 0.9], 100)) == Further(None, None)


def test_of_shares_alone():
    """As if the images were others: brute force over the same test."""
    a, b = Shares([0.900, 0.902, 0.904], 400), Shares([0.880, 0.882, 0.884], 400)
    assert unpaired(a, b) > 0.05
    more = further_shares(a, b).images
    enough = unpaired(Shares(a.accuracies, 400 + more), Shares(b.accuracies, 400 + more))
    assert enough < 0.05
    assert unpaired(Shares(a.accuracies, 400 + more // 3), Shares(b.accuracies, 400 + more // 3)) > enough
    assert further_shares(Shares([0.9], 400), Shares([0.8], 400)).seeds is None
    lucky = luck([a.accuracies, b.accuracies, [0.7, 0.8, 0.9]])[:2]
    assert further_shares(a, b, lucks=tuple(lucky)).images == more  # the third stands for itself
    lucky = luck([a.accuracies, b.accuracies, [0.890, 0.894, 0.898]])[:2]
    assert further_shares(a, b, lucks=tuple(lucky)).images > more


def test_chance_better_counts_pairs_of_seeds():
    rows = np.arange(100)
    a = [rows < 90, rows < 80, rows < 85]
    b = [rows < 80, rows < 80, rows < 90]
    share, (low, high) = chance_better(a, b)
    assert share == pytest.approx((1 + 0.5 + 0) / 3)
    assert 0 < low < share < high < 1
    assert chance_better(b, a)[0] == pytest.approx(1 - share)
    with pytest.raises(ValueError, match="seeds are compared in pairs, found 3 and 1"):
        chance_better(a, b[:1])


def test_the_interval_of_a_difference_says_what_the_test_says():
    rng = np.random.default_rng(2)
    for _ in range(30):
        a, b = simulate(rng, seeds=3)
        p = paired(a, b)
        low, high = difference(a, b, 1 - p)  # at this very level one end lies at 0
        assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
        assert difference(b, a) == pytest.approx([-end for end in reversed(difference(a, b))])


def test_components_are_those_of_the_table():
    """Of many seeds and images, the variances that went in come out."""
    rng = np.random.default_rng(3)
    table = rng.normal(0, 1, (1, 800)) + rng.normal(0, 0.5, (400, 1)) + rng.normal(0, 2, (400, 800))
    parts = components(table)
    assert parts == pytest.approx((1, 0.25, 4), rel=0.15)
    spread, _ = error(parts, 400, 800)
    assert spread == pytest.approx(np.sqrt(1 / 800 + 0.25 / 400 + 4 / 320_000), rel=0.1)


def test_a_further_seed_lies_where_it_is_said_to():
    rng = np.random.default_rng(4)
    draws = rng.normal(0.9, 0.01, (2000, 4))
    ranges = [further_seed(list(three)) for *three, _ in draws]
    inside = [low <= last <= high for (low, high), last in zip(ranges, draws[:, -1], strict=True)]
    assert 0.93 < np.mean(inside) < 0.97
    assert further_seed([0.9]) is None
