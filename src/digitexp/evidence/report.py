"""What there is to say of a recorded sweep: its settings ranked, compared and counted. No pages, no pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.evaluation import compare, roc, scores
from digitexp.evaluation.shifts import SHIFTED
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Row, Scored
from digitexp.settings import CLEAN, KAGGLE
from digitexp.tracking.records import RunRecord, SweepRecord

# In the order in which they are shown, each with the part of it that was not trained on.
SETS = [f"{part}{end}" for part in ("val", "test", *KAGGLE, "drawn") for end in ("", SHIFTED, CLEAN)]


@dataclass(frozen=True)
class Report:
    """A sweep, ranked. P-values are Holm's, by trial; `marked` is the set that the top group is of, None for a loss.

    `evidence` is the set by which nothing was chosen, and on which what is said of the best is checked; where no such set
    was scored it is the one that chose, and nothing is `checked`. `differs` are the p-values that a setting differs from
    the best on the marked set; `checked`, those that it differs from the winner on the evidence, empty where there is no
    winner. `paired` says whether those of the marked set are of tests image by image.
    """

    sweep: SweepRecord
    rows: Sequence[Row]
    sets: Sequence[str]
    marked: str | None
    evidence: str
    differs: Mapping[int, float]
    checked: Mapping[int, float]
    paired: bool

    @property
    def finished(self) -> list[Row]:
        """The settings all of whose runs are finished: best first, or in their order where nothing is ranked."""
        return [row for row in self.rows if not row.scored.failure]

    @property
    def by_evidence(self) -> list[Row]:
        """The same by accuracy: the ranking where there is one, else by the evidence, highest first."""
        if self.sweep.objective:
            return self.finished
        return sorted(self.finished, key=lambda row: -row.scored.mean(f"{self.evidence}/accuracy"))

    @property
    def top(self) -> list[Row]:
        """Those that cannot be told from the best, the best among them; nothing where no test was possible."""
        return [row for row in self.by_evidence if self.differs.get(row.scored.trial, 0) >= compare.ALPHA]

    @property
    def unchecked(self) -> bool:
        """Whether nothing was scored but the set by which was chosen."""
        return (self.sweep.objective or "").split("/")[0] == self.evidence

    @property
    def paths(self) -> list[str]:
        """The settings that are varied."""
        return list(dict.fromkeys(path for row in self.rows for path in row.scored.point))

    @property
    def leakage(self) -> bool:
        """Whether images that are scored may have been trained on."""
        return bool(self.leaking)

    @property
    def leaking(self) -> list[Row]:
        """The settings of which that holds."""
        allowed = {run.trial for run in self.sweep.runs if run.settings.get("data.allow_leakage")}
        return [row for row in self.rows if row.scored.trial in allowed]

    @property
    def synthetic(self) -> bool:
        """Whether the drawings are those of a program's pen."""
        return any(run.settings.get("data.drawn.source") == "synthetic" for run in self.sweep.runs)

    def images(self, part: str) -> int:
        """How many images a set holds, the fewest where that differs."""
        return min((run.images[part] for run in self.sweep.runs if part in run.images), default=0)

    def runs(self, row: Row) -> list[RunRecord]:
        """The finished runs of a setting, by seed."""
        return [run for run in self.sweep.runs if run.trial == row.scored.trial and not run.failure]

    def confusion(self, row: Row) -> NDArray[np.int64] | None:
        """The confusion table of a setting on the evidence, its seeds added up; None where one of them is not known."""
        runs, count = self.runs(row), len(self.classes)
        if not runs or not all(self.evidence in run.read for run in runs):
            return None
        return np.sum([scores.confusion(run.labels[self.evidence], run.read[self.evidence], count) for run in runs], axis=0)

    def probabilities(self, row: Row) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]] | None:
        """The labels of the evidence, and what each seed of a setting says of it `(n, classes)`; None if not known."""
        runs = self.runs(row)
        if not all(self.evidence in run.probabilities for run in runs):
            return None
        return runs[0].labels[self.evidence], [run.probabilities[self.evidence] for run in runs]

    def areas(self, row: Row) -> NDArray[np.float64] | None:
        """The areas under the curves of the classes `(classes,)` on the evidence, means over seeds; None if not known."""
        known = self.probabilities(row)
        return None if known is None else np.mean([roc.areas(known[0], said) for said in known[1]], axis=0)

    @property
    def classes(self) -> list[str]:
        """The names of the digits."""
        return list(self.sweep.runs[0].settings["data.classes"])


def gather(sweep: SweepRecord) -> Report:
    """Rank and compare what was recorded."""
    sets = [part for part in SETS if any(f"{part}/accuracy" in run.metrics for run in sweep.runs)]
    trials = sorted({run.trial for run in sweep.runs})
    rows = ranking.rank([_scored(sweep, trial, sets) for trial in trials], sweep.objective)
    finished = [row.scored for row in rows if not row.scored.failure]
    chosen = (sweep.objective or "").split("/")[0]
    measured = [run.metrics for run in sweep.runs if not run.failure]
    everywhere = [part for part in sets if all(f"{part}/accuracy" in metrics for metrics in measured)]
    whole = [part for part in everywhere if not part.endswith((CLEAN, SHIFTED))]
    free = [part for part in whole if part != (chosen or "test")] or whole or ["test"]
    evidence = free[-1]
    marked: str | None = evidence
    if sweep.objective:
        marked = chosen if sweep.objective.endswith("/accuracy") else None
    met = [scored for scored in finished if not np.isnan(scored.mean(f"{marked}/accuracy"))]  # a sweep may vary the sets
    differs = dict(zip(_numbers(met), ranking.against_best(met, marked), strict=True)) if marked else {}
    checked = _against_winner(finished, evidence) if sweep.objective and evidence != chosen else {}
    return Report(sweep, rows, sets, marked, evidence, differs, checked, ranking.paired(met, marked or evidence))


def name(point: Mapping[str, Any], paths: Sequence[str]) -> str:
    """A setting in as few words as are clear: `nadam`, `data.manual_labels=200`, `sgd learning_rate=0.1`."""
    return " ".join(words(point, paths)) or "the configured network"


def words(point: Mapping[str, Any], paths: Sequence[str]) -> list[str]:
    """The same, setting by setting: a name that stands for itself, else the end of the path that no other path has."""
    said = []
    for path in paths:
        if path in point:
            alone = isinstance(point[path], str) and (len(paths) == 1 or path.split(".")[-1] in ("name", "loss"))
            said.append(value(point[path]) if alone else f"{_ending(path, paths)}={value(point[path])}")
    return said


def _ending(path: str, paths: Sequence[str]) -> str:
    if len(paths) == 1:
        return path
    parts = path.split(".")
    endings = (".".join(parts[-length:]) for length in range(1, len(parts)))
    return next((ending for ending in endings if sum(f".{other}".endswith(f".{ending}") for other in paths) == 1), path)


def short(point: Mapping[str, Any], paths: Sequence[str]) -> str:
    """A setting beside others, where it is said elsewhere what is varied: the value alone if there is but one."""
    return value(point[paths[0]]) if len(paths) == 1 and paths[0] in point else name(point, paths)


def value(found: Any) -> str:
    """A setting's value as it is typed."""
    if found is None or isinstance(found, bool):
        return {None: "null", True: "true", False: "false"}[found]
    return f"{found:g}" if isinstance(found, float) else str(found)


def _scored(sweep: SweepRecord, trial: int, sets: Sequence[str]) -> Scored:
    runs = [run for run in sweep.runs if run.trial == trial]
    finished = [run for run in runs if not run.failure]
    failure = next((run.failure for run in runs if run.failure), None)
    if not failure and len(finished) < sweep.repeats:
        failure = f"not finished: {len(finished)} of {sweep.repeats} seeds"
    if failure:
        return Scored(trial, runs[0].point, [], {}, failure)
    own = [part for part in sets if f"{part}/accuracy" in finished[0].metrics]
    hits = {
        part: [run.recognised[part] for run in finished]
        for part in own
        if all(part in run.recognised for run in finished)
    }
    images = {part: finished[0].images[part] for part in own}
    known = len(finished) > 1 and finished[0].settings.get("evaluation.ensemble")
    together = {
        part: scores.together(finished[0].labels[part], [run.probabilities[part] for run in finished])
        for part in (own if known else ())
        if all(part in run.probabilities for run in finished)
    }
    return Scored(trial, runs[0].point, [run.metrics for run in finished], hits, None, images, finished[0].digests, together)


def _numbers(trials: Sequence[Scored]) -> list[int]:
    return [trial.trial for trial in trials]


def _against_winner(trials: Sequence[Scored], part: str) -> dict[int, float]:
    """P-values that each of the others differs from the first; of two by two, as the winner was chosen elsewhere."""
    if len(trials) < 2:
        return {}
    winner, *others = trials
    return dict(zip(_numbers(others), ranking.against(winner, others, part), strict=True))


def p_text(p: float) -> str:
    """A p-value: "0.032", or "< 0.001"."""
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"
