"""The order-level engine alone: a day's mix of actions in blocks, all checks on, in one compiled loop.

The stream has four markets and two hundred accounts: 70 % post-only orders and cancels near the touch, 20 % modifies,
10 % immediate orders. Mids walk, so orders are refused, missed and swept as they are at the venue; what became of them
is counted.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from hlhft.compiled import compiled
from hlhft.events import EventKind
from hlhft.units import MICRO, Market
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.matching import execute_block
from hlhft.venue.rules import hyperliquid
from hlhft.venue.state import VENUE_EVENT_DTYPE, Exchange, new_exchange
from tests.bench.figures import Figure, median

MARKETS, ACCOUNTS, ORDERS_EACH = 4, 200, 10
SLOTS = 65_536
ACTIONS, ACTIONS_SHORT = 400_000, 50_000
PER_BLOCK = 50
BASE, WIDTH, MIDDLE = 99_000, 2_000, 1_000
BLOCK_NS = 78_000_000
START_NS = 1_700_000_000 * 10**9


@compiled
def drive(venue, legs, scratch, per_block, start_ns, kinds):
    """Executes the legs in blocks of `per_block`; counts the events of each kind in `kinds`; returns the events."""
    total = 0
    now_ns = start_ns
    for first in range(0, len(legs), per_block):
        block = legs[first : first + per_block]
        now_ns += BLOCK_NS
        execute_block(venue, block, len(block), scratch, now_ns)
        count = venue.engine[0]["event_count"]
        for row in range(count):
            kinds[venue.events[row]["kind"]] += 1
        total += count
        venue.engine[0]["event_count"] = 0
    return total


def exchange() -> Exchange:
    """An exchange with funded accounts and marks, all of the venue's checks on."""
    market = Market.perpetual("ETH", asset_id=1, size_decimals=4, maximum_leverage=25)
    venue = new_exchange(
        np.repeat(market.record(), MARKETS), hyperliquid(), accounts=ACCOUNTS, base_ticks=[BASE] * MARKETS, width=WIDTH,
        slots=SLOTS,
    )  # fmt: skip
    venue.marks[:] = BASE + MIDDLE
    venue.holdings["leverage"] = 10
    venue.collateral[:] = 100_000_000 * MICRO
    return venue._replace(events=np.zeros(100_000, VENUE_EVENT_DTYPE))


def stream(count: int, seed: int) -> np.ndarray:
    """`count` legs, each an action of its own, ACTION_DTYPE. An account names its orders 1 .. ORDERS_EACH a market."""
    dice = np.random.default_rng(seed)
    legs = np.zeros(count, ACTION_DTYPE)
    legs["action"] = np.arange(count)
    legs["account"] = dice.integers(0, ACCOUNTS, count)
    legs["market"] = dice.integers(0, MARKETS, count)
    legs["side"] = dice.choice([-1, 1], count)
    legs["size_lots"] = dice.integers(100, 2000, count)
    own = dice.integers(1, ORDERS_EACH + 1, count)
    kind = dice.random(count)
    middle = BASE + MIDDLE + np.clip(np.cumsum(dice.choice([-1, 0, 1], count)) // 8, -MIDDLE // 2, MIDDLE // 2)
    # Most orders stand within a few ticks of the touch, which the grid of five figures makes ten ticks wide.
    away = 1 + dice.geometric(0.3, count)
    passive = (middle - legs["side"] * 10 * away) // 10 * 10
    legs["price_ticks"] = np.where(kind < 0.9, passive, (middle + legs["side"] * 30) // 10 * 10)
    taken = kind >= 0.9
    legs["time_in_force"] = np.where(taken, TimeInForce.IOC, TimeInForce.ALO)
    legs["client_id"] = np.where(taken, 0, own)
    cancels, modifies = (kind >= 0.35) & (kind < 0.7), (kind >= 0.7) & (kind < 0.9)
    legs["kind"] = np.where(cancels, ActionKind.CANCEL, np.where(modifies, ActionKind.MODIFY, ActionKind.PLACE))
    legs["target_id"] = np.where(cancels | modifies, own, 0)
    legs["target_is_client_id"] = 1
    return legs


def run(legs: np.ndarray) -> tuple[float, np.ndarray, Exchange]:
    """(actions a second, events by kind, the exchange afterwards)."""
    venue, kinds = exchange(), np.zeros(256, np.int64)
    scratch = np.zeros(PER_BLOCK, np.int64)
    begin = time.perf_counter()
    drive(venue, legs, scratch, PER_BLOCK, START_NS, kinds)
    return len(legs) / (time.perf_counter() - begin), kinds, venue


def matching(recordings: Path, *, short: bool) -> list[Figure]:
    """The section's figures; it needs no recordings."""
    legs = stream(ACTIONS_SHORT if short else ACTIONS, seed=1)
    run(legs[: 10 * PER_BLOCK])  # compiles
    runs = [run(legs) for _ in range(1 if short else 5)]
    _, kinds, venue = runs[0]
    assert venue.engine[0]["dropped"] == 0
    section = "matching alone, one core, all checks on"
    share = 100.0 / len(legs)
    return [
        Figure(
            section, "actions: 70 % post-only and cancels, 20 % modifies, 10 % immediate",
            median([rate for rate, _, _ in runs]), "actions/s", minimum=100_000.0, gate=30_000.0,
        ),
        Figure(section, "fills, both sides", share * float(kinds[EventKind.ORDER_FILLED]), "% of actions"),
        Figure(section, "orders rejected", share * float(kinds[EventKind.ORDER_REJECTED]), "% of actions"),
        Figure(section, "cancels of what was gone", share * float(kinds[EventKind.CANCEL_REJECTED]), "% of actions"),
        Figure(section, "orders resting at the end", float(venue.engine[0]["resting"]), ""),
    ]  # fmt: skip
