"""Keras' optimizers as update rules on stacked weights: what `lanes` applies to many networks at once.

A rule is a function of (settings, step, slots, gradient, weights) that gives the new weights and the new slots.

    settings   float64 by name, as `network.used_settings` names them; one value a lane, in a shape that broadcasts
               against the weights, such as (lanes, 1, 1)
    step       float32 scalar, 1 at the first update
    slots      what the optimizer remembers, by Keras' names, each of the shape of the weights; those that no lane's
               optimizer has are absent

Formulas, order of operations and the place of epsilon are those of `keras/src/optimizers/`; a test holds every rule against
its class. Settings are float64 because Keras computes `1 - beta` in Python before it rounds to float32.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

Settings = Mapping[str, np.ndarray]
Slots = dict[str, tf.Tensor]
Rule = Callable[[Settings, tf.Tensor, Slots, tf.Tensor, tf.Tensor], tuple[tf.Tensor, Slots]]


def adam(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Kingma and Ba (2015), in the form with the bias corrections in the rate; AMSGrad after Reddi et al. (2018)."""
    rate = h["learning_rate"] * tf.sqrt(1 - _power(h["beta_2"], step)) / (1 - _power(h["beta_1"], step))
    m = slots["momentum"] + (g - slots["momentum"]) * (1 - h["beta_1"])
    v = slots["velocity"] + (tf.square(g) - slots["velocity"]) * (1 - h["beta_2"])
    new, scale = {"momentum": m, "velocity": v}, v
    if "velocity_hat" in slots:
        new["velocity_hat"] = tf.where(_as_mask(h["amsgrad"]), tf.maximum(slots["velocity_hat"], v), 0.0)
        scale = tf.where(_as_mask(h["amsgrad"]), new["velocity_hat"], v)
    return w - m * rate / (tf.sqrt(scale) + h["epsilon"]), new


def nadam(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Dozat (2016); `u_product` is the product of all momenta so far, one number a lane."""
    beta_1, beta_2 = (h[name].astype(np.float32) for name in ("beta_1", "beta_2"))  # this class of Keras rounds first
    momentum = beta_1 * (1 - 0.5 * tf.pow(0.96, step))
    next_momentum = beta_1 * (1 - 0.5 * tf.pow(0.96, step + 1))
    product = slots["u_product"] * momentum
    m = slots["momentum"] + (g - slots["momentum"]) * (1 - beta_1)
    v = slots["velocity"] + (tf.square(g) - slots["velocity"]) * (1 - beta_2)
    m_hat = next_momentum * m / (1 - product * next_momentum) + (1 - momentum) * g / (1 - product)
    v_hat = v / (1 - _power(h["beta_2"], step))
    new = {"momentum": m, "velocity": v, "u_product": product}
    return w - m_hat * h["learning_rate"] / (tf.sqrt(v_hat) + h["epsilon"]), new


def sgd(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Plain, with momentum, or with Nesterov's (Sutskever et al., 2013)."""
    change = g * h["learning_rate"]
    if "momentum" not in slots:
        return w - change, {}
    m = slots["momentum"] * h["momentum"] - change
    return w + tf.where(_as_mask(h["nesterov"]), m * h["momentum"] - change, m), {"momentum": m}


def adamax(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Kingma and Ba (2015), section 7.1: Adam with the infinity norm."""
    m = slots["momentum"] + (g - slots["momentum"]) * (1 - h["beta_1"])
    u = tf.maximum(h["beta_2"] * slots["norm"], tf.abs(g))
    change = h["learning_rate"] * m / ((1 - _power(h["beta_1"], step)) * (u + h["epsilon"]))
    return w - change, {"momentum": m, "norm": u}


def rmsprop(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Hinton (2012); centred after Graves (2013)."""
    v = h["rho"] * slots["velocity"] + (1 - h["rho"]) * tf.square(g)
    new, variance = {"velocity": v}, v
    if "average_gradient" in slots:
        mean = h["rho"] * slots["average_gradient"] + (1 - h["rho"]) * g
        new["average_gradient"] = tf.where(_as_mask(h["centered"]), mean, 0.0)
        variance = v - tf.square(new["average_gradient"])
    change = h["learning_rate"] * g / tf.sqrt(variance + h["epsilon"])
    if "momentum" in slots:
        change = new["momentum"] = h["momentum"] * slots["momentum"] + change
    return w - change, new


def adagrad(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Duchi, Hazan and Singer (2011)."""
    total = slots["accumulator"] + tf.square(g)
    return w - h["learning_rate"] * g / tf.sqrt(total + h["epsilon"]), {"accumulator": total}


def adadelta(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Zeiler (2012), with Keras' learning rate before it."""
    gradients = h["rho"] * slots["accumulated_grad"] + (1 - h["rho"]) * tf.square(g)
    change = -tf.sqrt(slots["accumulated_delta_var"] + h["epsilon"]) * g / tf.sqrt(gradients + h["epsilon"])
    changes = h["rho"] * slots["accumulated_delta_var"] + (1 - h["rho"]) * tf.square(change)
    return w + h["learning_rate"] * change, {"accumulated_grad": gradients, "accumulated_delta_var": changes}


def ftrl(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """McMahan et al. (2013), with l2 shrinkage."""
    rate, power, l1 = h["learning_rate"], -h["learning_rate_power"], h["l1_regularization_strength"]
    l2 = h["l2_regularization_strength"] + h["beta"] / (2 * rate)
    total = slots["accumulator"] + tf.square(g)
    sigma = (tf.pow(total, power) - tf.pow(slots["accumulator"], power)) / rate
    linear = slots["linear"] + g + 2 * h["l2_shrinkage_regularization_strength"] * w - sigma * w
    clipped = tf.clip_by_value(linear, np.float32(-l1), np.float32(l1))
    return (clipped - linear) / (tf.pow(total, power) / rate + 2 * l2), {"accumulator": total, "linear": linear}


def lion(h: Settings, step: tf.Tensor, slots: Slots, g: tf.Tensor, w: tf.Tensor) -> tuple[tf.Tensor, Slots]:
    """Chen et al. (2023)."""
    m = slots["momentum"]
    direction = tf.sign(m * h["beta_1"] + g * (1 - h["beta_1"]))
    return w - h["learning_rate"] * direction, {"momentum": m * h["beta_2"] + g * (1 - h["beta_2"])}


RULES: dict[str, Rule] = {
    "adam": adam,
    "adamw": adam,
    "nadam": nadam,
    "sgd": sgd,
    "adamax": adamax,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "ftrl": ftrl,
    "lion": lion,
}


def decay(h: Settings, w: tf.Tensor) -> tf.Tensor:
    """Decoupled weight decay, before the rule (Loshchilov and Hutter, 2019); none without the setting."""
    return w - w * (h["weight_decay"] * h["learning_rate"]) if np.any(h["weight_decay"]) else w


def _power(base: np.ndarray, step: tf.Tensor) -> tf.Tensor:
    return tf.pow(tf.constant(base, tf.float32), step)


def _as_mask(setting: np.ndarray) -> np.ndarray:
    return setting != 0
