"""Claims are read as they were written, and what is wrong in their files is refused in one sentence."""

from pathlib import Path

import pytest

from digitexp.config import type_of
from digitexp.errors import DataError
from digitexp.evaluation.counts import Count
from digitexp.evidence.claims import Claim, Comparison, of_all, read, read_all
from digitexp.settings import Cnn, Dense

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
NUMBERS = "id,model,setting,metric,value,correct,n,epochs,error_percent,source,note\n"
CLAIMS = "id,left,relation,right,metric,wording\n"


def claim(left, relation, right):
    return Claim("s", "c", left, relation, right, "drawn/accuracy", "")


def test_what_is_compared():
    assert claim("training.epochs=400", "<", "training.epochs=200").comparisons == [
        Comparison({"training.epochs": 400}, "<", {"training.epochs": 200})
    ]
    between = claim("optimizer.name=[sgd,nadam]", "between", "optimizer.name=[adadelta,adam]").comparisons
    names = [(one.left["optimizer.name"], one.relation, one.right["optimizer.name"]) for one in between]
    assert names == [("sgd", ">", "adadelta"), ("sgd", "<", "adam"), ("nadam", ">", "adadelta"), ("nadam", "<", "adam")]
    assert claim("optimizer.name=ftrl", "=", "chance 0.1").comparisons == [Comparison({"optimizer.name": "ftrl"}, "=", 0.1)]
    assert claim("labels of one kind", ">", "labels of another").comparisons == []
    assert claim("model=dense", "<", "model=cnn").comparisons == [Comparison({"model": "dense"}, "<", {"model": "cnn"})]


def test_what_nobody_can_test_is_known_beforehand():
    """Two of the reported claims have no judge in this program; every other names settings, or two measures."""
    found = [one.id for one in read_all(EXPERIMENTS).claims if not one.testable]
    assert found == ["four_read_as_nine", "labels_from_own_model"]
    paths = {path for one in read_all(EXPERIMENTS).claims for pair in one.comparisons for path in pair.left}
    for path in paths:
        type_of(path, Cnn if path.startswith("model.conv") else Dense)


def test_a_claim_names_its_setting_once():
    assert str(claim("loss=a", ">", "loss=b")) == "loss=a > b"


def test_all_that_was_reported_is_there():
    reported = read_all(EXPERIMENTS)
    assert len(reported.claims) == len({one.id for one in reported.claims}) == 27
    assert sum(one.metric == "drawn/accuracy" for one in reported.numbers) == 28  # 27, and the reference model once more
    counted = [one for one in reported.numbers if one.metric == "drawn/accuracy"]
    assert all(one.count and abs(one.count.share - one.value) < 1e-9 for one in counted)


def test_a_sweep_and_that_of_the_seed_share_what_was_reported():
    own, seed = read(EXPERIMENTS, "manual_labels"), read(EXPERIMENTS, "reported/manual_labels")
    assert own == seed
    assert own.number({"data.manual_labels": 800}, "drawn/accuracy").count == Count(483, 500)
    assert [one.relation for one in of_all(EXPERIMENTS)] == ["uncorrelated"]  # about all sweeps together, so in none of them
    assert read(EXPERIMENTS, "nothing").claims == ()


def test_zero_is_zero(tmp_path):
    assert read(EXPERIMENTS, "dense_dropout").number({"model.layer_1.dropout": 0.0}, "drawn/accuracy").text == "0.694"


@pytest.mark.parametrize(
    ("file", "text", "match"),
    [
        ("reported.csv", "id,value\na,1\n", r"reported.csv: found no column model, setting"),
        ("reported.csv", NUMBERS + "a,dense,x=1,drawn/accuracy,0.5,7,5,,,s,\n", r"line 2: found 7 correct of 5"),
        ("reported.csv", NUMBERS + "a,dense,x=1,drawn/accuracy,0.5,many,5,,,s,\n", r"line 2: .*'many'; allowed are numbers"),
        ("claims.csv", CLAIMS + "a,x=1,beats,x=2,drawn/accuracy,w\n", r"line 2: relation beats: allowed are >, <, =, between"),
        ("claims.csv", CLAIMS + "a,x=1,between,x=2,drawn/accuracy,w\n", r"line 2: right x=2: found 1 settings .* path=\[LOW,HIGH\]"),
    ],
)
def test_what_is_wrong_is_refused(file, text, match, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / file).write_text(text)
    with pytest.raises(DataError, match=match):
        read(tmp_path, "s")


@pytest.mark.parametrize(("metric", "count"), [("test/accuracy", (9950, 10000)), ("test/auc", None), ("seconds", None)])
def test_only_a_share_of_images_is_a_count(metric, count, tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "reported.csv").write_text(NUMBERS + f"a,dense,x=1,{metric},0.995,,10000,,,s,\n")
    (number,) = read(tmp_path, "s").numbers
    assert number.count == count


def test_a_claim_has_one_id(tmp_path):
    for place in ("s", "reported/s"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "claims.csv").write_text(CLAIMS + "a,x=1,>,x=2,drawn/accuracy,w\n")
    with pytest.raises(DataError, match=r"reported/s/claims.csv: found the claim a, which .*/s/claims.csv has too; give it"):
        read_all(tmp_path)


def test_nothing_to_audit_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"found no reported.csv or claims.csv in .*type report.claims=FOLDER"):
        read_all(tmp_path)
