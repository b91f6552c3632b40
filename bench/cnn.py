"""Seed 003's CNN, trained by us, by Keras' `fit` and by PyTorch: 60,000 images of MNIST, batches of 128, Adam.

    pip install torch
    python bench/cnn.py path/to/mnist.npz

Every arm runs in a fresh process, and before each other arm ours runs again: A B A C. Rates are images a second: `whole`
counts all from the configuration to the trained network, `steady` only the epochs after the first. Ratios are of neighbours,
and their median is given with their range. `gflops` counts what the layers multiply and add, forwards and backwards, and is
set beside a large float32 matrix product of the same process. Writes bench/results/cnn.json. Ends with code 1 when the arms
did not do the same work: the same steps, the same images, an accuracy within 0.2 points.
"""

import argparse
import json
import os
import sys
import time
import warnings
from itertools import pairwise
from statistics import median
from typing import Any

from measuring import about, fresh, product_rate, spread, write

PACKAGES = ("tensorflow", "keras", "torch", "numpy")
BATCH = 128
SIDE = 2048  # of the matrices whose product the arithmetic is set beside
TOLERANCE = 0.002  # of the accuracy on the test set
OTHERS = {"fit": "Keras' fit in float32", "torch": "PyTorch in float32"}


def main() -> int:
    parser = argparse.ArgumentParser(description="Seed 003's CNN by three ways of training it.")
    parser.add_argument("mnist", help="mnist.npz")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--arm", help="run one arm and print its JSON")
    arguments = parser.parse_args()
    if arguments.arm:
        print(json.dumps(run_arm(arguments)))
        return 0
    runs = []
    for _ in range(arguments.rounds):
        for name in [arm for other in OTHERS for arm in ("ours", other)]:
            own = ["--epochs", str(arguments.epochs), "--images", str(arguments.images), "--arm", name]
            runs.append(fresh(__file__, [arguments.mnist, *own]))
            print("{arm:6} whole {whole:6.0f}  steady {steady:6.0f} images/s  {accuracy:.4f}".format(**runs[-1]), flush=True)
    report = summarise(runs)
    write("cnn.json", report)
    show(report)
    return 0 if report["same_work"] else 1


def run_arm(arguments: argparse.Namespace) -> dict[str, Any]:
    """One arm in this process: images a second as a whole and after the first epoch, accuracy, steps, GFLOP/s."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    from digitexp.compose import compose
    from digitexp.data.sets import load
    from digitexp.models.layers import layers, training_flops

    data = ["data=mnist", f"data.path={arguments.mnist}", "data.validation=0", f"data.limit={arguments.images}"]
    config = compose([*data, "model=cnn", f"training.batch_size={BATCH}", f"training.epochs={arguments.epochs}",
                      "search.objective=null"])  # fmt: skip
    sets = load(config.data)
    ticks: list[float] = []
    arm = {"ours": ours, "fit": fit, "torch": torch_arm}[arguments.arm]
    started, predicted, steps, product = arm(config, sets, ticks)
    images, flops = len(sets["train"]), training_flops(layers(config) or [])
    later = images * (len(ticks) - 1) / (ticks[-1] - ticks[0])
    return {
        "arm": arguments.arm, "whole": images * len(ticks) / (ticks[-1] - started), "steady": later, "steps": steps,
        "images": images * len(ticks), "accuracy": float((predicted == sets["test"].labels).mean()),
        "gflops": later * flops / 1e9, "share_of_matrix_product": later * flops / 1e9 / product,
    }  # fmt: skip


def ours(config: Any, sets: Any, ticks: list[float]) -> tuple[float, Any, int, float]:
    from digitexp.training.engines import resolve
    from digitexp.training.train import predict, train

    started = time.perf_counter()
    model, _ = train(resolve(config), {"train": sets["train"]}, on_epoch=lambda epoch, metrics: tick(ticks))
    return started, predict(model, sets["test"].images).argmax(axis=1), int(model.optimizer.iterations), tensorflow_product()


def fit(config: Any, sets: Any, ticks: list[float]) -> tuple[float, Any, int, float]:
    import keras
    import numpy as np

    from digitexp.models import network
    from digitexp.training.train import predict

    images, truth = sets["train"].images, np.eye(10, dtype=np.float32)[sets["train"].labels]
    started = time.perf_counter()
    model = network.compile(config)
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: tick(ticks))
    model.fit(images, truth, batch_size=BATCH, epochs=config.training.epochs, verbose=0, callbacks=[told])
    return started, predict(model, sets["test"].images).argmax(axis=1), int(model.optimizer.iterations), tensorflow_product()


def torch_arm(config: Any, sets: Any, ticks: list[float]) -> tuple[float, Any, int, float]:
    import numpy as np
    import torch
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(9216, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    images, labels = torch.from_numpy(sets["train"].images), torch.from_numpy(sets["train"].labels)
    optimizer, loss = torch.optim.Adam(model.parameters(), 0.001, eps=1e-7), nn.CrossEntropyLoss()
    steps, started = 0, time.perf_counter()

    def floats(part: Any) -> Any:
        return (part[:, None].float() / 255).to(memory_format=torch.channels_last)

    for _ in range(config.training.epochs):
        for rows in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss(model(floats(images[rows])), labels[rows]).backward()
            optimizer.step()
            steps += 1
        tick(ticks)
    model.eval()
    with torch.no_grad():
        parts = [model(floats(part)).argmax(1).numpy() for part in torch.from_numpy(sets["test"].images).split(1000)]
    matrix = torch.randn(SIDE, SIDE)
    return started, np.concatenate(parts), steps, product_rate(lambda: matrix @ matrix, SIDE)


def tick(ticks: list[float]) -> bool:
    ticks.append(time.perf_counter())
    return True


def tensorflow_product() -> float:
    import tensorflow as tf

    matrix = tf.random.normal((SIDE, SIDE))
    return product_rate(lambda: tf.matmul(matrix, matrix).numpy(), SIDE)


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    pairs = [(before, after) for before, after in pairwise(runs) if before["arm"] == "ours"]
    arms = {name: [run for run in runs if run["arm"] == name] for name in ("ours", *OTHERS)}
    accuracy = {name: median(run["accuracy"] for run in of_arm) for name, of_arm in arms.items()}
    measured = ("whole", "steady", "gflops", "share_of_matrix_product", "accuracy")
    return {
        **about(*PACKAGES), "batch_size": BATCH,
        "same_work": len({(run["images"], run["steps"]) for run in runs}) == 1
        and max(accuracy.values()) - min(accuracy.values()) <= TOLERANCE,
        "arms": {name: {kind: spread([run[kind] for run in of_arm]) for kind in measured} for name, of_arm in arms.items()},
        "ours_is_faster_by": {
            name: {kind: spread([before[kind] / after[kind] for before, after in pairs if after["arm"] == name])
                   for kind in ("whole", "steady")}
            for name in OTHERS
        },
        "runs": runs,
    }  # fmt: skip


def show(report: dict[str, Any]) -> None:
    machine = report["machine"]
    print(f"\n{machine['cpu']}, {machine['cores']} cores, {report['date']}; same work: {report['same_work']}")
    for name, arm in report["arms"].items():
        steady, flops, share, accuracy = (
            arm[kind]["median"] for kind in ("steady", "gflops", "share_of_matrix_product", "accuracy")
        )
        print(f"{name:6} {steady:6.0f} images/s  {flops:5.0f} GFLOP/s ({share:.0%} of a matrix product)  {accuracy:.4f}")
    for name, kinds in report["ours_is_faster_by"].items():
        whole, steady = (f"{kinds[kind]['median']:.2f}x {kinds[kind]['range']}" for kind in ("whole", "steady"))
        print(f"ours against {OTHERS[name]}: whole {whole}, steady {steady}")


if __name__ == "__main__":
    sys.exit(main())
