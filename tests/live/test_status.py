"""What an operator sees is what the engine's parts say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from hlhft.events import EventKind
from hlhft.live.engine import Engine
from hlhft.live.store import StoreError
from hlhft.live.view import STAGES, Status
from tests.live.engines import ETH, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings


def test_a_status_of_a_trading_engine_is_whole_and_goes_over_the_wire(
    exchange: Exchange, market: Trader, tmp_path: Path
) -> None:
    owner = Owner(exchange.url, 1)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            first = there.status()
            assert first.stage in STAGES
            assert first.equity is None
            await until(lambda: all(owner.sides(coin) == {"A", "B"} for coin in ("BTC", "ETH")))
            await asyncio.to_thread(market.orders, (ETH, True, "4003.9", "0.05", "Ioc"))
            await until(lambda: there.status().counters["fills"] > 0)
            await until(lambda: there.status().latencies[1].count > 0)
            lane = there.orders.lines[0]
            assert not lane.transport.send(lane.socket + 1, b"to a socket that is gone")
            await asyncio.to_thread(there.hub.keeper.now, no_disk)
            status = there.status()
            assert status.counters["messages without a socket"] == 1
            assert status.counters["writes to the store that failed"] == 1
            assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(status)), Status) == status
            check(status, owner)
            models_are_shown(there)
            there.halt("a look")
            halted = there.status()
            assert halted.stage == "halted"
            assert "a look" in halted.halt
            assert any(one.name == "operator" and one.is_latched for one in halted.breakers)

    def check(status: Status, owner: Owner) -> None:
        assert status.stage in ("quoting", "reducing")
        assert status.account == owner.address.lower()
        assert (status.network, status.strategy, status.session) == ("local", "two_sided", 1)
        btc, eth = status.markets
        assert (btc.name, eth.name) == ("BTC", "ETH")
        assert btc.is_fresh and btc.bid is not None and btc.ask is not None
        assert float(btc.bid) < float(btc.ask)
        assert {quote.side for quote in btc.quotes} == {1, -1}
        assert float(eth.position) == -0.05
        assert eth.fills == 1
        assert eth.notional_usdc is not None and 190 < eth.notional_usdc < 210
        assert status.equity is not None and abs(status.equity.usdc - 100_000) < 100
        assert status.profit is not None and abs(status.profit.residual) < 1e-9
        assert [one.name for one in status.latencies] == ["tick to trade", "order answered", "loop lateness"]
        assert status.latencies[0].p50_us is not None and status.latencies[0].p50_us > 0
        assert [one.state for one in status.connections] == ["live", "live", "live"]
        assert status.counters["orders placed"] >= 4
        assert {one.name for one in status.budgets} >= {"messages", "posts in flight", "open orders", "address actions"}
        assert not any(one.is_latched for one in status.breakers)

    run_on_uvloop(work)


def no_disk() -> None:
    raise StoreError("no disk")


def models_are_shown(there: Engine) -> None:
    """What models tell of the second market is in the status while it stands; what went beyond a bound is counted."""
    assert all(one.signal_bp is None and one.policy is None for one in there.status().markets)
    told = there.hub.clock.now_ns()
    until_ns = told + 30_000_000_000
    there.dispatch.tell(
        [
            (told, told, 125_000, 50_000, 1, until_ns, 5, int(EventKind.SIGNAL), 2, 1, 0, 0),
            (told, told, 9_000_000, 500_000, 1_250_000, until_ns, -100_000, int(EventKind.POLICY), 2, 1, 0, 0),
        ]
    )
    modelled = there.status()
    btc, eth = modelled.markets
    assert (eth.signal_bp, eth.signal_deviation_bp) == (1.25, 0.5)
    assert eth.policy is not None and 0 < eth.policy.left_s <= 30
    policy = eth.policy
    assert (policy.gamma, policy.signal, policy.spread, policy.asymmetry) == (4, 0.5, 1.25, -0.1)
    assert btc.signal_bp is None and btc.policy is None
    assert modelled.counters["policies brought within bounds"] == 1
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(modelled)), Status) == modelled
