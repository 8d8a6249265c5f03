"""Funding of all markets and accounts: a premium every five seconds, a payment on the hour.

Source: venue reference section 10. What the payments of an hour do not add up to zero, because each is cut to whole
micro-USDC, the insurance vault bears: account 0.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.funding import (
    RATE_NONE,
    SAMPLE_NS,
    apply_funding,
    hours_between,
    impact_price_e6,
    observe_premium,
    premium_e12,
    settle_hour,
)
from hlhft.venue.outcomes import tell

_FUNDING_PAYMENT = 50  # hlhft.events.EventKind
_PERPETUAL = 0  # hlhft.units.MarketKind


@compiled
def market_premium_e12(venue, prices, market):
    """The premium of a market's book over its oracle now, RATE_NONE when the book is too thin or has no oracle."""
    record = venue.markets[market]
    quanta = venue.terms[market]["impact_notional_micro"] * record["micro_denominator"] // record["micro_numerator"]
    bid = impact_price_e6(venue.ladders[market], venue.cells[market], 0, quanta)
    ask = impact_price_e6(venue.ladders[market], venue.cells[market], 1, quanta)
    return premium_e12(bid, ask, prices[market]["oracle_ticks"])


@compiled
def sample_premiums(venue, prices, funding, last_ns, ts_ns):
    """Takes the premium of every perpetual when a five-second boundary lies in (last_ns, ts_ns]."""
    if ts_ns // SAMPLE_NS == last_ns // SAMPLE_NS:
        return
    for market in range(len(venue.markets)):
        if venue.markets[market]["kind"] != _PERPETUAL:
            continue
        premium = market_premium_e12(venue, prices, market)
        prices[market]["premium_e12"] = premium
        observe_premium(funding[market], premium, ts_ns)


@compiled
def pay_funding(venue, prices, funding, last_ns, ts_ns):
    """Pays every position the rate of the hour when one ended in (last_ns, ts_ns]; returns whether one did.

    An hour without a premium pays nothing. A gap of several hours pays once: of the others nothing was observed.
    """
    if hours_between(last_ns, ts_ns) <= 0:
        return False
    for market in range(len(venue.markets)):
        if venue.markets[market]["kind"] != _PERPETUAL:
            continue
        price = prices[market]
        rate = settle_hour(funding[market])
        price["hourly_rate_e12"] = rate
        price["rate_ns"] = ts_ns
        if rate == RATE_NONE:
            continue
        total = 0
        for account in range(len(venue.collateral)):
            holding = venue.holdings[account, market]
            position = holding["position_lots"]
            if position == 0:
                continue
            amount = apply_funding(holding, venue.markets[market], price["oracle_ticks"], rate)
            total += amount
            tell(venue, _FUNDING_PAYMENT, account, market, 0, position, amount, rate, ts_ns)
        venue.collateral[0] -= total
    return True
