"""Law 3: what changes a run's numbers changes its signature, and nothing else does."""

import pytest

from digitexp import signature as module
from digitexp.compose import compose
from digitexp.config import flatten
from digitexp.signature import question, signature

SOURCES = {"mnist.npz": "a" * 64}


def sign(*overrides, sources=SOURCES):
    return signature(compose(list(overrides)), sources)


REFERENCE = sign()


@pytest.mark.parametrize(
    "override",
    ["seed=2", "loss=poisson", "optimizer.name=sgd", "optimizer.learning_rate=0.1", "model.layer_1.units=51",
     "training.epochs=11", "training.ema=0.9", "training.label_smoothing=0.1", "training.early_stopping.patience=3",
     "evaluation.target=0.9", "evaluation.shifts=1", "model=lenet5", "training.batch_size=64", "data.limit=100", "data.split_seed=1", "model=cnn"],
)  # fmt: skip
def test_changes_with_what_decides_a_number(override):
    assert sign(override) != REFERENCE


@pytest.mark.parametrize(
    "override",
    ["search.name=other", "search.repeats=3", "search.objective=val/loss", "tracking.pictures=best", "ui.port=5001",
     "tracking.uri=sqlite:///x.db", "model.layer_3.dropout=0.5", "model.layer_4.activation=tanh"],
)  # fmt: skip
def test_stays_with_what_does_not(override):
    assert sign(override) == REFERENCE


@pytest.mark.parametrize(
    "override",
    ["training.schedule.factor=0.1", "training.schedule.warmup=0.5", "training.early_stopping.monitor=val/loss",
     "training.schedule.name=constant", "training.ema=null", "training.label_smoothing=0", "training.start=scratch",
     "evaluation.target=null", "evaluation.shifts=0", "evaluation.ensemble=true"],
)  # fmt: skip
def test_stays_with_what_changes_nothing_at_this_value(override):
    assert sign(override) == REFERENCE


@pytest.mark.parametrize(
    "override",
    ["model.conv_1.pooling=average", "model.conv_2.normalization=after", "model.head_1.normalization=after"],
)
def test_how_to_pool_and_where_to_normalise_is_nothing_where_neither_is_done(override):
    used = ["model=cnn", "model.conv_2.batch_normalization=true", "model.head_1.batch_normalization=true"]
    assert sign("model=cnn", override) == sign("model=cnn")
    assert sign(*used, "model.conv_1.pool=2", override) != sign(*used, "model.conv_1.pool=2")


def test_a_schedule_is_known_by_its_own_settings_alone():
    cosine = sign("training.schedule.name=cosine")
    assert cosine != REFERENCE
    assert sign("training.schedule.name=cosine", "training.schedule.decay=0.5") == cosine
    assert sign("training.schedule.name=cosine", "training.schedule.warmup=0.5") != cosine


def test_a_baseline_is_known_by_neither_optimizer_nor_epochs_nor_the_settings_of_others():
    knn = sign("model=baseline", "model.estimator=knn")
    assert sign("model=baseline", "model.estimator=knn", "optimizer.name=sgd", "training.epochs=3", "model.C=9") == knn
    assert sign("model=baseline", "model.estimator=knn", "model.neighbors=5") != knn


def test_a_network_that_training_begins_with_is_known_by_its_bytes():
    begun = sign("training.start=x.keras", sources=SOURCES | {"training.start": "c" * 64})
    assert begun != REFERENCE
    assert sign("training.start=y.keras", sources=SOURCES | {"training.start": "c" * 64}) == begun


def test_data_are_known_by_their_bytes_and_not_by_their_path():
    assert sign(sources={"mnist.npz": "b" * 64}) != REFERENCE
    assert sign(sources={"elsewhere.npz": "a" * 64}) == REFERENCE
    assert sign("data=mnist", "data.path=x") == sign("data=mnist", "data.path=y")


def test_changes_with_the_recipe_and_the_minor_versions(monkeypatch):
    monkeypatch.setattr(module, "RECIPE", module.RECIPE + 1)
    assert sign() != REFERENCE
    monkeypatch.undo()
    monkeypatch.setattr(module, "_version", lambda package: "1.2.3")
    minor = sign()
    monkeypatch.setattr(module, "_version", lambda package: "1.2.4")
    assert sign() == minor != REFERENCE


def test_changes_with_the_text_of_a_users_function(tmp_path):
    signatures = set()
    for number in (1, 2):
        from digitexp import registry

        file = tmp_path / f"own_{number}.py"
        file.write_text(f"import digitexp\n\n@digitexp.register('loss')\ndef own(y_true, y_pred):\n    return {number}\n")
        signatures.add(sign(f"extensions=[{file}]", "loss=own"))
        del registry.LOSSES["own"]
    assert len(signatures) == 2


def test_a_question_is_what_is_asked():
    asked = question(compose(["+sweep=dense_neurons"]), SOURCES)
    assert question(compose(["+sweep=dense_neurons", "tracking.pictures=best"]), SOURCES) == asked
    assert question(compose(["+sweep=dense_neurons", "search.repeats=2"]), SOURCES) != asked
    assert question(compose(["+sweep=dense_neurons", "training.epochs=2"]), SOURCES) != asked


@pytest.mark.parametrize(("method", "differs"), [("random", True), ("bayesian", True), ("hyperband", True), ("grid", False)])
def test_the_order_of_the_space_is_part_of_a_question_whose_trials_are_proposed(method, differs):
    varied = ["training.batch_size:[32,64]", "loss:[poisson,huber]"]
    asked, other = (
        question(compose([f"search.method={method}", f"search.space={{{','.join(space)}}}"]), SOURCES)
        for space in (varied, varied[::-1])
    )
    assert (asked != other) == differs


@pytest.mark.parametrize(
    ("sweep", "setting"),
    [
        ("baselines", "model.trees=500"),
        ("schedules", "training.schedule.warmup=0.3"),
        ("dense_depth", "model.layer_3.activation=tanh"),
    ],
)
def test_settings_that_only_varied_values_use_are_part_of_the_question(sweep, setting):
    """Two questions of one hash would share a parent, and the runs of one would be told as those of the other."""
    from digitexp.planning import difference, plan

    asked, other = (plan(compose([f"+sweep={sweep}", *more])) for more in ([], [setting]))
    assert asked.question != other.question
    assert setting.split("=")[0] in difference(flatten(asked.config), other.config)


def test_what_stands_behind_a_varied_name_is_part_of_the_question(tmp_path):
    """Else a report would set runs of the old function beside runs of the new."""
    from digitexp import registry
    from digitexp.planning import plan

    asked = ["search.name=asked", "search.space={loss:[categorical_crossentropy,own]}"]
    questions = []
    for number in (1, 2, 2):
        file = tmp_path / f"mine_{len(questions)}.py"
        file.write_text(f"import digitexp\n\n@digitexp.register('loss')\ndef own(y_true, y_pred):\n    return {number}\n")
        questions.append(plan(compose([f"extensions=[{file}]", *asked])).question)
        del registry.LOSSES["own"]
    assert questions[0] != questions[1] == questions[2]


def test_what_stands_behind_a_varied_file_is_part_of_the_question(tmp_path):
    from digitexp.planning import plan
    from digitexp.training.engines import resolve

    file = tmp_path / "start.keras"
    start = ["search.name=asked", f"search.space={{training.start:[scratch,{file}]}}"]
    questions = []
    for content in ("one", "other"):
        file.write_text(content)
        questions.append(plan(compose(start)).question)
    assert questions[0] != questions[1]
    alone = compose(["search.name=asked", "search.space={loss:[categorical_crossentropy,hinge]}"])
    assert plan(alone).question == question(resolve(alone), plan(alone).sources)  # what the program brings changes no hash
