"""Threads of this process: as many at once as said, stopped when told."""

from __future__ import annotations

import threading
from pathlib import Path

from hlhft.scale.backends import InProcess
from hlhft.scale.running import run
from hlhft.scale.storage import Storage
from hlhft.scale.worker import Job
from tests.scale.made import busy, functions


def test_as_many_run_at_once_as_there_are_jobs(tmp_path: Path) -> None:
    storage, met = Storage(tmp_path), threading.Barrier(3, timeout=10)

    def meets(job: Job) -> bytes:
        met.wait()  # breaks, and fails the task, where fewer than three run at once
        return b""

    with functions(meets=meets) as task, InProcess(storage, 3) as backend:
        assert backend.slots() == 3
        ran = run([task("meets", seed=seed) for seed in range(6)], backend, storage, retries_max=0)
    assert ran.complete and not ran.failures


def test_after_a_cancel_nothing_begins_and_what_runs_ends(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with InProcess(storage, 1) as backend:
        backend.submit(0, busy(seconds=60))
        backend.submit(1, busy(1))
        backend.cancel()
        ended = {one.number: one for one in backend.wait(10) + backend.wait(10)}
    assert ended[1].lost == "cancelled"
    first = ended[0].outcome
    assert first is None or first.status == "stopped", "it had begun, or not yet"
    assert not storage.has(busy(1).key)


def test_without_anything_to_wait_for_the_wait_ends(tmp_path: Path) -> None:
    with InProcess(Storage(tmp_path)) as backend:
        assert backend.wait(0.01) == [] and backend.remarks() == []
