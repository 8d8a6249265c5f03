"""The venue's side of a replay: recorded rows and arriving requests, in the venue's order of time.

At one instant recorded data comes first, then requests in order of arrival; under the block model requests of one block
are ordered by class (venue reference section 8): post-only placements, cancels, then everything that may take.
"""

from __future__ import annotations

from hlhft.backtest.bus import FAR, RING, deliver, refresh_next_request
from hlhft.backtest.rows import (
    BBO,
    CLEAR,
    EXCHANGE_BIT,
    FUNDING,
    KIND_MASK,
    LEVEL,
    LOTS_SHIFT,
    MARK,
    ORACLE,
    ORDER_AGE,
    SELL_BIT,
    SNAPSHOT_BEGIN,
    TRADE,
)
from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, clear_asks, clear_bids, lots_at, set_ask, set_bid
from hlhft.venue.recorded import cancel, name_order, on_level, on_touch, on_trade, place

_PLACE, _CANCEL = 1, 2
_REQUESTED = 21
_BLOCKS = 3


@compiled
def venue_bbo(venue, market, row, ticks, lots, ts_ns):
    """A recorded best price: levels better than it on its side are gone, the level itself has these lots; price 0: the
    side is empty."""
    ladder = venue.ladders[market]
    if row == 0:
        while ladder["best_bid_ticks"] != BID_NONE and ladder["best_bid_ticks"] > ticks:
            _set_level(venue, market, 0, ladder["best_bid_ticks"], 0, ts_ns)
    else:
        while ladder["best_ask_ticks"] != ASK_NONE and (ticks == 0 or ladder["best_ask_ticks"] < ticks):
            _set_level(venue, market, 1, ladder["best_ask_ticks"], 0, ts_ns)
    # A touch that is repeated changes nothing, least of all what trades took off its queue. A level that the other side
    # crossed is no touch, even with the same lots in its cell.
    touch = ladder["best_bid_ticks"] if row == 0 else ladder["best_ask_ticks"]
    if ticks > 0 and (touch != ticks or lots_at(ladder, venue.cells[market], row, ticks) != lots):
        _set_level(venue, market, row, ticks, lots, ts_ns)


@compiled
def _set_level(venue, market, row, ticks, lots, ts_ns):
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    if row == 0:
        touch = ladder["best_bid_ticks"]
        before = set_bid(ladder, cells, ticks, lots)
        if before < 0:
            return
        if venue.heads[market, 0, ticks - ladder["base_ticks"]] != 0:
            on_level(venue, market, 0, ticks, before, lots, ts_ns)
        if ladder["best_bid_ticks"] > touch and ladder["best_bid_ticks"] >= venue.edges[market]["lowest_ask_ticks"]:
            on_touch(venue, market, 1, ts_ns)
        return
    touch = ladder["best_ask_ticks"]
    before = set_ask(ladder, cells, ticks, lots)
    if before < 0:
        return
    if venue.heads[market, 1, ticks - ladder["base_ticks"]] != 0:
        on_level(venue, market, 1, ticks, before, lots, ts_ns)
    if ladder["best_ask_ticks"] < touch and ladder["best_ask_ticks"] <= venue.edges[market]["highest_bid_ticks"]:
        on_touch(venue, market, -1, ts_ns)


@compiled
def run_rows(venue, market, rows, cursor, end, until_ns, stop_on_reply):
    """Applies recorded rows up to `until_ns` inclusive; returns the cursor of the first row not applied.

    With `stop_on_reply` it returns after the row that made the kernel speak.
    """
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    edge = venue.edges[market]
    heads = venue.heads[market]
    base = ladder["base_ticks"]
    width = ladder["width"]
    while cursor < end:
        word = rows[cursor]["word"]
        if word & EXCHANGE_BIT == 0:
            cursor += 1
            continue
        ts_ns = rows[cursor]["ts_ns"]
        if ts_ns > until_ns:
            break
        ticks = int(rows[cursor]["price_ticks"])
        cursor += 1
        kind = word & KIND_MASK
        lots = word >> LOTS_SHIFT
        if kind == LEVEL:
            index = ticks - base
            if word & SELL_BIT:
                touch = ladder["best_ask_ticks"]
                before = set_ask(ladder, cells, ticks, lots)
                if index >= 0 and index < width and heads[1, index] != 0:
                    on_level(venue, market, 1, ticks, before, lots, ts_ns)
                if ladder["best_ask_ticks"] < touch and ladder["best_ask_ticks"] <= edge["highest_bid_ticks"]:
                    on_touch(venue, market, -1, ts_ns)
            else:
                touch = ladder["best_bid_ticks"]
                before = set_bid(ladder, cells, ticks, lots)
                if index >= 0 and index < width and heads[0, index] != 0:
                    on_level(venue, market, 0, ticks, before, lots, ts_ns)
                if ladder["best_bid_ticks"] > touch and ladder["best_bid_ticks"] >= edge["lowest_ask_ticks"]:
                    on_touch(venue, market, 1, ts_ns)
        elif kind == TRADE:
            if word & SELL_BIT:
                if ticks <= edge["highest_bid_ticks"]:
                    on_trade(venue, market, -1, ticks, lots, ts_ns)
            elif ticks >= edge["lowest_ask_ticks"]:
                on_trade(venue, market, 1, ticks, lots, ts_ns)
        else:
            _rare_row(venue, market, kind, word, ticks, lots, int(rows[cursor - 1]["delay_ns"]), ts_ns)
        if stop_on_reply and venue.venue[0]["reply_count"] > 0:
            break
    return cursor


@compiled
def _rare_row(venue, market, kind, word, ticks, lots, delay_ns, ts_ns):
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    row = 1 if word & SELL_BIT else 0
    if kind == BBO:
        venue_bbo(venue, market, row, ticks, lots, ts_ns)
    elif kind == ORDER_AGE:
        name_order(venue, market, row, ticks, ts_ns - lots * 1000 - delay_ns, ts_ns)
    elif kind == CLEAR:
        if word & SELL_BIT:
            clear_asks(ladder, cells, ticks)
        else:
            clear_bids(ladder, cells, ticks)
    elif kind == SNAPSHOT_BEGIN:
        clear_bids(ladder, cells, 0)
        clear_asks(ladder, cells, 0)
    elif kind == MARK:
        venue.contexts[market]["mark_ticks"] = ticks
    elif kind == ORACLE:
        venue.contexts[market]["oracle_ticks"] = ticks
    elif kind == FUNDING:
        venue.contexts[market]["funding_rate_e12"] = lots


@compiled
def next_venue_row_ns(rows, cursor, end):
    """Exchange time of the next row the venue sees, FAR when the window holds none."""
    while cursor < end:
        if rows[cursor]["word"] & EXCHANGE_BIT:
            return rows[cursor]["ts_ns"]
        cursor += 1
    return FAR


@compiled
def _act(venue, request, lane, ts_ns):
    if request["kind"] == _PLACE:
        place(
            venue, lane, request["market"], request["order_id"], request["side"], request["price_ticks"],
            request["size_lots"], request["time_in_force"], request["reduce_only"], request["expires_ns"], ts_ns,
        )  # fmt: skip
    elif request["kind"] == _CANCEL:
        cancel(venue, lane, request["market"], request["order_id"], _REQUESTED, ts_ns)


@compiled
def _act_on_block(venue, bus, lane, first, last):
    """Acts on requests[first:last] of a lane, which share a block: by class, then in order of arrival."""
    for rank in range(3):
        # Classes 0 cancel, 1 post-only, 2 everything else; the block runs 1, 0, 2.
        command_class = 1 - rank if rank < 2 else 2
        for position in range(first, last):
            request = bus.requests[lane, position & (RING - 1)]
            if request["command_class"] == command_class:
                _act(venue, request, lane, request["arrival_ns"])


@compiled
def take_requests(venue, bus, ts_ns):
    """Acts on every request that arrives at or before `ts_ns`; returns the earliest reply's arrival, FAR when none."""
    by_class = bus.latency[0]["kind"] == _BLOCKS
    earliest = FAR
    for lane in range(len(bus.lines)):
        line = bus.lines[lane]
        first = line["request_head"]
        tail = line["request_tail"]
        while first < tail and bus.requests[lane, first & (RING - 1)]["arrival_ns"] <= ts_ns:
            last = first + 1
            if by_class:
                arrival_ns = bus.requests[lane, first & (RING - 1)]["arrival_ns"]
                while last < tail and bus.requests[lane, last & (RING - 1)]["arrival_ns"] == arrival_ns:
                    last += 1
                _act_on_block(venue, bus, lane, first, last)
            else:
                request = bus.requests[lane, first & (RING - 1)]
                _act(venue, request, lane, request["arrival_ns"])
            first = last
        if first != line["request_head"]:
            line["request_head"] = first
            earliest = min(earliest, deliver(bus, venue.venue[0], venue.replies))
    refresh_next_request(bus)
    return earliest
