"""MNIST as a file (mnist.npz, or the four IDX files), from Keras' cache or by download; and who wrote its images.

Importing this module costs NumPy only.
"""

import gzip
import os
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from contextlib import redirect_stdout
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import Digits
from digitexp.errors import DataError

CLASSES = tuple("0123456789")
MNIST_IMAGES = 60_000  # to train on
RAREST = 5_421 / MNIST_IMAGES  # the share of its rarest class, 5

# The arrays of mnist.npz, and the IDX files that hold the same (LeCun, Cortes and Burges, 1998).
IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}

# What Keras accepts as a download: the digest is known before the file is here, and stays the same afterwards.
KERAS_SHA256 = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"


def read_mnist(path: str | None = None) -> tuple[Digits, Digits]:
    """MNIST's training and test set (60,000 and 10,000 images), or any part of them in the same form.

    `path` is a mnist.npz, or a folder with it or with the four IDX files, gzipped or not; None is Keras' cache, else
    its download. Raises DataError for files that are missing, broken or foreign, and when the download fails.
    """
    files = mnist_files(path)
    if not files:
        arrays = _download()
    elif len(files) == 1:
        arrays = _read_npz(files[0], IDX_FILES)
    else:
        arrays = {name: _read_idx(file) for name, file in zip(IDX_FILES, files, strict=True)}
    where = "MNIST from Keras" if not files else str(files[0] if len(files) == 1 else files[0].parent)
    return _digits(arrays, "train", where), _digits(arrays, "test", where)


def read_writers(file: Path, count: int, part: str = "train") -> NDArray[np.int64]:
    """Who wrote each of MNIST's `count` images of "train" or "test": the array writer_train of an .npz. Raises DataError."""
    writers = _read_npz(file, [f"writer_{part}"])[f"writer_{part}"]
    if writers.shape != (count,) or writers.dtype.kind not in "iu":
        raise DataError(
            f"{file}: writer_{part}: found {writers.dtype} of shape {writers.shape}, "
            f"allowed are whole numbers of shape ({count},), one for each image of MNIST's {part}."
        )
    return writers.astype(np.int64)


def mnist_files(path: str | None) -> tuple[Path, ...]:
    """One npz, or the four IDX files in the order of `IDX_FILES`, or nothing."""
    if path is None:
        cached = _keras_cache()
        return (cached,) if cached.is_file() else ()
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"data.path={path}: no such file or folder.")
    if not place.is_dir():
        return (place,)
    if (place / "mnist.npz").is_file():
        return (place / "mnist.npz",)
    found = {name: _idx_file(place, name) for name in IDX_FILES.values()}
    missing = [name for name, file in found.items() if file is None]
    if missing:
        raise DataError(f"data.path={path}: found neither mnist.npz nor {', '.join(missing)} (or .gz) in this folder.")
    return tuple(file for file in found.values() if file is not None)


def _idx_file(folder: Path, name: str) -> Path | None:
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = (folder / (spelling + ending) for ending in ("", ".gz") for spelling in spellings)
    return next((file for file in candidates if file.is_file()), None)


def _keras_cache() -> Path:
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets" / "mnist.npz"


def _read_npz(file: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    try:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{file}: found no .npz archive, or one cut short; allowed is a whole one.")
        with np.load(file, allow_pickle=False) as archive:
            missing = [name for name in names if name not in archive]
            if missing:
                raise DataError(f"{file}: found no {', '.join(missing)}; allowed are the arrays {', '.join(names)}.")
            found = {name: archive[name] for name in names}
    except (OSError, EOFError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error,
            ArithmeticError, SyntaxError, TypeError, tokenize.TokenError) as error:  # the last four: of a broken header
        raise DataError(f"{file}: cannot be read as .npz: {str(error).rstrip('.')}.") from error
    foreign = [name for name, array in found.items() if not isinstance(array, np.ndarray)]  # NumPy gives its bytes
    if foreign:
        raise DataError(f"{file}: {', '.join(foreign)}: found no array, allowed is one as NumPy writes it.")
    return found


def _read_idx(file: Path) -> NDArray[np.uint8]:
    """Bytes 0, 0, 8 (for uint8) and the number of dimensions; each size as four bytes, big end first; the values."""
    dimensions = 3 if "images" in file.name else 1
    try:
        raw = file.read_bytes()
        # By content: a file may have been unpacked without losing its .gz.
        raw = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read: {str(error).rstrip('.')}.") from error
    magic, start = bytes((0, 0, 8, dimensions)), 4 + 4 * dimensions
    if raw[:4] != magic:
        raise DataError(f"{file}: found the magic number {raw[:4].hex() or 'none'}, allowed is {magic.hex()}.")
    shape = [int.from_bytes(raw[at : at + 4], "big") for at in range(4, start, 4)]
    if len(raw) != start + prod(shape):
        raise DataError(f"{file}: found {len(raw)} bytes, its header allows {start + prod(shape)}.")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _download() -> dict[str, NDArray[Any]]:
    try:
        from keras.datasets import mnist

        with redirect_stdout(sys.stderr):  # its progress bar
            (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except Exception as error:  # Keras raises no narrower class when the network fails
        raise DataError(
            f"data=mnist: found no {_keras_cache()}, and Keras' download failed ({error}); put mnist.npz there, or name"
            " it, or a folder with the four IDX files, by data.path=FILE, or use data=digits, which needs no download."
        ) from error
    return dict(zip(IDX_FILES, (x_train, y_train, x_test, y_test), strict=True))


def _digits(arrays: dict[str, NDArray[Any]], part: str, where: str) -> Digits:
    """The arrays of "train" or "test" as Digits."""
    images, labels = np.asarray(arrays[f"x_{part}"]), np.asarray(arrays[f"y_{part}"])
    try:
        if labels.dtype.kind not in "iu":
            raise DataError(f"labels: found {labels.dtype}, allowed are whole numbers.")
        if images.shape[:1] == (0,):
            raise DataError("images: found none, allowed is 1 or more.")
        return Digits(images, labels.astype(np.int64), CLASSES, np.full(labels.shape, "mnist"))
    except DataError as error:
        raise DataError(f"{where}: x_{part}, y_{part}: {error}") from error
