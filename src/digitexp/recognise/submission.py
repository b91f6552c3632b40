"""A submission to Kaggle's "Digit Recognizer": test.csv in, submission.csv out, and beside it what its score is worth."""

import csv
import ctypes
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.config import change
from digitexp.data import kaggle, leakage, sets, sources
from digitexp.data.digits import Digits
from digitexp.errors import ConfigError, DataError, DigitexpError
from digitexp.recognise import network as networks
from digitexp.settings import KAGGLE, SCRATCH, Config

HEADER = ("ImageId", "Label")


@dataclass(frozen=True)
class Seen:
    """A network of a submission: how many of the images it was trained on or chosen by, None where that is unknown."""

    model: str
    digest: str
    run: str
    trained_on: int | None = None
    chosen_by: int | None = None
    unknown_because: str = ""


@dataclass(frozen=True)
class Submission:
    """A written submission. `leaked` images were seen by one of its networks before; None where that is not known.

    `accuracy` is that of all images and `clean_accuracy` that of those that were not seen, where their labels are known.
    """

    file: str
    sha256: str
    images: int
    networks: list[Seen]
    leaked: int | None
    accuracy: float | None = None
    clean_accuracy: float | None = None
    made: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def submit(config: Config, settings_of: Callable[[str], dict[str, Any]]) -> Submission:
    """Write `submit.file` and its companion, the same name with .json: the mean of the probabilities of all networks.

    `settings_of(address)` are the settings from which a network was trained; it raises a DigitexpError where they are not
    known. Raises ConfigError for data that is no submission's, DataError for its files, TrackingError for a network.
    """
    _give_memory_back()
    images, labels = _scored(config)
    met = [_met(address, images, config, settings_of) for address in config.submit.models]
    sets.forget()  # TensorFlow needs the room
    total = np.zeros((len(images), len(config.data.classes)), np.float64)
    seen = []
    for address, (counts, _) in zip(config.submit.models, met, strict=True):
        network = networks.load(address, config.data.classes, config.tracking.uri)
        if network.classes != tuple(config.data.classes):
            raise ConfigError(f"submit.models: {address} knows the classes {', '.join(network.classes)}; "
                              f"must be those of the data, {', '.join(config.data.classes)}.")  # fmt: skip
        total += network.probabilities(images)
        seen.append(Seen(network.name, network.digest, network.run, **counts))
    read = total.argmax(axis=1)
    target = Path(config.submit.file)
    digest = _write(target, [config.data.classes[label] for label in read], config.data.classes)
    known = [rows for _, rows in met if rows is not None]
    leaked = np.any(known, axis=0) if len(known) == len(met) else None
    right = None if labels is None else read == labels
    made = Submission(
        str(target), digest, len(images), seen, None if leaked is None else int(leaked.sum()),
        None if right is None else float(right.mean()),
        None if right is None or leaked is None or leaked.all() else float(right[~leaked].mean()),
    )  # fmt: skip
    _replace(target.with_suffix(".json"), json.dumps(asdict(made), indent=1) + "\n")
    return made


def _give_memory_back() -> None:
    """Tell glibc to return what is freed at once, which is 130 MB of a gigabyte here; elsewhere nothing is done."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(-1, 4_000_000)  # M_TRIM_THRESHOLD, bytes


def validate(file: Path, count: int, classes: Sequence[str]) -> None:
    """Raise DataError for anything that the competition would refuse: header, ids 1 to `count` in order, labels."""
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.reader(text))
    if not rows or tuple(rows[0]) != HEADER:
        raise DataError(f"{file}: row 1: found {','.join(rows[0]) if rows else 'nothing'}, allowed is {','.join(HEADER)}.")
    for number, row in enumerate(rows[1:], 1):
        if len(row) != 2 or row[0] != str(number) or row[1] not in classes:
            raise DataError(f"{file}: row {number + 1}: found {','.join(row)}, allowed is {number} and one of "
                            f"{', '.join(classes)}.")  # fmt: skip
    if len(rows) != count + 1:
        raise DataError(f"{file}: found {len(rows) - 1:,} images, allowed are {count:,}.")


def _scored(config: Config) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """The images to be read, in the order of their ids, and their labels where they are known."""
    data = config.data
    if data.name not in KAGGLE:
        raise ConfigError(f"submit: data.name={data.name}: must be {' or '.join(KAGGLE)}; "
                          "type data=kaggle data.path=FOLDER.")  # fmt: skip
    if data.name == "kaggle" and data.test_labels is None:
        return kaggle.read_images(Path(data.path or "").expanduser()), None
    scored = sources.read(data, data.name)[1]
    assert scored is not None
    return scored.images, scored.labels


def _met(address: str, images: NDArray[np.uint8], config: Config,
         settings_of: Callable[[str], dict[str, Any]]) -> tuple[dict[str, Any], NDArray[np.bool_] | None]:  # fmt: skip
    """What `Seen` says of it, and which images a network has met before, by the hash of their pixels; None: unknown."""
    try:
        settings = settings_of(address)
        start = settings.get("training.start", SCRATCH)
        if start != SCRATCH:
            return {"unknown_because": f"it began with the weights of {start}, which had seen images of their own"}, None
        trained = {path: value for path, value in settings.items() if path.startswith("data.")}
        known = sets.load(change(config, trained | {"search.objective": None}).data)
    except DigitexpError as error:
        return {"unknown_because": str(error)}, None
    scored = Digits(images, np.zeros(len(images), np.int64), tuple(config.data.classes), np.full(len(images), "scored"))
    none = np.zeros(len(images), bool)
    trained_on, chosen_by = (leakage.leaked(scored, known[name]) if name in known else none for name in ("train", "val"))
    return {"trained_on": int(trained_on.sum()), "chosen_by": int(chosen_by.sum())}, trained_on | chosen_by


def _write(target: Path, labels: Sequence[str], classes: Sequence[str]) -> str:
    """Write a submission that is valid, or none; gives the SHA-256 of its bytes."""
    lines = [",".join(HEADER), *(f"{number},{label}" for number, label in enumerate(labels, 1))]
    content = "\n".join(lines) + "\n"
    _replace(target, content, lambda file: validate(file, len(labels), classes))
    return hashlib.sha256(content.encode()).hexdigest()


def _replace(target: Path, content: str, check: Callable[[Path], None] = lambda file: None) -> None:
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(content, "utf-8", newline="")
        check(unfinished)
        unfinished.replace(target)
    except OSError as error:
        raise DataError(f"submit.file={target}: cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):  # what forbids the file may forbid this too, and is told already
            unfinished.unlink(missing_ok=True)
