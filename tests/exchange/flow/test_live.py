"""Following a venue over real sockets: its book, its rotation, its silence, and an exchange that trades on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiohttp import ClientSession
from websockets.asyncio.server import Server, ServerConnection, serve

from hlhft.exchange.flow.live import FeedError, LiveFlow, first_prices, websocket_url
from hlhft.exchange.flow.live_feed import MS, FeedSettings
from hlhft.exchange.opening import live_flow, open_machine, settings_of
from hlhft.exchange.server import Clock
from hlhft.exchange.server import Server as HttpServer
from tests.data.making import BTC, ETH
from tests.exchange.clients import START_NS, Client, orders, small_machine
from tests.exchange.clients import order as wire_order
from tests.exchange.flow.host import FIRST_ACCOUNT, USER, Host, deposit, order
from tests.exchange.flow.test_live_feed import best, picture, traded

BUY, SELL = 1, -1
SUBSCRIPTIONS = 5  # a market
QUICK = FeedSettings(hold_ns=0, backoff_ns_min=2 * MS)
Visit = Callable[[ServerConnection], Awaitable[None]]


class Venue:
    """A WebSocket server; each connection that has subscribed is handed to the next of `visits`, the last one again and
    again. `asked` are the subscriptions, connection by connection."""

    def __init__(self, *visits: Visit) -> None:
        self.visits = list(visits)
        self.asked: list[list[dict]] = []
        self._server: Server | None = None

    async def __aenter__(self) -> Venue:
        self._server = await serve(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *details: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == "/ws"
        await socket.send("Websocket connection established.")
        self.asked.append([msgspec.json.decode(await socket.recv()) for _ in range(SUBSCRIPTIONS)])
        visit = self.visits.pop(0) if len(self.visits) > 1 else self.visits[0]
        await visit(socket)


def plays(*texts: str, then: Visit | None = None) -> Visit:
    async def visit(socket: ServerConnection) -> None:
        for text in texts:
            await socket.send(text)
        if then is None:
            await socket.wait_closed()
        else:
            await then(socket)

    return visit


async def expires(socket: ServerConnection) -> None:
    await socket.close(1000, "Expired")


async def until(flow: LiveFlow, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            flow.happened.clear()
            await flow.happened.wait()


async def followed(flow: LiveFlow, work: Callable[[], Awaitable[None]]) -> None:
    """Does `work` while the feed runs."""
    runner = asyncio.create_task(flow.run())
    try:
        await work()
    finally:
        runner.cancel()
        await asyncio.gather(runner, return_exceptions=True)


def live(base_url: str, settings: FeedSettings = QUICK) -> LiveFlow:
    return LiveFlow([BTC], [BTC], first_account=FIRST_ACCOUNT, seed=1, base_url=base_url, settings=settings)


def test_base_urls():
    assert websocket_url("https://api.hyperliquid.xyz") == "wss://api.hyperliquid.xyz/ws"
    assert websocket_url("http://127.0.0.1:3001/") == "ws://127.0.0.1:3001/ws"
    for wrong in ("", "ws://host", "host", "https://"):
        with pytest.raises(ValueError, match="is no base URL of a venue"):
            websocket_url(wrong)


def test_an_exchange_trades_on_what_it_follows():
    deep = [(10_000 - place, 5_000) for place in range(3)], [(10_001 + place, 6_000) for place in range(3)]

    async def work() -> None:
        trade = asyncio.Event()

        async def more(socket: ServerConnection) -> None:
            await trade.wait()
            await socket.send(traded(50, "A", 10_000, 7_000, 1))
            await socket.wait_closed()

        async with Venue(plays(picture(0, *deep), then=more)) as venue:
            flow = live(venue.base_url)
            host = Host(flow, [BTC], [1_000])
            host.block(1, deposit())

            async def trading() -> None:
                await until(flow, lambda: not flow.feed.stale[0])
                host.block(2)
                assert host.book() == tuple([(price, lots * 100) for price, lots in side] for side in deep)
                # A client joins the bid, behind what is there, and the next trade of the venue reaches it.
                host.block(3, order(BUY, 10_000, 300_000))
                trade.set()
                await until(flow, lambda: flow.feed.tally["trade_messages"] == 1)
                host.block(4)
                assert [(int(fill["account"]), int(fill["size_lots"])) for fill in host.fills] == [(USER, 200_000)]
                assert flow.status() == f"live from {flow.url}: up, 1 connection"

            await followed(flow, trading)

    asyncio.run(work())


def test_it_comes_back_after_a_rotation_and_subscribes_again():
    first = plays(picture(0, [(10_000, 5)], [(10_001, 6)]), then=expires)
    second = plays(picture(9_000, [(9_000, 5)], [(9_001, 6)]))

    async def work() -> None:
        async with Venue(first, second) as venue:
            flow = live(venue.base_url)
            host = Host(flow, [BTC], [1_000])
            host.block(1)

            async def trading() -> None:
                await until(flow, lambda: flow.feed.tally["snapshot"] == 2)
                host.block(2)
                assert host.book() == ([(9_000, 500)], [(9_001, 600)])
                assert venue.asked[0] == venue.asked[1]
                assert "Expired" in flow.feed.last_error

            await followed(flow, trading)

    asyncio.run(work())


def test_it_gives_up_a_silent_connection_and_pings_a_quiet_one():
    pings: list[str] = []

    async def listens(socket: ServerConnection) -> None:
        async for text in socket:
            pings.append(str(text))

    async def work() -> None:
        settings = FeedSettings(hold_ns=0, backoff_ns_min=2 * MS, ping_ns=20 * MS, silent_ns=70 * MS)
        async with Venue(listens) as venue:
            flow = live(venue.base_url, settings)
            await followed(flow, lambda: until(flow, lambda: flow.feed.tally["connections"] >= 3))
            assert flow.feed.tally["connections_silent"] >= 2
            assert flow.feed.last_error == "no market data came"
            assert set(pings) == {'{"method":"ping"}'}

    asyncio.run(work())


def test_what_it_restores_begins_with_empty_books():
    async def work() -> None:
        async with Venue(plays(picture(0, [(10_000, 5)], [(10_001, 6)]))) as venue:
            flow = live(venue.base_url)
            host = Host(flow, [BTC], [1_000])
            host.block(1)
            await followed(flow, lambda: until(flow, lambda: not flow.feed.stale[0]))
            host.block(2)
            assert host.book() == ([(10_000, 500)], [(10_001, 600)])
            host.flow = live(venue.base_url)
            host.flow.restore(flow.state())
            host.block(3)
            assert host.book() == ([], [])

    asyncio.run(work())


def test_paper_trading_on_a_second_exchange():
    """The venue is an embedded exchange with one maker; on the other one a client trades against what it shows."""

    async def work() -> None:
        machine = small_machine()
        maker, taker = Client(machine, 1), Client(machine, 2)
        maker.statuses(orders(wire_order(price="3999", size="0.1"), wire_order(buy=False, price="4001", size="0.2")))
        server = HttpServer(machine, Clock(machine.time_ns))
        await server.start()
        base_url = f"http://127.0.0.1:{server.port}"

        async def at_venue(client: Client, *legs: dict) -> None:
            async with (
                ClientSession() as http,
                http.post(f"{base_url}/exchange", data=client.body(orders(*legs))) as got,
            ):
                assert (await got.json())["status"] == "ok"

        prices = await first_prices([ETH], base_url=base_url)
        assert prices == (ETH.ticks("4000"),)
        settings = settings_of([ETH], prices, seed=1, start_ns=START_NS, with_delays=False)
        flow = live_flow(settings, base_url)
        paper = open_machine(settings, flow=flow)
        client = Client(paper, 3)

        def shows(bids: list[str], asks: list[str]) -> bool:
            paper.advance(paper.time_ns + 200 * MS)
            answer = msgspec.json.decode(
                paper.info(b'{"type":"l2Book","coin":"ETH"}', client.label, paper.time_ns).body
            )
            return [[level["sz"] for level in side] for side in answer["levels"]] == [bids, asks]

        async def trading() -> None:
            await until(flow, lambda: shows(["0.1"], ["0.2"]))
            assert "resting" in client.statuses(orders(wire_order(asset=0, price="3999", size="0.1")))[0]
            # Others join behind the client, and a taker reaches past what was there before it.
            await at_venue(maker, wire_order(price="3999", size="0.3"))
            await until(flow, lambda: shows(["0.5"], ["0.2"]))
            await at_venue(taker, wire_order(buy=False, price="3999", size="0.2", tif="Ioc"))
            await until(flow, lambda: shows(["0.2"], ["0.2"]))
            state = client.info("clearinghouseState")
            assert [one["position"]["szi"] for one in state["assetPositions"]] == ["0.1"]

        try:
            await followed(flow, trading)
        finally:
            await server.stop()

    asyncio.run(work())


def test_first_prices_are_those_of_the_book():
    async def work() -> None:
        async with Venue(plays(best(0, (10_000, 5), (10_004, 6)))) as venue:
            assert await first_prices([BTC], base_url=venue.base_url) == (10_002,)

    asyncio.run(work())


def test_a_venue_that_does_not_tell_its_prices_is_an_error():
    async def work() -> None:
        async with Venue(expires) as venue:
            with pytest.raises(FeedError, match="did not tell all prices"):
                await first_prices([BTC], base_url=venue.base_url, timeout_s=0.2)
            base_url = venue.base_url
        with pytest.raises(FeedError, match="Connect call failed"):
            await first_prices([ETH], base_url=base_url, timeout_s=0.1)

    asyncio.run(work())
