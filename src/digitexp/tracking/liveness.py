"""Which runs are alive: a run carries host, pid, process start and a heartbeat, and a dead one may be closed.

A run is stale when its process on this machine is gone, or when its heartbeat is more than five minutes old.
"""

import socket
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

import psutil

from digitexp.tracking.store import TAG, Store

BEAT_SECONDS = 60
STALE_SECONDS = 300


def identity() -> dict[str, str]:
    """Tags that say which process writes a run, and when it last said that it lives."""
    process = psutil.Process()
    return {
        f"{TAG}host": socket.gethostname(),
        f"{TAG}pid": str(process.pid),
        f"{TAG}process_start": f"{process.create_time():.2f}",
        f"{TAG}heartbeat": _now(),
    }


def stale(tags: Mapping[str, str]) -> bool:
    """Whether the process that wrote these tags can no longer finish its run."""
    if tags.get(f"{TAG}host") == socket.gethostname():
        try:
            alive = abs(psutil.Process(int(tags[f"{TAG}pid"])).create_time() - float(tags[f"{TAG}process_start"])) < 1
        except (psutil.NoSuchProcess, KeyError, ValueError):
            alive = False
        if not alive:
            return True
    return time.time() - float(tags.get(f"{TAG}heartbeat", 0)) > STALE_SECONDS


def find_stale(store: Store, experiments: Sequence[str]) -> list[str]:
    """The ids of the stale runs of some experiments."""
    return [run.info.run_id for run in _running(store, experiments) if stale(run.data.tags)]


def close_stale(store: Store, experiment: str) -> list[str]:
    """End the stale runs of an experiment as KILLED; gives their ids."""
    closed = find_stale(store, [experiment])
    for run in closed:
        store.client.set_terminated(run, "KILLED")
    return closed


def close_lost(store: Store, experiment: str, known: Collection[str]) -> None:
    """End the runs of this process that it does not know of: a server began them, but its answer never came."""
    ours = identity()
    for run in _running(store, [experiment]):
        mine = all(run.data.tags.get(f"{TAG}{name}") == ours[f"{TAG}{name}"] for name in ("host", "pid", "process_start"))
        if mine and run.info.run_id not in known:
            store.client.set_terminated(run.info.run_id, "KILLED")


def _running(store: Store, experiments: Sequence[str]) -> list[Any]:
    found = store.client.search_runs(list(experiments), "attributes.status = 'RUNNING'", max_results=1000)
    return [run for run in found if f"{TAG}kind" in run.data.tags]


class Heartbeat:
    """While this context lasts, the runs in `runs` are said to be alive once a minute."""

    def __init__(self, store: Store) -> None:
        self.runs: set[str] = set()
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            for run in list(self.runs):
                try:
                    self._store.client.client.set_tag(run, f"{TAG}heartbeat", _now())
                except Exception:  # a store that is away for a moment must not end the training
                    continue


def _now() -> str:
    return f"{time.time():.0f}"
