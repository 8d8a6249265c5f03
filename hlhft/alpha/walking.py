"""Frame by frame over a recording's events: the core's books, without a core that decides, and the rows they make.

A ladder's band follows the touch as it is known then, so that what a book holds never depends on later prices.
"""

from __future__ import annotations

from hlhft.alpha.features import update_from
from hlhft.compiled import compiled
from hlhft.core.book import apply_event
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below

_FRAME_END = 4
_LEVEL, _BBO = 1, 5


@compiled
def _first_price(events, first, end, market):
    """A price in the middle of what a frame says of a market, 0 when it names none."""
    bid = ask = 0
    for index in range(first, end):
        event = events[index]
        kind, ticks = int(event["kind"]), event["price_ticks"]
        if event["market"] != market or ticks == 0 or event["size_lots"] == 0 or (kind != _LEVEL and kind != _BBO):
            continue
        if event["side"] >= 0:
            bid = max(bid, ticks)
        elif ask == 0 or ticks < ask:
            ask = ticks
    if bid == 0 or ask == 0:
        return bid + ask
    return (bid + ask) // 2


@compiled
def _centre(ladder, cells, ticks):
    """Moves the ladder's band so that `ticks` lies in its middle; levels that fall out of it are forgotten."""
    width = ladder["width"]
    shift = ticks - width // 2 - ladder["base_ticks"]
    for row in range(2):
        if shift > 0:
            for index in range(width):
                cells[row, index] = cells[row, index + shift] if index + shift < width else 0
        else:
            for index in range(width - 1, -1, -1):
                cells[row, index] = cells[row, index + shift] if index + shift >= 0 else 0
    ladder["base_ticks"] += shift
    low, high = ladder["base_ticks"], ladder["base_ticks"] + width
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    if bid != BID_NONE and (bid < low or bid >= high):
        ladder["best_bid_ticks"] = bid_below(ladder, cells, high)
    if ask != ASK_NONE and (ask < low or ask >= high):
        ladder["best_ask_ticks"] = ask_above(ladder, cells, low - 1)


@compiled
def _follow(ladder, cells):
    """Keeps the touch in the middle half of the band."""
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    ticks = bid if bid != BID_NONE else ask
    if ticks == ASK_NONE:
        return
    quarter = ladder["width"] // 4
    if ticks < ladder["base_ticks"] + quarter or ticks >= ladder["base_ticks"] + 3 * quarter:
        _centre(ladder, cells, ticks)


@compiled
def _apply_frame(data, centred, events, first, end):
    """Applies one frame to the books; `centred` int64[M] is 1 for a market whose ladder has found its prices."""
    for index in range(first, end):
        event = events[index]
        market = int(event["market"])
        place = data.books[market]["ladder_index"]
        if place >= 0:
            ladder, cells = data.ladders[place], data.cells[place]
            if centred[market] == 0:
                ticks = _first_price(events, first, end, market)
                if ticks != 0:  # nothing was written yet, so nothing has to move
                    ladder["base_ticks"] = ticks - ladder["width"] // 2
                    centred[market] = 1
            else:
                _follow(ladder, cells)
        apply_event(data, market, event)


@compiled
def walk(data, lane, state, centred, events, first):
    """Applies whole frames from event `first` on, while there is room for one more frame's rows.

    Returns (the event to go on with, rows written). A frame ends with FRAME_END or with the array.
    """
    index, row, count = first, 0, len(events)
    room = len(state.heads) - len(data.books)
    while index < count and row <= room:
        end = index + 1
        while end < count and events[end - 1]["flags"] & _FRAME_END == 0:
            end += 1
        _apply_frame(data, centred, events, index, end)
        row = update_from(state, data, lane, events, index, end, row)
        index = end
    return index, row
