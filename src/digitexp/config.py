"""What Hydra composed, checked against settings/, and the few things that are done with settings.

`check(cfg)` turns what Hydra composed into a `Config`; `change(config, {path: value})` gives a copy with other values.
Both refuse an unknown name, a wrong type or an impossible value with a ConfigError of one sentence.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException, ValidationError

from digitexp import registry
from digitexp.errors import ConfigError
from digitexp.settings import Config, choose

# What a trial may vary: the sections that decide a run's numbers, less the seed, which `search.repeats` varies.
SWEPT = ("data", "model", "optimizer", "loss", "training")

_INSTALLED = Path(__file__).parent / "conf"
CONF = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "conf"


def check(cfg: DictConfig) -> Config:
    """The checked settings. `cfg` is what Hydra composed: nothing of it may be unknown, missing or of a wrong type."""
    extensions = cfg.get("extensions")
    if isinstance(extensions, str):
        raise ConfigError(f"extensions={extensions}: must be a list of files or modules; type 'extensions=[{extensions}]'.")
    registry.load(list(extensions or []))
    model = cfg.get("model")
    kind = str(model.get("kind") if isinstance(model, DictConfig) else model)
    choose("model.kind", kind, registry.NETWORKS)
    network = registry.NETWORKS[kind].schema
    assert network is not None
    _refuse_unknown(cfg, Config, network, "")
    schema = OmegaConf.structured(Config)
    schema.model = OmegaConf.structured(network)
    try:
        config: Config = OmegaConf.to_object(OmegaConf.merge(schema, cfg))  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise _readable(error, network) from error
    _check_section(config, "")
    return config


def network_named(name: str) -> Any:
    """The settings of a network, as its file in conf/model says. Raises ConfigError for a file that is not there."""
    known = {file.stem: file for file in sorted((CONF / "model").glob("*.yaml"))}
    choose("model", name, known)
    cfg = _with_defaults(known[name])
    schema = registry.NETWORKS[cfg.kind].schema
    return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(schema), cfg))


def _with_defaults(file: Path) -> DictConfig:
    """A file of conf/model, on top of those that its list of defaults names: what Hydra composes of it."""
    cfg = OmegaConf.load(file)
    assert isinstance(cfg, DictConfig)
    names = [name for name in cfg.pop("defaults", []) if name != "_self_"]
    merged = OmegaConf.merge(*(_with_defaults(file.with_stem(name)) for name in names), cfg)
    assert isinstance(merged, DictConfig)
    return merged


def change(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy of `config` with other values; `values` maps dotted paths such as `model.layer_1.units`.

    `model` is one too: its value is the name of a file in conf/model, and it comes first.
    """
    changed = deepcopy(config)
    if "model" in values:
        changed.model = network_named(values["model"])
    for path, value in values.items():
        if path == "model":
            continue
        group, _, name = path.rpartition(".")
        section: Any = changed
        value = convert(path, value, type_of(path, type(changed.model)))
        for part in group.split(".") if group else ():
            section = getattr(section, part)
        setattr(section, name, value)
    _check_section(changed, "")
    return changed


def convert(path: str, value: Any, hint: Any) -> Any:
    """`value` as the declared type, else ConfigError; a whole number may stand for a number, nothing else does."""
    kind, optional = plain(hint)
    if value is None and optional:
        return None
    fits = isinstance(value, (int, float) if kind is float else kind) and isinstance(value, bool) == (kind is bool)
    if not fits:
        shown = "null" if value is None else f"{value!r} ({type(value).__name__})"
        raise ConfigError(f"{path}: found {shown}; must be {type_name(hint)}.")
    return float(value) if kind is float else value


def plain(hint: Any) -> tuple[type, bool]:
    """The type itself, and whether null is allowed: `Optional[int]` is (int, True)."""
    if get_origin(hint) in (Union, UnionType):
        return next(part for part in get_args(hint) if part is not type(None)), True
    return get_origin(hint) or hint, False


def type_name(hint: Any) -> str:
    """The type in words: `Optional[int]` is "a whole number or null"."""
    kind, optional = plain(hint)
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", list: "a list"}
    return names.get(kind, kind.__name__) + (" or null" if optional else "")


def _check_section(section: Any, at: str) -> None:
    for field in fields(section):
        value = getattr(section, field.name)
        if is_dataclass(value):
            _check_section(value, _join(at, field.name))
    if hasattr(section, "check"):
        section.check(at)


def _refuse_unknown(cfg: Any, schema: type, network: type, at: str) -> None:
    hints = get_type_hints(schema)
    for key in cfg if isinstance(cfg, DictConfig) else ():
        path = _join(at, str(key))
        if key not in hints:
            raise ConfigError(_unknown(path, at, list(hints)))
        child = network if path == "model" else hints[key]
        if is_dataclass(child):
            if not isinstance(cfg._get_node(key), DictConfig):
                names = ", ".join(get_type_hints(child))
                raise ConfigError(f"{path}={cfg[key]}: is a group of settings, not one; it has {names}.")
            _refuse_unknown(cfg._get_node(key), child, network, path)


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _readable(error: OmegaConfBaseException, network: type) -> ConfigError:
    """OmegaConf's error as one sentence."""
    where = error.full_key or "the configuration"
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(f"{where}: has no value; give it one, as in {where}=VALUE.")
    if isinstance(error, ValidationError) and error.full_key:
        found = "null" if error.value is None else repr(error.value)
        return ConfigError(f"{where}: found {found}; must be {type_name(type_of(where, network))}.")
    return ConfigError(f"{where}: {str(error).splitlines()[0].rstrip('.')}.")


def _unknown(path: str, at: str, names: Sequence[str]) -> str:
    near = [_join(at, name) for name in get_close_matches(path.rpartition(".")[2], names, n=2)]
    mean = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    has = f"{at or 'the configuration'} has {', '.join(names)}" if names else f"{at} is a single value"
    return f"{path}: no such setting; {has}.{mean}"


def type_of(path: str, network: type) -> Any:
    """The declared type of the setting at a dotted path, for a network of that settings class.

    Raises ConfigError, with the nearest names, when there is no such setting.
    """
    hint: Any = Config
    at = ""
    if path == "model":
        return str  # the name of a file in conf/model, in a sweep over networks
    for part in path.split("."):
        hints = get_type_hints(hint) if is_dataclass(hint) else {}
        if part not in hints:
            raise ConfigError(_unknown(_join(at, part), at, list(hints)))
        at = _join(at, part)
        hint = network if at == "model" else hints[part]
    if is_dataclass(hint):
        raise ConfigError(f"{path}: is a group of settings; it has {', '.join(get_type_hints(hint))}.")
    return hint


def flatten(settings: Any, prefix: str = "") -> dict[str, Any]:
    """The settings of a dataclass as `{dotted path: value}`, in the order in which they are declared."""
    flat: dict[str, Any] = {}
    for field in fields(settings):
        value, path = getattr(settings, field.name), f"{prefix}{field.name}"
        flat |= flatten(value, f"{path}.") if is_dataclass(value) else {path: value}
    return flat


def to_yaml(config: Config) -> str:
    """All settings as YAML, in the order in which they are declared."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def from_yaml(text: str) -> dict[str, Any]:
    """What `to_yaml` wrote, as `{dotted path: value}`; `search.space` stays one value."""
    return _flat(OmegaConf.to_container(OmegaConf.create(text)), "")


def _flat(node: Any, at: str) -> dict[str, Any]:
    if not isinstance(node, dict) or at == "search.space":
        return {at: node}
    return {path: value for key, child in node.items() for path, value in _flat(child, _join(at, str(key))).items()}


def nested_yaml(settings: Mapping[str, Any]) -> str:
    """`{dotted path: value}` as YAML, one section in another."""
    tree = OmegaConf.create()
    for path, value in settings.items():
        OmegaConf.update(tree, path, value, force_add=True)
    return OmegaConf.to_yaml(tree)
