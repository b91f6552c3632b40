"""The ranked table of a sweep: one row a trial, with intervals, and a top group where the best cannot be told apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from digitexp.evaluation import compare, shares
from digitexp.evaluation.compare import Interval
from digitexp.evaluation.shares import Shares


@dataclass(frozen=True)
class Scored:
    """The finished runs of one trial: for each seed its metrics, and for each set which images it recognised.

    Where that is not known, `hits` is empty and `images` holds the number of images by set. `digests` by set, where they
    are known, say whether two trials were scored on the same images. `together` are the accuracies by set of all seeds as
    one ensemble, where that was asked for.
    """

    trial: int
    point: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]
    hits: Mapping[str, Sequence[np.ndarray]]
    failure: str | None = None
    images: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    together: Mapping[str, float] = field(default_factory=dict)

    def interval(self, part: str) -> Interval:
        """The 95 % interval of the accuracy on a set."""
        return compare.interval(self.hits[part]) if part in self.hits else shares.interval(self.shares(part))

    def shares(self, part: str) -> Shares:
        """The accuracies on a set."""
        return Shares([run[f"{part}/accuracy"] for run in self.metrics], self.count(part))

    def count(self, part: str) -> int:
        """How many images a set holds."""
        return len(self.hits[part][0]) if part in self.hits else self.images[part]

    def ensemble(self) -> dict[str, tuple[float, Interval]]:
        """By set the accuracy of the seeds together, with Wilson's interval: they are one reader of the set's images."""
        return {part: (share, compare.wilson(round(share * self.count(part)), self.count(part)))
                for part, share in self.together.items()}  # fmt: skip

    def mean(self, metric: str) -> float:
        """The mean over the seeds; NaN when the trial failed, or when a run was recorded without this metric."""
        known = self.metrics and not self.failure
        return float(np.mean([run.get(metric, np.nan) for run in self.metrics])) if known else np.nan

    def deviation(self, metric: str) -> float:
        """The standard deviation between the seeds (n - 1); NaN of one seed, and where the mean is NaN."""
        found = [run.get(metric, np.nan) for run in self.metrics]
        return float(np.std(found, ddof=1)) if len(found) > 1 and not self.failure else np.nan


@dataclass(frozen=True)
class Row:
    """One trial in its place. `rank` is None where nothing is ranked; `top` says that the best cannot be told from it."""

    rank: int | None
    scored: Scored
    value: float
    intervals: Mapping[str, Interval]
    top: bool


def read_together(scored: Scored) -> str:
    """The seeds of a trial as one ensemble, in words: "val 0.9720 (0.9512 to 0.9841), test ..."."""
    found = scored.ensemble().items()
    return ", ".join(f"{part} {share:.4f} ({low:.4f} to {high:.4f})" for part, (share, (low, high)) in found)


def not_together(trials: Sequence[Scored]) -> str:
    """Why an ensemble that was asked for is not given; nothing where it is, or where no trial is finished."""
    finished = [trial for trial in trials if not trial.failure]
    if not finished or any(trial.together for trial in finished):
        return ""
    if max(len(trial.metrics) for trial in finished) == 1:
        return "evaluation.ensemble: one seed is no ensemble; search.repeats=3 gives three that are read together."
    return ("evaluation.ensemble: the seeds cannot be read together, since what each says of every image is not in a "
            "runs.csv, only in the store in which they were trained.")  # fmt: skip


def label(point: Mapping[str, Any]) -> str:
    """A point in words: what differs between the trials, and nothing else."""
    return " ".join(f"{path}={value}" for path, value in point.items()) or "the configured network"


def direction(metric: str) -> str:
    """Whether more is better: "max", or "min" for a loss."""
    return "min" if metric.endswith("/loss") else "max"


def rank(trials: Sequence[Scored], objective: str | None) -> list[Row]:
    """Best first, equals in the order of the trials, failures last. Without an objective: the order of the trials.

    A trial whose objective is no number has no rank, and stands before the failures. Intervals and the top group are those
    of accuracies; a loss, or a metric of your own, is ranked without.
    """
    finished = [trial for trial in trials if not trial.failure]
    failed = [Row(None, trial, np.nan, {}, False) for trial in trials if trial.failure]
    if objective is None:
        return [Row(None, trial, np.nan, _intervals(trial), False) for trial in finished] + failed
    sign = -1 if direction(objective) == "max" else 1
    unknown = [trial for trial in finished if np.isnan(trial.mean(objective))]
    ranked = [trial for trial in finished if not np.isnan(trial.mean(objective))]
    ranked.sort(key=lambda trial: sign * trial.mean(objective))  # stable
    top = [False] * len(ranked)
    if objective.endswith("/accuracy"):
        top = [p >= compare.ALPHA for p in against_best(ranked, objective.split("/")[0])]
    rows = [
        Row(place, trial, trial.mean(objective), _intervals(trial), member)
        for place, (trial, member) in enumerate(zip(ranked, top, strict=True), 1)
    ]
    return rows + [Row(None, trial, np.nan, _intervals(trial), False) for trial in unknown] + failed


def _intervals(trial: Scored) -> dict[str, Interval]:
    return {f"{name}/accuracy": trial.interval(name) for name in {**trial.hits, **trial.images}}


def paired(trials: Sequence[Scored], part: str) -> bool:
    """Whether the trials can be compared image by image: what each recognised is known, and they met the same images."""
    known = all(part in trial.hits for trial in trials)
    return known and len({(len(trial.hits[part][0]), trial.digests.get(part)) for trial in trials}) <= 1


def against_best(trials: Sequence[Scored], part: str) -> list[float]:
    """P-values (Holm, all pairs) that each trial differs from the best in its accuracy on a set; the best itself has 1."""
    if not trials:
        return []
    if paired(trials, part):
        return compare.against_best([trial.hits[part] for trial in trials])
    return shares.against_best([trial.shares(part) for trial in trials])


def against(winner: Scored, others: Sequence[Scored], part: str) -> list[float]:
    """P-values (Holm) that the accuracy of each of the others on a set differs from that of a winner chosen elsewhere."""
    if paired([winner, *others], part):
        found = compare.against(winner.hits[part], [other.hits[part] for other in others])
    else:
        found = shares.against(winner.shares(part), [other.shares(part) for other in others])
    return [float(p) for p in compare.holm(found)]


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """The ranking as a table under the names that the settings and metrics have everywhere."""
    return pd.DataFrame([_record(row) for row in rows])


def _record(row: Row) -> dict[str, Any]:
    scored = row.scored
    record: dict[str, Any] = {"rank": row.rank, "trial": scored.trial, "top_group": row.top, **scored.point}
    record["seeds"] = len(scored.metrics)
    for name in scored.metrics[0] if scored.metrics else ():
        record[name] = scored.mean(name)
        if "/" in name:  # a measure, not a cost
            record[f"{name}.sd"] = scored.deviation(name)
        if name in row.intervals:
            record[f"{name}.low"], record[f"{name}.high"] = row.intervals[name]
    record |= {name: scored.mean(name) for name in ("tflop", "seconds")}
    for part, (share, interval) in scored.ensemble().items():
        name = f"{part}/ensemble_accuracy"
        record |= {name: share, f"{name}.low": interval.low, f"{name}.high": interval.high}
    return record | {"failure": scored.failure}
