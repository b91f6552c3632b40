"""Read every image by a classifier that has not seen it, quickly enough for all of MNIST on two cores.

Directions of strokes in places of the image (after Dalal and Triggs 2005), random Fourier features of them (Rahimi and
Recht 2007), ridge regression on the classes, and a temperature that makes probabilities of its scores (Guo et al. 2017).
It was chosen by measurement: of 60,000 images it misreads fewer than a dense network or the nearest neighbours do, and it
needs neither TensorFlow nor many epochs, so that it can be asked twice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

FOLDS = 4
DIRECTIONS, CELLS = 8, 7  # of strokes; places in a row and in a column
FEATURES = 1000
RIDGE = 0.1
AT_ONCE = 1000  # images

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


def read(
    images: Images, labels: Labels, classes: int, learnt: NDArray[np.bool_], alike: NDArray[np.int64], seed: int = 0
) -> Floats:
    """Probabilities `(n, classes)` float32 of images `(n, 28, 28)`, each read by what was learnt from other images.

    Only the labels of the `learnt` images are learnt from; where there are none, every class is as probable. Images that
    are `alike` (equal numbers, from 0) are always in the same fold, so that no copy tells of an image. Raises ValueError
    for fewer than two images.
    """
    from sklearn.kernel_approximation import RBFSampler
    from sklearn.linear_model import Ridge

    if len(images) < 2:
        raise ValueError(f"images: found {len(images)}, allowed are 2 or more, to read each by the others")
    rng = np.random.default_rng(seed)
    folds = rng.permutation(alike.max() + 1)[alike] % min(FOLDS, len(np.unique(alike)))
    features = RBFSampler(gamma=1.0, n_components=FEATURES, random_state=seed).fit_transform(strokes(images))
    targets = 2 * np.eye(classes, dtype=np.float32)[labels] - 1
    scores = np.zeros((len(images), classes), np.float32)
    for fold in range(FOLDS):
        rows = learnt & (folds != fold)
        if rows.any() and (folds == fold).any():
            model = Ridge(alpha=RIDGE, solver="cholesky").fit(features[rows], targets[rows])
            scores[folds == fold] = model.predict(features[folds == fold])
    return softmax(scores * _sharpness(scores[learnt], labels[learnt]), axis=1)


def strokes(images: Images) -> Floats:
    """How strongly the edges in each place point in each direction: `(n, 392)` float32, of length 1 where there is ink."""
    side = images.shape[1]
    step = side // CELLS
    centres = (np.arange(CELLS) + 0.5) * step - 0.5
    window = np.maximum(0, 1 - np.abs(np.arange(side) - centres[:, None]) / step).astype(np.float32)  # (7, side)
    angles = 2 * np.pi * np.arange(DIRECTIONS, dtype=np.float32) / DIRECTIONS
    found = np.empty((len(images), DIRECTIONS, CELLS, CELLS), np.float32)
    for first in range(0, len(images), AT_ONCE):
        grey = images[first : first + AT_ONCE].astype(np.float32) / 255
        across, down = np.zeros_like(grey), np.zeros_like(grey)
        across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
        down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
        for index, angle in enumerate(angles):
            along = np.maximum(0, np.cos(angle) * across + np.sin(angle) * down)
            found[first : first + AT_ONCE, index] = window @ along @ window.T
    flat = np.sqrt(found.reshape(len(images), -1))
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _sharpness(scores: Floats, labels: Labels) -> float:
    """One by the temperature under which the labels are most probable."""
    if not len(labels):
        return 1.0

    def surprise(log: float) -> float:
        return float(-log_softmax(scores * np.exp(log), axis=1)[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-1.0, 4.0), method="bounded").x))
