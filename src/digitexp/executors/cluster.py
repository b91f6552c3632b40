"""Runs on a Dask cluster, whose workers may be on other machines that share no folder with this one.

What a run needs travels with it: its configuration and, where there is one, the state from which it goes on; network and
last state come back with its result. Data files are read where the worker is, under the same path. A worker process trains
one bundle at a time, with as many threads as Dask gave it (`dask worker --nworkers 2 --nthreads 4`).
"""

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import distributed

from digitexp.data import sources
from digitexp.errors import ConfigError, DataError, TrainingError
from digitexp.executors.executor import Bundle, Outcome, Ready, Told, Work, limit_threads, pack, sentence, unpack
from digitexp.results import Failure, Result
from digitexp.settings import SCRATCH, Config, Execution

WAIT = 60  # seconds for a worker, where there is none
_ALONE = threading.Lock()  # a worker process trains one bundle at a time: Keras' seeds are global


@dataclass(frozen=True)
class _Trained:
    """What comes back of one run: its outcome, and the bytes of its network and its last state."""

    position: int
    outcome: Result | Failure
    network: bytes = b""
    state: bytes = b""


class Cluster:
    """The executor that hands bundles to the Dask scheduler at `execution.address`."""

    def __init__(self, settings: Execution, work: Work) -> None:
        self._address, self._work = settings.address, work
        self._client: distributed.Client | None = None

    def run(self, bundles: Sequence[Bundle], told: Told, ready: Ready) -> Iterator[Outcome]:
        """Every outcome as it comes."""
        if not bundles:
            return
        client = self._connect()
        heard: SimpleQueue[Any] = SimpleQueue()
        topic = f"digitexp-{uuid4().hex}"
        client.subscribe_topic(topic, lambda event: heard.put(event[1]))
        waiting, ended = deque(bundles), set[int]()
        busy: dict[distributed.Future, Bundle] = {}
        while True:
            while waiting and len(busy) < len(client.nthreads()) and ready(waiting[0].positions):
                bundle = waiting.popleft()
                future = client.submit(
                    _train, pack(bundle, self._work), [_bytes(file) for file in bundle.checkpoints], topic, _versions(),
                    _digests(bundle.configs), pure=False, retries=0,
                )  # fmt: skip
                busy[future] = bundle
                future.add_done_callback(heard.put)
            if not busy and waiting and not client.nthreads() and ready(waiting[0].positions):
                self._wait_for_workers(client)  # they were killed, and may be on their way back
                continue
            if not busy:
                break
            event = heard.get()
            if not isinstance(event, distributed.Future):
                if event[0] not in ended:  # what is told on the way may come after what is told at the end
                    told(*event)
                continue
            bundle = busy.pop(event)
            ended |= set(bundle.positions)
            yield from _outcomes(bundle, event)
        client.unsubscribe_topic(topic)

    def close(self) -> None:
        """Leave the cluster; what it still trains for us is cancelled with our futures."""
        if self._client is not None:
            self._client.close()

    def _connect(self) -> distributed.Client:
        if self._client is None:
            logging.getLogger("distributed").setLevel(logging.CRITICAL)
            at = f"execution.address={self._address}"
            try:
                self._client = distributed.Client(self._address, timeout=10, set_as_default=False)
            except (OSError, ValueError) as error:
                raise ConfigError(f"{at}: no Dask scheduler answers there; {self._how}") from error
            self._wait_for_workers(self._client)
        return self._client

    def _wait_for_workers(self, client: distributed.Client) -> None:
        try:
            client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError as error:
            raise ConfigError(f"execution.address={self._address}: the scheduler has no worker; {self._how}") from error

    @property
    def _how(self) -> str:
        return (f"type dask scheduler on one machine and dask worker {self._address} on others, as docs/scale.md says, and "
                "then this command again.")  # fmt: skip


def _outcomes(bundle: Bundle, future: distributed.Future) -> Iterator[Outcome]:
    if future.status == "finished":
        files = dict(zip(bundle.positions, bundle.checkpoints, strict=True))
        for trained in future.result():
            yield trained.position, _unpacked(trained, bundle.folder, files[trained.position])
        return
    error = future.exception() if future.status == "error" else None
    if not isinstance(error, distributed.scheduler.KilledWorker):
        said = sentence(error) if error else "the scheduler is gone"
        raise TrainingError(f"the Dask cluster cannot go on: {said}")
    message = "its Dask worker was killed, again and again"
    yield from ((position, Failure(message, str(error))) for position in bundle.positions)


def _unpacked(trained: _Trained, folder: Path, checkpoint: Path | None) -> Result | Failure:
    """The outcome with its files where a run of this machine would have left them."""
    if trained.state and checkpoint:
        _write(checkpoint, trained.state)
    if isinstance(trained.outcome, Failure) or trained.outcome.network is None:  # a baseline has none
        return trained.outcome
    network = folder / f"{trained.position}.keras"
    _write(network, trained.network)
    return replace(trained.outcome, network=network)


def _train(
    packed: bytes, states: Sequence[bytes], topic: str, versions: Mapping[str, str], digests: Sequence[Mapping[str, str]]
) -> list[_Trained]:
    """What a worker does: train a bundle in a folder of its own, and tell of its epochs."""
    if versions != _versions():
        raise ConfigError(f"a worker has {_versions()}, the one who asks {versions}; install the same on both.")
    worker = distributed.get_worker()
    with _ALONE, TemporaryDirectory(prefix="digitexp-") as folder:
        limit_threads(worker.state.nthreads)
        bundle, work = unpack(packed)
        _refuse_other_files(_digests(bundle.configs), digests)
        files = [Path(folder, f"{place}.npz") for place in range(len(bundle.positions))]
        for file, state in zip(files, states, strict=True):
            if state:
                file.write_bytes(state)
        here = replace(bundle, folder=Path(folder, "networks"), checkpoints=files)
        outcomes = dict(here.train(work, lambda *told: worker.log_event(topic, [told[0], told[1], dict(told[2])])))
        return [
            _Trained(position, outcome, _bytes(outcome.network) if isinstance(outcome, Result) else b"", _bytes(file))
            for file, position in zip(files, bundle.positions, strict=True)
            if (outcome := outcomes[position])
        ]


def _versions() -> dict[str, str]:
    """What must be the same for a worker to give the numbers that were asked for."""
    packages = {package: version(package) for package in ("digitexp", "keras", "tensorflow")}
    return {name: ".".join(found.split(".")[:2]) for name, found in packages.items()}


def _refuse_other_files(ours: Sequence[Mapping[str, str]], asked: Sequence[Mapping[str, str]]) -> None:
    other = sorted({file for own, theirs in zip(ours, asked, strict=True) for file in own if own[file] != theirs.get(file)})
    if other:
        raise DataError(f"{', '.join(other)}: a worker on {socket.gethostname()} has other bytes there than the one who "
                        "asks; copy the file, so that all read the same")  # fmt: skip


def _digests(configs: Sequence[Config]) -> list[dict[str, str]]:
    """The digests of the files that these runs read, each read once."""
    data = {repr(config.data): config.data for config in configs}
    found = {name: sources.source_digests(one) for name, one in data.items()}
    starts = {config.training.start for config in configs} - {SCRATCH}
    begun = {start: {start: sources.sha256(Path(start))} for start in starts} | {SCRATCH: {}}
    return [{**found[repr(config.data)], **begun[config.training.start]} for config in configs]


def _bytes(file: Path | None) -> bytes:
    return file.read_bytes() if file and file.exists() else b""


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(content)
    os.replace(part, file)
