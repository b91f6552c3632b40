"""Settings: every file in conf/ composes, and what is wrong is refused in one sentence."""

import re

import numpy as np
import pytest
from conftest import write_kaggle

from digitexp import registry
from digitexp.compose import compose, overrides, recipes, sweeps
from digitexp.config import CONF, change, flatten, network_named, to_yaml, type_of
from digitexp.costs import training_tflop
from digitexp.data.mnist import read_mnist
from digitexp.data.sets import load
from digitexp.decisive import decisive, present
from digitexp.errors import ConfigError, DigitexpError
from digitexp.planning import plan
from digitexp.settings import Dense

CHOICES = [
    f"{file.parent.name}={file.stem}"
    for group in ("data", "model", "training")
    for file in sorted((CONF / group).glob("*.yaml"))
]

# What each seed says of its own training, and how many images it says that there are.
PUBLISHED = {
    "seed000": ({
        "optimizer.name": "rmsprop", "training.schedule.name": "plateau", "training.schedule.monitor": "val/accuracy",
        "training.schedule.patience": 3, "training.schedule.factor": 0.5, "training.schedule.minimum": 1e-5,
        "training.augmentation.rotation": 10.0, "training.augmentation.zoom": 0.1, "training.augmentation.shift": 0.1,
    }, {}),
    "seed001": ({
        "data.name": "kaggle_stand_in", "data.validation": 0.2, "training.batch_size": 128, "training.epochs": 100,
        "training.augmentation.preset": "rotate_zoom_shift",  # it names these three, and not how far
    }, {"train": 33_600, "val": 8_400}),
    "seed002": ({"optimizer.name": "adadelta", "optimizer.learning_rate": 1.0, "training.augmentation.preset": "none"},
                {"train": 60_000, "test": 10_000}),
    "seed003": ({"optimizer.name": "adam", "training.epochs": 200, "training.augmentation.preset": "none"},
                {"train": 60_000, "test": 10_000}),
    "seed004": ({
        "data.name": "kaggle_stand_in", "data.validation": 0.1, "data.split_seed": 66, "optimizer.name": "adam",
        "optimizer.learning_rate": 0.001, "optimizer.beta_1": 0.9, "optimizer.beta_2": 0.999,
        "training.schedule.name": "exponential", "training.schedule.decay": 0.9, "training.batch_size": 64, "training.epochs": 20,
        "training.augmentation.rotation": 10.0, "training.augmentation.zoom": 0.1, "training.augmentation.shift": 0.1,
    }, {"train": 37_800, "val": 4_200}),
}  # fmt: skip

REFUSED = {
    "training.epoch=3": r"training\.epoch: no such setting; training has engine, .*Did you mean 'training\.epochs'\?",
    "+training.epoch=3": r"training\.epoch: no such setting; .*Did you mean 'training\.epochs'\?",
    "++model.layer_2.unit=3": r"model\.layer_2\.unit: no such setting; .*has units, activation, dropout",
    "training.epochs=many": r"training\.epochs: found 'many'; must be a whole number",
    "training.epochs=2.5": r"training\.epochs: found 2\.5; must be a whole number",
    "training.epochs=null": r"training\.epochs: found null; must be a whole number",
    "search.name=a:b": r"search\.name=a:b: must be a name without",
    "search.name=../a": r"search\.name=\.\./a: must be a name without",
    "training.epochs=0": r"training\.epochs=0: must be a whole number from 1",
    "training.batch_size=0": r"training\.batch_size=0",
    "training.augmentation.preset=rotate": r"augmentation\.preset=rotate: no such choice; allowed are none, rotate_zoom_shift",
    "training.augmentation=rotate_zoom_shift": r"training\.augmentation=rotate_zoom_shift: is a group of settings",
    "training.augmentation.rotation=181": r"augmentation\.rotation=181\.0: must be degrees from 0 to 180, or null",
    "training.augmentation.flip=true": r"training\.augmentation\.flip: no such setting",
    "data=mnist search.refit=true data.test=0": r"search\.refit=true: must be false with data\.test=0 and no drawings",
    "seed=0": r"seed=0: must be a whole number from 1",
    "loss=mse": r"loss=mse: no such choice; allowed are categorical_crossentropy",
    "loss=categorical_crossentrop": r"Did you mean 'categorical_crossentropy'",
    "optimizer.name=addam": r"optimizer\.name=addam: .*Did you mean 'adam'",
    "optimizer.momentum=0.9": r"optimizer\.momentum=0\.9: adam has no momentum",
    "optimizer.learning_rate=-1": r"optimizer\.learning_rate=-1\.0: must be a rate above 0",
    "optimizer=sgd": r"optimizer=sgd: is a group of settings",
    "model.layer_1.dropout=1": r"model\.layer_1\.dropout=1\.0: must be a share",
    "model.layer_1.units=-1": r"model\.layer_1\.units=-1",
    "model.layer_1.activation=rely": r"Did you mean 'relu'",
    "model.conv_1.filters=3": r"model\.conv_1\.filters: not a setting of this network; .*model=cnn",
    "model=5": r"a group is chosen by the name of a file",
    "data=mnst": r"data=mnst: no such file in conf/data; .*Did you mean 'mnist'",
    "data.validation=1": r"data\.validation=1\.0: must be a share",
    "data.path=x": r"data\.path=x: must be null with data\.name=digits",
    "data=kaggle": r"data\.path=null: must be the folder of train\.csv and test\.csv; type data\.path=FOLDER",
    "data.also.name=kagle": r"data\.also\.name=kagle: no such choice; .*Did you mean 'kaggle'",
    "data.also.name=kaggle": r"data\.also\.path=null: must be the folder of train\.csv and test\.csv",
    "data.also.name=digits": r"data\.also\.name=digits: must be another source than the first",
    "data.also.path=x": r"data\.also\.path=x: must be null with data\.also\.name=none",
    "data.test_labels=x": r"data\.test_labels=x: must be null without Kaggle's images",
    "data.split=writers": r"data\.split=writers: .*Did you mean 'writer'",
    "data.split=writer": r"data\.split=writer: must be stratified, since only MNIST's writers are known",
    "data.balance=balance": r"data\.balance=balance: .*Did you mean 'balanced'",
    "data.folds=1": r"data\.folds=1: must be a number of folds from 2, or null",
    "data.fold=2": r"data\.fold=2: must be 1 without folds; type data\.folds=5",
    "training.class_weights=balance": r"training\.class_weights=balance: .*Did you mean 'balanced'",
    "sweep=cnn_optimizers": r"type \+sweep=NAME",
    "+sweep=cnn_optimzers": r"Did you mean 'cnn_optimizers'",
    "+seed=3": r"seed: exists already; type it without the plus sign",
    "+data=mnist": r"data: is chosen already",
    "~nothing": r"nothing: there is no such setting to remove",
    "training.epochs=1,2": r"several values make a sweep",
    "search.method=gird": r"Did you mean 'grid'",
    "search.repeats=0": r"search\.repeats=0",
    "search.objective=val/acuracy": r"Did you mean 'val/accuracy'",
    "search.objective=test/accuracy": r"nothing is chosen by the images that are scored last",
    "search.objective=kaggle/accuracy": r"nothing is chosen by the images that are scored last",
    "search.objective=drawn/accuracy": r"this data cannot give it",
    "data.validation=0": r"search\.objective=val/accuracy: this data cannot give it",
    "evaluation.metrics=[nonsense]": r"evaluation\.metrics=nonsense: no such choice",
    "tracking.pictures=some": r"tracking\.pictures=some",
    "extensions=x.py": r"must be a list",
    "extensions=[nowhere.py]": r"'nowhere\.py' cannot be imported",
    "~loss": r"loss: has no value",
    "recipe=seed000": r"type \+recipe=NAME",
    "+recipe=seed00": r"Did you mean 'seed00",
    "training.schedule.name=cosin": r"training\.schedule\.name=cosin: .*Did you mean 'cosine'",
    "training.schedule.monitor=test/accuracy": r"training\.schedule\.monitor=test/accuracy: no such choice",
    "training.schedule.factor=1": r"training\.schedule\.factor=1\.0: must be a share between 0 and 1",
    "training.schedule.warmup=1": r"training\.schedule\.warmup=1\.0: must be a share from 0 to below 1",
    "training.early_stopping.patience=0": r"training\.early_stopping\.patience=0: must be a number of epochs from 1, or null",
    "training.label_smoothing=1": r"training\.label_smoothing=1\.0",
    "training.ema=1": r"training\.ema=1\.0: must be a share between 0 and 1, or null",
    "evaluation.target=99": r"evaluation\.target=99\.0: must be a share above 0",
    "data.validation=0 training.early_stopping.patience=3":
        r"training\.early_stopping\.monitor=val/accuracy: must be train/accuracy or train/loss with data\.validation=0",
    "data.validation=0 training.schedule.name=plateau":
        r"training\.schedule\.monitor=val/accuracy: must be train/accuracy or train/loss with data\.validation=0",
    "data.validation=0 evaluation.target=0.9": r"evaluation\.target=0\.9: must be null with data\.validation=0",
    "search.refit=true training.schedule.name=plateau": r"must be train/accuracy or train/loss with search\.refit=true",
    "model=baseline training.augmentation.preset=rotate_zoom_shift":
        r"training\.augmentation\.rotation=10\.0: must be 0 with model=baseline, which is fitted once",
    "model=baseline training.early_stopping.patience=3": r"training\.early_stopping\.patience=3: must be null with model=baseline",
    "model=baseline training.class_weights=balanced": r"training\.class_weights=balanced: must be none with model=baseline",
    "model=baseline training.schedule.name=cosine": r"training\.schedule\.name=cosine: must be constant with model=baseline",
    "model=baseline training.ema=0.9": r"training\.ema=0\.9: must be null with model=baseline",
    "model=baseline training.label_smoothing=0.1": r"training\.label_smoothing=0\.1: must be 0 with model=baseline",
    "model=baseline evaluation.target=0.9": r"evaluation\.target=0\.9: must be null with model=baseline",
    "evaluation.shifts=9": r"evaluation\.shifts=9: must be pixels from 0 to 4",
}


@pytest.mark.parametrize("choice", CHOICES)
def test_every_file_of_conf_composes_and_plans(choice, mnist, configure, tmp_path):
    extra = [f"data.path={mnist}", "search.objective=null"] if choice in ("data=mnist", "data=seed003") else []
    extra = [f"data.path={mnist}"] if choice == "data=kaggle_stand_in" else extra
    if choice == "data=kaggle":
        write_kaggle(tmp_path, *(digits.take(np.arange(300)) for digits in read_mnist(str(mnist))))
        extra = [f"data.path={tmp_path}"]
    assert plan(configure(choice, *extra)).runs == 1


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_gives_its_command_and_plans(recipe, configure, mnist):
    text = (CONF / "recipe" / f"{recipe}.yaml").read_text()
    assert re.search(rf"python -m digitexp \+recipe={recipe} data.path=FILE", text)
    for words in re.findall(r"#   \.\.\. (.+?)(?:  |\n)", text):
        compose([f"+recipe={recipe}", "data.path=FILE", *words.split()])
    spelt = plan(configure(f"+recipe={recipe}", f"data.path={mnist}"))
    assert spelt.runs == {"fast996": 10, "best": 5}.get(recipe, 1)
    assert spelt.config.training.precision == "float32"
    known = {"seed003": "cnn"}
    assert recipe in ("best", "fast996") or spelt.config.model == network_named(known.get(recipe, recipe))
    assert recipe != "fast996" or training_tflop(spelt.config) <= 12  # TFLOP, the promise of its name


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_a_recipe_trains_as_its_author_did(recipe, configure, mnist):
    settings, images = PUBLISHED[recipe]
    config = configure(f"+recipe={recipe}", f"data.path={mnist}")
    configured, sets = flatten(config) | present(config), load(config.data)  # present: what the preset stands for
    assert {path: configured[path] for path in settings} == settings
    assert (config.training.early_stopping.patience is not None) == (recipe == "seed001")
    assert {name: len(sets[name]) for name in images} == images


@pytest.mark.parametrize("sweep", sweeps())
def test_every_sweep_asks_a_question_and_plans(sweep, configure, mnist):
    text = (CONF / "sweep" / f"{sweep}.yaml").read_text()
    assert sweeps()[sweep].endswith("?")
    extra = [f"data.path={mnist}"] if sweep.startswith(("reported/", "kaggle_")) else []
    if sweep in ("split_optimism", "fast996_choice"):
        extra = [f"data.path={mnist}", f"data.writers={mnist.with_name('mnist_writers.npz')}"]
    assert re.search(rf"python -m digitexp \+sweep={sweep}({' data.path=FILE.*' if extra else ''})?\n", text)
    spelt = plan(configure(f"+sweep={sweep}", *extra))
    assert spelt.config.search.name == sweep
    assert spelt.runs >= 2


@pytest.mark.parametrize("override", REFUSED)
def test_refuses_in_one_sentence(override):
    with pytest.raises(ConfigError, match=REFUSED[override]) as refused:
        compose(override.split())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("path", ["~/x.npz", "größe/a.npz", "it's.npz", "a#b&c.npz", "a=b.npz", "mnist (1).npz", "C:\\a\\b.npz", "C:\\a (1)\\"])
def test_a_path_is_taken_as_it_is_typed(path):
    assert compose(["data=mnist", f"data.path={path}"]).data.path == path


def test_settings_of_one_network_are_refused_where_whole_networks_are_varied():
    with pytest.raises(ConfigError, match=r"model\.layer_1\.units=7: does nothing where search\.space varies whole networks"):
        compose(["+sweep=architectures", "model.layer_1.units=7"])
    assert compose(["+sweep=architectures", "+recipe=fast996", "data.path=x"]).model.conv_1.filters == 16


def test_what_hydra_reads_is_left_to_it():
    assert compose(["data.path=null"]).data.path is None
    assert compose(["data=mnist", "data.path='quoted one.npz'"]).data.path == "quoted one.npz"
    assert compose(["data=mnist", "data.path=${data.name}.npz"]).data.path == "mnist.npz"


def test_what_to_type_for_settings_of_kaggles_images():
    config = compose(["data=kaggle", "data.path=folder", "training.epochs=3"])
    typed = overrides({path: flatten(config)[path] for path in ("data.name", "data.path", "model.kind", "training.epochs")})
    assert typed == ["data=kaggle", "model=dense", "data.path='folder'", "training.epochs=3"]


def test_without_validation_images_what_is_watched_is_of_training():
    watched = ["training.early_stopping.patience=3", "training.early_stopping.monitor=train/loss"]
    assert compose(["data.validation=0", "search.objective=null", *watched]).training.early_stopping.patience == 3


def test_refuses_a_network_that_leaves_no_pixels(configure):
    with pytest.raises(DigitexpError, match=r"model\.conv_2\.kernel_size=5: leaves nothing of an image that has 2 x 2"):
        plan(configure("model=cnn", "model.conv_1.kernel_size=27", "model.conv_2.kernel_size=5"))


def test_a_whole_network_is_changed_by_the_name_of_its_file():
    changed = change(compose(), {"model": "seed004", "training.epochs": 3})
    assert changed.model == compose(["model=seed004"]).model
    assert changed.training.epochs == 3
    for name in ("dense", "baseline", "compact"):
        assert network_named(name) == compose([f"model={name}"]).model
    with pytest.raises(ConfigError, match=r"model=sed004: no such choice; .*Did you mean 'seed004'"):
        change(compose(), {"model": "sed004"})


def test_what_is_recorded_of_a_whole_network_are_its_settings():
    kept = decisive(flatten(compose()) | {"model": "lenet5"})
    assert (kept["model.kind"], kept["model.conv_2.filters"]) == ("cnn", 16)
    assert "model" not in kept
    assert "model.layer_1.units" not in kept


def test_change_gives_a_copy():
    config = compose()
    changed = change(config, {"model.layer_1.units": 7, "optimizer.learning_rate": 1})
    assert (changed.model.layer_1.units, changed.optimizer.learning_rate) == (7, 1.0)
    assert (config.model.layer_1.units, config.optimizer.learning_rate) == (50, None)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("model.layer_1.units", 1.5, r"found 1\.5 \(float\); must be a whole number"),
        ("model.layer_1.units", True, r"found True \(bool\); must be a whole number"),
        ("loss", 3, r"found 3 \(int\); must be a text"),
        ("optimizer.nesterov", 1, r"found 1 \(int\); must be true or false or null"),
        ("model.layer_9.units", 1, r"model\.layer_9: no such setting"),
        ("model.layer_1", 1, r"is a group of settings; it has units"),
    ],
)
def test_change_refuses_another_type(path, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        change(compose(), {path: value})


def test_type_of_names_the_nearest():
    with pytest.raises(ConfigError, match=r"Did you mean 'model\.layer_2\.units'"):
        type_of("model.layer_2.unit", Dense)


def test_present_leaves_out_absent_layers_and_defaults():
    kept = present(compose(["model.layer_2.units=0"]))
    assert "model.layer_1.units" in kept
    assert not any(path.startswith(("model.layer_2", "model.layer_3")) for path in kept)
    assert [path for path in kept if path.startswith("optimizer.")] == ["optimizer.name"]


def test_yaml_holds_every_setting():
    config = compose(["model=cnn"])
    text = to_yaml(config)
    assert all(f"{path.rpartition('.')[2]}:" in text for path in flatten(config))


def test_a_users_own_loss_is_chosen_by_name(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("import digitexp\n\n@digitexp.register('loss')\ndef test_config_loss(y_true, y_pred):\n    return 0\n")
    assert compose([f"extensions=[{file}]", "loss=test_config_loss"]).loss == "test_config_loss"
    del registry.LOSSES["test_config_loss"]


def test_a_users_loss_cannot_take_a_name_of_keras():
    with pytest.raises(ConfigError, match=r"the loss 'mean_squared_error' exists already"):
        registry.register("loss", "mean_squared_error")(lambda y_true, y_pred: 0)
