"""What a person sees in the terminal: the plan before, the progress during, the ranked table after."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from digitexp.config import change
from digitexp.settings import CLEAN, Baseline
from digitexp.watch import Watch

if TYPE_CHECKING:
    from digitexp.doctor import Finding
    from digitexp.experiment import Explored, Outcome, Promoted, Reported
    from digitexp.planning import Job, Plan, Spent
    from digitexp.recognise.predictions import Read
    from digitexp.recognise.submission import Submission
    from digitexp.reports.ranking import Row
    from digitexp.reproduction import Again
    from digitexp.results import Failure, Result

WIDE = 3  # measures, up to which a table has their intervals beside them, and beyond which below
PIPED_WIDTH = 120  # characters, where the output is no terminal
console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

COMMAND = "python -m digitexp"
LEAKAGE = (
    "LEAKAGE WAS PERMITTED (data.allow_leakage=true): images that are scored were trained on, so their accuracies are no "
    f"evidence of how new images are read; NAME{CLEAN} is the rest of a set, which was not trained on."
)

_EARLY = {"interrupted": "interrupted", "budget": "search.budget is spent", "failures": "search.max_failures is reached"}


def show_help(verbs: Mapping[str, str], sweeps: Mapping[str, str], recipes: Mapping[str, str]) -> None:
    """The verbs, how to type settings, every sweep with its question, and every recipe with what it is."""
    console.print(f"[bold]{COMMAND}[/] \\[VERB] \\[+sweep=NAME or +recipe=NAME] \\[SETTING=VALUE ...]\n")
    console.print("Hyperparameter experiments on handwritten digits: which setting is really better?\n")
    first = {verb: text.splitlines()[0] for verb, text in verbs.items()}
    for title, entries in (("verbs", first), ("sweeps", sweeps), ("recipes", recipes)):
        console.print(_definitions(title, entries))
        console.print()
    examples = {
        f"{COMMAND} +sweep=cnn_optimizers": "answer a question",
        f"{COMMAND} plan +sweep=dense_neurons search.repeats=3": "see what it would cost",
        f"{COMMAND} model=cnn training.epochs=3": "train one network",
        f"{COMMAND} report +sweep=cnn_optimizers": "write a page to send to a colleague",
        f"{COMMAND} explore data=mnist": "look at the data, and for labels that may be wrong",
        f"{COMMAND} ui": "compare the runs in a browser",
    }
    console.print(_definitions("examples", examples))
    console.print("\n-v shows what the libraries print; --cfg job shows all settings; --multirun, --hydra-help are Hydra's.")


def show_error(error: Exception) -> None:
    """An error of ours, as its one sentence."""
    errors.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}")


def show_interrupted() -> None:
    """After Ctrl-C."""
    errors.print("Interrupted. Finished runs are kept; the same command goes on from there.")


def show_address(address: str, ours: bool) -> None:
    """Where MLflow's pages are, and how they end where they are ours."""
    console.print(f"MLflow's pages{' (Ctrl-C ends them)' if ours else ''}: [bold]{escape(address)}[/]", soft_wrap=True)


def say(line: str) -> None:
    """A line of its own, in rich's markup, never broken."""
    console.print(line, soft_wrap=True)


def show_drawing_page(address: str, file: Path) -> None:
    """Where to draw, how it ends, and where the drawings are."""
    say(f"Draw on [bold]{address}[/] (Ctrl-C ends it); every drawing is kept in {escape(str(file))}")


def show_plan(plan: "Plan", question: str, finished: set[str], spent: Sequence["Spent"]) -> None:
    """What is asked, what would run, and how long that would take."""
    from digitexp import planning
    from digitexp.data import drawings, sets

    jobs = plan.listed_jobs()
    unique = {job.signature: job for job in jobs}
    pending = [job for signature, job in unique.items() if signature not in finished] if plan.points is not None else jobs
    config = plan.config
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim", no_wrap=True)
    about.add_column()
    for parameter in plan.parameters:
        values = planning.as_values(parameter)
        shown = values if isinstance(values, str) else ", ".join("null" if value is None else str(value) for value in values)
        only = "".join(f"  (where {path} is {' or '.join(map(str, allowed))})" for path, allowed in parameter.when.items())
        about.add_row("varies", f"{parameter.path}: {escape(shown)}{only}")
    *others, last = config.data.evaluation_sets
    scored = f"{', '.join(others)} and {last}" if others else last
    images = f"{sets.size(config.data):,} images to train on, scored on {scored}"
    about.add_row("data", f"{' and '.join(config.data.sources)}: {images}")
    for note in drawings.notes(config.data.drawn, config.data.classes):
        about.add_row("note", escape(note))
    kinds = dict.fromkeys(job.config.model.kind for job in jobs)
    steps = f", {_count(config.training.epochs, 'epoch')}, batches of {config.training.batch_size}"
    about.add_row("training", " and ".join(kinds) + ("" if set(kinds) == {"baseline"} else steps))
    about.add_row("ranked by", config.search.objective or "nothing: no winner is chosen")
    total = f"{_count(plan.trials, 'trial')} x {_count(config.search.repeats, 'seed')} = {_count(plan.runs, 'run')}"
    if plan.points is None:
        about.add_row("runs", f"{total}, proposed by {config.search.method} search; what is finished is not trained again")
    else:
        about.add_row("runs", f"{total}: {len(unique) - len(pending)} finished, {len(pending)} to train")
    if pending:
        seconds, known = planning.expected_seconds(pending, spent)
        basis = "from recorded runs" if known else "a guess: no such network is recorded on this machine yet"
        about.add_row("time", f"about {duration(seconds)} ({basis})")
    console.print(f"[bold]{config.search.name or 'one network'}[/]  {escape(question)}")
    console.print(about)
    console.print()


def show_difference(difference: Mapping[str, tuple[Any, Any]]) -> None:
    """How a question differs from the one that is recorded under its name."""
    console.print("Another question than the one recorded under this name; it is kept, and runs that both share are reused.")
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim", no_wrap=True)
    about.add_column()
    for path, (before, now) in difference.items():
        about.add_row("changed", f"{path}: {escape(_value(before))} -> {escape(_value(now))}")
    if not difference:
        about.add_row("changed", "the bytes of the data, or the version of Keras or TensorFlow")
    console.print(about)
    console.print()


def show_findings(findings: Sequence["Finding"], mended: bool) -> None:
    """What is wrong, why it matters, and what mends it."""
    for finding in findings:
        done = mended and finding.mend is not None
        console.print(f"[bold]{escape(finding.what)}[/]", soft_wrap=True)
        console.print(f"  {escape(finding.why)}", soft_wrap=True)
        console.print(f"  {'mended' if done else 'to mend it'}: {escape(finding.remedy)}", soft_wrap=True)
    if not findings:
        console.print("Nothing is wrong.")
    elif not mended and any(finding.mend for finding in findings):
        console.print(f"\n{COMMAND} doctor doctor.fix=true mends what it can.")


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
            value = outcome.metrics[self._objective]
            self._note_best(value, _name(job))
            console.print(f"{count}  {_name(job)}  {self._objective} {value:.4f}  {duration(time.monotonic() - began)}")
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


def show_outcome(plan: "Plan", outcome: "Outcome") -> None:
    """The ranked table, what it supports, and where everything lies."""
    objective = plan.config.search.objective
    console.print()
    console.print(_table(plan, outcome.rows, objective))
    for line in _verdict(outcome.rows, objective):
        console.print(f"[dim]{escape(line)}[/]")
    if any(change(plan.config, row.scored.point).data.allow_leakage for row in outcome.rows):
        console.print(f"[bold red]{LEAKAGE}[/]")
        for line in filter(None, map(_clean, outcome.rows)):
            console.print(escape(line))
    done = [f"{outcome.trained} trained"]
    done += [f"{outcome.reused} taken from other questions"] if outcome.reused else []
    done += [f"{outcome.imported} imported from {escape(str(plan.config.tracking.runs))}"] if outcome.imported else []
    runs = sum(len(row.scored.metrics) for row in outcome.rows)
    finished = runs - outcome.trained - outcome.reused - outcome.imported
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim", no_wrap=True)
    about.add_column(overflow="fold")
    about.add_row(
        "runs",
        ", ".join([*done, f"{finished} finished before", *([f"[red]{outcome.failed} failed[/]"] if outcome.failed else [])]),
    )
    if outcome.seconds:
        about.add_row("time", f"{duration(outcome.seconds)} of training, {duration(outcome.estimated)} were expected")
    if outcome.early:
        left = f"{_EARLY[outcome.early]}; {_count(outcome.left, 'run')} left"
        about.add_row("not finished", f"{left}: the same command goes on")
    if outcome.best:
        about.add_row("best network", outcome.best)
    elif objective and outcome.rows and outcome.rows[0].rank and not plan.config.search.refit:
        best = change(plan.config, outcome.rows[0].scored.point)
        if isinstance(best.model, Baseline):
            about.add_row("best network", "none: the best is a baseline, of which no network is kept")
        else:
            train = f"{COMMAND} run best={outcome.experiment}"
            about.add_row("best network", f"not here: its run was imported; {train} trains it")
    about.add_row("recorded in", outcome.store)
    about.add_row("compare", f"{COMMAND} ui search.name={outcome.experiment}")
    console.print()
    console.print(about)


def show_report(reported: "Reported") -> None:
    """The answer, and where each file of the report lies."""
    console.print(escape(reported.answer))
    if reported.note:
        console.print(f"[dim]{escape(reported.note)}[/]")
    for file in reported.files:
        console.print(escape(str(file)), soft_wrap=True)


def show_promoted(promoted: "Promoted") -> None:
    """Which network is in use from now on, and how to go back."""
    if promoted.before == promoted.address:
        console.print(f"The champion is {promoted.address} already, from {escape(promoted.chosen)}.", soft_wrap=True)
        return
    console.print(f"The champion is now [bold]{promoted.address}[/], from {escape(promoted.chosen)}.", soft_wrap=True)
    if promoted.before:
        console.print(f"Before: {promoted.before}; to go back, type {COMMAND} promote {promoted.before}", soft_wrap=True)


@contextmanager
def doing() -> Iterator[Callable[[str], None]]:
    """Says what is being done, in a terminal; gives the function to tell it."""
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(escape(text))


def show_explored(explored: "Explored") -> None:
    """What stands out in the data, and where each file lies."""
    console.print(escape(explored.summary))
    for file in explored.files:
        console.print(escape(str(file)), soft_wrap=True)


def show_training(run: str) -> None:
    """That a recorded run is being trained again."""
    console.print(f"[dim]training {escape(run)} again; nothing of it is recorded[/]")


def show_again(found: "Again") -> None:
    """What is not as it was recorded, and every metric then and now."""
    console.print(f"[bold]{escape(found.name)}[/]  {found.signature}")
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim", no_wrap=True)
    about.add_column(overflow="fold")
    for what, (then, now) in found.differs.items():
        about.add_row(what, f"{escape(then)} then, {escape(now)} now")
    if not found.differs:
        about.add_row("configuration, versions, data", "as recorded")
    console.print(about)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("", "recorded", "again", "again minus recorded", "p", "read otherwise"):
        table.add_column(column, no_wrap=True)
    for one in found.measured:
        apart = f"{one.again - one.recorded:+.4g}"
        if one.interval:
            apart += f"  {one.interval.low:+.4f} to {one.interval.high:+.4f}"
        p = "" if one.p is None else f"{one.p:.3f}"
        changed = "" if one.changed is None else f"{one.changed:,} images"
        table.add_row(one.metric, f"{one.recorded:.6g}", f"{one.again:.6g}", apart, p, changed)
    console.print()
    console.print(table)
    console.print()
    console.print(_AGAIN[found.verdict])


_AGAIN = {
    "identical": "Identical, to six digits.",
    "alike": "Alike: no accuracy differs by more than chance (McNemar, Fisher where the images are not known; Holm, 5 %).",
    "different": "[red]Different[/]: an accuracy differs by more than chance (McNemar or Fisher; Holm, 5 %).",
}


def show_reading(read: "Read") -> None:
    """What is written on an image, line by line, and of each line the mark that the network was least sure of."""
    unsure = sum(mark.digit == "?" for mark in read.marks)
    doubts = f", {unsure} of them unsure (?)" if unsure else ""
    found = f"{_count(len(read.marks), 'digit')} in {_count(len(read.lines), 'line')}{doubts}" if read.marks else "no digit"
    console.print(f"[bold]{escape(read.path)}[/]  {found}  [dim]{escape(str(read.picture))}[/]", soft_wrap=True)
    if not read.marks:
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("line", justify="right")
    table.add_column("reads", overflow="fold", style="bold")
    table.add_column("least sure of", no_wrap=True)
    for number, text in enumerate(read.lines, 1):
        line = [mark for mark in read.marks if mark.line == number]
        place, mark = min(enumerate(line, 1), key=lambda entry: entry[1].probability)
        other = f"{mark.runner_up} {mark.runner_up_probability:.2f}"
        least = f"{mark.guess} {mark.probability:.2f}, or {other}, at place {place}"
        table.add_row(str(number), text, least)
    console.print(table)


def show_submission(made: "Submission") -> None:
    """Where the submission is, what it scores where that is known, and whether that score flatters."""
    about = Table.grid(padding=(0, 2))
    about.add_column(style="dim", no_wrap=True)
    about.add_column(overflow="fold")
    about.add_row("submission", escape(f"{made.file}, {made.images:,} images"))
    for seen in made.networks:
        of_it = (
            f"where it was trained is not known: {seen.unknown_because}"
            if seen.trained_on is None
            else f"{seen.trained_on:,} of the images were trained on, {seen.chosen_by:,} chosen by"
        )
        about.add_row("network", escape(f"{seen.model}; {of_it}"))
    if made.accuracy is not None:
        flattered = f", of which {made.leaked:,} were seen before: it flatters" if made.leaked else ""
        about.add_row("score", f"{made.accuracy:.5f} on {made.images:,} images{flattered}")
    if made.leaked and made.clean_accuracy is not None:
        about.add_row("", f"{made.clean_accuracy:.5f} on the {made.images - made.leaked:,} that were not")
    console.print(about)


def _table(plan: "Plan", rows: Sequence["Row"], objective: str | None) -> Table:
    paths = [parameter.path for parameter in plan.parameters]
    measures = [f"{name}/accuracy" for name in plan.config.data.evaluation_sets]
    if objective and objective not in measures:
        measures.insert(0, objective)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    for path in paths:
        table.add_column(path, no_wrap=True)
    for measure in measures:
        table.add_column(f"{measure}{'*' if measure == objective else ''}", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for row in rows:
        place = f"{row.rank}{'=' if row.top and sum(other.top for other in rows) > 1 else ' '}" if row.rank else ""
        settings = [_value(row.scored.point[path]) if path in row.scored.point else "" for path in paths]
        if row.scored.failure:
            table.add_row("-", *settings, f"[red]{escape(row.scored.failure)}[/]")
            continue
        cells = [_measure(row, measure, "\n" if len(measures) > WIDE else "  ") for measure in measures]
        table.add_row(
            place, *settings, *cells, f"{row.scored.mean('seconds'):.1f}", style="" if row.top or not row.rank else "dim"
        )
    return table


def _measure(row: "Row", measure: str, between: str) -> str:
    interval = row.intervals.get(measure)
    spread = f"{between}{interval.low:.4f} to {interval.high:.4f}" if interval else ""
    return f"{row.scored.mean(measure):.4f}{spread}"


def _clean(row: "Row") -> str:
    """What a setting scored on the part of each set that it was not trained on."""
    from digitexp.reports.ranking import label

    measures = [name for name in row.intervals if name.endswith(f"{CLEAN}/accuracy")]
    scores = ", ".join(f"{measure} {_measure(row, measure, '  ')}" for measure in measures)
    return f"{label(row.scored.point)}: {scores}" if measures else ""


def _verdict(rows: Sequence["Row"], objective: str | None) -> list[str]:
    """What the intervals and the top group support, in words."""
    from digitexp.reports import ties

    seeds = max((len(row.scored.metrics) for row in rows), default=0)
    if seeds == 1:
        lines = ["Ranges are 95 % intervals (Wilson) of one seed; other seeds may differ by more."]
    elif all(row.scored.hits for row in rows if not row.scored.failure):
        lines = [f"Ranges are 95 % intervals (bootstrap over {seeds} seeds and the images)."]
    else:
        lines = [f"Ranges are 95 % intervals (Wilson, widened by the spread of {seeds} seeds)."]
    if objective:
        lines.append("* chosen on: the ranking is by it, so the winner's own value flatters it.")
    for row in rows:
        if row.scored.together:
            said = ", ".join(f"{part} {value:.4f}" for part, value in row.scored.together.items())
            point = " ".join(f"{path}={_value(value)}" for path, value in row.scored.point.items())
            lines.append(f"{point or 'The network'}, its {seeds} seeds read together: {said}.")
    top, ranked = [row for row in rows if row.top], [row for row in rows if row.rank]
    if len(top) > 1:
        lines.append(f"= a tie: these {len(top)} cannot be told apart on these images (5 %, Holm).")
        named = [" ".join(map(_value, row.scored.point.values())) for row in top[:2]]
        names = named if len(top[0].scored.point) == 1 else ["the first", "the second"]
        lines.append(ties.of_group(top, names, str(objective).split("/")[0]))
    elif top and len(ranked) > 1:
        lines.append("No tie: the first is better than every other on these images (5 %, Holm).")
    return lines


def duration(seconds: float) -> str:
    """Seconds in words: "4.2 s", "3 min", "1 h 20 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _shown_set(plan: "Plan") -> str:
    """The set that is followed where nothing is chosen: drawings where there are some, test where nothing else is."""
    return next((name for name in ("drawn", "val") if name in plan.config.data.evaluation_sets), "test")


def _name(job: "Job") -> str:
    settings = [f"{path}={_value(value)}" for path, value in job.point.items()]
    return escape(" ".join([*settings, f"seed={job.config.seed}"]))


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "null" if value is None else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _definitions(title: str, entries: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_row(f"[bold]{title}[/]", "")
    for name, text in entries.items():
        table.add_row(f"  {escape(name)}", escape(text))
    return table
