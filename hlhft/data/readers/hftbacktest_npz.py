"""hftbacktest's event arrays, both ways, exactly.

A file holds one array `data` of 64-byte rows: ev, exch_ts, local_ts, px, qty, order_id, ival, fval. `ev` is a kind in
the low byte and four flags: seen by the exchange, seen locally, buy, sell. Prices and sizes become whole ticks and
lots within 1e-9, or the row is an error; going out they are the nearest floats, so a file that came from that
library's converters comes out as it went in. Only what rests at a level may be finer than a lot, by orders older than
the lot: there it is cut to whole lots and counted. A level of a snapshot (its kind 4) is a DEPTH_LEVEL with aux1 = 1.
Its arrays name no market.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.floats import cut_to_lots, refusing, whole
from hlhft.data.markets import named_by_file
from hlhft.data.merge import Events, Numbered, by_row, nothing
from hlhft.data.npz import Rows, rows_of, write
from hlhft.data.sources import Source
from hlhft.data.times import out_of_range
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.units import LOTS_MAX, TICKS_MAX, Market

HFTBACKTEST_DTYPE = np.dtype(
    [
        ("ev", np.uint64),
        ("exch_ts", np.int64),
        ("local_ts", np.int64),
        ("px", np.float64),
        ("qty", np.float64),
        ("order_id", np.uint64),
        ("ival", np.int64),
        ("fval", np.float64),
    ]
)
assert HFTBACKTEST_DTYPE.itemsize == 64

MEMBER = "data"
SNAPSHOT_LEVEL = 1  # aux1 of a level that came in a snapshot
FRAME_ROWS_MAX = 1_000_000  # of one local time: they are held until it changes
_EXCHANGE, _LOCAL, _BUY, _SELL = (np.uint64(1 << bit) for bit in (31, 30, 29, 28))
_KNOWN_BITS = _EXCHANGE | _LOCAL | _BUY | _SELL | np.uint64(0xFF)
_DEPTH, _TRADE, _CLEAR, _SNAPSHOT, _BBO = 1, 2, 3, 4, 5
_KINDS = {
    _DEPTH: EventKind.DEPTH_LEVEL,
    _TRADE: EventKind.TRADE,
    _CLEAR: EventKind.DEPTH_CLEAR,
    _SNAPSHOT: EventKind.DEPTH_LEVEL,
    _BBO: EventKind.BBO,
}
_KIND_TABLE = np.zeros(256, dtype=np.uint16)
for _number, _kind in _KINDS.items():
    _KIND_TABLE[_number] = int(_kind)


class HftbacktestSource(Source):
    """One array of one market, rows in the file's order: already sorted for both sides."""

    reader = "hftbacktest-npz-1"
    unit = "row"

    def __init__(self, path: Path, market: Market) -> None:
        super().__init__(path.name, [path], [market], {})
        self._path = path

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The rows by number."""
        return ((self._path, rows) for rows in by_row(self._arrays(meter)))

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        first = 0
        held = nothing()
        for rows in rows_of(self._path, MEMBER, HFTBACKTEST_DTYPE, at=lambda position: meter.at("rows", position)):
            fresh = import_rows(rows, self.markets[0], path=self._path, first_row=first, counts=self.counts)
            events = np.concatenate([held, fresh])
            first += len(rows)
            cut = _end_frames(events)
            held = events[cut:]
            if len(held) > FRAME_ROWS_MAX:
                raise DataError(
                    self._path,
                    f"row {first - len(held)}",
                    f"more than {FRAME_ROWS_MAX} rows from here on share one local time, expected each message's, "
                    "write the file again",
                )
            yield events[:cut]
        local = np.flatnonzero(held["flags"] & int(EventFlag.LOCAL_VISIBLE))
        held["flags"][local[-1:]] |= int(EventFlag.FRAME_END)
        yield held


def _end_frames(events: Events) -> int:
    """Sets FRAME_END where the local time of local rows changes; returns where the last, still open, frame begins.

    These arrays do not say where a message ended; rows of one local time are taken for one.
    """
    local = np.flatnonzero(events["flags"] & int(EventFlag.LOCAL_VISIBLE))
    times = events["ts_local_ns"][local]
    ends = local[:-1][times[1:] != times[:-1]]
    events["flags"][ends] |= int(EventFlag.FRAME_END)
    return int(ends[-1]) + 1 if len(ends) else 0


def import_rows(
    rows: Rows,
    market: Market,
    *,
    path: Path | str = "(array)",
    first_row: int = 0,
    counts: Counter[str] | None = None,
) -> Events:
    """HFTBACKTEST_DTYPE rows as events of market 0, without FRAME_END; `counts` says how many levels were cut.

    Raises DataError naming the row.
    """
    ev = rows["ev"]
    kind = (ev & np.uint64(0xFF)).astype(np.int64)
    out = np.zeros(len(rows), dtype=EVENT_DTYPE)
    out["kind"] = _KIND_TABLE[kind]

    refuse = refusing(path, first_row)
    refuse(out["kind"] == 0, "its kind is unknown, expected depth, trade, clear, snapshot or bbo (1 to 5)")
    refuse((ev & ~_KNOWN_BITS) != 0, "it has unknown flags, expected bits 28 to 31")
    refuse(((ev & _BUY) != 0) & ((ev & _SELL) != 0), "it is both buy and sell, expected one")
    refuse((rows["ival"] != 0) | (rows["fval"] != 0), "ival or fval is set, expected 0 as for price-level data")
    refuse(rows["order_id"] > np.uint64(2**63 - 1), "order_id is out of range, expected less than 2^63")
    out["price_ticks"] = whole(rows["px"], market.price_decimals, TICKS_MAX, refuse, "px", "tick")
    level = np.isin(kind, (_DEPTH, _SNAPSHOT))
    sizes, cut = cut_to_lots(rows["qty"], market.size_decimals, level | (kind == _BBO))
    out["size_lots"] = whole(sizes, market.size_decimals, LOTS_MAX, refuse, "qty", "lot")
    if counts is not None and cut:
        counts["levels_cut_to_whole_lots"] += cut
    refuse((level | (kind == _TRADE)) & (out["price_ticks"] == 0), "px is 0, expected the price of a level or trade")
    refuse((kind == _TRADE) & (out["size_lots"] == 0), "qty is 0, expected the size of a trade")
    refuse((level | (kind == _BBO)) & ((ev & (_BUY | _SELL)) == 0), "it is neither buy nor sell, expected one")
    refuse(
        out_of_range(rows["exch_ts"]) | out_of_range(rows["local_ts"]), "a time is out of range, expected nanoseconds"
    )
    out["ts_exch_ns"], out["ts_local_ns"] = rows["exch_ts"], rows["local_ts"]
    out["order_id"] = rows["order_id"].astype(np.int64)
    out["aux1"] = np.where(kind == _SNAPSHOT, SNAPSHOT_LEVEL, 0)
    out["side"] = ((ev & _BUY) != 0).astype(np.int8) - ((ev & _SELL) != 0).astype(np.int8)
    out["flags"] = ((ev & _EXCHANGE) != 0) * int(EventFlag.EXCHANGE_VISIBLE) + ((ev & _LOCAL) != 0) * int(
        EventFlag.LOCAL_VISIBLE
    )
    return out


def export_rows(events: Events, market: Market, *, row: int = 0) -> Rows:
    """Events of one market as HFTBACKTEST_DTYPE rows; the inverse of `import_rows`.

    A whole snapshot frame becomes, as that library's converters write it, a clear of the bids down to the last one
    shown, the bids, and the same for asks. Asset contexts must be left out first. Raises DataError for other kinds,
    and for a frame that is cut in two, naming the row counted from `row`.
    """
    events, snapshot = _spread_snapshots(events, row)
    table = np.zeros(256, dtype=np.uint64)
    for number in (_DEPTH, _TRADE, _CLEAR, _BBO):
        table[int(_KINDS[number])] = number
    kind = table[np.minimum(events["kind"], 255)]
    if (kind == 0).any():
        index = int(np.flatnonzero(kind == 0)[0])
        raise DataError(
            "events", f"row {row + index}", f"kind {events['kind'][index]} has no form in an hftbacktest array, drop it"
        )
    snapshot |= (events["kind"] == int(EventKind.DEPTH_LEVEL)) & (events["aux1"] == SNAPSHOT_LEVEL)
    out = np.zeros(len(events), dtype=HFTBACKTEST_DTYPE)
    ev = np.where(snapshot, np.uint64(_SNAPSHOT), kind)
    flags = events["flags"]
    ev |= np.where(flags & int(EventFlag.EXCHANGE_VISIBLE), _EXCHANGE, np.uint64(0))
    ev |= np.where(flags & int(EventFlag.LOCAL_VISIBLE), _LOCAL, np.uint64(0))
    ev |= np.where(events["side"] > 0, _BUY, np.uint64(0)) | np.where(events["side"] < 0, _SELL, np.uint64(0))
    out["ev"] = ev
    out["exch_ts"], out["local_ts"] = events["ts_exch_ns"], events["ts_local_ns"]
    # Dividing two exact floats gives the float nearest to the decimal, the same that reading its text gives.
    out["px"] = events["price_ticks"] / 10.0**market.price_decimals
    out["qty"] = events["size_lots"] / 10.0**market.size_decimals
    out["order_id"] = events["order_id"].astype(np.uint64)
    return out


def _spread_snapshots(events: Events, row: int) -> tuple[Events, NDArray[np.bool_]]:
    """(events with snapshot frames as clears and levels, which rows are levels of such a frame)."""
    begins = np.flatnonzero(events["kind"] == int(EventKind.SNAPSHOT_BEGIN))
    ends = np.flatnonzero(events["kind"] == int(EventKind.SNAPSHOT_END))
    if len(begins) == 0 and len(ends) == 0:
        return events, np.zeros(len(events), dtype=np.bool_)
    if len(begins) != len(ends) or (begins > ends).any():
        raise DataError(
            "events", f"row {row}", "a snapshot is cut in two, expected whole frames, convert the data again"
        )
    pieces, marks, done = [], [], 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        pieces.append(events[done:begin])
        marks.append(np.zeros(begin - done, dtype=np.bool_))
        for side in (Side.BUY, Side.SELL):
            levels = events[begin + 1 : end]
            levels = levels[levels["side"] == int(side)]
            if len(levels):
                clear = levels[-1:].copy()
                clear["kind"], clear["size_lots"], clear["aux0"] = int(EventKind.DEPTH_CLEAR), 0, 0
                pieces.extend((clear, levels))
                marks.append(np.append(False, np.ones(len(levels), dtype=np.bool_)))
        done = end + 1
    pieces.append(events[done:])
    marks.append(np.zeros(len(events) - done, dtype=np.bool_))
    return np.concatenate(pieces), np.concatenate(marks)


def write_hftbacktest(path: Path, arrays: Iterable[Events], market: Market, counts: Counter[str] | None = None) -> int:
    """Writes events of one market, sorted for both sides, as an hftbacktest file; returns the rows written.

    Asset contexts have no form there: they are left out and counted. Raises DataError.
    """
    left_out: Counter[str] = Counter() if counts is None else counts
    return write(path, MEMBER, _exported(arrays, market, left_out), HFTBACKTEST_DTYPE)


def _exported(arrays: Iterable[Events], market: Market, counts: Counter[str]) -> Iterator[Rows]:
    row, held = 0, nothing()
    for array in arrays:
        context = array["kind"] == int(EventKind.ASSET_CONTEXT)
        counts["asset_contexts_left_out"] += int(context.sum())
        events = np.concatenate([held, array[~context]])
        begins = np.flatnonzero(events["kind"] == int(EventKind.SNAPSHOT_BEGIN))
        ends = np.flatnonzero(events["kind"] == int(EventKind.SNAPSHOT_END))
        # A snapshot whose end is still to come waits for it.
        cut = int(begins[-1]) if len(begins) and (len(ends) == 0 or ends[-1] < begins[-1]) else len(events)
        yield export_rows(events[:cut], market, row=row)
        row += cut
        held = events[cut:]
    if len(held):
        yield export_rows(held, market, row=row)


def open_npz(
    path: Path, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source; the market is `market`, or the known one whose name the file's name begins with."""
    if options:
        raise DataError(
            path, None, f"the reader of hftbacktest arrays has no option {next(iter(options))}, leave it out"
        )
    if market is None and (market := named_by_file(path, specification)) is None:
        raise DataError(path, None, "an hftbacktest array does not say which market it holds, name the market")
    return HftbacktestSource(path, market)
