"""The gate between what a strategy proposes and what may reach the wire, and the breakers that run before it.

`assess` looks at the account, the feed and our own reactions before any strategy is asked. `approve` lets a quote
through, shrinks it or refuses it with a code; nothing else can create an order. The mission's two breakers,
tick-to-trade
above 150 ms and a drawdown above 3 % within one hour, can be tightened by the configuration, never loosened.

Money is int64 micro-USDC: equities up to 9e12 USDC and positions up to 9e18 quanta fit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from hlhft.compiled import compiled
from hlhft.core.state import PEAK_BUCKETS
from hlhft.units import grid_step

MINUTE_NS = 60_000_000_000
PAUSE_NS = 1_000_000_000  # how long a breaker that does not latch keeps us out

CANCEL_ALL, CLOSE_AT_MARKET, NO_QUOTES = 1, 2, 4


class Breaker(IntEnum):
    """What can stop the lane."""

    NONE = 0
    TICK_TO_TRADE = 1
    DRAWDOWN = 2
    STALE_DATA = 3
    ACKNOWLEDGEMENT = 4
    EXPOSURE = 5
    MARGIN_DISTANCE = 6
    REJECTION_STORM = 7
    BUDGET = 8
    CLOCK_STEP = 9
    UNKNOWN_ORDER = 10
    ILLEGAL_TRANSITION = 11
    STRATEGY = 12
    OPERATOR = 13
    DISCONNECTED = 14


class BreakerRule(NamedTuple):
    """How a breaker behaves; the documentation's table is made from these."""

    latched: bool  # True: only an operator clears it
    metric: str
    meaning: str


BREAKERS: dict[Breaker, BreakerRule] = {
    Breaker.TICK_TO_TRADE: BreakerRule(False, "hlhft_tick_to_trade_seconds", "we reacted too late: cancel all, pause"),
    Breaker.DRAWDOWN: BreakerRule(
        True, "hlhft_drawdown_ratio", "equity fell too far below its one-hour peak: cancel all, close"
    ),
    Breaker.STALE_DATA: BreakerRule(False, "hlhft_feed_age_seconds", "the market's data is old: its quotes are pulled"),
    Breaker.ACKNOWLEDGEMENT: BreakerRule(
        False, "hlhft_acknowledgement_seconds", "the venue answers too late: cancel all, pause"
    ),
    Breaker.EXPOSURE: BreakerRule(
        True, "hlhft_exposure_usdc", "the position exceeds its cap although the gate holds: halt"
    ),
    Breaker.MARGIN_DISTANCE: BreakerRule(
        True, "hlhft_margin_distance_ratio", "too near to liquidation: cancel all, reduce"
    ),
    Breaker.REJECTION_STORM: BreakerRule(True, "hlhft_rejections_total", "the venue keeps refusing: halt"),
    Breaker.BUDGET: BreakerRule(
        False, "hlhft_budget_ratio", "an action budget is used up: only cancels and reductions"
    ),
    Breaker.CLOCK_STEP: BreakerRule(True, "hlhft_clock_step_seconds", "time ran backwards or jumped: halt"),
    Breaker.UNKNOWN_ORDER: BreakerRule(
        True, "hlhft_unknown_order_age_seconds", "an order's fate is unknown for too long: halt"
    ),
    Breaker.ILLEGAL_TRANSITION: BreakerRule(
        True, "hlhft_illegal_transitions_total", "an order did what it cannot do: halt"
    ),
    Breaker.STRATEGY: BreakerRule(True, "hlhft_strategy_failures_total", "the strategy failed: halt"),
    Breaker.OPERATOR: BreakerRule(True, "hlhft_halted", "an operator halted trading"),
    Breaker.DISCONNECTED: BreakerRule(
        False, "hlhft_connected", "no connection to the venue: no quotes until it agrees again"
    ),
}


class RiskRefusal(IntEnum):
    """Why a quote did not become an order."""

    NONE = 0
    HALTED = 1
    REDUCING = 2
    INVALID_PRICE = 3
    PRICE_BAND = 4
    ZERO_SIZE = 5
    POSITION_LIMIT = 6
    EXPOSURE_LIMIT = 7
    MINIMUM_NOTIONAL = 8
    OPEN_ORDERS = 9
    BUDGET = 10
    TABLE_FULL = 11
    NO_BOOK = 12
    QUOTE_FAULT = 13


REFUSAL_MEANING: dict[RiskRefusal, str] = {
    RiskRefusal.NONE: "approved",
    RiskRefusal.HALTED: "the lane is halted",
    RiskRefusal.REDUCING: "only orders that reduce the position are allowed now",
    RiskRefusal.INVALID_PRICE: "the price is not on the market's grid",
    RiskRefusal.PRICE_BAND: "the price is too far from the mid",
    RiskRefusal.ZERO_SIZE: "nothing is left of the size",
    RiskRefusal.POSITION_LIMIT: "worst case, the position would exceed its cap",
    RiskRefusal.EXPOSURE_LIMIT: "worst case, the exposure over all markets would exceed its cap",
    RiskRefusal.MINIMUM_NOTIONAL: "the order is worth less than the venue accepts",
    RiskRefusal.OPEN_ORDERS: "too many open orders",
    RiskRefusal.BUDGET: "an action budget is used up",
    RiskRefusal.TABLE_FULL: "the order table of the market is full",
    RiskRefusal.NO_BOOK: "the book has no two sides",
    RiskRefusal.QUOTE_FAULT: "the strategy's quote is malformed",
}

_ACTIVE, _REDUCING, _HALTED = 0, 1, 2
_POST_ONLY_REJECTION = 5
_UNKNOWN_STATE = 3


@compiled
def trip(lane, breaker, latched):
    """Stops the lane for `breaker`; the first cause is kept."""
    if lane["halt_code"] == 0:
        lane["halt_code"] = breaker
    if latched:
        lane["latches"] |= 1 << breaker
        lane["mode"] = _HALTED


@compiled
def resume(lane, now_ns):
    """Clears every latch (an operator's word); the peak starts again from the present equity."""
    lane["latches"] = 0
    lane["halt_code"] = 0
    lane["mode"] = _ACTIVE
    lane["close_at_market"] = 0
    lane["pause_until_ns"] = now_ns
    lane["rejections"] = 0
    lane["illegal_transitions"] = 0
    for index in range(PEAK_BUCKETS):
        lane["peak_micro"][index] = lane["equity_micro"]
    lane["peak_max_micro"] = lane["equity_micro"]


@compiled
def strategy_failed(lane):
    """The strategy raised, wrote out of bounds, returned nonsense or was too slow: halt until an operator looks."""
    lane["strategy_failures"] += 1
    trip(lane, 12, True)


@compiled
def on_sent(lane, limits, received_ns, written_ns):
    """Tick-to-trade of one action: from receipt of the frame that caused it to its last byte written."""
    elapsed = written_ns - received_ns
    lane["tick_to_trade_ns"] = elapsed
    if elapsed > limits["tick_to_trade_ns_max"]:
        trip(lane, 1, False)
        lane["pause_until_ns"] = max(lane["pause_until_ns"], written_ns + PAUSE_NS)


@compiled
def on_rejection(lane, limits, code, ts_ns):
    """Counts a rejection toward a storm; post-only rejections are normal business and do not count."""
    if code == _POST_ONLY_REJECTION or limits["rejections_max"] == 0:
        return
    if ts_ns - lane["rejection_window_ns"] > limits["rejection_window_ns"]:
        lane["rejection_window_ns"] = ts_ns
        lane["rejections"] = 0
    lane["rejections"] += 1
    if lane["rejections"] > limits["rejections_max"]:
        trip(lane, 7, True)


@compiled
def position_value_micro(position, book, market):
    """Cash plus position at the mark (at the mid where the venue names none) minus fees plus funding, micro-USDC."""
    quanta = 2 * position["cash_quanta"]
    lots = position["position_lots"]
    if lots != 0:
        if book["mark_ticks"] > 0:
            quanta += 2 * lots * book["mark_ticks"]
        else:
            quanta += lots * (book["best_bid_ticks"] + book["best_ask_ticks"])
    value = quanta * market["micro_numerator"]
    divisor = 2 * market["micro_denominator"]
    micro = value // divisor if value >= 0 else -(-value // divisor)
    return micro - position["fee_micro"] + position["funding_micro"]


@compiled
def _update_peak(lane, now_ns):
    """The highest equity of the last hour, by minute: sixty whole minutes and the running one."""
    equity = lane["equity_micro"]
    if now_ns >= lane["peak_next_ns"]:
        if lane["peak_next_ns"] == 0:
            lane["peak_next_ns"] = now_ns - now_ns % MINUTE_NS + MINUTE_NS
            for index in range(PEAK_BUCKETS):
                lane["peak_micro"][index] = equity
        rolled = 0
        while now_ns >= lane["peak_next_ns"] and rolled < PEAK_BUCKETS:
            lane["peak_bucket"] = lane["peak_bucket"] + 1 if lane["peak_bucket"] + 1 < PEAK_BUCKETS else 0
            lane["peak_micro"][lane["peak_bucket"]] = equity
            lane["peak_next_ns"] += MINUTE_NS
            rolled += 1
        if now_ns >= lane["peak_next_ns"]:
            lane["peak_next_ns"] = now_ns - now_ns % MINUTE_NS + MINUTE_NS
        highest = equity
        for index in range(PEAK_BUCKETS):
            highest = max(highest, lane["peak_micro"][index])
        lane["peak_max_micro"] = highest
    if equity > lane["peak_micro"][lane["peak_bucket"]]:
        lane["peak_micro"][lane["peak_bucket"]] = equity
        lane["peak_max_micro"] = max(lane["peak_max_micro"], equity)


@compiled
def _check_money(lane, limits, now_ns):
    _update_peak(lane, now_ns)
    peak = lane["peak_max_micro"]
    if peak > 0 and lane["latches"] & 4 == 0:
        allowed = (
            peak // 1_000_000 * limits["drawdown_e6_max"] + peak % 1_000_000 * limits["drawdown_e6_max"] // 1_000_000
        )
        if peak - lane["equity_micro"] > allowed:
            trip(lane, 2, True)
            lane["close_at_market"] = 1
    if limits["margin_distance_e6_min"] > 0 and lane["maintenance_micro"] > 0:
        distance = lane["margin_value_micro"] - lane["maintenance_micro"]
        if distance * 1_000_000 < limits["margin_distance_e6_min"] * lane["maintenance_micro"]:
            trip(lane, 6, True)


@compiled
def _check_time(lane, limits, now_ns):
    step = now_ns - lane["now_ns"]
    if lane["now_ns"] != 0 and limits["clock_step_ns_max"] > 0 and (step < 0 or step > limits["clock_step_ns_max"]):
        trip(lane, 9, True)
    lane["now_ns"] = now_ns
    if limits["acknowledgement_ns_max"] > 0 and lane["acknowledgement_ns"] > limits["acknowledgement_ns_max"]:
        trip(lane, 4, False)
        lane["acknowledgement_ns"] = 0
        lane["pause_until_ns"] = max(lane["pause_until_ns"], now_ns + PAUSE_NS)
    if lane["illegal_transitions"] > 0:
        trip(lane, 11, True)


@compiled
def check_unknown(lane, orders, active, active_count, limits, now_ns):
    """Trips when an order's fate has been unknown for longer than allowed."""
    if limits["unknown_age_ns_max"] == 0:
        return
    for index in range(active_count):
        order = orders[active[index]]
        if order["state"] == _UNKNOWN_STATE and now_ns - order["sent_ns"] > limits["unknown_age_ns_max"]:
            trip(lane, 10, True)


@compiled
def is_stale(book, limits, now_ns):
    """Whether a market's data is too old to quote on; also before the first frame."""
    if book["best_bid_ticks"] == 0 or book["best_ask_ticks"] == 0:
        return True
    return limits["feed_age_ns_max"] > 0 and now_ns - book["time_local_ns"] > limits["feed_age_ns_max"]


@compiled
def assess(lane, positions, books, markets, limits, now_ns):
    """Runs the breakers before a decision; returns bits of CANCEL_ALL, CLOSE_AT_MARKET and NO_QUOTES.

    `positions` POSITION_DTYPE[M], `books` BOOK_DTYPE[M] with a current touch, `markets` MARKET_DTYPE[M]. Brings
    `equity_micro` up to date: starting equity plus what every market has made; deposits and withdrawals are not in it.
    """
    _check_time(lane, limits, now_ns)
    equity = lane["starting_equity_micro"]
    exposed = False
    for index in range(len(positions)):
        position = positions[index]
        if position["fills"] != 0 or position["funding_micro"] != 0:
            equity += position_value_micro(position, books[index], markets[index])
            cap = limits["position_lots_max"]
            exposed = exposed or (cap > 0 and abs(position["position_lots"]) > cap)
    lane["equity_micro"] = equity
    _check_money(lane, limits, now_ns)
    if exposed:
        trip(lane, 5, True)
    if lane["latches"] != 0:
        return CANCEL_ALL | NO_QUOTES | (CLOSE_AT_MARKET if lane["close_at_market"] else 0)
    if now_ns < lane["pause_until_ns"]:
        return CANCEL_ALL | NO_QUOTES
    lane["halt_code"] = 0
    if lane["connected"] == 0 or lane["venue_mode"] == 2:
        return NO_QUOTES
    return 0


@compiled
def _shrink_to_position(position, limits, market, side, ticks, lots):
    """The largest size that keeps the worst case within the position caps; may be 0 or less."""
    worst = (
        position["open_buy_lots"] + position["position_lots"]
        if side > 0
        else position["open_sell_lots"] - position["position_lots"]
    )
    if limits["position_lots_max"] > 0:
        lots = min(lots, limits["position_lots_max"] - worst)
    cap = limits["position_notional_micro_max"]
    if cap > 0 and lots > 0:
        per_lot_scaled = ticks * market["micro_numerator"]
        room = cap * market["micro_denominator"] // per_lot_scaled - worst
        lots = min(lots, room)
    return lots


@compiled
def approve(lane, position, book, market, limits, side, ticks, lots, reduce_only):
    """The lots of a quote that may become an order, and the code of the refusal (0 approved).

    Worst case: every order that could still fill on this side fills, and nothing on the other does.
    """
    if lane["mode"] == _HALTED and lane["close_at_market"] == 0:
        return 0, 1
    holding = position["position_lots"]
    closable = max(-side * holding, 0)
    if reduce_only or lane["mode"] != _ACTIVE:
        lots = min(lots, closable)
        if lots <= 0:
            return 0, 2
    if (
        ticks <= 0
        or ticks % grid_step(ticks, market["grid_rule"], market["grid_step_ticks"], market["whole_unit_ticks"]) != 0
    ):
        return 0, 3
    if lots <= 0:
        return 0, 5
    band = limits["price_band_e6"]
    if band > 0:
        mid2 = book["best_bid_ticks"] + book["best_ask_ticks"]
        if abs(2 * ticks - mid2) * 1_000_000 > band * mid2:
            return 0, 4
    if limits["order_notional_micro_max"] > 0:
        room = limits["order_notional_micro_max"] * market["micro_denominator"] // (ticks * market["micro_numerator"])
        lots = min(lots, room)
    lots = _shrink_to_position(position, limits, market, side, ticks, lots)
    if lots <= 0:
        return 0, 6
    notional = ticks * lots * market["micro_numerator"] // market["micro_denominator"]
    if limits["exposure_micro_max"] > 0 and lots > closable:
        if lane["exposure_micro"] + notional > limits["exposure_micro_max"]:
            return 0, 7
    if notional < market["minimum_notional_micro"] and lots != closable:
        return 0, 8
    if lane["orders_open"] >= limits["open_orders_max"]:
        return 0, 9
    return lots, 0


@compiled
def exposure_micro(positions, books, markets):
    """Worst case over all markets in micro-USDC: the larger of all bought and all sold, each at the touch."""
    total = 0
    for index in range(len(positions)):
        position = positions[index]
        long_lots = abs(position["position_lots"] + position["open_buy_lots"])
        short_lots = abs(position["position_lots"] - position["open_sell_lots"])
        price = max(books[index]["best_ask_ticks"], books[index]["mark_ticks"])
        market = markets[index]
        total += max(long_lots, short_lots) * price * market["micro_numerator"] // market["micro_denominator"]
    return total
