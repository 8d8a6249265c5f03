"""The exchange as it starts without any switch but for its port: order flow, delays, limits, and a test key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import eth_account
import pytest
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from tests.conformance.desk import ALO, Desk, Trader, eventually, only
from tests.conformance.process import ExchangeProcess

WITHIN_S = 30.0
LEVELS = 20


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """An exchange of its own, with others who trade."""
    running = ExchangeProcess(
        ["exchange", "--port", "0", "--seed", "5", "--speed", "3"], tmp_path_factory.mktemp("flow")
    )
    running.url()
    yield running
    assert running.stop() == 0


def test_a_stranger_with_the_printed_key_trades_in_a_living_market(lively: ExchangeProcess) -> None:
    key = eventually(lambda: re.search(r"TEST KEY\s+(0x[0-9a-f]{64})", "".join(lively.lines)))
    desk = Desk(lively.url())
    wallet = eth_account.Account.from_key(key[1])
    trader = Trader(desk, Exchange(wallet, desk.url), wallet.address.lower())
    assert trader.value() == 100_000

    seen: dict[str, list[Any]] = {"bbo": [], "trades": [], "l2Book": [], "activeAssetCtx": []}
    listening = Info(desk.url)
    manager = listening.ws_manager
    assert manager is not None
    for kind, kept in seen.items():
        listening.subscribe({"type": kind, "coin": "BTC"}, lambda message, kept=kept: kept.append(message["data"]))
    eventually(lambda: manager.ws_ready)
    lively.then += [listening.disconnect_websocket, lambda: manager.join(timeout=WITHIN_S), manager.ws.sock.shutdown]

    bids, asks = eventually(lambda: all(desk.book("BTC")) and desk.book("BTC"))
    assert len(bids) == len(asks) == LEVELS
    assert bids[0][0] < asks[0][0]
    assert [level[0] for level in bids] == sorted((level[0] for level in bids), reverse=True)
    for kind, kept in seen.items():
        assert eventually(lambda kept=kept: kept, within_s=WITHIN_S), kind
    touch = eventually(lambda: len(seen["bbo"]) >= 5 and seen["bbo"], within_s=WITHIN_S)
    assert all(Decimal(told["bbo"][0]["px"]) < Decimal(told["bbo"][1]["px"]) for told in touch)
    assert [told["time"] for told in touch] == sorted(told["time"] for told in touch)

    filled = only(trader.exchange.market_open("BTC", True, 0.01))["filled"]
    assert filled["totalSz"] == "0.01"
    assert trader.signed_size("BTC") == Decimal("0.01")
    oid = trader.rest("BTC", True, 0.01, round(float(bids[-1][0]) * 0.98), ALO)
    assert trader.open_ids() == {oid}
    assert only(trader.exchange.cancel("BTC", oid)) == "success"
    assert only(trader.exchange.market_close("BTC"))["filled"]["totalSz"] == "0.01"
    assert trader.position("BTC") is None
    gain = sum(Decimal(fill["closedPnl"]) - Decimal(fill["fee"]) for fill in trader.fills())
    assert trader.value() == 100_000 + gain
