"""A worker process of the pool: takes bundles from its pipe, trains them, and tells of epochs and outcomes.

It lives as long as its parent: when that is gone, however suddenly, the worker ends at once.
"""

import multiprocessing
import os
import signal
import threading
from multiprocessing import connection
from multiprocessing.connection import Connection

import psutil

from digitexp.executors.executor import limit_threads, sentence, unpack

# What a worker sends: ("epoch", position, epoch, metrics), ("outcome", position, outcome), and at the end of a bundle
# ("done", bytes of memory that it holds) or ("error", what happened).


def serve(pipe: Connection, threads: int) -> None:
    """Train bundles until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent decides what it means
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads(threads)
    while True:
        try:
            packed = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            bundle, work = unpack(packed)
            for position, outcome in bundle.train(work, lambda *told: pipe.send(("epoch", *told))):
                pipe.send(("outcome", position, outcome))
            pipe.send(("done", psutil.Process().memory_info().rss))
        except BrokenPipeError:
            return
        except Exception as error:  # the disk, or what no run should raise: the parent says it
            pipe.send(("error", sentence(error)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
