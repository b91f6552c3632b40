"""What a question would run: its trials, its runs and their signatures. Needs neither TensorFlow nor a store."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from digitexp import space
from digitexp.config import SWEPT, change, flatten
from digitexp.data import sets, sources
from digitexp.decisive import present
from digitexp.errors import DataError, SpaceError
from digitexp.models.layers import layers
from digitexp.settings import SCRATCH, Config, Data
from digitexp.signature import PATHS, contents, question, signature
from digitexp.space import Parameter, Point
from digitexp.training.engines import resolve


@dataclass(frozen=True)
class Job:
    """One run to be: a point of the space with a seed, its configuration and its signature.

    `whole` is the signature of the run up to its horizon, of which this is a part where it ends at `training.until`;
    `start` is the epoch up to which another run has trained it already.
    """

    trial: int
    point: Point
    config: Config
    signature: str
    whole: str
    start: int = 0


class _Read(NamedTuple):
    """The files of some data: their stamps, and the digests of their bytes."""

    stamps: tuple[tuple[str, int, int], ...]
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """A question, spelt out. `points` is None where trials are proposed one after another, as in random search."""

    config: Config
    sources: Mapping[str, str]
    question: str
    parameters: Sequence[Parameter]
    points: Sequence[Point] | None
    starts: Mapping[str, Path] = field(default_factory=dict)  # the files of networks that training begins with
    _known: dict[tuple[int, str], list[Job]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _read: dict[str, _Read] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def trials(self) -> int:
        """How many trials there are, at most."""
        if self.points is not None:
            return len(self.points)
        if self.config.search.method == "hyperband":
            return sum(found.size for found in rounds(self.config.training.epochs, self.config.search.factor))
        return self.config.search.trials

    @property
    def runs(self) -> int:
        """How many runs there are, at most: every trial with every seed."""
        return self.trials * self.config.search.repeats

    def jobs(self, trial: int, point: Point) -> list[Job]:
        """The runs of one trial, one for each seed; worked out once, as a sweep asks for them several times."""
        key = trial, repr(point)
        if key not in self._known:
            self._known[key] = self._jobs(trial, point)
        return list(self._known[key])

    def data(self, trial: int, point: Mapping[str, Any]) -> Data:
        """The data of one trial, which a sweep may vary."""
        return self.jobs(trial, dict(point))[0].config.data

    def _jobs(self, trial: int, point: Point) -> list[Job]:
        seeds = range(self.config.seed, self.config.seed + self.config.search.repeats)
        configs = [resolve(located(change(self.config, dict(point) | {"seed": seed}), self.starts)) for seed in seeds]
        return [self._job(trial, point, config) for config in configs]

    def _job(self, trial: int, point: Point, config: Config) -> Job:
        digests = self.sources_of(config)
        own = signature(config, digests)
        if config.training.last == config.training.epochs:
            return Job(trial, point, config, own, own)
        return Job(trial, point, config, own, signature(change(config, {"training.until": None}), digests))

    def sources_of(self, config: Config) -> Mapping[str, str]:
        """The digests of the data of one run, as they were when the sweep began; it may vary where its data come from."""
        return {**self._files_of(config.data).digests, **_start(config)}

    def _files_of(self, data: Data) -> _Read:
        origin = _origin(data)
        if origin not in self._read:
            known = self.sources if origin == _origin(self.config.data) else None
            self._read[origin] = _Read(sources.stamps(data), known or sources.source_digests(data))
        return self._read[origin]

    def refuse_changed(self, job: Job) -> None:
        """Raise DataError where a file of the data of a run is no longer what it was: it is another run than it says."""
        known, stamps = self._files_of(job.config.data), sources.stamps(job.config.data)
        if stamps == known.stamps:
            return
        was, now = known.digests, sources.source_digests(job.config.data)
        changed = sorted(name for name in {*was, *now} if was.get(name) != now.get(name))
        if changed:
            raise DataError(f"{', '.join(changed)}: changed while the sweep read it; the runs that were finished before are "
                            "kept, and the same command asks its question of the data as they are now.")  # fmt: skip
        self._read[_origin(job.config.data)] = _Read(stamps, was)

    def listed_jobs(self) -> list[Job]:
        """Every run of a list of points; where trials are proposed, the reference network in their place."""
        if self.points is None and self.config.search.method == "hyperband":
            return [
                replace(job, start=found.start)
                for found in rounds(self.config.training.epochs, self.config.search.factor)
                for job in self.jobs(0, {"training.until": found.epochs}) * found.size
            ]
        points = self.points if self.points is not None else [{}] * self.trials
        return [job for trial, point in enumerate(points) for job in self.jobs(trial, point)]


def _origin(data: Data) -> str:
    """The settings that decide which files are read."""
    return repr((data.name, data.path, data.test_labels, data.also, data.split, data.writers, data.drawn))


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
    _refuse_small(config, parameters)
    begun = {config.training.start, *(value for one in parameters if one.path == "training.start" for value in one.listed())}
    starts = {address: locate(address) for address in begun - {SCRATCH}}
    spelt = Plan(config, data, _question(config, data, parameters, starts), parameters, points, starts)
    sets.size(config.data)
    for point in points or [{}]:
        applied = space.apply(config, point)
        layers(applied)
        sets.size(applied.data)
    return spelt


def _question(
    config: Config, data: dict[str, str], parameters: Sequence[Parameter], starts: Mapping[str, Path]
) -> str:
    """The hash of the question. Part of it is what varied values bring along: what stands behind a name (files, functions of
    yours), and settings that the reference has no use for, such as the trees of a forest where that is logistic."""
    asked = resolve(located(config, starts))
    own = contents(asked, data | _start(asked))
    used = {*present(config), *PATHS, *(parameter.path for parameter in parameters)}
    varied = set[str]()
    for parameter in parameters:
        for value in parameter.ends:
            other = located(space.apply(config, space.probe(parameter, value, parameters)), starts)
            same = _origin(other.data) == _origin(config.data)
            varied |= contents(other, (data if same else sources.source_digests(other.data)) | _start(other)) - own
            varied |= {f"{path}={setting}" for path, setting in present(other).items() if path not in used}
    return question(asked, data | _start(asked), sorted(varied))


def _refuse_small(config: Config, parameters: Sequence[Parameter]) -> None:
    """Hyperband begins every bracket with points that are all different: a small space is a list."""
    if config.search.method != "hyperband":
        return
    needed = sum(found.size for found in rounds(config.training.epochs, config.search.factor) if not found.start)
    found = space.count(config, parameters, needed)
    if found < needed:
        raise SpaceError(f"search.space: has {found} points, but Hyperband begins with {needed} different ones "
                         f"for training.epochs={config.training.epochs}; type search.method=grid.")  # fmt: skip


@dataclass(frozen=True)
class Round:
    """A round of a bracket of Hyperband: `size` trials are trained from epoch `start` to `epochs`."""

    size: int
    epochs: int
    start: int


def rounds(epochs: int, factor: int) -> list[Round]:
    """Hyperband (Li et al., 2018) as KerasTuner has it: bracket s begins with many trials of epochs / factor^s epochs.

    Each of its rounds keeps one trial in `factor`, for as many times the epochs, until round s trains up to the horizon.
    """
    brackets, rest = 0, float(epochs)
    while rest >= 1:
        rest, brackets = rest / factor, brackets + 1
    share = math.ceil(1 + math.log(epochs, factor))
    found = []
    for bracket in reversed(range(brackets)):
        start = 0
        for number in range(bracket + 1):
            size = math.ceil(share / (bracket + 1) * factor ** (bracket - number))
            last = math.ceil(epochs / factor ** (bracket - number))
            found.append(Round(size, last, start))
            start = last
    return found


def difference(recorded: Mapping[str, Any], config: Config) -> dict[str, tuple[Any, Any]]:
    """What makes this another question than the recorded one: settings by dotted path, as (recorded, now).

    `recorded` are all settings of the other, by dotted path. Empty where only the bytes of the data or a version differ.
    """
    asked = ("method", "objective", "repeats", "space", "trials", "factor")
    now = present(config) | {f"search.{name}": getattr(config.search, name) for name in asked}
    # What the reference has no use for may be used by what is varied: it is named where nothing else differs.
    unused = {path: value for path, value in flatten(config).items() if path.split(".")[0] in SWEPT and path not in PATHS}
    return _differing(recorded, now) or _differing(recorded, unused)


def _differing(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {path: (recorded.get(path), value) for path, value in now.items() if recorded.get(path, value) != value}


def as_values(parameter: Parameter) -> list[Any] | str:
    """The values of a parameter, to be shown."""
    values = parameter.values
    if isinstance(values, space.Range):
        steps = "" if values.step is None else f", {'factor' if values.log else 'step'} {values.step:g}"
        return f"{values.low:g} to {values.high:g}{' (log)' if values.log else ''}{steps}"
    return list(values)
