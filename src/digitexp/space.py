"""What a sweep varies: `search.space` read into typed parameters, and those into points.

A point maps dotted paths to values, `{"optimizer.name": "sgd", "optimizer.momentum": 0.9}`; a setting whose `when` does
not hold is not in it. `points` lists those of grid, one_at_a_time and zip; the others are proposed trial by trial.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from digitexp.config import SWEPT, change, convert, flatten, plain, type_name, type_of
from digitexp.errors import ConfigError, SpaceError
from digitexp.settings import Config

Point = dict[str, Any]

_FORMS = "a list of values, {min, max, step}, {min, max, log: true}, or {values, when}"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `step` is a difference, or a factor where `log` is set."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    def __len__(self) -> int:
        """How many numbers it has. Needs a step."""
        assert self.step is not None
        steps = math.log(self.high / self.low, self.step) if self.log else (self.high - self.low) / self.step
        return math.floor(steps + 1e-9) + 1

    def values(self) -> list[float]:
        """Every number of the range. Needs a step."""
        assert self.step is not None
        return [self.low * self.step**index if self.log else self.low + index * self.step for index in range(len(self))]


@dataclass(frozen=True)
class Parameter:
    """One varied setting: its dotted path, its type, and its values as a list or a range."""

    path: str
    type: type
    values: tuple[Any, ...] | Range
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def active(self, point: Mapping[str, Any]) -> bool:
        """Whether this setting is varied at `point`, which holds the parameters declared before."""
        return all(path in point and point[path] in allowed for path, allowed in self.when.items())

    @property
    def ends(self) -> tuple[Any, ...]:
        """Its values, or the two ends of a range."""
        return (self.values.low, self.values.high) if isinstance(self.values, Range) else self.values

    @property
    def whole(self) -> "Parameter":
        """A range of whole numbers without a step has one of 1; every other parameter is as it is."""
        if not isinstance(self.values, Range) or self.values.step is not None or self.type is not int:
            return self
        return replace(self, values=Range(self.values.low, self.values.high, 1))

    def listed(self) -> list[Any]:
        """Its values one by one; SpaceError for a range without a step."""
        if not isinstance(self.values, Range):
            return list(self.values)
        if self.values.step is None:
            raise SpaceError(f"search.space {self.path!r}: a list of trials needs a step in the range, or random search.")
        if self.type is int:
            return [round(value) for value in self.values.values()]
        return [float(f"{value:.12g}") for value in self.values.values()]  # 0.1 * 3 is 0.3, not 0.30000000000000004


def parse(config: Config) -> list[Parameter]:
    """The parameters of `search.space`, in their order, checked against the settings' types."""
    parameters: list[Parameter] = []
    for path, form in config.search.space.items():
        parameters.append(_parameter(config, str(path), form, parameters))
    if config.search.name and not parameters and config.search.repeats == 1:
        raise SpaceError(f"search.space: {config.search.name} varies nothing; give it settings, as in "
                         "'search.space={optimizer.name:[adam,sgd]}'.")  # fmt: skip
    for parameter in parameters:
        for value in parameter.ends:
            _try(config, probe(parameter, value, parameters), parameter.path)
    return parameters


def points(config: Config, parameters: Sequence[Parameter]) -> list[Point] | None:
    """All points of a grid, of one_at_a_time or of a zip, each once; None where trials are proposed one after another.

    The last parameter varies fastest. The points of one_at_a_time begin with the reference values.
    """
    if not parameters:
        return [{}]
    expand = {"grid": _grid, "one_at_a_time": _one_at_a_time, "zip": _zip}.get(config.search.method)
    if expand is None:
        return None
    return list(_distinct(expand(config, parameters)))


def count(config: Config, parameters: Sequence[Parameter], most: int) -> int:
    """How many different points there are, counted up to `most`: a range of numbers without a step has more than any."""
    whole = [parameter.whole for parameter in parameters]
    ranges = [parameter.values for parameter in whole if isinstance(parameter.values, Range)]
    if any(found.step is None or (not found.log and len(found) >= most) for found in ranges):  # too long to list
        return most
    return sum(1 for _ in itertools.islice(_distinct(_grid(config, whole)), most))


def apply(config: Config, point: Mapping[str, Any]) -> Config:
    """`config` at `point`."""
    return change(config, point) if point else config


def _distinct(points: Iterable[Point]) -> Iterator[Point]:
    found: list[Point] = []
    for point in points:
        if point not in found:
            found.append(point)
            yield point


def _grid(config: Config, parameters: Sequence[Parameter]) -> Iterator[Point]:
    if not parameters:
        yield {}
        return
    *others, last = parameters
    values = last.listed()
    for point in _grid(config, others):
        yield from [point | {last.path: value} for value in values] if last.active(point) else [point]


def _one_at_a_time(config: Config, parameters: Sequence[Parameter]) -> Iterator[Point]:
    settings = flatten(config)
    reference: Point = {}
    for parameter in parameters:
        if parameter.active(reference):
            reference[parameter.path] = settings[parameter.path]
    yield reference
    for parameter in parameters:
        if parameter.path in reference:
            for value in parameter.listed():
                yield _settled(parameters, reference | {parameter.path: value}, settings)


def _settled(parameters: Sequence[Parameter], point: Point, settings: Mapping[str, Any]) -> Point:
    """`point` without what its own values switch off, and with the reference of what they switch on."""
    settled: Point = {}
    for parameter in parameters:
        if parameter.active(settled):
            settled[parameter.path] = point.get(parameter.path, settings[parameter.path])
    return settled


def _zip(config: Config, parameters: Sequence[Parameter]) -> Iterator[Point]:
    lists = [parameter.listed() for parameter in parameters]
    lengths = {parameter.path: len(values) for parameter, values in zip(parameters, lists, strict=True)}
    if len(set(lengths.values())) > 1:
        raise SpaceError(f"search.space: zip pairs lists of one length; found {lengths}. For all combinations, "
                         "type search.method=grid.")  # fmt: skip
    for values in itertools.zip_longest(*lists):
        point: Point = {}
        for parameter, value in zip(parameters, values, strict=True):
            if parameter.active(point):
                point[parameter.path] = value
        yield point


def _parameter(config: Config, path: str, form: Any, earlier: Sequence[Parameter]) -> Parameter:
    at = f"search.space {path!r}"
    if path == "seed":
        raise SpaceError(f"{at}: seeds are varied by search.repeats; type search.repeats=3.")
    try:
        hint = type_of(path, type(config.model))
    except ConfigError as error:
        raise SpaceError(f"search.space {error}") from error
    if path in ("training.epochs", "training.until") and config.search.method == "hyperband":
        raise SpaceError(f"{at}: Hyperband varies how long a trial is trained; leave it out, or choose another method.")
    networks = {other.path == "model" for other in earlier if other.path.split(".")[0] == "model"}
    if path.split(".")[0] == "model" and networks - {path == "model"}:
        raise SpaceError(f"{at}: whole networks are varied, or the settings of one; take model or model.* out of the space.")
    if path == "model" and config.search.method == "one_at_a_time":
        raise SpaceError(f"{at}: whole networks have no reference value to be varied around; type search.method=grid.")
    if path.split(".")[0] not in SWEPT:
        raise SpaceError(f"{at}: cannot be varied, since it changes no run; allowed are settings of {', '.join(SWEPT)}.")
    form = {"values": form} if isinstance(form, list) else form
    if not isinstance(form, dict):
        raise SpaceError(f"{at}: found {form!r}; allowed is {_FORMS}.")
    when = _conditions(at, form.get("when", {}), earlier)
    keys = set(form) - {"when"}
    if keys == {"values"}:
        values = _values(at, form["values"], hint)
        return Parameter(path, plain(hint)[0], values if config.search.method == "zip" else _unique(values), when)
    if {"min", "max"} <= keys <= {"min", "max", "step", "log"}:
        return Parameter(path, plain(hint)[0], _range(at, form, hint), when)
    raise SpaceError(f"{at}: found {{{', '.join(map(str, form))}}}; allowed is {_FORMS}.")


def _values(at: str, values: Any, hint: Any) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values:
        raise SpaceError(f"{at}: found {values!r}; a list needs at least one value, as in [0.1, 0.2].")
    return tuple(_convert(at, value, hint) for value in values)


def _unique(values: Sequence[Any]) -> tuple[Any, ...]:
    """Each value once, whether it can be hashed or not; only a zip means something by saying one twice."""
    return tuple(value for index, value in enumerate(values) if value not in values[:index])


def _range(at: str, form: Mapping[str, Any], hint: Any) -> Range:
    if plain(hint)[0] not in (int, float):
        raise SpaceError(f"{at}: a range needs a number, but this setting is {type_name(hint)}; give a list of values.")
    low, high = (_convert(f"{at} {name}", form[name], plain(hint)[0]) for name in ("min", "max"))
    log = _convert(f"{at} log", form.get("log", False), bool)
    if low >= high or (log and low <= 0):
        raise SpaceError(f"{at}: from {low} to {high} is no range; min must be below max{' and above 0' if log else ''}.")
    step = _convert(f"{at} step", form.get("step"), float | None)
    if step is not None and step <= (1 if log else 0):
        raise SpaceError(f"{at}: step={step}; must be {'a factor above 1' if log else 'a number above 0'}.")
    if step is not None and not log and plain(hint)[0] is int and step != int(step):
        raise SpaceError(f"{at}: step={step}; must be a whole number, since this setting is one.")
    return Range(low, high, step, log)


def _convert(at: str, value: Any, hint: Any) -> Any:
    try:
        return convert(at, value, hint)
    except ConfigError as error:
        raise SpaceError(str(error)) from error


def _conditions(at: str, when: Any, earlier: Sequence[Parameter]) -> dict[str, tuple[Any, ...]]:
    if not isinstance(when, dict):
        raise SpaceError(f"{at}: when={when!r}; must be as in when: {{optimizer.name: [sgd]}}.")
    known = {parameter.path: parameter for parameter in earlier}
    conditions: dict[str, tuple[Any, ...]] = {}
    for path, values in when.items():
        if path not in known:
            declared = f"declared before it are {', '.join(known)}" if known else "nothing is declared before it"
            raise SpaceError(f"{at}: when names {path!r}; {declared}.")
        allowed = values if isinstance(values, list) else [values]
        parent = known[path].values
        if isinstance(parent, Range) or any(value not in parent for value in allowed):
            shown = "a range" if isinstance(parent, Range) else list(parent)
            raise SpaceError(f"{at}: when {path!r} is one of {allowed}, but that setting takes {shown}.")
        conditions[path] = tuple(value for value in parent if value in allowed)  # 0 as the 0.0 that the parent takes
    return conditions


def probe(parameter: Parameter, value: Any, parameters: Sequence[Parameter]) -> Point:
    """The smallest point at which `parameter` has `value`: itself and what it is conditional on."""
    point: Point = {}
    for path, allowed in parameter.when.items():
        parent = next(known for known in parameters if known.path == path)
        point |= probe(parent, allowed[0], parameters)
    return point | {parameter.path: value}


def _try(config: Config, point: Point, path: str) -> None:
    try:
        apply(config, point)
    except ConfigError as error:
        raise SpaceError(f"search.space {path!r}: {error}") from error
