"""Settings of the networks, one class a kind, and of the baselines, which are none."""

from dataclasses import dataclass
from typing import Optional

from omegaconf import MISSING

from digitexp import registry
from digitexp.settings.checks import choose, require

# ruff: noqa: UP045  (OmegaConf reads `Optional[int]` in a schema in every version, `int | None` only in the newest)

NORMALIZATION = ("before", "after")  # where batch normalisation stands: before or after the activation


@dataclass
class Layer:
    """A dense layer; `units: 0` means that it is absent."""

    units: int = MISSING
    activation: str = MISSING
    dropout: float = MISSING

    def check(self, at: str) -> None:
        require(self.units >= 0, f"{at}.units", self.units, "a number of neurons, 0 for no such layer")
        _check_layer(self, at)


@dataclass
class Head(Layer):
    """A dense layer after the convolutions; `units: 0` means that it is absent."""

    batch_normalization: bool = MISSING
    normalization: str = MISSING

    def check(self, at: str) -> None:
        super().check(at)
        choose(f"{at}.normalization", self.normalization, dict.fromkeys(NORMALIZATION))


@dataclass
class Convolution:
    """A convolution, then pooling and dropout; `filters: 0` means that all of it is absent, `pool: 0` its pooling."""

    filters: int = MISSING
    kernel_size: int = MISSING
    strides: int = MISSING
    padding: str = MISSING
    activation: str = MISSING
    pool: int = MISSING
    pooling: str = MISSING
    dropout: float = MISSING
    batch_normalization: bool = MISSING
    normalization: str = MISSING

    def check(self, at: str) -> None:
        require(self.filters >= 0, f"{at}.filters", self.filters, "a number of filters, 0 for no such layer")
        require(1 <= self.kernel_size <= 28, f"{at}.kernel_size", self.kernel_size, "pixels, from 1 to 28")
        require(1 <= self.strides <= 28, f"{at}.strides", self.strides, "pixels, from 1 to 28")
        choose(f"{at}.padding", self.padding, dict.fromkeys(["valid", "same"]))
        choose(f"{at}.pooling", self.pooling, dict.fromkeys(["max", "average"]))
        choose(f"{at}.normalization", self.normalization, dict.fromkeys(NORMALIZATION))
        require(self.pool == 0 or 2 <= self.pool <= 28, f"{at}.pool", self.pool, "pixels, from 2 to 28, or 0 for no pooling")
        _check_layer(self, at)


def _check_layer(layer: Layer | Convolution, at: str) -> None:
    choose(f"{at}.activation", layer.activation, registry.ACTIVATIONS)
    require(0 <= layer.dropout < 1, f"{at}.dropout", layer.dropout, "a share from 0 to below 1")


@dataclass
class Dense:
    """Dense layers on the 784 pixels, then one output per class."""

    kind: str = MISSING
    layer_1: Layer = MISSING
    layer_2: Layer = MISSING
    layer_3: Layer = MISSING
    layer_4: Layer = MISSING


@dataclass
class Cnn:
    """Convolutions, a dense head, then one output per class; `global_pooling` leaves the head one number a filter."""

    kind: str = MISSING
    conv_1: Convolution = MISSING
    conv_2: Convolution = MISSING
    conv_3: Convolution = MISSING
    conv_4: Convolution = MISSING
    conv_5: Convolution = MISSING
    conv_6: Convolution = MISSING
    global_pooling: str = MISSING
    head_1: Head = MISSING
    head_2: Head = MISSING
    head_3: Head = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.global_pooling", self.global_pooling, dict.fromkeys(["none", "average", "max"]))


# The settings that a baseline has; the others change nothing.
ESTIMATORS: dict[str, tuple[str, ...]] = {
    "logistic_regression": ("C",),
    "svm": ("C", "gamma"),
    "knn": ("neighbors",),
    "random_forest": ("trees",),
}


@dataclass
class Baseline:
    """No neural network: one of scikit-learn's classifiers, fitted to the training images once; it spelt the settings."""

    kind: str = MISSING
    estimator: str = MISSING
    C: float = MISSING
    gamma: Optional[float] = MISSING
    neighbors: int = MISSING
    trees: int = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.estimator", self.estimator, ESTIMATORS)
        require(self.C > 0, f"{at}.C", self.C, "a number above 0")
        require(self.gamma is None or self.gamma > 0, f"{at}.gamma", self.gamma, "a number above 0, or null for its default")
        require(self.neighbors >= 1, f"{at}.neighbors", self.neighbors, "a number of images from 1")
        require(self.trees >= 1, f"{at}.trees", self.trees, "a number of trees from 1")


registry.NETWORKS["dense"] = registry.Entry("dense", schema=Dense)
registry.NETWORKS["cnn"] = registry.Entry("cnn", schema=Cnn)
registry.NETWORKS["baseline"] = registry.Entry("baseline", schema=Baseline)
