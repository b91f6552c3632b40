"""What there is to see in the data: its parts measured, compared and read. No words, no pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from digitexp.data import sets
from digitexp.data.digits import Digits
from digitexp.data.measures import Measures, first_alike, measure
from digitexp.data.splits import limited_rows
from digitexp.evaluation import suspicion
from digitexp.evaluation.suspicion import Slip, Suspicion
from digitexp.settings import Data


@dataclass(frozen=True)
class Part:
    """The images of one origin in one set, as they are (drawings only resized), and in MNIST's geometry.

    `rows` are their places among the images of that origin in the set, counted from 1: in the order of the file where the
    source is a file. `start` is the place of the first among the images of all parts, from 0.
    """

    name: str
    digits: Digits
    fitted: Digits
    rows: NDArray[np.int64]
    start: int
    measures: Measures
    fitted_measures: Measures

    @property
    def here(self) -> slice:
        """Its images among those of all parts."""
        return slice(self.start, self.start + len(self.digits))

    @property
    def moved(self) -> bool:
        """Whether MNIST's geometry changes its images."""
        return not np.array_equal(self.digits.images, self.fitted.images)


@dataclass(frozen=True)
class Place:
    """An image: its part, its position in it from 0, and its row from 1."""

    part: Part
    position: int

    @property
    def row(self) -> int:
        """As a person counts, in the file where there is one."""
        return int(self.part.rows[self.position])

    @property
    def label(self) -> str:
        """The name of its class."""
        return self.part.digits.classes[self.part.digits.labels[self.position]]


@dataclass(frozen=True)
class Exploration:
    """All parts; `alike` is, for each image of all parts, the first that is the same; `suspicion` None if not asked for."""

    data: Data
    parts: Sequence[Part]
    alike: NDArray[np.int64]
    suspicion: Suspicion | None
    whole: Mapping[str, int]  # images of each set before it was limited

    @property
    def count(self) -> int:
        """Images of all parts."""
        return len(self.alike)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the digits."""
        return self.parts[0].digits.classes

    def place(self, index: int) -> Place:
        """The image at a place among all."""
        part = next(part for part in reversed(self.parts) if part.start <= index)
        return Place(part, index - part.start)

    @cached_property
    def copies(self) -> list[list[Place]]:
        """Groups of images that are the same pixel by pixel, blank ones left out."""
        groups: dict[int, list[int]] = {}
        for index in np.flatnonzero(np.bincount(self.alike, minlength=self.count)[self.alike] > 1).tolist():
            groups.setdefault(int(self.alike[index]), []).append(index)
        found = [[self.place(index) for index in group] for group in groups.values()]
        return [group for group in found if not np.isnan(group[0].part.measures.row[group[0].position])]

    @property
    def contradicting(self) -> list[list[Place]]:
        """Those of them that are not all labelled alike."""
        return [group for group in self.copies if len({place.label for place in group}) > 1]

    def suspicious(self, part: Part) -> NDArray[np.int64]:
        """Positions of a part's suspicious images, the surest first."""
        if self.suspicion is None:
            return np.zeros(0, np.int64)
        rows = self.suspicion.rows
        return rows[(rows >= part.here.start) & (rows < part.here.stop)] - part.start

    @cached_property
    def slips(self) -> list[tuple[Part, Slip]]:
        """Where labels and images slipped against each other."""
        if self.suspicion is None:
            return []
        probabilities = self.suspicion.probabilities
        return [
            (part, slip)
            for part in self.parts
            for slip in suspicion.find_slips(part.digits.labels, probabilities[part.here])
        ]  # fmt: skip

    @cached_property
    def runs(self) -> list[tuple[Part, int, int]]:
        """Runs of suspicious images that no slip explains: first and last position in their part."""
        found = []
        for part in self.parts:
            mask = np.zeros(len(part.digits), bool)
            mask[self.suspicious(part)] = True
            slips = [slip for other, slip in self.slips if other is part]
            for first, last in suspicion.find_runs(mask):
                if not any(slip.first <= last and first <= slip.last for slip in slips):
                    found.append((part, first, last))
        return found


def gather(data: Data, labels: bool, say: Callable[[str], None]) -> Exploration:
    """Read and measure all images of `data`, and look for suspicious labels if `labels`. Raises DataError.

    `data.limit` keeps a stratified part of the images to train on; `say` is told what is being done.
    """
    say("reading the images")
    as_they_are = sets.undivided(data, "raw")
    fitted = sets.undivided(data, "mnist")
    say("measuring the images")
    parts: list[Part] = []
    for name, digits in as_they_are.items():
        limited = data.limit is not None and name == "train"
        kept = limited_rows(digits, data.limit or 0, data.split_seed) if limited else np.arange(len(digits))
        for origin in dict.fromkeys(digits.origin.tolist()):
            parts.append(_part(name, origin, digits, fitted[name], kept, sum(len(part.digits) for part in parts)))
    images = np.concatenate([part.fitted.images for part in parts])
    alike = first_alike(np.concatenate([part.digits.images for part in parts]))
    found = None
    if labels and len(images) > 1:
        say(f"reading {len(images):,} images, each by what was learnt from others")
        given = np.concatenate([part.digits.labels for part in parts])
        found = suspicion.suspect(images, given, len(parts[0].digits.classes), alike)
    return Exploration(data, parts, alike, found, {name: len(digits) for name, digits in as_they_are.items()})


def _part(
    name: str, origin: str, digits: Digits, fitted: Digits, kept: NDArray[np.int64], start: int,
) -> Part:  # fmt: skip
    shown = origin if origin.replace("-", " ").replace("_", " ") == name.replace("_", " ") else f"{origin} {name}"
    own = digits.origin == origin
    chosen = kept[own[kept]]
    raw, normal = digits.take(chosen), fitted.take(chosen)
    measured = measure(raw.images)
    moved = not np.array_equal(raw.images, normal.images)
    return Part(shown, raw, normal, own.cumsum()[chosen], start, measured, measure(normal.images) if moved else measured)
