"""The wheel, installed elsewhere: conf/ comes along, and every sweep plans from an empty folder."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from digitexp.compose import sweeps

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow

# In the new environment: what is installed in ours can be imported, but for the editable digitexp and what is in src/.
BORROW = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The bin folder of a new environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # hatchling leaves nothing in the checkout, and takes nothing untracked from its root
    source.mkdir()
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, source], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(BORROW)  # its own .pth files, the editable one among them, are not read
    return scripts


def run(installed, folder, *words):
    command = [installed / "digitexp", *words]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_what_is_imported_and_composed_is_the_installed_one(installed, tmp_path):
    code = "import digitexp, digitexp.compose as c; print(digitexp.__file__); print(c.CONF)"
    command = [installed / "python", "-c", code]
    package, conf = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert Path(package).is_relative_to(installed.parent)
    assert Path(conf) == Path(package).parent / "conf"
    files = {file.relative_to(ROOT / "conf") for file in (ROOT / "conf").rglob("*.yaml")}
    assert {file.relative_to(conf) for file in Path(conf).rglob("*.yaml")} == files
    drawing_page = {file.name for file in (ROOT / "src/digitexp/recognise/files").iterdir()}
    assert {file.name for file in (Path(package).parent / "recognise/files").iterdir()} == drawing_page


def test_help(installed, tmp_path):
    output = run(installed, tmp_path, "--help")
    assert all(name in output for name in sweeps())


def test_every_sweep_plans(installed, tmp_path):
    """All in one process; two ask for a file of their user's, who wrote each image."""
    by_writers = {"split_optimism", "fast996_choice"}
    code = f"""if True:
        from digitexp import planning
        from digitexp.compose import compose, sweeps
        for name in sweeps():
            if name not in {by_writers}:
                print(name, planning.plan(compose([f"+sweep={{name}}"])).runs)
    """
    done = subprocess.run([installed / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    planned = dict(line.split() for line in done.stdout.splitlines())
    assert set(planned) == set(sweeps()) - by_writers
    assert all(int(runs) >= 2 for runs in planned.values())
    output = run(installed, tmp_path, "plan", "+sweep=cnn_optimizers")
    assert re.search(r"8 trials x 1 seed = 8 runs", output)
    assert list(tmp_path.iterdir()) == []
