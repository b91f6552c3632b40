"""MLflow's own scoring server with the champion, asked over loopback as docs/images.md shows it."""

import json
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from digitexp import experiment
from digitexp.compose import compose
from digitexp.data.sources import read_digits
from digitexp.recognise import network
from digitexp.tracking.registry import CHAMPION


@pytest.fixture(scope="module")
def address(uri):
    """A server on 127.0.0.1 at a free port; it is what `mlflow models serve --env-manager local` runs."""
    import mlflow
    import uvicorn
    from mlflow.pyfunc import scoring_server

    experiment.promote(compose([f"tracking.uri={uri}", "promote.model=models:/digitexp.single@best"]))
    mlflow.set_tracking_uri(uri)
    app = scoring_server.init(mlflow.pyfunc.load_model(CHAMPION))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def ask(address, content):
    request = urllib.request.Request(
        f"{address}/invocations", json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_the_champion_answers_what_the_network_says(address, uri):
    images = read_digits().images[:5]
    answer = ask(address, {"inputs": images.tolist()})
    champion = network.load(CHAMPION, (), uri)
    np.testing.assert_allclose(np.array(answer["predictions"]), champion.probabilities(images), atol=1e-5)


def test_it_is_alive(address):
    with urllib.request.urlopen(f"{address}/ping", timeout=60) as answer:
        assert answer.status == 200


def test_what_is_no_image_is_refused(address):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(address, {"inputs": [[1, 2, 3]]})
