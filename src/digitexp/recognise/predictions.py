"""Images in, files out: what was read of each as an annotated picture, JSON and CSV, and why an image was refused.

NAME.marks.png     the image with a box around every mark
NAME.marks.json    all of it; boxes are x, y, width, height in pixels of the image, as a viewer turns it
NAME.marks.csv     a row for each mark, in reading order
NAME.marks/        with `debug`, a picture of every step
"""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from digitexp.errors import DataError
from digitexp.recognise import photographs, sheet
from digitexp.recognise.network import Network
from digitexp.recognise.photographs import WRITTEN
from digitexp.recognise.shapes import Box
from digitexp.recognise.sheet import UNSURE, Mark

SURE, DOUBTFUL = (0, 130, 0), (0, 80, 230)  # BGR: green, orange
COLUMNS = ("line", "place", "digit", "probability", "runner_up", "runner_up_probability", "guess",
           "x", "y", "width", "height")  # fmt: skip


@dataclass(frozen=True)
class Read:
    """An image that was read: its marks, with boxes in its own pixels, its lines, and the annotated picture."""

    path: str
    marks: Sequence[Mark]
    lines: Sequence[str]
    picture: Path


@dataclass(frozen=True)
class Refused:
    """An image that could not be read, and why."""

    path: str
    error: DataError


def predict(
    paths: Sequence[str], network: Network, folder: Path, confidence: float, debug: bool
) -> Iterator[Read | Refused]:
    """Read every image that `paths` name, one after the other, and write what is in it into `folder`."""
    taken: set[str] = set()
    for path, error in photographs.listed(paths):
        try:
            if error:
                raise error
            page, scale = photographs.read(path)
        except DataError as refusal:
            yield Refused(path, refusal)
            continue
        reading = sheet.read(page, network.probabilities, network.classes, confidence, debug)
        marks = [replace(mark, box=Box(*(round(side * scale) for side in mark.box))) for mark in reading.marks]
        target = folder / f"{_name(path, taken)}{WRITTEN}png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(target, _png(annotated(page, reading.marks)))
            _write(target.with_suffix(".json"), _json(path, page, scale, marks, reading.lines, network, confidence).encode())
            _write(target.with_suffix(".csv"), _csv(marks).encode())
            for step, picture in reading.steps.items():
                target.with_suffix("").mkdir(exist_ok=True)
                _write(target.with_suffix("") / f"{step}.png", _png(picture))
        except OSError as failure:
            yield Refused(path, DataError(f"{path}: {target} cannot be written: {failure.strerror}."))
            continue
        yield Read(path, marks, reading.lines, target)


def annotated(page: NDArray[np.uint8], marks: Sequence[Mark]) -> NDArray[np.uint8]:
    """The page with every mark in a box, and above it what was read."""
    picture = page.copy()
    for mark in marks:
        x, y, width, height = mark.box
        colour = DOUBTFUL if mark.digit == UNSURE else SURE
        size = max(0.4, 0.5 * height / 22)  # OpenCV's letters are 22 pixels high at size 1
        thick = max(1, round(size * 1.5))
        cv2.rectangle(picture, (x - 2, y - 2), (x + width + 2, y + height + 2), colour, max(1, thick // 2))
        foot = y - 4 if y > 22 * size + 4 else y + height + round(22 * size) + 6  # below it at the upper edge
        for pen, ink in ((thick + 2, (255, 255, 255)), (thick, colour)):  # with a light edge, to be read on any ground
            cv2.putText(picture, mark.digit, (x, foot), cv2.FONT_HERSHEY_SIMPLEX, size, ink, pen, cv2.LINE_AA)
    return picture


def _name(path: str, taken: set[str]) -> str:
    """A name for what is written of an image, that no other image of this command has."""
    own = "standard_input" if path == photographs.STANDARD_INPUT else Path(path).name
    name, number = own, 1
    while name in taken:
        number += 1
        name = f"{own}-{number}"
    taken.add(name)
    return name


def _json(path: str, page: NDArray[np.uint8], scale: float, marks: Sequence[Mark], lines: Sequence[str], network: Network,
          confidence: float) -> str:  # fmt: skip
    height, width = (round(side * scale) for side in page.shape[:2])
    content = {
        "image": path, "width": width, "height": height, "model": network.name, "model_digest": network.digest,
        "confidence": confidence, "lines": list(lines), "marks": [_as_row(mark, place) for place, mark in _placed(marks)],
    }  # fmt: skip
    return json.dumps(content, indent=1) + "\n"


def _csv(marks: Sequence[Mark]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_as_row(mark, place) for place, mark in _placed(marks))
    return text.getvalue()


def _placed(marks: Sequence[Mark]) -> Iterator[tuple[int, Mark]]:
    """Every mark with its place in its line, from 1."""
    place, line = 0, 0
    for mark in marks:
        place, line = (place + 1 if mark.line == line else 1), mark.line
        yield place, mark


def _as_row(mark: Mark, place: int) -> dict[str, Any]:
    numbers = {"probability": mark.probability, "runner_up_probability": mark.runner_up_probability}
    words = {"digit": mark.digit, "guess": mark.guess, "runner_up": mark.runner_up}
    row = {"line": mark.line, "place": place, **words, **{name: round(value, 4) for name, value in numbers.items()}}
    return {name: (row | mark.box._asdict())[name] for name in COLUMNS}


def _png(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()  # 3 takes twice the time


def _write(target: Path, content: bytes) -> None:
    """Whoever reads `target` meanwhile sees the old file or the new one, never half of one."""
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
