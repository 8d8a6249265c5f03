"""Commands out: what is written when, what of HTTP and disk, and what the venue's answers do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from hlhft.hyperliquid.account_requests import FILLS_PER_PAGE
from hlhft.hyperliquid.fates_records import FateCode, FateReport
from hlhft.hyperliquid.gateway_events import (
    AskFills,
    AskStatus,
    BudgetTold,
    FillsRead,
    Found,
    Post,
    PostHttp,
    Report,
    ReportCode,
    WriteMark,
)
from hlhft.hyperliquid.supervisor_events import HaltCause
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.engine import Engine
from hlhft.live.http import Answer
from tests.hyperliquid.reconciles import filled
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings


def both_sides(owner: Owner) -> bool:
    return all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH"))


def test_without_a_trading_connection_cancels_go_over_http(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            before = there.hub.http.counters["requests"]
            for line in there.orders.lines:
                line.stop()
            assert there.stage is Stage.WAITING
            await until(lambda: not owner.own_orders())
            assert there.hub.http.counters["requests"] > before
            await until(lambda: there.parts.gateway.is_quiet)

    run_on_uvloop(work)


def test_what_the_gateway_asks_and_reports_is_done_and_said(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 2)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
            await until(lambda: there.status().counters["fills"] > 0)
            told = spied(there)
            (order, *_) = there.parts.fates.live_orders()
            body = b'{"type":"orderStatus","user":"%b","oid":%d}' % (owner.address.encode(), order.oid or 1)
            there.orders.perform([AskStatus(order.order_id, order.revision, body), AskFills(1)])
            await until(lambda: {"StatusRead", "FillsRead"} <= {type(one).__name__ for one in told})
            there.orders.perform([BudgetTold(7, 12_345)])
            assert there.parts.brain.lane.lane["address_allowance"][0] == 12_345
            there.orders.perform([Report(ReportCode.CANCEL_REPEATED, "1 orders")])
            assert there.hub.happenings[-1].text == "cancel repeated, 1 orders"
            there.orders.perform([Found(FateReport(next(iter(FateCode)), 5, "a detail"))])
            there.orders.perform([Post(0, 999, 10**9, b"{}")])
            there.orders.perform([Report(ReportCode.NONCE_USED, "5")])
            assert there.supervisor.halt is not None
            there.orders.perform([Report(ReportCode.UNKNOWN_USER, "0x")])

    run_on_uvloop(work)


def test_a_full_page_of_fills_ends_before_its_newest_and_is_not_all(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 3)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            told = spied(there)
            block_ms, asked_ns = there.hub.block_ms, there.hub.clock.now_ns()
            pages = [
                [filled("0.1", ms=block_ms - 10, tid=count) for count in range(length)]
                for length in (FILLS_PER_PAGE - 1, FILLS_PER_PAGE)
            ]

            def answer(path: str, body: bytes, tell: Any) -> None:
                tell(Answer(msgspec.json.encode(pages.pop(0)), ""))

            there.hub.http.post = answer  # type: ignore[method-assign, assignment]
            there.orders.perform([AskFills(block_ms - 500), AskFills(block_ms - 500)])
            del there.hub.http.post
            whole, part = [one for one in told if isinstance(one, FillsRead)]
            assert (whole.from_ms, part.from_ms) == (block_ms - 500, block_ms - 500)
            assert whole.through_ms >= block_ms and part.through_ms == block_ms - 11
            assert asked_ns <= whole.asked_ns <= there.hub.clock.now_ns() and part.asked_ns == 0

    run_on_uvloop(work)


def test_answers_that_say_nothing_are_counted(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 4)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            bodies = iter((b'{"status":"nonsense"}', b"[5]", None, None, None))

            def answer(path: str, body: bytes, tell: Any) -> None:
                tell(Answer(next(bodies), "lost"))

            there.hub.http.post = answer  # type: ignore[method-assign, assignment]
            counters = there.hub.counters
            unanswered = counters["questions without an answer"]
            there.orders.perform([AskStatus(1, 0, b"{}"), AskFills(1), AskStatus(1, 0, b"{}"), AskFills(1)])
            there.orders.perform([PostHttp(10**9, b"{}")])
            assert counters["questions without an answer"] == unanswered + 2
            assert counters["answers about orders that cannot be read"] == 1
            assert counters["answers about fills that cannot be read"] == 1
            assert "an action over HTTP got no answer: lost" in there.hub.happenings[-1].text
            del there.hub.http.post
            line = there.orders.lines[0]
            there.orders.heard(line, memoryview(b"<html>"))
            there.orders.heard(line, memoryview(b'{"channel":"orderUpdates","data":[]}'))
            assert counters["trading 0: frames that cannot be decoded"] == 1
            assert counters["trading 0: messages that nobody asked for"] == 1
            there.orders.broke(None)

    run_on_uvloop(work)


def test_what_waits_in_a_buffer_is_written_once_the_buffer_is_empty(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 5)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            told = spied(there)
            line = there.orders.lines[0]
            line.pressed(line.socket, is_waiting=True)
            there.orders.perform([Post(0, line.socket, 10**9, b'{"method":"ping"}')])
            assert "Written" not in {type(one).__name__ for one in told}
            line.pressed(line.socket, is_waiting=False)
            assert [type(one).__name__ for one in told[-2:]] == ["Pressure", "Written"]

    run_on_uvloop(work)


def spied(there: Engine) -> list[Any]:
    """All that the gateway is told from now on."""
    told: list[Any] = []
    gateway = there.parts.gateway
    original = gateway.on

    def on(event: Any, now_ns: int) -> Any:
        told.append(event)
        return original(event, now_ns)

    gateway.on = on  # type: ignore[method-assign]
    return told


def test_a_disk_that_takes_no_mark_stops_placements_and_says_so(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 8)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: both_sides(owner))
            there.parts.keep.store.connection.execute("DROP TABLE nonce_mark")  # type: ignore[attr-defined]
            there.orders.perform([WriteMark(2**62)])
            await until(lambda: there.hub.counters["gateway: MARK_FAILED"] > 0)
            there.parts.keep.store.connection.execute("DROP TABLE halt")  # type: ignore[attr-defined]
            there.halt("the disk")
            assert any("the halt could not be written" in one.text for one in there.hub.happenings)
            assert there.supervisor.halt is not None and there.supervisor.halt.cause is HaltCause.OPERATOR

    run_on_uvloop(work)
