"""Runs side by side in long-lived processes of this machine.

A worker is spawned, not forked, since TensorFlow does not survive a fork. It stays, since importing TensorFlow takes
seconds, and is replaced after a number of runs or above a size, since TensorFlow keeps some memory of every network. One
that is killed takes no other down: its runs are tried again elsewhere, and fail when that was the last try.
"""

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any

from digitexp.errors import TrainingError
from digitexp.executors import worker
from digitexp.executors.executor import Bundle, Outcome, Ready, Told, Work, cores, pack
from digitexp.results import Failure
from digitexp.settings import Execution

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: connection.Connection
    runs: int = 0
    bundle: Bundle | None = None
    tries: int = 0  # that the bundle has left, should it be killed
    done: set[int] = field(default_factory=set)  # positions of the bundle that have an outcome

    @staticmethod
    def start(threads: int) -> "_Worker":
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(target=worker.serve, args=(theirs, threads), name="digitexp worker", daemon=True)
        process.start()
        theirs.close()  # so that the end of the worker is the end of the pipe
        return _Worker(process, ours)

    def give(self, bundle: Bundle, tries: int, work: Work) -> None:
        self.bundle, self.tries, self.done = bundle, tries, set()
        self.runs += len(bundle.positions)
        with suppress(OSError):  # it was killed while it waited, which is found when it is listened to
            self.pipe.send(pack(bundle, work))

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Pool:
    """The executor with `execution.workers` processes, which share the cores of this machine."""

    def __init__(self, settings: Execution, work: Work) -> None:
        self._settings, self._work = settings, work
        self._threads = max(1, cores() // settings.workers)
        self._workers: list[_Worker] = []

    def run(self, bundles: Sequence[Bundle], told: Told, ready: Ready) -> Iterator[Outcome]:
        """Every outcome as it comes."""
        waiting = deque((bundle, self._settings.retries) for bundle in bundles)
        while True:
            while waiting and (free := self._free()) and ready(waiting[0][0].positions):
                free.give(*waiting.popleft(), self._work)
            busy: dict[Any, _Worker] = {each.pipe: each for each in self._workers if each.bundle}
            if not busy:
                return
            for heard in connection.wait(list(busy)):
                yield from self._hear(busy[heard], waiting, told)

    def close(self) -> None:
        """End every worker."""
        for each in self._workers:
            each.end()
        self._workers.clear()

    def _free(self) -> _Worker | None:
        for gone in [each for each in self._workers if not each.bundle and not each.process.is_alive()]:
            self._remove(gone)  # while it had nothing to do: no bundle is to blame
        idle = next((each for each in self._workers if not each.bundle), None)
        if idle is None and len(self._workers) < self._settings.workers:
            self._workers.append(idle := _Worker.start(self._threads))
        return idle

    def _hear(self, one: _Worker, waiting: deque[tuple[Bundle, int]], told: Told) -> Iterator[Outcome]:
        assert one.bundle is not None
        try:
            kind, *content = one.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(one, waiting)
            return
        if kind == "epoch":
            told(*content)
        elif kind == "outcome":
            one.done.add(content[0])
            yield content[0], content[1]
        elif kind == "error":
            raise TrainingError(f"a worker cannot go on: {content[0]}")
        else:
            one.bundle = None
            if one.runs >= self._settings.runs_per_worker or content[0] > self._settings.memory_per_worker * 2**30:
                self._remove(one)

    def _bury(self, dead: _Worker, waiting: deque[tuple[Bundle, int]]) -> Iterator[Outcome]:
        """What is left of the bundle of a worker that was killed is tried again, or fails."""
        assert dead.bundle is not None
        left = dead.bundle.without(dead.done)
        self._remove(dead)
        if left.positions and dead.tries:
            waiting.extendleft((part, dead.tries - 1) for part in left.halves())  # they may have been too much at once
            return
        tries = self._settings.retries + 1
        message = f"its worker was killed {_how(dead.process.exitcode)}, {tries} time{'s' if tries > 1 else ''} of {tries}"
        yield from ((position, Failure(message, message)) for position in left.positions)

    def _remove(self, one: _Worker) -> None:
        one.end()
        self._workers.remove(one)


def _how(code: int | None) -> str:
    """A process' exit code in words."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"by {name}" + (" (by the system, if memory ran out)" if name == "SIGKILL" else "")
    return f"with exit code {code}"
