"""Augmentation against the two usual ways, and what it costs a training epoch.

    python bench/augmentation.py path/to/mnist.npz

Throughput: images of MNIST turned by up to 10 degrees, zoomed and shifted by up to a tenth, by three arms that alternate:
`augment` (ours), `ImageDataGenerator` (SciPy, image by image) and three chained Keras layers (batches of 128 in one
TensorFlow function). Training: epochs of seed 003's CNN with and without augmentation, taking turns in one process. Ratios
are of neighbours, and their median is given with their range; processor seconds beside the clock's, since machines are
shared.
Writes bench/results/augmentation.json. Ends with code 1 when the arms did not do the same work.
"""

import argparse
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
import tensorflow as tf
from measuring import about, spread, write

from digitexp.compose import compose
from digitexp.data.augmentation import STREAM, augment
from digitexp.data.sets import load
from digitexp.training.train import train

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "opencv-python-headless")
BATCH = 128
COUNT = 64 * BATCH  # images of one measurement
PRESET = "training.augmentation.preset=rotate_zoom_shift"
GOALS = {"ImageDataGenerator": 20.0, "Keras layers": 4.0, "training": 1.1}
Arm = Callable[[Any], Any]  # images (n, 28, 28) uint8 -> augmented


def main() -> int:
    parser = argparse.ArgumentParser(description="Augmentation against the two usual ways.")
    warnings.simplefilter("ignore")
    parser.add_argument("mnist", help="mnist.npz")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=6, help="measured of each arm, after one that compiles")
    parser.add_argument("--images", type=int, default=3000, help="of a training epoch")
    arguments = parser.parse_args()
    data = ["data=mnist", f"data.path={arguments.mnist}", "data.validation=0", "search.objective=null"]
    images = load(compose(data).data)["train"].images[:COUNT]
    arms = {"augment": ours(), "ImageDataGenerator": generator(), "Keras layers": layers()}
    same = same_work(arms, images)
    throughput = measure_throughput(arms, images, arguments.rounds)
    training = measure_training([*data, f"data.limit={arguments.images}", f"training.batch_size={BATCH}"], arguments.epochs)
    report = {
        **about(*PACKAGES), "images": COUNT, "same_work": same,
        "goals": GOALS, "throughput": throughput, "training": training,
    }  # fmt: skip
    write("augmentation.json", report)
    show(report)
    return 0 if all(same.values()) else 1


def ours() -> Arm:
    augmentation, epochs = compose([PRESET]).training.augmentation, iter(range(1, 10**9))
    return lambda images: augment(images, augmentation, 1, next(epochs))


def generator() -> Arm:
    """As seeds 000 and 004 wrote it, but for background instead of smeared edges."""
    kind = keras.src.legacy.preprocessing.image.ImageDataGenerator
    made = kind(rotation_range=10, zoom_range=0.1, width_shift_range=0.1, height_shift_range=0.1, fill_mode="constant")

    def flow(images: Any) -> Any:
        batches = made.flow(images[..., None], batch_size=BATCH, shuffle=False)
        return np.concatenate([next(batches) for _ in range(len(images) // BATCH)])[..., 0]

    return flow


def layers() -> Arm:
    chain = keras.Sequential([
        keras.layers.RandomRotation(10 / 360, fill_mode="constant"),
        keras.layers.RandomZoom(0.1, 0.1, fill_mode="constant"),
        keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant"),
    ])  # fmt: skip

    @tf.function
    def batch(images: tf.Tensor) -> tf.Tensor:
        return chain(tf.cast(images, tf.float32)[..., None], training=True)

    return lambda images: np.concatenate([batch(images[at : at + BATCH]) for at in range(0, len(images), BATCH)])[..., 0]


def same_work(arms: dict[str, Arm], images: Any) -> dict[str, bool]:
    """ImageDataGenerator with our numbers makes our images; all arms, with numbers of their own, move ink equally far."""
    amounts = compose([PRESET]).training.augmentation
    drawn = np.random.default_rng([1, 1, STREAM]).uniform(-1, 1, (500, 7))
    made, one = augment(images[:500], amounts, 1, 1), keras.src.legacy.preprocessing.image.ImageDataGenerator
    apply = one(fill_mode="constant").apply_transform
    theirs = [
        apply(image[..., None].astype(np.float32),
              {"theta": 10 * n[0], "zx": 1 + 0.1 * n[2], "zy": 1 + 0.1 * n[1], "tx": 2.8 * n[4], "ty": 2.8 * n[3]})[..., 0]
        for image, n in zip(images, drawn, strict=False)
    ]  # fmt: skip
    spreads = {name: moved(images, arm(images)) for name, arm in arms.items()}
    return {
        "ImageDataGenerator": bool(np.abs(np.subtract(made, theirs)).mean() < 0.5),  # grey levels
        **{name: bool(np.allclose(found, spreads["augment"], rtol=0.1)) for name, found in spreads.items()},
    }


def moved(before: Any, after: Any) -> list[float]:
    """By how much the centre of mass moves across and down (standard deviation, pixels), and the share of ink left."""
    along, shifts, stacks = np.arange(28), [], [part.astype(float) for part in (before, after)]
    for axis in (1, 2):
        old, new = ((stack.sum(axis=axis) @ along) / stack.sum(axis=(1, 2)) for stack in stacks)
        shifts.append(float(np.std(new - old)))
    return [*shifts, float(after.mean(dtype=float) / before.mean(dtype=float))]


def measure_throughput(arms: dict[str, Arm], images: Any, rounds: int) -> dict[str, Any]:
    """Every other arm between two of ours; the generator, which is slow, has an eighth of the images."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in arms if name != "augment"}
    for _ in range(rounds):
        for other in ratios:
            mine = timed(arms["augment"], images)
            theirs = timed(arms[other], images[: COUNT // 8] if other == "ImageDataGenerator" else images)
            again = timed(arms["augment"], images)
            seconds["augment"] += [mine, again]
            seconds[other].append(theirs)
            ratios[other].append(tuple(2 * theirs[i] / (mine[i] + again[i]) for i in (0, 1)))  # type: ignore[arg-type]
    return {
        "images_per_second": {name: spread([1 / wall for wall, _ in values]) for name, values in seconds.items()},
        "augment_is_faster_by": {name: spread([wall for wall, _ in values]) for name, values in ratios.items()},
        "in_processor_seconds": {name: spread([cpu for _, cpu in values]) for name, values in ratios.items()},
    }


def timed(arm: Arm, images: Any) -> tuple[float, float]:
    """Seconds an image, by the clock and of processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    arm(images)
    return (time.perf_counter() - wall) / len(images), (time.process_time() - cpu) / len(images)


def measure_training(overrides: list[str], epochs: int) -> dict[str, Any]:
    """Two trainings take turns, an epoch each: in their own threads, of which one waits."""
    arms: dict[str, list[str]] = {"plain": [], "augmented": [PRESET]}
    turns = {name: threading.Semaphore(0) for name in arms}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    steps: dict[str, int] = {}

    configs = {
        name: compose([*overrides, "model=cnn", f"training.epochs={epochs + 1}", *more]) for name, more in arms.items()
    }
    sets = {"train": load(configs["plain"].data)["train"]}

    def work(name: str, other: str) -> None:
        began = [0.0, 0.0]

        def take_turn() -> None:
            turns[name].acquire()
            began[:] = time.perf_counter(), time.process_time()

        def on_epoch(epoch: int, metrics: dict[str, float]) -> bool:
            seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
            turns[other].release()
            if epoch <= epochs:
                take_turn()
            return True

        take_turn()
        steps[name] = int(train(configs[name], sets, on_epoch=on_epoch)[0].optimizer.iterations)

    pairs = (("plain", "augmented"), ("augmented", "plain"))
    threads = [threading.Thread(target=work, args=names, daemon=True) for names in pairs]
    for thread in threads:
        thread.start()
    turns["plain"].release()
    for thread in threads:
        thread.join()
    assert steps["plain"] == steps["augmented"]
    both = list(zip(seconds["plain"], seconds["augmented"], strict=True))[1:]  # the first epoch compiles
    return {
        "images": len(sets["train"]),
        "seconds_an_epoch": {name: spread([wall for wall, _ in values[1:]]) for name, values in seconds.items()},
        "slower_by_factor": spread([after[0] / before[0] for before, after in both]),
        "in_processor_seconds": spread([after[1] / before[1] for before, after in both]),
    }


def show(report: dict[str, Any]) -> None:
    found, training = report["throughput"], report["training"]
    print(f"{report['machine']['cpu']}, {report['machine']['cores']} cores, load {report['machine']['load']:.1f}")
    print(f"{report['date']}, commit {report['commit']}; same work: {report['same_work']}")
    for name, rate in found["images_per_second"].items():
        print(f"{name:20}{rate['median']:12,.0f} images/s, {rate['range'][0]:,.0f} to {rate['range'][1]:,.0f}")
    for name, ratio in found["augment_is_faster_by"].items():
        cpu = found["in_processor_seconds"][name]
        print(f"augment is faster than {name} by {ratio['median']:.1f} {ratio['range']}, in processor seconds "
              f"{cpu['median']:.1f} {cpu['range']}; goal {GOALS[name]:g}")  # fmt: skip
    ratio, cpu = training["slower_by_factor"], training["in_processor_seconds"]
    print(f"an epoch of seed 003's CNN takes {ratio['median']:.3f} times as long {ratio['range']}, in processor seconds "
          f"{cpu['median']:.3f} {cpu['range']}; goal {GOALS['training']:g} at most")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
