"""The reported numbers judged by themselves: what their counts support, and where their arithmetic slips. No training."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from digitexp.evaluation import compare, counts
from digitexp.evaluation.compare import Interval
from digitexp.evaluation.counts import Count
from digitexp.evidence.claims import DIRECTED, Claim, Comparison, Number, Reported
from digitexp.evidence.report import p_text
from digitexp.settings import Rule

STANDS, NOT, OPPOSED, NOTHING = "stands", "not shown", "is contradicted", "no counts reported"

# The least cross-entropy and mean errors of an image that is misread: its true class has a probability of 1/2 at most.
_LEAST_LOSS = {
    "categorical_crossentropy": math.log(2),
    "mean_squared_error": 0.5 / 10,
    "mean_absolute_error": 1.0 / 10,
}


@dataclass(frozen=True)
class Judged:
    """A comparison by its counts: `a` minus `b`, its interval (95 %; 90 % where equality is claimed), and p-values.

    `p` is Fisher's (binomial where `b` is a number), `adjusted` Holm's over all directed comparisons; NaN where equality is
    claimed. `needed` is the number of images for each setting that would find the difference as it was reported, or show
    equality, with 80 % power.
    """

    claim: Claim
    comparison: Comparison
    a: Number
    b: Number | float
    apart: float
    interval: Interval
    p: float
    adjusted: float
    needed: int | None
    verdict: str


@dataclass(frozen=True)
class Opinion:
    """A claim with its verdict, which is that of the weakest of its comparisons."""

    claim: Claim
    verdict: str
    judged: Sequence[Judged]
    why: str


@dataclass(frozen=True)
class Slip:
    """Something in a reported number that cannot be as it was printed."""

    number: Number
    text: str


@dataclass(frozen=True)
class Audit:
    """Every reported number with its interval, every claim with its verdict, and the slips."""

    numbers: Sequence[tuple[Number, Interval | None]]
    opinions: Sequence[Opinion]
    slips: Sequence[Slip]
    family: int

    @property
    def judged(self) -> list[Judged]:
        """Every comparison of every claim."""
        return [one for opinion in self.opinions for one in opinion.judged]


def audit(reported: Reported, rule: Rule) -> Audit:
    """Judge all claims as one family: directed ones by Fisher and Holm, equality by two one-sided tests in the margin."""
    pairs = [
        (claim, comparison, *ends)
        for claim in reported.claims
        for comparison in claim.comparisons
        if (ends := _ends(reported, claim, comparison)) and not _without_margin(claim, rule)
    ]
    directed = [pair for pair in pairs if pair[1].relation in DIRECTED]
    found = [counts.binomial(_count(a), b) if isinstance(b, float) else counts.fisher(_count(a), _count(b))
             for _, _, a, b in directed]  # fmt: skip
    adjusted = dict(zip(map(_key, directed), zip(found, compare.holm(found), strict=True), strict=True))
    judged = [_judge(*pair, adjusted.get(_key(pair)), rule) for pair in pairs]
    opinions = [_opinion(reported, claim, [one for one in judged if one.claim == claim], rule) for claim in reported.claims]
    numbers = [(number, compare.wilson(*number.count) if number.count else None) for number in reported.numbers]
    return Audit(numbers, opinions, _slips(reported.numbers), len(directed))


def _ends(reported: Reported, claim: Claim, comparison: Comparison) -> tuple[Number, Number | float] | None:
    """The two reported counts of a comparison, or the count and the number that it is held against."""
    own = Reported([number for number in reported.numbers if number.place == claim.place])
    a = own.number(comparison.left, claim.metric)
    right = comparison.right
    b = right if isinstance(right, float) else own.number(right, claim.metric)
    if a is None or b is None or a.count is None or (isinstance(b, Number) and b.count is None):
        return None
    return a, b


def _without_margin(claim: Claim, rule: Rule) -> str:
    """Why an equality cannot be judged, if so."""
    return f"the rule has no margin for {claim.metric}" if claim.relation == "=" and claim.metric not in rule.margin else ""


def _key(pair: tuple[Claim, Comparison, Number, Number | float]) -> tuple[str, str, str]:
    return pair[0].id, str(pair[1].left), str(pair[1].right)


def _judge(
    claim: Claim, comparison: Comparison, a: Number, b: Number | float, p: tuple[float, float] | None, rule: Rule
) -> Judged:
    first = _count(a)
    share = b if isinstance(b, float) else _count(b).share
    apart = first.share - share
    if p is None:
        margin = rule.margin.get(claim.metric, math.nan)
        interval = _interval(first, b, 1 - 2 * rule.alpha)
        needed = counts.needed_for_equality(share if isinstance(b, float) else (first.share + share) / 2, margin, rule.alpha)
        needed = math.ceil(needed / 2) if isinstance(b, float) else needed  # one of the two is no sample
        verdict = STANDS if -margin < interval.low and interval.high < margin else NOT
        verdict = OPPOSED if interval.low > margin or interval.high < -margin else verdict
        return Judged(claim, comparison, a, b, apart, interval, math.nan, math.nan, needed, verdict)
    claimed = apart > 0 if comparison.relation == ">" else apart < 0
    verdict = NOT if p[1] >= rule.alpha else STANDS if claimed else OPPOSED
    needed_each = None if isinstance(b, float) else counts.needed(first.share, share, rule.alpha)
    return Judged(claim, comparison, a, b, apart, _interval(first, b), *p, needed_each, verdict)


def _interval(first: Count, b: Number | float, confidence: float = 0.95) -> Interval:
    """That of a count minus another, or minus a number that is no sample."""
    if not isinstance(b, float):
        return counts.difference(first, _count(b), confidence)
    low, high = compare.wilson(*first, confidence)
    return Interval(low - b, high - b)


def _opinion(reported: Reported, claim: Claim, judged: Sequence[Judged], rule: Rule) -> Opinion:
    if claim.relation == "uncorrelated":
        return _uncorrelated(reported, claim, rule)
    if not judged or len(judged) < len(claim.comparisons):
        return Opinion(claim, NOTHING, judged, _without_margin(claim, rule))
    verdicts = [one.verdict for one in judged]
    verdict = next((worst for worst in (OPPOSED, NOT) if worst in verdicts), STANDS)
    if len(judged) == 1:
        return Opinion(claim, verdict, judged, "")
    upheld = verdicts.count(STANDS)
    return Opinion(claim, verdict, judged, f"{upheld} of its {len(judged)} comparisons stand")


def _uncorrelated(reported: Reported, claim: Claim, rule: Rule) -> Opinion:
    """Test against drawn accuracy over the settings of which both were reported, each network once, kind by kind.

    Two kinds together would be correlated by what sets them apart alone. It stands, or is contradicted, when every kind
    says so, with intervals that hold together (Bonferroni); where they disagree it is not shown.
    """
    pairs: dict[str, set[tuple[float, float]]] = {}
    for number in reported.numbers:
        other = next((one for one in reported.numbers if one.id == number.id and one.metric == claim.right), None)
        if number.metric == claim.left and other and number.value is not None and other.value is not None:
            pairs.setdefault(number.model, set()).add((number.value, other.value))
    verdicts, whys = set(), []
    for kind, values in sorted(pairs.items()):
        first, second = zip(*sorted(values), strict=True)
        r, (low, high), p = counts.correlation(first, second, 1 - rule.alpha / len(pairs))
        within, apart = -rule.correlation < low and high < rule.correlation, p < rule.alpha / len(pairs)
        verdicts.add(NOTHING if math.isnan(r) else STANDS if within else OPPOSED if apart else NOT)
        whys.append(f"{kind}: rank correlation {r:.2f} ({low:.2f} to {high:.2f}; p {p_text(p)}) over {len(values)} networks")
    return Opinion(claim, NOTHING if not verdicts else verdicts.pop() if len(verdicts) == 1 else NOT, [], "; ".join(whys))


def _count(number: Number | float) -> Count:
    assert isinstance(number, Number)
    assert number.count is not None
    return number.count


def _slips(numbers: Sequence[Number]) -> list[Slip]:
    found = [
        Slip(number, text)
        for number in numbers
        for text in (_rounding(number), _percent(number), _loss(number, numbers))
        if text
    ]
    return found + _twice(numbers)


def _rounding(number: Number) -> str:
    """A share that no whole number of so many images gives (Brown and Heathers 2016)."""
    if number.count is None or number.value is None:
        return ""
    unit = 10.0 ** -len(number.text.partition(".")[2])
    if abs(number.count.share - number.value) <= unit / 2 + 1e-12:
        return ""
    return f"{number.count.correct} of {number.count.n} are {number.count.share:.6g}, not {number.text}"


def _percent(number: Number) -> str:
    """A printed share of errors that is not that of its counts."""
    if not number.error_percent or number.count is None:
        return ""
    wrong = number.count.n - number.count.correct
    percent, printed = 100 * wrong / number.count.n, float(number.error_percent)
    digits = len(number.error_percent.partition(".")[2])
    if abs(percent - printed) <= 0.5 * 10.0**-digits:
        return ""
    said = f"{wrong} of {number.count.n} are {percent:.{digits + 1}f} %, printed as {number.error_percent} %"
    if abs(percent - printed) < 10.0**-digits:
        return f"{said}: cut off, not rounded"
    return f"{said}: {percent / printed:.0f} times too small" if printed < percent else said


def _loss(number: Number, numbers: Sequence[Number]) -> str:
    """A loss that is lower than so many misread images allow."""
    if number.metric != "test/loss" or number.value is None:
        return ""
    same = [one for one in numbers if (one.id, one.sweep) == (number.id, number.sweep)]
    accuracy = next((one for one in same if one.metric == "test/accuracy"), None)
    loss = number.point.get("loss", "categorical_crossentropy")
    least = _LEAST_LOSS.get(loss)
    if accuracy is None or accuracy.value is None or least is None:
        return ""
    bound = (1 - accuracy.value) * least
    if number.value >= bound:
        return ""
    return (f"a test accuracy of {accuracy.text} leaves a {loss.replace('_', ' ')} of at least {bound:.4f}, since the true "
            f"class of a misread image has a probability of 1/2 at most; reported is {number.text}")  # fmt: skip


def _twice(numbers: Sequence[Number]) -> list[Slip]:
    """One network that stands in several sweeps: its comparisons share its luck."""
    seen: dict[tuple[str, str, Count], list[Number]] = {}
    for number in numbers:
        if number.metric == "drawn/accuracy" and number.count:
            seen.setdefault((number.model, number.text, number.count), []).append(number)
    return [
        Slip(same[0], f"{same[0].count.correct} of {same[0].count.n} stand in {len(same)} rows "
             f"({', '.join(one.id for one in same)}): one network, or a coincidence, so these comparisons share its luck")
        for same in seen.values() if len({one.sweep for one in same}) > 1 and same[0].count
    ]  # fmt: skip
