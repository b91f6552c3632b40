"""Figures show what they were given, and no word is cut off or lies on another."""

import math
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from digitexp.evaluation.calibration import reliability
from digitexp.evaluation.compare import wilson
from digitexp.figures import (
    BLUE,
    GREY,
    classes_figure,
    confusion_figure,
    counts_figure,
    curves_figure,
    digits_figure,
    histograms_figure,
    learning_figure,
    network_figure,
    ranking_figure,
    reliability_figure,
    roc_figure,
    rows_figure,
    save,
    standings_figure,
    values_figure,
)

DIGITS = [str(digit) for digit in range(10)]
OPTIMIZERS = ["adam", "nadam", "adamax", "rmsprop", "sgd", "adagrad", "adadelta", "ftrl"]


def confusion_of(classes, images=10_000, accuracy=0.99):
    rng = np.random.default_rng(0)
    table = rng.multinomial(int(images * (1 - accuracy)), np.full(classes**2, 1 / classes**2)).reshape(classes, classes)
    np.fill_diagonal(table, int(images * accuracy / classes))
    return table


def curves_of(epochs):
    epoch = np.arange(1, epochs + 1)
    loss, accuracy = 2.3 * np.exp(-epoch / 20), 1 - 0.9 * np.exp(-epoch / 20)
    return {
        "train/accuracy": list(accuracy),
        "train/loss": list(loss),
        "val/accuracy": list(0.98 * accuracy),
        "val/loss": list(loss + 0.05),
    }


def ranking_of(names, means, top, n=10_000):
    return ranking_figure(names, means, [wilson(round(m * n), n) for m in means], top, "val/accuracy", "Which is best?")


def standings_of(names, means, top, n=10_000):
    return standings_figure(names, means, [wilson(round(m * n), n) for m in means], top, "val/accuracy", "Which is best?")


def learning_of(settings, epochs, seeds=3, metric="val/accuracy", **options):
    epoch = np.arange(1, epochs + 1)
    errors = {
        f"s{place}": [0.5 * (1 + place) / (settings + seed) / epoch for seed in range(seeds)] for place in range(settings)
    }
    runs = {name: [list(1 - one if metric.endswith("accuracy") else one) for one in of] for name, of in errors.items()}
    return learning_figure(runs, 8, metric, "Which is best?", **options)


def values_of(values, lines):
    means = np.linspace(0.5, 0.95, len(values))
    line = (list(means), [wilson(round(mean * 100), 100) for mean in means])
    return values_figure(
        values, dict.fromkeys(lines, line), "training.batch_size", "accuracy", "accuracy by training.batch_size"
    )


def layers_of(count):
    kinds = ["Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Dropout"]
    body = [
        {"name": f"conv_{i // 5 + 1}_{kinds[i % 5].lower()}", "kind": kinds[i % 5], "shape": "14 x 14 x 128"}
        for i in range(count - 2)
    ]
    first = {"name": "input", "kind": "Input", "shape": "28 x 28 x 1"}
    last = {"name": "output", "kind": "Dense", "shape": "10"}
    return [{**layer, "parameters": 10 * index} for index, layer in enumerate([first, *body, last])]


def digits_of(count, caption="true 4, read 9", **settings):
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return digits_figure(images, [caption] * count, "The surest errors", **settings)


def histograms_of(sets, panels=3):
    rng = np.random.default_rng(0)
    return histograms_figure(
        {f"measure {panel}": {f"set {place}": rng.normal(place, 1, 50) for place in range(sets)} for panel in range(panels)},
        "Size, place and strokes",
    )


def reliability_of(*sets):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(10, 0.05), 2000)
    bins = reliability(rng.integers(0, 10, 2000), probabilities)
    return reliability_figure(dict.fromkeys(sets, bins), dict.fromkeys(sets, 0.0123), "cnn seed=1")


def told_of(names, images=10_000):
    alarms = np.logspace(-np.log10(images), 0, 200)
    return alarms, {name: (alarms ** (0.02 * (place + 1)), 1 / (1 + 0.02 * (place + 1))) for place, name in enumerate(names)}


LONG = "model.conv_1.filters=32 model.conv_2.filters=64 optimizer.name=adam optimizer.learning_rate=0.001"
FIGURES = {
    "confusion of ten": lambda: confusion_figure(confusion_of(10), DIGITS, "cnn, seed 1: test"),
    "confusion of three": lambda: confusion_figure(confusion_of(3), DIGITS[:3], "three digits and rather a long title"),
    "confusion without errors": lambda: confusion_figure(36 * np.eye(2, dtype=int), DIGITS[:2], "all right"),
    "confusion without images": lambda: confusion_figure(np.zeros((2, 2), dtype=int), DIGITS[:2], "nothing"),
    "curves of 1 epoch": lambda: curves_figure(curves_of(1), "one"),
    "curves of 200 epochs": lambda: curves_figure(curves_of(200), LONG),
    "curves of a diverged run": lambda: curves_figure({"val/loss": [2.3, 9e9, np.inf, np.nan]}, "diverged"),
    "curves of nothing": lambda: curves_figure({}, "nothing"),
    "ranking of 1": lambda: ranking_of(["adam"], [0.99], [True]),
    "ranking of 8": lambda: ranking_of(OPTIMIZERS, [0.99, 0.989, 0.988, 0.987, 0.98, 0.93, 0.6, 0.1], [True] * 8),
    "ranking of 50": lambda: ranking_of(["a=1 b=2"] * 50, list(np.linspace(0.99, 0.95, 50)), [True] * 50),
    "ranking of long names": lambda: ranking_of([LONG] * 3, [0.99, 0.98, 0.97], [True, False, False]),
    "ranking without intervals": lambda: ranking_figure(
        ["adam", "sgd"], [0.1, 0.2], [(np.nan, np.nan)] * 2, [True, False], "val/loss", "Which is best?"
    ),
    "standings of 1": lambda: standings_of(["adam"], [0.99], [True]),
    "standings of 20": lambda: standings_of(["adam"] * 20, list(np.linspace(0.99, 0.1, 20)), [True] * 3 + [False] * 17),
    "standings of long names": lambda: standings_of([LONG] * 3, [0.99, 0.98, 0.97], [True, True, False]),
    "standings without intervals": lambda: standings_figure(
        ["adam", "sgd"], [0.1, 0.2], [(np.nan, np.nan)] * 2, [False, False], "val/loss", "Which is best?"
    ),
    "learning of 1 epoch": lambda: learning_of(2, 1),
    "learning of 30 settings": lambda: learning_of(30, 20),
    "learning of losses": lambda: learning_of(6, 200, metric="val/loss", ordered=True),
    "learning without errors": lambda: learning_figure({"adam": [[1.0, 1.0]]}, 8, "val/accuracy", "all right"),
    "learning of a diverged run": lambda: learning_figure({"sgd": [[2.3, 9e9, np.inf, np.nan]]}, 8, "val/loss", "diverged"),
    "values of three sets": lambda: values_of([0, 200, 400, 1000], ["val", "test", "drawn"]),
    "values by their factor": lambda: values_of([1e-4, 1e-3, 1e-2, 1e-1, 1], ["chosen on: val", "test"]),
    "counts of ten": lambda: counts_figure(confusion_of(10), DIGITS, "nadam, test"),
    "counts of three": lambda: counts_figure(confusion_of(3), DIGITS[:3], "nadam, test"),
    "reliability of two sets": lambda: reliability_of("val", "test"),
    "reliability of one set": lambda: reliability_of("test"),
    "reliability of nothing": lambda: reliability_figure({}, {}, "nothing"),
    "roc of ten": lambda: roc_figure({"test": told_of([*DIGITS, "mean"])}, "nadam"),
    "roc of four sets": lambda: roc_figure({name: told_of([*DIGITS, "mean"]) for name in ("val", "test", "drawn", "kaggle")}, LONG),
    "roc of few images": lambda: roc_figure({"val": told_of(["0", "1", "mean"], 10)}, "few"),
    "roc of settings": lambda: roc_figure({"test": told_of(OPTIMIZERS)}, "average over the digits", "setting"),
    "roc of long names": lambda: roc_figure({"test": told_of([LONG, LONG[1:]])}, LONG, "setting"),
    "roc of nothing": lambda: roc_figure({"val": told_of([])}, "nothing"),
    "network of 4": lambda: network_figure(layers_of(4), "dense"),
    "network of 25": lambda: network_figure(layers_of(25), LONG),
    "digits in one row": lambda: digits_of(3),
    "digits in many rows": lambda: digits_of(36, caption="as 9\n99.9 %"),
    "digits with long captions": lambda: digits_of(4, caption="handwritten four, read as a nine", columns=3),
    "digits in columns of their own": lambda: digits_of(2, columns=5, whole=True),
    "no digits": lambda: digits_of(0),
    "rows of digits": lambda: rows_figure({"mnist train": np.zeros((10, 28, 28)), "drawn": np.ones((3, 28, 28))}, "t", DIGITS),
    "rows of nothing": lambda: rows_figure({"drawn": np.zeros((0, 28, 28))}, "nothing"),
    "classes of three sets": lambda: classes_figure({name: np.arange(10) for name in OPTIMIZERS[:3]}, DIGITS, "Classes"),
    "classes of nothing": lambda: classes_figure({"drawn": np.zeros(10, int)}, DIGITS, "Classes"),
    "histograms of five sets": lambda: histograms_of(5, 6),
    "histogram of one": lambda: histograms_of(1, 1),
    "histogram of nothing": lambda: histograms_figure({"height": {"drawn": np.full(3, np.nan)}}, "nothing"),
}


def words_of(figure: Figure) -> list[Text]:
    """Every text that is drawn; axes keep labels of ticks out of sight as well."""
    words = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in figure.axes:
        words += [*axes.texts, axes.title]
        for axis in (axes.xaxis, axes.yaxis) if axes.axison else ():
            low, high = sorted(axis.get_view_interval())
            ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)  # panels may share labels
            words += [axis.label, *(label for at, label in ticks if low <= at <= high)]
    return [word for word in words if word.get_text().strip()]


def texts_of(figure):
    return [word.get_text() for word in words_of(figure)]


@pytest.mark.parametrize("name", FIGURES)
def test_no_word_is_cut_off_or_lies_on_another(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    boxes = {word: word.get_window_extent() for word in words_of(figure)}
    for word, box in boxes.items():
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{word.get_text()!r} is cut off"
    for (one, box), (other, another) in combinations(boxes.items(), 2):
        assert not box.overlaps(another), f"{one.get_text()!r} lies on {other.get_text()!r}"


def test_confusion_shows_counts_and_shares():
    figure = confusion_figure(np.array([[6, 2], [0, 5]]), ["zero", "one"], "t")
    counts, shares = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert counts == ["6", "2", "5"]  # an empty cell says 0
    assert shares == ["75.0", "25.0", "100.0"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["read as"] * 2
    assert [axes.get_ylabel() for axes in figure.axes] == ["true digit"] * 2


def test_confusion_colours_the_errors_by_the_largest_of_them():
    image = confusion_figure(np.array([[900, 2], [1, 800]]), ["0", "1"], "t").axes[0].images[0]
    assert image.get_clim() == (0, 2)
    assert image.get_array().mask.tolist() == [[True, False], [False, True]]


def test_curves_have_a_panel_a_metric_and_a_line_a_set():
    figure = curves_figure(curves_of(5), "t")
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    for axes in figure.axes:
        for line, name in zip(axes.lines, ("train", "val"), strict=True):
            assert list(line.get_xdata()) == [1, 2, 3, 4, 5]
            assert list(line.get_ydata()) == curves_of(5)[f"{name}/{axes.get_title()}"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "val"]


@pytest.mark.parametrize("epochs", [1, 2, 3, 7, 30, 200])
def test_epochs_are_whole_numbers_from_one(epochs):
    axes = curves_figure(curves_of(epochs), "t").axes[0]
    low, high = axes.get_xlim()
    shown = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert shown
    assert all(tick == int(tick) and 1 <= tick <= epochs for tick in shown)


def test_histograms_give_shares_of_each_set_and_whole_numbers_a_bin_each():
    figure = histograms_figure({"height": {"a": np.array([20, 20, 20, 18.0]), "b": np.array([np.nan, 25.0])}}, "t")
    shares = [dict(zip(step.get_data().edges[:-1] + 0.5, step.get_data().values, strict=True)) for step in figure.axes[0].patches]
    assert shares[0][20] == 75
    assert shares[0][18] == 25
    assert shares[1][25] == 100


def test_classes_are_shown_as_shares():
    bars = classes_figure({"drawn": np.array([1, 3])}, ["0", "1"], "t").axes[0].patches
    assert [bar.get_height() for bar in bars] == [25, 75]


def test_a_single_epoch_is_a_dot():
    assert all(line.get_marker() == "o" for axes in curves_figure(curves_of(1), "t").axes for line in axes.lines)


def test_ranking_is_in_the_order_given_with_the_top_group_in_colour():
    figure = ranking_of(["adam", "sgd", "ftrl"], [0.99, 0.98, 0.97], [True, True, False])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adam", "sgd", "ftrl"]
    assert axes.yaxis_inverted()
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(dot.get_xdata()[0], dot.get_ydata()[0]) for dot in dots] == [(0.99, 0), (0.98, 1), (0.97, 2)]
    assert [dot.get_color() for dot in dots] == [BLUE, BLUE, GREY]
    low, high = wilson(9900, 10_000)
    assert axes.texts[0].get_text() == f"0.9900  ({low:.4f} to {high:.4f})"


def test_ranking_marks_what_is_far_off_with_an_arrow():
    axes = ranking_of(["adam", "sgd", "ftrl"], [0.99, 0.989, 0.1], [True, True, False]).axes[0]
    markers = [line.get_marker() for line in axes.lines if line.get_marker() != "None"]
    assert markers == ["o", "o", "<"]
    assert axes.get_xlim()[0] > 0.9
    assert axes.texts[2].get_text().startswith("0.1000")


@pytest.mark.parametrize("means", [(0.9, -math.inf), (math.nan, math.nan), (-math.inf, -math.inf)])
def test_ranking_shows_a_measure_that_is_no_number_or_has_no_end(means):
    axes = ranking_figure(["a", "b"], means, [(math.nan, math.nan)] * 2, [True, False], "mine", "Which is best?").axes[0]
    assert np.isfinite(axes.get_xlim()).all()
    markers = [line.get_marker() for line in axes.lines if line.get_marker() != "None"]
    assert markers == ["<" if math.isinf(mean) else "o" for mean in means]


def test_standings_name_and_value_are_above_their_interval():
    axes = standings_of(["adam", "sgd", "ftrl"], [0.99, 0.989, 0.1], [True, True, False]).axes[0]
    texts = [(text.get_text(), text.get_color()) for text in axes.texts]
    assert texts == [("adam", BLUE), ("0.9900", BLUE), ("sgd", BLUE), ("0.9890", BLUE), ("ftrl", GREY), ("0.1000", GREY)]
    assert [line.get_marker() for line in axes.lines if line.get_marker() != "None"] == ["o", "o", "<"]


def test_learning_shows_the_mean_in_a_band_over_the_seeds():
    runs = {"adam": [[0.5, 0.9], [0.7, 0.8]], "sgd": [[0.5, 0.5]]}
    axes = learning_figure(runs, 8, "val/accuracy", "t").axes[0]
    assert [list(1 - line.get_ydata()) for line in axes.lines] == [pytest.approx([0.6, 0.85]), pytest.approx([0.5, 0.5])]
    assert len(axes.collections) == 1  # one seed has no band
    band = axes.collections[0].get_datalim(axes.transData)
    assert (1 - band.y1, 1 - band.y0) == pytest.approx((0.5, 0.9))
    assert axes.yaxis_inverted()  # errors, so better is up
    assert {float(label.get_text()) for label in axes.get_yticklabels()} >= {0.5, 0.7, 0.8, 0.9}


def test_learning_greys_what_is_not_among_the_first():
    figure = learning_of(10, 5)
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert len(set(colours)) == 9
    assert colours[8] == colours[9]
    assert figure.legends[0].get_texts()[-1].get_text() == "the other 2"


def test_values_are_where_they_were_measured():
    axes = values_of([1, 10, 1000], ["test"]).axes[0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "10", "1000"]
    assert values_of([0, 10, 1000], ["test"]).axes[0].get_xscale() == "linear"


def test_counts_are_those_of_the_table():
    axes = counts_figure(np.array([[6, 2], [0, 5]]), ["zero", "one"], "t").axes[0]
    assert [text.get_text() for text in axes.texts] == ["6", "2", "5"]


def test_network_names_every_layer_and_adds_up_parameters():
    layers = layers_of(13)
    texts = texts_of(network_figure(layers, "t"))
    names = [layer["name"] for layer in layers]
    assert [text for text in texts if text in names] == names
    assert "120 parameters" in texts
    assert "780 parameters in all" in texts


def test_digits_show_each_image_once():
    figure = digits_of(7, columns=3)
    assert len(figure.axes[0].images) == 7
    assert texts_of(figure).count("true 4, read 9") == 7


def test_digits_need_a_caption_each():
    with pytest.raises(ValueError, match="shorter"):
        digits_figure(np.zeros((2, 28, 28), dtype=np.uint8), ["one"], "t")


def test_a_picture_is_written_whole_and_alone(tmp_path):
    path = tmp_path / "digits.png"
    path.write_bytes(b"an older picture")
    figure = digits_of(3)
    save(figure, path)
    assert [file.name for file in tmp_path.iterdir()] == ["digits.png"]
    high, wide, _ = imread(path).shape
    assert (wide, high) == pytest.approx(110 * figure.get_size_inches(), abs=1)


def test_a_picture_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "digits.png"
    path.write_bytes(b"an older picture")

    def fail(figure, path, **settings):
        path.write_bytes(b"half of")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        save(digits_of(1), path)
    assert [file.name for file in tmp_path.iterdir()] == ["digits.png"]
    assert path.read_bytes() == b"an older picture"


def test_the_look_stays_inside():
    before = dict(rcParams)
    digits_of(1)
    assert dict(rcParams) == before


def test_no_window_and_no_scikit_learn_is_needed():
    script = "import sys, digitexp.figures; print({'matplotlib.pyplot', 'sklearn', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_roc_has_a_line_a_digit_and_its_area():
    alarms, lines = told_of(["0", "mean"])
    (axes,) = roc_figure({"test": (alarms, lines)}, "nadam").axes
    assert axes.get_title() == "test"
    for line, name in zip(axes.lines, ("0", "mean"), strict=True):
        assert np.array_equal(line.get_xdata(), alarms)
        assert np.array_equal(line.get_ydata(), lines[name][0])
        assert line.get_label() == f"{name}   {lines[name][1]:.4f}"
    assert axes.lines[1].get_linewidth() > axes.lines[0].get_linewidth()
