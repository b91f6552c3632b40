"""Ask for a batch of trials, have it run, tell the results in the order asked (law 2).

What is proposed depends on the question alone: never on how many trials run at once or which of them ends first. A
sweep that was interrupted is replayed: the oracle starts afresh from the same seed and is told what is finished.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner

from digitexp.search import oracles
from digitexp.space import Parameter, Point


@dataclass(frozen=True)
class Trial:
    """One point of the space, numbered from 0 in the order in which the oracle issued it."""

    number: int
    point: Point


BAYESIAN_BATCH = 4  # part of the question: a larger one learns less between its proposals

Evaluate = Callable[[Sequence[Trial]], Sequence[float | None] | None]


def search(
    method: str,
    parameters: Sequence[Parameter],
    points: Sequence[Point] | None,
    evaluate: Evaluate,
    *,
    trials: int = 0,
    epochs: int = 1,
    factor: int = 3,
    direction: str = "max",
    seed: int = 1,
) -> list[Trial]:
    """All trials that the oracle issued. `evaluate` gets a batch and returns its values in order, None for a failure.

    It returns None for the whole batch when nothing more is to be run, and the search ends.

    A batch is everything that can be proposed before a result is known: all of a list, all of a random search, a round of
    every bracket of Hyperband. Bayesian search proposes BAYESIAN_BATCH trials at a time, however many can run at once.
    `epochs` is Hyperband's horizon; each of its points says in `training.until` how far the trial is trained.
    """
    oracle = oracles.oracle(
        method, parameters, points, trials=trials, epochs=epochs, factor=factor, direction=direction, seed=seed
    )
    most = BAYESIAN_BATCH if method == "bayesian" else None
    done: list[Trial] = []
    while batch := _ask(oracle, parameters, len(done), most):
        issued = [trial for trial, _ in batch]
        done += issued
        values = evaluate(issued)
        if values is None:
            break
        for (_, asked), value in zip(batch, values, strict=True):
            if value is None and method == "hyperband":
                # KerasTuner keeps so many of a round as it was to have: were one missing, the bracket would end before its
                # horizon. What failed is the worst of its round instead.
                value = -math.inf if direction == "max" else math.inf
            if value is None:
                asked.status = "FAILED"
            else:
                oracle.update_trial(asked.trial_id, {oracles.OBJECTIVE: value})
                asked.status = "COMPLETED"
            oracle.end_trial(asked)
    return done


def _ask(
    oracle: keras_tuner.Oracle, parameters: Sequence[Parameter], first: int, most: int | None
) -> list[tuple[Trial, Any]]:
    """Our trials, each beside KerasTuner's."""
    batch: list[tuple[Trial, Any]] = []
    while most is None or len(batch) < most:
        number = first + len(batch)
        asked = oracle.create_trial(f"trial {number}")  # KerasTuner gives each of its workers one trial at a time
        if asked.status != "RUNNING":
            break
        batch.append((Trial(number, oracles.decode(parameters, asked.hyperparameters.values)), asked))
    return batch
