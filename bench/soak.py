"""What takes too long for every day: kills, locks, scale. Runs the tests marked `soak` and writes bench/results/soak.json.

    python bench/soak.py

The file holds every test with its case, outcome and seconds, and the machine, day and commit. Ends as pytest does.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from measuring import about, write

ROOT = Path(__file__).parents[1]


def main() -> int:
    with TemporaryDirectory() as folder:
        log = Path(folder) / "soak.xml"
        command = [sys.executable, "-m", "pytest", "-m", "soak", "-v", f"--junitxml={log}"]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        cases = [
            {
                "file": case.get("classname", "").replace(".", "/") + ".py",
                "test": case.get("name"),
                "outcome": outcome(case),
                "seconds": round(float(case.get("time", 0)), 1),
            }
            for case in ElementTree.parse(log).iter("testcase")
        ]
    passed = sum(case["outcome"] == "passed" for case in cases)
    write("soak.json", {**about("mlflow", "keras-tuner"), "tests": len(cases), "passed": passed, "cases": cases})
    return code


def outcome(case: ElementTree.Element) -> str:
    return next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")


if __name__ == "__main__":
    sys.exit(main())
