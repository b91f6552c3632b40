"""The sets of images that a configuration asks for: what is trained on, what is chosen by, what is scored once."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from digitexp.data import drawings, leakage
from digitexp.data.digits import Digits, concatenate
from digitexp.data.kaggle import STAND_IN_IMAGES
from digitexp.data.mnist import MNIST_IMAGES, RAREST, mnist_files, read_writers
from digitexp.data.sources import SCANS, path_of, read, stamps
from digitexp.data.splits import class_counts, fold, limit, rebalance, split, split_by_writer
from digitexp.errors import DataError
from digitexp.settings import KAGGLE, Data, Drawn

DRAWN = ("drawn", "synthetic")  # origins of drawings
DOWNLOADED = {"mnist": MNIST_IMAGES, "kaggle_stand_in": STAND_IN_IMAGES}  # images to train on, without a file of one's own


def load(data: Data) -> dict[str, Digits]:
    """The sets "train" and those of `data.evaluation_sets`: "val", "test", "kaggle" or "kaggle_stand_in", "drawn".

    `data.limit` is a number of images for training and validation together; the test set is always whole. The first
    `data.manual_labels` drawings are added to "train" and the last `data.drawn.holdout` are "drawn"; limit and balance do
    not touch them. No image is in two of the sets; or, where `data.allow_leakage` is set, the rest of each set is there
    too, as "test_clean" and so on. The arrays are read-only, since the last few answers are kept for the next runs.
    Raises DataError.
    """
    if len(data.classes) < 10:
        raise DataError(f"data.classes: found {len(data.classes)} names, allowed with data={data.name} are 10 or more.")
    return dict(_load(_request(data, data)))


def undivided(data: Data, geometry: str) -> dict[str, Digits]:
    """Every image, for whoever looks at the data: "train" with what would validate, what is scored, and all drawings.

    In the order of the sources, whatever is limited, balanced, held out or found in two of the sets; with the writers of
    MNIST where `data.writers` names their file. Raises DataError.
    """
    # MNIST brings a test set of its own; one drawn from Kaggle's file would take the rows of the rest out of its order.
    test = {"mnist": None, "kaggle": 0.0}.get(data.name, data.test)
    known = data.writers is not None and data.sources == ("mnist",)
    alone = replace(data, limit=None, validation=0.0, folds=None, fold=1, split="writer" if known else "stratified",
                    balance="natural", manual_labels=0, drawn=Drawn(source="none"), test=test)  # fmt: skip
    sets = dict(_bundled(_request(alone, alone)))
    if known:
        writers = read_writers(Path(data.writers or "").expanduser(), len(sets["test"]), "test")
        sets["test"] = replace(sets["test"], writers=writers)
    if data.drawn.source != "none":
        sets["drawn"] = drawings.read(replace(data.drawn, geometry=geometry), data.classes)
    return sets


def forget() -> None:
    """Drop the answers that are kept for the next runs, for whoever needs their memory."""
    for kept in (_load, _bundled, _drawings):
        kept.cache_clear()


def size(data: Data) -> int:
    """How many images `load(data)["train"]` holds; the files are read, and refused, all the same, but none is downloaded.

    Told without scikit-learn for one source that is divided in the plain way. Before MNIST is downloaded, what depends on
    its writers, on its rarest class or on images that are there twice is told to about a hundredth.
    """
    plain = (
        data.sources in (("digits",), ("mnist",))
        and (data.split, data.folds, data.balance) == ("stratified", None, "natural")
        and (data.allow_leakage or not data.remove_leakage)
    )
    if not plain and not any(_to_download(data, name) for name in data.sources):
        return len(load(data)["train"])
    images, *more = (_pool_size(_request(data, name), name) for name in data.sources)
    if data.name != "mnist":
        images -= math.ceil(images * (data.test or 0))
    images += sum(more)
    images = min(images, data.limit or images)
    if data.drawn.source != "none":
        _require_drawings(data, _count(_request(data, (data.drawn, data.classes))))
    images -= len(range(data.fold - 1, images, data.folds)) if data.folds else math.ceil(images * data.validation)
    if data.balance != "natural":
        images = int(class_counts(round(images * RAREST), len(data.classes), data.balance).sum())
    return images + data.manual_labels


def _to_download(data: Data, name: str) -> bool:
    return name in DOWNLOADED and not mnist_files(path_of(data, name))


@dataclass(frozen=True)
class _Request:
    """The key of the cache: the settings, and the files' states; `data` itself cannot be hashed."""

    settings: str
    stamps: tuple[tuple[str, int, int], ...]
    data: Data = field(compare=False)


def _request(data: Data, settings: object) -> _Request:
    return _Request(repr(settings), stamps(data), data)


@lru_cache(maxsize=4)
def _pool_size(request: _Request, name: str) -> int:
    """How many images a source has to train on, before any are held out."""
    if name == "digits":
        return SCANS
    return DOWNLOADED[name] if _to_download(request.data, name) else len(read(request.data, name)[0])


@lru_cache(maxsize=4)
def _load(request: _Request) -> dict[str, Digits]:
    data = request.data
    alone = replace(data, manual_labels=0, drawn=Drawn(source="none"), balance="natural",
                    allow_leakage=False, remove_leakage=False, near_duplicates=False)  # fmt: skip
    sets = dict(_bundled(_request(alone, alone)))
    if data.drawn.source != "none":
        drawn = _drawings(_request(data, (data.drawn, data.classes)))
        scored = _require_drawings(data, len(drawn))
        rows = np.arange(len(drawn))
        if data.manual_labels:
            sets["train"] = concatenate([sets["train"], drawn.take(rows[: data.manual_labels])])
        if scored:
            sets["drawn"] = drawn.take(rows[-scored:])
    if data.remove_leakage and not data.allow_leakage:
        sets = leakage.remove(sets, data.near_duplicates)
    if data.balance != "natural":
        sets["train"] = _rebalance(sets["train"], data)
    if data.allow_leakage:
        sets |= leakage.clean(sets, data.near_duplicates)
    else:
        leakage.refuse(sets, data.near_duplicates)
    return {name: _freeze(part) for name, part in sets.items()}


def _rebalance(train: Digits, data: Data) -> Digits:
    drawn = np.isin(train.origin, DRAWN)
    return concatenate([rebalance(train.take(~drawn), data.balance, data.split_seed), train.take(drawn)])


@lru_cache(maxsize=2)
def _drawings(request: _Request) -> Digits:
    return drawings.read(request.data.drawn, request.data.classes)


@lru_cache(maxsize=4)
def _count(request: _Request) -> int:
    return drawings.count(request.data.drawn, request.data.classes)


def _require_drawings(data: Data, found: int) -> int:
    """How many drawings are scored. Raises DataError when fewer are left than `data.manual_labels` asks for."""
    free, scored = drawings.division(data.drawn, data.classes, found)
    if data.manual_labels > free:
        raise DataError(
            f"data.manual_labels={data.manual_labels}: found {found} drawings, of which the last {found - free} are scored "
            f"(data.drawn.holdout={data.drawn.holdout}); allowed are 0 to {free}."
        )
    return scored


@lru_cache(maxsize=2)
def _bundled(request: _Request) -> dict[str, Digits]:
    """The sets without drawings."""
    data = request.data
    pool, own = read(data, data.name)
    scored = {} if own is None else {"test" if data.name == "mnist" else data.name: own}
    if data.test == 0:
        scored.pop("test", None)
    if "test" not in scored and data.test != 0:
        pool, test = split(pool, data.test or 0.0, data.split_seed)
        scored = {"test": test, **scored}
    if data.split == "writer":
        pool = replace(pool, writers=read_writers(Path(data.writers or "").expanduser(), len(pool)))
    if data.also.name != "none":
        more, also_scored = read(data, data.also.name)
        pool = concatenate([pool, more])
        if data.also.name in KAGGLE and also_scored is not None:
            scored[data.also.name] = also_scored
    if data.limit is not None:
        pool = limit(pool, data.limit, data.split_seed)
    train, val = _hold_out(pool, data)
    sets = {"train": train, **({"val": val} if len(val) else {}), **scored}
    return {name: replace(part, classes=tuple(data.classes)) for name, part in sets.items()}


def _hold_out(pool: Digits, data: Data) -> tuple[Digits, Digits]:
    """What is trained on, and what is chosen by."""
    by_writer = data.split == "writer"
    if data.folds:
        return fold(pool, data.folds, data.fold, data.split_seed, by_writer)
    return (split_by_writer if by_writer else split)(pool, data.validation, data.split_seed)


def _freeze(digits: Digits) -> Digits:
    for array in (digits.images, digits.labels, digits.origin, digits.writers):
        if array is not None:
            array.setflags(write=False)
    return digits
