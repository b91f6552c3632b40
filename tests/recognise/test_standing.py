"""The accuracy that the page shows is the one of the store, with intervals that SciPy gives too."""

import numpy as np
import pytest
from scipy import stats

from digitexp.data.sources import CLASSES
from digitexp.data.store import DrawingStore, Prediction
from digitexp.evaluation.compare import wilson
from digitexp.recognise import standing


@pytest.fixture
def store(tmp_path):
    """Two writers, two networks: the second has read only the drawings of the second writer."""
    rng = np.random.default_rng(5)
    with DrawingStore(tmp_path / "drawings.db") as store:
        for writer, networks in (("ann", "a"), ("ben", "ab")):
            sitting = store.begin(writer, "train")
            for number in range(40):
                label = CLASSES[number % 10]
                said = [
                    Prediction(name, f"digest {name}", CLASSES,
                               tuple(np.eye(10)[int(label) if rng.random() < right else 0].tolist()))
                    for name, right in (("a", 0.6), ("b", 0.9)) if name in networks
                ]  # fmt: skip
                store.put(sitting, f"{writer}{number}", [], np.zeros((28, 28), np.uint8), said, label=label)
            store.put(sitting, f"{writer} unlabelled", [], np.zeros((28, 28), np.uint8), said)
        yield store


def hits(store, model, writer=None):
    return np.array([
        said.read_as == drawing.label
        for drawing in store.drawings(labelled=True) if writer in (None, drawing.sitting.writer)
        for said in drawing.predictions if said.model == model
    ])  # fmt: skip


def test_totals_digits_and_writers_are_those_of_the_store(store):
    a, b = standing.standings(store)
    assert (a.model, a.digest, b.model) == ("a", "digest a", "b")
    for found, model, n in ((a, "a", 80), (b, "b", 40)):
        truth = hits(store, model)
        assert (found.total.correct, found.total.n) == (truth.sum(), n)
        assert (found.total.low, found.total.high) == pytest.approx(wilson(int(truth.sum()), n))
        assert [digit.name for digit in found.digits] == list(CLASSES)
        assert sum(digit.correct for digit in found.digits) == truth.sum()
        assert {writer.name: writer.correct for writer in found.writers} == {
            name: hits(store, model, name).sum() for name in ("ann", "ben")[2 - n // 40 :]
        }
    (only,) = standing.standings(store, store.sittings()[0])
    assert (only.model, only.total.n) == ("a", 40)


def test_the_curve_ends_at_the_total_and_its_band_is_wilsons(store):
    a, _ = standing.standings(store)
    truth = hits(store, "a")
    assert len(a.running) == standing.POINTS
    assert a.running[-1] == pytest.approx((80, a.total.correct / 80, a.total.low, a.total.high))
    for n, accuracy, low, high in a.running:
        assert accuracy == pytest.approx(truth[:n].mean())
        assert (low, high) == pytest.approx(stats.binomtest(int(truth[:n].sum()), n).proportion_ci(method="wilson"))
    assert [row[0] for row in standing.running(np.array([True, False]))] == [1, 2]
    assert standing.running(np.array([], bool)) == []


def test_a_duel_is_fought_on_what_both_have_read(store):
    duel = standing.duel(store, "digest a", "digest b")
    a, b = hits(store, "a", "ben"), hits(store, "b", "ben")
    assert (duel.n, duel.only_first, duel.only_second) == (40, (a & ~b).sum(), (b & ~a).sum())
    assert duel.p == pytest.approx(stats.binomtest(duel.only_first, duel.only_first + duel.only_second).pvalue)
    assert standing.duel(store, "digest a", "nobody") == standing.Duel(0, 0, 0, 1.0, None)


def test_how_many_more_drawings_would_tell_two_apart(tmp_path):
    """Where 12 and 8 of 100 tell them apart: as many more as Miettinen's formula asks for; for alike ones, nothing."""
    with DrawingStore(tmp_path / "drawings.db") as store:
        sitting = store.begin("ann", "score")
        for number in range(100):
            label = "1" if number < 12 else "2" if number < 20 else "3"
            said = [Prediction(name, name, CLASSES, tuple(np.eye(10)[read].tolist())) for name, read in (("a", 1), ("b", 2))]
            store.put(sitting, str(number), [], np.zeros((28, 28), np.uint8), said, label=label)
        found = standing.duel(store, "a", "b")
        z = stats.norm.isf(0.025) * np.sqrt(0.2) + stats.norm.ppf(0.8) * np.sqrt(0.2 - 0.04**2)
        assert found.further == int(np.ceil((z / 0.04) ** 2)) - 100
        assert standing.duel(store, "a", "a").further is None
