"""The table of claims on the front page, written from committed files: what was reported, what we find, and the verdict."""

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from digitexp.errors import ConfigError, DataError
from digitexp.evidence import audit as audits
from digitexp.evidence import claims, report, verdicts
from digitexp.evidence.claims import Reported
from digitexp.reports import findings
from digitexp.reports.provenance import RUNS
from digitexp.reports.rendering import markdown
from digitexp.settings import Rule
from digitexp.tracking import portable

MEASURES = {
    "drawn/accuracy": "accuracy on drawings", "test/accuracy": "test accuracy", "val/accuracy": "validation accuracy",
    "kaggle/accuracy": "accuracy on Kaggle's test images", "val/auc": "validation AUC", "test/auc": "test AUC",
    "seconds": "seconds of training", "epochs_to_target": "epochs to the target",
}  # fmt: skip
BEGIN, END = "<!-- claims: written by digitexp report report.readme=README.md -->", "<!-- /claims -->"

Line = tuple[Path, Mapping[str, str]]  # of a verdicts.csv, and the folder of its experiment


def write(file: Path, folder: Path, known: Path, rule: Rule) -> None:
    """Write the table of the reports in `folder` and the claims in `known` between the two marks in a Markdown file.

    Raises ConfigError where they are missing.
    """
    text = file.read_text("utf-8") if file.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ConfigError(f"report.readme={file}: has no place for the table; allowed is a file with the lines {BEGIN} and "
                          f"{END}, once each.")  # fmt: skip
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    unfinished.write_text(f"{before}{BEGIN}\n{table(folder, known, rule, file.parent)}{END}{after}", "utf-8")
    unfinished.replace(file)


def _older(late: int, lines: int) -> str:
    """How many lines rest on runs that are older than the rule."""
    if not late:
        return ""
    return f"The runs of {'all' if late == lines else f'{late} of the {lines}'} lines were made before that rule was. "


def table(folder: Path, known: Path, rule: Rule, beside: Path) -> str:
    """The table as Markdown, with links from a file in `beside`: a line a claim and protocol that our runs tell about."""
    reported = claims.read_all(known)
    counted = {opinion.claim.id: opinion.verdict for opinion in audits.audit(reported, rule).opinions}
    of_all = _of_all(folder, known, rule)
    found = [*_found(folder, known, rule), *of_all]
    shown = [(place, row) for place, row in found if row["verdict"] != verdicts.UNTESTABLE]
    lines = ["| claim | reported | by its counts | ours | verdict |", "|---|---|---|---|---|"]
    for place, row in shown:
        page = os.path.relpath(place / "README.md", beside) if (place / RUNS).exists() else ""
        lines.append(_line(row, counted.get(row["claim"], ""), page))
    audit = os.path.relpath(folder / "audit" / "README.md", beside)
    level, late = f"{100 * (1 - 2 * rule.alpha):g}", sum(row.get("rule_fixed_before") != "yes" for _, row in shown)
    text = (f"Ours: the measure on the left and the right side of a claim, and the difference with its {level} % interval "
            f"(two one-sided tests of {100 * rule.alpha:g} %, this difference alone). Verdicts are by rule {rule.digest}, "
            "corrected for their number; \"inconclusive\" can also mean that the difference is real and smaller than the "
            f"rule's margin. {_older(late, len(shown))}"
            f"\"By its counts\" is [the audit]({audit}) of the reported numbers alone; \"not shown\" is not refuted. "
            f"{_silent(reported, shown, of_all)}")  # fmt: skip
    return "\n".join([*lines, "", text, ""])


def _silent(reported: Reported, shown: Sequence[Line], of_all: Sequence[Line]) -> str:
    """How many claims are not in the table: those that no run has tested yet, and those that none can."""
    said = {row["claim"] for _, row in shown}
    silent = [claim for claim in reported.claims if claim.id not in said]
    able = [claim for claim in silent if claim.testable]
    never = [claim.id for claim in silent if not claim.testable]
    text = f"{len(able)} more claims were not tested by the runs so far"
    text += f", and {len(never)} cannot be by this program ({', '.join(never)})." if never else "."
    few = [row["why"] for _, row in of_all if row["verdict"] == verdicts.UNTESTABLE]
    return " ".join([text, *(f"That test accuracy is no guide to drawn accuracy is one of them ({why})." for why in few)])


def _found(folder: Path, known: Path, rule: Rule) -> list[Line]:
    """The verdicts of every experiment, claim by claim: under the seeds' own protocol first, then under any other."""
    rows = [(place, row) for place in _places(folder) for row in _verdicts(folder, known, place, rule)]
    first = {row["claim"]: number for number, (_, row) in reversed(list(enumerate(rows)))}
    return sorted(rows, key=lambda one: first[one[1]["claim"]])


def _places(folder: Path) -> list[Path]:
    """The folders of all experiments, those under the seeds' own protocol first."""
    return sorted({file.parent for file in folder.rglob(RUNS)}, key=lambda place: ("reported" not in place.parts, place))


def _of_all(folder: Path, known: Path, rule: Rule) -> list[Line]:
    """The verdicts of the claims that are about all sweeps together, from every sweep under the seeds' own protocol."""
    places = [place for place in _places(folder) if "reported" in place.relative_to(folder).parts]
    asked = claims.of_all(known)
    gathered = [report.gather(portable.read(place / RUNS)) for place in places] if asked else []
    rules = {run.facts.get("rule", "") for one in gathered for run in one.sweep.runs}
    found: list[Line] = []
    for claim in asked:
        one = verdicts.correlated(gathered, claim, rule)
        row = {"claim": claim.id, "text": str(claim), "metric": claim.metric, "wording": claim.wording, "reported": "",
               "ours": "", "difference": "", "verdict": one.verdict, "why": one.why, "seeds": "", "epochs": one.epochs[0],
               "epochs_reported": "", "rule_fixed_before": "yes" if rules == {rule.digest} else "no"}  # fmt: skip
        found.append((folder / "reported", row))
    return found


def _verdicts(folder: Path, known: Path, place: Path, rule: Rule) -> list[dict[str, str]]:
    """The verdicts that a report wrote; of an experiment that has none, those that its runs.csv allows."""
    file = place / findings.VERDICTS
    if not file.exists():
        sweep = portable.read(place / RUNS)
        gathered = report.gather(sweep)
        evidence = verdicts.judge(gathered, claims.read(known, sweep.name), rule)
        return [{key: str(value) for key, value in row.items()} for row in findings.rows(gathered, evidence)]
    with file.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    other = {row["rule"] for row in rows} - {rule.digest}
    if other:
        raise DataError(f"{file}: its verdicts are by rule {', '.join(sorted(other))}, allowed is {rule.digest}; type "
                        f"digitexp report search.name={place.relative_to(folder)} to judge again.")  # fmt: skip
    return rows


def _line(row: Mapping[str, str], counted: str, page: str) -> str:
    ours = row["ours"]
    if row["difference"]:
        apart, low, high = (f"{float(row[name]):+{findings.fine(row['metric'])}}" for name in ("difference", "low", "high"))
        ours += f"<br>{apart} ({low} to {high})"
    seeds = f"{row['seeds']} seed{'' if row['seeds'] == '1' else 's'}" if row["seeds"] else ""
    about = [] if row["why"].startswith(seeds) else [seeds]
    if row["epochs_reported"] not in ("", row["epochs"]):
        about.append(f"{row['epochs']} epochs, not {row['epochs_reported']}")
    about += [verdicts.GEOMETRY[row["geometry"]]] if row.get("geometry") in verdicts.GEOMETRY else []
    about += [row["why"]] if ours else []
    measure = MEASURES.get(row["metric"], "")
    claim = f"{markdown(row['wording'])}<br>{markdown(row['text'])}{', ' if measure else ''}{measure}"
    linked = f"[{row['verdict']}]({page})" if page else row["verdict"]
    verdict = "<br>".join(filter(None, [linked, markdown("; ".join(filter(None, about)))]))
    cells = [claim, row["reported"], counted, ours or markdown(row["why"]), verdict]
    return f"| {' | '.join(re.sub(chr(10), ' ', cell) for cell in cells)} |"
