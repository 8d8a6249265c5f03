"""Conservation: nothing is made and nothing is lost, to the last micro-USDC, after every block.

The identities, over all accounts:

1. in every market the positions add up to zero, and the cash of all fills (ticks x lots) too;
2. collateral + isolated buckets + funding received - fees paid + what the venue kept of them (trading fees less
   rebates, withdrawal fees) + what builders were given, in micro-USDC x 100, + what was moved to spot USDC
   = what came in from outside less what left, in 1e-8 USDC;
3. of every other token: what was moved in and out of all balances = what came in from outside.

By 1 the results of positions cancel at any price, so they are not in 2, and the lots and cash of spot trades cancel in
the token balances of 2 and 3. What the venue and builders got is summed from the fills that were told, not from the
accounts, so that a fee that only one of them knows shows.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.spot import UNITS_PER_MICRO


@compiled
def total_units(chain):
    """All USDC inside, in 1e-8: the left side of the second identity."""
    venue, state = chain.exchange, chain.state[0]
    micro = state["fees_micro"] + state["trading_fees_micro"] + state["builder_fees_micro"]
    units = 0
    for account in range(len(venue.collateral)):
        micro += venue.collateral[account]
        units += venue.tokens[account, 0]
        for market in range(len(venue.markets)):
            holding = venue.holdings[account, market]
            micro += venue.margins[account, market]["bucket_micro"] + holding["funding_micro"] - holding["fee_micro"]
    return micro * UNITS_PER_MICRO + units


@compiled
def is_balanced(chain, market):
    """Whether positions and cash of a market add up to zero."""
    holdings = chain.exchange.holdings
    lots = 0
    quanta = 0
    for account in range(len(holdings)):
        lots += holdings[account, market]["position_lots"]
        quanta += holdings[account, market]["cash_quanta"]
    return lots == 0 and quanta == 0


@compiled
def is_conserved(chain):
    """Whether all three identities hold."""
    venue = chain.exchange
    for market in range(len(venue.markets)):
        if not is_balanced(chain, market):
            return False
    for token in range(1, venue.tokens.shape[1]):
        inside = 0
        for account in range(len(venue.tokens)):
            inside += venue.tokens[account, token]
        if inside != chain.outside[token]:
            return False
    return total_units(chain) == chain.outside[0]
