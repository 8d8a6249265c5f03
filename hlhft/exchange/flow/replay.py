"""A recorded session as the order flow of an exchange: its book is the background, its trades are the takers.

The recording's time runs as the exchange's does, from the first block on; how fast that is, is the shell's matter. A
silence longer than `silence_ns_max` is cut to it, so that a recording of several sessions goes on. At its end the book
is gone; then it begins again, or the market stays empty. Read in pieces: memory is that of a reader
(hlhft.data.sources).
The same source and the same blocks give the same legs: nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hlhft.data.errors import DataError
from hlhft.data.feed import replay_events
from hlhft.data.merge import Events, nothing
from hlhft.data.sources import Source
from hlhft.events import EventKind, Side
from hlhft.exchange.flow.feeding import FeedFlow, cleared, visible
from hlhft.units import Market
from hlhft.venue.chain_state import Chain

SILENCE_NS = 60_000_000_000  # longer ones start another session (hlhft.data.sessions)
REST_NS = 1_000_000_000  # from the last row to the end, and from there to the next beginning
ROWS_PER_PIECE = 16_384
_UNSEEN = -1


class RecordedFlow(FeedFlow):
    """A recording as everybody else who trades; any source that `hlhft.data.sources.open_source` opens."""

    kind = "a recording"

    def __init__(
        self,
        source: Source,
        listed: Sequence[Market],
        *,
        first_account: int,
        repeat: bool = True,
        silence_ns_max: int = SILENCE_NS,
    ) -> None:
        """The recording's markets that are `listed` by the exchange, by name; the others are left out.

        Raises ValueError when none is, or one with other decimals.
        """
        super().__init__(source.markets, listed, first_account=first_account)
        self._source = source
        self._repeat = repeat
        self._silence_ns_max = silence_ns_max
        self.passes = 0  # begun so far
        self.is_over = False
        self._shift_ns = 0  # from the recording's time to the exchange's
        self._start_ns = _UNSEEN  # of this pass, in the exchange's time
        self._last_ns = _UNSEEN  # the latest row, in the exchange's time
        self._taken = 0  # rows of this pass that were handed on
        self._events: Iterator[Events] | None = None  # None between passes
        self._block_ns = _UNSEEN  # the latest block
        self._is_resumed = False  # no block since it was restored

    def legs(self, chain: Chain, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """As every feed's. While the exchange was stopped, the recording stood still."""
        if self._is_resumed:
            self._is_resumed = False
            self._wait(ts_ns - self._block_ns)
        self._block_ns = ts_ns
        return super().legs(chain, legs, first, ts_ns)

    def _wait(self, pause_ns: int) -> None:
        self._rows["ts_exch_ns"] += pause_ns
        self._shift_ns += pause_ns
        self._start_ns += pause_ns
        self._last_ns += pause_ns

    def _next_rows(self, ts_ns: int) -> Events | None:
        if self.is_over:
            return None
        if self._events is None:
            start_ns = ts_ns if self._last_ns == _UNSEEN else max(self._last_ns + REST_NS, ts_ns)
            self._begin(start_ns)
        assert self._events is not None
        for events in self._events:
            rows = visible(events)
            if len(rows):
                return self._placed(rows)
        return self._end(ts_ns)

    def _begin(self, start_ns: int) -> None:
        self.passes += 1
        self._taken = 0
        self._start_ns = start_ns
        self._events = replay_events(self._source, local_levels=False, rows_max=ROWS_PER_PIECE)

    def _end(self, ts_ns: int) -> Events:
        """The books are gone a rest after the last row; a recording without rows is over at once."""
        self._last_ns = max(self._last_ns + REST_NS, ts_ns) if self._taken else ts_ns
        self._events = None
        self.is_over = not self._repeat or self._taken == 0
        return cleared(range(len(self.places)), self._last_ns)

    def _placed(self, rows: Events) -> Events:
        """The rows in the exchange's time, long silences cut."""
        times = rows["ts_exch_ns"]
        if self._taken == 0:
            self._shift_ns = self._start_ns - int(times[0])
            self._last_ns = self._start_ns
        gaps = np.diff(times, prepend=self._last_ns - self._shift_ns)
        cut = np.maximum(gaps - self._silence_ns_max, 0)
        rows["ts_exch_ns"] = times + self._shift_ns - np.cumsum(cut)
        self._shift_ns -= int(cut.sum())
        self._last_ns = int(rows["ts_exch_ns"][-1])
        self._taken += len(rows)
        return rows

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as plain values."""
        return super().state() | {
            "fingerprint": self._source.fingerprint(),
            "passes": self.passes,
            "is_over": self.is_over,
            "is_between": self._events is None,
            "block_ns": self._block_ns,
            "start_ns": self._start_ns,
            "last_ns": self._last_ns,
            "followed": self._cursor if self._events is None else self._taken - (len(self._rows) - self._cursor),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told, reading the recording up to there. Raises ValueError when that was another flow or
        recording."""
        if state["fingerprint"] != self._source.fingerprint():
            raise ValueError(f"the state's order flow is another recording than {self._source.name}")
        super().restore(state)
        followed = state["followed"]
        if state["is_between"]:
            self._rows = cleared(range(len(self.places)), state["last_ns"]) if state["passes"] else nothing()
            self._cursor = followed
            self._last_ns = state["last_ns"]
        else:
            self._begin(state["start_ns"])
            while followed > self._taken - len(self._rows) + self._cursor:
                rows = self._next_rows(self._start_ns)
                assert rows is not None, "a recording with the same fingerprint has the same rows"
                self._rows = rows
                self._cursor = min(len(rows), followed - (self._taken - len(rows)))
        self.passes, self.is_over = state["passes"], state["is_over"]
        self._block_ns = state["block_ns"]
        self._is_resumed = self.passes > 0

    def status(self) -> str:
        """One line for people."""
        if self.is_over:
            return f"{self._source.name}: at its end"
        return f"{self._source.name}: pass {max(self.passes, 1)}, {self._taken} rows"


def first_mids(source: Source) -> tuple[int, ...]:
    """The first price of each market in ticks: the middle of its book, a trade that comes earlier, or at the end the
    best of the one side that there was.

    For the band of an exchange that will replay it. Raises DataError when a market has no price at all.
    """
    count = len(source.markets)
    mids, best = [0] * count, np.zeros((count, 2), np.int64)
    for events in replay_events(source, local_levels=False, rows_max=ROWS_PER_PIECE):
        for row in visible(events):
            market = int(row["market"])
            if mids[market] == 0:
                mids[market] = _first_mid(row, best[market])
        if all(mids):
            return tuple(mids)
    mids = [mid or int(sides.max()) for mid, sides in zip(mids, best)]
    if not all(mids):
        names = [market.name for market, mid in zip(source.markets, mids) if mid == 0]
        raise DataError(source.name, None, f"no price of {', '.join(names)} is in it, name a recording that has one")
    return tuple(mids)


def _first_mid(row: np.void, best: np.ndarray) -> int:
    """What the row shows the middle to be, 0 while it does not; `best` are the best prices seen of each side."""
    ticks = int(row["price_ticks"])
    if row["kind"] == EventKind.TRADE:
        return ticks
    if row["kind"] in (EventKind.DEPTH_LEVEL, EventKind.BBO) and row["size_lots"] > 0:
        if row["side"] == Side.SELL:
            best[1] = min(ticks, int(best[1]) or ticks)
        else:
            best[0] = max(ticks, int(best[0]))
    return int(best.sum()) // 2 if best.all() else 0
