"""Tasks on a Dask cluster: one of this machine's own processes, or a scheduler that runs already.

Every worker is asked once which code it has (`joining.py`); one with another revision or other packages is named and
not used. Workers may join and leave at any time: the tasks of one that vanished are run again by the scheduler, and by
us when it has given up on them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import tempfile
import time
import uuid
import warnings
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from hlhft.extra import OF_CLUSTERS, need
from hlhft.scale import joining
from hlhft.scale.backends import Finished
from hlhft.scale.revision import identity, revision
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from hlhft.scale.worker import Outcome, execute

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

CONNECT_SECONDS_MAX = 30
LOOK_SECONDS = 1.0  # between two looks at who is there
WORKERLESS_SECONDS_MAX = 300  # without any worker that fits, then the run ends
ANSWER_SECONDS_MAX = 2  # for the outcome of a finished attempt, some kilobytes at its worker
SCHEMES = ("tcp://", "tls://")


class ClusterError(Exception):
    """A cluster that cannot be reached, or on which nobody can run our tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files in PEM form: who is trusted, and what we show; the key must be readable by us alone."""

    ca: Path
    certificate: Path
    key: Path


class Cluster:
    """The back-end on a Dask client, which it closes. `models` says whether tasks need the packages for models."""

    name = "cluster"

    def __init__(
        self, client: Client, storage: Storage, *, models: bool = False, patience_s: float | None = None
    ) -> None:
        self._client, self._url, self._models = client, storage.url, models
        self._demand = {joining.resource(revision(models=models)): 1.0}
        self._patience_s = WORKERLESS_SECONDS_MAX if patience_s is None else patience_s
        self._run = uuid.uuid4().hex[:8]  # two clients with equal tasks must not share a future's name
        self._futures: dict[int, Future] = {}  # as many as `run` keeps in flight
        self._tasks: dict[int, Task] = {}  # of the same
        self._submitted = 0
        self._is_stranded = False  # tasks may be waiting that the scheduler found nobody for
        self._ended: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()
        self._asked: dict[str, int] = {}  # threads by address of those that are there: 0 where it does not fit
        self._remarks: list[str] = []
        self._unfit: dict[str, str] = {}  # address to reason, of those that are there
        self._looked_s = -LOOK_SECONDS
        self._last_fit_s = time.monotonic()
        self._closing = contextlib.ExitStack()

    def slots(self) -> int:
        """Threads of the workers that fit. Raises ClusterError when there has been none for too long."""
        now = time.monotonic()
        if now - self._looked_s >= LOOK_SECONDS:
            self._look()
            self._looked_s = now
        slots = sum(self._asked.values())
        if slots:
            self._last_fit_s = now
            if self._is_stranded:
                self._submit_again()
        elif now - self._last_fit_s > self._patience_s:
            why = "; ".join(f"{address} has {reason}" for address, reason in self._unfit.items())
            raise ClusterError(
                f"no worker that fits has been at {_address(self._client)} for {self._patience_s:.0f} s "
                f"({why or 'none is there'}): start workers with this version of hlhft and run the same command again; "
                "what was finished is kept"
            )
        return slots

    def _look(self) -> None:
        """Asks those that are new, and forgets those that left."""
        with _reachable(self._client):
            there = self._client.scheduler_info(n_workers=-1).get("workers", {})
        for address in self._asked.keys() - there.keys():
            self._asked.pop(address)
            if self._unfit.pop(address, None) is None:
                self._remarks.append(f"worker {address} is gone; what it had is run again")
        self._is_stranded |= not any(self._asked.values())
        new = [address for address in there if address not in self._asked]
        if not new:
            return
        with _reachable(self._client):
            answers = self._client.run(joining.offer, workers=new, wait=True, on_error="return")
        for address in new:
            self._note(address, answers.get(address))

    def _note(self, address: str, answer: object) -> None:
        """Whether a worker fits, by its answer; one that gave none is asked again unless it has no code of ours."""
        if isinstance(answer, OSError) or answer is None:
            return  # it left, or is about to
        reason = "no hlhft that runs tasks"
        if isinstance(answer, bytes):
            with contextlib.suppress(msgspec.MsgspecError):
                found = msgspec.json.decode(answer, type=joining.Answer)
                theirs = found.models if self._models else found.plain
                reason = ", ".join(identity(models=self._models).differences(theirs))
                if not reason:
                    self._asked[address] = found.threads
                    return
        self._asked[address] = 0
        self._unfit[address] = reason
        self._remarks.append(f"worker {address} is not used: it has {reason}")

    def submit(self, number: int, task: Task) -> None:
        """Begins an attempt on a worker that fits, now or when there is one."""
        self._tasks[number] = task
        self._submitted += 1
        with _reachable(self._client):
            future = self._client.submit(
                execute,
                task.encoded(),
                self._url,
                key=f"hlhft-{task.key[:16]}-{self._run}-{self._submitted}",
                resources=self._demand,
                pure=False,
            )
        self._futures[number] = future
        self._await(number, future)

    def _submit_again(self) -> None:
        """What found no worker is submitted anew: the scheduler looks at it again when a worker registers, which is
        before it offers what it can run."""
        self._is_stranded = False
        stranded = {number: future for number, future in self._futures.items() if not future.done()}
        if stranded:
            with _reachable(self._client):
                self._client.cancel(list(stranded.values()), force=True)
        for number in stranded:
            self.submit(number, self._tasks[number])

    def _await(self, number: int, future: Future) -> None:
        future.add_done_callback(lambda done: self._ended.put((number, done)))

    def wait(self, timeout_s: float) -> list[Finished]:
        """What ended since the last call. Raises ClusterError when the scheduler is gone."""
        ended = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=timeout_s))
            while True:
                ended.append(self._ended.get_nowait())
        found = [self._finished(number, future) for number, future in ended]
        return [one for one in found if one is not None]

    def _finished(self, number: int, future: Future) -> Finished | None:
        """How an attempt ended; None where its worker vanished with what it had to say, and it is run again.

        Until another worker fits, nobody runs it: so it is not waited for here, where nobody is asked.
        """
        from distributed import KilledWorker

        current = self._futures.get(number)
        if current is None or current is not future:
            return None  # it was submitted anew
        content = None
        if future.status in ("finished", "lost", "pending"):
            # Whatever becomes of it meanwhile, its state says so the next time.
            with contextlib.suppress(OSError, CancelledError, KilledWorker):
                content = future.result(timeout=ANSWER_SECONDS_MAX) if future.status == "finished" else None
            if content is None:
                self._await(number, future)
                return None
        del self._futures[number], self._tasks[number]
        if content is not None:
            return Finished(number=number, outcome=msgspec.json.decode(content, type=Outcome))
        if future.status == "error":
            # A task's own errors are outcomes: this is its worker's end, or the way there.
            error = future.exception(timeout=ANSWER_SECONDS_MAX)
            return Finished(number=number, lost=" ".join(f"{type(error).__name__}: {error}".split()))
        return Finished(number=number, lost=f"the scheduler {future.status} it")

    def remarks(self) -> list[str]:
        """Workers that came and cannot be used, or left."""
        found, self._remarks = self._remarks, []
        return found

    def cancel(self) -> None:
        """Takes everything back; what a worker is at, it ends, and its result is kept."""
        if self._futures and self._client.status == "running":
            with _reachable(self._client):
                self._client.cancel(list(self._futures.values()), force=True)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ClusterError):
            self.cancel()
        self._futures.clear()
        self._closing.close()

    def closes(self, stack: contextlib.ExitStack) -> Cluster:
        """Closes all that is in `stack` at its own end."""
        self._closing.enter_context(stack)
        return self


def connect(address: str, storage: Storage, *, tls: Tls | None = None, models: bool = False) -> Cluster:
    """The cluster of a scheduler at tcp://HOST:PORT or, with `tls`, at tls://HOST:PORT.

    Raises MissingExtra without Dask, and ClusterError for an address that is none, a scheduler that does not answer
    within CONNECT_SECONDS_MAX or one of another version.
    """
    need("a cluster", "dask", "distributed", how=OF_CLUSTERS)
    if not address.startswith(SCHEMES) or address.startswith("tls://") != (tls is not None):
        raise ClusterError(
            f"{address} cannot be used: give tcp://HOST:PORT, or tls://HOST:PORT with the files of --tls-ca, "
            "--tls-cert and --tls-key"
        )
    import distributed

    _quieten()
    security = None
    if tls is not None:
        security = distributed.Security(
            tls_ca_file=str(tls.ca),
            tls_client_cert=str(tls.certificate),
            tls_client_key=str(tls.key),
            require_encryption=True,
        )
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(_client(address, security)))
        _refuse_version(client, address)
        return Cluster(client, storage, models=models).closes(stack.pop_all())


def local(jobs: int, storage: Storage, *, models: bool = False, threads: int = 1) -> Cluster:
    """`jobs` processes of this machine with `threads` each, ended with the back-end. Raises MissingExtra without Dask.

    For tasks that are Python more than compiled code, or whose libraries are not to be shared by threads.
    """
    need("a cluster", "dask", "distributed", how=OF_CLUSTERS)
    import distributed

    _quieten()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hlhft-cluster-"))
        made: LocalCluster = distributed.LocalCluster(
            n_workers=jobs,
            threads_per_worker=threads,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=folder,
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(contextlib.closing(made))
        client = stack.enter_context(contextlib.closing(_client(made, None)))
        return Cluster(client, storage, models=models).closes(stack.pop_all())


def _client(address: str | LocalCluster, security: Any) -> Client:
    import distributed

    try:
        with warnings.catch_warnings():
            # Said once more and in our words, by `_refuse_version` and for every worker.
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
            return distributed.Client(address, timeout=CONNECT_SECONDS_MAX, security=security, set_as_default=False)
    except (OSError, TimeoutError) as error:
        text = " ".join(str(error).split())
        raise ClusterError(
            f"no scheduler answers at {address} ({text}): start one with `dask scheduler`, or mend the address"
        ) from None


def _refuse_version(client: Client, address: str) -> None:
    import distributed

    with _reachable(client):
        theirs = client.get_versions(check=False)["scheduler"]["packages"]["distributed"]
    if theirs != distributed.__version__:
        raise ClusterError(
            f"the scheduler at {address} is distributed {theirs}, and here it is {distributed.__version__}: run the "
            "same on both"
        )


@contextlib.contextmanager
def _reachable(client: Client) -> Any:
    """Turns a lost connection to the scheduler into the sentence for it."""
    reason = ""
    try:
        yield
    except (OSError, TimeoutError) as error:
        reason = f" ({' '.join(str(error).split())})"
    if reason or client.status not in ("running", "connecting"):
        raise ClusterError(
            f"the scheduler at {_address(client)} does not answer any more{reason}: what was finished is kept, run the "
            "same command again when it is back"
        )


def _address(client: Client) -> str:
    scheduler = client.scheduler
    return str(scheduler.address) if scheduler is not None else "the cluster"


def _quieten() -> None:
    """What workers do when they come and go is told by us, once, in a sentence.

    The library gives several of its loggers levels and handlers of their own when it is loaded, and lets asyncio tell
    of what it does not wait for.
    """
    for name in list(logging.root.manager.loggerDict):
        if name.split(".")[0] not in ("distributed", "asyncio"):
            continue
        logging.getLogger(name).setLevel(logging.CRITICAL)
