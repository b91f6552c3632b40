"""The pictures of an exploration, with what each shows in words."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from digitexp import figures
from digitexp.data.measures import Measures
from digitexp.evaluation.suspicion import Slip
from digitexp.reports.exploration import Exploration, Part, Place

SAMPLES = 10  # of each class
SHOWN = 40  # suspicious labels, or copies, of a part
COLUMNS = 5  # of images with captions: on a phone, their letters are still 7 pixels high
AROUND = 2  # rows before and after a slip



def draw(exploration: Exploration) -> dict[str, tuple[Figure, str]]:
    """Every figure that there is something to draw of, by the name of its file, with its caption."""
    drawn: dict[str, tuple[Figure, str]] = {}
    for part in exploration.parts:
        drawn |= _suspicious(exploration, part)
    for number, (part, slip) in enumerate(exploration.slips, 1):
        drawn[f"slip-{number}.png"] = _slip(exploration, part, slip)
    drawn |= _classes(exploration) | _copies(exploration)
    for part in exploration.parts:
        drawn[f"samples-{file_name(part)}.png"] = _samples(part)
    drawn["geometry.png"] = _geometry(exploration)
    written = {part.name: _per_writer(part.digits.writers) for part in exploration.parts if part.digits.writers is not None}
    if written:
        figure = figures.histograms_figure({"images of a writer": written}, "Images of each writer", "writers")
        drawn["writers.png"] = figure, "How many images a writer gave, in % of the writers."
    return drawn


def file_name(part: Part) -> str:
    """The part's name as a part of a file's name."""
    return part.name.replace(" ", "-")


def lines(exploration: Exploration) -> dict[str, Measures]:
    """What is compared, by name: every part, and in MNIST's geometry those that are not in it."""
    shown: dict[str, Measures] = {}
    for part in exploration.parts:
        shown[f"{part.name}, as drawn" if part.moved else part.name] = part.measures
        if part.moved:
            shown[f"{part.name}, MNIST's geometry"] = part.fitted_measures
    return shown


def _suspicious(exploration: Exploration, part: Part) -> dict[str, tuple[Figure, str]]:
    found = exploration.suspicious(part)
    if not len(found):
        return {}
    shown = found[:SHOWN]
    figure = _captioned(part, shown, [_verdict(exploration, part, at) for at in shown.tolist()], part.name)
    most = f" The surest {len(shown)} of {len(found):,}." if len(found) > len(shown) else ""
    return {f"suspicious-{file_name(part)}.png": (
        figure, f"Suspicious labels of {part.name}: the row, the label, what it was read as, and how probable that is.{most}"
    )}  # fmt: skip


def _verdict(exploration: Exploration, part: Part, position: int) -> str:
    suspicion = exploration.suspicion
    assert suspicion is not None
    index = part.start + position
    read = int(suspicion.confident[index])
    probability = suspicion.probabilities[index, read]
    place = Place(part, position)
    return f"row {place.row}\nlabel {place.label}\nread {exploration.classes[read]} ({probability:.2f})"


def _slip(exploration: Exploration, part: Part, slip: Slip) -> tuple[Figure, str]:
    suspicion = exploration.suspicion
    assert suspicion is not None
    first, last = max(slip.first - AROUND, 0), min(slip.last + AROUND, len(part.digits) - 1)
    shown = np.arange(first, last + 1)[:SHOWN]
    captions = []
    for at in shown.tolist():
        read = exploration.classes[int(suspicion.probabilities[part.start + at].argmax())]
        inside = slip.first <= at <= slip.last
        place = Place(part, at)
        captions.append(f"row {place.row}{' *' if inside else ''}\nlabel {place.label}\nread {read}")
    figure = _captioned(part, shown, captions, f"A slip in {part.name}")
    return figure, f"The slip and the rows around it; * are its rows. The labels are shifted by {slip.shift:+d}."


def _captioned(part: Part, positions: NDArray[np.int64], captions: Sequence[str], title: str) -> Figure:
    return figures.digits_figure(part.digits.images[positions], captions, title, COLUMNS, whole=True)


def _classes(exploration: Exploration) -> dict[str, tuple[Figure, str]]:
    parts, classes = exploration.parts, exploration.classes
    means = {}
    for part in parts:
        images, labels = part.digits.images, part.digits.labels
        means[part.name] = np.stack([
            images[labels == label].mean(axis=0) if (labels == label).any() else np.zeros(images.shape[1:])
            for label in range(len(classes))
        ])  # fmt: skip
    counts = {part.name: np.bincount(part.digits.labels, minlength=len(classes)) for part in parts}
    return {
        "classes.png": (figures.classes_figure(counts, classes, "Classes"), "The share of each class in each set."),
        "means.png": (figures.rows_figure(means, "Mean images", classes), "The mean image of each class."),
    }


def _samples(part: Part) -> tuple[Figure, str]:
    """The same images every time: evenly spaced over the part."""
    rows = {}
    for label, name in enumerate(part.digits.classes):
        mine = np.flatnonzero(part.digits.labels == label)
        chosen = mine[np.linspace(0, len(mine) - 1, min(SAMPLES, len(mine))).round().astype(int)] if len(mine) else mine
        rows[name] = part.digits.images[chosen]
    return figures.rows_figure(rows, part.name), f"Images of {part.name}, evenly spaced over its rows."


def _geometry(exploration: Exploration) -> tuple[Figure, str]:
    named = lines(exploration)
    panels = {
        label: {name: getattr(measures, field) for name, measures in named.items()}
        for label, field in (
            ("height of the ink (pixels)", "height"), ("width of the ink (pixels)", "width"),
            ("centre of mass, row", "row"), ("centre of mass, column", "column"),
            ("width of the strokes (pixels)", "stroke"),
        )
    } | {"pixels with ink (%)": {name: 100 * measures.ink for name, measures in named.items()}}  # fmt: skip
    return figures.histograms_figure(panels, "Size, place and strokes"), (
        "Where the ink lies and how wide it is; rows and columns are counted from 0, the middle is 13.5."
    )


def _copies(exploration: Exploration) -> dict[str, tuple[Figure, str]]:
    groups = exploration.contradicting
    if not groups:
        return {}
    shown = [(number, place) for number, group in enumerate(groups, 1) for place in group][:SHOWN]
    images = np.stack([place.part.digits.images[place.position] for _, place in shown])
    captions = [f"{number}: {place.part.name}\nrow {place.row}\nlabel {place.label}" for number, place in shown]
    figure = figures.digits_figure(images, captions, "The same image, other labels", COLUMNS, whole=True)
    return {"copies.png": (figure, "Images that are the same pixel by pixel, numbered alike, but labelled otherwise.")}


def _per_writer(writers: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.unique(writers, return_counts=True)[1].astype(float)
