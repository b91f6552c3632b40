"""Strokes become ink where the pen was, and a drawing that may be incomplete is said to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from digitexp.recognise.strokes import CANVAS, PEN, rasterise, warnings


def test_a_line_is_as_wide_as_the_pen_and_lies_where_it_was_drawn():
    canvas = rasterise([[(40, 140, 0), (240, 140, 9)]], 280)
    assert (canvas.dtype, canvas.shape) == (np.uint8, (CANVAS, CANVAS))
    rows, columns = np.flatnonzero(canvas.max(axis=1) > 127), np.flatnonzero(canvas.max(axis=0) > 127)
    assert len(rows) == pytest.approx(PEN, abs=2)
    assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(140, abs=1)
    assert (columns[0], columns[-1] + 1) == (pytest.approx(40 - PEN / 2, abs=2), pytest.approx(240 + PEN / 2, abs=2))


def test_a_point_alone_is_a_dot():
    canvas = rasterise([[(140, 140)]], 280)
    assert canvas[140, 140] == 255
    assert np.count_nonzero(canvas > 127) == pytest.approx(np.pi * PEN**2 / 4, rel=0.2)


@effort(max_examples=30)
@given(st.lists(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5), min_size=1, max_size=4),
       st.sampled_from([64, 280, 1120]))  # fmt: skip
def test_the_size_of_the_page_changes_nothing(strokes, size):
    ours = [[(x * 280, y * 280) for x, y in stroke] for stroke in strokes]
    theirs = [[(x * size, y * size) for x, y in stroke] for stroke in strokes]
    # To a 16th of a pixel: rounding may move the edge's grey by a few levels.
    np.testing.assert_allclose(rasterise(theirs, size).astype(int), rasterise(ours, 280), atol=40)
    assert rasterise(ours, 280).max() > 0


def test_warnings():
    whole = [[(60, 60), (220, 220)]]
    assert warnings(rasterise(whole, 280)) == []
    assert warnings(rasterise([], 280)) == ["There is no ink."]
    for edge in ([(140, 140), (140, 2)], [(140, 140), (279, 140)], [(140, 140), (140, 278)], [(3, 140), (140, 140)]):
        assert warnings(rasterise([edge], 280)) == ["It touches the border: part of it may be missing."]
    assert warnings(rasterise([[(140, 140), (142, 142)]], 280)) == ["There is very little ink: draw it larger."]
