"""How a report came to be: what its runs cost, where and on which data they ran, and what to type to have it again."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from digitexp.config import nested_yaml
from digitexp.evidence.report import Report, name
from digitexp.tracking.records import RunRecord

RUNS = "runs.csv"


def cost(report: Report) -> list[tuple[str, str]]:
    """Runs, seconds, arithmetic, machine, days, commit and versions, each with its label; what is not known is left out."""
    runs = [run for run in report.sweep.runs if not run.failure]
    seconds = [run.metrics["seconds"] for run in runs]
    failed = len(report.sweep.runs) - len(runs)
    reused = sum("trained_in" in run.facts for run in runs)
    counted = [f"{len(runs)} finished", *([f"{failed} failed"] if failed else []),
               *([f"{reused} of them taken from other sweeps"] if reused else [])]  # fmt: skip
    lines = [("runs", ", ".join(counted))]
    if seconds:
        lines.append(("training time", f"{sum(seconds):,.0f} s in all; a run {median(seconds):.1f} s (median), "
                                       f"{min(seconds):.1f} to {max(seconds):.1f} s"))  # fmt: skip
    tflop = [run.metrics["tflop"] for run in runs if "tflop" in run.metrics]
    if tflop:
        lines.append(("arithmetic", f"{sum(tflop):,.3g} TFLOP in all, {median(tflop):,.3g} a run (median)"))
    days = sorted({run.started[:10] for run in report.sweep.runs})
    lines += [
        ("trained on", _distinct(runs, _machine)),
        ("when", days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"),
        ("commit", _distinct(runs, _commit)),
        ("versions", _distinct(runs, _versions)),
    ]
    return [(label, text) for label, text in lines if text]


def data(report: Report) -> list[dict[str, str]]:
    """Each set: its name, its size, and the digest of its images."""
    rows = []
    for part in ("train", *report.sets):
        digests = list(dict.fromkeys(run.digests[part] for run in report.sweep.runs if part in run.digests))
        sizes = sorted({run.images[part] for run in report.sweep.runs if part in run.images})
        size = "not recorded" if not sizes else f"{sizes[0]:,}" + (f" to {sizes[-1]:,}" if len(sizes) > 1 else "")
        rows.append({
            "set": f"{part} (synthetic)" if part == "drawn" and report.synthetic else part,
            "images": size,
            "use": _use(report, part),
            "digest": digests[0][:16] if len(digests) == 1 else f"{len(digests)} different, see runs.csv",
        })  # fmt: skip
    return rows


def commands(report: Report, folder: Path) -> list[tuple[str, str]]:
    """What to type: the sweep again, the report again, the best network alone."""
    sweep = report.sweep
    words = shlex.split(sweep.command)[1:]
    asked = shlex.quote(f"search.name={sweep.name}")
    lines = []
    if words:
        lines.append(("the sweep; what is finished is not trained again", shlex.join(["python", "-m", "digitexp", *words])))
    lines.append(("this report, from the store", f"python -m digitexp report {asked}"))
    runs = shlex.quote(f"report.runs={folder / RUNS}")
    lost = "curves, confusions and what the seeds read together" if _together(report) else "curves and confusions"
    lines.append((f"this report without the store, in the place of this one; {lost} are lost",
                  f"python -m digitexp report {asked} {runs}"))  # fmt: skip
    if sweep.objective and report.finished:
        lines.append(("the best setting alone", _train_best(report, folder)))
    return lines


def best_file(report: Report, folder: Path, models: Sequence[str]) -> str:
    """The settings of the best trial as a file that Hydra adds to the configuration, like those in conf/sweep."""
    run = report.runs(report.finished[0])[0]
    chosen = {"data": run.settings["data.name"], "model": run.settings["model.kind"]}
    groups = [f"  - override /{group}: {file}" for group, file in chosen.items() if group != "model" or file in models]
    head = [
        "# @package _global_",
        f"# The best setting of {report.sweep.name} by {report.sweep.objective}: "
        f"{name(report.finished[0].scored.point, report.paths)}",
        f"#   {_train_best(report, folder)}",
        "defaults:",
        *groups,
    ]
    return "\n".join([" ".join(line.splitlines()) for line in head]) + "\n" + nested_yaml({"seed": run.seed, **run.settings})


def varies(report: Report, part: str) -> bool:
    """Whether the runs had different numbers of images of a set."""
    return len({run.images[part] for run in report.sweep.runs if part in run.images}) > 1


def _together(report: Report) -> bool:
    return any(row.scored.together for row in report.rows)


def _train_best(report: Report, folder: Path) -> str:
    parent = folder
    for _ in Path(report.sweep.name).parts:
        parent = parent.parent
    words = ["python", "-m", "digitexp", f"--config-dir={parent}", f"+{report.sweep.name}=best"]
    return shlex.join(words)


def _distinct(runs: Sequence[RunRecord], text: Any) -> str:
    found = [text(run.facts) for run in runs]
    each = list(dict.fromkeys(found))
    return each[0] if len(each) == 1 else "; ".join(f"{one or 'unknown'} ({found.count(one)} runs)" for one in each)


def _machine(facts: Mapping[str, str]) -> str:
    cores = f"{facts['cores']} core{'' if facts['cores'] == '1' else 's'}" if "cores" in facts else ""
    memory = f"{facts['memory']} GiB" if "memory" in facts else ""
    shared = int(facts.get("workers", 1))
    beside = f"{shared} runs side by side" if shared > 1 else ""
    host = f"host {facts['host']}" if "host" in facts else ""
    if "cluster" in facts:
        return f"a {facts['cluster'].capitalize()} cluster, asked from {host}"
    return ", ".join(filter(None, [facts.get("cpu", ""), cores, memory, host, beside]))


def _commit(facts: Mapping[str, str]) -> str:
    commit, _, dirty = facts.get("commit", "").partition("-")
    return f"{commit[:12]}{', with uncommitted changes' if dirty else ''}"


def _versions(facts: Mapping[str, str]) -> str:
    packages = {name.removeprefix("version."): text for name, text in facts.items() if name.startswith("version.")}
    return ", ".join([f"Python {facts.get('python', '')}", *(f"{package} {text}" for package, text in packages.items())])


def _use(report: Report, part: str) -> str:
    if part == "train":
        return "trained on"
    if part == (report.sweep.objective or "").split("/")[0]:
        return "chosen on"
    return "scored after each epoch" if part == "val" else "scored once, after the last epoch"
