"""Shell completion, asked the way bash asks: by the function that `digitexp -sc install=bash` defines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from digitexp.compose import sweeps

FOLDER = Path(sys.executable).parent
TAB = """
eval "$(digitexp -sc install=bash)"
COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}
read -ra COMP_WORDS <<< "$COMP_LINE"; [[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
hydra_bash_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")


def complete(line, folder):
    environment = os.environ | {"PATH": f"{FOLDER}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", "--norc", "-c", TAB, "bash", line]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


CASES = {
    "digitexp ": {"run", "plan", "ui", "model=", "data=", "training.", "seed="},
    "digitexp pl": {"plan"},
    "digitexp plan +sweep=dense_n": {"+sweep=dense_neurons"},
    "digitexp +sweep=cnn_o": {"+sweep=cnn_optimizers", "+sweep=cnn_optimizers_tuned"},
    "digitexp +sw": {f"+sweep={name}" for name in sweeps()},
    "digitexp +re": {"+recipe=seed000", "+recipe=seed004"},
    "digitexp model=": {"model=dense", "model=cnn"},
    "digitexp plan model=cnn model.conv_1.f": {"model.conv_1.filters="},
    "digitexp +sweep=dense_neurons training.": {"training.epochs=", "training.batch_size="},
}


@pytest.mark.parametrize("line", CASES)
def test_tab_in_bash(line, tmp_path):
    found = complete(line, tmp_path)
    assert CASES[line] <= set(found)
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
def test_tab_in_fish(tmp_path):
    environment = os.environ | {"PATH": f"{FOLDER}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = "digitexp -sc install=fish | source; complete -C 'digitexp plan +sweep=dense_n'"
    done = subprocess.run(["fish", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["+sweep=dense_neurons"]
