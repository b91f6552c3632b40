"""What a plan says of the time that is to come."""

import pytest

from digitexp.compose import compose
from digitexp.costs import GUESSED_RATE, START_SECONDS, Spent, expected_seconds, training_tflop
from digitexp.planning import plan


@pytest.fixture
def jobs():
    return plan(compose(["search.name=asked", "search.space={optimizer.name:[adam,sgd]}"])).listed_jobs()


def test_without_a_record_it_is_a_guess(jobs):
    seconds, known = expected_seconds(jobs, [Spent("cnn", 1.0, 9.0)])
    tflop = sum(training_tflop(job.config) for job in jobs)
    assert (seconds, known) == (pytest.approx(len(jobs) * START_SECONDS + tflop * GUESSED_RATE["dense"]), False)


def test_many_small_runs_say_little_about_a_large_one(jobs):
    small = [Spent("dense", 0.001, START_SECONDS + 5.0)] * 100  # 5,000 seconds a TFLOP
    large = [Spent("dense", 1.0, START_SECONDS + 60.0), Spent("dense", 1.2, START_SECONDS + 96.0)]
    seconds, known = expected_seconds(jobs, [*small, *large])
    tflop = sum(training_tflop(job.config) for job in jobs)
    assert (seconds, known) == (pytest.approx(len(jobs) * START_SECONDS + tflop * 80), True)


def test_a_run_without_known_layers_takes_as_long_as_its_kind_did():
    jobs = plan(compose(["+sweep=baselines"])).listed_jobs()
    recorded = [Spent("baseline", None, seconds) for seconds in (2.0, 8.0, 90.0)]
    assert expected_seconds(jobs, recorded) == (pytest.approx(8.0 * len(jobs)), True)
    assert expected_seconds(jobs, [Spent("cnn", 1.0, 9.0)])[1] is False


def test_lanes_are_expected_to_take_what_lanes_took():
    asked = ["search.name=asked", "search.space={optimizer.name:[adam,sgd]}", "training.engine=lanes"]
    jobs = plan(compose(asked)).listed_jobs()
    tflop = sum(training_tflop(job.config) for job in jobs)
    spent = [Spent("dense", 1.0, START_SECONDS + 170.0), Spent("lanes", 1.0, 20.0)]
    assert expected_seconds(jobs, spent) == (pytest.approx(tflop * 20), True)


def test_what_is_known_of_runs_that_took_no_longer_than_their_start(jobs):
    tflop = sum(training_tflop(job.config) for job in jobs)
    seconds, known = expected_seconds(jobs, [Spent("dense", 0.001, 1.0)])
    assert (seconds, known) == (pytest.approx(len(jobs) * START_SECONDS + tflop * 1000), True)
