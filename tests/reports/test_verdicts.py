"""Verdicts: each by its rule, on runs whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from digitexp.compose import compose
from digitexp.evaluation.counts import Count
from digitexp.reports import findings, report, verdicts
from digitexp.reports.claims import Claim, Number, Reported
from digitexp.reports.verdicts import AGREES, DIFFERS, FEW, NOT, REPRODUCED, UNCLEAR, UNTESTABLE
from digitexp.tracking.records import RunRecord, SweepRecord

RULE = compose().rule
PATH = "data.manual_labels"
REAL = {"data.name": "mnist", "data.drawn.source": "csv", "data.classes": ["0", "1"], "model.kind": "dense", "training.epochs": 200}
DRAWN, TEST = 400, 10_000


def run_of(value, seed, drawn, test=9700, hits=True, loss=0.1, facts=None, **settings):
    """A run that reads the first `drawn` of 400 drawings and the first `test` of 10,000 images."""
    read = {"drawn": (np.arange(DRAWN) >= drawn).astype(int), "test": (np.arange(TEST) >= test).astype(int)}
    labels = {"drawn": np.zeros(DRAWN, int), "test": np.zeros(TEST, int)}
    return RunRecord(
        signature=f"{value}-{seed}", trial=int(value), seed=seed, point={PATH: value}, settings=REAL | {PATH: value} | settings,
        started="2026-01-02T03:04:05Z", facts=facts or {},
        metrics={"drawn/accuracy": drawn / DRAWN, "test/accuracy": test / TEST, "test/loss": loss, "seconds": 1.0},
        images={"drawn": DRAWN, "test": TEST}, digests={"drawn": "d", "test": "t"},
        labels=labels if hits else {}, read=read if hits else {},
    )  # fmt: skip


def report_of(drawn, seeds=3, objective=None, **options):
    """A report of settings 0, 1, ... that read so many of the drawings, each seed one more than the last."""
    runs = [run_of(place, seed, count + seed, **options) for place, count in enumerate(drawn) for seed in range(1, seeds + 1)]
    sweep = SweepRecord("made", "Which?", "q", "grid", objective, seeds, "FINISHED", "digitexp +sweep=made", runs)
    return report.gather(sweep)


def claim_of(relation, left=1, right=0, metric="drawn/accuracy"):
    right = right if isinstance(right, str) else f"{PATH}={right}"
    return Claim("made", "c", f"{PATH}={left}", relation, right, metric, "said so")


def verdict_of(gathered, *claims, numbers=()):
    found = verdicts.judge(gathered, Reported(numbers, claims), RULE).verdicts
    return found[0] if len(found) == 1 else found


# Of 400 drawings by setting 0 and 1, the claim about 1 against 0, the verdict. The margin is 0.02, 8 drawings.
CASES = {
    "as claimed": ((300, 340), ">", REPRODUCED),
    "as claimed, turned": ((340, 300), "<", REPRODUCED),
    "the other way": ((340, 300), ">", NOT),
    "no difference where one is claimed": ((340, 340), ">", NOT),
    "a difference too small to count": ((340, 342), ">", NOT),
    "equal": ((340, 341), "=", REPRODUCED),
    "unequal": ((300, 340), "=", NOT),
}


@pytest.mark.parametrize("hits", [True, False], ids=["image by image", "accuracies alone"])
@pytest.mark.parametrize("case", CASES)
def test_by_the_rule(case, hits):
    drawn, relation, expected = CASES[case]
    found = verdict_of(report_of(drawn, hits=hits), claim_of(relation))
    if hits or case in ("as claimed", "as claimed, turned", "the other way", "unequal"):
        assert found.verdict == expected
    else:  # as if the drawings were others: less is known
        assert found.verdict == UNCLEAR


def test_seeds_that_differ_leave_it_open():
    runs = [run_of(value, seed, count) for value, counts in ((0, (300, 340, 320)), (1, (345, 318, 330))) for seed, count in enumerate(counts, 1)]
    sweep = SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs)
    assert verdict_of(report.gather(sweep), claim_of(">")).verdict == UNCLEAR


def test_of_many_comparisons_one_by_chance_is_not_enough():
    """The same difference that stands alone is one of twenty tests."""
    gathered = report_of((340, 350))
    alone = verdict_of(gathered, claim_of(">"))
    claims = [replace(claim_of(">"), id=f"c{place}") for place in range(20)]
    among = verdict_of(gathered, *claims)
    assert among[0].tested[0].p == pytest.approx(min(1, 20 * alone.tested[0].p))


UNTESTED = {
    "a setting that was not run": (report_of((300, 340)), claim_of(">", left=7), "data.manual_labels=7 was not run"),
    "another measure": (report_of((300, 340)), claim_of(">", metric="kaggle/accuracy"), "the runs have no kaggle/accuracy"),
    "no setting at all": (report_of((300, 340)), replace(claim_of(">"), left="labels of my own"), "no sweep of ours varies it"),
    "drawings of a pen": (report_of((300, 340), **{"data.drawn.source": "synthetic"}), claim_of(">"), "the drawings are a program's"),
    "other data": (report_of((300, 340), **{"data.name": "digits"}), claim_of(">"), "learnt digits, the rule asks for mnist"),
    "a part of the data": (report_of((300, 340), **{"data.limit": 6000}), claim_of(">"), "learnt 6,000 images (data.limit)"),
    "leakage": (report_of((300, 340), **{"data.allow_leakage": True}), claim_of(">"), "may have been trained on"),
    "what was chosen by it": (report_of((300, 340), objective="drawn/accuracy"), claim_of(">"), "ranked by it"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNTESTED)
def test_what_cannot_be_tested_here_says_why(case):
    gathered, claim, why = UNTESTED[case]
    found = verdict_of(gathered, claim)
    assert found.verdict == UNTESTABLE
    assert why in found.why
    assert found.tested == ()


def test_of_several_settings_the_one_that_is_else_as_the_first():
    """One at a time: 300 drawings are those of the reference, not those of another width with the same labels."""
    runs = [
        replace(run_of(value, seed, drawn + seed, **{"model.layer_1.units": units}), trial=trial, point={PATH: value, "model.layer_1.units": units})
        for trial, (value, units, drawn) in enumerate([(0, 50, 300), (1, 50, 340), (0, 25, 390)])
        for seed in (1, 2, 3)
    ]
    gathered = report.gather(SweepRecord("made", "Which?", "q", "one_at_a_time", None, 3, "FINISHED", "digitexp", runs))
    found = verdict_of(gathered, claim_of(">"))
    assert found.verdict == REPRODUCED
    assert found.tested[0].right == pytest.approx(302 / 400)


def test_few_seeds_are_inconclusive():
    found = verdict_of(report_of((300, 340), seeds=2), claim_of(">"))
    assert (found.verdict, found.why) == (UNCLEAR, "2 seeds, the rule asks for 3")


def test_a_claim_is_as_good_as_its_weakest_comparison():
    gathered = report_of((300, 340, 320, 345))
    between = replace(claim_of("between"), left=f"{PATH}=[1,2]", right=f"{PATH}=[0,3]")
    found = verdict_of(gathered, between)
    assert [one.verdict for one in found.tested] == [REPRODUCED, UNCLEAR, REPRODUCED, REPRODUCED] or found.verdict == NOT
    assert found.verdict != REPRODUCED
    assert found.why.endswith("of its 4 comparisons are reproduced")


def test_against_chance():
    gathered = report_of((38, 340))
    assert verdict_of(gathered, claim_of("=", left=0, right="chance 0.1")).verdict == UNCLEAR  # +- 0.025 with 400 drawings
    assert verdict_of(gathered, claim_of("=", left=1, right="chance 0.1")).verdict == NOT


def correlated(pairs):
    runs = [run_of(value, seed, drawn + seed, test=test) for value, (drawn, test) in enumerate(pairs) for seed in (1, 2, 3)]
    return report.gather(SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))


def test_no_guide():
    claim = Claim("all", "c", "test/accuracy", "uncorrelated", "drawn/accuracy", "rank correlation over all runs", "said so")
    guided = verdict_of(correlated([(200 + 10 * place, 9000 + 50 * place) for place in range(8)]), claim)
    assert guided.verdict == NOT
    assert guided.why.startswith("rank correlation 0.9")
    assert verdict_of(correlated([(200, 9000), (210, 9010), (220, 9020)]), claim).verdict == UNTESTABLE
    mixed = verdict_of(correlated([(300, 9000), (240, 9040), (280, 9080), (260, 9020), (320, 9060), (220, 9050)]), claim)
    assert mixed.verdict == UNCLEAR


def number_of(metric, value, epochs=200):
    count = Count(round(value * TEST), TEST) if metric == "test/accuracy" else None
    return Number("made", "n", "dense", f"{PATH}=0", {PATH: 0}, metric, str(value), value, count, epochs, "", "seed", "")


@pytest.mark.parametrize(
    ("number", "options", "expected"),
    [
        (number_of("test/accuracy", 0.9703), {}, AGREES),
        (number_of("test/accuracy", 0.9303), {}, DIFFERS),
        (number_of("test/loss", 0.1), {}, AGREES),
        (number_of("test/loss", 0.4), {}, DIFFERS),
        (number_of("test/accuracy", 0.9703, epochs=400), {}, "other epochs: 200, reported 400"),
        (number_of("test/accuracy", 0.9703), {"data.limit": 6000}, "other data"),
        (number_of("drawn/accuracy", 0.75), {}, "other images"),
    ],
)
def test_number_to_number(number, options, expected):
    runs = [run_of(0, seed, 300, test=9700 + 3 * seed, loss=0.1 + 0.001 * seed, **options) for seed in (1, 2, 3)]
    gathered = report.gather(SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))
    (found,) = verdicts.judge(gathered, Reported([number], []), RULE).beside
    assert found.verdict == expected


def test_one_seed_says_nothing_of_a_further_one():
    gathered = report_of((300,), seeds=1)
    (found,) = verdicts.judge(gathered, Reported([number_of("test/accuracy", 0.97)], []), RULE).beside
    assert (found.verdict, found.range) == (FEW, None)


def test_whether_the_rule_was_fixed_before():
    for facts, expected in (({}, None), ({"rule": RULE.digest}, True), ({"rule": "another"}, False)):
        found = verdicts.judge(report_of((300, 340), facts=facts), Reported([], [claim_of(">")]), RULE)
        assert found.fixed_before is expected
    assert RULE.digest != compose(["rule.alpha=0.01"]).rule.digest


def test_a_tie_says_what_would_end_it():
    said = findings.tie(report_of((338, 340)))
    assert said.startswith("To tell data.manual_labels=1 from 0: about ")
    assert said.endswith("if the difference is as large as here (found four times in five).")
    assert findings.tie(report_of((100, 340))) == ""


def test_choosing_an_epoch_flatters():
    gathered = report_of((300, 340), seeds=1)
    curves = [[0.5, 0.9, 0.8], [0.5, 0.6, 0.7]]
    runs = [replace(run, curves={"val/accuracy": curve}) for run, curve in zip(gathered.sweep.runs, curves, strict=True)]
    said = findings.optimism(replace(gathered, sweep=replace(gathered.sweep, runs=runs)))
    assert "stands 0.0500 higher on val than after its last (mean of 2 runs, at most 0.1000" in said
    assert findings.optimism(gathered) == ""
