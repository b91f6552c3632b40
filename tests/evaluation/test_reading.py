"""Images are read well by what was learnt from other images, and only by that."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from digitexp.data.sources import read_digits
from digitexp.evaluation.reading import read, strokes

DIGITS = read_digits()
FEW = DIGITS.take(np.arange(400))


def scores(digits, labels, learnt=None, alike=None):
    """Logarithms of the probabilities without their scale, which all labels together decide."""
    learnt = np.ones(len(digits), bool) if learnt is None else learnt
    alike = np.arange(len(digits)) if alike is None else alike
    logs = np.log(read(digits.images, labels, 10, learnt, alike))
    logs -= logs.mean(axis=1, keepdims=True)
    return logs / np.linalg.norm(logs, axis=1, keepdims=True)


def test_reads_better_than_the_nearest_neighbours():
    probabilities = read(DIGITS.images, DIGITS.labels, 10, np.ones(len(DIGITS), bool), np.arange(len(DIGITS)))
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    accuracy = (probabilities.argmax(axis=1) == DIGITS.labels).mean()
    half = np.arange(len(DIGITS)) % 2 == 0
    flat = DIGITS.images.reshape(len(DIGITS), -1) / 255
    neighbours = KNeighborsClassifier(5).fit(flat[half], DIGITS.labels[half]).score(flat[~half], DIGITS.labels[~half])
    assert accuracy > max(neighbours, 0.98)


def test_an_image_is_not_read_by_its_own_label():
    changed = FEW.labels.copy()
    changed[7] = (changed[7] + 1) % 10
    before, after = scores(FEW, FEW.labels), scores(FEW, changed)
    assert after[7] == pytest.approx(before[7], abs=1e-3)
    assert np.abs(after - before).max() > 0.01  # the others are read by it


def test_nor_by_the_label_of_its_copy():
    rows = np.append(np.arange(400), 7)
    twice, alike = FEW.take(rows), rows
    changed = twice.labels.copy()
    changed[400] = (changed[400] + 1) % 10
    before, after = scores(twice, twice.labels, alike=alike), scores(twice, changed, alike=alike)
    assert after[[7, 400]] == pytest.approx(before[[7, 400]], abs=1e-3)


def test_nothing_is_learnt_from_what_is_left_out():
    learnt = np.arange(400) != 7
    changed = FEW.labels.copy()
    changed[7] = (changed[7] + 1) % 10
    assert scores(FEW, changed, learnt) == pytest.approx(scores(FEW, FEW.labels, learnt), abs=1e-3)


def test_nothing_can_be_said_of_copies_of_one_image():
    images = np.zeros((20, 28, 28), np.uint8)
    found = read(images, np.arange(20) % 10, 10, np.ones(20, bool), np.zeros(20, int))
    assert found == pytest.approx(0.1)


def test_refuses_a_single_image():
    with pytest.raises(ValueError, match="found 1, allowed are 2 or more"):
        read(FEW.images[:1], FEW.labels[:1], 10, np.ones(1, bool), np.zeros(1, int))


def test_strokes_are_told_by_their_direction():
    upright, level, blank = np.zeros((3, 1, 28, 28), np.uint8)
    upright[0, 4:24, 12:16] = 255
    level[0, 12:16, 4:24] = 255
    both = strokes(np.concatenate([upright, level, blank]))
    assert both.shape == (3, 8 * 7 * 7)
    assert np.linalg.norm(both, axis=1) == pytest.approx([1, 1, 0])
    assert both[0] @ both[1] < 0.5
    assert both[0].reshape(8, 7, 7).transpose(0, 2, 1)[[2, 1, 0, 7, 6, 5, 4, 3]].ravel() == pytest.approx(both[1], abs=1e-3)
