"""What the account is read for: a start after a kill, leftovers of an earlier session, positions that differ."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hlhft.hyperliquid.messages import Liquidation
from hlhft.hyperliquid.reconcile_events import Ask, AskOwn
from hlhft.hyperliquid.supervisor_events import HaltCause
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.http import Answer
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings

pytestmark = pytest.mark.processes


def both_sides(owner: Owner) -> bool:
    return all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH"))


def test_what_an_earlier_session_left_is_cancelled_before_anything_is_quoted_and_others_stay(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner)
    left = {owner.place() for _ in range(3)}
    foreign = owner.place(owner=8)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            assert owner.open_ids() & left == set()
            assert foreign in owner.open_ids()
            assert there.hub.counters["reconcile: LEFTOVERS"] >= 1
            assert there.accounts.agreed == 1
            there.accounts.read_again()
            await until(lambda: there.accounts.agreed == 2)

    run_on_uvloop(work)
    assert owner.open_ids() == {foreign}


def test_what_an_earlier_session_left_is_adopted_where_that_is_the_policy(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 4)
    path = write_settings(tmp_path, exchange, owner, engine='leftovers = "adopt"\n')
    left = owner.place()

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            assert there.hub.counters["reconcile: ADOPTED"] == 1
            assert there.hub.counters["reconcile: LEFTOVERS"] == 0
            # No quote is at its price: the core itself cancels it, by the venue's id.
            await until(lambda: left not in owner.open_ids())
            assert there.supervisor.halt is None

    run_on_uvloop(work)


def test_a_question_about_our_own_side_waits_for_what_was_told(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 5)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            told: list[object] = []
            there.accounts.on = told.append  # type: ignore[method-assign, assignment]
            there.dispatch._waiting.append([])
            there.accounts._ask_own(AskOwn(5))
            assert not told
            there.dispatch._waiting.clear()
            await until(lambda: told)
            del there.accounts.on

    run_on_uvloop(work)


def test_why_questions_get_no_answer_is_told_when_it_begins_and_when_it_changes(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 6)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            answers = iter(
                [Answer(None, "HTTP 502"), Answer(None, "HTTP 502"), Answer(None, "HTTP 429"), Answer(b"{}"),
                 Answer(None, "HTTP 429")]
            )  # fmt: skip
            there.hub.http.post = lambda path, body, told: told(next(answers))  # type: ignore[method-assign]
            there.accounts.on = lambda event: None  # type: ignore[method-assign]
            told_before = len(there.hub.happenings)
            for number in range(5):
                there.accounts._ask(Ask(number, b"{}", 2))
            told = [one.text for one in there.hub.happenings][told_before:]
            assert told == [f"a question got no answer: HTTP {status}" for status in (502, 429, 429)]
            del there.accounts.on, there.hub.http.post

    run_on_uvloop(work)


def test_a_position_that_somebody_else_makes_disagrees_and_halts(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 2)
    path = write_settings(tmp_path, exchange, owner, engine="reconcile_ms = 2000\n")

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            liquidation = Liquidation(
                id=1, liquidator="0x1", liquidated_user="0x2", notional_text="1", account_value_text="1"
            )
            there.accounts.news(liquidation)
            assert any("a liquidation was told" in one.text for one in there.hub.happenings)
            order = {"a": ETH, "b": True, "p": "4100", "s": "0.5", "r": False, "t": {"limit": {"tif": "Ioc"}}}
            await asyncio.to_thread(owner.act, {"type": "order", "orders": [order], "grouping": "na"})
            await until(lambda: owner.position("ETH") > 0)
            await until(lambda: there.stage is Stage.HALTED)
            assert there.supervisor.halt is not None
            assert there.supervisor.halt.cause is HaltCause.DISAGREEMENT
            assert "position" in there.supervisor.halt.reason
            await until(lambda: not owner.own_orders())

    run_on_uvloop(work)
