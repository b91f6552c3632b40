"""A running sweep."""

import signal
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from digitexp.screen.console import as_text, console, duration, errors
from digitexp.watch import Watch

if TYPE_CHECKING:
    from digitexp.planning import Job, Plan
    from digitexp.results import Failure, Result


class Progress(Watch):
    """Tells of a running sweep: bars in a terminal, a line a run elsewhere. Used as a context around the sweep."""

    def __init__(self, plan: "Plan") -> None:
        self._plan = plan
        self._objective = plan.config.search.objective or f"{_shown_set(plan)}/accuracy"
        self._best: tuple[float, str] | None = None
        self._done = self._of = 0
        self._began = 0.0
        self._training: dict[str, tuple[float, int, int]] = {}  # by signature: when it began, its epoch, and its last
        self._stopped = False
        self._handler: Any = None
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._sweep = self._bars.add_task("runs", total=None, visible=False, note="")
        self._epochs = self._bars.add_task("epochs", total=plan.config.training.epochs, visible=False, note="")
        self._doing = Text("starting TensorFlow", style="dim")
        self._live = Live(Group(self._bars, self._doing), console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> "Progress":
        if console.is_terminal:
            self._live.start()
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if console.is_terminal:
            self._live.stop()
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    def stopped(self) -> bool:
        """Whether Ctrl-C was typed."""
        return self._stopped

    def _interrupt(self, number: int, frame: object) -> None:
        if self._stopped:
            raise KeyboardInterrupt
        self._stopped = True
        errors.print("Ending after what is being trained; Ctrl-C again ends it now.")

    def begin(self, job: "Job", number: int, of: int) -> None:
        """A run starts training; the bar of epochs is of all that train at once."""
        self._training[job.signature] = time.monotonic(), 0, job.config.training.last
        if number == 1:
            self._began, self._done, self._of = time.monotonic(), 0, of
        self._bars.update(self._sweep, total=of, completed=self._done, visible=True)
        self._show_epochs("")
        self._say(f"training {_name(job)}")

    def epoch(self, job: "Job", epoch: int, metrics: Mapping[str, float]) -> None:
        """A run has finished an epoch."""
        shown = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items() if name.endswith("/accuracy"))
        began, _, last = self._training[job.signature]
        self._training[job.signature] = began, epoch, last
        self._show_epochs(shown)

    def end(self, job: "Job", outcome: "Result | Failure") -> None:
        """A run is finished or has failed: a line of its own, above the bars."""
        from digitexp.results import Result

        began, _, _ = self._training.pop(job.signature)
        self._done += 1
        count = f"{self._done:>{len(str(self._of))}}/{self._of}"
        if isinstance(outcome, Result):
            value = outcome.metrics.get(self._objective)  # a sweep may vary which sets there are
            if value is not None:
                self._note_best(value, _name(job))
            shown = "" if value is None else f"  {self._objective} {value:.4f}"
            console.print(f"{count}  {_name(job)}{shown}  {duration(time.monotonic() - began)}")
        else:
            console.print(f"{count}  {_name(job)}  [red]failed[/]: {escape(outcome.message)}")
        left = (self._of - self._done) * (time.monotonic() - self._began) / self._done
        best = f"best {self._best[0]:.4f} ({self._best[1]})" if self._best else ""
        self._bars.advance(self._sweep)
        self._bars.update(self._sweep, note=f"{duration(left)} left  {best}")

    def say(self, text: str) -> None:
        """Something else is being done."""
        self._bars.update(self._epochs, visible=False)
        self._say(text)

    def _show_epochs(self, note: str) -> None:
        total, done = (sum(each[place] for each in self._training.values()) for place in (2, 1))
        self._bars.update(self._epochs, total=total, completed=done, visible=True, note=note)

    def _say(self, text: str) -> None:
        self._doing.plain = text

    def _note_best(self, value: float, name: str) -> None:
        better = -value if self._objective.endswith("/loss") else value
        if self._best is None or better > (-self._best[0] if self._objective.endswith("/loss") else self._best[0]):
            self._best = (value, name)


def _shown_set(plan: "Plan") -> str:
    """The set that is followed where nothing is chosen: drawings where there are some, test where nothing else is."""
    return next((name for name in ("drawn", "val") if name in plan.config.data.evaluation_sets), "test")


def _name(job: "Job") -> str:
    settings = [f"{path}={as_text(value)}" for path, value in job.point.items()]
    return escape(" ".join([*settings, f"seed={job.config.seed}"]))
