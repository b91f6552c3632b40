"""A sitting in MLflow: a table of what was drawn against what was read."""

import numpy as np
import pandas as pd
from desks import seat

from digitexp.data.sources import CLASSES
from digitexp.data.store import Prediction
from digitexp.recognise import journal
from digitexp.tracking import recorder


def test_classes_of_other_days_are_in_the_table(tmp_path, monkeypatch):
    tables = []

    def keep(store, identity, title, settings, curve, folder):
        tables.append(pd.read_csv(folder / "confusion.csv", index_col=0))
        return identity

    monkeypatch.setattr(recorder, "record_sitting", keep)
    with seat(tmp_path) as desk:
        sitting = desk.begin("ann", "train")
        for label, read_as in (("7", "7"), ("q", "9"), ("9", "z")):  # drawn and read with data.classes of other days
            said = Prediction("models:/digitexp/1", "a digest", (read_as,), (1.0,))
            desk.store.put(sitting, f"drawn {label}", [], np.zeros((60, 60), np.uint8), [said], label=label)
        assert len(journal.record(None, desk.store, sitting, CLASSES)) == 1
    (table,) = tables
    assert list(table.columns) == [*CLASSES, "q", "z"]
    assert (table.loc["7", "7"], table.loc["q", "9"], table.loc["9", "z"], table.to_numpy().sum()) == (1, 1, 1, 3)
