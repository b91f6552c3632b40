"""Drawings that a person labelled, in the order they were drawn: the store, csv files, folders of PNGs, or our own pen's.

Importing this module costs NumPy only: counting and hashing drawings needs no other library.
"""

import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import SIDE, Digits
from digitexp.data.store import DrawingStore, decode
from digitexp.errors import DataError, nearest
from digitexp.settings import Drawn

PEN_SEED = 3
ONE_HAND = "the writer of the drawings"
PNG = (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82")  # how every PNG begins and ends
COLOUR, TRANSPARENT = slice(25, 26), (b"\x04", b"\x06")  # where a PNG says its kind of colours, and those with an alpha


def files(drawn: Drawn) -> tuple[Path, ...]:
    """The files that the drawings are read from: two csv files, PNGs in the order of drawing, or the store's own.

    A store's second one, SQLite's log, comes and goes, or is empty, as processes open and close the store. Raises
    DataError.
    """
    if drawn.source == "store":
        store = _file("store", drawn.store)
        return store, Path(f"{store}-wal")  # what is not yet in the file itself
    if drawn.source == "csv":
        return _file("images", drawn.images), _file("labels", drawn.labels)
    return _pngs(drawn) if drawn.source == "folder" else ()


def digests(drawn: Drawn) -> dict[str, str]:
    """SHA-256 (hex) of what the drawings are read from, by what it is; of a folder, one for all PNGs and their names.

    Of a store, of the drawings with a label that are chosen: their order, roles, labels and rasters.
    Nothing for `synthetic`, which the settings and the code decide. Raises DataError.
    """
    if drawn.source == "csv":
        names = ("drawn images", "drawn labels")
        return {name: hashlib.sha256(_bytes(file)).hexdigest() for name, file in zip(names, files(drawn), strict=True)}
    digest = hashlib.sha256()
    if drawn.source == "store":
        for role, label, png, _ in _rasters(drawn):
            digest.update(f"{role}\0{label}\0{len(png)}\0".encode() + png)
        return {"drawn store": digest.hexdigest()}
    if drawn.source != "folder":
        return {}
    for name, file in sorted((f"{file.parent.name}/{file.name}", file) for file in files(drawn)):
        raw = _bytes(file)
        digest.update(f"{name}\0{len(raw)}\0".encode() + raw)
        if raw[COLOUR] in TRANSPARENT:
            digest.update(b"seen\0")  # not as runs of old saw it, which took what is transparent for its colour
    return {"drawn folder": digest.hexdigest()}


def count(drawn: Drawn, classes: Sequence[str]) -> int:
    """How many drawings there are; csv files are read, and refused, all the same, PNGs are counted."""
    if drawn.source == "synthetic":
        return drawn.count
    if drawn.source == "store":
        return len(_stored(drawn, classes))
    return len(_read_csv(drawn, classes)[0]) if drawn.source == "csv" else len(files(drawn))


def division(drawn: Drawn, classes: Sequence[str], found: int) -> tuple[int, int]:
    """How many of `found` drawings, the first ones, may be trained on, and how many, the last ones, are scored.

    The last `holdout` at most are scored; of a store, only those of sittings to be scored are, whatever `holdout` says, and
    the others are all to train on.
    """
    if drawn.source != "store":
        scored = min(drawn.holdout, found)
        return found - scored, scored
    to_score = sum(role == "score" for role, *_ in _stored(drawn, classes))
    return found - to_score, min(drawn.holdout, to_score)


def writers(drawn: Drawn, classes: Sequence[str]) -> list[str]:
    """Who drew each drawing, in the order of `read`. Only a store knows names; else it is one hand. Raises DataError."""
    if drawn.source == "store":
        return [writer for *_, writer in _stored(drawn, classes)]
    return [ONE_HAND] * count(drawn, classes)


def notes(drawn: Drawn, classes: Sequence[str]) -> list[str]:
    """What to know of the drawings of a store before training with them, a sentence each. Raises DataError."""
    if drawn.source != "store":
        return []
    with DrawingStore(_file("store", drawn.store), create=False) as store:
        recognisers = store.recognisers()
    found = []
    left_out = len(_rasters(drawn)) - len(_stored(drawn, classes))
    if left_out:
        found.append(f"{left_out} drawings are labelled with a class that is not in data.classes and are left out")
    if drawn.recognised_by is None and len(recognisers) > 1:
        told = ", ".join(f"{missed} of {count} by {model}" for model, (count, missed) in recognisers.items())
        found.append(f"the drawings to train on were misread by several networks ({told}): those that the network to be "
                     "improved misread help it most; data.drawn.recognised_by=NAME takes only them")  # fmt: skip
    return found


def read(drawn: Drawn, classes: Sequence[str]) -> Digits:
    """All drawings, light on dark and as `data.drawn.geometry` says, of origin "drawn", or "synthetic" for our own pen's.

    csv     784 values from 0 (background) to 255 (ink) a row, or the reverse, no header; in the other file an index into
            `classes` a row
    store   drawings with a label in `classes`: first those of sittings to train on, then those of sittings to score
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
        images, labels = rasters(drawn, classes)
        origin = "drawn"
    light = True if drawn.source == "store" else None  # the page's own rasters: ink may fill their edges
    fitted = np.stack([normalise(image, drawn.geometry, drawn.stroke_width, light) for image in images])
    return Digits(fitted, labels, tuple(classes), np.full(len(labels), origin))


def rasters(drawn: Drawn, classes: Sequence[str]) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    """Images (h, w) of any sizes, as they were drawn, and labels (n,), of all but our own pen's. Raises DataError."""
    return {"csv": _read_csv, "folder": _read_folder, "store": _read_store}[drawn.source](drawn, classes)


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


def _read_store(drawn: Drawn, classes: Sequence[str]) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64]]:
    index = {name: label for label, name in enumerate(classes)}
    found = _stored(drawn, classes)
    return [decode(png) for _, _, png, _ in found], np.array([index[label] for _, label, *_ in found], np.int64)


def _stored(drawn: Drawn, classes: Sequence[str]) -> list[tuple[str, str, bytes, str]]:
    """Role, label, PNG and writer of a store's drawings whose label is a class. Raises DataError when there are none."""
    found = [row for row in _rasters(drawn) if row[1] in classes]
    if not any(role == "train" for role, *_ in found) and drawn.recognised_by is not None:
        with DrawingStore(_file("store", drawn.store), create=False) as store:
            names = store.recognisers()
        told = f"its drawings to train on were recognised by {', '.join(names)}" if names else "it has none to train on"
        raise DataError(f"data.drawn.recognised_by={drawn.recognised_by}: {drawn.store} has no drawing to train on that "
                        f"this network misread; {told}.{nearest(drawn.recognised_by, names)}")  # fmt: skip
    if not found:
        where = f"data.drawn.store={drawn.store}"
        raise DataError(f"{where}: found no drawing with a label; type digitexp draw to make some.")
    if drawn.holdout and not any(role == "score" for role, *_ in found):
        raise DataError(f"data.drawn.store={drawn.store}: found no drawing to score; draw some in a sitting of "
                        "draw.role=score, or type data.drawn.holdout=0 to score none.")  # fmt: skip
    return found


def _rasters(drawn: Drawn) -> list[tuple[str, str, bytes, str]]:
    with DrawingStore(_file("store", drawn.store), create=False) as store:
        return store.rasters(drawn.recognised_by)


def _png(file: Path) -> NDArray[np.uint8]:
    import cv2

    from digitexp.data.geometry import opaque

    raw = _bytes(file)
    content = np.frombuffer(raw, np.uint8)
    whole = raw.startswith(PNG[0]) and raw.endswith(PNG[1])
    image: Any = None
    pixels: Any = None
    with suppress(cv2.error):  # of a PNG that claims too many pixels
        image = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if whole else None
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if whole else None
    if image is None or pixels is None:
        raise DataError(f"{file}: found no PNG image, or one cut short.")
    if pixels.shape[2:] == (4,) and pixels[..., 3].min() < np.iinfo(pixels.dtype).max:
        # As a grey image it has the colours of what is transparent: often the ink's own.
        eight_bits = cv2.convertScaleAbs(pixels, alpha=255 / np.iinfo(pixels.dtype).max)
        return cv2.cvtColor(opaque(eight_bits, page=1.0), cv2.COLOR_BGR2GRAY)
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
