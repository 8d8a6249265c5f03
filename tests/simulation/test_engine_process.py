"""One life of an engine: it trades, beats, stands still and goes on, and dies at once."""

from __future__ import annotations

from pathlib import Path

from hlhft.simulation.engine_process import LABEL
from hlhft.simulation.time import SECOND
from tests.simulation.worlds import engine_of, pass_until, world_of


def test_it_trades_and_knows_what_the_exchange_knows(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    process = engine_of(world)
    pass_until(world, world.agrees)
    assert process.orders() and process.positions() == world.exchange.positions()
    assert process.session == 1 and process.disk.failures == 0
    assert process.carries_ns(world.time.now_ns) < world.time.now_ns


def test_it_stands_still_and_catches_up(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    process = engine_of(world)
    process.freeze()
    sent = world.judge._left
    world.time.run(3 * SECOND)
    assert world.judge._left == sent and process.carries_ns(world.time.now_ns) == world.time.now_ns
    process.thaw()
    assert any("ms late" in happening.text for happening in process.hub.happenings)
    pass_until(world, lambda: process.is_trading and world.agrees())


def test_no_connection_carries_what_the_venue_would_not_take(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    process = engine_of(world)
    gateway = process.engine.orders.gateway
    free = gateway.settings.posts_max + gateway.settings.posts_kept - gateway.posts_in_flight
    gateway._flights.posts += free - 1
    assert process.carries_ns(world.time.now_ns) < world.time.now_ns
    gateway._flights.posts += 1
    assert process.carries_ns(world.time.now_ns) == world.time.now_ns


def test_a_dead_one_sends_nothing_and_cannot_go_on(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    process = engine_of(world)
    world.kill_engine(loses=True)
    sent = world.judge._left
    process.thaw()
    world.time.run(2 * SECOND)
    assert world.judge._left == sent and not world.network.of(LABEL)
