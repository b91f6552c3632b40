"""docs/sweep.ipynb runs from its first cell to its last, and is committed with the outputs of such a run."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FILE = Path(__file__).parents[1] / "docs" / "sweep.ipynb"


@pytest.fixture
def notebook():
    return nbformat.read(FILE, as_version=4)


def texts(notebook):
    """What every code cell has printed or shown as text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    return [output.get("text") or output.data["text/plain"] for output in outputs]


def test_it_is_committed_with_its_outputs_and_nothing_of_the_machine(notebook):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
    assert texts(notebook)
    assert not re.search(r"/(home|root|tmp|Users|work)/|Warning", FILE.read_text())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::(jupyter_client|nbclient|zmq|traitlets)")
def test_it_runs(notebook, tmp_path):
    committed = texts(notebook)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    assert len(texts(notebook)) == len(committed)
