"""The audit of the reported numbers, against an independent computation with exact fractions, and what it must find."""

import csv
import math
from fractions import Fraction
from pathlib import Path

import pytest

from digitexp import experiment
from digitexp.compose import compose
from digitexp.evidence import audit as audits
from digitexp.evidence import claims
from digitexp.evidence.audit import NOT, NOTHING, OPPOSED, STANDS, audit
from digitexp.evidence.claims import Reported

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def judged():
    return audit(claims.read_all(EXPERIMENTS), compose().rule)


def fisher(a, n, b, m):
    """Two-sided, in fractions: the tables of these margins that are no likelier than the one found."""
    ways = {k: math.comb(n, k) * math.comb(m, a + b - k) for k in range(max(0, a + b - m), min(n, a + b) + 1)}
    return Fraction(sum(way for way in ways.values() if way <= ways[a]), math.comb(n + m, a + b))


def independent():
    """Comparison -> Holm's p-value, from the files alone: another reader, another test, another correction."""
    shares, pairs = {}, []
    for file in EXPERIMENTS.glob("reported/*/reported.csv"):
        for row in csv.DictReader(file.read_text().splitlines()):
            if row["metric"] == "drawn/accuracy":
                shares[file.parent.name, row["setting"]] = int(row["correct"]), int(row["n"])
    for file in EXPERIMENTS.glob("reported/*/claims.csv"):
        for row in csv.DictReader(file.read_text().splitlines()):
            path = row["left"].split("=")[0]
            if row["relation"] in "<>" and (file.parent.name, row["left"]) in shares:
                pairs.append((file.parent.name, row["left"], row["right"]))
            if row["relation"] == "between":
                ends = row["right"].split("=")[1].strip("[]").split(",")
                for name in row["left"].split("=")[1].strip("[]").split(","):
                    pairs += [(file.parent.name, f"{path}={name}", f"{path}={end}") for end in ends]
    p = {pair: fisher(*shares[pair[0], pair[1]], *shares[pair[0], pair[2]]) for pair in pairs}
    ordered = sorted(p, key=p.get)
    adjusted, largest = {}, Fraction(0)
    for place, pair in enumerate(ordered):
        largest = max(largest, p[pair] * (len(p) - place))
        adjusted[pair] = min(Fraction(1), largest)
    return adjusted


def test_agrees_with_an_independent_computation(judged):
    expected = independent()
    found = {
        (one.claim.sweep, claims.point_text(one.comparison.left), claims.point_text(one.comparison.right)): one.adjusted
        for one in judged.judged
        if one.comparison.relation in "<>"
    }
    assert judged.family == len(expected) == 26
    assert found.keys() == expected.keys()
    for pair, p in expected.items():
        assert found[pair] == pytest.approx(float(p), rel=1e-6), pair


def test_what_stands_and_what_does_not(judged):
    """As the reported counts allow: the list in the project's own plan."""
    verdicts = {opinion.claim.id: opinion.verdict for opinion in judged.opinions}
    assert [claim for claim, verdict in verdicts.items() if verdict == STANDS] == [
        "adam_beats_adadelta", "ftrl_is_worse", "epochs_400_overfit", "units_50_beat_75",
        "more_labels_help", "labels_200_help", "labels_400_beat_200",
    ]  # fmt: skip
    for claim in ("dropout_02_hurts", "dropout_05_hurts", "mse_beats_cce", "others_between", "labels_800_best",
                  "labels_1000_worse"):  # fmt: skip
        assert verdicts[claim] == NOT, claim
    adagrad = [one for one in judged.judged if one.comparison.left == {"optimizer.name": "adagrad"}]
    assert [one.verdict for one in adagrad] == [NOT, STANDS]  # not above Adadelta, but below Adam
    assert verdicts["test_is_no_guide"] == NOT  # the two kinds of network disagree
    assert verdicts["dense_trains_faster"] == NOTHING


def test_kinds_of_network_are_not_correlated_together(judged):
    """Over all 23 networks the correlation is 0.61, which is that of neither kind."""
    (why,) = [opinion.why for opinion in judged.opinions if opinion.claim.id == "test_is_no_guide"]
    assert [part[: part.index(" (")] for part in why.split("; ") if "rank" in part] == [
        "cnn: rank correlation 0.90", "dense: rank correlation 0.33",
    ]  # fmt: skip
    assert why.endswith("over 12 networks")
    of_cnn = Reported([one for one in claims.read_all(EXPERIMENTS).numbers if one.model == "cnn"], claims.of_all(EXPERIMENTS))
    assert [opinion.verdict for opinion in audit(of_cnn, compose().rule).opinions] == [OPPOSED]


def test_equality_needs_an_interval_within_the_margin(judged):
    by_claim = {one.claim.id: one for one in judged.judged}
    same = by_claim["labels_600_equal_400"]
    assert same.apart == 0
    assert same.verdict == NOT  # 462 of 500 twice: +- 0.028, the margin is 0.02
    wide = compose(["rule.margin={drawn/accuracy:0.05}"]).rule
    opinions = {one.claim.id: one.verdict for one in audit(claims.read_all(EXPERIMENTS), wide).opinions}
    assert opinions["labels_600_equal_400"] == opinions["ftrl_cannot_train"] == STANDS
    assert opinions["cnn_epochs_no_change"] == NOT


def test_finds_the_slips(judged):
    text = {slip.number.id: slip.text for slip in judged.slips}
    assert text["per_digit_0"] == "1 of 767 are 0.1304 %, printed as 0.013 %: 10 times too small"
    assert text["per_digit_8"].endswith("printed as 0.49 %: cut off, not rounded")
    assert "at least 0.0496" in text["cnn_epochs_400"]
    assert "cnn_optimizer_adadelta" in text["cnn_epochs_200"]
    assert len(text) == 5


def test_a_share_that_no_count_gives_is_a_slip(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "reported.csv").write_text(
        "id,model,setting,metric,value,correct,n,epochs,error_percent,source,note\n"
        "wrong,dense,training.epochs=1,drawn/accuracy,0.83,164,200,,,s,\nright,dense,training.epochs=2,drawn/accuracy,0.83,166,200,,,s,\n"
    )
    found = audit(claims.read(tmp_path, "s"), compose().rule)
    assert [(slip.number.id, slip.text) for slip in found.slips] == [("wrong", "164 of 200 are 0.82, not 0.83")]


def test_better_than_a_guess_is_judged_by_the_binomial(tmp_path):
    place = tmp_path / "guess"
    place.mkdir()
    numbers = "id,model,setting,metric,value,correct,n,epochs,error_percent,source,note\n"
    (place / "reported.csv").write_text(numbers + "a,dense,x=1,drawn/accuracy,0.8,8,10,,,s,\nb,dense,x=2,drawn/accuracy,0.2,2,10,,,s,\n")
    wanted = "id,left,relation,right,metric,wording\n"
    (place / "claims.csv").write_text(wanted + "a,x=1,>,chance 0.5,drawn/accuracy,w\nb,x=2,<,x=1,drawn/accuracy,w\n")
    first, second = audit(claims.read_all(tmp_path), compose().rule).judged
    assert first.p == pytest.approx(2 * sum(math.comb(10, k) for k in (8, 9, 10)) / 2**10)
    assert (first.apart, first.verdict) == (pytest.approx(0.3), NOT)
    assert second.p == pytest.approx(float(fisher(2, 10, 8, 10)))


def test_a_sweep_of_ones_own_is_judged_by_its_own_numbers(tmp_path):
    """Sweeps of the same name: the seed's claim of 900 against 500 of 1,000, and one's own of 97 against 96 of 100."""
    for place, name, counts in (("made", "mine", (97, 96, 100)), ("reported/made", "theirs", (900, 500, 1000))):
        (tmp_path / place).mkdir(parents=True)
        lines = [f"n,dense,x={x},drawn/accuracy,0.9,{correct},{counts[2]},,,s," for x, correct in enumerate(counts[:2])]
        head = "id,model,setting,metric,value,correct,n,epochs,error_percent,source,note"
        (tmp_path / place / "reported.csv").write_text("\n".join([head, *lines, ""]))
        text = f"id,left,relation,right,metric,wording\n{name},x=0,>,x=1,drawn/accuracy,w\n"
        (tmp_path / place / "claims.csv").write_text(text)
    found = audit(claims.read_all(tmp_path), compose().rule)
    assert {opinion.claim.id: opinion.verdict for opinion in found.opinions} == {"mine": NOT, "theirs": STANDS}


def test_an_equality_without_a_margin_is_not_judged(tmp_path):
    (tmp_path / "s").mkdir()
    head = "id,model,setting,metric,value,correct,n,epochs,error_percent,source,note\n"
    numbers = [f"n,dense,x={x},train/accuracy,0.9,90,100,,,s,\n" for x in (0, 1)]
    (tmp_path / "s" / "reported.csv").write_text("".join([head, *numbers]))
    (tmp_path / "s" / "claims.csv").write_text("id,left,relation,right,metric,wording\nc,x=0,=,x=1,train/accuracy,w\n")
    (opinion,) = audit(claims.read_all(tmp_path), compose().rule).opinions
    assert (opinion.verdict, opinion.why) == (NOTHING, "the rule has no margin for train/accuracy")


def test_of_nothing_nothing_is_said():
    assert audit(Reported(), compose().rule).opinions == []


def test_what_is_committed_is_what_the_command_writes(tmp_path):
    for name in ("reported.csv", "claims.csv"):
        for file in EXPERIMENTS.glob(f"reported/*/{name}"):
            place = tmp_path / file.relative_to(EXPERIMENTS)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    given = experiment.audit(compose(["report.audit=true", f"report.claims={tmp_path}", f"report.folder={tmp_path}/reports"]))
    assert given.answer.startswith("Of 27 claims, 7 stand")
    assert sorted(file.name for file in given.files) == ["README.md", "comparisons.csv", "comparisons.png", "index.html", "numbers.csv"]
    for name in ("README.md", "comparisons.csv", "numbers.csv"):
        assert (tmp_path / "reports" / "audit" / name).read_text() == (EXPERIMENTS / "audit" / name).read_text()
    assert not audits.audit(Reported(), compose().rule).slips
