"""The venue's mid at any times of a recording: one pass over its rows, for markouts.

The sampled records of a replay are too coarse for a tenth of a second, and what our side believes is not what the
market did; so the venue's own book is walked once more, without orders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hlhft.backtest.replay import WINDOW_ROWS, RowStream, band_of
from hlhft.backtest.venue_side import run_rows
from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.units import Market
from hlhft.venue.recorded import new_venue
from hlhft.venue.rules import hyperliquid


@compiled
def _follow(venue, market, rows, end, times, mids, place):
    """Writes mids until a time lies beyond the first `end` rows; returns how many are written in all."""
    cursor = 0
    ladder = venue.ladders[market]
    while place < len(times):
        cursor = run_rows(venue, market, rows, cursor, end, times[place], False)
        if cursor >= end:
            break
        if ladder["best_bid_ticks"] != BID_NONE and ladder["best_ask_ticks"] != ASK_NONE:
            mids[place] = ladder["best_bid_ticks"] + ladder["best_ask_ticks"]
        place += 1
    return place


def mids_at(markets: Sequence[Market], streams: Sequence[RowStream], times: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Twice the mid, int64, at each of `times` (int64, ascending, one array a market), 0 where it is unknown.

    Unknown is a one-sided book, and everything from the recording's last row on. `streams` stand at their beginning.
    """
    bases, width = band_of(streams)
    venue = new_venue(
        np.concatenate([market.record() for market in markets]),
        hyperliquid(),
        lanes=1,
        base_ticks=bases,
        width=width,
        slots=1,
    )
    found = []
    for market, (stream, wanted) in enumerate(zip(streams, times, strict=True)):
        mids = np.zeros(len(wanted), np.int64)
        place = 0
        while place < len(wanted) and len(rows := stream.read(WINDOW_ROWS)):
            place = _follow(venue, market, rows, len(rows), wanted, mids, place)
        found.append(mids)
    return found
