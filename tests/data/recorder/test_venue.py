"""What is asked over HTTP: of the embedded exchange, and of gateways that answer something else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from hlhft.data.recorder.venue import BODY_BYTES_MAX, TRIES, Venue, VenueError
from hlhft.exchange.machine import Machine
from hlhft.exchange.server import Clock, Server
from hlhft.hyperliquid.markets import MarketError
from tests.exchange.clients import small_settings

PERPETUALS = {"universe": [{"name": "xyz:GOLD", "szDecimals": 2, "maxLeverage": 10}]}


def asked(url: str, ask: Callable[[Venue], Awaitable[Any]]) -> Any:
    async def work() -> Any:
        async with Venue(url) as venue:
            return await ask(venue)

    return work()


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/info", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def test_markets_and_clock_of_an_exchange() -> None:
    async def work() -> None:
        now_ns = time.time_ns()
        server = Server(Machine(small_settings(start_ns=now_ns)), Clock(now_ns))
        await server.start()
        url = f"http://127.0.0.1:{server.port}/"
        try:
            markets = await asked(url, lambda venue: venue.markets(["ETH", "BTC"]))
            assert [market.name for market in markets] == ["ETH", "BTC"]
            with pytest.raises(MarketError, match="SOLL is no market of the venue"):
                await asked(url, lambda venue: venue.markets(["SOLL"]))
            with pytest.raises(MarketError, match="xyz:GOLD belongs to"):
                await asked(url, lambda venue: venue.markets(["xyz:GOLD"]))
            ahead_ms = await asked(url, lambda venue: venue.offset_ms(lambda: time.time_ns() - 50_000_000_000))
            assert 40_000 < ahead_ms <= 50_100
        finally:
            await server.stop()

    asyncio.run(work())


def test_a_builder_s_market() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        told: dict[str, Any] = {
            "meta": PERPETUALS if body.get("dex") == "xyz" else {"universe": []},
            "spotMeta": {"tokens": [], "universe": []},
            "perpDexs": [None, {"name": "abc"}, {"name": "xyz"}],
        }
        return web.json_response(told[body["type"]])

    async def work() -> None:
        async with answering(answer) as url:
            (market,) = await asked(url, lambda venue: venue.markets(["xyz:GOLD"]))
            assert (market.name, market.asset_id) == ("xyz:GOLD", 120_000)

    asyncio.run(work())


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (lambda: web.Response(status=502, text="<html>"), "HTTP 502"),
        (lambda: web.Response(text="<html>"), "the frame is no JSON"),
        (lambda: web.json_response({"universe": 1}), "not what its channel carries"),
        (lambda: web.Response(body=b"[" + b" " * BODY_BYTES_MAX), "an answer of more than"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "HTTP 302"),
    ],
)
def test_other_answers_are_asked_for_again_and_then_a_sentence(
    response: Callable[[], web.StreamResponse], said: str
) -> None:
    async def work() -> None:
        asks = 0

        async def answer(request: web.Request) -> web.StreamResponse:
            nonlocal asks
            asks += 1
            return response()

        async with answering(answer) as url:
            with pytest.raises(VenueError, match="does not answer meta") as raised:
                await asked(url, lambda venue: venue.markets(["BTC"]))
            assert said in str(raised.value) and asks == TRIES

    asyncio.run(work())


def test_nobody_there() -> None:
    with pytest.raises(VenueError, match="does not answer exchangeStatus"):
        asyncio.run(asked("http://127.0.0.1:1", lambda venue: venue.offset_ms(time.time_ns)))
