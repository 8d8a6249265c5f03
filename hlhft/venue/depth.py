"""What the order books show: levels with their lots and numbers of orders, as they are or grouped by figures."""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below

LEVEL_DTYPE = np.dtype([("price_ticks", np.int64), ("size_lots", np.int64), ("orders", np.int64)])


def new_levels(count: int) -> np.ndarray:
    """Room for `count` levels, dtype LEVEL_DTYPE."""
    return np.zeros(count, dtype=LEVEL_DTYPE)


@compiled
def grouped_ticks(ticks, row, figures, mantissa):
    """The price that a level at `ticks` > 0 is shown at: `figures` significant figures, the last one in steps of
    `mantissa`, bids (row 0) down and asks (row 1) up; itself when `figures` is 0."""
    if figures == 0:
        return ticks
    step = 1
    while ticks >= step * 10**figures:
        step *= 10
    step *= mantissa
    below = ticks - ticks % step
    if row == 0 or below == ticks:
        return below
    return below + step


@compiled
def _orders_at(venue, market, row, ticks):
    slot = venue.heads[market, row, ticks - venue.ladders[market]["base_ticks"]]
    count = 0
    while slot != 0:
        count += 1
        slot = venue.orders[slot - 1]["next"]
    return count


@compiled
def _read_touch(venue, market, row, ticks, level):
    level["price_ticks"] = ticks
    level["size_lots"] = venue.cells[market, row, ticks - venue.ladders[market]["base_ticks"]]
    level["orders"] = _orders_at(venue, market, row, ticks)


@compiled
def read_touches(venue, touches):
    """Writes the best bid and ask of every market to `touches` (LEVEL_DTYPE[M, 2]), a price of 0 for an empty side."""
    for market in range(len(venue.ladders)):
        touches[market, 0]["price_ticks"] = 0
        touches[market, 1]["price_ticks"] = 0
        bid_ticks = venue.ladders[market]["best_bid_ticks"]
        ask_ticks = venue.ladders[market]["best_ask_ticks"]
        if bid_ticks != BID_NONE:
            _read_touch(venue, market, 0, bid_ticks, touches[market, 0])
        if ask_ticks != ASK_NONE:
            _read_touch(venue, market, 1, ask_ticks, touches[market, 1])


@compiled
def read_levels(venue, market, row, figures, mantissa, levels):
    """Writes the levels of row 0 bids or 1 asks to `levels` (LEVEL_DTYPE) from the touch outward; returns how many.

    Grouped as grouped_ticks says. A bid that is grouped to 0 is left out.
    """
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    count = 0
    ticks = ladder["best_bid_ticks"] if row == 0 else ladder["best_ask_ticks"]
    while ticks != BID_NONE and ticks != ASK_NONE:
        shown = grouped_ticks(ticks, row, figures, mantissa)
        if shown <= 0:
            break
        if count == 0 or levels[count - 1]["price_ticks"] != shown:
            if count == len(levels):
                break
            levels[count]["price_ticks"] = shown
            levels[count]["size_lots"] = 0
            levels[count]["orders"] = 0
            count += 1
        levels[count - 1]["size_lots"] += cells[row, ticks - ladder["base_ticks"]]
        levels[count - 1]["orders"] += _orders_at(venue, market, row, ticks)
        ticks = bid_below(ladder, cells, ticks) if row == 0 else ask_above(ladder, cells, ticks)
    return count
