"""Money that does not add up is seen: in the parts of a profit, in the core's books, beside the exchange's ledger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hlhft.simulation.account import ACCOUNT
from hlhft.simulation.judge import Promise, Violation
from hlhft.simulation.world import World
from hlhft.units import MICRO
from tests.simulation.worlds import engine_of, pass_until, world_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One that has traded in its first market; each test leaves its money as it was."""
    world = world_of(tmp_path_factory.mktemp("world"))
    pass_until(world, lambda: _booked(world)["fills"][0] > 0 and world.judge.money.held > 0 and _all_told(world))
    return world


def _booked(world: World) -> Any:
    """The core's books."""
    return engine_of(world).engine.parts.brain.lane.positions


def _all_told(world: World) -> bool:
    return world.agrees() and not world.judge.money.missing(engine_of(world))


@contextmanager
def _more(record: Any, name: str, amount: int) -> Iterator[None]:
    """One number is larger for a while."""
    before = record[name].copy()
    record[name] += amount
    yield
    record[name] = before


def _wrong(world: World) -> str:
    """What the judge says once something happened in the engine; empty where all is well."""
    world.judge.money._seen = b""
    try:
        world.judge.look_at_engine(engine_of(world))
    except Violation as error:
        assert error.promise is Promise.PROFIT
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fee_micro", "in the core's books"),
        ("spread", "its equity changed by"),
        ("position_lots", "its equity changed by"),
        ("funding_micro", "in the core's books"),
    ],
)
def test_parts_that_do_not_sum_or_are_not_the_core_s(world: World, name: str, said: str) -> None:
    assert not _wrong(world)
    sums = engine_of(world).tally._sums[0]
    setattr(sums, name, getattr(sums, name) + 2)
    assert said in _wrong(world)
    setattr(sums, name, getattr(sums, name) - 2)
    assert not _wrong(world)


@pytest.mark.parametrize("name", ["fee_micro", "cash_quanta"])
def test_fills_that_cost_something_else_at_the_exchange(world: World, name: str) -> None:
    opening = world.judge.money._opening
    assert opening is not None
    with _more(opening.holdings[0], name, 1):
        assert f"{name} " in _wrong(world) and "of the same fills" in _wrong(world)
        assert f"BTC: {name} " in world.judge.money.missing(engine_of(world))
    assert not _wrong(world)


def test_a_fill_that_counts_twice(world: World) -> None:
    with _more(_booked(world)[0], "fills", 1):
        assert "fills in the engine's books" in _wrong(world)
        assert "BTC: fills " in world.judge.money.missing(engine_of(world))


def test_funding_that_nobody_paid_and_some_that_nobody_has_told_of(world: World) -> None:
    money, tally = world.judge.money, engine_of(world).tally
    with _more(_booked(world)[0], "funding_micro", 5):
        tally.funded(0, amount_micro=5)
        assert "funding of 5 micro-USDC was never what the exchange had paid: [0]" in _wrong(world)
        tally.funded(0, amount_micro=-5)
    assert money._opening is not None
    with _more(money._opening.holdings[0], "funding_micro", -7):
        money._note_payments(money._blocks[-1])
        assert not _wrong(world), "it may come yet"
        assert "funding_micro 0 in the engine's books, 7 in the exchange's" in money.missing(engine_of(world))


def test_what_was_paid_in_is_missing_until_it_is_told(world: World) -> None:
    money, process = world.judge.money, engine_of(world)
    world.exchange.machine.deposit(ACCOUNT, MICRO)
    pass_until(world, lambda: "transfers of 0 micro-USDC" in money.missing(process))
    pass_until(world, lambda: _all_told(world))
    assert process.engine.parts.brain.lane.lane["transfers_micro"][0] == MICRO


def test_a_session_in_which_somebody_else_traded_is_not_held(world: World) -> None:
    money, process = world.judge.money, engine_of(world)
    assert money._opening is not None
    with _more(money._opening.holdings[0], "fee_micro", 1):
        assert money.missing(process)
        world.exchange.shocks.touched_ns = world.time.now_ns
        assert not money.missing(process)
        world.exchange.shocks.touched_ns = 0
    world.kill_engine(loses=False)
    world.start_engine()
    assert not money.missing(engine_of(world)) and money._opening is None, "it has not begun"
