"""Virtual time, processes that can be killed in it, and a network between them that delays, loses and is cut.

Everything that happens is a call at a time, in whole nanoseconds, the earliest first and of one time the first that was
asked for. Whatever raises ends the test that runs it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Protocol

from hlhft.live.http import Answer
from hlhft.live.keeper import Done
from hlhft.live.transport import CLOSE_ABNORMAL, Told, TransportSettings

START_NS = 1_790_000_000_000_000_000
MS = 1_000_000
SECOND = 1_000_000_000
HTTP_TIMEOUT_NS = 10 * SECOND
CONNECT_TIMEOUT_NS = 5 * SECOND


class Call:
    """Something that is to happen, unless it is cancelled."""

    def __init__(self, work: Callable[..., None], values: tuple[Any, ...]) -> None:
        self.work: Callable[..., None] | None = work
        self.values = values

    def cancel(self) -> None:
        """It does not happen."""
        self.work = None


class Time:
    """The one order of all that happens."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self._calls: list[tuple[int, int, Call]] = []
        self._count = 0

    def at(self, at_ns: int, work: Callable[..., None], *values: Any) -> Call:
        """Happens at this time, or as soon as possible."""
        self._count += 1
        call = Call(work, values)
        heapq.heappush(self._calls, (max(at_ns, self.now_ns), self._count, call))
        return call

    def run(self, wait_ns: int) -> None:
        """Lets time pass, and happen what is due in it."""
        until_ns = self.now_ns + wait_ns
        while self._calls and self._calls[0][0] <= until_ns:
            self.now_ns, _, call = heapq.heappop(self._calls)
            if call.work is not None:
                call.work(*call.values)
        self.now_ns = until_ns


class Host:
    """One process: an event loop as far as the live parts use one. Nothing happens in it once it is killed."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.is_dead = False
        self.steps = 0  # of the wall clock, as of a clock: none here

    def kill(self) -> None:
        """From now on nothing happens here any more."""
        self.is_dead = True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Whatever asks for the running loop finds this one."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)  # type: ignore[arg-type]
        try:
            yield
        finally:
            asyncio._set_running_loop(before)

    def _do(self, work: Callable[..., None], values: tuple[Any, ...]) -> None:
        if not self.is_dead:
            work(*values)

    # The clock.

    def now_ns(self) -> int:
        """The time, as of a clock that is never wrong."""
        return self.time.now_ns

    def discipline(self) -> int:
        """Nothing to take up."""
        return 0

    # The loop.

    def at(self, at_ns: int, work: Callable[..., None], *values: Any) -> Call:
        """Happens here at this time."""
        return self.time.at(at_ns, self._do, work, values)

    def call_soon(self, work: Callable[..., None], *values: Any) -> Call:
        return self.at(self.time.now_ns, work, *values)

    def call_later(self, wait_s: float, work: Callable[..., None], *values: Any) -> Call:
        return self.at(self.time.now_ns + round(wait_s * SECOND), work, *values)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def get_debug(self) -> bool:
        return False

    def set_exception_handler(self, handler: object) -> None:
        """None is needed: what raises ends the test."""


class Disk:
    """The thread that writes: what has not been written when the process is killed never is."""

    def __init__(self, host: Host, random: Random) -> None:
        self.failures = 0
        self._host = host
        self._random = random
        self._waiting: deque[tuple[Callable[[], object], Done | None]] = deque()

    def later(self, work: Callable[[], object], done: Done | None = None) -> None:
        """Writes it soon, and tells later still."""
        self._waiting.append((work, done))
        self._host.at(self._host.now_ns() + self._random.randrange(1, 30) * MS, self._next)

    def now(self, work: Callable[[], object]) -> str:
        """Writes what waits, and this."""
        while self._waiting:
            self._next()
        work()
        return ""

    def _next(self) -> None:
        if self._waiting:
            work, done = self._waiting.popleft()
            work()
            if done is not None:
                self._host.at(self._host.now_ns() + self._random.randrange(1, 5) * MS, done, "")


class Far(Protocol):
    """What stands at the other end of the network."""

    def connected(self, label: str, wire: Wire) -> bool:
        """A socket stands, unless it is refused."""

    def heard(self, wire: Wire, text: bytes) -> None:
        """A message came."""

    def gone(self, wire: Wire) -> None:
        """A socket is gone."""

    def asked(self, label: str, path: str, body: bytes, answer: Callable[[int, bytes], None]) -> None:
        """A request came."""


class Network:
    """Between processes and one exchange. Messages of a socket stay in order; what a cut catches under way is lost."""

    def __init__(self, time: Time, random: Random, far: Far) -> None:
        self.time = time
        self.far = far
        self.is_down = False
        self.loss = 0.0  # of requests and answers over HTTP
        self._random = random
        self.wires: set[Wire] = set()

    def delay_ns(self) -> int:
        """How long a message is under way."""
        draw = self._random.random()
        return int((1 + 40 * draw + (300 * self._random.random() if draw > 0.98 else 0)) * MS)

    def is_lost(self) -> bool:
        """Whether a request or an answer does not arrive."""
        return self.is_down or self._random.random() < self.loss

    def cut(self, wires: list[Wire]) -> None:
        """Sockets are cut: some ends notice at once, others only when nothing comes any more."""
        for wire in wires:
            wire.cut(is_noticed=self._random.random() < 0.5)


class Wire:
    """One socket, seen from the network: `told` hears at the near end, the exchange at the far one."""

    def __init__(self, network: Network, host: Host, label: str, socket: int, told: Told) -> None:
        self.label = label
        self.socket = socket
        self.connection = 0  # its number at the exchange
        self.is_open = False
        self.near_is_over = self.far_is_over = self.is_cut = False
        self._network = network
        self._host = host
        self._told = told
        self._there_ns = self._back_ns = 0  # when the newest message in each direction arrives
        time = network.time
        time.at(time.now_ns + network.delay_ns(), self._arrive)
        host.at(time.now_ns + CONNECT_TIMEOUT_NS, self._timed_out)

    def send(self, text: bytes) -> None:
        """From here to there; the kernel gives a socket up when what was sent is not acknowledged."""
        if self.is_cut:
            unacknowledged_ns = TransportSettings().user_timeout_ms * MS
            self._host.at(self._network.time.now_ns + unacknowledged_ns, self._over, CLOSE_ABNORMAL, "timed out")
            return
        self._there_ns = max(self._there_ns, self._network.time.now_ns + self._network.delay_ns())
        self._network.time.at(self._there_ns, self._hear, text)

    def tell(self, text: bytes) -> None:
        """From there to here."""
        self._back_ns = max(self._back_ns, self._network.time.now_ns + self._network.delay_ns())
        self._host.at(self._back_ns, self._heard, text)

    def end(self, code: int, reason: str) -> None:
        """The exchange closes it."""
        self.far_is_over = True
        self._network.wires.discard(self)
        self._back_ns = max(self._back_ns, self._network.time.now_ns + self._network.delay_ns())
        self._host.at(self._back_ns, self._over, code, reason)

    def leave(self, *, loses: bool) -> None:
        """This end is gone: of what is under way the exchange still hears everything, or nothing."""
        self.near_is_over = True
        if loses:
            self._far_over()
        else:
            time = self._network.time
            time.at(max(self._there_ns, time.now_ns + self._network.delay_ns()), self._far_over)

    def cut(self, *, is_noticed: bool) -> None:
        """Nothing arrives any more, in either direction."""
        self.is_cut = True
        self._far_over()
        if is_noticed:
            self._host.call_soon(self._over, CLOSE_ABNORMAL, "cut")

    def _arrive(self) -> None:
        if self._network.is_down or self.near_is_over:
            return
        # Before what the exchange says first.
        self._back_ns = self._network.time.now_ns + self._network.delay_ns()
        self._host.at(self._back_ns, self._up)
        if self._network.far.connected(self.label, self):
            self._network.wires.add(self)
        else:
            self.far_is_over = self.is_cut = True

    def _up(self) -> None:
        if not self.near_is_over and not self.is_cut:
            self.is_open = True
            self._told.up(self.socket)
            self._told.upgraded(self.socket)

    def _hear(self, text: bytes) -> None:
        if not self.far_is_over:
            self._network.far.heard(self, text)

    def _heard(self, text: bytes) -> None:
        if not self.near_is_over and not self.is_cut:
            self._told.frame(self.socket, memoryview(text))

    def _timed_out(self) -> None:
        if not self.is_open:
            self._over(CLOSE_ABNORMAL, "no connection")

    def _over(self, code: int, reason: str) -> None:
        """The near end hears that it is gone, once."""
        if not self.near_is_over:
            self.near_is_over = True
            self._told.closed(self.socket, code, reason)

    def _far_over(self) -> None:
        self._network.wires.discard(self)
        if not self.far_is_over:
            self.far_is_over = True
            self._network.far.gone(self)


class VirtualTransport:
    """A socket at a time of one connection machine, in place of `hlhft.live.transport.Transport`."""

    def __init__(self, told: Told, network: Network, host: Host, label: str) -> None:
        self.settings = TransportSettings()
        self.waiting_bytes = 0
        self.wire: Wire | None = None
        self._told = told
        self._network = network
        self._host = host
        self._label = label

    def open(self, url: str, socket: int) -> None:
        """Begins to open a socket; one that is still there is closed."""
        if self.wire is not None:
            self.wire.leave(loses=False)
        self.wire = Wire(self._network, self._host, self._label, socket, self._told)

    def send(self, socket: int, payload: bytes | bytearray | memoryview) -> bool:
        """Sends a text message; False when this socket is not there to take it."""
        wire = self.wire
        if wire is None or wire.socket != socket or wire.near_is_over or not wire.is_open:
            return False
        wire.send(bytes(payload))
        return True

    def close(self, socket: int, code: int) -> None:
        """Closes a socket at once; nothing more is told of it."""
        if self.wire is not None and self.wire.socket == socket:
            self.wire.leave(loses=False)
            self.wire = None


class VirtualHttp:
    """Requests of one process, in place of `hlhft.live.http.Http`."""

    def __init__(self, network: Network, host: Host, label: str) -> None:
        self.under_way = 0
        self._network = network
        self._host = host
        self._label = label

    def post(self, path: str, body: bytes, told: Callable[[Answer], None]) -> None:
        """Posts a body, and tells what comes back: once, and never within this call."""
        time, network = self._network.time, self._network
        is_told = [False]

        def tell(answer: Answer) -> None:
            if not is_told[0]:
                is_told[0] = True
                told(answer)

        def answered(status: int, answer: bytes) -> None:
            if not network.is_lost():
                made = Answer(answer, "", status) if status == 200 else Answer(None, f"HTTP {status}", status)
                self._host.at(time.now_ns + network.delay_ns(), tell, made)

        if not network.is_lost():
            time.at(time.now_ns + network.delay_ns(), network.far.asked, self._label, path, bytes(body), answered)
        self._host.at(time.now_ns + HTTP_TIMEOUT_NS, tell, Answer(None, f"{path}: no answer within 10 s"))
