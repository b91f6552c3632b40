"""What may be told of a running sweep, so that whoever runs it need not know who listens."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing them costs what only a running sweep needs
    from digitexp.planning import Job
    from digitexp.results import Failure, Result


class Watch:
    """Hears everything and does nothing; subclasses show it."""

    def begin(self, job: "Job", number: int, of: int) -> None:
        """A run starts training, as number `number` of the `of` that are still to be trained."""

    def epoch(self, job: "Job", epoch: int, metrics: Mapping[str, float]) -> None:
        """A run has finished an epoch."""

    def end(self, job: "Job", outcome: "Result | Failure") -> None:
        """A run is finished or has failed."""

    def say(self, text: str) -> None:
        """Something else is being done."""

    def stopped(self) -> bool:
        """Whether to end early: what is being trained is finished, nothing else is begun."""
        return False
