"""Margin: what an account is worth, what its positions and orders tie up, and where it would be liquidated.

Source: venue reference sections 3.2 (account algebra), 4.5 (orders that reduce reserve nothing) and 10 (tiers,
liquidation price). Money is micro-USDC, every division truncates toward zero. A tier's maintenance margin is
notional x rate - deduction with rate = 1 / (2 x leverage); rates of one market are kept over their common denominator,
so that the algebra is exact until the one last division.

Amounts up to AMOUNT_MAX_MICRO (three billion USDC) are safe from overflow. Which account pays the fees of an isolated
position, and the price that reserves the margin of a resting order, are not documented: here the cross account and the
mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hlhft.compiled import compiled
from hlhft.units import TICKS_MAX
from hlhft.venue.arithmetic import multiply_divide
from hlhft.venue.fees import notional_micro

TIERS_MAX = 4
# `isolated` of a MARGIN_DTYPE record. Spot stands apart: neither its trades nor its fees are the perpetuals' business.
CROSS, ISOLATED, APART = 0, 1, 2
DENOMINATOR_MAX = 1000  # tiers of 40 and 20 need 80
AMOUNT_MAX_MICRO = 3_000_000_000_000_000  # three of these times DENOMINATOR_MAX fit 63 bits

TIER_DTYPE = np.dtype(
    [
        ("lower_bound_micro", np.int64),  # the tier holds from this notional on
        ("maximum_leverage", np.int64),  # 0: no such tier
        ("factor", np.int64),  # maintenance rate = factor / denominator
        ("deduction", np.int64),  # in micro-USDC x denominator
        ("denominator", np.int64),
    ]
)

# Per account and market.
MARGIN_DTYPE = np.dtype(
    [
        ("isolated", np.int64),  # CROSS, ISOLATED: the position has its own collateral, or APART
        ("bucket_micro", np.int64),  # isolated: what was moved in, less what was moved out
    ]
)

# What an account has resting in a market.
RESTING_DTYPE = np.dtype(
    [
        ("buy_lots", np.int64),
        ("sell_lots", np.int64),
        ("reduce_only_lots", np.int64),  # part of the above
        ("reduce_head", np.int64),  # slot + 1 of the oldest reduce-only order, 0 none
        ("reduce_tail", np.int64),
        ("buy_quanta", np.int64),  # ticks x lots of the buys
    ]
)


def tier_table(tiers: Sequence[tuple[int, int]]) -> np.ndarray:
    """The compiled form of (lower bound in micro-USDC, maximum leverage) pairs, shape (TIERS_MAX,), dtype TIER_DTYPE.

    Raises ValueError unless there are 1 to TIERS_MAX tiers, the first from 0, bounds ascending, leverages positive and
    their common denominator at most DENOMINATOR_MAX.
    """
    bounds = [bound for bound, _ in tiers]
    leverages = [leverage for _, leverage in tiers]
    if not 1 <= len(tiers) <= TIERS_MAX or bounds[0] != 0 or bounds != sorted(set(bounds)) or min(leverages) < 1:
        raise ValueError(
            f"margin tiers: expected 1 to {TIERS_MAX} pairs with ascending bounds from 0 and leverages of at least 1,"
            f" not {list(tiers)}"
        )
    denominator = math.lcm(*(2 * leverage for leverage in leverages))
    if denominator > DENOMINATOR_MAX:
        raise ValueError(f"margin tiers: leverages {leverages} have the common denominator {denominator}, too large")
    table = np.zeros(TIERS_MAX, dtype=TIER_DTYPE)
    deduction, before = 0, denominator // (2 * leverages[0])
    for row, (bound, leverage) in enumerate(tiers):
        factor = denominator // (2 * leverage)
        deduction += bound * (factor - before)
        table[row] = (bound, leverage, factor, deduction, denominator)
        before = factor
    return table


@compiled
def tier_of(tiers, notional):
    """The row of `tiers` (TIER_DTYPE[TIERS_MAX]) that holds for a notional in micro-USDC."""
    row = 0
    while row + 1 < len(tiers) and tiers[row + 1]["maximum_leverage"] > 0:
        if notional < tiers[row + 1]["lower_bound_micro"]:
            break
        row += 1
    return row


@compiled
def maintenance_micro(tiers, notional):
    """Maintenance margin of one position in micro-USDC for its notional >= 0."""
    tier = tiers[tier_of(tiers, notional)]
    return (notional * tier["factor"] - tier["deduction"]) // tier["denominator"]


@compiled
def initial_micro(notional, leverage):
    """Initial margin of a notional >= 0 at the account's leverage setting >= 1."""
    return notional // max(leverage, 1)


@compiled
def position_equity_micro(holding, market, mark_ticks):
    """What a holding adds to equity, fees left out: cash from its fills, its position at the mark, its funding."""
    quanta = holding["cash_quanta"] + holding["position_lots"] * mark_ticks
    return notional_micro(market, quanta, 1) + holding["funding_micro"]


@compiled
def isolated_equity_micro(holding, margin, market, mark_ticks):
    """Equity of an isolated position: its collateral and its result."""
    return margin["bucket_micro"] + position_equity_micro(holding, market, mark_ticks)


@compiled
def cross_equity_micro(collateral_micro, holdings, margins, markets, marks):
    """Equity that the cross positions share: collateral, their results, and the fees of every perpetual.

    `collateral_micro` is what was deposited less what was moved to isolated positions; the rest are one account's rows,
    one entry a market.
    """
    equity = collateral_micro
    for market in range(len(markets)):
        if margins[market]["isolated"] != APART:
            equity -= holdings[market]["fee_micro"]
        if margins[market]["isolated"] == 0:
            equity += position_equity_micro(holdings[market], markets[market], marks[market])
    return equity


@compiled
def cross_maintenance_micro(holdings, margins, markets, marks, tiers):
    """Maintenance margin of the cross positions; `tiers` is TIER_DTYPE[M, TIERS_MAX]."""
    total = 0
    for market in range(len(markets)):
        if margins[market]["isolated"] == 0:
            lots = abs(holdings[market]["position_lots"])
            total += maintenance_micro(tiers[market], notional_micro(markets[market], marks[market], lots))
    return total


@compiled
def increasing_lots(position_lots, buy_lots, sell_lots):
    """Resting lots that could add to the exposure: those beyond what closes the position."""
    return max(buy_lots + min(position_lots, 0), 0) + max(sell_lots - max(position_lots, 0), 0)


@compiled
def used_initial_micro(holding, resting, market, mark_ticks, more_buy_lots, more_sell_lots):
    """Initial margin of one market's position and increasing orders, with more lots resting on either side."""
    position = holding["position_lots"]
    buys = resting["buy_lots"] + more_buy_lots
    sells = resting["sell_lots"] + more_sell_lots
    lots = abs(position) + increasing_lots(position, buys, sells)
    return initial_micro(notional_micro(market, mark_ticks, lots), holding["leverage"])


@compiled
def available_micro(collateral_micro, holdings, margins, resting, markets, marks):
    """Collateral that new cross orders can use: cross equity less the initial margin of positions and orders.

    The orders of isolated markets take their collateral from here when they fill, so they reserve it here too.
    """
    available = cross_equity_micro(collateral_micro, holdings, margins, markets, marks)
    for market in range(len(markets)):
        if margins[market]["isolated"] == APART:
            continue
        used = used_initial_micro(holdings[market], resting[market], markets[market], marks[market], 0, 0)
        if margins[market]["isolated"] != 0:
            lots = abs(holdings[market]["position_lots"])
            used -= initial_micro(notional_micro(markets[market], marks[market], lots), holdings[market]["leverage"])
        available -= used
    return available


@compiled
def withdrawable_micro(collateral_micro, holdings, margins, resting, markets, marks):
    """What may leave the cross account: equity less the initial margin of positions and increasing orders, but at least
    a tenth of the cross positions' notional stays (venue reference sections 3.2 and 10)."""
    equity = cross_equity_micro(collateral_micro, holdings, margins, markets, marks)
    used = equity - available_micro(collateral_micro, holdings, margins, resting, markets, marks)
    notional = 0
    for market in range(len(markets)):
        if margins[market]["isolated"] == 0:
            notional += notional_micro(markets[market], marks[market], abs(holdings[market]["position_lots"]))
    return max(equity - max(used, notional // 10), 0)


@compiled
def admits(collateral_micro, holdings, margins, resting, markets, marks, market, side, lots):
    """Whether the account can carry one more order of `lots`: what reduces needs nothing, the rest free collateral."""
    holding = holdings[market]
    buys = lots if side > 0 else 0
    sells = lots if side < 0 else 0
    before = used_initial_micro(holding, resting[market], markets[market], marks[market], 0, 0)
    after = used_initial_micro(holding, resting[market], markets[market], marks[market], buys, sells)
    if after <= before:
        return True
    return after - before <= available_micro(collateral_micro, holdings, margins, resting, markets, marks)


@compiled
def isolated_transfer_micro(holding, margin, market, position_before, price_ticks):
    """What a fill at `price_ticks` moves from the cross account into an isolated position; negative releases.

    Opened lots bring their initial margin; closed lots release their share of the position's equity, all of it when
    the position is flat. `holding` is after the fill. A flip closes first and opens then.
    """
    position = holding["position_lots"]
    opened = abs(position)
    moved = 0
    if position_before != 0:
        equity = isolated_equity_micro(holding, margin, market, price_ticks)
        kept = abs(position) if (position > 0) == (position_before > 0) and position != 0 else 0
        kept = min(kept, abs(position_before))
        moved = -multiply_divide(equity, abs(position_before) - kept, abs(position_before))
        opened -= kept
    return moved + initial_micro(notional_micro(market, price_ticks, opened), holding["leverage"])


@compiled
def liquidation_price_ticks(equity_micro, other_maintenance_micro, market, position_lots, mark_ticks, tiers):
    """The last mark in ticks at which equity still covers maintenance margin: one tick further it does not; 0 when
    there is none.

    `equity_micro` is the account's (cross) or the position's (isolated) at `mark_ticks`; `other_maintenance_micro` that
    of the other cross positions, held fixed. The tier is the one that holds at the price found.
    """
    if position_lots == 0:
        return 0
    side = 1 if position_lots > 0 else -1
    lots = abs(position_lots)
    notional = notional_micro(market, mark_ticks, lots)
    unit = notional_micro(market, 1, lots)
    if unit == 0:
        return 0
    for row in range(len(tiers)):
        tier = tiers[row]
        if tier["maximum_leverage"] == 0:
            break
        denominator = tier["denominator"]
        # (equity - notional x rate + deduction) x denominator, over the ticks that one denominator of it lasts.
        distance = equity_micro - other_maintenance_micro
        margin = distance * denominator - notional * tier["factor"] + tier["deduction"]
        per_tick = unit * (denominator - side * tier["factor"])
        price = mark_ticks - side * (margin // per_tick)
        if side < 0:
            price = max(price, 1)
        if price <= 0 or price > TICKS_MAX or unit > AMOUNT_MAX_MICRO // (price + 1):
            continue
        # The rate of this tier may not hold there, and what is asked for is cut to whole micro-USDC, which carries at
        # most two ticks further.
        without = distance - side * notional
        if not _covers(without, side, unit, price, tiers):
            continue
        for _ in range(2):
            if price == side or not _covers(without, side, unit, price - side, tiers):
                break
            price -= side
        return price
    return 0


@compiled
def _covers(equity_without_position, side, unit, price_ticks, tiers):
    """Whether equity covers maintenance margin at a price for a position worth `unit` micro-USDC a tick."""
    notional = price_ticks * unit
    return equity_without_position + side * notional >= maintenance_micro(tiers, notional)
