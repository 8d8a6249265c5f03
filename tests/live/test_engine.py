"""What an operator and misfortune do to a running engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.gateway_events import CancelOwn
from hlhft.hyperliquid.messages import Fills
from hlhft.hyperliquid.reconcile_events import CancelLeftovers
from hlhft.hyperliquid.supervisor_events import HaltCause, Tripped, Verdict
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.engine import BREAKS_MAX, Engine, Keep
from hlhft.live.store import Store, open_store
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings

pytestmark = pytest.mark.processes


def both_sides(owner: Owner) -> bool:
    return all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH"))


def test_an_operator_halts_resumes_and_flattens_it_and_the_halt_survives(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner)

    async def first() -> None:
        async with engine(path) as (there, task):
            await until(lambda: both_sides(owner))
            assert not there.resume("nothing is wrong").is_done
            halted = there.halt("lunch")
            assert halted.is_done and "halted" in halted.sentence
            await until(lambda: not owner.own_orders())
            assert not there.resume(" ").is_done
            assert there.resume("lunch is over").is_done
            await until(lambda: both_sides(owner))
            await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.1", "Ioc"))
            await until(lambda: owner.position("ETH") < 0)
            assert there.flatten("").is_done
            await until(lambda: owner.position("ETH") == 0 and not owner.own_orders())
            assert there.supervisor.halt is not None
            assert there.supervisor.halt.cause is HaltCause.FLATTEN
            there.stop("the day is over")
            ended = await asyncio.wait_for(task, 20)
            assert ended.verdict is Verdict.EMPTY
            assert there.parts.keep.store.session == 1  # type: ignore[attr-defined]
            assert ended.halt is not None and "an operator flattened it" in ended.halt.reason

    async def second() -> None:
        async with engine(path) as (there, _):
            await until(lambda: there.feed.line.is_live)
            assert there.stage is Stage.HALTED
            assert not owner.own_orders()
            assert not there.resume("").is_done
            await until(lambda: there.resume("a new day").is_done)
            await until(lambda: both_sides(owner))

    def ended_well() -> bool:
        store = open_store(tmp_path / "state")
        try:
            return store.has_ended_well
        finally:
            store.close()

    run_on_uvloop(first)
    assert ended_well()
    run_on_uvloop(second)


def test_what_breaks_cancels_all_and_ends_it(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 2)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, task):
            await until(lambda: both_sides(owner))
            asyncio.get_running_loop().call_soon(fail)
            ended = await asyncio.wait_for(task, 20)
            assert "an invariant of this test" in ended.failure
            assert ended.verdict is Verdict.EMPTY
            assert not owner.own_orders()
            assert there.stage is Stage.STOPPED

    def fail() -> None:
        raise AssertionError("an invariant of this test")

    run_on_uvloop(work)


def test_what_breaks_again_and_again_ends_it_at_once_and_says_that_orders_may_be_left(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 4)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, task):
            for _ in range(BREAKS_MAX + 1):
                there.broke(ValueError("again"))
            ended = await asyncio.wait_for(task, 20)
            assert ended.verdict is Verdict.NOT_EMPTY
            assert ended.failure == "ValueError: again"

    run_on_uvloop(work)
    store = open_store(tmp_path / "state")
    assert not store.has_ended_well
    store.close()


def test_a_breaker_that_latches_is_kept_on_disk_and_a_reload_tightens_a_limit(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 5)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            assert not there.reload().is_done
            trouble(there)
            assert there.stage is not Stage.TRADING
            there.supervise(Tripped(1 << 7, 7, "too many rejections"))
            assert there.supervisor.halt is not None

    def trouble(there: Engine) -> None:
        there.journal_full("there is no room on the disk")
        there._look_at_journal()
        assert there.supervisor.halt is not None and there.supervisor.halt.cause is HaltCause.JOURNAL

    async def again() -> None:
        async with engine(path) as (there, _):
            assert there.supervisor.halt is not None
            assert there.supervisor.halt.cause is HaltCause.JOURNAL
            assert there.supervisor.halt.latches == 1 << 7

    run_on_uvloop(work)
    run_on_uvloop(again)


def test_a_loss_beyond_the_drawdown_cancels_all_closes_at_market_and_needs_a_resume(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    """The session begins with what an earlier one sold, and the market rises by a hundredth: two dollars and more are
    lost, and half a dollar of 100,000 is allowed."""
    owner = Owner(exchange.url, 11)
    path = write_settings(tmp_path, exchange, owner, risk="drawdown_share_max = 0.000005\n")

    def said(there: Engine, words: str) -> bool:
        return any(one.text.startswith(words) for one in there.hub.happenings)

    async def sells() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
            await until(lambda: owner.position("ETH") < 0)
            await until(lambda: there.status().markets[ETH].fills >= 1)

    def moves(middle: int) -> None:
        """The market is somewhere else, and goes through what stands between."""
        exchange.say_oracle("ETH", str(middle))
        oids = [order["oid"] for order in market.ask("openOrders") if order["coin"] == "ETH"]
        market.act({"type": "cancel", "cancels": [{"a": ETH, "o": oid} for oid in oids]})
        market.orders((ETH, True, str(middle - 4), "1", "Gtc"), (ETH, False, str(middle + 4), "1", "Gtc"))

    async def loses() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            held = there.status()
            assert float(held.markets[ETH].position) == owner.position("ETH") < 0
            assert held.profit is not None and abs(held.profit.residual) < 1e-9
            await asyncio.to_thread(moves, 4040)
            await until(lambda: there.stage is Stage.HALTED)
            assert there.supervisor.halt is not None
            assert there.supervisor.halt.cause is HaltCause.BREAKER
            assert "drawdown" in there.supervisor.halt.reason
            await until(lambda: said(there, "breaker drawdown: equity fell too far"))
            await until(lambda: owner.position("ETH") == 0 and not owner.own_orders())
            await asyncio.to_thread(moves, 4000)
            await until(lambda: there.resume("the market came back").is_done)
            await until(lambda: said(there, "no breaker keeps it from quoting"))
            await until(lambda: both_sides(owner))

    run_on_uvloop(sells)
    run_on_uvloop(loses)


def test_a_journal_in_trouble_halts_and_one_that_works_again_may_be_resumed(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 8)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            keep = there.parts.keep
            keep.trouble = lambda: "the disk is full"  # type: ignore[method-assign]
            there._fired("second", 0)
            assert there.supervisor.halt is not None and there.supervisor.halt.cause is HaltCause.JOURNAL
            await until(lambda: not owner.own_orders())
            refused = there.resume("hope")
            assert not refused.is_done and "the journal cannot be written" in refused.sentence
            keep.trouble = lambda: ""  # type: ignore[method-assign]
            there._fired("second", 0)
            assert there.resume("there is room again").is_done
            await until(lambda: both_sides(owner))

    run_on_uvloop(work)


def test_a_halt_that_cannot_be_written_is_said_and_holds(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 10)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            store: Store = there.parts.keep.store  # type: ignore[attr-defined]
            store.connection.execute("PRAGMA query_only = ON")
            assert there.halt("lunch").is_done
            assert any("the halt could not be written" in one.text for one in there.hub.happenings)
            store.connection.execute("PRAGMA query_only = OFF")
            assert there.stage is Stage.HALTED
            await until(lambda: not owner.own_orders())
            assert store.halt().code == 0

    run_on_uvloop(work)


def test_a_clock_that_leaps_is_said_and_a_stop_that_is_due_ends_it(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 9)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, task):
            there.hub.clock.discipline = lambda: 2_500_000_000  # type: ignore[method-assign]
            there._fired("second", 0)
            assert there.hub.happenings[-1].text == "the wall clock leapt by +2.500 s"
            there._budget(7, 99)
            there._late(30_000_000)
            assert there.hub.happenings[-1].text == "the loop was 30 ms late"
            there._watch([(0, 0, 0, 0, 0, 2_500_000, 0, int(EventKind.FUNDING_PAYMENT), 0, ETH, 0, 0)])
            profit = there.status().profit
            assert profit is not None and profit.funding == 2.5
            there._leftovers(CancelLeftovers(()))
            assert "nothing cancels them here" in there.hub.happenings[-1].text
            assert there.parts.brain.lane.lane["address_allowance"][0] == 99
            assert there.parts.brain.lane.lane["address_actions"][0] >= 7
            there.stop("now")
            there.stop("at once")
            ended = await asyncio.wait_for(task, 20)
            assert ended.verdict is Verdict.NOT_EMPTY
            there._fired("stop", 0)
            there._exit(ended)
            there._loop_failed(asyncio.get_running_loop(), {"message": "something that is no exception"})
            assert "RuntimeError: something that is no exception" in there.hub.happenings[-1].text

    run_on_uvloop(work)


def test_what_keeps_nothing_is_enough_for_an_engine() -> None:
    keep = Keep()
    assert keep.halt(None, "") == keep.trouble() == ""
    for work in (
        lambda: keep.mark(1), lambda: keep.watermark(1), lambda: keep.peak(1), keep.rotate, keep.tend,
        lambda: keep.begin_peaks(0, 1), lambda: keep.moved(1, 1), lambda: keep.raw(memoryview(b""), 1),
        lambda: keep.note("x"), lambda: keep.fills(Fills(fills=())),
    ):  # fmt: skip
        work()


def test_what_is_modified_while_data_are_old_is_cancelled_every_second(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    """A modification may leave in the instant in which the data become old, and a cancel may get no answer."""
    owner = Owner(exchange.url, 12)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            told: list[object] = []
            tell = there.orders.on

            def listen(event: Any) -> None:
                told.append(event)
                tell(event)

            there.orders.on = listen  # type: ignore[method-assign]
            there.feed.fresh[1] = False
            asked = CancelOwn(1, replaced=True)
            await until(lambda: told.count(asked) >= 2)
            assert CancelOwn(0, replaced=True) not in told
            there.feed.market(there.feed.line, 0, is_fresh=False)
            assert CancelOwn(0, replaced=True) in told

    run_on_uvloop(work)
