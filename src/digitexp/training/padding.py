"""Networks of different widths as one array: what is stacked, padded with 0, and taken apart again."""

from collections.abc import Sequence

import keras
import numpy as np

SHARED = "u_product"  # what Nadam remembers of no weight in particular: one number


def slots(model: keras.Model) -> list[dict[str, keras.Variable]]:
    """What the optimizer remembers of each parameter, by Keras' names: `layer_1_kernel_momentum` is "momentum" of a kernel.

    A number that it remembers of none in particular (Nadam's product of momenta) is given with each.
    """
    remembered = model.optimizer.variables[2:]  # after the count of steps and the learning rate
    shared = {SHARED: remembered[-1]} if remembered and remembered[-1].shape == () else {}
    stems = [f"{parameter.path.replace('/', '_')}_" for parameter in model.trainable_variables]
    return [
        {variable.name.removeprefix(stem): variable for variable in remembered if variable.name.startswith(stem)} | shared
        for stem in stems
    ]


def unpadded(widths: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """Which columns (lanes, 1, units) and which rows (lanes, units before, 1) of a layer's kernels are no padding."""
    before = widths[:, layer - 1] if layer else np.ones(len(widths), int)
    columns = np.arange(widths[:, layer].max()) < widths[:, layer, None]
    rows = np.arange(before.max()) < before[:, None]
    return columns[:, None, :], rows[:, :, None]


def stack(variables: Sequence[keras.Variable | None]) -> np.ndarray:
    """(lanes, rows, columns) of the lanes' matrices, vectors or numbers, padded with 0; None is all 0."""
    matrices = [np.zeros((1, 1), np.float32) if variable is None else np.atleast_2d(variable) for variable in variables]
    stacked = np.zeros((len(matrices), *np.max([matrix.shape for matrix in matrices], axis=0)), np.float32)
    for lane, matrix in zip(stacked, matrices, strict=True):
        lane[: matrix.shape[0], : matrix.shape[1]] = matrix
    return stacked


def stack_slots(lanes: Sequence[dict[str, keras.Variable]], weights: Sequence[keras.Variable]) -> dict[str, np.ndarray]:
    """The lanes' slots by name; one that is as large as the weights of its lane is padded as they are."""
    stacked = {name: stack([slots.get(name) for slots in lanes]) for name in sorted(set().union(*lanes))}
    shape = stack(weights).shape
    return {name: slot if name == SHARED else _pad(slot, shape) for name, slot in stacked.items()}


def _pad(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.pad(array, [(0, size - found) for size, found in zip(shape, array.shape, strict=True)])


def assign(padded: np.ndarray, variable: keras.Variable) -> None:
    """Give a variable of a network what is no padding."""
    rows, columns = np.atleast_2d(variable).shape
    variable.assign(padded[:rows, :columns].reshape(variable.shape))
