"""What the account is read for: a start after a kill, leftovers of an earlier session, positions that differ."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hlhft.hyperliquid.account import RateLimit
from hlhft.hyperliquid.messages import Liquidation
from hlhft.hyperliquid.reconcile_events import Ask, AskOwn, Tell
from hlhft.hyperliquid.reconcile_rows import account_state
from hlhft.hyperliquid.supervisor_events import HaltCause
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.http import Answer
from hlhft.live.store import FILE
from hlhft.units import MICRO
from tests.endtoend.house import Process
from tests.hyperliquid.fate_news import cloid, update
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings
from tests.live.watched import CHAIN

pytestmark = pytest.mark.processes


def liquidation_of(user: str) -> Liquidation:
    return Liquidation(id=1, liquidator="0x1", liquidated_user=user, notional_text="1400.5", account_value_text="1")


def bought_by_hand(size: str) -> dict[str, Any]:
    order = {"a": ETH, "b": True, "p": "4100", "s": size, "r": False, "t": {"limit": {"tif": "Ioc"}}}
    return {"type": "order", "orders": [order], "grouping": "na"}


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
            # Of a count that was asked for before all that the engine sent, none of that can be in it: a noop, three
            # cancels of leftovers, four quotes.
            told = account_state([], RateLimit(used=10**6, allowed=2 * 10**6, surplus=None, volume_micro=0), 1, 1)
            there.accounts._tell(Tell([told], since_ns=0))
            lane = there.parts.brain.lane.lane
            assert lane["address_actions"][0] >= 10**6 + 8
            before = int(lane["address_actions"][0])
            there.sent_elsewhere(5)
            assert lane["address_actions"][0] == before + 5
            there.answered_elsewhere(5)
            assert lane["address_actions"][0] == before + 5

    run_on_uvloop(work)
    assert owner.open_ids() == {foreign}


def test_what_an_earlier_session_left_and_arrives_late_is_cancelled_at_once(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    """Not with the next comparison, which is half a minute away."""
    owner = Owner(exchange.url, 7)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            foreign = await asyncio.to_thread(owner.place, owner=8)
            late = await asyncio.to_thread(owner.place)
            await until(lambda: late not in owner.open_ids(), within_s=10)
            assert foreign in owner.open_ids() and there.stage is Stage.TRADING
            assert there.hub.counters["reconcile: LEFTOVERS"] >= 1
            await until(lambda: both_sides(owner))
            # One reading for all that is told at a time, and none for what ended.
            accounts, earlier = there.accounts, cloid(5, session=99)
            accounts._looked_ns, number = 0, accounts._number
            accounts.news(update(5, "canceled", cloid=earlier))
            assert accounts._number == number
            for _ in range(3):
                accounts.news(update(5, "open", cloid=earlier))
            assert accounts._number == number + 1

    run_on_uvloop(work)


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


def test_orders_of_a_killed_session_are_adopted_by_the_core_that_answers_for_them(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 6)
    path = write_settings(tmp_path, exchange, owner, engine='leftovers = "adopt"\n')
    killed = Process(["run", "--config", str(path)], tmp_path)
    try:
        owner.eventually(lambda: both_sides(owner) or not killed.is_running, within_s=120)
        assert killed.is_running, killed.output
    finally:
        killed.kill()
    left = {order["oid"] for order in owner.own_orders()}
    assert left

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: there.stage is Stage.TRADING and both_sides(owner))
            assert there.hub.counters["reconcile: ADOPTED"] == 1
            assert there.hub.counters["reconcile: LEFTOVERS"] == 0, "nobody else cancels them"
            # The market stands still: what is quoted is what rests.
            assert owner.open_ids() & left
            await until(lambda: {order.oid for order in there.parts.fates.live_orders()} == owner.open_ids())
            await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
            await until(lambda: there.parts.brain.lane.positions["position_lots"][ETH] == -500)
            assert owner.position("ETH") == -0.05
            assert there.parts.brain.lane.lane["illegal_transitions"][0] == 0
            assert there.supervisor.halt is None

    run_on_uvloop(work)
    assert not owner.own_orders()


def drawn(path: Path) -> list[int]:
    """The peaks in the store of an engine that runs."""
    store = f"file:{path.parent / 'state' / FILE}?mode=ro"
    with contextlib.closing(sqlite3.connect(store, uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT equity_micro FROM peak")]


def withdraw(owner: Owner, usdc: int) -> None:
    owner.act({"type": "withdraw3", **CHAIN, "destination": owner.address, "amount": str(usdc), "time": 0})


def test_money_that_leaves_or_comes_is_no_loss_and_no_profit_during_a_session_or_between(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    """100,000; 10,000 out during the first session and 40,000 after it; 30,000 in during the second, 5,000 after it."""
    owner = Owner(exchange.url, 9)
    path = write_settings(tmp_path, exchange, owner)

    async def session(usdc: int, moved: int, move: Callable[[], None]) -> None:
        async with engine(path) as (there, _):
            lane = there.parts.brain.lane.lane
            await until(lambda: both_sides(owner))
            assert (lane["starting_equity_micro"][0], lane["peak_max_micro"][0]) == (usdc * MICRO, usdc * MICRO)
            await asyncio.to_thread(move)
            await until(lambda: lane["transfers_micro"][0] == moved * MICRO)
            there.accounts.read_again()
            await until(lambda: there.accounts.agreed == 2)
            assert (lane["equity_micro"][0], lane["equity_gap_micro"][0], lane["latches"][0]) == (usdc * MICRO, 0, 0)
            await until(lambda: set(drawn(path)) == {usdc * MICRO})
            assert there.supervisor.halt is None

    run_on_uvloop(lambda: session(100_000, -10_000, lambda: withdraw(owner, 10_000)))
    withdraw(owner, 40_000)
    run_on_uvloop(lambda: session(50_000, 30_000, lambda: owner.deposit(30_000)))
    owner.deposit(5_000)
    run_on_uvloop(lambda: session(85_000, -1_000, lambda: withdraw(owner, 1_000)))


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
    owner = Owner(exchange.url, 12)
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
            compared, compared_ns = there.accounts.compared, there.accounts.compared_ns
            assert compared >= 1 and 0 < compared_ns <= there.hub.clock.now_ns()
            agreed = there.accounts.agreed
            await until(lambda: there.accounts.compared > compared)
            assert there.accounts.agreed == agreed, "the round that nobody waits for counts, too"
            assert there.accounts.compared_ns > compared_ns
            compared, compared_ns = there.accounts.compared, there.accounts.compared_ns
            there.accounts.news(liquidation_of("0x2"))
            assert any("a liquidation was told" in one.text for one in there.hub.happenings)
            assert there.stage is Stage.TRADING, "it was somebody else"
            there.parts.fates.is_foreign = lambda fill: False  # type: ignore[method-assign]  # as if it were not told
            await asyncio.to_thread(owner.act, bought_by_hand("0.5"))
            await until(lambda: owner.position("ETH") > 0)
            await until(lambda: there.stage is Stage.HALTED)
            assert there.supervisor.halt is not None
            assert there.supervisor.halt.cause is HaltCause.DISAGREEMENT
            assert there.accounts.compared > compared and there.accounts.compared_ns > compared_ns
            assert "position" in there.supervisor.halt.reason
            await until(lambda: not owner.own_orders())

    run_on_uvloop(work)


def test_a_fill_of_somebody_else_halts_at_once(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    """Not with the comparisons, the next of which is half a minute away; one is made now, to say what differs."""
    owner = Owner(exchange.url, 10)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            number, compared = there.accounts._number, there.accounts.compared
            await asyncio.to_thread(owner.act, bought_by_hand("0.01"))
            await until(lambda: there.stage is Stage.HALTED)
            halt = there.supervisor.halt
            assert halt is not None and halt.cause is HaltCause.DISAGREEMENT
            assert halt.reason.startswith("somebody else traded (Open Long ETH): order ")
            assert there.accounts.compared == compared
            assert there.accounts._number == number + 1, "and the account is read"
            await until(lambda: not owner.own_orders())
            resumed = there.resume("a test")
            assert not resumed.is_done and "does not agree" in resumed.sentence

    run_on_uvloop(work)


def test_who_was_liquidated_does_not_quote_until_readings_agree_on_it(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 8)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            number = there.accounts._number
            there.accounts.news(liquidation_of(there.parts.address.upper()))
            halt = there.supervisor.halt
            assert there.stage is Stage.HALTED and halt is not None
            assert halt.cause is HaltCause.DISAGREEMENT and "closed 1400.5 USDC" in halt.reason
            assert there.accounts._number == number + 1, "and the account is read"
            await until(lambda: not owner.own_orders())

    run_on_uvloop(work)
