"""What the tests of the drawing page share: a quick network of known answers, digits of the seeded pen, ways to ask."""

import asyncio
import http.client
import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

import numpy as np

from digitexp.compose import compose
from digitexp.data import pen
from digitexp.data.sources import CLASSES
from digitexp.data.store import DrawingStore
from digitexp.errors import ConfigError
from digitexp.recognise.network import Network
from digitexp.recognise.sitting import Desk

DRAWN = compose([]).data.drawn  # MNIST's geometry


class Bars:
    """A network of known answers: the class is the number of columns with ink, modulo ten, or always `constant`."""

    def __init__(self, constant=None, classes=10):
        self.constant, self.classes = constant, classes

    def predict_on_batch(self, images):
        shares = np.full((len(images), self.classes), 0.01, np.float32)
        for row, image in enumerate(images):
            read = int((image > 0).any(axis=0).sum()) % 10 if self.constant is None else self.constant
            shares[row, read] = 1 - 0.01 * (self.classes - 1)
        return shares


def network(name="models:/digitexp/1", **settings):
    return Network(name, f"digest{abs(hash(name)) % 10**6}", CLASSES, model=Bars(**settings))


@contextmanager
def seat(folder):
    """A desk whose network is quick and known, with a store of its own in that folder."""
    with DrawingStore(folder / "drawings.db") as store:
        yield Desk(store, [network()], CLASSES, DRAWN)


def pen_strokes(digit, seed, size=280):
    """One digit of the seeded pen as the page sends it: strokes of x, y, t, large and in the middle of the canvas."""
    _, paths = pen.trace(digit, np.random.default_rng([11, seed]))
    points = np.concatenate(paths)
    middle, extent = (points.min(axis=0) + points.max(axis=0)) / 2, np.ptp(points, axis=0).max() / 0.7
    placed = [np.clip((path - middle) / extent + 0.5, 0, 1) * size for path in paths]
    return [[[float(x), float(y), 16.0 * number] for number, (x, y) in enumerate(path)] for path in placed]


class Waiting:
    """In the place of a retraining: starts nothing, remembers what was asked."""

    phase, message, command, epochs, lines, warnings, round, network = "idle", "", "", 0, (), (), None, None

    def __init__(self):
        self.asked = []

    def epoch(self):
        return 0

    def start(self, only_misread):
        self.asked.append(only_misread)

    def stop(self):
        self.asked.append("stop")

    def promote(self):
        raise ConfigError("promote: there is no retrained network yet.")


class Caller:
    """Asks an application without a network between: status, headers and the parsed body of the answer."""

    HEADERS = (("host", "127.0.0.1:8128"), ("origin", "http://127.0.0.1:8128"), ("content-type", "application/json"))

    def __init__(self, app):
        self.app = app

    def __call__(self, method, path, body=None, headers=HEADERS, chunks=None):
        """`body` is JSON, or bytes as they are; `chunks` are sent one after another, without a length."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        parts = list(chunks) if chunks is not None else [raw]
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8128),
        }  # fmt: skip
        answer, content = {}, []

        async def receive():
            if not parts:
                return {"type": "http.disconnect"}
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message):
            answer.update(message) if message["type"] == "http.response.start" else content.append(message.get("body", b""))

        asyncio.run(self.app(scope, receive, send))
        found = b"".join(content)
        kinds = {name.decode(): value.decode() for name, value in answer["headers"]}
        return answer["status"], kinds, json.loads(found) if kinds.get("content-type") == "application/json" else found

    def get(self, path):
        return self("GET", path)[2]

    def post(self, path, body):
        status, _, found = self("POST", path, body)
        assert status == 200, found
        return found


def start(folder, *words):
    """`digitexp draw` in a folder, on any free port: the process, once it answers, and the page's address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "digitexp", "draw", "draw.port=0", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", line)
    assert found, process.communicate()
    return process, found.group()


class Client:
    """One connection to a server that may be gone at any moment."""

    def __init__(self, address):
        place = urlsplit(address)
        self.origin = f"http://{place.netloc}"
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)

    def post(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", "Origin": self.origin})
        answer = self.connection.getresponse()
        found = json.loads(answer.read())
        assert answer.status == 200, found
        return found
