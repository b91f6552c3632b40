"""Each reported claim against our runs: reproduced, not reproduced, inconclusive, or not testable here, by a fixed rule.

A directed claim (`a > b`) is *reproduced* when the difference points that way, is at least as large as the rule's margin,
and is no chance (Holm over the comparisons of the sweep); *not reproduced* when a difference of that size is excluded (two
one-sided tests: the 90 % interval for the rule's 5 %). An equality is reproduced when the interval lies within the margin
(Schuirmann 1987), and not when it lies outside. What is neither is *inconclusive*; what was not run is *not testable here*.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digitexp.evaluation import compare, counts, shares
from digitexp.evaluation.compare import Interval
from digitexp.reports import ranking
from digitexp.reports.claims import Claim, Comparison, Number, Point, Reported, point_text
from digitexp.reports.ranking import Row
from digitexp.reports.report import Report
from digitexp.settings import Rule

REPRODUCED, NOT, UNCLEAR, UNTESTABLE = "reproduced", "not reproduced", "inconclusive", "not testable here"
AGREES, DIFFERS, FEW = "agrees", "differs", "too few seeds"


@dataclass(frozen=True)
class Tested:
    """A comparison in our runs: the two means, left minus right with its interval, and the p-value (Holm; NaN for "=")."""

    comparison: Comparison
    left: float
    right: float
    interval: Interval
    p: float
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """A claim with its verdict and why. `epochs` are ours and those reported, as text."""

    claim: Claim
    verdict: str
    why: str
    reported: str
    epochs: tuple[str, str]
    tested: Sequence[Tested] = ()


@dataclass(frozen=True)
class Beside:
    """A reported number beside ours. `range` is where a further seed of ours would lie (95 %), None of too few seeds."""

    number: Number
    row: Row
    mean: float
    interval: Interval | None
    range: Interval | None
    verdict: str


@dataclass(frozen=True)
class Evidence:
    """What a sweep says about what was reported, by which rule, and whether the runs were made under that very rule."""

    rule: str = ""  # its digest
    verdicts: Sequence[Verdict] = ()
    beside: Sequence[Beside] = ()
    fixed_before: bool | None = None  # None: the runs do not say


def judge(report: Report, reported: Reported, rule: Rule) -> Evidence:
    """Give every claim its verdict, and set every reported number of a setting of ours beside it."""
    found = {claim.id: _compare(report, claim, rule) for claim in reported.claims}
    directed = {
        (claim, place): one.p
        for claim, (tested, _) in found.items()
        for place, one in enumerate(tested)
        if not math.isnan(one.p)
    }
    adjusted = dict(zip(directed, compare.holm(list(directed.values())), strict=True))
    verdicts = []
    for claim in reported.claims:
        tested, why = found[claim.id]
        settled = [_settle(one, adjusted.get((claim.id, place)), claim, rule) for place, one in enumerate(tested)]
        verdicts.append(_verdict(report, reported, claim, settled, why, rule))
    rules = {run.facts.get("rule") for run in report.sweep.runs}
    fixed = None if None in rules else rules == {rule.digest}
    return Evidence(rule.digest, verdicts, _beside(report, reported, rule), fixed)


def _compare(report: Report, claim: Claim, rule: Rule) -> tuple[list[Tested], str]:
    """The comparisons of a claim in our runs, or why it cannot be tested."""
    why = _refusal(report, claim, rule)
    if why:
        return [], why
    part, tested = claim.metric.split("/")[0], []
    level = 1 - 2 * rule.alpha
    for comparison in claim.comparisons:
        left = row_of(report, comparison.left)
        if left is None:
            return [], f"{point_text(comparison.left)} was not run"
        if isinstance(comparison.right, float):
            low, high = _interval(left, part, level)
            mean, chance = left.scored.mean(claim.metric), comparison.right
            tested.append(Tested(comparison, mean, chance, Interval(low - chance, high - chance), math.nan, ""))
            continue
        right = row_of(report, comparison.right)
        if right is None:
            return [], f"{point_text(comparison.right)} was not run"
        interval, p = _difference(left, right, part, level)
        p = math.nan if comparison.relation == "=" else p
        means = left.scored.mean(claim.metric), right.scored.mean(claim.metric)
        tested.append(Tested(comparison, *means, interval, p, ""))
    return tested, ""


def _refusal(report: Report, claim: Claim, rule: Rule) -> str:
    """Why this claim says nothing about these runs, if so."""
    settings = report.sweep.runs[0].settings
    if report.leakage:
        return "images that are scored may have been trained on"
    if settings["data.name"] not in rule.data:
        return f"the networks learnt {settings['data.name']}, the rule asks for {' or '.join(rule.data)}"
    if settings.get("data.limit"):  # few steps more than few epochs: a network that learnt nothing refutes nothing
        return f"the networks learnt {settings['data.limit']:,} images (data.limit), a part of {settings['data.name']}"
    if "drawn/accuracy" in (claim.metric, claim.right) and report.sets and "drawn" not in report.sets:
        return "the runs were scored on no drawings"
    if claim.metric.startswith("drawn/") and settings["data.drawn.source"] not in rule.drawings:
        return "the drawings are a program's"
    if claim.relation == "uncorrelated":
        return ""
    if claim.metric == report.sweep.objective:
        return "the settings were ranked by it"
    if not claim.comparisons:
        return "no sweep of ours varies it"
    if claim.metric.split("/")[0] not in report.sets:
        return f"the runs have no {claim.metric}"
    return "" if claim.metric in rule.margin else f"the rule has no margin for {claim.metric}"


def row_of(report: Report, point: Point) -> Row | None:
    """The finished setting that a reported point is, all else as in the first of the list; None if there is none."""
    first = min(report.sweep.runs, key=lambda run: run.trial).settings
    wanted = {path: first.get(path) for path in report.paths} | dict(point)
    rows = [row for row in report.finished if _is(report.runs(row)[0].settings, point)]
    exact = [row for row in rows if _is(report.runs(row)[0].settings, wanted)]
    return exact[0] if exact else rows[0] if len(rows) == 1 else None


def _is(settings: Point, point: Point) -> bool:
    return all(settings.get(path) == value for path, value in point.items())


def _difference(left: Row, right: Row, part: str, level: float) -> tuple[Interval, float]:
    """Left minus right and the p-value that they differ: image by image where that is known."""
    if ranking.paired([left.scored, right.scored], part):
        a, b = left.scored.hits[part], right.scored.hits[part]
        return compare.difference(a, b, level), compare.paired(a, b)
    one, other = left.scored.shares(part), right.scored.shares(part)
    return shares.difference(one, other, level), shares.unpaired(one, other)


def _interval(row: Row, part: str, level: float) -> Interval:
    if part in row.scored.hits:
        return compare.interval(row.scored.hits[part], level)
    return shares.interval(row.scored.shares(part), level)


def _settle(one: Tested, p: float | None, claim: Claim, rule: Rule) -> Tested:
    margin = rule.margin[claim.metric]
    low, high = one.interval
    if p is None:
        inside, outside = -margin < low and high < margin, low > margin or high < -margin
        verdict = REPRODUCED if inside else NOT if outside else UNCLEAR
        return Tested(one.comparison, one.left, one.right, one.interval, math.nan, verdict)
    apart = one.left - one.right
    if one.comparison.relation == "<":
        apart, high = -apart, -low
    verdict = NOT if high < margin else REPRODUCED if apart >= margin and p < rule.alpha else UNCLEAR
    return Tested(one.comparison, one.left, one.right, one.interval, float(p), verdict)


def _verdict(report: Report, reported: Reported, claim: Claim, tested: Sequence[Tested], why: str, rule: Rule) -> Verdict:
    numbers = [reported.number(point, claim.metric) for point in _ends(claim)]
    said = " and ".join(dict.fromkeys(number.text for number in numbers if number)) if len(numbers) <= 2 else ""
    theirs = _span([number.epochs for number in numbers if number and number.epochs])
    ours = _span([run.settings["training.epochs"] for run in report.sweep.runs if not run.failure])
    if why:
        return Verdict(claim, UNTESTABLE, why, said, (ours, theirs))
    if claim.relation == "uncorrelated":
        return _uncorrelated(report, claim, rule, said, (ours, theirs))
    verdicts = [one.verdict for one in tested]
    verdict = next((worst for worst in (NOT, UNCLEAR) if worst in verdicts), REPRODUCED)
    why = f"{verdicts.count(REPRODUCED)} of its {len(tested)} comparisons are reproduced" if len(tested) > 1 else ""
    seeds = report.sweep.repeats
    if seeds < rule.seeds:
        verdict, why = UNCLEAR, f"{seeds} seed{'s' if seeds > 1 else ''}, the rule asks for {rule.seeds}"
    return Verdict(claim, verdict, why, said, (ours, theirs), tested)


def _ends(claim: Claim) -> list[Point]:
    points = [point for one in claim.comparisons for point in (one.left, one.right) if not isinstance(point, float)]
    return [point for place, point in enumerate(points) if point not in points[:place]]


def _span(epochs: Sequence[int]) -> str:
    found = sorted(set(epochs))
    return "" if not found else str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _uncorrelated(report: Report, claim: Claim, rule: Rule, reported: str, epochs: tuple[str, str]) -> Verdict:
    """The rank correlation over all runs of the sweep; the interval takes settings, not runs, as the sample."""
    pairs = [
        [(run.metrics[claim.left], run.metrics[claim.right]) for run in report.runs(row)]
        for row in report.finished
        if claim.left in report.runs(row)[0].metrics and claim.right in report.runs(row)[0].metrics
    ]
    r, (low, high) = counts.correlation_of_settings(pairs)
    if math.isnan(r):
        return Verdict(claim, UNTESTABLE, f"{len(pairs)} settings are too few for a correlation", reported, epochs)
    why = f"rank correlation {r:.2f} ({low:.2f} to {high:.2f}) over {sum(map(len, pairs))} runs of {len(pairs)} settings"
    limit = rule.correlation
    verdict = REPRODUCED if -limit < low and high < limit else NOT if (low > 0 or high < 0) and abs(r) >= limit else UNCLEAR
    return Verdict(claim, verdict, why, reported, epochs)


def _beside(report: Report, reported: Reported, rule: Rule) -> list[Beside]:
    found = []
    for number in reported.numbers:
        row = row_of(report, number.point) if number.point else None
        runs = report.runs(row) if row else []
        if row is None or number.value is None or any(number.metric not in run.metrics for run in runs):
            continue
        further = shares.further_seed([run.metrics[number.metric] for run in runs]) if len(runs) >= rule.seeds else None
        if further and number.metric.endswith("/accuracy"):
            further = Interval(max(0.0, further.low), min(1.0, further.high))
        verdict = _number_verdict(report, row, number, further, rule)
        found.append(Beside(number, row, row.scored.mean(number.metric), row.intervals.get(number.metric), further, verdict))
    return sorted(found, key=lambda one: (one.number.metric, one.row.scored.trial))


def _number_verdict(report: Report, row: Row, number: Number, further: Interval | None, rule: Rule) -> str:
    """Whether the reported number could be a further seed of ours. Only of the same images, after as many epochs."""
    settings = report.runs(row)[0].settings
    if not number.metric.startswith("test/"):
        return "other images" if number.metric.startswith("drawn/") else ""
    if settings["data.name"] not in rule.data or settings.get("data.limit") or report.leakage:
        return "other data"
    if settings["training.epochs"] != number.epochs:
        return f"other epochs: {settings['training.epochs']}, reported {number.epochs}"
    if further is None or number.value is None:
        return FEW
    return AGREES if further.low <= number.value <= further.high else DIFFERS
