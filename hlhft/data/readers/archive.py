"""The venue's archive of book snapshots: JSON lines, usually LZ4 frames (venue reference section 11).

`time` is the archiver's UTC in nanoseconds without a zone and stands for the local clock, `raw.data.time` is the
block's milliseconds. The archive holds no trades; open node fills beside it. A torn last line, which archives are
known for, is left out and counted; a torn line elsewhere is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.merge import Events, Numbered
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.messages import UNDECODABLE, MessageBlock, markets_in
from hlhft.data.sessions import Sessions
from hlhft.data.sources import Source
from hlhft.data.times import utc_ns
from hlhft.units import Market


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

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        rows = in_arrival_order(self._rows(meter), name=str(self._file.path), tally=self.counts)
        return Sessions(len(self.markets), self.counts).marked(rows)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The messages line by line."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        block = MessageBlock(self._file.path, self.markets, self.counts)
        torn: DataError | None = None

        def read(first: int, lines: list[bytes]) -> Numbered:
            nonlocal torn
            block.clear()
            for number, line in enumerate(lines, first):
                if torn is not None:
                    fault, torn = torn, None
                    raise fault
                try:
                    decoded = _LINE.decode(line)
                except UNDECODABLE as error:
                    torn = DataError(
                        self._file.path,
                        number,
                        f"no archive line ({error}), expected time and raw message, drop the line",
                    )
                    continue
                block.add(number, self._time(decoded.time, number), decoded.raw)
            return block.events()

        yield from self._up_to_fault(self._file.blocks(meter), read)
        if torn is not None:
            self.counts["torn_last_line"] = 1

    def _time(self, text: str, number: int) -> int:
        try:
            return utc_ns(text)
        except ValueError as error:
            raise DataError(self._file.path, number, f"{error}, drop the line") from None


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
