"""What runs cost: the arithmetic of their layers, and the seconds that such arithmetic took in runs that are recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from digitexp.data import sets
from digitexp.models.layers import layers, training_flops
from digitexp.planning import Job
from digitexp.settings import Config

START_SECONDS = 1.5  # TensorFlow traces a new network before its first epoch
GUESSED_RATE = {"cnn": 15.0, "dense": 170.0, "lanes": 20.0}  # seconds per TFLOP on two cores, where no run is recorded yet


@dataclass(frozen=True)
class Spent:
    """What a recorded run cost: seconds of this whole machine, its share where runs shared it.

    `tflop` is None of what has no layers that are known.
    """

    kind: str
    tflop: float | None
    seconds: float


def training_tflop(config: Config, start: int = 0) -> float | None:
    """TFLOP of training one run from epoch `start`; None for a network that a user registered."""
    specs = layers(config)
    if specs is None:
        return None
    return training_flops(specs) * sets.size(config.data) * (config.training.last - start) / 1e12


def expected_seconds(jobs: Sequence[Job], spent: Sequence[Spent]) -> tuple[float, bool]:
    """How long this machine would take for these runs, and whether recorded runs say so or a guess does.

    A run whose layers are not known takes as long as the recorded ones of its kind; without any, nothing can be guessed.
    """
    kinds = {_kind(job.config) for job in jobs}
    rates = {kind: _rate(kind, spent) for kind in kinds}
    others = {kind: [run.seconds for run in spent if run.kind == kind and run.tflop is None] for kind in kinds}
    seconds, known = 0.0, True
    for job in jobs:
        kind, tflop = _kind(job.config), training_tflop(job.config, job.start)
        if tflop is None:
            seconds += median(others[kind] or [START_SECONDS])
            known &= bool(others[kind])
        else:
            rate = rates[kind]
            known &= rate is not None
            seconds += _start(kind) + tflop * (GUESSED_RATE.get(kind, GUESSED_RATE["dense"]) if rate is None else rate)
    return seconds, known


def _kind(config: Config) -> str:
    return "lanes" if config.training.engine == "lanes" else config.model.kind


def _start(kind: str) -> float:
    """Seconds before the first epoch of a run; lanes begin once for all of them, and each has its share of that."""
    return 0.0 if kind == "lanes" else START_SECONDS


def _rate(kind: str, spent: Sequence[Spent]) -> float | None:
    """Seconds a TFLOP, at which half of the recorded TFLOP were trained: many small runs say little about a large one."""
    start = _start(kind)
    known = sorted(((run.seconds - start if run.seconds > start else run.seconds) / run.tflop, run.tflop)
                   for run in spent if run.kind == kind and run.tflop)  # fmt: skip
    half, done = sum(tflop for _, tflop in known) / 2, 0.0
    for rate, tflop in known:
        done += tflop
        if done >= half:
            return rate
    return None
