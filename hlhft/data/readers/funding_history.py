"""A coin's funding history as one JSON object: `coin`, and `rows` of [milliseconds, hourly rate].

Each row becomes an asset context that knows the rate alone: mark and oracle price and open interest are 0, unknown.
Nobody received these rows: the local clock is the venue's own stamp. Candles, which come in the same wrapping, are no
events and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.merge import Events, Numbered
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.messages import UNDECODABLE
from hlhft.data.sources import Source, market_for
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import FUNDING_SCALE, Market

_TIME_MAX_MS = 9_000_000_000_000
_RATE_MAX = 1.0  # an hour: the venue caps it at 4 %
_FLAGS = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE | EventFlag.FRAME_END)


class _History(msgspec.Struct):
    coin: str
    rows: list[tuple[int, float]]


_HISTORY = msgspec.json.Decoder(_History)


class FundingHistorySource(Source):
    """One coin's funding rates."""

    reader = "funding-history-1"
    unit = "row"

    def __init__(self, file: LineFile, market: Market) -> None:
        super().__init__(file.path.name, [file.path], [market], {})
        self._file = file

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        return in_arrival_order(self._rows(meter), name=str(self._file.path), unit="row", tally=self.counts)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The rates row by row."""
        return ((self._file.path, rows) for rows in self._rows(meter))

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        history = _read(self._file, meter)
        times = np.array([time_ms for time_ms, _ in history.rows], dtype=np.float64)
        rates = np.array([rate for _, rate in history.rows], dtype=np.float64)
        wrong = (times <= 0) | (times >= _TIME_MAX_MS) | ~(np.abs(rates) <= _RATE_MAX)
        sound = int(np.argmax(wrong)) if wrong.any() else len(times)
        out = np.zeros(sound, dtype=EVENT_DTYPE)
        out["ts_exch_ns"] = out["ts_local_ns"] = times[:sound].astype(np.int64) * 1_000_000
        out["aux0"] = np.rint(rates[:sound] * FUNDING_SCALE).astype(np.int64)
        out["kind"], out["flags"] = int(EventKind.ASSET_CONTEXT), _FLAGS
        self.counts["asset_context"] += sound
        yield Numbered(out, np.arange(sound))
        if sound < len(times):
            raise DataError(
                self._file.path,
                f"row {sound}",
                "its time or rate is out of range, expected milliseconds and the rate of an hour, drop the row",
            )


def _read(file: LineFile, meter: ProgressMeter | None = None) -> _History:
    text = b"\n".join(line for _, lines in file.blocks(meter) for line in lines)
    try:
        return _HISTORY.decode(text)
    except UNDECODABLE as error:
        raise DataError(
            file.path, None, f"no funding history ({error}), expected coin and rows of [milliseconds, rate]"
        ) from None


def recognises(head: list[bytes]) -> bool:
    """Whether this looks like a history or like candles in the same wrapping."""
    line = next((line for line in head if line), b"")[:400]
    return line.startswith(b'{"coin"') and b'"source"' in line


def open_history(
    file: LineFile, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source; the market is `market`, or the coin that the file names. Raises DataError for candles."""
    if options:
        raise DataError(
            file.path, None, f"the reader of funding histories has no option {next(iter(options))}, leave it out"
        )
    if b'"interval"' in b"".join(file.head(1))[:400]:
        raise DataError(file.path, None, "these are candles, which are no events, give trades or books instead")
    return FundingHistorySource(file, market or market_for(file.path, _read(file).coin, specification))
