"""The ranked table of a sweep: one row a trial, with intervals, and a top group where the best cannot be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from digitexp.evaluation import compare
from digitexp.evaluation.compare import Interval


@dataclass(frozen=True)
class Scored:
    """The finished runs of one trial: for each seed its metrics, and for each set which images it recognised."""

    trial: int
    point: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]
    hits: Mapping[str, Sequence[np.ndarray]]
    failure: str | None = None

    def mean(self, metric: str) -> float:
        """The mean over the seeds; NaN when the trial failed."""
        return float(np.mean([run[metric] for run in self.metrics])) if self.metrics and not self.failure else np.nan


@dataclass(frozen=True)
class Row:
    """One trial in its place. `rank` is None where nothing is ranked; `top` says that the best cannot be told from it."""

    rank: int | None
    scored: Scored
    value: float
    intervals: Mapping[str, Interval]
    top: bool


def label(point: Mapping[str, Any]) -> str:
    """A point in words: what differs between the trials, and nothing else."""
    return " ".join(f"{path}={value}" for path, value in point.items()) or "the configured network"


def direction(metric: str) -> str:
    """Whether more is better: "max", or "min" for a loss."""
    return "min" if metric.endswith("/loss") else "max"


def rank(trials: Sequence[Scored], objective: str | None) -> list[Row]:
    """Best first, equals in the order of the trials, failures last. Without an objective: the order of the trials.

    Intervals and the top group are those of accuracies; a loss, or a metric of your own, is ranked without.
    """
    finished = [trial for trial in trials if not trial.failure]
    failed = [Row(None, trial, np.nan, {}, False) for trial in trials if trial.failure]
    if objective:
        sign = -1 if direction(objective) == "max" else 1
        finished.sort(key=lambda trial: sign * trial.mean(objective))  # stable
    top = [False] * len(finished)
    if objective and objective.endswith("/accuracy"):
        top = compare.top_group([trial.hits[objective.split("/")[0]] for trial in finished])
    rows = []
    for position, (trial, member) in enumerate(zip(finished, top, strict=True), 1):
        intervals = {f"{name}/accuracy": compare.interval(hits) for name, hits in trial.hits.items()}
        value = trial.mean(objective) if objective else np.nan
        rows.append(Row(position if objective else None, trial, value, intervals, member))
    return rows + failed


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """The ranking as a table under the names that the settings and metrics have everywhere."""
    return pd.DataFrame([_record(row) for row in rows])


def _record(row: Row) -> dict[str, Any]:
    scored = row.scored
    record: dict[str, Any] = {"rank": row.rank, "trial": scored.trial, "top_group": row.top, **scored.point}
    record["seeds"] = len(scored.metrics)
    for name in scored.metrics[0] if scored.metrics else ():
        record[name] = scored.mean(name)
        if name in row.intervals:
            record[f"{name}.low"], record[f"{name}.high"] = row.intervals[name]
    return record | {"failure": scored.failure}
