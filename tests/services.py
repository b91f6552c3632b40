"""Services that tests start for themselves on loopback: MLflow's server, PostgreSQL."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

POSTGRESQL = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Server:
    """`mlflow server` on a database, with its artifacts in a folder; it can be killed and started again."""

    def __init__(self, database, artifacts):
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--artifacts-destination",
                         str(artifacts), "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]  # fmt: skip
        self._process = None

    def start(self):
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(self._command, start_new_session=True, env=environment, **QUIET)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return self
            assert self._process.poll() is None, "mlflow server has ended"
            time.sleep(0.3)
        raise AssertionError("mlflow server does not answer")

    def kill(self):
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def server(database, artifacts):
    running = Server(database, artifacts)
    try:
        yield running.start()
    finally:
        running.kill()


@contextmanager
def postgresql(folder):
    """A cluster of its own in `folder`; gives its address for MLflow. It refuses root, so root lends it to `postgres`."""
    commands, port = POSTGRESQL[-1], free_port()
    data = folder / "data"
    data.mkdir()
    user = []
    if os.geteuid() == 0:
        user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(data, "postgres")
        for place in (folder, *folder.parents):
            with suppress(OSError):
                place.chmod(place.stat().st_mode | 0o011)
    subprocess.run([*user, commands / "initdb", "-D", data, "-U", "digitexp", "-A", "trust"], check=True, cwd="/", **QUIET)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    control = [*user, commands / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-o", options, "-l", data / "log", "start"], check=True, cwd="/", **QUIET)
    try:
        yield f"postgresql+psycopg2://digitexp@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd="/", **QUIET)
