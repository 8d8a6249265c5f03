"""One life of a watchdog's machine, with a socket of its own."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.watchdog import Watchdog
from hlhft.hyperliquid.watchdog_beats import MAKES_ORDERS, Beat, BeatGate
from hlhft.hyperliquid.watchdog_events import (
    Answered,
    Ask,
    Effect,
    Ended,
    Heard,
    Input,
    Lane,
    Report,
    RequestKind,
    SetTimer,
    SocketDown,
    SocketUp,
    Start,
    Timer,
    TimerName,
    WatchdogSettings,
)
from hlhft.hyperliquid.watchdog_reading import posted
from hlhft.live.http import Answer
from hlhft.live.watchdog import PING, SILENT_S
from hlhft.simulation.account import ACCOUNT, OWNER, SECRET, WATCHDOG, signer_of
from hlhft.simulation.host import Host
from hlhft.simulation.time import MS, SECOND
from hlhft.simulation.transports import SimulatedHttp, SimulatedTransport

if TYPE_CHECKING:
    from hlhft.simulation.world import World


LABEL = "watchdog"  # of its connections
BEATS_MAX = 256  # that a socket keeps for who does not read


class WatchdogProcess:
    """One life of a watchdog's machine, with a socket of its own."""

    def __init__(self, world: World) -> None:
        self.host = Host(world.time, world.watchdog_wall)
        self.reports: Counter[str] = Counter()
        settings = WatchdogSettings(
            account=ACCOUNT,
            owner=OWNER,
            mainnet=False,
            switch=world.settings.has_switch,
            expires_after_ms=world.settings.expires_after_ms,
            flatten_coins=world.exchange.coins if world.settings.flattens else (),
        )
        self.machine = Watchdog(settings, signer_of(WATCHDOG))
        self._random = world.random
        self._gate = BeatGate(SECRET)
        self._http = SimulatedHttp(world.network, self.host, LABEL)
        self.transport = SimulatedTransport(self, world.network, self.host, LABEL)
        self._sockets = 0
        self._beats: list[tuple[bytes, int]] = []  # that came while it stood still
        self._began_ns = world.time.now_ns
        self._beat_ns = 0  # when the newest beat was carried
        self._makes_orders = False  # whether it said so
        self._heard_ns = 0
        self._timers: dict[TimerName, Any] = {}
        self._feed(Start())
        self._connect()
        self._ping()

    def kill(self, *, loses: bool) -> None:
        """What is under way to the exchange still arrives, or is lost."""
        self.host.kill()
        if self.transport.connection is not None:
            self.transport.connection.leave(loses=loses)
        if loses:
            self._http.network.lose(LABEL)

    def freeze(self) -> None:
        """The process stands still."""
        self.host.freeze()
        if self.transport.connection is not None:
            self.transport.connection.stand_still()

    def thaw(self) -> None:
        """It goes on; the beats that came meanwhile are read before anything else, as its shell does."""
        if self.host.is_dead:
            return
        self.host.is_frozen = False
        waiting, self._beats = self._beats, []
        for message, carried_ns in waiting:
            self.hear(message, carried_ns)
        if self.transport.connection is not None:
            self.transport.connection.go_on()
        self.host.thaw()

    def hear(self, message: bytes, carried_ns: int) -> None:
        """A beat came that was carried at this true time, which is not what the engine's clock says."""
        if self.host.is_frozen:
            self._beats = [*self._beats[-BEATS_MAX:], (message, carried_ns)]
            return
        beat = self._gate.read(message, self.host.now_ns() // MS)
        if isinstance(beat, Beat) and not self.host.is_dead:
            self._beat_ns, self._makes_orders = carried_ns, beat.state in MAKES_ORDERS
            self._feed(Heard(beat))

    def knows(self, ran_ns: int, placed_ns: int = 0) -> bool:
        """Whether it has heard the end of an engine that did something and placed an order at these times last, or
        began after it. Who heard last of one that makes no orders does not know what it placed once it was resumed."""
        is_told = self._makes_orders or self._beat_ns > placed_ns
        return self._began_ns > ran_ns or (self._beat_ns > ran_ns - SECOND and is_told)

    # The socket.

    def up(self, socket: int) -> None:
        """TCP stands."""
        self._heard_ns = self.host.now_ns()

    def upgraded(self, socket: int) -> None:
        """The WebSocket stands."""
        self._feed(SocketUp())

    def frame(self, socket: int, frame: memoryview) -> None:
        """A message came."""
        self._heard_ns = self.host.now_ns()
        text = bytes(frame)
        post = None if text.startswith(b"Websocket") else posted(text)
        assert not isinstance(post, Fault), text
        if post is not None:
            self._feed(Answered(post.id, post.body, self._draw(), post.text))

    def closed(self, socket: int, code: int, reason: str) -> None:
        """The socket is gone."""
        self._feed(SocketDown())
        self.host.at(self.host.now_ns() + self._random.randrange(250, 2_000) * MS, self._connect)

    def pressed(self, socket: int, *, is_waiting: bool) -> None:
        """Never here: what is sent leaves at once."""
        raise AssertionError("nothing waits here")

    def broke(self, error: BaseException | None) -> None:
        """An invariant does not hold."""
        raise AssertionError(error)

    def _connect(self) -> None:
        self._sockets += 1
        self._heard_ns = self.host.now_ns()
        self.transport.open("ws://exchange/ws", self._sockets)

    def _ping(self) -> None:
        now_ns = self.host.now_ns()
        if now_ns - self._heard_ns > SILENT_S * SECOND:
            self.transport.close(self._sockets, 1000)
            self.closed(self._sockets, 1000, "silent")
        self.transport.send(self._sockets, PING)
        self.host.at(now_ns + 15 * SECOND, self._ping)

    # The machine.

    def _draw(self) -> int:
        return self._random.randrange(backoff.DRAWS)

    def _feed(self, event: Input) -> None:
        for effect in self.machine.on(event, self.host.now_ns()):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        if isinstance(effect, Ask):
            self._ask(effect)
        elif isinstance(effect, SetTimer):
            before = self._timers.pop(effect.name, None)
            if before is not None:
                before.cancel()
            self._timers[effect.name] = self.host.at(effect.at_ns, self._fire, effect.name)
        elif isinstance(effect, Report):
            self.reports[effect.code.name] += 1
        else:
            assert not isinstance(effect, Ended), "nobody stopped it"

    def _fire(self, name: TimerName) -> None:
        del self._timers[name]
        self._feed(Timer(name, self._draw()))

    def _ask(self, ask: Ask) -> None:
        if ask.lane is Lane.SOCKET:
            frame = b'{"method":"post","id":%d,"request":{"type":"%b","payload":%b}}'
            text = frame % (ask.request_id, ask.kind.encode(), ask.body)
            if not self.transport.send(self._sockets, text):
                self.host.call_soon(self._feed, Answered(ask.request_id, None, self._draw(), "no socket"))
            return

        def told(answer: Answer) -> None:
            self._feed(Answered(ask.request_id, answer.body, self._draw(), answer.fault))

        self._http.post("/info" if ask.kind is RequestKind.INFO else "/exchange", ask.body, told)
