"""The archive's asset contexts: CSV with a header, a row for each coin and minute (venue reference section 11).

Columns are found by name. `time`, `coin` and `mark_px` must be there; what is missing of `oracle_px`, `open_interest`,
`funding` and `premium`, as a column or in a row, is 0 in the event, and counted. Prices, sizes and rates are averages,
finer than a tick, so they are cut to whole units, as in the venue's own feed. A time may be written with a blank for T;
the local clock is modelled: the time and a delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.merge import Events
from hlhft.data.tally import Tally
from hlhft.data.times import TIME_NS_MAX, utc_ns
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import FUNDING_SCALE, LOTS_MAX, TICKS_MAX, Market

ROWS_MAX = 4_000_000  # of a file: a day of a thousand coins has 1,440,000
REQUIRED = ("time", "coin", "mark_px")
OPTIONAL = ("oracle_px", "open_interest", "funding", "premium")
_NOTHING = ("", "null")
_FLAGS = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE | EventFlag.FRAME_END)
_RATE_MAX = 2**62
# Wide enough for any number in range times its scale; nothing traps, what is no number in range comes out as such.
_WIDE = Context(prec=60, traps=[])


class _Columns(NamedTuple):
    """Where the columns are, by name, and how many there are."""

    places: dict[str, int]
    width: int


class Contexts(NamedTuple):
    """A file's."""

    events: dict[str, Events]  # by coin, in order of time; no coin without any
    counts: dict[str, Tally]  # the same coins: rows, and what was missing in how many of them
    times_ns: NDArray[np.int64]  # of the rows of any coin, each once, sorted
    is_torn: bool  # the last line was none


def read_contexts(path: Path, markets: Mapping[str, Market], *, delay_ns: int) -> Contexts:
    """The ASSET_CONTEXT events of the coins in `markets`. Raises DataError naming a line that is none, but the last."""
    columns: _Columns | None = None
    rows: dict[str, list[tuple[int, ...]]] = {}
    counts: dict[str, Tally] = {}
    times: dict[str, int] = {}  # each with its first line
    torn: DataError | None = None
    for first, lines in LineFile(path).blocks():
        for number, line in enumerate(lines, first):
            if torn is not None:
                raise torn
            if columns is None:
                columns = _header(line, path)
                continue
            cells = line.decode("utf-8", "replace").rstrip("\r").split(",")
            if len(cells) != columns.width:
                message = f"the row has {len(cells)} columns, expected {columns.width} as the header has, drop the line"
                torn = DataError(path, number, message)
                continue
            if number > ROWS_MAX:
                raise DataError(path, number, f"the file holds more than {ROWS_MAX} rows, expected a day's, split it")
            times.setdefault(cells[columns.places["time"]], number)
            coin = cells[columns.places["coin"]]
            if (market := markets.get(coin)) is not None:
                row = _Row({name: cells[place] for name, place in columns.places.items()}, path, number)
                tally = counts.setdefault(coin, Tally())
                tally["rows"] += 1
                rows.setdefault(coin, []).append(_values(row, market, delay_ns, tally))
    every = sorted(_Row({"time": text}, path, number).time_ns() for text, number in times.items())
    return Contexts(
        {coin: _sorted(found) for coin, found in rows.items()},
        counts,
        np.array(every, dtype=np.int64),
        torn is not None,
    )


def _header(line: bytes, path: Path) -> _Columns:
    names = [name.strip() for name in line.decode("utf-8", "replace").split(",")]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise DataError(path, 1, f"the header lacks {', '.join(missing)}, expected the archive's asset contexts")
    return _Columns({name: names.index(name) for name in (*REQUIRED, *OPTIONAL) if name in names}, len(names))


class _Row(NamedTuple):
    """The cells of one row by column."""

    cells: dict[str, str]
    path: Path
    number: int

    def time_ns(self) -> int:
        """Its time. Raises DataError."""
        text = self.cells["time"]
        try:
            time_ns = utc_ns(text.replace(" ", "T", 1))
        except ValueError as error:
            raise DataError(self.path, self.number, f"{error}, drop the line") from None
        if not 0 < time_ns < TIME_NS_MAX // 2:
            raise DataError(self.path, self.number, f'time "{text[:40]}" is out of range, drop the line')
        return time_ns

    def whole(self, name: str, scale: int, low: int, high: int, counts: Tally) -> int:
        """A cell in whole units of 1/scale, cut toward zero, within low..high; 0 and counted where there is none."""
        text = self.cells.get(name, "")
        if text in _NOTHING:
            counts[f"rows_without_{name}"] += 1
            return 0
        try:
            value = _WIDE.multiply(Decimal(text), Decimal(scale))
        except InvalidOperation:
            value = Decimal("nan")
        if not value.is_finite() or not low <= value <= high:
            raise DataError(self.path, self.number, f'{name} "{text[:40]}" is no number in range, drop the line')
        return int(value)


def _values(row: _Row, market: Market, delay_ns: int, counts: Tally) -> tuple[int, ...]:
    """The event's fields in the order of EVENT_DTYPE."""
    time_ns = row.time_ns()
    ticks, lots = 10**market.price_decimals, 10**market.size_decimals
    return (
        time_ns,
        time_ns + delay_ns,
        row.whole("mark_px", ticks, 0, TICKS_MAX, counts),
        row.whole("open_interest", lots, 0, LOTS_MAX, counts),
        row.whole("oracle_px", ticks, 0, TICKS_MAX, counts),
        row.whole("funding", FUNDING_SCALE, -_RATE_MAX, _RATE_MAX, counts),
        row.whole("premium", FUNDING_SCALE, -_RATE_MAX, _RATE_MAX, counts),
        int(EventKind.ASSET_CONTEXT),
        _FLAGS,
        0,
        0,
        0,
    )


def _sorted(rows: Sequence[tuple[int, ...]]) -> Events:
    events = np.array(rows, dtype=EVENT_DTYPE)
    times = events["ts_exch_ns"]
    return events if (times[1:] >= times[:-1]).all() else events[np.argsort(times, kind="stable")]
