"""The house: rooms import only from rooms above them, and a library only where docs/design.md names it."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "digitexp"

# In reading order. What a room may import besides NumPy, pandas and the standard library.
ROOMS = {
    "errors": set(),
    "registry": set(),
    "settings": {"omegaconf"},
    "config": {"omegaconf"},
    "decisive": set(),
    "space": set(),
    "signature": set(),
    "compose": {"hydra", "omegaconf"},
    "data": {"sklearn", "cv2", "keras"},  # keras: its download of MNIST
    "models": {"keras"},
    "training": {"keras", "tensorflow", "sklearn"},  # sklearn: the baselines
    "evaluation": {"scipy", "sklearn"},
    "figures": {"matplotlib"},
    "results": set(),
    "runs": set(),
    "executors": {"psutil", "distributed"},
    "planning": set(),
    "costs": set(),
    "watch": set(),
    "search": {"keras_tuner"},
    "tracking": {"mlflow", "psutil", "uvicorn", "keras"},  # keras: to hand the best network to MLflow
    "evidence": set(),
    "reports": {"jinja2", "matplotlib"},
    "recognise": {"fastapi", "pydantic", "cv2", "PIL", "uvicorn", "keras"},
    "sweep": set(),
    "experiment": set(),
    "doctor": set(),
    "reproduction": set(),
    "quiet": set(),
    "screen": {"rich"},
    "command": set(),
    "cli": {"hydra", "omegaconf"},
    "__main__": set(),
}
ANYWHERE = {"numpy", "pandas", "digitexp"}
LIBRARIES = set().union(*ROOMS.values())
FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"]


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> set[str]:
    """Every module that a file imports, `from digitexp import x` as digitexp.x."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_is_in_the_list():
    assert {room_of(file) for file in FILES} == set(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_only_from_above(file):
    order = list(ROOMS)
    ours = {name.split(".")[1] for name in imports(file) if name.startswith("digitexp.")}
    below = {room for room in ours if order.index(room) > order.index(room_of(file))}
    assert not below, f"{room_of(file)} imports {below}, which come after it"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_libraries_come_in_by_their_own_door(file):
    libraries = {name.split(".")[0] for name in imports(file)} & LIBRARIES
    assert libraries <= ROOMS[room_of(file)], f"{room_of(file)} imports {libraries - ROOMS[room_of(file)]}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_text_is_written_and_read_as_utf_8_on_every_system(file):
    lines = [line.strip() for line in file.read_text().splitlines()]
    assert [line for line in lines if re.search(r"(read|write)_text\(|\.open\((\"w\"|newline)", line) and "utf-8" not in line] == []
