"""The price ladder: one array cell a tick and side, for books that change level by level.

Shared by the core (what we believe the book is) and the venue kernel (what it is); each keeps its own. The touch is
kept by scanning from where it was; a level that the other side's update crosses stays in its cell but is no longer
reachable from the touch until an update names it again, as real feeds do.

Shapes: `header` is one LADDER_DTYPE record, `cells` int64[2, width] with row 0 bids and row 1 asks; cell i is the price
`header["base_ticks"] + i`. An empty side's touch is BID_NONE or ASK_NONE.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled

BID_NONE = -(2**62)
ASK_NONE = 2**62

LADDER_DTYPE = np.dtype(
    [
        ("base_ticks", np.int64),
        ("width", np.int64),
        ("best_bid_ticks", np.int64),
        ("best_ask_ticks", np.int64),
        ("lowest_bid_ticks", np.int64),  # no bid cell below this is set
        ("highest_ask_ticks", np.int64),  # no ask cell above this is set
        ("updates_outside", np.int64),  # updates of prices that the band does not hold: counted, never silent
    ]
)


def new_header(base_ticks: int, width: int) -> np.ndarray:
    """An empty ladder's header, shape (1,), for prices base_ticks .. base_ticks + width - 1."""
    header = np.zeros(1, dtype=LADDER_DTYPE)
    header[0] = (base_ticks, width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return header


def new_cells(width: int) -> np.ndarray:
    """Empty cells, int64[2, width]."""
    return np.zeros((2, width), dtype=np.int64)


@compiled
def bid_below(header, cells, ticks):
    """The highest bid strictly below `ticks`, or BID_NONE."""
    base = header["base_ticks"]
    index = min(ticks - base, header["width"]) - 1
    last = max(header["lowest_bid_ticks"] - base, 0)
    while index >= last:
        if cells[0, index] > 0:
            return index + base
        index -= 1
    return BID_NONE


@compiled
def ask_above(header, cells, ticks):
    """The lowest ask strictly above `ticks`, or ASK_NONE."""
    base = header["base_ticks"]
    index = max(ticks - base, -1) + 1
    last = min(header["highest_ask_ticks"] - base, header["width"] - 1)
    while index <= last:
        if cells[1, index] > 0:
            return index + base
        index += 1
    return ASK_NONE


@compiled
def set_bid(header, cells, ticks, lots):
    """Sets the bid level to `lots` (0 removes it), moves the touch, and returns what was there; -1 outside the band."""
    index = ticks - header["base_ticks"]
    if index < 0 or index >= header["width"]:
        header["updates_outside"] += 1
        return -1
    before = cells[0, index]
    cells[0, index] = lots
    if lots == 0:
        if ticks == header["best_bid_ticks"]:
            best = bid_below(header, cells, ticks)
            header["best_bid_ticks"] = best
            if best == BID_NONE:
                # Not ASK_NONE: above the touch a level that the other side crossed may outlive the side's emptiness.
                header["lowest_bid_ticks"] = ticks + 1
        return before
    if ticks < header["lowest_bid_ticks"]:
        header["lowest_bid_ticks"] = ticks
    if ticks > header["best_bid_ticks"]:
        header["best_bid_ticks"] = ticks
        if ticks >= header["best_ask_ticks"]:
            header["best_ask_ticks"] = ask_above(header, cells, ticks)
    return before


@compiled
def set_ask(header, cells, ticks, lots):
    """Sets the ask level to `lots` (0 removes it), moves the touch, and returns what was there; -1 outside the band."""
    index = ticks - header["base_ticks"]
    if index < 0 or index >= header["width"]:
        header["updates_outside"] += 1
        return -1
    before = cells[1, index]
    cells[1, index] = lots
    if lots == 0:
        if ticks == header["best_ask_ticks"]:
            best = ask_above(header, cells, ticks)
            header["best_ask_ticks"] = best
            if best == ASK_NONE:
                header["highest_ask_ticks"] = ticks - 1
        return before
    if ticks > header["highest_ask_ticks"]:
        header["highest_ask_ticks"] = ticks
    if ticks < header["best_ask_ticks"]:
        header["best_ask_ticks"] = ticks
        if ticks <= header["best_bid_ticks"]:
            header["best_bid_ticks"] = bid_below(header, cells, ticks)
    return before


@compiled
def lots_at(header, cells, row, ticks):
    """Lots at a level; row 0 bids, 1 asks; 0 outside the band."""
    index = ticks - header["base_ticks"]
    if index < 0 or index >= header["width"]:
        return 0
    return cells[row, index]


@compiled
def clear_bids(header, cells, ticks):
    """Removes bids from the touch down to `ticks` inclusive; the whole side when `ticks` is 0."""
    base = header["base_ticks"]
    low = max(header["lowest_bid_ticks"], ticks) if ticks > 0 else header["lowest_bid_ticks"]
    first = max(low - base, 0)
    for index in range(first, header["width"]):
        cells[0, index] = 0
    best = bid_below(header, cells, first + base) if ticks > 0 else BID_NONE
    header["best_bid_ticks"] = best
    if best == BID_NONE:
        header["lowest_bid_ticks"] = ASK_NONE


@compiled
def clear_asks(header, cells, ticks):
    """Removes asks from the touch up to `ticks` inclusive; the whole side when `ticks` is 0."""
    base = header["base_ticks"]
    high = min(header["highest_ask_ticks"], ticks) if ticks > 0 else header["highest_ask_ticks"]
    last = min(high - base, header["width"] - 1)
    for index in range(last + 1):
        cells[1, index] = 0
    best = ask_above(header, cells, last + base) if ticks > 0 else ASK_NONE
    header["best_ask_ticks"] = best
    if best == ASK_NONE:
        header["highest_ask_ticks"] = BID_NONE


@compiled
def top_levels(header, cells, row, levels):
    """Fills `levels` (LEVEL records with price_ticks and size_lots) from the touch outward; returns how many exist."""
    count = 0
    if row == 0:
        ticks = header["best_bid_ticks"]
        while count < len(levels) and ticks != BID_NONE:
            levels[count]["price_ticks"] = ticks
            levels[count]["size_lots"] = cells[0, ticks - header["base_ticks"]]
            count += 1
            if count < len(levels):
                ticks = bid_below(header, cells, ticks)
        return count
    ticks = header["best_ask_ticks"]
    while count < len(levels) and ticks != ASK_NONE:
        levels[count]["price_ticks"] = ticks
        levels[count]["size_lots"] = cells[1, ticks - header["base_ticks"]]
        count += 1
        if count < len(levels):
            ticks = ask_above(header, cells, ticks)
    return count
