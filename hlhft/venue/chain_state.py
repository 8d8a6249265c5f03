"""What the whole venue remembers beside its order books: prices, funding, fee tiers, spot tokens and its own ledgers.

Everything is allocated once. Account 0 is the insurance vault: it takes over what is liquidated and bears what nobody
else does. Money is micro-USDC, amounts of tokens are whole 1e-8, token 0 is USDC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hlhft.units import MICRO
from hlhft.venue.fee_tiers import Fees, new_fees
from hlhft.venue.funding import RATE_NONE, new_funding
from hlhft.venue.liquidation import INTENT_DTYPE, LIQUIDATION_DTYPE, transition_table
from hlhft.venue.margin import ISOLATED, TIERS_MAX, tier_table
from hlhft.venue.scheduled_cancel import new_schedules
from hlhft.venue.state import Exchange, events_for, new_exchange
from hlhft.venue.twap import new_twaps

INSURANCE = 0  # the account of the insurance vault
LEGS_MAX = 20_000
WAITING_MAX = 1_000  # orders that wait for a trigger, of all accounts
TWAPS_MAX = 100  # that run at once, of all accounts
DEFAULT_LEVERAGE = 20  # of an account that has set none, where the market offers it (as the venue's pages show it)

# What an operator sets; the defaults are the venue's.
PARAMETERS_DTYPE = np.dtype(
    [
        ("mark_interval_ns", np.int64),  # a mark is no older than this; 0: a new one each block
        ("withdrawal_fee_micro", np.int64),  # part of what is withdrawn
        ("fee_tiers_at_once", np.int64),  # 1: rates follow the volume after each block, 0: at the end of a UTC day
        ("vault_closes", np.int64),  # 1: the vault closes what it took over, 0: it keeps it
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
        ("mark_due", np.int64),  # 1: a new oracle price is in
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
        ("broken", np.int64),  # blocks after which a sum was not what it must be, or events found no room: our defect
        ("changed", np.int64),  # 1: marks or accounts changed, so somebody may be due for liquidation
        ("events_booked", np.int64),  # of this block, by hlhft.venue.trade_ledger
        ("fees_micro", np.int64),  # kept by the venue: withdrawal fees
        ("trading_fees_micro", np.int64),  # kept by the venue: fees less rebates, as the fills told them
        ("builder_fees_micro", np.int64),  # given to builders, as the fills told them
    ]
)


class Chain(NamedTuple):
    """The venue's whole state. M markets, A accounts, K tokens, L legs in a block."""

    exchange: Exchange
    parameters: np.ndarray  # PARAMETERS_DTYPE[1]
    state: np.ndarray  # CHAIN_DTYPE[1]
    twaps: np.ndarray  # TWAP_DTYPE[]: room for those that run at once
    schedules: np.ndarray  # SCHEDULE_DTYPE[A]
    prices: np.ndarray  # PRICE_DTYPE[M]
    funding: np.ndarray  # FUNDING_DTYPE[M]
    liquidations: np.ndarray  # LIQUIDATION_DTYPE[A, M + 1]: each market's isolated position, and last the cross account
    transitions: np.ndarray  # int64[states x conditions, 2]
    intents: np.ndarray  # INTENT_DTYPE[M + 1], scratch
    entries: np.ndarray  # int64[A, M]: what the open lots cost, in quanta (ticks x lots)
    fees: Fees
    outside: np.ndarray  # int64[K]: 1e-8 of each token that came in from outside less what left; collateral is token 0
    order: np.ndarray  # int64[L], scratch


def new_parameters() -> np.ndarray:
    """Hyperliquid's parameters, shape (1,), dtype PARAMETERS_DTYPE, the caller's to change.

    Mark every three seconds and a withdrawal fee of $1 (venue reference section 10; the fee is the documentation's).
    """
    parameters = np.zeros(1, PARAMETERS_DTYPE)
    parameters[0] = (3_000_000_000, MICRO, 0, 1)
    return parameters


def new_chain(
    markets: np.ndarray,
    rules: np.ndarray,
    *,
    accounts: int,
    base_ticks: Sequence[int],
    width: int,
    slots: int,
    start_ns: int,
    waiting: int = WAITING_MAX,
    twaps: int = TWAPS_MAX,
    tiers: np.ndarray | None = None,
    terms: np.ndarray | None = None,
    parameters: np.ndarray | None = None,
    legs_max: int = LEGS_MAX,
) -> Chain:
    """An empty chain at `start_ns`: as hlhft.venue.state.new_exchange, and TIER_DTYPE[M, TIERS_MAX] `tiers`, one flat
    tier of a market's maximum leverage where None.

    A block holds at most `legs_max` legs. Accounts begin with leverage DEFAULT_LEVERAGE, or what the market offers.
    Raises ValueError as new_exchange and new_twaps, when `tiers` or `terms` have not one entry a market, and when
    `legs_max` is below 1.
    """
    count = len(markets)
    if tiers is None:
        tiers = np.array([tier_table([(0, int(market["maximum_leverage"]))]) for market in markets])
    if tiers.shape != (count, TIERS_MAX) or (terms is not None and len(terms) != count) or legs_max < 1:
        raise ValueError(
            f"a chain of {count} markets needs tiers of shape {(count, TIERS_MAX)}, as many terms and room for a leg,"
            f" not {tiers.shape}, {terms if terms is None else len(terms)} and {legs_max}"
        )
    exchange = new_exchange(
        markets, rules, accounts=accounts, base_ticks=list(base_ticks), width=width, slots=slots, waiting=waiting,
        terms=terms,
    )  # fmt: skip
    exchange.tiers[:] = tiers
    # A block: what its orders can cause, two outcomes and a transfer a leg, and what an hour and a liquidation bring.
    capacity = 2 * events_for(slots, waiting) + 2 * twaps + 4 * legs_max + 16 * accounts * count
    exchange = exchange._replace(events=np.zeros(capacity, exchange.events.dtype))
    chain = Chain(
        exchange=exchange,
        parameters=new_parameters() if parameters is None else parameters.copy(),
        state=np.zeros(1, CHAIN_DTYPE),
        twaps=new_twaps(twaps),
        schedules=new_schedules(accounts),
        prices=np.zeros(count, PRICE_DTYPE),
        funding=new_funding(count),
        liquidations=np.zeros((accounts, count + 1), LIQUIDATION_DTYPE),
        transitions=transition_table(),
        intents=np.zeros(count + 1, INTENT_DTYPE),
        entries=np.zeros((accounts, count), np.int64),
        fees=new_fees(accounts),
        outside=np.zeros(exchange.tokens.shape[1], np.int64),
        order=np.zeros(legs_max, np.int64),
    )
    exchange.holdings["leverage"] = np.minimum(DEFAULT_LEVERAGE, markets["maximum_leverage"])
    exchange.margins["isolated"][:, exchange.terms["isolated_only"] != 0] = ISOLATED
    chain.state["time_ns"] = start_ns
    chain.prices["premium_e12"] = RATE_NONE
    chain.prices["hourly_rate_e12"] = RATE_NONE
    return chain


def arrays_of(chain: Chain) -> dict[str, np.ndarray]:
    """Every array of the chain by its name, those of its parts as `exchange.orders`: all that the venue remembers."""
    found: dict[str, np.ndarray] = {}
    for name in chain._fields:
        part = getattr(chain, name)
        if isinstance(part, np.ndarray):
            found[name] = part
        else:
            found.update({f"{name}.{inner}": array for inner, array in part._asdict().items()})
    return found
