"""The disk of a simulated process: what is written when, and what a kill or a power cut loses.

The store is the real one, its thread is not: what it has not written when the process is killed never is. The journal's
files are the real ones too: what was copied into them survives a kill, and of what was not flushed a power cut keeps
some pages and loses others.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from random import Random

from hlhft.live.journal.records import HEADER, HEADER_BYTES, record_bytes
from hlhft.live.journal.segments import PAGE_BYTES, Form, JournalFull, Name, Segment
from hlhft.live.journal.writer import Journal
from hlhft.live.keeper import WAITING_MAX, Done
from hlhft.simulation.host import Host
from hlhft.simulation.time import MS

FULL = "the disk is full"
_SEQUENCE, _LENGTH = 2, 1  # in a record's header


class Disk:
    """The disk as one process sees it; in place of `hlhft.live.keeper.Keeper`, and of the journal's thread."""

    def __init__(self, host: Host, random: Random) -> None:
        self.failures = 0
        self.is_full = False  # no new file, and nothing more in the store
        self.sync_ns = 0  # that one flush takes, beside the usual
        self._host = host
        self._random = random
        self._waiting: deque[tuple[Callable[[], object], Done | None]] = deque()
        self._segments: list[SimulatedSegment] = []  # that are open: of one journal, a handful
        self._journal: Journal | None = None

    # The store.

    def later(self, work: Callable[[], object], done: Done | None = None) -> None:
        """Writes it soon, and tells later still."""
        if len(self._waiting) >= WAITING_MAX:
            self.failures += 1
            if done is not None:
                self._host.call_soon(done, "the disk does not keep up")
            return
        self._waiting.append((work, done))
        self._host.at(self._host.time.now_ns + self._random.randrange(1, 30) * MS + self.sync_ns, self._next)

    def now(self, work: Callable[[], object]) -> str:
        """Writes what waits, and this; returns what failed."""
        while self._waiting:
            self._next()
        return self._write(work)

    def _next(self) -> None:
        if self._waiting:
            work, done = self._waiting.popleft()
            fault = self._write(work)
            if done is not None:
                self._host.at(self._host.time.now_ns + self._random.randrange(1, 5) * MS, done, fault)

    def _write(self, work: Callable[[], object]) -> str:
        if self.is_full:
            self.failures += 1
            return FULL
        work()
        return ""

    # The journal.

    def segment(self, folder: Path, name: Name, size: int) -> SimulatedSegment:
        """A new file of the journal. Raises JournalFull."""
        if self.is_full:
            raise JournalFull(f"{folder}: there is no room for another {size >> 20} MiB of journal ({FULL})")
        made = SimulatedSegment(folder, name, size)
        self._segments = [*(one for one in self._segments if one.is_open), made]
        return made

    def keep(self, journal: Journal) -> None:
        """Does from now on what the journal's thread does."""
        self._journal = journal
        self._host.at(self._host.time.now_ns + int(journal.settings.sync_ms * MS) + self.sync_ns, self._keep)

    def _keep(self) -> None:
        assert self._journal is not None
        self._journal.keep()
        self.keep(self._journal)

    # The end.

    def drop(self) -> None:
        """The process is gone: what waits is never written, what is in files stays."""
        self._waiting.clear()
        for one in self._segments:
            if one.is_open:
                one.close()
        self._segments.clear()

    def cut_power(self) -> None:
        """The host is gone: of what was not flushed each page is there, empty, or torn. `drop` comes before."""
        journal = self._journal
        if journal is None:
            return
        path = journal.folder / Name(journal.session, journal.number).file(Form.OPEN)
        with path.open("r+b") as file:
            content = bytearray(file.read())
            at = _end_of(content, journal.synced_sequence)
            while at < len(content):
                end = min((at // PAGE_BYTES + 1) * PAGE_BYTES, len(content))
                draw = self._random.random()
                if draw < 0.4:
                    content[at:end] = bytes(end - at)
                elif draw < 0.5:
                    torn = self._random.randrange(at, end)
                    content[torn:end] = bytes(end - torn)
                at = end
            file.seek(0)
            file.write(content)


class SimulatedSegment(Segment):
    """A file of the journal that knows whether it is open."""

    is_open = True

    def ahead(self, at: int, distance: int) -> None:
        """As of a segment: nobody waits for a file system here."""

    def close(self, *, truncate_at: int | None = None) -> None:
        """As of a segment."""
        self.is_open = False
        super().close(truncate_at=truncate_at)

    def sync(self) -> None:
        """As of a segment; what is in memory of a simulation is on its disk when the simulation says so."""
        if self.descriptor < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _end_of(content: bytearray, sequence: int) -> int:
    """Where the record with this number ends."""
    at = 0
    while at + HEADER_BYTES <= len(content):
        header = HEADER.unpack_from(content, at)
        if header[_SEQUENCE] == 0 or header[_SEQUENCE] > sequence:
            break
        at += record_bytes(header[_LENGTH])
    return at
