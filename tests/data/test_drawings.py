"""Reading drawings in the order in which they were drawn; what is malformed is refused in one sentence."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from digitexp.compose import compose
from digitexp.data.drawings import PEN_SEED, count, digests, files, rasters, read
from digitexp.data.geometry import normalise
from digitexp.data.pen import draw
from digitexp.data.sources import source_digests
from digitexp.decisive import present
from digitexp.errors import ConfigError, DataError
from digitexp.settings import Drawn
from digitexp.signature import signature

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "drawn"
CLASSES = [str(number) for number in range(10)]
SYNTHETIC = Drawn("synthetic", None, None, 30, "raw", 0.0, 10)
MADE = draw(6, 1)
Rows = list[list[str]]


def rows(images: Any) -> Rows:
    return [[str(value) for value in image.ravel()] for image in images]


def write(folder: Path, images: Rows, labels: list[str], end: str = "\n") -> Drawn:
    (folder / "images.csv").write_text("".join(",".join(row) + end for row in images), newline="")
    (folder / "labels.csv").write_text("".join(label + end for label in labels), newline="")
    return Drawn("csv", str(folder / "images.csv"), str(folder / "labels.csv"), 1, "raw", 0.0, 10)


def write_pngs(folder: Path, **images: Any) -> Drawn:
    """`d6_10=image` is written as 6/10.png."""
    for name, image in images.items():
        label, number = name.removeprefix("d").split("_")
        (folder / label).mkdir(exist_ok=True)
        (folder / label / f"{number}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return Drawn("folder", str(folder), None, 1, "raw", 0.0, 10)


def good(folder: Path) -> Drawn:
    return write(folder, rows(MADE.images), [str(label) for label in MADE.labels])


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(28), st.just(28))),
    st.sampled_from([int, float]),
    st.sampled_from(["\n", "\r\n"]),
    st.data(),
)
def test_what_is_written_is_read(tmp_path: Path, images: Any, form: type, end: str, choose: st.DataObject) -> None:
    images[0, 0, 0] = 200  # all at most 1 is refused
    labels = choose.draw(st.lists(st.integers(0, 9), min_size=len(images), max_size=len(images)))
    drawn = write(tmp_path, rows(images.astype(form)), [str(form(label)) for label in labels], end)
    digits = read(drawn, CLASSES)
    assert (digits.images == [normalise(image, "raw") for image in images]).all()
    assert digits.labels.tolist() == labels
    assert set(digits.origin) == {"drawn"}
    assert count(drawn, CLASSES) == len(images)
    placed = read(replace(drawn, geometry="mnist"), CLASSES)
    assert (placed.images == [normalise(image) for image in images]).all()


def test_labels_are_indices_into_the_classes(tmp_path: Path) -> None:
    digits = read(good(tmp_path), list("abcdef"))
    assert digits.classes == tuple("abcdef")
    assert digits.labels.tolist() == [0, 1, 2, 3, 4, 5]


def test_synthetic_drawings_are_those_of_the_pen() -> None:
    digits = read(SYNTHETIC, CLASSES)
    assert digits.digest() == draw(30, PEN_SEED).digest()
    assert set(digits.origin) == {"synthetic"}
    assert (count(SYNTHETIC, CLASSES), files(SYNTHETIC), digests(SYNTHETIC)) == (30, (), {})


def test_no_drawings_are_no_files() -> None:
    none = replace(SYNTHETIC, source="none")
    assert (files(none), digests(none)) == ((), {})


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    large = np.zeros((120, 90), np.uint8)
    cv2.line(large, (20, 20), (60, 100), 255, 9)
    drawn = write_pngs(tmp_path, d7_10=large, d1_9=MADE.images[1], d1_10=MADE.images[2], d4_2=MADE.images[4])
    (tmp_path / "1" / "notes.txt").write_text("passed over")
    digits = read(drawn, CLASSES)
    assert digits.labels.tolist() == [4, 1, 1, 7]
    assert (digits.images[:3] == MADE.images[[4, 1, 2]]).all()
    assert (digits.images[3] == cv2.resize(large, (28, 28), interpolation=cv2.INTER_AREA)).all()
    assert (read(replace(drawn, geometry="mnist"), CLASSES).images[3] == normalise(large)).all()
    assert count(drawn, CLASSES) == 4
    assert read(write_pngs(tmp_path, d4_1=np.dstack([large] * 3)), CLASSES).labels.tolist() == [4, 4, 1, 1, 7]


def test_dark_on_light_is_light_on_dark(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "png").mkdir()
    for drawn in (
        write(tmp_path / "csv", rows(255 - MADE.images), LABELS),
        write_pngs(tmp_path / "png", **{f"d{label}_{label}": 255 - MADE.images[label] for label in range(6)}),
    ):
        assert (read(drawn, CLASSES).images == MADE.images).all()
        placed = read(replace(drawn, geometry="mnist", stroke_width=2.5), CLASSES)
        assert (placed.images == [normalise(image, stroke_width=2.5) for image in MADE.images]).all()


@pytest.mark.parametrize("colour", [0, 255])
def test_ink_on_a_transparent_ground_is_seen(tmp_path: Path, colour: int) -> None:
    """Whatever the colour of what is transparent, in 8 and 16 bits, and where the ink is most of the picture."""
    ink = MADE.images[4]
    pixels = np.dstack([np.full((28, 28, 3), colour, np.uint8), ink])
    tight = np.full((40, 20, 4), (colour, colour, colour, 255), np.uint8)
    tight[:8, :8, 3] = 0
    drawn = write_pngs(tmp_path, d4_1=pixels, d4_2=pixels.astype(np.uint16) * 257, d1_3=tight)
    found = read(drawn, CLASSES).images
    expected = ink if colour else 255 - ink
    np.testing.assert_array_equal(found[:2], [normalise(expected, "raw")] * 2)
    assert np.ptp(found[2]) == 255


def test_runs_that_saw_a_transparent_drawing_as_blank_are_other_runs(tmp_path: Path) -> None:
    """Of all others, the digest is that of the files' names and bytes, as it was."""
    drawn = write_pngs(tmp_path, d4_1=MADE.images[4])
    (file,) = tmp_path.rglob("*.png")
    raw = file.read_bytes()
    plain = hashlib.sha256(f"{file.parent.name}/{file.name}\0{len(raw)}\0".encode() + raw).hexdigest()
    assert digests(drawn) == {"drawn folder": plain}
    drawn = write_pngs(tmp_path, d4_1=np.dstack([np.zeros((28, 28, 3), np.uint8), MADE.images[4]]))
    raw = file.read_bytes()
    plain = hashlib.sha256(f"{file.parent.name}/{file.name}\0{len(raw)}\0".encode() + raw).hexdigest()
    assert digests(drawn) != {"drawn folder": plain}


def test_an_opaque_png_is_read_as_a_grey_image(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (28, 28, 3), np.uint8)
    drawn = write_pngs(tmp_path, d1_1=colours, d1_2=np.dstack([colours, np.full((28, 28), 255, np.uint8)]))
    one, other = rasters(drawn, CLASSES)[0]
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one, cv2.imread(str(tmp_path / "1" / "1.png"), cv2.IMREAD_GRAYSCALE))


def test_the_digest_of_a_folder_is_that_of_names_and_bytes(tmp_path: Path) -> None:
    def digest(name: str, **images: Any) -> str:
        (tmp_path / name).mkdir()
        (found,) = digests(write_pngs(tmp_path / name, **images)).values()
        return found

    one, two = MADE.images[:2]
    same = digest("a", d1_1=one, d2_2=two)
    assert digest("b", d2_2=two, d1_1=one) == same
    others = [digest("c", d1_1=one), digest("d", d1_1=two, d2_2=one), digest("e", d1_1=one, d3_2=two)]
    assert len({same, *others}) == 4


def changed(row: int, column: int, value: str) -> Callable[[Path], Drawn]:
    def make(folder: Path) -> Drawn:
        images = rows(MADE.images)
        images[row][column] = value
        return write(folder, images, [str(label) for label in MADE.labels])

    return make


def table(images: Rows | None = None, labels: list[str] | None = None) -> Callable[[Path], Drawn]:
    given = rows(MADE.images) if images is None else images
    return lambda folder: write(folder, given, [str(label) for label in MADE.labels] if labels is None else labels)


def raw(name: str, content: bytes) -> Callable[[Path], Drawn]:
    def make(folder: Path) -> Drawn:
        drawn = good(folder)
        (folder / name).write_bytes(content)
        return drawn

    return make


def pngs(name: str, content: bytes) -> Callable[[Path], Drawn]:
    def make(folder: Path) -> Drawn:
        drawn = write_pngs(folder, d1_1=MADE.images[1])
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return drawn

    return make


PNG = cv2.imencode(".png", MADE.images[0])[1].tobytes()
ROWS = rows(MADE.images)
LABELS = ["0", "1", "2", "3", "4", "5"]

REFUSED: dict[str, tuple[Callable[[Path], Drawn], str]] = {
    "too few columns": (
        table([*ROWS[:2], ROWS[2][:-1], *ROWS[3:]]),
        "images.csv: row 3, .* found 783 values, allowed are 784",
    ),
    "too many columns": (table([[*row, "0"] for row in ROWS]), "row 1, counted from 1: found 785 values, allowed are 784"),
    "semicolons": (raw("images.csv", b";".join([b"0"] * 784)), "row 1, .* found 1 values, allowed are 784"),
    "labels of two columns": (table(labels=[*LABELS[:5], "5,5"]), "labels.csv: row 6, .* found 2 values, allowed are 1"),
    "above 255": (
        changed(4, 7, "256"),
        "row 5, column 8, counted from 1: found '256', allowed are whole numbers from 0 to 255",
    ),
    "below 0": (changed(0, 0, "-1"), "row 1, column 1, counted from 1: found '-1'"),
    "NaN": (changed(5, 783, "nan"), "row 6, column 784, counted from 1: found 'nan'"),
    "infinite": (changed(1, 1, "inf"), "row 2, column 2, .* found 'inf'"),
    "no value": (changed(1, 1, ""), "row 2, column 2, .* found ''"),
    "text": (changed(3, 2, "ink"), "row 4, column 3, .* found 'ink'"),
    "fraction": (changed(3, 2, "0.5"), "row 4, column 3, .* found '0.5', allowed are whole numbers"),
    "header": (table([[f"pixel{n}" for n in range(784)], *ROWS]), "row 1, column 1, .* found 'pixel0', .* without a header"),
    "grey levels up to 1": (table(rows(MADE.images // 255)), "images.csv: found no value above 1, .* multiply by 255"),
    "label outside": (table(labels=[*LABELS[:5], "10"]), "labels.csv: row 6, column 1, .* found '10', allowed .* 0 to 9"),
    "label below": (table(labels=["-1", *LABELS[1:]]), "labels.csv: row 1, column 1, .* found '-1'"),
    "label in words": (table(labels=["0", "one", *LABELS[2:]]), "labels.csv: row 2, column 1, .* found 'one'"),
    "label header": (table(labels=["label", *LABELS]), "labels.csv: row 1, column 1, .* found 'label', .* without a header"),
    "label missing": (table(labels=["0", "", *LABELS[1:]]), "labels.csv: row 2, counted from 1: found 0 values"),
    "fewer labels": (table(labels=LABELS[:5]), "images.csv: found 6 images, but 5 labels in .*labels.csv; allowed is one"),
    "fewer images": (table(ROWS[:4]), "found 4 images, but 6 labels"),
    "no images": (raw("images.csv", b""), "images.csv: found no row, allowed is 1 or more"),
    "only blank lines": (raw("labels.csv", b"\n\n"), "labels.csv: found no row"),
    "no text": (raw("images.csv", b"\xff\xfe\x00"), "images.csv: found no text"),
    "no file": (
        lambda folder: replace(good(folder), images=str(folder / "x.csv")),
        "data.drawn.images=.*x.csv: no such file",
    ),
    "a folder": (lambda folder: replace(good(folder), labels=str(folder)), "data.drawn.labels=.*: no such file"),
    "no folder": (
        lambda folder: Drawn("folder", str(folder / "no"), None, 1, "raw", 0.0, 1),
        "data.drawn.images=.*: no such folder",
    ),
    "no PNG": (lambda folder: Drawn("folder", str(folder), None, 1, "raw", 0.0, 1), "found no PNG; allowed is one subfolder"),
    "PNG cut short": (pngs("2/2.png", PNG[:-9]), "2.png: found no PNG image, or one cut short"),
    "PNG broken": (pngs("2/2.png", PNG[:40] + bytes(9) + PNG[-8:]), "2.png: found no PNG image"),
    "another format": (pngs("2/2.png", b"GIF89a"), "2.png: found no PNG image"),
    "no class": (pngs("two/2.png", PNG), "two: is no class; allowed are subfolders named 0, 1, 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_what_is_malformed(tmp_path: Path, case: str) -> None:
    make, message = REFUSED[case]
    drawn = make(tmp_path)
    with pytest.raises(DataError, match=message) as refusal:
        read(drawn, CLASSES)
    assert str(tmp_path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_blank_lines_at_the_end_and_a_byte_order_mark_are_no_matter(tmp_path: Path) -> None:
    drawn = good(tmp_path)
    for name in ("images.csv", "labels.csv"):
        file = tmp_path / name
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes() + b"\n\r\n")
    assert read(drawn, CLASSES).digest() == MADE.digest()


def test_counting_and_digesting_needs_no_library(tmp_path: Path) -> None:
    good(tmp_path)
    code = (
        "import sys; from digitexp.data import drawings; from digitexp.settings import Drawn;"
        "drawn = Drawn('csv', sys.argv[1] + '/images.csv', sys.argv[1] + '/labels.csv', 1, 'raw', 1);"
        "print(drawings.count(drawn, range(10)), len(drawings.digests(drawn)));"
        "print({'sklearn', 'pandas', 'cv2', 'keras', 'tensorflow', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout == "6 2\nset()\n"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["data.manual_labels=5"],
            "data.manual_labels=5: must be 0 without drawings; type data.drawn.source=store, csv, folder or",
        ),
        (["data.manual_labels=-1"], "data.manual_labels=-1: must be a number of drawings from 0"),
        (
            ["data.drawn.images=x"],
            "data.drawn.images=x: must be null with data.drawn.source=none; .* type data.drawn.source=csv or folder",
        ),
        (["data.drawn.source=csv"], "data.drawn.images=null: must be the csv file of images .* type data.drawn.images=PATH"),
        (["data.drawn.source=csv", "data.drawn.images=x"], "data.drawn.labels=null: must be the csv file of labels"),
        (
            ["data.drawn.source=folder", "data.drawn.images=x", "data.drawn.labels=y"],
            "data.drawn.labels=y: must be null with",
        ),
        (["data.drawn.source=shop"], "data.drawn.source=shop: no such choice; allowed are none, csv, folder, store, synthetic"),
        (["data.drawn.geometry=round"], "data.drawn.geometry=round: no such choice; allowed are raw, box, mnist"),
        (["data.drawn.geometry=raw", "data.drawn.stroke_width=2"], "data.drawn.stroke_width=2.0: must be 0 with .*geometry=raw"),
        (["data.drawn.stroke_width=0.5"], "data.drawn.stroke_width=0.5: must be pixels from 1 to 6, or 0"),
        (["data.drawn.count=0"], "data.drawn.count=0: must be a number of drawings from 1"),
        (["data.drawn.holdout=-1"], "data.drawn.holdout=-1: must be a number of drawings, 0 to score none"),
        (["data.drawn.source=synthetic", "data.drawn.holdout=0", "search.objective=drawn/loss"], "this data cannot give it"),
    ],
)
def test_refuses_settings_at_odds(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        compose(overrides)


def test_drawings_can_be_chosen_by() -> None:
    config = compose(["data.drawn.source=synthetic", "search.objective=drawn/accuracy", "data.validation=0"])
    assert config.data.evaluation_sets == ("test", "drawn")


def identity(*overrides: str) -> str:
    config = compose(overrides)
    return signature(config, source_digests(config.data))


def test_a_run_is_what_its_drawings_are_and_not_where_they_lie(tmp_path: Path) -> None:
    def overrides(name: str, *others: str) -> list[str]:
        (tmp_path / name).mkdir(exist_ok=True)
        drawn = good(tmp_path / name)
        return ["data.drawn.source=csv", f"data.drawn.images={drawn.images}", f"data.drawn.labels={drawn.labels}", *others]

    same = identity(*overrides("a"))
    assert identity(*overrides("b")) == same
    assert identity(*overrides("a", "data.drawn.count=5")) == same  # only the pen counts
    assert "data.drawn.stroke_width" not in present(compose(overrides("a")))  # as in runs recorded before there was one
    others = [identity(*overrides("a", f"data.{setting}")) for setting in
              ("manual_labels=1", "drawn.geometry=raw", "drawn.geometry=box", "drawn.stroke_width=2", "drawn.holdout=3",
               "allow_leakage=true")]  # fmt: skip
    changes = overrides("b")
    (tmp_path / "b" / "labels.csv").write_text("0\n" * 6)
    assert len({same, *others, identity(*changes)}) == 8


def test_without_drawings_a_run_is_as_ever() -> None:
    same = identity()
    assert identity("data.drawn.geometry=raw", "data.drawn.holdout=1", "data.drawn.count=1") == same
    assert identity("data.drawn.source=synthetic") != same
    assert not [path for path in present(compose()) if "drawn" in path or path == "data.manual_labels"]


def test_real_drawings() -> None:
    if not (SHARED / "images.csv").is_file():
        pytest.skip(f"needs the drawings in {SHARED}")
    drawn = Drawn("csv", str(SHARED / "images.csv"), str(SHARED / "labels.csv"), 1, "raw", 0.0, 400)
    started = time.process_time()
    digits = read(drawn, CLASSES)
    assert time.process_time() - started < 0.5  # found: 0.17 s
    assert np.bincount(digits.labels).tolist() == [130, 121, 36, 40, 70, 107, 232, 219, 185, 260]
    assert digits.labels[:5].tolist() == [0, 6, 7, 0, 7]
    assert (digits.images[1195] == digits.images[1196]).all()
    assert (digits.images == np.loadtxt(SHARED / "images.csv", delimiter=",", dtype=np.uint8).reshape(-1, 28, 28)).all()
