"""Joiners: the queue at the touch, and who closes a wide spread.

They look at where the fair price stands between the touches. The side from which it has moved away is safe to join and
the queue there is long; on the other side it is short and gets shorter: so the imbalance of the queues tells which
touch goes next. They join, leave and improve one order at a time, as often as their rates say. An order whose price is
no longer the touch, or that the fair price has passed, is withdrawn soon.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.exchange.flow.draws import next_number, next_share, next_wait_ns
from hlhft.exchange.flow.fair import fair_before
from hlhft.exchange.flow.legs import CLIENT_ID_BASE, add_cancel, add_post
from hlhft.exchange.flow.makers import step_at
from hlhft.ladder import ASK_NONE, BID_NONE, lots_at
from hlhft.venue.order_index import find_order

# As in hlhft.exchange.flow.draws and hlhft.exchange.flow.state; the compiled subset wants plain constants.
_ONE = 65_536
_JOINER, _JOINERS = 5, 40
_LEAN_PLACES = 64
_PASSED_OF = 2  # an order that the fair price has passed goes with one block in so many
_BEHIND_OF = 8  # an order behind the touch with one block in so many
_JOINER_IDS = 2**60  # of the joiners' orders, above those of ladders


@compiled
def _wanted_lots(flow, market, side, bid, ask, step):
    """How long the queue of a side should be, by where the fair price stands between the touches (in ticks)."""
    numbers = flow.numbers[market]
    fair = fair_before(flow, market, numbers["delay_steps"])
    half = max(ask - bid, step) * (_ONE // 2)
    distance = side * (fair - (bid + ask) * (_ONE // 2))  # in subticks
    place = (distance + half) * _LEAN_PLACES // (2 * half)
    return flow.lean[market, min(max(place, 0), _LEAN_PLACES)] * numbers["queue_lots"] // _ONE


@compiled
def _is_passed(flow, market, side, ticks, step):
    """Whether the fair price is beyond an order by more than a maker asks for."""
    numbers = flow.numbers[market]
    fair = fair_before(flow, market, numbers["delay_steps"])
    return (ticks * _ONE - fair) * side > max(numbers["half_spread"], 0) * step


@compiled
def _free_place(flow, market):
    for place in range(_JOINERS):
        if flow.joiners[market, place]["client_id"] == 0:
            return place
    return -1


@compiled
def _post(flow, legs, row, market, side, ticks, lots, ts_ns):
    """Posts a joiner's order where there is a free place for it; returns the next row."""
    place = _free_place(flow, market)
    if place < 0:
        return row
    state = flow.states[market]
    state["joins"] += 1
    joiner = flow.joiners[market, place]
    joiner["client_id"] = CLIENT_ID_BASE + _JOINER_IDS + (market << 44) + state["joins"]
    joiner["side"] = side
    joiner["price_ticks"] = ticks
    account = flow.accounts[_JOINER]
    return add_post(flow, legs, row, account, market, joiner["client_id"], side, ticks, lots, ts_ns)


@compiled
def _withdraw(flow, legs, row, market, place, ts_ns):
    joiner = flow.joiners[market, place]
    row = add_cancel(flow, legs, row, flow.accounts[_JOINER], market, joiner["client_id"], ts_ns)
    joiner["client_id"] = 0
    return row


@compiled
def _withdraw_stale(venue, flow, legs, row, market, bid, ask, step, ts_ns):
    """Forgets orders that are gone, withdraws those that should not stand; returns the next row."""
    draws = flow.book_draws[market]
    account = flow.accounts[_JOINER]
    for place in range(_JOINERS):
        joiner = flow.joiners[market, place]
        if joiner["client_id"] == 0:
            continue
        if find_order(venue, account, market, joiner["client_id"], True) == 0:
            joiner["client_id"] = 0
            continue
        touch = bid if joiner["side"] > 0 else ask
        of = 0
        if _is_passed(flow, market, joiner["side"], joiner["price_ticks"], step):
            of = _PASSED_OF
        elif joiner["price_ticks"] != touch:
            of = _BEHIND_OF
        if of != 0 and next_number(draws) % of == 0:
            row = _withdraw(flow, legs, row, market, place, ts_ns)
    return row


@compiled
def _withdraw_one(flow, legs, row, market, side, ticks, ts_ns):
    """Withdraws one order at a price, the first from a random place on; returns the next row."""
    first = next_number(flow.book_draws[market]) % _JOINERS
    for index in range(_JOINERS):
        place = (first + index) % _JOINERS
        joiner = flow.joiners[market, place]
        if joiner["client_id"] != 0 and joiner["side"] == side and joiner["price_ticks"] == ticks:
            return _withdraw(flow, legs, row, market, place, ts_ns)
    return row


@compiled
def _join(venue, flow, legs, row, market, bid, ask, step, ts_ns):
    """One joiner looks at one side: joins a queue that is shorter than it should be, leaves one that is longer."""
    numbers = flow.numbers[market]
    draws = flow.book_draws[market]
    side = 1 if next_number(draws) % 2 == 0 else -1
    touch = bid if side > 0 else ask
    wanted = _wanted_lots(flow, market, side, bid, ask, step)
    there = lots_at(venue.ladders[market], venue.cells[market], 0 if side > 0 else 1, touch)
    if there > wanted:
        return _withdraw_one(flow, legs, row, market, side, touch, ts_ns)
    lots = max((wanted - there) * next_share(draws) // (2 * _ONE), numbers["lots_min"])
    return _post(flow, legs, row, market, side, touch, lots, ts_ns)


@compiled
def _improve(flow, legs, row, market, bid, ask, step, ts_ns):
    """One order that closes a spread wider than a step, unless the fair price has passed it; returns the next row."""
    draws = flow.book_draws[market]
    side = 1 if next_number(draws) % 2 == 0 else -1
    ticks = ask - step if side > 0 else bid + step
    if ask - bid <= step or _is_passed(flow, market, side, ticks, step):
        return row
    lots = max(flow.level_lots[market, 0] * next_share(draws) // _ONE, flow.numbers[market]["lots_min"])
    return _post(flow, legs, row, market, side, ticks, lots, ts_ns)


@compiled
def joiner_legs(venue, flow, legs, row, market, ts_ns):
    """The joiners' actions of one block; returns the next row."""
    ladder = venue.ladders[market]
    state = flow.states[market]
    numbers = flow.numbers[market]
    draws = flow.book_draws[market]
    bid = ladder["best_bid_ticks"]
    ask = ladder["best_ask_ticks"]
    if bid == BID_NONE or ask == ASK_NONE:
        return row
    step = step_at(venue, market, bid)
    row = _withdraw_stale(venue, flow, legs, row, market, bid, ask, step, ts_ns)
    if state["next_join_ns"] <= ts_ns:
        state["next_join_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["join_wait_ns"])
        row = _join(venue, flow, legs, row, market, bid, ask, step, ts_ns)
    if state["next_improve_ns"] <= ts_ns:
        state["next_improve_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["improve_wait_ns"])
        row = _improve(flow, legs, row, market, bid, ask, step, ts_ns)
    if state["next_leave_ns"] <= ts_ns:
        state["next_leave_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["leave_wait_ns"])
        side = 1 if next_number(draws) % 2 == 0 else -1
        row = _withdraw_one(flow, legs, row, market, side, bid if side > 0 else ask, ts_ns)
    return row
