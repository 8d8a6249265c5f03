"""Heartbeats over real datagrams: unix sockets and UDP, floods and strangers, and a sender that nothing stops."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hlhft.hyperliquid.watchdog_beats import (
    MESSAGE_BYTES_MAX,
    SECRET_BYTES_MIN,
    Beat,
    BeatFault,
    EngineState,
    Hearing,
    encode_hearing,
)
from hlhft.live.heartbeat import (
    DATAGRAMS_MAX,
    HeartbeatError,
    HeartbeatReceiver,
    HeartbeatSender,
    read_address,
)
from tests.live.watched import WITHIN_S, eventually

SECRET = b"s" * SECRET_BYTES_MIN
OTHER_SECRET = b"t" * SECRET_BYTES_MIN
TRADING = EngineState.TRADING


class Heard:
    """Where a receiver puts what it hears."""

    def __init__(self, address: str) -> None:
        self.beats: list[Beat] = []
        self.refused: list[BeatFault] = []
        self.receiver = HeartbeatReceiver(
            address, SECRET, on_beat=self._hear, on_refused=self.refused.append, now_ns=time.time_ns
        )

    def _hear(self, beat: Beat) -> Hearing:
        self.beats.append(beat)
        return Hearing(session=beat.session, sequence=beat.sequence, state="armed", switch="off")

    async def until(self, count: int) -> None:
        await eventually(lambda: len(self.beats) >= count)


@contextlib.asynccontextmanager
async def hearing(address: str) -> AsyncIterator[Heard]:
    heard = Heard(address)
    heard.receiver.open()
    try:
        yield heard
    finally:
        heard.receiver.close()


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def send(sender: HeartbeatSender, **fields: int) -> bool:
    return sender.beat(TRADING, now_ns=time.time_ns(), **fields)


def test_beats_go_over_a_unix_socket_and_are_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = str(tmp_path / "deep" / "heartbeat.sock")
        async with hearing(path) as heard:
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
            assert heard.receiver.port == 0
            sender = HeartbeatSender(path, SECRET, session=3)
            assert not sender.is_heard()
            assert send(sender, breaker=4, last_expiry_ms=9, expires_after_ms=8, orders=7, reconciliation=6)
            await heard.until(1)
            beat = heard.beats[0]
            assert (beat.session, beat.sequence, beat.breaker, beat.last_expiry_ms) == (3, 1, 4, 9)
            assert (beat.expires_after_ms, beat.orders, beat.reconciliation) == (8, 7, 6)
            answer = sender.hearing(path)
            assert sender.is_heard() and answer is not None and answer.state == "armed"
            assert sender.counters == {"beats": 1}
            for _ in range(3):
                sender.beat(TRADING, now_ns=0, orders=-9)
            assert not sender.is_heard(), "the latest three were not answered"
            sender.close()

    asyncio.run(scenario())
    assert not list((tmp_path / "deep").iterdir())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_beats_go_over_udp(host: str) -> None:
    port = free_port()

    async def scenario() -> None:
        async with hearing(f"{host}:{port}") as heard:
            assert heard.receiver.port == port
            sender = HeartbeatSender(f"{host}:{port}", SECRET, session=3)
            send(sender)
            await heard.until(1)
            await eventually(sender.is_heard)
            assert f"{port}" in repr(sender) and "sss" not in repr(sender)
            sender.close()

    asyncio.run(scenario())


def test_two_watchdogs_hear_the_same_and_one_may_be_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        here, there = str(tmp_path / "here"), f"127.0.0.1:{free_port()}"
        async with hearing(there) as elsewhere:
            sender = HeartbeatSender([here, there], SECRET, session=3)
            assert not send(sender), "one of them is not there"
            await eventually(lambda: sender.heard_at() == {there})
            assert not sender.is_heard()
            async with hearing(here) as heard:
                assert send(sender)
                await eventually(sender.is_heard)
                assert heard.beats == elsewhere.beats[1:]
            sender.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [0, 5])
def test_so_many_watchdogs_are_none(count: int) -> None:
    with pytest.raises(HeartbeatError, match=f"1 to 4 watchdogs, not {count}"):
        HeartbeatSender(["/x"] * count, SECRET, session=3)


def test_nobody_there_is_no_reason_to_stop(tmp_path: Path) -> None:
    sender = HeartbeatSender(str(tmp_path / "none"), SECRET, session=3)
    assert not send(sender)
    assert sender.counters == {"beats not sent: No such file or directory": 1}
    assert not sender.beat(TRADING, now_ns=time.time_ns(), orders=-5)
    assert sender.counters["beats out of range"] == 1
    sender.close()
    over_udp = HeartbeatSender("127.0.0.1:9", SECRET, session=3)
    for _ in range(5):
        send(over_udp)
    assert not over_udp.is_heard()
    over_udp.close()


def test_a_receiver_that_does_not_read_does_not_hold_the_sender_up(tmp_path: Path) -> None:
    path = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        sender = HeartbeatSender(path, SECRET, session=3)
        results = [send(sender) for _ in range(2000)]
        assert results[0] and not results[-1]
        sender.close()


def test_a_watchdog_that_comes_later_is_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = str(tmp_path / "late")
        sender = HeartbeatSender(path, SECRET, session=3)
        assert not send(sender)
        async with hearing(path) as heard:
            assert send(sender)
            await heard.until(1)
        async with hearing(path) as heard:
            assert send(sender)
            await heard.until(1)
        sender.close()

    asyncio.run(scenario())


def test_strangers_are_refused_and_not_answered(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = str(tmp_path / "heartbeat.sock")
        async with hearing(path) as heard:
            stranger = HeartbeatSender(path, OTHER_SECRET, session=9)
            sender = HeartbeatSender(path, SECRET, session=3)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
                nameless.sendto(bytes(MESSAGE_BYTES_MAX + 10), path)
                nameless.sendto(b"", path)
            send(stranger)
            send(sender)
            await heard.until(1)
            assert sorted(heard.refused) == sorted([BeatFault.SIZE, BeatFault.SIZE, BeatFault.FORGED])
            assert not stranger.is_heard()
            stranger.close()
            sender.close()

    asyncio.run(scenario())


def test_what_came_meanwhile_is_read_before_a_timer_fires() -> None:
    """Up to a bound, so that a flood does not keep the process from all else."""
    address = f"127.0.0.1:{free_port()}"

    async def scenario() -> None:
        async with hearing(address) as heard:
            sender = HeartbeatSender(address, SECRET, session=3)
            assert all(send(sender) for _ in range(DATAGRAMS_MAX + 20))
            seen: list[int] = []
            asyncio.get_running_loop().call_later(0, lambda: seen.append(len(heard.beats)))
            await heard.until(DATAGRAMS_MAX + 20)
            assert seen == [DATAGRAMS_MAX]
            sender.close()

    asyncio.run(scenario())


def test_answers_that_are_none_are_counted(tmp_path: Path) -> None:
    path = str(tmp_path / "watchdog")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as watchdog:
        watchdog.bind(path)
        watchdog.settimeout(WITHIN_S)
        sender = HeartbeatSender(path, SECRET, session=3)
        send(sender)
        _, back = watchdog.recvfrom(MESSAGE_BYTES_MAX)
        of_another = Hearing(session=8, sequence=1, state="armed", switch="off")
        for message in (b"?", encode_hearing(of_another, OTHER_SECRET), encode_hearing(of_another, SECRET)):
            watchdog.sendto(message, back)
        assert not sender.is_heard()
        assert sender.counters["hearings refused"] == 2
        sender.close()


def test_two_watchdogs_do_not_share_a_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = str(tmp_path / "heartbeat.sock")
        async with hearing(path):
            with pytest.raises(HeartbeatError, match="another watchdog hears on"):
                Heard(path).receiver.open()
            sender = HeartbeatSender(path, SECRET, session=3)
            assert send(sender), "the first one still hears"
            sender.close()

    asyncio.run(scenario())


def test_a_socket_left_by_a_killed_one_is_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "heartbeat.sock")
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(path)
    left.close()

    async def scenario() -> None:
        async with hearing(path) as heard:
            sender = HeartbeatSender(path, SECRET, session=3)
            assert send(sender)
            await heard.until(1)
            sender.close()

    asyncio.run(scenario())


def test_a_place_that_cannot_be_heard_on_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    async def scenario() -> None:
        for address, words in (
            (str(tmp_path / "file"), "is no socket"),
            (str(tmp_path / "file" / "below"), "heartbeats cannot be heard on"),
            ("192.0.2.1:1", "heartbeats cannot be heard on"),
        ):
            with pytest.raises(HeartbeatError, match=words):
                Heard(address).receiver.open()

    asyncio.run(scenario())
    assert (tmp_path / "file").read_text() == "mine"


def test_closing_twice_or_outside_the_loop_is_harmless(tmp_path: Path) -> None:
    heard = Heard(str(tmp_path / "heartbeat.sock"))

    async def scenario() -> None:
        heard.receiver.open()

    asyncio.run(scenario())
    heard.receiver.close()
    heard.receiver.close()
    assert not (tmp_path / "heartbeat.sock").exists()


def test_addresses_are_paths_or_hosts_with_ports() -> None:
    assert read_address("/run/x.sock") == "/run/x.sock"
    assert read_address("10.0.0.1:7001") == ("10.0.0.1", 7001)
    assert read_address("[fd00::1]:7001") == ("fd00::1", 7001)
    for text in ("", "host", "host:", ":1", "host:0", "host:65536", "host:x", "relative/path", "host:\uff11"):
        with pytest.raises(HeartbeatError, match="is no address for heartbeats"):
            read_address(text)
