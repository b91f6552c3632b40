"""The ranked table in the terminal."""

from io import StringIO

import pytest
from rich.console import Console

from digitexp.compose import compose
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Scored
from digitexp.planning import plan
from digitexp.screen import outcome
from digitexp.sweep.outcome import Outcome


@pytest.mark.parametrize(("width", "lines"), [(140, 1), (120, 2), (80, 2)])
def test_a_table_loses_nothing_where_the_terminal_is_narrow(width, lines, monkeypatch):
    console = Console(width=width, highlight=False, record=True, file=StringIO())
    monkeypatch.setattr(outcome, "console", console)
    asked = plan(compose(["+sweep=geometry"]))
    images = {"val": 6000, "test": 10_000, "drawn": 400}
    measured = {"val/accuracy": 0.97, "test/accuracy": 0.9712, "drawn/accuracy": 0.9, "seconds": 11.6}
    rows = ranking.rank([Scored(at, point, [measured], {}, images=images) for at, point in enumerate(asked.points)], None)
    outcome.show_outcome(asked, Outcome(rows, 12, 0, 0, 0, 0, "geometry", "parent", None, "sqlite:///mlruns/mlflow.db"))
    shown = console.export_text().split("Ranges are")[0]
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("0.8667 to 0.9257") == len(rows)  # Wilson, 360 of 400
    body = [line for line in shown.splitlines() if "0.9712" in line or "to" in line.replace("geometry", "")]
    assert len(body) == lines * len(rows)
