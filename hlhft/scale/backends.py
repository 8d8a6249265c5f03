"""Where tasks run: what every back-end offers, and the one that is threads of this process.

The cluster's is `hlhft.scale.dask_backend`, loaded only when it is wanted.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from hlhft.scale.storage import Storage
from hlhft.scale.task import Task
from hlhft.scale.worker import Outcome, run_task


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An attempt that ended: with an outcome, or lost with what ran it (`lost` says how)."""

    number: int  # as it was submitted under
    outcome: Outcome | None = None
    lost: str = ""


class Backend(Protocol):
    """Runs attempts at tasks, results into a storage. Used by one thread; closed by leaving its `with` block."""

    name: str

    def slots(self) -> int:
        """How many tasks it runs at once now; 0 where nobody fits at the moment."""

    def submit(self, number: int, task: Task) -> None:
        """Begins an attempt when there is a free slot."""

    def wait(self, timeout_s: float) -> list[Finished]:
        """What ended since the last call; waits up to `timeout_s` for the first of it."""

    def remarks(self) -> list[str]:
        """Sentences for the user that are new since the last call, as of a worker that cannot be used."""

    def cancel(self) -> None:
        """Begins nothing more and stops what can be stopped; what ends all the same is still given by `wait`."""

    def __enter__(self) -> Backend: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class InProcess:
    """Threads of this process: no start, one copy of everything, and compiled code runs on every core at once.

    Best on one machine for tasks that are compiled code nearly throughout, as a sweep's: of Python itself, threads run
    one at a time.
    """

    name = "in-process"

    def __init__(self, storage: Storage, jobs: int = 1) -> None:
        assert jobs >= 1
        self._storage, self._jobs = storage, jobs
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="task")
        self._stop = threading.Event()
        self._ended: queue.SimpleQueue[tuple[int, Future[Outcome]]] = queue.SimpleQueue()

    def slots(self) -> int:
        """The threads."""
        return self._jobs

    def submit(self, number: int, task: Task) -> None:
        """Begins an attempt when a thread is free."""
        future = self._pool.submit(run_task, task, self._storage, self._stop)
        future.add_done_callback(lambda done: self._ended.put((number, done)))

    def wait(self, timeout_s: float) -> list[Finished]:
        """What ended since the last call. Raises what no task should raise, as a broken invariant of ours."""
        return [
            Finished(number=number, outcome=None, lost="cancelled")
            if future.cancelled()
            else Finished(number=number, outcome=future.result())
            for number, future in drained(self._ended, timeout_s)
        ]

    def remarks(self) -> list[str]:
        """None: it is the same code."""
        return []

    def cancel(self) -> None:
        """Tasks that have not begun never do, the others end at their next `Job.check`."""
        self._stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        self._pool.shutdown(wait=True)


def drained(
    ended: queue.SimpleQueue[tuple[int, Future[Outcome]]], timeout_s: float
) -> Sequence[tuple[int, Future[Outcome]]]:
    """All that is in the queue, waiting up to `timeout_s` for the first."""
    found = []
    try:
        found.append(ended.get(timeout=timeout_s))
        while True:
            found.append(ended.get_nowait())
    except queue.Empty:
        return found
