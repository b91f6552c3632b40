"""The sets of images that a configuration asks for: what is trained on, what is chosen by, what is scored once."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

from digitexp.data.digits import Digits
from digitexp.data.sources import SCANS, read_digits, read_mnist, source_files
from digitexp.data.splits import limit, split
from digitexp.errors import DataError
from digitexp.settings import Data


def names(data: Data) -> tuple[str, ...]:
    """The sets of `load(data)` on which a run is scored: known without reading a file."""
    return data.evaluation_sets


def load(data: Data) -> dict[str, Digits]:
    """The sets "train", "val" (where `data.validation` is not 0) and "test"; no image is in two of them.

    `data.limit` is a number of images for training and validation together; the test set is always whole.
    The arrays are read-only, since the last few answers are kept for the next runs. Raises DataError.
    """
    if len(data.classes) != 10:
        raise DataError(f"data.classes: found {len(data.classes)} names, allowed with data={data.name} are 10.")
    stamps = tuple((str(file.resolve()), file.stat().st_mtime_ns, file.stat().st_size) for file in source_files(data))
    return dict(_load(_Request(repr(data), stamps, data)))


def size(data: Data) -> int:
    """How many images `load(data)["train"]` holds, without scikit-learn; the files are read, and refused, all the same."""
    images = SCANS - math.ceil(SCANS * (data.test or 0)) if data.name == "digits" else _pool_size(data.path)
    images = min(images, data.limit or images)
    return images - math.ceil(images * data.validation)


@lru_cache(maxsize=4)
def _pool_size(path: str | None) -> int:
    return len(read_mnist(path)[0])


@dataclass(frozen=True)
class _Request:
    """The key of the cache: the settings, and the files' states; `data` itself cannot be hashed."""

    settings: str
    stamps: tuple[tuple[str, int, int], ...]
    data: Data = field(compare=False)


@lru_cache(maxsize=4)
def _load(request: _Request) -> dict[str, Digits]:
    data = request.data
    if data.name == "digits":
        pool, test = split(read_digits(), data.test or 0.0, data.split_seed)
    else:
        pool, test = read_mnist(data.path)
    if data.limit is not None:
        pool = limit(pool, data.limit, data.split_seed)
    train, val = split(pool, data.validation, data.split_seed)
    sets = {"train": train, "val": val, "test": test} if data.validation else {"train": train, "test": test}
    return {name: _freeze(replace(part, classes=tuple(data.classes))) for name, part in sets.items()}


def _freeze(digits: Digits) -> Digits:
    for array in (digits.images, digits.labels, digits.origin):
        array.setflags(write=False)
    return digits
