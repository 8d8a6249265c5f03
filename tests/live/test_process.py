"""An engine's life against a real exchange: it quotes, is filled, survives what happens, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from hlhft.config.load import load
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor_events import Verdict
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.hyperliquid.watchdog_beats import Beat, EngineState, Hearing
from hlhft.live.control import ControlError
from hlhft.live.engine import Engine
from hlhft.live.heartbeat import HeartbeatReceiver
from hlhft.live.preflight import StartError, VenueError
from hlhft.live.private_files import read_or_make_secret
from hlhft.live.process import Orders, paper_key, pin, run
from hlhft.live.store import StoreError, open_store
from tests.endtoend.house import free_port
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings

pytestmark = pytest.mark.processes


def both_sides(owner: Owner) -> bool:
    return all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH"))


def test_a_life(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, task):
            await until(lambda: both_sides(owner))
            assert there.stage is Stage.TRADING
            await is_filled(there)
            await stands_still(there)
            await loses_the_venue(there)
            os.kill(os.getpid(), signal.SIGTERM)
            ended = await asyncio.wait_for(task, 20)
            assert (ended.verdict, ended.halt, ended.failure) == (Verdict.EMPTY, None, "")
            assert not owner.own_orders()

    async def is_filled(there: Engine) -> None:
        (status,) = await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
        assert "filled" in status
        await until(lambda: there.status().markets[ETH].fills >= 1)
        await until(lambda: float(there.status().markets[ETH].position) == owner.position("ETH") != 0)
        assert there.status().profit is not None
        assert abs(there.status().profit.residual) < 1e-9  # type: ignore[union-attr]

    async def stands_still(there: Engine) -> None:
        await until(lambda: both_sides(owner))
        before = there.status().counters["orders cancelled"]
        time.sleep(0.4)  # noqa: ASYNC251 - the process stands still
        await until(lambda: there.status().counters["orders cancelled"] > before)
        await until(lambda: any("breaker tick to trade" in one.text for one in there.hub.happenings))
        await until(lambda: both_sides(owner))

    async def loses_the_venue(there: Engine) -> None:
        await asyncio.to_thread(exchange.go_down)
        await until(lambda: there.stage is Stage.WAITING)
        await asyncio.to_thread(exchange.come_back)
        await until(lambda: there.stage is Stage.TRADING)
        await until(lambda: both_sides(owner))

    run_on_uvloop(work)


def test_settings_that_an_engine_cannot_start_with_are_refused_before_anything_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f'[engine]\nstate_folder = "{tmp_path / "state"}"\n')
    with pytest.raises(StartError, match=r"engine\.coins names no market"):
        asyncio.run(run(Orders(loaded=load(path, {}), environment={})))
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_another_process_has_is_refused_before_the_venue_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[account]\nnetwork = "local"\nbase_url = "http://127.0.0.1:9"\n'
        f'[engine]\ncoins = ["ETH"]\nstate_folder = "{tmp_path / "state"}"\n'
    )
    orders = Orders(loaded=load(path, {}), environment={}, signer=Signer(b"\x07" * 32))
    store = open_store(tmp_path / "state")
    with pytest.raises(StoreError, match=f"process {os.getpid()} is running"):
        asyncio.run(run(orders))
    store.close()
    with pytest.raises(VenueError):
        asyncio.run(run(orders))
    store = open_store(tmp_path / "state")
    assert store.begin_session("key") == 1, "nothing was begun"
    store.close()


def test_an_engine_whose_control_socket_is_anothers_ends_before_it_connects(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 4)
    (tmp_path / "occupied").write_text("no socket")
    path = write_settings(tmp_path, exchange, owner, engine=f'control_socket = "{tmp_path / "occupied"}"\n')

    async def work() -> None:
        with pytest.raises(ControlError):
            async with engine(path):
                pytest.fail("it began")
        for number in (signal.SIGINT, signal.SIGTERM):
            assert not asyncio.get_running_loop().remove_signal_handler(number), "no handler is left"

    run_on_uvloop(work)
    assert not owner.own_orders()
    assert (tmp_path / "occupied").read_text() == "no socket"


def test_a_flattening_is_told_to_a_watchdog_elsewhere_and_an_end_without_proof_leaves_the_session_open(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 5)
    address = f"127.0.0.1:{free_port()}"
    path = write_settings(tmp_path, exchange, owner)
    path.write_text(path.read_text() + f'[watchdog]\nremote_heartbeat = "{address}"\n')
    (tmp_path / "state").mkdir(mode=0o700)
    secret = read_or_make_secret(tmp_path / "state" / "heartbeat.secret")
    states: list[EngineState] = []

    def hear(beat: Beat) -> Hearing:
        states.append(beat.state)
        return Hearing(session=beat.session, sequence=beat.sequence, state="armed", switch="off")

    def nobody_sells() -> None:
        asks = [order["oid"] for order in market.ask("openOrders") if order["coin"] == "ETH"]
        market.act({"type": "cancel", "cancels": [{"a": ETH, "o": oid} for oid in asks]})

    async def work() -> None:
        receiver = HeartbeatReceiver(address, secret, on_beat=hear, on_refused=states.append, now_ns=time.time_ns)
        receiver.open()
        try:
            async with engine(path) as (there, task):
                await until(lambda: both_sides(owner))
                await until(lambda: EngineState.TRADING in states)
                await until(lambda: there.status().covers[0].is_covered)
                await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
                await until(lambda: owner.position("ETH") < 0)
                await asyncio.to_thread(nobody_sells)
                assert there.flatten("news").is_done
                await until(lambda: EngineState.FLATTENING in states)
                await asyncio.to_thread(market.make, ETH)
                await until(lambda: owner.position("ETH") == 0)
                await until(lambda: states[-1] is EngineState.HALTED)
                there.stop("now")
                there.stop("at once")
                assert (await asyncio.wait_for(task, 20)).verdict is Verdict.NOT_EMPTY
                await until(lambda: states[-1] is EngineState.STOPPED)
        finally:
            receiver.close()

    run_on_uvloop(work)
    store = open_store(tmp_path / "state")
    assert not store.has_ended_well
    store.close()


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "agent.key"
    signer = paper_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert paper_key(path).address == signer.address


def test_a_processor_that_is_not_there_is_refused() -> None:
    pin(-1)
    with pytest.raises(StartError, match=r"engine\.cpu is 4095"):
        pin(4095)
