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


def go_on(client, acknowledged, sitting, moment, rng):
    """Draw, and label what is drawn, until `moment` requests are answered; remember what each answer acknowledged."""
    for _ in range(moment):
        unlabelled = [name for name, label in acknowledged.items() if label is None]
        if unlabelled and rng.random() < 0.6:
            label = str(rng.randrange(10))
            client.post("/api/labels", {"sitting": sitting, "drawing": unlabelled[0], "label": label})
            acknowledged[unlabelled[0]] = label
        else:
            name = f"drawing-{len(acknowledged)}"
            strokes = pen_strokes(rng.randrange(10), len(acknowledged))
            client.post("/api/drawings", {"sitting": sitting, "drawing": name, "size": 280, "strokes": strokes})
            acknowledged[name] = None


def killed_after(folder, network, moments, seed):
    """Kill the server after each number of requests, start it again, go on; look for all that was ever acknowledged."""
    rng, acknowledged, sitting = random.Random(seed), {}, None
    for moment in moments:
        process, address = start(folder, f"draw.model={network}")
        client = Client(address)
        if sitting is None:
            sitting = client.post("/api/sittings", {"writer": "ann", "role": "train", "prompted": False})["sitting"]["id"]
        go_on(client, acknowledged, sitting, moment, rng)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        client.connection.close()
        with DrawingStore(folder / "drawings.db", create=False) as store:
            found = store.drawings()
        assert {drawing.id: drawing.label for drawing in found} == acknowledged
        assert all(len(drawing.predictions) == 1 and drawing.raster.max() == 255 for drawing in found)
    return len(acknowledged)


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
