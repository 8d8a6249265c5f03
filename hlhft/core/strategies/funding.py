"""Delta-neutral funding arbitrage: long spot against a short perpetual of the same coin, as a saga of two legs.

Shorts receive a positive funding rate every hour (venue reference section 10). A pair is entered when the rate, less
the fees of entry and exit of both legs spread over a horizon, exceeds a threshold; it is left when that net rate falls
below another, or by age. Spot cannot be short, so there is no trade on the other side.

One leg is worked (post-only at the touch, or immediately), the other hedges what was filled, immediately. What may go
wrong with an order is that it fills in part, not at all, late, or that nobody knows. Therefore:

- a worked order is sent only while no other order of the pair is alive and both legs stand level, and at most as large
  as the cap on unhedged notional: whatever fills, no more stands unhedged;
- a hedge is as large as what stands apart and is sent only while no other hedge is alive; an order whose fate is
  unknown is alive and blocks every new one;
- what is not hedged within the bound in seconds is taken back on the worked leg, and the pair rests for a while.

Markets come in pairs next to each other, a spot market and a perpetual in either order; both belong to this strategy
alone: what is held there is a carry. Amounts of a pair are whole lots of its coarser market (units); less than the
venue's smallest order is level.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import Feature
from hlhft.core.strategies.common import COUNT, Parameter, has_touch, put_quote, put_taking
from hlhft.units import MarketKind

NAME = "funding"
FEATURES = Feature.NONE
INTERVAL_NS = 250_000_000  # the bound on unhedged seconds must not wait for the market
ON_FRAME = True
ON_FILL = True
PAIRS = True
PARAMS = {
    "entry_percent": Parameter(0.002, 0.0, 4.0, "%/hour", "net funding rate above which a carry is entered"),
    "exit_percent": Parameter(0.0, -4.0, 4.0, "%/hour", "net funding rate below which it is left"),
    "horizon_hours": Parameter(168.0, 1.0, 8760.0, "hours", "time over which entry and exit fees are spread"),
    "age_hours_max": Parameter(
        0.0, 0.0, 87600.0, "hours", "age at which a carry is left whatever the rate; 0 for none"
    ),
    "position_notional_usdc": Parameter(1000.0, 20.0, 1e9, "USDC", "value of one leg of a pair"),
    "unhedged_notional_usdc": Parameter(100.0, 25.0, 1e9, "USDC", "largest value of one leg without the other"),
    "unhedged_s": Parameter(5.0, 0.0, 3600.0, "s", "time for a hedge before the worked leg is taken back"),
    "worked_leg": Parameter(0, 0, 1, COUNT, "which leg is worked: 0 spot, 1 the perpetual"),
    "worked_immediate": Parameter(0, 0, 1, COUNT, "how: 0 post-only at the touch, 1 immediately"),
    "requote_bp": Parameter(1.0, 0.0, 1000.0, "bp", "distance from the touch at which a worked order is moved"),
    "slippage_bp": Parameter(20.0, 0.0, 100.0, "bp", "how far beyond the touch an immediate order may take"),
    "retry_s": Parameter(60.0, 0.0, 86400.0, "s", "rest of a pair after a hedge that came too late"),
}
PAIRS_MAX = 16
MEMORY_DTYPE = np.dtype(
    [
        ("phase", np.int64, (PAIRS_MAX,)),
        ("opened_ns", np.int64, (PAIRS_MAX,)),
        ("unhedged_since_ns", np.int64, (PAIRS_MAX,)),  # 0 level
        ("rests_until_ns", np.int64, (PAIRS_MAX,)),
        ("worked_ticks", np.int64, (PAIRS_MAX,)),
        ("taken_back", np.int64, (PAIRS_MAX,)),  # hedges that came too late
        ("tried_ns", np.int64, (PAIRS_MAX,)),  # the last hedge, and what stood apart then
        ("tried_delta", np.int64, (PAIRS_MAX,)),
    ]
)
IDLE, CARRY, LEAVING = 0, 1, 2
_SPOT = int(MarketKind.SPOT)
_MARGIN = 1.02  # an immediate order's limit is up to 1 % from the touch, and its value is judged there
_UNITS_MAX = 1e12
_REPEAT_NS = 1_000_000_000  # a hedge that brought nothing is not repeated sooner: refusals in a row halt


@compiled
def scales(spot, perp):
    """Lots of spot and of the perpetual in one unit; (0, 0) where a lot has no size."""
    if not spot["lot_size"] > 0.0 or not perp["lot_size"] > 0.0:
        return 0, 0
    ratio = perp["lot_size"] / spot["lot_size"]
    if ratio >= 1.0:
        return int(min(ratio, _UNITS_MAX) + 0.5), 1
    return 1, int(min(1.0 / ratio, _UNITS_MAX) + 0.5)


@compiled
def unit_usdc(spot, perp, spot_scale):
    """What a unit costs at the dearer leg's offer, in USDC; 0 while neither has a touch."""
    price = 0.0
    if has_touch(spot):
        price = float(spot["best_ask_ticks"]) * spot["tick_size"]
    if has_touch(perp):
        price = max(price, float(perp["best_ask_ticks"]) * perp["tick_size"])
    return price * spot["lot_size"] * float(spot_scale)


@compiled
def net_percent(spot, perp, params):
    """The hourly funding rate of a short, less both legs' fees of entry and exit over the horizon, in percent."""
    maker = perp["maker_rate_e9"] if params["worked_leg"] != 0.0 else spot["maker_rate_e9"]
    taker = perp["taker_rate_e9"] if params["worked_leg"] != 0.0 else spot["taker_rate_e9"]
    worked = taker if params["worked_immediate"] != 0.0 else maker
    hedge = spot["taker_rate_e9"] if params["worked_leg"] != 0.0 else perp["taker_rate_e9"]
    fees = 2.0 * float(worked + hedge) * 1e-7
    return float(perp["funding_rate_e12"]) * 1e-10 - fees / params["horizon_hours"]


@compiled
def whole_units(lots, scale):
    """Whole units of a position, cut toward zero."""
    return lots // scale if lots >= 0 else -(-lots // scale)


@compiled
def least_units(spot, perp, unit):
    """The smallest amount of which both legs take an order, at least 1; `unit` is its value in USDC."""
    notional = max(spot["minimum_notional_micro"], perp["minimum_notional_micro"])
    return max(int(min(float(notional) * 1e-6 * _MARGIN / unit, _UNITS_MAX)) + 1, 1)


@compiled
def is_usable(view):
    """Whether an order of this market can go out now."""
    return view["tradable"] != 0 and has_touch(view)


@compiled
def open_lots(view):
    """Lots of orders of a leg that may still fill."""
    return view["open_buy_lots"] + view["open_sell_lots"]


@compiled
def choose_phase(memory, pair, params, net, is_known, held, is_alive, now_ns):
    """Moves a pair through IDLE, CARRY and LEAVING; `held` says whether either leg holds at least an order's worth.

    What is held while idle is the carry of an earlier session. Without a known rate nothing is entered or left by rate.
    """
    phase = memory["phase"][pair]
    if not held and not is_alive and phase != IDLE and (phase == LEAVING or net <= params["entry_percent"]):
        memory["phase"][pair] = IDLE
        memory["opened_ns"][pair] = 0
        return
    if phase == IDLE and (held or (is_known and net > params["entry_percent"])):
        memory["phase"][pair] = CARRY
        memory["opened_ns"][pair] = 0
    if held and memory["opened_ns"][pair] == 0:
        memory["opened_ns"][pair] = now_ns
    if memory["phase"][pair] == CARRY and held:
        age_ns = int(params["age_hours_max"] * 3.6e12)
        is_old = age_ns > 0 and now_ns - memory["opened_ns"][pair] >= age_ns
        if is_old or (is_known and net < min(params["exit_percent"], params["entry_percent"])):
            memory["phase"][pair] = LEAVING


@compiled
def is_overdue(memory, pair, params, apart, now_ns):
    """Notes since when the legs stand apart; whether that is longer than allowed, which makes the pair rest."""
    if not apart:
        memory["unhedged_since_ns"][pair] = 0
        return False
    if memory["unhedged_since_ns"][pair] == 0:
        memory["unhedged_since_ns"][pair] = now_ns
    if now_ns - memory["unhedged_since_ns"][pair] <= int(params["unhedged_s"] * 1e9):
        return False
    if memory["rests_until_ns"][pair] <= now_ns:
        memory["taken_back"][pair] += 1
    memory["rests_until_ns"][pair] = now_ns + int(params["retry_s"] * 1e9)
    return True


@compiled
def may_try(memory, pair, delta, now_ns):
    """Whether a hedge of `delta` may go out now, which is noted."""
    if memory["tried_delta"][pair] == delta and now_ns - memory["tried_ns"][pair] < _REPEAT_NS:
        return False
    memory["tried_delta"][pair] = delta
    memory["tried_ns"][pair] = now_ns
    return True


@compiled
def put_hedge(quotes, count, leg, scale, delta, slippage):
    """Writes the immediate order of a leg that brings the pair level; `delta` units too much are sold, too few bought.

    Spot sells only what is held, and a perpetual that is closed is closed reduce-only.
    """
    side = -1 if delta > 0 else 1
    lots = abs(delta) * scale
    closes = side * leg["position_lots"] < 0
    if leg["kind"] == _SPOT:
        if side < 0:
            lots = min(lots, max(leg["position_lots"], 0))
        return put_taking(quotes, count, leg, side, lots, slippage, 0)
    if closes:
        lots = min(lots, abs(leg["position_lots"]))
    return put_taking(quotes, count, leg, side, lots, slippage, 1 if closes else 0)


@compiled
def put_worked(quotes, count, leg, side, scale, units, params, memory, pair):
    """Writes the worked order, `units` of it: at its own touch, or across to the other side."""
    closes = leg["kind"] != _SPOT and side * leg["position_lots"] < 0
    if params["worked_immediate"] != 0.0:
        return put_taking(quotes, count, leg, side, units * scale, params["slippage_bp"] * 1e-4, 1 if closes else 0)
    touch = leg["best_bid_ticks"] if side > 0 else leg["best_ask_ticks"]
    before = count
    count = put_quote(quotes, count, leg, side, float(touch), units * scale, 0.0)
    if count > before:
        quotes[before]["reduce_only"] = 1 if closes else 0
        memory["worked_ticks"][pair] = quotes[before]["price_ticks"]
    return count


@compiled
def keep_worked(quotes, count, leg, side, params, memory, pair):
    """Wants a resting worked order for as long as the touch has not moved away from it."""
    ticks = memory["worked_ticks"][pair]
    touch = leg["best_bid_ticks"] if side > 0 else leg["best_ask_ticks"]
    if ticks == 0 or float(side * (touch - ticks)) > params["requote_bp"] * 1e-4 * float(touch):
        return count
    before = count
    count = put_quote(quotes, count, leg, side, float(ticks), max(open_lots(leg), 1), 0.0)
    if count > before and quotes[before]["price_ticks"] != ticks:
        # The touch of the other side stands where the order rests: it is about to fill, or gone.
        quotes[before]["price_ticks"] = ticks
    return count


@compiled
def slice_units(phase, held, target, room, least):
    """How much of the worked leg goes out now, in units, 0 for nothing; what is left of a carry is never too small."""
    if phase == CARRY:
        units = min(target - held, room)
        return units if units >= least else 0
    units = min(held, room)
    if units < held and held - units < least:
        units = held - least
    return units if units >= least else 0


@compiled
def work(quotes, count, leg, other, scale, sums, params, memory, pair):
    """Writes the worked order if there is to be one; `sums` are phase, held, target, room, least, level (1) in units.

    While one rests nothing new is sent, and it stays only as long as it is wanted.
    """
    phase, held, target, room, least, level = sums
    side = 1 if (phase == CARRY) == (leg["kind"] == _SPOT) else -1
    if open_lots(leg) > 0:
        opposite = leg["open_sell_lots"] if side > 0 else leg["open_buy_lots"]
        wanted = target > held if phase == CARRY else held > 0
        if opposite > 0 or not wanted or params["worked_immediate"] != 0.0:
            return count
        return keep_worked(quotes, count, leg, side, params, memory, pair)
    if level == 0 or open_lots(other) > 0 or not is_usable(other):
        return count
    units = slice_units(phase, held, target, room, least)
    return put_worked(quotes, count, leg, side, scale, units, params, memory, pair)


@compiled
def quote_pair(spot, perp, params, memory, pair, quotes):
    """Quotes one pair; returns the number of quotes."""
    spot_scale, perp_scale = scales(spot, perp)
    unit = unit_usdc(spot, perp, spot_scale)
    if not unit > 0.0:
        return 0
    now_ns = spot["now_ns"]
    held_spot = whole_units(spot["position_lots"], spot_scale)
    held_perp = whole_units(perp["position_lots"], perp_scale)
    delta = held_spot + held_perp
    least = least_units(spot, perp, unit)
    is_alive = open_lots(spot) > 0 or open_lots(perp) > 0
    held = max(held_spot, -held_perp) >= least
    net = net_percent(spot, perp, params)
    choose_phase(memory, pair, params, net, perp["funding_known"] != 0, held, is_alive, now_ns)
    overdue = is_overdue(memory, pair, params, abs(delta) >= least, now_ns)
    if spot["unknown_orders"] + perp["unknown_orders"] > 0:
        return 0
    spot_is_worked = params["worked_leg"] == 0.0
    worked, other = (spot, perp) if spot_is_worked else (perp, spot)
    worked_scale, other_scale = (spot_scale, perp_scale) if spot_is_worked else (perp_scale, spot_scale)
    slippage = params["slippage_bp"] * 1e-4
    if overdue:
        # Nothing may be alive that could bring the pair level, too.
        first = is_usable(worked)
        if is_alive or not (first or is_usable(other)) or not may_try(memory, pair, delta, now_ns):
            return 0
        if first:
            return put_hedge(quotes, 0, worked, worked_scale, delta, slippage)
        return put_hedge(quotes, 0, other, other_scale, delta, slippage)
    count = 0
    if abs(delta) >= least and open_lots(other) == 0 and is_usable(other) and may_try(memory, pair, delta, now_ns):
        count = put_hedge(quotes, 0, other, other_scale, delta, slippage)
    phase = memory["phase"][pair]
    if phase == IDLE or now_ns < memory["rests_until_ns"][pair] or not is_usable(worked):
        return count
    room = int(min(params["unhedged_notional_usdc"] / unit, _UNITS_MAX)) - abs(delta)
    target = 0
    if spot["mode"] == 0 and perp["funding_known"] != 0 and net > params["entry_percent"]:
        target = int(min(params["position_notional_usdc"] / unit, _UNITS_MAX))
    carried = max(held_spot, -held_perp) if phase == CARRY else (held_spot if spot_is_worked else -held_perp)
    sums = (phase, carried, target, room, least, 1 if abs(delta) < least else 0)
    return work(quotes, count, worked, other, worked_scale, sums, params, memory, pair)


def quote(view, params, memory, quotes):
    """The two legs of every pair of neighbours that are a spot market and a perpetual."""
    count = 0
    for pair in range(min(len(view) // 2, PAIRS_MAX)):
        first, second = view[2 * pair], view[2 * pair + 1]
        if first["kind"] == _SPOT and second["kind"] != _SPOT:
            count += quote_pair(first, second, params, memory, pair, quotes[count:])
        elif second["kind"] == _SPOT and first["kind"] != _SPOT:
            count += quote_pair(second, first, params, memory, pair, quotes[count:])
    return count
