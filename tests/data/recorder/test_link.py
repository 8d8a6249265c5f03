"""The recorder's socket, against a server of the same library and peers that are none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import websockets
from websockets.asyncio.server import ServerConnection, serve

from hlhft.data.recorder.link import CLOSE_ABNORMAL, FRAME_BYTES_MAX, Link

WITHIN_S = 20.0
Handler = Callable[[ServerConnection], Awaitable[None]]


class Heard:
    """All that a link told; `until` waits for it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.news = asyncio.Event()

    def note(self, *what: Any) -> None:
        self.told.append(what)
        self.news.set()

    def up(self, socket: int) -> None:
        self.note("up", socket)

    def upgraded(self, socket: int) -> None:
        self.note("upgraded", socket)

    def frame(self, socket: int, frame: bytes) -> None:
        self.note("frame", socket, frame)

    def closed(self, socket: int, code: int, reason: str) -> None:
        self.note("closed", socket, code, reason)

    async def until(self, *wanted: Any) -> tuple[Any, ...]:
        """The first thing told that begins so."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                found = [what for what in self.told if what[: len(wanted)] == wanted]
                if found:
                    return found[0]
                self.news.clear()
                await self.news.wait()


@contextlib.asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        yield f"ws://localhost:{server.sockets[0].getsockname()[1]}/ws"


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        async for message in connection:
            await connection.send(message)


def test_messages_there_and_back() -> None:
    async def work() -> None:
        heard = Heard()
        link = Link(heard)
        async with served(echo) as url:
            link.open(url, 7)
            await heard.until("upgraded", 7)
            link.send(7, b'{"method":"ping"}')
            link.send(6, b"to a socket that is gone")
            assert await heard.until("frame") == ("frame", 7, b'{"method":"ping"}')
            assert [what[0] for what in heard.told] == ["up", "upgraded", "frame"]
            await link.ended()
        assert not [what for what in heard.told if what[0] == "closed"], "who closes it knows"

    asyncio.run(work())


def test_the_peers_close_is_told_with_its_code() -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(1000, "Expired")

    async def work() -> None:
        heard = Heard()
        link = Link(heard)
        async with served(close) as url:
            link.open(url, 1)
            assert await heard.until("closed") == ("closed", 1, 1000, "Expired")
            await link.ended()

    asyncio.run(work())


def test_a_peer_that_hangs_up_is_told_as_abnormal() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        connection.transport.abort()

    async def work() -> None:
        heard = Heard()
        link = Link(heard)
        async with served(hang_up) as url:
            link.open(url, 1)
            assert (await heard.until("closed"))[:3] == ("closed", 1, CLOSE_ABNORMAL)
            await link.ended()

    asyncio.run(work())


def test_a_message_that_is_too_long_ends_the_socket() -> None:
    async def flood(connection: ServerConnection) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await connection.send("x" * (FRAME_BYTES_MAX + 1))
            await connection.recv()

    async def work() -> None:
        heard = Heard()
        link = Link(heard)
        async with served(flood) as url:
            link.open(url, 1)
            assert (await heard.until("closed"))[:3] == ("closed", 1, 1009)
            await link.ended()

    asyncio.run(work())


def test_nobody_there_and_no_websocket_there() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        writer.close()

    async def work() -> None:
        heard = Heard()
        link = Link(heard)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        link.open(f"ws://127.0.0.1:{port}/ws", 1)
        assert "Connect" in (await heard.until("closed", 1))[3]
        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with server:
            link.open(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws", 2)
            assert "502" in (await heard.until("closed", 2))[3]
        link.open("ws://no.such.host.invalid/ws", 3)
        assert (await heard.until("closed", 3))[2] == CLOSE_ABNORMAL
        await link.ended()

    asyncio.run(work())


def test_another_socket_takes_the_place_of_the_one_before() -> None:
    async def work() -> None:
        heard = Heard()
        link = Link(heard)
        async with served(echo) as url:
            link.open(url, 1)
            await heard.until("upgraded", 1)
            link.open(url, 2)
            await heard.until("upgraded", 2)
            link.close(1)
            link.send(2, b"still there")
            await heard.until("frame", 2)
            link.close(2)
            await link.ended()
        assert not [what for what in heard.told if what[0] == "closed"]

    asyncio.run(work())


def test_what_the_hearer_raises_reaches_the_loop() -> None:
    class Broken(Heard):
        def frame(self, socket: int, frame: bytes) -> None:
            raise AssertionError("an invariant")

    async def work() -> None:
        told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.set_result(context["exception"]))
        heard = Broken()
        link = Link(heard)
        async with served(echo) as url:
            link.open(url, 1)
            await heard.until("upgraded")
            link.send(1, b"{}")
            assert "an invariant" in str(await asyncio.wait_for(told, WITHIN_S))
            await link.ended()

    asyncio.run(work())
