"""Clients that read slowly, stay silent, send too much or half of it: the others do not notice (real sockets)."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.desk import ALO, DEADLINE_S, Desk, Trader, eventually
from tests.conformance.process import ExchangeProcess
from tests.conformance.sockets import connected
from tests.exchange.fuzz_grammar import Grammar

TEXT, CLOSE = 0x81, 0x88
MIB = 1 << 20
SHAKE = (
    "GET /ws HTTP/1.1\r\nHost: exchange\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@contextmanager
def raw(desk: Desk) -> Iterator[socket.socket]:
    """A bare connection."""
    place = urlsplit(desk.url)
    with socket.create_connection((place.hostname, place.port), timeout=DEADLINE_S) as made:
        yield made


@contextmanager
def raw_websocket(desk: Desk) -> Iterator[socket.socket]:
    """A WebSocket by hand, after the handshake."""
    with raw(desk) as made:
        made.sendall(SHAKE.encode())
        assert b"101" in made.recv(12)
        yield made


def frame(payload: bytes, *, first: int = TEXT, claimed: int | None = None) -> bytes:
    """A masked frame; `claimed` is the length that it says it has."""
    size = len(payload) if claimed is None else claimed
    head = bytes([first, 0x80 | 127]) + struct.pack(">Q", size) + bytes(4)
    return head + payload


def send_what_is_taken(made: socket.socket, sent: bytes) -> None:
    """All of `sent`, or as much of it as the other side takes before it hangs up, which it may do at the first byte."""
    with suppress(BrokenPipeError, ConnectionResetError):
        made.sendall(sent)


def is_closed(made: socket.socket) -> bool:
    """Whether the other side hangs up in time."""
    try:
        while made.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def memory_bytes(process: ExchangeProcess) -> int:
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_half_a_request_and_half_a_frame(desk: Desk) -> None:
    with raw(desk) as half, raw_websocket(desk) as socket_with_half:
        half.sendall(b'POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"type":')
        socket_with_half.sendall(frame(b'{"method":"pi', claimed=400))
        assert desk.price("ETH") > 0
    assert desk.price("ETH") > 0


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"", claimed=1 << 40),
        frame(b"x" * (MIB + 1)),
        frame(b"\xff\xfe"),
        bytes([0x83, 0x80]) + bytes(4),  # a kind of frame that there is not
    ],
    ids=["claims a tebibyte", "too large", "no text", "unknown kind"],
)
def test_frames_that_are_none_close_their_connection(desk: Desk, sent: bytes) -> None:
    with raw_websocket(desk) as made:
        send_what_is_taken(made, sent)
        assert is_closed(made)
    assert desk.price("ETH") > 0


def test_a_request_that_says_more_than_a_mebibyte_is_refused(desk: Desk) -> None:
    with raw(desk) as made:
        head = b"POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"
        send_what_is_taken(made, head + b"x" * 2 * MIB)
        assert b" 413 " in made.recv(64)
    assert desk.price("ETH") > 0


def test_bytes_that_are_no_http(desk: Desk) -> None:
    draw = random.Random(5)
    for _ in range(20):
        with raw(desk) as made:
            send_what_is_taken(made, draw.randbytes(draw.randrange(1, 2_000)) + b"\r\n\r\n")
            with suppress(OSError):  # it may have hung up
                made.shutdown(socket.SHUT_WR)
            assert is_closed(made)
    assert desk.price("ETH") > 0


META = frame(b'{"method":"post","id":1,"request":{"type":"info","payload":{"type":"meta"}}}')


def is_cut_off(silent: socket.socket) -> bool:
    """Whether the exchange ends the connection of one who goes on asking in whole frames, and reads nothing.

    Its receive buffer is left as it is: Linux drops even acknowledgements where a tiny one is full, and both sides
    wait for each other then.
    """
    silent.settimeout(0.5)
    rest = b""
    started = time.monotonic()
    while time.monotonic() - started < 6 * DEADLINE_S:  # of a busy machine
        rest = rest or META * 200
        try:
            rest = rest[silent.send(rest) :]
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_a_reader_that_does_not_read_is_disconnected(
    desk: Desk, maker: Trader, exchange_process: ExchangeProcess
) -> None:
    """It asks for far more than the buffers hold, and takes nothing of it."""
    price = desk.price("ETH")
    orders = [
        {"coin": "ETH", "is_buy": True, "sz": 1, "limit_px": price - step, "order_type": ALO, "reduce_only": False}
        for step in range(20)
    ]
    maker.exchange.bulk_orders(orders)
    before = memory_bytes(exchange_process)
    with raw_websocket(desk) as silent:
        assert is_cut_off(silent)
    assert memory_bytes(exchange_process) - before < 64 * MIB
    assert desk.price("ETH") == price


def test_a_reader_that_breaks_the_protocol_and_does_not_read_is_disconnected(desk: Desk) -> None:
    """Its answers wait to be written, fewer than are too many, so that it cannot even be told what is wrong."""
    with raw_websocket(desk) as silent:
        for _ in range(50):
            silent.sendall(META * 200)
            desk.price("ETH")  # one turn of the exchange
        silent.sendall(b"\xff" * 64)
        assert is_cut_off(silent)
    assert desk.price("ETH") > 0


def test_what_the_fuzz_sends_over_real_sockets(desk: Desk) -> None:
    grammar = Grammar(random.Random(11), people=3, now_ms=desk.now_ms())
    headers = {"Content-Type": "application/json"}

    async def talk(bodies: list[bytes]) -> None:
        async with connected(desk) as client:
            for body in bodies:
                await client.send(body.decode(errors="replace"))
            await client.send({"method": "ping"})
            await client.next("pong")

    frames = []
    for _ in range(300):
        sent = grammar.next()
        if sent.door == "frame":
            frames.append(sent.body)
            continue
        response = desk.http.post(f"{desk.url}/{sent.door}", data=sent.body, headers=headers, timeout=DEADLINE_S)
        assert response.status_code in (200, 400, 413, 422, 500), (sent, response.text)
        assert "Traceback" not in response.text
        assert "got itself in trouble" not in response.text, sent
    asyncio.run(talk(frames))
    told: Any = eventually(lambda: desk.info.meta())
    assert told["universe"]
