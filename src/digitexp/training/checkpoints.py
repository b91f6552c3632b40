"""The state of a run on disk, so that what was trained is not trained again when its process is gone.

A cache: by law 1 any state of a run is as good as having trained up to it, and losing one costs only time. A file is
written beside its place and renamed, so a reader finds a whole one, of this epoch or of an earlier one.
"""

import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np

from digitexp.training.train import State


def save(file: Path, state: State) -> None:
    """Write a state; nothing is written, and nothing raised, where the disk refuses."""
    arrays = {f"variable.{number}": value for number, value in enumerate(state.variables)}
    arrays |= {f"best.{number}": value for number, value in enumerate(state.best)}
    about = json.dumps({"epoch": state.epoch, "curves": state.curves, "ends": state.ends, "seconds": state.seconds})
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=file.parent, prefix=f"{file.stem}.", suffix=".part", delete=False) as part:
            try:
                np.savez(part, allow_pickle=False, about=np.array(about), **arrays)
                part.close()
                os.replace(part.name, file)
            except BaseException:
                part.close()
                Path(part.name).unlink(missing_ok=True)  # it is in its place already where an interrupt came late
                raise


def load(file: Path, until: int) -> State | None:
    """The state that was saved; None where there is none, it cannot be read, or it is of a later epoch than `until`."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if about["epoch"] > until:
                return None
            variables, best = (
                [arrays[f"{kind}.{number}"] for number in range(sum(name.startswith(kind) for name in arrays.files))]
                for kind in ("variable", "best")
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return State(about["epoch"], variables, about["curves"], best, about["ends"], about["seconds"])
