"""Keep native code quiet: TensorFlow and XLA write to file descriptor 2 what no setting of theirs turns off."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Native messages and Python's warnings are dropped; what Python code writes to sys.stderr still appears."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    sys.stderr.flush()
    terminal = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    python_stderr = sys.stderr
    sys.stderr = os.fdopen(terminal, "w", buffering=1, closefd=False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stderr.flush()
        sys.stderr = python_stderr
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
