"""The session's own orders before a queue model: each rests from when it did until it was ended; nothing is decided.

A simulation that decides anew goes another way with the first fill that differs: another position, other quotes, other
fills. Here everything but the fills is the session's, so what differs is the queue model alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hlhft.backtest.bus import FAR
from hlhft.backtest.models import parse_queue
from hlhft.backtest.recordings import Recording
from hlhft.backtest.replay import WINDOW_ROWS, RowStream, band_of
from hlhft.backtest.venue_side import run_rows
from hlhft.core.state import ORDERS_PER_MARKET
from hlhft.events import EventKind
from hlhft.live.session_told import Told
from hlhft.report.matching import WINDOW_NS, Kept, matched
from hlhft.venue import rules as venue_rules
from hlhft.venue.recorded import REPLY_DTYPE, RecordedVenue, cancel, new_venue, place

_FILLED = int(EventKind.ORDER_FILLED)
_REQUESTED = 21  # hlhft.venue.refusals: its owner asked for the end
_POST_ONLY = 0
_place: Any = place  # compiled
_cancel: Any = cancel
_run_rows: Any = run_rows


def kept_fills(told: Told, recording: Recording, queue: str) -> np.ndarray:
    """The fills of the session's own orders by a queue model, REPLY_DTYPE[n] in order of time.

    An order that would have taken when it came to rest is refused by the model. Raises ModelError for a queue model
    that is none.
    """
    kept = _Kept(recording, queue)
    for row in told.rested:
        kept.follow(int(row["ts_ns"]))
        kept.act(row)
    kept.follow(FAR)
    return kept.fills()


def kept(told: Told, recording: Recording, queue: str, live: np.ndarray, window_ns: int = WINDOW_NS) -> Kept:
    """The same beside what the market filled: `live`, REPLY_DTYPE[n], fills by our clock."""
    fills = kept_fills(told, recording, queue)
    names, names_live = ({(int(one["market"]), int(one["order_id"])) for one in each} for each in (fills, live))
    units = np.array([one.record()["tick_size"][0] * one.record()["lot_size"][0] for one in recording.markets])
    return Kept(
        queue=queue,
        fills=len(fills),
        volume_usdc=float((fills["price_ticks"] * fills["size_lots"].astype(float) * units[fills["market"]]).sum()),
        orders_filled=len(names),
        orders_live=len(names_live),
        orders_both=len(names & names_live),
        matched=matched(live, fills, recording.markets, window_ns=window_ns),
    )


class _Kept:
    """The venue over the recording's rows, a window at a time, with orders put in by hand."""

    def __init__(self, recording: Recording, queue: str) -> None:
        rules = venue_rules.hyperliquid()
        rules["queue_model"], rules["queue_power"] = parse_queue(queue)
        self._streams: list[RowStream] = list(recording.streams())
        bases, width = band_of(self._streams)
        count = len(recording.markets)
        self._venue: RecordedVenue = new_venue(
            np.concatenate([market.record() for market in recording.markets]), rules, lanes=1, base_ticks=bases,
            width=width, slots=count * ORDERS_PER_MARKET,
        )  # fmt: skip
        self._rows = [stream.read(WINDOW_ROWS) for stream in self._streams]
        self._cursors = [0] * count
        self._fills: list[np.ndarray] = []

    def follow(self, until_ns: int) -> None:
        """Brings every market up to then."""
        for market, stream in enumerate(self._streams):
            while True:
                rows = self._rows[market]
                if not len(rows):
                    break  # there are no more
                cursor = _run_rows(self._venue, market, rows, self._cursors[market], len(rows), until_ns, True)
                has_spoken, self._cursors[market] = self._take(), cursor
                if has_spoken:
                    continue
                if cursor < len(rows):
                    break
                self._rows[market], self._cursors[market] = stream.read(WINDOW_ROWS), 0

    def act(self, row: np.void) -> None:
        """An order comes to rest, or ends."""
        market, order_id, at_ns = int(row["market"]), int(row["order_id"]), int(row["ts_ns"])
        if row["is_over"]:
            _cancel(self._venue, 0, market, order_id, _REQUESTED, at_ns)
        else:
            side, ticks, lots = int(row["side"]), int(row["price_ticks"]), int(row["size_lots"])
            _place(self._venue, 0, market, order_id, side, ticks, lots, _POST_ONLY, 0, 0, at_ns)
        self._take()

    def fills(self) -> np.ndarray:
        """All of them."""
        found = np.concatenate([np.zeros(0, REPLY_DTYPE), *self._fills])
        return found[np.argsort(found["ts_exch_ns"], kind="stable")]

    def _take(self) -> bool:
        """Takes what the kernel said; whether it said anything."""
        count = int(self._venue.venue[0]["reply_count"])
        said = self._venue.replies[:count]
        fills = said[said["kind"] == _FILLED]
        if len(fills):
            self._fills.append(fills.copy())
        self._venue.venue[0]["reply_count"] = 0
        return count > 0
