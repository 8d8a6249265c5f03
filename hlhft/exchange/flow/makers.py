"""Makers: rebate-tier ladders around a late and noisy view of the fair price, and the deep orders behind them.

A maker's ladder has LEVELS prices a side, one step apart. When its view has moved, the ladder moves with it, by
modifies from the far end to the near one, first on the side that makes way. A price that is still wanted keeps its
order and its place in the queue. A ladder never crosses what rests: it stops a step before the other side's touch.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.exchange.flow.draws import next_from, next_number, next_share
from hlhft.exchange.flow.fair import fair_before
from hlhft.exchange.flow.legs import add_cancel, add_modify, add_post, has_order, level_client_id
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.units import grid_step

# As in hlhft.exchange.flow.draws and hlhft.exchange.flow.state; the compiled subset wants plain constants.
_ONE = 65_536
_HISTORY = 128
_MAKERS, _LEVELS, _DEEP, _DEEP_LEVELS = 4, 20, 4, 5
_E6 = 1_000_000
_NOISE_KEPT = 8  # a view's noise loses an eighth an action
_NOISE_OF_DRAW = 31_728  # and gets sqrt(1 - (7/8)^2) of its deviation, in ONE
_RESIZED_OF = 4  # one action in so many changes the size of an order
_HASH_PRICE, _HASH_MAKER = 2_654_435_761, 40_503_001


@compiled
def step_at(venue, market, ticks):
    """The distance between valid prices from a little below `ticks` > 0 to a little above: the coarser of the two."""
    record = venue.markets[market]
    above = ticks + ticks // 64
    return grid_step(above, record["grid_rule"], record["grid_step_ticks"], record["whole_unit_ticks"])


@compiled
def _wants_level(flow, market, maker, place):
    """Whether the maker has an order at that price, `place` steps: by the price, so that it stays while it moves."""
    mixed = (place % 1_000_003 * _HASH_PRICE + maker * _HASH_MAKER) % 1_000_000_007
    return mixed % _ONE < flow.numbers[market]["density"]


@compiled
def _level_lots(flow, market, level):
    weight = next_from(flow.book_draws[market], flow.weights)
    return max(flow.level_lots[market, level] * weight // _ONE, flow.numbers[market]["lots_min"])


@compiled
def _view(venue, flow, market, maker, step):
    """The maker's view of the fair price in ONE of a step, its position leaning against it."""
    numbers = flow.numbers[market]
    record = flow.makers[market, maker]
    steps = min(numbers["delay_steps"] * (maker + 1), _HISTORY - 1)
    drawn = next_from(flow.book_draws[market], flow.normal) * _NOISE_OF_DRAW // _ONE
    record["noise"] += drawn * numbers["view_noise"] // _ONE - record["noise"] // _NOISE_KEPT
    position = venue.holdings[flow.accounts[maker], market]["position_lots"]
    leaning = min(max(position * numbers["skew"] // numbers["skew_lots"], -2 * _ONE), 2 * _ONE)
    return fair_before(flow, market, steps) // step + record["noise"] - leaning


@compiled
def _touches(venue, flow, market, maker, step):
    """The prices that the maker wants to bid and ask first, in steps."""
    record = flow.makers[market, maker]
    ladder = venue.ladders[market]
    view = _view(venue, flow, market, maker, step)
    half = flow.numbers[market]["half_spread"]
    bid = (view - half) // _ONE
    ask = -((-view - half) // _ONE)
    if ask <= bid:
        # Either of two pairs would do: stay where the ladder is, else near its place.
        kept = record["bid_top"] if record["step_ticks"] != 0 else bid
        bid = min(max(kept, ask - 1), bid)
        ask = bid + 1
    if ladder["best_ask_ticks"] != ASK_NONE:
        bid = min(bid, -(-ladder["best_ask_ticks"] // step) - 1)
    if ladder["best_bid_ticks"] != BID_NONE:
        ask = max(ask, ladder["best_bid_ticks"] // step + 1)
    return max(bid, _LEVELS + 1), max(ask, _LEVELS + 2)


@compiled
def _move_order(venue, flow, legs, row, market, maker, side, old, new, level, ts_ns):
    """What was at `old` steps goes to `new`, the ladder's `level`; 0 none. Returns the next row."""
    account = flow.accounts[maker]
    step = flow.makers[market, maker]["step_ticks"]
    there = old != 0 and has_order(venue, account, market, side, old * step)
    wanted = new != 0 and _wants_level(flow, market, maker, new)
    if there and wanted:
        old_id = level_client_id(account, market, side, old * step)
        new_id = level_client_id(account, market, side, new * step)
        lots = _level_lots(flow, market, level)
        return add_modify(flow, legs, row, account, market, old_id, new_id, side, new * step, lots, ts_ns)
    if there:
        return add_cancel(flow, legs, row, account, market, level_client_id(account, market, side, old * step), ts_ns)
    if wanted:
        new_id = level_client_id(account, market, side, new * step)
        lots = _level_lots(flow, market, level)
        return add_post(flow, legs, row, account, market, new_id, side, new * step, lots, ts_ns)
    return row


@compiled
def _move_side(venue, flow, legs, row, market, maker, side, old_top, new_top, ts_ns):
    """Moves one side of a ladder so that it begins at `new_top` steps, and fills its gaps; returns the next row."""
    account = flow.accounts[maker]
    step = flow.makers[market, maker]["step_ticks"]
    shift = (new_top - old_top) * side  # positive: nearer to the other side
    count = min(abs(shift), _LEVELS)
    for index in range(count):
        if shift > 0:
            old = old_top - side * (_LEVELS - 1 - index)
            level = count - 1 - index if count < _LEVELS else index
        else:
            old = old_top - side * index
            level = _LEVELS - count + index
        new = new_top - side * level
        row = _move_order(venue, flow, legs, row, market, maker, side, old, new, level, ts_ns)
    for level in range(_LEVELS):
        place = new_top - side * level
        kept = 0 <= (old_top - place) * side < _LEVELS
        if kept and not has_order(venue, account, market, side, place * step):
            row = _move_order(venue, flow, legs, row, market, maker, side, 0, place, level, ts_ns)
    return row


@compiled
def _resize_one(venue, flow, legs, row, market, maker, ts_ns):
    """Now and then one order, anywhere in the ladder, gets another size; returns the next row."""
    draw = next_number(flow.book_draws[market])
    if draw % _RESIZED_OF != 0:
        return row
    level = draw // _RESIZED_OF % _LEVELS
    record = flow.makers[market, maker]
    side = 1 if draw // (_RESIZED_OF * _LEVELS) % 2 == 0 else -1
    top = record["bid_top"] if side > 0 else record["ask_top"]
    place = top - side * level
    if not has_order(venue, flow.accounts[maker], market, side, place * record["step_ticks"]):
        return row
    return _move_order(venue, flow, legs, row, market, maker, side, place, place, level, ts_ns)


@compiled
def _place_ladder(venue, flow, legs, row, market, maker, bid, ask, ts_ns):
    for level in range(_LEVELS):
        row = _move_order(venue, flow, legs, row, market, maker, 1, 0, bid - level, level, ts_ns)
        row = _move_order(venue, flow, legs, row, market, maker, -1, 0, ask + level, level, ts_ns)
    return row


@compiled
def _withdraw_ladder(venue, flow, legs, row, market, maker, ts_ns):
    record = flow.makers[market, maker]
    for level in range(_LEVELS):
        row = _move_order(venue, flow, legs, row, market, maker, 1, record["bid_top"] - level, 0, level, ts_ns)
        row = _move_order(venue, flow, legs, row, market, maker, -1, record["ask_top"] + level, 0, level, ts_ns)
    record["step_ticks"] = 0
    return row


@compiled
def _maker_legs(venue, flow, legs, row, market, maker, ts_ns):
    record = flow.makers[market, maker]
    step = step_at(venue, market, flow.states[market]["fair_subticks"] // _ONE)
    if record["step_ticks"] != 0 and record["step_ticks"] != step:
        # The grid of prices has changed: off the old one now, onto the new one with the next action.
        return _withdraw_ladder(venue, flow, legs, row, market, maker, ts_ns)
    bid, ask = _touches(venue, flow, market, maker, step)
    if record["step_ticks"] == 0:
        record["step_ticks"] = step
        record["bid_top"] = bid
        record["ask_top"] = ask
        return _place_ladder(venue, flow, legs, row, market, maker, bid, ask, ts_ns)
    old_bid = record["bid_top"]
    old_ask = record["ask_top"]
    record["bid_top"] = bid
    record["ask_top"] = ask
    if ask > old_ask:
        row = _move_side(venue, flow, legs, row, market, maker, -1, old_ask, ask, ts_ns)
        row = _move_side(venue, flow, legs, row, market, maker, 1, old_bid, bid, ts_ns)
    else:
        row = _move_side(venue, flow, legs, row, market, maker, 1, old_bid, bid, ts_ns)
        row = _move_side(venue, flow, legs, row, market, maker, -1, old_ask, ask, ts_ns)
    if bid == old_bid and ask == old_ask:
        row = _resize_one(venue, flow, legs, row, market, maker, ts_ns)
    return row


@compiled
def maker_legs(venue, flow, legs, row, market, ts_ns):
    """The actions of the makers whose turn it is; returns the next row."""
    period = flow.numbers[market]["period_ns"]
    for maker in range(_MAKERS):
        record = flow.makers[market, maker]
        if record["next_ns"] <= ts_ns:
            row = _maker_legs(venue, flow, legs, row, market, maker, ts_ns)
            # Half to one and a half periods, so that they fall out of step.
            record["next_ns"] = ts_ns + period // 2 + period * next_share(flow.book_draws[market]) // _ONE
    return row


@compiled
def deep_legs(venue, flow, legs, row, market, ts_ns):
    """Keeps the deep orders about as far from the fair price as they should be; returns the next row."""
    account = flow.accounts[_DEEP]
    fair = flow.states[market]["fair_subticks"] // _ONE
    step = step_at(venue, market, fair)
    for level in range(_DEEP_LEVELS):
        distance = fair * flow.deep_e6[level] // _E6 // step + _LEVELS + level
        for index in range(2):
            side = 1 if index == 0 else -1
            old = flow.deep_ticks[market, index, level]
            new = max(fair // step - side * distance, 1) * step
            there = old != 0 and has_order(venue, account, market, side, old)
            if there and abs(old - new) * 4 <= distance * step:
                continue
            lots = flow.deep_lots[market, level]
            new_id = level_client_id(account, market, side, new)
            if there:
                old_id = level_client_id(account, market, side, old)
                row = add_modify(flow, legs, row, account, market, old_id, new_id, side, new, lots, ts_ns)
            else:
                row = add_post(flow, legs, row, account, market, new_id, side, new, lots, ts_ns)
            flow.deep_ticks[market, index, level] = new
    return row
