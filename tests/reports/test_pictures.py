"""The pictures that a sweep is drawn into."""

import numpy as np
import pytest

from digitexp import figures
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Scored
from digitexp.reports import pictures


@pytest.mark.parametrize(("trials", "shown", "said"), [(20, 20, "Which?"), (1000, 20, "Which?: the best 20 of 1,000")])
def test_the_ranking_shows_the_best_of_many_and_says_of_how_many(trials, shown, said, monkeypatch, tmp_path):
    drawn = {}
    draw = figures.ranking_figure

    def figure(names, means, intervals, top, metric, title):
        drawn.update(names=names, means=means, title=title)
        return draw(names, means, intervals, top, metric, title)

    monkeypatch.setattr(pictures.figures, "ranking_figure", figure)
    rows = ranking.rank(
        [Scored(number, {"optimizer.learning_rate": number}, [{"test/accuracy": number / trials}], {}, images={"test": 100})
         for number in range(trials)],
        "test/accuracy",
    )  # fmt: skip
    pictures.draw_ranking(rows, "test/accuracy", "Which?", tmp_path / "ranking.png")
    assert drawn["names"][0] == f"optimizer.learning_rate={trials - 1}"
    assert len(drawn["names"]) == shown
    assert np.all(np.diff(drawn["means"]) < 0)
    assert drawn["title"] == said
    assert (tmp_path / "ranking.png").stat().st_size > 10_000
