"""Recorded runs again: one trained anew, two set side by side image by image, a sweep by who wrote what it was scored on."""

import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from digitexp import planning
from digitexp.compose import compose, source
from digitexp.config import CONF, change, flatten
from digitexp.data import drawings, sets
from digitexp.decisive import NEUTRAL
from digitexp.errors import ConfigError, DataError, DigitexpError, TrackingError
from digitexp.evaluation import compare, counts
from digitexp.evaluation.compare import Interval
from digitexp.evaluation.counts import Count
from digitexp.evidence import report as reports
from digitexp.experiment import Reported, open_recorded
from digitexp.reports import pair as pairs
from digitexp.reports import writers as written
from digitexp.results import Failure, Result
from digitexp.settings import SCRATCH, Config
from digitexp.signature import PATHS, signature
from digitexp.tracking import ledger, portable, reader
from digitexp.tracking import store as stores
from digitexp.tracking.records import RunRecord
from digitexp.tracking.store import open_store
from digitexp.training.engines import resolve

IDENTICAL, ALIKE, DIFFERENT = "identical", "alike", "different"


@dataclass(frozen=True)
class Measured:
    """A metric as it was recorded and as it came again; of an accuracy, again minus recorded with its interval and p-value.

    `changed` is how many images were read otherwise, None where it is not known which were.
    """

    metric: str
    recorded: float
    again: float
    interval: Interval | None = None
    p: float | None = None
    changed: int | None = None


@dataclass(frozen=True)
class Again:
    """A run trained again. `differs` maps what is not as it was recorded (settings, versions, data) to then and now."""

    name: str
    signature: str
    differs: Mapping[str, tuple[str, str]]
    measured: list[Measured]
    verdict: str


def find(config: Config, wanted: str) -> RunRecord:
    """The recorded run of that id or signature, or of the beginning of one: from `report.runs` if given, else the store.

    Raises TrackingError when there is none, or several.
    """
    if config.report.runs:
        runs = portable.read(Path(config.report.runs)).runs
        found = {run.signature: run for run in runs if run.signature.startswith(wanted) and not run.failure}
        place = str(config.report.runs)
    else:
        if not stores.exists(config.tracking.uri):
            raise TrackingError(f"{wanted}: there is no store at {stores.resolve(config.tracking.uri)} yet; type "
                                "report.runs=FILE to take the run from a runs.csv.")  # fmt: skip
        store = open_store(config.tracking.uri)
        place = store.uri
        known = [run for run in reader.finished(store) if run.id.startswith(wanted) or run.signature.startswith(wanted)]
        found = {run.signature: reader.record(store, run.id) for run in {run.signature: run for run in known}.values()}
    if len(found) != 1:
        several = f"{len(found)} of that beginning, {', '.join(sorted(found))}"
        said = several if found else "no finished run of that id or signature"
        raise TrackingError(f"{wanted}: found {said} in {place}; type more of it, or another.")
    return next(iter(found.values()))


def configured(run: RunRecord, config: Config) -> Config:
    """The configuration of a recorded run; files lie where `config` says, if it says so. Raises ConfigError."""
    settings = {path: value for path, value in run.settings.items() if path != "extensions"}
    groups = {"data": str(settings["data.name"]), "model": str(settings["model.kind"])}
    for group, name in groups.items():
        if not (CONF / group / f"{name}.yaml").exists():
            raise ConfigError(f"{group}={name}: no such file in conf/{group}, which a run needs to be configured again.")
    extensions = f"extensions={list(run.settings.get('extensions', []))}"
    base = compose([*source(groups["data"]), f"model={groups['model']}", extensions])
    usual = flatten(base)
    moved = {path: value for path in PATHS if (value := _at(config, path)) not in (None, SCRATCH, usual[path])}
    alone = {"seed": run.seed, "search.objective": None, "search.name": None}
    known = {path: value for path, value in NEUTRAL.items() if path not in settings and path in usual}
    mine = change(base, known | settings | moved | alone)
    start = mine.training.start
    begun = {} if start == SCRATCH else {start: ledger.network(config.tracking.uri, start)}
    return resolve(planning.located(mine, begun))


def again(config: Config, wanted: str) -> Again:
    """Train a recorded run again and say what differs. Nothing is recorded."""
    run = find(config, wanted)
    mine = configured(run, config)
    outcome = _trained(mine)
    if isinstance(outcome, Failure):
        raise TrackingError(f"{wanted}: the run failed when it was trained again: {outcome.message}")
    found = signature(mine, planning.digests(mine))
    differs = {
        **_differing({"signature": run.signature}, {"signature": found}),
        **_differing({f"data {part}": text[:16] for part, text in run.digests.items()},
                     {f"data {part}": text[:16] for part, text in outcome.digests.items()}),
        **_differing(run.facts, _facts(run.facts)),
    }  # fmt: skip
    measured = [_measured(run, outcome, metric) for metric in run.metrics if metric in outcome.metrics and _shown(metric)]
    name = " ".join([*(f"{path}={value}" for path, value in run.point.items()), f"seed={run.seed}"])
    return Again(name, found, differs, measured, _verdict(measured))


def pair(config: Config) -> Reported:
    """Compare the two runs `report.compare` image by image, into the folder of the reports. Needs no TensorFlow.

    Without the data, or with other data than theirs, the page has no pictures. Raises TrackingError for unknown runs.
    """
    a, b = (find(config, wanted) for wanted in config.report.compare)
    pictures, note = _pictures(a, config)
    folder = Path(config.report.folder, pairs.FOLDER, f"{a.signature[:8]}-{b.signature[:8]}")
    return Reported(pairs.answer(a, b), pairs.write(a, b, pictures, note, folder), note)


def writers(config: Config) -> Reported:
    """Who gains from drawings that are trained on, in a recorded sweep over them; into its folder. Needs no TensorFlow.

    The drawings must be those of the runs. Raises TrackingError for a sweep that is not recorded, DataError for one that
    cannot tell, as a runs.csv never can.
    """
    if config.report.runs:
        raise DataError(f"report.writers=true: report.runs={config.report.runs} does not say which image was read as what; "
                        "leave report.runs away to report from the store.")  # fmt: skip
    store = open_recorded(config)
    sweep = reader.sweep(store, config.search.name)
    gathered = reports.gather(sweep)
    data = configured(max(sweep.runs, key=lambda run: int(run.settings["data.manual_labels"])), config).data
    if data.drawn.source == "none":
        raise DataError(f"report.writers=true: {sweep.name} knows no drawings; type digitexp +sweep=manual_labels first.")
    hands = drawings.writers(data.drawn, data.classes)
    free, scored = drawings.division(data.drawn, data.classes, len(hands))
    was = {run.digests.get("drawn") for run in sweep.runs if not run.failure}
    if scored and was != {sets.load(data)["drawn"].digest()}:
        raise DataError(f"report.writers=true: the drawings are not those on which {sweep.name} was scored any more.")
    found = written.by_writer(gathered, hands[len(hands) - scored :], hands[:free])
    folder = Path(config.report.folder, sweep.name, written.FOLDER)
    return Reported(written.answer(found), written.write(found, folder), sweep.note)


def _pictures(run: RunRecord, config: Config) -> tuple[dict[str, Any], str]:
    """The images of each set of a run, those that are still the same, and what is to be said where some are not."""
    try:
        loaded = sets.load(configured(run, config).data)
    except DigitexpError as error:
        return {}, f"There are no pictures, since the images cannot be read: {error}"
    same = {part: digits.images for part, digits in loaded.items() if digits.digest() == run.digests.get(part)}
    changed = [part for part in loaded if part not in same and part in run.read]
    return same, f"The images of {', '.join(changed)} are not those of the runs any more." if changed else ""


def _shown(metric: str) -> bool:
    return "/" in metric or metric == "seconds"


def _trained(config: Config) -> Result | Failure:
    from digitexp import runs

    with TemporaryDirectory(prefix="digitexp-") as folder:
        return next(outcome for _, outcome in runs.run([config], Path(folder)))


def _at(config: Config, path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part)
    return value


def _differing(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {key: (then[key], now[key]) for key in then if key in now and then[key] != now[key]}


def _facts(then: Mapping[str, str]) -> dict[str, str]:
    """What is installed now, of that which was recorded."""
    packages = [name for name in then if name.startswith("version.")]
    return {name: version(name.removeprefix("version.")) for name in packages} | {"python": platform.python_version()}


def _measured(run: RunRecord, outcome: Result, metric: str) -> Measured:
    then, now = run.metrics[metric], outcome.metrics[metric]
    part, _, kind = metric.partition("/")
    if kind != "accuracy" or part not in run.images or part not in outcome.predictions:
        return Measured(metric, then, now)
    predicted = outcome.predictions[part]
    if part in run.read and run.digests.get(part) == outcome.digests.get(part):
        hits = run.labels[part] == run.read[part]
        changed = int((run.read[part] != predicted.probabilities.argmax(axis=1)).sum())
        apart = compare.difference([predicted.hits], [hits])
        return Measured(metric, then, now, apart, compare.mcnemar(predicted.hits, hits), changed)
    a, b = Count(int(predicted.hits.sum()), len(predicted.hits)), Count(round(then * run.images[part]), run.images[part])
    return Measured(metric, then, now, counts.difference(a, b), counts.fisher(a, b))


def _verdict(measured: list[Measured]) -> str:
    """Identical to six digits, alike (no accuracy differs by more than chance, Holm), or different."""
    if all(math.isclose(one.recorded, one.again, rel_tol=1e-6) for one in measured if one.metric != "seconds"):
        return IDENTICAL
    adjusted = compare.holm([one.p for one in measured if one.p is not None])
    return DIFFERENT if (adjusted < compare.ALPHA).any() else ALIKE
