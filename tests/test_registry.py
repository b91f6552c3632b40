"""Your own loss, optimizer and metric: registered in a file, chosen and swept by name."""

from pathlib import Path

import numpy as np
import pytest

from digitexp import experiment, registry
from digitexp.compose import compose
from digitexp.models import network
from digitexp.planning import plan

ROOT = Path(__file__).parents[1]
OWN_LOSS = f"extensions=[{ROOT}/docs/own_loss.py]"


def test_seed_003s_loss_is_the_mean_absolute_error():
    import keras

    rng = np.random.default_rng(0)
    truth, probabilities = np.eye(10, dtype="float32"), rng.dirichlet(np.ones(10), 10).astype("float32")
    ours = network.loss(compose([OWN_LOSS, "loss=seed003_mean_absolute_error"]))(truth, probabilities)
    assert np.allclose(ours, keras.losses.mean_absolute_error(truth, probabilities))


@pytest.mark.slow
def test_your_own_loss_optimizer_and_metric_are_swept_by_name(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        "import digitexp\n\n"
        "@digitexp.register('optimizer')\n"
        "def heavy_ball(learning_rate=0.05, momentum=0.9):\n"
        "    import keras\n"
        "    return keras.optimizers.SGD(learning_rate, momentum)\n\n"
        "@digitexp.register('metric')\n"
        "def top_2(labels, probabilities):\n"
        "    return (probabilities.argsort(axis=1)[:, -2:] == labels[:, None]).any(axis=1).mean()\n"
    )
    config = compose([
        f"tracking.uri=sqlite:///{tmp_path}/mlflow.db", f"extensions=[{file},{ROOT}/docs/own_loss.py]",
        "search.name=own", "data.limit=150", "training.epochs=1", "evaluation.metrics=[top_2]", "search.objective=val/top_2",
        "search.space={optimizer.name:[adam,heavy_ball],loss:[categorical_crossentropy,seed003_mean_absolute_error]}",
    ])  # fmt: skip
    outcome = experiment.run(plan(config))
    assert (outcome.trained, outcome.failed) == (4, 0)
    assert [row.value for row in outcome.rows] == sorted((row.value for row in outcome.rows), reverse=True)
    assert all(row.scored.mean("test/top_2") >= row.scored.mean("test/accuracy") for row in outcome.rows)
    del registry.OPTIMIZERS["heavy_ball"], registry.METRICS["top_2"]
    del registry.LOSSES["seed003_mean_absolute_error"]
