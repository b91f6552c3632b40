"""runs.csv: a recorded sweep as one table, a row a run, from which another machine can write the report again.

It holds the question, who each run is (signature, trial, seed, point), all settings under their dotted names, metrics,
the images and digests of each set, and where it was trained. It does not hold curves, predictions and networks: a run that
enters a store from it is finished, ranked and counted, and cannot be used.

hits.npz beside it says which images each run recognised, and nothing else of them, in a bit each: with it, settings are
compared image by image as in the store. A runs.csv without one is read all the same.

A cell is plain text, or JSON where plain text would not be read back as the same value; an empty one is nothing.
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digitexp.errors import DataError
from digitexp.tracking.records import RunRecord, SweepRecord

HITS = "hits.npz"
_SIGNATURES = "signatures"  # in it: whose the rows of every other array are
_SWEEP = ("sweep", "question", "question_hash", "method", "objective", "repeats", "status", "command")
_RUN = ("signature", "trial", "seed", "point", "started", "failure")
_FACTS = ("host", "cpu", "cores", "memory", "workers", "cluster", "commit", "python", "trained_in", "rule")
_SECTIONS = ("data", "model", "optimizer", "loss", "training", "evaluation", "extensions")
_ALSO = ("used", "images", "digest")  # prefixes of columns


def table(sweep: SweepRecord) -> str:
    """The text of runs.csv."""
    rows = [_row(sweep, run) for run in sweep.runs]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    columns.sort(key=_place)  # stable: within a kind, the order of the runs
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_hits(sweep: SweepRecord, file: Path) -> None:
    """hits.npz, if it is known of any run which images it recognised: for each set packed bits `(runs, bytes)`.

    A row is that of the run of the same place in `signatures`; of a run without that set it is empty, all 0.
    """
    known = {run.signature: run.recognised for run in sweep.runs if run.recognised}
    if not known:
        return
    sets = list(dict.fromkeys(part for hits in known.values() for part in hits))
    packed = {}
    for part in sets:
        rows = [hits.get(part, np.zeros(0, bool)) for hits in known.values()]
        longest = max(map(len, rows))
        packed[part] = np.packbits([np.pad(row, (0, longest - len(row))) for row in rows], axis=1)
    np.savez_compressed(file, **{_SIGNATURES: np.array(list(known)), **packed})  # type: ignore[arg-type]


def finished(file: str | None) -> dict[str, RunRecord]:
    """The finished runs of a file, by signature; nothing of no file. Raises DataError."""
    runs = read(Path(file), at=f"tracking.runs={file}").runs if file else []
    return {run.signature: run for run in runs if not run.failure}


def read(file: Path, name: str | None = None, at: str = "") -> SweepRecord:
    """The sweep that `table` wrote; `at` is how the file was asked for.

    Raises DataError for a file that is missing, is none of these, or is another sweep's.
    """
    at = at or str(file)
    try:
        with file.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{at}: cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    missing = [column for column in (*_SWEEP, *_RUN) if not rows or column not in rows[0]]
    if missing:
        raise DataError(f"{at}: found no {', '.join(missing)}; allowed is a runs.csv that digitexp report wrote.")
    named = sorted({row["sweep"] for row in rows})
    if len(named) > 1 or len({row["question_hash"] for row in rows}) > 1 or (name and named != [name]):
        raise DataError(f"{at}: holds runs of {', '.join(named)}; allowed is one question of {name or 'one sweep'}.")
    first = rows[0]
    try:
        runs = [_run(row) for row in rows]
        repeats = int(first["repeats"])
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{at}: a cell cannot be read: {error}; allowed is a runs.csv that digitexp report wrote."
        ) from error
    return SweepRecord(named[0], first["question"], first["question_hash"], first["method"], first["objective"] or None,
                       repeats, first["status"], first["command"], with_hits(runs, file.with_name(HITS)))  # fmt: skip


def _row(sweep: SweepRecord, run: RunRecord) -> dict[str, str]:
    about = (sweep.name, sweep.text, sweep.question, sweep.method, sweep.objective or "", sweep.repeats, sweep.status,
             sweep.command)  # fmt: skip
    identity = (run.signature, run.trial, run.seed, json.dumps(dict(run.point)), run.started, run.failure or "")
    row = dict(zip((*_SWEEP, *_RUN), map(str, (*about, *identity)), strict=True))
    row |= {path: _encode(run.settings[path]) for path in [*run.point, *run.settings] if path in run.settings}
    for prefix, values in zip(_ALSO, (run.used, run.images, run.digests), strict=True):
        row |= {f"{prefix}.{name}": _encode(value) for name, value in values.items()}
    return row | {name: repr(float(value)) for name, value in run.metrics.items()} | dict(run.facts)


def _run(row: Mapping[str, str]) -> RunRecord:
    filled = {column: cell for column, cell in row.items() if cell}

    def part(prefix: str, value: Callable[[str], Any] = str) -> dict[str, Any]:
        start = f"{prefix}."
        return {column.removeprefix(start): value(cell) for column, cell in filled.items() if column.startswith(start)}

    metrics = {column: float(cell) for column, cell in filled.items() if _kind(column) == "metric"}
    return RunRecord(
        signature=row["signature"],
        trial=int(row["trial"]),
        seed=int(row["seed"]),
        point=json.loads(row["point"]),
        settings={column: _decode(cell) for column, cell in filled.items() if _kind(column) == "setting"},
        started=row["started"],
        facts={column: cell for column, cell in filled.items() if _kind(column) == "fact"},
        used=part("used", _decode),
        metrics=metrics,
        images=part("images", int),
        digests=part("digest"),
        failure=row["failure"] or None,
    )


def with_hits(runs: Sequence[RunRecord], file: Path) -> Sequence[RunRecord]:
    """The same runs, those of which it is not known with what `write_hits` kept of them in `file`. Raises DataError."""
    lacking = {run.signature for run in runs if run.metrics and not run.recognised}
    if not lacking or not file.exists():
        return runs
    try:
        with np.load(file) as stored:
            packed = {name: stored[name] for name in stored.files}
        place = {str(signature): row for row, signature in enumerate(packed.pop(_SIGNATURES))}
        found = lacking & place.keys()
        return [replace(run, hits=_unpacked(run, packed, place[run.signature])) if run.signature in found else run
                for run in runs]  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: cannot be read: {error}; allowed is a {HITS} that digitexp report wrote; without it, "
                        "runs.csv alone is read.") from error  # fmt: skip


def _unpacked(run: RunRecord, packed: Mapping[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """By set; not of a set on which a run of the same signature, trained elsewhere, came to another accuracy."""
    known = {part: np.unpackbits(bits[row], count=run.images[part]).astype(bool)
             for part, bits in packed.items() if f"{part}/accuracy" in run.metrics}  # fmt: skip
    return {part: hits for part, hits in known.items()
            if np.isclose(hits.mean(), run.metrics[f"{part}/accuracy"], atol=1e-6)}  # fmt: skip


def _kind(column: str) -> str:
    first = column.split(".")[0]
    if column in _SWEEP or column in _RUN:
        return "identity"
    if first in _SECTIONS:
        return "setting"
    if first in _ALSO:
        return first
    return "fact" if column in _FACTS or first == "version" else "metric"


def _place(column: str) -> int:
    return ("identity", "setting", "used", "metric", "images", "digest", "fact").index(_kind(column))


def _encode(value: Any) -> str:
    return value if isinstance(value, str) and value and _decode(value) == value else json.dumps(value)


def _decode(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell
