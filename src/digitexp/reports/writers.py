"""Whose handwriting is read: what drawings that are trained on do for their own writer, and for everybody else.

Seed 003 asks for it: "compare the accuracy of recognition of original hand writer whose manual labels were used to re-train
the model to the accuracy values for another user with the same models".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from digitexp import figures
from digitexp.errors import DataError
from digitexp.evaluation import compare
from digitexp.evaluation.compare import Gain, Hits, Interval
from digitexp.evidence.report import Report
from digitexp.reports.rendering import PAGE, TEXT, inline, render
from digitexp.tracking.records import RunRecord

LABELS = "data.manual_labels"
TABLE, FIGURE, FOLDER = "writers.csv", "writers.png", "writers"
TEST = "the writers of the test images"
DPI = 150


@dataclass(frozen=True)
class Writer:
    """One person's scored images, `n` of them, or many persons' together; `hits` are those of every setting, by trial.

    `own` says that drawings of theirs are trained on, where any are.
    """

    name: str
    own: bool
    n: int
    hits: Mapping[int, Sequence[Hits]]

    def accuracy(self, trial: int) -> tuple[float, Interval]:
        """The mean over the seeds of a setting, with its interval."""
        return float(np.mean(self.hits[trial])), compare.interval(self.hits[trial])


@dataclass(frozen=True)
class Written:
    """A sweep over `data.manual_labels` by writer, settings in the order of the labels, the fewest first.

    `gain` is how much more the own writers gain than the others from the fewest labels to the most, in shares of images.
    """

    report: Report
    trials: Sequence[int]
    writers: Sequence[Writer]
    own: Gain
    others: Gain
    gain: Gain

    def labels(self, trial: int) -> int:
        """How many drawings a setting is trained on."""
        return int(_point(self.report, trial)[LABELS])


def by_writer(report: Report, scored: Sequence[str], taught: Sequence[str]) -> Written:
    """The settings of a sweep by writer. `scored` are the writers of the drawn images in their order, `taught` those of the
    drawings to train on.

    Raises DataError when the sweep cannot tell, saying why.
    """
    asked = report.sweep.name
    settings = [row.scored for row in report.finished]
    if report.paths != [LABELS] or len(settings) < 2:
        raise DataError(f"report.writers=true: {asked} must vary {LABELS} alone, with two finished settings or more; type "
                        "digitexp +sweep=manual_labels first.")  # fmt: skip
    if any("drawn" not in setting.hits or "test" not in setting.hits for setting in settings):
        raise DataError(f"report.writers=true: {asked} was not scored on drawn and test images that are known one by one.")
    trials = [one.trial for one in sorted(settings, key=lambda one: int(one.point[LABELS]))]
    runs = {one.trial: one.hits for one in settings}
    hands = set(taught[: int(_point(report, trials[-1])[LABELS])])
    place = np.array(scored)
    writers = [_writer(who, who in hands, {trial: runs[trial]["drawn"] for trial in trials}, place == who)
               for who in sorted(set(scored), key=lambda who: (who not in hands, who))]  # fmt: skip
    everyone = np.ones(len(runs[trials[0]]["test"][0]), bool)
    writers.append(_writer(TEST, False, {trial: runs[trial]["test"] for trial in trials}, everyone))
    if not any(writer.own for writer in writers):
        raise DataError(f"report.writers=true: {asked} was trained on drawings of {', '.join(sorted(hands)) or 'nobody'}, "
                        f"but scored on those of {', '.join(sorted(set(scored)))}; draw some of theirs with "
                        "draw.role=score.")  # fmt: skip
    own = _ends([writer for writer in writers if writer.own], trials)
    others = _ends(others_of(writers), trials)
    return Written(report, trials, writers, _gain(own), _gain(others), compare.gains_apart(own, others))


def others_of(writers: Sequence[Writer]) -> list[Writer]:
    """Those whose drawings are not trained on; the writers of the test images where nobody else has drawn."""
    drawn = [writer for writer in writers[:-1] if not writer.own]
    return drawn or [writers[-1]]


def answer(found: Written) -> str:
    """What it says, in sentences."""
    fewest, most = (found.labels(trial) for trial in (found.trials[0], found.trials[-1]))
    own = " and ".join(writer.name for writer in found.writers if writer.own)
    other = " and ".join(writer.name for writer in others_of(found.writers))
    gains = (f"From {fewest} to {most} drawings trained on, {own} gains {_signed(found.own)}, {other} "
             f"{_signed(found.others)}")  # fmt: skip
    if alone(found):
        return (f"{gains}: whether they teach their own writer more cannot be told, since nobody else was scored with the "
                "same pen.")  # fmt: skip
    low, high = found.gain.interval
    told = ("they teach their own writer more" if low > 0 else "they teach others more" if high < 0
            else "whether they teach their own writer more cannot be told")  # fmt: skip
    return f"{gains}: {told}. The difference is {_signed(found.gain)}."


def alone(found: Written) -> bool:
    """Whether nobody else's drawings were scored: the writers of the test images had another pen, and other images."""
    return others_of(found.writers)[0].name == TEST


def write(found: Written, folder: Path) -> list[Path]:
    """Write the page, Markdown, table and figure, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".unfinished-") as scratch_name:
        scratch = Path(scratch_name)
        _table(found).to_csv(scratch / TABLE, index=False)
        lines = {_legend(writer): tuple(zip(*(writer.accuracy(trial) for trial in found.trials), strict=True))
                 for writer in found.writers}  # fmt: skip
        labels = [found.labels(trial) for trial in found.trials]
        title = "Accuracy by writer"
        figure = figures.values_figure(labels, lines, "drawings that are trained on", "accuracy", title)  # type: ignore[arg-type]
        figures.save(figure, scratch / FIGURE, DPI)
        facts = _facts(found) | {"figure": inline(scratch / FIGURE), "file": FIGURE}
        (scratch / PAGE).write_text(render("writers.html", facts), "utf-8")
        (scratch / TEXT).write_text(render("writers.md", facts), "utf-8")
        for file in (PAGE, TEXT, TABLE, FIGURE):
            (scratch / file).replace(folder / file)
    return [folder / file for file in (PAGE, TEXT, TABLE, FIGURE)]


def _writer(who: str, own: bool, hits: Mapping[int, Sequence[Hits]], rows: NDArray[np.bool_]) -> Writer:
    return Writer(who, own, int(rows.sum()), {trial: [run[rows] for run in runs] for trial, runs in hits.items()})


def _ends(writers: Sequence[Writer], trials: Sequence[int]) -> tuple[list[Hits], list[Hits]]:
    """The hits of several writers together, with the most labels and with the fewest."""
    most, fewest = (
        [np.concatenate(of_seed) for of_seed in zip(*(writer.hits[trial] for writer in writers), strict=True)]
        for trial in (trials[-1], trials[0])
    )
    return most, fewest


def _gain(pair: tuple[list[Hits], list[Hits]]) -> Gain:
    return Gain(float(np.mean(pair[0]) - np.mean(pair[1])), compare.difference(*pair))


def _point(report: Report, trial: int) -> Mapping[str, Any]:
    return next(run.point for run in report.sweep.runs if run.trial == trial)


def _signed(gain: Gain) -> str:
    return f"{gain.share:+.4f} ({gain.interval.low:+.4f} to {gain.interval.high:+.4f})"


def _legend(writer: Writer) -> str:
    return f"{writer.name} (trained on)" if writer.own else writer.name


def _facts(found: Written) -> dict[str, Any]:
    runs: Sequence[RunRecord] = found.report.sweep.runs
    rows = []
    for trial in found.trials:
        cells = []
        for writer in found.writers:
            mean, interval = writer.accuracy(trial)
            gain = _gain((list(writer.hits[trial]), list(writer.hits[found.trials[0]])))
            cells.append({"mean": f"{mean:.4f}", "interval": f"{interval.low:.4f} to {interval.high:.4f}",
                          "gain": "" if trial == found.trials[0] else f"{gain.share:+.4f}",
                          "reach": "" if trial == found.trials[0]
                          else f"{gain.interval.low:+.4f} to {gain.interval.high:+.4f}"})  # fmt: skip
        rows.append({"labels": str(found.labels(trial)), "cells": cells})
    return {
        "sweep": found.report.sweep.name, "answer": answer(found), "rows": rows, "seeds": found.report.sweep.repeats,
        "writers": [{"name": writer.name, "n": f"{writer.n:,}", "own": writer.own} for writer in found.writers],
        "training": f"training.epochs={runs[0].settings['training.epochs']}",
        "alone": alone(found),
        "data": f"data.drawn.geometry={runs[0].settings['data.drawn.geometry']}",
    }  # fmt: skip


def _table(found: Written) -> pd.DataFrame:
    lines = []
    for trial in found.trials:
        for writer in found.writers:
            mean, interval = writer.accuracy(trial)
            lines.append({LABELS: found.labels(trial), "writer": writer.name, "trained_on": writer.own, "n": writer.n,
                          "seeds": len(writer.hits[trial]), "accuracy": round(mean, 6), "low": round(interval.low, 6),
                          "high": round(interval.high, 6)})  # fmt: skip
    return pd.DataFrame(lines)
