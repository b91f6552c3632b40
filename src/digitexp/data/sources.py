"""Where images come from: scikit-learn's scans, Kaggle's files, and MNIST as a file, from Keras' cache or by download.

Importing this module costs NumPy only: finding and hashing the files of a source needs no library.
"""

import hashlib
import os
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from digitexp.data import drawings, kaggle
from digitexp.data.digits import Digits
from digitexp.data.mnist import CLASSES, KERAS_SHA256, mnist_files, read_mnist
from digitexp.errors import DataError
from digitexp.settings import SOURCES, Data

SCANS = 1797  # images that scikit-learn carries


def source_files(data: Data) -> tuple[Path, ...]:
    """The files that the sources and their drawings are read from; none for MNIST when Keras has yet to download it.

    Raises DataError for an unknown source, a missing path, and a folder without the files.
    """
    files = [file for name in data.sources for file in _bundled_files(data, name)]
    return (*files, *_writer_files(data), *drawings.files(data.drawn))


def stamps(data: Data) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change (ns) and size (bytes) of each source file: the same as long as nobody writes to them.

    A file that is empty or has vanished has none: it is the log of a store of drawings that another process left.
    """
    found = ((file, _status(file)) for file in source_files(data))
    return tuple((str(file.resolve()), status.st_mtime_ns, status.st_size) for file, status in found if status)


def source_digests(data: Data) -> dict[str, str]:
    """SHA-256 (hex) of the bytes of each source file, by its name, and of the drawings. Raises DataError."""
    found: dict[str, str] = {}
    for name, prefix in zip(data.sources, ("", "also "), strict=False):
        files = {file.name: sha256(file) for file in _bundled_files(data, name)} or {"mnist.npz": KERAS_SHA256}
        files = {"scikit-learn digits": files.popitem()[1]} if name == "digits" else files
        found |= {f"{prefix}{file}": digest for file, digest in files.items()}
    for file in _writer_files(data):
        found["writers"] = sha256(file)
    return found | drawings.digests(data.drawn)


def read(data: Data, name: str) -> tuple[Digits, Digits | None]:
    """The source `name` of `data`: its images to train on, and those that it brings to be scored, where it does."""
    path = path_of(data, name)
    if name == "digits":
        return read_digits(), None
    if name == "mnist":
        return read_mnist(path)
    if name == "kaggle_stand_in":
        return kaggle.stand_in(*read_mnist(path))
    folder = _kaggle_files(data, path)[0].parent
    labels = data.test_labels
    return kaggle.read_train(folder), kaggle.read_test(folder, Path(labels).expanduser()) if labels else None


def path_of(data: Data, name: str) -> str | None:
    """Where the source `name` of `data` lies; a stand-in beside MNIST is made from the same file, unless it has its own."""
    own = data.path if name == data.name else data.also.path
    return data.path if own is None and {"mnist", "kaggle_stand_in"} == set(data.sources) else own


def read_digits() -> Digits:
    """The 1,797 scans of 8 x 8 blocks (Alpaydin and Kaynak, 1998; 0 to 16 black pixels a block) in MNIST's geometry."""
    from sklearn.datasets import load_digits

    from digitexp.data.geometry import enlarge, normalise

    scans, labels = load_digits(return_X_y=True)
    shares = np.rint(scans * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    images = np.stack([normalise(enlarge(share)) for share in shares])
    return Digits(images, labels.astype(np.int64), CLASSES, np.full(len(labels), "digits"))


def _bundled_files(data: Data, name: str) -> tuple[Path, ...]:
    path = path_of(data, name)
    if name == "digits":
        return (_scans(),)
    if name in ("mnist", "kaggle_stand_in"):
        return mnist_files(path)
    if name == "kaggle":
        return _kaggle_files(data, path)
    raise DataError(f"data.name={name}: no such source; allowed are {', '.join(SOURCES)}.")


def _kaggle_files(data: Data, path: str | None) -> tuple[Path, ...]:
    """train.csv; where its labels are known, test.csv and their file too."""
    folder = Path(path or "").expanduser()
    files = [folder / kaggle.TRAIN]
    if data.test_labels:
        files += [folder / kaggle.TEST, Path(data.test_labels).expanduser()]
    for file in files:
        if not file.is_file():
            raise DataError(f"{file}: no such file; data=kaggle reads {kaggle.TRAIN} and {kaggle.TEST} of a folder, and the "
                            "labels of the latter from data.test_labels=FILE.")  # fmt: skip
    return tuple(files)


def _writer_files(data: Data) -> tuple[Path, ...]:
    if data.split != "writer":
        return ()
    file = Path(data.writers or "").expanduser()
    if not file.is_file():
        raise DataError(f"data.writers={data.writers}: no such file.")
    return (file,)


def _status(file: Path) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        status = file.stat()
        return status if status.st_size else None
    return None


def _scans() -> Path:
    spec = find_spec("sklearn")  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        raise DataError("data=digits: scikit-learn, which carries the images, is not installed.")
    return Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")


def sha256(file: Path) -> str:
    """SHA-256 (hex) of the bytes of a file. Raises DataError."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}.") from error
