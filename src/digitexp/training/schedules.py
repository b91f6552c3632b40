"""The learning rate of every step, and when training ends: functions of the settings and of the curves so far.

Nothing is remembered between epochs but the curves, which a run's state carries anyway: so a run that goes on in the middle
meets the rates that it would have met (law 1). Schedules follow the horizon `training.epochs`, never where a run stops.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from digitexp.errors import ConfigError
from digitexp.settings import EarlyStopping, Schedule, Training

Curves = Mapping[str, Sequence[float]]


def rates(training: Training, rate: float, epoch: int, steps: int, curves: Curves) -> NDArray[np.float32]:
    """The learning rates (steps,) of an epoch, counted from 1; `rate` is the optimizer's, `curves` are those before it.

    constant     rate
    plateau      as Keras' ReduceLROnPlateau: times `factor` after `patience` epochs without a better `monitor`, not below
                 `minimum`
    exponential  rate * decay ** (epoch - 1)
    one_cycle    up from rate * `start` and down to rate * `end` along cosines (Smith and Topin 2018, as PyTorch anneals it);
                 the highest after a share `warmup` of the steps
    cosine       up along a line from near 0 for a share `warmup` of the steps, then down to rate * `end` along a cosine
                 (Loshchilov and Hutter 2017, without restarts)
    """
    schedule = training.schedule
    if schedule.name == "plateau":
        rate = _plateau(schedule, rate, _monitored(curves, schedule.monitor, "training.schedule.monitor", epoch))
    if schedule.name == "exponential":
        rate *= schedule.decay ** (epoch - 1)
    if schedule.name not in ("one_cycle", "cosine"):
        return np.full(steps, rate, np.float32)
    done = (np.arange(steps) + (epoch - 1) * steps).astype(np.float64)
    last, top = training.epochs * steps - 1, schedule.warmup * (training.epochs * steps - 1)
    falling = np.clip((done - top) / max(last - top, 1), 0, 1)
    if schedule.name == "one_cycle":
        rising = np.clip(done / max(top, 1), 0, 1)
        shares = np.where(done < top, _cosine(schedule.start, 1, rising), _cosine(1, schedule.end, falling))
    else:
        shares = np.where(done < top, (done + 1) / (top + 1), _cosine(1, schedule.end, falling))
    return (rate * shares).astype(np.float32)


def stopped(stopping: EarlyStopping, curves: Curves) -> bool:
    """Whether the best epoch is `patience` epochs old or older."""
    epochs = max(map(len, curves.values()), default=0)
    return bool(stopping.patience and epochs and epochs - best_epoch(stopping, curves) >= stopping.patience)


def best_epoch(stopping: EarlyStopping, curves: Curves) -> int:
    """The first epoch with the best value of what is monitored, counted from 1."""
    epochs = max(map(len, curves.values()))
    values = _monitored(curves, stopping.monitor, "training.early_stopping.monitor", epochs + 1)
    return int(np.argmax(np.nan_to_num(np.multiply(values, _sign(stopping.monitor)), nan=-np.inf))) + 1


def _plateau(schedule: Schedule, rate: float, values: Sequence[float]) -> float:
    best, waited = -np.inf, 0
    for value in np.multiply(values, _sign(schedule.monitor)):
        waited += 1
        if value > best + 1e-4:  # Keras' min_delta
            best, waited = value, 0
        elif waited >= schedule.patience:
            rate, waited = max(rate * schedule.factor, min(rate, schedule.minimum)), 0
    return rate


def _monitored(curves: Curves, metric: str, path: str, epoch: int) -> Sequence[float]:
    if epoch > 1 and metric not in curves:
        raise ConfigError(f"{path}={metric}: is not measured after each epoch; allowed are {', '.join(curves)}.")
    return curves.get(metric, [])


def _sign(metric: str) -> int:
    return -1 if metric.endswith("/loss") else 1


def _cosine(before: float, after: float, done: NDArray[np.float64]) -> NDArray[np.float64]:
    return after + (before - after) * (1 + np.cos(np.pi * done)) / 2
