"""Transfers: money that comes in, leaves, or goes from one account or ledger to another.

Sources: venue reference sections 3.2 (withdrawable), 4.3 and 10. Every function returns a code of
hlhft.venue.refusals, 0 when done. Collateral is micro-USDC, tokens are whole 1e-8; `chain` is
hlhft.venue.chain_state.Chain, whose ledgers of what came from outside only these functions change.
"""

from __future__ import annotations

from hlhft.compiled import compiled
from hlhft.venue.margin import withdrawable_micro
from hlhft.venue.spot import UNITS_PER_MICRO, free_units

AMOUNT_MAX = 10**15  # of collateral: a billion USDC
UNITS_MAX = 10**17  # of a token: a billion whole ones

_USDC = 0
# As in hlhft.venue.refusals; the compiled subset wants plain constants.
_DONE, _INSUFFICIENT_MARGIN_TRANSFER, _INSUFFICIENT_BALANCE, _INVALID_AMOUNT = 0, 40, 42, 43


@compiled
def account_withdrawable_micro(venue, account):
    """What the account may take out of its cross collateral."""
    return withdrawable_micro(
        venue.collateral[account], venue.holdings[account], venue.margins[account], venue.resting[account],
        venue.markets, venue.marks,
    )  # fmt: skip


@compiled
def is_amount(amount, limit):
    """Whether an amount is one that can be moved at once."""
    return 0 < amount <= limit


@compiled
def deposit(chain, account, token, amount):
    """Credits what comes from outside: token 0 as collateral in micro-USDC, any other to the spot balance."""
    limit = AMOUNT_MAX if token == _USDC else UNITS_MAX
    if not is_amount(amount, limit) or token < 0 or token >= chain.exchange.tokens.shape[1]:
        return _INVALID_AMOUNT
    if token == _USDC:
        chain.exchange.collateral[account] += amount
        chain.outside[_USDC] += amount * UNITS_PER_MICRO
    else:
        chain.exchange.tokens[account, token] += amount
        chain.outside[token] += amount
    return _DONE


@compiled
def withdraw(chain, account, amount):
    """Lets collateral leave; the fee is part of the amount and stays with the venue."""
    fee = chain.parameters[0]["withdrawal_fee_micro"]
    if not is_amount(amount, AMOUNT_MAX) or amount <= fee:
        return _INVALID_AMOUNT
    if amount > account_withdrawable_micro(chain.exchange, account):
        return _INSUFFICIENT_MARGIN_TRANSFER
    chain.exchange.collateral[account] -= amount
    chain.state[0]["fees_micro"] += fee
    chain.outside[_USDC] -= (amount - fee) * UNITS_PER_MICRO
    return _DONE


@compiled
def transfer_collateral(venue, account, receiver, amount):
    """Moves collateral from one account to another."""
    if not is_amount(amount, AMOUNT_MAX) or receiver < 0 or receiver >= len(venue.collateral):
        return _INVALID_AMOUNT
    if amount > account_withdrawable_micro(venue, account):
        return _INSUFFICIENT_MARGIN_TRANSFER
    venue.collateral[account] -= amount
    venue.collateral[receiver] += amount
    return _DONE


@compiled
def transfer_class(venue, account, side, amount):
    """Moves micro-USDC between the account's spot balance and its collateral: `side` +1 to the collateral, -1 back."""
    if not is_amount(amount, AMOUNT_MAX):
        return _INVALID_AMOUNT
    units = amount * UNITS_PER_MICRO
    if side > 0:
        if units > free_units(venue, account, _USDC):
            return _INSUFFICIENT_BALANCE
        venue.tokens[account, _USDC] -= units
        venue.collateral[account] += amount
        return _DONE
    if amount > account_withdrawable_micro(venue, account):
        return _INSUFFICIENT_MARGIN_TRANSFER
    venue.collateral[account] -= amount
    venue.tokens[account, _USDC] += units
    return _DONE


@compiled
def transfer_token(venue, account, receiver, token, amount):
    """Moves 1e-8 of a token from one spot balance to another's."""
    if not is_amount(amount, UNITS_MAX) or token < 0 or token >= venue.tokens.shape[1]:
        return _INVALID_AMOUNT
    if receiver < 0 or receiver >= len(venue.collateral):
        return _INVALID_AMOUNT
    if amount > free_units(venue, account, token):
        return _INSUFFICIENT_BALANCE
    venue.tokens[account, token] -= amount
    venue.tokens[receiver, token] += amount
    return _DONE
