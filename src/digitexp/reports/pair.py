"""Two runs image by image: which of the same images only one of them read right, and what that supports."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp import figures
from digitexp.evaluation import compare
from digitexp.evaluation.compare import Interval
from digitexp.evidence.report import SETS, p_text, value
from digitexp.reports.rendering import PAGE, TEXT, inline, render
from digitexp.tracking.records import RunRecord

IMAGES, FOLDER = "images.csv", "compare"
SHOWN = 20  # images of a kind
DPI = 150


@dataclass(frozen=True)
class Part:
    """Two runs on one set: how many images both, only a, only b, and neither read right; accuracy a minus b."""

    name: str
    counts: tuple[int, int, int, int]
    apart: float
    interval: Interval
    p: float


def parts(a: RunRecord, b: RunRecord) -> list[Part]:
    """The sets that both runs were scored on, with the very same images."""
    return [_part(name, a, b) for name in _shared(a, b) if name in a.recognised and name in b.recognised]


def answer(a: RunRecord, b: RunRecord) -> str:
    """What the comparison says, set by set."""
    found = parts(a, b)
    if not found and _shared(a, b):
        return "Which images the two runs recognised is not known, so they cannot be compared image by image."
    if not found:
        return "The two runs were not scored on the same images, so they cannot be compared image by image."
    return " ".join(_sentence(part) for part in found)


def write(a: RunRecord, b: RunRecord, pictures: Mapping[str, NDArray[np.uint8]], note: str, folder: Path) -> list[Path]:
    """Write the page, Markdown, table and figures; `pictures` are the images by set, where they are at hand."""
    folder.mkdir(parents=True, exist_ok=True)
    found = parts(a, b)
    with TemporaryDirectory(dir=folder, prefix=".unfinished-") as name:
        scratch = Path(name)
        drawn = {file: caption for part in found for file, caption in _draw(part, a, b, pictures, scratch).items()}
        told = [part for part in found if _told(part, a, b)]
        if told:
            _table(told, a, b, scratch / IMAGES)
        facts = {
            "a": _name(a), "b": _name(b), "answer": answer(a, b), "note": note, "parts": [_shown(part) for part in found],
            "settings": _settings(a, b), "told": bool(told), "captions": drawn,
            "figures": {file: inline(scratch / file) for file in drawn},
        }  # fmt: skip
        (scratch / PAGE).write_text(render("pair.html", facts), "utf-8")
        (scratch / TEXT).write_text(render("pair.md", facts), "utf-8")
        files = [PAGE, TEXT, *([IMAGES] if told else []), *drawn]
        for file in files:
            (scratch / file).replace(folder / file)
        for old in {folder / IMAGES, *folder.glob("only-*.png")} - {folder / file for file in files}:
            old.unlink(missing_ok=True)
    return [folder / file for file in files]


def _shared(a: RunRecord, b: RunRecord) -> list[str]:
    """The sets on which both runs were scored, with the very same images."""
    return [name for name in SETS if name in a.digests and a.digests[name] == b.digests.get(name)]


def _part(name: str, a: RunRecord, b: RunRecord) -> Part:
    hits, others = a.recognised[name], b.recognised[name]
    kinds = (hits & others, hits & ~others, ~hits & others, ~hits & ~others)
    both, only_a, only_b, neither = (int(kind.sum()) for kind in kinds)
    interval, p = compare.difference([hits], [others]), compare.mcnemar(hits, others)
    return Part(name, (both, only_a, only_b, neither), (only_a - only_b) / len(hits), interval, p)


def _told(part: Part, a: RunRecord, b: RunRecord) -> bool:
    """Whether it is known as what both took each image; a file tells only whether they were right."""
    return part.name in a.read and part.name in b.read


def _sentence(part: Part) -> str:
    _, only_a, only_b, neither = part.counts
    n = sum(part.counts)
    told = f"a reads {'more' if part.apart > 0 else 'fewer'}" if part.p < compare.ALPHA else "they cannot be told apart"
    return (f"Of {n:,} {part.name} images a alone reads {only_a:,}, b alone {only_b:,}, neither {neither:,}: {told} "
            f"(McNemar, p {p_text(part.p)}).")  # fmt: skip


def _shown(part: Part) -> dict[str, Any]:
    both, only_a, only_b, neither = part.counts
    return {"name": part.name, "both": f"{both:,}", "only_a": f"{only_a:,}", "only_b": f"{only_b:,}",
            "neither": f"{neither:,}", "apart": f"{part.apart:+.4f}",
            "interval": f"{part.interval.low:+.4f} to {part.interval.high:+.4f}",
            "p": p_text(part.p)}  # fmt: skip


def _name(run: RunRecord) -> str:
    settings = [f"{path}={value(found)}" for path, found in run.point.items()]
    return " ".join([*settings, f"seed={run.seed}", f"({run.signature})"])


def _settings(a: RunRecord, b: RunRecord) -> list[dict[str, str]]:
    """The settings in which the two runs differ."""
    one, other = {"seed": a.seed, **a.settings}, {"seed": b.seed, **b.settings}
    paths = [path for path in dict.fromkeys([*one, *other]) if one.get(path) != other.get(path)]
    return [{"path": path, "a": value(one[path]) if path in one else "", "b": value(other[path]) if path in other else ""}
            for path in paths]  # fmt: skip


def _draw(part: Part, a: RunRecord, b: RunRecord, pictures: Mapping[str, NDArray[np.uint8]], folder: Path) -> dict[str, str]:
    """The first images that only one of the two read right; gives the files and their captions."""
    if part.name not in pictures or not _told(part, a, b):
        return {}
    labels, classes, drawn = a.labels[part.name], a.settings["data.classes"], {}
    for letter, right, wrong in (("a", a, b), ("b", b, a)):
        rows = np.flatnonzero((right.read[part.name] == labels) & (wrong.read[part.name] != labels))
        if not len(rows):
            continue
        captions = [f"{classes[labels[row]]}, not {classes[wrong.read[part.name][row]]}" for row in rows[:SHOWN]]
        file = f"only-{letter}-{part.name}.png"
        title = f"{part.name}: read by {letter} alone"
        figure = figures.digits_figure(pictures[part.name][rows[:SHOWN]], captions, title, columns=4)
        figures.save(figure, folder / file, DPI)
        first = f"The first {SHOWN} of {len(rows):,}" if len(rows) > SHOWN else f"All {len(rows):,}"
        drawn[file] = f"{first} {part.name} images that {letter} alone reads: what it is, and what the other takes it for."
    return drawn


def _table(found: list[Part], a: RunRecord, b: RunRecord, file: Path) -> None:
    """Every image that the two read differently: its place in the set, what it is, and what each reads."""
    with file.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["set", "image", "true", "a", "b"])
        classes = a.settings["data.classes"]
        for part in found:
            labels, one, other = a.labels[part.name], a.read[part.name], b.read[part.name]
            writer.writerows([part.name, row, *(classes[found[row]] for found in (labels, one, other))]
                             for row in np.flatnonzero(one != other))  # fmt: skip
