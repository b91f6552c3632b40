"""The Kaggle competition "Digit Recognizer" (train.csv, test.csv), and a stand-in for it made from MNIST's own images.

The competition's 70,000 images are MNIST's, shuffled and divided anew; so is the stand-in, which needs no account.
Importing this module costs NumPy only.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE, Digits, concatenate
from digitexp.data.mnist import CLASSES
from digitexp.errors import DataError

TRAIN, TEST = "train.csv", "test.csv"
PIXELS = tuple(f"pixel{number}" for number in range(SIDE * SIDE))
BLOCK = 1 << 22  # bytes that are read at once
COMMA, NEWLINE, ZERO = b",\n0"
STAND_IN_SEED = 3
STAND_IN_IMAGES = 42_000  # to train on, made from all of MNIST


def read_train(folder: Path) -> Digits:
    """The labelled images of train.csv: a header, then a label and 784 values from 0 to 255 a row. Raises DataError."""
    table = read_table(folder / TRAIN, ("label", *PIXELS), (9, *[255] * len(PIXELS)))
    return _digits(table[:, 1:], table[:, 0], "kaggle")


def read_images(folder: Path) -> NDArray[np.uint8]:
    """The images of test.csv, uint8 `(n, 28, 28)` in its order: a header, then 784 values a row. Raises DataError."""
    return read_table(folder / TEST, PIXELS, [255] * len(PIXELS)).reshape(-1, SIDE, SIDE)


def read_test(folder: Path, labels: Path) -> Digits:
    """The images of test.csv with their labels from a file that has one a row and no header. Raises DataError."""
    images, known = read_images(folder), read_table(labels, None, [9])[:, 0]
    if len(images) != len(known):
        raise DataError(
            f"{labels}: found {len(known):,} labels, but {len(images):,} images in {folder / TEST}; allowed is one for each."
        )
    return _digits(images, known, "kaggle")


def stand_in(train: Digits, test: Digits) -> tuple[Digits, Digits]:
    """MNIST's images, always shuffled in the same way: three fifths to train on (42,000), two to be scored (28,000)."""
    everything = concatenate([train, test])
    order = np.random.default_rng(STAND_IN_SEED).permutation(len(everything))
    cut = len(everything) * 3 // 5
    parts = [everything.take(order[:cut]), everything.take(order[cut:])]
    first, second = (_digits(part.images, part.labels, "kaggle stand-in") for part in parts)
    return first, second


def _digits(pixels: NDArray[np.uint8], labels: NDArray[np.integer], origin: str) -> Digits:
    images = np.ascontiguousarray(pixels).reshape(-1, SIDE, SIDE)
    return Digits(images, labels.astype(np.int64), CLASSES, np.full(len(labels), origin))


def read_table(file: Path, header: Sequence[str] | None, highest: Sequence[int]) -> NDArray[np.uint8]:
    """Whole numbers from 0 to `highest` (one bound a column), uint8 `(n, columns)`, read in blocks of 4 MiB.

    Raises DataError that names file, row and column, both counted from 1, the header as row 1.
    """
    bounds, parts, row = np.array(highest), [], 1
    try:
        with file.open("rb") as stream:
            if header is not None:
                found = stream.readline().decode("utf-8-sig", "replace").strip()
                if found.split(",") != list(header):
                    raise DataError(f"{file}: row 1: {_difference(found.split(','), header)}.")
                row = 2
            for block in _blocks(stream):
                table = _parse(block, len(bounds))
                if table is None or (table > bounds).any():
                    _refuse(file, block, row, header, highest)
                parts.append(table.astype(np.uint8))
                row += len(table)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from error
    if not parts:
        raise DataError(f"{file}: found no row{' below the header' if header else ''}, allowed is 1 or more.")
    return np.concatenate(parts)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The rest of a file in whole lines, each of which ends with a newline; blank lines at its end are passed over."""
    rest = b""
    while block := stream.read(BLOCK):
        rest += block.replace(b"\r", b"")
        cut = rest.rstrip(b"\n").rfind(b"\n") + 1  # the last line waits: what follows may be blank, or the end
        if cut:
            yield rest[:cut]
        rest = rest[cut:]
    if rest.strip():
        yield rest.rstrip(b"\n") + b"\n"


def _parse(block: bytes, columns: int) -> NDArray[np.uint16] | None:
    """The numbers of up to three digits in whole lines `(n, columns)`; None where there is anything else.

    All at once: each number is read from the places of its digits before the comma or newline that ends it.
    """
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero((text == COMMA) | (text == NEWLINE))
    newlines = text[ends] == NEWLINE
    if len(ends) % columns or not newlines[columns - 1 :: columns].all() or newlines.sum() * columns != len(ends):
        return None
    lengths = np.diff(ends, prepend=-1) - 1
    if lengths.min() < 1 or lengths.max() > 3:
        return None
    numbers = np.zeros(len(ends), np.uint16)
    for place in range(3):
        there = lengths > place
        digits = text[ends[there] - 1 - place] - ZERO  # what is no digit wraps to 10 or more
        if digits.size and digits.max() > 9:
            return None
        numbers[there] += digits * np.uint16(10**place)
    return numbers.reshape(-1, columns)


def _refuse(file: Path, block: bytes, row: int, header: Sequence[str] | None, highest: Sequence[int]) -> NoReturn:
    """Say which cell of the block, whose first line is `row`, is the first that is wrong."""
    for number, line in enumerate(block.decode("utf-8", "replace").split("\n"), row):
        cells = line.split(",") if line.strip() else []
        if len(cells) != len(highest):
            raise DataError(f"{file}: row {number}: found {len(cells)} values, allowed are {len(highest)}.")
        for column, (cell, bound) in enumerate(zip(cells, highest, strict=True), 1):
            if not (cell.isascii() and cell.isdigit() and len(cell) <= 3 and int(cell) <= bound):
                named = f" ({header[column - 1]})" if header else ""
                raise DataError(
                    f"{file}: row {number}, column {column}{named}: found {cell[:20]!r}, "
                    f"allowed are whole numbers from 0 to {bound}."
                )
    raise AssertionError("a block was refused that has nothing wrong")


def _difference(found: Sequence[str], header: Sequence[str]) -> str:
    if len(found) != len(header):
        return f"found {len(found)} names, allowed are {len(header)}: {header[0]}, {header[1]}, ... {header[-1]}"
    column = next(number for number, (one, other) in enumerate(zip(found, header, strict=True)) if one != other)
    return f"column {column + 1}: found {found[column][:20]!r}, allowed is {header[column]}"
