"""The sets of images that a configuration asks for: what is trained on, what is chosen by, what is scored once."""

import math
import sys
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from digitexp.data import drawings, leakage
from digitexp.data.digits import Digits, concatenate
from digitexp.data.sources import SCANS, mnist_size, read_digits, read_mnist, source_files
from digitexp.data.splits import limit, split
from digitexp.errors import DataError
from digitexp.settings import Data, Drawn


def load(data: Data) -> dict[str, Digits]:
    """The sets "train", "val" (where `data.validation` is not 0), "test", and "drawn" (where there are drawings to score).

    `data.limit` is a number of images for training and validation together; the test set is always whole. The first
    `data.manual_labels` drawings are added to "train" and the last `data.drawn.holdout` are "drawn"; the limit does not
    touch them. No image is in two of the sets, unless `data.allow_leakage` is set. The arrays are read-only, since the
    last few answers are kept for the next runs. Raises DataError.
    """
    if len(data.classes) != 10:
        raise DataError(f"data.classes: found {len(data.classes)} names, allowed with data={data.name} are 10.")
    return dict(_load(_request(data, data)))


def undivided(data: Data, geometry: str) -> dict[str, Digits]:
    """Every image, for whoever looks at the data: "train" with what would validate, "test", and all drawings as "drawn".

    In the order of the source, whatever is limited, held out or found in two of the sets. Raises DataError.
    """
    drawn = data.drawn
    if drawn.source != "none":
        drawn = replace(drawn, holdout=sys.maxsize, geometry=geometry)
    return load(replace(data, limit=None, validation=0.0, manual_labels=0, allow_leakage=True, drawn=drawn))


def size(data: Data) -> int:
    """How many images `load(data)["train"]` holds, without scikit-learn; the files are read, and refused, all the same."""
    images = SCANS - math.ceil(SCANS * (data.test or 0)) if data.name == "digits" else _pool_size(data.path)
    images = min(images, data.limit or images)
    if data.drawn.source != "none":
        _require_drawings(data, _count(_request(data, (data.drawn, data.classes))))
    return images - math.ceil(images * data.validation) + data.manual_labels


@lru_cache(maxsize=4)
def _pool_size(path: str | None) -> int:
    return mnist_size(path)


@dataclass(frozen=True)
class _Request:
    """The key of the cache: the settings, and the files' states; `data` itself cannot be hashed."""

    settings: str
    stamps: tuple[tuple[str, int, int], ...]
    data: Data = field(compare=False)


def _request(data: Data, settings: object) -> _Request:
    stamps = tuple((str(file.resolve()), file.stat().st_mtime_ns, file.stat().st_size) for file in source_files(data))
    return _Request(repr(settings), stamps, data)


@lru_cache(maxsize=4)
def _load(request: _Request) -> dict[str, Digits]:
    data = request.data
    alone = replace(data, manual_labels=0, drawn=Drawn(source="none"))
    sets = dict(_bundled(_request(alone, alone)))
    if data.drawn.source != "none":
        drawn = _drawings(_request(data, (data.drawn, data.classes)))
        scored = _require_drawings(data, len(drawn))
        rows = np.arange(len(drawn))
        if data.manual_labels:
            sets["train"] = concatenate([sets["train"], drawn.take(rows[: data.manual_labels])])
        if scored:
            sets["drawn"] = drawn.take(rows[-scored:])
    if not data.allow_leakage:
        leakage.refuse(sets)
    return {name: _freeze(part) for name, part in sets.items()}


@lru_cache(maxsize=2)
def _drawings(request: _Request) -> Digits:
    return drawings.read(request.data.drawn, request.data.classes)


@lru_cache(maxsize=4)
def _count(request: _Request) -> int:
    return drawings.count(request.data.drawn, request.data.classes)


def _require_drawings(data: Data, found: int) -> int:
    """How many drawings are scored. Raises DataError when fewer are left than `data.manual_labels` asks for."""
    scored = min(data.drawn.holdout, found)
    if data.manual_labels > found - scored:
        raise DataError(
            f"data.manual_labels={data.manual_labels}: found {found} drawings, of which the last {scored} are scored "
            f"(data.drawn.holdout={data.drawn.holdout}); allowed are 0 to {found - scored}."
        )
    return scored


@lru_cache(maxsize=2)
def _bundled(request: _Request) -> dict[str, Digits]:
    """The sets without drawings."""
    data = request.data
    if data.name == "digits":
        pool, test = split(read_digits(), data.test or 0.0, data.split_seed)
    else:
        pool, test = read_mnist(data.path)
    if data.limit is not None:
        pool = limit(pool, data.limit, data.split_seed)
    train, val = split(pool, data.validation, data.split_seed)
    sets = {"train": train, "val": val, "test": test} if data.validation else {"train": train, "test": test}
    return {name: replace(part, classes=tuple(data.classes)) for name, part in sets.items()}


def _freeze(digits: Digits) -> Digits:
    for array in (digits.images, digits.labels, digits.origin):
        array.setflags(write=False)
    return digits
