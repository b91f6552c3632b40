"""What is asked, before anything is trained."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from digitexp.screen.console import as_text, console, count, duration, facts
from digitexp.settings import MIXED

if TYPE_CHECKING:
    from digitexp.costs import Spent
    from digitexp.planning import Plan


def show_plan(plan: "Plan", question: str, finished: set[str], spent: Sequence["Spent"]) -> None:
    """What is asked, what would run, and how long that would take."""
    from digitexp import costs, planning
    from digitexp.data import drawings, sets

    jobs = plan.listed_jobs()
    unique = {job.signature: job for job in jobs}
    pending = [job for signature, job in unique.items() if signature not in finished] if plan.points is not None else jobs
    config = plan.config
    about = facts()
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
    epochs, batches = (_span([getattr(job.config.training, name) for job in jobs]) for name in ("epochs", "batch_size"))
    steps = f", {epochs} epoch{'' if epochs == '1' else 's'}, batches of {batches}"
    about.add_row("training", " and ".join(kinds) + ("" if set(kinds) == {"baseline"} else steps))
    together = sum(job.config.training.engine == "lanes" for job in jobs)
    if together:
        alone = f", {count(len(jobs) - together, 'run')} one by one" if together < len(jobs) else ""
        about.add_row("engine", f"lanes: {count(together, 'run')} side by side, as one program or several{alone}")
    if any(job.config.training.precision == MIXED for job in jobs):
        about.add_row("precision", f"{MIXED}: products of 16 bits, sums of 32")
    about.add_row("ranked by", config.search.objective or "nothing: no winner is chosen")
    total = f"{count(plan.trials, 'trial')} x {count(config.search.repeats, 'seed')} = {count(plan.runs, 'run')}"
    if plan.points is None:
        about.add_row("runs", f"{total}, proposed by {config.search.method} search; what is finished is not trained again")
    else:
        about.add_row("runs", f"{total}: {len(unique) - len(pending)} finished, {len(pending)} to train")
    if pending:
        seconds, known = costs.expected_seconds(pending, spent)
        basis = "from recorded runs" if known else "a guess: no such network is recorded on this machine yet"
        said = f"about {duration(seconds)} ({basis})"
        if not known and any(costs.training_tflop(job.config) is None for job in pending):
            said = "not known: nothing of the kind is recorded on this machine yet"
        about.add_row("time", said)
    console.print(f"[bold]{config.search.name or 'one network'}[/]  {escape(question)}")
    console.print(about)
    console.print()


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def show_difference(difference: Mapping[str, tuple[Any, Any]]) -> None:
    """How a question differs from the one that is recorded under its name."""
    console.print("Another question than the one recorded under this name; it is kept, and runs that both share are reused.")
    about = facts()
    for path, (before, now) in difference.items():
        about.add_row("changed", f"{path}: {escape(as_text(before))} -> {escape(as_text(now))}")
    if not difference:
        about.add_row("changed", "the order of the space, the bytes of the data, or the version of Keras or TensorFlow")
    console.print(about)
    console.print()
