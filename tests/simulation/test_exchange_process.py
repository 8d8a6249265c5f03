"""The exchange at the far end: it does its mischief while that is on, and comes back as it was."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from hlhft.simulation.exchange_process import BATCH_ERROR, settings
from hlhft.simulation.faults import FaultKind
from hlhft.simulation.settings import DEFAULT
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.world import World
from tests.simulation.worlds import engine_of, pass_until, world_of


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of(tmp_path)


def said(world: World) -> str:
    return "; ".join(happening.text for happening in engine_of(world).hub.happenings)


def test_it_opens_with_the_account_and_what_an_engine_has_to_know(tmp_path: Path) -> None:
    world = World(1, tmp_path, (), DEFAULT)
    state = msgspec.json.decode(world.exchange.ask("clearinghouseState", user=world.config.account.address))
    assert float(state["marginSummary"]["accountValue"]) == DEFAULT.account_usdc
    assert [market.name for market in world.exchange.found().markets] == ["BTC", "ETH"]
    assert world.exchange.positions() == [0, 0] and (world.exchange.marks() > 0).all()
    assert not world.exchange.records().open


def test_every_other_exchange_executes_late() -> None:
    assert settings(1).delays != settings(2).delays == settings(4).delays
    assert settings(1).with_limits and settings(1).with_delays


def test_actions_are_executed_and_not_answered(world: World) -> None:
    world.exchange.mischief.answers_none = True
    before = world.judge.actions
    world.time.run(8 * SECOND)
    assert world.judge.actions > before and "unanswered" in said(world)


def test_answers_that_come_twice_change_nothing(world: World) -> None:
    world.exchange.mischief.answers_twice = True
    world.time.run(10 * SECOND)
    assert engine_of(world).is_trading
    pass_until(world, world.agrees)


def test_a_batch_is_refused_as_a_whole_and_nothing_of_it_rests(world: World) -> None:
    world.exchange.mischief.batch_error = True
    resting = {mark.order_id for _, mark in world.judge.own_orders()}
    world.time.run(400 * MS)
    newest = {mark.order_id for _, mark in world.judge.own_orders()}
    world.time.run(5 * SECOND)
    assert BATCH_ERROR in said(world)
    assert {mark.order_id for _, mark in world.judge.own_orders()} <= resting | newest


def test_a_word_that_nobody_knows_halts(world: World) -> None:
    world.exchange.mischief.unknown_status = True
    world.misfortune.counts[FaultKind.UNKNOWN_STATUS] += 1
    pass_until(world, lambda: "unrecognised status" in said(world))


def test_it_comes_back_as_of_its_last_block(world: World) -> None:
    pass_until(world, lambda: any(world.exchange.positions()))
    world.kill_engine(loses=False)
    pass_until(world, lambda: not world.judge.own_orders())  # nothing changes what it holds any more
    positions, account = world.exchange.positions(), world.exchange.ask("spotMeta")
    world.kill_exchange()
    world.time.run(SECOND)
    world.return_exchange()
    assert (world.exchange.positions(), world.exchange.ask("spotMeta")) == (positions, account)
    world.start_engine()
    pass_until(world, lambda: engine_of(world).is_trading)
