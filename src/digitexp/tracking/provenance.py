"""Where a run comes from: the command, the commit, the versions and the machine, as tags."""

import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import psutil

from digitexp.tracking.store import TAG


def tags() -> dict[str, str]:
    """The tags of this process."""
    return (
        _versions()
        | _machine()
        | {
            f"{TAG}python": platform.python_version(),
            f"{TAG}command": shlex.join(["digitexp", *sys.argv[1:]]),
            "mlflow.source.git.commit": _commit(),
        }
    )


@cache
def _versions() -> dict[str, str]:
    packages = (
        "digitexp", "keras", "tensorflow", "keras-tuner", "mlflow", "numpy", "scikit-learn", "opencv-python-headless",
    )  # fmt: skip
    return {f"{TAG}version.{package}": version(package) for package in packages}


def _machine() -> dict[str, str]:
    """The processor, the cores that this process may use, and the memory in GiB."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    memory = psutil.virtual_memory().total / 2**30
    return {f"{TAG}cpu": _processor(), f"{TAG}cores": str(usable), f"{TAG}memory": f"{memory:.0f}"}


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


@cache
def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):  # no Git, or one that takes too long
        return "unknown"
    return found.stdout.strip() or "unknown"
