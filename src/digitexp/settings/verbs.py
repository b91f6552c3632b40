"""Settings of the verbs besides `run`, one class each, and the rule by which `report` judges claims."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Optional

from omegaconf import MISSING

from digitexp.settings.checks import choose, require

# ruff: noqa: UP045  (OmegaConf reads `Optional[int]` in a schema in every version, `int | None` only in the newest)

VERSION = 3  # of the rule: raised whenever evidence/ concludes something else from the same runs


@dataclass
class Ui:
    """`digitexp ui`."""

    port: int = MISSING


@dataclass
class Doctor:
    """`digitexp doctor`: whether what it finds is mended."""

    fix: bool = MISSING


@dataclass
class Rule:
    """When a reported claim counts as reproduced.

    `version` stands for what is not a value: how evidence/verdicts.py concludes. `margin` is by metric, `relative` too, as
    a share of the right side; `widest` is the range of a further seed beyond which it says nothing of a reported number.
    """

    version: int = MISSING
    alpha: float = MISSING
    seeds: int = MISSING
    margin: dict[str, float] = MISSING
    relative: dict[str, float] = MISSING
    widest: dict[str, float] = MISSING
    correlation: float = MISSING
    settings: int = MISSING
    data: list[str] = MISSING
    whole: bool = MISSING
    drawings: list[str] = MISSING
    geometry: list[str] = MISSING

    def check(self, at: str) -> None:
        require(0 < self.alpha < 0.5, f"{at}.alpha", self.alpha, "a probability between 0 and 0.5")
        require(self.version == VERSION, f"{at}.version", self.version, f"{VERSION}, the only one that this program knows")
        require(self.seeds >= 1, f"{at}.seeds", self.seeds, "a number of seeds from 1")
        require(self.settings >= 4, f"{at}.settings", self.settings, "a number of settings from 4")
        require(0 < self.correlation < 1, f"{at}.correlation", self.correlation, "a correlation between 0 and 1")
        for name in ("margin", "relative", "widest"):
            for metric, margin in getattr(self, name).items():
                require(margin > 0, f"{at}.{name}.{metric}", margin, "a difference above 0")

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that stand for the rule: its values, and the version of what is concluded from them."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Report:
    """`digitexp report`: the folder in which each sweep has its own, and that of what others reported about them.

    `runs` is a runs.csv to read instead of the store.
    """

    folder: str = MISSING
    claims: str = MISSING
    runs: Optional[str] = MISSING
    audit: bool = MISSING
    writers: bool = MISSING
    compare: list[str] = MISSING
    readme: Optional[str] = MISSING

    def check(self, at: str) -> None:
        require(len(self.compare) in (0, 2), f"{at}.compare", self.compare, "a list of two runs, as in [RUN_A,RUN_B]")


@dataclass
class Reproduce:
    """`digitexp reproduce RUN`."""

    run: Optional[str] = MISSING


@dataclass
class Draw:
    """`digitexp draw`: the networks that recognise, and the sitting that the page begins with."""

    model: str = MISSING
    against: Optional[str] = MISSING
    port: int = MISSING
    writer: str = MISSING
    role: str = MISSING
    prompted: bool = MISSING
    add: Optional[str] = MISSING
    export: Optional[str] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.role", self.role, dict.fromkeys(["train", "score"]))
        named = 0 < len(self.writer) <= 60 and self.writer.isprintable()
        require(named, f"{at}.writer", self.writer, "a name of 1 to 60 letters")
        require(self.add is None or self.export is None, f"{at}.add", self.add, f"null together with {at}.export")


@dataclass
class Promote:
    """`digitexp promote SWEEP`, or the address of a network."""

    model: Optional[str] = MISSING


@dataclass
class Predict:
    """`digitexp predict IMAGE...`: the network that reads, where its files go, and below which probability it says "?"."""

    model: str = MISSING
    folder: str = MISSING
    confidence: float = MISSING
    debug: bool = MISSING

    def check(self, at: str) -> None:
        require(0 <= self.confidence < 1, f"{at}.confidence", self.confidence, "a probability from 0 to below 1")


@dataclass
class Submit:
    """`digitexp submit`: the networks whose probabilities are averaged, and the file that is written."""

    models: list[str] = MISSING
    file: str = MISSING

    def check(self, at: str) -> None:
        require(len(self.models) >= 1, f"{at}.models", self.models, "a list of one network or several")
        require(self.file.endswith(".csv"), f"{at}.file", self.file, "a file that ends in .csv")


@dataclass
class Explore:
    """`digitexp explore`: the folder in which each data set has its own; whether suspicious labels are looked for."""

    folder: str = MISSING
    labels: bool = MISSING
