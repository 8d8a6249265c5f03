"""Runs tasks on a back-end: what is done is skipped, what fails is tried again, what is lost is run again.

At most IN_FLIGHT_PER_SLOT tasks a slot are with the back-end at once, so neither its memory nor a lost worker's share
grows with their number. Results come back by name only and are read from the storage.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hlhft.scale.backends import Backend, Finished
from hlhft.scale.storage import Record, Storage, StorageError
from hlhft.scale.task import Task

RETRIES_MAX = 2
LOSSES_MAX = 5  # attempts of one task lost with their workers: then it is the task that kills them
IN_FLIGHT_PER_SLOT = 3  # so that a slot never waits for us between two tasks
IN_FLIGHT_MIN = 8
WAIT_SECONDS = 0.2
CANCEL_WAITS = 50  # of WAIT_SECONDS each, for what is under way after a cancel
SHOWN_MAX = 5

Progress = Callable[[int, int], None]


class TasksFailed(Exception):
    """Tasks whose last attempt failed, so there is no whole result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A task that failed for good."""

    place: int  # among the tasks
    task: Task
    error: str  # the last, in one sentence
    log: str  # of the last attempt, with the traceback
    attempts: int


@dataclass(kw_only=True)
class Ran:
    """What became of the tasks; their results lie in the storage."""

    tasks: Sequence[Task]
    storage: Storage
    keys: Sequence[str]
    finished: set[int] = field(default_factory=set)  # places among the tasks
    skipped: int = 0  # of them were done before
    attempts: int = 0
    lost: int = 0  # attempts that went with their worker
    failures: list[Failure] = field(default_factory=list)
    interrupted: bool = False

    @property
    def complete(self) -> bool:
        """Whether every task is done."""
        return len(self.finished) == len(self.tasks)

    def read(self, place: int) -> bytes:
        """The result of a finished task. Raises StorageError where it was damaged since."""
        content = self.storage.get(self.keys[place])
        if content is None:
            raise StorageError(
                f"{self.storage.url}: the result {self.keys[place]} was lost or changed since it was made: run the "
                "same command again"
            )
        return content

    def results(self) -> Iterator[bytes]:
        """All results in order of the tasks, one read at a time. Raises TasksFailed when there is not every one."""
        self.refuse_failures()
        if not self.complete:
            raise TasksFailed(f"{len(self.finished)} of {len(self.tasks)} tasks are done: run the same command again")
        return (self.read(place) for place in range(len(self.tasks)))

    def refuse_failures(self) -> None:
        """Raises TasksFailed with the first failures, each with its last error."""
        if not self.failures:
            return
        shown = "; ".join(
            f"{one.task.function} {self.keys[one.place][:12]} after {one.attempts} attempts: {one.error}"
            for one in sorted(self.failures, key=lambda one: one.place)[:SHOWN_MAX]
        )
        more = f"; and {len(self.failures) - SHOWN_MAX} more" if len(self.failures) > SHOWN_MAX else ""
        raise TasksFailed(
            f"{len(self.failures)} of {len(self.tasks)} tasks failed ({shown}{more}); what was finished is kept in "
            f"{self.storage.url}, so mend the reason and run the same command again"
        )


class Where(Protocol):
    """Where the tasks of one piece of work are run, and told of while they are."""

    storage: Storage

    def run(
        self,
        what: str,
        tasks: Sequence[Task],
        *,
        retries_max: int | None = None,
        on_failure: Callable[[Failure], None] | None = None,
        may_fail: bool = False,
        keep: Callable[[Ran], None] | None = None,
    ) -> Ran:
        """The tasks, run; `keep` is given what was done also where the run is interrupted."""


def run(
    tasks: Sequence[Task],
    backend: Backend,
    storage: Storage,
    *,
    retries_max: int = RETRIES_MAX,
    progress: Progress | None = None,
    on_failure: Callable[[Failure], None] | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> Ran:
    """Runs every task that is not done; returns what became of them, in order of the tasks.

    A task that fails is tried again `retries_max` times; one lost with its worker is run again, LOSSES_MAX times.
    `progress(done, in all)` is called a few times a second, `on_failure` when a task has failed for good, `on_remark`
    with what the back-end has to say. A KeyboardInterrupt, also of one of these, ends the run: what was finished
    counts. Equal tasks are run once. Raises StorageError and what the back-end raises.
    """
    return _Run(tasks, backend, storage, retries_max, progress, on_failure, on_remark).all()


class _Run:
    def __init__(
        self,
        tasks: Sequence[Task],
        backend: Backend,
        storage: Storage,
        retries_max: int,
        progress: Progress | None,
        on_failure: Callable[[Failure], None] | None,
        on_remark: Callable[[str], None] | None,
    ) -> None:
        self.backend, self.retries_max = backend, retries_max
        self.progress, self.on_failure, self.on_remark = progress, on_failure, on_remark
        self.ran = Ran(tasks=tasks, storage=storage, keys=[task.key for task in tasks])
        self.places: dict[str, list[int]] = {}
        for place, key in enumerate(self.ran.keys):
            self.places.setdefault(key, []).append(place)
        self.failed: dict[str, int] = {}  # attempts by key
        self.losses: dict[str, int] = {}
        self.in_flight: dict[int, str] = {}  # key by attempt
        self.numbers = itertools.count()

    def all(self) -> Ran:
        """Runs them, as `run` says."""
        try:
            self._run()
        except KeyboardInterrupt:
            self._cancel()
        return self.ran

    def _run(self) -> None:
        done = self.ran.storage.done(self.ran.keys)
        for key in done:
            self._finish(key)
        self.ran.skipped = len(self.ran.finished)
        waiting = deque(key for key in self.places if key not in done)
        self._report()
        while waiting or self.in_flight:
            room = max(IN_FLIGHT_PER_SLOT * self.backend.slots(), IN_FLIGHT_MIN) - len(self.in_flight)
            while waiting and room > 0:
                self._submit(waiting.popleft())
                room -= 1
            for ended in self.backend.wait(WAIT_SECONDS):
                key = self.in_flight.pop(ended.number)
                if self._is_to_be_run_again(key, ended):
                    waiting.append(key)
            self._report()

    def _submit(self, key: str) -> None:
        number = next(self.numbers)
        self.in_flight[number] = key
        self.ran.attempts += 1
        self.backend.submit(number, self.ran.tasks[self.places[key][0]])

    def _is_to_be_run_again(self, key: str, ended: Finished) -> bool:
        """Notes an attempt's end; whether there must be another."""
        outcome = ended.outcome
        if outcome is not None and outcome.status == "done":
            self._finish(key)
            return False
        if outcome is None or outcome.status != "failed":
            # It went with its worker, or came to one that does not fit: no fault of the task's.
            self.ran.lost += 1
            self.losses[key] = self.losses.get(key, 0) + 1
            if self.losses[key] <= LOSSES_MAX:
                return True
            self._give_up(key, Record(key=key, function="", error=f"lost {LOSSES_MAX + 1} times: {_why(ended)}"))
            return False
        self.failed[key] = self.failed.get(key, 0) + 1
        if self.failed[key] <= self.retries_max:
            return True
        self._give_up(key, outcome.record)
        return False

    def _finish(self, key: str) -> None:
        self.ran.finished.update(self.places[key])

    def _give_up(self, key: str, record: Record) -> None:
        for place in self.places[key]:
            attempts = self.failed.get(key, 0) + self.losses.get(key, 0)
            task = self.ran.tasks[place]
            failure = Failure(place=place, task=task, error=record.error, log=record.log, attempts=attempts)
            self.ran.failures.append(failure)
            if self.on_failure is not None:
                self.on_failure(failure)

    def _report(self) -> None:
        for remark in self.backend.remarks():
            if self.on_remark is not None:
                self.on_remark(remark)
        if self.progress is not None:
            self.progress(len(self.ran.finished), len(self.ran.tasks))

    def _cancel(self) -> None:
        """Stops, and takes what came to its end meanwhile."""
        self.backend.cancel()
        for _ in range(CANCEL_WAITS):
            if not self.in_flight:
                break
            for ended in self.backend.wait(WAIT_SECONDS):
                key = self.in_flight.pop(ended.number)
                if ended.outcome is not None and ended.outcome.status == "done":
                    self._finish(key)
        self.ran.interrupted = not self.ran.complete


def _why(ended: Finished) -> str:
    return ended.lost if ended.outcome is None else f"{ended.outcome.record.worker} has another revision of the code"
