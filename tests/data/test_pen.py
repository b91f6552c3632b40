"""Laws of our own pen: its drawings are seeded, all different, in the seed's order, and can be read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitexp.data.geometry import crop, normalise
from digitexp.data.pen import CANVAS, FORMS, draw, write
from digitexp.data.sources import CLASSES, read_digits


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 2**31))
def test_fewer_drawings_are_the_first_of_more(fewer: int, more: int, seed: int) -> None:
    few, many = draw(min(fewer, more), seed), draw(max(fewer, more), seed)
    assert (few.images == many.images[: len(few)]).all()
    assert many.labels.tolist() == [row % 10 for row in range(len(many))]
    assert many.classes == CLASSES
    assert set(many.origin) <= {"synthetic"}


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(0, 2**31))
def test_each_drawing_is_ink_on_a_canvas(digit: int, seed: int) -> None:
    canvas = write(digit, np.random.default_rng(seed))
    assert canvas.shape == (CANVAS, CANVAS)
    assert set(np.unique(canvas)) == {0, 255}
    assert 0.02 < np.mean(canvas == 255) < 0.6
    assert max(crop(canvas).shape) > CANVAS / 3


def test_another_seed_is_another_hand() -> None:
    assert draw(10, 1).digest() == draw(10, 1).digest()
    assert draw(10, 1).digest() != draw(10, 2).digest()


def test_every_digit_has_its_forms() -> None:
    assert len(FORMS) == len(CLASSES)
    points = [
        list(map(int, point.split(","))) for forms in FORMS for form in forms for text in form for point in text.split()
    ]
    assert np.min(points) >= 0
    assert np.max(points) <= 100


def test_drawings_vary_as_those_of_a_person_do() -> None:
    drawn = draw(1400, 1)
    assert len({image.tobytes() for image in drawn.images}) == 1400
    heights, widths = np.array([crop(image).shape for image in drawn.images]).T
    # Found beside it: seed 003's author, 1,400 drawings.
    assert heights.mean() == pytest.approx(23.7, abs=0.5)  # 23.6 pixels
    assert heights.std() > 2.5  # 2.2
    assert widths.mean() == pytest.approx(15.8, abs=0.5)  # 15.9
    assert widths.std() > 3  # 3.5
    assert np.mean(drawn.images > 127) == pytest.approx(0.19, abs=0.02)  # 0.16


def test_geometry_makes_them_readable() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    scans, drawn = read_digits(), draw(300, 1)
    reader = KNeighborsClassifier(3).fit(scans.images.reshape(-1, 784), scans.labels)
    raw = reader.score(drawn.images.reshape(-1, 784), drawn.labels)
    normalised = np.stack([normalise(image) for image in drawn.images])
    placed = reader.score(normalised.reshape(-1, 784), drawn.labels)
    assert placed > 0.75  # found: 0.82; with 10,000 images of MNIST as teachers 0.94 (of 1,000 drawings)
    assert raw < 0.5  # found: 0.39; and 0.42
