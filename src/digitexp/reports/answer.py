"""The answer of a sweep in two sentences of plain words, which say what the numbers support and no more."""

from collections.abc import Sequence

import numpy as np

from digitexp.evaluation import compare
from digitexp.evidence.ranking import Row
from digitexp.evidence.report import Report, name, value

NAMED = 3  # settings that a sentence lists; more are counted
LONG = 40  # letters of a name that is not said twice


def answer(report: Report) -> str:
    """Two sentences: what is best, or a tie, and by which images; then what checks it, the seeds, and the failures."""
    if not report.finished:
        return f"Nothing can be said: none of the {_count(report.rows, 'setting')} is finished. {_failures(report)}."
    return f"{_first(report)} {_second(report)}"


def images(report: Report, part: str) -> str:
    """A set in words: "10,000 test images"."""
    synthetic = "synthetic " if part == "drawn" and report.synthetic else ""
    return f"{report.images(part):,} {synthetic}{part} images"


def percent(share: float, count: int) -> str:
    """A share of so many images, no finer than they allow: "97.5 %"."""
    return f"{100 * share:.{2 if count >= 2000 else 1}f} %"


def names(rows: Sequence[Row], paths: Sequence[str]) -> str:
    """Settings as a list in a sentence, the first few by name."""
    points = [row.scored.point for row in rows]
    shown = [name(point, paths) for point in points]
    if len(paths) == 1 and all(label.startswith(f"{paths[0]}=") for label in shown):
        shown = [shown[0], *(value(point[paths[0]]) for point in points[1:])]
    if len(shown) > NAMED + 1:
        shown = [*shown[:NAMED], f"{len(shown) - NAMED} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _others(rows: Sequence[Row], paths: Sequence[str]) -> str:
    """The same after one of them was named: of one path, the values alone."""
    listed = names(rows, paths)
    return listed.removeprefix(f"{paths[0]}=") if len(paths) == 1 else listed


def seeds(report: Report) -> str:
    """What the number of seeds allows."""
    repeats = report.sweep.repeats
    if repeats == 1:
        return f"this is one seed, and another seed may {'order them' if len(report.finished) > 1 else 'read'} differently"
    little = ", too few to say much about how far seeds differ" if repeats == 2 else ""
    return f"all values are means over {repeats} seeds{little}"


def _first(report: Report) -> str:
    if len(report.finished) == 1:
        if len(report.rows) == 1:
            return f"One setting was asked for, {_name(report, report.finished[0])}, so nothing is compared."
        return f"Only one setting is finished, so there is nothing to compare {_name(report, report.finished[0])} with."
    if report.marked is None:
        best = report.finished[0]
        return (f"{_name(report, best)} has the best {report.sweep.objective}, by which it was chosen: {best.value:.4g}; "
                "this measure is ranked without a test, so the order may be chance.")  # fmt: skip
    return _ranked(report) if report.sweep.objective else _listed(report)


def _ranked(report: Report) -> str:
    part, top = str(report.marked), report.top
    count, rest = report.images(part), len(report.finished) - len(top)
    best, last = percent(top[0].value, count), percent(top[-1].value, count)
    if len(top) == 1:
        return (f"{_name(report, top[0])} is the best of the {len(report.finished)} settings: it reads {best} of the "
                f"{images(report, part)} by which it was chosen, more than any other, and by more than chance.")  # fmt: skip
    between = f"each reads {best}" if best == last else f"they read {last.removesuffix(' %')} to {best}"
    ranked = f"cannot be told apart by the {images(report, part)} that ranked them ({between})"
    if not rest:
        return f"A tie: the {len(top)} settings {ranked}."
    others = "the other one reads" if rest == 1 else f"the other {rest} read"
    return (f"A tie: {names(top, report.paths)} {ranked}; {others} fewer than {_again(report, top[0])}, by more than "
            "chance.")  # fmt: skip


def _listed(report: Report) -> str:
    part, ordered, top = report.evidence, report.by_evidence, report.top
    count = report.images(part)
    most, least = (percent(row.scored.mean(f"{part}/accuracy"), count) for row in (ordered[0], ordered[-1]))
    if len(top) == len(ordered):
        return (f"A tie: by the {images(report, part)} none of the {len(ordered)} settings can be told from the highest, "
                f"{_name(report, ordered[0])} with {most}; the lowest reads {least}.")  # fmt: skip
    tied = "more than any other, by more than chance"
    tied = tied if len(top) == 1 else f"not to be told from {_others(top[1:], report.paths)}"
    return (f"No winner was to be chosen: of the {images(report, part)}, {_name(report, ordered[0])} reads most, {most}, "
            f"{tied}; {_name(report, ordered[-1])} reads least, {least}.")  # fmt: skip


def _second(report: Report) -> str:
    part, best = report.evidence, report.by_evidence[0]
    count = report.images(part)
    low, high = best.intervals[f"{part}/accuracy"]
    share = percent(best.scored.mean(f"{part}/accuracy"), count)
    within = f"95 % interval {percent(low, count).removesuffix(' %')} to {percent(high, count)}"
    parts = [seeds(report)]
    if report.unchecked:
        start = "How it reads images that did not choose it is not known, since no others were scored"
    elif len(report.finished) == 1 or report.sweep.objective:
        checked = f", by which nothing was chosen, {_again(report, best)} reads {share} ({within})"
        start = f"On the {images(report, part)}{checked}{_check(report)}"
    else:
        start = (
            f"The 95 % interval of the highest, which these same images picked, is {within.removeprefix('95 % interval ')}"
        )
    return "; ".join([start, *parts, *filter(None, [_failures(report)])]) + "."


def _check(report: Report) -> str:
    """How the winner stands against the others on images by which it was not chosen."""
    if not report.checked:
        return ""
    measure = f"{report.evidence}/accuracy"
    winner = report.finished[0].scored.mean(measure)
    apart = [row for row in report.finished if report.checked.get(row.scored.trial, 1) < compare.ALPHA]
    worse = int(np.sum([row.scored.mean(measure) < winner for row in apart]))
    alike, better = len(report.checked) - len(apart), len(apart) - worse
    said = [f"better than {worse} of the other {len(report.checked)}"] if worse else []
    said += [f"not to be told from {alike}{'' if worse else f' of the other {len(report.checked)}'}"] if alike else []
    said += [f"worse than {better}{'' if said else f' of the other {len(report.checked)}'}"] if better else []
    return f", {' and '.join(said) if len(said) < 3 else ', '.join(said)}"


def _failures(report: Report) -> str:
    failed = [run for run in report.sweep.runs if run.failure]
    unfinished = [row for row in report.rows if (row.scored.failure or "").startswith("not finished")]
    said = [f"{len(failed)} of {_count(report.sweep.runs, 'run')} failed"] if failed else []
    said += [f"{_count(unfinished, 'setting')} {'is' if len(unfinished) == 1 else 'are'} not finished"] if unfinished else []
    return " and ".join(said)


def _name(report: Report, row: Row) -> str:
    return name(row.scored.point, report.paths)


def _again(report: Report, row: Row) -> str:
    """The best setting, which was named before."""
    said = _name(report, row)
    return said if len(said) <= LONG else "the first"


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
