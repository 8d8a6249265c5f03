"""An exchange as it is without any switch: delays, rate limits, sockets that end. Its clock runs fast."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import websockets
from hyperliquid.utils.error import ClientError

from tests.conformance.desk import ALO, Desk, eventually, only
from tests.conformance.process import COMMAND, ExchangeProcess
from tests.conformance.sockets import ESTABLISHED, WITHIN_S, connected

SPEED = 30
WEIGHT_A_MINUTE = 1_200
WEIGHT_OF_ROLE = 60  # the heaviest request, so that a slow machine can use a short minute up, too
CONNECTIONS = 10


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk at an exchange of its own, with limits and delays."""
    running = ExchangeProcess([*COMMAND, "--speed", str(SPEED)], tmp_path_factory.mktemp("limited"))
    desk = Desk(running.url())
    yield desk
    assert running.stop() == 0


def patiently(ask: Callable[[], Any]) -> Any:
    """What `ask` gives once the minute's weight is there again."""

    def answer() -> list[Any]:
        try:
            return [ask()]
        except ClientError as error:
            assert error.status_code == 429
            return []

    (found,) = eventually(answer)
    return found


def test_an_order_lives_through_its_delays(limited: Desk) -> None:
    trader = limited.trader(100_000)
    placed_ms = limited.now_ms()
    oid = trader.rest("ETH", True, 1, limited.price("ETH", 0.99), ALO)
    (order,) = trader.open_orders()
    assert order["oid"] == oid
    assert order["timestamp"] - placed_ms >= 30  # nothing is included at once
    assert only(trader.exchange.cancel("ETH", oid)) == "success"
    assert trader.open_orders() == []
    assert trader.word(oid) == "canceled"


def test_more_weight_than_a_minute_has_is_refused_until_it_is_over(limited: Desk) -> None:
    trader = patiently(lambda: limited.trader(100_000))
    with pytest.raises(ClientError) as raised:
        for _ in range(4 * WEIGHT_A_MINUTE // WEIGHT_OF_ROLE):
            limited.info.user_role(trader.address)
    assert raised.value.status_code == 429
    assert raised.value.error_message
    with pytest.raises(ClientError):
        while True:
            trader.exchange.cancel("ETH", 1)
    used = patiently(lambda: limited.info.user_rate_limit(trader.address))["nRequestsUsed"]
    assert "error" in only(patiently(lambda: trader.exchange.cancel("ETH", 1)))
    # What is refused for its weight does not count for the account.
    assert patiently(lambda: limited.info.user_rate_limit(trader.address))["nRequestsUsed"] == used + 1


def test_clients_with_labels_have_limits_of_their_own(limited: Desk) -> None:
    session = requests.Session()
    body = {"type": "userRole", "user": "0x" + "1" * 40}

    def status(label: str) -> int:
        headers = {"client": label}
        return session.post(f"{limited.url}/info", json=body, headers=headers, timeout=WITHIN_S).status_code

    assert 429 in [status("one") for _ in range(4 * WEIGHT_A_MINUTE // WEIGHT_OF_ROLE)]
    assert status("two") == 200


def test_an_address_has_at_most_ten_sockets(limited: Desk) -> None:
    async def talk() -> None:
        opened = []
        for _ in range(CONNECTIONS):
            opened.append(await websockets.connect(limited.socket_url, proxy=None))
            assert await opened[-1].recv() == ESTABLISHED
        with pytest.raises((websockets.InvalidStatus, websockets.ConnectionClosed)):
            async with asyncio.timeout(WITHIN_S):
                eleventh = await websockets.connect(limited.socket_url, proxy=None)
                while True:
                    await eleventh.recv()
        for socket in opened:
            await socket.close()

    asyncio.run(talk())


def test_a_socket_to_which_nothing_is_sent_is_closed_after_a_minute(limited: Desk) -> None:
    async def talk() -> float:
        async with connected(limited) as client:
            await client.send({"method": "ping"})
            await client.next("pong")
            begun = time.monotonic()
            with pytest.raises(websockets.ConnectionClosed) as closed:
                async with asyncio.timeout(WITHIN_S):
                    await client.socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1000
            return time.monotonic() - begun

    assert asyncio.run(talk()) >= 59 / SPEED
