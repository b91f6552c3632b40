"""What is measured of images whose ink is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitexp.data.measures import first_alike, measure


def block(top, left, height, width):
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, top : top + height, left : left + width] = 255
    return image


@settings(max_examples=50)
@given(st.data())
def test_a_block_is_measured_as_it_is(data):
    height, width = data.draw(st.integers(1, 28)), data.draw(st.integers(1, 28))
    top, left = data.draw(st.integers(0, 28 - height)), data.draw(st.integers(0, 28 - width))
    found = measure(block(top, left, height, width))
    assert found.height[0] == height
    assert found.width[0] == width
    assert found.row[0] == pytest.approx(top + (height - 1) / 2)
    assert found.column[0] == pytest.approx(left + (width - 1) / 2)
    assert found.ink[0] == height * width / 784
    assert found.border[0] == (top == 0 or left == 0 or top + height == 28 or left + width == 28)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_width_of_a_long_stroke(width):
    for image in (block(2, 10, 24, width), block(10, 2, width, 24)):
        assert measure(image).stroke[0] == pytest.approx(width, rel=0.1)
    grey = (block(2, 10, 24, width + 2) * 0.5).astype(np.uint8)
    grey[:, :, 11 : 11 + width] = block(2, 11, 24, width)[:, :, 11 : 11 + width]
    assert measure(grey).stroke[0] == pytest.approx(width + 1, rel=0.15)  # two halves are one pixel


def test_what_is_blank_has_no_place():
    found = measure(np.zeros((2, 28, 28), np.uint8))
    assert found.ink.tolist() == [0, 0]
    assert not found.border.any()
    for values in (found.height, found.width, found.row, found.column, found.stroke):
        assert np.isnan(values).all()


def test_no_images_have_no_measures():
    assert len(measure(np.zeros((0, 28, 28), np.uint8)).stroke) == 0


def test_measuring_many_is_measuring_each():
    images = np.random.default_rng(0).integers(0, 256, (2003, 28, 28), dtype=np.uint8)
    assert (measure(images).stroke[1990:] == measure(images[1990:]).stroke).all()


@given(st.lists(st.integers(0, 4), max_size=20))
def test_the_first_of_each_kind(kinds):
    images = np.array(kinds, np.uint8)[:, None, None] * np.ones((1, 28, 28), np.uint8)
    assert first_alike(images).tolist() == [kinds.index(kind) for kind in kinds]


def test_one_pixel_is_enough_to_differ():
    images = np.zeros((3, 28, 28), np.uint8)
    images[1, 27, 27] = 1
    assert first_alike(images).tolist() == [0, 1, 0]
