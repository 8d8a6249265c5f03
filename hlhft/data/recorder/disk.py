"""The disk's side of a recorder: hour after hour, its raw file and its parts, whatever the disk does.

Lines come in order. Each goes to the raw file of its hour and to the hour's assembler; at the hour's end the parts are
completed, then the raw file. When free space falls below the minimum, the hour is completed at once and nothing is
written until there is room again; when the disk refuses outright, what the raw file has is completed then. Either
way the next parts say that something is missing ("disk-full").
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from hlhft.data.catalogue.layout import KINDS, PartKey, manifest_path
from hlhft.data.errors import DataError
from hlhft.data.recorder.assembly import Assembler
from hlhft.data.recorder.hours import SECOND_NS, Hour, hour_of, raw_path, session_of, writing_path
from hlhft.data.recorder.latency import Latencies
from hlhft.data.recorder.marks import Begin, Standing, encoded
from hlhft.data.recorder.queue import Line, LineQueue
from hlhft.data.recorder.raw import RawFile
from hlhft.data.recorder.rebuild import Rebuilt, rebuild
from hlhft.units import Market

FLUSH_NS = SECOND_NS  # with TAKE_S, what a kill can lose
SYNC_NS = 5 * SECOND_NS  # and a loss of power
LOOK_NS = SECOND_NS  # between two looks at the free space
RETRY_NS = 10 * SECOND_NS  # after the disk refused
LATE_NS = 5 * SECOND_NS  # an hour in which nothing comes any more ends so long after its end
TAKE_S = 0.1
ROOM_SHARE = 20  # it goes on with a twentieth more than the minimum, so as not to begin and end all the time
SESSIONS_TRIED_MAX = 3_600
_FULL = "disk-full"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSettings:
    """What is recorded where. Absolute paths."""

    catalogue: Path
    raw: Path | None  # None: no raw files
    url: str
    markets: tuple[Market, ...]
    free_bytes_min: int


class Disk:
    """One recorder's files. Used by one thread; its counters may be read by others."""

    def __init__(self, settings: DiskSettings, say: Callable[[str], None]) -> None:
        """`say` hears what an operator should know, a sentence each."""
        self.settings = settings
        self.offset_ms: int | None = None
        self.events = self.parts = self.raw_bytes = self.faults = self.gaps = 0
        self.unwritten_frames = 0  # that came while nothing could be written
        self.is_full = False
        self.free_bytes = 0
        self.latencies: dict[str, Latencies] = {}  # of the present hour, by kind
        self._say = say
        self._session, self._session_ns = "", 0
        self._local_ns = 0  # of the latest line
        self._standing: tuple[Standing, ...] = ()
        self._newest_ns = 0
        self._raw: RawFile | None = None
        self._assembler: Assembler | None = None
        self._counted = (0, 0, 0)  # events, faults, gaps of the assembler that are in the counters
        self._ticked_ns = self._flushed_ns = self._synced_ns = self._looked_ns = 0
        self._retry_ns = 0
        self._is_broken = False  # what is unfinished on the disk has to be completed first

    def start(self) -> list[Rebuilt]:
        """Completes what an earlier recorder left, and looks for room. Raises DataError."""
        found = [] if self.settings.raw is None else rebuild(self.settings.catalogue, self.settings.raw, self._say)
        self.parts += sum(len(one.manifests) for one in found)
        self._look()
        return found

    def run(self, queue: LineQueue, *, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        """Writes what the queue brings until it is closed, then completes everything. Raises DataError when that last
        step fails."""
        while (lines := queue.take(TAKE_S)) is not None:
            for line in lines:
                self.line(line)
            self.tick(0 if lines else wall_ns(), monotonic_ns())
        self.stop()

    def line(self, line: Line) -> None:
        """One line, a frame or a mark."""
        if self.is_full:
            self.unwritten_frames += 1
            return
        try:
            self._write(*line)
        except DataError as error:
            self._refused(error)
            self.unwritten_frames += 1

    def tick(self, idle_ns: int, monotonic_ns: int) -> None:
        """What time demands. `idle_ns` is the local time when nothing waits to be written, else 0."""
        self._ticked_ns = monotonic_ns
        try:
            if self._raw is not None and monotonic_ns >= self._flushed_ns + FLUSH_NS:
                self._flushed_ns = monotonic_ns
                self._raw.flush()
            if self._raw is not None and not self._raw.is_synced and monotonic_ns >= self._synced_ns + SYNC_NS:
                self._synced_ns = monotonic_ns
                self._raw.sync()
            if self._assembler is not None and idle_ns >= self._assembler.hour.end_ns + LATE_NS:
                self._end()
        except DataError as error:
            self._refused(error)
        if monotonic_ns >= self._looked_ns + LOOK_NS:
            self._looked_ns = monotonic_ns
            self._look()
            if self.is_full and self._has_room() and monotonic_ns >= self._retry_ns:
                self._retry_ns = monotonic_ns + RETRY_NS
                self._resume()
            self._count()
            if self._assembler is not None:
                self.latencies = self._assembler.latencies()

    def stop(self) -> None:
        """Completes the present hour. Raises DataError when the disk refuses; the next start does it then."""
        self._end()

    # Writing.

    def _write(self, local_ns: int, text: bytes) -> None:
        if self._assembler is not None and local_ns >= self._assembler.hour.end_ns:
            self._end()
        if local_ns < self._local_ns:
            # The local clock was wrong before: times never run backwards in a file, so a session of its own begins.
            self._end()
            self._session = ""
        self._local_ns = local_ns
        if self._assembler is None:
            self._begin(local_ns)
        assert self._assembler is not None, "an hour was begun"
        if self._raw is not None:
            self._raw.add(local_ns, text)
        self._assembler.line(local_ns, text)

    def _begin(self, local_ns: int) -> None:
        if not self._session:
            self._session_ns = local_ns
            self._session = self._free_session(local_ns)
        hour = hour_of(local_ns, self._session)
        settings = self.settings
        begin = Begin(
            url=settings.url, session=self._session, session_ns=self._session_ns, hour=hour.number,
            markets=settings.markets, standing=self._standing, newest_ns=self._newest_ns, offset_ms=self.offset_ms,
        )  # fmt: skip
        self._counted = (0, 0, 0)
        self._assembler = Assembler(settings.catalogue, begin)
        if settings.raw is not None:
            self._raw = RawFile(raw_path(settings.raw, hour))
            self._raw.add(local_ns, encoded(begin))

    def _end(self) -> None:
        """Completes the hour: first the parts, then the raw file that they can be made from again."""
        assembler, raw = self._assembler, self._raw
        if assembler is None:
            return
        standing = assembler.standing()
        with assembler:
            self.parts += len(assembler.finish())
        self._count()
        self.latencies = assembler.latencies()
        if raw is not None:
            raw.seal()
            self.raw_bytes += raw.bytes_written
        self._standing, self._newest_ns = standing, assembler.newest_ns
        self._assembler = self._raw = None

    def _free_session(self, local_ns: int) -> str:
        """A name that no file of this hour has. Raises DataError when there is none."""
        for second in range(SESSIONS_TRIED_MAX):
            session = session_of(local_ns + second * SECOND_NS)
            if not self._is_taken(hour_of(local_ns, session)):
                return session
        raise DataError(self.settings.catalogue, None, "all names of this hour are taken, give another folder")

    def _is_taken(self, hour: Hour) -> bool:
        settings = self.settings
        path = None if settings.raw is None else raw_path(settings.raw, hour)
        if path is not None and (path.exists() or writing_path(path).exists()):
            return True
        keys = (PartKey(kind, market.name, hour.date, hour.part_name) for kind in KINDS for market in settings.markets)
        return any(manifest_path(settings.catalogue, key).exists() for key in keys)

    # A disk that takes no more.

    def _look(self) -> None:
        """Looks at the free space; below the minimum the hour is completed, and nothing more is written."""
        try:
            self.free_bytes = min(map(_free_bytes, self._folders()))
        except OSError as error:
            self.free_bytes = 0
            if not self.is_full:
                self._say(f"{error.filename}: its free space cannot be told ({error.strerror}), nothing is written")
        if self.is_full or self.free_bytes >= self.settings.free_bytes_min:
            return
        self._say(
            f"{self.free_bytes >> 20} MiB are free, less than the {self.settings.free_bytes_min >> 20} MiB of "
            "recorder.disk_free_gib_min: nothing is recorded until there is room"
        )
        try:
            self._end()
        except DataError as error:
            self._refused(error)
        self._pause()

    def _has_room(self) -> bool:
        least = self.settings.free_bytes_min
        return self.free_bytes >= least + least // ROOM_SHARE

    def _refused(self, error: DataError) -> None:
        """The disk refused: what is unfinished stays as it is until there is room."""
        self._say(f"{error}; it is tried again every {RETRY_NS // SECOND_NS} s, and nothing is recorded until then")
        if self._assembler is not None:
            self._count()
            self._assembler.__exit__(None, None, None)
        if self._raw is not None:
            self._raw.__exit__(None, None, None)
        if self._raw is not None or self.settings.raw is None:
            # How the streams stood at the last line that was kept is not known here: completing the raw file tells.
            self._is_broken = self._raw is not None
            self._standing, self._newest_ns = (), 0
        self._assembler = self._raw = None
        self._retry_ns = self._ticked_ns + RETRY_NS
        self._pause()

    def _pause(self) -> None:
        self.is_full = True
        self._session = ""
        self._standing = tuple(replace(one, missing=one.missing or _FULL) for one in self._standing)

    def _resume(self) -> None:
        """Goes on where there is room, with what the raw file has completed."""
        if self._is_broken and self.settings.raw is not None:
            try:
                found = rebuild(self.settings.catalogue, self.settings.raw, self._say)
            except DataError as error:
                self._say(f"{error}; it is tried again in {RETRY_NS // SECOND_NS} s")
                return
            self.parts += sum(len(one.manifests) for one in found)
            if found:
                self._newest_ns = found[-1].newest_ns
                self._standing = tuple(replace(one, missing=one.missing or _FULL) for one in found[-1].standing)
            self._is_broken = False
        self.is_full = False
        self._say("there is room again: recording goes on")

    def _folders(self) -> list[Path]:
        """The nearest folders that exist of those written to."""
        wanted = [self.settings.catalogue, *([] if self.settings.raw is None else [self.settings.raw])]
        return [next(folder for folder in (path, *path.parents) if folder.exists()) for path in wanted]

    def _count(self) -> None:
        """Brings the counters up to date."""
        assembler = self._assembler
        if assembler is not None:
            now = (assembler.events, assembler.faults, assembler.gaps)
            events, faults, gaps = (one - before for one, before in zip(now, self._counted, strict=True))
            self.events, self.faults, self.gaps = self.events + events, self.faults + faults, self.gaps + gaps
            self._counted = now


def _free_bytes(folder: Path) -> int:
    """What a user may still write. Raises OSError."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
