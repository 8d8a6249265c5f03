"""How much of a position is closed at market now: never more than the book shows, never one leg of a carry pair alone.

A close is an immediate, reduce-only order at most 5 % beyond the touch, of at most what others show within that limit;
the next one follows its answer. It does not wait until our other orders are gone, but a position is what they were
weighed against: closed is at most what keeps the worst case within the caps, should those on its side still fill;
the rest when these are gone. A carry pair (a perpetual against spot, `pair` of POSITION_DTYPE) is closed as one
unit: what exceeds the other leg goes first, then both legs together in slices of at most the pair's cap on unhedged
notional, each pair of slices only after both orders of the one before have ended. So one leg that fails leaves at most
the cap unhedged.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.core.commands import place_order
from hlhft.core.risk import capped_lots, market_exposure_micro
from hlhft.core.state import LEVELS, OrderState
from hlhft.core.view import next_free
from hlhft.units import MarketKind, quantise

CLOSE_SLIPPAGE = 0.05  # venue reference section 1: the SDK's own default for market orders
_IOC = 2
_SENT, _PARTIAL = int(OrderState.SENT), int(OrderState.PARTIAL)
_SPOT = int(MarketKind.SPOT)


@compiled
def _close_ticks(book, row, limits, side):
    """The limit of a close on `side`: 5 % beyond the touch, or the gate's band where that is the nearer.

    The book must have two sides. Rounded away from the touch, as every float price is: the limit is a bound, the fill
    is at the book's prices.
    """
    touch = book["best_ask_ticks"] if side > 0 else book["best_bid_ticks"]
    limit = touch * (1.0 + side * CLOSE_SLIPPAGE)
    if limits["price_band_e6"] > 0:
        # The gate's band is measured from the mid: it may be the narrower one.
        mid = 0.5 * (book["best_bid_ticks"] + book["best_ask_ticks"])
        bound = mid * (1.0 + side * limits["price_band_e6"] * 1e-6)
        limit = min(limit, bound) if side > 0 else max(limit, bound)
    return quantise(limit, side, row["grid_rule"], row["grid_step_ticks"], row["whole_unit_ticks"])


@compiled
def _visible_lots(data, lane, market, side, limit):
    """Lots of others that an order on `side` meets up to `limit`, over at most LEVELS levels."""
    row = 1 if side > 0 else 0
    place = 0
    ticks = 0
    total = 0
    for _ in range(LEVELS):
        place, ticks, lots = next_free(data, lane, market, row, place, ticks)
        if ticks == 0 or side * (ticks - limit) > 0:
            break
        total += lots
    if place == 0:
        # No level at all: the touch is all that is known.
        return data.books[market]["best_ask_lots"] if side > 0 else data.books[market]["best_bid_lots"]
    return total


@compiled
def minimum_lots(book, row):
    """The smallest order that is worth what the venue asks of one, in lots at the bid; at least 1."""
    per_lot = max(book["best_bid_ticks"], 1) * row["micro_numerator"]
    return max(-(-row["minimum_notional_micro"] * row["micro_denominator"] // per_lot), 1)


@compiled
def _is_on_its_way(lane, market, side, is_strict, now_ns):
    """Whether a close on `side` was sent and must end before the next one.

    The venue lets no reduce-only order turn a position round, so that a close which is unknown or has expired unheard
    need not be waited for; where there is no such protection, or another leg depends on it, it is (`is_strict`).
    """
    position = lane.positions[market]
    for index in range(position["active_count"]):
        order = lane.orders[market, lane.active[market, index]]
        if order["time_in_force"] == _IOC and order["reduce_only"] != 0 and order["side"] == side:
            if is_strict:
                return True
            if order["state"] == _SENT or order["state"] == _PARTIAL:
                if order["expires_ns"] == 0 or now_ns <= order["expires_ns"]:
                    return True
    return False


@compiled
def _depth_lots(data, lane, limits, market):
    """What can be closed of a market's position at once, by depth, in lots; 0 without a book of two sides.

    Never less than the smallest order that the venue takes: a thin book must not keep a close from being tried.
    """
    book, row = data.books[market], data.markets[market]
    lots = lane.positions[market]["position_lots"]
    if lots == 0 or book["best_bid_ticks"] == 0 or book["best_ask_ticks"] == 0:
        return 0
    side = -1 if lots > 0 else 1
    visible = _visible_lots(data, lane, market, side, _close_ticks(book, row, limits, side))
    return max(visible, minimum_lots(book, row))


@compiled
def _beyond_lots(lane, market, side):
    """Lots of our orders on `side` that may fill whatever the position is then: all that are not reduce-only."""
    position = lane.positions[market]
    total = 0
    for index in range(position["active_count"]):
        order = lane.orders[market, lane.active[market, index]]
        if order["side"] == side and order["reduce_only"] == 0:
            total += order["remaining_lots"]
    return total


@compiled
def _room_lots(data, lane, limits, market):
    """What can be closed of a market's position so that the worst case grows beyond no cap, in lots; 0 for too little.

    Without the position, what still fills on the close's side opens another one, which may be as large as the caps
    allow, or as the one that is held.
    """
    position, book, row = lane.positions[market], data.books[market], data.markets[market]
    held = abs(position["position_lots"])
    if row["kind"] == _SPOT:
        # Nothing can be sold there but what is held.
        return held
    side = -1 if position["position_lots"] > 0 else 1
    if _beyond_lots(lane, market, side) <= held:
        return held
    ticks = max(book["best_ask_ticks"], 1)
    most = capped_lots(book, limits, row, ticks)
    if limits["exposure_micro_max"] > 0:
        others = lane.lane[0]["exposure_micro"] - market_exposure_micro(position, book, row, 0, 0)
        free = max(limits["exposure_micro_max"] - others, 0)
        most = min(most, free * row["micro_denominator"] // (ticks * row["micro_numerator"]))
    # Closes whose fate is unknown are in it: they may be what takes the position away.
    room = held + max(most, held) - (position["open_buy_lots"] if side > 0 else position["open_sell_lots"])
    return 0 if room < min(minimum_lots(book, row), held) else min(room, held)


@compiled
def _single_lots(data, lane, limits, market, now_ns):
    """Lots of a market's position to close now, by itself."""
    lots = lane.positions[market]["position_lots"]
    side = -1 if lots > 0 else 1
    if _is_on_its_way(lane, market, side, data.markets[market]["kind"] == _SPOT, now_ns):
        return 0
    return min(_room_lots(data, lane, limits, market), _depth_lots(data, lane, limits, market))


@compiled
def _other_leg(positions, market):
    """The market that holds the other leg of the pair, -1 when there is none: a pair names both its legs."""
    other = positions[market]["pair"] - 1
    if other < 0 or other >= len(positions) or other == market or positions[other]["pair"] - 1 != market:
        return -1
    return other


@compiled
def _scale(row, other):
    """Lots of a market in one unit that both markets of a pair can trade: a lot of the coarser one."""
    scale = 1
    for _ in range(row["size_decimals"] - other["size_decimals"]):
        scale *= 10
    return scale


@compiled
def _pair_lots(data, lane, limits, first, second, now_ns):
    """Lots of both legs' positions to close now; legs that do not hedge each other are closed each by itself."""
    held, other = lane.positions[first]["position_lots"], lane.positions[second]["position_lots"]
    if held == 0 or other == 0 or (held > 0) == (other > 0):
        return _single_lots(data, lane, limits, first, now_ns), _single_lots(data, lane, limits, second, now_ns)
    side = -1 if held > 0 else 1
    if _is_on_its_way(lane, first, side, True, now_ns) or _is_on_its_way(lane, second, -side, True, now_ns):
        return 0, 0
    row, other_row = data.markets[first], data.markets[second]
    scale, other_scale = _scale(row, other_row), _scale(other_row, row)
    units, other_units = abs(held) // scale, abs(other) // other_scale
    depth, other_depth = _depth_lots(data, lane, limits, first), _depth_lots(data, lane, limits, second)
    room, other_room = _room_lots(data, lane, limits, first), _room_lots(data, lane, limits, second)
    # The smallest order of both, in units: an excess below it is none.
    least = max(
        -(-minimum_lots(data.books[first], row) // scale),
        -(-minimum_lots(data.books[second], other_row) // other_scale),
    )
    if units - other_units >= least:
        return min((units - other_units) * scale, depth, room), 0
    if other_units - units >= least:
        return 0, min((other_units - units) * other_scale, other_depth, other_room)
    if depth == 0 or other_depth == 0:
        return 0, 0
    both = min(units, other_units)
    slice_units = max(min(depth // scale, other_depth // other_scale), least)
    cap = lane.positions[first]["unhedged_micro_max"]
    if cap > 0:
        price = max(data.books[first]["best_ask_ticks"], 1)
        slice_units = min(slice_units, cap * row["micro_denominator"] // (price * scale * row["micro_numerator"]))
    if room < abs(held) or other_room < abs(other):
        slice_units = min(slice_units, room // scale, other_room // other_scale)
        return (slice_units * scale, slice_units * other_scale) if slice_units >= least else (0, 0)
    if slice_units >= both:
        return abs(held), abs(other)
    return slice_units * scale, slice_units * other_scale


@compiled
def _close_market(data, lane, limits, market, lots, now_ns, out, count):
    """A reduce-only order that takes `lots` of a market's position, none for 0."""
    if lots <= 0:
        return count
    side = -1 if lane.positions[market]["position_lots"] > 0 else 1
    ticks = _close_ticks(data.books[market], data.markets[market], limits, side)
    return place_order(data, lane, limits, market, side, ticks, lots, _IOC, 1, now_ns, out, count)


@compiled
def close_all(data, lane, limits, now_ns, out, count):
    """Closes what can be closed now of every market's position; the legs of a pair together."""
    for market in range(len(data.books)):
        other = _other_leg(lane.positions, market)
        if other < 0:
            lots = _single_lots(data, lane, limits, market, now_ns)
            count = _close_market(data, lane, limits, market, lots, now_ns, out, count)
        elif market < other:
            lots, other_lots = _pair_lots(data, lane, limits, market, other, now_ns)
            count = _close_market(data, lane, limits, market, lots, now_ns, out, count)
            count = _close_market(data, lane, limits, other, other_lots, now_ns, out, count)
    return count
