"""Settings of a sweep: the question, who trains its runs, and where they are recorded."""

import re
from dataclasses import dataclass
from typing import Any, Optional

from omegaconf import MISSING

from digitexp.settings.checks import choose, require, seconds

# ruff: noqa: UP045  (OmegaConf reads `Optional[int]` in a schema in every version, `int | None` only in the newest)

PROPOSED = ("random", "bayesian", "hyperband")  # trial by trial; the others are lists
METHODS = ("grid", "one_at_a_time", "zip", *PROPOSED)


@dataclass
class Search:
    """The question: which settings are varied, how, and by which measure they are ranked."""

    name: Optional[str] = MISSING
    method: str = MISSING
    objective: Optional[str] = MISSING
    repeats: int = MISSING
    trials: int = MISSING
    factor: int = MISSING
    refit: bool = MISSING
    budget: Optional[str] = MISSING
    max_failures: Optional[int] = MISSING
    space: dict[str, Any] = MISSING

    def check(self, at: str) -> None:
        parts = [] if self.name is None else self.name.split("/")  # a folder of its own; MLflow allows no colon in a model
        named = all(part.strip(" .") and not re.search(r"[:'\"\\\x00-\x1f]", part) for part in parts)
        require(named, f"{at}.name", self.name, "a name without : ' \" and \\, or folders of such names by /")
        choose(f"{at}.method", self.method, dict.fromkeys(METHODS))
        require(self.repeats >= 1, f"{at}.repeats", self.repeats, "a number of seeds from 1")
        require(self.objective is not None or not self.refit, f"{at}.refit", True,
                "false without an objective: there is no winner to train again")  # fmt: skip
        require(self.trials >= 1, f"{at}.trials", self.trials, "a number of trials from 1")
        require(self.factor >= 2, f"{at}.factor", self.factor, "a whole number from 2")
        require(self.budget is None or seconds(self.budget) > 0, f"{at}.budget", self.budget,
                "a time such as 2h, 90min or 1h30min, or null for as long as it takes")  # fmt: skip
        require(self.max_failures is None or self.max_failures >= 1, f"{at}.max_failures", self.max_failures,
                "a number of runs from 1, or null to go on whatever fails")  # fmt: skip
        require(self.objective is not None or self.method not in PROPOSED, f"{at}.objective", None,
                f"a measure such as val/accuracy, since {self.method} search ranks its trials")  # fmt: skip


@dataclass
class Execution:
    """By whom runs are trained. Nothing here changes a number of a run, so nothing here is part of its signature."""

    executor: str = MISSING
    workers: int = MISSING
    address: Optional[str] = MISSING
    retries: int = MISSING
    runs_per_worker: int = MISSING
    memory_per_worker: float = MISSING
    checkpoint_seconds: float = MISSING

    @property
    def sharing(self) -> int:
        """How many runs share this machine; 0 where others train them."""
        return 0 if self.executor == "dask" else self.workers

    def check(self, at: str) -> None:
        choose(f"{at}.executor", self.executor, dict.fromkeys(["auto", "in_process", "pool", "dask"]))
        require(self.workers >= 1, f"{at}.workers", self.workers, "a number of processes from 1")
        require(self.workers == 1 or self.executor != "in_process", f"{at}.workers", self.workers,
                f"1 in process; type {at}.executor=pool for more")  # fmt: skip
        require((self.address is not None) == (self.executor == "dask"), f"{at}.address", self.address,
                f"tcp://HOST:PORT with {at}.executor=dask, else null")  # fmt: skip
        require(self.retries >= 0, f"{at}.retries", self.retries, "a number from 0")
        require(self.runs_per_worker >= 1, f"{at}.runs_per_worker", self.runs_per_worker, "a number of runs from 1")
        require(self.memory_per_worker > 0, f"{at}.memory_per_worker", self.memory_per_worker, "GiB, above 0")
        require(self.checkpoint_seconds >= 0, f"{at}.checkpoint_seconds", self.checkpoint_seconds, "seconds from 0")


@dataclass
class Tracking:
    """Where MLflow keeps the runs, and which runs get pictures: all, or only the best trial's.

    `runs` is a runs.csv: what is finished there counts as finished here.
    """

    uri: Optional[str] = MISSING
    runs: Optional[str] = MISSING
    pictures: str = MISSING

    def check(self, at: str) -> None:
        choose(f"{at}.pictures", self.pictures, dict.fromkeys(["all", "best"]))
