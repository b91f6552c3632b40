"""What to do when the store does not answer: wait where that helps, else say in one sentence what is wrong.

A server may be restarted, a SQLite file locked by another process: both pass. A full disk, a folder that may not be
written or a store of another version does not.
"""

import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from digitexp.errors import TrackingError

SECONDS = 600  # how long a store may be away
PAUSE = 1  # second between two attempts

Answer = TypeVar("Answer")


class Patient:
    """A client of MLflow whose every method waits, as long as `seconds`, for a store that is away."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.seconds: float = SECONDS

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        return lambda *given, **named: self.wait(lambda: method(*given, **named))

    def wait(self, ask: Callable[[], Answer]) -> Answer:
        """The answer of `ask`, which is asked again while the store is away."""
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                return ask()
            except Exception as error:
                if not away(error) or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """In this context, a store that is away is an error at once."""
        self.seconds = 0
        try:
            yield
        finally:
            self.seconds = SECONDS


def away(error: BaseException) -> bool:
    """Whether an error says that the store cannot be reached just now."""
    text = str(error)
    refused = re.search(r"^API request to .* failed with (exception|timeout|error code 5\d\d)", text, re.DOTALL)
    broken = type(error).__module__.split(".")[0] in ("requests", "urllib3")  # while an artifact travels
    return bool(refused or broken or "database is locked" in text)


def explain(error: BaseException, uri: str) -> TrackingError | None:
    """The sentence of an error that the store or its disk raised; None for any other."""
    text = str(error)
    where = f"tracking.uri={uri}"
    again = "what is finished is kept, and the same command goes on from there"
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOSPC or "disk is full" in text:
        return TrackingError(f"{where}: the disk is full; free some space: {again}.")
    if number in (errno.EROFS, errno.EACCES) or "readonly database" in text or "unable to open database file" in text:
        named = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        return TrackingError(f"{where}: may not be written{named}; make its folder writable, or type "
                             "tracking.uri=sqlite:///FILE for another store.")  # fmt: skip
    if "database is locked" in text:
        return TrackingError(f"{where}: another process has kept the database locked for minutes; end it: {again}.")
    if away(error):
        return TrackingError(f"{where}: the server cannot be reached; start it: {again}.")
    if version := re.search(r"out-of-date database schema \(found version (\w+)", text):
        if not _known(version[1]):
            return TrackingError(f"{where}: was written by a newer MLflow, whose tables this one does not know "
                                 f"({version[1]}); type pip install --upgrade mlflow, or name another store.")  # fmt: skip
        return TrackingError(f"{where}: was written by an older MLflow; type digitexp doctor doctor.fix=true to have it "
                             "copied and brought up to date.")  # fmt: skip
    return None


def _known(revision: str) -> bool:
    """Whether the installed MLflow knows this revision of its tables: each is a file of it."""
    from mlflow.store import db_migrations

    return any(Path(db_migrations.__path__[0], "versions").glob(f"{revision}_*.py"))
