"""An exchange that is stopped or killed, and started again with the same state file."""

from __future__ import annotations

import pytest
from hyperliquid.exchange import Exchange

from tests.conformance.desk import ALO, Desk, Trader, only
from tests.conformance.process import COMMAND, FREE, ExchangeProcess


def test_an_exchange_goes_on_where_it_was_stopped(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("kept")
    command = [*COMMAND, *FREE, "--state", "kept.state"]
    running = ExchangeProcess(command, folder)
    desk = Desk(running.url())
    maker, taker = desk.trader(5_000), desk.trader(5_000)
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price, ALO)
    taker.order("ETH", True, 0.4, price)
    oid = taker.rest("ETH", True, 0.1, price - 5, ALO)
    states = [(trader.state(), trader.open_orders(), trader.fills()) for trader in (maker, taker)]
    assert running.stop() == 0

    running = ExchangeProcess(command, folder)
    desk = Desk(running.url())
    for trader, (state, orders, fills) in zip((maker, taker), states):
        again = Trader(desk, Exchange(trader.exchange.wallet, desk.url), trader.address)
        assert again.open_orders() == orders
        now = again.state()  # at another mark, perhaps
        assert now["marginSummary"]["totalRawUsd"] == state["marginSummary"]["totalRawUsd"]
        for name in ("szi", "entryPx", "leverage", "cumFunding"):
            assert now["assetPositions"][0]["position"][name] == state["assetPositions"][0]["position"][name]
        assert again.fills() == fills
    again = Trader(desk, Exchange(taker.exchange.wallet, desk.url), taker.address)
    assert only(again.exchange.cancel("ETH", oid)) == "success"
    assert again.open_orders() == []
    assert running.stop() == 0


def test_an_exchange_goes_on_where_it_was_killed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("killed")
    command = [*COMMAND, *FREE, "--state", "kept.state"]
    running = ExchangeProcess(command, folder)
    desk = Desk(running.url())
    maker, taker = desk.trader(5_000), desk.trader(5_000)
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price, ALO)
    taker.order("ETH", True, 0.4, price)
    seen = [(trader.open_orders(), trader.fills()) for trader in (maker, taker)]
    running.kill()

    running = ExchangeProcess(command, folder)
    desk = Desk(running.url())
    for trader, (orders, fills) in zip((maker, taker), seen):
        again = Trader(desk, Exchange(trader.exchange.wallet, desk.url), trader.address)
        assert (again.open_orders(), again.fills()) == (orders, fills)
    assert running.stop() == 0
    assert sorted(path.name for path in folder.iterdir()) == ["kept.state"]
