"""The pool's own care for its workers; what becomes of a sweep is in test_sweep.py."""

import fake_training
import pytest

from digitexp.compose import compose
from digitexp.executors.executor import Bundle
from digitexp.executors.pool import Pool
from digitexp.results import Result

pytestmark = pytest.mark.slow


def test_a_worker_that_was_killed_while_it_waited_costs_no_run_a_try(fake, tmp_path):
    config = compose(["execution.workers=1", "execution.retries=0", "training.epochs=1"])
    pool = Pool(config.execution, fake_training.run)

    def train(number):
        bundle = Bundle([0], [config], [None], tmp_path / str(number))
        return dict(pool.run([bundle], lambda *told: None, lambda positions: True))

    try:
        assert isinstance(train(0)[0], Result)
        (idle,) = pool._workers
        idle.process.kill()
        idle.process.join()
        assert isinstance(train(1)[0], Result)
    finally:
        pool.close()
