"""Pages of our own pen, with known digits at known places, under every light and on every paper that is promised."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import CLASSES, on_paper, overlap, page_of, reader

from digitexp.recognise import components, ink, sheet
from digitexp.recognise.shapes import Box, Region, Shape

LINES = ["31415", "9265", "3589"]


def read(page, lines=LINES, confidence=0.0):
    return sheet.read(page, reader(lines), CLASSES, confidence)


def check(page, boxes, lines=LINES):
    """Every digit is found at its place and read, in order, and nothing else."""
    reading = read(page, lines)
    assert reading.lines == list(lines)
    for mark, box in zip(reading.marks, boxes, strict=True):
        assert overlap(mark.box, box) > 0.7


@pytest.fixture(scope="module")
def written():
    return page_of(LINES)


@pytest.mark.parametrize(
    ("paper", "pen"),
    [
        pytest.param((235, 240, 238), (30, 30, 30), id="dark on light"),
        pytest.param((40, 50, 45), (230, 235, 230), id="light on dark"),
        pytest.param((235, 240, 238), (200, 90, 30), id="blue"),
        pytest.param((235, 240, 238), (60, 60, 220), id="red"),
        pytest.param((235, 240, 238), (90, 230, 240), id="yellow: as light as the paper"),
        pytest.param((235, 240, 238), (190, 190, 190), id="faint pencil"),
        pytest.param((40, 80, 30), (220, 240, 220), id="chalk on a green board"),
    ],
)
def test_any_ink_on_any_ground(written, paper, pen):
    check(on_paper(written[0], paper, pen), written[1])


@pytest.mark.parametrize("reversed_", [False, True])
def test_uneven_light(written, reversed_):
    page = on_paper(written[0]).astype(np.float32)
    page = 255 - page if reversed_ else page
    light = np.linspace(1, 0.35, page.shape[1])[None, :, None] * np.ones((page.shape[0], 1, 1))
    light[:, 480:] *= 0.6  # the edge of a shadow, between two digits or through one
    light = cv2.GaussianBlur(light.astype(np.float32), (0, 0), 8)
    check(np.clip(page * light[..., None], 0, 255).astype(np.uint8), written[1])


@settings(max_examples=8)
@given(st.floats(0, 12), st.integers(30, 95), st.integers(0, 99))
def test_noise_and_jpeg(noise, quality, seed):
    cover, boxes = page_of(LINES)
    page = on_paper(cover) + np.random.default_rng(seed).normal(0, noise, (*cover.shape, 1))
    coded = cv2.imencode(".jpg", np.clip(page, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    check(cv2.imdecode(coded, cv2.IMREAD_COLOR), boxes)


@pytest.mark.parametrize("slope", [0.0, 0.03])
@pytest.mark.parametrize("squared", [False, True])
def test_ruled_and_squared_paper(written, slope, squared):
    page = on_paper(written[0])
    lines = np.zeros(page.shape[:2], np.uint8)
    for y in range(20, 700, 45):
        cv2.line(lines, (0, y), (999, round(y + slope * 999)), 255, 2, cv2.LINE_AA)
    for x in range(15, 1000, 45) if squared else ():
        cv2.line(lines, (x, 0), (round(x - slope * 699), 699), 255, 2, cv2.LINE_AA)
    ruled = np.minimum(page, np.rint(255 - lines[..., None] * 0.5).astype(np.uint8))
    found = ink.find(ruled)
    assert (found.ruled > 0)[lines > 200].mean() > 0.8
    assert [len(line) for line in read(ruled).lines] == [5, 4, 4]


@pytest.mark.parametrize("slope", [-0.06, 0.0, 0.06])
def test_lines_that_slope_are_read_in_order(slope):
    cover, boxes = page_of(LINES, slope=slope, side=(760, 1000))
    check(on_paper(np.roll(cover, 20, axis=0)), [(x, y + 20, wide, high) for x, y, wide, high in boxes])


@pytest.mark.parametrize("pair", ["36", "52", "89", "47"])
@pytest.mark.parametrize("gap", [-1, 0])
def test_touching_digits_are_cut(pair, gap):
    cover, _ = page_of(["2718", pair], gap=30)
    joined, near = page_of(["", pair], gap=gap)
    cover[150:] = joined[150:]
    count = cv2.connectedComponents((cover[150:] > 0.5).astype(np.uint8))[0]
    reading = read(on_paper(cover), ["2718", pair])
    assert reading.lines == ["2718", pair], f"{count - 1} pieces of ink"
    for mark, box in zip(reading.marks[4:], near, strict=True):
        assert overlap(mark.box, box) > 0.6


@pytest.mark.parametrize("angle", [0, 50, 90, 130])
def test_a_broken_digit_is_one(angle):
    cover, boxes = page_of(["2708", "353"])
    for x, y, wide, high in boxes[1::3]:
        middle = np.array([x + wide / 2, y + high / 2])
        reach = 60 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        cv2.line(cover, *[tuple(int(v) for v in middle + sign * reach * 0.55) for sign in (-1, 1)], 0, 3)
    assert [len(line) for line in read(on_paper(cover), ["2708", "353"]).lines] == [4, 3]


@pytest.mark.parametrize("side", [28, 60, 400])
@pytest.mark.parametrize("reversed_", [False, True])
def test_a_picture_of_one_digit(side, reversed_):
    cover, _ = page_of(["5"], side=(200, 200))
    small = cv2.resize(cover[40:140, 30:130], (side, side), interpolation=cv2.INTER_AREA)
    page = on_paper(small)
    assert read(255 - page if reversed_ else page, ["5"]).lines == ["5"]


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("noise", [0, 10])
def test_an_empty_page_has_no_digits(level, noise):
    page = level + np.random.default_rng(1).normal(0, noise, (500, 600, 3))
    assert read(np.clip(page, 0, 255).astype(np.uint8)).marks == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 5)])
def test_no_size_is_too_odd(shape):
    page = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    read(page)


def test_dashes_blots_specks_and_frames_are_no_digits(written):
    page = on_paper(written[0])
    cv2.rectangle(page, (0, 0), (999, 699), (30, 30, 30), 12)  # the desk around the paper
    cv2.line(page, (600, 520), (640, 520), (30, 30, 30), 5)
    cv2.circle(page, (760, 600), 40, (30, 30, 30), -1)
    for x in range(500, 900, 40):
        cv2.circle(page, (x, 440), 2, (30, 30, 30), -1)
    check(page, written[1])


def test_below_the_limit_a_mark_is_a_question(written):
    page = on_paper(written[0])
    sure = read(page, confidence=0.0).marks
    limit = sorted(mark.probability for mark in sure)[4]
    for mark, before in zip(read(page, confidence=limit).marks, sure, strict=True):
        assert mark.digit == ("?" if before.probability < limit else before.digit)
        assert (mark.guess, mark.probability) == (before.guess, before.probability)
        assert mark.runner_up != mark.guess
        assert mark.runner_up_probability <= mark.probability


def test_what_the_network_gets_is_in_mnists_geometry(written):
    found = ink.find(on_paper(written[0]))
    regions, scale = components.find(found.written)
    assert 50 <= scale.height <= 70
    for region in regions:
        image = sheet.as_mnist(region.shapes[0, 0], found.strength, scale)
        y, x = np.nonzero(image >= 16)
        assert max(np.ptp(y), np.ptp(x)) + 1 in (19, 20)
        assert image.max() > 200
        middle = (image * np.arange(28)).sum() / image.sum()
        assert abs(middle - 13.5) < 1.5


def test_a_thin_pen_is_made_wider():
    thin = np.zeros((300, 300), np.uint8)
    cv2.line(thin, (60, 40), (60, 240), 255, 3)
    (region,), scale = components.find(thin)
    image = sheet.as_mnist(region.shapes[0, 0], thin, scale)
    assert 1.5 <= (image.astype(float).sum(axis=1) / 255)[6:22].mean() <= 4  # MNIST's strokes are 2 to 4 pixels wide


def test_the_best_way_is_the_most_probable():
    """Three pieces: as brute force over all ways would choose."""
    hand = np.random.default_rng(3)
    for _ in range(30):
        spans = [(first, last) for first in range(3) for last in range(first, 3)]
        shape_of = {span: Shape(Box(0, 0, 1, 1), np.ones((1, 1), np.uint8), float(hand.uniform(0, 1))) for span in spans}
        probability = {id(shape): float(hand.uniform(0.01, 1)) for shape in shape_of.values()}
        ways = [[(0, 0), (1, 1), (2, 2)], [(0, 1), (2, 2)], [(0, 0), (1, 2)], [(0, 2)]]
        scores = [sum(np.log(probability[id(shape_of[span])]) - shape_of[span].cost for span in way) for way in ways]
        best = [shape_of[span] for span in ways[int(np.argmax(scores))]]
        assert sheet.best_way(Region(3, shape_of), lambda shape, known=probability: known[id(shape)]) == best


def test_debug_has_a_picture_of_every_step(written):
    steps = sheet.read(on_paper(written[0]), reader(LINES), CLASSES, 0.5, debug=True).steps
    assert sorted(steps) == ["1_strength", "2_ruled", "3_written", "4_candidates", "5_digits"]
    assert not sheet.read(on_paper(written[0]), reader(LINES), CLASSES, 0.5).steps


@pytest.mark.parametrize("size", [(2, 2), (3, 3), (5, 2), (1, 9)])
def test_marks_smaller_than_a_pixel_have_one(size):
    hand = np.random.default_rng(0)
    for _ in range(10):
        page = hand.integers(0, 256, (*size, 3), np.uint8)
        marks = sheet.read(page, lambda images: np.full((len(images), 10), 0.1, np.float32), CLASSES, 0.0).marks
        assert all(mark.box.width >= 1 <= mark.box.height for mark in marks)
