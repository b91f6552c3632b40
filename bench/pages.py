"""Pages composed of real MNIST digits, read by `digitexp predict`'s own code: found, missed, invented and misread digits.

    python bench/pages.py path/to/mnist.npz --model models:/digitexp@champion      # or a .keras file
    python bench/pages.py path/to/mnist.npz --model ... --confidence                # what the limit of confidence costs

A page depends on its seed, its difficulty and its number alone. The first command composes pages of MNIST's test digits and
writes bench/results/pages.csv; the second takes the digits that runs of data=mnist hold out for validation, and writes
confidence.csv beside it. `--worst FOLDER` keeps pictures of the pages with most errors, to look at: they show MNIST's digits
and are not to be committed.
"""

import argparse
import csv
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measuring import RESULTS, commit, processor

NEAR = 0.5  # intersection over union from which a mark is at a digit's place
Box = tuple[int, int, int, int]  # x, y, width, height


@dataclass(frozen=True)
class Difficulty:
    """Ranges from which a page draws. Sizes are pixels of MNIST's whole field of 28; shares are of pages or of digits."""

    size: tuple[float, float]
    turn: float  # degrees, standard deviation
    tilt: float  # degrees of a whole line, at most
    jitter: float  # of the line's height, standard deviation
    gap: tuple[float, float]  # between the ink of neighbours, in heights of a digit
    touching: float
    broken: float
    paper: tuple[float, float]  # grey levels
    contrast: tuple[float, float]  # of the ink, as a share of the paper
    slope: float  # of the light across the page, at most
    shadow: float  # share of pages with one
    shade: float  # how much light a shadow takes, at most
    noise: tuple[float, float]  # grey levels
    blur: tuple[float, float]  # pixels, standard deviation
    ruled: float
    ruling: tuple[float, float]  # contrast of the lines
    squared: float
    coloured: float
    reversed: float
    quality: tuple[int, int]  # of the JPEG


DIFFICULTIES = {
    "plain": Difficulty(
        size=(56, 72), turn=3, tilt=0, jitter=0.05, gap=(0.35, 0.8), touching=0, broken=0, paper=(225, 250),
        contrast=(0.75, 0.95), slope=0, shadow=0, shade=0, noise=(0, 3), blur=(0, 0.4), ruled=0, ruling=(0, 0), squared=0,
        coloured=0, reversed=0, quality=(85, 95),
    ),
    "medium": Difficulty(
        size=(44, 84), turn=6, tilt=1, jitter=0.1, gap=(0.25, 0.8), touching=0, broken=0, paper=(190, 245),
        contrast=(0.6, 0.9), slope=0.35, shadow=0.3, shade=0.25, noise=(2, 8), blur=(0, 0.8), ruled=0.35,
        ruling=(0.12, 0.3), squared=0.3, coloured=0.4, reversed=0.2, quality=(60, 85),
    ),
    "hard": Difficulty(
        size=(36, 100), turn=10, tilt=3, jitter=0.15, gap=(0.12, 0.7), touching=0.06, broken=0.05, paper=(150, 240),
        contrast=(0.4, 0.85), slope=0.6, shadow=0.6, shade=0.5, noise=(5, 15), blur=(0.3, 1.3), ruled=0.6, ruling=(0.2, 0.5),
        squared=0.4, coloured=0.5, reversed=0.3, quality=(30, 60),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Page:
    """BGR pixels as a JPEG gave them, and the box and label of every digit, line by line from left to right."""

    pixels: np.ndarray
    boxes: list[Box]
    labels: list[int]
    name: str


def compose_page(images: np.ndarray, labels: np.ndarray, difficulty: str, number: int, seed: int,
                 side: tuple[int, int] = (1280, 960)) -> Page:  # fmt: skip
    """One page of digits drawn from `images` (n, 28, 28); `side` is its width and height in pixels."""
    kind = DIFFICULTIES[difficulty]
    hand = np.random.default_rng([seed, list(DIFFICULTIES).index(difficulty), number])
    width, height = side
    cover = np.zeros((height, width), np.float32)
    boxes: list[Box] = []
    chosen: list[int] = []
    for x, y, digit, pixels in _places(images, kind, hand, width, height):
        ink = pixels.astype(np.float32) / 255
        spot = cover[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(spot, ink, out=spot)
        inner = cv2.boundingRect((pixels > 80).astype(np.uint8))
        boxes.append((x + inner[0], y + inner[1], inner[2], inner[3]))
        chosen.append(int(labels[digit]))
    return Page(_photograph(cover, kind, hand), boxes, chosen, f"{difficulty} {number}")


def _places(images: np.ndarray, kind: Difficulty, hand: np.random.Generator, width: int,
            height: int) -> Iterator[tuple[int, int, int, np.ndarray]]:  # fmt: skip
    """Digits at their places, line by line: x and y of the corner, which image, and its pixels."""
    margin = 40
    scale = hand.uniform(*kind.size) / np.mean(kind.size)  # a hand writes large or small
    base = float(np.mean(kind.size)) * np.sqrt(scale)
    y = float(margin)
    while y + 1.2 * base < height - margin:
        tilt = np.tan(np.radians(hand.uniform(-kind.tilt, kind.tilt)))
        x = margin + hand.uniform(0, base)
        while x < width - margin - base:
            digit = int(hand.integers(len(images)))
            own = float(np.clip(base * hand.normal(1, 0.06), *kind.size))
            pixels = _write(images[digit], own, hand.normal(0, kind.turn), hand.uniform() < kind.broken, hand)
            top = int(y + tilt * (x - width / 2) + hand.normal(0, kind.jitter * own))
            if not 4 <= top <= height - pixels.shape[0] - 4 or x + pixels.shape[1] > width - 4:
                x += base
                continue
            yield int(x), top, digit, pixels
            touching = hand.uniform() < kind.touching
            gap = hand.uniform(-0.06, 0.0) if touching else hand.uniform(*kind.gap)
            x += pixels.shape[1] + gap * own * 20 / 28
        y += base * hand.uniform(1.15, 1.6) + abs(np.tan(np.radians(kind.tilt))) * width / 2


def _write(image: np.ndarray, size: float, turn: float, broken: bool, hand: np.random.Generator) -> np.ndarray:
    """A digit, enlarged and turned, cut to its ink."""
    large = round(size * 1.5)
    middle = large / 2
    matrix = cv2.getRotationMatrix2D((14, 14), turn, size / 28)
    matrix[:, 2] += middle - 14
    pixels = cv2.warpAffine(image, matrix, (large, large), flags=cv2.INTER_CUBIC)
    x, y, wide, high = cv2.boundingRect((pixels > 40).astype(np.uint8))
    pixels = pixels[y : y + high, x : x + wide].copy()
    if broken:  # the pen left the paper
        angle, thick = hand.uniform(0, np.pi), max(2, round(size / 18))
        centre = np.array([wide, high]) * hand.uniform(0.35, 0.65, 2)
        reach = 2 * size * np.array([np.cos(angle), np.sin(angle)])
        start, end = (tuple(int(value) for value in centre + sign * reach) for sign in (-1, 1))
        cv2.line(pixels, start, end, 0, thick)
    return pixels


def _photograph(cover: np.ndarray, kind: Difficulty, hand: np.random.Generator) -> np.ndarray:
    """Paper, lines, ink, light, lens, noise and JPEG, in this order."""
    height, width = cover.shape
    paper = np.full((height, width, 3), hand.uniform(*kind.paper), np.float32) * hand.uniform(0.94, 1, 3).astype(np.float32)
    paper *= 1 - _ruling(height, width, kind, hand)
    amount = hand.uniform(*kind.contrast)
    colour = np.full(3, amount, np.float32)
    if hand.uniform() < kind.coloured:
        colour *= np.roll(np.array([1.0, 0.75, 0.35], np.float32), hand.integers(3))
    page = paper * (1 - cover[..., None] * colour)
    if hand.uniform() < kind.reversed:
        page = 255 - page
    page *= _light(height, width, kind, hand)[..., None]
    sigma = hand.uniform(*kind.blur)
    page = cv2.GaussianBlur(page, (0, 0), sigma) if sigma > 0.2 else page
    noise = hand.uniform(*kind.noise)
    page += hand.normal(0, noise, (height, width, 1)) + hand.normal(0, noise / 3, page.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(hand.integers(*kind.quality))]
    _, coded = cv2.imencode(".jpg", np.clip(page, 0, 255).astype(np.uint8), quality)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def _ruling(height: int, width: int, kind: Difficulty, hand: np.random.Generator) -> np.ndarray:
    """How much light the lines of the paper take, in each channel."""
    lines = np.zeros((height, width), np.float32)
    if hand.uniform() < kind.ruled:
        step, thick = hand.integers(34, 80), int(hand.integers(1, 4))
        slope = np.tan(np.radians(hand.uniform(-kind.tilt, kind.tilt) / 2))
        for y in range(int(hand.integers(step)), height, step):
            cv2.line(lines, (0, y), (width, int(y + slope * width)), 1.0, thick, cv2.LINE_AA)
        if hand.uniform() < kind.squared:
            for x in range(int(hand.integers(step)), width, step):
                cv2.line(lines, (x, 0), (int(x - slope * height), height), 1.0, thick, cv2.LINE_AA)
    tint = np.array([0.4, 0.8, 1.0], np.float32) if hand.uniform() < 0.5 else np.ones(3, np.float32)  # blue, or grey
    return lines[..., None] * tint * hand.uniform(*kind.ruling)


def _light(height: int, width: int, kind: Difficulty, hand: np.random.Generator) -> np.ndarray:
    """A slope over the page, and a shadow with a soft edge."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = hand.uniform(0, 2 * np.pi)
    along = (np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)) / np.sqrt(2) + 0.5
    light = 1 - kind.slope * hand.uniform() * along
    if hand.uniform() < kind.shadow:
        corners = hand.uniform(-0.2, 1.2, (4, 2)) * (width, height)
        shape = np.zeros((height, width), np.float32)
        cv2.fillConvexPoly(shape, cv2.convexHull(corners.astype(np.int32)), 1.0)
        light = light * (1 - kind.shade * hand.uniform(0.5, 1) * cv2.GaussianBlur(shape, (0, 0), hand.uniform(8, 30)))
    return light


COUNTS = ("digits", "found", "missed", "read", "misread", "unsure", "invented", "invented_unsure")


def score(page: Page, marks: Sequence[Any], classes: Sequence[str]) -> dict[str, int]:
    """Counts of one page. A digit is found by the one mark at its place; `invented` are digits read where none is.

    found = read + misread + unsure; a mark that says "?" is neither read nor misread, nor invented.
    """
    of_mark = matched(page.boxes, [mark.box for mark in marks])
    counts = dict.fromkeys(COUNTS, 0) | {"digits": len(page.boxes), "found": len(of_mark)}
    counts["missed"] = len(page.boxes) - len(of_mark)
    for place, mark in enumerate(marks):
        if place not in of_mark:
            counts["invented_unsure" if mark.digit == "?" else "invented"] += 1
        elif mark.digit == "?":
            counts["unsure"] += 1
        else:
            counts["read" if mark.digit == classes[page.labels[of_mark[place]]] else "misread"] += 1
    return counts


def matched(truth: Sequence[Box], found: Sequence[Box]) -> dict[int, int]:
    """Which digit each mark has found, nearest pairs first, none twice: {mark: digit}."""
    if not truth or not found:
        return {}
    a, b = (np.array([(x, y, x + wide, y + high) for x, y, wide, high in boxes], float) for boxes in (truth, found))
    sides = [np.minimum(a[:, None, k + 2], b[:, k + 2]) - np.maximum(a[:, None, k], b[:, k]) for k in (0, 1)]
    inner = np.clip(sides[0], 0, None) * np.clip(sides[1], 0, None)
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (a, b)]
    overlap = inner / (areas[0][:, None] + areas[1] - inner)
    pairs: dict[int, int] = {}
    for place in np.argsort(overlap, axis=None)[::-1]:
        digit, mark = (int(index) for index in np.unravel_index(place, overlap.shape))
        if overlap[digit, mark] < NEAR:
            break
        if mark not in pairs and digit not in pairs.values():
            pairs[mark] = digit
    return pairs


def main() -> int:
    parser = argparse.ArgumentParser(description="Pages of known digits, read by digitexp predict.")
    parser.add_argument("mnist", help="mnist.npz")
    parser.add_argument("--model", default="models:/digitexp@champion", help="an address in the store, or a .keras file")
    parser.add_argument("--store", help="sqlite:///FILE, where it is not mlruns/mlflow.db")
    parser.add_argument("--pages", type=int, default=30, help="of each difficulty")
    parser.add_argument("--seed", type=int, default=101, help="of the pages; 1 to 11 were looked at while this was built")
    parser.add_argument("--confidence", action="store_true", help="measure what every limit of confidence would cost")
    parser.add_argument("--worst", type=Path, help="a folder for pictures of the pages with most errors")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    from digitexp.compose import compose
    from digitexp.recognise import network

    config = compose(["data=mnist", f"data.path={arguments.mnist}"])
    chosen = network.load(arguments.model, config.data.classes, arguments.store)
    RESULTS.mkdir(exist_ok=True)
    if arguments.confidence:
        measure_confidence(config, chosen, arguments)
    else:
        measure_pages(config, chosen, arguments)
    return 0


def measure_pages(config: Any, network: Any, arguments: argparse.Namespace) -> None:
    from digitexp.data.sets import load
    from digitexp.evaluation.compare import wilson
    from digitexp.recognise import sheet

    test, rows = load(config.data)["test"], []
    for difficulty in DIFFICULTIES:
        total, seconds = dict.fromkeys(COUNTS, 0), []
        worst: list[tuple[int, Page, Any]] = []
        for number in range(arguments.pages):
            page = compose_page(test.images, test.labels, difficulty, number, arguments.seed)
            started = time.perf_counter()
            reading = sheet.read(page.pixels, network.probabilities, network.classes, config.predict.confidence)
            seconds.append(time.perf_counter() - started)
            counts = score(page, reading.marks, network.classes)
            total = {name: total[name] + count for name, count in counts.items()}
            wrong = sum(counts[name] for name in ("missed", "misread", "invented"))
            worst = sorted([*worst, (wrong, page, reading)], key=lambda entry: -entry[0])[:3]
        shares = {f"{name}_share": total[name] / total["digits"] for name in ("found", "read")}
        intervals = {name: wilson(total[name], total["digits"]) for name in ("found", "read")}
        ends = {f"{name}_{end}": getattr(intervals[name], end) for name in intervals for end in ("low", "high")}
        rows.append({"difficulty": difficulty, "pages": arguments.pages, **total,
                     **{name: round(value, 4) for name, value in (shares | ends).items()},
                     "seconds_a_page": round(float(np.median(seconds)), 3), "confidence": config.predict.confidence,
                     **about(network, arguments.seed)})  # fmt: skip
        print({name: rows[-1][name] for name in ("difficulty", *COUNTS, *shares)}, flush=True)
        for wrong, page, reading in worst if arguments.worst else ():
            arguments.worst.mkdir(exist_ok=True)
            cv2.imwrite(str(arguments.worst / f"{page.name}, {wrong} errors.png"), draw_errors(page, reading.marks))
    write(RESULTS / "pages.csv", rows)


def measure_confidence(config: Any, network: Any, arguments: argparse.Namespace) -> None:
    """Of all pages together: how many marks every limit would leave as "?", and how many of the others would be right."""
    from digitexp.data.sets import load
    from digitexp.recognise import sheet

    held_out, certain = load(config.data)["val"], []
    for difficulty in DIFFICULTIES:
        for number in range(arguments.pages):
            page = compose_page(held_out.images, held_out.labels, difficulty, number, arguments.seed)
            marks = sheet.read(page.pixels, network.probabilities, network.classes, 0.0).marks
            truth = matched(page.boxes, [mark.box for mark in marks])
            certain += [(mark.probability, place in truth and mark.guess == network.classes[page.labels[truth[place]]])
                        for place, mark in enumerate(marks)]  # fmt: skip
    probability, right = np.array([entry[0] for entry in certain]), np.array([entry[1] for entry in certain])
    rows = []
    for limit in (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99):
        shown = probability >= limit
        rows.append({"confidence": limit, "marks": len(right), "unsure": int((~shown).sum()),
                     "right": int(right[shown].sum()), "wrong": int((~right[shown]).sum()),
                     "right_share_of_shown": round(float(right[shown].mean()), 4),
                     "right_share_of_unsure": round(float(right[~shown].mean()), 4) if (~shown).any() else "",
                     **about(network, arguments.seed)})  # fmt: skip
        print({name: rows[-1][name] for name in list(rows[-1])[:7]}, flush=True)
    write(RESULTS / "confidence.csv", rows)


def about(network: Any, seed: int) -> dict[str, Any]:
    """What made a number: seed, network, code, machine, day."""
    name = network.name if network.run else Path(network.name).name
    return {"seed": seed, "model": name, "model_digest": network.digest, "commit": commit(),
            "cpu": processor(), "cores": os.cpu_count(),
            "date": datetime.now(UTC).date().isoformat()}  # fmt: skip


def draw_errors(page: Page, marks: Sequence[Any]) -> np.ndarray:
    """The page; missed digits in blue, misread ones in red with what was read, invented ones in violet."""
    picture = page.pixels.copy()
    truth = matched(page.boxes, [mark.box for mark in marks])
    for digit, (x, y, wide, high) in enumerate(page.boxes):
        if digit not in truth.values():
            cv2.rectangle(picture, (x - 3, y - 3), (x + wide + 3, y + high + 3), (255, 0, 0), 2)
    for place, mark in enumerate(marks):
        right = place in truth and mark.guess == str(page.labels[truth[place]])
        colour = (0, 160, 0) if right else (0, 0, 255) if place in truth else (200, 0, 200)
        x, y, wide, high = mark.box
        cv2.rectangle(picture, (x, y), (x + wide, y + high), colour, 1 if right else 2)
        if not right:
            cv2.putText(picture, mark.guess, (x, y - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, 2)
    return picture


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
