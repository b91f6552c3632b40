"""Importance finds what was put in, and says how sure it is."""

import numpy as np

from digitexp.evaluation.importance import importance


def points_of(rng, trials):
    return [
        {
            "optimizer.name": str(rng.choice(["adam", "sgd", "ftrl"])),
            "model.layer_1.units": int(rng.integers(16, 256)),
            "training.batch_size": 32 * int(rng.integers(1, 5)),
        }
        for _ in range(trials)
    ]


def test_what_decides_is_found_and_what_does_not_is_not():
    rng = np.random.default_rng(0)
    points = points_of(rng, 60)
    values = [
        0.9 * (one["optimizer.name"] == "adam") + 0.002 * one["model.layer_1.units"] + rng.normal(0, 0.02) for one in points
    ]
    found = importance(points, values, resamples=8)
    mean = dict(zip(found.paths, found.drops.mean(axis=0), strict=True))
    low = dict(zip(found.paths, np.quantile(found.drops, 0.025, axis=0), strict=True))
    assert mean["optimizer.name"] > 1
    assert low["optimizer.name"] > 0
    assert abs(mean["training.batch_size"]) < 0.03 < mean["model.layer_1.units"] < mean["optimizer.name"]
    assert found.explained > 0.8


def test_noise_is_not_explained():
    rng = np.random.default_rng(1)
    found = importance(points_of(rng, 30), list(rng.normal(size=30)), resamples=6)
    assert found.explained < 0.2
    assert np.all(np.quantile(found.drops, 0.025, axis=0) < 0.1)


def test_too_little_says_nothing():
    rng = np.random.default_rng(2)
    assert importance(points_of(rng, 19), list(rng.normal(size=19))) is None
    assert importance(points_of(rng, 30), [0.5] * 30) is None
    assert importance([{"loss": value} for value in "ab" * 15], list(rng.normal(size=30))) is None


def test_settings_that_are_absent_are_a_kind_of_their_own():
    rng = np.random.default_rng(3)
    points = [
        {"optimizer.name": "sgd", "optimizer.momentum": float(rng.uniform())} if place % 2 else {"optimizer.name": "adam"}
        for place in range(40)
    ]
    values = [1.0 if "optimizer.momentum" in one else rng.normal(0, 0.01) for one in points]
    found = importance(points, values, resamples=4)
    assert sorted(found.paths) == ["optimizer.momentum", "optimizer.name"]
    assert found.explained > 0.9
