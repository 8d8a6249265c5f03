"""What a recorded venue remembers: own orders, their places in the queue, holdings, and what it has to say.

`hlhft.venue.recorded` is what happens to it. Everything is allocated once, by `new_venue`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from hlhft.ladder import ASK_NONE, BID_NONE, LADDER_DTYPE
from hlhft.venue.funding import RATE_NONE
from hlhft.venue.holding import HOLDING_DTYPE

ORDER_INDEX = 1024  # the low ten bits of an order id are unique among one lane's live orders in one market


class FillReason(IntEnum):
    """Why an order was filled."""

    NONE = 0
    QUEUE_REACHED = 1
    TRADED_THROUGH = 2
    CROSSED = 3
    TAKER = 4
    LIQUIDATION = 5


VENUE_ORDER_DTYPE = np.dtype(
    [
        ("order_id", np.int64),
        ("lane", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("price_ticks", np.int64),
        ("remaining_lots", np.int64),
        ("front", np.float64),  # recorded lots ahead
        ("traded", np.float64),  # lots printed at the price since the level last changed
        ("front_at_entry", np.float64),
        ("placed_ns", np.int64),
        ("reduce_only", np.int64),
        ("next", np.int64),  # slot + 1 of the next younger own order at the level, or in the free list; 0 none
        ("previous", np.int64),  # slot + 1 of the next older one; of the youngest for the oldest
    ]
)

REPLY_DTYPE = np.dtype(
    [
        ("ts_exch_ns", np.int64),
        ("ts_local_ns", np.int64),
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("aux0", np.int64),
        ("aux1", np.int64),
        ("front", np.float64),  # recorded lots ahead: of a fill just before what caused it, of a placement at entry
        ("front_at_entry", np.float64),
        ("placed_ns", np.int64),
        ("mid_half_ticks", np.int64),  # of a fill: best bid + best ask at the venue then, 0 when one-sided
        ("touch_ticks", np.int64),  # of a placement: the best recorded price of its side then, 0 when there is none
        ("kind", np.int64),
        ("lane", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("maker", np.int64),
        ("reason", np.int64),
    ]
)

EDGE_DTYPE = np.dtype(  # per market
    [
        ("lowest_ask_ticks", np.int64),  # no own ask rests below this
        ("highest_bid_ticks", np.int64),  # no own bid rests above this
        ("resting", np.int64),
        # Order-level recordings: the next change of this level at this instant is of one order, placed then.
        ("change_ns", np.int64),
        ("change_ticks_signed", np.int64),  # negative on the ask side, 0 none
        ("change_placed_ns", np.int64),
    ]
)

VENUE_DTYPE = np.dtype(
    [
        ("free", np.int64),
        ("resting", np.int64),  # own orders of all lanes in all markets
        ("reply_count", np.int64),
        ("dropped", np.int64),
        ("flow", np.int64),  # number of the trade or crossing level at work
        ("untrimmed", np.int64),  # above 0: reduce-only orders may exceed the positions that they close
    ]
)

VENUE_LANE_DTYPE = np.dtype(
    [
        ("open_orders", np.int64),
        ("reduce_only", np.int64),  # how many of them
        ("flow", np.int64),  # the last trade or crossing level that filled the lane
        ("flow_lots", np.int64),  # what the lane had of it
    ]
)

# Per market: the venue's newest asset context.
CONTEXT_DTYPE = np.dtype(
    [
        ("mark_ticks", np.int64),  # 0 unknown
        ("oracle_ticks", np.int64),  # 0 unknown
        ("funding_rate_e12", np.int64),  # RATE_NONE unknown
    ]
)


class RecordedVenue(NamedTuple):
    """The venue's side of a replay. M markets, L lanes, N order slots, W ticks of band."""

    rules: np.ndarray  # RULES_DTYPE[1]
    venue: np.ndarray  # VENUE_DTYPE[1]
    markets: np.ndarray  # MARKET_DTYPE[M]
    edges: np.ndarray  # EDGE_DTYPE[M]
    ladders: np.ndarray  # LADDER_DTYPE[M]
    cells: np.ndarray  # int64[M, 2, W]
    heads: np.ndarray  # int32[M, 2, W]: slot + 1 of the oldest own order at a tick
    orders: np.ndarray  # VENUE_ORDER_DTYPE[N]
    slots: np.ndarray  # int32[L, M, ORDER_INDEX]: slot + 1 by order id
    holdings: np.ndarray  # HOLDING_DTYPE[L, M]
    lanes: np.ndarray  # VENUE_LANE_DTYPE[L]
    replies: np.ndarray  # REPLY_DTYPE[N + ORDER_INDEX]
    contexts: np.ndarray  # CONTEXT_DTYPE[M]


def new_venue(
    markets: np.ndarray, rules: np.ndarray, *, lanes: int, base_ticks: list[int], width: int, slots: int
) -> RecordedVenue:
    """An empty venue for MARKET_DTYPE[M] `markets` with `slots` resting orders over all lanes."""
    count = len(markets)
    venue = RecordedVenue(
        rules=rules.copy(),
        venue=np.zeros(1, VENUE_DTYPE),
        markets=markets.copy(),
        edges=np.zeros(count, EDGE_DTYPE),
        ladders=np.zeros(count, LADDER_DTYPE),
        cells=np.zeros((count, 2, width), np.int64),
        heads=np.zeros((count, 2, width), np.int32),
        orders=np.zeros(slots, VENUE_ORDER_DTYPE),
        slots=np.zeros((lanes, count, ORDER_INDEX), np.int32),
        holdings=np.zeros((lanes, count), HOLDING_DTYPE),
        lanes=np.zeros(lanes, VENUE_LANE_DTYPE),
        replies=np.zeros(slots + ORDER_INDEX, REPLY_DTYPE),
        contexts=np.zeros(count, CONTEXT_DTYPE),
    )
    venue.contexts["funding_rate_e12"] = RATE_NONE
    venue.edges["lowest_ask_ticks"] = ASK_NONE
    venue.edges["highest_bid_ticks"] = BID_NONE
    for market in range(count):
        venue.ladders[market] = (base_ticks[market], width, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
        venue.holdings["maker_rate_e9"][:, market] = markets[market]["maker_rate_e9"]
        venue.holdings["taker_rate_e9"][:, market] = markets[market]["taker_rate_e9"]
    venue.orders["next"] = np.arange(2, slots + 2)
    venue.orders["next"][-1] = 0
    venue.venue["free"] = 1
    return venue
