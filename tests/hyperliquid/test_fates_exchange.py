"""Fates against the embedded exchange in virtual time: whatever the wire loses and reorders, the books agree."""

from __future__ import annotations

import pytest

from tests.exchange.clients import ETH
from tests.hyperliquid.fate_world import EXPIRY_MS, Faults, World

STEPS = 80
ROUNDS_MAX = 12


def run(seed: int, faults: Faults, steps: int = STEPS) -> World:
    """A stretch of trading with faults, then calm: everything is asked about until nothing is open."""
    world = World(seed, faults)
    draw = world.random
    for _ in range(steps):
        deed = draw.choices(
            (world.place, world.cancel, world.modify, world.trade, world.deliver, world.ask, world.reconnect),
            (3, 2, 1.5, 3, 10, 1, 0.2),
        )[0]
        deed()
        world.advance(draw.choice((1, 1, 5, 30)))
        world.give_up()
        if draw.random() < 0.05:
            world.list_orders()
    settle(world)
    return world


def settle(world: World) -> None:
    world.faults = Faults(0, 0, 0, 0, 0)
    while world.pending:
        world.deliver()
    world.advance(2 * EXPIRY_MS)
    while world.pending:
        world.deliver()
    world.give_up(after_ms=0)
    for _ in range(ROUNDS_MAX):
        world.advance(1100)
        world.list_orders()
        world.advance(1100)
        world.ask()


def check(world: World) -> None:
    """Trader and exchange agree on everything."""
    resting = {int(name, 16): lots for name, lots in world.true_orders().items()}
    ours = {one.cloid: one for one in world.fates.live_orders()}
    assert set(resting) == set(ours), "what rests is known, and nothing else is"
    for name, one in ours.items():
        is_same = one.left_lots == resting[name]
        assert is_same or (one.reduce_only and one.left_lots > resting[name]), "only what shrinks may be less"
    active = world.lane.orders[ETH, world.lane.active[ETH, : world.position["active_count"]]]
    counted = dict(zip(active["order_id"].tolist(), active["remaining_lots"].tolist(), strict=True))
    assert counted == {one.order_id: one.left_lots for one in world.fates.live_orders()}, (
        "and the core counts just that"
    )
    assert world.position["position_lots"] == world.true_position()
    assert world.lane.lane[0]["orphan_fills"] == 0


@pytest.mark.parametrize("seed", range(10))
def test_the_books_agree_after_every_storm(seed: int) -> None:
    check(run(seed, Faults()))


@pytest.mark.parametrize("seed", range(3))
def test_the_books_agree_when_hardly_anything_arrives(seed: int) -> None:
    check(run(seed, Faults(lost_posts=0.3, lost_answers=0.5, lost_frames=0.5, doubled=0.3, voids=0.5)))


@pytest.mark.parametrize("seed", range(3))
def test_the_books_agree_when_all_comes_late_and_twice(seed: int) -> None:
    world = run(seed, Faults(0, 0, 0, 0.3, 0))
    check(world)
    assert world.fates.counters["FORGOTTEN"] == 0
