"""Takers: bursts of noise, the informed, and those who follow a move.

The informed see the fair price as it is, and where it is going; makers see it later. When it has passed a touch by
more than their edge they take what rests up to there: passive orders are filled just before the price moves against
them. Noise comes in bursts of independent times, each of one or more orders of one direction, with heavy-tailed sizes;
the fair price follows each order, a large one by more, for all of them know a little. Followers take in the direction
in which the mid has moved lately.

Nobody's position wanders off: noise takers and followers that bought much sell more often than they buy, the informed
ask for less on the way home and for more away from it. Over hours they come back, for weeks they stay near.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.exchange.flow.draws import next_from, next_place, next_share, next_wait_ns, value_at
from hlhft.exchange.flow.legs import add_take
from hlhft.exchange.flow.makers import step_at
from hlhft.ladder import ASK_NONE, BID_NONE

# As in hlhft.exchange.flow.draws and hlhft.exchange.flow.state; the compiled subset wants plain constants.
_ONE = 65_536
_NOISE, _INFORMED, _MOMENTUM = 6, 7, 8
_BURST_ORDERS_MAX = 16
_BURSTS_MAX = 4  # a block
_REACH_OF = 500  # a noise taker pays up to 1 / 500 from the touch
_HOME_BURSTS = 25  # largest orders after which a noise taker would only go home
_AWAY_BURSTS = 15  # after which nothing more is sent that leads farther away
_HOME_FOLLOWERS = 20  # and a follower
_E9 = 1_000_000_000
_SLOW_OF = 32  # the slow mid comes nearer by 1 / 32 a block


@compiled
def _to_grid(venue, market, ticks, side):
    """The nearest valid price that takes less."""
    step = step_at(venue, market, max(ticks, 1))
    down = ticks // step * step
    if side > 0 or down == ticks:
        return down
    return down + step


@compiled
def _burst(venue, flow, legs, row, market, ts_ns):
    numbers = flow.numbers[market]
    state = flow.states[market]
    draws = flow.price_draws[market]
    ladder = venue.ladders[market]
    largest = max(flow.order_lots[market, flow.order_lots.shape[1] - 1], 1)
    leaning = state["taken_lots"] * _ONE // (2 * largest * _HOME_BURSTS)
    side = 1 if next_share(draws) - _ONE // 2 >= min(max(leaning, -_ONE // 2), _ONE // 2) else -1
    touch = ladder["best_ask_ticks"] if side > 0 else ladder["best_bid_ticks"]
    # What they hold is not what they asked for: a thin book fills less on one side than on the other.
    away = side * venue.holdings[flow.accounts[_NOISE], market]["position_lots"]
    there = touch != ASK_NONE and touch != BID_NONE and away < largest * _AWAY_BURSTS
    limit = 0
    if there:
        limit = _to_grid(venue, market, touch + side * (touch // _REACH_OF), side)
    for _ in range(_BURST_ORDERS_MAX):
        place = next_place(draws)
        lots = value_at(flow.order_lots[market], place)
        state["pending_subticks"] += side * value_at(flow.order_impact[market], place)
        state["taken_lots"] += side * lots
        if there:
            row = add_take(flow, legs, row, flow.accounts[_NOISE], market, side, limit, lots, ts_ns)
        if next_share(draws) >= numbers["burst_more"]:
            break
    return row


@compiled
def noise_legs(venue, flow, legs, row, market, ts_ns):
    """The bursts that are due; returns the next row. What they draw does not depend on the book."""
    numbers = flow.numbers[market]
    state = flow.states[market]
    draws = flow.price_draws[market]
    if state["next_burst_ns"] == 0:
        state["next_burst_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["burst_wait_ns"])
    for _ in range(_BURSTS_MAX):
        if state["next_burst_ns"] > ts_ns:
            return row
        row = _burst(venue, flow, legs, row, market, ts_ns)
        state["next_burst_ns"] += next_wait_ns(draws, flow.exponential, numbers["burst_wait_ns"])
    state["next_burst_ns"] = max(state["next_burst_ns"], ts_ns)
    return row


@compiled
def _informed_edge(venue, flow, market, side):
    """What the informed ask for on a side, in ONE of a step: from nothing on the way home to twice away from it."""
    numbers = flow.numbers[market]
    home = numbers["home_lots"]
    away = side * venue.holdings[flow.accounts[_INFORMED], market]["position_lots"]
    away = min(max(away, -home), home)
    return numbers["informed_edge"] + numbers["informed_edge"] * away // home


@compiled
def informed_legs(venue, flow, legs, row, market, ts_ns):
    """Takes what the fair price has passed, or is about to pass; returns the next row."""
    numbers = flow.numbers[market]
    state = flow.states[market]
    ladder = venue.ladders[market]
    draws = flow.book_draws[market]
    bid = ladder["best_bid_ticks"]
    ask = ladder["best_ask_ticks"]
    if state["next_informed_ns"] > ts_ns or bid == BID_NONE or ask == ASK_NONE:
        return row
    value = state["fair_subticks"] + state["pending_subticks"]
    step = step_at(venue, market, bid)
    buying = _informed_edge(venue, flow, market, 1) * step
    selling = _informed_edge(venue, flow, market, -1) * step
    side = 0
    limit = 0
    if value - buying >= ask * _ONE:
        side = 1
        limit = _to_grid(venue, market, (value - buying) // _ONE, 1)
    elif value + selling <= bid * _ONE:
        side = -1
        limit = _to_grid(venue, market, -((-value - selling) // _ONE), -1)
    if side == 0:
        return row
    state["next_informed_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["informed_wait_ns"])
    lots = max(next_from(draws, flow.exponential) * numbers["informed_lots"] // _ONE, numbers["lots_min"])
    return add_take(flow, legs, row, flow.accounts[_INFORMED], market, side, limit, lots, ts_ns)


@compiled
def momentum_legs(venue, flow, legs, row, market, ts_ns):
    """Follows the mid when it is far from where it was a few seconds ago; returns the next row."""
    numbers = flow.numbers[market]
    state = flow.states[market]
    ladder = venue.ladders[market]
    draws = flow.book_draws[market]
    bid = ladder["best_bid_ticks"]
    ask = ladder["best_ask_ticks"]
    if bid == BID_NONE or ask == ASK_NONE:
        return row
    mid = (bid + ask) * (_ONE // 2)
    if state["slow_mid_subticks"] == 0:
        state["slow_mid_subticks"] = mid
    moved = mid - state["slow_mid_subticks"]
    state["slow_mid_subticks"] += moved // _SLOW_OF
    if state["next_momentum_ns"] > ts_ns or abs(moved) < mid // _ONE * numbers["momentum_edge_e9"] // (_E9 // _ONE):
        return row
    state["next_momentum_ns"] = ts_ns + next_wait_ns(draws, flow.exponential, numbers["momentum_wait_ns"])
    side = 1 if moved > 0 else -1
    largest = max(flow.order_lots[market, flow.order_lots.shape[1] - 1], 1)
    away = side * venue.holdings[flow.accounts[_MOMENTUM], market]["position_lots"]
    if next_share(draws) < _ONE // 2 + away * _ONE // (2 * largest * _HOME_FOLLOWERS):
        return row
    lots = next_from(draws, flow.order_lots[market])
    touch = ask if side > 0 else bid
    return add_take(flow, legs, row, flow.accounts[_MOMENTUM], market, side, touch, lots, ts_ns)
