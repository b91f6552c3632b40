"""What can be chosen by name: what Keras brings, and what you register yourself.

A file named in `extensions` registers a function of yours, which is then chosen and swept by its name:

    @digitexp.register("loss")
    def my_loss(y_true, y_pred): ...                        # as Keras calls it: (batch, classes) twice -> (batch,)

    @digitexp.register("optimizer")
    def my_sgd(learning_rate=0.1, momentum=0.5): ...        # -> keras.optimizers.Optimizer

    @digitexp.register("metric")
    def top_2(labels, probabilities): ...                   # (n,), (n, classes) -> float, larger is better

    @digitexp.register("network", settings=MySettings)      # a dataclass with a field `kind`
    def my_network(settings, inputs, classes): ...          # Keras input (28, 28) in 0..1 -> output (classes,)

Import Keras inside the function, so that a mistyped setting never waits for TensorFlow.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from digitexp.errors import ConfigError, TrainingError

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """One name that can be chosen. `build` is None for what Keras brings; `source` is the text of a user's function."""

    name: str
    settings: tuple[str, ...] = ()
    build: Callable[..., Any] | None = None
    schema: type | None = None
    source: str = ""

    def call(self, *arguments: Any, **settings: Any) -> Any:
        """What the user's function gives. Whatever goes wrong in it is a TrainingError: it ends its run, and no sweep."""
        assert self.build is not None
        try:
            return self.build(*arguments, **settings)
        except Exception as error:
            raise TrainingError(f"{self.name}, which you registered: {error!r}") from error


def _keras(*names: str) -> dict[str, Entry]:
    return {name: Entry(name) for name in names}


# Every optimizer of Keras takes these, and its own; tests hold the table against Keras' signatures.
_ANY_OPTIMIZER = (
    "learning_rate", "weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps",
)  # fmt: skip
_OWN_SETTINGS = {
    "adam": ("beta_1", "beta_2", "epsilon", "amsgrad"),
    "nadam": ("beta_1", "beta_2", "epsilon"),
    "sgd": ("momentum", "nesterov"),
    "adamax": ("beta_1", "beta_2", "epsilon"),
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adadelta": ("rho", "epsilon"),
    "ftrl": ("learning_rate_power", "initial_accumulator_value", "l1_regularization_strength",
             "l2_regularization_strength", "l2_shrinkage_regularization_strength", "beta"),
    "adamw": ("beta_1", "beta_2", "epsilon", "amsgrad"),
    "adafactor": ("beta_2_decay", "epsilon_1", "epsilon_2", "clip_threshold", "relative_step"),
    "lamb": ("beta_1", "beta_2", "epsilon"),
    "lion": ("beta_1", "beta_2"),
    "muon": ("adam_beta_1", "adam_beta_2", "adam_weight_decay", "adam_lr_ratio", "epsilon", "momentum", "ns_steps",
             "nesterov"),
}  # fmt: skip

OPTIMIZERS = {name: Entry(name, _ANY_OPTIMIZER + own) for name, own in _OWN_SETTINGS.items()}
LOSSES = _keras(
    "categorical_crossentropy", "mean_squared_error", "mean_absolute_error", "categorical_focal_crossentropy",
    "categorical_hinge", "kl_divergence", "poisson", "mean_squared_logarithmic_error", "log_cosh", "huber",
    "cosine_similarity", "binary_crossentropy", "binary_focal_crossentropy", "hinge", "squared_hinge", "dice",
    "tversky",
)  # fmt: skip
OF_WHOLE_BATCH = ("dice", "tversky")  # losses that are no mean over the images of a batch
ACTIVATIONS = _keras(
    "relu", "sigmoid", "tanh", "elu", "selu", "gelu", "silu", "softplus", "softsign", "leaky_relu", "relu6", "mish",
    "hard_sigmoid", "hard_silu", "hard_tanh", "celu", "exponential", "linear", "log_sigmoid", "squareplus",
)  # fmt: skip
METRICS = _keras("accuracy", "loss", "auc")
NETWORKS: dict[str, Entry] = {}  # config.py adds `dense` and `cnn`

KINDS = {"loss": LOSSES, "optimizer": OPTIMIZERS, "metric": METRICS, "network": NETWORKS}


def register(kind: str, name: str | None = None, *, settings: type | None = None) -> Callable[[Function], Function]:
    """Register the decorated function as a loss, optimizer, metric or network, by its own name or the one given.

    Raises ConfigError when the kind is unknown, or the name is already that of something else.
    """
    if kind not in KINDS:
        raise ConfigError(f"register: no such kind {kind!r}; allowed are {', '.join(KINDS)}.")
    if kind == "network" and settings is None:
        raise ConfigError("register: a network needs settings=DATACLASS with its settings, `kind` among them.")

    def add(function: Function) -> Function:
        chosen = name or function.__name__
        parameters = tuple(inspect.signature(function).parameters) if kind == "optimizer" else ()
        entry = Entry(chosen, parameters, function, settings, inspect.getsource(function))
        known = KINDS[kind].get(chosen)
        if known and known.source != entry.source:
            raise ConfigError(f"register: the {kind} {chosen!r} exists already; give yours a name of its own.")
        KINDS[kind][chosen] = entry
        return function

    return add


def load(extensions: Sequence[str]) -> None:
    """Import every file (`path/to/file.py`) or module (`package.module`), so that what it registers can be chosen."""
    for extension in extensions:
        try:
            _load_file(Path(extension)) if extension.endswith(".py") else importlib.import_module(extension)
        except ConfigError:
            raise
        except Exception as error:  # a user's file may fail in any way
            raise ConfigError(
                f"extensions: {extension!r} cannot be imported: {type(error).__name__}: {error}. "
                "Give the path of a Python file or the name of an installed module."
            ) from error


def _load_file(path: Path) -> None:
    name = f"digitexp_extension_{path.resolve().as_posix().replace('/', '_').removesuffix('.py')}"
    if name in sys.modules:
        return
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError("not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
