"""What a round of retraining says, what command it is, and what it warns of; the browser test runs one for real."""

import shlex
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from desks import DRAWN, Bars, network, seat

from digitexp import compose
from digitexp.config import flatten
from digitexp.data import drawings
from digitexp.data.sources import CLASSES
from digitexp.errors import ConfigError, DataError
from digitexp.evaluation import compare
from digitexp.planning import plan
from digitexp.recognise import retraining as rounds
from digitexp.recognise.network import load
from digitexp.recognise.retraining import Retraining, compared
from digitexp.recognise.sitting import Desk
from digitexp.tracking import registry


def hits(right, n=200):
    return np.arange(n) < right


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [(150, 180, "It helps"), (180, 150, "It reads worse"), (180, 181, "It no longer helps"), (180, 180, "It no longer helps")],
)
def test_a_round_helps_only_when_the_gains_interval_lies_above_0(old, new, verdict):
    found = compared("models:/new/1", hits(old), hits(new))
    assert found.verdict.startswith(verdict)
    assert (found.old.correct, found.new.correct, found.gain) == (old, new, pytest.approx((new - old) / 200))
    assert (found.low, found.high) == compare.difference([hits(new)], [hits(old)])
    assert found.low <= found.gain <= found.high
    assert found.p == compare.mcnemar(hits(new), hits(old))
    assert (found.further is not None) == (old != new and verdict == "It no longer helps")


@pytest.fixture
def desk(tmp_path):
    with seat(tmp_path) as desk:
        yield desk


@pytest.fixture
def retraining(desk, tmp_path):
    config = compose.compose(["model=cnn", "training.epochs=7", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])
    sitting = desk.begin("ann", "train")
    for number in range(5):
        desk.draw(sitting, f"n{number}", [[[100 + 10 * number, 60, 0], [140, 220, 9]]], 280)
        desk.label(sitting, f"n{number}", str(number))
    return Retraining(desk, config)


def test_a_network_from_a_file_is_trained_as_it_is_configured(retraining):
    words = retraining.words(False, retraining.desk.store.file)
    config = compose.compose(words)
    assert (config.model.kind, config.training.epochs, config.search.name) == ("cnn", 7, "retrained")
    assert (config.data.manual_labels, config.data.drawn.holdout, config.data.drawn.recognised_by) == (5, 0, None)
    assert config.data.drawn.store == str(retraining.desk.store.file)
    assert plan(config).runs == 1
    missed = retraining.desk.store.recognisers()["models:/digitexp/1"][1]
    assert 0 < missed <= 5
    assert compose.compose(retraining.words(True, retraining.desk.store.file)).data.manual_labels == missed
    assert retraining.warnings == []


def test_a_registered_network_is_trained_as_it_was(desk, uri):
    known = load("models:/digitexp.single@best", (), uri)
    mine = Desk(desk.store, [known], CLASSES, DRAWN)
    sitting, scored = mine.begin("ann", "train"), mine.begin("ben", "score")
    for number, where in enumerate((sitting, sitting, scored)):
        mine.draw(where, f"n{number}", [[[100 + 10 * number, 60, 0], [140, 220, 9]]], 280)
        mine.label(where, f"n{number}", "7")
    retraining = Retraining(mine, compose.compose([f"tracking.uri={uri}", "training.epochs=50"]))
    config = compose.compose(retraining.words(False, retraining.desk.store.file))
    assert (config.training.epochs, config.data.limit, config.tracking.uri) == (3, 300, uri)
    assert (config.data.manual_labels, config.data.drawn.holdout) == (2, 1)
    other = network("models:/other/1")
    Desk(desk.store, [other], CLASSES, DRAWN).draw(sitting, "other", [[[100, 60, 0]]], 280)
    desk.label(sitting, "other", "7")
    retraining.words(False, retraining.desk.store.file)
    (warning,) = retraining.warnings
    assert "recognised by another network (models:/other/1): what models:/digitexp.single/1 itself misread helps" in warning


def test_letters_are_trained_as_classes(retraining):
    desk = retraining.desk
    desk.classes = (*CLASSES, "a", "it's")
    desk.label(desk.store.sittings()[0], "n0", "it's")
    config = compose.compose(retraining.words(False, retraining.desk.store.file))
    assert config.data.classes == [*CLASSES, "a", "it's"]
    assert plan(config).config.data.manual_labels == 5


def test_what_it_refuses(desk, tmp_path):
    config = compose.compose([f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"])
    retraining = Retraining(desk, config)
    with pytest.raises(DataError, match="found no drawing with a label"):
        retraining.start(only_misread=False)
    scored = desk.begin("ann", "score")
    desk.draw(scored, "one", [[[100, 60, 0]]], 280)
    desk.label(scored, "one", "1")
    with pytest.raises(DataError, match="retraining: found no drawing to train on"):
        retraining.start(only_misread=False)
    assert list((tmp_path / "retraining").iterdir()) == []
    with pytest.raises(ConfigError, match="there is no retrained network yet"):
        retraining.promote()
    retraining.stop()  # nothing runs
    assert retraining.phase == "idle"


ENDS_AT_THE_SECOND = """
import signal, sys, time
asked = []
def interrupt(number, frame):
    asked.append(number)
    if len(asked) == 2: sys.exit(130)
signal.signal(signal.SIGINT, interrupt)
print("ready", flush=True)
while True: time.sleep(0.05)
"""
ENDS_NEVER = ENDS_AT_THE_SECOND.replace("== 2", "== 99")


@pytest.fixture
def child(retraining, monkeypatch):
    """In the place of the command: a program of one's own, started by the retraining; it is given back once it runs."""
    real = subprocess.Popen

    def start(program):
        monkeypatch.setattr(subprocess, "Popen", lambda words, **options: real([sys.executable, "-c", program], **options))
        retraining.start(only_misread=False)
        while "ready" not in retraining.lines and retraining.phase == "training":
            time.sleep(0.02)
        return retraining._process

    yield start
    if retraining._process:
        retraining._process.kill()
        retraining.join()


@pytest.mark.parametrize("program", [ENDS_AT_THE_SECOND, ENDS_NEVER], ids=["at the second", "never"])
def test_stop_ends_what_would_train_on(retraining, child, monkeypatch, program):
    monkeypatch.setattr(rounds, "PATIENCE", (0.3, 0.3))
    process = child(program)
    with pytest.raises(ConfigError, match="one is running or is still ending"):
        retraining.start(only_misread=False)
    retraining.phase = "stopped"  # as it is while stop() waits
    with pytest.raises(ConfigError, match="one is running or is still ending"):
        retraining.start(only_misread=False)
    retraining.stop()
    retraining.join(10)
    assert (process.wait(10), retraining.phase) == (130 if program == ENDS_AT_THE_SECOND else -15, "stopped")


def test_who_goes_on_drawing_does_not_change_what_is_trained_on(retraining, child, tmp_path):
    child(ENDS_NEVER)
    desk = retraining.desk
    desk.draw(desk.store.sittings()[0], "later", [[[100, 60, 0], [140, 220, 9]]], 280)
    desk.label(desk.store.sittings()[0], "later", "7")
    given = compose.compose(shlex.split(retraining.command)[3:]).data.drawn
    assert [given.store] == list(map(str, (tmp_path / "retraining").glob("*.db")))
    assert (drawings.count(given, CLASSES), len(desk.store.rasters())) == (5, 6)


def test_whatever_goes_wrong_is_said(retraining, child, monkeypatch):
    monkeypatch.setattr(retraining, "_compare", lambda drawn: {}["a bug"])
    child("")
    retraining.join(10)
    assert (retraining.phase, retraining.message) == ("failed", "'a bug'")


def test_networks_are_compared_while_no_one_else_asks_them(retraining, monkeypatch):
    desk, locked = retraining.desk, []

    class Watched(Bars):
        def predict_on_batch(self, images):
            locked.append(desk.one_at_a_time.locked())
            return super().predict_on_batch(images)

    watched = replace(network(), model=Watched())
    scored = desk.begin("ben", "score")
    desk.draw(scored, "one", [[[100, 60, 0]]], 280)
    desk.label(scored, "one", "1")
    desk.networks[0] = watched
    run = SimpleNamespace(id="", parent="", signature=retraining._signature, network=None)
    monkeypatch.setattr(retraining, "_opened", lambda: None)
    monkeypatch.setattr(rounds.reader, "finished", lambda store: [run])
    monkeypatch.setattr(rounds.reader, "result", lambda store, id: run)
    monkeypatch.setattr(registry, "register_best", lambda *_: None)
    monkeypatch.setattr(rounds, "load", lambda *_: watched)
    retraining._compare(replace(DRAWN, source="store", store=str(desk.store.file), holdout=1))
    assert (locked, retraining.round.old.n) == ([True, True], 1)


def test_the_network_that_was_compared_is_promoted_whatever_is_best_by_now(retraining, monkeypatch):
    monkeypatch.setattr(registry, "promote", lambda store, address: (address, ""))
    retraining.network = network("models:/digitexp.retrained/7")
    assert retraining.promote() == "models:/digitexp.retrained/7"


@pytest.mark.parametrize("value", [None, True, False, 3, 0.25, -1e-07, "plain", "it's", "a\\'b", "back\\slash", "a,b=c", "", "null", "é {x}", [1, "a'b"]])
def test_settings_survive_the_command_line(value):
    if isinstance(value, list):
        assert compose.compose([f"data.classes={compose.typed(['0', *map(str, value)])}"]).data.classes == ["0", "1", "a'b"]
    elif isinstance(value, str):
        assert compose.compose([f"draw.model={compose.typed(value)}"]).draw.model == value
    else:
        assert compose.typed(value) in ("null", "true", "false", "3", "0.25", "-1e-07")


def test_overrides_compose_to_the_same_settings():
    config = compose.compose(["model=cnn", "optimizer.name=sgd", "optimizer.momentum=0.9", "data.limit=100", "loss=poisson"])
    settings = {path: value for path, value in flatten(config).items() if path.startswith(("data", "model", "optimizer", "loss", "training"))}
    words = compose.overrides(settings)
    assert flatten(compose.compose(words)) == flatten(config)
    assert set(words) == {"data=digits", "model=cnn", "optimizer.name='sgd'", "optimizer.momentum=0.9", "data.limit=100", "loss='poisson'"}
