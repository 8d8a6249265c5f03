"""Whatever a task does becomes its outcome: the result kept, the error in a sentence, the log bounded."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from hlhft.scale import host_cache, worker
from hlhft.scale.storage import Storage
from hlhft.scale.task import Task, content_hash
from hlhft.scale.worker import LOG_BYTES_MAX, Job, Outcome, execute, own_revisions, run_task
from tests.scale.made import busy, functions


def test_a_task_done_leaves_its_result_and_what_it_said(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    outcome = run_task(busy(7, mark="a"), storage)
    assert outcome.status == "done" and outcome.record.error == ""
    assert outcome.record == storage.record(busy(7, mark="a").key)
    assert "seed 7, done" in outcome.record.log and outcome.record.worker == worker.worker_name()
    assert storage.get(outcome.record.key) != storage.get(run_task(busy(8, mark="a"), storage).record.key)


def test_what_crosses_the_network_is_bytes_both_ways(tmp_path: Path) -> None:
    outcome = msgspec.json.decode(execute(busy().encoded(), str(tmp_path)), type=Outcome)
    assert outcome.status == "done" and Storage(tmp_path).has(busy().key)


def test_an_error_is_the_outcome_with_its_trace_and_is_kept(tmp_path: Path) -> None:
    def breaks(job: Job) -> bytes:
        job.log.info("so far so good")
        logging.getLogger("hlhft.data").warning("a frame was late")
        raise ValueError("no such\nthing")

    storage = Storage(tmp_path)
    with functions(breaks=breaks) as task:
        outcome = run_task(task("breaks"), storage)
    assert outcome.status == "failed" and outcome.record.error == "ValueError: no such thing"
    lines = outcome.record.log
    assert lines.index("so far so good") < lines.index("a frame was late") < lines.index("Traceback")
    assert storage.failure(outcome.record.key) == outcome.record and not storage.has(outcome.record.key)


def test_what_is_no_function_of_ours_fails_as_any_task(tmp_path: Path) -> None:
    outcome = run_task(Task(function="os:system", revision=busy().revision), Storage(tmp_path))
    assert outcome.status == "failed" and "names no task" in outcome.record.error


def test_another_revision_is_not_run(tmp_path: Path) -> None:
    ran = []
    with functions(notes=lambda job: ran.append(job) or b"") as task:
        outcome = run_task(task("notes", revision="another"), Storage(tmp_path))
        assert outcome.status == "unfit" and not ran
        assert all(run_task(task("notes", revision=one), Storage(tmp_path)).status == "done" for one in own_revisions())


def test_a_cancelled_task_is_neither_done_nor_failed(tmp_path: Path) -> None:
    storage, stop = Storage(tmp_path), threading.Event()
    stop.set()
    outcome = run_task(busy(seconds=60), storage, stop)
    assert outcome.status == "stopped"
    assert storage.failure(outcome.record.key) is None and not storage.has(outcome.record.key)


def test_an_interrupt_passes_through(tmp_path: Path) -> None:
    def interrupted(job: Job) -> bytes:
        raise KeyboardInterrupt

    with functions(interrupted=interrupted) as task, pytest.raises(KeyboardInterrupt):
        run_task(task("interrupted"), Storage(tmp_path))
    assert not any(type(one) is worker._Lines for one in logging.getLogger("hlhft").handlers)


def test_a_log_keeps_its_end_within_its_bound(tmp_path: Path) -> None:
    def talks(job: Job) -> bytes:
        for number in range(2000):
            job.log.info("%d %s", number, "é" * 50)
        return b""

    with functions(talks=talks) as task:
        log = run_task(task("talks"), Storage(tmp_path)).record.log
    assert len(log.encode()) < LOG_BYTES_MAX + 100 and "bytes before this were left out" in log and "1999 é" in log


def test_two_tasks_at_once_keep_their_logs_apart(tmp_path: Path) -> None:
    both, storage = threading.Barrier(2, timeout=10), Storage(tmp_path)
    logs: dict[int, str] = {}

    def talks(job: Job) -> bytes:
        both.wait()
        logging.getLogger("hlhft.data").warning("from %d", job.seed)
        both.wait()
        return b""

    with functions(talks=talks) as task:

        def one(seed: int) -> None:
            logs[seed] = run_task(task("talks", seed=seed), storage).record.log

        threads = [threading.Thread(target=one, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert "from 1" in logs[1] and "from 2" not in logs[1] and "from 2" in logs[2]


def test_a_storage_that_takes_no_result_fails_the_task(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    (tmp_path / "blobs").write_text("in the way")
    outcome = run_task(busy(), storage)
    assert outcome.status == "failed" and "Error: [Errno" in outcome.record.error


def test_inputs_are_files_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_cache, "cache_folder", lambda: tmp_path)
    for storage in (Storage(tmp_path / "store"), Storage(f"memory://{tmp_path.name}")):
        digest = storage.put_bytes(b"rows")

        def reads(job: Job) -> bytes:
            path = job.input("day")
            assert path.is_file()
            job.put_file(path)
            return path.read_bytes()

        with functions(reads=reads) as task:
            outcome = run_task(task("reads", inputs={"day": digest}), storage)
            missing = run_task(task("reads", inputs={"day": content_hash(b"none")}), storage)
        assert storage.get(outcome.record.key) == b"rows"
        assert missing.status == "failed" and "there is no blob" in missing.record.error


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    """As when a worker vanished with the word that it was done."""
    ran, storage = [], Storage(tmp_path)
    with functions(notes=lambda job: b"%d" % len(ran.append(job) or ran)) as task:
        first = run_task(task("notes"), storage)
        assert run_task(task("notes"), storage) == first and len(ran) == 1
        (tmp_path / "blobs" / first.record.blob[:2] / first.record.blob).write_bytes(b"torn")
        run_task(task("notes"), storage)
        assert len(ran) == 2


def test_a_scheduler_that_reads_its_name_gets_no_numba_with_it() -> None:
    """It unpickles what it passes on, and its unit may not map memory that is written and executed."""
    code = "import sys, hlhft.scale.worker, hlhft.scale.joining; assert not {'numba', 'llvmlite'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
