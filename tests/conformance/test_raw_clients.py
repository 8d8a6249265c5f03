"""What the SDK does not do on a socket: requests, error frames, the fast book, channels that it does not know."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import zlib
from decimal import Decimal
from typing import Any

import pytest
import websockets
from hyperliquid.utils.signing import get_timestamp_ms, sign_l1_action

from tests.conformance.desk import ALO, IOC, Desk, Trader, eventually
from tests.conformance.sockets import WITHIN_S, connected

FRAME_MAX = 1 << 20


def envelope(trader: Trader, action: dict[str, Any]) -> dict[str, Any]:
    nonce = get_timestamp_ms()
    signature = sign_l1_action(trader.exchange.wallet, action, None, nonce, None, False)
    return {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": None, "expiresAfter": None}


def order_action(price: int, size: str = "1", tif: str = "Alo") -> dict[str, Any]:
    order = {"a": 1, "b": True, "p": str(price), "s": size, "r": False, "t": {"limit": {"tif": tif}}}
    return {"type": "order", "orders": [order], "grouping": "na"}


def test_requests_over_the_socket(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)

    async def talk() -> None:
        async with connected(desk) as client:
            read = await client.post("info", {"type": "l2Book", "coin": "ETH", "nSigFigs": None, "mantissa": None}, 7)
            assert read["type"] == "info"
            assert read["payload"]["type"] == "l2Book"
            assert set(read["payload"]["data"]) >= {"coin", "time", "levels"}
            acted = await client.post("action", envelope(maker, order_action(price)), 256)
            assert (acted["type"], acted["payload"]["status"]) == ("action", "ok")
            (status,) = acted["payload"]["response"]["data"]["statuses"]
            (order,) = maker.open_orders()
            assert order["oid"] == status["resting"]["oid"]
            refused = await client.post("action", envelope(maker, order_action(price, "0.001")), 8)
            assert "error" in refused["payload"]["response"]["data"]["statuses"][0]
            wrong = await client.post("action", {"action": {"type": "nothing"}}, 9)
            assert wrong["type"] == "error"
            assert isinstance(wrong["payload"], str)
            wrong = await client.post("info", {"type": "nothing"}, 10)
            assert wrong["type"] == "error"

    asyncio.run(talk())
    assert len(maker.open_orders()) == 1


def test_pings(desk: Desk) -> None:
    async def talk() -> None:
        async with connected(desk) as client:
            await client.send({"method": "ping"})
            assert await client.next("pong") == {"channel": "pong"}

    asyncio.run(talk())


def test_acknowledgements_are_complete(desk: Desk, maker: Trader) -> None:
    async def talk() -> None:
        async with connected(desk) as client:
            book = {"type": "l2Book", "coin": "ETH"}
            assert await client.subscribe(book) == {**book, "nSigFigs": None, "mantissa": None, "fast": False}
            assert await client.subscribe({"type": "trades", "coin": "ETH"}) == {"type": "trades", "coin": "ETH"}
            told = await client.error({"method": "subscribe", "subscription": book})
            assert told.startswith("Already subscribed: {")
            ended = await client.subscribe(book, "unsubscribe")
            assert ended["coin"] == "ETH"

    asyncio.run(talk())


def test_the_fast_book_has_five_levels(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH")
    orders = [
        {"coin": "ETH", "is_buy": True, "sz": 1, "limit_px": price - step, "order_type": ALO, "reduce_only": False}
        for step in range(8)
    ]
    maker.exchange.bulk_orders(orders)

    async def talk() -> None:
        async with connected(desk) as client:
            ack = await client.subscribe({"type": "l2Book", "coin": "ETH", "fast": True})
            assert ack["fast"] is True
            data = (await client.next("l2Book"))["data"]
            assert data["fast"] is True
            assert [Decimal(level["px"]) for level in data["levels"][0]] == [price - step for step in range(5)]
            again = (await client.next("l2Book"))["data"]
            assert 300 <= again["time"] - data["time"] <= 4_000

    asyncio.run(talk())


def test_errors_are_frames(desk: Desk) -> None:
    async def talk() -> None:
        async with connected(desk) as client:
            for body in ("{", "[]", "null", '{"method":"dance"}', '{"method":"subscribe"}', "\x00", "[" * 10_000):
                told = await client.error(body)
                assert told.startswith("Error parsing JSON into valid websocket request: "), body
            for subscription in (
                {"type": "nothing"},
                {"type": "l2Book", "coin": "NOSUCH"},
                {"type": "l2Book"},
                {"type": "candle", "coin": "ETH", "interval": "2m"},
                {"type": "userFills", "user": "0x12"},
                {"type": "webData2", "user": "0x" + "1" * 40},
            ):
                assert await client.error({"method": "subscribe", "subscription": subscription})
            assert await client.error({"method": "unsubscribe", "subscription": {"type": "trades", "coin": "ETH"}})
            await client.send({"method": "ping"})
            await client.next("pong")

    asyncio.run(talk())


def test_malformed_posts_get_an_error_without_a_number(desk: Desk) -> None:
    async def talk() -> None:
        async with connected(desk) as client:
            for body in (
                {"method": "post", "id": "one", "request": {"type": "info", "payload": {"type": "meta"}}},
                {"method": "post", "id": 1},
                {"method": "post", "id": 1, "request": {"type": "explorer", "payload": {}}},
            ):
                assert isinstance(await client.error(body), str)

    asyncio.run(talk())


def test_an_oversized_frame_closes_its_socket_only(desk: Desk) -> None:
    async def talk() -> None:
        async with connected(desk) as bystander:
            async with connected(desk) as client:
                await client.send("x" * (FRAME_MAX + 1))
                with pytest.raises(websockets.ConnectionClosed) as closed:
                    async with asyncio.timeout(WITHIN_S):
                        while True:
                            await client.socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1009
            await bystander.send({"method": "ping"})
            await bystander.next("pong")

    asyncio.run(talk())


def test_user_channels_that_the_sdk_does_not_know(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")

    async def talk() -> None:
        async with connected(desk) as client:
            for kind in ("openOrders", "clearinghouseState"):
                await client.subscribe({"type": kind, "user": maker.address, "dex": ""})
            for kind in ("notification", "webData3", "userHistoricalOrders", "spotState"):
                await client.subscribe({"type": kind, "user": maker.address})
            data = (await client.next("openOrders"))["data"]
            assert (data["user"], data["dex"], data["orders"]) == (maker.address, "", [])
            data = (await client.next("clearinghouseState"))["data"]
            assert Decimal(data["clearinghouseState"]["withdrawable"]) == 1_000_000
            data = (await client.next("webData3"))["data"]
            assert set(data) == {"userState", "perpDexStates"}
            assert data["userState"]["user"] == maker.address
            assert (await client.next("spotState"))["data"]["user"] == maker.address
            assert (await client.next("userHistoricalOrders"))["data"]["isSnapshot"] is True
            maker.rest("ETH", True, 1, price, ALO)
            taker.order("ETH", False, 1, price, IOC)
            told = (await client.next("notification"))["data"]["notification"]
            found = re.fullmatch(r"Resting order filled: Bought ([0-9.]+) ETH at \$([0-9.]+)", told)
            assert found is not None, told
            assert (Decimal(found[1]), Decimal(found[2])) == (1, price)

    asyncio.run(talk())


def test_compressed_contexts(desk: Desk) -> None:
    async def talk() -> None:
        async with connected(desk) as client:
            await client.subscribe({"type": "fastAssetCtxs"})
            packed = (await client.next("fastAssetCtxs"))["data"]
            contexts = json.loads(zlib.decompress(base64.b64decode(packed), -zlib.MAX_WBITS))
            assert Decimal(contexts["ETH"]["markPx"]) > 0
            await client.subscribe({"type": "allDexsAssetCtxs"})
            ((dex, listed),) = (await client.next("allDexsAssetCtxs"))["data"]["ctxs"]
            assert dex == ""
            assert listed[1]["oraclePx"] == desk.context("ETH")["oraclePx"]

    asyncio.run(talk())


def test_a_reconnected_client_gets_its_snapshots_again(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", True, 1, price, ALO)
    taker.order("ETH", False, 1, price, IOC)

    async def talk() -> None:
        for _ in range(2):
            async with connected(desk) as client:
                await client.subscribe({"type": "userFills", "user": maker.address})
                data = (await client.next("userFills"))["data"]
                assert data["isSnapshot"] is True
                assert len(data["fills"]) == 1

    asyncio.run(talk())


def test_everything_of_one_block_has_its_time(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")

    async def talk() -> None:
        async with connected(desk) as client:
            for kind in ("bbo", "trades"):
                await client.subscribe({"type": kind, "coin": "ETH"})
            await client.subscribe({"type": "orderUpdates", "user": taker.address})
            await client.subscribe({"type": "userFills", "user": taker.address})
            await client.next("userFills")
            maker.rest("ETH", False, 1, price, ALO)
            taker.order("ETH", True, 1, price, IOC)
            fill = (await client.next("userFills"))["data"]["fills"][0]
            updates = (await client.next("orderUpdates"))["data"]
            assert {update["statusTimestamp"] for update in updates} == {fill["time"]}
            await client.next("trades", lambda frame: fill["tid"] in [one["tid"] for one in frame["data"]])
            touch = await client.next("bbo", lambda frame: frame["data"]["time"] == fill["time"])
            assert touch["data"]["bbo"] == [None, None]

    asyncio.run(talk())
    assert eventually(lambda: taker.signed_size("ETH") == 1)
