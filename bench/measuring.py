"""What the benchmarks share: how a number spreads, and the machine, versions, day and commit that it comes from."""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"


def about(*packages: str) -> dict[str, Any]:
    """Day, commit and machine, with the versions of `packages`; the load is that of the minute before."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
        "machine": {"cpu": processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0],
                    "python": platform.python_version(), "versions": {name: version(name) for name in packages}},
    }  # fmt: skip


def processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False).stdout.strip()


def spread(values: Sequence[float]) -> dict[str, Any]:
    rounded = [float(f"{value:.4g}") for value in (median(values), min(values), max(values))]
    return {"median": rounded[0], "range": rounded[1:], "n": len(values)}


def product_rate(multiply: Callable[[], Any], side: int) -> float:
    """GFLOP/s of `multiply`, a product of two matrices of `side` x `side`: the median of seven, after one that warms up."""
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / median(seconds[1:]) / 1e9


def fresh(file: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The JSON that a benchmark prints last, run in a process of its own."""
    done = subprocess.run([sys.executable, file, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def write(name: str, report: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(json.dumps(report, indent=1) + "\n")
