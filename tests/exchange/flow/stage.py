"""A market for tests of the order flow: round numbers, an exchange without margin, and block after block."""

from __future__ import annotations

import dataclasses

import numpy as np

from hlhft.exchange.flow.draws import ONE
from hlhft.exchange.flow.rehearsal import START_NS, Rehearsal, new_rehearsal
from hlhft.exchange.flow.state import MarketFlow
from hlhft.units import Market
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.matching import execute_block

# A valid price is a whole number here: a step is ten ticks, a tick 0.1 USDC, a lot 0.00001 BTC.
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5, maximum_leverage=40)
STEP = 10
MS = 1_000_000
BLOCK_NS = 75 * MS

CALM = MarketFlow(
    start_price=100_000.0,
    diffusion_bp=0.02,
    jumps_per_minute=6.0,
    jump_bp=1.0,
    jump_at_once=0.4,
    follow_s=0.6,
    pull_per_day=2.0,
    half_spread_steps=0.1,
    view_noise_steps=0.1,
    maker_period_s=0.2,
    maker_delay_s=0.05,
    skew_steps=0.3,
    level_usdc=200_000.0,
    touch_share=0.2,
    ramp_levels=10.0,
    density=1.0,
    queue_usdc=2_000_000.0,
    queue_lean=6.0,
    joins_per_s=7.0,
    improves_per_s=5.0,
    joiner_life_s=1.2,
    bursts_per_minute=70.0,
    burst_orders=1.7,
    order_usdc=100.0,
    order_deviation=2.5,
    order_usdc_max=2_000_000.0,
    informed_per_s=1.0,
    informed_usdc=300_000.0,
    informed_edge_steps=0.5,
    momentum_per_s=0.1,
    momentum_edge_bp=1.0,
    impact_bp=0.01,
    impact_power=0.3,
)
# Nothing happens by itself within an hour.
STILL = dataclasses.replace(
    CALM,
    diffusion_bp=0.0,
    jumps_per_minute=1e-6,
    view_noise_steps=0.0,
    joins_per_s=1e-6,
    improves_per_s=1e-6,
    joiner_life_s=1e6,
    bursts_per_minute=1e-6,
    momentum_per_s=1e-6,
)


def stage(numbers: MarketFlow = CALM, *, seed: int = 1, seconds: float = 60.0, markets: int = 1) -> Rehearsal:
    return new_rehearsal([BTC] * markets, [numbers] * markets, seed=seed, seconds=seconds)


def changed(numbers: MarketFlow, **values: float) -> MarketFlow:
    return dataclasses.replace(numbers, **values)


class Legs:
    """Room for legs, and what stands in it in words."""

    def __init__(self, room: int = 2_000) -> None:
        self.rows = np.zeros(room, ACTION_DTYPE)
        self.count = 0

    def take(self, count: int) -> np.ndarray:
        self.count = int(count)
        return self.rows[: self.count]

    def kinds(self) -> list[ActionKind]:
        return [ActionKind(int(kind)) for kind in self.rows["kind"][: self.count]]


def execute(rehearsal: Rehearsal, legs: np.ndarray, ts_ns: int) -> np.ndarray:
    """Executes legs as a block and returns its events."""
    venue = rehearsal.venue
    execute_block(venue, legs, len(legs), np.zeros(max(len(legs), 1), np.int64), ts_ns)
    events = venue.events[: venue.engine[0]["event_count"]].copy()
    venue.engine[0]["event_count"] = 0
    return events


def set_fair(rehearsal: Rehearsal, price: float, market: int = 0) -> None:
    """The fair price is this now, and was it for a long time."""
    subticks = round(price * 10) * ONE
    rehearsal.flow.states[market]["fair_subticks"] = subticks
    rehearsal.flow.history[market] = subticks


def resting(rehearsal: Rehearsal, account: int, market: int = 0) -> dict[tuple[int, int], int]:
    """Lots by (side, price in ticks) of an account's orders."""
    found = {}
    for order in rehearsal.venue.orders:
        if order["order_id"] != 0 and order["account"] == account and order["market"] == market:
            key = int(order["side"]), int(order["price_ticks"])
            assert key not in found
            found[key] = int(order["remaining_lots"])
    return found


def settle(rehearsal: Rehearsal, seconds: float) -> None:
    rehearsal.run_until(START_NS + round(seconds * 1e9))
