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

from digitexp.evaluation import compare, estimates
from digitexp.evaluation.compare import Interval
from digitexp.evaluation.estimates import Estimate
from digitexp.evidence import correlation, ranking
from digitexp.evidence.beside import Beside, beside, row_of
from digitexp.evidence.claims import Claim, Comparison, Point, Reported, point_text
from digitexp.evidence.correlation import Stratum
from digitexp.evidence.ranking import Row
from digitexp.evidence.report import Report
from digitexp.settings import Rule

REPRODUCED, NOT, UNCLEAR, UNTESTABLE = "reproduced", "not reproduced", "inconclusive", "not testable here"
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
    return Evidence(rule.digest, verdicts, beside(report, reported, rule), fixed, earlier, rule.alpha)


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
        source = settings[0]["data.drawn.source"]
        return ("the drawings are a program's" if source == "synthetic"
                else f"data.drawn.source={source}, the rule asks for {' or '.join(rule.drawings)}")  # fmt: skip
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
    return right.intervals[metric].low <= 1 / len(report.classes)


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


