"""Laws of MNIST's normalisation, and MNIST's own images as the known answer."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from digitexp.data.geometry import BOX, CENTRE, FINE, FLOOR, crop, enlarge, has_light_ground, normalise, scale, stroke_width
from digitexp.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
Image = NDArray[np.uint8]


def change(before: Image, after: Image) -> float:
    """Mean absolute difference of a pixel, in grey levels."""
    return float(np.abs(before.astype(int) - after).mean())


@st.composite
def strokes(draw: st.DrawFn) -> Image:
    """A line of two to five points, drawn with a round pen; the edge of the paper stays free."""
    side = draw(st.integers(20, 120))
    free = side // 12 + 1
    point = st.tuples(st.integers(free, side - 1 - free), st.integers(free, side - 1 - free))
    points = draw(st.lists(point, min_size=2, max_size=5, unique=True))
    pen = draw(st.integers(max(1, side // 12), side // 6))
    image = np.zeros((side, side), np.uint8)
    cv2.polylines(image, [np.array(points, np.int32)], False, 255, pen, cv2.LINE_AA)
    return image


@settings(deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70))))
def test_any_image_becomes_28_by_28_with_its_ink_in_the_box(image: Image) -> None:
    before = image.copy()
    result = normalise(image)
    assert result.dtype == np.uint8
    assert result.shape == (28, 28)
    assert max(crop(result, 1).shape) <= BOX
    assert result.any() or has_light_ground(image) or image.max() < 2 * FLOOR
    assert normalise(image, light_ink=True).any() or image.max() < 2 * FLOOR
    assert (image == before).all()


@settings(deadline=None)
@given(strokes(), st.tuples(*[st.integers(0, 60)] * 4), st.integers(0, FLOOR - 1))
def test_place_and_faint_paper_do_not_matter(image: Image, margins: tuple[int, int, int, int], paper: int) -> None:
    moved = cv2.copyMakeBorder(image, *margins, cv2.BORDER_CONSTANT, value=paper)
    for geometry in ("box", "mnist"):
        assert (normalise(moved, geometry) == normalise(image, geometry)).all()


@settings(deadline=None, max_examples=40)
@given(strokes(), st.sampled_from(["raw", "box", "mnist"]), st.sampled_from([0.0, 2.5]))
def test_dark_ink_on_light_paper_is_the_same_digit(image: Image, geometry: str, width: float) -> None:
    width = 0.0 if geometry == "raw" else width
    expected = normalise(image, geometry, width, light_ink=True)
    for found in (image, 255 - image):
        assert (normalise(found, geometry, width) == expected).all()
    assert (normalise(255 - image, geometry, width, light_ink=False) == expected).all()


@settings(deadline=None, max_examples=40)
@given(strokes())
def test_a_box_is_the_same_box_in_the_middle(image: Image) -> None:
    box, mnist = normalise(image, "box"), normalise(image)
    assert (crop(box, 1) == crop(mnist, 1)).all()
    x, y, width, height = cv2.boundingRect((box > 0).astype(np.uint8))
    top, left = (28 - scale(crop(image)).shape[axis] + 1 for axis in (0, 1))
    assert abs(2 * y + height - 29) <= 2 or top  # faint edges may round to nothing
    assert abs(2 * x + width - 29) <= 2 or left


@settings(deadline=None)
@given(strokes())
def test_mass_is_in_the_middle(image: Image) -> None:
    result = normalise(image)
    rows, columns = np.nonzero(result)
    weights = result[rows, columns].astype(float)
    for places, extent in ((rows, crop(result, 1).shape[0]), (columns, crop(result, 1).shape[1])):
        mass = (places * weights).sum() / weights.sum()
        at_the_edge = places.min() == 0 or places.max() == 27
        assert CENTRE <= mass + 1e-9 < CENTRE + 1 + 2e-9 or at_the_edge
        assert extent <= BOX


@settings(deadline=None)
@given(strokes())
def test_twice_is_once(image: Image) -> None:
    once = normalise(image)
    twice = normalise(once)
    if max(crop(once).shape) == BOX:
        # The second crop may drop pixels fainter than the floor, and the mass then be nearer to the next pixel.
        steps = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
        assert min(change(np.roll(once, step, (0, 1)), twice) for step in steps) <= 1
    else:  # the faint end of a stroke fell under the floor: the rest grows by a pixel or two
        assert max(crop(once).shape) >= BOX - 2


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (3, 500), (1000, 1000)])
def test_no_ink_is_blank(shape: tuple[int, int]) -> None:
    for geometry, width in (("raw", 0.0), ("box", 0.0), ("mnist", 2.5)):
        assert not normalise(np.full(shape, 255, np.uint8), geometry, width).any()  # paper
    assert not normalise(np.zeros(shape, np.uint8)).any()
    assert not normalise(np.full(shape, FLOOR - 1, np.uint8)).any()


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ((1, 1), (20, 20)),
        ((28, 28), (20, 20)),
        ((500, 500), (20, 20)),
        ((80, 40), (20, 10)),
        ((3, 12), (5, 20)),
        ((1, 200), (1, 20)),
        ((200, 1), (20, 1)),
    ],
)
def test_a_rectangle_keeps_its_shape(shape: tuple[int, int], box: tuple[int, int]) -> None:
    result = normalise(np.full(shape, 255, np.uint8), light_ink=True)
    expected = np.zeros((28, 28), np.uint8)
    top, left = (int(np.ceil(CENTRE - (side - 1) / 2)) for side in box)
    expected[top : top + box[0], left : left + box[1]] = 255
    assert (result == expected).all()


def test_shrinking_is_anti_aliased() -> None:
    stripes = np.zeros((200, 200), np.uint8)
    stripes[:, ::2] = 254
    assert (scale(stripes) == 127).all()


def test_enlarging_is_smooth() -> None:
    ramp = scale(np.array([[16, 128, 240]], np.uint8))
    assert (np.diff(ramp[0].astype(int)) >= 0).all()
    assert len(np.unique(ramp)) > 10


def test_ink_far_from_its_mass_stays_in_the_field() -> None:
    flag = np.full((20, 20), FLOOR, np.uint8)
    flag[:, :4] = 255
    flag[:, 4:-1] = 0
    assert crop(normalise(flag)).shape == (20, 20)
    assert (crop(normalise(flag)) == flag).all()


@pytest.mark.parametrize("pen", [8, 20, 40])
@pytest.mark.parametrize("width", [2.0, 2.5, 4.0])
def test_strokes_get_the_width_that_is_asked_for(pen: int, width: float) -> None:
    image = np.zeros((400, 400), np.uint8)
    cv2.circle(image, (200, 200), 150 - pen // 2, 255, pen, cv2.LINE_AA)
    ink = normalise(image, stroke_width=width)
    assert max(crop(ink).shape) == BOX
    length = 2 * np.pi * (BOX - width) / 2
    assert ink.sum() / 255 / length == pytest.approx(width, rel=0.16)


@pytest.mark.parametrize("width", [0.0, 2.5])
def test_ink_too_faint_for_the_box_comes_out_blank(width: float) -> None:
    image = np.zeros((2000, 2000), np.uint8)
    image[[100, 1900], [100, 1900]] = 20
    assert not normalise(image, stroke_width=width).any()


def test_a_thin_stroke_beside_a_thick_one_is_not_lost() -> None:
    image = np.zeros((300, 300), np.uint8)
    cv2.line(image, (50, 50), (50, 250), 255, 60)
    cv2.line(image, (50, 150), (250, 150), 255, 30)
    assert crop(normalise(image, stroke_width=1.0))[:, -5:].any()


def test_enlarge_finds_the_strokes_in_counts_of_blocks() -> None:
    disc = np.zeros((64, 64), np.uint8)
    cv2.circle(disc, (31, 31), 20, 255, -1)
    counts = cv2.resize(disc, (8, 8), interpolation=cv2.INTER_AREA)
    found = enlarge(counts)
    assert found.shape == (96, 96)
    assert change(np.pad(disc, 16), found) < 6
    assert not enlarge(np.zeros((8, 8), np.uint8)).any()


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (np.zeros((28, 28)), "float64 of shape"),
        (np.zeros((0, 5), np.uint8), r"\(0, 5\)"),
        (np.zeros((8, 8, 3), np.uint8), r"\(8, 8, 3\)"),
    ],
)
def test_refuses_what_is_no_image(image: Image, found: str) -> None:
    with pytest.raises(DataError, match=f"image: found .*{found}.* allowed is uint8"):
        normalise(image)


def test_mnist_itself_is_nearly_unchanged() -> None:
    if not (SHARED / "mnist.npz").is_file():
        pytest.skip(f"needs MNIST in {SHARED}")
    with np.load(SHARED / "mnist.npz") as archive:
        images = archive["x_test"]
    changes = np.array([change(image, normalise(image)) for image in images])
    assert changes.mean() < 0.03  # found: 0.020 grey levels
    assert np.mean(changes == 0) > 0.9  # 0.914; the rest loses a column or row fainter than the floor
    assert np.sum(changes > 0.5) <= 15  # 10: the few with a box of 19 pixels, or a stray faint pixel


def test_drawings_are_settled_after_once() -> None:
    if not (SHARED / "drawn" / "images.csv").is_file():
        pytest.skip(f"needs the drawings in {SHARED}")
    drawn = np.loadtxt(SHARED / "drawn" / "images.csv", delimiter=",", dtype=np.uint8).reshape(-1, 28, 28)
    once = [normalise(image) for image in drawn]
    changes = np.array([change(image, normalise(image)) for image in once])
    assert np.mean(changes == 0) > 0.98  # found: 0.99
    assert changes.mean() < 0.2  # 0.10


def test_the_strokes_of_mnist_are_as_wide_as_it_is_said() -> None:
    if not (SHARED / "mnist.npz").is_file():
        pytest.skip(f"needs MNIST in {SHARED}")
    with np.load(SHARED / "mnist.npz") as archive:
        images = archive["x_train"][:1000]
    widths = []
    for image in images:
        large = cv2.resize(crop(image), None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC)
        mask = cv2.copyMakeBorder((large > 127).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        widths.append(stroke_width(cv2.distanceTransform(mask, cv2.DIST_L2, 5)))
    assert np.median(widths) == pytest.approx(2.5, abs=0.1)


def test_thousands_of_images_a_second() -> None:
    images = [np.pad(np.full((20, 9), 255, np.uint8), (4, 9))] * 1000
    started = time.process_time()
    for image in images:
        normalise(image)
    assert time.process_time() - started < 0.5  # found: 0.03 s
