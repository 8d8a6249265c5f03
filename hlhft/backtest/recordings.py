"""Recordings as replay rows: compiled once, kept in the cache folder, read in bounded pieces.

A recording's rows are one file a market. The folder's name is a hash of what decides them: the recording's contents,
the reader, the market specifications, the feed profile and the code; so nothing stale is ever read. It is written under
another name and renamed when complete; one that is not whole is made anew, judged by its manifest and its files' sizes.
The cache holds at most CACHE_BYTES_MAX; the longest unused goes first. What a killed process left goes after a day.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from hlhft.backtest.rows import (
    EXCHANGE_BIT,
    FAULT_KIND,
    FAULT_ORDER_EXCHANGE,
    FAULT_ORDER_LOCAL,
    FAULT_PRICE,
    FAULT_SIZE,
    ROW_DTYPE,
    ROWS_PER_EVENT_MAX,
    has_touch,
    price_range,
    rows_from_events,
)
from hlhft.compiled import cache_root, code_key
from hlhft.data.errors import DataError
from hlhft.data.feed import replay_passing
from hlhft.data.sources import Source
from hlhft.units import Market

CACHE_BYTES_MAX = 8 * 1024**3
EVENTS_PER_CHUNK = 16_384
ABANDONED_S = 24 * 3600
MAPPED_BYTES_MAX = 64 * 1024**2  # what is mapped counts as memory where that is limited
_PACKAGE = Path(__file__).resolve().parents[1]
_MANIFEST = "manifest.json"
_WRITING = ".writing-"
_FAULTS = {
    FAULT_PRICE: "a price outside 0..2^31 ticks",
    FAULT_SIZE: "a size outside 0..2^46 lots",
    FAULT_KIND: "an event that is no market data",
    FAULT_ORDER_EXCHANGE: "an exchange time earlier than the one before it",
    FAULT_ORDER_LOCAL: "a local time earlier than the one before it",
}

Progress = Callable[[int, int], None]


@dataclass
class RowFile:
    """One market's rows on disk as a row stream; every reader has its own position."""

    path: Path
    rows_total: int
    low_ticks: int
    high_ticks: int
    position: int = 0

    def read(self, rows_max: int) -> np.ndarray:
        """The next rows, ROW_DTYPE, at most `rows_max`; empty at the end. Raises DataError when the file was cut."""
        count = min(rows_max, self.rows_total - self.position)
        with self.path.open("rb") as file:
            file.seek(self.position * ROW_DTYPE.itemsize)
            rows = np.fromfile(file, dtype=ROW_DTYPE, count=count)
        if len(rows) < count:
            raise DataError(str(self.path), None, "the cached rows were cut short while they were read, run it again")
        self.position += count
        return rows

    def whole(self) -> np.ndarray | None:
        """All rows, mapped, so that none is copied; None where they are too many to hold a window's bound."""
        size = self.rows_total * ROW_DTYPE.itemsize
        if not 0 < size <= MAPPED_BYTES_MAX:
            return None
        # Copy on write keeps the array writable, hence of the one type that the loop is compiled for.
        return np.memmap(self.path, dtype=ROW_DTYPE, mode="c").view(np.ndarray)

    def fresh(self) -> RowFile:
        """The same rows from the beginning."""
        return RowFile(self.path, self.rows_total, self.low_ticks, self.high_ticks)


@dataclass(frozen=True)
class Recording:
    """A recording ready to replay."""

    name: str
    fingerprint: str
    profile: str
    markets: tuple[Market, ...]
    files: tuple[RowFile, ...]
    events: int
    counts: dict[str, int]  # what the reader found and left out

    def streams(self) -> list[RowFile]:
        """Row streams from the beginning, one a market."""
        return [file.fresh() for file in self.files]

    def span_ns(self) -> tuple[int, int]:
        """When the first row happens and when the last one reaches us."""
        return span_of(self.files)

    def outline(self) -> Outline:
        """What is told of it."""
        first_ns, last_ns = self.span_ns()
        return Outline(
            name=self.name,
            fingerprint=self.fingerprint,
            profile=self.profile,
            markets=self.markets,
            events=self.events,
            counts=self.counts,
            first_ns=first_ns,
            last_ns=last_ns,
        )


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is told of a recording, wherever its rows are."""

    name: str
    fingerprint: str
    profile: str
    markets: tuple[Market, ...]
    events: int
    counts: dict[str, int]
    first_ns: int
    last_ns: int

    def span_ns(self) -> tuple[int, int]:
        """When the first row happens and when the last one reaches us."""
        return self.first_ns, self.last_ns


def span_of(files: Sequence[RowFile]) -> tuple[int, int]:
    """When the first row of a recording happens and the last one reaches us."""
    first, last = [], []
    for file in files:
        with file.path.open("rb") as handle:
            first.append(int(np.fromfile(handle, ROW_DTYPE, 1)[0]["ts_ns"]))
            handle.seek((file.rows_total - 1) * ROW_DTYPE.itemsize)
            row = np.fromfile(handle, ROW_DTYPE, 1)[0]
            last.append(int(row["ts_ns"]) + (int(row["delay_ns"]) if row["word"] & EXCHANGE_BIT else 0))
    return min(first), max(last)


def compile_recording(source: Source, *, profile: str, progress: Progress | None = None) -> Recording:
    """The source's rows, from the cache when they are there.

    `progress(bytes done, bytes in all)` while reading. Raises DataError for what the reader refuses, for an event
    that does not fit a row and for a market without any event, and OSError when the cache cannot be written.
    """
    root = cache_root() / "rows"
    fingerprint = source.fingerprint()
    folder = root / _key(fingerprint, profile)
    recording = _read(source, fingerprint, profile, folder)
    if recording is None:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=_WRITING) as writing:
            written = Path(writing) / "rows"
            written.mkdir()
            _write(source, profile, written, progress)
            _put(written, folder)
        _evict(root, keep=folder)
        recording = _read(source, fingerprint, profile, folder)
        if recording is None:
            raise DataError(str(folder), None, "the cached rows are gone or cut right after writing, run it again")
    os.utime(folder)
    return recording


@contextlib.contextmanager
def written_rows(source: Source, *, profile: str, progress: Progress | None = None) -> Iterator[Recording]:
    """The source's rows in files of their own, for one who takes them elsewhere: gone when the block ends.

    `progress` may raise to end it. Raises as `compile_recording`.
    """
    root = cache_root() / "rows"
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=_WRITING) as writing:
        _evict(root, keep=Path(writing))  # what others of these left that were killed
        _write(source, profile, Path(writing), progress)
        recording = _read(source, source.fingerprint(), profile, Path(writing))
        if recording is None:
            raise DataError(writing, None, "the rows are gone or cut right after writing, run it again")
        yield recording


def _key(fingerprint: str, profile: str) -> str:
    text = f"{fingerprint} {profile} {_sources_key(_PACKAGE)}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


@functools.cache
def _sources_key(package: Path) -> str:
    """A hash of all that makes rows: the compiled code, and the readers and profiles, which are plain Python."""
    digest = hashlib.blake2b(code_key(package).encode(), digest_size=16)
    for path in sorted((package / "data").rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def _put(written: Path, folder: Path) -> None:
    """Gives the complete folder its name, in place of one that is not whole."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        written.rename(folder)
    except OSError:
        # Another process was quicker with the same rows.
        if not (folder / _MANIFEST).is_file():
            raise


class _MarketEntry(msgspec.Struct):
    rows: int
    low_ticks: int
    high_ticks: int


class _Manifest(msgspec.Struct):
    """What a folder of rows holds; written last."""

    events: int
    counts: dict[str, int]
    markets: list[_MarketEntry]


class _Writer:
    """Appends one market's rows to its file."""

    def __init__(self, source: Source, index: int, folder: Path) -> None:
        self.source, self.index = source, index
        self.file = (folder / f"{index}.rows").open("wb")
        self.last = np.full(2, np.iinfo(np.int64).min, np.int64)
        self.rows = 0
        # The band follows trades and best prices; levels count only where a whole recording has neither.
        self.ranges = {True: (2**31, -1), False: (2**31, -1)}

    def take(self, events: np.ndarray, first: int, out: np.ndarray) -> None:
        """Writes the rows of the market's events among `events`, whose first is event number `first`."""
        count, _, fault, place = rows_from_events(events, self.index, self.last, out)
        if fault != 0:
            event = events[place]
            raise DataError(
                self.source.name,
                first + int(place),
                f"{_FAULTS[fault]} in market {self.source.markets[self.index].name} (kind {event['kind']}, exchange "
                f"time {event['ts_exch_ns']}, local time {event['ts_local_ns']}); see `hlhft data check`",
            )
        low, high = price_range(out, count)
        if high >= 0:
            touched = bool(has_touch(out, count))
            before = self.ranges[touched]
            self.ranges[touched] = (min(before[0], low), max(before[1], high))
        self.rows += count
        self.file.write(out[:count].view(np.int64).data)

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest price in ticks; (2^31, -1) when there was none."""
        return self.ranges[self.ranges[True][1] >= 0]


def _write(source: Source, profile: str, folder: Path, progress: Progress | None) -> None:
    out = np.zeros(EVENTS_PER_CHUNK * ROWS_PER_EVENT_MAX, ROW_DTYPE)
    events_total = 0
    with contextlib.ExitStack() as stack:
        writers = [_Writer(source, index, folder) for index in range(len(source.markets))]
        for writer in writers:
            stack.callback(writer.file.close)
        for events in replay_passing(source, profile=profile, rows_max=EVENTS_PER_CHUNK, progress=progress):
            for writer in writers:
                writer.take(events, events_total, out)
            events_total += len(events)
    for writer in writers:
        if writer.range[1] < 0:
            name = source.markets[writer.index].name
            raise DataError(source.name, None, f"no price of market {name} is in it, name a recording that has one")
    entries = [_MarketEntry(writer.rows, *writer.range) for writer in writers]
    manifest = _Manifest(events_total, dict(sorted(source.counts.items())), entries)
    (folder / _MANIFEST).write_bytes(msgspec.json.encode(manifest))


def _read(source: Source, fingerprint: str, profile: str, folder: Path) -> Recording | None:
    """The recording in the folder, None when it is not there or not whole."""
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
        sizes = [(folder / f"{index}.rows").stat().st_size for index in range(len(manifest.markets))]
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None
    if sizes != [entry.rows * ROW_DTYPE.itemsize for entry in manifest.markets]:
        return None
    return Recording(
        name=source.name,
        fingerprint=fingerprint,
        profile=profile,
        markets=source.markets,
        files=tuple(
            RowFile(folder / f"{index}.rows", entry.rows, entry.low_ticks, entry.high_ticks)
            for index, entry in enumerate(manifest.markets)
        ),
        events=manifest.events,
        counts=manifest.counts,
    )


def _evict(root: Path, *, keep: Path) -> None:
    """Removes the longest unused entries until the cache is within its bound; the newest always stays.

    Other processes may do the same at the same time.
    """
    entries: list[tuple[float, Path, int]] = []
    for folder in root.iterdir():
        with contextlib.suppress(FileNotFoundError):
            used = folder.stat().st_mtime
            if not folder.name.startswith(_WRITING):
                entries.append((used, folder, sum(path.stat().st_size for path in folder.rglob("*"))))
            elif time.time() - used > ABANDONED_S:
                shutil.rmtree(folder, ignore_errors=True)
    total = sum(size for _, _, size in entries)
    for _, folder, size in sorted(entries):
        if total <= CACHE_BYTES_MAX:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size
