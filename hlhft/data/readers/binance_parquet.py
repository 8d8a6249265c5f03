"""Binance recordings as Parquet: one row per change of a level, trade or side of the touch; or a book per row.

Columns of the former: `ts_local` and `ts_exch` in nanoseconds (0 where the channel has no time), `kind` (0 REST
snapshot level, 1 depth update, 2 trade, 3 best bid or offer), `side` (1, -1), `price`, `qty`, and `last_id`, the update
or trade id. Rows of one message follow each other and share kind, local time and id. What `hlhft.data.readers.binance`
does to the same messages is done here: the clock moved, missing times modelled, a late snapshot mended, levels cut to
whole lots. So both give the same events.

The latter has `ts_local`, `ts_exch` and ask_px_i, ask_qty_i, bid_px_i, bid_qty_i for i from 1, the touch: a picture of
the book per row.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.floats import cut_to_lots, refusing, whole
from hlhft.data.markets import named_by_file
from hlhft.data.merge import Events, Numbered
from hlhft.data.order import in_arrival_order
from hlhft.data.readers.binance import LATENCY_SAMPLES_MAX, RECENT_UPDATES_MAX
from hlhft.data.readers.frames import VISIBLE
from hlhft.data.readers.hftbacktest_npz import FRAME_ROWS_MAX
from hlhft.data.readers.parquet import Columns, blocks, names_in
from hlhft.data.sources import Source
from hlhft.data.times import out_of_range
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.units import LOTS_MAX, TICKS_MAX, Market

_SNAPSHOT, _UPDATE, _TRADE, _TOUCH = 0, 1, 2, 3
_KINDS = np.array([EventKind.DEPTH_LEVEL, EventKind.DEPTH_LEVEL, EventKind.TRADE, EventKind.BBO], dtype=np.uint16)
_TIMES: dict[str, type[np.generic]] = {"ts_local": np.int64, "ts_exch": np.int64}
_CHANGES: dict[str, type[np.generic]] = _TIMES | {
    "kind": np.int64,
    "side": np.int64,
    "price": np.float64,
    "qty": np.float64,
    "last_id": np.int64,
}
_LEVELS_MAX = 1000
_FRAME_END, _SYNTHETIC = int(EventFlag.FRAME_END), int(EventFlag.SYNTHETIC)
_LOCAL = int(EventFlag.LOCAL_VISIBLE)

Int64 = NDArray[np.int64]


class _ParquetSource(Source):
    """What both forms share: one file of one market, and a clock that may run behind the exchange's."""

    unit = "row"

    def __init__(self, path: Path, market: Market) -> None:
        super().__init__(path.name, [path], [market], {})
        self._path = path
        self._clock: tuple[int, int] | None = None

    @property
    def bytes_total(self) -> int:
        """Both passes: the clock's and the events'."""
        return 2 * super().bytes_total

    def clock(self, meter: ProgressMeter | None = None) -> tuple[int, int]:
        """(nanoseconds that local times are moved by, median latency after that), from one pass over the file."""
        if self._clock is None:
            self._clock = self._measure(meter)
        return self._clock

    def _measure(self, meter: ProgressMeter | None) -> tuple[int, int]:
        least, samples, room = 2**63 - 1, [], LATENCY_SAMPLES_MAX
        last: tuple[int, ...] = ()
        for _, columns in blocks(self._path, self._message_columns(), meter=meter, what="clock"):
            starts, last = _starts(columns, last)
            latency = (columns["ts_local"] - columns["ts_exch"])[starts & (columns["ts_exch"] > 0)]
            if len(latency):
                least = min(least, int(latency.min()))
                samples.append(latency[:room])
                room -= len(samples[-1])
        if not samples:
            raise DataError(
                self._path, None, "no row has an exchange time, expected depth updates or trades, check the file"
            )
        shift = -least if least < 0 else 0
        return shift, int(np.median(np.concatenate(samples))) + shift

    def _arrays(self, meter: ProgressMeter) -> Iterator[Events]:
        return in_arrival_order(self._rows(meter), name=str(self._path), unit="row", tally=self.counts)

    def numbered(self, meter: ProgressMeter) -> Iterator[tuple[Path, Numbered]]:
        """The messages row by row, local times moved."""
        return ((self._path, rows) for rows in self._rows(meter))

    @abstractmethod
    def _message_columns(self) -> dict[str, type[np.generic]]:
        """The columns that tell one message from the next."""

    @abstractmethod
    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        """The events of the file's rows."""

    def _times(self, columns: Columns, first_row: int) -> tuple[Int64, Int64]:
        """(ts_exch_ns, modelled where the file has 0; ts_local_ns, moved). Raises DataError naming the row."""
        shift, median = self.clock()
        self.counts["clock_shift_ns"] = shift
        refuse = refusing(self._path, first_row)
        local, exch = columns["ts_local"] + shift, columns["ts_exch"]
        refuse((columns["ts_local"] <= 0) | out_of_range(local), "ts_local is out of range, expected nanoseconds")
        refuse(out_of_range(exch), "ts_exch is out of range, expected nanoseconds")
        return np.where(exch > 0, exch, local - median), local

    def _whole(
        self, prices: NDArray[np.float64], sizes: NDArray[np.float64], resting: NDArray[np.bool_], first_row: int
    ) -> tuple[Int64, Int64]:
        """(ticks, lots); sizes that rest lose what is finer than a lot, counted. Raises DataError naming the row."""
        market, refuse = self.markets[0], refusing(self._path, first_row)
        ticks = whole(prices, market.price_decimals, TICKS_MAX, refuse, "the price", "tick")
        sizes, cut = cut_to_lots(sizes, market.size_decimals, resting)
        if cut:
            self.counts["levels_cut_to_whole_lots"] += cut
        return ticks, whole(sizes, market.size_decimals, LOTS_MAX, refuse, "the size", "lot")


def _starts(columns: Columns, last: tuple[int, ...]) -> tuple[NDArray[np.bool_], tuple[int, ...]]:
    """(which rows begin a message, bool[n]; what the last row's message is known by); `last` as of the block before.

    Without the columns kind and last_id every row is a message.
    """
    names = [name for name in ("ts_local", "kind", "last_id") if name in columns]
    first, ended = (tuple(int(columns[name][row]) for name in names) for row in (0, -1))
    starts = np.full(len(columns["ts_local"]), len(names) == 1)
    starts[0] |= first != last
    for name in names:
        starts[1:] |= columns[name][1:] != columns[name][:-1]
    return starts, ended


class BinanceParquetSource(_ParquetSource):
    """One instrument's messages, a row per level, trade or side of the touch."""

    reader = "binance-parquet-1"

    def __init__(self, path: Path, market: Market) -> None:
        super().__init__(path, market)
        # Last update id, exchange time and rows of the newest depth updates.
        self._recent: deque[tuple[int, int, Events]] = deque(maxlen=RECENT_UPDATES_MAX)

    def _message_columns(self) -> dict[str, type[np.generic]]:
        return _TIMES | {"kind": np.int64, "last_id": np.int64}

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        self.clock(meter)
        self._recent.clear()
        held: Columns = {}
        first = 0  # of the rows held, or of what comes next
        for _, block in blocks(self._path, _CHANGES, meter=meter, what="events"):
            columns = {name: np.concatenate([held[name], block[name]]) for name in block} if held else block
            starts, _ = _starts(columns, ())
            cut = int(np.flatnonzero(starts)[-1])
            held = {name: column[cut:] for name, column in columns.items()}
            if len(held["kind"]) > FRAME_ROWS_MAX:
                raise DataError(
                    self._path,
                    f"row {first + cut}",
                    f"more than {FRAME_ROWS_MAX} rows from here on are of one message, write the file again",
                )
            if cut:
                yield from self._messages({name: column[:cut] for name, column in columns.items()}, first)
                first += cut
        if held:
            yield from self._messages(held, first)

    def _messages(self, columns: Columns, first_row: int) -> Iterator[Numbered]:
        """The events of whole messages, snapshots with their marks and what is applied again behind them."""
        rows = self._events(columns, first_row)
        places = first_row + np.arange(len(rows))
        begins = np.flatnonzero(_starts(columns, ())[0])
        ends = np.append(begins[1:], len(rows))
        kinds, ids = columns["kind"][begins], columns["last_id"][begins]
        for kind, name in ((_UPDATE, "depth_level"), (_TRADE, "trade"), (_TOUCH, "bbo"), (_SNAPSHOT, "snapshot")):
            if count := int((kinds == kind).sum()):
                self.counts[name] += count
        done, remembered = 0, 0
        for message in np.flatnonzero(kinds == _SNAPSHOT).tolist():
            begin, end = int(begins[message]), int(ends[message])
            self._remember(rows, kinds, ids, begins, ends, range(remembered, message))
            remembered = message + 1
            if begin > done:
                yield Numbered(rows[done:begin], places[done:begin])
            picture = self._picture(rows[begin:end], int(ids[message]))
            yield Numbered(picture, np.full(len(picture), places[begin]))
            done = end
        self._remember(rows, kinds, ids, begins, ends, range(remembered, len(begins)))
        if done < len(rows):
            yield Numbered(rows[done:], places[done:])

    def _events(self, columns: Columns, first_row: int) -> Events:
        refuse = refusing(self._path, first_row)
        kind, side = columns["kind"], columns["side"]
        refuse((kind < _SNAPSHOT) | (kind > _TOUCH), "its kind is unknown, expected 0 to 3")
        refuse((side != Side.BUY) & (side != Side.SELL), "its side is unknown, expected 1 or -1")
        refuse(columns["last_id"] < 0, "last_id is negative, expected a number from 0")
        out = np.zeros(len(kind), dtype=EVENT_DTYPE)
        out["ts_exch_ns"], out["ts_local_ns"] = self._times(columns, first_row)
        out["kind"], out["side"], out["flags"] = _KINDS[kind], side, VISIBLE
        trade = kind == _TRADE
        out["price_ticks"], out["size_lots"] = self._whole(columns["price"], columns["qty"], ~trade, first_row)
        refuse((kind != _TOUCH) & (out["price_ticks"] == 0), "the price is 0, expected the price of a level or trade")
        refuse(trade & (out["size_lots"] == 0), "the size is 0, expected the size of a trade")
        out["order_id"] = np.where(trade, columns["last_id"], 0)
        out["flags"][np.append(np.flatnonzero(_starts(columns, ())[0])[1:], len(kind)) - 1] |= _FRAME_END
        return out

    def _remember(self, rows: Events, kinds: Int64, ids: Int64, begins: Int64, ends: Int64, messages: range) -> None:
        updates = np.flatnonzero(kinds[messages.start : messages.stop] == _UPDATE)[-RECENT_UPDATES_MAX:]
        for message in (updates + messages.start).tolist():
            update = rows[begins[message] : ends[message]].copy()
            self._recent.append((int(ids[message]), int(update["ts_exch_ns"][0]), update))

    def _picture(self, levels: Events, update_id: int) -> Events:
        """One snapshot with its marks, and behind it the updates that it lacks and that were received before it."""
        marks = levels[[0, -1]].copy()
        for name in ("side", "price_ticks", "size_lots", "order_id"):
            marks[name] = 0
        bids = int((levels["side"] == int(Side.BUY)).sum())
        marks["kind"] = (int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END))
        marks["aux0"] = (max(bids, len(levels) - bids), len(levels))
        pieces = [marks[:1], levels, marks[1:]]
        snapshot_exch_ns = int(levels["ts_exch_ns"][0])
        for last_id, exch_ns, update in self._recent:
            if last_id > update_id:
                again = update.copy()
                # In exchange time a later update follows the snapshot anyway: only our side got them in turned order.
                again["flags"] = (_LOCAL if exch_ns > snapshot_exch_ns else VISIBLE) | _SYNTHETIC
                again["ts_exch_ns"], again["ts_local_ns"] = snapshot_exch_ns, levels["ts_local_ns"][0]
                pieces.append(again)
                self.counts["updates_applied_again"] += 1
        out = np.concatenate(pieces)
        out["flags"] &= np.uint16(~_FRAME_END & 0xFFFF)
        out["flags"][-1] |= _FRAME_END
        return out


class BinanceBooksSource(_ParquetSource):
    """One instrument's books, a picture per row."""

    reader = "binance-books-1"
    snapshots_only = True

    def __init__(self, path: Path, market: Market, names: list[str]) -> None:
        super().__init__(path, market)
        self._levels = 0
        while self._levels < _LEVELS_MAX and f"ask_px_{self._levels + 1}" in names:
            self._levels += 1

    def _message_columns(self) -> dict[str, type[np.generic]]:
        return _TIMES

    def _rows(self, meter: ProgressMeter) -> Iterator[Numbered]:
        self.clock(meter)
        wanted = _TIMES | {
            f"{side}_{what}_{level}": np.float64
            for level in range(1, self._levels + 1)
            for side in ("bid", "ask")
            for what in ("px", "qty")
        }
        for first, columns in blocks(self._path, wanted, meter=meter, what="events"):
            yield self._pictures(columns, first)

    def _pictures(self, columns: Columns, first_row: int) -> Numbered:
        exch, local = self._times(columns, first_row)
        count, levels = len(exch), self._levels
        out = np.zeros((count, 2 * levels + 2), dtype=EVENT_DTYPE)
        out["ts_exch_ns"], out["ts_local_ns"], out["flags"] = exch[:, None], local[:, None], VISIBLE
        every = np.ones(count, dtype=np.bool_)
        for place, (side, name) in enumerate(((Side.BUY, "bid"), (Side.SELL, "ask"))):
            for level in range(levels):
                column = 1 + place * levels + level
                prices, sizes = (columns[f"{name}_{what}_{level + 1}"] for what in ("px", "qty"))
                out["price_ticks"][:, column], out["size_lots"][:, column] = self._whole(
                    prices, sizes, every, first_row
                )
                out["side"][:, column], out["kind"][:, column] = int(side), int(EventKind.DEPTH_LEVEL)
        self.counts["snapshot"] += count
        there = (out["price_ticks"] > 0) & (out["size_lots"] > 0)
        out["kind"][:, 0], out["aux0"][:, 0] = int(EventKind.SNAPSHOT_BEGIN), levels
        out["kind"][:, -1], out["aux0"][:, -1] = int(EventKind.SNAPSHOT_END), there.sum(axis=1)
        out["flags"][:, -1] |= _FRAME_END
        there[:, 0] = there[:, -1] = True
        shown = np.repeat(first_row + np.arange(count), there.sum(axis=1))
        return Numbered(out.reshape(-1)[there.reshape(-1)], shown)


def open_parquet(
    path: Path, market: Market | None, specification: Mapping[str, Market] | None, options: Mapping[str, Any]
) -> Source:
    """The source, by the file's columns; the market is `market`, or the known one that the file's name begins with."""
    if options:
        raise DataError(path, None, f"the reader of Parquet files has no option {next(iter(options))}, leave it out")
    names = names_in(path)
    if "ts_exch_ns" in names and "event" in names:
        raise DataError(path, None, "this is one part of a catalogue, name what you want of it as DATE/COIN instead")
    if market is None and (market := named_by_file(path, specification)) is None:
        raise DataError(path, None, "a Parquet file does not say which market it holds, name the market")
    if "ask_px_1" in names:
        return BinanceBooksSource(path, market, names)
    return BinanceParquetSource(path, market)
