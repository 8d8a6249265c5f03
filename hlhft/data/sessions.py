"""Where a recording of the venue's own feed starts anew: backfill, duplicate trades and gaps.

On every subscription the venue sends the last thirty trades or so as ordinary data (venue reference section 6.3).
They happened before any book that we hold, so they carry BACKFILL and are kept out of exchange visibility. After a
gap longer than GAP_NS the recording is a new session: what was known of the book is cleared.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from hlhft.data.arranging import SESSIONS, UNKNOWN, scan_sessions
from hlhft.data.merge import Events, chosen, copied, joined
from hlhft.data.tally import Tally
from hlhft.events import EventFlag, EventKind, Side

GAP_NS = 60_000_000_000
REMEMBERED_TRADES_MAX = 100_000


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

    def _are_new(self, trades: list[tuple[int, int, int]]) -> bool:
        """Whether all of these were not seen before, nor twice among them; then they are remembered at once."""
        fresh = dict.fromkeys(trades)
        if len(fresh) < len(trades) or not self._seen.keys().isdisjoint(fresh) or any(key[2] == 0 for key in trades):
            return False
        self._seen.update(fresh)
        for key in list(islice(self._seen, max(len(self._seen) - REMEMBERED_TRADES_MAX, 0))):
            del self._seen[key]
        return True

    def without_repeats(self, events: Events, tally: Tally) -> Events:
        """`events` less the trades seen before, counted; a frame's end moves to the last row that stays."""
        trades = np.flatnonzero(events["kind"] == int(EventKind.TRADE))
        keep = np.ones(len(events), dtype=np.bool_)
        identity = [events[name][trades].tolist() for name in ("market", "ts_exch_ns", "order_id")]
        if self._are_new(list(zip(*identity, strict=True))):
            return events
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
    out = chosen(events, keep)
    last = np.append(frame[1:] != frame[:-1], True)[: len(frame)]
    out["flags"][last] |= int(EventFlag.FRAME_END)
    return out


class Sessions:
    """Marks backfill and clears the book at a session's start, for streams of whole frames in order of arrival."""

    def __init__(
        self, markets: int, counts: Counter[str], *, gap_ns: int = GAP_NS, of: Sequence[bool] | None = None
    ) -> None:
        """`of` says which markets are of the venue's own feed (default: all); the others' rows pass as they are."""
        self._is_marked = np.ones(markets, dtype=np.bool_) if of is None else np.array(of, dtype=np.bool_)
        self._first_book_ns = np.full(markets, UNKNOWN, dtype=np.int64)
        self._state = np.zeros(2, dtype=np.int64)
        self._counts = counts
        self._gap_ns = gap_ns

    def marked(self, arrays: Iterator[Events]) -> Iterator[Events]:
        """The same rows with BACKFILL set, and a DEPTH_CLEAR of both sides before each later session's first book."""
        for rows in arrays:
            if len(rows):
                yield from self._marked(rows)

    def _marked(self, rows: Events) -> Iterator[Events]:
        early, starts = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
        trades, books = scan_sessions(
            rows, self._gap_ns, self._is_marked, self._first_book_ns, self._state, early, starts
        )
        self._counts["sessions"] = int(self._state[SESSIONS])
        self._counts["backfill_trades"] += int(trades)
        if trades:
            rows = copied(rows)
            flags = rows["flags"][early[:trades]] | int(EventFlag.BACKFILL)
            rows["flags"][early[:trades]] = flags & ~np.uint16(EventFlag.EXCHANGE_VISIBLE)
        position = 0
        for first in starts[:books].tolist():
            yield joined([rows[position:first], _clear_before(rows[first])])
            position = first
        yield rows[position:]


def _clear_before(row: np.void) -> Events:
    clear = np.zeros(1, dtype=np.asarray(row).dtype)
    clear["ts_exch_ns"], clear["ts_local_ns"], clear["market"] = row["ts_exch_ns"], row["ts_local_ns"], row["market"]
    clear["kind"], clear["side"] = int(EventKind.DEPTH_CLEAR), int(Side.NONE)
    clear["flags"] = (int(row["flags"]) | int(EventFlag.SYNTHETIC)) & ~int(EventFlag.FRAME_END)
    return clear
