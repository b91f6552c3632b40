"""Figures of evidence show what they were given, and no word is cut off."""

import numpy as np
import pytest

from digitexp.figures import effects

NAMES = ["adam", "nadam", "a name that is far too long to be shown in one line of a figure for a phone"]
ENDS = [(0.1, 0.3), (-0.1, 0.2), (np.nan, np.nan)]
FIGURES = {
    "differences": lambda: effects.differences_figure(NAMES, [0.2, 0.05, 0.0], ENDS, [True, False, False], "x", "What stands", ("yes", "no")),
    "beside": lambda: effects.beside_figure(
        NAMES, {metric: {"reported": ([0.8, np.nan, 0.9], ENDS), "ours": ([0.2, 0.1, 0.7], ENDS)} for metric in ("drawn/accuracy", "test/accuracy")}, "Both"
    ),
    "beside, one metric": lambda: effects.beside_figure(["a"], {"drawn/accuracy": {"reported": ([0.8], ENDS[:1]), "ours": ([0.2], ENDS[:1])}}, "Both"),
    "running": lambda: effects.running_figure({name: np.random.default_rng(0).random((3, 400)) < 0.9 for name in NAMES}, "accuracy", "So far", True),
    "running, few images": lambda: effects.running_figure({"a": np.ones((1, 3), bool), "b": np.zeros((1, 3), bool)}, "accuracy", "So far", False),
    "importance": lambda: effects.importance_figure(NAMES, np.random.default_rng(0).normal(0.2, 0.1, (20, 3)), "What decides"),
    "parallel": lambda: effects.parallel_figure(
        ["optimizer.name", "optimizer.learning_rate", "optimizer.momentum"],
        [["adam", "sgd", "sgd"], [1e-4, 1e-2, 1e-1], [None, 0.9, 0.0]], [0.9, 0.5, 0.7], [0.9, 0.5, 0.7], "val/accuracy", "Every trial",
    ),
    "parallel, a loss": lambda: effects.parallel_figure(["loss", "seed"], [["a", "b"], [True, False]], [2.0, 1.0], [-2.0, -1.0], "val/loss", "Every trial"),
    "table": lambda: effects.difference_table_figure(np.array([[5, -3], [2, -2]]), ["0", "1"], "a minus b"),
    "table of nothing": lambda: effects.difference_table_figure(np.zeros((2, 2), int), ["0", "1"], "a minus b"),
}  # fmt: skip


def words_of(figure):
    """Every text that is drawn; axes keep labels of ticks out of sight as well."""
    words = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        words += [*axes.texts, axes.title]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
            words += [axis.label, *(label for at, label in ticks if low <= at <= high)]
    return [word for word in words if word.get_text().strip()]


@pytest.mark.parametrize("case", FIGURES)
def test_no_word_is_cut_off(case):
    figure = FIGURES[case]()
    figure.draw_without_rendering()
    for word in words_of(figure):
        box = word.get_window_extent()
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{word.get_text()!r} is cut off"


def test_the_reported_is_told_from_ours():
    figure = FIGURES["beside"]()
    assert [axes.get_title() for axes in figure.axes] == ["drawn/accuracy", "test/accuracy"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["reported", "ours"]
    colours = {line.get_color() for axes in figure.axes for line in axes.lines}
    assert colours == {effects.ORANGE, effects.BLUE}


def test_what_is_better_is_in_front_where_less_is_better():
    figure = FIGURES["parallel, a loss"]()
    last = figure.axes[0].lines[1]  # drawn last of the two trials, before the axes' own lines
    assert last.get_ydata()[-1] == 1
    assert [text.get_text().strip() for text in figure.axes[0].texts][-1] == "1.0000"


def test_running_accuracy_ends_at_the_accuracy():
    hits = np.random.default_rng(1).random((4, 300)) < 0.8
    figure = effects.running_figure({"a": hits}, "accuracy", "So far", False)
    assert figure.axes[0].lines[0].get_ydata()[-1] == pytest.approx(hits.mean())
