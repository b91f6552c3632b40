"""The runs of one invocation on their way into the store; while a server is away, they wait on disk.

Training never waits for a server. A run that finishes while it is away is written to a folder of its own under `spool/`,
and sent when the server answers again: at the next epoch of whatever trains then, or by the next invocation.
"""

import pickle
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from digitexp.results import Failure, Result
from digitexp.tracking import artifacts, patience, reader, recorder
from digitexp.tracking.liveness import Heartbeat
from digitexp.tracking.reader import Recorded
from digitexp.tracking.recorder import Begun, Child
from digitexp.tracking.store import Store

AGAIN = 5  # seconds after which a server that was away is asked again
EVERY = 2  # seconds between what is written of a run while it trains; every epoch by itself would cost a short run much
CHILD = "child.pickle"


@dataclass
class _Open:
    """A run that is being trained: what the store has begun of it, the epochs not written yet, and when some were."""

    child: Child
    begun: Begun | None = None
    waiting: dict[int, Mapping[str, float]] = field(default_factory=dict)
    logged: set[int] = field(default_factory=set)
    written: float = 0.0


class Recording:
    """Writes the runs of one parent. A store that is a file is written at once, or the error is raised."""

    def __init__(self, store: Store, parent: str, heart: Heartbeat, spool: Path) -> None:
        self._store, self._parent, self._heart, self._spool = store, parent, heart, spool
        self._open: dict[str, _Open] = {}
        self._ask_after = 0.0

    @property
    def waiting(self) -> int:
        """How many finished or failed runs the store does not have yet."""
        return len(self._folders())

    def begin(self, child: Child) -> None:
        """A run is being trained, or trained again from where it was."""
        run = self._open.setdefault(child.signature, _Open(child))
        self._try(lambda: self._send(run))

    def epoch(self, signature: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """A run has finished an epoch; one that was told before its worker was killed is not written twice."""
        run = self._open[signature]
        if epoch not in run.logged:
            run.waiting[epoch] = metrics
            if time.monotonic() >= run.written + EVERY:
                self._try(lambda: self._send(run))

    def end(self, signature: str, outcome: Result | Failure) -> Recorded | None:
        """A run is finished, and known from now on, or has failed."""
        run = self._open.pop(signature)
        done = self._try(lambda: self._finish(run, outcome))
        if not done:
            self._keep(run, outcome)
        if isinstance(outcome, Failure):
            return None
        return _recorded(run if done else replace(run, begun=None), self._parent, outcome)

    def deliver(self) -> None:
        """Send what waits, and wait for the store as long as it takes; raises what it answers after minutes."""
        for folder in self._folders():
            self._deliver(folder)

    def _send(self, run: _Open) -> Begun:
        """Begin the run in the store, unless it is, and write the epochs that wait."""
        begun = self._begin(run)
        if run.waiting:
            recorder.log_epochs(self._store, begun.id, run.waiting)
            run.logged |= run.waiting.keys()
            run.waiting.clear()
        run.written = time.monotonic()
        return begun

    def _begin(self, run: _Open) -> Begun:
        if run.begun is None:
            run.begun = recorder.begin_run(self._store, self._parent, run.child)
            self._heart.runs.add(run.begun.id)
        return run.begun

    def _finish(self, run: _Open, outcome: Result | Failure) -> None:
        if isinstance(outcome, Failure):
            begun = self._send(run)
            recorder.fail_run(self._store, begun.id, outcome)
        else:
            begun = self._begin(run)  # what waits is in the curves of the result
            recorder.finish_run(self._store, begun, run.child, outcome, logged=run.logged)
        self._heart.runs.discard(begun.id)

    def _try(self, write: Callable[[], object]) -> bool:
        """Whether it could be written; a server that is away is left alone for some seconds."""
        if not self._store.remote:
            write()
            return True
        if time.monotonic() < self._ask_after:
            return False
        try:
            with self._store.client.at_once():
                for folder in self._folders():
                    self._deliver(folder)
                write()
        except Exception as error:
            if not patience.away(error):
                raise
            self._ask_after = time.monotonic() + AGAIN
            return False
        return True

    def _keep(self, run: _Open, outcome: Result | Failure) -> None:
        """Write a run that has ended to disk, whole or not at all."""
        folder = self._spool / f"{self._parent}-{run.child.trial}-{run.child.signature}"
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        if isinstance(outcome, Result):
            (part / "result").mkdir()
            artifacts.write(outcome, part / "result")
        (part / CHILD).write_bytes(pickle.dumps((run, outcome if isinstance(outcome, Failure) else None)))
        part.rename(folder)

    def _folders(self) -> list[Path]:
        return waiting(self._spool, self._parent)

    def _deliver(self, folder: Path) -> None:
        run, failure = pickle.loads((folder / CHILD).read_bytes())
        if run.begun and run.begun.id not in self._heart.runs:
            run = replace(run, begun=None)  # that of an earlier process is closed
        if not reader.has(self._store, self._parent, run.child.trial, run.child.signature):
            self._finish(run, failure or artifacts.read(folder / "result"))
        elif run.begun:  # it had arrived, only the answer was lost: nobody may end it otherwise
            self._heart.runs.discard(run.begun.id)
        shutil.rmtree(folder)


def waiting(spool: Path, parent: str = "") -> list[Path]:
    """The folders of runs that the store has not got, of one parent or of all."""
    return [folder for folder in sorted(spool.glob(f"{parent}*-*")) if folder.suffix != ".part"]


def send(store: Store, folder: Path) -> None:
    """Send one of them."""
    parent = folder.name.split("-")[0]
    Recording(store, parent, Heartbeat(store), folder.parent)._deliver(folder)


def _recorded(run: _Open, parent: str, result: Result) -> Recorded:
    child, config = run.child, run.child.config
    identity = run.begun.id if run.begun else ""
    kind = "lanes" if config.training.engine == "lanes" else config.model.kind
    return Recorded(identity, parent, child.signature, child.trial, config.seed, child.point, result.metrics, kind,
                    socket.gethostname(), "", config.execution.sharing, "", False)  # fmt: skip
