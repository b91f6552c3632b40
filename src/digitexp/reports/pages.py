"""A report as files: the page, the same as Markdown, the tables and the figures, each written whole or not at all."""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from digitexp.evaluation import compare, scores
from digitexp.evaluation.scores import by_row
from digitexp.evidence import ranking
from digitexp.evidence.ranking import Row
from digitexp.evidence.report import Report, name, p_text, short, words
from digitexp.evidence.verdicts import Evidence
from digitexp.reports import finding_pictures, findings, pictures
from digitexp.reports.answer import answer, images
from digitexp.reports.provenance import RUNS, best_file, commands, cost, data, varies
from digitexp.reports.rendering import PAGE, TEXT, inline, render
from digitexp.settings import CLEAN
from digitexp.tracking import portable

RESULTS, BEST = "results.csv", "best.yaml"
FIGURES = (
    "ranking.png", "values.png", "accuracy.png", "loss.png", "confusion-best.png", "confusion-worst.png", "roc.png",
    "roc-best.png", "roc-worst.png", *finding_pictures.FIGURES,
)  # fmt: skip
NOTHING_REPORTED = Evidence()
PAIRS = 8  # of digits that were taken for each other


def write(report: Report, folder: Path, models: Sequence[str], evidence: Evidence = NOTHING_REPORTED) -> list[Path]:
    """Write the report into `folder`, and remove what an earlier one drew and this one does not.

    Nothing in the files depends on the time or place of writing. `models` are the names that `model=` takes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".unfinished-") as name_of:
        scratch = Path(name_of)
        drawn = [*pictures.draw_report(report, scratch), *finding_pictures.draw(report, evidence, scratch)]
        (scratch / RUNS).write_text(portable.table(report.sweep), "utf-8")
        portable.write_hits(report.sweep, scratch / portable.HITS)
        _results(report).to_csv(scratch / RESULTS, index=False)
        if report.sweep.objective and report.finished:
            (scratch / BEST).write_text(best_file(report, folder, models), "utf-8")
        if evidence.verdicts:
            (scratch / findings.VERDICTS).write_text(findings.table(report, evidence), "utf-8")
        facts = content(report, folder) | findings.content(report, evidence)
        facts["figures"] = {file: inline(scratch / file) for file in drawn}
        (scratch / PAGE).write_text(render("report.html", facts), "utf-8")
        (scratch / TEXT).write_text(render("report.md", facts), "utf-8")
        written = [PAGE, TEXT, RESULTS, RUNS, portable.HITS, BEST, findings.VERDICTS, *drawn]
        written = [file for file in written if (scratch / file).exists()]
        for file in written:
            (scratch / file).replace(folder / file)
        for file in {portable.HITS, BEST, findings.VERDICTS, *FIGURES} - set(written):
            (folder / file).unlink(missing_ok=True)
    return [folder / file for file in written]


def content(report: Report, folder: Path) -> dict[str, Any]:
    """All that the page says, as texts and tables; `folder` is where it lies."""
    sweep = report.sweep
    best = report.by_evidence[0] if report.finished else None
    rows = [_row(report, row) for row in report.rows]
    return {
        "name": sweep.name,
        "question": sweep.text or sweep.name,
        "about": _about(report),
        "warnings": _warnings(report),
        "answer": answer(report),
        "paths": report.paths,
        "sets": [_heading(report, part) for part in report.sets],
        "objective": sweep.objective,
        "extra": sweep.objective if sweep.objective and not sweep.objective.endswith("/accuracy") else None,
        "rows": rows,
        "arithmetic": len({row["tflop"] for row in rows} - {""}) > 1,
        "notes": _notes(report),
        "captions": _captions(report) | finding_pictures.captions(report),
        "pairs": _pairs(report, best),
        "digits": _digits(report, best),
        "areas": _areas(report),
        "areas_of": _first_of(pictures.CURVES, report),
        "classes": report.classes,
        "best": name(best.scored.point, report.paths) if best else "",
        "evidence": images(report, report.evidence),
        "pooled": f", {sweep.repeats} seeds added up" if sweep.repeats > 1 else "",
        "cost": cost(report),
        "data": data(report),
        "commands": commands(report, folder),
        "known": any(run.read for run in sweep.runs),
    }


def _about(report: Report) -> str:
    first = report.sweep.runs[0].settings
    repeats = report.sweep.repeats
    also = first.get("data.also.name", "none")
    sources = first["data.name"] + (f" and {also}" if also != "none" else "")
    images = report.images("train")
    trained = f" {images:,} training images," if images and not varies(report, "train") else ""
    epochs = {run.settings["training.epochs"] for run in report.sweep.runs}
    length = f"{min(epochs)} epochs" if len(epochs) == 1 else f"{min(epochs)} to {max(epochs)} epochs"
    length = "1 epoch" if epochs == {1} else length
    kinds = sorted({run.settings["model.kind"] for run in report.sweep.runs})
    what = f"{' and '.join(kinds)} networks, {length}" if len(kinds) > 1 else f"a {kinds[0]} network, {length}"
    what = "no networks" if kinds == ["baseline"] else what
    settings = f"{len(report.rows)} setting{'' if len(report.rows) == 1 else 's'}"
    return f"{settings}, {repeats} seed{'s' if repeats > 1 else ''} each; {sources},{trained} {what}"


def _warnings(report: Report) -> list[str]:
    said = []
    if report.leakage:
        where = "" if len(report.leaking) == len(report.rows) else f" with {_names_leaking(report)}"
        setting = "" if "data.allow_leakage" in where else " (data.allow_leakage=true)"
        said.append(f"LEAKAGE WAS PERMITTED{where}{setting}: images that are scored may have been trained "
                    "on, so no accuracy there is evidence of how new images are read; what the rest of a set gives, the "
                    f"images that were not trained on, is shown as NAME{CLEAN}.")  # fmt: skip
    if report.sweep.status not in ("FINISHED", "FAILED"):
        said.append(f"This sweep is not finished (it is {report.sweep.status}): what follows is what its finished runs say.")
    if report.sweep.note:
        said.append(report.sweep.note)
    if "search.space=" in report.sweep.command:
        said.append("search.space was typed, so the values need not be those of the question.")
    if not any(run.read for run in report.sweep.runs):
        how = ("image by image with hits.npz" if any(run.hits for run in report.sweep.runs)
               else "by their accuracies, as if each had read other images, which tells fewer apart")  # fmt: skip
        said.append(f"This report was written from runs.csv: the settings are compared {how}; curves and confusions are "
                    "not known.")  # fmt: skip
    elif not all(run.read for run in report.sweep.runs if not run.failure):
        said.append("Some runs were taken from a runs.csv, which does not say what was read: where such a one has part, the "
                    "settings are compared by hits.npz or by their accuracies, and confusions are not known.")  # fmt: skip
    elif not report.paired:
        said.append("The settings were not all scored on the same images, so p compares accuracies alone; two by two, those "
                    "that were are compared image by image.")  # fmt: skip
    return said


def _names_leaking(report: Report) -> str:
    return " and ".join(name(row.scored.point, report.paths) for row in report.leaking)


def _heading(report: Report, part: str) -> dict[str, Any]:
    return {
        "name": part,
        "chosen": f"{part}/accuracy" == report.sweep.objective,
        "count": f"{report.images(part):,}{' synthetic' if part == 'drawn' and report.synthetic else ''}",
    }


def _row(report: Report, row: Row) -> dict[str, Any]:
    scored = row.scored
    p = report.differs.get(scored.trial)
    top = p is not None and p >= compare.ALPHA
    cells = []
    for metric in (f"{part}/accuracy" for part in report.sets):
        low, high = row.intervals.get(metric, (math.nan, math.nan))
        shown = (f"{scored.mean(metric):.4f}", f"{low:.4f} to {high:.4f}") if metric in row.intervals else ("", "")
        deviation = scored.deviation(metric)
        cells.append({"mean": shown[0], "interval": shown[1], "sd": "" if math.isnan(deviation) else f"sd {deviation:.4f}",
                      "top": top and metric == f"{report.marked}/accuracy"})
    return {
        "place": str(row.rank or ""),
        "top": top,
        "tie": top and len(report.top) > 1,
        "lines": [short(scored.point, report.paths)] if len(report.paths) == 1 else words(scored.point, report.paths),
        "failure": scored.failure,
        "extra": f"{row.value:.4g}",
        "cells": cells,
        "p": "" if p is None or row is report.by_evidence[0] else p_text(p),
        "seconds": "" if scored.failure else f"{scored.mean('seconds'):.1f} s",
        "tflop": "" if math.isnan(scored.mean("tflop")) else f"{scored.mean('tflop'):.3g}",
    }


def _notes(report: Report) -> list[str]:
    repeats = report.sweep.repeats
    notes = ["Small: the 95 % interval (Wilson; one seed, others may differ by more)."]
    if repeats > 1:
        how = "seeds and images both taken as a sample"
        if not any(run.recognised for run in report.sweep.runs):
            how = "Wilson, with the spread between the seeds taken off the number of images"
        notes = [f"Means over {repeats} seeds. Small: the 95 % interval ({how}), and the "
                 "standard deviation between the seeds (sd)."]  # fmt: skip
    for row in report.by_evidence:
        if row.scored.together:
            notes.append(f"{name(row.scored.point, report.paths)}, its {repeats} seeds read together (the mean of their "
                         f"probabilities; 95 % intervals, Wilson): {ranking.read_together(row.scored)}.")  # fmt: skip
    if any(run.settings.get("evaluation.ensemble") for run in report.sweep.runs):
        notes += filter(None, [ranking.not_together([row.scored for row in report.rows])])
    if any(run.settings.get("training.engine") == "lanes" for run in report.sweep.runs):
        notes.append("Time a run: networks that were trained side by side as one program (training.engine=lanes) share its "
                     "time equally; one alone would have taken longer.")  # fmt: skip
    if report.sweep.objective:
        notes.append(f"* chosen on: the ranking is by {report.sweep.objective}, so the first one's own value flatters it.")
    if report.marked and len(report.finished) > 1:
        test = "test on the same images" if report.paired else "test of the accuracies"
        notes.append(f"= a tie, in blue: cannot be told from the best by {report.marked} (5 %). p: of that {test}, "
                     "corrected for all pairs of settings (Holm); small where the difference is hardly chance.")  # fmt: skip
        notes += filter(None, [findings.tie(report)])
        if report.top != report.by_evidence[: len(report.top)]:
            notes.append("A tie below settings that are worse: its own seeds differ too much to tell; more seeds would.")
    return notes


def _captions(report: Report) -> dict[str, str]:
    metric = report.sweep.objective or f"{report.evidence}/accuracy"
    chosen = " (chosen on)" if report.sweep.objective else ""
    seeds = "The mean of the seeds, in a band from the lowest to the highest." if report.sweep.repeats > 1 else "One seed."
    path = pictures.numeric(report)
    ends = "best" if report.sweep.objective else "highest", "worst" if report.sweep.objective else "lowest"
    return {
        "ranking.png": f"{metric}{chosen} with 95 % intervals; blue cannot be told from the best; an arrow points beyond "
                       f"the edge.{_first_of(pictures.RANKED, report)}",
        "values.png": f"Accuracy against {path}, with 95 % intervals.",
        "accuracy.png": f"Accuracy after each epoch; the axis is stretched where few errors are left. {seeds}",
        "loss.png": f"Loss after each epoch. {seeds}",
        "confusion-best.png": f"The {ends[0]}: rows are the true digits, columns what they were read as.",
        "confusion-worst.png": f"The {ends[1]}.",
        "roc.png": "How much of a digit is found, against how many of the others are taken for it (on a logarithmic axis).",
        "roc-best.png": f"The {ends[0]}, digit by digit.",
        "roc-worst.png": f"The {ends[1]}, digit by digit.",
    }


def _first_of(most: int, report: Report) -> str:
    return f" The first {most} of {len(report.finished)}." if len(report.finished) > most else ""


def _pairs(report: Report, best: Row | None) -> list[str]:
    table = report.confusion(best) if best else None
    found = scores.most_confused(table, report.classes, PAIRS) if table is not None else []
    return [f"{pair.true} read as {pair.read_as}: {pair.count} of {pair.of:,} ({100 * pair.count / pair.of:.1f} %)"
            for pair in found]  # fmt: skip


def _digits(report: Report, best: Row | None) -> list[dict[str, str]]:
    """How the best setting reads each digit: the share found, its interval, and what it is mistaken for most."""
    table = report.confusion(best) if best else None
    if best is None or table is None:
        return []
    runs, rows = report.runs(best), []
    errors = table * (1 - np.eye(len(table), dtype=int))
    for index, digit in enumerate(report.classes):
        mine = runs[0].labels[report.evidence] == index
        if not mine.any():
            continue
        hits = [(run.labels[report.evidence] == run.read[report.evidence])[mine] for run in runs]
        low, high = compare.interval(hits)
        worst = int(errors[index].argmax())
        missed = int(errors[index].sum())
        rows.append({
            "digit": digit,
            "missed": f"{missed:,} of {int(table[index].sum()):,}",
            "recall": f"{by_row(table)[index, index]:.4f}",
            "interval": f"{low:.4f} to {high:.4f}",
            "mistaken": f"{report.classes[worst]} ({errors[index, worst]})" if missed else "",
        })  # fmt: skip
    return rows


def _areas(report: Report) -> list[dict[str, Any]]:
    """The area under the curve by setting: the mean over the digits, then digit by digit."""
    rows = []
    for row in report.by_evidence[: pictures.CURVES]:
        found = report.areas(row)
        if found is not None and not np.isnan(found).all():
            areas = ["" if np.isnan(area) else f"{area:.4f}" for area in (np.nanmean(found), *found)]
            rows.append({"setting": name(row.scored.point, report.paths), "mean": areas[0], "digits": areas[1:]})
    return rows


def _results(report: Report) -> Any:
    """The ranking, with the p-values of the page."""
    table = ranking.table(report.rows)
    top = {row.scored.trial for row in report.top}
    table["top_group"] = [row.scored.trial in top for row in report.rows]
    table["p"] = [report.differs.get(row.scored.trial, math.nan) for row in report.rows]
    return table
