"""Own orders against a recorded market: price levels and trades are history, our orders queue among them.

The ladder holds what was recorded; our orders are not in it. Each rests at a price with an estimate of the lots ahead
(`hlhft.venue.queue`) and is filled, with the reason kept, when

- a trade prints at its price and reaches past what is ahead (QUEUE_REACHED),
- a trade prints through its price (TRADED_THROUGH),
- the other side of the book comes to rest at or through its price (CROSSED), or
- it takes liquidity on arrival (TAKER).

Assumptions, stated: recorded flow does not react to us, and what we take stays in the recorded book. Under the rule
`partial_fills` a fill is at most what the trade or the crossing level held; without it an order fills whole, as
hftbacktest's exchange without partial fills does. Many lanes (traders that do not see each other) share one ladder.

Every function appends what happened to `venue.replies`; the caller drains it after each call, so it never overflows.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, LADDER_DTYPE, ask_above, bid_below, lots_at
from hlhft.units import LOTS_MAX
from hlhft.venue.funding import RATE_NONE
from hlhft.venue.holding import HOLDING_DTYPE, apply_fill
from hlhft.venue.queue import front_after_change, lots_reached
from hlhft.venue.validation import check_order

ORDER_INDEX = 1024  # the low ten bits of an order id are unique among one lane's live orders in one market
ALO_REORDER_NS = 400_000_000  # venue reference section 9: the youngest 400 ms of a level can be re-ordered

# Event kinds and codes as in hlhft.events and hlhft.venue.refusals; the compiled subset wants plain constants.
_ACKNOWLEDGED, _REJECTED, _FILLED, _CANCELLED, _EXPIRED, _CANCEL_REJECTED = 16, 17, 18, 19, 20, 22
_ALO, _GTC, _IOC = 0, 1, 2
_REFUSED_REDUCE_ONLY, _REFUSED_ALO, _REFUSED_IOC, _NEVER_PLACED, _ACTION_EXPIRED = 4, 5, 6, 11, 13
_TOO_MANY, _REDUCE_ONLY_CANCELLED, _LIQUIDATED, _REQUESTED = 14, 18, 20, 21


class FillReason(IntEnum):
    """Why an order was filled."""

    NONE = 0
    QUEUE_REACHED = 1
    TRADED_THROUGH = 2
    CROSSED = 3
    TAKER = 4
    LIQUIDATION = 5


VENUE_ORDER_DTYPE = np.dtype(
    [
        ("order_id", np.int64),
        ("lane", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("remaining_lots", np.int64),
        ("front", np.float64),  # lots ahead
        ("traded", np.float64),  # lots printed at the price since the level last changed
        ("front_at_entry", np.float64),
        ("placed_ns", np.int64),
        ("reduce_only", np.int64),
        ("next", np.int64),  # slot + 1 in the level's list or the free list, 0 none
        ("previous", np.int64),
    ]
)

REPLY_DTYPE = np.dtype(
    [
        ("ts_exch_ns", np.int64),
        ("ts_local_ns", np.int64),
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("aux0", np.int64),
        ("aux1", np.int64),
        ("front", np.float64),  # lots ahead just before a fill
        ("front_at_entry", np.float64),
        ("placed_ns", np.int64),
        ("mid_half_ticks", np.int64),  # best bid + best ask at the venue when it happened, 0 when one-sided
        ("kind", np.int64),
        ("lane", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("maker", np.int64),
        ("reason", np.int64),
    ]
)

# Per market.
EDGE_DTYPE = np.dtype(
    [
        ("lowest_ask_ticks", np.int64),  # no own ask rests below this
        ("highest_bid_ticks", np.int64),  # no own bid rests above this
        ("resting", np.int64),
    ]
)

VENUE_DTYPE = np.dtype([("free", np.int64), ("resting", np.int64), ("reply_count", np.int64), ("dropped", np.int64)])

# Per market: the venue's newest asset context.
CONTEXT_DTYPE = np.dtype(
    [
        ("mark_ticks", np.int64),  # 0 unknown
        ("oracle_ticks", np.int64),  # 0 unknown
        ("funding_rate_e12", np.int64),  # RATE_NONE unknown
    ]
)


class RecordedVenue(NamedTuple):
    """The venue's side of a replay. M markets, L lanes, N order slots, W ticks of band."""

    rules: np.ndarray  # RULES_DTYPE[1]
    venue: np.ndarray  # VENUE_DTYPE[1]
    markets: np.ndarray  # MARKET_DTYPE[M]
    edges: np.ndarray  # EDGE_DTYPE[M]
    ladders: np.ndarray  # LADDER_DTYPE[M]
    cells: np.ndarray  # int64[M, 2, W]
    heads: np.ndarray  # int32[M, 2, W]: slot + 1 of the first own order at a tick
    orders: np.ndarray  # VENUE_ORDER_DTYPE[N]
    slots: np.ndarray  # int32[L, M, ORDER_INDEX]: slot + 1 by order id
    holdings: np.ndarray  # HOLDING_DTYPE[L, M]
    open_orders: np.ndarray  # int64[L]
    replies: np.ndarray  # REPLY_DTYPE[N + ORDER_INDEX]
    contexts: np.ndarray  # CONTEXT_DTYPE[M]


def new_venue(
    markets: np.ndarray, rules: np.ndarray, *, lanes: int, base_ticks: list[int], width: int, slots: int
) -> RecordedVenue:
    """An empty venue for MARKET_DTYPE[M] `markets` with `slots` resting orders over all lanes."""
    count = len(markets)
    venue = RecordedVenue(
        rules=rules.copy(),
        venue=np.zeros(1, VENUE_DTYPE),
        markets=markets.copy(),
        edges=np.zeros(count, EDGE_DTYPE),
        ladders=np.zeros(count, LADDER_DTYPE),
        cells=np.zeros((count, 2, width), np.int64),
        heads=np.zeros((count, 2, width), np.int32),
        orders=np.zeros(slots, VENUE_ORDER_DTYPE),
        slots=np.zeros((lanes, count, ORDER_INDEX), np.int32),
        holdings=np.zeros((lanes, count), HOLDING_DTYPE),
        open_orders=np.zeros(lanes, np.int64),
        replies=np.zeros(slots + ORDER_INDEX, REPLY_DTYPE),
        contexts=np.zeros(count, CONTEXT_DTYPE),
    )
    venue.contexts["funding_rate_e12"] = RATE_NONE
    venue.edges["lowest_ask_ticks"] = ASK_NONE
    venue.edges["highest_bid_ticks"] = BID_NONE
    for market in range(count):
        venue.ladders[market] = (base_ticks[market], width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
        venue.holdings["maker_rate_e9"][:, market] = markets[market]["maker_rate_e9"]
        venue.holdings["taker_rate_e9"][:, market] = markets[market]["taker_rate_e9"]
    venue.orders["next"] = np.arange(2, slots + 2)
    venue.orders["next"][-1] = 0
    venue.venue["free"] = 1
    return venue


@compiled
def _reply(venue, kind, lane, market, order_id, side, ticks, lots, aux0, ts_ns):
    count = venue.venue[0]["reply_count"]
    if count >= len(venue.replies):
        # The caller ends the run on this: a fate that nobody hears of is worse than a stopped replay.
        venue.venue[0]["dropped"] += 1
        count -= 1
    reply = venue.replies[count]
    venue.venue[0]["reply_count"] = count + 1
    reply["ts_exch_ns"] = ts_ns
    reply["order_id"] = order_id
    reply["price_ticks"] = ticks
    reply["size_lots"] = lots
    reply["aux0"] = aux0
    reply["aux1"] = 0
    reply["kind"] = kind
    reply["lane"] = lane
    reply["market"] = market
    reply["side"] = side
    reply["maker"] = 0
    reply["reason"] = 0


@compiled
def _reply_fill(venue, lane, market, order_id, side, ticks, lots, left, maker, reason, ts_ns):
    fee = apply_fill(venue.holdings[lane, market], venue.markets[market], side, ticks, lots, maker)
    _reply(venue, _FILLED, lane, market, order_id, side, ticks, lots, left, ts_ns)
    reply = venue.replies[venue.venue[0]["reply_count"] - 1]
    reply["aux1"] = fee
    reply["maker"] = maker
    reply["reason"] = reason
    reply["front"] = 0.0
    reply["front_at_entry"] = 0.0
    reply["placed_ns"] = ts_ns
    ladder = venue.ladders[market]
    if ladder["best_bid_ticks"] != BID_NONE and ladder["best_ask_ticks"] != ASK_NONE:
        reply["mid_half_ticks"] = ladder["best_bid_ticks"] + ladder["best_ask_ticks"]
    else:
        reply["mid_half_ticks"] = 0


@compiled
def _insert(venue, lane, market, order_id, side, ticks, lots, reduce_only, front, ts_ns):
    slot = venue.venue[0]["free"]
    if slot == 0:
        return False
    order = venue.orders[slot - 1]
    venue.venue[0]["free"] = order["next"]
    venue.venue[0]["resting"] += 1
    venue.open_orders[lane] += 1
    order["order_id"] = order_id
    order["lane"] = lane
    order["market"] = market
    order["side"] = side
    order["price_ticks"] = ticks
    order["remaining_lots"] = lots
    order["front"] = front
    order["traded"] = 0.0
    order["front_at_entry"] = front
    order["placed_ns"] = ts_ns
    order["reduce_only"] = reduce_only
    row = 0 if side > 0 else 1
    cell = ticks - venue.ladders[market]["base_ticks"]
    head = venue.heads[market, row, cell]
    order["next"] = head
    order["previous"] = 0
    if head != 0:
        venue.orders[head - 1]["previous"] = slot
    venue.heads[market, row, cell] = slot
    venue.slots[lane, market, order_id & (ORDER_INDEX - 1)] = slot
    edge = venue.edges[market]
    edge["resting"] += 1
    if side > 0:
        edge["highest_bid_ticks"] = max(edge["highest_bid_ticks"], ticks)
    else:
        edge["lowest_ask_ticks"] = min(edge["lowest_ask_ticks"], ticks)
    return True


@compiled
def _remove(venue, slot):
    order = venue.orders[slot - 1]
    market = order["market"]
    row = 0 if order["side"] > 0 else 1
    following = order["next"]
    previous = order["previous"]
    if previous != 0:
        venue.orders[previous - 1]["next"] = following
    else:
        venue.heads[market, row, order["price_ticks"] - venue.ladders[market]["base_ticks"]] = following
    if following != 0:
        venue.orders[following - 1]["previous"] = previous
    venue.slots[order["lane"], market, order["order_id"] & (ORDER_INDEX - 1)] = 0
    venue.open_orders[order["lane"]] -= 1
    order["order_id"] = 0
    order["next"] = venue.venue[0]["free"]
    venue.venue[0]["free"] = slot
    venue.venue[0]["resting"] -= 1
    edge = venue.edges[market]
    edge["resting"] -= 1
    if edge["resting"] == 0:
        edge["lowest_ask_ticks"] = ASK_NONE
        edge["highest_bid_ticks"] = BID_NONE


@compiled
def _fill_resting(venue, slot, lots, reason, ts_ns):
    order = venue.orders[slot - 1]
    lane = order["lane"]
    market = order["market"]
    side = order["side"]
    reduce_only = order["reduce_only"]
    if reduce_only != 0:
        lots = min(lots, max(-side * venue.holdings[lane, market]["position_lots"], 0))
    if lots > 0:
        left = order["remaining_lots"] - lots
        order["remaining_lots"] = left
        front, entry, placed = order["front"], order["front_at_entry"], order["placed_ns"]
        _reply_fill(venue, lane, market, order["order_id"], side, order["price_ticks"], lots, left, 1, reason, ts_ns)
        reply = venue.replies[venue.venue[0]["reply_count"] - 1]
        reply["front"] = front
        reply["front_at_entry"] = entry
        reply["placed_ns"] = placed
        order["front"] = 0.0
        if left == 0:
            _remove(venue, slot)
            return
    if reduce_only != 0 and -side * venue.holdings[lane, market]["position_lots"] <= 0:
        _reply(
            venue, _CANCELLED, lane, market, order["order_id"], side, order["price_ticks"], order["remaining_lots"],
            _REDUCE_ONLY_CANCELLED, ts_ns,
        )  # fmt: skip
        _remove(venue, slot)


@compiled
def on_level(venue, market, row, ticks, before, after, ts_ns):
    """Moves the queue of own orders at a level whose recorded total changed; row 0 bids, 1 asks."""
    rules = venue.rules[0]
    lot_size = venue.markets[market]["lot_size"]
    slot = venue.heads[market, row, ticks - venue.ladders[market]["base_ticks"]]
    while slot != 0:
        order = venue.orders[slot - 1]
        front = front_after_change(
            rules["queue_model"], rules["queue_power"], lot_size, order["front"], order["traded"], before, after
        )
        if rules["alo_jumper_share_e6"] > 0 and after > before and ts_ns - order["placed_ns"] < ALO_REORDER_NS:
            front += float(after - before) * float(rules["alo_jumper_share_e6"]) * 1e-6
        order["front"] = front
        order["traded"] = 0.0
        slot = order["next"]


@compiled
def on_trade(venue, market, side, ticks, lots, ts_ns):
    """A recorded trade of `lots` at `ticks` by an aggressor on `side`: fills own orders it reaches on the other
    side."""
    partial = venue.rules[0]["partial_fills"]
    edge = venue.edges[market]
    base = venue.ladders[market]["base_ticks"]
    row = 1 if side > 0 else 0
    start = edge["lowest_ask_ticks"] if side > 0 else edge["highest_bid_ticks"]
    count = (ticks - start) * side
    if count < 0 or edge["resting"] == 0:
        return
    price = start
    for _ in range(count + 1):
        slot = venue.heads[market, row, price - base]
        while slot != 0:
            order = venue.orders[slot - 1]
            following = order["next"]
            remaining = order["remaining_lots"]
            if price != ticks:
                _fill_resting(venue, slot, min(remaining, lots) if partial else remaining, 2, ts_ns)
            else:
                order["front"] -= float(lots)
                order["traded"] += float(lots)
                reached = lots_reached(order["front"])
                if reached > 0:
                    _fill_resting(venue, slot, min(remaining, reached) if partial else remaining, 1, ts_ns)
            slot = following
        price += side
    if edge["resting"] > 0:
        _tighten(venue, market, row, start, side, count)


@compiled
def _tighten(venue, market, row, start, side, count):
    """Moves the edge past the ticks just scanned when they hold no own order any more."""
    base = venue.ladders[market]["base_ticks"]
    price = start
    for _ in range(count):
        if venue.heads[market, row, price - base] != 0:
            break
        price += side
    if side > 0:
        venue.edges[market]["lowest_ask_ticks"] = price
    else:
        venue.edges[market]["highest_bid_ticks"] = price


@compiled
def on_touch(venue, market, side, ts_ns):
    """The best bid (side +1) rose or the best ask (side -1) fell: fills own orders on the other side that it
    crosses."""
    partial = venue.rules[0]["partial_fills"]
    edge = venue.edges[market]
    ladder = venue.ladders[market]
    base = ladder["base_ticks"]
    row = 1 if side > 0 else 0
    touch = ladder["best_bid_ticks"] if side > 0 else ladder["best_ask_ticks"]
    start = edge["lowest_ask_ticks"] if side > 0 else edge["highest_bid_ticks"]
    count = (touch - start) * side
    if count < 0 or edge["resting"] == 0:
        return
    available = lots_at(ladder, venue.cells[market], 1 - row, touch)
    price = start
    for _ in range(count + 1):
        slot = venue.heads[market, row, price - base]
        while slot != 0:
            following = venue.orders[slot - 1]["next"]
            remaining = venue.orders[slot - 1]["remaining_lots"]
            _fill_resting(venue, slot, min(remaining, available) if partial else remaining, 3, ts_ns)
            slot = following
        price += side
    if edge["resting"] > 0:
        _tighten(venue, market, row, start, side, count)


@compiled
def _take(venue, lane, market, order_id, side, ticks, lots, reason, ts_ns):
    """Executes against the recorded book up to `ticks`; returns the lots left."""
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    price = ladder["best_ask_ticks"] if side > 0 else ladder["best_bid_ticks"]
    if venue.rules[0]["taker_fills_at_touch"] != 0:
        _reply_fill(venue, lane, market, order_id, side, price, lots, 0, 0, reason, ts_ns)
        return 0
    row = 1 if side > 0 else 0
    while lots > 0 and price != ASK_NONE and price != BID_NONE and (ticks - price) * side >= 0:
        taken = min(lots, lots_at(ladder, cells, row, price))
        lots -= taken
        _reply_fill(venue, lane, market, order_id, side, price, taken, lots, 0, reason, ts_ns)
        price = ask_above(ladder, cells, price) if side > 0 else bid_below(ladder, cells, price)
    return lots


@compiled
def place(venue, lane, market, order_id, side, ticks, lots, time_in_force, reduce_only, expires_ns, ts_ns):
    """An order arrives at `ts_ns`: it is refused, executed, rests, or a mixture; every outcome is a reply."""
    rules = venue.rules[0]
    ladder = venue.ladders[market]
    position = venue.holdings[lane, market]["position_lots"]
    if expires_ns != 0 and ts_ns > expires_ns:
        _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, _ACTION_EXPIRED, ts_ns)
        return
    if rules["enforce_validation"] != 0:
        reference = _reference(ladder)
        code = check_order(
            venue.markets[market], side, ticks, lots, reduce_only, position, reference, venue.open_orders[lane], rules
        )
        if code != 0:
            _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, code, ts_ns)
            return
    if reduce_only != 0:
        lots = min(lots, max(-side * position, 0))
        if lots == 0:
            _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, _REFUSED_REDUCE_ONLY, ts_ns)
            return
    crosses = ticks >= ladder["best_ask_ticks"] if side > 0 else ticks <= ladder["best_bid_ticks"]
    if crosses:
        if time_in_force == _ALO:
            _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, _REFUSED_ALO, ts_ns)
            return
        lots = _take(venue, lane, market, order_id, side, ticks, lots, 4, ts_ns)
        if lots == 0:
            return
        if time_in_force == _IOC:
            _reply(venue, _EXPIRED, lane, market, order_id, side, ticks, lots, 0, ts_ns)
            return
    elif time_in_force == _IOC:
        _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, _REFUSED_IOC, ts_ns)
        return
    _rest(venue, lane, market, order_id, side, ticks, lots, reduce_only, ts_ns)


@compiled
def _rest(venue, lane, market, order_id, side, ticks, lots, reduce_only, ts_ns):
    ladder = venue.ladders[market]
    cell = ticks - ladder["base_ticks"]
    if cell < 0 or cell >= ladder["width"]:
        # The recording never came near this price, so nothing is known about its queue.
        _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, 7, ts_ns)
        return
    row = 0 if side > 0 else 1
    front = float(venue.cells[market, row, cell])
    if venue.rules[0]["partial_fills"] != 0:
        front += _own_lots_at(venue, lane, market, row, cell)
    if not _insert(venue, lane, market, order_id, side, ticks, lots, reduce_only, front, ts_ns):
        _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, _TOO_MANY, ts_ns)
        return
    _reply(venue, _ACKNOWLEDGED, lane, market, order_id, side, ticks, lots, order_id, ts_ns)


@compiled
def _own_lots_at(venue, lane, market, row, cell):
    """Lots the same lane already has at the price: the later order stands behind them."""
    total = 0.0
    slot = venue.heads[market, row, cell]
    while slot != 0:
        order = venue.orders[slot - 1]
        if order["lane"] == lane:
            total += float(order["remaining_lots"])
        slot = order["next"]
    return total


@compiled
def _reference(ladder):
    """The price that bands are measured from: the mid, or the one side that exists, or 0."""
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    if bid != BID_NONE and ask != ASK_NONE:
        return (bid + ask) // 2
    if bid != BID_NONE:
        return bid
    return ask if ask != ASK_NONE else 0


@compiled
def cancel(venue, lane, market, order_id, cause, ts_ns):
    """A cancel arrives: the order leaves the book, or the cancel is rejected because nothing rests under this id."""
    slot = venue.slots[lane, market, order_id & (ORDER_INDEX - 1)]
    if slot == 0 or venue.orders[slot - 1]["order_id"] != order_id:
        _reply(venue, _CANCEL_REJECTED, lane, market, order_id, 0, 0, 0, _NEVER_PLACED, ts_ns)
        return
    order = venue.orders[slot - 1]
    _reply(
        venue,
        _CANCELLED,
        lane,
        market,
        order_id,
        order["side"],
        order["price_ticks"],
        order["remaining_lots"],
        cause,
        ts_ns,
    )
    _remove(venue, slot)


@compiled
def liquidate(venue, lane, market, ts_ns, lots_max=LOTS_MAX):
    """Cancels the lane's orders in the market and closes its position, at most `lots_max` of it, against the recorded
    book; returns how many lots the book could not take."""
    for slot in range(1, len(venue.orders) + 1):
        order = venue.orders[slot - 1]
        if order["order_id"] != 0 and order["lane"] == lane and order["market"] == market:
            cancel(venue, lane, market, order["order_id"], _LIQUIDATED, ts_ns)
    position = venue.holdings[lane, market]["position_lots"]
    lots = min(abs(position), lots_max)
    if lots == 0:
        return 0
    side = -1 if position > 0 else 1
    limit = 2**40 if side > 0 else 1
    return _take(venue, lane, market, 0, side, limit, lots, 5, ts_ns)
