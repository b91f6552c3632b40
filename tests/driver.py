"""One invocation of a sweep with a training that takes no time, as a process of its own that can be killed.

    python driver.py URI FILE [OVERRIDES]      writes the ranked table to FILE when the sweep is finished
"""

import sys
from pathlib import Path
from unittest.mock import patch

import fake_training

from digitexp import experiment
from digitexp.compose import compose
from digitexp.planning import plan
from digitexp.quiet import quiet
from digitexp.reports import pictures

OVERRIDES = ["search.name=soak", "search.method=random", "search.trials=6", "search.repeats=2", "training.epochs=4",
             "search.space={optimizer.learning_rate:{min:0.001,max:0.1,log:true}}", "tracking.pictures=best"]  # fmt: skip


def ask(uri, *overrides):
    """Answer the question of the soak, with all of its pictures left out."""
    config = compose([f"tracking.uri={uri}", *OVERRIDES, *overrides])
    with patch.multiple(pictures, draw_run=lambda *given: None, draw_ranking=lambda *given: None):
        return experiment.run(plan(config), "Does it survive?", None, fake_training.run)


if __name__ == "__main__":
    with quiet():
        outcome = ask(sys.argv[1], *sys.argv[3:])
    outcome.table.drop(columns="seconds").to_csv(f"{sys.argv[2]}.part", index=False)
    Path(f"{sys.argv[2]}.part").rename(sys.argv[2])
