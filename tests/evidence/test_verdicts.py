"""Verdicts: each by its rule, on runs whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitexp.compose import compose
from digitexp.config import flatten
from digitexp.decisive import decisive
from digitexp.errors import ConfigError
from digitexp.evaluation.counts import Count
from digitexp.evidence import report, verdicts
from digitexp.evidence.beside import AGREES, DIFFERS, FEW, WIDE
from digitexp.evidence.claims import Claim, Number, Reported, read
from digitexp.evidence.verdicts import NOT, REPRODUCED, UNCLEAR, UNTESTABLE
from digitexp.reports import findings
from digitexp.settings.verbs import VERSION
from digitexp.tracking.records import RunRecord, SweepRecord

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
RULE = compose().rule
PATH = "data.manual_labels"
REAL = {
    "data.name": "mnist", "data.drawn.source": "csv", "data.drawn.geometry": "raw", "data.classes": [str(digit) for digit in range(10)],
    "model.kind": "dense", "training.epochs": 200,
}  # fmt: skip
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
    """The same difference that stands alone is one of twenty, each of them two tests."""
    gathered = report_of((340, 350))
    alone = verdict_of(gathered, claim_of(">"))
    claims = [replace(claim_of(">"), id=f"c{place}") for place in range(20)]
    among = verdict_of(gathered, *claims)
    assert among[0].tested[0].p == pytest.approx(min(1, 20 * alone.tested[0].p))


@pytest.mark.parametrize(("drawn", "relation", "alone"), [((340, 344), ">", NOT), ((340, 343), "=", REPRODUCED)])
def test_rejections_and_equalities_are_of_the_family_too(drawn, relation, alone):
    gathered = report_of(drawn)
    assert verdict_of(gathered, claim_of(relation)).verdict == alone
    noise = [replace(claim_of(">", left=0, right=0), id=f"c{place}") for place in range(1000)]
    among = verdict_of(gathered, claim_of(relation), *noise)[0]
    assert among.verdict == UNCLEAR
    assert among.tested[0].interval == verdict_of(gathered, claim_of(relation)).tested[0].interval  # shown alone


@pytest.mark.parametrize("truth", [300, 308], ids=["no difference", "just the margin"])
def test_of_sweeps_without_a_difference_few_get_a_wrong_verdict(truth):
    """Three claims that are false (or, at the margin, true): how often is one of them upheld (or rejected) all the same?"""
    rng, wrong, sweeps = np.random.default_rng(1), 0, 300
    for _ in range(sweeps):
        hard = rng.random(DRAWN)
        rights = [[rng.random(DRAWN) + hard < 1.2 + (0.02 if place and truth > 300 else 0) for _ in range(3)] for place in range(4)]
        runs = [
            replace(run_of(place, seed, 0), read={"drawn": (~right).astype(int)}, metrics={"drawn/accuracy": float(right.mean())})
            for place, of in enumerate(rights)
            for seed, right in enumerate(of, 1)
        ]
        gathered = report.gather(SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))
        found = verdict_of(gathered, *(replace(claim_of(">", left=place), id=str(place)) for place in (1, 2, 3)))
        wrong += any(one.verdict == (REPRODUCED if truth == 300 else NOT) for one in found)
    assert wrong / sweeps < 0.08


UNTESTED = {
    "a setting that was not run": (report_of((300, 340)), claim_of(">", left=7), "data.manual_labels=7 was not run"),
    "another measure": (report_of((300, 340)), claim_of(">", metric="kaggle/accuracy"), "the runs have no kaggle/accuracy"),
    "no setting at all": (report_of((300, 340)), replace(claim_of(">"), left="labels of my own"), "this program has no test for it"),
    "one's own drawings": (report_of((300, 340), **{"data.drawn.source": "store"}), claim_of(">"),
                           "data.drawn.source=store, the rule asks for csv or folder"),
    "drawings of a pen": (report_of((300, 340), **{"data.drawn.source": "synthetic"}), claim_of(">"), "the drawings are a program's"),
    "other data": (report_of((300, 340), **{"data.name": "digits"}), claim_of(">"), "learnt digits, the rule asks for mnist"),
    "a part of the data": (report_of((300, 340), **{"data.limit": 6000}), claim_of(">"), "learnt 6,000 images (data.limit)"),
    "drawings cropped": (report_of((300, 340), **{"data.drawn.geometry": "box"}), claim_of(">"), "geometry=box, the rule asks for raw or mnist"),
    "no judge": (report_of((300, 340)), replace(claim_of(">"), relation="among the largest"), "this program has no test for it"),
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
    assert verdict_of(report_of((340,)), claim_of("=", left=0, right="chance 0.85")).verdict == UNCLEAR
    assert verdict_of(gathered, claim_of("=", left=1, right="chance 0.1")).verdict == NOT


def test_who_is_better_than_a_guess_is_said_to_be():
    """A network that has learnt nothing of drawings refutes and shows little: the verdict says so."""
    found = verdict_of(report_of((40, 340)), claim_of(">"))
    assert (found.verdict, found.why) == (REPRODUCED, "data.manual_labels=0 reads no better than chance (0.105)")
    assert verdict_of(report_of((60, 340)), claim_of(">")).why == ""
    assert "no better than chance" in verdict_of(report_of((10, 340)), claim_of(">")).why  # surely worse


def timed(seconds, target=None, hosts=("one", "one")):
    """Two networks by the name of their file, which took so long."""
    runs = [
        replace(run_of(place, seed, 300, facts={"host": host}), point={"model": kind},
                metrics={"drawn/accuracy": 0.75, "seconds": time + seed} | ({"epochs_to_target": time + seed} if target else {}))
        for place, (kind, time, host) in enumerate(zip(("dense", "cnn"), seconds, hosts, strict=True))
        for seed in (1, 2, 3)
    ]  # fmt: skip
    return report.gather(SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))


def test_whole_networks_are_compared_by_their_seconds():
    faster = Claim("made", "c", "model=dense", "<", "model=cnn", "seconds", "said so")
    assert verdict_of(timed((20, 100)), faster).verdict == REPRODUCED
    assert verdict_of(timed((100, 20)), faster).verdict == NOT
    assert verdict_of(timed((100, 105)), faster).verdict == NOT  # 5 %, and the margin is a tenth
    assert verdict_of(timed((100, 110)), faster).verdict == UNCLEAR
    assert verdict_of(timed((20, 100), hosts=("one", "two")), faster).why == "the runs were timed on different machines"
    sooner = replace(faster, metric="epochs_to_target")
    assert verdict_of(timed((20, 100), target=0.99), sooner).verdict == REPRODUCED
    assert verdict_of(timed((20, 100)), sooner).why == "the runs have no epochs_to_target"


def test_who_never_reached_the_target_cannot_be_compared():
    gathered = timed((20, 100), target=0.99)
    runs = [replace(run, metrics={"drawn/accuracy": 0.75, "seconds": 1.0}) if run.trial == 1 and run.seed == 1 else run for run in gathered.sweep.runs]
    sooner = Claim("made", "c", "model=dense", "<", "model=cnn", "epochs_to_target", "said so")
    found = verdict_of(report.gather(replace(gathered.sweep, runs=runs)), sooner)
    assert (found.verdict, found.why) == (UNTESTABLE, "not every run of model=cnn has epochs_to_target")


def correlated(pairs, **settings):
    runs = [run_of(value, seed, drawn + seed, test=test) for value, (drawn, test) in enumerate(pairs) for seed in (1, 2, 3)]
    runs = [replace(run, settings=run.settings | settings) for run in runs]
    return report.gather(SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))


GUIDE = Claim("all", "c", "test/accuracy", "uncorrelated", "drawn/accuracy", "rank correlation over all runs", "said so")
RISING = [(200 + 10 * place, 9000 + 50 * place) for place in range(8)]
MIXED = [(300, 9000), (240, 9040), (280, 9080), (260, 9020), (320, 9060), (220, 9050), (290, 9030), (250, 9070)]


def test_no_guide():
    guided = verdict_of(correlated(RISING), GUIDE)
    assert guided.verdict == NOT
    assert guided.why.startswith("dense, drawings as drawn: rank correlation 0.9")
    few = verdict_of(correlated(RISING[:7]), GUIDE)
    assert (few.verdict, few.why) == (UNTESTABLE, "dense, drawings as drawn: 7 settings, the rule asks for 8")
    assert verdict_of(correlated(MIXED), GUIDE).verdict == UNCLEAR


def test_sweeps_are_pooled_by_kind_and_geometry_each_setting_once():
    halves = [correlated(RISING[:5]), correlated(RISING[3:], shift=1)]
    assert verdicts.correlated(halves, GUIDE, RULE).why.endswith("over 30 runs of 10 settings, not reproduced")
    twice = verdicts.correlated([correlated(RISING[:5]), correlated(RISING[:5])], GUIDE, RULE)
    assert twice.why == "dense, drawings as drawn: 5 settings, the rule asks for 8"
    kinds = [correlated(RISING), correlated(MIXED, **{"model.kind": "cnn"}), correlated(RISING[:2], **{"data.drawn.geometry": "mnist"})]
    found = verdicts.correlated([*kinds, correlated(MIXED, **{"data.limit": 6000})], GUIDE, RULE)
    parts = found.why.split("; ")
    assert [part.split(":")[0] for part in parts] == [
        "cnn, drawings as drawn", "dense, drawings as drawn", "dense, drawings in MNIST's geometry",
    ]  # fmt: skip
    assert [parts[0].endswith(UNCLEAR), parts[1].endswith(NOT), found.verdict] == [True, True, NOT]


def number_of(metric, value, epochs=200):
    count = Count(round(value * TEST), TEST) if metric == "test/accuracy" else None
    return Number("made", "n", "dense", f"{PATH}=0", {PATH: 0}, metric, str(value), value, count, epochs, "", "seed", "")


@pytest.mark.parametrize(
    ("number", "options", "expected"),
    [
        (number_of("test/accuracy", 0.9703), {}, AGREES),
        (number_of("test/accuracy", 0.9303), {}, DIFFERS),
        (number_of("test/accuracy", 0.9703, epochs=None), {}, AGREES),
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


def test_of_many_numbers_the_range_is_wider_and_one_too_wide_tells_nothing():
    """Twelve numbers together: an outlier of one in twenty is to be expected among them."""
    counts = [9690, 9700, 9716]
    runs = [run_of(0, seed, 300, test=test) for seed, test in enumerate(counts, 1)]
    gathered = report.gather(SweepRecord("made", "Which?", "q", "grid", None, 3, "FINISHED", "digitexp", runs))
    alone = verdicts.judge(gathered, Reported([number_of("test/accuracy", 0.976)], []), RULE).beside
    together = verdicts.judge(gathered, Reported([number_of("test/accuracy", 0.976)] * 12, []), RULE).beside
    assert [one.verdict for one in alone] == [AGREES]
    assert {one.verdict for one in together} == {WIDE}
    assert together[0].range.high - together[0].range.low > RULE.widest["test/accuracy"] > alone[0].range.high - alone[0].range.low


@pytest.mark.parametrize(("seeds", "verdict", "numbers"), [(2, UNCLEAR, FEW), (3, REPRODUCED, AGREES)])
def test_what_seed_000_says_of_augmentation_can_be_tested(seeds, verdict, numbers):
    """Its recipe as a sweep: nothing is chosen by val/accuracy, so that claim and both its numbers have a judge."""
    config = compose(["+sweep=reported/augmentation", "data.path=mnist.npz"])
    place = "training.augmentation.preset"
    runs = [
        RunRecord(
            f"{trial}-{seed}", trial, seed, {place: preset}, decisive(flatten(config) | {place: preset}), "2026-01-01", {},
            metrics={"val/accuracy": (right + 3 * seed) / 6000}, images={"val": 6000}, digests={"val": "v"},
            hits={"val": np.arange(6000) < right + 3 * seed},
        )
        for trial, (preset, right) in enumerate(zip(config.search.space[place], (5880, 5955), strict=True))
        for seed in range(1, seeds + 1)
    ]  # fmt: skip
    sweep = SweepRecord("reported/augmentation", "Q?", "q", "grid", config.search.objective, seeds, "FINISHED", "digitexp", runs)
    found = verdicts.judge(report.gather(sweep), read(EXPERIMENTS, sweep.name), RULE)
    assert [one.verdict for one in found.verdicts] == [verdict]
    assert [one.verdict for one in found.beside] == [numbers] * 2
    assert [row["reported"] for row in findings.content(report.gather(sweep), found)["beside"]] == ["0.981", "0.994"]


def test_one_seed_says_nothing_of_a_further_one():
    gathered = report_of((300,), seeds=1)
    (found,) = verdicts.judge(gathered, Reported([number_of("test/accuracy", 0.97)], []), RULE).beside
    assert (found.verdict, found.range) == (FEW, None)


def test_whether_the_rule_was_fixed_before():
    for facts, expected in (({}, None), ({"rule": RULE.digest}, True), ({"rule": "another"}, False)):
        found = verdicts.judge(report_of((300, 340), facts=facts), Reported([], [claim_of(">")]), RULE)
        assert found.fixed_before is expected
        assert list(found.earlier) == (["another"] if expected is False else [])
        (line,) = findings.rows(report_of((300, 340)), found)
        assert line["rule_fixed_before"] == {None: "unknown", True: "yes", False: "no"}[expected]
        assert float(line["difference"]) == found.verdicts[0].tested[0].left - found.verdicts[0].tested[0].right  # every digit
    said = findings.content(report_of((300, 340)), found)["rule"]
    assert said == f"Rule {RULE.digest}: the runs were made under an earlier rule (another) and are judged by this one."
    others = ("rule.alpha=0.01", "rule.whole=false", "rule.geometry=[raw]")
    digests = {RULE.digest, replace(RULE, version=VERSION + 1).digest, *(compose([other]).rule.digest for other in others)}
    assert len(digests) == 5
    with pytest.raises(ConfigError, match=rf"rule\.version=1: must be {VERSION}, the only one that this program knows"):
        compose(["rule.version=1"])


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
