"""What `auto` stands for: which engine trains a run, and with which numbers. Decided by rule, not by timing.

The engine follows from the configuration alone; the precision from the processor too, since bfloat16 is slower where there
are no units for it. Needs no TensorFlow: a plan says what it will be, and that is what the signature of a run is made of.
"""

from functools import cache
from pathlib import Path

from digitexp import registry
from digitexp.config import change
from digitexp.data.sets import size
from digitexp.settings import FLOAT32, MIXED, Config

# Images times epochs from which a dense network is worth the 3 to 5 seconds in which XLA compiles its program.
WORTH_COMPILING = 300_000

OPTIMIZERS = ("adam", "adamw", "nadam", "sgd", "adamax", "rmsprop", "adagrad", "adadelta", "ftrl", "lion")
_UNSUPPORTED = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")


def resolve(config: Config) -> Config:
    """`config` with what will train it in the place of `auto`; `lanes` is Keras for what cannot be a lane."""
    training = config.training
    precision = training.precision
    if precision == "auto":
        precision = MIXED if config.model.kind == "cnn" and has_bfloat16_units() else FLOAT32
    if (training.engine, training.precision) != ("keras", precision):
        config = change(config, {"training.engine": _engine(config), "training.precision": precision})
    return config


def _engine(config: Config) -> str:
    """Keras for what cannot be a lane, and with `auto` for what is short."""
    engine = config.training.engine
    long = engine == "lanes" or (engine == "auto" and size(config.data) * config.training.epochs >= WORTH_COMPILING)
    return "lanes" if long and supported(config) else "keras"


@cache
def has_bfloat16_units() -> bool:
    """Whether the processor multiplies matrices of bfloat16 by itself (AMX); unknown is no."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:  # no Linux
        return False


def supported(config: Config) -> bool:
    """Whether `config` can be a lane: a dense network with Keras' losses and the optimizers that lanes know."""
    return (
        config.model.kind == "dense"
        and config.optimizer.name in OPTIMIZERS
        and registry.LOSSES[config.loss].build is None
        and config.loss not in registry.OF_WHOLE_BATCH
        and config.training.plain
        and config.training.precision != MIXED
        and not any(name in config.optimizer.settings for name in _UNSUPPORTED)
    )
