"""What an executor is: it is given bundles of runs, and tells of their epochs and outcomes as they come.

How many workers there are, and which of them is quicker, changes nothing but the order in which things are told.
"""

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from digitexp import registry
from digitexp.results import Failure, Result
from digitexp.settings import Config

# (index, epoch, metrics): the run at that position begins (epoch 0), or has finished an epoch.
Told = Callable[[int, int, Mapping[str, float]], None]

# Environment variables that say how many threads TensorFlow uses.
THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")

# Whether the runs at these positions may still begin: the time or the patience for more of them may be over.
Ready = Callable[[Sequence[int]], bool]

Outcome = tuple[int, Result | Failure]

# What trains runs, as runs.run does. It travels to the workers by its name, so it is a function of a module.
Work = Callable[..., Iterator[Outcome]]


@dataclass(frozen=True)
class Bundle:
    """Runs that one worker trains together: their positions in the batch, configurations and checkpoint files.

    `folder` is theirs alone; it is created where they are trained.
    """

    positions: Sequence[int]
    configs: Sequence[Config]
    checkpoints: Sequence[Path | None]
    folder: Path

    def without(self, done: set[int]) -> "Bundle":
        """The runs that have no outcome yet."""
        left = [place for place, position in enumerate(self.positions) if position not in done]
        return replace(
            self,
            positions=[self.positions[place] for place in left],
            configs=[self.configs[place] for place in left],
            checkpoints=[self.checkpoints[place] for place in left],
        )

    def halves(self) -> list["Bundle"]:
        """The runs in two bundles, each with a folder of its own, since they may be trained side by side; one run in one."""
        middle = len(self.positions) // 2
        first, second = set(self.positions[:middle]), set(self.positions[middle:])
        parts = [self.without(other) for other, own in ((second, first), (first, second)) if own]
        return [replace(part, folder=self.folder / str(number)) for number, part in enumerate(parts)]

    def train(self, work: Work, told: Told) -> Iterator[Outcome]:
        """Train the runs in this process."""
        self.folder.mkdir(parents=True, exist_ok=True)

        def on_epoch(place: int, epoch: int, metrics: Mapping[str, float]) -> bool:
            told(self.positions[place], epoch, metrics)
            return True

        for place, outcome in work(self.configs, self.folder, on_epoch, self.checkpoints):
            yield self.positions[place], outcome


class Executor(Protocol):
    """Trains bundles. It may be asked again and again; its workers stay until it is closed."""

    def run(self, bundles: Sequence[Bundle], told: Told, ready: Ready) -> Iterator[Outcome]:
        """Every outcome as it comes; runs that are not begun, since they were not `ready`, have none."""
        ...

    def close(self) -> None:
        """End the workers at once, whatever they do."""
        ...


def pack(bundle: Bundle, work: Work) -> bytes:
    """A bundle as bytes, for another process, which may have to import what the user registered before it can read it."""
    return pickle.dumps((bundle.configs[0].extensions, pickle.dumps((bundle, work))))


def unpack(packed: bytes) -> tuple[Bundle, Work]:
    """What `pack` packed."""
    extensions, rest = pickle.loads(packed)
    registry.load(extensions)
    content: tuple[Bundle, Work] = pickle.loads(rest)
    return content


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads(threads: int) -> None:
    """Have TensorFlow use so many threads; it looks when it is imported, so what was set by the user stays."""
    for name in THREADS:
        os.environ.setdefault(name, str(threads))


def sentence(error: BaseException) -> str:
    """An error in one line."""
    lines: list[Any] = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
