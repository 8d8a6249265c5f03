"""What runs one task, in a process of its own or in ours: inputs by hash, the result into the storage, its name back.

Whatever a task raises becomes its outcome, with the last error in one sentence and what was logged. Of a day's inputs
one copy a host is kept (`hlhft.scale.host_cache`), which every worker there reads or maps, so the memory is shared.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import msgspec

from hlhft.scale import host_cache, revision
from hlhft.scale.storage import Record, Storage
from hlhft.scale.task import Task, decoded, function_of

LOG_BYTES_MAX = 64 * 1024  # of a task's log; what comes after is counted and left out
ERROR_LENGTH_MAX = 2000
_STORAGES_MAX = 16
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

Status = Literal["done", "failed", "stopped", "unfit"]


class Stopped(Exception):
    """The run was cancelled while the task ran; it is neither done nor failed."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt at a task ended: small, as the result is in the storage."""

    status: Status
    record: Record


class Job:
    """What a task's function is given."""

    def __init__(self, task: Task, storage: Storage, log: logging.Logger, stop: threading.Event | None = None) -> None:
        self.params: dict[str, Any] = task.params
        self.seed = task.seed
        self.inputs = tuple(task.inputs)  # their names
        self.log = log  # kept with the result; INFO and above
        self._task, self._storage, self._stop = task, storage, stop
        self._holds = contextlib.ExitStack()

    def input(self, name: str) -> Path:
        """The input of that name as a file of this host, to be read only, there while the task runs.

        Raises StorageError when it is missing, torn or wrong, and OSError when this host has no room.
        """
        digest = self._task.inputs[name]
        path = self._storage.local(digest)
        return self._holds.enter_context(host_cache.held(self._storage, digest)) if path is None else path

    def put_file(self, path: Path, *, is_final: bool = False) -> str:
        """Keeps a file as a blob and gives its hash, for a result that names it; `is_final` as `Storage.put_file`.

        One that is final is this host's copy as well, for the tasks that need it next. Raises StorageError and OSError.
        """
        digest = self._storage.put_file(path, is_final=is_final)
        if is_final and not self._storage.is_local:
            host_cache.keep(path, digest)
        return digest

    def check(self) -> None:
        """To be called now and then by a function that takes long. Raises Stopped when the run was cancelled."""
        if self._stop is not None and self._stop.is_set():
            raise Stopped

    def close(self) -> None:
        """Lets the host's cache forget the inputs when it needs the room."""
        self._holds.close()


def execute(content: bytes, storage_url: str) -> bytes:
    """Runs the task of `Task.encoded` and gives the `Outcome` as JSON. What a worker of a cluster is asked to do."""
    return msgspec.json.encode(run_task(decoded(content), _storage(storage_url)))


@functools.lru_cache(_STORAGES_MAX)
def _storage(url: str) -> Storage:
    return Storage(url)


def run_task(task: Task, storage: Storage, stop: threading.Event | None = None) -> Outcome:
    """Runs a task, unless the code here is another than it is for, and keeps its result."""
    key, started = task.key, time.monotonic()
    if task.revision not in own_revisions():
        return Outcome(status="unfit", record=Record(key=key, function=task.function, worker=worker_name()))
    known = _known(key, storage)
    if known is not None:
        return Outcome(status="done", record=known)
    attempt = _Attempt()
    result = b""
    with attempt, kept_log(attempt) as log:
        job = Job(task, storage, log, stop)
        with contextlib.closing(job):
            result = function_of(task)(job)
    record = Record(
        key=key,
        function=task.function,
        error=attempt.error,
        log=attempt.log,
        worker=worker_name(),
        seconds=round(time.monotonic() - started, 3),
    )
    if attempt.status == "done":
        kept = _Attempt()
        with kept:
            return Outcome(status="done", record=storage.put(record, result))
        record = msgspec.structs.replace(record, error=kept.error, log=record.log + kept.log)
        return Outcome(status="failed", record=record)
    if attempt.status == "failed":
        with _Attempt():  # where the storage does not take it, that was most likely the reason
            storage.put_failure(record)
    return Outcome(status=attempt.status, record=record)


def _known(key: str, storage: Storage) -> Record | None:
    """The record of the task where it is done and intact: another may have been at it, or we before a connection broke.

    A storage that fails here fails the task below, with its reason.
    """
    with _Attempt():
        return storage.record(key) if storage.has(key) else None
    return None


def own_revisions() -> frozenset[str]:
    """The revisions that this process can run: with the packages for models counted, and without."""
    return frozenset({revision.revision(), revision.revision(models=True)})


def worker_name() -> str:
    """This host and process, for people."""
    return f"{socket.gethostname()}/{os.getpid()}"


class _Attempt:
    """Holds how a block ended; an error of the task ends here, an interrupt passes through."""

    def __init__(self) -> None:
        self.status: Status = "done"
        self.error = ""
        self.log = ""

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if value is None or not isinstance(value, Exception):
            return False
        self.status = "stopped" if isinstance(value, Stopped) else "failed"
        self.error = " ".join(f"{type(value).__name__}: {value}".split())[:ERROR_LENGTH_MAX]
        text = "".join(traceback.format_exception(value))
        self.log = _bounded(self.log + text)
        return True


def _bounded(text: str) -> str:
    """At most LOG_BYTES_MAX, the end of it, where the error is."""
    content = text.encode()
    if len(content) <= LOG_BYTES_MAX:
        return text
    left_out = len(content) - LOG_BYTES_MAX
    return f"({left_out} bytes before this were left out)\n" + content[left_out:].decode(errors="ignore")


class _Lines(logging.Handler):
    """Keeps the lines of one thread, bounded."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self._thread = threading.get_ident()
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a record of our thread."""
        if record.thread == self._thread:
            self.text = _bounded(f"{self.text}{self.format(record)}\n")


@contextlib.contextmanager
def kept_log(attempt: _Attempt) -> Iterator[logging.Logger]:
    """A logger whose lines, with the warnings of hlhft in this thread, are `attempt.log` at the end."""
    lines = _Lines()
    log, package = logging.getLogger("hlhft-task"), logging.getLogger("hlhft")
    log.setLevel(logging.INFO)
    log.propagate = False  # it is kept with the result, and not shown where the task runs
    for logger in (log, package):
        logger.addHandler(lines)
    try:
        yield log
    finally:
        for logger in (log, package):
            logger.removeHandler(lines)
        attempt.log = lines.text
