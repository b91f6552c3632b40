"""The front page's table of claims is what the committed files say."""

import re
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
    assert between == "\n" + front.table(ROOT / "experiments", RULE, ROOT)


def test_every_link_leads_somewhere():
    for link in re.findall(r"\]\(([^)]*)\)", front.table(ROOT / "experiments", RULE, ROOT)):
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
    front.write(file, folder, RULE)
    text = file.read_text()
    assert text.startswith(f"before\n{front.BEGIN}\n| claim |")
    assert text.endswith(f"{front.END}\nafter\n")
    assert "old" not in text
    assert "[reproduced](experiments/manual_labels/README.md)<br>5 seeds; 5 epochs, not 200; drawings in MNIST's geometry |" in text
    front.write(file, folder, RULE)
    assert file.read_text() == text


def test_what_a_report_found_goes_before_its_runs(folder):
    """verdicts.csv was judged image by image; under the seed's own protocol before any other."""
    header = "claim,sweep,text,metric,wording,reported,ours,difference,low,high,p_holm,verdict,why,seeds,images,epochs,epochs_reported,rule,rule_fixed_before\n"
    line = f"labels_800_best,manual_labels,a > b,drawn/accuracy,w,0.9 and 0.8,0.7 and 0.6,0.1,0.05,0.15,0.01,not reproduced,,5,400,200,200,{RULE.digest},yes\n"
    for place in ("manual_labels", "reported/manual_labels"):
        (folder / place / "runs.csv").write_bytes((folder / "manual_labels" / "runs.csv").read_bytes())
    (folder / "reported" / "manual_labels" / "verdicts.csv").write_text(header + line)
    (row,) = [row for row in front.table(folder, RULE, folder.parent).splitlines() if row.startswith(r"| a &gt; b")]
    assert "0.7 and 0.6<br>+0.100 (+0.050 to +0.150)" in row
    assert "[not reproduced](experiments/reported/manual_labels/README.md)<br>5 seeds |" in row
    assert "800 &gt; 600" not in front.table(folder, RULE, folder.parent)  # not again from the other experiment
    (folder / "reported" / "manual_labels" / "verdicts.csv").write_text(header + line.replace(RULE.digest, "another"))
    with pytest.raises(DataError, match=r"by rule another, allowed is .* report search.name=reported/manual_labels to judge again"):
        front.table(folder, RULE, folder.parent)


def test_a_file_without_a_place_is_refused(folder):
    (folder.parent / "other.md").write_text("nothing")
    with pytest.raises(ConfigError, match=r"other.md: has no place for the table"):
        front.write(folder.parent / "other.md", folder, RULE)
    assert (folder.parent / "other.md").read_text() == "nothing"
