"""The drawing page without its page: recognise, store, label, ask in balanced order, compare two networks."""

from collections import Counter

import numpy as np
import pytest
from desks import DRAWN, Bars, network, pen_strokes, seat

from digitexp.data.geometry import normalise
from digitexp.data.sources import CLASSES
from digitexp.errors import ConfigError, DataError
from digitexp.recognise import standing
from digitexp.recognise.network import Network
from digitexp.recognise.sitting import Desk
from digitexp.recognise.strokes import rasterise


@pytest.fixture
def desk(tmp_path):
    with seat(tmp_path) as desk:
        yield desk


def test_a_drawing_is_recognised_and_stored_at_once(desk):
    sitting = desk.begin("  ann ", "train")
    strokes = pen_strokes(5, 1)
    reading = desk.draw(sitting, "one", strokes, 280)
    (stored,) = desk.store.drawings()
    np.testing.assert_array_equal(reading.image, normalise(stored.raster))
    assert (stored.label, stored.asked, stored.sitting.writer) == (None, None, "ann")
    assert stored.predictions == reading.predictions
    np.testing.assert_array_equal(stored.raster, rasterise(stored.strokes, 280))
    np.testing.assert_allclose(np.array(stored.strokes[0])[:, :2], np.array(strokes[0])[:, :2], atol=0.01)
    assert sum(reading.predictions[0].probabilities) == pytest.approx(1, abs=1e-4)
    desk.label(sitting, "one", "5")
    assert desk.store.drawings(labelled=True)[0].label == "5"


def test_what_is_promoted_meanwhile_did_not_read_the_drawing(desk):
    class Promoting(Bars):
        def predict_on_batch(self, images):
            desk.networks[0] = network("models:/new/1")
            return super().predict_on_batch(images)

    desk.networks[0] = Network("models:/old/1", "old", CLASSES, model=Promoting())
    (said,) = desk.draw(desk.begin("ann", "train"), "one", [[[140, 100, 0]]], 280).predictions
    assert (said.model, said.digest) == ("models:/old/1", "old")


def test_strokes_are_stored_in_the_units_of_the_raster(desk):
    sitting = desk.begin("ann", "train")
    desk.draw(sitting, "one", [[[32, 64, 5]]], 64)
    assert desk.store.drawings()[0].strokes == [[[140, 280, 5]]]


def test_it_asks_for_every_class_once_a_round_in_another_order_each_time(desk):
    sitting = desk.begin("ann", "score", prompted=True)
    asked = []
    for turn in range(30):
        asked.append(desk.prompt(sitting))
        desk.draw(sitting, f"n{turn}", [[[140, 100, 0], [140, 200, 9]]], 280)
        assert desk.prompt(sitting) == asked[-1]  # until it has a label
        desk.label(sitting, f"n{turn}", asked[-1])
    assert all(Counter(asked[first : first + 10]) == Counter(CLASSES) for first in (0, 10, 20))
    assert asked[:10] != asked[10:20] != asked[20:]
    assert {drawing.asked for drawing in desk.store.drawings()} == set(CLASSES)
    assert desk.prompt(desk.begin("ben", "score", prompted=True)) or True
    assert desk.prompt(desk.begin("ben", "train")) is None


def test_two_sittings_at_once_do_not_mix(desk):
    ann, ben = desk.begin("ann", "train"), desk.begin("ben", "score")
    for turn in range(4):
        for sitting in (ann, ben):
            desk.draw(sitting, f"{sitting.writer}{turn}", [[[140, 100, 0], [140, 200, 9]]], 280)
            desk.label(sitting, f"{sitting.writer}{turn}", "1")
    with pytest.raises(DataError, match="none of that name in this sitting"):
        desk.label(ann, "ben0", "2")
    with pytest.raises(DataError, match="in another sitting"):
        desk.draw(ann, "ben0", [[[140, 100, 0]]], 280)
    assert [drawing.id[:3] for drawing in desk.store.drawings(ann)] == ["ann"] * 4
    assert desk.store.counts() == {"train": 4, "score": 4}


def test_letters_are_labels_before_any_network_knows_them(tmp_path, desk):
    more = Desk(desk.store, [network()], [*CLASSES, "a", "ß"], DRAWN)
    sitting = more.begin("ann", "train")
    more.draw(sitting, "one", [[[140, 100, 0]]], 280)
    more.label(sitting, "one", "ß")
    with pytest.raises(DataError, match=r"label: found 'b'; allowed are 0, 1, .*, a, ß"):
        more.label(sitting, "one", "b")


@pytest.mark.parametrize(("writer", "role"), [("", "train"), ("  ", "train"), ("x" * 61, "train"), ("a\nb", "train"), ("ann", "both")])
def test_who_may_not_sit_down(desk, writer, role):
    with pytest.raises(DataError, match=r"writer: allowed is a name|role: found 'both'; allowed are train and score"):
        desk.begin(writer, role)


def test_two_networks_are_compared_blind(tmp_path, desk):
    pair = [network("models:/a/1", constant=1), network("models:/b/1", constant=2)]
    both = Desk(desk.store, pair, CLASSES, DRAWN)
    assert (desk.blind, both.blind) == (False, True)
    sitting = both.begin("ann", "score")
    assert sitting.blind
    for turn, label in enumerate(["1"] * 14 + ["2"] * 4 + ["3"] * 2):
        both.draw(sitting, f"n{turn}", [[[140, 100, 0]]], 280)
        both.label(sitting, f"n{turn}", label)
    duel = standing.duel(desk.store, pair[0].digest, pair[1].digest)
    assert (duel.n, duel.only_first, duel.only_second) == (20, 14, 4)
    # Exact McNemar: 2 * P(X <= 4), X ~ binomial(18, 1/2)
    assert duel.p == pytest.approx(2 * sum([1, 18, 153, 816, 3060]) / 2**18)
    assert duel.further == 0
    with pytest.raises(ConfigError, match=r"draw\.against=models:/a/1: is the same network as"):
        Desk(desk.store, [pair[0], pair[0]], CLASSES, DRAWN)
