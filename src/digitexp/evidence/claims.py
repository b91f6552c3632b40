"""What others reported: numbers and claims, as experiments/<sweep>/reported.csv and claims.csv hold them."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digitexp.errors import DataError
from digitexp.evaluation.counts import Count

NUMBERS, CLAIMS = "reported.csv", "claims.csv"
_NUMBER = ("id", "model", "setting", "metric", "value", "correct", "n", "epochs", "error_percent", "source", "note")
_CLAIM = ("id", "left", "relation", "right", "metric", "wording")
DIRECTED = (">", "<")
_COMPARED = (*DIRECTED, "=", "between")
_SHARES = ("/accuracy", "/recall")  # of images: what n images and a value say how many were read by
_RELATIONS = (*_COMPARED, "uncorrelated", "among the largest")

Point = Mapping[str, Any]


@dataclass(frozen=True)
class Number:
    """A reported number. `point` is empty where it belongs to no setting of ours, `value` None where it is no number.

    `error_percent` is the share of errors as the source printed it.
    """

    sweep: str
    id: str
    model: str
    setting: str
    point: Point
    metric: str
    text: str
    value: float | None
    count: Count | None
    epochs: int | None
    error_percent: str
    source: str
    note: str
    place: str = ""  # the folder that it is from, to which its claims belong


@dataclass(frozen=True)
class Comparison:
    """One of the comparisons that a claim is made of; `right` is a number where it is not a setting."""

    left: Point
    relation: str
    right: Point | float


@dataclass(frozen=True)
class Claim:
    """What a source concludes of a metric, in its wording."""

    sweep: str
    id: str
    left: str
    relation: str
    right: str
    metric: str
    wording: str
    place: str = ""

    @property
    def comparisons(self) -> list[Comparison]:
        """A claim holds when all of these do: "between" is two for each setting on its left; none of what is no setting."""
        left, right = _points(self.left), _points(self.right)
        chance = re.fullmatch(r"chance ([\d.]+)", self.right)
        if chance and left:
            return [Comparison(point, self.relation, float(chance[1])) for point in left]
        if not left or not right or self.relation not in _COMPARED:
            return []
        if self.relation == "between":
            low, high = right
            return [Comparison(point, *end) for point in left for end in ((">", low), ("<", high))]
        return [Comparison(point, self.relation, other) for point in left for other in right]

    @property
    def testable(self) -> bool:
        """Whether there is a judge for such a claim at all: it compares settings, or correlates two measures."""
        return bool(self.comparisons) or self.relation == "uncorrelated"

    def __str__(self) -> str:
        path, equals, _ = self.left.partition("=")
        return f"{self.left} {self.relation} {self.right.removeprefix(path + equals)}".strip().replace(",", ", ")


@dataclass(frozen=True)
class Reported:
    """All that was reported about a sweep."""

    numbers: Sequence[Number] = ()
    claims: Sequence[Claim] = ()

    def number(self, point: Point, metric: str) -> Number | None:
        """The reported number of a setting."""
        return next((one for one in self.numbers if one.metric == metric and same(one.point, point) and one.point), None)


def read(folder: Path, sweep: str) -> Reported:
    """What was reported about a sweep: in its own folder, else in that of the sweep under `reported/` of its name."""
    places = [folder / sweep, folder / "reported" / sweep]
    known = (place for place in places if (place / NUMBERS).exists() or (place / CLAIMS).exists())
    return next(map(_read, known), Reported())


def of_all(folder: Path) -> Sequence[Claim]:
    """The claims that are about all sweeps together."""
    return _read(folder / "reported" / "all").claims


def read_all(folder: Path) -> Reported:
    """Everything that was reported, sweep by sweep. Raises DataError when there is nothing, or two claims of one id."""
    places = sorted({file.parent for name in (NUMBERS, CLAIMS) for file in folder.rglob(name)})
    if not places:
        raise DataError(f"report.audit=true: found no {NUMBERS} or {CLAIMS} in {folder}; allowed is a folder with some; "
                        "type report.claims=FOLDER.")  # fmt: skip
    parts = [_read(place) for place in places]
    claims = {claim.id: claim for part in parts for claim in part.claims}
    for claim in (claim for part in parts for claim in part.claims):
        if (other := claims[claim.id]) != claim:
            raise DataError(f"{claim.place}/{CLAIMS}: found the claim {claim.id}, which {other.place}/{CLAIMS} has too; "
                            "give it another id.")  # fmt: skip
    return Reported([one for part in parts for one in part.numbers], list(claims.values()))


def same(a: Point, b: Point) -> bool:
    """Whether two points are the same setting: 0 is 0.0."""
    return a.keys() == b.keys() and all(a[path] == b[path] for path in a)


def point_text(point: Point | float) -> str:
    """A setting as it is typed, or the number that stands in its place."""
    if isinstance(point, float):
        return f"chance {point:g}"
    return " ".join(f"{path}={value}" for path, value in point.items())


def _points(text: str) -> list[Point]:
    """`path=value` as one point, `path=[a,b]` as two; what is none of these as none."""
    found = re.fullmatch(r"([a-z_0-9]+(?:\.[a-z_0-9]+)*)=(.+)", text)
    if not found:
        return []
    values = found[2][1:-1].split(",") if found[2].startswith("[") else [found[2]]
    return [{found[1]: _value(value.strip())} for value in values]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(place: Path) -> Reported:
    numbers = [_number(place, row, line) for line, row in _rows(place / NUMBERS, _NUMBER)]
    claims = [_claim(place, row, line) for line, row in _rows(place / CLAIMS, _CLAIM)]
    return Reported(numbers, claims)


def _rows(file: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text, restval=""))
    missing = [column for column in columns if rows and column not in rows[0]]
    if missing:
        raise DataError(f"{file}: found no column {', '.join(missing)}; allowed are {', '.join(columns)}.")
    return list(enumerate(rows, 2))


def _number(place: Path, row: Mapping[str, str], line: int) -> Number:
    try:
        value = float(row["value"]) if re.fullmatch(r"[\d.]+", row["value"]) else None
        n = int(row["n"]) if row["n"] else None
        correct = int(row["correct"]) if row["correct"] else None
        epochs = int(row["epochs"]) if row["epochs"] else None
    except ValueError as error:
        at = f"{place / NUMBERS}, line {line}"
        raise DataError(f"{at}: {error}; allowed are numbers in correct, n and epochs.") from error
    counted = n is not None and value is not None and (correct is not None or row["metric"].endswith(_SHARES))
    if correct is None and counted:
        correct = round(float(value or 0) * int(n or 0))
    if correct is not None and n is not None and not 0 <= correct <= n:
        raise DataError(f"{place / NUMBERS}, line {line}: found {correct} correct of {n}; allowed are 0 to {n}.")
    return Number(
        place.name, row["id"], row["model"], row["setting"], next(iter(_points(row["setting"])), {}), row["metric"],
        row["value"], value, Count(correct, n) if counted and correct is not None and n else None, epochs,
        row["error_percent"], row["source"], row["note"], str(place),
    )  # fmt: skip


def _claim(place: Path, row: Mapping[str, str], line: int) -> Claim:
    if row["relation"] not in _RELATIONS:
        raise DataError(f"{place / CLAIMS}, line {line}: relation {row['relation']}: allowed are {', '.join(_RELATIONS)}.")
    ends = len(_points(row["right"]))
    if row["relation"] == "between" and _points(row["left"]) and ends != 2:
        raise DataError(f"{place / CLAIMS}, line {line}: right {row['right']}: found {ends} settings to lie between; "
                        "allowed are two, path=[LOW,HIGH].")  # fmt: skip
    return Claim(sweep=place.name, place=str(place), **{column: row[column] for column in _CLAIM})
