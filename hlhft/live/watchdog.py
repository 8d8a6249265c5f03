"""The watchdog's shell: its own connection to the venue, HTTP beside it, the engine's heartbeat, timers and reports.

What is decided is decided by `hlhft.hyperliquid.watchdog`. The socket is one of the library `websockets`, not of the
engine's, so that one library's mistake does not take both; nothing here needs numba or the core. No file is shared with
the engine but the secret of the heartbeat.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import SystemRandom
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.watchdog import Watchdog
from hlhft.hyperliquid.watchdog_beats import Beat, BeatFault, Hearing
from hlhft.hyperliquid.watchdog_events import (
    Answered,
    Ask,
    Effect,
    Ended,
    Heard,
    Input,
    Lane,
    Report,
    ReportCode,
    RequestKind,
    SetTimer,
    SocketDown,
    SocketUp,
    Start,
    Stop,
    Sweep,
    Timer,
    TimerName,
    WatchdogSettings,
)
from hlhft.hyperliquid.watchdog_reading import posted
from hlhft.hyperliquid.watchdog_requests import PENDING_MAX
from hlhft.hyperliquid.watchdog_table import State
from hlhft.live.heartbeat import HeartbeatReceiver
from hlhft.live.http import Answer, Http, HttpSettings
from hlhft.live.notify import Notifier
from hlhft.live.watchdog_metrics import WatchdogMetrics

ANSWER_BYTES_MAX = 8 << 20  # 5,000 open orders have one
ERROR_CHARACTERS_MAX = 200
OUTBOX_MAX = 256  # frames that wait to be written; one more closes the socket, and HTTP takes over
PING = b'{"method":"ping"}'
PING_S = 15.0  # the venue closes what it sent nothing to for 60 s
SILENT_S = 40.0  # pings unanswered for so long: the socket is dead
CONNECT_S = 5.0
CONNECTS_PER_MINUTE_MAX = 6  # of the venue's 30; the engine's connections need the others
STABLE_NS = 30 * backoff.SECOND_NS  # a socket that stood for so long ends the row of failures
PULSE_S = 1.0  # between two signs of life to the service manager and to whoever reads its numbers, at most
REFUSED_TOLD_NS = 60 * backoff.SECOND_NS  # beats refused for one reason are told once in this time

ALARMS = frozenset(
    {
        ReportCode.SILENT, ReportCode.OVERDUE, ReportCode.ORPHANS, ReportCode.FOUND, ReportCode.NO_ASSET,
        ReportCode.FLATTENING, ReportCode.UNPROVEN,
    }
)  # fmt: skip
QUIET = frozenset({ReportCode.HEARD, ReportCode.SWITCH_ARMED, ReportCode.SWITCH_CLEARED})

_FRAME = b'{"method":"post","id":%d,"request":{"type":"%b","payload":%b}}'
_LOG = logging.getLogger(__name__)


class Time(Protocol):
    """Nanoseconds since the Unix epoch that never run backwards, as of `hlhft.live.clock.Clock`."""

    def now_ns(self) -> int:
        """The time."""

    def discipline(self) -> int:
        """Called now and then: takes up what the wall clock differs by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchdogPlace:
    """Where the watchdog finds the venue and the engine; `heartbeat` None hears no engine, for a sweep."""

    url: str  # of the venue, without a slash at the end
    heartbeat: str | None
    secret: bytes = b""

    def __repr__(self) -> str:
        return f"WatchdogPlace({self.url!r}, {self.heartbeat!r})"

    @property
    def socket_url(self) -> str:
        """Where its WebSocket is (venue reference section 1)."""
        return "ws" + self.url.removeprefix("http") + "/ws"


class WatchdogShell:
    """Performs the effects of one watchdog, in one event loop."""

    def __init__(
        self,
        settings: WatchdogSettings,
        signer: Signer,
        place: WatchdogPlace,
        *,
        clock: Time,
        notifier: Notifier,
        on_report: Callable[[Report], None] = lambda report: None,
        metrics: Callable[[], WatchdogMetrics] | None = None,
    ) -> None:
        """`metrics` is opened when it watches, so that one that cannot begin leaves the numbers of another alone."""
        self.machine = Watchdog(settings, signer)
        self.place = place
        self._clock = clock
        self._notifier = notifier
        self._on_report = on_report
        self._open_metrics = metrics
        self._metrics: WatchdogMetrics | None = None
        self._refused = 0  # beats
        self._answered_ns = 0  # the venue's latest answer
        self._random = SystemRandom()
        self._http: Http | None = None
        self._outbox: asyncio.Queue[bytes] | None = None  # of the socket that stands
        self._timers: dict[TimerName, asyncio.TimerHandle] = {}
        self._refused_ns: dict[BeatFault, int] = {}
        self._ended: asyncio.Future[bool] | None = None
        self._stop = asyncio.Event()
        self._proven = asyncio.Event()

    # What a command calls.

    async def watch(self) -> bool:
        """Watches until `stop` is called; whether it ended without own orders that may be left. Raises HeartbeatError
        when heartbeats cannot be heard."""
        assert self.place.heartbeat is not None, "a watchdog hears an engine"
        receiver = HeartbeatReceiver(
            self.place.heartbeat,
            self.place.secret,
            on_beat=self._hear,
            on_refused=self._refuse,
            now_ns=self._clock.now_ns,
        )
        receiver.open()
        self._metrics = None if self._open_metrics is None else self._open_metrics()
        try:
            return await self._run(Start(), self._stop.wait())
        finally:
            receiver.close()
            if self._metrics is not None:
                self._metrics.close()

    async def sweep(self, limit_s: float) -> bool:
        """Cancels all own orders; whether it was proven within `limit_s` that none is left."""
        return await self._run(Sweep(), self._within(limit_s))

    def stop(self) -> None:
        """Ends it, once the dead man's switch is cleared."""
        self._stop.set()

    async def _within(self, limit_s: float) -> bool:
        """Waits for a proof, or for `stop`."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._proven, self._stop)]
        await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return True

    # The life of it.

    async def _run(self, begin: Input, until: Coroutine[Any, Any, bool]) -> bool:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[bool] = loop.create_future()
        self._ended = ended
        loop.set_exception_handler(self._break)
        self._http = Http(self.place.url, self._http_settings())
        lives = [loop.create_task(self._connect_forever()), loop.create_task(self._pulse())]
        waited = loop.create_task(until)
        try:
            self._feed(begin)
            self._notifier.ready()
            waits: list[asyncio.Future[Any]] = [ended, waited, *lives]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            self._notifier.stopping()
            for life in lives:
                if life.done():
                    life.result()  # it never ends by itself: this raises
            if not ended.done():
                self._feed(Stop())
            return await ended
        finally:
            for task in (*lives, waited):
                task.cancel()
            await asyncio.gather(*lives, waited, return_exceptions=True)
            await self._http.close()
            for handle in self._timers.values():
                handle.cancel()

    def _http_settings(self) -> HttpSettings:
        """What the machine no longer waits for ends soon after; it bounds what is under way by itself."""
        timeout_s = 2 * self.machine.settings.request_ns / backoff.SECOND_NS
        return HttpSettings(timeout_s=timeout_s, body_bytes_max=ANSWER_BYTES_MAX, requests_max=PENDING_MAX)

    def _break(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback has raised: nothing goes on as if it had not."""
        error = context.get("exception")
        if error is None or self._ended is None or self._ended.done():
            loop.default_exception_handler(context)
        else:
            self._ended.set_exception(error)

    async def _pulse(self) -> None:
        """Tells the service manager and whoever reads its numbers that this loop turns, and how things are, in a long
        sweep too."""
        asked_ns = self._notifier.pulse_ns
        pulse_s = PULSE_S if asked_ns is None else min(PULSE_S, asked_ns / backoff.SECOND_NS)
        while True:
            self._clock.discipline()
            self._notifier.alive(self.machine.status())
            if self._metrics is not None:
                self._metrics.write(
                    self.machine, refused=self._refused, answered_ns=self._answered_ns, now_ns=self._clock.now_ns()
                )
            await asyncio.sleep(pulse_s)

    # The machine.

    def _feed(self, event: Input) -> None:
        """Hands the machine what happened, and performs what it wants done."""
        now_ns = self._clock.now_ns()
        if isinstance(event, Answered) and event.body is not None:
            self._answered_ns = now_ns
        for effect in self.machine.on(event, now_ns):
            self._perform(effect)
        if self.machine.state is State.EMPTY:
            self._proven.set()

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Ask(lane=Lane.SOCKET):
                self._ask_socket(effect)
            case Ask():
                self._ask_http(effect)
            case SetTimer():
                self._set(effect)
            case Report():
                self._tell(effect)
            case Ended():
                assert self._ended is not None, "it runs"
                self._ended.set_result(effect.is_clean)

    def _set(self, timer: SetTimer) -> None:
        before = self._timers.pop(timer.name, None)
        if before is not None:
            before.cancel()
        wait_s = max(timer.at_ns - self._clock.now_ns(), 0) / backoff.SECOND_NS
        self._timers[timer.name] = asyncio.get_running_loop().call_later(wait_s, self._fire, timer.name)

    def _fire(self, name: TimerName) -> None:
        del self._timers[name]
        self._feed(Timer(name, self._draw()))

    def _draw(self) -> int:
        return self._random.randrange(backoff.DRAWS)

    def _tell(self, report: Report) -> None:
        level = logging.ERROR if report.code in ALARMS else logging.WARNING
        if report.code in QUIET:
            level = logging.INFO
        _LOG.log(level, "%s: %s", report.code, report.detail)
        self._on_report(report)

    # The engine.

    def _hear(self, beat: Beat) -> Hearing:
        self._feed(Heard(beat))
        return self.machine.hearing(beat)

    def _refuse(self, fault: BeatFault) -> None:
        self._refused += 1
        now_ns = self._clock.now_ns()
        told_ns = self._refused_ns.get(fault)
        if told_ns is None or now_ns - told_ns >= REFUSED_TOLD_NS:
            self._refused_ns[fault] = now_ns
            _LOG.warning("a heartbeat is refused: %s", fault)

    # The venue over HTTP.

    def _ask_http(self, ask: Ask) -> None:
        assert self._http is not None, "it runs"
        path = "/info" if ask.kind is RequestKind.INFO else "/exchange"

        def told(answer: Answer) -> None:
            answered = Answered(ask.request_id, answer.body, self._draw(), answer.fault)
            asyncio.get_running_loop().call_soon(self._feed, answered)

        self._http.post(path, ask.body, told)

    # The venue over the socket.

    async def _connect_forever(self) -> None:
        """One socket after the other, within a part of the connects that the venue allows an address."""
        budget = backoff.Budget(CONNECTS_PER_MINUTE_MAX)
        failures = 0
        while True:
            wait_ns = budget.take(self._clock.now_ns())
            if not wait_ns:
                began_ns = self._clock.now_ns()
                await self._connect_once()
                is_stable = self._clock.now_ns() - began_ns >= STABLE_NS
                failures = 0 if is_stable else failures + 1
                wait_ns = backoff.wait_ns(failures, self._draw())
            await asyncio.sleep(wait_ns / backoff.SECOND_NS)

    async def _connect_once(self) -> None:
        try:
            async with connect(
                self.place.socket_url,
                max_size=ANSWER_BYTES_MAX,
                open_timeout=CONNECT_S,
                close_timeout=1.0,
                ping_interval=None,  # the venue has a ping of its own
                proxy=None,
            ) as socket:
                await self._talk(socket)
        except (OSError, WebSocketException) as error:  # a timeout is an OSError
            _LOG.info("the socket to the venue ended: %s", _words(error))

    async def _talk(self, socket: ClientConnection) -> None:
        self._outbox = asyncio.Queue(OUTBOX_MAX)
        writer = asyncio.create_task(self._write(socket, self._outbox))
        try:
            self._feed(SocketUp())
            while True:
                async with asyncio.timeout(SILENT_S):
                    frame = await socket.recv()
                self._read(frame)
        finally:
            self._outbox = None
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            if self._ended is not None and not self._ended.done():
                self._feed(SocketDown())

    async def _write(self, socket: ClientConnection, outbox: asyncio.Queue[bytes]) -> None:
        """Writes what waits, and a ping when nothing does; ends with the socket, which the reader notices."""
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    frame = await outbox.get()
            except TimeoutError:
                frame = PING
            await socket.send(frame, text=True)

    def _read(self, frame: bytes | str) -> None:
        # Nothing is subscribed to: whatever comes is an answer, and to a ping as often as not.
        self._answered_ns = self._clock.now_ns()
        post = posted(frame)
        if isinstance(post, Fault):
            _LOG.warning("a frame of the venue cannot be read")
        elif post is not None:
            self._feed(Answered(post.id, post.body, self._draw(), post.text))

    def _ask_socket(self, ask: Ask) -> None:
        frame = _FRAME % (ask.request_id, ask.kind.encode(), ask.body)
        if self._outbox is not None and not self._outbox.full():
            self._outbox.put_nowait(frame)
            return
        failed = Answered(ask.request_id, None, self._draw(), "the socket takes no more")
        asyncio.get_running_loop().call_soon(self._feed, failed)


def _words(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:ERROR_CHARACTERS_MAX]
