"""What can be wrong with a store, its disk, the data and the machine: found, explained, and mended where that is safe.

Nothing is looked at that a command would not tell by itself sooner or later; here it is told before it costs a night.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir

from digitexp.data import sets, sources
from digitexp.data.mnist import KERAS_SHA256
from digitexp.errors import DigitexpError, TrackingError
from digitexp.executors.executor import THREADS, cores
from digitexp.settings import Config
from digitexp.sweep.sweep import CHECKPOINTS, SPOOL
from digitexp.tracking import liveness, reader, recorder
from digitexp.tracking import recording as recordings
from digitexp.tracking import store as stores
from digitexp.tracking.store import Store, open_store

ROOM = 1e9  # bytes that a disk should have free


@dataclass(frozen=True)
class Finding:
    """Something that is wrong: what, why it matters, and what mends it; `mend` does, where it is safe to."""

    what: str
    why: str
    remedy: str
    mend: Callable[[], None] | None = None


def examine(config: Config) -> list[Finding]:
    """Everything that is found wrong with what a command with these settings would use."""
    found = [*_disk(config), *_data(config), *_threads(config)]
    if not stores.exists(config.tracking.uri):
        return found
    try:
        store = open_store(config.tracking.uri)
    except TrackingError as error:
        old = "older MLflow" in str(error)
        mend = (lambda: stores.upgrade(config.tracking.uri)) if old else None
        remedy = "the file is copied beside itself, and its tables are brought up to date" if old else "see the sentence"
        return [*found, Finding("the store cannot be opened", str(error), remedy, mend)]
    return [*found, *_stale(store), *_artifacts(store), *_waiting(config, store), *_left_over(config)]


def _disk(config: Config) -> Iterator[Finding]:
    folder = stores.folder(config.tracking.uri)
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(existing, os.W_OK):
        yield Finding(f"{existing} may not be written", "nothing can be recorded there", "make it writable, or name another "
                      "store by tracking.uri=sqlite:///FILE")  # fmt: skip
    for place in {existing, Path(gettempdir())}:
        free = shutil.disk_usage(place).free
        if free < ROOM:
            yield Finding(f"the disk of {place} has {free / 1e6:,.0f} MB left", "a run whose network cannot be written ends "
                          "the sweep", "free some space")  # fmt: skip


def _data(config: Config) -> Iterator[Finding]:
    try:
        digests = sources.source_digests(config.data)
        sets.size(config.data)
    except DigitexpError as error:
        yield Finding("the data cannot be read", str(error), "see the sentence")
        return
    known = digests.get("mnist.npz", KERAS_SHA256)
    if known != KERAS_SHA256:
        yield Finding("mnist.npz is not the file that Keras offers", f"its SHA-256 is {known}: its runs cannot be compared "
                      "with those of others", "take the original, unless this is on purpose")  # fmt: skip


def _threads(config: Config) -> Iterator[Finding]:
    workers, usable = config.execution.workers, cores()
    if workers > usable:
        yield Finding(f"execution.workers={workers} on {usable} cores", "they take turns, which is slower than "
                      f"{usable} workers", f"type execution.workers={usable}")  # fmt: skip
    for name in THREADS:
        wanted = os.environ.get(name, "")
        if wanted.isdigit() and int(wanted) * min(workers, usable) > usable:
            yield Finding(f"{name}={wanted} for each of {workers} workers on {usable} cores", "threads that take turns are "
                          "slower than fewer", f"type unset {name}")  # fmt: skip


def _stale(store: Store) -> Iterator[Finding]:
    experiments = [experiment.experiment_id for experiment in store.client.search_experiments()]
    for run in liveness.find_stale(store, experiments):
        yield Finding(f"run {run} is RUNNING, but its process is gone", "it looks as if it were still being trained",
                      "it is closed as KILLED; its command goes on from there",
                      partial(recorder.end, store, run, "KILLED"))  # fmt: skip


def _artifacts(store: Store) -> Iterator[Finding]:
    for run in reader.finished(store):
        if missing := reader.missing(store, run):
            yield Finding(f"run {run.id} has lost {', '.join(missing)}", "it counts as finished, but cannot be reported, "
                          "compared or used", "it is marked FAILED, so that its command trains it again",
                          partial(recorder.disown, store, run.id))  # fmt: skip


def _waiting(config: Config, store: Store) -> Iterator[Finding]:
    for folder in recordings.waiting(stores.folder(config.tracking.uri) / SPOOL):
        yield Finding(f"{folder} holds a run that the store has not got", "the server was away when it finished",
                      "it is sent", partial(recordings.send, store, folder))  # fmt: skip


def _left_over(config: Config) -> Iterator[Finding]:
    folder = stores.folder(config.tracking.uri) / CHECKPOINTS
    files = list(folder.glob("*")) if folder.exists() else []
    if files:
        size = sum(file.stat().st_size for file in files) / 1e6
        yield Finding(f"{folder} holds {len(files)} checkpoints, {size:,.0f} MB", "they belong to runs that did not end; "
                      "their commands go on from them", "they are deleted, which costs only time",
                      partial(_delete, files))  # fmt: skip


def _delete(files: list[Path]) -> None:
    for file in files:
        with suppress(FileNotFoundError):
            file.unlink()
