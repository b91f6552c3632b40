"""KerasTuner's oracles for our spaces: the list of points that a question spells out, random and Bayesian search.

Every trial is issued by an oracle. KerasTuner's own grid search cannot resume, and its files are read back without a
look at what changed; so lists are expanded by us (space.py), the oracles write nothing, and a sweep resumes by replay.
"""

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import keras_tuner

from digitexp.space import Parameter, Point, Range

OBJECTIVE = "objective"
UNTIL = "training.until"  # the setting in which a point of Hyperband says how far it is trained


class _Fileless(keras_tuner.Oracle):
    """An oracle that keeps its state in memory and stays silent."""

    def save(self) -> None:
        pass

    def _save_trial(self, trial: Any) -> None:
        pass


class ListOracle(_Fileless):
    """Proposes the given points, in their order."""

    def __init__(self, points: Sequence[dict[str, Any]], **settings: Any) -> None:
        super().__init__(max_trials=len(points), allow_new_entries=False, **settings)
        self._points = list(points)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        return {"status": "RUNNING", "values": self._points[int(trial_id)]}


class RandomOracle(_Fileless, keras_tuner.oracles.RandomSearchOracle):
    """KerasTuner's random search: points drawn independently, none twice."""


class BayesianOracle(_Fileless, keras_tuner.oracles.BayesianOptimizationOracle):
    """KerasTuner's Gaussian process; a point that it proposes again is replaced by a random one.

    Left alone it may propose one point most of the time (keras-tuner issue 608): 100 trials, 12 different points.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a kernel's length at its bound is no news to whoever reads a sweep
            response = super().populate_space(trial_id)
        if response["status"] == "RUNNING" and self._duplicate(self._active(response["values"])):
            return self._random_populate_space()
        return response

    def _active(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values without those whose conditions do not hold, as KerasTuner remembers what it has tried."""
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = dict(values)
        hyperparameters.ensure_active_values()
        return {name: value for name, value in hyperparameters.values.items() if name in hyperparameters}


class HyperbandOracle(_Fileless, keras_tuner.oracles.HyperbandOracle):
    """KerasTuner's Hyperband: random points for few epochs, the best of each round for `factor` times as many."""


ORACLES = {"random": RandomOracle, "bayesian": BayesianOracle}


def oracle(
    method: str,
    parameters: Sequence[Parameter],
    points: Sequence[Point] | None,
    *,
    trials: int,
    epochs: int,
    factor: int,
    direction: str,
    seed: int,
) -> keras_tuner.Oracle:
    """The oracle for `points`, or where there are none, for `trials` points that `method` proposes from `seed`.

    Hyperband proposes as many as its brackets hold, of at most `epochs` epochs.
    """
    settings = {
        "objective": keras_tuner.Objective(OBJECTIVE, direction),
        "hyperparameters": hyperparameters(parameters),
        "seed": seed,
        "max_consecutive_failed_trials": 1_000_000,  # the loop decides when to give up, not the oracle
    }
    if points is not None:
        chosen = ListOracle([encode(parameters, point) for point in points], **settings)
    elif method == "hyperband":
        chosen = HyperbandOracle(max_epochs=epochs, factor=factor, **settings)
    else:
        chosen = ORACLES[method](max_trials=trials, **settings)
    chosen.verbose = 0
    return chosen


def hyperparameters(parameters: Sequence[Parameter]) -> keras_tuner.HyperParameters:
    """The space in KerasTuner's terms, each setting under its dotted path."""
    space = keras_tuner.HyperParameters()
    by_path = {parameter.path: parameter for parameter in parameters}
    for parameter in parameters:
        with ExitStack() as conditions:
            for parent, values in _conditions(parameter, by_path):
                encoded = [_encode(parent, value) for value in values]
                conditions.enter_context(space.conditional_scope(parent.path, encoded))
            _declare(space, parameter)
    return space


def _conditions(parameter: Parameter, by_path: Mapping[str, Parameter]) -> Iterator[tuple[Parameter, tuple[Any, ...]]]:
    """What a parameter is conditional on, outermost first: KerasTuner finds a conditional parent only within its scope."""
    for path, values in parameter.when.items():
        yield from _conditions(by_path[path], by_path)
        yield by_path[path], values


def _declare(space: keras_tuner.HyperParameters, parameter: Parameter) -> None:
    values = parameter.values
    if not isinstance(values, Range):
        if parameter.type is bool and None not in values:
            space.Boolean(parameter.path)
        else:
            space.Choice(parameter.path, list(dict.fromkeys(_encode(parameter, value) for value in values)))
        return
    sampling = "log" if values.log else "linear"
    if parameter.type is int and (values.step is None or not values.log):
        step = None if values.log else int(values.step or 1)
        space.Int(parameter.path, int(values.low), int(values.high), step=step, sampling=sampling)
        return
    high = float(values.high)
    if values.step is not None and not values.log:
        high += values.step * 1e-6  # KerasTuner counts steps in rounded numbers, and would leave out the last
    space.Float(parameter.path, float(values.low), high, step=values.step, sampling=sampling)


def encode(parameters: Sequence[Parameter], point: Point) -> dict[str, Any]:
    """A point in KerasTuner's values: `Choice` takes one type of str, int or float, so null and lists become labels."""
    return {parameter.path: _encode(parameter, point[parameter.path]) for parameter in parameters if parameter.path in point}


def decode(parameters: Sequence[Parameter], values: dict[str, Any]) -> Point:
    """A point from KerasTuner's values; settings whose conditions do not hold are left out."""
    point: Point = {}
    for parameter in parameters:
        if parameter.path in values and parameter.active(point):
            value = values[parameter.path]
            if value is None:  # a reference value, which no list of values need have
                point[parameter.path] = None
            elif isinstance(parameter.values, Range) and parameter.values.step is not None:
                point[parameter.path] = _listed(parameter, value)
            else:
                point[parameter.path] = json.loads(value) if _labelled(parameter) else parameter.type(value)
    return point | ({UNTIL: int(values["tuner/epochs"])} if "tuner/epochs" in values else {})


def _listed(parameter: Parameter, value: float) -> Any:
    """The value of a stepped range that a sum of steps stands for; a reference value need not be one."""
    nearest = min(parameter.listed(), key=lambda one: abs(one - value))
    rounding = 0.5 if parameter.type is int else 1e-9
    return nearest if math.isclose(nearest, value, rel_tol=1e-6, abs_tol=rounding) else parameter.type(value)


def _encode(parameter: Parameter, value: Any) -> Any:
    return json.dumps(value) if _labelled(parameter) else value


def _labelled(parameter: Parameter) -> bool:
    return not isinstance(parameter.values, Range) and (parameter.type is list or None in parameter.values)
