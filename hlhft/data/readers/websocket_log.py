"""Raw WebSocket logs of Hyperliquid: `<local ns> <json>` a line, or JSON lines {"ts_local": ns, "msg": {...}}.

Plain, gzip or LZ4. Repeated trades are dropped, a subscription's backfill is marked, and a silence of more than a
minute starts a new session, as in every recording of the venue's own feed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.merge import Events, Numbered, whole_frames
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.messages import UNDECODABLE, MessageBlock, markets_in
from hlhft.data.sessions import Sessions, TradeMemory
from hlhft.data.sources import Source
from hlhft.units import Market

_CLOCK_DIGITS = 19


class _Wrapped(msgspec.Struct):
    ts_local: int
    msg: msgspec.Raw


_WRAPPED = msgspec.json.Decoder(_Wrapped)


class WebsocketLogSource(Source):
    """One log of any number of coins."""

    reader = "websocket-log-1"
    snapshots_only = True

    def __init__(self, file: LineFile, markets: Sequence[Market]) -> None:
        super().__init__(file.path.name, [file.path], markets, {})
        self._file = file

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        memory = TradeMemory()
        rows = in_arrival_order(self._rows(meter), name=str(self._file.path), tally=self.counts)
        fresh = (memory.without_repeats(whole, self.counts) for whole in whole_frames(rows))
        return Sessions(len(self.markets), self.counts).marked(fresh)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The messages line by line."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        block = MessageBlock(self._file.path, self.markets, self.counts)

        def read(first: int, lines: list[bytes]) -> Numbered:
            block.clear()
            for number, line in enumerate(lines, first):
                block.add(number, *self._split(line, number))
            return block.events()

        return self._up_to_fault(self._file.blocks(meter), read)

    def _split(self, line: bytes, number: int) -> tuple[int, bytes | msgspec.Raw]:
        """(local time, message) of a line in either form."""
        if line.startswith(b"{"):
            try:
                wrapped = _WRAPPED.decode(line)
            except UNDECODABLE as error:
                raise DataError(
                    self._file.path, number, f'{error}, expected {{"ts_local": ns, "msg": message}}, drop the line'
                ) from None
            return wrapped.ts_local, wrapped.msg
        clock, _, text = line.partition(b" ")
        if len(clock) != _CLOCK_DIGITS or not clock.isdigit():
            shown = line[:24].decode("ascii", "backslashreplace")
            raise DataError(
                self._file.path,
                number,
                f'the line begins with "{shown}", expected {_CLOCK_DIGITS} digits of nanoseconds and a space, drop it',
            )
        return int(clock), text


def recognises(head: list[bytes]) -> bool:
    """Whether these first lines look like such a log."""
    line = next((line for line in head if line), b"")
    if line.startswith(b'{"ts_local"'):
        return True
    clock, _, text = line.partition(b" ")
    return len(clock) == _CLOCK_DIGITS and clock.isdigit() and b'"channel"' in text


def open_log(
    file: LineFile, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source of every coin in the log, or of `market` alone."""
    if options:
        raise DataError(
            file.path, None, f"the reader of WebSocket logs has no option {next(iter(options))}, leave it out"
        )
    return WebsocketLogSource(file, markets_in(file, market, specification))
