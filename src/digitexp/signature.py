"""Law 3: what a run is, as a short hash, so that no finished run is ever trained again.

In the hash is what decides the numbers of the run: its settings with those of absent layers removed, the bytes of its
data files, the text of functions that the user registered, the recipe in the code, and the minor versions of Keras and
TensorFlow. Where the files lie, what the sweep is called and how it is executed are outside. So are the versions of other
libraries, which are recorded beside a run: those of Keras and TensorFlow are in the hash of a baseline, which scikit-learn
fits, and scikit-learn's is not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from digitexp import registry
from digitexp.decisive import present
from digitexp.settings import PROPOSED, Config

# Raised whenever the same configuration would give other numbers than before.
RECIPE = 1

# Where files lie; their bytes decide.
PATHS = ("training.start", "data.path", "data.also.path", "data.test_labels", "data.writers", "data.drawn.images",
         "data.drawn.labels", "data.drawn.store")  # fmt: skip


def signature(config: Config, sources: Mapping[str, str]) -> str:
    """16 hexadecimal digits. `sources` maps the data's file names to the SHA-256 of their bytes."""
    return _hash(
        {
            "settings": {path: value for path, value in present(config).items() if path not in PATHS},
            "sources": sorted(sources.values()),
            "functions": _functions(config),
            "recipe": RECIPE,
            "versions": [".".join(_version(package).split(".")[:2]) for package in ("keras", "tensorflow")],
        }
    )


def contents(config: Config, sources: Mapping[str, str]) -> set[str]:
    """What stands behind the names in the settings: the digests of the files, and the text of functions of the user's."""
    return {*sources.values(), *_functions(config)}


def question(config: Config, sources: Mapping[str, str], varied: Sequence[str] = ()) -> str:
    """The hash of a whole sweep: what is asked, of which reference network, with which data.

    `varied` are the contents that the space brings beyond those of the reference.
    """
    search = config.search
    asked: dict[str, Any] = {name: getattr(search, name) for name in ("method", "objective", "repeats", "space")}
    if search.method == "hyperband":
        asked["factor"] = search.factor
    elif search.method in PROPOSED:
        asked["trials"] = search.trials
    if search.method in PROPOSED:
        asked["order"] = list(search.space)  # what is proposed depends on it
    if varied:
        asked["varied"] = list(varied)
    return _hash(asked | {"reference": signature(config, sources)})


@cache
def _version(package: str) -> str:
    """Read once: a sweep asks for every run."""
    return version(package)


def _functions(config: Config) -> list[str]:
    return [entry.source for entry in _chosen(config) if entry.source]


def _chosen(config: Config) -> list[registry.Entry]:
    return [
        registry.LOSSES[config.loss],
        registry.OPTIMIZERS[config.optimizer.name],
        registry.NETWORKS[config.model.kind],
        *(registry.METRICS[name] for name in config.evaluation.metrics),
    ]


def _hash(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
