"""The Python API: what the command line does, as a DataFrame."""

import subprocess
import sys

import pytest

import digitexp


@pytest.mark.slow
def test_run_gives_the_ranked_table(tmp_path):
    overrides = [f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", "data.limit=150", "training.epochs=1"]
    table = digitexp.run("dense_losses", overrides)
    assert list(table["rank"]) == [1, 2, 3]
    assert set(table["loss"]) == {"categorical_crossentropy", "mean_squared_error", "mean_absolute_error"}
    assert (table["val/accuracy.low"] <= table["val/accuracy"]).all()
    assert (table["val/accuracy"] <= table["val/accuracy.high"]).all()
    assert table["val/accuracy"].is_monotonic_decreasing
    assert digitexp.run("dense_losses", overrides).equals(table)


def test_what_is_refused_is_an_error_of_ours():
    with pytest.raises(digitexp.DigitexpError, match=r"Did you mean 'cnn_optimizers'"):
        digitexp.run("cnn_optimzers")


def test_the_public_names_are_sorted_and_complete():
    assert digitexp.__all__ == sorted(digitexp.__all__)
    assert {name for name in vars(digitexp) if name in ("run", "register", "DigitexpError")} == set(digitexp.__all__)


def test_importing_it_is_light():
    code = "import sys, digitexp; print([name for name in ('hydra', 'keras', 'mlflow', 'pandas', 'tensorflow') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
