"""Worlds for tests: an engine that trades in one, and what somebody else does with its key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.wire import cloid_text
from hlhft.simulation.account import ENGINE
from hlhft.simulation.client import Client, order, orders
from hlhft.simulation.engine_process import EngineProcess
from hlhft.simulation.faults import Fault
from hlhft.simulation.judge import Promise, Violation
from hlhft.simulation.settings import DEFAULT
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World

FAR_NS = 20 * SECOND  # from the exchange's time to the nonces of somebody else


def world_of(folder: Path, plan: Sequence[Fault] = (), *, seed: int = 1) -> World:
    """Both processes run with the default settings, the engine trades, and orders of its rest at the exchange."""
    world = World(seed, folder, plan, DEFAULT)
    world.start_watchdog()
    world.start_engine()
    pass_until(world, lambda: engine_of(world).is_trading and len(world.judge.own_orders()) > 1)
    return world


def engine_of(world: World) -> EngineProcess:
    assert world.engine is not None
    return world.engine


def pass_until(world: World, holds: Callable[[], bool], *, limit_s: int = 120) -> None:
    """Lets time pass until it holds."""
    for _ in range(20 * limit_s):
        if holds():
            return
        world.time.run(50 * MS)
    raise AssertionError(f"it did not come to hold in {limit_s} s")


def breaks(world: World, promise: Promise, *, seconds: int = 30) -> str:
    """Lets time pass until that promise is seen to be broken; says how."""
    with pytest.raises(Violation) as found:
        world.time.run(seconds * SECOND)
    assert found.value.promise is promise, found.value
    return str(found.value)


def place(world: World, *cloids: Cloid) -> None:
    """Places orders far from the market that bear these ids, with the engine's key."""
    client = Client(ENGINE, nonce=(world.time.now_ns + FAR_NS) // MS)
    ticks = int(world.marks[0]) * 97 // 100
    price = f"{ticks // 10 * 10 / 10:.0f}"
    made = [
        order(asset=0, buys=True, price=price, size="0.001", tif="Alo", cloid=cloid_text(cloid.number()))
        for cloid in cloids
    ]
    taken = world.exchange.machine.admit(client.body(orders(*made)), client.label, world.time.now_ns)
    assert isinstance(taken, int), taken
