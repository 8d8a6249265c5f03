"""Sockets as two processes use them: real ones, over ipc and over tcp with keys."""

from __future__ import annotations

import asyncio
import socket as sockets
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop
import zmq

from hlhft.alpha.sockets import (
    READ_PER_TURN,
    EndpointError,
    Gatekeeper,
    Keys,
    Reader,
    bind,
    connect,
    held,
    keys_of,
    new_context,
    new_keys,
    require_endpoint,
    send,
)

WITHIN_S = 20.0


def on_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            if look():
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def contexts() -> AsyncIterator[tuple[zmq.Context, zmq.Context]]:
    one, other = new_context(), new_context()
    try:
        yield one, other
    finally:
        one.destroy(0)
        other.destroy(0)


@pytest.mark.parametrize(
    "endpoint", ["ipc:///run/hlhft/a.sock", "tcp://127.0.0.1:5555", "tcp://[::1]:5555", "tcp://localhost:1"]
)
def test_places_on_this_machine_need_no_keys(endpoint: str) -> None:
    assert require_endpoint(endpoint, has_keys=False) == endpoint


@pytest.mark.parametrize(
    "endpoint", ["tcp://10.0.0.1:5555", "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://host.example:5"]
)
def test_others_need_keys(endpoint: str) -> None:
    assert require_endpoint(endpoint, has_keys=True) == endpoint
    with pytest.raises(EndpointError, match="both sides need keys"):
        require_endpoint(endpoint, has_keys=False)


@pytest.mark.parametrize(
    "endpoint",
    ["", "ipc://relative", "inproc://a", "tcp://127.0.0.1", "tcp://:5", "tcp://h:0", "tcp://h:x", "tcp://h:65536"],
)
def test_no_other_place_is_one(endpoint: str) -> None:
    with pytest.raises(EndpointError, match="an endpoint is"):
        require_endpoint(endpoint, has_keys=True)


def test_a_path_has_a_length() -> None:
    with pytest.raises(EndpointError, match="107 bytes"):
        require_endpoint("ipc:///" + "a" * 107, has_keys=False)


def test_keys_are_checked_and_never_shown() -> None:
    public, secret = new_keys()
    other, _ = new_keys()
    assert keys_of(secret + b"\n", other.decode()) == Keys(secret, public, other)
    for wrong, peer in (
        (secret[:-1], other.decode()),
        (secret, "short"),
        (secret, "~" * 40),
        (b"~" * 40, other.decode()),
    ):
        with pytest.raises(EndpointError) as caught:
            keys_of(wrong, peer)
        assert secret.decode()[:10] not in str(caught.value)


def test_an_ipc_socket_is_its_users_alone_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "sockets" / "a.sock"
    context = new_context()
    first = bind(context, zmq.PUB, f"ipc://{path}", queue=10, keys=None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    second = bind(context, zmq.PUB, f"ipc://{path}", queue=10, keys=None)
    assert first is not second
    context.destroy(0)


def test_where_nothing_can_listen_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    context = new_context()
    with pytest.raises(EndpointError, match="nothing can listen there"):
        bind(context, zmq.PUB, f"ipc://{tmp_path}/file/a.sock", queue=10, keys=None)
    with sockets.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EndpointError, match="nothing can listen there"):
            bind(context, zmq.PUB, f"tcp://127.0.0.1:{taken.getsockname()[1]}", queue=10, keys=None)
    context.destroy(0)


def test_what_is_sent_is_read_in_bounded_turns(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/a.sock"
    count = 5 * READ_PER_TURN + 3

    async def work() -> None:
        async with contexts() as (one, other):
            listens = bind(one, zmq.PULL, endpoint, queue=1000, keys=None)
            talks = connect(other, zmq.PUSH, endpoint, queue=1000, keys=None)
            assert all(send(talks, str(number).encode()) for number in range(count))
            found: list[int] = []
            turns: list[int] = []
            await until(lambda: bool(listens.get(zmq.EVENTS) & zmq.POLLIN))
            reader = Reader(
                asyncio.get_running_loop(), listens, lambda parts: found.append(int(parts[0])),
                lambda: turns.append(len(found)),
            )  # fmt: skip
            reader.look()
            await until(lambda: len(found) == count)
            assert found == list(range(count))
            assert all(after - before <= READ_PER_TURN for before, after in zip([0, *turns], turns))
            reader.close()
            reader.close()
            reader.look()

    on_loop(work)


def test_a_full_queue_drops_and_does_not_wait(tmp_path: Path) -> None:
    context = new_context()
    talks = connect(context, zmq.PUSH, f"ipc://{tmp_path}/nobody.sock", queue=5, keys=None)
    assert [send(talks, b"x") for _ in range(7)] == [True] * 5 + [False] * 2
    context.destroy(0)


def test_a_reader_may_be_closed_by_what_it_reads(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/a.sock"

    async def work() -> None:
        async with contexts() as (one, other):
            listens = bind(one, zmq.PULL, endpoint, queue=10, keys=None)
            talks = connect(other, zmq.PUSH, endpoint, queue=10, keys=None)
            found: list[bytes] = []

            def take(parts: list[bytes]) -> None:
                found.append(parts[0])
                reader.close()

            reader = Reader(asyncio.get_running_loop(), listens, take)
            send(talks, b"a")
            send(talks, b"b")
            await until(lambda: found == [b"a"])
            assert listens.closed

    on_loop(work)


def free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_only_the_known_key_is_let_in() -> None:
    (engine_public, engine_secret), (alpha_public, alpha_secret), (_, stranger_secret) = (new_keys() for _ in range(3))
    engine = keys_of(engine_secret, alpha_public.decode())
    endpoint = f"tcp://127.0.0.1:{free_port()}"

    async def work() -> None:
        async with contexts() as (one, other):
            loop = asyncio.get_running_loop()
            gate = Gatekeeper(one, loop, engine.peer)
            listens = bind(one, zmq.PULL, endpoint, queue=10, keys=engine)
            found: list[bytes] = []
            talks: list[zmq.Socket] = []
            reader = Reader(loop, listens, lambda parts: found.append(parts[0]))
            for secret, word in ((stranger_secret, b"stranger"), (alpha_secret, b"known")):
                keys = keys_of(secret, engine_public.decode())
                talks.append(connect(other, zmq.PUSH, endpoint, queue=10, keys=keys))
                send(talks[-1], word)
                await until(lambda: gate.refused > 0)
            await until(lambda: found == [b"known"])
            reader.close()
            gate.close()

    on_loop(work)


def test_a_place_is_one_process_s(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alpha/signals.sock"
    with held(endpoint):
        with pytest.raises(EndpointError, match="another process listens there"), held(endpoint):
            pytest.fail("two hold it")
        with held(f"ipc://{tmp_path}/alpha/features.sock"), held("tcp://127.0.0.1:5555"), held("tcp://127.0.0.1:5555"):
            pass
    with held(endpoint):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(EndpointError, match="nothing can listen there"), held(f"ipc://{tmp_path}/file/signals.sock"):
        pytest.fail("there is no such place")
