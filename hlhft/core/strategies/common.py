"""What quoting strategies share: declarations of parameters, market data in comparable units, and prices and sizes made
whole safely.

A tick is a different share of the price in each market, so strategies calculate in basis points of the mid and in order
sizes; then one default serves every market. Only what is written into a quote is in ticks and lots.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from hlhft.compiled import compiled
from hlhft.units import grid_step, quantise

FUNDING_THRESHOLD_E12 = 20_000_000  # 0.002 % an hour in 1e-12: up to it funding does not move quotes
COUNT = "count"  # the unit of a parameter that only takes whole numbers
BP = 1e-4  # one basis point
E6 = 1e6
_TICKS_LIMIT = 2.0e9
_LOTS_LIMIT = 1e12
_VOLATILITY, _INTENSITY = 16, 64  # bits of hlhft.core.state.Feature
_REDUCING = 1


class Parameter(NamedTuple):
    """A strategy's parameter: what the user may set, and within which range, both ends included."""

    default: float
    minimum: float
    maximum: float
    unit: str
    meaning: str


@compiled
def has_touch(view):
    """Whether both sides are there and the book is not crossed: without that nothing can be quoted."""
    return view["best_bid_ticks"] > 0 and view["best_ask_ticks"] > view["best_bid_ticks"]


@compiled
def mid_ticks(view):
    """The mid in ticks; positive when `has_touch`."""
    return 0.5 * float(view["best_bid_ticks"] + view["best_ask_ticks"])


@compiled
def put_quote(quotes, count, view, side, price, lots, edge):
    """Writes a post-only quote at a float price in ticks, made whole away from the touch; returns the new count.

    The price stays at least one grid step and `edge` ticks away from the other side's touch. Nothing is written when
    the price is not a usable number, the size is not positive, the array is full or the last quote has the same price.
    """
    if lots <= 0 or count >= len(quotes) or not math.isfinite(price) or price > _TICKS_LIMIT or price < 1.0:
        return count
    opposite = view["best_ask_ticks"] if side > 0 else view["best_bid_ticks"]
    step = grid_step(opposite, view["grid_rule"], view["grid_step_ticks"], view["whole_unit_ticks"])
    limit = float(opposite - side * step) - side * edge
    bounded = min(price, limit) if side > 0 else max(price, limit)
    # A buy cannot be made cheaper than one step, so below it there is no price away from the touch.
    if bounded < float(step if side > 0 and view["grid_rule"] == 1 else 1):
        return count
    ticks = quantise(bounded, side, view["grid_rule"], view["grid_step_ticks"], view["whole_unit_ticks"])
    # A grid coarser than the ladder rounds two levels to one price: the second adds no chance of a fill of its own.
    if count > 0:
        last = quotes[count - 1]
        if last["market"] == view["market"] and last["side"] == side and last["price_ticks"] == ticks:
            return count
    quote = quotes[count]
    quote["price_ticks"] = ticks
    quote["size_lots"] = lots
    quote["market"] = view["market"]
    quote["side"] = side
    quote["time_in_force"] = 0
    quote["reduce_only"] = 0
    return count + 1


@compiled
def put_taking(quotes, count, view, side, lots, slippage, reduce_only):
    """Writes an immediate order that takes up to `slippage`, a share of the touch, beyond it; returns the new count.

    Its limit is a valid price and never short of the touch. The view must have a touch; nothing is written when the
    size is not positive, the limit is beyond the range or the array is full.
    """
    touch = view["best_ask_ticks"] if side > 0 else view["best_bid_ticks"]
    limit = float(touch) * (1.0 + side * slippage)
    if lots <= 0 or count >= len(quotes) or limit > _TICKS_LIMIT:
        return count
    ticks = quantise(limit, side, view["grid_rule"], view["grid_step_ticks"], view["whole_unit_ticks"])
    quote = quotes[count]
    quote["price_ticks"] = max(ticks, touch) if side > 0 else min(ticks, touch)
    quote["size_lots"] = lots
    quote["market"] = view["market"]
    quote["side"] = side
    quote["time_in_force"] = 2
    quote["reduce_only"] = reduce_only
    return count + 1


@compiled
def put_ladder(quotes, view, centre, half_spread, lots, cap_lots, levels, gap):
    """Quotes up to `levels` prices a side around `centre`, `gap` ticks apart, all in ticks; returns the count.

    Were every quote of a side filled, and what works beyond a whole ladder too, the position would not pass the cap,
    nor zero while only reducing is allowed.
    """
    count = 0
    for side in (1, -1):
        room = side_room(view, side, cap_lots, levels * lots)
        for level in range(levels):
            sized = min(lots, room)
            before = count
            price = centre - side * (half_spread + level * gap)
            count = put_quote(quotes, count, view, side, price, sized, level * gap)
            if count > before:
                room -= sized
    return count


@compiled
def order_lots(view, notional_usdc, mid):
    """Whole lots of an order worth `notional_usdc` at `mid` ticks, at least one; 0 without a price."""
    value = mid * view["tick_size"] * view["lot_size"]
    if not value > 0.0 or not notional_usdc > 0.0:
        return 0
    return max(int(min(notional_usdc / value, _LOTS_LIMIT)), 1)


@compiled
def side_room(view, side, cap_lots, quoted_lots):
    """Lots that a side may still quote before a fill carries the position past the cap, at least 0.

    `quoted_lots` is what the strategy quotes on that side at most: so much of what works there is its own last answer,
    which the next one keeps or replaces. What works beyond it was replaced, its cancel is still under way, and it may
    fill until the venue has said otherwise: it counts as held.
    """
    room = cap_lots - side * view["position_lots"]
    if view["mode"] == _REDUCING:
        room = min(room, -side * view["position_lots"])
    working = view["open_buy_lots"] if side > 0 else view["open_sell_lots"]
    return max(room - max(working - quoted_lots, 0), 0)


@compiled
def after_fees(view, half_bp, coverage):
    """The half-spread in basis points, fees considered.

    A fee is a floor: `coverage` times its rate. A rebate narrows by as much, never below a half-spread of 0.
    """
    fee_bp = float(view["maker_rate_e9"]) * 1e-5 * coverage
    if fee_bp >= 0.0:
        return max(half_bp, fee_bp)
    return max(half_bp + fee_bp, 0.0)


@compiled
def funding_bp(view, hours, limit_bp):
    """Basis points that funding moves both quotes toward the side that receives it, within +-`limit_bp`.

    0 up to a rate of 0.002 % an hour, then the excess times `hours`, so that a rate near the threshold makes no jump.
    Longs pay a positive rate, so it moves quotes down (venue reference section 10).
    """
    rate = view["funding_rate_e12"]
    if abs(rate) <= FUNDING_THRESHOLD_E12:
        return 0.0
    excess = float(rate - FUNDING_THRESHOLD_E12) if rate > 0 else float(rate + FUNDING_THRESHOLD_E12)
    return min(max(-excess * 1e-8 * hours, -limit_bp), limit_bp)


@compiled
def signal_bp(view, weight, limit_bp):
    """Basis points that a valid signal moves the centre, within +-`limit_bp`; a valid policy multiplies the weight."""
    if view["signal_valid"] == 0:
        return 0.0
    if view["policy_valid"] != 0:
        weight *= float(view["policy_signal_e6"]) / E6
    return min(max(float(view["signal_e9"]) * 1e-5 * weight, -limit_bp), limit_bp)


@compiled
def policy_gamma(view, gamma):
    """Risk aversion: the parameter, times what a valid policy says."""
    return gamma if view["policy_valid"] == 0 else gamma * (float(view["policy_gamma_e6"]) / E6)


@compiled
def policy_half_bp(view, half_bp):
    """The model's half-spread before fees and bounds, times what a valid policy says."""
    return half_bp if view["policy_valid"] == 0 else half_bp * (float(view["policy_spread_e6"]) / E6)


@compiled
def policy_shift_bp(view, half_bp):
    """Basis points that a valid policy moves the centre: its share of the half-spread quoted, at most half of it."""
    return 0.0 if view["policy_valid"] == 0 else half_bp * (float(view["policy_asymmetry_e6"]) / E6)


@compiled
def volatility_bp(view, mid, scale, fallback, minimum, maximum):
    """Basis points per root second at scale 0, 1 or 2 (1, 10, 60 s), bounded; `fallback` until it is known."""
    features = view["features"]
    if features["ready"] & _VOLATILITY == 0:
        return fallback
    return min(max(features["volatility"][scale] / (mid * BP), minimum), maximum)


@compiled
def intensity_k_per_bp(view, mid, fallback, minimum, maximum):
    """Decay of fill intensity per basis point, bounded; `fallback` until it is calibrated."""
    features = view["features"]
    if features["ready"] & _INTENSITY == 0:
        return fallback
    return min(max(features["intensity_k"] * mid * BP, minimum), maximum)


@compiled
def intensity_a(view, fallback, minimum, maximum):
    """Fills per second at the mid, bounded; `fallback` until it is calibrated."""
    features = view["features"]
    if features["ready"] & _INTENSITY == 0:
        return fallback
    return min(max(features["intensity_a"], minimum), maximum)
