"""The exchange on the wire: HTTP and WebSocket around a machine, on one port.

A shell: it reads bytes, tells the machine the time, and delivers what comes out. Nothing is decided here but when a
reader is too slow. Source of the transport: venue reference sections 1 and 6.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Meta

from hlhft.exchange.actions import AddressText
from hlhft.exchange.answers import Answer, client_fault, json_answer, unreadable
from hlhft.exchange.limits import Client
from hlhft.exchange.machine import Machine, Outcome
from hlhft.exchange.sockets import POLICY_VIOLATION, request_type
from hlhft.units import MICRO

BODY_BYTES_MAX = 1 << 20  # a request's body and a frame
READ_SECONDS_MAX = 10.0  # a body that takes longer is given up
TAKE_SECONDS_MAX = 5.0  # until a reader takes a frame, and the last of what it is sent
SLEEP_SECONDS_MAX = 0.25  # the machine may have something to do earlier than it thought
CLIENT_LABEL = "client"  # query parameter and header that tell clients on one address apart
LABEL_CHARACTERS_MAX = 64
NS_PER_SECOND = 1_000_000_000
BEHIND_NS_MAX = 60 * NS_PER_SECOND  # of exchange time: about 800 blocks, which an action may have to wait for
NO_WEBSOCKET = "A WebSocket handshake was expected."
LOOPBACK = frozenset({"127.0.0.1", "::1"})
FILE_SNAPSHOT = "fileSnapshot"
NO_HTTP = "http requests that are none"


class Deposit(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /admin` understands: USDC for an address, out of nothing."""

    address: AddressText
    usdc: Annotated[int, Meta(gt=0, le=10**12)]


class OraclePrice(msgspec.Struct, forbid_unknown_fields=True):
    """And a new oracle price for a coin, where no order flow decides it."""

    coin: Annotated[str, Meta(max_length=64)]
    oracle: Annotated[str, Meta(max_length=64)]


class Clock:
    """Exchange time in ns from a monotonic clock: `speed` exchange seconds pass in one."""

    def __init__(
        self, start_ns: int, *, speed: float = 1.0, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.start_ns = start_ns
        self.speed = speed
        self._monotonic_ns = monotonic_ns
        self._began_ns = monotonic_ns()

    def now_ns(self) -> int:
        """The time at the exchange."""
        return self.start_ns + int((self._monotonic_ns() - self._began_ns) * self.speed)

    def go_on_from(self, time_ns: int) -> None:
        """It is `time_ns` now: the time until then, or since then, is left out."""
        self.start_ns += time_ns - self.now_ns()

    def seconds_until(self, deadline_ns: int) -> float:
        """How long a timer has to wait, at least 0."""
        return max(0.0, (deadline_ns - self.now_ns()) / NS_PER_SECOND / self.speed)


class _Log(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's log, without what clients send that is no HTTP: that is counted, or anybody could fill a disk."""

    def __init__(self, counters: Counter[str]) -> None:
        super().__init__(logging.getLogger("aiohttp.server"))
        self._counters = counters

    def log(self, level: int, msg: object, *args: object, **more: Any) -> None:
        """As every logger's."""
        if isinstance(more.get("exc_info"), HttpProcessingError | web.RequestPayloadError):
            self._counters[NO_HTTP] += 1
        else:
            super().log(level, msg, *args, **more)


@dataclass(slots=True, eq=False)
class _Socket:
    """A WebSocket and what waits to be written to it."""

    response: web.WebSocketResponse
    request: web.Request
    waiting: deque[bytes] = field(default_factory=deque)
    waiting_bytes: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    closing: tuple[int, str] | None = None


class Server:
    """Serves one machine. `on_outcome` hears of everything that `advance` brought, `snapshots` answers the bodies of
    `fileSnapshot` that come from this machine: a node's own, which no other has.

    When the machine breaks (an invariant does not hold), nothing of it can be trusted: time stands still, `broken` is
    set, and the error goes to the event loop's handler. Whoever runs the server ends it then.
    """

    def __init__(
        self,
        machine: Machine,
        clock: Clock,
        *,
        on_outcome: Callable[[Outcome], None] | None = None,
        snapshots: Callable[[bytes], Answer] | None = None,
    ) -> None:
        self.machine = machine
        self.clock = clock
        self.port = 0
        self._on_outcome = on_outcome
        self._snapshots = snapshots
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._sockets: dict[int, _Socket] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_due = False
        self._is_stopped = False
        self.broken = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listens; `port` 0 lets the system choose, and `self.port` tells. Raises OSError when it cannot listen."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post("/info", self._info)
        app.router.add_post("/exchange", self._exchange)
        app.router.add_post("/admin", self._admin)
        app.router.add_get("/ws", self._websocket)
        self._runner = web.AppRunner(app, access_log=None, logger=_Log(self.machine.counters), shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        # Not here: a machine that breaks at once breaks as at any other time.
        self._timer = asyncio.get_running_loop().call_later(0, self._advance)

    async def stop(self) -> None:
        """Stops listening and closes what is open; what was not answered is not. Nothing happens the second time."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for socket in self._sockets.values():
            socket.closing = (1001, "Shutting down")
            socket.wake.set()
        for future in self._waiting.values():
            future.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # Time.

    def _advance(self) -> None:
        """Lets the machine do what is due, delivers it, and sets the timer for the next time."""
        self._is_due = False
        if self._is_stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        is_whole = False
        try:
            outcome = self.machine.advance(self.clock.now_ns())
            is_whole = True
        finally:
            if not is_whole:
                self._is_stopped = True
                self.broken.set()
        for ticket, answer in outcome.answers:
            future = self._waiting.pop(ticket, None)
            if future is not None and not future.done():
                future.set_result(answer)
        for connection, frame in outcome.frames:
            self._send(connection, frame)
        for close in outcome.closes:
            socket = self._sockets.get(close.connection)
            if socket is not None:
                socket.closing = (close.code, close.reason)
                socket.wake.set()
        if self._on_outcome is not None:
            self._on_outcome(outcome)
        deadline_ns = self.machine.next_deadline_ns()
        if self.clock.now_ns() - deadline_ns > BEHIND_NS_MAX:
            # This computer cannot keep up with the speed asked for. An action that comes now would wait for a block
            # that is ever further away, so time goes on from here: slower than asked, and counted.
            self.clock.go_on_from(deadline_ns)
            self.machine.counters["times the clock waited for the exchange"] += 1
        delay = min(self.clock.seconds_until(deadline_ns), SLEEP_SECONDS_MAX)
        self._timer = asyncio.get_running_loop().call_later(delay, self._advance)

    def _advance_soon(self) -> None:
        """Without delays an action is executed at once, together with all that came in the same turn of the loop."""
        if not self._is_due and not self.machine.settings.with_delays:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._advance)

    # Requests.

    async def _info(self, request: web.Request) -> web.StreamResponse:
        body = await _body_of(request)
        if isinstance(body, Answer):
            return _response(body)
        if self._snapshots is not None and request.remote in LOOPBACK and request_type(body) == FILE_SNAPSHOT:
            return _response(self._snapshots(body))
        return _response(self.machine.info(body, _client_of(request), self.clock.now_ns()))

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        body = await _body_of(request)
        if isinstance(body, Answer):
            return _response(body)
        taken = self.machine.admit(body, _client_of(request), self.clock.now_ns())
        if isinstance(taken, Answer):
            return _response(taken)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[taken] = future
        self._advance_soon()
        try:
            return _response(await future)
        finally:
            self._waiting.pop(taken, None)

    async def _admin(self, request: web.Request) -> web.StreamResponse:
        """Deposits and oracle prices, from this machine only: there is no bridge that money could come over."""
        body = await _body_of(request)
        if isinstance(body, Answer):
            return _response(body)
        if request.remote not in LOOPBACK:
            return _response(client_fault(403, "Only clients on this machine may deposit."))
        try:
            fields = msgspec.json.decode(body, type=dict[str, Any])
            wish: Deposit | OraclePrice = (
                msgspec.convert(fields, OraclePrice) if "oracle" in fields else msgspec.convert(fields, Deposit)
            )
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return _response(unreadable(str(error)))
        if isinstance(wish, Deposit):
            account = self.machine.deposit(wish.address.lower(), wish.usdc * MICRO)
            fault = account if isinstance(account, str) else None
        else:
            fault = self.machine.set_oracle(wish.coin, wish.oracle)
        self._advance_soon()
        return _response(client_fault(409, fault) if fault is not None else json_answer({"status": "ok"}))

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(max_msg_size=BODY_BYTES_MAX, compress=False)
        if not response.can_prepare(request):
            return _response(client_fault(400, NO_WEBSOCKET))
        opened = self.machine.sockets.open(_client_of(request), self.clock.now_ns())
        if isinstance(opened, str):
            return _response(client_fault(429, opened))
        connection, greeting = opened
        await response.prepare(request)
        socket = _Socket(response, request)
        self._sockets[connection] = socket
        writer = asyncio.get_running_loop().create_task(_write(socket))
        for frame in greeting:
            self._send(connection, frame)
        try:
            async for message in response:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data.encode() if message.type == WSMsgType.TEXT else message.data
                    for frame in self.machine.sockets.receive(connection, data, self.clock.now_ns()):
                        self._send(connection, frame)
                    self._advance_soon()
        finally:
            self.machine.sockets.disconnect(connection)
            del self._sockets[connection]
            writer.cancel()
        return response

    def _send(self, connection: int, frame: bytes) -> None:
        """Queues a frame; a reader so slow that the queue is full is disconnected, and the queue dropped."""
        socket = self._sockets.get(connection)
        if socket is None or socket.closing is not None:
            return
        if socket.waiting_bytes + len(frame) > self.machine.settings.outbox_bytes_max:
            self.machine.counters["slow readers disconnected"] += 1
            socket.closing = (POLICY_VIOLATION, "Too slow")
            socket.waiting.clear()
            if socket.request.transport is not None:
                socket.request.transport.abort()
            return
        socket.waiting.append(frame)
        socket.waiting_bytes += len(frame)
        socket.wake.set()


async def _write(socket: _Socket) -> None:
    """Writes what waits, as fast as the reader takes it, until the connection is closed.

    What is not taken soon after that is dropped. Who breaks the protocol and does not read would otherwise hold its
    connection for ever: not even the frame that says so can be written.
    """
    transport = socket.request.transport
    try:
        while not socket.response.closed:
            await _write_waiting(socket)
    except (ConnectionError, TimeoutError):
        pass
    finally:
        if transport is not None:
            asyncio.get_running_loop().call_later(TAKE_SECONDS_MAX, transport.abort)


async def _write_waiting(socket: _Socket) -> None:
    """Waits for frames, but not for ever, and writes them; ConnectionError or TimeoutError when nobody takes them."""
    try:
        async with asyncio.timeout(TAKE_SECONDS_MAX):
            await socket.wake.wait()
    except TimeoutError:
        return
    socket.wake.clear()
    while socket.waiting:
        frame = socket.waiting.popleft()
        socket.waiting_bytes -= len(frame)
        async with asyncio.timeout(TAKE_SECONDS_MAX):
            await socket.response.send_frame(frame, WSMsgType.TEXT)
    if socket.closing is not None:
        code, reason = socket.closing
        await socket.response.close(code=code, message=reason.encode())


async def _body_of(request: web.Request) -> bytes | Answer:
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return client_fault(413, f"A request has at most {BODY_BYTES_MAX} bytes.")
    except web.RequestPayloadError:
        return client_fault(400, "The body of the request cannot be read.")
    except TimeoutError:
        return client_fault(408, "The request did not arrive in time.")
    except ConnectionError:
        return client_fault(400, "The request did not arrive.")  # which nobody reads any more


def _client_of(request: web.Request) -> Client:
    """Whose limits count: the address, and the label that a client may give itself."""
    label = request.query.get(CLIENT_LABEL) or request.headers.get(CLIENT_LABEL) or ""
    return request.remote or "", label[:LABEL_CHARACTERS_MAX]


def _response(answer: Answer) -> web.Response:
    kind = "application/json" if answer.is_json else "text/plain"
    return web.Response(status=answer.status, body=answer.body, content_type=kind)
