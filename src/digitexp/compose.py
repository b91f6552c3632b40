"""conf/ and overrides in, a checked `Config` out; and what the sweeps in conf/ ask."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from digitexp.config import CONF, check, flatten, plain, type_of
from digitexp.errors import ConfigError, nearest
from digitexp.settings import Cnn, Config, Dense

GROUPS = ("data", "model", "training", "recipe", "sweep", "rule")


def compose(overrides: Sequence[str] = ()) -> Config:
    """The settings that `digitexp OVERRIDES` would run with. Raises ConfigError."""
    try:
        with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
            cfg = hydra_compose("config", [mergeable(text) for text in overrides], return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            return settle(cfg)
    except (HydraException, ValueError) as error:  # ValueError: for a group that is given a number
        raise explain(error) from error


def mergeable(override: str) -> str:
    """What was typed as Hydra takes it: settings are added to `search.space`, which it refuses without the plus signs, and a
    text that its grammar has no place for, such as `~/mnist (1).npz`, is quoted."""
    if override.startswith("search.space"):
        return f"++{override}"
    path, _, value = override.partition("=")
    if re.fullmatch(r"[\w./:,@+-]*", value, re.ASCII) or not _is_text(path) or _parses(override):
        return override
    return f"{path}={typed(value)}"


def _is_text(path: str) -> bool:
    try:
        return plain(type_of(path.lstrip("+"), Dense))[0] is str
    except ConfigError:
        return False


def _parses(override: str) -> bool:
    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True


def overrides(settings: Mapping[str, Any]) -> list[str]:
    """What to type for these settings, as `{dotted path: value}`: groups, and whatever differs from their files."""
    data, model = settings["data.name"], f"model={settings['model.kind']}"
    known = flatten(compose([*source(data), model, "search.objective=null"]))
    return [f"data={data}", model] + [
        f"{path}={typed(value)}" for path, value in settings.items() if path not in known or known[path] != value
    ]


def source(name: str) -> list[str]:
    """The words that choose a source of images for its defaults' sake: Kaggle's is refused without a path of its own."""
    return [f"data={name}", *(["data.path=''"] if name == "kaggle" else [])]


def typed(value: Any) -> str:
    """A value as Hydra reads it from the command line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        doubled = re.sub(r"(\\+)(?='|\Z)", r"\1\1", value)  # Hydra reads backslashes so only before a quote
        return "'" + doubled.replace("'", "\\'") + "'"
    return f"[{','.join(map(typed, value))}]" if isinstance(value, list) else repr(value)


def settle(cfg: DictConfig) -> Config:
    """The checked settings of what Hydra composed; a sweep is named after its file unless `search.name` says otherwise."""
    sweep = HydraConfig.get().runtime.choices.get("sweep")
    plain = OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])
    OmegaConf.set_struct(plain, False)
    if sweep and OmegaConf.select(plain, "search.name") is None:
        OmegaConf.update(plain, "search.name", sweep)
    try:
        config = check(plain)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key or 'conf'}: {str(error).splitlines()[0]}.") from error
    idle = [word for word in HydraConfig.get().overrides.task if word.lstrip("+~").startswith("model.")]
    if idle and "model" in config.search.space:
        raise ConfigError(f"{idle[0]}: does nothing where search.space varies whole networks; leave it out, or take model "
                          "out of the space.")  # fmt: skip
    return config


def sweeps() -> dict[str, str]:
    """The question of every sweep in conf/sweep, by the sweep's name."""
    return _texts("sweep")


def recipes() -> dict[str, str]:
    """What every recipe in conf/recipe is, by its name."""
    return _texts("recipe")


def _texts(group: str) -> dict[str, str]:
    folder = CONF / group
    return {file.relative_to(folder).with_suffix("").as_posix(): question(file) for file in sorted(folder.rglob("*.yaml"))}


def question(file: Path) -> str:
    """What a file says of itself, a sweep its question: its first comment that is not Hydra's."""
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").strip()
    return ""


def explain(error: Exception) -> ConfigError:
    """Hydra's error as one sentence that says what to type."""
    text = str(error)
    for pattern, sentence in _SENTENCES.items():
        if found := re.search(pattern, text):
            return ConfigError(sentence(*found.groups()))
    return ConfigError(f"conf: {text.strip().splitlines()[0].rstrip('.')}; type settings as in training.epochs=3.")


def _no_setting(path: str) -> str:
    if path in ("sweep", "recipe"):
        return f"{path}: is added to the configuration; type +{path}=NAME."
    for network in (Dense, Cnn):
        try:
            type_of(path, network)
        except ConfigError as error:
            sentence = str(error)
        else:
            return f"{path}: not a setting of this network; choose one that has it, as in model={network.__name__.lower()}."
    return sentence


def _no_file(group: str, name: str) -> str:
    folder = CONF / group
    known = [file.relative_to(folder).with_suffix("").as_posix() for file in sorted(folder.rglob("*.yaml"))]
    if not known:
        return f"{group}={name}: there is no group {group}; the groups are {', '.join(GROUPS)}."
    return f"{group}={name}: no such file in conf/{group}; there are {', '.join(known)}.{nearest(name, known)}"


_SENTENCES: dict[str, Callable[..., str]] = {
    r"Could not override '([^']+)'": _no_setting,
    r"Could not find '([\w/]+)/([^'/]+)'": _no_file,
    r"An item is already at '([^']+)'": lambda path: f"{path}: exists already; type it without the plus sign.",
    r"Multiple values for (\w+)": lambda group: f"{group}: is chosen already; type {group}=NAME without the plus sign.",
    r"Could not delete from config. '([^']+)'": lambda path: f"~{path}: there is no such setting to remove.",
    r"Ambiguous value for argument '([^=]+)=([^']+)'": lambda path, values: (
        f"{path}={values}: several values make a sweep; type 'search.space={{{path}:[{values}]}}', "
        f"or add --multirun for one command each."
    ),
    r"Config group override must be": lambda: "a group is chosen by the name of a file in conf/, as in model=dense.",
    r"Error parsing override '([^']*)'": lambda text: (
        f"{text}: is no verb and no setting; type settings as in training.epochs=3."
    ),
}
