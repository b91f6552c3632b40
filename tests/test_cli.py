"""The command as a person types it: exit codes, what is on the screen, what is written, and how long it takes."""

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from digitexp import cli
from digitexp.compose import sweeps
from digitexp.tracking.store import open_store

ROOT = Path(__file__).parents[1]
QUICK = ["data.limit=150", "training.epochs=2"]
SWEEP = ["+sweep=dense_losses", *QUICK]


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "digitexp", *words],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "120"},
    )  # fmt: skip


def digitexp(folder, *words):
    """Exit code, output, errors."""
    process = start(folder, *words)
    output, errors = process.communicate(timeout=600)
    return process.returncode, output, errors


def cpu_seconds(folder, *words):
    """CPU time of a command, the least of three: the machine is shared."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert digitexp(folder, *words)[0] == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A folder in which a sweep was run, and what was on the screen."""
    folder = tmp_path_factory.mktemp("answered")
    return folder, digitexp(folder, *SWEEP)


def runs(folder):
    client = open_store(f"sqlite:///{folder}/mlruns/mlflow.db").client
    return client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])


def table(output):
    """The ranked table without the seconds."""
    lines = output.splitlines()
    first = next(number for number, line in enumerate(lines) if "val/accuracy*" in line)
    rows = lines[first + 1 : next(number for number, line in enumerate(lines) if line.startswith("Ranges"))]
    return [row.split()[:-1] for row in rows]


def test_help_lists_every_verb_and_every_sweep_with_its_question(tmp_path):
    code, output, errors = digitexp(tmp_path, "--help")
    assert (code, errors) == (0, "")
    for verb in cli.VERBS:
        assert re.search(rf"^  {verb} ", output, re.MULTILINE)
    for name, question in sweeps().items():
        assert name in output
        assert question.split()[-1] in output
    assert list(tmp_path.iterdir()) == []


def test_the_light_commands_are_quick(tmp_path, answered):
    assert cpu_seconds(tmp_path, "--help") < 1
    assert cpu_seconds(tmp_path, "plan", "+sweep=cnn_optimizers") < 2
    assert cpu_seconds(answered[0], "plan", "+sweep=cnn_optimizers") < 4
    assert list(tmp_path.iterdir()) == []


def test_plan_imports_neither_tensorflow_nor_scikit_learn(answered):
    code = (
        "import sys; from digitexp.cli import main; main(['plan', '+sweep=dense_losses']);"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=answered[0], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_a_sweep_from_plan_to_table(answered):
    folder, (code, output, errors) = answered
    assert (code, errors) == (0, "")
    assert output.startswith("dense_losses  Which loss trains the dense network best?\n")
    assert "3 trials x 1 seed = 3 runs: 0 finished, 3 to train" in output
    assert re.search(r"^3/3  loss=\w+ seed=1  val/accuracy 0\.\d{4}  \d", output, re.MULTILINE)
    assert len(table(output)) == 3
    assert "models:/digitexp.dense_losses@best" in output
    assert max(map(len, output.splitlines())) <= 120
    assert sorted(path.name for path in folder.iterdir()) == ["mlruns"]
    assert [run.info.status for run in runs(folder)] == ["FINISHED"] * 4


@pytest.mark.slow
def test_again_it_trains_nothing_and_shows_the_same_table(answered):
    folder, (_, first, _) = answered
    code, output, errors = digitexp(folder, *SWEEP)
    assert (code, errors) == (0, "")
    assert "3 runs: 3 finished, 0 to train" in output
    assert "0 trained, 3 finished before" in output
    assert table(output) == table(first)


def test_plan_knows_what_is_finished_and_what_it_cost(answered):
    code, output, _ = digitexp(answered[0], "plan", *SWEEP, "search.repeats=2")
    assert code == 0
    assert "3 trials x 2 seeds = 6 runs: 3 finished, 3 to train" in output
    assert "(from recorded runs)" in output


@pytest.mark.slow
def test_report_writes_its_files_and_says_the_answer(answered):
    folder, (_, screen, _) = answered
    code, output, errors = digitexp(folder, "report", *SWEEP, f"report.folder={folder.name}.reports")
    assert (code, errors) == (0, "")
    written = folder / f"{folder.name}.reports" / "dense_losses"
    files = [line for line in output.splitlines() if line.startswith(f"{folder.name}.reports/")]
    assert sorted(Path(file).name for file in files) == sorted(path.name for path in written.iterdir())
    assert "this is one seed" in " ".join(output.split())
    page = (written / "index.html").read_text().replace("<wbr>", "")
    for row in table(screen):
        assert row[1] in page
        assert all(number in page for number in row if re.fullmatch(r"0\.\d{4}", number))


@pytest.mark.slow
def test_report_imports_no_tensorflow(answered, tmp_path):
    code = (
        f"import sys; from digitexp.cli import main; main(['report', 'report.folder={tmp_path}']);"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=answered[0], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


REFUSED = {
    "a misspelt key": ["training.epoch=3"],
    "a misspelt key behind a plus": ["+training.epoch=3"],
    "a wrong type": ["training.epochs=many"],
    "an empty list": ["search.space={optimizer.name:[]}"],
    "mixed types": ["search.space={optimizer.name:[adam,3]}"],
    "seed zero": ["seed=0"],
    "an unknown sweep": ["+sweep=nothing"],
    "an unknown verb": ["trian"],
    "a verb that does not come first": ["+sweep=cnn_optimizers", "plan"],
    "an empty name to promote": ["promote", ""],
    "an unknown group": ["data=nothing"],
    "a missing file": ["data=mnist", "data.path=missing.npz"],
    "a truncated file": ["data=mnist", "data.path={truncated}"],
    "a foreign file": ["data=mnist", "data.path={foreign}"],
    "an objective that the data cannot give": ["+sweep=cnn_optimizers", "search.objective=drawn/accuracy"],
    "nothing is chosen by the test set": ["+sweep=cnn_optimizers", "search.objective=test/accuracy"],
    "no pixels left": ["model=cnn", "model.conv_1.kernel_size=28", "model.conv_2.kernel_size=3"],
    "a store of an unknown kind": ["tracking.uri=file:///tmp/x"],
    "no store for the pages": ["ui"],
    "no store for a report": ["report", "+sweep=cnn_optimizers"],
    "no store for a report of a sweep by its name": ["report", "cnn_optimizers"],
    "no file for a report": ["report", "report.runs=missing.csv"],
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    images, labels = np.zeros((20, 28, 28), np.uint8), np.zeros(20, np.uint8)
    np.savez(folder / "whole.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    whole = (folder / "whole.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(folder / "foreign.npz", pictures=images)
    return {"truncated": folder / "truncated.npz", "foreign": folder / "foreign.npz"}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_sentence_with_nothing_written(case, tmp_path, files):
    code, output, errors = digitexp(
        tmp_path, *(word.format(**files) if "{" in word and "space" not in word else word for word in REFUSED[case])
    )
    assert (code, output) == (2, "")
    assert re.match(r"\w+Error: .+\.$|\w+Error: .+\?$", errors.strip())
    assert len(errors.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_winner_alone(answered):
    """`best=SWEEP` is the winner's configuration: known already as it is, trained with another seed."""
    folder, _ = answered
    code, _, errors = digitexp(folder, "run", "best=dense_losses")
    assert code == 2
    assert "type digitexp report search.name=dense_losses first" in errors
    assert digitexp(folder, "report", "search.name=dense_losses")[0] == 0
    code, output, errors = digitexp(folder, "run", "best=dense_losses")
    assert (code, errors) == (0, "")
    assert "0 trained, 1 taken from other questions" in output
    assert "1 run: 0 finished, 1 to train" in digitexp(folder, "plan", "best=dense_losses", "seed=2")[1]


def test_hydras_own_flags(tmp_path):
    code, output, _ = digitexp(tmp_path, "--cfg", "job", "seed=7")
    assert code == 0
    assert "seed: 7" in output
    code, output, errors = digitexp(tmp_path, "plan", "--multirun", "training.epochs=1,2")
    assert (code, errors) == (0, "")
    assert output.count("1 trial x 1 seed = 1 run") == 2


@pytest.mark.slow
def test_a_failed_run_gives_exit_code_1(tmp_path):
    space = "search.space={optimizer.learning_rate:[0.01,1e30]}"
    words = [
        "search.name=failing",
        "optimizer.name=sgd",
        "loss=mean_squared_logarithmic_error",
        "model.layer_1.activation=linear",
    ]
    code, output, _ = digitexp(tmp_path, space, *words, *QUICK)
    assert code == 1
    assert "1 failed" in output
    assert output.count("the training loss is") == 2  # when it happened, and in the table


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again(tmp_path, answered):
    """kill -9 after the first run: only what is missing is trained, the table is that of an undisturbed sweep."""
    process = start(tmp_path, *SWEEP)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("1/3"):
            time.sleep(0.7)  # into the second run
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "RUNNING" in {run.info.status for run in runs(tmp_path)}
    code, output, _ = digitexp(tmp_path, *SWEEP)
    assert code == 0
    trained = int(re.search(r"(\d) trained", output)[1])
    assert 1 <= trained <= 2
    assert table(output) == table(answered[1][1])
    states = pd.Series([run.info.status for run in runs(tmp_path)]).value_counts().to_dict()
    assert "RUNNING" not in states
    assert states["FINISHED"] == 4


@pytest.mark.slow
def test_ctrl_c_gives_exit_code_130(tmp_path):
    process = start(tmp_path, *SWEEP)
    for line in process.stdout:
        if line.startswith("1/3"):
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on from there" in errors
    assert "RUNNING" not in {run.info.status for run in runs(tmp_path)}


@pytest.mark.slow
def test_real_mnist_goes_the_same_way(tmp_path, mnist):
    words = ["+sweep=cnn_optimizers", "data=mnist", f"data.path={mnist}", "data.limit=300", "training.epochs=1",
             "training.batch_size=64", "tracking.pictures=best"]  # fmt: skip
    code, output, errors = digitexp(tmp_path, *words)
    assert (code, errors) == (0, "")
    assert len(table(output)) == 8
    found = runs(tmp_path)
    assert len([run for run in found if "mlflow.parentRunId" in run.data.tags]) == 8
    assert {run.inputs.dataset_inputs[0].dataset.name.split("-")[0] for run in found if run.inputs.dataset_inputs} == {
        "mnist"
    }


def test_every_command_in_the_readme_plans(tmp_path, mnist):
    text = (ROOT / "README.md").read_text()
    text = re.sub(r"\.\./shared/data/mnist\.npz|\bFILE\b", str(mnist), text)
    commands = re.findall(r"^(?:    |\$ )?python -m digitexp ([^#\n]*)", text, re.MULTILINE)
    assert len(commands) >= 4
    for command in commands:
        words = [word for word in shlex.split(command) if "=" in word or word.startswith("-")]  # no verb, no subject of it
        code, _, errors = digitexp(tmp_path, "plan", *words)
        assert (code, errors) == (0, ""), command
