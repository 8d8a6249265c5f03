"""Recorded liquidity among the orders of the book: what a recording or a feed says of a level and of a trade.

A feed tells how many lots rest at a price, not whose. Here they rest as orders of one account, the background, in the
queues in which everybody else's orders stand, so that what was there before is ahead. Two legs carry the feed in
(hlhft.venue.blocks): BACKGROUND_LEVEL gives a level a new total, BACKGROUND_TRADE repeats a trade that printed.

What is assumed, and tested:

- What a level grows by stands at its end. What it shrinks by, beside trades, left ahead of and behind each of the other
  orders as the rule set's queue model says (hlhft.venue.queue), rounded to whole lots; of orders at one level, each is
  estimated by itself, and a later one never has less ahead than an earlier one.
- A trade fills the others' orders at better prices than its own, then its level from the oldest order on, together at
  most what it held. What others got of it, the recorded queue loses all the same, from its front: in the recording
  those lots traded. What the level does not hold is traded off the book, so that each recorded trade prints whole.
- A level that comes to rest at or through orders of others fills them, with what it grew by. While one of them is still
  in the way the level stays out of the book, as does what takers took from it, until the feed names the level again.
- Nobody checks the background's orders: not their size, their number, nor its margin. Its money and its positions are
  booked like everybody's.
"""

from __future__ import annotations

import math

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below
from hlhft.venue.event_log import tell_leg, tell_order
from hlhft.venue.placing import book_fill, crosses, maker_lost_margin, match, prepare, trade
from hlhft.venue.queue import front_after_change
from hlhft.venue.resting import end_order, resize, rest

# Event kinds, refusals, times in force and action kinds as in hlhft.events, hlhft.venue.refusals and
# hlhft.venue.blocks; the compiled subset wants plain constants.
_ACKNOWLEDGED, _ACTION_DONE, _ACTION_REFUSED = 16, 53, 54
_GTC, _IOC = 1, 2
_LEVEL = 17
_BAD_ALO, _PRICE_BAND, _TOO_MANY, _MARGIN_CANCELLED, _REQUESTED = 5, 7, 14, 19, 21


@compiled
def background_lots(venue, account, market, row, ticks):
    """Lots of the account's orders at a level inside the band; row 0 bids, 1 asks."""
    lots = 0
    slot = venue.heads[market, row, ticks - venue.ladders[market]["base_ticks"]]
    while slot != 0:
        order = venue.orders[slot - 1]
        if order["account"] == account:
            lots += order["remaining_lots"]
        slot = order["next"]
    return lots


@compiled
def _drop(venue, account, slot, lots, ts_ns):
    """Takes `lots` off the account's orders from `slot` toward the end of its level, which hold as many."""
    while lots > 0 and slot != 0:
        order = venue.orders[slot - 1]
        following = order["next"]
        if order["account"] == account:
            dropped = min(lots, order["remaining_lots"])
            lots -= dropped
            if dropped == order["remaining_lots"]:
                end_order(venue, slot, _REQUESTED, ts_ns)
            else:
                resize(venue, slot, -dropped)
                tell_order(venue, _ACKNOWLEDGED, order, order["remaining_lots"], order["order_id"], 0, ts_ns)
        slot = following


@compiled
def _front_left(venue, market, front, before, after):
    """Whole lots that stay ahead of an order with `front` ahead when the level goes from `before` to `after`."""
    rules = venue.rules[0]
    left = front_after_change(
        rules["queue_model"], rules["queue_power"], venue.markets[market]["lot_size"], float(front), 0.0, before, after
    )
    if math.isnan(left) or left <= 0.0:
        return 0
    return int(math.floor(min(left, float(after)) + 0.5))


@compiled
def _shrink(venue, account, market, row, ticks, before, after, ts_ns):
    """Takes the account's lots at a level from `before` to `after`, ahead and behind of each order of others."""
    slot = venue.heads[market, row, ticks - venue.ladders[market]["base_ticks"]]
    first = slot  # of the run of the account's orders that is being counted
    run = 0
    ahead = 0  # of that run, as they were
    kept = 0  # of those
    while slot != 0:
        order = venue.orders[slot - 1]
        following = order["next"]
        if order["account"] == account:
            run += order["remaining_lots"]
        else:
            front = _front_left(venue, market, ahead + run, before, after)
            # Neither more than there is between it and the order before, nor so few that those behind do not suffice.
            front = min(max(front, kept, after - (before - ahead - run)), kept + run, after)
            _drop(venue, account, first, run - (front - kept), ts_ns)
            ahead += run
            kept = front
            run = 0
            first = following
        slot = following
    _drop(venue, account, first, run - (after - kept), ts_ns)


@compiled
def _new_order(venue, account, market, side, ticks, lots, time_in_force):
    """Writes an order of the background's next to `venue.taker`, under an id of its own."""
    order = prepare(venue, account, market, 0, side, ticks, lots, time_in_force, 0)
    order["order_id"] = venue.engine[0]["next_order_id"]
    venue.engine[0]["next_order_id"] += 1


@compiled
def _grow(venue, leg, row, lots, ts_ns):
    """Adds `lots` at the end of the leg's level; returns the refusal, 0 when they rest."""
    account, market, side, ticks = leg["account"], leg["market"], leg["side"], leg["price_ticks"]
    ladder = venue.ladders[market]
    if crosses(ladder, side, ticks):
        arrived = min(lots, leg["size_lots"] - leg["amount"])
        if arrived > 0:
            _new_order(venue, account, market, side, ticks, arrived, _GTC)
            match(venue, arrived, ts_ns)
        if crosses(ladder, side, ticks):
            return _BAD_ALO
    tail = venue.tails[market, row, ticks - ladder["base_ticks"]]
    if tail != 0 and venue.orders[tail - 1]["account"] == account:
        order = venue.orders[tail - 1]
        order["original_lots"] += lots
        resize(venue, tail, lots)
        tell_order(venue, _ACKNOWLEDGED, order, order["remaining_lots"], order["order_id"], 0, ts_ns)
        return 0
    if venue.engine[0]["free"] == 0:
        return _TOO_MANY
    _new_order(venue, account, market, side, ticks, lots, _GTC)
    rest(venue, lots, ts_ns)
    return 0


@compiled
def _apply_level(venue, leg, ts_ns):
    account, market, ticks, after = leg["account"], leg["market"], leg["price_ticks"], leg["size_lots"]
    ladder = venue.ladders[market]
    cell = ticks - ladder["base_ticks"]
    if cell < 0 or cell >= ladder["width"]:
        return _PRICE_BAND
    row = 0 if leg["side"] > 0 else 1
    before = background_lots(venue, account, market, row, ticks)
    if after < before:
        _shrink(venue, account, market, row, ticks, before, after, ts_ns)
    elif after > before:
        return _grow(venue, leg, row, after - before, ts_ns)
    return 0


# Trades.


@compiled
def _deal(venue, slot, left, ts_ns):
    """Trades with the order in `slot`, or ends it where its owner cannot carry it; returns the lots left."""
    if maker_lost_margin(venue, slot):
        end_order(venue, slot, _MARGIN_CANCELLED, ts_ns)
        return left
    lots = min(left, venue.orders[slot - 1]["remaining_lots"])
    trade(venue, slot, lots, left - lots, ts_ns)
    return left - lots


@compiled
def _first_of_others(venue, account, market, row, ticks):
    """Slot of the oldest order at a level that is not the account's, 0 none."""
    slot = venue.heads[market, row, ticks - venue.ladders[market]["base_ticks"]]
    while slot != 0 and venue.orders[slot - 1]["account"] == account:
        slot = venue.orders[slot - 1]["next"]
    return slot


@compiled
def _take_better(venue, background, market, side, ticks, left, ts_ns):
    """Fills the others' orders at better prices than the trade's; returns the lots left."""
    ladder, cells = venue.ladders[market], venue.cells[market]
    row = 1 if side > 0 else 0
    price = ladder["best_ask_ticks"] if side > 0 else ladder["best_bid_ticks"]
    while left > 0 and price != ASK_NONE and price != BID_NONE and (ticks - price) * side > 0:
        slot = _first_of_others(venue, background, market, row, price)
        if slot != 0:
            left = _deal(venue, slot, left, ts_ns)
        else:
            price = ask_above(ladder, cells, price) if side > 0 else bid_below(ladder, cells, price)
    return left


@compiled
def _take_level(venue, background, market, side, ticks, lots, left, ts_ns):
    """Fills the trade's own level, the oldest order first; returns the lots left.

    The background's orders lose what the recorded level lost, all `lots` of the trade or the whole level.
    """
    ladder = venue.ladders[market]
    cell = ticks - ladder["base_ticks"]
    if cell < 0 or cell >= ladder["width"]:
        return left
    row = 1 if side > 0 else 0
    before = background_lots(venue, background, market, row, ticks)
    while left > 0 and venue.heads[market, row, cell] != 0:
        left = _deal(venue, venue.heads[market, row, cell], left, ts_ns)
    now = background_lots(venue, background, market, row, ticks)
    _drop(venue, background, venue.heads[market, row, cell], min(lots, before) - (before - now), ts_ns)
    return left


@compiled
def _trade_off_book(venue, leg, order_id, lots, ts_ns):
    """Trades `lots` at the leg's price between its account, under `order_id`, and the background."""
    market, side, ticks = leg["market"], leg["side"], leg["price_ticks"]
    for turn in range(2):
        # The buyer is told first.
        if (turn == 0) == (side > 0):
            order = prepare(venue, leg["account"], market, 0, side, ticks, lots, _IOC, 0)
            order["order_id"] = order_id
            book_fill(venue, order, ticks, lots, 0, 0, ts_ns)
        else:
            _new_order(venue, leg["counterparty"], market, -side, ticks, lots, _GTC)
            book_fill(venue, venue.taker[0], ticks, lots, 0, 1, ts_ns)
    venue.engine[0]["next_trade_id"] += 1


@compiled
def _apply_trade(venue, leg, ts_ns):
    market, side, ticks, lots = leg["market"], leg["side"], leg["price_ticks"], leg["size_lots"]
    _new_order(venue, leg["account"], market, side, ticks, lots, _IOC)
    order_id = venue.taker[0]["order_id"]
    left = _take_better(venue, leg["counterparty"], market, side, ticks, lots, ts_ns)
    left = _take_level(venue, leg["counterparty"], market, side, ticks, lots, left, ts_ns)
    if left > 0:
        _trade_off_book(venue, leg, order_id, left, ts_ns)


@compiled
def apply_background(venue, leg, ts_ns):
    """Executes a BACKGROUND_LEVEL or BACKGROUND_TRADE leg: price and size positive, a level's size at least 0.

    It tells the orders and fills it causes, and last that it was done, or refused with PRICE_BAND outside the band,
    BAD_ALO_PRICE while orders of others are in the way of the level, or TOO_MANY_OPEN_ORDERS without a free slot.
    """
    code = 0
    if leg["kind"] == _LEVEL:
        code = _apply_level(venue, leg, ts_ns)
    else:
        _apply_trade(venue, leg, ts_ns)
    if code == 0:
        tell_leg(venue, _ACTION_DONE, leg, leg["kind"], 0, ts_ns)
    else:
        tell_leg(venue, _ACTION_REFUSED, leg, code, leg["kind"], ts_ns)
