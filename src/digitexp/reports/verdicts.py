"""Each reported claim against our runs: reproduced, not reproduced, inconclusive, or not testable here, by a fixed rule.

Every comparison is two one-sided tests: that the difference is what was claimed, and that such a difference is excluded.
A directed claim (`a > b`) is *reproduced* when the difference surely points that way and is at least as large as the rule's
margin; *not reproduced* when it is surely smaller than the margin. An equality is reproduced when the difference surely lies
within the margin (Schuirmann 1987), and not when it surely lies outside. Surely: after Holm over all these tests of the
sweep, so of all its verdicts, upheld or rejected, one is wrong with a probability of at most the rule's `alpha`. What is
neither is *inconclusive*; what was not run is *not testable here*.

Whoever changes what is concluded here raises `VERSION` in settings/verbs.py: the rule's hash says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from digitexp.evaluation import compare, estimates, shares
from digitexp.evaluation.compare import Interval
from digitexp.evaluation.estimates import Estimate
from digitexp.reports import correlation, ranking
from digitexp.reports.claims import Claim, Comparison, Number, Point, Reported, point_text
from digitexp.reports.correlation import Stratum
from digitexp.reports.ranking import Row
from digitexp.reports.report import Report
from digitexp.settings import Rule
from digitexp.tracking.records import RunRecord

REPRODUCED, NOT, UNCLEAR, UNTESTABLE = "reproduced", "not reproduced", "inconclusive", "not testable here"
AGREES, DIFFERS = "could be one more seed of ours", "could not be one more seed of ours"
WIDE, FEW = "too wide to tell", "too few seeds"
NO_JUDGE = "this program has no test for it"
GEOMETRY = {"raw": "drawings as drawn", "box": "drawings cropped", "mnist": "drawings in MNIST's geometry"}


@dataclass(frozen=True)
class Tested:
    """A comparison in our runs: the two means, and left minus right with its interval (1 - 2 `alpha`, this one alone).

    `p` is the p-value (Holm) of its not being as claimed, `excluded` that of its being as claimed after all: small where it
    surely is, or surely is not. `chance` says that the right side reads no better than chance.
    """

    comparison: Comparison
    left: float
    right: float
    interval: Interval
    p: float
    excluded: float
    verdict: str
    chance: bool = False


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
    """A reported number beside ours. `range` is where a further seed of ours would lie, None of too few seeds.

    It is a prediction range for all numbers of the sweep that are held against ours together (Bonferroni).
    """

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
    earlier: Sequence[str] = ()  # the digests of other rules under which runs were made
    alpha: float = compare.ALPHA


def judge(report: Report, reported: Reported, rule: Rule) -> Evidence:
    """Give every claim its verdict, and set every reported number of a setting of ours beside it."""
    found = [_compare(report, claim, rule) for claim in reported.claims]
    tests = [p for tested, _ in found for one in tested for p in (one.p, one.excluded)]
    adjusted = map(float, compare.holm(tests))
    verdicts = []
    for claim, (tested, why) in zip(reported.claims, found, strict=True):
        settled = [_settle(replace(one, p=next(adjusted), excluded=next(adjusted)), claim, rule) for one in tested]
        verdicts.append(_verdict(report, reported, claim, settled, why, rule))
    rules = {run.facts.get("rule") for run in report.sweep.runs}
    fixed = None if None in rules else rules == {rule.digest}
    earlier = sorted(other for other in rules if other and other != rule.digest)
    return Evidence(rule.digest, verdicts, _beside(report, reported, rule), fixed, earlier, rule.alpha)


def _compare(report: Report, claim: Claim, rule: Rule) -> tuple[list[Tested], str]:
    """The comparisons of a claim in our runs, p-values not yet corrected, or why it cannot be tested."""
    why = refusal(report, claim, rule)
    if why or claim.relation == "uncorrelated":
        return [], why
    tested = []
    for comparison in claim.comparisons:
        rows: list[Row | float] = []
        for end in (comparison.left, comparison.right):
            row = end if isinstance(end, float) else row_of(report, end)
            if row is None:
                return [], f"{point_text(end)} was not run"
            if isinstance(row, Row) and math.isnan(row.scored.mean(claim.metric)):
                return [], f"not every run of {point_text(end)} has {claim.metric}"
            rows.append(row)
        left, right = rows
        assert isinstance(left, Row)
        found = _estimate(left, right, claim.metric)
        other = right if isinstance(right, float) else right.scored.mean(claim.metric)
        p, excluded = _tests(found, comparison.relation, _margin(rule, claim.metric, other))
        interval, chance = found.interval(1 - 2 * rule.alpha), _by_chance(report, right, claim.metric)
        tested.append(Tested(comparison, left.scored.mean(claim.metric), other, interval, p, excluded, "", chance))
    return tested, ""


def refusal(report: Report, claim: Claim, rule: Rule) -> str:
    """Why this claim says nothing about these runs, if so."""
    settings = report.sweep.runs[0].settings
    if report.leakage:
        return "images that are scored may have been trained on"
    if settings["data.name"] not in rule.data:
        return f"the networks learnt {settings['data.name']}, the rule asks for {' or '.join(rule.data)}"
    if rule.whole and settings.get("data.limit"):  # few steps more than few epochs: who learnt nothing refutes nothing
        return f"the networks learnt {settings['data.limit']:,} images (data.limit), a part of {settings['data.name']}"
    if "drawn/accuracy" in (claim.metric, claim.right):
        why = _other_drawings(report, rule)
        if why:
            return why
    if claim.relation == "uncorrelated":
        return ""
    if claim.metric == report.sweep.objective:
        return "the settings were ranked by it"
    if not claim.testable:
        return NO_JUDGE
    return _unmeasured(report, claim.metric, rule)


def _other_drawings(report: Report, rule: Rule) -> str:
    settings = [run.settings for run in report.sweep.runs]
    if report.sets and "drawn" not in report.sets:
        return "the runs were scored on no drawings"
    if settings[0]["data.drawn.source"] not in rule.drawings:
        return "the drawings are a program's"
    others = sorted({str(one["data.drawn.geometry"]) for one in settings} - set(rule.geometry))
    return f"data.drawn.geometry={others[0]}, the rule asks for {' or '.join(rule.geometry)}" if others else ""


def _unmeasured(report: Report, metric: str, rule: Rule) -> str:
    """Why the runs or the rule have no measure by which a claim can be judged, if so."""
    runs = [run for run in report.sweep.runs if not run.failure]
    if not any(metric in run.metrics for run in runs):
        return f"the runs have no {metric}"
    if metric not in {**rule.margin, **rule.relative}:
        return f"the rule has no margin for {metric}"
    if not metric.endswith("/accuracy") and report.sweep.repeats < 2:
        return "one seed does not say how far seeds differ"
    machines = {tuple(run.facts.get(fact) for fact in ("host", "cpu", "cores")) for run in runs}
    return "the runs were timed on different machines" if metric == "seconds" and len(machines) > 1 else ""


def row_of(report: Report, point: Point) -> Row | None:
    """The finished setting that a reported point is, all else as in the first of the list; None if there is none."""
    first = _whole(min(report.sweep.runs, key=lambda run: run.trial))
    wanted = {path: first.get(path) for path in report.paths} | dict(point)
    rows = [row for row in report.finished if _is(report.runs(row)[0], point)]
    exact = [row for row in rows if _is(report.runs(row)[0], wanted)]
    return exact[0] if exact else rows[0] if len(rows) == 1 else None


def _is(run: RunRecord, point: Point) -> bool:
    return all(_whole(run).get(path) == value for path, value in point.items())


def _whole(run: RunRecord) -> Point:
    """The settings of a run, `model` among them where a whole network was chosen by name."""
    return {**run.settings, **run.point}


def _estimate(left: Row, right: Row | float, metric: str) -> Estimate:
    """Left minus right: image by image where that is known; from the seeds alone what is no share of images."""
    part, _, measure = metric.partition("/")
    ends = [left.scored, right if isinstance(right, float) else right.scored]
    if measure != "accuracy":
        first, second = ([run[metric] for run in end.metrics] if not isinstance(end, float) else end for end in ends)
        assert not isinstance(first, float)
        return estimates.of_values(first, second)
    if ranking.paired([end for end in ends if not isinstance(end, float)], part):
        return estimates.of_hits(left.scored.hits[part], right if isinstance(right, float) else right.scored.hits[part])
    return estimates.of_shares(left.scored.shares(part), right if isinstance(right, float) else right.scored.shares(part))


def _margin(rule: Rule, metric: str, right: float) -> float:
    return rule.margin[metric] if metric in rule.margin else rule.relative[metric] * abs(right)


def _tests(found: Estimate, relation: str, margin: float) -> tuple[float, float]:
    """The p-values of its not being as claimed, and of its being as claimed."""
    if relation == "=":
        inside = max(found.above(-margin), found.below(margin))
        return inside, min(found.above(margin), found.below(-margin))
    claimed = found.turned if relation == "<" else found
    return claimed.above(0), claimed.below(margin)


def _by_chance(report: Report, right: Row | float, metric: str) -> bool:
    """Whether a setting reads no better than who guesses: what is better than that may be so for every reason."""
    if isinstance(right, float) or metric not in right.intervals:
        return False
    low, high = right.intervals[metric]
    return low <= 1 / len(report.classes) <= high


def _settle(one: Tested, claim: Claim, rule: Rule) -> Tested:
    apart = one.right - one.left if one.comparison.relation == "<" else one.left - one.right
    large = one.comparison.relation == "=" or apart >= _margin(rule, claim.metric, one.right)
    verdict = NOT if one.excluded < rule.alpha else REPRODUCED if large and one.p < rule.alpha else UNCLEAR
    return replace(one, verdict=verdict)


def _verdict(report: Report, reported: Reported, claim: Claim, tested: Sequence[Tested], why: str, rule: Rule) -> Verdict:
    numbers = [reported.number(point, claim.metric) for point in _ends(claim)]
    said = " and ".join(dict.fromkeys(number.text for number in numbers if number)) if len(numbers) <= 2 else ""
    theirs = _span([number.epochs for number in numbers if number and number.epochs])
    rows = [row for point in _ends(claim) if (row := row_of(report, point))]
    runs = [run for row in rows for run in report.runs(row)] or [run for run in report.sweep.runs if not run.failure]
    ours = _span([run.settings["training.epochs"] for run in runs])
    if why:
        return Verdict(claim, UNTESTABLE, why, said, (ours, theirs))
    if claim.relation == "uncorrelated":
        return correlated([report], claim, rule)
    verdicts = [one.verdict for one in tested]
    verdict = next((worst for worst in (NOT, UNCLEAR) if worst in verdicts), REPRODUCED)
    whys = [f"{verdicts.count(REPRODUCED)} of its {len(tested)} comparisons are reproduced"] if len(tested) > 1 else []
    seeds = report.sweep.repeats
    if seeds < rule.seeds:
        verdict, whys = UNCLEAR, [f"{seeds} seed{'s' if seeds > 1 else ''}, the rule asks for {rule.seeds}"]
    guess = {point_text(one.comparison.right): one.right for one in tested if one.chance}
    whys += [f"{name} reads no better than chance ({mean:.3f})" for name, mean in guess.items()]
    return Verdict(claim, verdict, "; ".join(whys), said, (ours, theirs), tested)


def _ends(claim: Claim) -> list[Point]:
    points = [point for one in claim.comparisons for point in (one.left, one.right) if not isinstance(point, float)]
    return [point for place, point in enumerate(points) if point not in points[:place]]


def _span(epochs: Sequence[int]) -> str:
    found = sorted(set(epochs))
    return "" if not found else str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def correlated(reports: Sequence[Report], claim: Claim, rule: Rule) -> Verdict:
    """A claim that two measures are not correlated, over all runs of several sweeps: a verdict for each kind of network,
    and the worst of them for all. The intervals hold together (Bonferroni), and take settings, not runs, as the sample."""
    able = [report for report in reports if not refusal(report, claim, rule)]
    found = correlation.strata(able, claim.left, claim.right)
    enough = [one for one in found if len(one.pairs) >= rule.settings]
    judged = [_correlation(one, 1 - rule.alpha / len(enough), rule) for one in enough]
    few = [f"{_of(one)}: {len(one.pairs)} settings, the rule asks for {rule.settings}" for one in found if one not in enough]
    verdicts = [verdict for verdict, _ in judged]
    verdict = next((worst for worst in (NOT, UNCLEAR, REPRODUCED) if worst in verdicts), UNTESTABLE)
    epochs = _span([run.settings["training.epochs"] for report in able for run in report.sweep.runs if not run.failure])
    return Verdict(claim, verdict, "; ".join([*(text for _, text in judged), *few]) or "no sweep can tell", "", (epochs, ""))


def _correlation(one: Stratum, confidence: float, rule: Rule) -> tuple[str, str]:
    r, (low, high) = one.correlation(confidence)
    limit = rule.correlation
    if math.isnan(r):
        return UNTESTABLE, f"{_of(one)}: one of the two does not vary"
    verdict = REPRODUCED if -limit < low and high < limit else NOT if (low > 0 or high < 0) and abs(r) >= limit else UNCLEAR
    return verdict, (f"{_of(one)}: rank correlation {r:.2f} ({low:.2f} to {high:.2f}) over {one.runs} runs of "
                     f"{len(one.pairs)} settings, {verdict}")  # fmt: skip


def _of(one: Stratum) -> str:
    return ", ".join(filter(None, [one.kind, GEOMETRY.get(one.geometry, "")]))


def _beside(report: Report, reported: Reported, rule: Rule) -> list[Beside]:
    pairs = [(number, row, _apart(report, row, number, rule)) for number in reported.numbers
             if number.point and number.value is not None and (row := row_of(report, number.point))
             and all(number.metric in run.metrics for run in report.runs(row))]  # fmt: skip
    held = sum(not why for *_, why in pairs)
    found = []
    for number, row, why in pairs:
        further = _further(row, number.metric, 1 - rule.alpha / max(held, 1), rule)
        verdict = why or _number_verdict(number, further, rule)
        found.append(Beside(number, row, row.scored.mean(number.metric), row.intervals.get(number.metric), further, verdict))
    return sorted(found, key=lambda one: (one.number.metric, one.row.scored.trial))


def _apart(report: Report, row: Row, number: Number, rule: Rule) -> str:
    """Why a reported number is not held against ours, if so: other images, other data, or other epochs."""
    settings = report.runs(row)[0].settings
    if number.metric not in rule.widest:
        return "other images" if number.metric.startswith("drawn/") else "the rule says nothing of this measure"
    if settings["data.name"] not in rule.data or settings.get("data.limit") or report.leakage:
        return "other data"
    if number.epochs not in (None, settings["training.epochs"]):
        return f"other epochs: {settings['training.epochs']}, reported {number.epochs}"
    return ""


def _further(row: Row, metric: str, confidence: float, rule: Rule) -> Interval | None:
    """Where one more seed of ours would lie, on other images where theirs were others (val)."""
    values = [run[metric] for run in row.scored.metrics]
    found = shares.further_seed(values, confidence) if len(values) >= rule.seeds else None
    if found is None or not metric.endswith("/accuracy"):
        return found and Interval(max(0.0, found.low), found.high)  # a loss
    mean, half = (found.low + found.high) / 2, (found.high - found.low) / 2
    if metric.startswith("val/"):
        images = compare.score(mean, row.scored.shares("val").images, confidence)
        half = math.hypot(half, math.sqrt(2) * (images.high - images.low) / 2)  # of our images, and of theirs
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def _number_verdict(number: Number, further: Interval | None, rule: Rule) -> str:
    """Whether a reported number could be a further seed of ours."""
    if further is None or number.value is None:
        return FEW
    if not further.low <= number.value <= further.high:
        return DIFFERS
    return WIDE if further.high - further.low > rule.widest[number.metric] else AGREES
