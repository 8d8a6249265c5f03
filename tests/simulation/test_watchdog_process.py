"""The watchdog alone reaches that no order is left, and leaves an engine alone that beats."""

from __future__ import annotations

from pathlib import Path

from hlhft.hyperliquid.watchdog_table import State
from hlhft.simulation.time import SECOND
from hlhft.simulation.world import World
from tests.simulation.worlds import engine_of, pass_until, world_of


def state(world: World) -> State:
    assert world.watchdog is not None
    return world.watchdog.machine.state


def test_it_leaves_an_engine_alone_that_beats(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.time.run(20 * SECOND)
    assert world.watchdog is not None
    assert state(world) is State.ARMED and "CANCELLED" not in world.watchdog.reports


def test_it_cancels_what_a_dead_engine_left_and_proves_it(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    ran_ns = world.time.now_ns
    world.kill_engine(loses=False)
    assert world.judge.own_orders()
    pass_until(world, lambda: not world.judge.own_orders(), limit_s=world.judge.cleared_ns_max // SECOND)
    pass_until(world, lambda: state(world) is State.EMPTY)
    assert world.watchdog is not None and world.watchdog.knows(ran_ns)


def test_one_that_begins_after_the_death_finds_them_too(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.kill_watchdog(loses=True)
    world.kill_engine(loses=False)
    world.time.run(SECOND)
    world.start_watchdog()
    pass_until(world, lambda: not world.judge.own_orders(), limit_s=world.judge.cleared_ns_max // SECOND)


def test_one_that_stood_still_reads_beats_before_it_judges(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    assert world.watchdog is not None
    world.watchdog.freeze()
    world.time.run(15 * SECOND)
    world.watchdog.thaw()
    world.time.run(2 * SECOND)
    assert state(world) is State.ARMED and world.watchdog.reports["SILENT"] == 0
    assert world.watchdog.knows(world.time.now_ns)


def test_without_beats_it_cancels_for_an_engine_that_lives(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    ran_ns = world.time.now_ns
    world.beat_loss = 1.0
    pass_until(world, lambda: state(world) is State.CANCELLING)
    assert world.watchdog is not None
    assert not world.watchdog.knows(world.time.now_ns) and world.watchdog.knows(ran_ns)
    world.beat_loss = 0.0
    pass_until(world, lambda: state(world) is State.RETURNING and engine_of(world).is_trading)
