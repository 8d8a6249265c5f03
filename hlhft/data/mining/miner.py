"""Carrying out a plan: objects are fetched ahead of those that are turned into parts, within bounds of disk and memory.

Threads do both: what takes time (sockets, LZ4, the compiled scanners, zstd) runs without the interpreter's lock, and
threads end with their process, so that a killed mining leaves nothing behind that still writes. Whatever is killed
leaves the same catalogue as one that was not, once it is run again: a part is there whole or not at all.
"""

from __future__ import annotations

import errno
import os
import resource
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

from hlhft.data.catalogue.layout import FILL
from hlhft.data.catalogue.manifest import Manifest
from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import Listed, What
from hlhft.data.mining.plan import Task
from hlhft.data.mining.store import Changed, Store

SPOOL = ".spool"  # in the catalogue's folder; a dot, so that nobody reads it as data
SPOOL_BYTES_MAX = 2 << 30  # on disk at a time, or one object if a single one is larger
FETCHING_MAX = 8  # downloads at a time
JOBS_MAX = 16
FILES_MAX = 65_536
FILES_SPARE = 256  # of those that a process may have open: sockets, libraries, the spool
MEMORY_BYTES_MAX = 1 << 30  # of the whole process
# Measured: the process with its libraries and downloads, and one object being worked on; what is held until the end
# beside that are rows, most where every fill of an hour is wished, about three times what was downloaded.
BASE_BYTES, JOB_BYTES = 272 << 20, 46 << 20
HELD_PER_BYTE, HELD_PER_BYTE_OF_FILLS = 0.5, 3.0
AHEAD = 2  # objects that lie ready for each job

Make = Callable[[Task, Path], list[Manifest]]  # the parts of one object; raises ObjectError, MiningError, Stopped


@dataclass(slots=True)
class Report:
    """What a mining did, so far as it came."""

    objects: int = 0
    parts: int = 0
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)  # one sentence an object that could not be used

    def add(self, manifests: Sequence[Manifest]) -> None:
        """Notes one object's parts."""
        self.objects += 1
        self.parts += len(manifests)
        for manifest in manifests:
            self.rows += manifest.rows
            self.counts.update(manifest.counts)


class Miner:
    """One run. `stop` ends it early from outside; it is set in any case when the run is over."""

    def __init__(
        self,
        root: Path,
        store: Store,
        make: Make,
        *,
        jobs: int,
        stop: Event,
        fetched: Callable[[int], None] = lambda count: None,
        made: Callable[[Task], None] = lambda task: None,
    ) -> None:
        """`fetched` hears of bytes as they come, negative when some are given up, from several threads; `made` of each
        object that is done with."""
        self.report = Report()
        self._spool = root / SPOOL
        self._store = store
        self._make = make
        self._jobs = min(max(1, jobs), JOBS_MAX)
        self._stop = stop
        self._fetched = fetched
        self._made = made
        self._waiting: deque[Task] = deque()
        self._fetching: dict[Future[tuple[Task, Path]], Task] = {}
        self._making: dict[Future[list[Manifest]], tuple[Task, Path]] = {}

    def run(self, tasks: Sequence[Task]) -> Report:
        """Carries out all tasks and returns the report; objects that fail are in it.

        Raises MiningError for what ends everything, Stopped, KeyboardInterrupt; what was finished is in the catalogue.
        """
        self._waiting.extend(tasks)
        self._jobs = min(self._jobs, jobs_within(files_max(), MEMORY_BYTES_MAX, tasks))
        self._prepare(tasks)
        with ThreadPoolExecutor(FETCHING_MAX) as fetching, ThreadPoolExecutor(self._jobs) as making:
            try:
                while self._waiting or self._fetching or self._making:
                    self._begin(fetching)
                    under_way: list[Future[Any]] = [*self._fetching, *self._making]
                    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._take(future, making)
            finally:
                self._stop.set()
                left: list[Future[Any]] = [*self._fetching, *self._making]
                for future in left:
                    future.cancel()
        self._clear()
        return self.report

    def _prepare(self, tasks: Iterable[Task]) -> None:
        """The spool folder, holding nothing but what the first tasks can go on with."""
        keep: set[str] = set()
        size_bytes = 0
        for task in tasks:
            size_bytes += task.listed.size_bytes
            if size_bytes > SPOOL_BYTES_MAX:
                break
            keep |= {spool_name(task.listed), f"{spool_name(task.listed)}.part"}
        try:
            self._spool.mkdir(parents=True, exist_ok=True)
            for path in self._spool.iterdir():
                if path.name not in keep:
                    path.unlink()
        except OSError as error:
            raise _unwritable(self._spool, error) from None

    def _clear(self) -> None:
        """Removes the spool folder when nothing is in it: a download that failed stays, to be gone on with."""
        try:
            self._spool.rmdir()
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise _unwritable(self._spool, error) from None

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Starts downloads while there is room for them on disk and among what waits to be turned into parts."""
        under_way = [*self._fetching.values(), *(task for task, _ in self._making.values())]
        spooled = sum(task.listed.size_bytes for task in under_way)
        while self._waiting and len(self._fetching) < FETCHING_MAX and len(self._making) <= AHEAD * self._jobs:
            size_bytes = self._waiting[0].listed.size_bytes
            if spooled and spooled + size_bytes > SPOOL_BYTES_MAX:
                return
            task = self._waiting.popleft()
            self._fetching[pool.submit(self._fetch, task)] = task
            spooled += size_bytes

    def _take(self, future: Future[Any], pool: ThreadPoolExecutor) -> None:
        """What came of a download or of an object."""
        if future in self._fetching:
            task = self._fetching.pop(future)
            try:
                task, path = future.result()
            except ObjectError as error:
                self._fail(task, error)
                return
            self._making[pool.submit(self._make, task, path)] = (task, path)
            return
        task, path = self._making.pop(future)
        try:
            self.report.add(future.result())
        except ObjectError as error:
            path.unlink(missing_ok=True)  # it is fetched anew next time: the archive may have mended it
            self._fail(task, error)
            return
        path.unlink(missing_ok=True)
        self._made(task)

    def _fail(self, task: Task, error: ObjectError) -> None:
        self.report.failures.append(str(error))
        self._made(task)

    def _fetch(self, task: Task) -> tuple[Task, Path]:
        """The object on disk; where it was replaced since the listing, the new one. In a thread of its own."""
        for last in (False, True):
            path = self._spool / spool_name(task.listed)
            try:
                self._store.download(task.listed, path, fetched=self._fetched)
                return task, path
            except Changed:
                if last:
                    raise ObjectError(
                        f"{task.listed.url}: it changes while it is fetched, run it again later"
                    ) from None
            except OSError as error:
                raise _unwritable(path, error) from None
            path.with_name(f"{path.name}.part").unlink(missing_ok=True)
            task = replace(task, listed=self._listed_anew(task.listed))
        raise AssertionError("the second time returns or raises")

    def _listed_anew(self, old: Listed) -> Listed:
        for one in self._store.list(old.bucket, old.key):
            if one.key == old.key:
                return one
        raise ObjectError(f"{old.url}: it was listed and is gone, run it again")


def spool_name(listed: Listed) -> str:
    """The name of an object in the spool folder: equal names mean equal contents."""
    return f"{listed.bucket.name}+{quote(listed.key, safe='')}+{listed.etag}"


def _unwritable(path: Path, error: OSError) -> MiningError:
    advice = "make room and run it again" if error.errno == errno.ENOSPC else "give a folder that can (--catalogue)"
    return MiningError(f"{path}: it cannot be written ({error.strerror or error}), {advice}; what was finished is kept")


def jobs_by_default() -> int:
    """As many as this process has processors."""
    return min(JOBS_MAX, len(os.sched_getaffinity(0)))


def files_max() -> int:
    """How many files this process may have open at a time, raised to what it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)


def jobs_within(files: int, memory_bytes: int, tasks: Iterable[Task]) -> int:
    """How many objects can be worked on at a time with so many open files and so much memory: at least one.

    A part being written is an open file; the largest objects may coincide.
    """
    parts, need_bytes = 1, JOB_BYTES
    for task in tasks:
        parts = max(parts, len(task.parts))
        need_bytes = max(need_bytes, bytes_needed(task))
    return max(1, min((files - FILES_SPARE) // parts, (memory_bytes - BASE_BYTES) // need_bytes))


def bytes_needed(task: Task) -> int:
    """About how much memory an object takes while it becomes parts, beside what the process takes anyway."""
    if task.place.what is What.BOOKS:
        return JOB_BYTES
    every_fill = any(part.kind == FILL for part in task.parts)
    return JOB_BYTES + int(task.listed.size_bytes * (HELD_PER_BYTE_OF_FILLS if every_fill else HELD_PER_BYTE))
