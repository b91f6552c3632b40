"""MLflow's own pages, started light: one worker, no jobs, and straight to the runs of a sweep."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.error import URLError
from urllib.request import urlopen

from digitexp.errors import TrackingError
from digitexp.tracking.store import open_store, resolve

START_SECONDS = 120


def serve(uri: str | None, port: int, sweep: str | None, show: Callable[[str], None]) -> int:
    """Serve until interrupted; once up, `show` is given the address of the sweep's runs, by default the newest sweep's."""
    resolved = resolve(uri)
    if resolved.startswith("http"):
        show(resolved)
        return 0
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise TrackingError(f"ui.port={port}: something else listens there; type ui.port={port + 1}.")
    address = f"http://127.0.0.1:{port}"
    page = f"{address}/#/experiments/{_experiment(uri, sweep)}/runs"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", resolved,
               "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # fmt: skip
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(command, env=os.environ | light, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(server, f"{address}/health")
        show(page)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _experiment(uri: str | None, sweep: str | None) -> str:
    client = open_store(uri).client
    named = client.get_experiment_by_name(sweep) if sweep else None
    if sweep and named is None:
        raise TrackingError(f"ui: no sweep {sweep} is recorded yet; type digitexp +sweep={sweep} first.")
    return str((named or client.search_experiments(max_results=1, order_by=["last_update_time DESC"])[0]).experiment_id)


def _wait(server: subprocess.Popen[bytes], health: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(health, timeout=5):
                return
        except (URLError, TimeoutError, ConnectionError):
            time.sleep(0.3)
    raise TrackingError("ui: MLflow's server did not start; type mlflow server to see why.")
