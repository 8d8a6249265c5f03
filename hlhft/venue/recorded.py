"""Own orders against a recorded market: price levels and trades are history, our orders queue among them.

The ladder holds what was recorded; our orders are not in it. Each rests at a price with an estimate of the lots ahead
(`hlhft.venue.queue`) and is filled, with the reason kept, when

- a trade prints at its price and reaches past what is ahead (QUEUE_REACHED),
- a trade prints through its price (TRADED_THROUGH),
- the other side of the book comes to rest at or through its price (CROSSED), or
- it takes liquidity on arrival (TAKER).

Assumptions, stated: recorded flow does not react to us, what we take stays in the recorded book, and a lane's own
orders do not meet each other. Under the rule `partial_fills` all fills of a lane by one trade, or by one level that
crosses, are together at most what it held, best price first, then the older order; without it an order fills whole, as
hftbacktest's exchange without partial fills does. Many lanes (traders that do not see each other) share one ladder.

Reduce-only orders never exceed the position that they close: when it shrinks, they do, the oldest first, and they are
cancelled when it is gone (venue reference section 4.5).

Every function appends what happened to `venue.replies`; the caller drains it after each call, so it never overflows.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below, lots_at
from hlhft.units import LOTS_MAX
from hlhft.venue.holding import apply_fill
from hlhft.venue.queue import after_order_change, front_after_change, lots_reached
from hlhft.venue.recorded_state import (
    CONTEXT_DTYPE,
    EDGE_DTYPE,
    ORDER_INDEX,
    REPLY_DTYPE,
    VENUE_DTYPE,
    VENUE_LANE_DTYPE,
    VENUE_ORDER_DTYPE,
    FillReason,
    RecordedVenue,
    new_venue,
)
from hlhft.venue.validation import check_order

__all__ = [
    "ALO_REORDER_NS",
    "CONTEXT_DTYPE",
    "EDGE_DTYPE",
    "ORDER_INDEX",
    "REPLY_DTYPE",
    "VENUE_DTYPE",
    "VENUE_LANE_DTYPE",
    "VENUE_ORDER_DTYPE",
    "FillReason",
    "RecordedVenue",
    "cancel",
    "liquidate",
    "name_order",
    "new_venue",
    "on_level",
    "on_touch",
    "on_trade",
    "place",
]

ALO_REORDER_NS = 400_000_000  # venue reference section 9: the youngest 400 ms of a level can be re-ordered

# Event kinds and codes as in hlhft.events and hlhft.venue.refusals; the compiled subset wants plain constants.
_ACKNOWLEDGED, _REJECTED, _FILLED, _CANCELLED, _EXPIRED, _CANCEL_REJECTED = 16, 17, 18, 19, 20, 22
_ALO, _GTC, _IOC = 0, 1, 2
_REFUSED_REDUCE_ONLY, _REFUSED_ALO, _REFUSED_IOC, _PRICE_BAND, _ZERO_SIZE = 4, 5, 6, 7, 9
_NEVER_PLACED, _ACTION_EXPIRED, _TOO_MANY, _REDUCE_ONLY_CANCELLED, _LIQUIDATED = 11, 13, 14, 18, 20
_ORDER_LEVEL = 6  # QueueModel.ORDER_LEVEL
_QUEUE_REACHED, _TRADED_THROUGH, _CROSSED, _TAKER, _LIQUIDATION = 1, 2, 3, 4, 5


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
    reply["front"] = 0.0
    reply["front_at_entry"] = 0.0
    reply["placed_ns"] = ts_ns
    reply["mid_half_ticks"] = 0
    reply["touch_ticks"] = 0
    reply["kind"] = kind
    reply["lane"] = lane
    reply["market"] = market
    reply["side"] = side
    reply["maker"] = 0
    reply["reason"] = 0
    return reply


@compiled
def _reply_fill(venue, lane, market, order_id, side, ticks, lots, left, maker, reason, ts_ns):
    fee = apply_fill(venue.holdings[lane, market], venue.markets[market], side, ticks, lots, maker)
    venue.venue[0]["untrimmed"] += venue.lanes[lane]["reduce_only"]
    reply = _reply(venue, _FILLED, lane, market, order_id, side, ticks, lots, left, ts_ns)
    reply["aux1"] = fee
    reply["maker"] = maker
    reply["reason"] = reason
    ladder = venue.ladders[market]
    if ladder["best_bid_ticks"] != BID_NONE and ladder["best_ask_ticks"] != ASK_NONE:
        reply["mid_half_ticks"] = ladder["best_bid_ticks"] + ladder["best_ask_ticks"]
    return reply


@compiled
def _insert(venue, lane, market, order_id, side, ticks, lots, reduce_only, front, ts_ns):
    slot = venue.venue[0]["free"]
    if slot == 0:
        return False
    order = venue.orders[slot - 1]
    venue.venue[0]["free"] = order["next"]
    venue.venue[0]["resting"] += 1
    venue.lanes[lane]["open_orders"] += 1
    if reduce_only != 0:
        venue.lanes[lane]["reduce_only"] += 1
        venue.venue[0]["untrimmed"] += 1
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
    order["next"] = 0
    if head != 0:
        youngest = venue.orders[head - 1]["previous"]
        venue.orders[youngest - 1]["next"] = slot
        order["previous"] = youngest
        venue.orders[head - 1]["previous"] = slot
    else:
        order["previous"] = slot
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
    cell = order["price_ticks"] - venue.ladders[market]["base_ticks"]
    head = venue.heads[market, row, cell]
    following = order["next"]
    previous = order["previous"]
    if slot == head:
        venue.heads[market, row, cell] = following
    else:
        venue.orders[previous - 1]["next"] = following
    if following != 0:
        venue.orders[following - 1]["previous"] = previous
    elif slot != head:
        venue.orders[head - 1]["previous"] = previous
    venue.slots[order["lane"], market, order["order_id"] & (ORDER_INDEX - 1)] = 0
    venue.lanes[order["lane"]]["open_orders"] -= 1
    if order["reduce_only"] != 0:
        venue.lanes[order["lane"]]["reduce_only"] -= 1
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
def _fill_resting(venue, slot, reached, ahead, reason, ts_ns):
    """Fills a resting order that `reached` lots of a trade or a level got to, whole or in part as the rules say."""
    order = venue.orders[slot - 1]
    lane = order["lane"]
    market = order["market"]
    side = order["side"]
    lots = order["remaining_lots"]
    trader = venue.lanes[lane]
    if trader["flow"] != venue.venue[0]["flow"]:
        trader["flow"] = venue.venue[0]["flow"]
        trader["flow_lots"] = 0
    if venue.rules[0]["partial_fills"] != 0:
        lots = min(lots, reached - trader["flow_lots"])
    if order["reduce_only"] != 0:
        lots = min(lots, -side * venue.holdings[lane, market]["position_lots"])
    order["front"] = 0.0
    if lots <= 0:
        return
    trader["flow_lots"] += lots
    left = order["remaining_lots"] - lots
    order["remaining_lots"] = left
    reply = _reply_fill(
        venue, lane, market, order["order_id"], side, order["price_ticks"], lots, left, 1, reason, ts_ns
    )  # fmt: skip
    reply["front"] = max(ahead, 0.0)
    reply["front_at_entry"] = order["front_at_entry"]
    reply["placed_ns"] = order["placed_ns"]
    if left == 0:
        _remove(venue, slot)


@compiled
def _trim_reduce_only(venue, market, ts_ns):
    """Shrinks the reduce-only orders of each lane, the oldest first, to the position that they close."""
    if venue.venue[0]["untrimmed"] == 0:
        return
    venue.venue[0]["untrimmed"] = 0
    for lane in range(len(venue.lanes)):
        while venue.lanes[lane]["reduce_only"] > 0:
            oldest, total = _oldest_reduce_only(venue, lane, market)
            if oldest == 0:
                break
            order = venue.orders[oldest - 1]
            excess = total - max(-order["side"] * venue.holdings[lane, market]["position_lots"], 0)
            if excess <= 0:
                break
            order_id, side, ticks = order["order_id"], order["side"], order["price_ticks"]
            if excess < order["remaining_lots"]:
                order["remaining_lots"] -= excess
                left = order["remaining_lots"]
                _reply(venue, _ACKNOWLEDGED, lane, market, order_id, side, ticks, left, order_id, ts_ns)
                break
            left = order["remaining_lots"]
            _reply(venue, _CANCELLED, lane, market, order_id, side, ticks, left, _REDUCE_ONLY_CANCELLED, ts_ns)
            _remove(venue, oldest)


@compiled
def _oldest_reduce_only(venue, lane, market):
    """Slot + 1 of the lane's oldest reduce-only order in the market, 0 none, and the lots of all of them."""
    oldest = 0
    total = 0
    for index in range(ORDER_INDEX):
        slot = int(venue.slots[lane, market, index])
        if slot == 0 or venue.orders[slot - 1]["reduce_only"] == 0:
            continue
        order = venue.orders[slot - 1]
        total += order["remaining_lots"]
        other = venue.orders[max(oldest, 1) - 1]
        # Of two that arrived in one block the one sent first is older: ids ascend.
        if oldest == 0 or (order["placed_ns"], order["order_id"]) < (other["placed_ns"], other["order_id"]):
            oldest = slot
    return oldest, total


@compiled
def name_order(venue, market, row, ticks, placed_ns, ts_ns):
    """Says that the next change of this level, at `ts_ns`, is of one recorded order, placed at `placed_ns`."""
    edge = venue.edges[market]
    edge["change_ns"] = ts_ns
    edge["change_ticks_signed"] = ticks if row == 0 else -ticks
    edge["change_placed_ns"] = placed_ns


@compiled
def on_level(venue, market, row, ticks, before, after, ts_ns):
    """Moves the queue of own orders at a level whose recorded total changed; row 0 bids, 1 asks."""
    rules = venue.rules[0]
    edge = venue.edges[market]
    lot_size = venue.markets[market]["lot_size"]
    share = float(rules["alo_jumper_share_e6"]) * 1e-6
    named = edge["change_ns"] == ts_ns and edge["change_ticks_signed"] == (ticks if row == 0 else -ticks)
    named = named and rules["queue_model"] == _ORDER_LEVEL
    edge["change_ticks_signed"] = 0
    slot = venue.heads[market, row, ticks - venue.ladders[market]["base_ticks"]]
    while slot != 0:
        order = venue.orders[slot - 1]
        slot = order["next"]
        if named:
            # An order that is new at the end of its queue is placed now; only one that was let in before another, or
            # grew in its place, is older than the increase that it makes.
            is_old = after <= before or edge["change_placed_ns"] < ts_ns
            is_ahead = is_old and edge["change_placed_ns"] <= order["placed_ns"]
            order["front"], order["traded"] = after_order_change(
                order["front"], order["traded"], before, after, is_ahead
            )
            continue
        traded = order["traded"]
        front = front_after_change(
            rules["queue_model"], rules["queue_power"], lot_size, order["front"], traded, before, after
        )
        if rules["partial_fills"] != 0:
            front = max(front, 0.0)
        joined = float(after - before) + traded
        if share > 0.0 and joined > 0.0 and ts_ns - order["placed_ns"] < ALO_REORDER_NS:
            front += joined * share
        order["front"] = front
        order["traded"] = 0.0


@compiled
def on_trade(venue, market, side, ticks, lots, ts_ns):
    """A recorded trade of `lots` at `ticks` by an aggressor on `side`: fills own orders opposite that it reaches."""
    _sweep(venue, market, side, ticks, lots, _TRADED_THROUGH, ts_ns)


@compiled
def on_touch(venue, market, side, ts_ns):
    """The best bid (side +1) rose or the best ask (side -1) fell: fills own orders opposite that it crosses."""
    ladder = venue.ladders[market]
    touch = ladder["best_bid_ticks"] if side > 0 else ladder["best_ask_ticks"]
    lots = lots_at(ladder, venue.cells[market], 0 if side > 0 else 1, touch)
    _sweep(venue, market, side, touch, lots, _CROSSED, ts_ns)


@compiled
def _sweep(venue, market, side, ticks, lots, reason, ts_ns):
    """Fills own orders from the best price to `ticks`; at a trade's own price, only by what goes past their queue."""
    edge = venue.edges[market]
    base = venue.ladders[market]["base_ticks"]
    row = 1 if side > 0 else 0
    start = edge["lowest_ask_ticks"] if side > 0 else edge["highest_bid_ticks"]
    if (ticks - start) * side < 0 or edge["resting"] == 0:
        return
    # No own order rests outside the band, wherever the trade printed.
    last = min(max(ticks, base), base + venue.ladders[market]["width"] - 1)
    count = (last - start) * side
    venue.venue[0]["flow"] += 1
    price = start
    for _ in range(count + 1):
        slot = venue.heads[market, row, price - base]
        while slot != 0:
            order = venue.orders[slot - 1]
            following = order["next"]
            ahead = order["front"]
            if price != ticks or reason == _CROSSED:
                _fill_resting(venue, slot, lots, ahead, reason, ts_ns)
            else:
                order["front"] -= float(lots)
                order["traded"] += float(lots)
                reached = lots_reached(order["front"])
                if reached > 0:
                    _fill_resting(venue, slot, reached, ahead, _QUEUE_REACHED, ts_ns)
            slot = following
        price += side
    if edge["resting"] > 0:
        _tighten(venue, market, row, start, side, count)
    _trim_reduce_only(venue, market, ts_ns)


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
def _take(venue, lane, market, order_id, side, ticks, lots, reason, ts_ns):
    """Executes against the recorded book up to `ticks`; returns the lots left."""
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    price = ladder["best_ask_ticks"] if side > 0 else ladder["best_bid_ticks"]
    if venue.rules[0]["taker_fills_at_touch"] != 0 and price != ASK_NONE and price != BID_NONE:
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
    code = _refusal(venue, lane, market, side, ticks, lots, time_in_force, reduce_only, expires_ns, ts_ns)
    if code != 0:
        _reply(venue, _REJECTED, lane, market, order_id, side, ticks, lots, code, ts_ns)
        return
    if reduce_only != 0:
        lots = min(lots, -side * venue.holdings[lane, market]["position_lots"])
    left = lots
    if _crosses(venue.ladders[market], side, ticks):
        left = _take(venue, lane, market, order_id, side, ticks, lots, _TAKER, ts_ns)
    if left > 0 and time_in_force == _IOC:
        _reply(venue, _EXPIRED, lane, market, order_id, side, ticks, left, 0, ts_ns)
    elif left > 0:
        _rest(venue, lane, market, order_id, side, ticks, left, reduce_only, left < lots, ts_ns)
    _trim_reduce_only(venue, market, ts_ns)


@compiled
def _refusal(venue, lane, market, side, ticks, lots, time_in_force, reduce_only, expires_ns, ts_ns):
    """Why an order is refused on arrival, 0 when it is not."""
    rules = venue.rules[0]
    ladder = venue.ladders[market]
    position = venue.holdings[lane, market]["position_lots"]
    if expires_ns != 0 and ts_ns > expires_ns:
        return _ACTION_EXPIRED
    if lots <= 0:
        return _ZERO_SIZE
    if rules["enforce_validation"] != 0:
        code = check_order(
            venue.markets[market], side, ticks, lots, reduce_only, position, _reference(ladder),
            venue.lanes[lane]["open_orders"], rules,
        )  # fmt: skip
        if code != 0:
            return code
    if reduce_only != 0 and side * position >= 0:
        return _REFUSED_REDUCE_ONLY
    crosses = _crosses(ladder, side, ticks)
    if crosses and time_in_force == _ALO:
        return _REFUSED_ALO
    return _REFUSED_IOC if not crosses and time_in_force == _IOC else 0


@compiled
def _crosses(ladder, side, ticks):
    if side > 0:
        return ticks >= ladder["best_ask_ticks"]
    return ticks <= ladder["best_bid_ticks"]


@compiled
def _rest(venue, lane, market, order_id, side, ticks, lots, reduce_only, has_traded, ts_ns):
    """Puts an order, or what its fills left of it, to rest; where it cannot, it is rejected or what is left expires."""
    ladder = venue.ladders[market]
    cell = ticks - ladder["base_ticks"]
    refused = _EXPIRED if has_traded else _REJECTED
    if cell < 0 or cell >= ladder["width"]:
        # The recording never came near this price, so nothing is known about its queue.
        _reply(venue, refused, lane, market, order_id, side, ticks, lots, 0 if has_traded else _PRICE_BAND, ts_ns)
        return
    row = 0 if side > 0 else 1
    front = float(venue.cells[market, row, cell])
    if not _insert(venue, lane, market, order_id, side, ticks, lots, reduce_only, front, ts_ns):
        _reply(venue, refused, lane, market, order_id, side, ticks, lots, 0 if has_traded else _TOO_MANY, ts_ns)
        return
    reply = _reply(venue, _ACKNOWLEDGED, lane, market, order_id, side, ticks, lots, order_id, ts_ns)
    reply["front"] = front
    reply["front_at_entry"] = front
    touch = ladder["best_bid_ticks"] if side > 0 else ladder["best_ask_ticks"]
    reply["touch_ticks"] = 0 if touch == BID_NONE or touch == ASK_NONE else touch


@compiled
def _reference(ladder):
    """The price that bands are measured from: the mid, or the one side that exists, or 0."""
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    if bid == BID_NONE:
        return ask if ask != ASK_NONE else 0
    return (bid + ask) // 2 if ask != ASK_NONE else bid


@compiled
def cancel(venue, lane, market, order_id, cause, ts_ns):
    """A cancel arrives: the order leaves the book, or the cancel is rejected because nothing rests under this id."""
    slot = venue.slots[lane, market, order_id & (ORDER_INDEX - 1)]
    if slot == 0 or venue.orders[slot - 1]["order_id"] != order_id:
        _reply(venue, _CANCEL_REJECTED, lane, market, order_id, 0, 0, 0, _NEVER_PLACED, ts_ns)
        return
    order = venue.orders[slot - 1]
    side, ticks, lots = order["side"], order["price_ticks"], order["remaining_lots"]
    _reply(venue, _CANCELLED, lane, market, order_id, side, ticks, lots, cause, ts_ns)
    _remove(venue, slot)


@compiled
def liquidate(venue, lane, market, ts_ns, lots_max=LOTS_MAX):
    """Cancels the lane's orders in the market and closes its position, at most `lots_max` of it, against the recorded
    book; returns how many lots the book could not take."""
    # In the order of the ids: which slots the lane's orders have depends on what the other lanes did.
    for index in range(ORDER_INDEX):
        slot = int(venue.slots[lane, market, index])
        if slot != 0:
            cancel(venue, lane, market, venue.orders[slot - 1]["order_id"], _LIQUIDATED, ts_ns)
    position = venue.holdings[lane, market]["position_lots"]
    lots = min(abs(position), lots_max)
    if lots == 0:
        return 0
    side = -1 if position > 0 else 1
    limit = 2**40 if side > 0 else 1
    return _take(venue, lane, market, 0, side, limit, lots, _LIQUIDATION, ts_ns)
