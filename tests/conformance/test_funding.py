"""Funding on the hour, seen by both sides of a trade, at an exchange whose clock runs fast."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hyperliquid.info import Info

from tests.conformance.desk import ALO, IOC, MICRO, Desk, eventually, truncated
from tests.conformance.process import COMMAND, FREE, ExchangeProcess

SPEED = "400"  # an hour in nine seconds
HOUR_MS = 3_600_000
WITHIN_S = 40.0


@pytest.fixture(scope="module")
def fast_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    """An exchange of its own."""
    running = ExchangeProcess([*COMMAND, *FREE, "--speed", SPEED], tmp_path_factory.mktemp("fast"))
    yield running
    assert running.stop() == 0


def test_the_hour_comes_and_longs_pay_shorts(fast_process: ExchangeProcess) -> None:
    desk = Desk(fast_process.url())
    maker, taker = desk.trader(), desk.trader()
    listening = Info(desk.url)
    # A socket to which nothing is sent is closed after a minute, which is short here.
    listening.subscribe({"type": "activeAssetCtx", "coin": "ETH"}, lambda message: None)
    assert listening.ws_manager is not None
    eventually(lambda: listening.ws_manager.ws_ready)
    fast_process.then += [
        listening.disconnect_websocket,
        lambda: listening.ws_manager.join(timeout=WITHIN_S),
        listening.ws_manager.ws.sock.shutdown,
    ]
    told: list[Any] = []
    events: list[Any] = []
    listening.subscribe({"type": "userFundings", "user": taker.address}, lambda message: told.append(message["data"]))
    listening.subscribe({"type": "userEvents", "user": taker.address}, lambda message: events.append(message["data"]))
    start_ms = desk.now_ms()
    price = desk.price("ETH")
    maker.rest("ETH", False, 10, price, ALO)
    taker.order("ETH", True, 10, price, IOC)
    # A book around the oracle: impact prices on both sides, no premium but the interest.
    maker.rest("ETH", True, 50, price - 2, ALO)
    desk.trader().rest("ETH", False, 50, price + 2, ALO)

    eventually(lambda: desk.info.user_funding_history(taker.address, start_ms), within_s=WITHIN_S)
    paid = desk.info.user_funding_history(taker.address, start_ms)[0]
    got = desk.info.user_funding_history(maker.address, start_ms)[0]
    rate = Decimal(paid["delta"]["fundingRate"])
    oracle = Decimal(desk.context("ETH")["oraclePx"])
    assert paid["delta"]["coin"] == "ETH"
    assert Decimal(paid["delta"]["szi"]) == 10
    assert 0 < rate < Decimal("0.0006")
    assert abs(Decimal(paid["delta"]["usdc"]) + truncated(10 * oracle * rate)) <= MICRO
    assert abs(Decimal(got["delta"]["usdc"]) + Decimal(paid["delta"]["usdc"])) <= MICRO
    assert paid["time"] % HOUR_MS < 1_000
    history = desk.info.funding_history("ETH", start_ms)
    assert history[0]["time"] == paid["time"]
    assert Decimal(history[0]["fundingRate"]) == rate
    assert set(history[0]) == {"coin", "fundingRate", "premium", "time"}

    position = taker.position("ETH")
    assert position is not None
    assert Decimal(position["cumFunding"]["sinceOpen"]) >= -Decimal(paid["delta"]["usdc"])
    update = eventually(lambda: [data for data in list(told) if not data.get("isSnapshot")], within_s=WITHIN_S)[0]
    assert update["user"] == taker.address
    (entry,) = update["fundings"]
    assert entry == {"time": paid["time"], **{key: value for key, value in paid["delta"].items() if key != "type"}}
    assert eventually(lambda: [data for data in list(events) if "funding" in data], within_s=WITHIN_S)
