"""Recordings as replay rows: compiled once, kept in the cache folder, read in bounded pieces.

A recording's rows are one file a market. The folder's name is a hash of what decides them: the recording's contents,
the reader, the market specifications, the feed profile and the code; so nothing stale is ever read. It is written under
another name and renamed when complete. The cache holds at most CACHE_BYTES_MAX; the longest unused goes first.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hlhft.backtest.rows import (
    BBO,
    FAULT_KIND,
    FAULT_ORDER_EXCHANGE,
    FAULT_ORDER_LOCAL,
    FAULT_PRICE,
    FAULT_SIZE,
    KIND_MASK,
    ROW_DTYPE,
    ROWS_PER_EVENT_MAX,
    TRADE,
    price_range,
    rows_from_events,
)
from hlhft.compiled import cache_root, code_key
from hlhft.data.errors import DataError
from hlhft.data.feed import replay_events
from hlhft.data.sources import Source
from hlhft.units import Market

CACHE_BYTES_MAX = 8 * 1024**3
EVENTS_PER_CHUNK = 16_384
MAPPED_BYTES_MAX = 256 * 1024**2
_MANIFEST = "manifest.json"
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
    _handle: BinaryIO | None = field(default=None, repr=False)

    def read(self, rows_max: int) -> np.ndarray:
        """The next rows, ROW_DTYPE, at most `rows_max`; empty at the end."""
        if self._handle is None:
            self._handle = self.path.open("rb")
        rows = np.fromfile(self._handle, dtype=ROW_DTYPE, count=rows_max)
        if len(rows) == 0:
            self._handle.close()
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


def compile_recording(source: Source, *, profile: str, progress: Progress | None = None) -> Recording:
    """The source's rows, from the cache when they are there.

    `progress(bytes done, bytes in all)` while reading. Raises DataError for what the reader refuses, for an event
    that does not fit a row and for a market without any event, and OSError when the cache cannot be written.
    """
    root = cache_root() / "rows"
    folder = root / _key(source, profile)
    if not (folder / _MANIFEST).is_file():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".writing-") as writing:
            written = Path(writing) / "rows"
            written.mkdir()
            _write(source, profile, written, progress)
            if not folder.exists():
                written.rename(folder)
        _evict(root, keep=folder)
    os.utime(folder)
    return _read(source, profile, folder)


def _key(source: Source, profile: str) -> str:
    text = f"{source.fingerprint()} {profile} {code_key()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


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
            has_touch = bool(np.isin(out["word"][:count] & KIND_MASK, (BBO, TRADE)).any())
            before = self.ranges[has_touch]
            self.ranges[has_touch] = (min(before[0], low), max(before[1], high))
        self.rows += count
        self.file.write(out[:count].tobytes())

    @property
    def range(self) -> tuple[int, int]:
        """Lowest and highest price in ticks; (2^31, -1) when there was none."""
        return self.ranges[self.ranges[True][1] >= 0]


def _write(source: Source, profile: str, folder: Path, progress: Progress | None) -> None:
    writers = [_Writer(source, index, folder) for index in range(len(source.markets))]
    out = np.zeros(EVENTS_PER_CHUNK * ROWS_PER_EVENT_MAX, ROW_DTYPE)
    events_total = 0
    for events in replay_events(source, profile=profile, rows_max=EVENTS_PER_CHUNK, progress=progress):
        for writer in writers:
            writer.take(events, events_total, out)
        events_total += len(events)
    for writer in writers:
        writer.file.close()
        if writer.range[1] < 0:
            name = source.markets[writer.index].name
            raise DataError(source.name, None, f"no price of market {name} is in it, name a recording that has one")
    manifest = {
        "events": events_total,
        "counts": dict(source.counts),
        "markets": [
            {"rows": writer.rows, "low_ticks": writer.range[0], "high_ticks": writer.range[1]} for writer in writers
        ],
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, sort_keys=True))


def _read(source: Source, profile: str, folder: Path) -> Recording:
    manifest = json.loads((folder / _MANIFEST).read_text())
    files = tuple(
        RowFile(folder / f"{index}.rows", entry["rows"], entry["low_ticks"], entry["high_ticks"])
        for index, entry in enumerate(manifest["markets"])
    )
    for file in files:
        if file.path.stat().st_size != file.rows_total * ROW_DTYPE.itemsize:
            raise DataError(str(file.path), None, "the cached rows were cut short, delete the folder it stands in")
    return Recording(
        name=source.name,
        fingerprint=source.fingerprint(),
        profile=profile,
        markets=source.markets,
        files=files,
        events=manifest["events"],
        counts=manifest["counts"],
    )


def _evict(root: Path, *, keep: Path) -> None:
    """Removes the longest unused entries until the cache is within its bound; the newest always stays."""
    entries: list[tuple[float, Path, int]] = []
    for folder in root.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            entries.append((folder.stat().st_mtime, folder, _bytes_of(folder.iterdir())))
    total = sum(size for _, _, size in entries)
    for _, folder, size in sorted(entries):
        if total <= CACHE_BYTES_MAX:
            return
        if folder != keep:
            shutil.rmtree(folder)
            total -= size


def _bytes_of(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
