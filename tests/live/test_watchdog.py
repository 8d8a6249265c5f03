"""The watchdog on real sockets, against an exchange that is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from hlhft.hyperliquid.backoff import MILLISECOND_NS, BackoffSettings
from hlhft.hyperliquid.watchdog_beats import SECRET_BYTES_MIN, EngineState
from hlhft.hyperliquid.watchdog_events import Report, ReportCode, WatchdogSettings
from hlhft.hyperliquid.watchdog_table import State
from hlhft.live import watchdog
from hlhft.live.clock import Clock
from hlhft.live.heartbeat import HeartbeatSender
from hlhft.live.notify import Notifier
from hlhft.live.watchdog import WatchdogPlace, WatchdogShell
from hlhft.live.watchdog_metrics import WatchdogMetrics
from hlhft.monitor.block import BlockWriter, block_path, read_block
from hlhft.monitor.metrics import Source
from tests.conformance.process import COMMAND, FREE, ExchangeProcess
from tests.live.watched import OTHER, OWNER, WITHIN_S, Account, eventually

pytestmark = pytest.mark.processes

SECRET = b"s" * SECRET_BYTES_MIN
MS = MILLISECOND_NS


class Exchange:
    """An exchange that can be stopped, and started again at the same place with all that it held."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExchangeProcess([*COMMAND, *FREE, "--state", "kept.state"], folder)
        self.url = self._running.url()

    def stop(self) -> None:
        assert self._running.stop() == 0

    def start(self) -> None:
        *command, _ = COMMAND
        port = self.url.rpartition(":")[2]
        self._running = ExchangeProcess([*command, port, *FREE, "--state", "kept.state"], self._folder)
        assert self._running.url() == self.url


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    running = Exchange(tmp_path_factory.mktemp("exchange"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    """Keys that no other test of this module uses."""
    return iter(range(1, 100))


@pytest.fixture
def account(exchange: Exchange, numbers: Iterator[int]) -> Account:
    """An account with an agent of its own for the watchdog."""
    made = Account(exchange.url, next(numbers))
    made.approve(made.agent)
    return made


def settings(account: Account, **changes: Any) -> WatchdogSettings:
    """Numbers so small that a test takes two seconds."""
    values: dict[str, Any] = {
        "account": account.address, "owner": OWNER, "mainnet": False, "silence_ns": 300 * MS, "start_ns": 500 * MS,
        "halt_grace_ns": 400 * MS, "round_ns": 200 * MS, "expires_after_ms": 300, "clock_skew_ms": 0,
        "proof_margin_ms": 50, "switch": False, "request_ns": 2000 * MS, "weight_per_minute": 1200,
        "weight_per_minute_max": 1200, "backoff": BackoffSettings(first_ns=50 * MS, longest_ns=500 * MS),
    }  # fmt: skip
    return WatchdogSettings(**{**values, **changes})


class Watch:
    """A watchdog that runs, and an engine stand-in that beats as long as it lives."""

    def __init__(self, shell: WatchdogShell, sender: HeartbeatSender) -> None:
        self.shell = shell
        self.sender = sender
        self.clock = Clock()
        self.state = EngineState.TRADING
        self.fields: dict[str, int] = {}
        self.reports: list[Report] = []
        self.life: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.life = asyncio.get_running_loop().create_task(self._live())

    async def _live(self) -> None:
        while True:
            fields = {"expires_after_ms": 300, "orders": 2, **self.fields}
            self.sender.beat(self.state, now_ns=self.clock.now_ns(), **fields)
            await asyncio.sleep(0.05)

    def kill(self) -> None:
        assert self.life is not None
        self.life.cancel()

    @property
    def codes(self) -> list[ReportCode]:
        return [report.code for report in self.reports]

    async def beats(self, count: int) -> None:
        """Waits for so many more of them."""
        heard = self.shell.machine.counters["beats"] + count
        await eventually(lambda: self.shell.machine.counters["beats"] >= heard)

    async def until(self, state: State) -> None:
        await eventually(lambda: self.shell.machine.state is state)


def make(account: Account, heartbeat: str | None, **changes: Any) -> WatchdogShell:
    url = changes.pop("url", account.url)
    on_report = changes.pop("on_report", lambda report: None)
    clock = changes.pop("clock", Clock())
    metrics = changes.pop("metrics", None)
    return WatchdogShell(
        settings(account, **changes),
        account.agent,
        WatchdogPlace(url=url, heartbeat=heartbeat, secret=SECRET),
        clock=clock,
        notifier=Notifier({}),
        on_report=on_report,
        metrics=metrics,
    )


@contextlib.asynccontextmanager
async def watching(account: Account, folder: Path, **changes: Any) -> AsyncIterator[Watch]:
    path = str(folder / "heartbeat.sock")
    reports: list[Report] = []
    shell = make(account, path, on_report=reports.append, **changes)
    running = asyncio.get_running_loop().create_task(shell.watch())
    await eventually(lambda: Path(path).exists() or running.done())
    watch = Watch(shell, HeartbeatSender(path, SECRET, session=3))
    watch.reports = reports
    try:
        yield watch
    finally:
        if watch.life is not None:
            watch.kill()
        shell.stop()
        await asyncio.wait_for(running, WITHIN_S)
        watch.sender.close()


def test_an_engine_that_dies_leaves_nothing_and_others_lose_nothing(account: Account, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            watch.start()
            await watch.until(State.ARMED)
            own = {await asyncio.to_thread(account.place) for _ in range(3)}
            others = {
                await asyncio.to_thread(account.place, owner=OTHER),
                await asyncio.to_thread(account.place, owner=None),
            }
            await watch.beats(16)
            assert await asyncio.to_thread(account.open_ids) == own | others, "it lives"
            assert watch.sender.is_heard()
            watch.kill()
            await watch.until(State.EMPTY)
            assert await asyncio.to_thread(account.open_ids) == others
            proven = watch.shell.machine.proven
            assert proven is not None and proven.others == 2
            assert watch.codes[0] is ReportCode.HEARD and watch.codes[-1] is ReportCode.EMPTY

    asyncio.run(scenario())


def test_forged_and_recorded_beats_keep_nothing_alive(
    account: Account, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            watch.start()
            await watch.until(State.ARMED)
            oid = await asyncio.to_thread(account.place)
            watch.kill()
            forger = HeartbeatSender(str(tmp_path / "heartbeat.sock"), b"t" * SECRET_BYTES_MIN, session=9)
            again = HeartbeatSender(str(tmp_path / "heartbeat.sock"), SECRET, session=2)
            for _ in range(20):
                forger.beat(EngineState.TRADING, now_ns=watch.clock.now_ns())
                again.beat(EngineState.TRADING, now_ns=watch.clock.now_ns())
                await asyncio.sleep(0.05)
            await watch.until(State.EMPTY)
            assert oid not in await asyncio.to_thread(account.open_ids)
            assert not forger.is_heard() and not again.is_heard()
            forger.close()
            again.close()

    with caplog.at_level(logging.WARNING, logger="hlhft.live.watchdog"):
        asyncio.run(scenario())
    refusals = [record.message for record in caplog.records if "a heartbeat is refused" in record.message]
    assert len(refusals) == 2, "each reason is told once in a while"
    assert SECRET.decode() not in caplog.text


def test_an_engine_that_comes_back_with_a_new_session_is_left_alone(account: Account, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            watch.start()
            await watch.until(State.ARMED)
            watch.kill()
            await watch.until(State.EMPTY)
            watch.sender.close()
            watch.sender = HeartbeatSender(str(tmp_path / "heartbeat.sock"), SECRET, session=4)
            watch.start()
            await watch.until(State.ARMED)
            oid = await asyncio.to_thread(account.place)
            await watch.beats(16)
            assert oid in await asyncio.to_thread(account.open_ids)

    asyncio.run(scenario())


def test_a_halted_engine_that_does_not_cancel_is_helped(account: Account, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            watch.start()
            await watch.until(State.ARMED)
            oid = await asyncio.to_thread(account.place)
            watch.state = EngineState.HALTED
            await watch.until(State.EMPTY)
            assert oid not in await asyncio.to_thread(account.open_ids)
            assert ReportCode.OVERDUE in watch.codes

    asyncio.run(scenario())


def test_orders_of_a_lost_host_are_cancelled_at_the_start(account: Account, tmp_path: Path) -> None:
    oid = account.place()

    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            await watch.until(State.EMPTY)
            assert oid not in await asyncio.to_thread(account.open_ids)
            assert ReportCode.ORPHANS in watch.codes

    asyncio.run(scenario())


def test_the_switch_is_refused_to_an_account_without_volume(account: Account, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with watching(account, tmp_path, switch=True) as watch:
            watch.start()
            await eventually(lambda: ReportCode.SWITCH_REFUSED in watch.codes)
            report = next(report for report in watch.reports if report.code is ReportCode.SWITCH_REFUSED)
            assert "enough volume traded" in report.detail
            address = str(tmp_path / "heartbeat.sock")
            await eventually(lambda: "'refused'" in repr(watch.sender.hearing(address)))

    asyncio.run(scenario())


def test_a_sweep_is_proven_or_says_that_it_is_not(account: Account) -> None:
    oid, other = account.place(), account.place(owner=OTHER)
    assert asyncio.run(make(account, None).sweep(WITHIN_S))
    assert account.open_ids() == {other}
    assert oid != other
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        assert not asyncio.run(make(account, None, url=dead).sweep(0.5))


def test_without_a_socket_http_alone_will_do(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WatchdogPlace, "socket_url", "ws://127.0.0.1:9/ws")
    account.place()
    assert asyncio.run(make(account, None).sweep(WITHIN_S))
    assert account.open_ids() == set()


def test_an_exchange_that_is_down_meanwhile_is_waited_for(exchange: Exchange, account: Account, tmp_path: Path) -> None:
    """It is stopped before the engine dies, and comes back."""

    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            watch.start()
            await watch.until(State.ARMED)
            oid = await asyncio.to_thread(account.place)
            await asyncio.to_thread(exchange.stop)
            watch.kill()
            await eventually(lambda: ReportCode.UNREACHABLE in watch.codes)
            await asyncio.to_thread(exchange.start)
            await watch.until(State.EMPTY)
            assert oid not in await asyncio.to_thread(account.open_ids)

    asyncio.run(scenario())


def test_the_service_manager_hears_that_it_lives(account: Account, tmp_path: Path) -> None:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "manager"))
    manager.settimeout(WITHIN_S)
    shell = make(account, str(tmp_path / "heartbeat.sock"))
    shell._notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "manager"), "WATCHDOG_USEC": "150000"})

    async def scenario() -> bool:
        running = asyncio.get_running_loop().create_task(shell.watch())
        heard = [await asyncio.to_thread(manager.recv, 512) for _ in range(4)]
        assert heard[0] == b"READY=1"
        assert all(message.startswith(b"WATCHDOG=1\nSTATUS=waiting") for message in heard[1:])
        shell.stop()
        return await running

    assert asyncio.run(scenario())
    messages = []
    manager.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(manager.recv(512))
    assert b"STOPPING=1" in messages
    manager.close()


def test_whatever_breaks_ends_it(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on as if it had not broken; the service manager starts it again."""
    shell = make(account, str(tmp_path / "heartbeat.sock"))

    async def scenario() -> None:
        running = asyncio.get_running_loop().create_task(shell.watch())
        await eventually((tmp_path / "heartbeat.sock").exists)

        def broken(event: object, now_ns: int) -> None:
            raise AssertionError("broken")

        monkeypatch.setattr(shell.machine, "on", broken)
        sender = HeartbeatSender(str(tmp_path / "heartbeat.sock"), SECRET, session=3)
        sender.beat(EngineState.TRADING, now_ns=Clock().now_ns())
        with pytest.raises(AssertionError, match="broken"):
            await running
        sender.close()

    asyncio.run(scenario())
    assert not (tmp_path / "heartbeat.sock").exists()


def test_what_stands_beside_the_machine_ends_it_too(account: Account, tmp_path: Path) -> None:
    class Broken(Clock):
        def discipline(self) -> int:
            raise AssertionError("no clock")

    shell = make(account, str(tmp_path / "heartbeat.sock"), clock=Broken())
    with pytest.raises(AssertionError, match="no clock"):
        asyncio.run(shell.watch())


def test_a_loop_that_only_complains_goes_on(account: Account, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with watching(account, tmp_path) as watch:
            asyncio.get_running_loop().call_exception_handler({"message": "nothing broke"})
            watch.start()
            await watch.until(State.ARMED)

    asyncio.run(scenario())
    assert "nothing broke" in caplog.text


def test_a_socket_that_says_nothing_of_use_is_pinged_and_gone_around(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests over it get no answer, are asked for again over HTTP, and the sweep is proven all the same."""
    frames: list[str | bytes] = []

    async def answer(connection: ServerConnection) -> None:
        await connection.send("Websocket connection established.")
        await connection.send("<html>busy</html>")
        await connection.send('{"channel":"error","data":"what?"}')
        async for frame in connection:
            frames.append(frame)

    async def scenario() -> bool:
        async with serve(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            monkeypatch.setattr(WatchdogPlace, "socket_url", f"ws://127.0.0.1:{port}")
            shell = make(account, str(tmp_path / "heartbeat.sock"), request_ns=100 * MS)
            running = asyncio.get_running_loop().create_task(shell.watch())
            await eventually(lambda: any("ping" in str(frame) for frame in frames))
            await eventually(lambda: shell.machine.state is State.EMPTY)
            shell.stop()
            return await running

    account.place()
    monkeypatch.setattr(watchdog, "PING_S", 0.05)
    with caplog.at_level(logging.WARNING, logger="hlhft.live.watchdog"):
        assert asyncio.run(scenario())
    assert account.open_ids() == set()
    assert "a frame of the venue cannot be read" in caplog.text
    assert any('"type":"info"' in str(frame) for frame in frames)


def test_a_socket_that_takes_no_more_is_gone_around(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.Queue, "full", lambda queue: True)
    account.place()
    assert asyncio.run(make(account, None).sweep(WITHIN_S))
    assert account.open_ids() == set()


def test_what_it_does_can_be_read_beside_it(account: Account, tmp_path: Path) -> None:
    """Each of its numbers, over real sockets: beats believed and not, the venue's answers, a sweep, and the end."""
    clock = Clock()
    block = block_path(tmp_path, Source.WATCHDOG)
    labels = {"account": account.address}
    writer = BlockWriter(block, source=Source.WATCHDOG, labels=labels, clock_ns=clock.now_ns)

    def shown(name: str, *labels: str) -> float:
        found = {(sample.metric.name, *sample.labels): sample.value for sample in read_block(block).series}
        value = found[f"hlhft_watchdog_{name}", *labels]
        assert isinstance(value, float)
        return value

    async def scenario() -> None:
        async with watching(account, tmp_path, metrics=lambda: WatchdogMetrics(writer), clock=clock) as watch:
            forger = HeartbeatSender(str(tmp_path / "heartbeat.sock"), b"t" * SECRET_BYTES_MIN, session=9)
            forger.beat(EngineState.TRADING, now_ns=clock.now_ns())
            watch.start()
            await watch.until(State.ARMED)
            await eventually(lambda: shown("state", "armed") == 1)
            await eventually(lambda: shown("beats_refused_total") == 1)
            assert shown("beats_total") > 0 and shown("beat_age_seconds") < 1
            assert shown("venue_age_seconds") < WITHIN_S and shown("sweeps_total") == 0
            await asyncio.to_thread(account.place)
            watch.kill()
            await watch.until(State.EMPTY)
            await eventually(lambda: shown("state", "empty") == 1)
            assert shown("sweeps_total") == 1 and shown("orders") == 0
            assert shown("schedule_seconds") == 0, "the venue was not told to cancel by itself"
            forger.close()

    assert not read_block(block).is_closed
    asyncio.run(scenario())
    assert read_block(block).is_closed


def test_one_that_asks_nothing_knows_whether_it_reaches_the_venue(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the engine answers for its orders there are pings only; their answers count."""
    monkeypatch.setattr(watchdog, "PING_S", 0.05)
    clock = Clock()
    block = block_path(tmp_path, Source.WATCHDOG)
    writer = BlockWriter(block, source=Source.WATCHDOG, labels={"account": account.address}, clock_ns=clock.now_ns)

    def answered_ns() -> float:
        """When the venue answered, at most a second late, as the numbers are that old at most."""
        (age,) = (
            sample.value
            for sample in read_block(block).series
            if sample.metric.name == "hlhft_watchdog_venue_age_seconds" and isinstance(sample.value, float)
        )
        return clock.now_ns() - age * 1000 * MS

    async def scenario() -> None:
        async with watching(account, tmp_path, metrics=lambda: WatchdogMetrics(writer), clock=clock) as watch:
            watch.start()
            await watch.until(State.ARMED)
            armed_ns = clock.now_ns()
            await eventually(lambda: answered_ns() > armed_ns + 2000 * MS)

    asyncio.run(scenario())


def test_nothing_private_is_shown(account: Account) -> None:
    place = WatchdogPlace(url=account.url, heartbeat="/x", secret=SECRET)
    assert SECRET.decode() not in repr(place)
    assert place.socket_url == "ws" + account.url.removeprefix("http") + "/ws"
    assert WatchdogPlace(url="https://h", heartbeat=None).socket_url == "wss://h/ws"
