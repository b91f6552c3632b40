"""The committed pages are what this program says of the committed runs: none is left over from an older one."""

import csv
from pathlib import Path

import pytest

from digitexp import experiment
from digitexp.compose import compose
from digitexp.evidence import claims, report, verdicts
from digitexp.reports import findings
from digitexp.reports.answer import answer
from digitexp.reports.rendering import markdown
from digitexp.tracking import portable

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RULE = compose().rule


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.rglob("runs.csv")), ids=lambda file: file.parent.name)
def test_a_page_says_what_its_runs_say(file):
    """Else type: digitexp report search.name=NAME"""
    gathered = report.gather(portable.read(file))
    assert f"**{markdown(answer(gathered))}**" in (file.parent / "README.md").read_text().splitlines()
    reported = claims.read(EXPERIMENTS, gathered.sweep.name)
    if reported.claims:
        with (file.parent / findings.VERDICTS).open(newline="") as lines:
            written = {line["claim"]: (line["verdict"], line["why"], line["ours"]) for line in csv.DictReader(lines)}
        rows = findings.rows(gathered, verdicts.judge(gathered, reported, RULE))
        assert {row["claim"]: (row["verdict"], row["why"], row["ours"]) for row in rows} == written


def test_a_report_elsewhere_judges_the_same_claims(tmp_path):
    file = EXPERIMENTS / "manual_labels" / "runs.csv"
    given = [f"report.runs={file}", f"report.folder={tmp_path}", f"report.claims={EXPERIMENTS}"]
    experiment.report(compose(given))
    written = tmp_path / "manual_labels" / findings.VERDICTS
    assert written.read_text() == (file.parent / findings.VERDICTS).read_text()
