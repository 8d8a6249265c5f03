"""Leverage and isolated margin: what an account sets a market to, and what stands behind an isolated position.

Sources: venue reference sections 3.2, 4.3 and 10. Every function returns a code of hlhft.venue.refusals, 0 when done.
A changed leverage does not move the margin of an isolated position that is open.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.fees import notional_micro
from hlhft.venue.margin import (
    CROSS,
    ISOLATED,
    available_micro,
    initial_micro,
    isolated_equity_micro,
    position_equity_micro,
    tier_of,
)

_PERPETUAL = 0  # hlhft.units.MarketKind
# As in hlhft.venue.refusals; the compiled subset wants plain constants.
_DONE, _MARGIN = 0, 3
_INVALID_LEVERAGE, _LEVERAGE_TYPE_OPEN, _NOT_ISOLATED, _STRICT_ISOLATED = 36, 37, 38, 39
_INSUFFICIENT_MARGIN_TRANSFER, _INVALID_AMOUNT, _POSITION_TIER_LIMIT, _CROSS_NOT_ALLOWED = 40, 43, 45, 47
_TRANSFER_SHARE = 10  # a tenth of the notional stays (venue reference section 10)


@compiled
def free_collateral_micro(venue, account):
    """What new cross orders of the account can use, below zero when what it has is not covered."""
    return available_micro(
        venue.collateral[account], venue.holdings[account], venue.margins[account], venue.resting[account],
        venue.markets, venue.marks,
    )  # fmt: skip


@compiled
def leverage_limit(tiers, notional):
    """The largest leverage of a position worth `notional` micro-USDC; 0 no limit. `tiers` is TIER_DTYPE[TIERS_MAX]."""
    return tiers[tier_of(tiers, notional)]["maximum_leverage"]


@compiled
def _set_isolated(venue, account, market, isolated):
    """Changes the kind of margin of a market without a position; what it won and lost so far stays with the cross
    account, which is worth the same before and after."""
    margin = venue.margins[account, market]
    if margin["isolated"] == isolated:
        return
    if isolated == ISOLATED:
        # The result leaves the cross positions, so the collateral takes it over and the bucket counters it.
        result = position_equity_micro(venue.holdings[account, market], venue.markets[market], venue.marks[market])
        venue.collateral[account] += result
        margin["bucket_micro"] = -result
    else:
        venue.collateral[account] += margin["bucket_micro"]
        margin["bucket_micro"] = 0
    margin["isolated"] = isolated


@compiled
def update_leverage(venue, account, market, leverage, cross):
    """Sets the leverage and, where nothing is open, the kind of margin: `cross` 1 or 0."""
    record, holding = venue.markets[market], venue.holdings[account, market]
    if record["kind"] != _PERPETUAL or leverage < 1 or leverage > record["maximum_leverage"]:
        return _INVALID_LEVERAGE
    if cross != 0 and venue.terms[market]["isolated_only"] != 0:
        return _CROSS_NOT_ALLOWED
    isolated = CROSS if cross != 0 else ISOLATED
    lots = abs(holding["position_lots"])
    before, kind_before = holding["leverage"], venue.margins[account, market]["isolated"]
    if lots > 0 and kind_before != isolated:
        return _LEVERAGE_TYPE_OPEN
    limit = leverage_limit(venue.tiers[market], notional_micro(record, venue.marks[market], lots))
    if limit > 0 and leverage > limit:
        return _POSITION_TIER_LIMIT
    # What orders and cross positions tie up follows the leverage; it can only grow where collateral covers it.
    free = free_collateral_micro(venue, account)
    _set_isolated(venue, account, market, isolated)
    holding["leverage"] = leverage
    after = free_collateral_micro(venue, account)
    if after < 0 and after < free:
        holding["leverage"] = before
        _set_isolated(venue, account, market, kind_before)
        return _MARGIN
    return _DONE


@compiled
def update_isolated_margin(venue, account, market, amount_micro):
    """Moves collateral into an isolated position, or out of it with a negative amount.

    What goes in must be free; what stays must cover the initial margin and a tenth of the notional.
    """
    margin, holding, record = venue.margins[account, market], venue.holdings[account, market], venue.markets[market]
    if margin["isolated"] != ISOLATED or holding["position_lots"] == 0:
        return _NOT_ISOLATED
    if amount_micro == 0:
        return _INVALID_AMOUNT
    if amount_micro > 0:
        if amount_micro > free_collateral_micro(venue, account):
            return _INSUFFICIENT_MARGIN_TRANSFER
    else:
        if venue.terms[market]["strict_isolated"] != 0:
            return _STRICT_ISOLATED
        mark = venue.marks[market]
        notional = notional_micro(record, mark, abs(holding["position_lots"]))
        needed = max(initial_micro(notional, holding["leverage"]), notional // _TRANSFER_SHARE)
        if isolated_equity_micro(holding, margin, record, mark) + amount_micro < needed:
            return _INSUFFICIENT_MARGIN_TRANSFER
    margin["bucket_micro"] += amount_micro
    venue.collateral[account] -= amount_micro
    return _DONE
