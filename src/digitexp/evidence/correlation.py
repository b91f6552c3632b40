"""Two measures of the same networks: their rank correlation over all runs of several sweeps, kind by kind of network."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from digitexp.evaluation import counts
from digitexp.evaluation.compare import Interval
from digitexp.evidence.report import Report
from digitexp.tracking.records import RunRecord

Pair = tuple[float, float]


@dataclass(frozen=True)
class Stratum:
    """The networks of one kind (dense, cnn) whose drawings were read in one geometry: for each setting its pairs by seed.

    Two kinds together would be correlated by what sets them apart alone.
    """

    kind: str
    geometry: str
    pairs: Sequence[Sequence[Pair]]

    @property
    def runs(self) -> int:
        """How many runs there are in all."""
        return sum(map(len, self.pairs))

    def correlation(self, confidence: float) -> tuple[float, Interval]:
        """Spearman's rank correlation over the runs, settings drawn anew for the interval; NaN of fewer than four."""
        return counts.correlation_of_settings(self.pairs, confidence)


def strata(reports: Sequence[Report], left: str, right: str) -> list[Stratum]:
    """The distinct settings of all sweeps of which both measures are known, as many seeds of each as all have."""
    found: dict[tuple[str, str], dict[str, dict[int, Pair]]] = {}
    for run in (run for report in reports for row in report.finished for run in report.runs(row)):
        if left in run.metrics and right in run.metrics:
            place = str(run.settings["model.kind"]), str(run.settings.get("data.drawn.geometry", ""))
            pairs = found.setdefault(place, {}).setdefault(_setting(run), {})
            pairs[run.seed] = run.metrics[left], run.metrics[right]  # one run that stands in two sweeps counts once
    listed = []
    for (kind, geometry), settings in sorted(found.items()):
        seeds = min(map(len, settings.values()))
        listed.append(Stratum(kind, geometry, [[of[seed] for seed in sorted(of)[:seeds]] for of in settings.values()]))
    return listed


def _setting(run: RunRecord) -> str:
    return json.dumps(dict(run.settings), sort_keys=True)
