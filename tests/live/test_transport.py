"""The transport on real sockets: a server of another library, and peers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
import websockets
from websockets.asyncio.server import ServerConnection, serve

from hlhft.live.transport import CLOSE_ABNORMAL, CLOSE_NONE, CLOSE_TOO_BIG, Transport, TransportSettings

WITHIN_S = 20.0
Handler = Callable[[ServerConnection], Awaitable[None]]


class Heard:
    """All that a transport told; `until` waits for it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.news = asyncio.Event()
        self.on_frame: Callable[[bytes], None] = lambda payload: None

    def note(self, *what: Any) -> None:
        self.told.append(what)
        self.news.set()

    def up(self, socket: int) -> None:
        self.note("up", socket)

    def upgraded(self, socket: int) -> None:
        self.note("upgraded", socket)

    def frame(self, socket: int, frame: memoryview) -> None:
        payload = bytes(frame)
        self.note("frame", socket, payload)
        self.on_frame(payload)

    def closed(self, socket: int, code: int, reason: str) -> None:
        self.note("closed", socket, code, reason)

    def pressed(self, socket: int, *, is_waiting: bool) -> None:
        self.note("pressed", socket, is_waiting)

    def broke(self, error: BaseException | None) -> None:
        self.note("broke", error)

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [what for what in self.told if what[0] == kind]

    async def until(self, is_so: Callable[[], Any]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not is_so():
                self.news.clear()
                await self.news.wait()


@contextlib.asynccontextmanager
async def served(handler: Handler, **more: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1, **more) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"{'wss' if 'ssl' in more else 'ws'}://localhost:{port}/ws"


def run(work: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())  # type: ignore[arg-type]


async def echo(connection: ServerConnection) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        async for message in connection:
            await connection.send(message)


def certificate(folder: Path) -> tuple[Path, Path]:
    key, text = folder / "key.pem", folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            key,
            "-out",
            text,
            *subject,
        ],
        check=True,
        capture_output=True,
    )
    return key, text


async def converse(url: str, transport: Transport, heard: Heard) -> None:
    transport.open(url, 1)
    await heard.until(lambda: heard.of("upgraded"))
    assert heard.told[:2] == [("up", 1), ("upgraded", 1)]
    assert transport.send(1, b'{"method":"ping"}')
    await heard.until(lambda: heard.of("frame"))
    assert heard.of("frame") == [("frame", 1, b'{"method":"ping"}')]
    assert transport.socket == 1
    assert transport.waiting_bytes == 0
    transport.close(1, 1000)
    assert transport.socket == 0
    assert not transport.send(1, b"late")
    assert not heard.of("closed")


def test_it_opens_sends_hears_and_closes():
    async def work() -> None:
        heard = Heard()
        async with served(echo) as url:
            await converse(url, Transport(heard), heard)

    run(work)


def test_tls_with_a_certificate_that_is_trusted_and_with_one_that_is_not(tmp_path: Path):
    key, text = certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(text, key)

    async def work() -> None:
        heard, stranger = Heard(), Heard()
        async with served(echo, ssl=server) as url:
            await converse(url, Transport(heard, tls=ssl.create_default_context(cafile=text)), heard)
            Transport(stranger).open(url, 1)
            await stranger.until(lambda: stranger.of("closed"))
            ((_, _, code, reason),) = stranger.of("closed")
            assert code == CLOSE_ABNORMAL
            assert "certificate" in reason.lower()

    run(work)


def test_the_socket_has_its_options():
    async def work() -> None:
        heard = Heard()
        async with served(echo) as url:
            transport = Transport(heard, TransportSettings(user_timeout_ms=1234))
            transport.open(url, 1)
            await heard.until(lambda: heard.of("upgraded"))
            assert transport._attempt is not None and transport._attempt.wire is not None
            real = transport._attempt.wire.underlying_transport.get_extra_info("socket")
            assert real.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert real.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1234
            transport.close(1, 1000)

    run(work)


@pytest.mark.parametrize(
    ("code", "reason", "heard_code"), [(1000, "Expired", 1000), (4001, "", 4001), (1011, "ended", 1011)]
)
def test_a_close_of_the_peer_is_told_with_its_code_and_reason(code: int, reason: str, heard_code: int):
    async def close(connection: ServerConnection) -> None:
        await connection.close(code, reason)

    async def work() -> None:
        heard = Heard()
        async with served(close) as url:
            transport = Transport(heard)
            transport.open(url, 7)
            await heard.until(lambda: heard.of("closed"))
            assert heard.of("closed") == [("closed", 7, heard_code, reason)]
            assert transport.socket == 0

    run(work)


def test_a_close_of_ours_reaches_the_peer_with_its_code():
    async def work() -> None:
        heard = Heard()
        codes: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

        async def note(connection: ServerConnection) -> None:
            await connection.wait_closed()
            codes.set_result(connection.close_code)

        async with served(note) as url:
            transport = Transport(heard)
            transport.open(url, 1)
            await heard.until(lambda: heard.of("upgraded"))
            transport.close(1, 4000)
            assert await asyncio.wait_for(codes, WITHIN_S) == 4000

    run(work)


def test_messages_in_parts_and_binary_ones_are_told_whole():
    async def parts(connection: ServerConnection) -> None:
        await connection.send(["ab", "cd", "e"])
        await connection.ping()
        await connection.send(b"binary")
        await connection.send("x" * 100_000)
        await connection.wait_closed()

    async def work() -> None:
        heard = Heard()
        async with served(parts, compression=None) as url:
            transport = Transport(heard)
            transport.open(url, 1)
            await heard.until(lambda: len(heard.of("frame")) == 3)
            assert [what[2] for what in heard.of("frame")] == [b"abcde", b"binary", b"x" * 100_000]
            transport.close(1, 1000)

    run(work)


@pytest.mark.parametrize("message", ["x" * 2000, ["x" * 600, "x" * 600]])
def test_a_message_that_is_too_long_ends_the_socket(message: Any):
    async def long(connection: ServerConnection) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            await connection.send(message)
            await connection.wait_closed()

    async def work() -> None:
        heard = Heard()
        async with served(long, compression=None) as url:
            Transport(heard, TransportSettings(message_bytes_max=1000)).open(url, 1)
            await heard.until(lambda: heard.of("closed"))
            ((_, _, code, _),) = heard.of("closed")
            assert code in (CLOSE_TOO_BIG, CLOSE_ABNORMAL)
            assert not heard.of("frame")

    run(work)


def test_nobody_at_the_port_is_told_as_a_close():
    async def work() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        heard = Heard()
        Transport(heard).open(f"ws://127.0.0.1:{port}/ws", 3)
        await heard.until(lambda: heard.of("closed"))
        ((_, number, code, reason),) = heard.of("closed")
        assert (number, code) == (3, CLOSE_ABNORMAL)
        assert "refused" in reason.lower()

    run(work)


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\n<html",
            "HTTP 502 (text/html)",
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://localhost/\r\nContent-Length: 0\r\n\r\n", "HTTP 302"),
        (b"nonsense\r\n\r\n", ""),
        (b"", "without a close frame"),
    ],
)
def test_an_answer_that_is_no_upgrade_is_told_as_a_close(answer: bytes, part: str):
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(reply, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        heard = Heard()
        Transport(heard).open(f"ws://127.0.0.1:{port}/ws", 1)
        await heard.until(lambda: heard.of("closed"))
        ((_, _, code, reason),) = heard.of("closed")
        assert code == CLOSE_ABNORMAL
        assert part in reason
        server.close()

    run(work)


def test_what_cannot_be_sent_at_once_is_told_as_pressure_until_it_left():
    async def work() -> None:
        heard = Heard()
        go_on = asyncio.Event()

        async def slow(connection: ServerConnection) -> None:
            await go_on.wait()
            await echo(connection)

        async with served(slow, max_size=None, max_queue=1) as url:
            transport = Transport(heard)
            transport.open(url, 1)
            await heard.until(lambda: heard.of("upgraded"))
            payload = json.dumps("x" * (1 << 20)).encode()
            for _ in range(64):
                assert transport.send(1, payload)
                if transport.waiting_bytes:
                    break
            await heard.until(lambda: heard.of("pressed"))
            assert heard.of("pressed") == [("pressed", 1, True)]
            assert transport.waiting_bytes > 0
            go_on.set()
            await heard.until(lambda: ("pressed", 1, False) in heard.told)
            assert transport.waiting_bytes == 0
            transport.close(1, 1000)

    run(work)


def test_one_that_is_opened_anew_or_closed_while_it_opens_tells_nothing_more():
    async def work() -> None:
        heard = Heard()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        dead = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        async with served(echo) as url:
            transport = Transport(heard)
            transport.open(dead, 1)
            await heard.until(lambda: heard.of("up"))
            transport.close(1, 4000)
            assert transport.socket == 0
            transport.open(dead, 2)
            transport.open(url, 3)
            await heard.until(lambda: heard.of("upgraded"))
            transport.open(url, 4)
            await heard.until(lambda: ("upgraded", 4) in heard.told)
            transport.close(3, 4000)  # of one before: nothing
            assert transport.socket == 4
            assert not transport.send(3, b"late")
            assert transport.counters["messages without a socket"] == 1
            transport.close(4, CLOSE_NONE)
            assert not heard.of("closed")
            assert not heard.of("broke")
        server.close()

    run(work)


def test_an_error_in_a_callback_is_told_at_once():
    async def work() -> None:
        heard = Heard()

        def fail(payload: bytes) -> None:
            raise AssertionError("an invariant")

        heard.on_frame = fail
        async with served(echo) as url:
            transport = Transport(heard)
            transport.open(url, 1)
            await heard.until(lambda: heard.of("upgraded"))
            transport.send(1, b"x")
            await heard.until(lambda: heard.of("broke"))
            ((_, error),) = heard.of("broke")
            assert isinstance(error, AssertionError)
            transport.close(1, 1000)

    run(work)


@pytest.mark.parametrize("kind", ["up", "upgraded", "closed"])
def test_an_error_of_whoever_is_told_of_the_socket_is_no_secret(kind: str):
    async def close(connection: ServerConnection) -> None:
        await connection.close(1000)

    async def work() -> None:
        heard = Heard()

        def fail(*what: Any) -> None:
            raise AssertionError(kind)

        setattr(heard, kind, fail)
        async with served(close) as url:
            transport = Transport(heard)
            transport.open(url, 1)
            await heard.until(lambda: heard.of("broke"))
            assert str(heard.of("broke")[0][1]) == kind
            transport.close(1, 1000)

    run(work)


def test_an_address_that_is_none_is_told_as_a_close():
    async def work() -> None:
        heard = Heard()
        Transport(heard).open("ws://nowhere.invalid/ws", 1)
        await heard.until(lambda: heard.of("closed"))
        assert heard.of("closed")[0][2] == CLOSE_ABNORMAL

    run(work)


def test_bounds_are_bounds():
    with pytest.raises(ValueError, match="message_bytes_max of a transport is 0, and must be more than 0"):
        TransportSettings(message_bytes_max=0)
