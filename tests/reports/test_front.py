"""The front page's table of claims is what the committed files say."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from digitexp.compose import compose
from digitexp.errors import ConfigError, DataError
from digitexp.reports import front

ROOT = Path(__file__).parents[2]
RULE = compose().rule


def test_the_readme_is_up_to_date():
    """Else type: digitexp report report.readme=README.md"""
    between = (ROOT / "README.md").read_text().split(front.BEGIN)[1].split(front.END)[0]
    assert between == "\n" + front.table(ROOT / "experiments", ROOT / "experiments", RULE, ROOT)


def test_every_link_leads_somewhere():
    for link in re.findall(r"\]\(([^)]*)\)", front.table(ROOT / "experiments", ROOT / "experiments", RULE, ROOT)):
        assert (ROOT / link).exists(), link


@pytest.fixture
def folder(tmp_path):
    """An experiment with its claims, and a file with the two marks."""
    for name in ("manual_labels/runs.csv", "reported/manual_labels/claims.csv", "reported/manual_labels/reported.csv"):
        place = tmp_path / "experiments" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((ROOT / "experiments" / name).read_bytes())
    (tmp_path / "README.md").write_text(f"before\n{front.BEGIN}\nold\n{front.END}\nafter\n")
    return tmp_path / "experiments"


def test_only_the_table_is_written_anew(folder):
    file = folder.parent / "README.md"
    front.write(file, folder, folder, RULE)
    text = file.read_text()
    assert text.startswith(f"before\n{front.BEGIN}\n| claim |")
    assert text.endswith(f"{front.END}\nafter\n")
    assert "old" not in text
    assert (
        '| adding manual labels and retraining gives the highest accuracy<br>data.manual\\_labels=800 &gt; 0, accuracy on drawings |' in text
    )
    assert "[reproduced](experiments/manual_labels/README.md)<br>5 seeds; 5 epochs, not 200; drawings in MNIST's geometry |" in text
    assert "difference with its 90 % interval (two one-sided tests of 5 %, this difference alone)" in text
    assert "can also mean that the difference is real and smaller than the rule's margin. \"By its counts\" is" in text
    assert "0 more claims were not tested by the runs so far, and 1 cannot be by this program (labels_from_own_model)." in text
    front.write(file, folder, folder, RULE)
    assert file.read_text() == text


def test_runs_that_are_older_than_the_rule_are_said_to_be(folder):
    file = folder / "manual_labels" / "runs.csv"
    assert RULE.digest in file.read_text()
    file.write_text(file.read_text().replace(RULE.digest, "0" * 16))
    assert "rule's margin. The runs of all lines were made before that rule was." in front.table(folder, folder, RULE, folder.parent)


HEADER = "claim,sweep,text,metric,wording,reported,ours,difference,low,high,p_holm,verdict,why,seeds,images,epochs,epochs_reported,rule,rule_fixed_before\n"
LINE = f"labels_800_best,manual_labels,a > b,drawn/accuracy,w,0.9 and 0.8,0.7 and 0.6,0.028499999999999998,0.0005,0.1,0.01,not reproduced,guessed,5,400,200,200,{RULE.digest},yes\n"


def test_every_protocol_has_a_line_that_of_the_seed_first(folder):
    """verdicts.csv is taken where a report has written it, and rounded once."""
    for place in ("manual_labels", "reported/manual_labels"):
        (folder / place / "runs.csv").write_bytes((folder / "manual_labels" / "runs.csv").read_bytes())
    (folder / "reported" / "manual_labels" / "verdicts.csv").write_text(HEADER + LINE)
    rows = front.table(folder, folder, RULE, folder.parent).splitlines()
    first = next(place for place, row in enumerate(rows) if "a &gt; b, accuracy on drawings" in row)
    assert "0.7 and 0.6<br>+0.028 (+0.001 to +0.100)" in rows[first]
    assert "[not reproduced](experiments/reported/manual_labels/README.md)<br>5 seeds; guessed |" in rows[first]
    assert "800 &gt; 600" in rows[first + 1]  # the same claim, by the other experiment
    assert "(experiments/manual_labels/README.md)" in rows[first + 1]


def test_verdicts_by_another_rule_are_refused(folder):
    (folder / "manual_labels" / "verdicts.csv").write_text(HEADER + LINE.replace(RULE.digest, "another"))
    with pytest.raises(DataError, match=r"by rule another, allowed is .* report search.name=manual_labels to judge again"):
        front.table(folder, folder, RULE, folder.parent)


def test_the_claim_about_all_sweeps_has_one_line(folder):
    """Six settings are too few, and the text says so; with fewer asked for there is one verdict, not one a sweep."""
    for name in ("all/claims.csv", "manual_labels/runs.csv", "dense_dropout/runs.csv", "dense_dropout/claims.csv"):
        place = folder / "reported" / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes((ROOT / "experiments" / "reported" / name).read_bytes())
    text = front.table(folder, folder, RULE, folder.parent)
    assert "no guide to drawn accuracy is one of them (dense, drawings in MNIST's geometry: 4 settings, the rule asks for 8; dense, dr" in text
    rule = replace(RULE, settings=6)
    (line,) = [row for row in front.table(folder, folder, rule, folder.parent).splitlines() if "uncorrelated" in row]
    assert "dense, drawings as drawn: rank correlation -0.10 (" in line
    assert "over 30 runs of 6 settings, inconclusive; dense, drawings in MNIST's geometry: 4 settings, the rule asks for 6 |" in line
    assert line.endswith("| inconclusive |")  # no page of its own to link to


def test_a_file_without_a_place_is_refused(folder):
    (folder.parent / "other.md").write_text("nothing")
    with pytest.raises(ConfigError, match=r"other.md: has no place for the table"):
        front.write(folder.parent / "other.md", folder, folder, RULE)
    assert (folder.parent / "other.md").read_text() == "nothing"
