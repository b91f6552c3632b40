"""The ranked table of trials."""

import pytest

from digitexp.evidence import ranking
from digitexp.evidence.ranking import Scored


def trial(number, **metrics):
    return Scored(number, {}, [{"val/accuracy": 0.5} | metrics], {}, images={"val": 100})


@pytest.mark.parametrize(("objective", "best"), [("val/loss", 2), ("val/mine", 0)])
def test_what_is_no_number_has_no_rank(objective, best):
    given = [trial(0, **{objective: 0.5}), trial(1, **{objective: float("nan")}), trial(2, **{objective: 0.2}), trial(3)]
    rows = ranking.rank(given, objective)
    assert [row.rank for row in rows] == [1, 2, None, None]
    assert rows[0].scored.trial == best
    assert [row.scored.trial for row in rows[2:]] == [1, 3]
