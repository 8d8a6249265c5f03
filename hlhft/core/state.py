"""What the core remembers: numpy records allocated once, and what crosses its border: views, quotes and commands.

The state has two parts. Market data (books, features) is the same whoever looks at it. A lane is one trader: orders,
position, risk, budgets, strategy memory. Live there is one lane; a sweep runs many lanes over one market-data part.
All arrays of one state are views of one byte buffer, so `buffer.tobytes()` is a snapshot. Prices are ticks, sizes lots,
times nanoseconds, money micro-USDC, unless a name says otherwise.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

import numpy as np

from hlhft.ladder import LADDER_DTYPE, new_header
from hlhft.units import MARKET_DTYPE

STATE_SCHEMA = 2  # of all that a snapshot holds: raise it with every change of a record below
LEVELS = 20  # levels a side that the snapshot book keeps (venue reference section 6.2)
VIEW_LEVELS = 5  # levels a side that a strategy sees
ORDERS_PER_MARKET = 128  # order slots of one lane in one market
QUOTES_MAX = 64  # quotes one strategy call may return
PARAMS_BYTES = 512
MEMORY_BYTES = 4096
WAITING_MAX = 256  # commands that batching may hold back
REFUSALS = 24  # room for refusal codes
PEAK_BUCKETS = 61  # one-minute buckets behind the rolling one-hour equity peak
SLOT_BITS = 10  # order id = sequence << SLOT_BITS | slot


class Mode(IntEnum):
    """What the lane may do."""

    ACTIVE = 0
    REDUCING = 1  # only orders that reduce the position
    HALTED = 2  # nothing but cancels, and closing where the breaker asks for it


class OrderState(IntEnum):
    """The life of an order; transitions are the table in `hlhft.core.orders`."""

    FREE = 0
    NEW = 1
    SENT = 2
    UNKNOWN = 3
    OPEN = 4
    PARTIAL = 5
    CANCEL_SENT = 6
    REPLACING = 7
    DONE_FILLED = 8
    DONE_CANCELLED = 9
    DONE_REJECTED = 10
    DONE_EXPIRED = 11


class TimeInForce(IntEnum):
    """How an order may execute (venue reference section 4.1)."""

    ALO = 0
    GTC = 1
    IOC = 2


class CommandKind(IntEnum):
    """What the core wants sent."""

    NONE = 0
    PLACE = 1
    CANCEL = 2
    MODIFY = 3


class CommandClass(IntEnum):
    """The venue orders these inside a block; an action holds one class only (venue reference section 8)."""

    CANCEL = 0
    ALO = 1
    OTHER = 2


class Feature(IntFlag):
    """What a strategy can ask for; nothing else is computed."""

    NONE = 0
    MICRO_PRICE = 1
    IMBALANCE = 2
    ORDER_FLOW_IMBALANCE = 4
    TRADE_IMBALANCE = 8
    VOLATILITY = 16
    VAMP = 32
    INTENSITY = 64  # online calibration of fill intensity A and k
    ALL = 127


class MarketState(IntEnum):
    """Whether a market's data is good enough to quote on, as the shell judges it."""

    FRESH = 0
    STALE = 1
    CLOSED = 2  # delisted, or not ours to trade


class BookKind(IntEnum):
    """Which book a market has."""

    LADDER = 0  # incremental
    SNAPSHOT = 1  # full snapshots merged by level range


LEVEL_DTYPE = np.dtype(
    [("price_ticks", np.int64), ("size_lots", np.int64), ("orders", np.int64), ("time_ns", np.int64)]
)

BOOK_DTYPE = np.dtype(
    [
        ("kind", np.int64),  # BookKind
        ("ladder_index", np.int64),  # row of the ladder arrays, -1 for a snapshot book
        ("front", np.int64),  # which of the two level buffers is readable
        ("bid_count", np.int64),
        ("ask_count", np.int64),
        ("previous_bid_count", np.int64),
        ("previous_ask_count", np.int64),
        ("best_bid_ticks", np.int64),  # 0 when the side is empty
        ("best_bid_lots", np.int64),
        ("best_ask_ticks", np.int64),
        ("best_ask_lots", np.int64),
        ("time_exch_ns", np.int64),  # newest block time seen on any book channel
        ("time_local_ns", np.int64),  # newest receipt on any book channel: trades do not make a book fresh
        ("source_time_ns", np.int64, (3,)),  # block time by source: full depth, fast, bbo
        ("source_limit", np.int64, (3,)),  # levels a side the source can carry
        ("source_count", np.int64, (3, 2)),
        ("writing", np.int64),  # source of the snapshot being written, -1 when none
        ("mark_ticks", np.int64),
        ("oracle_ticks", np.int64),
        ("funding_rate_e12", np.int64),
        ("premium_e12", np.int64),
        ("context_time_ns", np.int64),
        ("last_trade_ticks", np.int64),
        ("last_trade_side", np.int64),
        ("contains_own", np.int64),  # 1 when the book includes our resting orders (live), 0 in replays
        ("market_state", np.int64),  # MarketState, as the shell judges its streams
    ]
)

# Features as the strategy sees them; prices in ticks as float64. NaN never appears: a feature without data is 0 and
# `ready` lacks its bit.
FEATURES_DTYPE = np.dtype(
    [
        ("ready", np.int64),  # Feature bits that hold a value
        ("micro_price", np.float64),
        ("mid_price", np.float64),
        ("vamp", np.float64),
        ("imbalance", np.float64, (VIEW_LEVELS,)),  # cumulative to level i, -1..1
        ("order_flow_imbalance", np.float64, (VIEW_LEVELS,)),  # decayed, per level, lots
        ("trade_imbalance", np.float64),  # decayed signed volume over decayed volume, -1..1
        ("volatility", np.float64, (3,)),  # EWMA, ticks per square root of a second, at 1 s, 10 s and 60 s
        ("spread_ticks", np.float64),
        ("intensity_a", np.float64),  # fills per second at distance 0
        ("intensity_k", np.float64),  # decay per tick
    ]
)

ORDER_DTYPE = np.dtype(
    [
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("remaining_lots", np.int64),
        ("sent_ns", np.int64),
        ("acknowledged_ns", np.int64),
        ("expires_ns", np.int64),
        ("venue_order_id", np.int64),
        ("state", np.int64),  # OrderState
        ("side", np.int64),
        ("time_in_force", np.int64),
        ("reduce_only", np.int64),
        ("batch_id", np.int64),  # action of its newest command while nobody answered it, 0 none
        ("unknown_ns", np.int64),  # since when its fate is unknown, 0 known
        ("replacement_ticks", np.int64),  # price of a modification that nobody has answered yet, 0 none
        ("replacement_lots", np.int64),  # its size, which `remaining_lots` counts beside what is left of the order
    ]
)

# One lane in one market.
POSITION_DTYPE = np.dtype(
    [
        ("position_lots", np.int64),
        ("cash_quanta", np.int64),  # ticks x lots, exact; negative after buying
        ("fee_micro", np.int64),
        ("funding_micro", np.int64),
        ("maker_quanta", np.int64),  # traded as maker, ticks x lots
        ("taker_quanta", np.int64),
        ("traded_lots", np.int64),
        ("fills", np.int64),
        ("maker_rate_e9", np.int64),
        ("taker_rate_e9", np.int64),
        ("active_count", np.int64),  # entries of `active` in use
        ("open_buy_lots", np.int64),  # lots that could still be bought by orders not proven dead
        ("open_sell_lots", np.int64),
        ("signal_e9", np.int64),
        ("signal_deviation_e9", np.int64),
        ("signal_until_ns", np.int64),
        ("quoted_ns", np.int64),  # time with orders on both sides
        ("quoted_since_ns", np.int64),  # start of the present such time, 0 none
        ("free_hint", np.int64),  # where the search for a free slot begins
        ("stated", np.int64),  # 1 once the venue's position at the start of the session was taken over
        ("pair", np.int64),  # 1 + the market that holds the other leg of a carry pair, 0 none
        ("unhedged_micro_max", np.int64),  # of such a pair: notional that may stand without its other leg; 0 no cap
        ("policy_gamma_e6", np.int64),  # as hlhft.core.signals bounds them; they count until the time below
        ("policy_signal_e6", np.int64),
        ("policy_spread_e6", np.int64),
        ("policy_asymmetry_e6", np.int64),
        ("policy_until_ns", np.int64),
    ]
)

LANE_DTYPE = np.dtype(
    [
        ("mode", np.int64),  # Mode
        ("halt_code", np.int64),  # hlhft.core.risk.Breaker of the first trip, 0 none
        ("latches", np.int64),  # bit per breaker that needs an operator
        ("order_sequence", np.int64),
        ("batch_sequence", np.int64),
        ("strategy_address", np.int64),
        ("strategy_failures", np.int64),
        ("quote_fault", np.int64),  # hlhft.core.quotes.QuoteFault of the failure
        ("next_timer_ns", np.int64),
        ("decisions", np.int64),
        ("placed", np.int64),
        ("cancelled", np.int64),
        ("refused", np.int64),
        ("transfers_micro", np.int64),  # net deposits since start
        ("starting_equity_micro", np.int64),
        ("equity_micro", np.int64),
        ("peak_micro", np.int64, (PEAK_BUCKETS,)),
        ("peak_bucket", np.int64),  # index of the running minute
        ("peak_next_ns", np.int64),  # when the running minute ends
        ("peak_max_micro", np.int64),  # highest of all buckets
        ("pause_until_ns", np.int64),  # a breaker that does not latch keeps us out until then
        ("exposure_micro", np.int64),  # worst case over all markets at the last decision
        ("close_at_market", np.int64),  # 1 while positions are closed: `must_be_flat` and not proven flat
        ("rejections", np.int64),
        ("rejection_window_ns", np.int64),
        ("tick_to_trade_ns", np.int64),  # newest measured
        ("acknowledgement_ns", np.int64),  # newest measured
        ("address_actions", np.int64),  # ledger: actions used
        ("address_allowance", np.int64),
        ("address_initial", np.int64),
        ("volume_micro", np.int64),
        ("volume_fills", np.int64),  # fills that the volume counts
        ("ip_weight_e3", np.int64),  # token buckets in thousandths
        ("ip_time_ns", np.int64),
        ("messages_e3", np.int64),
        ("messages_time_ns", np.int64),
        ("posts_in_flight", np.int64),
        ("orders_open", np.int64),
        ("connected", np.int64),  # 1 up, -1 lost; 0 not up yet in this session
        ("venue_mode", np.int64),
        ("now_ns", np.int64),
        ("margin_value_micro", np.int64),
        ("margin_used_micro", np.int64),
        ("maintenance_micro", np.int64),
        ("batch_busy_until_ns", np.int64, (3,)),  # by CommandClass: when the last action should be answered
        ("batch_waiting_since_ns", np.int64, (3,)),  # oldest command held back, 0 none
        ("waiting_count", np.int64),
        ("illegal_transitions", np.int64),
        ("orphan_fills", np.int64),
        ("refusals", np.int64, (REFUSALS,)),  # by hlhft.core.risk.RiskRefusal
        ("reducing_until_ns", np.int64),  # a used-up budget allows only reductions until then, 0 none
        ("must_be_flat", np.int64),  # 1 from a breaker that closes, or an operator's flatten, until resumed
        ("stopping", np.int64),  # 1 once this process is to send nothing but cancels, for ever
        ("restored_peak_micro", np.int64),  # of an earlier session, until the first decision takes it over
        ("restored_peak_ns", np.int64),
        ("amended", np.int64),
        ("equity_gap_micro", np.int64),  # the venue's equity less ours, transfers included, at the last check
        ("signals_ignored", np.int64),  # what models said that made no sense
        ("policies_ignored", np.int64),
        ("policies_clamped", np.int64),  # those that were brought within their bounds
    ]
)

# Limits and settings, constant during a run; built from the configuration. 0 disables a limit only where said.
LIMITS_DTYPE = np.dtype(
    [
        ("tick_to_trade_ns_max", np.int64),
        ("drawdown_e6_max", np.int64),  # share of the peak in 1e-6
        ("feed_age_ns_max", np.int64),  # 0 off
        ("acknowledgement_ns_max", np.int64),  # 0 off
        ("position_notional_micro_max", np.int64),  # worst case, per market
        ("exposure_micro_max", np.int64),  # worst case, all markets
        ("order_notional_micro_max", np.int64),
        ("position_lots_max", np.int64),  # worst case per market in lots, 0 off
        ("price_band_e6", np.int64),  # largest distance of an order from the mid, 1e-6 of it; 0 off
        ("margin_distance_e6_min", np.int64),  # 0 off
        ("rejections_max", np.int64),  # within the window, post-only rejections not counted; 0 off
        ("rejection_window_ns", np.int64),
        ("unknown_age_ns_max", np.int64),  # 0 off
        ("clock_step_ns_max", np.int64),  # 0 off
        ("address_reserve", np.int64),  # actions kept back for cancels
        ("address_enforced", np.int64),  # 0 off (replays of other venues)
        ("ip_weight_per_minute", np.int64),
        ("messages_per_minute", np.int64),
        ("posts_in_flight_max", np.int64),
        ("open_orders_max", np.int64),
        ("legs_max", np.int64),  # orders or cancels in one action
        ("batch_window_ns", np.int64),
        ("batch_busy_ns_max", np.int64),  # longest time an unanswered action holds later ones back
        ("expires_after_ns", np.int64),  # 0: placements carry no expiry
        ("features", np.int64),  # Feature mask
        ("interval_ns", np.int64),  # decide on a timer; 0 off
        ("decide_on_frame", np.int64),
        ("decide_on_fill", np.int64),
        ("markets", np.int64),
        (
            "spot_held_only",
            np.int64,
        ),  # 1: spot is sold as far as it is held (live); 0: also short, as in recordings
        ("amend", np.int64),  # 1: one modification instead of a cancel and a placement
        ("requote_e6_min", np.int64),  # an order this near to a wanted price, 1e-6 of it, stays; 0: only at that price
    ]
)

# What a strategy sees of one market.
VIEW_DTYPE = np.dtype(
    [
        ("now_ns", np.int64),
        ("market", np.int64),
        ("best_bid_ticks", np.int64),
        ("best_ask_ticks", np.int64),
        ("best_bid_lots", np.int64),
        ("best_ask_lots", np.int64),
        ("bid_ticks", np.int64, (VIEW_LEVELS,)),  # filled when features are declared, else 0
        ("bid_lots", np.int64, (VIEW_LEVELS,)),
        ("ask_ticks", np.int64, (VIEW_LEVELS,)),
        ("ask_lots", np.int64, (VIEW_LEVELS,)),
        ("book_age_ns", np.int64),
        ("depth_age_ns", np.int64),
        ("mark_ticks", np.int64),
        ("oracle_ticks", np.int64),
        ("funding_rate_e12", np.int64),
        ("position_lots", np.int64),
        ("open_buy_lots", np.int64),
        ("open_sell_lots", np.int64),
        ("working_orders", np.int64),
        ("maker_rate_e9", np.int64),
        ("taker_rate_e9", np.int64),
        ("signal_e9", np.int64),
        ("signal_deviation_e9", np.int64),
        ("signal_valid", np.int64),
        ("mode", np.int64),
        ("tick_size", np.float64),
        ("lot_size", np.float64),
        ("grid_rule", np.int64),
        ("grid_step_ticks", np.int64),
        ("whole_unit_ticks", np.int64),
        ("equity_micro", np.int64),
        ("features", FEATURES_DTYPE),
        ("kind", np.int64),  # hlhft.units.MarketKind
        ("tradable", np.int64),  # 1 when a quote of this market can become an order now, by its data
        ("unknown_orders", np.int64),  # orders whose fate nobody knows
        ("minimum_notional_micro", np.int64),  # what an order must be worth, reductions apart
        ("funding_known", np.int64),  # 1 once the venue named a funding rate
        ("policy_valid", np.int64),  # 1 while a policy stands; without one the four below are neutral
        ("policy_gamma_e6", np.int64),  # multiplies the risk aversion, neutral 1e6
        ("policy_signal_e6", np.int64),  # multiplies the weight of the signal, neutral 1e6
        ("policy_spread_e6", np.int64),  # multiplies the model's half-spread, neutral 1e6
        ("policy_asymmetry_e6", np.int64),  # share of the half-spread that moves the centre up, neutral 0
    ]
)

QUOTE_DTYPE = np.dtype(
    [
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("market", np.int64),
        ("side", np.int64),
        ("time_in_force", np.int64),  # TimeInForce; ALO rests, IOC is an immediate intent
        ("reduce_only", np.int64),
    ]
)

COMMAND_DTYPE = np.dtype(
    [
        ("ts_ns", np.int64),
        ("order_id", np.int64),
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("expires_ns", np.int64),
        ("batch_id", np.int64),
        ("market", np.int64),
        ("kind", np.int64),
        ("command_class", np.int64),
        ("side", np.int64),
        ("time_in_force", np.int64),
        ("reduce_only", np.int64),
    ]
)


class MarketData(NamedTuple):
    """The part of the state that does not depend on who trades. M markets, D ladder books."""

    markets: np.ndarray  # MARKET_DTYPE[M]
    books: np.ndarray  # BOOK_DTYPE[M]
    levels: np.ndarray  # LEVEL_DTYPE[M, 2 buffers, 2 sides, LEVELS]: the merged book and the one before
    sources: np.ndarray  # LEVEL_DTYPE[M, 3 sources, 2 sides, LEVELS]: newest frame of each channel
    features: np.ndarray  # FEATURES_DTYPE[M]
    feature_memory: np.ndarray  # float64[M, 128], owned by hlhft.core.features
    ladders: np.ndarray  # LADDER_DTYPE[D]
    cells: np.ndarray  # int64[D, 2, width]


class Lane(NamedTuple):
    """One trader's part of the state. M markets, S = ORDERS_PER_MARKET."""

    lane: np.ndarray  # LANE_DTYPE[1]
    positions: np.ndarray  # POSITION_DTYPE[M]
    orders: np.ndarray  # ORDER_DTYPE[M, S]
    active: np.ndarray  # int16[M, S]: slots in use, oldest first
    params: np.ndarray  # uint8[PARAMS_BYTES]
    memory: np.ndarray  # uint8[MEMORY_BYTES]
    views: np.ndarray  # VIEW_DTYPE[M], scratch
    quotes: np.ndarray  # QUOTE_DTYPE[QUOTES_MAX], scratch
    waiting: np.ndarray  # COMMAND_DTYPE[WAITING_MAX]: commands that batching holds back, oldest first


def market_data_fields(markets: int, ladders: int, width: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Names, dtypes and shapes of MarketData's arrays, in order."""
    return {
        "markets": (MARKET_DTYPE, (markets,)),
        "books": (BOOK_DTYPE, (markets,)),
        "levels": (LEVEL_DTYPE, (markets, 2, 2, LEVELS)),
        "sources": (LEVEL_DTYPE, (markets, 3, 2, LEVELS)),
        "features": (FEATURES_DTYPE, (markets,)),
        "feature_memory": (np.dtype(np.float64), (markets, 128)),
        "ladders": (LADDER_DTYPE, (ladders,)),
        "cells": (np.dtype(np.int64), (ladders, 2, width)),
    }


def lane_fields(markets: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Names, dtypes and shapes of Lane's arrays, in order."""
    return {
        "lane": (LANE_DTYPE, (1,)),
        "positions": (POSITION_DTYPE, (markets,)),
        "orders": (ORDER_DTYPE, (markets, ORDERS_PER_MARKET)),
        "active": (np.dtype(np.int16), (markets, ORDERS_PER_MARKET)),
        "params": (np.dtype(np.uint8), (PARAMS_BYTES,)),
        "memory": (np.dtype(np.uint8), (MEMORY_BYTES,)),
        "views": (VIEW_DTYPE, (markets,)),
        "quotes": (QUOTE_DTYPE, (QUOTES_MAX,)),
        "waiting": (COMMAND_DTYPE, (WAITING_MAX,)),
    }


def allocate(fields: dict[str, tuple[np.dtype, tuple[int, ...]]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """One zeroed uint8 buffer and its views, 64-byte aligned relative to the buffer's start."""
    offsets, total = [], 0
    for dtype, shape in fields.values():
        offsets.append(total)
        size = dtype.itemsize * int(np.prod(shape))
        total += -(-size // 64) * 64
    buffer = np.zeros(max(total, 64), dtype=np.uint8)
    views = []
    for offset, (dtype, shape) in zip(offsets, fields.values(), strict=True):
        size = dtype.itemsize * int(np.prod(shape))
        views.append(buffer[offset : offset + size].view(dtype).reshape(shape))
    return buffer, views


def new_market_data(markets: np.ndarray, ladders: int, width: int) -> tuple[np.ndarray, MarketData]:
    """An empty market-data part for MARKET_DTYPE[M] `markets` and its buffer; its ladders begin at price 0."""
    buffer, views = allocate(market_data_fields(len(markets), ladders, width))
    data = MarketData(*views)
    data.markets[:] = markets
    data.books["ladder_index"] = -1
    data.books["writing"] = -1
    data.ladders[:] = new_header(0, width)
    return buffer, data


def new_lane(markets: int) -> tuple[np.ndarray, Lane]:
    """An empty lane over `markets` markets and its buffer."""
    buffer, views = allocate(lane_fields(markets))
    return buffer, Lane(*views)


def new_lanes(lanes: int, markets: int) -> Lane:
    """Arrays of `lanes` empty lanes: a Lane whose every array has a leading lane axis."""
    return Lane(*(np.zeros((lanes, *shape), dtype) for dtype, shape in lane_fields(markets).values()))
