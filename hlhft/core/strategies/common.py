"""What quoting strategies share: declarations of parameters, and prices and sizes made whole safely."""

from __future__ import annotations

import math
from typing import NamedTuple

from hlhft.compiled import compiled
from hlhft.units import grid_step, quantise

FUNDING_THRESHOLD_E12 = 20_000_000  # 0.002 % an hour in 1e-12: below it funding does not move quotes
_TICKS_LIMIT = 2.0e9


class Parameter(NamedTuple):
    """A strategy's parameter: what the user may set, and within which range."""

    default: float
    minimum: float
    maximum: float
    unit: str
    meaning: str


@compiled
def put_quote(quotes, count, view, side, price, lots, edge):  # type: ignore[no-untyped-def]
    """Writes a post-only quote at a float price in ticks, made whole away from the touch; returns the new count.

    The price never reaches the other side's touch, nor `edge` ticks of it. Nothing is written when the price is not a
    usable number, the size is not positive or the array is full.
    """
    if lots <= 0 or count >= len(quotes) or not math.isfinite(price) or price > _TICKS_LIMIT or price < 1.0:
        return count
    opposite = view["best_ask_ticks"] if side > 0 else view["best_bid_ticks"]
    step = grid_step(opposite, view["grid_rule"], view["grid_step_ticks"], view["whole_unit_ticks"])
    limit = float(opposite - side * step) - side * edge
    bounded = min(price, limit) if side > 0 else max(price, limit)
    if bounded < 1.0:
        return count
    ticks = quantise(bounded, side, view["grid_rule"], view["grid_step_ticks"], view["whole_unit_ticks"])
    quote = quotes[count]
    quote["price_ticks"] = ticks
    quote["size_lots"] = lots
    quote["market"] = view["market"]
    quote["side"] = side
    quote["time_in_force"] = 0
    quote["reduce_only"] = 0
    return count + 1


@compiled
def order_lots(view, notional_usdc, mid):  # type: ignore[no-untyped-def]
    """Whole lots of an order worth `notional_usdc` at `mid` ticks, at least one; 0 without a price."""
    value = mid * view["tick_size"] * view["lot_size"]
    if not value > 0.0 or not notional_usdc > 0.0:
        return 0
    return max(int(min(notional_usdc / value, 1e12)), 1)


@compiled
def side_lots(view, side, lots, cap_lots):  # type: ignore[no-untyped-def]
    """What a side may still quote: the order size, cut where a fill would carry the position past the cap."""
    room = cap_lots - side * view["position_lots"]
    if view["mode"] == 1:
        room = min(room, -side * view["position_lots"])
    return min(lots, max(room, 0))


@compiled
def fee_floor(view, mid, coverage):  # type: ignore[no-untyped-def]
    """The half-spread in ticks below which a filled pair loses to fees, times `coverage`; 0 under a rebate."""
    return max(float(view["maker_rate_e9"]) * 1e-9 * mid * coverage, 0.0)


@compiled
def funding_shift(view, mid, weight):  # type: ignore[no-untyped-def]
    """Ticks to move both quotes toward the side that receives funding; 0 unless |rate| exceeds 0.002 % an hour.

    A positive rate is paid by longs, so quotes move down.
    """
    rate = view["funding_rate_e12"]
    if abs(rate) <= FUNDING_THRESHOLD_E12:
        return 0.0
    return -float(rate) * 1e-12 * mid * weight


@compiled
def signal_shift(view, mid, weight, limit):  # type: ignore[no-untyped-def]
    """Ticks a valid signal moves the centre, bounded by `limit` ticks either way."""
    if view["signal_valid"] == 0:
        return 0.0
    shift = float(view["signal_e9"]) * 1e-9 * mid * weight
    return min(max(shift, -limit), limit)


@compiled
def volatility(view, scale, fallback, maximum):  # type: ignore[no-untyped-def]
    """Ticks per root second at scale 0, 1 or 2 (1, 10, 60 s), bounded; `fallback` until it is known."""
    features = view["features"]
    if features["ready"] & 16 == 0:
        return fallback
    return min(max(features["volatility"][scale], 1e-6), maximum)


@compiled
def intensity_k(view, fallback, minimum, maximum):  # type: ignore[no-untyped-def]
    """Decay of fill intensity per tick, bounded; `fallback` until it is calibrated."""
    features = view["features"]
    if features["ready"] & 64 == 0:
        return fallback
    return min(max(features["intensity_k"], minimum), maximum)


@compiled
def intensity_a(view, fallback, minimum, maximum):  # type: ignore[no-untyped-def]
    """Fills per second at the mid, bounded; `fallback` until it is calibrated."""
    features = view["features"]
    if features["ready"] & 64 == 0:
        return fallback
    return min(max(features["intensity_a"], minimum), maximum)


@compiled
def put_ladder(quotes, view, centre, half_spread, lots, cap_lots, levels, gap):  # type: ignore[no-untyped-def]
    """Quotes `levels` prices a side around `centre`, `gap` ticks apart; returns the count."""
    count = 0
    for side in (1, -1):
        sized = side_lots(view, side, lots, cap_lots)
        for level in range(levels):
            price = centre - side * (half_spread + level * gap)
            count = put_quote(quotes, count, view, side, price, sized, level * gap)
    return count
