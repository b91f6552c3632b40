"""What a trial costs besides its training, and whether that grows: 1,000 trials through the real loop and store.

    python bench/trials.py [--trials 1000]

The training takes hardly any time (tests/fake_training.py), and what it takes is taken off; KerasTuner's random search,
executor, MLflow store on SQLite and ranking are the real ones, with `tracking.pictures=best`. Writes
bench/results/trials.json: CPU milliseconds a trial from trial 10 and at the end, resident memory along the way, and the
seconds that ranking and reporting take at the end. The share of a run of two seconds is that of all of it: beginning,
trials and end, divided by the trials.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from measuring import about, write

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
WINDOW = 100  # trials whose median stands for one: the machine is shared, and its pace changes within seconds
SHARE = 0.05  # of the time of a run of two seconds that may go into anything but its training
ALLOWED = 25.0  # ms that the last trial may cost more than the tenth
GROWTH = 50.0  # MiB that memory may grow from trial 100 to the last


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000)
    count = parser.parse_args().trials
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with TemporaryDirectory() as folder:
        report = measure(Path(folder), count)
    write("trials.json", report)
    print(json.dumps(report, indent=1))
    return 0 if report["passed"] else 1


def measure(folder: Path, count: int) -> dict[str, Any]:
    import fake_training
    import keras_tuner
    import psutil

    from digitexp import experiment
    from digitexp.compose import compose
    from digitexp.models import network
    from digitexp.planning import plan
    from digitexp.watch import Watch

    os.environ["FAKE"] = str(folder)
    reference = compose(["model.layer_1.units=0", "model.layer_2.units=0"])
    network.save(reference, network.build(reference), folder / "network.keras")
    trained = Trained(fake_training.run)
    ends: list[float] = []
    memory: list[float] = []
    oracle: dict[str, list[float]] = {"create_trial": [], "end_trial": []}

    class Clock(Watch):
        def end(self, job: Any, outcome: Any) -> None:
            ends.append(time.process_time() - trained.seconds)
            memory.append(psutil.Process().memory_info().rss / 2**20)

    for name, spent in oracle.items():
        setattr(keras_tuner.Oracle, name, timed(getattr(keras_tuner.Oracle, name), spent))
    config = compose([
        f"tracking.uri=sqlite:///{folder}/mlflow.db", "tracking.pictures=best", "search.name=trials", "search.method=random",
        f"search.trials={count}", "training.epochs=3",
        "search.space={optimizer.learning_rate:{min:0.0001,max:0.1,log:true},model.layer_1.dropout:{min:0.0,max:0.8}}",
    ])  # fmt: skip
    began = time.process_time()
    outcome = experiment.run(plan(config), "What does a trial cost?", Clock(), trained.run)
    whole = time.process_time() - began - trained.seconds
    loop = [1000 * (after - before) for before, after in zip([ends[0], *ends], ends, strict=False)]
    asked, told = ([1000 * value for value in oracle[name]] for name in ("create_trial", "end_trial"))
    oracles = [sum(each) for each in zip(asked, told, strict=False)]
    cost = [sum(each) for each in zip(loop, oracles, strict=False)]
    tenth, last = median(cost[10 : 10 + WINDOW]), median(cost[-WINDOW:])
    share = whole / (2 * count + whole)
    growth = memory[-1] - memory[min(100, count // 2)]
    return {
        **about("keras-tuner", "mlflow", "hydra-core"),
        "trials": len(outcome.rows),
        "trained": outcome.trained,
        "cpu_ms_around_trial_10": round(tenth, 1),
        "cpu_ms_around_the_last": round(last, 1),
        "cpu_ms_more": round(last - tenth, 1),
        "cpu_ms_a_trial_with_beginning_and_end": round(1000 * whole / count, 1),
        "share_of_a_run_of_two_seconds": round(share, 4),
        "of_it_by_the_oracle": round(median(oracles[-WINDOW:]) - median(oracles[10 : 10 + WINDOW]), 1),
        "memory_mib": {str(at): round(memory[at - 1]) for at in (1, 10, 100, 250, 500, 750, count) if at <= count},
        "memory_mib_more": round(growth, 1),
        "cpu_seconds_after_the_last_trial": round(began + whole - ends[-1], 1),
        "passed": last - tenth <= ALLOWED and growth <= GROWTH and share <= SHARE,
        "cpu_ms_by_hundred": [round(median(cost[first : first + 100]), 1) for first in range(0, len(cost), 100)],
    }  # fmt: skip


class Trained:
    """Training, and the CPU seconds that it took; what is done while it tells of its epochs is none of its own."""

    def __init__(self, work: Any) -> None:
        self.work, self.seconds = work, 0.0

    def run(self, configs: Any, networks: Any, on_epoch: Any, checkpoints: Any) -> Any:
        def told(*given: Any) -> Any:
            self.seconds += time.process_time()
            try:
                return on_epoch(*given)
            finally:
                self.seconds -= time.process_time()

        runs = iter(self.work(configs, networks, told, checkpoints))
        while True:
            self.seconds -= time.process_time()
            one = next(runs, None)
            self.seconds += time.process_time()
            if one is None:
                return
            yield one


def timed(function: Any, spent: list[float]) -> Any:
    def call(*given: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent.append(time.process_time() - began)

    return call


if __name__ == "__main__":
    sys.exit(main())
