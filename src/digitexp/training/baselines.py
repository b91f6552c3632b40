"""Methods that are no neural networks, by scikit-learn, on the 784 grey values as shares: what a network has to beat."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digitexp.data.digits import Digits
from digitexp.settings import Baseline

Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
ITERATIONS = 200  # of logistic regression; more change the third digit after the point at most


def fit(model: Baseline, digits: Digits, seed: int) -> Predict:
    """Fit to images (n, 28, 28) uint8; gives a function from such images to probabilities (n, classes).

    Those of the support vector machine are the softmax of its distances from the borders: their order is right, their
    size is not calibrated.
    """
    from sklearn.exceptions import ConvergenceWarning

    estimator = _estimator(model, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(_features(digits.images), digits.labels)

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = np.zeros((len(images), len(digits.classes)), np.float32)
        found[:, estimator.classes_] = _probabilities(estimator, _features(images))
        return found

    return predict


def _features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(images.reshape(len(images), -1) / 255, np.float32)


def _estimator(model: Baseline, seed: int) -> Any:
    if model.estimator == "logistic_regression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=model.C, max_iter=ITERATIONS)
    if model.estimator == "svm":
        from sklearn.svm import SVC

        return SVC(C=model.C, gamma="scale" if model.gamma is None else model.gamma, cache_size=1000)
    if model.estimator == "knn":
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(model.neighbors)
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(model.trees, random_state=seed, n_jobs=-1)


def _probabilities(estimator: Any, features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(features)
    distances = estimator.decision_function(features)
    powers = np.exp(distances - distances.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
