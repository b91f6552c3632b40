"""Drawings in and out of the store: as the pair of csv files that seed 003's window wrote, and as folders of PNGs.

    FOLDER/images.csv, labels.csv    784 values from 0 to 255 a row, only resized; an index into the classes a row
    FOLDER/png/CLASS/000012.png      the canvas as it was drawn, named by its number in the store

What `export` writes, `add` reads; `data.drawn.source=csv` and `=folder` read the same.
"""

import hashlib
import io
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from digitexp.data import drawings
from digitexp.data.digits import SIDE
from digitexp.data.store import Drawing, DrawingStore
from digitexp.errors import DataError
from digitexp.settings import Drawn

IMAGES, LABELS, PNGS = "images.csv", "labels.csv", "png"


def export(store: DrawingStore, folder: Path, classes: Sequence[str]) -> int:
    """Write every drawing with a label into a new folder, whole or not at all, and say how many they are.

    Raises DataError where something is there already, nothing is to be written, or it cannot be.
    """
    folder = folder.expanduser()
    found = _labelled(store, classes)
    try:
        if folder.exists():
            raise DataError(f"draw.export={folder}: is there already; name a new folder.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
            whole = Path(scratch, "whole")
            for name, content in _files(found, classes):
                file = whole / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            whole.rename(folder)
    except OSError as error:
        raise DataError(f"draw.export={folder}: cannot be written: {error.strerror}; name another folder.") from error
    return len(found)


def archive(store: DrawingStore, classes: Sequence[str]) -> bytes:
    """The same files as one zip archive, labels of other days among them: a link cannot say why it gives nothing.

    Raises DataError when there are none.
    """
    classes = [*classes, *_others(store.drawings(labelled=True), classes)]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, raw in _files(_labelled(store, classes), classes):
            packed.writestr(f"drawings/{name}", raw)
    return content.getvalue()


def add(store: DrawingStore, folder: Path, classes: Sequence[str], writer: str, role: str) -> tuple[int, int]:
    """Take the drawings of a folder into a new sitting; give how many were new, and how many were in the store before.

    Its folder `png` is read where there is one, else its csv pair, else its own subfolders of PNGs. Raises DataError.
    """
    from digitexp.data.geometry import has_light_ground

    folder = folder.expanduser()
    pngs = folder / PNGS if (folder / PNGS).is_dir() else folder
    if (folder / IMAGES).is_file() and pngs == folder:
        drawn = Drawn(source="csv", images=str(folder / IMAGES), labels=str(folder / LABELS), holdout=0)
    else:
        drawn = Drawn(source="folder", images=str(pngs), holdout=0)
    images, labels = drawings.rasters(drawn, classes)
    images = [255 - image if has_light_ground(image) else image for image in images]
    names = _names((image, classes[label]) for image, label in zip(images, labels, strict=True))
    # By their ids too: of what was added before, a label may have been corrected since.
    known = {drawing.id for drawing in store.drawings()}
    known |= set(_names((drawing.raster, str(drawing.label)) for drawing in store.drawings(labelled=True)))
    new = [row for row, name in enumerate(names) if name not in known]
    if new:
        sitting = store.begin(writer, role)
        for row in new:
            store.put(sitting, names[row], [], images[row], label=classes[labels[row]])
    return len(new), len(names) - len(new)


def _names(drawn: Iterable[tuple[NDArray[np.uint8], str]]) -> list[str]:
    """A name for each image with its label: of what it is, and how often that was there before."""
    seen: Counter[str] = Counter()
    names = []
    for image, label in drawn:
        content = hashlib.sha256(f"{image.shape} {label} ".encode() + np.ascontiguousarray(image).tobytes()).hexdigest()
        seen[content] += 1
        names.append(f"{content[:24]}-{seen[content]}")
    return names


def _labelled(store: DrawingStore, classes: Sequence[str]) -> list[Drawing]:
    found = store.drawings(labelled=True)
    if not found:
        raise DataError(f"{store.file}: found no drawing with a label; type digitexp draw to make some.")
    if others := _others(found, classes):
        wanted = json.dumps([*classes, *others], ensure_ascii=False, separators=(",", ":"))
        raise DataError(f"{store.file}: found drawings labelled {', '.join(others)}, allowed are labels in data.classes; "
                        f"type 'data.classes={wanted}' to take them along.")  # fmt: skip
    unfit = next((name for name in classes if not name.isalnum()), None)
    if unfit is not None:
        raise DataError(f"data.classes: {unfit!r} cannot name a folder of PNGs; allowed are letters and digits.")
    return found


def _others(found: Sequence[Drawing], classes: Sequence[str]) -> list[str]:
    """The labels that are no class, as of days with other classes."""
    return sorted({str(drawing.label) for drawing in found} - set(classes))


def _files(found: Sequence[Drawing], classes: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    import cv2

    from digitexp.data.geometry import normalise

    rows = [normalise(drawing.raster, "raw", light_ink=True).reshape(SIDE * SIDE) for drawing in found]
    yield IMAGES, "".join(",".join(map(str, row.tolist())) + "\n" for row in rows).encode()
    yield LABELS, "".join(f"{classes.index(str(drawing.label))}\n" for drawing in found).encode()
    for drawing in found:
        yield f"{PNGS}/{drawing.label}/{drawing.number:06}.png", cv2.imencode(".png", drawing.raster)[1].tobytes()
