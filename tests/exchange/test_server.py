"""Real sockets on a port that the system chooses: the official SDK, plain HTTP, and clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
import uvloop
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from hlhft.exchange.machine import Machine
from hlhft.exchange.node_files import NodeFiles
from hlhft.exchange.node_text import Layout
from hlhft.exchange.server import BODY_BYTES_MAX, Clock, Server, _Log
from tests.exchange.clients import Client, order, orders, small_settings

KEY = "0x" + "11" * 32


class Running:
    """A server in a thread of its own, which writes the files of a node to `node_folder`."""

    def __init__(self, *, speed: float = 1.0, node_folder: Path | None = None, **changes: Any) -> None:
        start_ns = time.time_ns()
        self.machine = Machine(small_settings(start_ns=start_ns, **changes))
        self.blocks = 0
        self.block_came = threading.Event()
        clock = Clock(start_ns, speed=speed)
        self.files: NodeFiles | None = None
        if node_folder is not None:
            self.files = NodeFiles(node_folder, self.machine, Layout.BY_BLOCK, local_ns=clock.now_ns)
        snapshots = None if self.files is None else self.files.snapshot
        self.server = Server(self.machine, clock, on_outcome=self.count, snapshots=snapshots)
        self.loop = uvloop.new_event_loop()
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(self.server.start())
            ready.set()
            self.loop.run_forever()
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        assert ready.wait(60)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def count(self, outcome: Any) -> None:
        self.blocks += len(outcome.blocks)
        if outcome.blocks:
            self.block_came.set()
        if self.files is not None:
            self.files.count(outcome)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()

    def post(self, path: str, body: Any, **more: Any) -> requests.Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return requests.post(self.url + path, data=data, timeout=30, **more)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    running = Running()
    yield running
    running.stop()


def test_the_official_client_places_changes_and_cancels(running: Running) -> None:
    wallet = Account.from_key(KEY)
    assert running.post("/admin", {"address": wallet.address, "usdc": 100_000}).json() == {"status": "ok"}
    info, exchange = Info(running.url, skip_ws=True), Exchange(wallet, running.url)
    assert info.user_state(wallet.address)["marginSummary"]["accountValue"] == "100000.0"
    placed = exchange.order("ETH", True, 0.5, 3999.0, {"limit": {"tif": "Alo"}})
    oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
    assert [one["oid"] for one in info.open_orders(wallet.address)] == [oid]
    changed = exchange.modify_order(oid, "ETH", True, 0.4, 3998.0, {"limit": {"tif": "Gtc"}})
    oid = changed["response"]["data"]["statuses"][0]["resting"]["oid"]
    assert info.query_order_by_oid(wallet.address, oid)["order"]["status"] == "open"
    assert exchange.cancel("ETH", oid)["response"]["data"]["statuses"] == ["success"]
    assert info.open_orders(wallet.address) == []
    assert exchange.update_leverage(5, "ETH") == {"status": "ok", "response": {"type": "default"}}


def test_the_official_client_hears_of_its_orders(running: Running) -> None:
    wallet = Account.from_key(KEY)
    running.post("/admin", {"address": wallet.address, "usdc": 1000})
    info, exchange = Info(running.url), Exchange(wallet, running.url)
    told: list[Any] = []
    arrived = threading.Event()

    def hear(message: Any) -> None:
        told.append(message)
        if message["channel"] == "orderUpdates":
            arrived.set()

    try:
        info.subscribe({"type": "orderUpdates", "user": wallet.address}, hear)
        info.subscribe({"type": "l2Book", "coin": "ETH"}, hear)
        deadline = time.monotonic() + 30
        while not arrived.wait(0.05) and time.monotonic() < deadline:
            exchange.order("ETH", True, 0.1, 3999.0, {"limit": {"tif": "Alo"}})
        assert {message["channel"] for message in told} == {"orderUpdates", "l2Book"}
    finally:
        info.disconnect_websocket()


def test_bodies_that_are_no_requests(running: Running) -> None:
    for path in ("/info", "/exchange", "/admin"):
        answer = running.post(path, b"{")
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (422, "text/plain")
        large = running.post(path, b" " * (BODY_BYTES_MAX + 1))
        assert large.status_code == 413
        assert set(large.json()) == {"code", "msg", "data"}
    assert running.post("/elsewhere", b"{}").status_code == 404
    before = len(running.machine.sockets)
    plain = requests.get(running.url + "/ws", timeout=30)
    assert (plain.status_code, plain.json()["msg"]) == (400, "A WebSocket handshake was expected.")
    assert len(running.machine.sockets) <= before
    assert running.post("/admin", {"address": "0x" + "0" * 40, "usdc": 5}).status_code == 409
    assert running.post("/admin", {"address": "0x" + "1" * 40, "usdc": -5}).status_code == 422
    assert running.post("/admin", {"coin": "GOLD", "oracle": "5"}).status_code == 409
    assert running.post("/admin", {"coin": "BTC", "oracle": "110000"}).json() == {"status": "ok"}
    assert running.post("/exchange", b"{}").text.startswith("Failed to deserialize the JSON body")


def test_bodies_may_be_compressed(running: Running) -> None:
    plain = json.dumps({"type": "exchangeStatus"}).encode()
    packed = {"Content-Encoding": "gzip"}
    answer = requests.post(f"{running.url}/info", data=gzip.compress(plain), headers=packed, timeout=30)
    assert answer.json()["specialStatuses"] is None
    bomb = gzip.compress(b" " * (BODY_BYTES_MAX + 1))
    assert requests.post(f"{running.url}/info", data=bomb, headers=packed, timeout=30).status_code == 413


def test_what_is_no_http_is_counted_and_not_logged(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    answer = requests.post(f"{running.url}/info", data=b"{}", headers={"Content-Encoding": "gzip"}, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, 400)
    with socket.create_connection(("127.0.0.1", running.server.port), timeout=30) as raw:
        raw.sendall(b"POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.0 400 Bad Request")
    assert running.machine.counters["http requests that are none"] >= 2
    assert caplog.records == []
    log = _Log(running.machine.counters)
    log.error("a fault of ours", exc_info=ValueError("x"))
    assert [record.message for record in caplog.records] == ["a fault of ours"]


def test_clients_with_labels_are_told_apart(running: Running) -> None:
    role = {"type": "userRole", "user": "0x" + "1" * 40}
    statuses = [running.post("/info", role, params={"client": "busy"}).status_code for _ in range(21)]
    assert statuses == [200] * 20 + [429]
    assert running.post("/info", role, headers={"client": "busy"}).status_code == 429
    assert running.post("/info", role, headers={"client": "quiet"}).status_code == 200


def talk(running: Running, conversation: Any, **options: Any) -> Any:
    """Runs a conversation over a WebSocket of aiohttp."""

    async def run() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(running.url + "/ws", **options) as socket,
        ):
            assert await socket.receive_str() == "Websocket connection established."
            async with asyncio.timeout(30):
                return await conversation(socket)

    return asyncio.run(run())


def test_a_socket_pings_and_posts(running: Running) -> None:
    client = Client(Machine(small_settings()), 3, usdc=0)
    client.nonce = time.time_ns() // 1_000_000
    running.post("/admin", {"address": client.address, "usdc": 1000})

    async def conversation(web: aiohttp.ClientWebSocketResponse) -> list[Any]:
        await web.send_json({"method": "ping"})
        await web.send_bytes(b'{"method":"dance"}')
        body = json.loads(client.body(orders(order(price="3900", size="0.01"))))
        await web.send_json({"method": "post", "id": 9, "request": {"type": "action", "payload": body}})
        return [await web.receive_json() for _ in range(3)]

    pong, error, posted = talk(running, conversation)
    assert (pong["channel"], error["channel"], posted["data"]["id"]) == ("pong", "error", 9)
    (status,) = posted["data"]["response"]["payload"]["response"]["data"]["statuses"]
    assert status["resting"]["oid"] > 0


def test_a_frame_that_is_too_large_ends_the_connection(running: Running) -> None:
    async def conversation(web: aiohttp.ClientWebSocketResponse) -> int | None:
        await web.send_str(" " * (BODY_BYTES_MAX + 1))
        message = await web.receive()
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        return web.close_code

    assert talk(running, conversation) == 1009
    assert running.post("/info", {"type": "meta"}).status_code == 200


def test_a_connection_is_closed_with_its_reason() -> None:
    running = Running(idle_close_ns=50_000_000)

    async def conversation(web: aiohttp.ClientWebSocketResponse) -> Any:
        message = await web.receive()
        return message.type, message.data, message.extra

    try:
        assert talk(running, conversation) == (aiohttp.WSMsgType.CLOSE, 1000, "Inactive")
        assert running.block_came.wait(60), "time goes on where nobody is connected"
    finally:
        running.stop()


def test_a_reader_that_is_too_slow_is_disconnected() -> None:
    running = Running(outbox_bytes_max=2000, connections_max=1)
    asked = {"method": "post", "id": 1, "request": {"type": "info", "payload": {"type": "meta"}}}

    async def conversation(web: aiohttp.ClientWebSocketResponse) -> Any:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(running.url + "/ws")
            assert refused.value.status == 429
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                await web.send_json(asked)
        while True:
            message = await web.receive()
            if message.type != aiohttp.WSMsgType.TEXT:
                return message.type

    try:
        assert talk(running, conversation) in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert running.machine.counters["slow readers disconnected"] == 1
        assert running.post("/info", {"type": "meta"}, headers={"client": "other"}).status_code == 200
    finally:
        running.stop()


def test_who_is_there_when_it_stops_is_told() -> None:
    running = Running(with_delays=True)
    client = Client(Machine(small_settings()), 3, usdc=0)
    client.nonce = time.time_ns() // 1_000_000
    body = client.body({"type": "noop"})

    async def conversation(web: aiohttp.ClientWebSocketResponse) -> Any:
        async with aiohttp.ClientSession() as session:
            waiting = asyncio.ensure_future(session.post(running.url + "/exchange", data=body))
            for _ in range(1000):
                if running.machine.counters["actions taken"]:
                    break
                await web.send_json({"method": "ping"})
                assert await web.receive_json() == {"channel": "pong"}
            asyncio.run_coroutine_threadsafe(running.server.stop(), running.loop)
            message = await web.receive()
            with contextlib.suppress(aiohttp.ClientError):
                (await waiting).release()
            return message.type, message.data

    try:
        assert talk(running, conversation) == (aiohttp.WSMsgType.CLOSE, 1001)
    finally:
        running.stop()
        running.server._advance()  # a timer that was on its way finds nothing to do


def test_a_body_that_does_not_arrive_is_given_up(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hlhft.exchange.server.READ_SECONDS_MAX", 0.05)
    for path in ("/info", "/exchange", "/admin"):
        with socket.create_connection(("127.0.0.1", running.server.port), timeout=30) as silent:
            silent.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{{".encode())
            assert silent.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_machine_that_breaks_stops_the_server() -> None:
    running = Running()
    errors: list[Any] = []
    running.loop.set_exception_handler(lambda loop, context: errors.append(context["exception"]))
    try:
        running.machine.kernel.chain.state["broken"] = 1
        deadline = time.monotonic() + 30
        while not running.server.broken.is_set() and time.monotonic() < deadline:
            running.post("/info", {"type": "meta"})
        assert [str(error) for error in errors] == ["money was made or lost in a block"]
        blocks = running.blocks
        assert running.post("/info", {"type": "meta"}).status_code in (200, 429)
        assert running.blocks == blocks
    finally:
        running.stop()


def test_only_this_machine_may_deposit(monkeypatch: pytest.MonkeyPatch, running: Running) -> None:
    monkeypatch.setattr("hlhft.exchange.server.LOOPBACK", frozenset())
    answer = running.post("/admin", {"address": "0x" + "1" * 40, "usdc": 5})
    assert (answer.status_code, answer.json()["msg"]) == (403, "Only clients on this machine may deposit.")


def test_time_passes_at_its_speed() -> None:
    ticks = [0]
    clock = Clock(1000, speed=4.0, monotonic_ns=lambda: ticks[0])
    assert clock.now_ns() == 1000
    ticks[0] = 50
    assert clock.now_ns() == 1200
    assert clock.seconds_until(1200 + 4_000_000_000) == 1.0
    assert clock.seconds_until(0) == 0.0


def test_time_left_out_is_not_caught_up():
    ticks = [0]
    clock = Clock(1000, speed=4.0, monotonic_ns=lambda: ticks[0])
    ticks[0] = 100
    clock.go_on_from(1200)
    assert clock.now_ns() == 1200
    ticks[0] = 110
    assert clock.now_ns() == 1240


def test_a_speed_that_no_computer_keeps_up_with_still_leaves_actions_answered():
    hurried = Running(speed=1e6, blocks_per_advance_max=10)
    try:
        wallet = Account.from_key(KEY)
        assert hurried.post("/admin", {"address": wallet.address, "usdc": 100_000}).json() == {"status": "ok"}
        exchange = Exchange(wallet, hurried.url, timeout=30)
        placed = exchange.order("ETH", True, 0.5, 3999.0, {"limit": {"tif": "Alo"}})
        assert "resting" in placed["response"]["data"]["statuses"][0]
        assert hurried.machine.counters["times the clock waited for the exchange"] > 0
    finally:
        hurried.stop()
