"""The help, errors, and what the verbs besides `run` and `plan` have to say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from digitexp.screen.console import COMMAND, console, count, definitions, errors, facts, say

if TYPE_CHECKING:
    from digitexp.doctor import Finding
    from digitexp.experiment import Explored, Promoted, Reported
    from digitexp.recognise.predictions import Read
    from digitexp.recognise.submission import Submission
    from digitexp.reproduction import Again

_AGAIN = {
    "identical": "Identical, to six digits.",
    "alike": "Alike: no accuracy differs by more than chance (McNemar, Fisher where the images are not known; Holm, 5 %).",
    "different": "[red]Different[/]: an accuracy differs by more than chance (McNemar or Fisher; Holm, 5 %).",
}


def show_help(verbs: Mapping[str, str], sweeps: Mapping[str, str], recipes: Mapping[str, str]) -> None:
    """The verbs, how to type settings, every sweep with its question, and every recipe with what it is."""
    console.print(f"[bold]{COMMAND}[/] \\[VERB] \\[+sweep=NAME or +recipe=NAME] \\[SETTING=VALUE ...]\n")
    console.print("Hyperparameter experiments on handwritten digits: which setting is really better?\n")
    first = {verb: text.splitlines()[0] for verb, text in verbs.items()}
    for title, entries in (("verbs", first), ("sweeps", sweeps), ("recipes", recipes)):
        console.print(definitions(title, entries))
        console.print()
    examples = {
        f"{COMMAND} +sweep=cnn_optimizers": "answer a question",
        f"{COMMAND} plan +sweep=dense_neurons search.repeats=3": "see what it would cost",
        f"{COMMAND} model=cnn training.epochs=3": "train one network",
        f"{COMMAND} report +sweep=cnn_optimizers": "write a page to send to a colleague",
        f"{COMMAND} explore data=mnist": "look at the data, and for labels that may be wrong",
        f"{COMMAND} ui": "compare the runs in a browser",
    }
    console.print(definitions("examples", examples))
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


def show_drawing_page(address: str, file: Path) -> None:
    """Where to draw, how it ends, and where the drawings are."""
    say(f"Draw on [bold]{address}[/] (Ctrl-C ends it); every drawing is kept in {escape(str(file))}")


@contextmanager
def doing() -> Iterator[Callable[[str], None]]:
    """Says what is being done, in a terminal; gives the function to tell it."""
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("") as status:
        yield lambda text: status.update(escape(text))


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


def show_explored(explored: "Explored") -> None:
    """What stands out in the data, and where each file lies."""
    console.print(escape(explored.summary))
    for file in explored.files:
        console.print(escape(str(file)), soft_wrap=True)


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


def show_training(run: str) -> None:
    """That a recorded run is being trained again."""
    console.print(f"[dim]training {escape(run)} again; nothing of it is recorded[/]")


def show_again(found: "Again") -> None:
    """What is not as it was recorded, and every metric then and now."""
    from digitexp.evidence.report import p_text  # brings SciPy along, which `--help` need not wait for

    console.print(f"[bold]{escape(found.name)}[/]  {found.signature}")
    about = facts()
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
        p = "" if one.p is None else p_text(one.p)
        changed = "" if one.changed is None else f"{one.changed:,} images"
        table.add_row(one.metric, f"{one.recorded:.6g}", f"{one.again:.6g}", apart, p, changed)
    console.print()
    console.print(table)
    console.print()
    console.print(_AGAIN[found.verdict])


def show_reading(read: "Read") -> None:
    """What is written on an image, line by line, and of each line the mark that the network was least sure of."""
    unsure = sum(mark.digit == "?" for mark in read.marks)
    doubts = f", {unsure} of them unsure (?)" if unsure else ""
    found = f"{count(len(read.marks), 'digit')} in {count(len(read.lines), 'line')}{doubts}" if read.marks else "no digit"
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
    about = facts()
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
