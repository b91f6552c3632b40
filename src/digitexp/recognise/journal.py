"""A sitting as a run in MLflow: who drew, which network read it, its running accuracy, its confusion table."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from digitexp import figures
from digitexp.data.store import DrawingStore, Sitting
from digitexp.evaluation import scores
from digitexp.recognise.standing import standings
from digitexp.tracking import recorder
from digitexp.tracking.store import Store


def record(store: Store, drawn: DrawingStore, sitting: Sitting, classes: Sequence[str]) -> list[str]:
    """Write a sitting anew, a run for each network that read it; their ids, none for a sitting without labels.

    To `classes` are added those of other days that the sitting has.
    """
    answers = drawn.answers(sitting)
    classes = list(dict.fromkeys([*classes, *(name for row in answers for name in (row[3], row[6]))]))
    index = {name: number for number, name in enumerate(classes)}
    runs = []
    for standing in standings(drawn, sitting):
        mine = [row for row in answers if row[5] == standing.digest]
        labels, read = (np.array([index[row[column]] for row in mine]) for column in (3, 6))
        table = scores.confusion(labels, read, len(classes))
        title = f"{standing.model}, drawn by {sitting.writer}"
        with TemporaryDirectory(prefix="digitexp-") as name:
            folder = Path(name)
            pd.DataFrame(table, index=list(classes), columns=list(classes)).to_csv(folder / "confusion.csv")
            figures.save(figures.confusion_figure(table, classes, title), folder / "confusion.png")
            figures.save(figures.sitting_figure({standing.model: standing.running}, title), folder / "running.png")
            curve = [(n, dict(zip(("accuracy", "accuracy_low", "accuracy_high"), rest, strict=True)))
                     for n, *rest in standing.running]  # fmt: skip
            settings = {"writer": sitting.writer, "role": sitting.role, "prompted": sitting.prompted, "blind": sitting.blind,
                        "model": standing.model, "digest": standing.digest, "drawings": standing.total.n}  # fmt: skip
            identity = f"{sitting.id}-{standing.digest}"
            runs.append(recorder.record_sitting(store, identity, f"{sitting.started[:16]} {title}", settings, curve, folder))
    return runs
