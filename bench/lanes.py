"""Lanes against what trains networks one by one: 784-50-50-10 on 60,000 images of MNIST, batches of 128, Adam.

    pip install optuna tensorboard
    python bench/lanes.py path/to/mnist.npz

Every arm runs in a fresh process, and before each other arm the lanes run again: A B A C A D. Networks differ in their
learning rate, so that none is trained twice. Rates are networks times epochs a second: `whole` counts all from the
configurations to the trained networks, building, tracing and compiling included; `steady` only the epochs after the first.
The others train 8 networks, as more would not change their rate; the lanes are 1, 8, 32 and 128 of one seed, which share
their batches, and 32 of 32 seeds, each with batches of its own. Ratios are of neighbours,
and their median is given with their range. Writes bench/results/lanes.json. Ends with code 1 when the arms did not do the
same work: the same steps, the same images, a mean accuracy within 0.2 points.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from measuring import about, fresh, product_rate, spread, write

PACKAGES = ("tensorflow", "keras", "keras-tuner", "optuna", "numpy", "scikit-learn")
BATCH = 128
Trained = tuple[float, list[Any], int]  # when it was finished, predicted labels of each network, steps of each
TOLERANCE = 0.002  # of the mean accuracy on the test set
OTHERS = {
    "keras": "Keras' fit, one by one",
    "tuner": "KerasTuner's grid search",
    "optuna": "Optuna around Keras' fit",
    "sklearn": "scikit-learn's MLPClassifier, all cores",
}
LANES = (8, 32)  # each is compared with the others
ALONE = (("lanes", 1), ("lanes", 128), ("seeds", 32))
LANED = ("lanes", "seeds")  # trained side by side


def main() -> int:
    parser = argparse.ArgumentParser(description="Lanes against training one by one.")
    parser.add_argument("mnist", help="mnist.npz")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--arm", nargs=2, metavar=("NAME", "NETWORKS"), help="run one arm and print its JSON")
    arguments = parser.parse_args()
    if arguments.arm:
        name, networks = arguments.arm
        print(json.dumps(run_arm(name, int(networks), arguments.mnist, arguments.epochs)))
        return 0
    runs = []
    pairs = [arm for other in OTHERS for lanes in LANES for arm in (("lanes", lanes), (other, 8))]
    for _ in range(arguments.rounds):
        for name, networks in [*pairs, *ALONE]:
            own = ["--epochs", str(arguments.epochs), "--arm", name, str(networks)]
            runs.append(fresh(__file__, [arguments.mnist, *own]))
            print(
                "{arm:8} {networks:3} networks  whole {whole:6.2f} s  steady {steady:6.2f} model-epochs/s".format(
                    **runs[-1]
                ),
                flush=True,
            )
    report = summarise(runs, arguments.epochs)
    write("lanes.json", report)
    show(report)
    return 0 if report["same_work"] else 1


def run_arm(name: str, networks: int, mnist: str, epochs: int) -> dict[str, Any]:
    """One arm in this process: seconds, steady model-epochs a second, mean test accuracy, images seen by each network."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    from digitexp.compose import compose
    from digitexp.data.sets import load

    rates = [0.001 * (1 + 0.4 * (index / max(networks - 1, 1) - 0.5)) for index in range(networks)]
    data = [
        "data=mnist",
        f"data.path={mnist}",
        "data.validation=0",
        f"training.batch_size={BATCH}",
        f"training.epochs={epochs}",
    ]
    base = compose([*data, "search.objective=null"])
    sets = load(base.data)
    ticks: list[float] = []
    arm: Callable[..., Trained] = {
        "lanes": lanes_arm,
        "seeds": seeds_arm,
        "keras": keras_arm,
        "tuner": tuner_arm,
        "optuna": optuna_arm,
        "sklearn": sklearn_arm,
    }[name]
    loaded = prepare(name)
    started, used = time.perf_counter(), time.process_time()
    finished, predictions, steps = arm(base, rates, sets, ticks, loaded)
    whole, cpu = finished - started, time.process_time() - used
    accuracy = [float((labels == sets["test"].labels).mean()) for labels in predictions]
    return {
        "arm": name, "networks": networks, "whole": whole, "cpu_seconds": cpu,
        "steady": steady(name, networks, epochs, ticks, started),
        "accuracy": sum(accuracy) / networks, "steps": steps, "images": len(sets["train"]) * epochs,
        "gflop_per_epoch": flops(base) * len(sets["train"]) / 1e9, "matmul": matmul_rate() if name in LANED else None,
    }  # fmt: skip


def steady(name: str, networks: int, epochs: int, ticks: list[float], started: float) -> float:
    """Model-epochs a second after the first epoch of every training; `ticks` are the ends of all epochs."""
    if name == "sklearn" or epochs == 1:
        return networks * epochs / (ticks[-1] - started)
    gaps = [after - before for index, (before, after) in enumerate(pairwise(ticks), 1) if name in LANED or index % epochs]
    return (networks if name in LANED else 1) * len(gaps) / sum(gaps)


def prepare(name: str) -> Any:
    """Import what the arm uses, which is no part of its time."""
    if name == "sklearn":
        from joblib import Parallel, delayed

        pool = Parallel(n_jobs=os.cpu_count())
        pool(delayed(fit_classifier)(None, None, 0.001, 0) for _ in range(os.cpu_count() or 1))
        return pool
    import keras_tuner

    from digitexp.training import lanes, train

    if name == "optuna":
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna, train
    return (keras_tuner if name == "tuner" else lanes), train


def variants(base: Any, rates: list[float]) -> list[Any]:
    from digitexp.config import change

    return [change(base, {"optimizer.learning_rate": rate}) for rate in rates]


def lanes_arm(base: Any, rates: list[float], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    return side_by_side(variants(base, rates), sets, ticks, loaded)


def seeds_arm(base: Any, rates: list[float], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    from digitexp.config import change

    configs = [change(config, {"seed": seed}) for seed, config in enumerate(variants(base, rates), 1)]
    return side_by_side(configs, sets, ticks, loaded)


def side_by_side(configs: list[Any], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    lanes, train = loaded

    def on_epoch(lane: int, epoch: int, metrics: dict[str, float]) -> bool:
        if lane == 0:
            ticks.append(time.perf_counter())
        return True

    trained = lanes.train(configs, [{"train": sets["train"]}] * len(configs), on_epoch=on_epoch)
    models = [model for model, _ in trained]
    finished = time.perf_counter()
    return finished, predictions(models, sets, train), steps_of(models[0])


def keras_arm(base: Any, rates: list[float], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    models = [fitted(config, sets, ticks)[0] for config in variants(base, rates)]
    finished = time.perf_counter()
    return finished, predictions(models, sets, loaded[1]), steps_of(models[0])


def tuner_arm(base: Any, rates: list[float], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    keras_tuner, train = loaded
    from digitexp.config import change
    from digitexp.models import network

    models = []

    class Network(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return network.compile(change(base, {"optimizer.learning_rate": hp.Choice("rate", rates)}))

        def fit(self, hp: Any, model: Any, *given: Any, callbacks: Any, **named: Any) -> Any:
            models.append(model)
            return model.fit(*given, callbacks=[*callbacks, ticking(ticks)], **named)

    with TemporaryDirectory() as folder:
        objective = keras_tuner.Objective("loss", "min")
        tuner = keras_tuner.GridSearch(Network(), objective=objective, directory=folder)
        tuner.search(*images_and_truth(sets), batch_size=BATCH, epochs=base.training.epochs, verbose=0)
    finished = time.perf_counter()
    return finished, predictions(models, sets, train), steps_of(models[0])


def optuna_arm(base: Any, rates: list[float], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    optuna, train = loaded
    from digitexp.config import change

    models = []

    def objective(trial: Any) -> float:
        config = change(base, {"optimizer.learning_rate": trial.suggest_categorical("rate", rates)})
        model, history = fitted(config, sets, ticks)
        models.append(model)
        return history["loss"][-1]

    study = optuna.create_study(sampler=optuna.samplers.GridSampler({"rate": rates}))
    study.optimize(objective, n_trials=len(rates))
    finished = time.perf_counter()
    return finished, predictions(models, sets, train), steps_of(models[0])


def fitted(config: Any, sets: Any, ticks: list[float]) -> tuple[Any, dict[str, list[float]]]:
    from digitexp.models import network

    model, named = network.compile(config), {"batch_size": BATCH, "epochs": config.training.epochs, "verbose": 0}
    return model, model.fit(*images_and_truth(sets), callbacks=[ticking(ticks)], **named).history


def ticking(ticks: list[float]) -> Any:
    import keras

    return keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ticks.append(time.perf_counter()))


def images_and_truth(sets: Any) -> tuple[Any, Any]:
    import numpy as np

    return sets["train"].images, np.eye(10, dtype=np.float32)[sets["train"].labels]


def predictions(models: list[Any], sets: Any, train: Any) -> list[Any]:
    return [train.predict(model, sets["test"].images).argmax(axis=1) for model in models]


def sklearn_arm(base: Any, rates: list[float], sets: Any, ticks: list[float], loaded: Any) -> Trained:
    import numpy as np
    from joblib import delayed

    images, test = (sets[name].images.reshape(-1, 784).astype(np.float32) / 255 for name in ("train", "test"))
    epochs = base.training.epochs
    models = loaded(delayed(fit_classifier)(images, sets["train"].labels, rate, epochs) for rate in rates)
    finished = time.perf_counter()
    ticks.append(finished)
    return finished, [model.predict(test) for model in models], models[0].t_ // len(images) * -(-len(images) // BATCH)


def fit_classifier(images: Any, labels: Any, rate: float, epochs: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # that it has not converged
    model = MLPClassifier(
        (50, 50), alpha=0.0, batch_size=BATCH, learning_rate_init=rate, epsilon=1e-7, max_iter=max(epochs, 1), random_state=1
    )
    return model.fit(images, labels) if epochs else model


def steps_of(model: Any) -> int:
    return int(model.optimizer.iterations)


def flops(base: Any) -> int:
    from digitexp.models.layers import layers, training_flops

    return training_flops(layers(base) or [])


def matmul_rate(side: int = 2048) -> float:
    """GFLOP/s of a large float32 matrix product, the median of seven."""
    import tensorflow as tf

    matrix = tf.random.normal((side, side))
    return product_rate(lambda: tf.matmul(matrix, matrix).numpy(), side)


def summarise(runs: list[dict[str, Any]], epochs: int) -> dict[str, Any]:
    ratios: dict[str, dict[str, list[float]]] = {
        f"{lanes} lanes, {name}": {"whole": [], "steady": []} for name in OTHERS for lanes in LANES
    }
    for before, after in pairwise(runs):
        if after["arm"] in OTHERS and before["arm"] == "lanes":
            found = ratios[f"{before['networks']} lanes, {after['arm']}"]
            found["whole"].append((before["networks"] / before["whole"]) / (after["networks"] / after["whole"]))
            found["steady"].append(before["steady"] / after["steady"])
    arms = {
        f"{run['arm']} {run['networks']}": [
            other for other in runs if (other["arm"], other["networks"]) == (run["arm"], run["networks"])
        ]
        for run in runs
    }
    reference = median(run["accuracy"] for run in runs if run["arm"] == "lanes")
    return {
        **about(*PACKAGES), "epochs": epochs, "batch_size": BATCH,
        "same_work": len({(run["images"], run["steps"]) for run in runs}) == 1
        and all(abs(run["accuracy"] - reference) <= TOLERANCE for run in runs if run["networks"] > 1),
        "arms": {name: spread_of(of_arm) for name, of_arm in arms.items()},
        "lanes_are_faster_by": {
            name: {kind: spread(values) for kind, values in kinds.items()} for name, kinds in ratios.items()
        },
        "runs": runs,
    }  # fmt: skip


def spread_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    rates = {"whole_model_epochs_per_second": [run["networks"] * run["images"] / 60_000 / run["whole"] for run in runs]}
    rates |= {
        "steady_model_epochs_per_second": [run["steady"] for run in runs],
        "accuracy": [run["accuracy"] for run in runs],
    }
    rates["gflops"] = [run["steady"] * run["gflop_per_epoch"] for run in runs]
    if runs[0]["matmul"]:
        rates["share_of_matmul"] = [run["steady"] * run["gflop_per_epoch"] / run["matmul"] for run in runs]
    return {name: spread(values) for name, values in rates.items()}


def show(report: dict[str, Any]) -> None:
    print(
        f"\n{report['machine']['cpu']}, {report['machine']['cores']} cores, {report['date']}; "
        f"same work: {report['same_work']}"
    )
    print(f"{'arm':12}{'whole':>10}{'steady':>10}  model-epochs/s{'GFLOP/s':>10}{'of matmul':>11}{'accuracy':>10}")
    for name, arm in report["arms"].items():
        share = f"{arm['share_of_matmul']['median']:.0%}" if "share_of_matmul" in arm else ""
        rates = [arm[f"{kind}_model_epochs_per_second"]["median"] for kind in ("whole", "steady")]
        print(
            f"{name:12}{rates[0]:10.2f}{rates[1]:10.2f}{arm['gflops']['median']:26.0f}{share:>11}{arm['accuracy']['median']:10.4f}"
        )
    for name, kinds in report["lanes_are_faster_by"].items():
        whole, steady = (f"{kinds[kind]['median']:.1f}x {kinds[kind]['range']}" for kind in ("whole", "steady"))
        lanes, other = name.split(", ")
        print(f"{lanes} against {OTHERS[other]}: whole {whole}, steady {steady}")


if __name__ == "__main__":
    sys.exit(main())
