"""MLflow's own pages, served from this very process: no worker processes, no jobs, and straight to the runs of a sweep.

`mlflow server` starts a second Python and imports MLflow in both, which takes twice the memory and the time. Here its
application is imported once, and ends with us.
"""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

from digitexp.errors import TrackingError
from digitexp.tracking import views
from digitexp.tracking.store import TAG, Store, open_store

HOST = "127.0.0.1"
GRACE = 2  # seconds, for answers under way when interrupted

# What a first visit would find: the side for language models, and the chat with one over a third of the page. Both stay
# one click away, and what was clicked is remembered.
_FIRST_VISIT = """<script>
localStorage["mlflow.workflowType_v1"] ??= '"machine_learning"';
localStorage["mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"] ??= "true";
</script>"""


def serve(uri: str | None, port: int, sweep: str | None, show: Callable[[str], None]) -> int:
    """Serve until interrupted. `show` is given the page of the sweep's runs, by default of the sweep that ran last.

    A store that is a server has its own pages: `show` is given the one there. Raises TrackingError.
    """
    if uri and uri.startswith("http"):
        show(_page(uri.rstrip("/"), open_store(uri), sweep))
        return 0
    try:
        with listen("ui.port", port) as listening:
            store = open_store(uri)
            page = _page(f"http://{HOST}:{listening.getsockname()[1]}", store, sweep)
            _run(store, listening, lambda: show(page))
    except KeyboardInterrupt:  # also what uvicorn raises after it has ended cleanly
        pass
    return 0


def _run(store: Store, listening: socket.socket, ready: Callable[[], None]) -> None:
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # its jobs judge language models
    import uvicorn  # before MLflow's application, which looks whether it runs in a server
    from mlflow.server import app as pages
    from mlflow.server import handlers
    from mlflow.server.fastapi_app import app

    handlers.initialize_backend_stores(store.uri, store.uri, store.artifacts.as_uri() if store.artifacts else None)
    start = Path(pages.static_folder, "index.html").read_text("utf-8").replace("<head>", f"<head>{_FIRST_VISIT}", 1)
    pages.view_functions["serve"] = lambda: start
    options = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE)
    ready()
    uvicorn.Server(options).run(sockets=[listening])


def listen(setting: str, port: int) -> socket.socket:
    """A socket that only this machine reaches; port 0 is any free one. Raises TrackingError, naming the setting."""
    try:
        listening = socket.create_server((HOST, port))
        # What is accepted inherits it; asyncio sets it only where it can tell TCP. Without it, every answer waits 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except (OSError, OverflowError) as error:
        busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        reason = "something else listens there" if busy else f"cannot be listened on ({getattr(error, 'strerror', error)})"
        raise TrackingError(f"{setting}={port}: {reason}; type {setting}={port + 1 if busy else 5000}, "
                            f"or {setting}=0 for any free one.") from error  # fmt: skip


def _page(address: str, store: Store, sweep: str | None) -> str:
    """The sweep's training runs, in our view of them; MLflow's own start page is about language models."""
    experiment = _experiment(store, sweep)
    view = views.save(store, experiment)
    query = "workflowType=machine_learning" + (f"&viewStateShareKey={view}" if view else "")
    return f"{address}/#/experiments/{experiment}/runs?{query}"


def _experiment(store: Store, sweep: str | None) -> str:
    known = {str(experiment.experiment_id): experiment.name for experiment in store.client.search_experiments()}
    if sweep:
        named = [identity for identity, name in known.items() if name == sweep]
        if not named:
            raise TrackingError(f"ui: no sweep {sweep} is recorded yet; type digitexp +sweep={sweep} first.")
        return named[0]
    asked, latest = f"tags.`{TAG}kind` = 'sweep'", ["attributes.start_time DESC"]  # no look at the data, no sitting
    newest = store.client.search_runs(list(known), asked, max_results=1, order_by=latest)
    if not newest:
        raise TrackingError(f"ui: nothing is recorded in {store.uri} yet; type digitexp +sweep=NAME first.")
    return str(newest[0].info.experiment_id)
