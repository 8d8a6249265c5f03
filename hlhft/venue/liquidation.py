"""Liquidation: what the venue does with an account whose equity no longer covers its maintenance margin.

Source: venue reference section 10. First market orders into the book: a whole position, or a fifth of one above
$100,000 and then, within 30 seconds, all that is left of it. Below two thirds of maintenance margin the backstop takes
everything over, all positions and the margin behind them. The machine only says what to do; placing the orders is the
caller's business.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from hlhft.compiled import compiled
from hlhft.units import MICRO
from hlhft.venue.fees import notional_micro

PARTIAL_ABOVE_MICRO = 100_000 * MICRO
PARTIAL_DIVISOR = 5  # a fifth
COOLDOWN_NS = 30_000_000_000

ERROR = -1


class LiquidationState(IntEnum):
    """Where an account stands."""

    HEALTHY = 0
    COOLING = 1  # a part was sent; until the cooldown ends, what follows is sent whole
    TAKEN_OVER = 2  # the backstop has everything


class Condition(IntEnum):
    """What equity says about maintenance margin."""

    COVERED = 0
    SHORT = 1  # equity below maintenance margin
    BACKSTOP = 2  # equity below two thirds of it


class Measure(IntEnum):
    """What to do about it."""

    NOTHING = 0
    SEND_PARTS = 1  # a fifth of every large position, the whole of every other
    SEND_WHOLE = 2
    TAKE_OVER = 3


class IntentKind(IntEnum):
    """What an intent asks of the caller."""

    MARKET_ORDER = 1
    TAKE_OVER = 2  # a position, at the mark
    TAKE_MARGIN = 3  # and then all equity that is left, a debt too


# (state, condition) -> (next state, measure). A missing pair cannot happen: an account that was taken over holds
# nothing.
TRANSITIONS: dict[tuple[LiquidationState, Condition], tuple[LiquidationState, Measure]] = {
    (LiquidationState.HEALTHY, Condition.COVERED): (LiquidationState.HEALTHY, Measure.NOTHING),
    (LiquidationState.HEALTHY, Condition.SHORT): (LiquidationState.HEALTHY, Measure.SEND_PARTS),
    (LiquidationState.HEALTHY, Condition.BACKSTOP): (LiquidationState.TAKEN_OVER, Measure.TAKE_OVER),
    (LiquidationState.COOLING, Condition.COVERED): (LiquidationState.COOLING, Measure.NOTHING),
    (LiquidationState.COOLING, Condition.SHORT): (LiquidationState.COOLING, Measure.SEND_WHOLE),
    (LiquidationState.COOLING, Condition.BACKSTOP): (LiquidationState.TAKEN_OVER, Measure.TAKE_OVER),
    (LiquidationState.TAKEN_OVER, Condition.COVERED): (LiquidationState.HEALTHY, Measure.NOTHING),
}

_CONDITIONS = len(Condition)

LIQUIDATION_DTYPE = np.dtype([("state", np.int64), ("cooling_until_ns", np.int64)])

INTENT_DTYPE = np.dtype(
    [
        ("kind", np.int64),  # IntentKind
        ("market", np.int64),
        ("side", np.int64),  # of the order that closes
        ("size_lots", np.int64),
    ]
)


def transition_table() -> np.ndarray:
    """The compiled form of TRANSITIONS, int64[states x conditions, 2]: next state and measure, ERROR where none is."""
    table = np.full((len(LiquidationState) * _CONDITIONS, 2), ERROR, dtype=np.int64)
    for (state, condition), (following, measure) in TRANSITIONS.items():
        table[state * _CONDITIONS + condition] = (following, measure)
    return table


@compiled
def condition_of(equity_micro, maintenance_micro):
    """The Condition of an account or isolated position; micro-USDC below 2^61."""
    if equity_micro >= maintenance_micro:
        return 0
    return 1 if 3 * equity_micro >= 2 * maintenance_micro else 2


@compiled
def lots_to_send(market, position_lots, mark_ticks, measure):
    """How many lots of a position a measure sends: all, or a fifth, at least one lot, of a position above $100,000."""
    lots = abs(position_lots)
    if measure == 1 and notional_micro(market, mark_ticks, lots) > PARTIAL_ABOVE_MICRO:
        return max(lots // PARTIAL_DIVISOR, 1)
    return lots


@compiled
def liquidate(
    account, table, equity_micro, maintenance_micro, holdings, margins, bucket, markets, marks, now_ns, intents
):
    """Moves the LIQUIDATION_DTYPE record `account` and writes what to do to `intents`; returns how many, or ERROR.

    `bucket` is -1 for the cross positions, else the market of an isolated one; equity and maintenance margin are of
    the same. `holdings`, `margins`, `markets` and `marks` are one account's rows; `intents` is INTENT_DTYPE[M + 1] and
    gets one entry for each position of the bucket, in the order of the markets, and one for the margin when the
    backstop takes over: also from an account whose last trade left it in debt without a position.
    """
    if account["state"] == 1 and now_ns >= account["cooling_until_ns"]:
        account["state"] = 0
    step = table[account["state"] * _CONDITIONS + condition_of(equity_micro, maintenance_micro)]
    if step[0] == ERROR:
        return ERROR
    account["state"] = step[0]
    measure = step[1]
    count = 0
    if measure == 0:
        return count
    for market in range(len(markets)):
        position = holdings[market]["position_lots"]
        isolated = margins[market]["isolated"] != 0
        if position == 0 or (bucket >= 0 and market != bucket) or (bucket < 0 and isolated):
            continue
        intent = intents[count]
        intent["kind"] = 2 if measure == 3 else 1
        intent["market"] = market
        intent["side"] = -1 if position > 0 else 1
        intent["size_lots"] = lots_to_send(markets[market], position, marks[market], measure)
        if intent["size_lots"] < abs(position):
            account["state"] = 1
            account["cooling_until_ns"] = now_ns + COOLDOWN_NS
        count += 1
    if measure == 3:
        intents[count]["kind"] = 3
        intents[count]["market"] = bucket
        intents[count]["side"] = 0
        intents[count]["size_lots"] = 0
        count += 1
    return count


@compiled
def take_over(holding, backstop, mark_ticks):
    """Moves a position to the backstop's holding of the same market at the mark, without fee; returns its lots.

    What was its equity is now the account's cash, which TAKE_MARGIN moves: `take_over_cross` or `take_over_isolated`.
    """
    lots = holding["position_lots"]
    quanta = lots * mark_ticks
    holding["position_lots"] = 0
    holding["cash_quanta"] += quanta
    backstop["position_lots"] += lots
    backstop["cash_quanta"] -= quanta
    return lots


@compiled
def take_over_cross(collateral, account, backstop, equity_micro):
    """Moves what a taken over cross account is worth to the backstop, which also bears a loss: the account has nothing.

    `collateral` is int64[accounts] in micro-USDC, `equity_micro` the cross equity after its positions were moved.
    """
    collateral[account] -= equity_micro
    collateral[backstop] += equity_micro


@compiled
def take_over_isolated(margin, collateral, backstop, equity_micro):
    """Moves what a taken over isolated position was worth to the backstop; `margin` is its MARGIN_DTYPE record."""
    margin["bucket_micro"] -= equity_micro
    collateral[backstop] += equity_micro
