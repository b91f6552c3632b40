"""The table of claims on the front page, written from committed files: what was reported, what we find, and the verdict."""

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path

from digitexp.errors import ConfigError, DataError
from digitexp.reports import audit as audits
from digitexp.reports import claims, findings, report, verdicts
from digitexp.reports.provenance import RUNS
from digitexp.reports.rendering import markdown
from digitexp.settings import Rule
from digitexp.tracking import portable

GEOMETRY = {"raw": "drawings as drawn", "box": "drawings cropped", "mnist": "drawings in MNIST's geometry"}
BEGIN, END = "<!-- claims: written by digitexp report report.readme=README.md -->", "<!-- /claims -->"


def write(file: Path, folder: Path, rule: Rule) -> None:
    """Write the table of `folder` between the two marks in a Markdown file. ConfigError where they are missing."""
    text = file.read_text() if file.exists() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ConfigError(f"report.readme={file}: has no place for the table; allowed is a file with the lines {BEGIN} and "
                          f"{END}, once each.")  # fmt: skip
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    unfinished.write_text(f"{before}{BEGIN}\n{table(folder, rule, file.parent)}{END}{after}")
    unfinished.replace(file)


def table(folder: Path, rule: Rule, beside: Path) -> str:
    """The table as Markdown, with links from a file in `beside`: a line a claim that our runs say something about."""
    counted = {opinion.claim.id: opinion.verdict for opinion in audits.audit(claims.read_all(folder), rule).opinions}
    found = _found(folder, rule)
    shown = [(place, row) for place, row in found if row["verdict"] != verdicts.UNTESTABLE]
    lines = ["| claim | reported | by its counts | ours | verdict |", "|---|---|---|---|---|"]
    for place, row in shown:
        lines.append(_line(row, counted.get(row["claim"], ""), os.path.relpath(place / "README.md", beside)))
    silent = len(counted) - len({row["claim"] for _, row in shown})
    audit = os.path.relpath(folder / "audit" / "README.md", beside)
    text = (f"Values are of the left and the right side of a claim, verdicts by rule {rule.digest}. {silent} more claims "
            f"are not testable by the runs so far. \"By its counts\" is [the audit]({audit}) of the reported numbers "
            "alone.")  # fmt: skip
    return "\n".join([*lines, "", text, ""])


def _found(folder: Path, rule: Rule) -> list[tuple[Path, Mapping[str, str]]]:
    """The verdicts of every experiment, those under the seeds' own protocol first; each claim once, those of all often."""
    places = sorted({file.parent for file in folder.rglob(RUNS)}, key=lambda place: ("reported" not in place.parts, place))
    rows: list[tuple[Path, Mapping[str, str]]] = []
    said: set[str] = set()
    for place in places:
        own = _verdicts(folder, place, rule)
        own = [row for row in own if row["sweep"] == "all" or row["claim"] not in said]
        said |= {row["claim"] for row in own if row["verdict"] != verdicts.UNTESTABLE}
        rows += [(place, row) for row in own]
    return rows


def _verdicts(folder: Path, place: Path, rule: Rule) -> list[dict[str, str]]:
    """The verdicts that a report wrote; of an experiment that has none, those that its runs.csv allows."""
    file = place / findings.VERDICTS
    if not file.exists():
        sweep = portable.read(place / RUNS)
        gathered = report.gather(sweep)
        evidence = verdicts.judge(gathered, claims.read(folder, sweep.name), rule)
        return [{key: str(value) for key, value in row.items()} for row in findings.rows(gathered, evidence)]
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    other = {row["rule"] for row in rows} - {rule.digest}
    if other:
        raise DataError(f"{file}: its verdicts are by rule {', '.join(sorted(other))}, allowed is {rule.digest}; type "
                        f"digitexp report search.name={place.relative_to(folder)} to judge again.")  # fmt: skip
    return rows


def _line(row: Mapping[str, str], counted: str, page: str) -> str:
    ours = row["ours"]
    if row["difference"]:
        ours += f"<br>{float(row['difference']):+.3f} ({float(row['low']):+.3f} to {float(row['high']):+.3f})"
    about = [f"{row['seeds']} seeds"]
    if row["epochs_reported"] not in ("", row["epochs"]):
        about.append(f"{row['epochs']} epochs, not {row['epochs_reported']}")
    about += [GEOMETRY[row["geometry"]]] if row.get("geometry") in GEOMETRY else []
    sweep = f" ({page.split('/')[-2]})" if row["sweep"] == "all" else ""
    ours = ours or row["why"]
    verdict = f"[{row['verdict']}]({page})<br>{'; '.join(about)}"
    cells = [markdown(row["text"]) + sweep, row["reported"], counted, ours, verdict]
    return f"| {' | '.join(re.sub(chr(10), ' ', cell) for cell in cells)} |"
