"""The store of drawings: everything that a person drew, right or wrong, in one SQLite file, as soon as it is drawn.

A sitting is one person's, and is either trained on or scored. A drawing keeps its strokes, the raster that was recognised,
what each network said of it, and its label once there is one. What a call has written survives the end of the process and
of the machine: one transaction a call, written through to the disk.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from digitexp.errors import DataError

ROLES = ("train", "score")
VERSION = 1  # of the tables
Strokes = Sequence[Sequence[Sequence[float]]]  # strokes of points x, y (canvas units), t (milliseconds)

_TABLES = """
CREATE TABLE sittings (
    id TEXT PRIMARY KEY, started TEXT NOT NULL, writer TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('train', 'score')),
    prompted INTEGER NOT NULL, blind INTEGER NOT NULL) STRICT;
CREATE TABLE drawings (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, sitting TEXT NOT NULL REFERENCES sittings (id),
    time TEXT NOT NULL, strokes TEXT NOT NULL, raster BLOB NOT NULL, asked TEXT, label TEXT) STRICT;
CREATE TABLE predictions (
    drawing INTEGER NOT NULL REFERENCES drawings (number), model TEXT NOT NULL, digest TEXT NOT NULL, class TEXT NOT NULL,
    classes TEXT NOT NULL, probabilities TEXT NOT NULL, PRIMARY KEY (drawing, digest)) STRICT;
CREATE INDEX of_sitting ON drawings (sitting);
"""


@dataclass(frozen=True)
class Sitting:
    """One person's drawings at one time; `role` is "train" or "score"."""

    id: str
    started: str
    writer: str
    role: str
    prompted: bool = False
    blind: bool = False


@dataclass(frozen=True)
class Prediction:
    """What one network said of a drawing: a probability for each of its classes."""

    model: str
    digest: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def read_as(self) -> str:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]


@dataclass(frozen=True)
class Drawing:
    """A stored drawing, number `number` of all; `label` is None until it has one, `asked` where none was asked for."""

    number: int
    id: str
    sitting: Sitting
    time: str
    strokes: Strokes
    raster: NDArray[np.uint8]
    asked: str | None
    label: str | None
    predictions: tuple[Prediction, ...]


class DrawingStore:
    """An open store, for any number of threads and processes. Raises DataError for a file that is none."""

    def __init__(self, file: Path, create: bool = True) -> None:
        self.file = file.expanduser()
        if not create and not self.file.is_file():
            raise DataError(f"data.drawn.store={file}: no such file; type digitexp draw to draw some.")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.file, timeout=30, check_same_thread=False, isolation_level=None)
            self._lock = threading.Lock()
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"data.drawn.store={file}: cannot be opened as a store of drawings: {error}.") from error

    def __enter__(self) -> "DrawingStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was written stays."""
        self._database.close()

    def copy_to(self, file: Path) -> None:
        """Write what the store holds now into a new file, which is a store as well. Raises DataError."""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, closing(sqlite3.connect(file)) as copy:
                self._database.backup(copy)
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"{file}: the store of drawings cannot be copied here: {error}.") from error

    def begin(self, writer: str, role: str, *, prompted: bool = False, blind: bool = False, id: str = "") -> Sitting:
        """A new sitting; with the id of one that exists, that one."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        sitting = Sitting(id or uuid4().hex, now, writer, role, prompted, blind)
        with self._transaction() as database:
            row = (sitting.id, sitting.started, writer, role, prompted, blind)
            database.execute("INSERT INTO sittings VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", row)
        return self.sitting(sitting.id)

    def sitting(self, id: str) -> Sitting:
        """A sitting by its id. Raises DataError."""
        found = next((sitting for sitting in self.sittings() if sitting.id == id), None)
        if found is None:
            raise DataError(f"sitting {id[:40]}: there is none of that name.")
        return found

    def sittings(self) -> list[Sitting]:
        """Every sitting, in the order in which they began."""
        with self._transaction() as database:
            return _sittings(database)

    def put(
        self, sitting: Sitting, id: str, strokes: Strokes, raster: NDArray[np.uint8], predictions: Sequence[Prediction] = (),
        asked: str | None = None, label: str | None = None,
    ) -> None:  # fmt: skip
        """Store a drawing; one of that id, while it has no label, is replaced. Raises DataError when it cannot be."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._transaction() as database:
            known = database.execute("SELECT number, sitting, label FROM drawings WHERE id = ?", (id,)).fetchone()
            if known and (known[1] != sitting.id or known[2] is not None):
                raise DataError(f"drawing {id[:40]}: is stored already, with its label or in another sitting.")
            content = (now, json.dumps(strokes, separators=(",", ":")), _encode(raster), asked, label)
            if known:
                number = known[0]
                database.execute(
                    "UPDATE drawings SET time = ?, strokes = ?, raster = ?, asked = ?, label = ? WHERE number = ?",
                    (*content, number),
                )
                database.execute("DELETE FROM predictions WHERE drawing = ?", (number,))
            else:
                number = database.execute(
                    "INSERT INTO drawings (id, sitting, time, strokes, raster, asked, label) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (id, sitting.id, *content),
                ).lastrowid
            database.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?)", [
                (number, said.model, said.digest, said.read_as, json.dumps(said.classes), json.dumps(said.probabilities))
                for said in predictions
            ])  # fmt: skip

    def label(self, sitting: Sitting, id: str, label: str | None) -> None:
        """Say what a drawing is; None takes its label back. Raises DataError for a drawing that is not of that sitting."""
        with self._transaction() as database:
            changed = database.execute(
                "UPDATE drawings SET label = ? WHERE id = ? AND sitting = ?", (label, id, sitting.id)
            ).rowcount
        if not changed:
            raise DataError(f"drawing {id[:40]}: there is none of that name in this sitting.")

    def drawings(self, sitting: Sitting | None = None, labelled: bool = False) -> list[Drawing]:
        """Every drawing, of one sitting or of all, in the order of drawing; only those with a label where asked for."""
        where = "(? IS NULL OR sitting = ?)" + (" AND label IS NOT NULL" if labelled else "")
        name = sitting.id if sitting else None
        with self._transaction() as database:
            sittings = {known.id: known for known in _sittings(database)}
            rows = database.execute(
                "SELECT number, id, sitting, time, strokes, raster, asked, label FROM drawings "
                f"WHERE {where} ORDER BY number",
                (name, name),
            ).fetchall()
            said = database.execute(
                f"SELECT drawing, model, digest, classes, probabilities FROM predictions WHERE drawing IN "
                f"(SELECT number FROM drawings WHERE {where}) ORDER BY drawing, predictions.rowid",
                (name, name),
            ).fetchall()
        predictions: dict[int, list[Prediction]] = {}
        for number, model, digest, classes, probabilities in said:
            one = Prediction(model, digest, tuple(json.loads(classes)), tuple(json.loads(probabilities)))
            predictions.setdefault(number, []).append(one)
        return [
            Drawing(number, id, sittings[of], time, json.loads(strokes), decode(raster), asked, label,
                    tuple(predictions.get(number, ())))
            for number, id, of, time, strokes, raster, asked, label in rows
        ]  # fmt: skip

    def labelled(self, sitting: Sitting) -> int:
        """How many drawings of a sitting have a label."""
        with self._transaction() as database:
            wanted = "SELECT COUNT(*) FROM drawings WHERE sitting = ? AND label IS NOT NULL"
            return int(database.execute(wanted, (sitting.id,)).fetchone()[0])

    def counts(self) -> dict[str, int]:
        """How many drawings have a label, by role."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT role, COUNT(*) FROM drawings JOIN sittings ON sittings.id = sitting "
                "WHERE label IS NOT NULL GROUP BY role"
            ).fetchall()
        return dict.fromkeys(ROLES, 0) | dict(rows)

    def answers(self, sitting: Sitting | None = None) -> list[tuple[Any, ...]]:
        """Of every drawing with a label: number, sitting, writer, label, model, digest, and the class that model read."""
        name = sitting.id if sitting else None
        with self._transaction() as database:
            return database.execute(
                "SELECT drawings.number, sittings.id, sittings.writer, label, model, digest, class FROM drawings "
                "JOIN sittings ON sittings.id = sitting JOIN predictions ON drawing = drawings.number "
                "WHERE label IS NOT NULL AND (? IS NULL OR sitting = ?) ORDER BY drawings.number, predictions.rowid",
                (name, name),
            ).fetchall()

    def rasters(self, recognised_by: str | None = None) -> list[tuple[str, str, bytes, str]]:
        """Role, label, PNG and writer of every drawing with a label: first those to train on, then those to score, as drawn.

        With `recognised_by`, a network's name or digest, of those to train on only the ones that it misread.
        """
        with self._transaction() as database:
            return database.execute(
                "SELECT role, label, raster, writer FROM drawings JOIN sittings ON sittings.id = sitting "
                "WHERE label IS NOT NULL AND (? IS NULL OR role = 'score' OR EXISTS (SELECT * FROM predictions "
                "WHERE drawing = number AND class != label AND ? IN (model, digest))) ORDER BY role = 'score', number",
                (recognised_by, recognised_by),
            ).fetchall()

    def recognisers(self) -> dict[str, tuple[int, int]]:
        """Of every network that has recognised drawings to train on: how many with a label, and how many it misread."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT model, COUNT(*), SUM(class != label) FROM predictions JOIN drawings ON number = drawing "
                "JOIN sittings ON sittings.id = sitting WHERE label IS NOT NULL AND role = 'train' GROUP BY model ORDER BY 1"
            ).fetchall()
        return {model: (count, missed) for model, count, missed in rows}

    def _prepare(self) -> None:
        tables = self._tables()  # first of all: a file that is refused is not changed
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")  # a commit is on the disk before it is acknowledged
        if not tables:
            with self._transaction() as database:
                if not self._tables():  # another process may have been faster
                    for statement in _TABLES.strip().split(";\n"):
                        database.execute(statement)
                    database.execute(f"PRAGMA user_version = {VERSION}")

    def _tables(self) -> set[str]:
        """The names of the tables of this store, none while it is new. Raises DataError for those of anything else."""
        read = self._database.execute  # both in one statement, since another process may be writing them
        rows = read("SELECT user_version, name FROM pragma_user_version LEFT JOIN sqlite_schema").fetchall()
        version, names = rows[0][0], {name for _, name in rows if name}
        if names and "drawings" not in names:
            raise DataError(f"data.drawn.store={self.file}: found another program's database; name another file.")
        if version not in (0, VERSION):
            raise DataError(f"data.drawn.store={self.file}: found tables of version {version}, allowed is {VERSION}; "
                            "it was written by another digitexp.")  # fmt: skip
        return names

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done in it, or nothing; a lock, since a connection has one transaction at a time.

        Raises DataError for a disk that is full and a file that is damaged.
        """
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise DataError(f"data.drawn.store={self.file}: cannot be read or written: {error}.") from error
            finally:
                if self._database.in_transaction:  # SQLite itself takes back what a full disk cut short
                    self._database.execute("ROLLBACK")


def _sittings(database: sqlite3.Connection) -> list[Sitting]:
    rows = database.execute("SELECT * FROM sittings ORDER BY started, rowid").fetchall()
    return [
        Sitting(id, started, writer, role, bool(prompted), bool(blind))
        for id, started, writer, role, prompted, blind in rows
    ]


def decode(png: bytes) -> NDArray[np.uint8]:
    """A stored raster as grey values (h, w)."""
    import cv2

    image: Any = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    return image


def _encode(raster: NDArray[np.uint8]) -> bytes:
    import cv2

    done, png = cv2.imencode(".png", raster)
    if not done:
        raise DataError(f"raster: found {raster.dtype} of shape {raster.shape}, allowed is uint8 of shape (h, w).")
    return bytes(png)
