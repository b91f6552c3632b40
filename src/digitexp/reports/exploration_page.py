"""An exploration as files: the page, its figures, and tables of the suspicious labels and of the copies."""

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from digitexp import figures
from digitexp.errors import DataError
from digitexp.evaluation.suspicion import Slip
from digitexp.reports.exploration import Exploration, Part, Place
from digitexp.reports.exploration_pictures import draw, lines
from digitexp.reports.rendering import inline, render

PAGE, SUSPICIOUS, COPIES = "index.html", "suspicious.csv", "copies.csv"
OURS = ("slip-*.png", "suspicious-*.png", "samples-*.png", "classes.png", "means.png", "geometry.png", "writers.png",
        "copies.png", SUSPICIOUS, COPIES)  # fmt: skip
DPI = 150


def write(exploration: Exploration, folder: Path, command: str) -> list[Path]:
    """Write page, figures and tables into `folder`, and remove what an earlier look left there and this one has not.

    `command` is what was typed. Nothing in the files depends on the time or place of writing. Raises DataError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".unfinished-") as name:
            scratch = Path(name)
            captions = {}
            for file, (figure, caption) in draw(exploration).items():
                figures.save(figure, scratch / file, DPI)
                captions[file] = caption
            written = [PAGE, *captions]
            for file, header, rows in _tables(exploration):
                _write_csv(scratch / file, header, rows)
                written.append(file)
            shown = {file: inline(scratch / file) for file in captions}
            facts = content(exploration, command) | {"figures": shown, "captions": captions}
            (scratch / PAGE).write_text(render("exploration.html", facts), "utf-8")
            for file in written:
                (scratch / file).replace(folder / file)
        for stale in {found for pattern in OURS for found in folder.glob(pattern)} - {folder / file for file in written}:
            stale.unlink()
    except OSError as error:
        raise DataError(f"{folder}: cannot be written: {error.strerror}; type explore.folder=FOLDER for another.") from error
    return [folder / file for file in written]


def summary(exploration: Exploration) -> str:
    """What stands out, in a few sentences."""
    said = [_labels(exploration), *(f"{_slip(part, slip)}." for part, slip in exploration.slips)]
    for part, first, last in exploration.runs:
        said.append(f"In {part.name}, every label from row {part.rows[first]} to {part.rows[last]} is suspicious.")
    copies, against = exploration.copies, exploration.contradicting
    if copies:
        extra = sum(len(group) for group in copies) - len(copies)
        images = f"{extra:,} image{' is a copy' if extra == 1 else 's are copies'}"
        other = f"{len(against):,} of the {len(copies):,} that were copied" if len(copies) > 1 else "it"
        verb = "has" if len(against) == 1 or len(copies) == 1 else "have"
        end = f"; {other} {verb} more than one label" if against else f", {'all ' if extra > 1 else ''}with the same label"
        said.append(f"{images} of another{end}.")
    blank = sum(_blank(part) for part in exploration.parts)
    if blank:
        said.append(f"{blank:,} image{' is' if blank == 1 else 's are'} blank.")
    missing = [f"{name} in {part.name}" for part in exploration.parts for name, n in _counts(part) if n == 0]
    if missing:
        said.append(f"There is no {', no '.join(missing)}.")
    return " ".join(said)


def content(exploration: Exploration, command: str) -> dict[str, Any]:
    """All that the page says, as texts and tables."""
    parts, suspicion = exploration.parts, exploration.suspicion
    drawings = [part for part in parts if part.name.endswith("drawn")]
    drew = sum(len(part.digits) for part in drawings)
    more = f" and {drew:,} {drawings[0].name} images" if drawings else ""
    limited = exploration.data.limit is not None and exploration.data.limit < exploration.whole["train"]
    return {
        "title": f"The data: {exploration.data.name}{' with drawings' if drawings else ''}",
        "about": f"{exploration.count - drew:,} images of {exploration.data.name}{more}",
        "limited": f"A stratified part: {exploration.data.limit:,} of the {exploration.whole['train']:,} images to train on "
                   "(data.limit)." if limited else "",
        "summary": summary(exploration),
        "looked": suspicion is not None,
        "parts": [part.name for part in parts],
        "suspicious": [_suspicious_row(exploration, part) for part in parts] if suspicion else [],
        "slips": [_slip_row(part, slip) for part, slip in exploration.slips],
        "runs": [f"{part.name}, rows {part.rows[first]} to {part.rows[last]}" for part, first, last in exploration.runs],
        "classes": [[name, *(f"{_counts(part)[label][1]:,}" for part in parts)]
                    for label, name in enumerate(exploration.classes)],
        "totals": [f"{len(part.digits):,}" for part in parts],
        "pixels": [_pixel_row(part) for part in parts],
        "geometry": [_geometry_row(name, measures) for name, measures in lines(exploration).items()],
        "copies": _copy_rows(exploration),
        "writers": _writer_rows(exploration),
        "shared_writers": _shared_writers(exploration),
        "command": command,
    }  # fmt: skip


def _labels(exploration: Exploration) -> str:
    if exploration.suspicion is None:
        return "The labels were not looked at."
    found = {part.name: len(exploration.suspicious(part)) for part in exploration.parts}
    total = sum(found.values())
    if not total:
        return f"None of the {exploration.count:,} labels is suspicious."
    where = ", ".join(f"{count:,} in {name}" for name, count in found.items() if count)
    return f"{total:,} of the {exploration.count:,} labels {'is' if total == 1 else 'are'} suspicious: {where}."


def _slip(part: Part, slip: Slip) -> str:
    rows = f"row {part.rows[slip.first]} to row {part.rows[slip.last]}"
    return f"In {part.name}, labels and images have slipped against each other from {rows}: {_fits(slip)}"


def _fits(slip: Slip) -> str:
    return f"each image fits the label {_some(abs(slip.shift), 'row')} {'below' if slip.shift > 0 else 'above'}"


def _slip_row(part: Part, slip: Slip) -> dict[str, str]:
    labels = part.digits.labels
    rows = np.arange(slip.first, slip.last + 1)
    inside = rows[(rows + slip.shift >= 0) & (rows + slip.shift < len(labels))]
    wrong = int((labels[inside] != labels[inside + slip.shift]).sum()) + len(rows) - len(inside)
    nouns = ("label", "image") if slip.shift > 0 else ("image", "label")
    surplus, lacking = (_some(abs(slip.shift), noun) for noun in nouns)
    return {
        "part": part.name,
        "rows": f"{part.rows[slip.first]} to {part.rows[slip.last]}",
        "shift": f"{slip.shift:+d}",
        "wrong": f"{wrong} of {len(rows)}",
        "cause": f"{_fits(slip)}: {surplus} too many, or {lacking} missing, before row {part.rows[slip.first]}",
    }  # fmt: skip


def _some(count: int, noun: str) -> str:
    return f"one {noun}" if count == 1 else f"{count} {noun}s"


def _suspicious_row(exploration: Exploration, part: Part) -> list[str]:
    count, images = len(exploration.suspicious(part)), len(part.digits)
    read = exploration.suspicion.probabilities[part.here].argmax(axis=1) if exploration.suspicion else part.digits.labels
    otherwise = int((read != part.digits.labels).sum())
    return [part.name, f"{images:,}", f"{otherwise:,}", f"{count:,} ({100 * count / images:.2f} %)"]


def _pixel_row(part: Part) -> list[str]:
    grey = part.digits.images.astype(np.float32) / 255
    measures = part.measures
    return [
        part.name,
        f"{100 * measures.ink.mean():.1f} %",
        f"{grey.mean(dtype=np.float64):.4f}",
        f"{grey.std(dtype=np.float64):.4f}",
        f"{measures.border.sum():,}",
        f"{_blank(part):,}",
    ]


def _geometry_row(name: str, measures: Any) -> list[str]:
    known = [values[np.isfinite(values)] for values in (
        measures.height, measures.width, measures.row, measures.column, measures.stroke
    )]  # fmt: skip
    if not len(known[0]):
        return [name, *[""] * 4]
    height, width, row, column, stroke = (float(np.median(values)) for values in known)
    return [name, f"{height:.0f} x {width:.0f}", f"{row:.1f}", f"{column:.1f}", f"{stroke:.2f}"]


def _copy_rows(exploration: Exploration) -> list[list[str]]:
    """For each pair of parts, the images of the second that are in the first too; within a part, all but the first."""
    found = []
    parts, groups = exploration.parts, [[place.part.name for place in group] for group in exploration.copies]
    against = [[place.part.name for place in group] for group in exploration.contradicting]
    for number, part in enumerate(parts):
        for other in parts[number:]:
            def count(of: Sequence[Sequence[str]], one: str = part.name, two: str = other.name) -> int:
                if one == two:
                    return sum(max(group.count(one) - 1, 0) for group in of)
                return sum(group.count(two) for group in of if one in group)

            if count(groups):
                name = f"within {part.name}" if other is part else f"{other.name}, also in {part.name}"
                found.append([name, f"{count(groups):,}", f"{count(against):,}"])
    return found


def _writer_rows(exploration: Exploration) -> list[list[str]]:
    rows = []
    for part in exploration.parts:
        if part.digits.writers is not None:
            counts = np.unique(part.digits.writers, return_counts=True)[1]
            each = f"{counts.min()} to {counts.max()}"
            rows.append([part.name, f"{len(counts):,}", f"{np.median(counts):.0f}", each])
    return rows


def _shared_writers(exploration: Exploration) -> str:
    known = [part for part in exploration.parts if part.digits.writers is not None]
    said = []
    for number, part in enumerate(known):
        for other in known[number + 1 :]:
            assert part.digits.writers is not None
            assert other.digits.writers is not None
            shared = len(np.intersect1d(part.digits.writers, other.digits.writers))
            said.append(f"{part.name} and {other.name} share {shared:,} writers" if shared else
                        f"no writer of {other.name} is in {part.name}")  # fmt: skip
    return f"{'; '.join(said).capitalize()}." if said else ""


def _counts(part: Part) -> list[tuple[str, int]]:
    counts = np.bincount(part.digits.labels, minlength=len(part.digits.classes)).tolist()
    return list(zip(part.digits.classes, counts, strict=True))


def _blank(part: Part) -> int:
    return int(np.isnan(part.measures.row).sum())


def _tables(exploration: Exploration) -> list[tuple[str, list[str], Iterable[Sequence[object]]]]:
    found: list[tuple[str, list[str], Iterable[Sequence[object]]]] = []
    suspicion = exploration.suspicion
    if suspicion is not None:
        header = ["set", "row", "label", "read_as", "probability", "probability_of_label"]
        rows = []
        for index in suspicion.rows.tolist():
            place, read = exploration.place(index), int(suspicion.confident[index])
            sure, own = suspicion.probabilities[index, [read, suspicion.labels[index]]]
            rows.append([*_who(place), exploration.classes[read], f"{sure:.4f}", f"{own:.4f}"])
        found.append((SUSPICIOUS, header, rows))
    if exploration.copies:
        copies = ([number, *_who(place)] for number, group in enumerate(exploration.copies, 1) for place in group)
        found.append((COPIES, ["group", "set", "row", "label"], copies))
    return found


def _who(place: Place) -> list[object]:
    return [place.part.name, place.row, place.label]


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)


def measured(exploration: Exploration) -> dict[str, float]:
    """The numbers that are recorded."""
    numbers = {f"{part.name}/images".replace(" ", "_"): float(len(part.digits)) for part in exploration.parts}
    numbers |= {"copies": float(sum(len(group) - 1 for group in exploration.copies)),
                "contradicting_copies": float(len(exploration.contradicting)),
                "blank": float(sum(_blank(part) for part in exploration.parts))}  # fmt: skip
    if exploration.suspicion is None:
        return numbers
    slipped = math.fsum(slip.last - slip.first + 1 for _, slip in exploration.slips)
    return numbers | {"suspicious": float(len(exploration.suspicion.rows)), "slipped_rows": slipped}
