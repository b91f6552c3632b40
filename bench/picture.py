"""The picture of speed in the README, drawn from bench/results/lanes.json: docs/pictures/speed.png.

    python bench/picture.py
"""

import json
from pathlib import Path

from measuring import RESULTS

from digitexp.figures.look import BLUE, GREY, PAGE, empty, look, save

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "speed.png"
NAMES = {
    "optuna 8": "Optuna around Keras' fit", "tuner 8": "KerasTuner", "keras 8": "Keras' fit", "sklearn 8": "scikit-learn",
    "lanes 1": "digitexp, 1 network", "lanes 8": "digitexp, 8 networks", "lanes 32": "digitexp, 32 networks",
    "lanes 128": "digitexp, 128 networks",
}  # fmt: skip


@look
def draw() -> None:
    arms = json.loads((RESULTS / "lanes.json").read_text())["arms"]
    rates = {name: arms[arm]["steady_model_epochs_per_second"] for arm, name in NAMES.items()}
    figure = empty("Epochs of a small dense network a second", PAGE, 0.6 + 0.3 * len(rates))
    axes = figure.subplots()
    for row, (name, rate) in enumerate(rates.items()):
        own = name.startswith("digitexp")
        axes.barh(row, rate["median"], color=BLUE if own else GREY, height=0.7)
        axes.text(max(rate["median"], rate["range"][1]), row, f"  {rate['median']:#.2g}", va="center")
        axes.plot(rate["range"], [row, row], color="black", linewidth=1)
    axes.set(yticks=range(len(rates)), yticklabels=rates, xlabel="median and range; 60,000 images, two cores")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    save(figure, PICTURE)


if __name__ == "__main__":
    draw()
