"""Spot balances: what an account has of a token, what its orders hold of it, and whether it can carry another one.

Amounts are whole 1e-8 of a token, token 0 is USDC. A spot trade is booked like any other (hlhft.venue.holding), so a
balance is what was moved in and out, plus the lots that the account's trades brought, plus their cash (a tick of a lot
is 1e-8 of the quote token), less their fees. The reference names USDC as the token that fees are taken in, on both
sides; so it is here.

An order holds what it may cost: a buy its notional at its limit and the taker fee on it, a sell its lots. Perpetuals do
not see spot.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.arithmetic import EXACT_MAX
from hlhft.venue.fees import fee_micro, notional_micro

UNITS_PER_MICRO = 100

_SPOT = 1  # hlhft.units.MarketKind
_USDC = 0


@compiled
def balance_units(venue, account, token):
    """What the account has of a token, held or not."""
    total = venue.tokens[account, token]
    for market in range(len(venue.markets)):
        if venue.markets[market]["kind"] != _SPOT:
            continue
        terms, holding = venue.terms[market], venue.holdings[account, market]
        if terms["base_token"] == token:
            total += holding["position_lots"] * terms["lot_units"]
        if terms["quote_token"] == token:
            total += holding["cash_quanta"]
        if token == _USDC:
            total -= holding["fee_micro"] * UNITS_PER_MICRO
    return total


@compiled
def cost_units(venue, account, market, quanta):
    """What buying `quanta` (ticks x lots) may cost: them and the fee, at the larger of the account's and the market's
    rate, because a tier can end."""
    rate = max(venue.holdings[account, market]["taker_rate_e9"], venue.markets[market]["taker_rate_e9"], 0)
    return quanta + fee_micro(notional_micro(venue.markets[market], quanta, 1), rate) * UNITS_PER_MICRO


@compiled
def held_units(venue, account, token):
    """What the account's resting orders hold of a token."""
    total = 0
    for market in range(len(venue.markets)):
        if venue.markets[market]["kind"] != _SPOT:
            continue
        terms, resting = venue.terms[market], venue.resting[account, market]
        if terms["base_token"] == token:
            total += resting["sell_lots"] * terms["lot_units"]
        if terms["quote_token"] == token and resting["buy_quanta"] > 0:
            total += cost_units(venue, account, market, resting["buy_quanta"])
    return total


@compiled
def free_units(venue, account, token):
    """What the account can sell, send or buy with."""
    return balance_units(venue, account, token) - held_units(venue, account, token)


@compiled
def spot_admits(venue, account, market, side, ticks, lots):
    """Whether the account's free balance covers one more order of `lots` at its limit; ticks x lots below 2^62."""
    terms = venue.terms[market]
    if side > 0:
        return cost_units(venue, account, market, ticks * lots) <= free_units(venue, account, terms["quote_token"])
    if lots > EXACT_MAX // terms["lot_units"]:
        return False
    return lots * terms["lot_units"] <= free_units(venue, account, terms["base_token"])
