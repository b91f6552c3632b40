"""A sweep that survives: workers, failures, budget, interruption, continuation; with a training that takes no time."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import fake_training
import pytest

from digitexp import experiment
from digitexp.compose import compose
from digitexp.errors import DataError, TrackingError
from digitexp.planning import plan, rounds
from digitexp.reports import pictures
from digitexp.tracking import liveness, reader
from digitexp.tracking.store import open_store
from digitexp.watch import Watch

pytestmark = pytest.mark.slow

SPACE = "search.space={optimizer.name:[adam,sgd,ftrl,nadam]}"
POOL = ["execution.workers=2"]


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def ask(uri, fake, monkeypatch):
    """Ask a question of the module's store; what it trains is not trained, but all else is real."""

    for name in ("draw_run", "draw_ranking"):
        monkeypatch.setattr(pictures, name, lambda *given: None)

    def ask(name, *overrides, watch=None):
        config = compose([
            f"tracking.uri={uri}", f"search.name={name}", "tracking.pictures=best", "training.epochs=3", *overrides,
        ])  # fmt: skip
        return experiment.run(plan(config), "Which?", watch, fake_training.run)

    return ask


@pytest.fixture(scope="module")
def uri_folder(uri):
    return Path(uri.removeprefix("sqlite:///")).parent


@pytest.fixture(scope="module")
def client(uri):
    return open_store(uri).client


def states(client, outcome):
    """How many runs of a sweep there are in each state."""
    experiment_id = client.get_run(outcome.parent).info.experiment_id
    found = client.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{outcome.parent}'")
    return Counter(run.info.status for run in found)


def same(one, other):
    columns = [column for column in one.table if column != "seconds"]
    return one.table[columns].equals(other.table[columns])


def epochs(fake):
    """How often each epoch of each run was trained."""
    file = fake / "epochs"
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


def test_workers_change_nothing(ask, client, tmp_path):
    asked = ("alone", SPACE, "search.repeats=2")
    alone = ask(*asked)
    pooled = ask(*asked, f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", *POOL)
    assert (alone.trained, pooled.trained) == (8, 8)
    assert states(open_store(f"sqlite:///{tmp_path}/mlflow.db").client, pooled) == {"FINISHED": 8}
    assert same(alone, pooled)


def test_a_killed_worker_is_replaced_and_its_run_tried_again(ask, client, fake):
    (fake / "kill").touch()
    outcome = ask("killed", SPACE, "seed=3", *POOL)
    assert (outcome.trained, outcome.failed) == (4, 0)
    assert not (fake / "kill").exists()
    assert states(client, outcome) == {"FINISHED": 4}
    assert set(epochs(fake).values()) == {1}
    assert same(outcome, ask("undisturbed", SPACE, "seed=3"))  # which reuses: equal but for nothing


def test_a_run_that_kills_its_worker_fails_and_the_others_go_on(ask, client, fake):
    outcome = ask("deadly", "search.space={training.batch_size:[32,666,64]}", "seed=4", *POOL)
    assert (outcome.trained, outcome.failed) == (2, 1)
    assert "killed by SIGKILL" in outcome.rows[-1].scored.failure
    assert "2 times of 2" in outcome.rows[-1].scored.failure
    assert states(client, outcome) == {"FINISHED": 2, "FAILED": 1}


def test_the_halves_of_a_killed_bundle_do_not_share_their_files(ask, client, fake):
    space = "search.space={optimizer.learning_rate:[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]}"
    (fake / "kill").touch()
    outcome = ask("halves", space, "training.engine=lanes", *POOL)
    assert not (fake / "kill").exists()
    assert (outcome.trained, outcome.failed) == (8, 0)
    assert states(client, outcome) == {"FINISHED": 8}
    assert same(outcome, ask("whole", space, "training.engine=lanes"))


def test_runs_are_counted_and_not_settings(ask):
    space = "search.space={optimizer.learning_rate:[1e30,0.01]}"
    outcome = ask("counted", space, "search.repeats=3", "seed=21")
    assert (outcome.trained, outcome.found, outcome.failed) == (3, 0, 3)
    again = ask("counted", space, "search.repeats=3", "seed=21")
    assert (again.trained, again.found, again.failed) == (0, 3, 3)
    fewer = ask("patient", space, "search.repeats=3", "seed=24", "search.max_failures=2")
    assert (fewer.early, fewer.failed, fewer.left, fewer.trained) == ("failures", 2, 4, 0)


def test_what_gave_no_value_is_not_ranked(ask):
    outcome = ask("valueless", SPACE, "search.objective=val/auc", "seed=31")  # of which this training says nothing
    assert (outcome.trained, outcome.failed, outcome.best) == (4, 0, None)
    assert [row.rank for row in outcome.rows] == [None] * 4
    assert ask("valueless", SPACE, "search.objective=val/auc", "seed=31", "search.method=random").trained == 0


class Meddling(Watch):
    """Somebody writes to a file while the first epoch is trained."""

    def __init__(self, file, content):
        self.file, self.content = file, content

    def epoch(self, job, epoch, metrics):
        self.file.write_text(self.content)


def test_data_that_change_meanwhile_end_a_sweep(ask, client, tmp_path):
    images, labels = tmp_path / "images.csv", tmp_path / "labels.csv"
    images.write_text("\n".join(",".join(str((7 * row + column) % 256) for column in range(784)) for row in range(12)))
    labels.write_text("\n".join(["1"] * 12))
    drawn = ["data.drawn.source=csv", f"data.drawn.images={images}", f"data.drawn.labels={labels}"]
    drawn += ["data.drawn.holdout=12", "seed=41"]
    touched = ask("changing", SPACE, *drawn, watch=Meddling(labels, labels.read_text()))  # the same bytes: nothing changed
    assert (touched.trained, touched.early) == (4, None)
    with pytest.raises(DataError, match=r"drawn labels: changed while the sweep read it; .* the same command asks"):
        ask("changed", SPACE, *drawn, "seed=42", watch=Meddling(labels, "\n".join(["2"] * 12)))
    found = client.search_runs([client.get_experiment_by_name("changed").experiment_id], "tags.`digitexp.kind` = 'run'")
    assert [run.info.status for run in found] == ["KILLED"]
    assert ask("changed", SPACE, *drawn, "seed=42").trained == 4


def test_a_run_that_was_killed_too_soon_to_have_settings_is_passed_over(ask, client, uri):
    outcome = ask("hasty", SPACE, "seed=51")
    tags = {"digitexp.kind": "run", "digitexp.trial": "0", "mlflow.parentRunId": outcome.parent}
    lost = client.create_run(client.get_run(outcome.parent).info.experiment_id, tags=tags)
    client.set_terminated(lost.info.run_id, "KILLED")
    assert len(reader.sweep(open_store(uri), "hasty").runs) == 4


def test_of_two_runs_of_a_setting_the_newer_is_reported(ask, client, uri):
    """They differ where a file or a function behind its name was changed in between."""
    outcome = ask("edited", SPACE, "seed=52")
    children = client.search_runs([client.get_run(outcome.parent).info.experiment_id], "tags.`digitexp.trial` = '0'")
    old = min(children, key=lambda run: run.info.start_time)
    new = client.create_run(old.info.experiment_id, start_time=old.info.start_time + 10_000, tags=dict(old.data.tags))
    for name, value in old.data.params.items():
        client.log_param(new.info.run_id, name, value)
    with TemporaryDirectory() as folder:
        client.log_artifacts(new.info.run_id, client.download_artifacts(old.info.run_id, "", folder))
    client.set_tag(new.info.run_id, "digitexp.signature", "f" * 16)
    client.set_terminated(new.info.run_id, "FINISHED")
    assert [run.signature for run in reader.sweep(open_store(uri), "edited").runs if run.trial == 0] == ["f" * 16]


class StoppingAfter(Watch):
    """Ctrl-C when so many runs have ended."""

    def __init__(self, runs):
        self.left = runs

    def end(self, job, outcome):
        self.left -= 1

    def stopped(self):
        return self.left <= 0


def test_a_winner_that_cannot_be_trained_again_stays_the_best_network(ask, client):
    space = "search.space={optimizer.name:[adam,sgd]}"
    stopped = ask("kept", space, "search.refit=true", "seed=61", watch=StoppingAfter(2))
    assert (stopped.trained, stopped.refitted, stopped.early, stopped.left) == (2, False, "interrupted", 1)
    assert stopped.best == "models:/digitexp.kept@best"
    winner = client.get_run(client.get_model_version_by_alias("digitexp.kept", "best").tags["digitexp.run"])
    assert winner.data.tags["mlflow.parentRunId"] == stopped.parent
    again = ask("kept", space, "search.refit=true", "seed=61")
    assert (again.trained, again.refitted, again.early) == (0, True, None)
    refitted = client.get_run(client.get_model_version_by_alias("digitexp.kept", "best").tags["digitexp.run"])
    assert refitted.data.params["data.validation"] == "0.0"


def test_too_many_failures_end_a_sweep(ask, fake):
    space = "search.space={optimizer.learning_rate:[1e30],optimizer.name:[adam,sgd,ftrl,nadam]}"
    outcome = ask("senseless", space, "seed=5", "search.max_failures=2")
    assert (outcome.early, outcome.failed, outcome.left, outcome.best) == ("failures", 2, 2, None)


def test_a_budget_ends_a_sweep_in_time_and_the_next_goes_on(ask, client, fake):
    (fake / "pause").write_text("0.7")  # a run takes 2.1 s
    before = time.monotonic()
    first = ask("budget", SPACE, "seed=6", "search.budget=6s")  # START_SECONDS: each run is thought to take 1.5 s
    assert first.early == "budget"
    assert 0 < first.trained < 4
    assert first.left == 4 - first.trained
    assert len(first.rows) == first.trained
    assert time.monotonic() - before < 30
    assert client.get_run(first.parent).info.status == "KILLED"
    (fake / "pause").unlink()
    second = ask("budget", SPACE, "seed=6")
    assert (second.early, second.trained, second.parent) == (None, 4 - first.trained, first.parent)
    assert client.get_run(first.parent).info.status == "FINISHED"


def test_a_budget_counts_the_share_of_the_machine_that_a_worker_has(ask):
    """A run of 1.5 s of the whole machine takes 6 s beside three others."""
    assert ask("shared", SPACE, "seed=61", "search.budget=5s", "execution.workers=4").trained == 0


def test_a_proposal_that_cannot_be_trained_is_a_failed_setting(ask):
    """Adam has no momentum; a list with such a point is refused, but nobody knows what will be drawn."""
    space = "search.space={optimizer.name:[sgd,adam],optimizer.momentum:[0.5,0.9]}"
    words = ["optimizer.name=sgd", space, "search.method=random", "search.trials=4", "search.repeats=2", "seed=62"]
    outcome = ask("odd", *words, "search.budget=1h")
    assert (outcome.early, outcome.trained, outcome.failed) == (None, 4, 4)
    said = sorted(str(row.scored.failure).split(";")[0] for row in outcome.rows if row.scored.failure)
    assert said == ["optimizer.momentum=0.5: adam has no momentum", "optimizer.momentum=0.9: adam has no momentum"]


class Stopping(Watch):
    """Ctrl-C in the first epoch."""

    def __init__(self):
        self.typed = False

    def epoch(self, job, epoch, metrics):
        self.typed = True

    def stopped(self):
        return self.typed


@pytest.mark.parametrize("executor", ["in_process", "pool"])
def test_once_interrupted_it_finishes_what_is_trained_and_reports_it(ask, client, fake, executor):
    asked = (f"by_{executor}", SPACE, f"seed={7 if executor == 'pool' else 8}", f"execution.executor={executor}")
    outcome = ask(*asked, watch=Stopping())
    assert (outcome.early, outcome.trained, outcome.left, len(outcome.rows)) == ("interrupted", 1, 3, 1)
    assert outcome.best == f"models:/digitexp.by_{executor}@best"
    assert states(client, outcome) == {"FINISHED": 1}
    again = ask(*asked)
    assert (again.early, again.trained, len(again.rows)) == (None, 3, 4)


BAND = ["search.method=hyperband", "training.epochs=9", "search.space={optimizer.learning_rate:{min:0.001,max:0.1,log:true}}"]


def test_hyperband_trains_no_epoch_twice(ask, uri_folder, fake):
    outcome = ask("band", *BAND, "seed=9")
    schedule = rounds(9, 3)
    trained = Counter(row.scored.point["training.until"] for row in outcome.rows)
    assert trained == sum((Counter({found.epochs: found.size}) for found in schedule), Counter())
    assert set(epochs(fake).values()) == {1}
    assert sum(epochs(fake).values()) == sum(found.size * (found.epochs - found.start) for found in schedule)
    assert {row.scored.metrics[0]["epochs"] for row in outcome.rows} == {1.0, 3.0, 9.0}
    assert list((uri_folder / "checkpoints").iterdir()) == []
    again = ask("band", *BAND, "seed=9")
    assert (again.trained, again.parent) == (0, outcome.parent)
    assert same(outcome, again)


def test_the_last_round_of_hyperband_is_the_whole_run(ask, fake):
    """A network that was trained to the horizon is known by whoever asks for it, whether or not rounds led there."""
    band = ask("band2", *BAND, "seed=10")
    whole = next(row for row in band.rows if row.scored.point["training.until"] == 9)
    rate = whole.scored.point["optimizer.learning_rate"]
    other = ask("whole", f"search.space={{optimizer.learning_rate:[{rate!r}]}}", "seed=10", "training.epochs=9")
    assert (other.trained, other.reused) == (0, 1)


def test_workers_are_replaced_after_a_number_of_runs(ask, fake):
    outcome = ask("replaced", SPACE, "seed=11", "execution.executor=pool", "execution.runs_per_worker=1")
    assert outcome.trained == 4


def test_the_same_question_is_not_answered_twice_at_once(ask, client, uri, fake, monkeypatch):
    outcome = ask("twice", "search.space={loss:[poisson,huber]}", "seed=12")
    client.update_run(outcome.parent, status="RUNNING")
    monkeypatch.setattr(liveness.psutil.Process, "create_time", lambda self: 1.0)  # we are another process, it lives
    client.set_tag(outcome.parent, "digitexp.process_start", "1.00")
    client.set_tag(outcome.parent, "digitexp.pid", "1")
    with pytest.raises(TrackingError, match=r"process 1 on .* is answering this very question"):
        ask("twice", "search.space={loss:[poisson,huber]}", "seed=12")


def test_the_estimate_is_checked_against_the_time_it_took(ask, client, fake):
    outcome = ask("checked", SPACE, "seed=13")
    logged = client.get_run(outcome.parent).data.metrics
    assert logged["plan/seconds"] == pytest.approx(outcome.seconds)
    assert logged["plan/ratio"] == pytest.approx(outcome.seconds / outcome.estimated)


def test_trials_that_met_other_images_are_not_compared_image_by_image(ask, monkeypatch):
    """The fake reads nested sets of images, which McNemar tells apart where two shares do not."""
    given = fake_training._result

    def elsewhere(config, *rest):
        result = given(config, *rest)
        return replace(result, digests={**result.digests, "val": str(config.data.split_seed)})

    monkeypatch.setattr(fake_training, "measured", lambda config, epoch: dict.fromkeys(
        ("train/loss", "train/accuracy", "val/loss", "val/accuracy"), 0.88 if config.data.split_seed == 1 else 0.8))  # fmt: skip
    monkeypatch.setattr(fake_training, "_result", elsewhere)
    monkeypatch.setattr(fake_training, "IMAGES", 100)
    outcome = ask("split", "search.space={data.split_seed:[1,2]}")
    assert [row.top for row in outcome.rows] == [True, True]
    monkeypatch.setattr(fake_training, "_result", given)
    outcome = ask("split_alike", "search.space={data.split_seed:[1,2]}", "seed=7")
    assert [row.top for row in outcome.rows] == [True, False]
