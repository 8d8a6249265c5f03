"""A gateway, the fates of its orders and the embedded exchange: whatever the network does, all agree in the end.

A failing seed is in the name of its test.
"""

from __future__ import annotations

import msgspec
import pytest

from hlhft.hyperliquid import account_requests as questions
from hlhft.hyperliquid.fates_records import HALTING as FATES_HALTING
from hlhft.hyperliquid.gateway_events import HALTING, CancelOwn, Gate, ReportCode
from hlhft.hyperliquid.reading import Fault
from tests.hyperliquid.gateway_world import FROM_MS, MS, S, World

SEEDS = range(5)


def finish(world: World) -> None:
    """The network is well again, nothing more is placed, and all that rests is cancelled."""
    world.loss = world.late = world.twice = world.cut = 0.0
    if not world.feed:
        world.subscribe()
    world.tell(Gate(is_open=False))
    for _ in range(3):
        world.run(10 * S)
        world.tell(CancelOwn())
    world.run(10 * S)
    world.read_all()
    world.run(5 * S)


def check(world: World) -> None:
    """Nothing is open, nothing happened twice, and both ledgers are equal."""
    assert world.gateway.is_quiet
    assert world.nonces.unanswered == ()
    assert world.fates.live_orders() == ()
    assert world.fates.doubts(world.now_ns) == ()
    assert world.fates.is_empty_proven
    assert [order_id for order_id, is_over in world.placed.items() if not is_over] == []
    assert world.gateway.posts_in_flight == 0
    for bodies in world.bodies.values():
        actions = [msgspec.json.decode(body)["action"]["type"] for body in bodies]
        assert len(actions) - actions.count("noop") <= 1, "one nonce, one action"
        assert len(actions) <= 2
    state = world.reader.state(world.info(questions.of_user(questions.InfoKind.STATE, world.us.address).body))
    assert not isinstance(state, Fault)
    held = {position.market: position.lots for position in state.positions}
    assert world.position == [held.get(0, 0), held.get(1, 0)]
    fills = world.reader.fills(world.info(questions.of_time(questions.InfoKind.FILLS, world.us.address, FROM_MS).body))
    assert not isinstance(fills, Fault)
    assert world.fee_micro == sum(fill.fee_micro for fill in fills)
    assert not [found.report for found in world.found if found.report.code in FATES_HALTING]
    assert not [report for report in world.reports if report.code in HALTING]


def test_over_a_healthy_network_all_is_answered() -> None:
    world = World(0)
    world.run(15 * S, every_ns=150 * MS)
    finish(world)
    check(world)
    assert sum(world.placed.values()) > 50
    codes = {report.code for report in world.reports}
    assert not codes & {ReportCode.UNANSWERED, ReportCode.VOIDED, ReportCode.LANDED, ReportCode.TROUBLE}


@pytest.mark.parametrize("seed", SEEDS)
def test_over_a_network_that_loses_delays_repeats_and_cuts(seed: int) -> None:
    world = World(seed, with_delays=seed % 4 != 3)
    for _ in range(4):
        world.loss, world.late, world.twice, world.cut = (
            world.random.choice((0.0, 0.05, 0.3)), world.random.choice((0.0, 0.2)),
            world.random.choice((0.0, 0.2)), world.random.choice((0.0, 0.02, 0.1)),
        )  # fmt: skip
        world.run(4 * S, every_ns=150 * MS)
        if world.feed and world.chance(0.5):
            world.unsubscribe()
        elif not world.feed:
            world.subscribe()
    finish(world)
    check(world)


def test_without_any_connection_everything_is_settled_over_http() -> None:
    world = World(1)
    world.run(3 * S, every_ns=150 * MS)
    for lane in (0, 1):
        world.disconnect(lane)
    world.later.clear()
    finish(world)
    check(world)
