"""What is done is skipped, what fails is tried again, what is lost is run again, and what was finished counts."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hlhft.scale.backends import Finished, InProcess
from hlhft.scale.running import IN_FLIGHT_MIN, LOSSES_MAX, Failure, TasksFailed, run
from hlhft.scale.storage import Record, Storage, StorageError
from hlhft.scale.task import Task
from hlhft.scale.worker import Job, Outcome
from tests.scale.made import busy, functions


class Played:
    """A back-end without threads: `play` decides how each attempt ends, a dict of what it keeps is the storage's."""

    name = "played"

    def __init__(self, storage: Storage, play: list[str]) -> None:
        self.storage, self.play, self.open = storage, iter(play), list[tuple[int, Task]]()
        self.most = 0
        self.ran: Counter[int] = Counter()
        self.cancelled = False

    def slots(self) -> int:
        return 2

    def submit(self, number: int, task: Task) -> None:
        self.open.append((number, task))
        self.most = max(self.most, len(self.open))

    def wait(self, timeout_s: float) -> list[Finished]:
        number, task = self.open.pop(0)
        self.ran[task.seed] += 1
        how = next(self.play, "done")
        if how == "lost":
            return [Finished(number=number, lost="its worker is gone")]
        record = Record(key=task.key, function=task.function, error="" if how == "done" else "it broke", worker="w")
        if how == "done":
            record = self.storage.put(record, str(task.seed).encode())
        return [Finished(number=number, outcome=Outcome(status=how, record=record))]  # type: ignore[arg-type]

    def remarks(self) -> list[str]:
        return []

    def cancel(self) -> None:
        self.cancelled = True

    def __enter__(self) -> Played:
        return self

    def __exit__(self, *unused: object) -> None: ...


def store() -> Storage:
    """A fresh one in memory."""
    import uuid

    return Storage(f"memory://{uuid.uuid4()}")


@given(
    some.integers(1, 30),
    some.lists(some.sampled_from(["done", "failed", "lost", "unfit"]), max_size=60),
    some.integers(0, 3),
)
def test_every_task_ends_done_or_failed_within_its_bounds(count: int, play: list[str], retries_max: int) -> None:
    storage, tasks = store(), [busy(seed) for seed in range(count)]
    backend = Played(storage, play)
    told: list[Failure] = []
    ran = run(tasks, backend, storage, retries_max=retries_max, on_failure=told.append)
    failed = {one.place for one in ran.failures}
    assert ran.finished | failed == set(range(count)) and not ran.finished & failed and told == ran.failures
    assert all(ran.read(place) == str(place).encode() for place in ran.finished)
    assert max(backend.ran.values()) <= retries_max + LOSSES_MAX + 2
    assert ran.attempts == sum(backend.ran.values()) and backend.most <= IN_FLIGHT_MIN
    assert not ran.interrupted
    again = Played(storage, [])
    assert run(tasks, again, storage).complete and sum(again.ran.values()) == len(failed)


def test_a_failure_is_retried_so_often_and_then_listed_with_its_last_error(tmp_path: Path) -> None:
    tried: Counter[int] = Counter()

    def breaks(job: Job) -> bytes:
        tried[job.seed] += 1
        job.log.info("attempt %d", tried[job.seed])
        if job.seed == 1 or tried[job.seed] < 3:
            raise ValueError(f"no {tried[job.seed]}")
        return b"at last"

    storage = Storage(tmp_path)
    with functions(breaks=breaks) as task, InProcess(storage) as backend:
        ran = run([task("breaks", seed=0), task("breaks", seed=1), busy(3)], backend, storage, retries_max=2)
    assert ran.finished == {0, 2} and tried == {0: 3, 1: 3} and ran.read(0) == b"at last"
    (failure,) = ran.failures
    assert (failure.place, failure.error, failure.attempts) == (1, "ValueError: no 3", 3)
    assert "attempt 3" in failure.log and "Traceback" in failure.log and "attempt 2" not in failure.log
    with pytest.raises(
        TasksFailed, match=r"1 of 3 tasks failed \(hlhft.scale.made:breaks .* after 3 attempts: ValueError"
    ):
        ran.results()
    kept = storage.failure(ran.keys[1])
    assert kept is not None and kept.log == failure.log


def test_a_lost_attempt_costs_no_retry_but_has_a_bound_of_its_own() -> None:
    storage = store()
    ran = run([busy()], Played(storage, ["lost"] * LOSSES_MAX), storage, retries_max=0)
    assert ran.complete and ran.lost == LOSSES_MAX
    storage = store()
    ran = run([busy()], Played(storage, ["lost"] * (LOSSES_MAX + 1)), storage, retries_max=0)
    assert [one.error for one in ran.failures] == [f"lost {LOSSES_MAX + 1} times: its worker is gone"]


def test_equal_tasks_are_run_once_and_results_come_in_the_order_asked() -> None:
    storage = store()
    backend = Played(storage, [])
    seen: list[tuple[int, int]] = []
    ran = run([busy(2), busy(1), busy(2)], backend, storage, progress=lambda done, total: seen.append((done, total)))
    assert list(ran.results()) == [b"2", b"1", b"2"] and backend.ran == {2: 1, 1: 1}
    assert seen[0] == (0, 3) and seen[-1] == (3, 3)
    again = run([busy(1)], Played(storage, []), storage)
    assert again.skipped == 1 and again.attempts == 0


def test_after_an_interrupt_what_was_finished_counts_and_a_second_run_goes_on(tmp_path: Path) -> None:
    storage, held = Storage(tmp_path), threading.Event()

    def waits(job: Job) -> bytes:
        while job.seed == 1:
            held.set()
            job.check()
        return b"ok"

    def stop(done: int, total: int) -> None:
        if done >= 1 and held.is_set():
            raise KeyboardInterrupt

    with functions(waits=waits) as task:
        tasks = [task("waits", seed=seed) for seed in (0, 1, 2)]
        with InProcess(storage) as backend:
            ran = run(tasks, backend, storage, progress=stop)
        assert ran.interrupted and ran.finished == {0} and not ran.failures
        with pytest.raises(TasksFailed, match="1 of 3 tasks are done"):
            ran.results()
    assert storage.done(ran.keys) == {ran.keys[0]}


def test_a_result_that_is_damaged_between_is_said_to_be(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with InProcess(storage) as backend:
        ran = run([busy()], backend, storage)
    record = storage.record(ran.keys[0])
    assert record is not None
    (tmp_path / "blobs" / record.blob[:2] / record.blob).write_bytes(b"x")
    with pytest.raises(StorageError, match="was lost or changed since it was made"):
        list(ran.results())
    with InProcess(storage) as backend:
        assert list(run([busy()], backend, storage).results()) == [busy_result()]


def busy_result() -> bytes:
    from hlhft.scale.worker import run_task

    storage = store()
    record = run_task(busy(), storage).record
    return storage.get(record.key) or b""
