"""`kill -9` of the server between any two requests loses no drawing that it has acknowledged."""

import json
import random
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from desks import Client, pen_strokes, start

from digitexp.data.store import DrawingStore

RESULTS = Path(__file__).parents[2] / "bench" / "results"


def session(client, acknowledged, sitting, moment, rng):
    """Draw, add strokes and label until `moment` requests are answered; remember what each answer acknowledged."""
    for turn in range(moment):
        known = [name for name, label in acknowledged.items() if label is None]
        if known and rng.random() < 0.6:
            label = str(rng.randrange(10))
            client.post("/api/labels", {"sitting": sitting, "drawing": known[0], "label": label})
            acknowledged[known[0]] = label
        else:
            name = f"{sitting[:8]}-{turn}"
            strokes = pen_strokes(rng.randrange(10), turn)
            client.post("/api/drawings", {"sitting": sitting, "drawing": name, "size": 280, "strokes": strokes})
            acknowledged[name] = None


def killed_after(folder, network, moments, seed):
    """Kill the server after each number of requests, start it again, and look for all that was ever acknowledged."""
    rng, acknowledged = random.Random(seed), {}
    for moment in moments:
        process, address = start(folder, f"draw.model={network}")
        client = Client(address)
        sitting = client.post("/api/sittings", {"writer": "ann", "role": "train", "prompted": False})["sitting"]["id"]
        session(client, acknowledged, sitting, moment, rng)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        with DrawingStore(folder / "drawings.db", create=False) as store:
            found = {drawing.id: drawing.label for drawing in store.drawings()}
        assert found == acknowledged
        assert all(drawing_predicted(folder))
    return len(acknowledged)


def drawing_predicted(folder):
    with DrawingStore(folder / "drawings.db", create=False) as store:
        return [len(drawing.predictions) == 1 and drawing.raster.max() == 255 for drawing in store.drawings()]


@pytest.mark.slow
def test_killed_at_three_moments(tmp_path, network_file):
    assert killed_after(tmp_path, network_file, [1, 4, 7], seed=1) >= 3


@pytest.mark.soak
def test_killed_at_fifty_moments(tmp_path, network_file):
    began, clock = datetime.now(UTC), time.monotonic()
    moments = [random.Random(turn).randrange(1, 15) for turn in range(50)]
    count = killed_after(tmp_path, network_file, moments, seed=2)
    RESULTS.mkdir(exist_ok=True)
    log = {"began": began.isoformat(timespec="seconds"), "kills": len(moments), "requests": sum(moments) + 50, "drawings": count,
           "lost": 0, "seconds": round(time.monotonic() - clock)}  # fmt: skip
    (RESULTS / "draw_kills.json").write_text(json.dumps(log, indent=1) + "\n")
