"""The gate between what a strategy proposes and what may reach the wire, and the breakers that run before it.

`assess` looks at the account, the feed and our own reactions before any strategy is asked. `approve` lets a quote
through, shrinks it or refuses it with a code; nothing else can create an order. The mission's two breakers,
tick-to-trade above 150 ms and a drawdown above 3 % within one hour, can be tightened by the configuration, never
loosened.

Money is int64 micro-USDC: equities up to 9e12 USDC and positions up to 9e18 quanta fit.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from hlhft.compiled import compiled
from hlhft.core.budgets import check as check_budget
from hlhft.core.budgets import on_volume
from hlhft.core.peak import restart_peak, update_peak
from hlhft.units import MarketKind, grid_step

PAUSE_NS = 1_000_000_000  # how long a breaker that does not latch keeps us out
NOTIONAL_TOLERANCE = 10  # a position may outgrow its cap in money by one part in so many: the price may do that alone
LOTS_MAX = 2**61  # no position is as large; twice of it fits int64
QUANTA_MAX = 2**61  # ticks x lots x numerator of one order: beyond it int64 arithmetic would not hold twice of it

CANCEL_ALL, CLOSE_AT_MARKET, NO_QUOTES, KEEP_ORDERS = 1, 2, 4, 8


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
        True, "hlhft_exposure_usdc", "a position exceeds its cap although the gate holds: cancel all, halt"
    ),
    Breaker.MARGIN_DISTANCE: BreakerRule(
        True, "hlhft_margin_distance_ratio", "too near to liquidation: cancel all, close"
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
    POST_ONLY = 14


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
    RiskRefusal.POST_ONLY: "the venue accepts only post-only orders for now",
}


def breakers_table() -> str:
    """The breakers as a Markdown table, one line each; the documentation prints it."""
    rows = ["| code | breaker | what it means and does | cleared by | metric |", "| --- | --- | --- | --- | --- |"]
    for breaker, rule in BREAKERS.items():
        cleared = "an operator" if rule.latched else "itself"
        rows.append(f"| {int(breaker)} | {breaker.name} | {rule.meaning} | {cleared} | `{rule.metric}` |")
    return "\n".join(rows)


def refusals_table() -> str:
    """The gate's refusals as a Markdown table, one line each; the documentation prints it."""
    rows = ["| code | refusal | meaning |", "| --- | --- | --- |"]
    rows.extend(f"| {int(code)} | {code.name} | {meaning} |" for code, meaning in REFUSAL_MEANING.items() if code != 0)
    return "\n".join(rows)


_ACTIVE, _REDUCING, _HALTED = 0, 1, 2
_POST_ONLY_REJECTION = 5
_SENT_STATE, _UNKNOWN_STATE = 2, 3
_ALO = 0
_STALE = 1  # hlhft.core.state.MarketState
_SPOT = int(MarketKind.SPOT)


@compiled
def trip(lane, breaker, latched):
    """Stops the lane for `breaker`; the first cause is kept, but the first that latches before any that does not."""
    if lane["halt_code"] == 0 or (latched and lane["latches"] == 0):
        lane["halt_code"] = breaker
    if latched:
        lane["latches"] |= 1 << breaker
        lane["mode"] = _HALTED


@compiled
def _pause(lane, breaker, now_ns):
    trip(lane, breaker, False)
    lane["pause_until_ns"] = max(lane["pause_until_ns"], now_ns + PAUSE_NS)


@compiled
def resume(lane, now_ns):
    """Clears every latch (an operator's word); the peak starts again from the present equity."""
    lane["latches"] = 0
    lane["halt_code"] = 0
    lane["mode"] = _ACTIVE
    lane["close_at_market"] = 0
    lane["must_be_flat"] = 0
    lane["pause_until_ns"] = now_ns
    lane["reducing_until_ns"] = 0
    lane["quote_fault"] = 0
    lane["rejections"] = 0
    lane["illegal_transitions"] = 0
    restart_peak(lane)


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
        _pause(lane, 1, written_ns)


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
def half_price_ticks(book):
    """Twice the price that a position is worth: the mark, else the mid, else the last trade; 0 when none is known.

    Half a touch is no price: a side that runs empty for a moment must not halve what a position is worth.
    """
    if book["mark_ticks"] > 0:
        return 2 * book["mark_ticks"]
    if book["best_bid_ticks"] > 0 and book["best_ask_ticks"] > 0:
        return book["best_bid_ticks"] + book["best_ask_ticks"]
    return 2 * book["last_trade_ticks"]


@compiled
def position_value_micro(position, book, market):
    """Cash plus position at the mark (at the mid where the venue names none) minus fees plus funding, micro-USDC."""
    quanta = 2 * position["cash_quanta"] + position["position_lots"] * half_price_ticks(book)
    value = quanta * market["micro_numerator"]
    divisor = 2 * market["micro_denominator"]
    micro = value // divisor if value >= 0 else -(-value // divisor)
    return micro - position["fee_micro"] + position["funding_micro"]


@compiled
def _check_money(lane, limits, now_ns):
    update_peak(lane, now_ns)
    peak = lane["peak_max_micro"]
    if peak > 0 and lane["latches"] & 4 == 0:
        allowed = (
            peak // 1_000_000 * limits["drawdown_e6_max"] + peak % 1_000_000 * limits["drawdown_e6_max"] // 1_000_000
        )
        if peak - lane["equity_micro"] > allowed:
            trip(lane, 2, True)
            lane["must_be_flat"] = 1


@compiled
def _check_margin(lane, limits):
    least, maintenance = limits["margin_distance_e6_min"], lane["maintenance_micro"]
    if least > 0 and maintenance > 0 and lane["latches"] & 64 == 0:
        wanted = maintenance // 1_000_000 * least + maintenance % 1_000_000 * least // 1_000_000
        if lane["margin_value_micro"] - maintenance < wanted:
            trip(lane, 6, True)
            lane["must_be_flat"] = 1


@compiled
def _check_time(lane, limits, now_ns):
    step = now_ns - lane["now_ns"]
    if lane["now_ns"] != 0 and limits["clock_step_ns_max"] > 0 and (step < 0 or step > limits["clock_step_ns_max"]):
        trip(lane, 9, True)
    lane["now_ns"] = now_ns
    if limits["acknowledgement_ns_max"] > 0 and lane["acknowledgement_ns"] > limits["acknowledgement_ns_max"]:
        _pause(lane, 4, now_ns)
        lane["acknowledgement_ns"] = 0
    if lane["illegal_transitions"] > 0:
        trip(lane, 11, True)


@compiled
def check_answers(lane, orders, active, active_count, limits, now_ns):
    """Trips when an order's fate has been unknown, or a placement unanswered, for longer than allowed.

    `orders` and `active` are one market's rows. An answer that never comes is later than any that does.
    """
    unknown_max, answer_max = limits["unknown_age_ns_max"], limits["acknowledgement_ns_max"]
    for index in range(active_count):
        order = orders[active[index]]
        state = order["state"]
        if state == _UNKNOWN_STATE and unknown_max > 0 and now_ns - order["unknown_ns"] > unknown_max:
            trip(lane, 10, True)
        elif state == _SENT_STATE and answer_max > 0 and now_ns - order["sent_ns"] > answer_max:
            _pause(lane, 4, now_ns)


@compiled
def _is_late(book, limits, now_ns):
    """Whether a market's data should be fresh and is not; a closed market has none."""
    if book["market_state"] != 0:
        return book["market_state"] == _STALE
    return limits["feed_age_ns_max"] > 0 and now_ns - book["time_local_ns"] > limits["feed_age_ns_max"]


@compiled
def is_stale(book, limits, now_ns):
    """Whether a market's data is too old to quote on, by its age or the shell's word; also before the first frame."""
    if book["market_state"] != 0:
        return True
    if book["best_bid_ticks"] == 0 or book["best_ask_ticks"] == 0:
        return True
    return limits["feed_age_ns_max"] > 0 and now_ns - book["time_local_ns"] > limits["feed_age_ns_max"]


@compiled
def _is_over_cap(position, book, market, limits):
    """Whether a position is larger than the gate can have let it become."""
    lots = abs(position["position_lots"])
    if limits["position_lots_max"] > 0 and lots > limits["position_lots_max"]:
        return True
    cap = limits["position_notional_micro_max"]
    if cap == 0:
        return False
    value = lots * half_price_ticks(book) * market["micro_numerator"] // (2 * market["micro_denominator"])
    return value > cap + cap // NOTIONAL_TOLERANCE


@compiled
def _volume_micro(positions, markets):
    """Everything traded since the start, in micro-USDC."""
    volume = 0
    for index in range(len(positions)):
        traded = positions[index]["maker_quanta"] + positions[index]["taker_quanta"]
        volume += traded * markets[index]["micro_numerator"] // markets[index]["micro_denominator"]
    return volume


@compiled
def _update_money(lane, positions, books, markets, limits, now_ns):
    """Brings equity and traded volume up to date and runs the breakers on money.

    A position without any known price leaves the equity as it was.
    """
    equity = lane["starting_equity_micro"]
    fills = 0
    valued = True
    for index in range(len(positions)):
        position, book, market = positions[index], books[index], markets[index]
        if position["fills"] != 0 or position["position_lots"] != 0 or position["funding_micro"] != 0:
            valued = valued and (position["position_lots"] == 0 or half_price_ticks(book) > 0)
            equity += position_value_micro(position, book, market)
            fills += position["fills"]
            if _is_over_cap(position, book, market, limits):
                trip(lane, 5, True)
    if fills != lane["volume_fills"]:
        lane["volume_fills"] = fills
        on_volume(lane, _volume_micro(positions, markets))
    if valued:
        lane["equity_micro"] = equity
        _check_money(lane, limits, now_ns)


@compiled
def _check_budget(lane, limits, now_ns):
    """REDUCING while a budget refuses placements, and a while longer, so that it does not change with every token."""
    if check_budget(lane, limits, lane["waiting_count"] + 1, 0) != 0:
        lane["reducing_until_ns"] = now_ns + PAUSE_NS
        if lane["mode"] == _ACTIVE:
            lane["mode"] = _REDUCING
    if lane["reducing_until_ns"] == 0:
        return
    if now_ns < lane["reducing_until_ns"]:
        trip(lane, 8, False)
    else:
        lane["reducing_until_ns"] = 0
        if lane["mode"] == _REDUCING:
            lane["mode"] = _ACTIVE


@compiled
def is_flat(positions):
    """Whether no market holds a position and no order, in any state, could still make one: POSITION_DTYPE[M]."""
    for index in range(len(positions)):
        if positions[index]["position_lots"] != 0 or positions[index]["active_count"] != 0:
            return False
    return True


@compiled
def assess(lane, positions, books, markets, limits, now_ns):
    """Runs the breakers before a decision; returns bits of CANCEL_ALL, CLOSE_AT_MARKET, NO_QUOTES and
    KEEP_ORDERS.

    `positions` POSITION_DTYPE[M], `books` BOOK_DTYPE[M] with a current touch, `markets` MARKET_DTYPE[M]; budgets fresh.
    Brings `equity_micro` up to date: starting equity plus what every market has made; deposits and withdrawals are not
    in it.
    """
    _check_time(lane, limits, now_ns)
    _update_money(lane, positions, books, markets, limits, now_ns)
    _check_margin(lane, limits)
    if lane["stopping"] != 0:
        trip(lane, 13, False)
        lane["close_at_market"] = 0
        return CANCEL_ALL | NO_QUOTES
    if lane["latches"] != 0:
        lane["close_at_market"] = 1 if lane["must_be_flat"] != 0 and not is_flat(positions) else 0
        reachable = lane["connected"] > 0 and lane["venue_mode"] != 2
        return CANCEL_ALL | NO_QUOTES | (CLOSE_AT_MARKET if lane["close_at_market"] != 0 and reachable else 0)
    if now_ns < lane["pause_until_ns"]:
        return CANCEL_ALL | NO_QUOTES
    lane["halt_code"] = 0
    if lane["connected"] <= 0 or lane["venue_mode"] == 2:
        trip(lane, 14, False)
        # What rests before the first decision was adopted: it is judged by the strategy's first quotes, not before.
        return NO_QUOTES | (KEEP_ORDERS if lane["connected"] == 0 else 0)
    for index in range(len(books)):
        if _is_late(books[index], limits, now_ns):
            trip(lane, 3, False)
    if limits["address_enforced"] != 0:
        _check_budget(lane, limits, now_ns)
    return 0


@compiled
def capped_lots(book, limits, market, ticks):
    """The largest position that the caps of one market allow at a price, in lots; LOTS_MAX where there is no cap.

    In money it is worth what it costs at the price, and is no more than the breaker allows at the mark either: a mark
    comes seconds after a price that falls, and what is bought meanwhile would halt us once it is filled.
    """
    most = LOTS_MAX
    if limits["position_lots_max"] > 0:
        most = min(most, limits["position_lots_max"])
    cap = limits["position_notional_micro_max"]
    if cap > 0:
        most = min(most, cap * market["micro_denominator"] // (ticks * market["micro_numerator"]))
        half_price = half_price_ticks(book)
        if half_price > 0:
            tolerated = 2 * (cap + cap // NOTIONAL_TOLERANCE) * market["micro_denominator"]
            most = min(most, tolerated // (half_price * market["micro_numerator"]))
    return most


@compiled
def _shrink_to_position(position, book, limits, market, side, ticks, lots):
    """The largest size that keeps the worst case within the position caps; may be 0 or less."""
    worst = (
        position["open_buy_lots"] + position["position_lots"]
        if side > 0
        else position["open_sell_lots"] - position["position_lots"]
    )
    return min(lots, capped_lots(book, limits, market, ticks) - worst)


@compiled
def _is_within_band(book, limits, ticks):
    """Whether a price is at most the band away from the mid."""
    mid2 = book["best_bid_ticks"] + book["best_ask_ticks"]
    return limits["price_band_e6"] <= 0 or abs(2 * ticks - mid2) * 1_000_000 <= limits["price_band_e6"] * mid2


@compiled
def _largest_order(limits, market, ticks):
    """The lots of the largest order at a price: by its cap in money, and so that its value is a number."""
    per_lot = ticks * market["micro_numerator"]
    largest = QUANTA_MAX // per_lot
    if limits["order_notional_micro_max"] > 0:
        largest = min(largest, limits["order_notional_micro_max"] * market["micro_denominator"] // per_lot)
    return largest


@compiled
def is_below_minimum(market, ticks, lots):
    """Whether an order is worth less than the venue takes, unless it only closes (venue reference section 2)."""
    return ticks * lots * market["micro_numerator"] // market["micro_denominator"] < market["minimum_notional_micro"]


@compiled
def approve(lane, position, book, market, limits, side, ticks, lots, time_in_force, reduce_only):
    """The lots of a quote that may become an order, and the code of the refusal (0 approved).

    Worst case: every order that could still fill on this side fills, and nothing on the other does. Of a position only
    what no order of ours already closes can be reduced, except by the order that closes at market: the venue lets no
    reduce-only order turn a position round, and hlhft.core.closing sees to it that what is left keeps within the caps.
    """
    if lane["stopping"] != 0 or (lane["mode"] == _HALTED and lane["close_at_market"] == 0):
        return 0, 1
    if lane["venue_mode"] == 1 and time_in_force != _ALO:
        return 0, 14
    closing = reduce_only != 0 and lane["close_at_market"] != 0
    closable = -side * position["position_lots"]
    if not closing:
        closable -= position["open_buy_lots"] if side > 0 else position["open_sell_lots"]
    closable = max(closable, 0)
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
    if not _is_within_band(book, limits, ticks):
        return 0, 4
    lots = min(lots, _largest_order(limits, market, ticks))
    if not closing:
        lots = _shrink_to_position(position, book, limits, market, side, ticks, lots)
        if limits["spot_held_only"] != 0 and market["kind"] == _SPOT and side < 0:
            # The venue refuses the rest for want of a balance, and refusals in a row halt.
            lots = min(lots, position["position_lots"] - position["open_sell_lots"])
    if lots <= 0:
        return 0, 6
    if limits["exposure_micro_max"] > 0 and lots > closable:
        before = market_exposure_micro(position, book, market, 0, 0)
        after = market_exposure_micro(position, book, market, side, lots)
        if after > before and lane["exposure_micro"] + after - before > limits["exposure_micro_max"]:
            return 0, 7
    if lots > closable and is_below_minimum(market, ticks, lots):
        return 0, 8
    if lane["orders_open"] >= limits["open_orders_max"]:
        return 0, 9
    return lots, 0


@compiled
def market_exposure_micro(position, book, market, side, lots):
    """One market's worst case in micro-USDC, `lots` more on `side` included: all bought or all sold, at the touch."""
    bought = position["open_buy_lots"] + (lots if side > 0 else 0)
    sold = position["open_sell_lots"] + (lots if side < 0 else 0)
    worst = max(abs(position["position_lots"] + bought), abs(position["position_lots"] - sold))
    price = max(book["best_ask_ticks"], book["mark_ticks"])
    return worst * price * market["micro_numerator"] // market["micro_denominator"]


@compiled
def exposure_micro(positions, books, markets):
    """Worst case over all markets in micro-USDC: the larger of all bought and all sold, each at the touch."""
    total = 0
    for index in range(len(positions)):
        total += market_exposure_micro(positions[index], books[index], markets[index], 0, 0)
    return total
