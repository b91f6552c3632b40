"""Drawings that a person labelled, in the order in which they were drawn: csv files, folders of PNGs, or our own pen's.

Importing this module costs NumPy only: counting and hashing drawings needs no other library.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE, Digits
from digitexp.errors import DataError
from digitexp.settings import Drawn

PEN_SEED = 3
PNG = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")  # how every PNG begins and ends


def files(drawn: Drawn) -> tuple[Path, ...]:
    """The files that the drawings are read from: two csv files, or PNGs in the order of drawing. Raises DataError."""
    if drawn.source == "csv":
        return _file("images", drawn.images), _file("labels", drawn.labels)
    return _pngs(drawn) if drawn.source == "folder" else ()


def digests(drawn: Drawn) -> dict[str, str]:
    """SHA-256 (hex) of what the drawings are read from, by what it is; of a folder, one for all PNGs and their names.

    Nothing for `synthetic`, which the settings and the code decide. Raises DataError.
    """
    if drawn.source == "csv":
        names = ("drawn images", "drawn labels")
        return {name: hashlib.sha256(_bytes(file)).hexdigest() for name, file in zip(names, files(drawn), strict=True)}
    if drawn.source != "folder":
        return {}
    digest = hashlib.sha256()
    for name, file in sorted((f"{file.parent.name}/{file.name}", file) for file in files(drawn)):
        raw = _bytes(file)
        digest.update(f"{name}\0{len(raw)}\0".encode() + raw)
    return {"drawn folder": digest.hexdigest()}


def count(drawn: Drawn, classes: Sequence[str]) -> int:
    """How many drawings there are; csv files are read, and refused, all the same, PNGs are counted."""
    if drawn.source == "synthetic":
        return drawn.count
    return len(_read_csv(drawn, classes)[0]) if drawn.source == "csv" else len(files(drawn))


def read(drawn: Drawn, classes: Sequence[str]) -> Digits:
    """All drawings, light on dark and as `data.drawn.geometry` says, of origin "drawn", or "synthetic" for our own pen's.

    csv     784 values from 0 (background) to 255 (ink) a row, or the reverse, no header; in the other file an index into
            `classes` a row
    folder  PNGs of any size, light on dark or dark on light, each in a subfolder named as its class; drawn in the order of
            their file names, 2.png before 10.png, over all subfolders; other files are passed over

    Raises DataError, naming file, row and column, for anything else.
    """
    from digitexp.data.geometry import normalise

    if drawn.source == "synthetic":
        from digitexp.data.pen import draw

        pen = draw(drawn.count, PEN_SEED)
        images, labels, origin = list(pen.images), pen.labels, "synthetic"
    else:
        images, labels = _read_csv(drawn, classes) if drawn.source == "csv" else _read_folder(drawn, classes)
        origin = "drawn"
    fitted = np.stack([normalise(image, drawn.geometry, drawn.stroke_width) for image in images])
    return Digits(fitted, labels, tuple(classes), np.full(len(labels), origin))


def _read_csv(drawn: Drawn, classes: Sequence[str]) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    image_file, label_file = files(drawn)
    pixels = _table(image_file, SIDE * SIDE, 255)
    labels = _table(label_file, 1, len(classes) - 1)[:, 0].astype(np.int64)
    if len(pixels) != len(labels):
        raise DataError(
            f"{image_file}: found {len(pixels)} images, but {len(labels)} labels in {label_file}; allowed is one for each."
        )
    if pixels.max() <= 1:
        raise DataError(f"{image_file}: found no value above 1, allowed are 0 (background) to 255 (ink); multiply by 255.")
    return list(pixels.astype(np.uint8).reshape(-1, SIDE, SIDE)), labels


def _table(file: Path, columns: int, highest: int) -> NDArray[np.float64]:
    """Whole numbers from 0 to `highest` as `(n, columns)`; they may be written as 12.0."""
    try:
        lines = _bytes(file).decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: found no text, allowed are numbers, separated by commas.") from error
    if not lines:
        raise DataError(f"{file}: found no row, allowed is 1 or more.")
    for row, line in enumerate(lines, 1):
        values = line.count(",") + 1 if line.strip() else 0
        if values != columns:
            raise DataError(f"{file}: row {row}, counted from 1: found {values} values, allowed are {columns}.")
    try:
        table: NDArray[np.float64] = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)
    except ValueError:
        table = np.array([[_number(cell) for cell in line.split(",")] for line in lines])
    wrong = np.argwhere(~((table >= 0) & (table <= highest) & (table == np.floor(table))))
    if len(wrong):
        row, column = (int(place) for place in wrong[0])
        found = lines[row].split(",")[column].strip()[:20]
        raise DataError(
            f"{file}: row {row + 1}, column {column + 1}, counted from 1: found {found!r}, "
            f"allowed are whole numbers from 0 to {highest}{', without a header' if row == 0 else ''}."
        )
    return table


def _number(cell: str) -> float:
    """NaN for what is no number."""
    return float(cell) if re.fullmatch(r"\s*[-+]?\d+(\.\d*)?\s*", cell) else np.nan


def _read_folder(drawn: Drawn, classes: Sequence[str]) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    index = {name: label for label, name in enumerate(classes)}
    found = files(drawn)
    for file in found:
        if file.parent.name not in index:
            raise DataError(f"{file.parent}: is no class; allowed are subfolders named {', '.join(classes)}.")
    return [_png(file) for file in found], np.array([index[file.parent.name] for file in found], np.int64)


def _png(file: Path) -> NDArray[np.uint8]:
    import cv2

    raw = _bytes(file)
    whole = raw.startswith(PNG[0]) and raw.endswith(PNG[1])
    image: Any = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_GRAYSCALE) if whole else None
    if image is None:
        raise DataError(f"{file}: found no PNG image, or one cut short.")
    return image


def _pngs(drawn: Drawn) -> tuple[Path, ...]:
    folder = Path(drawn.images or "").expanduser()
    if not folder.is_dir():
        raise DataError(f"data.drawn.images={drawn.images}: no such folder.")
    found = sorted((file for file in folder.glob("*/*") if file.suffix.lower() == ".png"), key=_natural)
    if not found:
        raise DataError(f"data.drawn.images={drawn.images}: found no PNG; allowed is one subfolder of PNGs for each class.")
    return tuple(found)


def _natural(file: Path) -> tuple[list[tuple[bool, int, str]], str]:
    """2.png before 10.png; the subfolder decides between equal names."""
    parts = re.findall(r"\d+|\D+", file.name)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts], file.parent.name


def _file(setting: str, path: str | None) -> Path:
    file = Path(path or "").expanduser()
    if not file.is_file():
        raise DataError(f"data.drawn.{setting}={path}: no such file.")
    return file


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from error
