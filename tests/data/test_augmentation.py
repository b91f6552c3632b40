"""Augmented images are those of SciPy's affine map and Keras' composition; they depend on (seed, epoch, index) alone."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from digitexp.compose import compose
from digitexp.data.augmentation import augment, maps
from digitexp.data.pen import draw
from digitexp.settings import Augmentation
from digitexp.signature import signature

OFF = Augmentation("none", None, None, None, None, None)
PRESET = replace(OFF, preset="rotate_zoom_shift")
EVERYTHING = Augmentation("none", 25.0, 0.3, 0.2, 15.0, 0.4)
IMAGES = draw(300, 1).images

amounts = st.builds(
    Augmentation, st.just("none"), st.floats(0, 180), st.floats(0, 0.9), st.floats(0, 1), st.floats(0, 60), st.floats(0, 1)
)


def drawn(count: int) -> Any:
    return np.random.default_rng(0).uniform(-1, 1, (count, 7))


def mean_and_spread(images: Any) -> tuple[Any, Any]:
    """Centre of mass x, y (n, 2) in pixels, and the root mean square distance of the ink from it (n, 2)."""
    mass = images.sum(axis=(1, 2), dtype=float)
    along = np.arange(28)
    middle = np.stack([images.sum(axis=1) @ along, images.sum(axis=2) @ along], axis=1) / mass[:, None]
    square = np.stack([images.sum(axis=1) @ along**2, images.sum(axis=2) @ along**2], axis=1) / mass[:, None]
    return middle, np.sqrt(square - middle**2)


@settings(max_examples=30)
@given(amounts, st.integers(0, 9))
def test_an_image_is_resampled_once_as_scipy_does(augmentation: Augmentation, first: int) -> None:
    images = IMAGES[first : first + 10]
    unlit = replace(augmentation, brightness=0.0)
    found = augment(images, unlit, seed=3, epoch=4)
    numbers = np.random.default_rng([3, 4, 0x617567]).uniform(-1, 1, (10, 7))
    for image, result, affine in zip(images, found, maps(numbers, unlit.amounts), strict=True):
        matrix, offset = affine[::-1, [1, 0]], affine[::-1, 2]  # SciPy counts rows first
        expected = ndimage.affine_transform(image.astype(float), matrix, offset, order=1, mode="grid-constant")
        assert np.abs(result - expected).max() < 9  # found: 0.6; OpenCV before 5 rounded places to 1/32 pixel
        assert np.abs(result - expected).mean() < 0.5


def test_the_map_is_zoom_then_slant_then_shift_then_rotation_about_the_centre() -> None:
    numbers = drawn(50)
    to_centre = np.array([[1, 0, -13.5], [0, 1, -13.5], [0, 0, 1]])
    for affine, (turn, wide, high, across, down, lean, _) in zip(maps(numbers, EVERYTHING.amounts), numbers, strict=True):
        angle = np.radians(25 * turn)
        rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        shift = np.array([[1, 0, 28 * 0.2 * across], [0, 1, 28 * 0.2 * down], [0, 0, 1]])
        slant = np.array([[1, np.tan(np.radians(15 * lean)), 0], [0, 1, 0], [0, 0, 1]])
        zoom = np.diag([1 + 0.3 * wide, 1 + 0.3 * high, 1])
        expected = np.linalg.inv(to_centre) @ rotation @ shift @ slant @ zoom @ to_centre
        assert np.allclose(affine, expected[:2])


def test_an_image_depends_on_seed_epoch_and_its_index_alone() -> None:
    whole = augment(IMAGES, EVERYTHING, 1, 2)
    assert np.array_equal(augment(IMAGES, EVERYTHING, 1, 2), whole)
    assert np.array_equal(augment(IMAGES[:7], EVERYTHING, 1, 2), whole[:7])
    others = IMAGES.copy()
    others[5:] = 255
    assert np.array_equal(augment(others, EVERYTHING, 1, 2)[:5], whole[:5])
    for seed, epoch in ((2, 2), (1, 3), (2, 1)):
        other = augment(IMAGES, EVERYTHING, seed, epoch)
        assert not any(np.array_equal(*pair) for pair in zip(other, whole, strict=True))


def test_the_number_of_threads_does_not_matter() -> None:
    threads = cv2.getNumThreads()
    whole = augment(IMAGES, EVERYTHING, 1, 2)
    try:
        cv2.setNumThreads(1)
        assert np.array_equal(augment(IMAGES, EVERYTHING, 1, 2), whole)
    finally:
        cv2.setNumThreads(threads)


@settings(max_examples=20)
@given(amounts)
def test_no_image_has_a_part_of_another(augmentation: Augmentation) -> None:
    images = np.zeros((600, 28, 28), np.uint8)
    images[::2] = 255
    result = augment(images, augmentation, 1, 1)
    assert not result[1::2].any()


def test_nothing_is_changed_where_nothing_is_asked() -> None:
    assert augment(IMAGES, OFF, 1, 1) is IMAGES
    assert augment(IMAGES, replace(PRESET, rotation=0.0, zoom=0.0, shift=0.0), 1, 1) is IMAGES
    before = IMAGES.copy()
    augment(IMAGES, EVERYTHING, 1, 1)
    assert np.array_equal(IMAGES, before)
    assert augment(IMAGES[:0], EVERYTHING, 1, 1).shape == (0, 28, 28)


def test_each_kind_of_change_does_what_it_says_within_its_bounds() -> None:
    disc = np.zeros((2000, 28, 28), np.uint8)
    disc[:] = cv2.circle(np.zeros((28, 28), np.uint8), (14, 14), 5, 200, -1)
    middle, size = (part[0] for part in mean_and_spread(disc[:1]))

    def changed(**kinds: float) -> tuple[Any, Any, Any]:
        images = augment(disc, replace(OFF, **kinds), 1, 1)
        return *mean_and_spread(images), images.max(axis=(1, 2))

    places, sizes, light = changed(shift=0.1)
    assert np.abs(places - middle).max() == pytest.approx(2.8, abs=0.1)
    assert np.abs((places - middle).mean(axis=0)).max() < 0.15  # of a standard error of 0.036
    assert np.allclose(sizes, size, atol=0.1)
    places, sizes, light = changed(zoom=0.2)
    assert (size / sizes).min() == pytest.approx(0.8, abs=0.03)
    assert (size / sizes).max() == pytest.approx(1.2, abs=0.03)
    assert abs(np.corrcoef(sizes.T)[0, 1]) < 0.1  # across and down are drawn apart
    places, sizes, light = changed(rotation=90)
    assert np.allclose(places, 13.5, atol=0.9)
    assert np.allclose(sizes, size, atol=0.1)
    places, sizes, light = changed(shear=20)
    assert sizes[:, 0].max() > size[0] * 1.04
    assert np.allclose(sizes[:, 1], size[1], atol=0.1)
    places, sizes, light = changed(brightness=0.5)
    assert np.allclose(places, middle)
    assert (light.min(), light.max()) == (100, 255)
    assert 190 < np.median(light) < 210


def test_nothing_is_mirrored() -> None:
    """The area that a turning hand encloses keeps its sign."""
    for affine in maps(drawn(500), replace(EVERYTHING, zoom=0.9, rotation=180.0, shear=60.0).amounts):
        assert np.linalg.det(affine[:, :2]) > 0


def test_a_kind_of_change_is_the_same_whatever_is_beside_it() -> None:
    shifted = maps(drawn(9), replace(OFF, shift=0.1).amounts)
    both = maps(drawn(9), replace(OFF, shift=0.1, brightness=0.3).amounts)
    assert np.array_equal(shifted, both)


def sign(*overrides: str) -> str:
    return signature(compose([f"training.augmentation.{override}" for override in overrides]), {})


def test_a_run_is_what_a_preset_stands_for_and_not_its_name() -> None:
    assert sign("preset=rotate_zoom_shift") == sign("rotation=10", "zoom=0.1", "shift=0.1") != sign()
    assert sign("preset=rotate_zoom_shift", "zoom=0") == sign("rotation=10", "shift=0.1")
    assert sign("rotation=0", "shear=0", "brightness=0") == sign()
    kinds = ("rotation=1", "zoom=0.5", "shift=0.5", "shear=1", "brightness=0.5")
    assert len({sign(kind) for kind in kinds} | {sign()}) == 6
