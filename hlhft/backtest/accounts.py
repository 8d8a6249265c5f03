"""The lanes' accounts at the venue: funding, margin and liquidation, by the venue kernel's own arithmetic.

Everything here is the venue's view: its holdings, mark, oracle and rate at that moment. A lane hears of it over its
line back, as of any fill: a payment as FUNDING_PAYMENT, forced orders and a take-over as fills with the reason
LIQUIDATION.

Assumptions, stated: margin is cross, one flat tier a market by its maximum leverage; spot neither carries a perpetual
nor is sold for one; where the recording names no mark or oracle the mid stands for it. A take-over is booked at the
mark, and what is left of the account goes with the positions as the fee of the last one (venue reference section 10:
"all positions and margin"): the account is worth nothing afterwards, and owes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.units import MarketKind
from hlhft.venue.fees import notional_micro
from hlhft.venue.funding import RATE_NONE, apply_funding
from hlhft.venue.holding import HOLDING_DTYPE
from hlhft.venue.liquidation import INTENT_DTYPE, LIQUIDATION_DTYPE, take_over, transition_table
from hlhft.venue.liquidation import liquidate as liquidation_measure
from hlhft.venue.margin import (
    MARGIN_DTYPE,
    TIER_DTYPE,
    TIERS_MAX,
    cross_equity_micro,
    cross_maintenance_micro,
    maintenance_micro,
    tier_table,
)
from hlhft.venue.recorded import liquidate

FUNDING_PAYMENT = 50  # hlhft.events.EventKind
LIQUIDATION = 5  # hlhft.venue.recorded.FillReason
_FILLED = 18
_SPOT = int(MarketKind.SPOT)
_MARKET_ORDER, _TAKE_OVER = 1, 2  # hlhft.venue.liquidation.IntentKind
_TAKEN_OVER = 2  # hlhft.venue.liquidation.LiquidationState


class Accounts(NamedTuple):
    """What margin needs beside the venue's holdings. L lanes, M markets."""

    collateral: np.ndarray  # int64[L], micro-USDC deposited
    margins: np.ndarray  # MARGIN_DTYPE[M], the same for every lane: spot stands apart
    tiers: np.ndarray  # TIER_DTYPE[M, TIERS_MAX]
    states: np.ndarray  # LIQUIDATION_DTYPE[L]
    table: np.ndarray  # int64[states x conditions, 2]
    backstop: np.ndarray  # HOLDING_DTYPE[M]: whoever takes positions over
    intents: np.ndarray  # INTENT_DTYPE[M + 1], scratch
    marks: np.ndarray  # int64[M], scratch


def new_accounts(markets: np.ndarray, *, lanes: int, capital_micro: int) -> Accounts:
    """`lanes` healthy accounts with `capital_micro` each, for MARKET_DTYPE[M] `markets`.

    Raises ValueError for a maximum leverage outside 1..500.
    """
    count = len(markets)
    accounts = Accounts(
        collateral=np.full(lanes, capital_micro, np.int64),
        margins=np.zeros(count, MARGIN_DTYPE),
        tiers=np.zeros((count, TIERS_MAX), TIER_DTYPE),
        states=np.zeros(lanes, LIQUIDATION_DTYPE),
        table=transition_table(),
        backstop=np.zeros(count, HOLDING_DTYPE),
        intents=np.zeros(count + 1, INTENT_DTYPE),
        marks=np.zeros(count, np.int64),
    )
    for index, market in enumerate(markets):
        accounts.tiers[index] = tier_table([(0, int(market["maximum_leverage"]))])
    accounts.margins["isolated"] = markets["kind"] == _SPOT
    return accounts


@compiled
def _mid_ticks(ladder):
    """The mid, rounded down; 0 when a side is empty."""
    if ladder["best_bid_ticks"] == BID_NONE or ladder["best_ask_ticks"] == ASK_NONE:
        return 0
    return (ladder["best_bid_ticks"] + ladder["best_ask_ticks"]) // 2


@compiled
def _announce(venue, kind, lane, market, side, ticks, lots, aux0, aux1, reason, ts_ns):
    """Tells a lane what happened to it outside its orders; every field is written, so nothing of others shows."""
    reply = venue.replies[venue.venue[0]["reply_count"]]
    venue.venue[0]["reply_count"] += 1
    reply["ts_exch_ns"] = ts_ns
    reply["order_id"] = 0
    reply["price_ticks"] = ticks
    reply["size_lots"] = lots
    reply["aux0"] = aux0
    reply["aux1"] = aux1
    reply["front"] = 0.0
    reply["front_at_entry"] = 0.0
    reply["placed_ns"] = ts_ns
    ladder = venue.ladders[market]
    reply["mid_half_ticks"] = 0
    if ladder["best_bid_ticks"] != BID_NONE and ladder["best_ask_ticks"] != ASK_NONE:
        reply["mid_half_ticks"] = ladder["best_bid_ticks"] + ladder["best_ask_ticks"]
    reply["kind"] = kind
    reply["lane"] = lane
    reply["market"] = market
    reply["side"] = side
    reply["maker"] = 0
    reply["reason"] = reason


@compiled
def pay_funding(venue, lane, default_rate_e12, ts_ns):
    """Books one hour's funding on what the lane holds at `ts_ns` and tells it.

    The rate is the market's newest one, `default_rate_e12` where the recording names none; spot pays none.
    """
    for market in range(len(venue.markets)):
        holding = venue.holdings[lane, market]
        lots = holding["position_lots"]
        if lots == 0 or venue.markets[market]["kind"] == _SPOT:
            continue
        context = venue.contexts[market]
        rate = context["funding_rate_e12"] if context["funding_rate_e12"] != RATE_NONE else default_rate_e12
        price = context["oracle_ticks"] if context["oracle_ticks"] > 0 else _mid_ticks(venue.ladders[market])
        if rate == 0 or price == 0:
            continue
        amount = apply_funding(holding, venue.markets[market], price, rate)
        _announce(venue, FUNDING_PAYMENT, lane, market, 0, price, lots, amount, rate, 0, ts_ns)


@compiled
def mark_markets(contexts, ladders, marks):
    """Brings `marks`, int64[M], up to date: the venue's mark, else the mid, 0 where neither is known."""
    for market in range(len(marks)):
        mark = contexts[market]["mark_ticks"]
        marks[market] = mark if mark != 0 else _mid_ticks(ladders[market])


@compiled
def holds(holdings):
    """Whether a lane has any position: without one there is nothing to judge."""
    for market in range(len(holdings)):
        if holdings[market]["position_lots"] != 0:
            return True
    return False


@compiled
def is_short(collateral_micro, holdings, margins, markets, marks, tiers):
    """Whether a lane's equity does not cover its maintenance margin; never while a position has no mark.

    Asked at every decision, so it takes the few arrays that it reads and not the venue.
    """
    for market in range(len(holdings)):
        if holdings[market]["position_lots"] != 0 and marks[market] == 0:
            return False
    needed = cross_maintenance_micro(holdings, margins, markets, marks, tiers)
    return cross_equity_micro(collateral_micro, holdings, margins, markets, marks) < needed


@compiled
def liquidate_lane(venue, accounts, lane, ts_ns):
    """Does to a lane that `is_short` what the venue does to such an account; call `mark_markets` before."""
    holdings = venue.holdings[lane]
    margins, markets, marks = accounts.margins, venue.markets, accounts.marks
    needed = cross_maintenance_micro(holdings, margins, markets, marks, accounts.tiers)
    equity = cross_equity_micro(accounts.collateral[lane], holdings, margins, markets, marks)
    state = accounts.states[lane]
    count = liquidation_measure(
        state, accounts.table, equity, needed, holdings, margins, -1, markets, marks, ts_ns, accounts.intents
    )
    for market in range(len(markets)):
        # Orders everywhere go first: none may fill while positions are closed.
        liquidate(venue, lane, market, ts_ns, 0)
    for index in range(count):
        intent = accounts.intents[index]
        if intent["kind"] == _MARKET_ORDER:
            liquidate(venue, lane, intent["market"], ts_ns, intent["size_lots"])
        elif intent["kind"] == _TAKE_OVER:
            # What is left of the account goes with its last position: the margin's own intent comes last.
            margin = equity if index == count - 2 else 0
            _hand_over(venue, accounts, lane, intent["market"], intent["side"], margin, ts_ns)
    if state["state"] == _TAKEN_OVER:
        # It holds nothing and owes nothing now: covered, whatever an order still under way may bring later.
        liquidation_measure(
            state, accounts.table, 0, 0, holdings, margins, -1, markets, marks, ts_ns, accounts.intents
        )  # fmt: skip


@compiled
def _hand_over(venue, accounts, lane, market, side, margin_micro, ts_ns):
    """Moves a position to the backstop at the mark with `margin_micro` as its fee; the lane hears of it as a fill."""
    holding = venue.holdings[lane, market]
    mark = accounts.marks[market]
    lots = abs(take_over(holding, accounts.backstop[market], mark))
    holding["fills"] += 1
    holding["traded_lots"] += lots
    holding["taker_quanta"] += lots * mark
    holding["fee_micro"] += margin_micro
    _announce(venue, _FILLED, lane, market, side, mark, lots, 0, margin_micro, LIQUIDATION, ts_ns)


@compiled
def note_margin(lane_row, positions, books, markets, margins, tiers):
    """The account state that the core's margin breaker reads, from what has reached the core: no look at the venue."""
    needed = 0
    for market in range(len(markets)):
        lots = abs(positions[market]["position_lots"])
        if lots != 0 and margins[market]["isolated"] == 0:
            book = books[market]
            mark = book["mark_ticks"]
            if mark == 0:
                mark = (book["best_bid_ticks"] + book["best_ask_ticks"]) // 2
            needed += maintenance_micro(tiers[market], notional_micro(markets[market], mark, lots))
    lane_row["maintenance_micro"] = needed
    lane_row["margin_value_micro"] = lane_row["equity_micro"]
