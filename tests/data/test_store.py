"""The store of drawings: nothing that was acknowledged is lost, no two sittings mix, and sets are as their sittings are."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from digitexp.compose import compose
from digitexp.data import drawings, sets, sources
from digitexp.data.geometry import normalise
from digitexp.data.sources import CLASSES
from digitexp.data.store import DrawingStore, Prediction
from digitexp.decisive import present
from digitexp.errors import ConfigError, DataError
from digitexp.signature import signature


def raster(number):
    """A drawing unlike any other: a bar whose place and length are its number."""
    image = np.zeros((280, 280), np.uint8)
    image[20 + number : 220, 100 : 120 + number] = 255
    return image


def said(model, read_as, classes=CLASSES):
    shares = [0.91 if name == read_as else 0.01 for name in classes]
    return Prediction(model, f"digest of {model}", tuple(classes), tuple(shares))


@pytest.fixture
def store(tmp_path):
    with DrawingStore(tmp_path / "drawings.db") as store:
        yield store


def fill(store, to_train=6, to_score=4, model="models:/digitexp/1"):
    """Drawings of 0, 1, ...; the network reads every third one wrong. Sittings take turns."""
    train, score = store.begin("ann", "train"), store.begin("ben", "score")
    for number in range(max(to_train, to_score)):
        for sitting, count in ((train, to_train), (score, to_score)):
            if number < count:
                label = CLASSES[number % 10]
                name = f"{sitting.role}-{number}"
                read = "9" if number % 3 == 0 else label
                store.put(sitting, name, [[[1, 2, 3]]], raster(number + 50 * (sitting is score)), [said(model, read)])
                store.label(sitting, name, label)
    return train, score


def test_a_drawing_comes_back_as_it_was(store):
    sitting = store.begin("Ann <b>", "train", prompted=True, blind=True)
    strokes = [[[1.5, 2.25, 0.0], [3.0, 4.0, 16.0]], [[5.0, 6.0, 700.0]]]
    predictions = [said("a", "3"), said("b", "8", ("3", "8"))]
    store.put(sitting, "one", strokes, raster(3), predictions, asked="3")
    (found,) = store.drawings()
    assert (found.id, found.strokes, found.asked, found.label, found.number) == ("one", strokes, "3", None, 1)
    assert found.sitting == sitting == store.sitting(sitting.id)
    assert list(found.predictions) == predictions
    assert [one.read_as for one in found.predictions] == ["3", "8"]
    np.testing.assert_array_equal(found.raster, raster(3))
    assert found.time.endswith("+00:00")


def test_drawings_and_their_sittings_are_read_at_one_moment(store):
    asked = []
    store._database.set_trace_callback(asked.append)
    store.drawings()
    assert asked.count("BEGIN IMMEDIATE") == 1


def test_it_is_there_for_another_reader_at_once_and_after_reopening(store):
    sitting = store.begin("ann", "train")
    store.put(sitting, "one", [], raster(1), [said("a", "1")])
    with DrawingStore(store.file, create=False) as other:
        assert [drawing.id for drawing in other.drawings()] == ["one"]
        other.label(other.sitting(sitting.id), "one", "1")
    assert store.drawings(labelled=True)[0].label == "1"


def test_a_drawing_grows_until_it_has_a_label_and_the_label_can_be_taken_back(store):
    sitting, other = store.begin("ann", "train"), store.begin("ann", "train")
    store.put(sitting, "one", [[[0, 0, 0]]], raster(1), [said("a", "1")])
    store.put(sitting, "one", [[[0, 0, 0]], [[1, 1, 1]]], raster(2), [said("a", "4")])
    (found,) = store.drawings()
    assert (len(found.strokes), found.predictions[0].read_as) == (2, "4")
    with pytest.raises(DataError, match="drawing one: is stored already"):
        store.put(other, "one", [], raster(3))
    with pytest.raises(DataError, match="drawing one: there is none of that name in this sitting"):
        store.label(other, "one", "4")
    store.label(sitting, "one", "4")
    with pytest.raises(DataError, match="is stored already, with its label"):
        store.put(sitting, "one", [], raster(3))
    store.label(sitting, "one", None)
    store.put(sitting, "one", [], raster(3))
    assert (store.labelled(sitting), len(store.drawings())) == (0, 1)


def test_a_sitting_that_exists_is_not_begun_again(store):
    sitting = store.begin("ann", "train", id="abc")
    assert store.begin("ben", "score", id="abc") == sitting
    with pytest.raises(DataError, match="sitting nobody: there is none of that name"):
        store.sitting("nobody")


def test_many_threads_and_connections_lose_nothing(store):
    """Eight writers, half of them through connections of their own."""

    def write(writer):
        mine = DrawingStore(store.file) if writer % 2 else store
        sitting = mine.begin(f"writer {writer}", "train")
        for number in range(10):
            mine.put(sitting, f"{writer}-{number}", [], raster(number), [said("a", "1")])
            mine.label(sitting, f"{writer}-{number}", "1")
        if writer % 2:
            mine.close()

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.drawings(labelled=True)
    assert {drawing.id for drawing in found} == {f"{writer}-{number}" for writer in range(8) for number in range(10)}
    assert all(drawing.sitting.writer == f"writer {drawing.id[0]}" for drawing in found)


@effort(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["put", "label", "back"]), st.integers(0, 4)), max_size=25))
def test_any_order_of_calls_leaves_what_a_dictionary_would(tmp_path_factory, calls):
    kept = {}
    with DrawingStore(tmp_path_factory.mktemp("store") / "drawings.db") as store:
        sitting = store.begin("ann", "train")
        for turn, (call, number) in enumerate(calls):
            name = str(number)
            try:
                if call == "put":
                    store.put(sitting, name, [[[turn, 0, 0]]], raster(number), [said("a", "1")])
                    assert kept.get(name, (0, None))[1] is None
                    kept[name] = (turn, None)
                else:
                    store.label(sitting, name, "3" if call == "label" else None)
                    kept[name] = (kept[name][0], "3" if call == "label" else None)
            except DataError:
                assert name not in kept or kept[name][1]
        assert {one.id: (one.strokes[0][0][0], one.label) for one in store.drawings()} == kept


def test_a_copy_is_a_store_and_goes_its_own_way(store, tmp_path):
    fill(store)
    store.copy_to(tmp_path / "frozen" / "copy.db")
    store.begin("cid", "train")
    with DrawingStore(tmp_path / "frozen" / "copy.db", create=False) as copy:
        assert (len(copy.drawings()), len(copy.sittings()), len(store.sittings())) == (10, 2, 3)
        assert copy.rasters() == store.rasters()
    (tmp_path / "a file").touch()
    with pytest.raises(DataError, match=r"a file/copy\.db: the store of drawings cannot be copied here"):
        store.copy_to(tmp_path / "a file" / "copy.db")


def test_a_full_disk_is_said_and_what_was_there_stays(store):
    fill(store)
    sitting = store.sittings()[0]
    store._database.execute(f"PRAGMA max_page_count = {store._database.execute('PRAGMA page_count').fetchone()[0]}")
    noise = np.random.default_rng(1).integers(0, 256, (280, 280), np.uint8)
    with pytest.raises(DataError, match=r"drawings\.db: cannot be read or written: database or disk is full"):
        store.put(sitting, "large", [], noise)
    store._database.execute("PRAGMA max_page_count = 1000000")
    store.put(sitting, "large", [], noise)
    assert len(store.drawings()) == 11


def test_damage_is_said_where_it_is_met(store, tmp_path):
    fill(store, to_train=40)
    store.copy_to(tmp_path / "damaged.db")
    content = bytearray((tmp_path / "damaged.db").read_bytes())
    content[8192:] = b"\x99" * (len(content) - 8192)  # all but the first pages
    (tmp_path / "damaged.db").write_bytes(content)
    said = r"damaged\.db: cannot be read or written: database disk image is malformed"
    with DrawingStore(tmp_path / "damaged.db") as damaged, pytest.raises(DataError, match=said):
        damaged.drawings()


@pytest.mark.parametrize("version", [0, 1, 7])
def test_another_programs_file_is_refused_and_left_as_it_is(tmp_path, version):
    file = tmp_path / "foreign.db"
    with closing(sqlite3.connect(file)) as foreign:
        foreign.executescript(f"CREATE TABLE birds (name TEXT); PRAGMA user_version = {version}")
    before = file.read_bytes()
    with pytest.raises(DataError, match=r"foreign\.db: found another program's database"):
        DrawingStore(file)
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (before, [file])


def drawn(store, **changes):
    return replace(compose(["data.drawn.source=store", f"data.drawn.store={store.file}"]).data.drawn, **changes)


def test_sittings_are_trained_on_or_scored_never_both(store):
    fill(store)
    data = compose([f"data.drawn.store={store.file}", "data.drawn.source=store", "data.manual_labels=6"]).data
    found = sets.load(data)
    alone = sets.load(compose().data)
    assert len(found["train"]) == len(alone["train"]) + 6 == sets.size(data)
    assert found["train"].labels[-6:].tolist() == [0, 1, 2, 3, 4, 5]
    assert found["drawn"].labels.tolist() == [0, 1, 2, 3]
    expected = [normalise(raster(number + 50), light_ink=True) for number in range(4)]
    np.testing.assert_array_equal(found["drawn"].images, expected)
    with pytest.raises(DataError, match=r"data\.manual_labels=7: found 10 drawings, of which the last 4 are scored .*allowed are 0 to 6"):
        sets.load(replace(data, manual_labels=7))
    few = sets.load(replace(data, drawn=replace(data.drawn, holdout=3)))
    assert few["drawn"].labels.tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="manual_labels=7"):  # a smaller holdout frees nothing that was drawn to be scored
        sets.size(replace(data, manual_labels=7, drawn=replace(data.drawn, holdout=3)))


def test_recognised_by_takes_what_that_network_misread(store):
    fill(store)
    for name in ("models:/digitexp/1", "digest of models:/digitexp/1"):
        found = drawings.read(drawn(store, recognised_by=name), CLASSES)
        assert found.labels.tolist() == [0, 3, 0, 1, 2, 3]  # two were misread; what is scored stays
    with pytest.raises(DataError, match=r"recognised_by=models:/digitexp/2: .* recognised by models:/digitexp/1\. Did you mean"):
        drawings.count(drawn(store, recognised_by="models:/digitexp/2"), CLASSES)
    assert drawings.notes(drawn(store), CLASSES) == []
    fill_other = store.begin("cid", "train")
    store.put(fill_other, "other", [], raster(40), [said("models:/digitexp/2", "1")])
    store.label(fill_other, "other", "7")
    (note,) = drawings.notes(drawn(store), CLASSES)
    assert "2 of 6 by models:/digitexp/1, 1 of 1 by models:/digitexp/2" in note
    assert drawings.notes(drawn(store, recognised_by="models:/digitexp/2"), CLASSES) == []


def test_what_is_not_a_class_or_has_no_label_is_left_out(store):
    train, _ = fill(store)
    store.put(train, "a letter", [], raster(41), [said("a", "1")])
    store.label(train, "a letter", "q")
    store.put(train, "unlabelled", [], raster(42), [said("a", "1")])
    assert drawings.count(drawn(store), CLASSES) == 10
    assert "1 drawings are labelled with a class that is not in data.classes" in drawings.notes(drawn(store), CLASSES)[0]
    letters = drawings.read(drawn(store), (*CLASSES, "q"))
    assert letters.labels[:7].tolist() == [0, 1, 2, 3, 4, 5, 10]


def test_runs_are_known_by_the_drawings_and_not_by_the_file(store, tmp_path):
    fill(store)
    config = compose(["data.drawn.source=store", f"data.drawn.store={store.file}"])
    before = signature(config, drawings.digests(config.data.drawn))
    with DrawingStore(tmp_path / "elsewhere.db") as other:
        fill(other)
        moved = compose(["data.drawn.source=store", f"data.drawn.store={other.file}"])
        assert signature(moved, drawings.digests(moved.data.drawn)) == before
    sitting = store.begin("dan", "train")
    store.put(sitting, "new", [], raster(45), [])
    assert signature(config, drawings.digests(config.data.drawn)) == before  # it has no label yet
    store.label(sitting, "new", "5")
    assert signature(config, drawings.digests(config.data.drawn)) != before


def test_whoever_opens_or_closes_the_store_changes_nothing_of_it(tmp_path, monkeypatch):
    file = tmp_path / "drawings.db"
    with DrawingStore(file) as store:
        fill(store)
    data = compose(["data.drawn.source=store", f"data.drawn.store={file}"]).data
    before = sources.stamps(data)
    assert not (tmp_path / "drawings.db-wal").exists()
    (tmp_path / "drawings.db-wal").touch()
    assert sources.stamps(data) == before
    (tmp_path / "drawings.db-wal").write_bytes(b"what was drawn since")
    assert len(sources.stamps(data)) == len(before) + 1


def test_without_a_store_its_settings_decide_nothing():
    for source in ("none", "synthetic"):
        kept = present(compose([f"data.drawn.source={source}", "data.drawn.store=elsewhere.db"]))
        assert not {"data.drawn.store", "data.drawn.recognised_by"} & set(kept)


def test_what_it_refuses(tmp_path, store):
    with pytest.raises(DataError, match=r"data\.drawn\.store=.*nowhere\.db: no such file"):
        DrawingStore(tmp_path / "nowhere.db", create=False)
    (tmp_path / "text.db").write_text("hello " * 200)
    with pytest.raises(DataError, match=r"text\.db: cannot be opened as a store of drawings: file is not a database"):
        DrawingStore(tmp_path / "text.db")
    with sqlite3.connect(tmp_path / "newer.db") as newer:
        newer.execute("PRAGMA user_version = 7")
    newer.close()
    with pytest.raises(DataError, match="found tables of version 7, allowed is 1"):
        DrawingStore(tmp_path / "newer.db")
    with pytest.raises(DataError, match="found no drawing with a label; type digitexp draw"):
        drawings.count(drawn(store), CLASSES)
    fill(store, to_train=2, to_score=0)
    with pytest.raises(DataError, match=r"found no drawing to score; .*draw\.role=score, or type data\.drawn\.holdout=0"):
        drawings.count(drawn(store), CLASSES)
    assert drawings.count(drawn(store, holdout=0), CLASSES) == 2
    with pytest.raises(ConfigError, match=r"recognised_by=x: must be null with data\.drawn\.source=csv"):
        compose(["data.drawn.source=csv", "data.drawn.images=a", "data.drawn.labels=b", "data.drawn.recognised_by=x"])
    with pytest.raises(ConfigError, match=r"data\.drawn\.store=null: must be the file of drawings"):
        compose(["data.drawn.source=store", "data.drawn.store=null"])
