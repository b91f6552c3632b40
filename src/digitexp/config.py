"""What Hydra composed, checked against settings.py, and the few things that are done with settings.

`check(cfg)` turns what Hydra composed into a `Config`; `change(config, {path: value})` gives a copy with other values.
Both refuse an unknown name, a wrong type or an impossible value with a ConfigError of one sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from digitexp import registry
from digitexp.errors import ConfigError
from digitexp.settings import Config, choose

# What a trial may vary: the sections that decide a run's numbers, less the seed, which `search.repeats` varies.
SWEPT = ("data", "model", "optimizer", "loss", "training")


def check(cfg: DictConfig) -> Config:
    """The checked settings. `cfg` is what Hydra composed: nothing of it may be unknown, missing or of a wrong type."""
    extensions = cfg.get("extensions")
    if isinstance(extensions, str):
        raise ConfigError(
            f"extensions={extensions}: must be a list of files or modules; type 'extensions=[{extensions}]'."
        )
    registry.load(list(extensions or []))
    model = cfg.get("model")
    kind = model.get("kind") if isinstance(model, DictConfig) else model
    choose("model.kind", str(kind), registry.NETWORKS)
    schema = OmegaConf.structured(Config)
    schema.model = OmegaConf.structured(registry.NETWORKS[str(kind)].schema)
    _refuse_unknown(cfg, schema, "")
    try:
        return _checked(OmegaConf.merge(schema, cfg))
    except OmegaConfBaseException as error:
        raise _readable(error) from error


def change(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy of `config` with other values; `values` maps dotted paths such as `model.layer_1.units`."""
    node = OmegaConf.structured(config)
    for path, value in values.items():
        type_of(config, path)
        try:
            OmegaConf.update(node, path, value)
        except OmegaConfBaseException as error:
            raise _readable(error, path) from error
    return _checked(node)


def _checked(node: Any) -> Config:
    config: Config = OmegaConf.to_object(node)  # type: ignore[assignment]
    _check_section(config, "")
    return config


def _check_section(section: Any, at: str) -> None:
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            _check_section(value, f"{at}.{field.name}".lstrip("."))
    if hasattr(section, "check"):
        section.check(at)


def _refuse_unknown(cfg: Any, schema: Any, at: str) -> None:
    for key in cfg if isinstance(cfg, DictConfig) and not cfg._is_missing() else ():
        path = f"{at}.{key}".lstrip(".")
        if key not in schema:
            names = [str(name) for name in schema]
            near = [f"{at}.{name}".lstrip(".") for name in get_close_matches(str(key), names, n=2)]
            raise ConfigError(_unknown(path, at, names, near))
        child = schema._get_node(key)
        if isinstance(child, DictConfig) and path != "search.space" and not child._is_missing():
            _refuse_unknown(cfg._get_node(key), child, path)


def _readable(error: OmegaConfBaseException, path: str | None = None) -> ConfigError:
    """OmegaConf's error as one sentence."""
    where = path or error.full_key or "the configuration"
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(f"{where}: has no value; give it one, as in {where}=VALUE.")
    what = str(error).splitlines()[0].rstrip(".")
    return ConfigError(f"{where}: {what}.")


def _unknown(path: str, at: str, names: Sequence[str], near: Sequence[str]) -> str:
    mean = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    has = f"{at or 'the configuration'} has {', '.join(names)}" if names else f"{at} is a single value"
    return f"{path}: no such setting; {has}.{mean}"


def type_of(config: Config, path: str) -> Any:
    """The declared type of the setting at a dotted path; ConfigError names the nearest settings when there is none."""
    section: Any = config
    hint: Any = None
    at = ""
    for part in path.split("."):
        names = [field.name for field in fields(section)] if is_dataclass(section) else []
        if part not in names:
            near = [f"{at}.{name}".lstrip(".") for name in get_close_matches(part, names, n=2)]
            raise ConfigError(_unknown(path, at, names, near))
        hint = get_type_hints(type(section))[part]
        section = getattr(section, part)
        at = f"{at}.{part}".lstrip(".")
    if is_dataclass(section):
        raise ConfigError(
            f"{path}: is a group of settings; it has {', '.join(field.name for field in fields(section))}."
        )
    return hint


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """The settings of a dataclass as `{dotted path: value}`, in the order in which they are declared."""
    flat: dict[str, Any] = {}
    for field in fields(settings):
        value, path = getattr(settings, field.name), f"{prefix}{field.name}"
        flat |= flatten(value, f"{path}.") if is_dataclass(value) else {path: value}
    return flat


def present(config: Config) -> dict[str, Any]:
    """What decides a run's numbers, as `{dotted path: value}`: absent layers and settings left to Keras are removed."""
    kept: dict[str, Any] = {"seed": config.seed}
    for section in ("data", "model", "optimizer", "training", "evaluation"):
        kept |= flatten(getattr(config, section), f"{section}.")
    kept["loss"] = config.loss
    absent = {
        path.rpartition(".")[0] for path, value in kept.items() if path.endswith((".units", ".filters")) and value == 0
    }
    return {
        path: value
        for path, value in kept.items()
        if path.rpartition(".")[0] not in absent and not (path.startswith("optimizer.") and value is None)
    }
