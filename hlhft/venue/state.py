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
        ("time_in_force", np.int64),  # hlhft.venue.blocks.TimeInForce
        ("builder", np.int64),  # account that gets the builder fee, plus 1; 0 none
        ("builder_rate_e9", np.int64),
        ("priority_rate_e8", np.int64),  # share of the notional paid for priority, 0 none
        ("twap_id", np.int64),  # the TWAP that sent it, 0 none
        ("children", np.int64),  # 1: orders wait for its fill
        ("sibling_id", np.int64),  # the venue's id of the order that ends when this one is executed, 0 none
        # Links are slot + 1, 0 none.
        ("next", np.int64),  # behind it in its level, or in the free list
        ("previous", np.int64),
        ("next_by_order_id", np.int64),  # in its hash bucket
        ("next_by_client_id", np.int64),
        ("reduce_next", np.int64),  # the account's next younger reduce-only order in the market
        ("reduce_previous", np.int64),
        ("owner_next", np.int64),  # the account's order with the next higher venue's id
        ("owner_previous", np.int64),
    ]
)

# A take-profit or stop-loss order that waits (hlhft.venue.waiting).
WAITING_DTYPE = np.dtype(
    [
        ("order_id", np.int64),  # the venue's, 0 for a free slot
        ("client_id", np.int64),
        ("account", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),  # its limit, once triggered
        ("size_lots", np.int64),  # of one that follows the position: the position when it was placed
        ("placed_ns", np.int64),
        ("reduce_only", np.int64),
        ("time_in_force", np.int64),  # of what it becomes
        ("builder", np.int64),
        ("builder_rate_e9", np.int64),
        ("twap_id", np.int64),  # 0
        ("sibling_id", np.int64),
        ("parent_id", np.int64),  # the venue's id of the order whose fill arms it, 0 none
        ("armed", np.int64),  # 0: waits for its parent's fill, 1: for the mark price
        ("grouping", np.int64),  # hlhft.venue.blocks.Grouping
        ("trigger_kind", np.int64),  # hlhft.venue.blocks.TriggerKind
        ("trigger_ticks", np.int64),
        ("is_market", np.int64),
        # Links are slot + 1, 0 none.
        ("next", np.int64),  # the next younger waiting order, or the next free slot
        ("previous", np.int64),
        ("owner_next", np.int64),  # the account's next younger waiting order
        ("owner_previous", np.int64),
    ]
)

# An account's orders, the lists' ends: slot + 1, 0 none.
OWNED_DTYPE = np.dtype(
    [
        ("resting_head", np.int64),
        ("resting_tail", np.int64),
        ("waiting_head", np.int64),
        ("waiting_tail", np.int64),
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
        ("fees_micro", np.int64),  # all fees less all rebates, builder fees left out
        ("burned_micro", np.int64),  # what priority cost, charged to nobody (hlhft.venue.priority)
        # The latest order that was placed, and what its children need to know of it.
        ("placed_id", np.int64),
        ("placed_outcome", np.int64),  # hlhft.venue.placing: 0 ended unfilled, 1 rests, 2 filled whole
        ("placed_action", np.int64),  # number of the action when it is the parent of a group, -1 when it is not
        ("placed_ns", np.int64),
        # Waiting orders: slot + 1, 0 none.
        ("waiting_free", np.int64),
        ("waiting_head", np.int64),  # the oldest
        ("waiting_tail", np.int64),
        ("waiting", np.int64),
        ("next_twap_id", np.int64),
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
        ("twap_id", np.int64),  # what happens to an order of a TWAP: its id, 0 none
        ("bid_ticks", np.int64),  # BAD_ALO_PRICE: the touch that the order met, 0 for an empty side
        ("ask_ticks", np.int64),
    ]
)


class Exchange(NamedTuple):
    """The venue's state. M markets, A accounts, N order slots, T slots of waiting orders, W ticks of band, B hash
    buckets (a power of two)."""

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
    waiting: np.ndarray  # WAITING_DTYPE[T]
    taker: np.ndarray  # ORDER_DTYPE[1]: the order that is being placed
    owned: np.ndarray  # OWNED_DTYPE[A]
    buckets: np.ndarray  # int32[2, B]: slot + 1 by the venue's id (row 0) and by account and client id (row 1)
    collateral: np.ndarray  # int64[A]: micro-USDC of the cross account
    holdings: np.ndarray  # HOLDING_DTYPE[A, M]
    margins: np.ndarray  # MARGIN_DTYPE[A, M]
    resting: np.ndarray  # RESTING_DTYPE[A, M]
    tokens: np.ndarray  # int64[A, K]: 1e-8 of a token that were moved in, less what was moved out
    open_orders: np.ndarray  # int64[A]: resting and waiting
    builder_fees: np.ndarray  # int64[A]: micro-USDC that each account has earned as a builder
    events: np.ndarray  # VENUE_EVENT_DTYPE[events_for(N, T)]


def events_for(slots: int, waiting: int = 0) -> int:
    """Events that one call can cause with `slots` resting orders: per match two fills and two trims, one end each;
    and with `waiting` waiting ones: armed, triggered, ended."""
    return 5 * slots + 3 * waiting + 16


def new_exchange(
    markets: np.ndarray,
    rules: np.ndarray,
    *,
    accounts: int,
    base_ticks: list[int],
    width: int,
    slots: int,
    waiting: int = 1,
    terms: np.ndarray | None = None,
) -> Exchange:
    """An empty exchange for MARKET_DTYPE[M] `markets`, prices base_ticks[m] .. base_ticks[m] + width - 1, leverage 1,
    with room for `slots` resting and `waiting` waiting orders.

    Raises ValueError when `accounts`, `width`, `slots` or `waiting` is below 1 or base_ticks has not one entry a
    market.
    """
    count = len(markets)
    if min(accounts, width, slots, waiting) < 1 or len(base_ticks) != count:
        raise ValueError(
            f"an exchange needs at least 1 account, tick, slot and waiting order and {count} base prices, not"
            f" {accounts}, {width}, {slots}, {waiting} and {len(base_ticks)}"
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
        waiting=np.zeros(waiting, WAITING_DTYPE),
        taker=np.zeros(1, ORDER_DTYPE),
        owned=np.zeros(accounts, OWNED_DTYPE),
        buckets=np.zeros((2, 1 << slots.bit_length()), np.int32),
        collateral=np.zeros(accounts, np.int64),
        holdings=np.zeros((accounts, count), HOLDING_DTYPE),
        margins=np.zeros((accounts, count), MARGIN_DTYPE),
        resting=np.zeros((accounts, count), RESTING_DTYPE),
        tokens=np.zeros((accounts, int(terms["base_token"].max(initial=0)) + 1), np.int64),
        open_orders=np.zeros(accounts, np.int64),
        builder_fees=np.zeros(accounts, np.int64),
        events=np.zeros(events_for(slots, waiting), VENUE_EVENT_DTYPE),
    )
    for market in range(count):
        exchange.ladders[market] = (base_ticks[market], width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
        exchange.holdings["maker_rate_e9"][:, market] = markets[market]["maker_rate_e9"]
        exchange.holdings["taker_rate_e9"][:, market] = markets[market]["taker_rate_e9"]
    exchange.holdings["leverage"] = 1
    exchange.margins["isolated"][:, markets["kind"] == MarketKind.SPOT] = APART
    for slab in (exchange.orders, exchange.waiting):
        slab["next"] = np.arange(2, len(slab) + 2)
        slab["next"][-1] = 0
    exchange.engine["free"] = exchange.engine["waiting_free"] = 1
    exchange.engine["next_order_id"] = 1
    exchange.engine["next_trade_id"] = 1
    exchange.engine["next_twap_id"] = 1
    exchange.engine["placed_action"] = -1
    exchange.engine["leg"] = -1
    return exchange
