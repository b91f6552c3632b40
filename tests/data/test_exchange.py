"""Drawings leave the store and come back: the csv pair of seed 003, folders of PNGs, a zip."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digitexp.compose import compose
from digitexp.data import drawings, exchange, pen
from digitexp.data.sources import CLASSES
from digitexp.data.store import DrawingStore
from digitexp.errors import DataError


@pytest.fixture
def store(tmp_path):
    with DrawingStore(tmp_path / "drawings.db") as store:
        train, score = store.begin("ann", "train"), store.begin("ben", "score")
        for number in range(14):
            canvas = pen.write(number % 10, np.random.default_rng(number))
            store.put(score if number > 9 else train, f"n{number}", [], canvas, label=str(number % 10))
        store.put(train, "unlabelled", [], np.zeros((60, 60), np.uint8))
        yield store


def read(source, *overrides):
    drawn = compose([f"data.drawn.source={source}", "data.drawn.geometry=raw", "data.drawn.holdout=0", *overrides]).data.drawn
    return drawings.read(drawn, CLASSES)


def test_what_is_exported_reads_as_what_is_stored(store, tmp_path):
    assert exchange.export(store, tmp_path / "out", CLASSES) == 14
    stored = read("store", f"data.drawn.store={store.file}")
    csv = read("csv", f"data.drawn.images={tmp_path}/out/images.csv", f"data.drawn.labels={tmp_path}/out/labels.csv")
    folder = read("folder", f"data.drawn.images={tmp_path}/out/png")
    assert csv.digest() == folder.digest() == stored.digest()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["images.csv", "labels.csv", "png"]


def test_there_and_back_nothing_changes_and_again_nothing_is_added(store, tmp_path):
    exchange.export(store, tmp_path / "out", CLASSES)
    with DrawingStore(tmp_path / "copy.db") as copy:
        assert exchange.add(copy, tmp_path / "out", CLASSES, "ann", "train") == (14, 0)
        assert exchange.add(copy, tmp_path / "out", CLASSES, "ann", "train") == (0, 14)
        for before, after in zip(store.drawings(labelled=True), copy.drawings(), strict=True):
            assert (before.label, after.sitting.writer, after.sitting.role) == (after.label, "ann", "train")
            np.testing.assert_array_equal(before.raster, after.raster)


def test_what_the_page_drew_is_known_by_what_it_is(store, tmp_path):
    exchange.export(store, tmp_path / "out", CLASSES)
    assert exchange.add(store, tmp_path / "out", CLASSES, "ann", "train") == (0, 14)
    (first,) = (tmp_path / "out" / "png" / "3").glob("000004.png")
    (first.parent / "twice.png").write_bytes(first.read_bytes())
    assert exchange.add(store, tmp_path / "out", CLASSES, "ann", "train") == (1, 14)
    added = store.drawings()[-1]
    store.label(added.sitting, added.id, "8")  # corrected since
    assert exchange.add(store, tmp_path / "out", CLASSES, "ann", "train") == (0, 15)


def test_the_seeds_own_pair_is_taken_in_with_its_doubles(tmp_path):
    images = np.stack([pen.draw(6, 1).images[number] for number in (0, 1, 2, 2, 3)])
    np.savetxt(tmp_path / "images.csv", images.reshape(5, 784), fmt="%d", delimiter=",")
    (tmp_path / "labels.csv").write_text("0\n1\n2\n2\n3\n")
    with DrawingStore(tmp_path / "drawings.db") as store:
        assert exchange.add(store, tmp_path, CLASSES, "seed 003", "train") == (5, 0)
        found = store.drawings(labelled=True)
        np.testing.assert_array_equal([drawing.raster for drawing in found], images)
        assert [drawing.label for drawing in found] == ["0", "1", "2", "2", "3"]


def test_the_archive_holds_the_same_files(store, tmp_path):
    exchange.export(store, tmp_path / "out", CLASSES)
    with zipfile.ZipFile(io.BytesIO(exchange.archive(store, CLASSES))) as packed:
        assert packed.testzip() is None
        for name in packed.namelist():
            assert packed.read(name) == (tmp_path / "out" / name.removeprefix("drawings/")).read_bytes()
        assert len(packed.namelist()) == 16


def test_a_folder_may_be_in_ones_home(store, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    exchange.export(store, Path("~/out"), CLASSES)
    assert (tmp_path / "out" / "labels.csv").is_file()
    assert exchange.add(store, Path("~/out"), CLASSES, "ann", "train") == (0, 14)


def test_what_it_refuses(store, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="there: is there already; name a new folder"):
        exchange.export(store, tmp_path / "there", CLASSES)
    with DrawingStore(tmp_path / "empty.db") as empty, pytest.raises(DataError, match="found no drawing with a label"):
        exchange.export(empty, tmp_path / "none", CLASSES)
    with pytest.raises(DataError, match=r"'\.\./x' cannot name a folder of PNGs"):
        exchange.export(store, tmp_path / "none", (*CLASSES, "../x"))
    store.put(store.sittings()[0], "letter", [], np.zeros((60, 60), np.uint8), label="q")
    with pytest.raises(DataError, match=r"found drawings labelled q, .* type 'data\.classes=\[\"0\",.*\"9\",\"q\"\]'"):
        exchange.export(store, tmp_path / "none", CLASSES)
    (tmp_path / "a file").touch()
    with pytest.raises(DataError, match=r"draw\.export=.*a file/out: cannot be written: File exists; name another"):
        exchange.export(store, tmp_path / "a file" / "out", (*CLASSES, "q"))
    with pytest.raises(DataError, match="no such folder"):
        exchange.add(store, tmp_path / "nowhere", CLASSES, "ann", "train")
    assert not (tmp_path / "none").exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".unfinished")] == []
