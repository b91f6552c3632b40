"""The best setting against each of the others: by how much, with how many seeds, and what would tell them apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from digitexp.evaluation import compare, shares
from digitexp.evaluation import ties as evaluation
from digitexp.evaluation.compare import Interval, Luck
from digitexp.evaluation.ties import Further
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Row


@dataclass(frozen=True)
class Against:
    """A setting against another on one set: the difference in accuracy with its 95 % interval.

    `better` is how often the first wins over the seeds, with its interval, None where the images are not known; `further`
    is what would tell the two apart, if their difference is as large as it was here.
    """

    row: Row
    apart: float
    interval: Interval
    better: tuple[float, Interval] | None
    further: Further


@dataclass(frozen=True)
class Family:
    """All settings as one test compares them: whether image by image, and the luck of the seeds of each, by trial.

    Of one seed nothing is known of its luck.
    """

    paired: bool
    luck: Mapping[int, Luck]


def family(rows: Sequence[Row], part: str) -> Family:
    """The settings that were measured on a set."""
    measured = [row.scored for row in rows if not math.isnan(row.scored.mean(f"{part}/accuracy"))]
    paired = ranking.paired(measured, part)
    if not measured or len(measured[0].metrics) == 1:
        return Family(paired, {})
    found = compare.luck([scored.shares(part).accuracies for scored in measured])
    return Family(paired, {scored.trial: luck for scored, luck in zip(measured, found, strict=True)})


def against(best: Row, row: Row, part: str, alpha: float, family: Family) -> Against:
    """`best` against `row`, image by image where that is known; `further` is for the test of all at the level `alpha`."""
    metric = f"{part}/accuracy"
    pair = (family.luck[best.scored.trial], family.luck[row.scored.trial]) if family.luck else None
    apart = best.scored.mean(metric) - row.scored.mean(metric)
    one, other = best.scored.shares(part), row.scored.shares(part)
    if not ranking.paired([best.scored, row.scored], part):
        more = evaluation.further_shares(one, other, alpha, lucks=pair)
        return Against(row, apart, shares.difference(one, other), None, more)
    a, b = best.scored.hits[part], row.scored.hits[part]
    better = evaluation.chance_better(a, b) if len(a) > 1 else None
    if family.paired:
        more = evaluation.further(a, b, alpha, lucks=pair)
    else:
        more = evaluation.further_shares(one, other, alpha, lucks=pair)
    return Against(row, apart, compare.difference(a, b), better, more)


def sentence(first: str, second: str, found: Against, part: str) -> str:
    """What would end a tie, in words: "To tell a from b: about 9 more seeds, or 3,000 more val images, if ..."."""
    if found.apart == 0:
        return f"{first} and {second} read equally many {part} images: nothing says how many more would tell them apart."
    ways = [
        f"about {rounded(number)} more {what}{'' if number == 1 else 's'}"
        for number, what in ((found.further.seeds, "seed"), (found.further.images, f"{part} image"))
        if number is not None
    ]
    if not ways:
        return f"More seeds alone, or more {part} images alone, would not tell {first} from {second}."
    real = "if the difference is as large as here (found four times in five)"
    return f"To tell {first} from {second}: {', or '.join(ways)}, {real}."


def rounded(number: int) -> str:
    """A number as rough as it is known: two digits."""
    if number < 100:
        return str(number)
    unit = 10 ** (len(str(number)) - 2)
    return f"{round(number / unit) * unit:,}"


def of_group(top: Sequence[Row], rows: Sequence[Row], names: Sequence[str], part: str) -> str:
    """What would tell the best of a tie from the next, all pairs of it tested; nothing where there is no tie.

    `rows` are all settings: the luck of their seeds is pooled, as in the test by which these are a tie.
    """
    if len(top) < 2:
        return ""
    return sentence(names[0], names[1], against(top[0], top[1], part, level(top), family(rows, part)), part)


def level(rows: Sequence[Row]) -> float:
    """The level of a test of two of a tie, when all pairs of them are tested."""
    return compare.ALPHA / max(math.comb(len(rows), 2), 1)
