"""Where a recording of the venue's own feed starts anew: backfill, duplicate trades and gaps.

On every subscription the venue sends the last thirty trades or so as ordinary data (venue reference section 6.3).
They happened before any book that we hold, so they carry BACKFILL and are kept out of exchange visibility. After a
gap longer than GAP_NS the recording is a new session: what was known of the book is cleared.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hlhft.data.merge import Events
from hlhft.data.tally import Tally
from hlhft.events import EventFlag, EventKind, Side

GAP_NS = 60_000_000_000
REMEMBERED_TRADES_MAX = 100_000
_BOOK = (int(EventKind.BBO), int(EventKind.SNAPSHOT_BEGIN))
_UNKNOWN = -1


class TradeMemory:
    """The last REMEMBERED_TRADES_MAX trades seen, to know a repeated one."""

    def __init__(self) -> None:
        # A plain dict finds its oldest key by passing over all that were deleted: the square of a day's trades.
        self._seen: OrderedDict[tuple[int, int, int], None] = OrderedDict()

    def is_new(self, market: int, ts_exch_ns: int, trade_id: int) -> bool:
        """Whether this trade was not seen before; remembers it. Identity is (market, exchange time, trade id).

        A trade without an id (0) is always new: nothing tells it from another one of its time.
        """
        if trade_id == 0:
            return True
        key = (market, ts_exch_ns, trade_id)
        if key in self._seen:
            return False
        if len(self._seen) == REMEMBERED_TRADES_MAX:
            self._seen.popitem(last=False)
        self._seen[key] = None
        return True

    def without_repeats(self, events: Events, tally: Tally) -> Events:
        """`events` less the trades seen before, counted; a frame's end moves to the last row that stays."""
        trades = np.flatnonzero(events["kind"] == int(EventKind.TRADE))
        keep = np.ones(len(events), dtype=np.bool_)
        identity = (events[name][trades].tolist() for name in ("market", "ts_exch_ns", "order_id"))
        for index, market, ts_exch_ns, trade_id in zip(trades.tolist(), *identity, strict=True):
            keep[index] = self.is_new(market, ts_exch_ns, trade_id)
        if keep.all():
            return events
        tally.note("duplicate_trades", events[~keep])
        return without_rows(events, keep)


def without_rows(events: Events, keep: NDArray[np.bool_]) -> Events:
    """The rows where `keep`, bool[n]; the last one kept of each frame ends it."""
    end = (events["flags"] & int(EventFlag.FRAME_END)) != 0
    frame = np.append(0, np.cumsum(end)[:-1])[keep]
    out = events[keep].copy()
    last = np.append(frame[1:] != frame[:-1], True)[: len(frame)]
    out["flags"][last] |= int(EventFlag.FRAME_END)
    return out


class Sessions:
    """Marks backfill and clears the book at a session's start, for streams of whole frames in order of arrival."""

    def __init__(
        self, markets: int, counts: Counter[str], *, gap_ns: int = GAP_NS, of: Sequence[bool] | None = None
    ) -> None:
        """`of` says which markets are of the venue's own feed (default: all); the others' rows pass as they are."""
        self._markets = [market for market in range(markets) if of is None or of[market]]
        self._first_book_ns = [_UNKNOWN] * markets
        self._sessions = 0
        self._last_local_ns = 0
        self._counts = counts
        self._gap_ns = gap_ns

    def marked(self, arrays: Iterator[Events]) -> Iterator[Events]:
        """The same rows with BACKFILL set, and a DEPTH_CLEAR of both sides before each later session's first book."""
        for array in arrays:
            if len(array) == 0:
                continue
            local = array["ts_local_ns"]
            starts = np.flatnonzero(np.diff(local, prepend=local[0]) > self._gap_ns).tolist()
            if self._sessions == 0 or int(local[0]) - self._last_local_ns > self._gap_ns:
                self._begin()
            self._last_local_ns = int(local[-1])
            for place, (start, end) in enumerate(zip([0, *starts], [*starts, len(array)], strict=True)):
                if place:
                    self._begin()
                yield from self._segment(array[start:end].copy())

    def _begin(self) -> None:
        self._sessions += 1
        self._counts["sessions"] = self._sessions
        self._first_book_ns = [_UNKNOWN] * len(self._first_book_ns)

    def _segment(self, rows: Events) -> Iterator[Events]:
        """One array within one session."""
        clears: list[tuple[int, Events]] = []
        for market in self._markets:
            known = self._first_book_ns[market]
            mine = rows["market"] == market
            trades = mine & (rows["kind"] == int(EventKind.TRADE))
            early = np.zeros(len(rows), dtype=np.bool_)
            if known == _UNKNOWN:
                books = np.flatnonzero(mine & np.isin(rows["kind"], _BOOK))
                first = int(books[0]) if len(books) else len(rows)
                early[:first] = True
                if len(books):
                    known = self._first_book_ns[market] = int(rows["ts_exch_ns"][first])
                    if self._sessions > 1:
                        clears.append((first, _clear_before(rows[first])))
            backfill = trades & (early | (rows["ts_exch_ns"] < known))
            self._counts["backfill_trades"] += int(backfill.sum())
            rows["flags"][backfill] |= int(EventFlag.BACKFILL)
            rows["flags"][backfill] &= ~np.uint16(EventFlag.EXCHANGE_VISIBLE)
        position = 0
        for first, clear in sorted(clears, key=lambda entry: entry[0]):
            yield np.concatenate([rows[position:first], clear])
            position = first
        yield rows[position:]


def _clear_before(row: np.void) -> Events:
    clear = np.zeros(1, dtype=np.asarray(row).dtype)
    clear["ts_exch_ns"], clear["ts_local_ns"], clear["market"] = row["ts_exch_ns"], row["ts_local_ns"], row["market"]
    clear["kind"], clear["side"] = int(EventKind.DEPTH_CLEAR), int(Side.NONE)
    clear["flags"] = (int(row["flags"]) | int(EventFlag.SYNTHETIC)) & ~int(EventFlag.FRAME_END)
    return clear
