"""An engine's life against a real exchange: it quotes, is filled, survives what happens, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from hlhft.hyperliquid.supervisor_events import Verdict
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.engine import Engine
from hlhft.live.preflight import StartError
from hlhft.live.process import paper_key, pin
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


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "agent.key"
    signer = paper_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert paper_key(path).address == signer.address


def test_a_processor_that_is_not_there_is_refused() -> None:
    pin(-1)
    with pytest.raises(StartError, match=r"engine\.cpu is 4095"):
        pin(4095)
