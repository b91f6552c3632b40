"""A report says what the store holds, no more and no less; and says the same when it is written again."""

import csv
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from sklearn.metrics import roc_auc_score

from digitexp import experiment
from digitexp.compose import CONF, compose, settle
from digitexp.data.sets import load
from digitexp.errors import ConfigError, DataError, TrackingError
from digitexp.evaluation.compare import wilson
from digitexp.evaluation.importance import Importance
from digitexp.evidence import report, ties
from digitexp.planning import plan
from digitexp.reports import answer, finding_pictures, findings, pages, pictures
from digitexp.tracking import portable
from digitexp.tracking.records import RunRecord, SweepRecord

QUICK = ["data.limit=150", "training.epochs=2"]
SWEEP = [*QUICK, "search.space={optimizer.name:[adam,ftrl]}", "search.repeats=2"]
NAME = "asked <b>&| $x$"
RIGHT, WRONG = 0, 1


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A recorded sweep: its folder, the settings to report it, and its table."""
    folder = tmp_path_factory.mktemp("asked")
    settings = [f"tracking.uri=sqlite:///{folder}/mlflow.db", f"search.name='{NAME}'", f"report.folder={folder}/experiments"]
    outcome = experiment.run(plan(compose([*settings, *SWEEP])), "Which <i>one</i>?")
    return folder, settings, outcome


@pytest.fixture(scope="module")
def written(asked):
    """The folder of the report, and what `report` gave."""
    folder, settings, _ = asked
    return folder / "experiments" / NAME, experiment.report(compose(settings))


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def run_of(trial, seed, hits, point=None, labels=None, **settings):
    """A run that reads digit 0 as `RIGHT` or `WRONG`, by its hits on val and test."""
    hits = np.asarray(hits, bool)
    labels = np.zeros(len(hits), int) if labels is None else labels
    read = np.where(hits, labels, labels + 1)
    sets = ("val", "test")
    curve = [0.5, float(hits.mean())]
    return RunRecord(
        signature=f"{trial}{seed}", trial=trial, seed=seed, point=point or {"optimizer.name": f"o{trial}"},
        settings={"data.name": "digits", "data.classes": ["0", "1", "2"], "model.kind": "dense", "training.epochs": 2} | settings,
        started="2026-01-02T03:04:05Z", facts={"host": "h"},
        metrics={"val/accuracy": hits.mean(), "test/accuracy": hits.mean(), "seconds": 1.5, "val/loss": 1 - hits.mean()},
        images=dict.fromkeys(sets, len(hits)), digests=dict.fromkeys(sets, "d"), curves={"val/accuracy": curve},
        labels=dict.fromkeys(sets, labels), read=dict.fromkeys(sets, read),
    )  # fmt: skip


def sweep_of(runs, objective="val/accuracy", repeats=1):
    return SweepRecord("made", "Which?", "q", "grid", objective, repeats, "FINISHED", "digitexp +sweep=made", runs)


def share(correct, n=200):
    return np.arange(n) < correct


def test_where_only_the_images_that_chose_were_scored_nothing_is_checked():
    alone = [
        replace(run, metrics={name: value for name, value in run.metrics.items() if not name.startswith("test")},
                images={"val": 200}, digests={"val": "d"}, labels={"val": run.labels["val"]}, read={"val": run.read["val"]})
        for run in (run_of(0, 1, share(180)), run_of(1, 1, share(120)))
    ]  # fmt: skip
    found = report.gather(sweep_of(alone))
    assert (found.unchecked, dict(found.checked)) == (True, {})
    said = answer.answer(found)
    assert "o0 is the best of the 2 settings: it reads 90.0 % of the 200 val images by which it was chosen" in said
    assert "How it reads images that did not choose it is not known, since no others were scored" in said
    assert "by which nothing was chosen" not in said


def test_a_set_that_only_some_settings_have_is_no_evidence():
    """`data.drawn.source: [none, csv]`: what is said of all is said of a set that all were scored on."""
    some, others = (run_of(trial, 1, share(correct)) for trial, correct in ((0, 180), (1, 120)))
    some = replace(some, metrics={**some.metrics, "drawn/accuracy": 0.5}, images={**some.images, "drawn": 200})
    found = report.gather(sweep_of([some, others]))
    assert (found.evidence, found.sets) == ("test", ["val", "test", "drawn"])
    assert "On the 200 test images" in answer.answer(found)


def test_where_one_seed_is_known_by_its_numbers_alone_no_confusion_is_shown(tmp_path):
    """Of a run that came from a runs.csv it is not known what was read."""
    runs = [run_of(trial, seed, share(180 - 60 * trial)) for trial in (0, 1) for seed in (1, 2)]
    imported = replace(runs[0], labels={}, read={}, hits=runs[0].recognised)
    pages.write(report.gather(sweep_of([imported, *runs[1:]], repeats=2)), tmp_path, ["dense"])
    said = (tmp_path / "README.md").read_text()
    assert "Some runs were taken from a runs.csv, which does not say what was read" in said
    assert "confusion-best.png" not in said


def test_what_was_not_measured_tells_nothing_of_the_luck_of_seeds():
    """A failure, and a setting whose measure is no number, stand in the table and in no comparison."""
    runs = [run_of(trial, seed, share(180 - trial - seed)) for trial in (0, 1, 2) for seed in (1, 2)]
    runs[4:] = [replace(run, metrics={"test/accuracy": 0.9}, read={"test": run.read["test"]}) for run in runs[4:]]
    rows = report.gather(sweep_of(runs, repeats=2)).rows
    assert set(ties.family(rows, "val").luck) == {0, 1}
    assert ties.of_group(rows[:2], rows, ["a", "b"], "val").startswith("To tell a from b: ")


def test_values_that_are_lists_are_no_axis():
    points = [{"data.classes": ["0", "1"]}, {"data.classes": ["0", "2"]}]
    runs = [run_of(trial, 1, share(180), point) for trial, point in enumerate(points)]
    assert pictures.numeric(report.gather(sweep_of(runs))) is None


@pytest.mark.slow
def test_every_file_is_there_and_in_the_store(asked, written):
    folder, given = written
    names = ["index.html", "README.md", "results.csv", "runs.csv", "hits.npz", "best.yaml", "ranking.png", "accuracy.png", "loss.png",
             "confusion-best.png", "roc-best.png", "confusion-worst.png", "roc-worst.png", "roc.png",
             "confusion-change.png"]  # fmt: skip
    assert [file.name for file in given.files] == names
    assert sorted(bytes_of(folder)) == sorted(names)
    store = experiment.open_store(compose(asked[1]).tracking.uri)
    assert sorted(item.path for item in store.client.list_artifacts(asked[2].parent, "report")) == sorted(
        f"report/{name}" for name in names
    )


@pytest.mark.slow
def test_the_numbers_are_those_of_the_store(asked, written):
    folder, _ = written
    expected = asked[2].table
    table = pd.read_csv(folder / "results.csv")
    for column in ("rank", "optimizer.name", "val/accuracy", "test/accuracy", "val/accuracy.low", "test/accuracy.high"):
        assert list(table[column]) == list(expected[column])
    assert list(table["top_group"]) == list(expected["top_group"])
    html, markdown = (folder / "index.html").read_text(), (folder / "README.md").read_text()
    for _, row in expected.iterrows():
        for name in ("val", "test"):
            mean, low, high = (f"{row[f'{name}/accuracy{end}']:.4f}" for end in ("", ".low", ".high"))
            assert re.search(rf">{mean}</span> <small>{low}.<wbr>{high}<", html)
            assert re.search(rf"{mean}(\*\*)?<br>{low} to {high}<br>sd \d\.\d+ \|", markdown)
    runs = pd.read_csv(folder / "runs.csv")
    assert len(runs) == 4
    assert runs.groupby("trial")["val/accuracy"].mean()[0] == pytest.approx(expected.set_index("trial")["val/accuracy"][0])
    assert set(runs["images.train"]) == {len(load(compose(QUICK).data)["train"])}
    assert set(runs["optimizer.name"]) == {"adam", "ftrl"}
    assert (runs["cores"] >= 1).all()


@pytest.mark.slow
def test_the_page_stands_alone_and_nothing_in_it_is_taken_for_markup(written):
    folder, _ = written
    html = (folder / "index.html").read_text()
    assert not re.search(r"<script|<link|@import|url\(", html)
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'(?:src|href)="([^"]*)"', html))
    assert "<b>" not in html
    assert "<i>" not in html
    assert "asked &lt;b&gt;&amp;| $x$" in html
    markdown = (folder / "README.md").read_text()
    assert "<b>" not in re.sub(r"^    .*$", "", markdown, flags=re.MULTILINE)  # a command is shown as it is typed
    assert "asked &lt;b&gt;&amp;\\| $x$" in markdown
    for picture in re.findall(r"!\[.*\]\((.*)\)", markdown):
        assert (folder / picture).exists()


@pytest.mark.slow
def test_written_again_it_is_the_same(asked, written):
    folder, _ = written
    before = bytes_of(folder)
    (folder / "values.png").write_bytes(b"of an earlier report")
    (folder / "reported.csv").write_text("kept")
    experiment.report(compose(asked[1]))
    after = bytes_of(folder)
    assert after.pop("reported.csv") == b"kept"
    (folder / "reported.csv").unlink()
    assert after == before


@pytest.mark.slow
def test_rebuilt_from_its_file_alone(asked, written, tmp_path):
    folder, _ = written
    settings = [f"tracking.uri=sqlite:///{tmp_path}/none.db", f"report.folder={tmp_path}", f"search.name='{NAME}'"]
    given = experiment.report(compose([*settings, f"report.runs='{folder}/runs.csv'"]))
    rebuilt = tmp_path / NAME
    assert [file.name for file in given.files] == [
        "index.html", "README.md", "results.csv", "runs.csv", "hits.npz", "best.yaml", "ranking.png",
    ]  # fmt: skip
    assert not (tmp_path / "none.db").exists()
    for name in ("runs.csv", "hits.npz", "results.csv"):  # ranks, intervals, top group and p-values: image by image
        assert (rebuilt / name).read_bytes() == (folder / name).read_bytes(), name
    assert "compared image by image with hits.npz; curves and confusions are not known" in (rebuilt / "index.html").read_text()
    older = tmp_path / "older" / "runs.csv"
    older.parent.mkdir()
    older.write_bytes((folder / "runs.csv").read_bytes())
    experiment.report(compose([*settings, f"report.runs='{older}'"]))
    assert (rebuilt / "hits.npz").read_bytes() == (folder / "hits.npz").read_bytes()  # of the same runs: it is not thrown away
    rebuilt = tmp_path / "bare" / NAME
    experiment.report(compose([*settings, f"report.runs='{older}'", f"report.folder={tmp_path}/bare"]))
    tables = [pd.read_csv(place / "results.csv") for place in (folder, rebuilt)]
    same = ["rank", "trial", "optimizer.name", "seeds", "val/accuracy", "test/accuracy", "val/loss", "seconds"]
    assert tables[0][same].equals(tables[1][same])
    assert not (rebuilt / "hits.npz").exists()
    assert "compared by their accuracies" in (rebuilt / "index.html").read_text()


@pytest.mark.slow
def test_the_best_setting_is_the_very_run(asked, written):
    """What best.yaml holds is a configuration with the signature of the recorded run."""
    folder, _ = written
    group = folder.parent / "plain"
    group.mkdir()
    (group / "best.yaml").write_bytes((folder / "best.yaml").read_bytes())
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        words = [f"hydra.searchpath=[file://{folder.parent}]", "+plain=best"]
        cfg = hydra_compose("config", words, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        spelt = plan(settle(cfg))
    runs = pd.read_csv(folder / "runs.csv")
    assert (
        spelt.jobs(0, {})[0].signature == runs[(runs["optimizer.name"] == "adam") & (runs["seed"] == 1)]["signature"].item()
    )


@pytest.mark.slow
def test_what_is_not_recorded_is_refused(asked, written, tmp_path):
    uri = asked[1][0]
    with pytest.raises(TrackingError, match=r"no sweep other is recorded in .*; recorded are asked .*type digitexp"):
        experiment.report(compose([uri, "search.name=other"]))
    with pytest.raises(TrackingError, match="there is no store at"):
        experiment.report(compose([f"tracking.uri=sqlite:///{tmp_path}/none.db"]))
    with pytest.raises(DataError, match=r"missing.csv: cannot be read: No such file"):
        experiment.report(compose(["report.runs=missing.csv"]))
    with pytest.raises(DataError, match=r"holds runs of asked .*allowed is one question of other"):
        experiment.report(compose([f"report.runs='{written[0]}/runs.csv'", "search.name=other"]))
    (tmp_path / "foreign.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"found no sweep, question, .*allowed is a runs.csv"):
        experiment.report(compose([f"report.runs={tmp_path}/foreign.csv"]))


@pytest.mark.slow
def test_of_two_questions_the_one_asked_for_else_the_newest(asked, tmp_path):
    store = [f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", "search.name=twice", f"report.folder={tmp_path}", *QUICK]
    first = [*store, "search.space={training.batch_size:[50]}"]
    second = [*store, "search.space={training.batch_size:[75]}"]
    for settings in (first, second):
        experiment.run(plan(compose(settings)))
    assert experiment.report(compose(store)).note.startswith("2 questions are recorded as twice; this is the newest")
    assert "the one that was asked for" in experiment.report(compose(first)).note
    assert "batch\\_size | " in (tmp_path / "twice" / "README.md").read_text()
    assert list(pd.read_csv(tmp_path / "twice" / "results.csv")["training.batch_size"]) == [50]


def test_a_name_stays_inside_the_folder(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text(portable.table(replace(sweep_of([run_of(0, 1, share(150))]), name="../out")))
    with pytest.raises(ConfigError, match=r"\.\./out: cannot name a folder"):
        experiment.report(compose([f"report.runs={file}", f"report.folder={tmp_path}/experiments"]))


ANSWERS = {
    "a tie": (
        sweep_of([run_of(0, 1, share(190)), run_of(1, 1, share(188)), run_of(2, 1, share(20))]),
        [r"^A tie: o0 and o1 cannot be told apart by the 200 val images that ranked them \(they read 94\.0 to 95\.0 %\); "
         r"the other one reads fewer than o0, by more than chance\.", r"200 test images, by which nothing was chosen, o0 reads 95\.0 %", "one seed"],
    ),
    "long names": (
        sweep_of([run_of(t, 1, share(n), {"model.layer_1.dropout": 0.1 + t, "optimizer.learning_rate": 0.1, "training.batch_size": t})
                  for t, n in enumerate((190, 188, 20))]),
        [r"^A tie: dropout=0\.1 learning_rate=0\.1 batch_size=0 and dropout", r"reads fewer than the first, by", r"the first reads 95\.0 %"],
    ),
    "all tie": (
        sweep_of([run_of(0, 1, share(190)), run_of(1, 1, share(190))]),
        [r"^A tie: the 2 settings cannot be told apart", r"each reads 95\.0 %"],
    ),
    "a winner": (
        sweep_of([run_of(0, 1, share(20)), run_of(1, 1, share(180))]),
        [r"^o1 is the best of the 2 settings: it reads 90\.0 % of the 200 val images by which it was chosen",
         "better than 1 of the other 1"],
    ),
    "one setting": (sweep_of([run_of(0, 1, share(20))]),
                    ["^One setting was asked for, o0, so nothing is compared.", "one seed, and another seed may read differently"]),
    "one setting of two seeds": (sweep_of([run_of(0, seed, share(20)) for seed in (1, 2)], repeats=2), ["means over 2 seeds"]),
    "a loss": (
        sweep_of([run_of(0, 1, share(20)), run_of(1, 1, share(180))], objective="val/loss"),
        ["^o1 has the best val/loss, by which it was chosen: 0.1; .* without a test"],
    ),
    "no winner": (
        sweep_of([run_of(i, 1, share(n), {"training.batch_size": 10 * i}) for i, n in enumerate((20, 180, 178))], objective=None),
        [r"^No winner was to be chosen: of the 200 val images, training\.batch_size=10 reads most, 90\.0 %, not to be told "
         r"from 20; training\.batch_size=0 reads least, 10\.0 %\."],
    ),
    "three seeds": (
        sweep_of([run_of(t, s, share(n)) for t, n in enumerate((100, 180)) for s in (1, 2, 3)], repeats=3),
        ["all values are means over 3 seeds"],
    ),
    "a failure": (
        sweep_of([run_of(0, 1, share(190)), run_of(1, 1, share(20)), replace(run_of(2, 1, share(9)), failure="broke")]),
        ["1 of 3 runs failed"],
    ),
    "not finished": (
        sweep_of([run_of(0, 1, share(190)), run_of(0, 2, share(190)), run_of(1, 1, share(20))], repeats=2),
        ["^Only one setting is finished", "1 setting is not finished"],
    ),
    "nothing finished": (
        sweep_of([replace(run_of(0, 1, share(9)), failure="broke")]),
        ["^Nothing can be said: none of the 1 setting is finished. 1 of 1 run failed"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ANSWERS)
def test_the_answer_says_what_the_numbers_support(case, tmp_path):
    sweep, patterns = ANSWERS[case]
    gathered = report.gather(sweep)
    said = answer.answer(gathered)
    for pattern in patterns:
        assert re.search(pattern, said), said
    assert len(re.findall(r"[a-z%d)]\. ?(?=[A-Z]|$)|\.$", said)) <= 2
    pages.write(gathered, tmp_path / "made", ["dense"])
    assert said.replace(" %", "\u00a0%") in (tmp_path / "made" / "index.html").read_text()
    assert (tmp_path / "made" / "best.yaml").exists() == bool(sweep.objective and gathered.finished)


@pytest.mark.parametrize("case", ANSWERS)
def test_a_file_of_runs_is_read_back_as_it_was(case, tmp_path):
    sweep, _ = ANSWERS[case]
    file = tmp_path / "runs.csv"
    file.write_text(portable.table(sweep))
    back = portable.read(file, "made")
    plain = [replace(run, curves={}, labels={}, read={}) for run in sweep.runs]
    assert [replace(run, point=dict(run.point)) for run in back.runs] == plain
    assert portable.table(back) == file.read_text()


@pytest.mark.parametrize("case", ANSWERS)
def test_which_images_were_recognised_is_kept_in_a_bit_each(case, tmp_path):
    sweep, _ = ANSWERS[case]
    (tmp_path / "runs.csv").write_text(portable.table(sweep))
    portable.write_hits(sweep, tmp_path / "hits.npz")
    back = portable.read(tmp_path / "runs.csv", "made")
    for run, kept in zip(sweep.runs, back.runs, strict=True):
        assert kept.read == {}
        assert kept.recognised.keys() == run.recognised.keys()
        assert all((kept.hits[part] == hits).all() for part, hits in run.recognised.items())
    portable.write_hits(back, tmp_path / "again.npz")
    if (tmp_path / "hits.npz").exists():
        assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "hits.npz").read_bytes()


def test_hits_are_taken_for_runs_that_lack_them_and_came_to_the_same(tmp_path):
    """The same run, trained elsewhere, may read other images."""
    runs = [run_of(trial, 1, share(190 - trial)) for trial in (0, 1, 2)]
    portable.write_hits(sweep_of([replace(run, signature=str(trial)) for trial, run in enumerate(runs)]), tmp_path / "hits.npz")
    bare = [replace(run, signature=str(trial), labels={}, read={}) for trial, run in enumerate(runs)]
    elsewhere = replace(bare[1], metrics={**bare[1].metrics, "val/accuracy": 0.5})
    own = replace(bare[2], hits={"val": share(1)})
    first, second, third = portable.with_hits([bare[0], elsewhere, own], tmp_path / "hits.npz")
    assert (sorted(first.hits), sorted(second.hits), third.hits) == (["test", "val"], ["test"], own.hits)
    (tmp_path / "hits.npz").write_text("broken")
    assert portable.with_hits([own], tmp_path / "hits.npz") == [own]


def test_runs_that_met_other_sets_keep_their_own_hits(tmp_path):
    """One that was scored on fewer images, and one whose hits are not known."""
    few = run_of(1, 1, share(3, 5))
    few = replace(few, labels={"val": few.labels["val"]}, read={"val": few.read["val"]}, metrics={"val/accuracy": 0.6, "seconds": 1.0})
    unknown = replace(run_of(2, 1, share(9)), labels={}, read={})
    sweep = sweep_of([run_of(0, 1, share(190)), few, unknown])
    (tmp_path / "runs.csv").write_text(portable.table(sweep))
    portable.write_hits(sweep, tmp_path / "hits.npz")
    first, second, third = portable.read(tmp_path / "runs.csv").runs
    assert [first.hits["test"].sum(), second.hits["val"].tolist(), list(second.hits), third.hits] == [190, [True] * 3 + [False] * 2, ["val"], {}]
    bits = np.load(tmp_path / "hits.npz")
    assert {name: (bits[name].dtype.kind, bits[name].shape) for name in bits.files} == {
        "signatures": ("U", (2,)), "val": ("u", (2, 25)), "test": ("u", (2, 25)),
    }  # fmt: skip


def test_hits_that_cannot_be_read_are_refused(tmp_path):
    (tmp_path / "runs.csv").write_text(portable.table(sweep_of([run_of(0, 1, share(9))])))
    (tmp_path / "hits.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"hits\.npz: cannot be read: .*; allowed is a hits\.npz that digitexp report wrote"):
        portable.read(tmp_path / "runs.csv")


def test_odd_values_survive_the_file(tmp_path):
    odd = {"loss": "true", "data.path": 'a,"b"\nc', "optimizer.name": "1e5", "extensions": ["x"], "data.test": None,
           "data.limit": 3, "optimizer.epsilon": 1e-07, "data.allow_leakage": False}  # fmt: skip
    run = replace(run_of(0, 1, share(9)), settings=odd, labels={}, read={}, curves={})
    file = tmp_path / "runs.csv"
    file.write_text(portable.table(sweep_of([run])))
    assert portable.read(file).runs[0].settings == odd


def test_a_cell_that_is_no_number_is_refused(tmp_path):
    file = tmp_path / "runs.csv"
    file.write_text(portable.table(sweep_of([run_of(0, 1, share(9))])))
    rows = list(csv.DictReader(file.read_text().splitlines()))
    rows[0]["seconds"] = "long"
    with file.open("w") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataError, match=r"a cell cannot be read: .*'long'"):
        portable.read(file)


def test_leakage_is_said_loudly(tmp_path):
    runs = [
        run_of(0, 1, share(190), **{"data.allow_leakage": True}),
        run_of(1, 1, share(20), **{"data.allow_leakage": True}),
    ]
    pages.write(report.gather(sweep_of(runs)), tmp_path, ["dense"])
    for name in ("index.html", "README.md"):
        assert "LEAKAGE WAS PERMITTED" in (tmp_path / name).read_text()


def test_synthetic_drawings_are_called_synthetic():
    runs = [run_of(0, 1, share(190), **{"data.drawn.source": "synthetic"}), run_of(1, 1, share(20))]
    runs = [replace(run, metrics={**run.metrics, "drawn/accuracy": run.metrics["val/accuracy"]}, images={**run.images, "drawn": 200},
                    labels={**run.labels, "drawn": run.labels["val"]}, read={**run.read, "drawn": run.read["val"]})
            for run in runs]  # fmt: skip
    gathered = report.gather(sweep_of(runs, objective=None))
    assert gathered.evidence == "drawn"
    assert "200 synthetic drawn images" in answer.answer(gathered)


def test_settings_that_met_other_images_are_not_paired():
    runs = [run_of(0, 1, share(190)), replace(run_of(1, 1, share(185)), digests={"val": "other", "test": "d"})]
    gathered = report.gather(sweep_of(runs))
    assert not gathered.paired
    assert len(gathered.top) == 2


def test_what_would_end_a_tie_is_for_the_test_that_made_it():
    """Two that met the same images could be told apart by them, but the test of all goes by accuracies."""
    runs = [run_of(0, 1, share(190)), run_of(1, 1, share(186)), replace(run_of(2, 1, share(184)), digests={"val": "other", "test": "d"})]
    all_of_one, mixed = (report.gather(sweep_of(some)) for some in ([replace(run, digests=runs[0].digests) for run in runs], runs))
    assert (all_of_one.paired, mixed.paired) == (True, False)
    more = [
        ties.against(gathered.top[0], gathered.top[1], "val", 0.05, ties.family(gathered.finished, "val")).further.images
        for gathered in (all_of_one, mixed)
    ]
    assert more[0] < 300 < 1000 < more[1]


def test_p_is_of_the_images_that_ranked_whatever_else_was_read():
    runs = [run_of(0, 1, share(190)), replace(run_of(1, 1, share(180)), digests={"val": "d", "test": "other"})]
    gathered = report.gather(sweep_of(runs))
    assert gathered.paired
    assert gathered.differs[1] == pytest.approx(2 / 2**10)  # McNemar


def test_areas_are_those_of_scikit_learn_and_of_the_evidence(tmp_path):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 200)
    runs = []
    for trial, sure in enumerate((2.0, 0.5)):
        for seed in (1, 2):
            said = rng.random((200, 3)) + sure * np.eye(3)[labels]
            said = {part: said / said.sum(axis=1, keepdims=True) for part in ("val", "test")}
            run = run_of(trial, seed, said["test"].argmax(axis=1) == labels, labels=labels)
            read = {part: probabilities.argmax(axis=1) for part, probabilities in said.items()}
            runs.append(replace(run, read=read, probabilities=said))
    gathered = report.gather(sweep_of(runs, repeats=2))
    pages.write(gathered, tmp_path, ["dense"])
    page = (tmp_path / "README.md").read_text()
    for trial in (0, 1):
        expected = np.mean([
            roc_auc_score(labels, run.probabilities["test"], multi_class="ovr") for run in runs if run.trial == trial
        ])  # fmt: skip
        assert f"| o{trial} | {expected:.4f} |" in page
    assert {"roc.png", "roc-best.png", "roc-worst.png"} <= {file.name for file in tmp_path.iterdir()}


def test_the_table_has_the_spread_of_the_seeds_and_what_they_cost(tmp_path):
    hits = {(0, 1): 190, (0, 2): 180, (1, 1): 150, (1, 2): 150}
    runs = [run_of(trial, seed, share(n)) for (trial, seed), n in hits.items()]
    runs = [replace(run, metrics=run.metrics | {"tflop": 0.5 + run.trial}) for run in runs]
    gathered = report.gather(sweep_of(runs, repeats=2))
    pages.write(gathered, tmp_path, ["dense"])
    table = pd.read_csv(tmp_path / "results.csv")
    assert list(table["val/accuracy.sd"]) == pytest.approx([np.std([0.95, 0.9], ddof=1), 0])
    assert list(table["seeds"]) == [2, 2]
    assert (list(table["tflop"]), list(table["seconds"])) == ([0.5, 1.5], [1.5, 1.5])
    html, markdown = ((tmp_path / name).read_text() for name in ("index.html", "README.md"))
    assert '<small class="wrap">sd 0.0354</small>' in html
    assert '1.5 s<small class="wrap">0.5</small>' in html  # under the time: a phone has no room for a column
    assert "<br>sd 0.0354 |" in markdown
    assert "| p | TFLOP a run | time a run |" in markdown
    assert "| 0.5 | 1.5 s |" in markdown


def test_of_one_seed_no_spread_is_shown_and_of_like_costs_no_column(tmp_path):
    runs = [run_of(0, 1, share(190)), run_of(1, 1, share(150))]
    runs = [replace(run, metrics=run.metrics | {"tflop": 0.5}) for run in runs]
    pages.write(report.gather(sweep_of(runs)), tmp_path, ["dense"])
    assert pd.read_csv(tmp_path / "results.csv")["val/accuracy.sd"].isna().all()
    markdown = (tmp_path / "README.md").read_text()
    assert "sd 0" not in markdown
    assert "TFLOP a run" not in markdown


def ensemble_of(seeds, known):
    """The notes under the table of a setting whose seeds were to be read together."""
    runs = [run_of(0, seed, share(150), **{"evaluation.ensemble": True}) for seed in range(seeds)]
    if known:
        said = {part: np.eye(3)[run.read[part]] for run in runs[:1] for part in ("val", "test")}
        runs = [replace(run, probabilities=said) for run in runs]
    return " ".join(pages.content(report.gather(sweep_of(runs, repeats=seeds)), CONF)["notes"])


def test_an_ensemble_has_its_interval_or_the_reason_why_it_is_not_given():
    low, high = wilson(150, 200)
    assert f"Wilson): val 0.7500 ({low:.4f} to {high:.4f}), test 0.7500" in ensemble_of(2, known=True)
    assert "one seed is no ensemble" in ensemble_of(1, known=True)
    assert "is not in a runs.csv" in ensemble_of(2, known=False)


def test_time_of_lanes_is_said_to_be_shared():
    content = pages.content(report.gather(sweep_of([run_of(0, 1, share(9), **{"training.engine": "lanes"})])), CONF)
    assert any("share its time equally" in note for note in content["notes"])


def test_what_is_told_apart_needs_no_more_and_a_tie_does():
    """The ranking counts all pairs and pools the seeds; the interval beside it is of its pair alone."""
    gathered = report.gather(sweep_of([run_of(t, s, share(n)) for t, n in enumerate((180, 177, 90)) for s in (1, 2)], repeats=2))
    second, third = findings.content(gathered, pages.NOTHING_REPORTED)["against"]
    assert (gathered.differs[1] >= 0.05, gathered.differs[2] < 0.05) == (True, True)
    assert second["images"]
    assert (third["seeds"], third["images"]) == ("", "")
    assert f" {second['images']} more val images" in findings.tie(gathered)


@pytest.mark.parametrize(
    ("curves", "settings", "said"),
    [
        ([[0.5, 0.7, 0.6], [0.5, 0.6, 0.7]], {}, r"stands 0\.0500 higher .* the best epoch is 2 of 3 at the median"),
        ([[0.5, 0.7, 0.6, 0.6], [0.5, 0.6, 0.7]], {}, r"the last epoch is the best in 1 of them"),
        ([[0.5, 0.7, 0.6], [0.5, 0.6, 0.7]], {"training.early_stopping.patience": 3}, "^$"),
    ],
)
def test_what_choosing_the_epoch_would_gain(curves, settings, said):
    runs = [run_of(trial, 1, share(150), **settings) for trial in range(2)]
    runs = [replace(run, curves={"val/accuracy": curve}) for run, curve in zip(runs, curves, strict=True)]
    assert re.search(said, findings.optimism(report.gather(sweep_of(runs))))


def test_what_would_end_a_tie_is_for_the_corrected_test():
    rows = report.gather(sweep_of([run_of(trial, 1, share(n)) for trial, n in enumerate((190, 186, 184, 183))])).top
    alone, among = (ties.of_group(group, rows, ["a", "b"], "val") for group in (rows[:2], rows))
    assert "if the difference is as large as here" in alone
    more = [int(re.search(r"about ([\d,]+) more val", said)[1].replace(",", "")) for said in (alone, among)]
    assert more[0] < more[1]


def test_a_forest_that_explains_nothing_is_not_drawn(monkeypatch):
    drops = np.full((3, 2), 0.1)
    for explained, drawn in ((-0.13, False), (0.5, True)):
        monkeypatch.setattr(finding_pictures, "importance_of", lambda _, share=explained: Importance(["a", "b"], drops, share))
        gathered = report.gather(sweep_of([run_of(0, 1, share(9))]))
        assert (finding_pictures._importance(gathered, "") is not None) == drawn
