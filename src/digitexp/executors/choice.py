"""Which executor the settings ask for."""

from collections.abc import Iterator
from contextlib import contextmanager

from digitexp.errors import ConfigError
from digitexp.executors.executor import Executor, Work
from digitexp.executors.in_process import InProcess
from digitexp.executors.pool import Pool
from digitexp.settings import Execution


@contextmanager
def executor(settings: Execution, work: Work) -> Iterator[Executor]:
    """The executor of `execution.executor`, which ends with this context."""
    chosen = _choose(settings, work)
    try:
        yield chosen
    finally:
        chosen.close()


def _choose(settings: Execution, work: Work) -> Executor:
    if settings.executor == "dask":
        try:
            from digitexp.executors.cluster import Cluster
        except ImportError as error:
            how = "type pip install -e '.[dask]' in the checkout"
            raise ConfigError(f"execution.executor=dask: is not installed; {how}.") from error
        return Cluster(settings, work)
    if settings.executor == "pool" or (settings.executor == "auto" and settings.workers > 1):
        return Pool(settings, work)
    return InProcess(work)
