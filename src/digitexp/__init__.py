"""digitexp: hyperparameter experiments on handwritten digits.

    digitexp.run("dense_neurons", overrides=["search.repeats=3"])     the ranked table of a sweep, as a DataFrame

`register` adds a loss, optimizer, metric or network of your own, to be chosen and swept by its name.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from digitexp.errors import DigitexpError
from digitexp.registry import register

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DigitexpError", "register", "run"]


def run(sweep: str | None = None, overrides: Sequence[str] = ()) -> "pd.DataFrame":
    """What `digitexp +sweep=SWEEP OVERRIDES` does, with its table as the answer: one row a trial, best first.

    Without a sweep, the one configured network is trained. Its columns are rank, trial, top_group, the varied settings,
    seeds, every metric's mean over the seeds with `.low` and `.high` ends of its 95 % interval, and failure. What is
    finished already is not trained again. Raises DigitexpError for what would be refused on the command line.
    """
    from functools import partial

    from digitexp import compose, experiment, planning  # takes seconds: TensorFlow comes along
    from digitexp.tracking import ledger

    config = compose.compose([*([f"+sweep={sweep}"] if sweep else []), *overrides])
    plan = planning.plan(config, partial(ledger.network, config.tracking.uri))
    return experiment.run(plan, compose.sweeps().get(config.experiment, "")).table
