"""Test-time shifts: every image is moved each way, and what is said is averaged."""

import numpy as np

from digitexp.evaluation.shifts import average, moved

DOT = np.zeros((1, 28, 28), np.uint8)
DOT[0, 10, 20] = 200


def test_images_are_moved_each_way():
    views = [np.ascontiguousarray(view) for view in moved(DOT, 1)]
    places = {tuple(int(at[0]) for at in np.nonzero(view[0])) for view in views}
    assert len(views) == 9
    assert places == {(row, column) for row in (9, 10, 11) for column in (19, 20, 21)}
    assert np.array_equal(views[4], DOT)


def test_what_leaves_the_image_is_gone_and_what_comes_in_is_background():
    corner = np.zeros((1, 28, 28), np.uint8)
    corner[0, 0, 0] = 200
    assert sorted(int(view.sum()) for view in moved(corner, 1)) == [0] * 5 + [200] * 4


def test_what_is_said_is_averaged():
    def predict(images):
        right = (images[:, 10, 20] > 0).astype(np.float32)
        return np.stack([right, 1 - right], axis=1)

    assert np.allclose(average(predict, DOT, 1), [[1 / 9, 8 / 9]])
    assert np.array_equal(average(predict, DOT, 0), predict(DOT))
