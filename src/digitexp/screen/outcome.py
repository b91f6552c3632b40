"""The ranked table after a sweep, and what it supports."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from digitexp.config import change
from digitexp.screen.console import COMMAND, as_text, console, count, duration, facts
from digitexp.settings import CLEAN, Baseline

if TYPE_CHECKING:
    from digitexp.evidence.ranking import Row
    from digitexp.experiment import Outcome
    from digitexp.planning import Plan

LEAKAGE = (
    "LEAKAGE WAS PERMITTED (data.allow_leakage=true): images that are scored were trained on, so their accuracies are no "
    f"evidence of how new images are read; NAME{CLEAN} is the rest of a set, which was not trained on."
)
_EARLY = {"interrupted": "interrupted", "budget": "search.budget is spent", "failures": "search.max_failures is reached"}


def show_outcome(plan: "Plan", outcome: "Outcome") -> None:
    """The ranked table, what it supports, and where everything lies."""
    objective = plan.config.search.objective
    console.print()
    beside, below = (_table(plan, outcome.rows, objective, between) for between in ("  ", "\n"))
    needed = console.measure(beside, options=console.options.update(width=sys.maxsize)).maximum
    console.print(beside if needed <= console.width else below)
    for line in _verdict(outcome.rows, objective, plan.config.evaluation.ensemble):
        console.print(f"[dim]{escape(line)}[/]")
    if any(plan.data(row.scored.trial, row.scored.point).allow_leakage for row in outcome.rows):
        console.print(f"[bold red]{LEAKAGE}[/]")
        for line in filter(None, map(_clean, outcome.rows)):
            console.print(escape(line))
    done = [f"{outcome.trained} trained"]
    done += [f"{outcome.reused} taken from other questions"] if outcome.reused else []
    done += [f"{outcome.imported} imported from {escape(str(plan.config.tracking.runs))}"] if outcome.imported else []
    done += [f"{outcome.found} finished before"]
    done += [f"[red]{outcome.failed} failed[/]"] if outcome.failed else []
    about = facts()
    about.add_row("runs", ", ".join(done))
    if outcome.seconds:
        about.add_row("time", f"{duration(outcome.seconds)} of training, {duration(outcome.estimated)} were expected")
    if outcome.early:
        left = f"{_EARLY[outcome.early]}; {count(outcome.left, 'run')} left"
        about.add_row("not finished", f"{left}: the same command goes on")
    if outcome.best:
        as_ranked = ", as it was ranked: it could not be trained again on all images" if outcome.refitted is False else ""
        about.add_row("best network", f"{outcome.best}{as_ranked}")
    elif objective and outcome.rows and outcome.rows[0].rank and not plan.config.search.refit:
        best = change(plan.config, outcome.rows[0].scored.point)
        if isinstance(best.model, Baseline):
            about.add_row("best network", "none: the best is a baseline, of which no network is kept")
        else:
            train = f"{COMMAND} run best={outcome.experiment} tracking.uri=sqlite:///trained.db"
            about.add_row("best network", f"not here: its run was imported; {train} trains it, in a store of its own")
    about.add_row("recorded in", outcome.store)
    about.add_row("compare", f"{COMMAND} ui search.name={outcome.experiment}")
    console.print()
    console.print(about)


def _table(plan: "Plan", rows: Sequence["Row"], objective: str | None, between: str) -> Table:
    """The ranking, a row a setting; `between` an accuracy and its interval are blanks or a new line, where it is narrow."""
    paths = [parameter.path for parameter in plan.parameters]
    measures = [f"{name}/accuracy" for name in plan.config.data.evaluation_sets]
    if objective and objective not in measures:
        measures.insert(0, objective)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    for path in paths:
        table.add_column(path, overflow="fold")
    for measure in measures:
        table.add_column(f"{measure}{'*' if measure == objective else ''}", no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for row in rows:
        place = f"{row.rank}{'=' if row.top and sum(other.top for other in rows) > 1 else ' '}" if row.rank else ""
        settings = [as_text(row.scored.point[path]) if path in row.scored.point else "" for path in paths]
        if row.scored.failure:
            table.add_row("-", *settings, f"[red]{escape(row.scored.failure)}[/]")
            continue
        cells = [_measure(row, measure, between) for measure in measures]
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
    from digitexp.evidence.ranking import label

    measures = [name for name in row.intervals if name.endswith(f"{CLEAN}/accuracy")]
    scores = ", ".join(f"{measure} {_measure(row, measure, '  ')}" for measure in measures)
    return f"{label(row.scored.point)}: {scores}" if measures else ""


def _verdict(rows: Sequence["Row"], objective: str | None, ensemble: bool) -> list[str]:
    """What the intervals and the top group support, in words; and the `ensemble` of the seeds, if it was asked for."""
    from digitexp.evidence import ranking, ties

    seeds = max((len(row.scored.metrics) for row in rows), default=0)
    if seeds == 1:
        lines = ["Ranges are 95 % intervals (Wilson) of one seed; other seeds may differ by more."]
    elif all(row.scored.hits for row in rows if not row.scored.failure):
        lines = [f"Ranges are 95 % intervals ({seeds} seeds and the images, both taken as a sample)."]
    else:
        lines = [f"Ranges are 95 % intervals (Wilson, widened by the spread of {seeds} seeds)."]
    if objective:
        lines.append("* chosen on: the ranking is by it, so the winner's own value flatters it.")
    for row in rows:
        if row.scored.together:
            point = " ".join(f"{path}={as_text(value)}" for path, value in row.scored.point.items())
            lines.append(f"{point or 'The network'}, its {seeds} seeds read together: {ranking.read_together(row.scored)}.")
    if ensemble:
        lines += filter(None, [ranking.not_together([row.scored for row in rows])])
    top, ranked = [row for row in rows if row.top], [row for row in rows if row.rank]
    if len(top) > 1:
        lines.append(f"= a tie: these {len(top)} cannot be told apart on these images (5 %, Holm).")
        named = [" ".join(map(as_text, row.scored.point.values())) for row in top[:2]]
        names = named if len(top[0].scored.point) == 1 else ["the first", "the second"]
        lines.append(ties.of_group(top, rows, names, str(objective).split("/")[0]))
    elif top and len(ranked) > 1:
        lines.append("No tie: the first is better than every other on these images (5 %, Holm).")
    return lines
