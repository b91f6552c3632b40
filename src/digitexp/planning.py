"""What a question would run, what of it is finished, and what the rest would cost. Needs neither TensorFlow nor a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from digitexp import space
from digitexp.config import change
from digitexp.data import sets, sources
from digitexp.models.layers import layers, training_flops
from digitexp.settings import SCRATCH, Config, Data
from digitexp.signature import question, signature
from digitexp.space import Parameter, Point
from digitexp.training.engines import resolve

START_SECONDS = 1.5  # TensorFlow traces a new network before its first epoch
GUESSED_RATE = {"cnn": 15.0, "dense": 60.0}  # seconds per TFLOP on two cores, where no run is recorded yet


@dataclass(frozen=True)
class Job:
    """One run to be: a point of the space with a seed, its configuration and its signature."""

    trial: int
    point: Point
    config: Config
    signature: str


@dataclass(frozen=True)
class Spent:
    """What a recorded run cost on this machine."""

    kind: str
    tflop: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A question, spelt out. `points` is None where trials are proposed one after another, as in random search."""

    config: Config
    sources: Mapping[str, str]
    question: str
    parameters: Sequence[Parameter]
    points: Sequence[Point] | None
    starts: Mapping[str, Path] = field(default_factory=dict)  # the files of networks that training begins with

    @property
    def trials(self) -> int:
        """How many trials there are, at most."""
        return self.config.search.trials if self.points is None else len(self.points)

    @property
    def runs(self) -> int:
        """How many runs there are, at most: every trial with every seed."""
        return self.trials * self.config.search.repeats

    def jobs(self, trial: int, point: Point) -> list[Job]:
        """The runs of one trial, one for each seed."""
        seeds = range(self.config.seed, self.config.seed + self.config.search.repeats)
        configs = [resolve(located(change(self.config, dict(point) | {"seed": seed}), self.starts)) for seed in seeds]
        return [Job(trial, point, config, signature(config, self.sources_of(config))) for config in configs]

    def sources_of(self, config: Config) -> Mapping[str, str]:
        """The digests of the data of one run; a sweep may vary where its data come from."""
        same = _origin(config.data) == _origin(self.config.data)
        return {**(self.sources if same else sources.source_digests(config.data)), **_start(config)}

    def listed_jobs(self) -> list[Job]:
        """Every run of a list of points; where trials are proposed, the reference network in their place."""
        points = self.points if self.points is not None else [{}] * self.trials
        return [job for trial, point in enumerate(points) for job in self.jobs(trial, point)]


def _origin(data: Data) -> tuple[object, ...]:
    """The settings that decide which files are read."""
    return data.name, data.path, data.test_labels, data.also, data.split, data.writers, data.drawn


def located(config: Config, starts: Mapping[str, Path]) -> Config:
    """`config` with the file of the network that training begins with in place of its address."""
    start = config.training.start
    return change(config, {"training.start": str(starts[start])}) if start in starts else config


def digests(config: Config) -> dict[str, str]:
    """The digests of all files that decide a run: its data, and the network that training begins with."""
    return sources.source_digests(config.data) | _start(config)


def _start(config: Config) -> dict[str, str]:
    start = config.training.start
    return {} if start == SCRATCH else {"training.start": sources.sha256(Path(start))}


def plan(config: Config, locate: Callable[[str], Path] = Path) -> Plan:
    """Spell out the question of `config`. Raises ConfigError, SpaceError and DataError for all that cannot be run.

    `locate` gives the file of a network by its address, as in `training.start`.
    """
    data = sources.source_digests(config.data)
    parameters = space.parse(config)
    points = space.points(config, parameters)
    begun = {config.training.start, *(value for one in parameters if one.path == "training.start" for value in one.listed())}
    starts = {address: locate(address) for address in begun - {SCRATCH}}
    asked = resolve(located(config, starts))
    spelt = Plan(config, data, question(asked, data | _start(asked)), parameters, points, starts)
    sets.size(config.data)
    for point in points or [{}]:
        applied = space.apply(config, point)
        layers(applied)
        sets.size(applied.data)
    return spelt


def cost(config: Config) -> float | None:
    """TFLOP of training one run; None for a network that a user registered."""
    specs = layers(config)
    if specs is None:
        return None
    return training_flops(specs) * sets.size(config.data) * config.training.epochs / 1e12


def expected_seconds(jobs: Sequence[Job], spent: Sequence[Spent]) -> tuple[float, bool]:
    """How long these runs would take one after another, and whether recorded runs say so or a guess does."""
    rates = {kind: _rate(kind, spent) for kind in {job.config.model.kind for job in jobs}}
    seconds = 0.0
    for job in jobs:
        rate = rates[job.config.model.kind] or GUESSED_RATE.get(job.config.model.kind, GUESSED_RATE["dense"])
        seconds += START_SECONDS + (cost(job.config) or 0.0) * rate
    return seconds, all(rate is not None for rate in rates.values())


def _rate(kind: str, spent: Sequence[Spent]) -> float | None:
    rates = [max(0.0, run.seconds - START_SECONDS) / run.tflop for run in spent if run.kind == kind and run.tflop]
    return median(rates) if rates else None


def as_values(parameter: Parameter) -> list[Any] | str:
    """The values of a parameter, to be shown."""
    values = parameter.values
    if isinstance(values, space.Range):
        steps = "" if values.step is None else f", {'factor' if values.log else 'step'} {values.step:g}"
        return f"{values.low:g} to {values.high:g}{' (log)' if values.log else ''}{steps}"
    return list(values)
