"""Files in, pixels out: which files are meant, how large they claim to be, what they hold."""

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from digitexp.data.geometry import opaque
from digitexp.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")  # by content; of Pillow's other readers, one runs Ghostscript
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
STANDARD_INPUT = "-"
MOST_PIXELS = 100_000_000  # a header that claims more is refused before anything is decoded
LONGEST = 2000  # pixels of the longer side of what is worked on: on a page of A4, a pen's stroke still has three
WRITTEN = ".marks."  # in the names of what `predict` itself writes


def listed(paths: Sequence[str]) -> Iterator[tuple[str, DataError | None]]:
    """Every image that `paths` name, a folder's in the order of their names; with an error for what is none.

    A folder is read one level deep, without what an earlier `predict` wrote into it.
    """
    for path in paths:
        place = Path(path)
        if path == STANDARD_INPUT or not os.path.isdir(path):  # which knows names of any length
            yield path, None
            continue
        try:
            inside = sorted(file for file in place.iterdir() if file.suffix.lower() in ENDINGS and WRITTEN not in file.name)
        except OSError as error:
            yield path, DataError(f"{path}: the folder cannot be read: {error.strerror}.")
            continue
        if not inside:
            ends = ", ".join(ENDINGS)
            yield path, DataError(f"{path}: found no image in this folder; allowed are files that end in {ends}.")
        yield from ((str(file), None) for file in inside)


def read(path: str) -> tuple[NDArray[np.uint8], float]:
    """The pixels of an image as a camera meant them, BGR uint8 `(h, w, 3)`, and how often each side was made shorter.

    The side that is longer has at most 2,000 pixels. The header is read first: what claims more than 100 million pixels
    is never decoded. What is transparent lies on a ground that its ink can be told from. Raises DataError.
    """
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error
    name = "standard input" if path == STANDARD_INPUT else path
    if not content:
        raise DataError(f"{name}: found an empty file, allowed is an image.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own warning of a size that is allowed here
        try:
            return _decode(content, name)
        except UnidentifiedImageError as error:
            raise DataError(f"{name}: found no image that can be read; allowed are {', '.join(ENDINGS)}.") from error
        except Image.DecompressionBombError as error:
            claimed = re.search(r"\d+", str(error))
            raise DataError(f"{name}: {_too_large(f'{int(claimed.group()) if claimed else 0:,} pixels')}") from error
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, ArithmeticError) as error:
            # what Pillow's readers raise for a file that is cut short or was changed
            reason = str(error).strip().rstrip(".") or type(error).__name__
            raise DataError(f"{name}: the image is broken: {reason}.") from error


def _decode(content: bytes, name: str) -> tuple[NDArray[np.uint8], float]:
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise DataError(f"{name}: {_too_large(f'{width:,} x {height:,} pixels')}")
        if image.format == "TIFF" and (pages := image.n_frames) > 1:
            raise DataError(f"{name}: found a TIFF of {pages} pages, allowed is 1; save each page as a file of its own.")
        # A JPEG's decoder can leave out what would be thrown away, down to the size that is asked for.
        image.draft("RGB", (min(width, LONGEST), min(height, LONGEST)))
        image.load()
        with suppress(Exception):  # a picture may be sound where its EXIF data are not
            ImageOps.exif_transpose(image, in_place=True)  # turns it before it writes these data anew
        pixels = reduced(_opaque(image), LONGEST)
    return pixels, max(width, height) / max(pixels.shape[:2])


def reduced(page: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """The page with a longer side of at most `longest` pixels; the shorter keeps at least one."""
    longer = max(page.shape[:2])
    if longer <= longest:
        return page
    height, width = (max(1, round(side * longest / longer)) for side in page.shape[:2])
    return cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA)


def _too_large(found: str) -> str:
    return f"found {found}, allowed are at most {MOST_PIXELS:,} pixels; make it smaller first."


def _opaque(image: Image.Image) -> NDArray[np.uint8]:
    """BGR without transparency; grey values of 16 bits are brought to 8 by their range."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        largest = 65535.0 if 255 < values.max() <= 65535 else max(float(values.max()), 255.0)
        grey = np.clip(values / largest * 255, 0, 255).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    if not image.has_transparency_data:
        return cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
    return opaque(cv2.cvtColor(np.asarray(image.convert("RGBA")), cv2.COLOR_RGBA2BGRA))
