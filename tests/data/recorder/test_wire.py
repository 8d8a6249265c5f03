"""The connection on real sockets: a venue on a stage says what the test wants, and what of it comes to the queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import websockets
from websockets.asyncio.server import ServerConnection, serve

from hlhft.data.recorder.marks import Down, Mark, Odd, Stale, Up, encoded, read
from hlhft.data.recorder.queue import LineQueue
from hlhft.data.recorder.wire import STEP_BACK_NS, Wire
from hlhft.hyperliquid.backoff import BackoffSettings, Budget
from hlhft.hyperliquid.connection import Connection, ConnectionSettings
from hlhft.hyperliquid.subscriptions import Stream, StreamKind, market_stream
from tests.data.recorder.making import BTC, MS, START_NS, bbo, book, context, trades

WITHIN_S = 20.0
T_MS = START_NS // MS
STREAMS = (
    market_stream(StreamKind.FAST_BOOK, 0, "BTC", age_ns_max=600 * MS),
    market_stream(StreamKind.BOOK, 0, "BTC", age_ns_max=0),
    market_stream(StreamKind.BBO, 0, "BTC"),
    market_stream(StreamKind.TRADES, 0, "BTC"),
    market_stream(StreamKind.CONTEXT, 0, "BTC", age_ns_max=0),
)


class Stage:
    """A venue: answers subscriptions and pings but on the socket that it is deaf to, and says what it is told to."""

    def __init__(self) -> None:
        self.sockets: list[ServerConnection] = []
        self.subscribed: list[dict[str, Any]] = []
        self.deaf_to: ServerConnection | None = None

    async def serve(self, connection: ServerConnection) -> None:
        await connection.send("Websocket connection established.")
        self.sockets.append(connection)
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in connection:
                told = json.loads(message)
                if connection is self.deaf_to:
                    continue
                if told["method"] == "ping":
                    await connection.send('{"channel":"pong"}')
                    continue
                self.subscribed.append(told["subscription"])
                await connection.send(json.dumps({"channel": "subscriptionResponse", "data": told}))

    async def say(self, *frames: bytes) -> None:
        for each in frames:
            await self.sockets[-1].send(each, text=True)


@contextlib.asynccontextmanager
async def recorded(
    queue: LineQueue, streams: tuple[Stream, ...] = STREAMS, **more: Any
) -> AsyncIterator[tuple[Stage, Wire]]:
    stage = Stage()
    async with serve(stage.serve, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = server.sockets[0].getsockname()[1]
        settings = ConnectionSettings(
            url=f"ws://127.0.0.1:{port}/ws", ping_ns=300 * MS, pong_ns=200 * MS, renew_ns=100 * MS,
            backoff=BackoffSettings(first_ns=MS, longest_ns=10 * MS),
        )  # fmt: skip
        connection = Connection(settings, connects=Budget(100), messages=Budget(1000))
        values: dict[str, Any] = {
            "wall_ns": time.time_ns, "monotonic_ns": time.monotonic_ns, "draw": lambda: 0,
            "say": lambda sentence, is_alarming: None, **more,
        }  # fmt: skip
        wire = Wire(connection, streams, [BTC], queue, **values)
        wire.start()
        try:
            yield stage, wire
        finally:
            await wire.stop()


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


class Taken:
    """What came to the queue so far."""

    def __init__(self, queue: LineQueue) -> None:
        self.queue = queue
        self.lines: list[tuple[int, bytes]] = []

    def look(self) -> None:
        self.lines += self.queue.take(0.0) or []

    @property
    def marks(self) -> list[Mark]:
        return [mark for mark in (read(text) for _, text in self.lines) if mark is not None]

    @property
    def news(self) -> list[Mark]:
        """Marks of what happened to the connection and its streams."""
        return [mark for mark in self.marks if not isinstance(mark, Odd)]

    async def until(self, is_so: Callable[[], Any]) -> None:
        def look() -> Any:
            self.look()
            return is_so()

        await until(look)


def test_every_frame_comes_to_the_queue_as_it_was_with_the_time_it_came() -> None:
    async def work() -> None:
        taken = Taken(LineQueue())
        async with recorded(taken.queue) as (stage, wire):
            await taken.until(lambda: wire.is_live)
            sent = [book(T_MS), book(T_MS, fast=False), bbo(T_MS), trades((T_MS, 1)), context(), b"<html>"]
            before_ns = time.time_ns()
            await stage.say(*sent)
            odd = Odd(text="<html>", is_fault=True)
            await taken.until(lambda: odd in taken.marks)
            texts = [text for _, text in taken.lines]
            assert [text for text in texts if text in sent] == sent[:-1]
            stamps = [at_ns for at_ns, text in taken.lines if text in sent]
            assert before_ns <= stamps[0] and stamps == sorted(stamps) and stamps[-1] <= time.time_ns()
            greeting = Odd(text="Websocket connection established.", is_fault=False)
            assert taken.marks == [Up(socket=1), greeting, odd]
            assert wire.counters["frames that cannot be decoded"] == 1
            assert wire.frames == len(texts) - 1 and {stream.kind for stream in wire.stale} == set()
            assert stage.subscribed == [stream.subscription() for stream in STREAMS]
        taken.look()
        assert len(taken.marks) == 3, "an end on demand loses nothing"

    asyncio.run(work())


def test_a_lost_socket_is_a_mark_and_another_is_opened() -> None:
    async def work() -> None:
        taken = Taken(LineQueue())
        async with recorded(taken.queue) as (stage, wire):
            await taken.until(lambda: wire.is_live)
            await stage.sockets[-1].close(1001, "Shutting down")
            await taken.until(lambda: len(stage.sockets) == 2 and wire.is_live)
            await stage.sockets[-1].close(1000, "Expired")
            await taken.until(lambda: len(stage.sockets) == 3 and wire.is_live)
            first, lost, second, rotated, third = taken.news
            assert (first, second, third) == (Up(socket=1), Up(socket=2), Up(socket=3))
            assert isinstance(lost, Down) and "1001 Shutting down" in lost.reason
            assert isinstance(rotated, Down) and "rotated" in rotated.reason
            assert wire.counters["connects"] == 3

    asyncio.run(work())


def test_a_half_open_socket_is_given_up_when_pings_go_unanswered() -> None:
    async def work() -> None:
        taken = Taken(LineQueue())
        said: list[tuple[str, bool]] = []
        async with recorded(taken.queue, say=lambda *what: said.append(what)) as (stage, wire):
            await taken.until(lambda: wire.is_live)
            stage.deaf_to = stage.sockets[-1]
            await taken.until(lambda: any(isinstance(mark, Down) for mark in taken.marks))
            await taken.until(lambda: wire.is_live)
            (down,) = [mark for mark in taken.marks if isinstance(mark, Down)]
            assert "pong missing" in down.reason
            assert ("connection: pong missing", True) in said

    asyncio.run(work())


def test_a_mute_stream_is_marked_and_subscribed_to_anew() -> None:
    async def work() -> None:
        taken = Taken(LineQueue())
        async with recorded(taken.queue) as (stage, wire):
            await taken.until(lambda: wire.is_live)
            await stage.say(book(T_MS), bbo(T_MS))
            await taken.until(lambda: any(isinstance(mark, Stale) for mark in taken.marks))
            assert taken.news[1] == Stale(streams=(("book", "BTC"),)), "the touch comes without a cadence"
            fast = STREAMS[0].subscription()
            await taken.until(lambda: stage.subscribed.count(fast) == 3)  # unsubscribed and subscribed again
            await stage.say(book(T_MS + 1000), book(T_MS + 1500))
            await taken.until(lambda: not wire.stale)

    asyncio.run(work())


def test_a_mute_full_book_alone_is_no_gap() -> None:
    streams = (market_stream(StreamKind.BOOK, 0, "BTC", age_ns_max=300 * MS), STREAMS[2])

    async def work() -> None:
        taken = Taken(LineQueue())
        async with recorded(taken.queue, streams=streams) as (stage, wire):
            await taken.until(lambda: wire.is_live)
            await stage.say(book(T_MS, fast=False), bbo(T_MS))
            await taken.until(lambda: wire.counters["stream stale"])
            taken.look()
            assert taken.news == [Up(socket=1)]

    asyncio.run(work())


def test_a_full_queue_and_frames_that_pretend_to_be_marks_are_counted() -> None:
    async def work() -> None:
        queue = LineQueue(1500)
        dropped, pretended = "frames dropped, as the disk is too slow", "frames that pretend to be ours"
        async with recorded(queue) as (stage, wire):
            await until(lambda: wire.is_live)
            await stage.say(encoded(Down(reason="spoofed")), trades(*((T_MS, tid) for tid in range(30))))
            await until(lambda: wire.counters[dropped] and wire.counters[pretended])
            assert wire.counters[pretended] == 1 and queue.dropped_frames == wire.counters[dropped]
            lines = queue.take(0.0) or []
            assert not [text for _, text in lines if isinstance(read(text), Down)]

    asyncio.run(work())


def test_stamps_stand_still_while_the_clock_is_back_a_little() -> None:
    far = 10**12
    times = iter([far + 100, far + 200, far + 150, far + 199, far + 300, far - STEP_BACK_NS, 5])
    said: list[str] = []
    wire = Wire(
        Connection(ConnectionSettings(url="ws://127.0.0.1/ws"), connects=Budget(1), messages=Budget(1)), STREAMS, [BTC],
        LineQueue(), wall_ns=lambda: next(times), monotonic_ns=time.monotonic_ns, draw=lambda: 0,
        say=lambda sentence, is_alarming: said.append(sentence),
    )  # fmt: skip
    assert [wire.stamp() - far for _ in range(5)] == [100, 200, 200, 200, 300]
    assert wire.counters["stamps of a clock that ran backwards"] == 2 and not said
    assert wire.stamp() == far - STEP_BACK_NS, "what was wrong by more than a minute is not held on to"
    assert wire.stamp() == 5 and said[1] == "the local clock was set back by 939 s"
