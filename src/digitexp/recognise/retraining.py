"""Train the network in use again with the drawings of the store, and say whether that helped: seed 003's loop.

It is an ordinary run, started as an ordinary command in a process of its own: recorded, resumed, never trained twice.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from digitexp import compose
from digitexp.config import flatten
from digitexp.data import drawings
from digitexp.decisive import decisive
from digitexp.errors import ConfigError, DataError, TrackingError
from digitexp.evaluation import compare, ties
from digitexp.planning import plan
from digitexp.recognise.network import Network, load
from digitexp.recognise.sitting import Desk
from digitexp.recognise.standing import Share
from digitexp.settings import Config, Drawn
from digitexp.tracking import reader, registry
from digitexp.tracking.store import Store, exists, folder, open_store

NAME = "retrained"  # its experiment, and `models:/digitexp.retrained@best`
ADDRESS = f"models:/{registry.model_name(NAME)}@{registry.ALIAS}"
LINES = 12  # of the command's output
PATIENCE = (2, 10)  # seconds after each interruption: the first asks for an end after this run, the second for one at once


@dataclass(frozen=True)
class Round:
    """Old and new network on the frozen drawings, the same for both: `low` to `high` is the gain's 95 % interval.

    further   how many more drawings would tell them apart, None where they are, or where nothing can be said
    """

    model: str
    old: Share
    new: Share
    gain: float
    low: float
    high: float
    p: float
    further: int | None

    @property
    def verdict(self) -> str:
        """Whether this round helped, in a sentence."""
        if self.low > 0:
            return "It helps: the gain's interval lies above 0."
        if self.high < 0:
            return "It reads worse: the gain's interval lies below 0."
        return "It no longer helps: the gain's interval covers 0."


def compared(name: str, old: np.ndarray, new: np.ndarray) -> Round:
    """Two networks by what they read right, bool (n,), of the same drawings, 1 or more."""
    before, after = (
        Share("", int(hits.sum()), len(hits), *compare.score(float(hits.mean()), len(hits))) for hits in (old, new)
    )
    gain, apart = float(new.mean() - old.mean()), compare.difference([new], [old])
    further = None if apart.low > 0 or apart.high < 0 else ties.further([new], [old]).images
    return Round(name, before, after, gain, apart.low, apart.high, compare.mcnemar(new, old), further)


class Retraining:
    """At most one retraining at a time, of the first network of a desk, with the drawings of its store."""

    def __init__(self, desk: Desk, config: Config) -> None:
        self.desk, self.config = desk, config
        self.phase = "idle"  # idle | training | comparing | done | failed | stopped
        self.message, self.command, self.epochs = "", "", 0
        self.lines: deque[str] = deque(maxlen=LINES)
        self.warnings: list[str] = []
        self.round: Round | None = None
        self.network: Network | None = None
        self._signature = ""
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._store: Store | None = None

    def start(self, only_misread: bool) -> None:
        """Start it, with all drawings to train on, or only those that the network to be improved misread.

        It is given a copy of the store, which stays: whoever goes on drawing would change what is being trained on. Raises
        ConfigError while one is running, and for what the command itself would refuse.
        """
        with self._lock:
            if self._thread and self._thread.is_alive():
                raise ConfigError("retraining: one is running or is still ending; stop it first, or wait for it.")
            frozen = folder(self.config.tracking.uri) / "retraining" / f"{uuid4().hex}.db"
            try:
                self.desk.store.copy_to(frozen)
                words = self.words(only_misread, frozen)
                spelt = plan(compose.compose(words))
            except BaseException:
                frozen.unlink(missing_ok=True)
                raise
            assert spelt.points is not None
            self._signature = spelt.jobs(0, spelt.points[0])[0].signature
            self.epochs, self.round, self.network = spelt.config.training.epochs, None, None
            self.command = shlex.join(["python", "-m", "digitexp", *words])
            self.phase, self.message = "training", ""
            self.lines.clear()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "digitexp", *words], text=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "100"},
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler) if os.name == "posix" else None,
            )  # fmt: skip
            self._thread = threading.Thread(target=self._follow, args=(self._process, spelt.config.data.drawn), daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Interrupt it, as Ctrl-C twice would, and wait until it has ended; nothing is done when none is running.

        Where it hears nothing for long, in the middle of a compilation say, it is ended all the same; its run goes on later.
        """
        if not self._process or self._process.poll() is not None:
            return
        self.phase = "stopped"
        for seconds in PATIENCE:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
                return
        self._process.terminate()

    def join(self, seconds: float | None = None) -> None:
        """Wait until it has ended."""
        if self._thread:
            self._thread.join(seconds)

    def epoch(self) -> int:
        """How many epochs are done, as the store has it."""
        if self.phase != "training" or not exists(self.config.tracking.uri):
            return 0
        return reader.epochs(self._opened(), self._signature)

    def promote(self) -> str:
        """Make the retrained network the champion, and the one to be improved from now on. Raises ConfigError."""
        if self.network is None:
            raise ConfigError("promote: there is no retrained network yet.")
        address, _ = registry.promote(self._opened(), self.network.name)  # what was compared, not what is best by now
        self.desk.networks[0] = replace(self.network, name=address)
        self.network = None
        return address

    def words(self, only_misread: bool, store: Path) -> list[str]:
        """The command's settings: those that trained the network, and all drawings of `store`. Raises DigitexpError."""
        network, config = self.desk.networks[0], self.config
        settings = decisive(flatten(config)) | {"seed": config.seed}
        if network.run:
            settings = reader.settings(self._opened(), network.run)
        self.warnings = self._warnings(settings, network, only_misread)
        drawn = replace(config.data.drawn, source="store", images=None, labels=None, holdout=0,
                        store=str(store), recognised_by=network.name if only_misread else None)  # fmt: skip
        found = drawings.count(drawn, self.desk.classes)
        free, _ = drawings.division(drawn, self.desk.classes, found)
        if not free:
            raise DataError("retraining: found no drawing to train on; label some in a sitting to train on.")
        mine: dict[str, Any] = {
            "data.classes": list(self.desk.classes),
            "data.manual_labels": free,
            "data.drawn.source": "store",
            "data.drawn.images": None,
            "data.drawn.labels": None,
            "data.drawn.store": drawn.store,
            "data.drawn.recognised_by": drawn.recognised_by,
            "data.drawn.geometry": drawn.geometry,
            "data.drawn.stroke_width": drawn.stroke_width,
            "data.drawn.holdout": found - free,
        }
        settings |= mine | {"search.name": NAME, "tracking.pictures": "best"}
        if config.tracking.uri:
            settings["tracking.uri"] = config.tracking.uri
        if not settings["data.validation"]:
            settings["search.objective"] = None
        # A question of one answer: only what varies something has a name of its own.
        return [*compose.overrides(settings), f"search.space={{data.manual_labels:[{free}]}}"]

    def _warnings(self, settings: dict[str, Any], network: Network, only_misread: bool) -> list[str]:
        found = []
        others = [model for model in self.desk.store.recognisers() if model != network.name]
        if others and not only_misread:
            found.append(f"Some drawings were recognised by another network ({', '.join(others)}): what {network.name} "
                         "itself misread helps it most.")  # fmt: skip
        if settings["data.manual_labels"] and settings["data.drawn.source"] in ("csv", "folder"):
            found.append(f"{network.name} was trained with {settings['data.manual_labels']} drawings of "
                         f"{settings['data.drawn.images']} too: to keep them, digitexp draw draw.add=FOLDER.")  # fmt: skip
        return found

    def _follow(self, process: "subprocess.Popen[str]", drawn: Drawn) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip())
        code = process.wait()
        process.stdout.close()
        try:
            if self.phase == "stopped":
                return
            if code:
                said = next((line for line in reversed(self.lines) if line), f"exit code {code}")
                self.phase, self.message = "failed", said
                return
            self.phase = "comparing"
            self._compare(drawn)
            self.phase = "done"
        except Exception as error:  # whatever it is, the page must not wait for ever
            self.phase, self.message = "failed", str(error) or type(error).__name__

    def _compare(self, drawn: Drawn) -> None:
        store = self._opened()
        runs = [run for run in reader.finished(store) if run.signature == self._signature]
        if not runs:
            raise TrackingError("retraining: the run is not in the store; is tracking.uri another one?")
        result = reader.result(store, runs[-1].id)
        registry.register_best(store, runs[-1].parent, NAME, runs[-1].id, result.network)
        self.network = load(ADDRESS, self.desk.classes, self.config.tracking.uri)
        if drawn.holdout:
            found = drawings.read(drawn, self.desk.classes)
            _, scored = drawings.division(drawn, self.desk.classes, len(found))
            frozen = found.take(np.arange(len(found))[-scored:])
            truth = np.array(frozen.classes)[frozen.labels]
            with self.desk.one_at_a_time:
                old, new = (
                    np.array(each.classes)[each.probabilities(frozen.images).argmax(axis=1)] == truth
                    for each in (self.desk.networks[0], self.network)
                )
            self.round = compared(self.network.name, old, new)

    def _opened(self) -> Store:
        self._store = self._store or open_store(self.config.tracking.uri)
        return self._store
