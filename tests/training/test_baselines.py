"""Baselines are scikit-learn's own, on grey values as shares, with a probability for each class."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from digitexp.compose import compose
from digitexp.data.sets import load
from digitexp.settings import ESTIMATORS
from digitexp.training.baselines import fit

SETS = load(compose(["data.limit=400"]).data)
THEIRS = {
    "logistic_regression": LogisticRegression(max_iter=200),
    "knn": KNeighborsClassifier(3),
    "random_forest": RandomForestClassifier(10, random_state=7),
    "svm": SVC(C=1.0),
}


def predict_by(estimator, digits=SETS["train"]):
    return fit(compose(["model=baseline", f"model.estimator={estimator}", "model.trees=10"]).model, digits, seed=7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_it_is_scikit_learns_own(estimator):
    train, test = SETS["train"], SETS["test"]
    said = predict_by(estimator)(test.images)
    theirs = THEIRS[estimator].fit(train.images.reshape(-1, 784).astype(np.float32) / 255, train.labels)
    features = test.images.reshape(-1, 784).astype(np.float32) / 255
    assert np.mean(said.argmax(axis=1) == theirs.predict(features)) > 0.995  # a tie of votes may be read either way
    if hasattr(theirs, "predict_proba"):
        assert said == pytest.approx(theirs.predict_proba(features), abs=1e-5)
    assert said.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.mean(said.argmax(axis=1) == test.labels) > 0.8


def test_a_class_without_images_is_never_read():
    train = SETS["train"]
    said = predict_by("knn", train.take(train.labels != 4))(SETS["test"].images)
    assert said.shape[1] == 10
    assert (said[:, 4] == 0).all()
