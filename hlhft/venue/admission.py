"""Whether an account can carry one more order: margin and tier of a perpetual, the balance of a spot pair.

Sources: venue reference sections 4.4 (texts), 4.5 (orders that reduce reserve nothing) and 10 (tiers).
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.fees import notional_micro
from hlhft.venue.margin import APART, admits, tier_of
from hlhft.venue.spot import spot_admits

# As in hlhft.venue.refusals; the compiled subset wants plain constants.
_ADMITTED, _MARGIN, _INSUFFICIENT_SPOT_BALANCE, _POSITION_TIER_LIMIT = 0, 3, 41, 45


@compiled
def exceeds_tier(venue, account, market, side, lots):
    """Whether the position, with all orders of the side filled and one more of `lots`, would reach a tier that does not
    allow the account's leverage. What only reduces never does."""
    holding, resting = venue.holdings[account, market], venue.resting[account, market]
    ordered = resting["buy_lots"] if side > 0 else resting["sell_lots"]
    after = side * holding["position_lots"] + ordered + lots
    if after <= abs(holding["position_lots"]):
        return False
    notional = notional_micro(venue.markets[market], venue.marks[market], after)
    tiers = venue.tiers[market]
    limit = tiers[tier_of(tiers, notional)]["maximum_leverage"]
    return 0 < limit < holding["leverage"]


@compiled
def margin_refusal(venue, account, market, side, ticks, lots, reduce_only):
    """Why the account cannot carry an order, a code of hlhft.venue.refusals, 0 when it can.

    Nobody can open a position while there is no mark to judge by. Price and size are positive and were checked for what
    they are worth.
    """
    if venue.margins[account, market]["isolated"] == APART:
        return _ADMITTED if spot_admits(venue, account, market, side, ticks, lots) else _INSUFFICIENT_SPOT_BALANCE
    if reduce_only != 0:
        return _ADMITTED
    if venue.marks[market] <= 0:
        return _MARGIN
    if exceeds_tier(venue, account, market, side, lots):
        return _POSITION_TIER_LIMIT
    if not admits(
        venue.collateral[account], venue.holdings[account], venue.margins[account], venue.resting[account],
        venue.markets, venue.marks, market, side, lots,
    ):  # fmt: skip
        return _MARGIN
    return _ADMITTED
