"""A part of `make kills`, and that its judges notice what they are there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.venue import ENGINE
from hlhft.simulation.world import World
from tests.exchange.clients import Client
from tests.simulation.kills import CLEARED_NS_MAX, Life, Tally, live

SEEDS = (1, 2, 3, 5, 8)
KILLS = 10


@pytest.mark.parametrize("seed", SEEDS)
def test_no_kill_leaves_an_order_that_nobody_answers_for(seed: int) -> None:
    tally = Tally()
    live(seed, KILLS, tally)
    assert tally.kills.total() == KILLS
    assert tally.orphaned and tally.orders, "some were killed while they had orders"
    assert tally.agreed >= 2 and tally.requests > 20


def test_a_life_is_a_number(tmp_path: Path) -> None:
    tallies = [Tally(), Tally()]
    for tally in tallies:
        live(4, 2, tally)
    assert tallies[0] == tallies[1]


def traded(folder: Path) -> Life:
    """A life in which orders stand."""
    life = Life(7, folder, Tally())
    life.world.start_watchdog()
    life.world.start_engine()
    life._recover("start")
    life.world.crowd.is_trading = False
    assert life.world.venue.own_orders()
    return life


def test_orders_of_a_dead_engine_are_noticed_when_its_watchdog_does_nothing(tmp_path: Path) -> None:
    life = traded(tmp_path)
    world = life.world
    world.kill_engine()
    life._changed()
    assert world.watchdog is not None
    world.watchdog.host.kill()
    with pytest.raises(AssertionError, match="orders are nobody's"):
        life._pass(CLEARED_NS_MAX + SECOND)


def test_a_watchdog_alone_leaves_none(tmp_path: Path) -> None:
    life = traded(tmp_path)
    world = life.world
    world.kill_engine()
    life._changed()
    assert world.unowned()
    life._pass(CLEARED_NS_MAX)
    assert not world.venue.own_orders()


def test_a_second_action_with_a_nonce_is_noticed(tmp_path: Path) -> None:
    machine = World(8, tmp_path).venue.machine
    client = Client(machine, ENGINE, usdc=0)
    client.label = ("engine", "")
    now_ns = machine.time_ns + MS
    cancel = {"type": "cancel", "cancels": [{"a": 0, "o": 1}]}
    first = client.body(cancel)
    for body in (first, first, client.body({"type": "noop"}, nonce=client.nonce)):
        machine.admit(body, client.label, now_ns)
    assert (machine.repeats, machine.noops) == (1, 1)
    other = {"type": "cancel", "cancels": [{"a": 0, "o": 2}]}
    with pytest.raises(AssertionError, match="signed two actions with the nonce"):
        machine.admit(client.body(other, nonce=client.nonce - 1), client.label, now_ns)


def test_a_position_that_differs_is_noticed(tmp_path: Path) -> None:
    life = traded(tmp_path)
    engine = life.world.engine
    assert engine is not None and life.world.agrees()
    engine.engine.parts.brain.lane.positions["position_lots"][0] += 1
    assert not life.world.agrees()
