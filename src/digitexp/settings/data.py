"""Settings of the images: where they come from, how they are divided, and the drawings that join them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from omegaconf import MISSING

from digitexp.settings.checks import choose, require

# ruff: noqa: UP045  (OmegaConf reads `Optional[int]` in a schema in every version, `int | None` only in the newest)

SOURCES = ("digits", "mnist", "kaggle", "kaggle_stand_in")
KAGGLE = ("kaggle", "kaggle_stand_in")  # the evaluation sets that these sources bring have their names
CLEAN = "_clean"  # ends the name of the part of a set that was not seen before


@dataclass
class Drawn:
    """Drawings that a person labelled, or our own pen's; the last `holdout` at most are scored, never trained on."""

    source: str = MISSING
    images: Optional[str] = MISSING
    labels: Optional[str] = MISSING
    count: int = MISSING
    geometry: str = MISSING
    stroke_width: float = MISSING
    holdout: int = MISSING
    store: Optional[str] = MISSING
    recognised_by: Optional[str] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.source", self.source, dict.fromkeys(["none", "csv", "folder", "store", "synthetic"]))
        choose(f"{at}.geometry", self.geometry, dict.fromkeys(["raw", "box", "mnist"]))
        require(self.stroke_width == 0 or 1 <= self.stroke_width <= 6, f"{at}.stroke_width", self.stroke_width,
                "pixels from 1 to 6, or 0 for strokes as they were drawn")  # fmt: skip
        require(self.stroke_width == 0 or self.geometry != "raw", f"{at}.stroke_width", self.stroke_width,
                f"0 with {at}.geometry=raw, which has no box to measure strokes in")  # fmt: skip
        self._check_path(f"{at}.images", self.images, at, {"csv": "the csv file of images", "folder": "the folder of PNGs"})
        self._check_path(f"{at}.labels", self.labels, at, {"csv": "the csv file of labels"})
        require(self.store is not None or self.source != "store", f"{at}.store", self.store,
                 f"the file of drawings with {at}.source=store; type {at}.store=FILE")  # fmt: skip
        require(self.recognised_by is None or self.source == "store", f"{at}.recognised_by", self.recognised_by,
                 f"null with {at}.source={self.source}: only a store knows which network recognised a drawing")  # fmt: skip
        require(self.count >= 1, f"{at}.count", self.count, "a number of drawings from 1")
        require(self.holdout >= 0, f"{at}.holdout", self.holdout, "a number of drawings, 0 to score none")

    def _check_path(self, path: str, value: str | None, at: str, needed: Mapping[str, str]) -> None:
        if self.source in needed:
            allowed = f"{needed[self.source]} with {at}.source={self.source}; type {path}=PATH"
        else:
            allowed = f"null with {at}.source={self.source}; to read it, type {at}.source={' or '.join(needed)}"
        require((value is not None) == (self.source in needed), path, value, allowed)


def _check_source(name: str, path: str | None, at: str) -> None:
    if name in ("none", "digits"):
        require(path is None, f"{at}.path", path,
                f"null with {at}.name={name}, which reads no file ({', '.join(SOURCES[1:])} do)")  # fmt: skip
    if name == "kaggle":
        require(path is not None, f"{at}.path", path, f"the folder of train.csv and test.csv; type {at}.path=FOLDER")


@dataclass
class Also:
    """A second source, all of whose training images join those of the first; `none` for no such source."""

    name: str = MISSING
    path: Optional[str] = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, dict.fromkeys(["none", *SOURCES]))
        _check_source(self.name, self.path, at)


@dataclass
class Data:
    """Where the images come from and how they are divided; `validation` and `test` are shares of the images."""

    name: str = MISSING
    path: Optional[str] = MISSING
    test_labels: Optional[str] = MISSING
    also: Also = MISSING
    limit: Optional[int] = MISSING
    validation: float = MISSING
    test: Optional[float] = MISSING
    split: str = MISSING
    split_seed: int = MISSING
    writers: Optional[str] = MISSING
    folds: Optional[int] = MISSING
    fold: int = MISSING
    balance: str = MISSING
    classes: list[str] = MISSING
    manual_labels: int = MISSING
    allow_leakage: bool = MISSING
    remove_leakage: bool = MISSING
    near_duplicates: bool = MISSING
    drawn: Drawn = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.name", self.name, dict.fromkeys(SOURCES))
        _check_source(self.name, self.path, at)
        if self.name == "mnist":
            require(self.test is None or self.test == 0, f"{at}.test", self.test,
                    "null with data=mnist, which has its own test set, or 0 to leave that set unread")  # fmt: skip
        elif self.name in KAGGLE:
            require(self.test is not None and 0 <= self.test < 1, f"{at}.test", self.test,
                    "a share from 0 to below 1; with 0 there is no such set")  # fmt: skip
        else:
            require(self.test is not None and 0 < self.test < 1, f"{at}.test", self.test, "a share between 0 and 1")
        require(self.also.name != self.name, f"{at}.also.name", self.also.name, "another source than the first")
        require(self.test_labels is None or "kaggle" in self.sources, f"{at}.test_labels", self.test_labels,
                 "null without Kaggle's images; they are the labels of its test.csv")  # fmt: skip
        self._check_split(at)
        choose(f"{at}.balance", self.balance, dict.fromkeys(["natural", "balanced", "skewed"]))
        require(self.limit is None or self.limit > 0, f"{at}.limit", self.limit, "a number of images, or null for all")
        require(0 <= self.validation < 1, f"{at}.validation", self.validation, "a share from 0 to below 1")
        require(self.split_seed >= 0, f"{at}.split_seed", self.split_seed, "a whole number from 0")
        require(self.manual_labels >= 0, f"{at}.manual_labels", self.manual_labels, "a number of drawings from 0")
        require(self.manual_labels == 0 or self.drawn.source != "none", f"{at}.manual_labels", self.manual_labels,
                 f"0 without drawings; type {at}.drawn.source=store, csv, folder or synthetic to have some")  # fmt: skip

    def _check_split(self, at: str) -> None:
        choose(f"{at}.split", self.split, dict.fromkeys(["stratified", "writer"]))
        by_writer = self.split == "writer"
        require(not by_writer or self.sources == ("mnist",), f"{at}.split", self.split,
                "stratified, since only MNIST's writers are known, and of no second source")  # fmt: skip
        require(not by_writer or self.writers is not None, f"{at}.writers", self.writers,
                f"the file that says who wrote each image; type {at}.writers=FILE")  # fmt: skip
        require(self.folds is None or self.folds >= 2, f"{at}.folds", self.folds, "a number of folds from 2, or null")
        require(1 <= self.fold <= (self.folds or 1), f"{at}.fold", self.fold,
                f"a fold from 1 to {self.folds}" if self.folds else f"1 without folds; type {at}.folds=5")  # fmt: skip

    @property
    def sources(self) -> tuple[str, ...]:
        """The names of the one or two sources."""
        return (self.name,) if self.also.name == "none" else (self.name, self.also.name)

    @property
    def evaluation_sets(self) -> tuple[str, ...]:
        """The names of the sets on which a run is scored."""
        val = ("val",) if self.validation or self.folds else ()
        known = {"kaggle": self.test_labels is not None, "kaggle_stand_in": True}
        kaggle = [name for name in KAGGLE if name in self.sources and known[name]]
        drawn = ("drawn",) if self.drawn.source != "none" and self.drawn.holdout else ()
        test = () if self.test == 0 else ("test",)
        return (*val, *test, *kaggle, *drawn)
