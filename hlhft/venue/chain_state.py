"""What the whole venue remembers beside its order books: prices, funding, fee tiers, spot tokens and its own ledgers.

Everything is allocated once. Account 0 is the insurance vault: it takes over what is liquidated and bears what nobody
else does. Money is micro-USDC, amounts of tokens are whole 1e-8, token 0 is USDC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hlhft.units import MICRO, MarketKind
from hlhft.venue.funding import (
    IMPACT_NOTIONAL_MAJOR_MICRO,
    IMPACT_NOTIONAL_MICRO,
    RATE_NONE,
    new_funding,
)
from hlhft.venue.liquidation import INTENT_DTYPE, LIQUIDATION_DTYPE, transition_table
from hlhft.venue.margin import TIERS_MAX, tier_table
from hlhft.venue.state import Exchange, events_for, new_exchange

INSURANCE = 0  # the account of the insurance vault
USDC_TOKEN = 0
LEGS_MAX = 20_000

# What an operator sets; the defaults are the venue's.
PARAMETERS_DTYPE = np.dtype(
    [
        ("mark_interval_ns", np.int64),  # a mark is no older than this; 0: a new one each block
        ("withdrawal_fee_micro", np.int64),  # part of what is withdrawn
        ("fee_tiers_at_once", np.int64),  # 1: rates follow the volume after each block, 0: at the end of a UTC day
    ]
)

# What a market asks for beside its MARKET_DTYPE record.
TERMS_DTYPE = np.dtype(
    [
        ("isolated_only", np.int64),
        ("strict_isolated", np.int64),  # margin of a position can only grow
        ("impact_notional_micro", np.int64),
        ("base_token", np.int64),  # spot: what is traded
        ("quote_token", np.int64),  # spot: what it is paid in
        ("lot_units", np.int64),  # spot: 1e-8 of the base token in a lot
    ]
)

PRICE_DTYPE = np.dtype(
    [
        ("oracle_ticks", np.int64),  # 0 unknown
        ("oracle_ns", np.int64),
        ("external_ticks", np.int64),  # mid of the perpetual elsewhere, 0 unknown
        ("external_ns", np.int64),
        ("last_trade_ticks", np.int64),  # 0 before the first
        ("basis_e6", np.int64),  # 150 s average of mid less oracle, 1e-6 ticks
        ("basis_weight_ns", np.int64),  # 0: none yet
        ("book_e6", np.int64),  # 30 s average of the book's price, 1e-6 ticks
        ("book_weight_ns", np.int64),
        ("mark_ns", np.int64),  # when the mark was last made
        ("previous_mark_ticks", np.int64),  # the one before
        ("premium_e12", np.int64),  # the latest sample, RATE_NONE none
        ("hourly_rate_e12", np.int64),  # of the last full hour, RATE_NONE when it had none
        ("rate_ns", np.int64),  # when that was paid
    ]
)

CHAIN_DTYPE = np.dtype(
    [
        ("time_ns", np.int64),  # of the latest block
        ("height", np.int64),  # blocks so far
        ("broken", np.int64),  # blocks after which a sum was not what it must be: a defect of ours
        ("external_units", np.int64),  # what came in from outside less what left, 1e-8 USDC
        ("fees_micro", np.int64),  # kept by the venue: trading fees less rebates, withdrawal fees
    ]
)


class Chain(NamedTuple):
    """The venue's whole state. M markets, A accounts, T tokens, L legs in a block."""

    exchange: Exchange
    parameters: np.ndarray  # PARAMETERS_DTYPE[1]
    state: np.ndarray  # CHAIN_DTYPE[1]
    tiers: np.ndarray  # TIER_DTYPE[M, TIERS_MAX]
    terms: np.ndarray  # TERMS_DTYPE[M]
    prices: np.ndarray  # PRICE_DTYPE[M]
    funding: np.ndarray  # FUNDING_DTYPE[M]
    liquidations: np.ndarray  # LIQUIDATION_DTYPE[A, M + 1]: each market's isolated position, and last the cross account
    transitions: np.ndarray  # int64[states x conditions, 2]
    intents: np.ndarray  # INTENT_DTYPE[M + 1], scratch
    order: np.ndarray  # int64[L], scratch


def new_parameters() -> np.ndarray:
    """Hyperliquid's parameters, shape (1,), dtype PARAMETERS_DTYPE, the caller's to change.

    Mark every three seconds and a withdrawal fee of $1 (venue reference section 10; the fee is the documentation's).
    """
    parameters = np.zeros(1, PARAMETERS_DTYPE)
    parameters[0] = (3_000_000_000, MICRO, 0)
    return parameters


def new_terms(markets: np.ndarray) -> np.ndarray:
    """What MARKET_DTYPE[M] `markets` ask for unless told otherwise, dtype TERMS_DTYPE.

    Spot markets trade token 1, 2, … in their order, for USDC. The impact notional is that of the markets with a
    leverage of 25 and more, BTC and ETH, or the other one.
    """
    terms = np.zeros(len(markets), TERMS_DTYPE)
    token = USDC_TOKEN
    for row, market in zip(terms, markets):
        major = market["maximum_leverage"] >= 25
        row["impact_notional_micro"] = IMPACT_NOTIONAL_MAJOR_MICRO if major else IMPACT_NOTIONAL_MICRO
        if market["kind"] == MarketKind.SPOT:
            token += 1
            row["base_token"] = token
            row["lot_units"] = 10 ** (8 - int(market["size_decimals"]))
    return terms


def new_chain(
    markets: np.ndarray,
    rules: np.ndarray,
    *,
    accounts: int,
    base_ticks: Sequence[int],
    width: int,
    slots: int,
    start_ns: int,
    tiers: np.ndarray | None = None,
    terms: np.ndarray | None = None,
    parameters: np.ndarray | None = None,
    legs_max: int = LEGS_MAX,
) -> Chain:
    """An empty chain at `start_ns`: as hlhft.venue.state.new_exchange, and TIER_DTYPE[M, TIERS_MAX] `tiers`, one flat
    tier of a market's maximum leverage where None.

    A block holds at most `legs_max` legs. Raises ValueError as new_exchange, when `tiers` or `terms` have not one entry
    a market, and when `legs_max` is below 1.
    """
    count = len(markets)
    if tiers is None:
        tiers = np.array([tier_table([(0, int(market["maximum_leverage"]))]) for market in markets])
    if terms is None:
        terms = new_terms(markets)
    if tiers.shape != (count, TIERS_MAX) or len(terms) != count or legs_max < 1:
        raise ValueError(
            f"a chain of {count} markets needs tiers of shape {(count, TIERS_MAX)}, {count} terms and room for a leg,"
            f" not {tiers.shape}, {len(terms)} and {legs_max}"
        )
    exchange = new_exchange(markets, rules, accounts=accounts, base_ticks=list(base_ticks), width=width, slots=slots)
    # A block: what its orders can cause, two outcomes and a transfer a leg, and what an hour and a liquidation bring.
    capacity = 2 * events_for(slots) + 4 * legs_max + 8 * accounts * count
    exchange = exchange._replace(events=np.zeros(capacity, exchange.events.dtype))
    chain = Chain(
        exchange=exchange,
        parameters=new_parameters() if parameters is None else parameters.copy(),
        state=np.zeros(1, CHAIN_DTYPE),
        tiers=tiers.copy(),
        terms=terms.copy(),
        prices=np.zeros(count, PRICE_DTYPE),
        funding=new_funding(count),
        liquidations=np.zeros((accounts, count + 1), LIQUIDATION_DTYPE),
        transitions=transition_table(),
        intents=np.zeros(count + 1, INTENT_DTYPE),
        order=np.zeros(legs_max, np.int64),
    )
    chain.state["time_ns"] = start_ns
    chain.prices["premium_e12"] = RATE_NONE
    chain.prices["hourly_rate_e12"] = RATE_NONE
    return chain
