"""Runs one after another in this very process."""

from collections.abc import Iterator, Sequence

from digitexp.executors.executor import Bundle, Outcome, Ready, Told, Work


class InProcess:
    """The executor without workers."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def run(self, bundles: Sequence[Bundle], told: Told, ready: Ready) -> Iterator[Outcome]:
        """Every outcome in the order of the bundles."""
        for bundle in bundles:
            if not ready(bundle.positions):
                return
            yield from bundle.train(self._work, told)

    def close(self) -> None:
        """There is nothing to end."""
