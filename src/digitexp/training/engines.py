"""Which engine trains a run: decided by its configuration alone, so that the same run has the same numbers anywhere.

Needs no TensorFlow: a plan says which engine it will be, and the signature of a run is that of the engine that trains it.
"""

from digitexp import registry
from digitexp.config import change
from digitexp.data.sets import size
from digitexp.settings import Config, Dense

# Images times epochs from which a dense network is worth the 3 to 5 seconds in which XLA compiles its program.
WORTH_COMPILING = 300_000

OPTIMIZERS = ("adam", "adamw", "nadam", "sgd", "adamax", "rmsprop", "adagrad", "adadelta", "ftrl", "lion")
_UNSUPPORTED = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")


def resolve(config: Config) -> Config:
    """`config` with the engine that will train it: Keras for what cannot be a lane, and with `auto` for what is short."""
    engine = config.training.engine
    if engine == "keras":
        return config
    long = engine == "lanes" or size(config.data) * config.training.epochs >= WORTH_COMPILING
    chosen = "lanes" if long and supported(config) else "keras"
    return config if chosen == engine else change(config, {"training.engine": chosen})


def supported(config: Config) -> bool:
    """Whether `config` can be a lane: a dense network with Keras' losses and the optimizers that lanes know."""
    return (
        isinstance(config.model, Dense)
        and config.optimizer.name in OPTIMIZERS
        and registry.LOSSES[config.loss].build is None
        and config.loss not in registry.OF_WHOLE_BATCH
        and config.training.class_weights == "none"
        and not any(name in config.optimizer.settings for name in _UNSUPPORTED)
    )
