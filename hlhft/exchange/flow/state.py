"""The population of the synthetic order flow, what each of them remembers, and the numbers that describe a market.

`MarketFlow` is what a person reads and fits: few numbers a market, in basis points, USDC and seconds. `new_flow` makes
of them what the compiled agents work with: whole numbers (subticks, lots, nanoseconds, shares in ONE) and tables. A
subtick is 1 / ONE of a tick; a step is the distance between two valid prices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hlhft.exchange.flow.draws import (
    ONE,
    WAIT_NS_MAX,
    exponential_table,
    log_normal_table,
    new_generators,
    normal_table,
)
from hlhft.units import Market

# Who there is. Accounts are numbered in this order from `first_account`.
MAKERS = 4
LEVELS = 20  # a maker's orders a side
DEEP_LEVELS = 5  # orders a side far from the price, so that no taker empties the book
JOINERS = 40  # orders of the joiners, both sides
DEEP, JOINER, NOISE, INFORMED, MOMENTUM = MAKERS, MAKERS + 1, MAKERS + 2, MAKERS + 3, MAKERS + 4
ACCOUNTS = MAKERS + 5
BURST_ORDERS_MAX = 16

# At most so many legs a market and block beside the opening: every maker moves its whole ladder, every joiner leaves,
# every taker comes.
LEGS_PER_MARKET = MAKERS * (2 * LEVELS + 1) + 2 * DEEP_LEVELS + 2 * JOINERS + 4 + 4 * BURST_ORDERS_MAX + 2 + 2

FAIR_STEP_NS = 25_000_000
HISTORY = 128  # steps of the fair price that are remembered: 3.2 s
LEAN_PLACES = 64
ORACLE_NS = 3_000_000_000  # venue reference section 10: oracle updates every 3 s
DEEP_DISTANCE_E6 = (300, 1_000, 3_000, 10_000, 30_000)
DEEP_SHARES = (5, 10, 20, 50, 200)  # in level notionals
# By the leverage that a market offers: a third of its largest limit order (venue reference section 2).
DEEP_USDC_MAX = ((25, 100e6), (20, 16e6), (10, 6e6), (0, 1.6e6))

IMPACT_USDC = 10_000.0
INFORMED_HOME_ORDERS = 40  # mean orders after which the informed ask for nothing on the way home, and twice away

_MINIMUM_USDC = 12.0  # the venue asks for 10
_WEIGHT_DEVIATION = 1.0  # of the logarithm of a maker's order size
_DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class MarketFlow:
    """One market's order flow. Distances in basis points of the price or in steps, money in USDC."""

    start_price: float
    # The fair price, which nobody trades: it diffuses, and it jumps, at once or followed slowly.
    diffusion_bp: float  # deviation a square-root second
    jumps_per_minute: float
    jump_bp: float  # mean size
    jump_at_once: float  # share of a jump that happens at once
    follow_s: float  # time constant of the rest
    pull_per_day: float  # e-foldings a day back to the start price
    # Makers: ladders around their own late and noisy view of the fair price.
    half_spread_steps: float  # negative: a price is kept until the view is that far beyond it
    view_noise_steps: float
    maker_period_s: float  # a maker acts so often
    maker_delay_s: float  # the first maker's view is so old, the last maker's four times as old
    skew_steps: float  # at a position of ten levels
    level_usdc: float  # resting a level far from the touch, all makers together
    touch_share: float  # of that, at the touch
    ramp_levels: float  # levels until it is reached
    density: float  # share of prices at which a maker has an order
    # Joiners: queue at the touch, on the side that the fair price favours.
    queue_usdc: float
    queue_lean: float
    joins_per_s: float
    improves_per_s: float  # while the spread is wider than a step
    joiner_life_s: float
    # Takers.
    bursts_per_minute: float
    burst_orders: float  # mean
    order_usdc: float  # median
    order_deviation: float  # of its logarithm
    order_usdc_max: float
    informed_per_s: float  # while there is something to take
    informed_usdc: float
    informed_edge_steps: float  # what the price must be wrong by
    momentum_per_s: float
    momentum_edge_bp: float
    impact_bp: float  # what the fair price follows an order of IMPACT_USDC by
    impact_power: float  # larger ones by the ratio of values to this power


FLOW_DTYPE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "start_subticks",
            "diffusion_subticks",  # deviation a fair step
            "jump_wait_ns",
            "jump_subticks",
            "jump_at_once",
            "follow",  # share a fair step, in ONE
            "pull_e12",  # share a fair step
            "half_spread",  # in ONE of a step
            "view_noise",
            "period_ns",
            "delay_steps",
            "skew",  # in ONE of a step at `skew_lots`
            "skew_lots",
            "density",
            "queue_lots",
            "join_wait_ns",
            "improve_wait_ns",
            "leave_wait_ns",
            "burst_wait_ns",
            "burst_more",  # chance of one more order, in ONE
            "informed_wait_ns",
            "informed_lots",
            "home_lots",
            "informed_edge",
            "momentum_wait_ns",
            "momentum_edge_e9",
            "lots_min",
        )
    ]
)

# What the flow remembers of a market.
MARKET_STATE_DTYPE = np.dtype(
    [
        ("fair_subticks", np.int64),
        ("pending_subticks", np.int64),  # what the fair price still has to follow
        ("fair_ns", np.int64),  # time of the last fair step, 0 before the first
        ("fair_steps", np.int64),
        ("next_jump_ns", np.int64),
        ("next_join_ns", np.int64),
        ("next_improve_ns", np.int64),
        ("next_leave_ns", np.int64),
        ("next_burst_ns", np.int64),
        ("next_informed_ns", np.int64),
        ("next_momentum_ns", np.int64),
        ("next_oracle_ns", np.int64),
        ("taken_lots", np.int64),  # what the noise takers asked for, signed
        ("slow_mid_subticks", np.int64),  # 0 before the first
        ("joins", np.int64),  # so far: numbers the joiners' orders
    ]
)

MAKER_DTYPE = np.dtype(
    [
        ("step_ticks", np.int64),  # 0: has no ladder
        ("bid_top", np.int64),  # in steps
        ("ask_top", np.int64),
        ("noise", np.int64),  # in ONE of a step
        ("next_ns", np.int64),
    ]
)

JOINER_DTYPE = np.dtype(
    [
        ("client_id", np.int64),  # 0: free
        ("side", np.int64),
        ("price_ticks", np.int64),
    ]
)


class Flow(NamedTuple):
    """The synthetic order flow of M markets; all arrays are its own."""

    accounts: np.ndarray  # int64[ACCOUNTS]
    numbers: np.ndarray  # FLOW_DTYPE[M]
    states: np.ndarray  # MARKET_STATE_DTYPE[M]
    price_draws: np.ndarray  # GENERATOR_DTYPE[M]: of the fair price and the bursts, whatever the book does
    book_draws: np.ndarray  # GENERATOR_DTYPE[M]
    history: np.ndarray  # int64[M, HISTORY]: fair prices in subticks
    makers: np.ndarray  # MAKER_DTYPE[M, MAKERS]
    deep_ticks: np.ndarray  # int64[M, 2, DEEP_LEVELS]: 0 none
    deep_lots: np.ndarray  # int64[M, DEEP_LEVELS]
    deep_e6: np.ndarray  # int64[DEEP_LEVELS]: distance from the fair price
    joiners: np.ndarray  # JOINER_DTYPE[M, JOINERS]
    level_lots: np.ndarray  # int64[M, LEVELS]: one maker's mean order
    lean: np.ndarray  # int64[M, LEAN_PLACES + 1]: share of the queue, in ONE
    order_lots: np.ndarray  # int64[M, QUANTILES]
    order_impact: np.ndarray  # int64[M, QUANTILES]: of the same order on the fair price, in subticks
    weights: np.ndarray  # int64[QUANTILES]: of mean ONE
    normal: np.ndarray  # int64[QUANTILES]
    exponential: np.ndarray  # int64[QUANTILES]
    blank: np.ndarray  # ACTION_DTYPE[1]: a leg without contents


def legs_max(markets: int) -> int:
    """The most legs of one block, the opening included."""
    return ACCOUNTS * (1 + markets) + markets * LEGS_PER_MARKET


def new_flow(
    markets: Sequence[Market], flows: Sequence[MarketFlow], *, first_account: int, seed: int, blank: np.ndarray
) -> Flow:
    """The flow of `markets`, each by its numbers, with accounts first_account .. first_account + ACCOUNTS - 1.

    `blank` is one empty leg (ACTION_DTYPE[1]). Raises ValueError on a negative seed.
    """
    count = len(markets)
    flow = Flow(
        accounts=np.arange(first_account, first_account + ACCOUNTS, dtype=np.int64),
        numbers=np.zeros(count, FLOW_DTYPE),
        states=np.zeros(count, MARKET_STATE_DTYPE),
        price_draws=new_generators(seed, count),
        book_draws=new_generators(seed + 1_000_003, count),
        history=np.zeros((count, HISTORY), np.int64),
        makers=np.zeros((count, MAKERS), MAKER_DTYPE),
        deep_ticks=np.zeros((count, 2, DEEP_LEVELS), np.int64),
        deep_lots=np.zeros((count, DEEP_LEVELS), np.int64),
        deep_e6=np.array(DEEP_DISTANCE_E6, np.int64),
        joiners=np.zeros((count, JOINERS), JOINER_DTYPE),
        level_lots=np.zeros((count, LEVELS), np.int64),
        lean=np.zeros((count, LEAN_PLACES + 1), np.int64),
        order_lots=np.zeros((count, len(normal_table())), np.int64),
        order_impact=np.zeros((count, len(normal_table())), np.int64),
        weights=log_normal_table(ONE * math.exp(-(_WEIGHT_DEVIATION**2) / 2), _WEIGHT_DEVIATION, 1, 64 * ONE),
        normal=normal_table(),
        exponential=exponential_table(),
        blank=blank,
    )
    for row, (market, numbers) in enumerate(zip(markets, flows)):
        _fill_numbers(flow, row, market, numbers)
        _fill_tables(flow, row, market, numbers)
        flow.states[row]["fair_subticks"] = flow.numbers[row]["start_subticks"]
        flow.history[row] = flow.numbers[row]["start_subticks"]
    return flow


def _fill_numbers(flow: Flow, row: int, market: Market, numbers: MarketFlow) -> None:
    start = round(numbers.start_price * 10**market.price_decimals * ONE)
    step_s = FAIR_STEP_NS / 1e9
    lots = _lots_per_usdc(market, numbers)
    basis = start / 1e4
    values = {
        "start_subticks": start,
        "diffusion_subticks": basis * numbers.diffusion_bp * math.sqrt(step_s),
        "jump_wait_ns": 60e9 / numbers.jumps_per_minute,
        "jump_subticks": basis * numbers.jump_bp,
        "jump_at_once": ONE * numbers.jump_at_once,
        "follow": ONE * -math.expm1(-step_s / numbers.follow_s),
        "pull_e12": 1e12 * numbers.pull_per_day * step_s / _DAY_S,
        "half_spread": ONE * numbers.half_spread_steps,
        "view_noise": ONE * numbers.view_noise_steps,
        "period_ns": 1e9 * numbers.maker_period_s,
        "delay_steps": max(numbers.maker_delay_s / step_s, 1),
        "skew": ONE * numbers.skew_steps,
        "skew_lots": max(10 * lots * numbers.level_usdc, 1),
        "density": ONE * numbers.density,
        "queue_lots": lots * numbers.queue_usdc,
        "join_wait_ns": 1e9 / numbers.joins_per_s,
        "improve_wait_ns": 1e9 / numbers.improves_per_s,
        "leave_wait_ns": 1e9 * numbers.joiner_life_s,
        "burst_wait_ns": 60e9 / numbers.bursts_per_minute,
        "burst_more": ONE * (1 - 1 / numbers.burst_orders),
        "informed_wait_ns": 1e9 / numbers.informed_per_s,
        "informed_lots": max(lots * numbers.informed_usdc, 1),
        "home_lots": max(INFORMED_HOME_ORDERS * lots * numbers.informed_usdc, 1),
        "informed_edge": ONE * numbers.informed_edge_steps,
        "momentum_wait_ns": 1e9 / numbers.momentum_per_s,
        "momentum_edge_e9": 1e5 * numbers.momentum_edge_bp,
        "lots_min": math.ceil(lots * _MINIMUM_USDC),
    }
    for name, value in values.items():
        flow.numbers[row][name] = round(min(value, WAIT_NS_MAX) if name.endswith("_wait_ns") else value)


def _fill_tables(flow: Flow, row: int, market: Market, numbers: MarketFlow) -> None:
    lots = _lots_per_usdc(market, numbers)
    share = numbers.touch_share
    for level in range(LEVELS):
        part = min(level / numbers.ramp_levels, 1.0)
        level_usdc = numbers.level_usdc * (share + (1.0 - share) * part)
        flow.level_lots[row, level] = max(round(lots * level_usdc / (MAKERS * numbers.density)), 1)
    for place in range(LEAN_PLACES + 1):
        distance = 2 * place / LEAN_PLACES - 1  # of the fair price from the mid, toward the other side
        flow.lean[row, place] = round(ONE / (1.0 + math.exp(-numbers.queue_lean * distance)))
    most = next(usdc for leverage, usdc in DEEP_USDC_MAX if market.maximum_leverage >= leverage)
    for level, times in enumerate(DEEP_SHARES):
        flow.deep_lots[row, level] = max(round(lots * min(numbers.level_usdc * times, most)), 1)
    flow.order_lots[row] = log_normal_table(
        lots * numbers.order_usdc, numbers.order_deviation, lots * _MINIMUM_USDC, lots * numbers.order_usdc_max
    )
    basis = float(flow.numbers[row]["start_subticks"]) / 1e4
    for place, order_lots in enumerate(flow.order_lots[row].tolist()):
        size = order_lots / lots / IMPACT_USDC
        flow.order_impact[row, place] = round(basis * numbers.impact_bp * size**numbers.impact_power)


def _lots_per_usdc(market: Market, numbers: MarketFlow) -> float:
    return float(10**market.size_decimals / numbers.start_price)
