"""What the order-level venue remembers: numpy records allocated once, and the events that it appends.

A level is a queue: an intrusive list through the order slab with a head and a tail a tick, and its total in a ladder
(`hlhft.ladder`). Prices are ticks, sizes lots, times nanoseconds, money micro-USDC, unless a name says otherwise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hlhft.events import EVENT_DTYPE
from hlhft.ladder import ASK_NONE, BID_NONE, LADDER_DTYPE
from hlhft.units import MarketKind
from hlhft.venue.holding import HOLDING_DTYPE
from hlhft.venue.margin import APART, MARGIN_DTYPE, RESTING_DTYPE, TIER_DTYPE, TIERS_MAX
from hlhft.venue.terms import new_terms

ORDER_DTYPE = np.dtype(
    [
        ("order_id", np.int64),  # the venue's, 0 for a free slot
        ("client_id", np.int64),  # the account's own, 0 none
        ("account", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("remaining_lots", np.int64),
        ("original_lots", np.int64),  # as asked for, before any shrinking
        ("placed_ns", np.int64),
        ("reduce_only", np.int64),
        # Links are slot + 1, 0 none.
        ("next", np.int64),  # behind it in its level, or in the free list
        ("previous", np.int64),
        ("next_by_order_id", np.int64),  # in its hash bucket
        ("next_by_client_id", np.int64),
        ("reduce_next", np.int64),  # the account's next younger reduce-only order in the market
        ("reduce_previous", np.int64),
    ]
)

ENGINE_DTYPE = np.dtype(
    [
        ("free", np.int64),  # slot + 1 of the first free slot
        ("resting", np.int64),
        ("next_order_id", np.int64),
        ("next_trade_id", np.int64),
        ("event_count", np.int64),
        ("leg", np.int64),  # of the action that is being executed, -1 none
        ("dropped", np.int64),  # events that found no room: the caller's capacity is wrong
    ]
)

# The event record of one account, and what else the venue publishes of it.
VENUE_EVENT_DTYPE = np.dtype(
    [("account", np.int64)]
    + [(name, EVENT_DTYPE[name]) for name in EVENT_DTYPE.names or ()]
    + [
        ("venue_order_id", np.int64),
        ("trade_id", np.int64),  # fills: the same on both sides
        ("start_position_lots", np.int64),  # fills: signed position before
        ("leg", np.int64),  # row of the leg, in order of arrival, that caused it; -1 the venue's own doing
        ("builder_fee_micro", np.int64),  # fills: part of the fee
    ]
)


class Exchange(NamedTuple):
    """The venue's state. M markets, A accounts, N order slots, W ticks of band, B hash buckets (a power of two)."""

    rules: np.ndarray  # RULES_DTYPE[1]
    engine: np.ndarray  # ENGINE_DTYPE[1]
    markets: np.ndarray  # MARKET_DTYPE[M]
    tiers: np.ndarray  # TIER_DTYPE[M, TIERS_MAX]: which leverage a position may have; all zero where any
    terms: np.ndarray  # TERMS_DTYPE[M]
    marks: np.ndarray  # int64[M]: mark price in ticks, 0 unknown: nobody can open a position then
    ladders: np.ndarray  # LADDER_DTYPE[M]
    cells: np.ndarray  # int64[M, 2, W]: lots at a level, row 0 bids, row 1 asks
    heads: np.ndarray  # int32[M, 2, W]: slot + 1 of the oldest order
    tails: np.ndarray  # int32[M, 2, W]: slot + 1 of the youngest order
    orders: np.ndarray  # ORDER_DTYPE[N]
    buckets: np.ndarray  # int32[2, B]: slot + 1 by the venue's id (row 0) and by account and client id (row 1)
    collateral: np.ndarray  # int64[A]: micro-USDC of the cross account
    holdings: np.ndarray  # HOLDING_DTYPE[A, M]
    margins: np.ndarray  # MARGIN_DTYPE[A, M]
    resting: np.ndarray  # RESTING_DTYPE[A, M]
    tokens: np.ndarray  # int64[A, K]: 1e-8 of a token that were moved in, less what was moved out
    open_orders: np.ndarray  # int64[A]
    events: np.ndarray  # VENUE_EVENT_DTYPE[events_for(N)]


def events_for(slots: int) -> int:
    """Events that one call can cause with `slots` resting orders: per match two fills and two trims, one end each."""
    return 5 * slots + 16


def new_exchange(
    markets: np.ndarray,
    rules: np.ndarray,
    *,
    accounts: int,
    base_ticks: list[int],
    width: int,
    slots: int,
    terms: np.ndarray | None = None,
) -> Exchange:
    """An empty exchange for MARKET_DTYPE[M] `markets`, prices base_ticks[m] .. base_ticks[m] + width - 1, leverage 1.

    Raises ValueError when `accounts`, `width` or `slots` is below 1 or base_ticks has not one entry a market.
    """
    count = len(markets)
    if min(accounts, width, slots) < 1 or len(base_ticks) != count:
        raise ValueError(
            f"an exchange needs at least 1 account, tick and slot and {count} base prices, not {accounts}, {width},"
            f" {slots} and {len(base_ticks)}"
        )
    terms = new_terms(markets) if terms is None else terms.copy()
    exchange = Exchange(
        rules=rules.copy(),
        engine=np.zeros(1, ENGINE_DTYPE),
        markets=markets.copy(),
        tiers=np.zeros((count, TIERS_MAX), TIER_DTYPE),
        terms=terms,
        marks=np.zeros(count, np.int64),
        ladders=np.zeros(count, LADDER_DTYPE),
        cells=np.zeros((count, 2, width), np.int64),
        heads=np.zeros((count, 2, width), np.int32),
        tails=np.zeros((count, 2, width), np.int32),
        orders=np.zeros(slots, ORDER_DTYPE),
        buckets=np.zeros((2, 1 << slots.bit_length()), np.int32),
        collateral=np.zeros(accounts, np.int64),
        holdings=np.zeros((accounts, count), HOLDING_DTYPE),
        margins=np.zeros((accounts, count), MARGIN_DTYPE),
        resting=np.zeros((accounts, count), RESTING_DTYPE),
        tokens=np.zeros((accounts, int(terms["base_token"].max(initial=0)) + 1), np.int64),
        open_orders=np.zeros(accounts, np.int64),
        events=np.zeros(events_for(slots), VENUE_EVENT_DTYPE),
    )
    for market in range(count):
        exchange.ladders[market] = (base_ticks[market], width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
        exchange.holdings["maker_rate_e9"][:, market] = markets[market]["maker_rate_e9"]
        exchange.holdings["taker_rate_e9"][:, market] = markets[market]["taker_rate_e9"]
    exchange.holdings["leverage"] = 1
    exchange.margins["isolated"][:, markets["kind"] == MarketKind.SPOT] = APART
    exchange.orders["next"] = np.arange(2, slots + 2)
    exchange.orders["next"][-1] = 0
    exchange.engine["free"] = 1
    exchange.engine["next_order_id"] = 1
    exchange.engine["next_trade_id"] = 1
    exchange.engine["leg"] = -1
    return exchange
