"""A connection machine with a real socket: it comes to live, is told of what ends it, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from hlhft.hyperliquid.backoff import BackoffSettings, connect_budget, message_budget
from hlhft.hyperliquid.connection import Connection, ConnectionSettings
from hlhft.hyperliquid.connection_events import Reconcile, Report, ReportCode
from hlhft.hyperliquid.connection_table import State
from hlhft.hyperliquid.messages import Acknowledged, Complaint, Established, Liquidation, Pong, Subscription
from hlhft.hyperliquid.subscriptions import StreamKind, user_stream
from hlhft.live.clock import Clock
from hlhft.live.line import Line
from hlhft.live.timers import Timers
from tests.live.test_transport import run

WITHIN_S = 20.0
FAST = BackoffSettings(first_ns=1_000_000, longest_ns=2_000_000)
STREAM = user_stream(StreamKind.USER_FILLS, "0x" + "ab" * 20)


class Owner:
    """Writes down what the line tells, and reconciles at once."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.news = asyncio.Event()

    def note(self, *what: Any) -> None:
        self.told.append(what)
        self.news.set()

    def heard(self, line: Line, frame: memoryview) -> None:
        self.note("frame", bytes(frame))
        message = json.loads(bytes(frame))
        if message["channel"] == "subscriptionResponse":
            data = message["data"]
            subscription = Subscription(type=data["subscription"]["type"], user=data["subscription"]["user"])
            assert line.control(Acknowledged(method=data["method"], subscription=subscription))

    def pressed(self, line: Line, *, is_waiting: bool) -> None:
        self.note("pressed", is_waiting)

    def reconcile(self, line: Line, demand: Reconcile) -> None:
        self.note("reconcile", demand.number)
        line.reconciled(demand.number)

    def market(self, line: Line, market: int, *, is_fresh: bool) -> None:
        self.note("market", market, is_fresh)

    def live(self, line: Line, *, is_live: bool) -> None:
        self.note("live", is_live)

    def reported(self, line: Line, report: Report) -> None:
        self.note("report", report.code)

    def broke(self, error: BaseException | None) -> None:
        self.note("broke", error)

    async def until(self, *what: Any, times: int = 1) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.told.count(what) < times:
                self.news.clear()
                await self.news.wait()


class Desk:
    """A line to a server that acknowledges what it is asked for."""

    def __init__(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        self.owner = Owner()
        self.clock = Clock()
        self.timers = Timers(loop, self.clock)
        settings = ConnectionSettings(url=url, backoff=FAST)
        connection = Connection(settings, connects=connect_budget(), messages=message_budget())
        self.line = Line("line", connection, owner=self.owner, timers=self.timers, clock=self.clock)


async def acknowledge(connection: ServerConnection) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        async for message in connection:
            told = json.loads(message)
            if told["method"] == "subscribe":
                answer = {"method": "subscribe", "subscription": told["subscription"]}
                await connection.send(json.dumps({"channel": "subscriptionResponse", "data": answer}))


def with_desk(work: Callable[[Desk], Awaitable[None]], handler: Any = acknowledge) -> None:
    async def whole() -> None:
        async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
            desk = Desk(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws")
            await work(desk)
            desk.line.stop()
            assert not desk.line.is_live
            desk.timers.close()

    run(whole)


def test_it_comes_to_live_and_says_so_in_order():
    async def work(desk: Desk) -> None:
        desk.line.start((STREAM,))
        await desk.owner.until("live", True)
        assert desk.line.is_live
        assert desk.line.socket == 1
        told = [what for what in desk.owner.told if what[0] != "frame"]
        assert told == [
            ("market", -1, False), ("reconcile", 1), ("report", ReportCode.LIVE), ("market", -1, True), ("live", True),
        ]  # fmt: skip

    with_desk(work)


def test_a_socket_that_ends_is_followed_by_another():
    async def once(connection: ServerConnection) -> None:
        await asyncio.wait_for(acknowledge_one(connection), WITHIN_S)
        await connection.close(1000, "Expired")

    async def acknowledge_one(connection: ServerConnection) -> None:
        told = json.loads(await connection.recv())
        answer = {"method": "subscribe", "subscription": told["subscription"]}
        await connection.send(json.dumps({"channel": "subscriptionResponse", "data": answer}))

    async def work(desk: Desk) -> None:
        desk.line.start((STREAM,))
        await desk.owner.until("live", True, times=2)
        assert desk.owner.told.count(("live", False)) >= 1
        assert ("report", ReportCode.ROTATED) in desk.owner.told
        assert desk.line.reconnects >= 1

    with_desk(work, once)


def test_a_server_that_is_not_there_is_tried_again():
    async def work(desk: Desk) -> None:
        desk.line.connection.settings = ConnectionSettings(url="ws://127.0.0.1:1/ws", backoff=FAST)
        desk.line.start((STREAM,))
        await desk.owner.until("report", ReportCode.LOST, times=3)
        assert not desk.line.is_live

    with_desk(work)


def test_messages_about_the_connection_are_its_own():
    async def work(desk: Desk) -> None:
        line = desk.line
        line.start((STREAM,))
        await desk.owner.until("live", True)
        assert line.control(Pong())
        assert line.control(Established())
        assert line.control(Complaint("something else"))
        assert ("report", ReportCode.ERROR_UNMATCHED) in desk.owner.told
        liquidation = Liquidation(id=1, liquidator="", liquidated_user="", notional_text="", account_value_text="")
        assert not line.control(liquidation)
        assert not line.control(None)
        line.pressed(1, is_waiting=True)
        assert line.is_waiting
        assert ("pressed", True) in desk.owner.told
        line.broke(ValueError("x"))
        assert desk.owner.told[-1][0] == "broke"

    with_desk(work)


def test_a_stopped_line_stays_so():
    async def work(desk: Desk) -> None:
        desk.line.start((STREAM,))
        await desk.owner.until("live", True)
        desk.line.stop()
        assert desk.line.connection.state is State.CLOSED
        assert desk.owner.told[-1] == ("live", False)
        assert desk.line.transport.socket == 0

    with_desk(work)


def test_a_timer_of_the_machine_fires_it():
    async def work(desk: Desk) -> None:
        with pytest.raises(ValueError, match="nonsense"):
            desk.line._fired("nonsense", 0)
        desk.line.start(())
        await desk.owner.until("live", True)
        desk.line._fired("ping", 0)

    with_desk(work)
