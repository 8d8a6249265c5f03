"""The venue's archive of book snapshots: JSON lines, usually LZ4 frames (venue reference section 11).

`time` is the archiver's UTC in nanoseconds without a zone and stands for the local clock, `raw.data.time` is the
block's milliseconds. The archive holds no trades; open node fills beside it. A torn last line, which archives are
known for, is left out and counted; a torn line elsewhere is an error.

Lines as the archive writes them are read by `hlhft.data.readers.archive_scan`, a block at a time; any other one by its
types, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.merge import Events, Numbered, copied, joined, nothing
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.archive_scan import LINE_EVENTS_MAX, scan_lines
from hlhft.data.readers.messages import UNDECODABLE, MessageBlock, markets_in
from hlhft.data.sessions import Sessions
from hlhft.data.sources import Source
from hlhft.data.tally import Tally
from hlhft.data.times import utc_ns
from hlhft.events import EVENT_DTYPE
from hlhft.hyperliquid.scan import PADDING, new_coins
from hlhft.units import Market

EVENT_TEXT_BYTES_MIN = 20  # of a line that the scan knows: a level takes 24, both ends of a book more


class _Line(msgspec.Struct):
    time: str
    raw: msgspec.Raw


_LINE = msgspec.json.Decoder(_Line)


class ArchiveSource(Source):
    """One archive file."""

    reader = "archive-1"
    snapshots_only = True

    def __init__(self, file: LineFile, markets: Sequence[Market]) -> None:
        super().__init__(file.path.name, [file.path], markets, {})
        self._file = file

    @property
    def without_trades(self) -> tuple[str, ...]:
        """All: the archive holds books only (venue reference section 11)."""
        return tuple(market.name for market in self.markets)

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        rows = in_arrival_order(self._rows(meter), name=str(self._file.path), tally=self.counts)
        return Sessions(len(self.markets), self.counts).marked(rows)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The messages line by line."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        lines = ArchiveLines(self._file.path, self.markets, self.counts)
        yield from self._up_to_fault(self._file.texts(meter), lines.read, first_lines)
        lines.close()


def first_lines(text: bytes, count: int) -> bytes:
    """The first `count` (> 0) lines of `text`, which holds more, without the last one's newline."""
    end = -1
    for _ in range(count):
        end = text.index(b"\n", end + 1)
    return text[:end]


class ArchiveLines:
    """Blocks of archive lines as events of some markets; a line that is none may only be the last."""

    def __init__(self, path: Path, markets: Sequence[Market], counts: Tally) -> None:
        """Counts snapshots and what is left out in `counts`."""
        self._path = path
        self._counts = counts
        self._messages = MessageBlock(path, markets, counts)
        self._coins = new_coins(markets)
        self._clock = np.zeros(1, dtype=np.int64)
        self._torn: DataError | None = None
        # One room for all blocks: memory that is new costs more than the scan.
        self._text = np.zeros(0, dtype=np.uint8)
        self._events, self._lines = np.empty(0, dtype=EVENT_DTYPE), np.empty(0, dtype=np.int64)

    def read(self, first: int, text: bytes) -> Numbered:
        """The events of whole lines, the first of which has the number `first`. Raises DataError naming a line."""
        self._messages.clear()
        if self._torn is not None and isinstance(self._torn.line, int) and self._torn.line >= first:
            self._torn = None  # the same lines are read again
        self._make_room(text)
        parts: list[Numbered] = []
        place, number, used = 0, first, 0
        while place <= len(text):
            self._raise_torn()
            place, behind, count = scan_lines(
                self._text, place, len(text), number, self._coins, self._clock, self._events[used:], self._lines[used:]
            )
            if count:
                self._flush(parts)
                scanned = slice(used, used + count)
                parts.append(Numbered(copied(self._events[scanned]), self._lines[scanned].copy()))
                self._counts["snapshot"] += behind - number
                number, used = behind, used + count
                continue
            end = text.find(b"\n", place)
            self._add(number, text[place : end if end >= 0 else len(text)])
            place, number = end + 1 if end >= 0 else len(text) + 1, number + 1
        self._flush(parts)
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Numbered(nothing(), np.zeros(0, dtype=np.int64))
        return Numbered(joined([part.events for part in parts]), np.concatenate([part.places for part in parts]))

    def close(self) -> None:
        """Counts a torn last line; there are no more."""
        if self._torn is not None:
            self._counts["torn_last_line"] = 1

    def _raise_torn(self) -> None:
        if self._torn is not None:
            fault, self._torn = self._torn, None
            raise fault

    def _make_room(self, text: bytes) -> None:
        """Room for the text and the most events that it can give."""
        size, count = len(text) + PADDING, len(text) // EVENT_TEXT_BYTES_MIN + LINE_EVENTS_MAX
        if size > len(self._text):
            self._text = np.zeros(size, dtype=np.uint8)
            self._events, self._lines = np.empty(count, dtype=EVENT_DTYPE), np.empty(count, dtype=np.int64)
        self._text[: len(text)] = np.frombuffer(text, dtype=np.uint8)
        self._text[len(text) : size] = 0

    def _flush(self, parts: list[Numbered]) -> None:
        """Appends what was read by type since the last part."""
        rows = self._messages.events()
        if len(rows.events):
            parts.append(rows)

    def _add(self, number: int, line: bytes) -> None:
        try:
            decoded = _LINE.decode(line)
        except UNDECODABLE as error:
            self._torn = DataError(
                self._path, number, f"no archive line ({error}), expected time and raw message, drop the line"
            )
            return
        try:
            local_ns = utc_ns(decoded.time)
        except ValueError as error:
            raise DataError(self._path, number, f"{error}, drop the line") from None
        self._messages.heard(int(self._clock[0]))
        self._messages.add(number, local_ns, decoded.raw)


def recognises(head: list[bytes]) -> bool:
    """Whether the first line looks like an archive's."""
    line = next((line for line in head if line), b"")
    return line.startswith(b"{") and b'"raw"' in line and b'"time"' in line and b'"events"' not in line[:200]


def open_archive(
    file: LineFile, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source of the coins in the file, or of `market` alone."""
    if options:
        raise DataError(file.path, None, f"the archive's reader has no option {next(iter(options))}, leave it out")
    return ArchiveSource(file, markets_in(file, market, specification))
