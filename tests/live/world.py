"""An engine, its watchdog and an exchange in virtual time, on a network that misbehaves; each of them can be killed.

The engine is all of `hlhft.live` that has no socket, wired as `hlhft.live.process` wires it; the watchdog is its
machine; the exchange is the pure one, with its delays, and a crowd that trades there. Killed means: nothing happens
there any more, and only what was written to the store remains.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from hlhft.config.load import load
from hlhft.config.settings import Config
from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.cloids import Cloid
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.reading import Fault
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.hyperliquid.watchdog import Watchdog
from hlhft.hyperliquid.watchdog_beats import Beat, BeatGate, encode_beat
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
from hlhft.live.assembly import begin_session, brain_of, budgets_of, parts_of
from hlhft.live.engine import Engine
from hlhft.live.http import Answer
from hlhft.live.hub import Hub
from hlhft.live.leftovers import Leftovers
from hlhft.live.process import _STATES, BEAT_NS
from hlhft.live.store import open_store
from hlhft.live.timers import Timers
from hlhft.live.watchdog import PING, SILENT_S
from hlhft.strategies import load as load_strategy
from tests.live.virtual import MS, SECOND, Disk, Host, Network, Time, VirtualHttp, VirtualTransport
from tests.live.virtual_exchange import ACCOUNT, COINS, ENGINE, OWNER, WATCHDOG, Crowd, Venue

EXPIRES_AFTER_MS = 3_000
SECRET = bytes(range(32))
SETTINGS = """
[account]
network = "local"
base_url = "http://exchange"
address = "{address}"
owner = 7
[engine]
coins = ["BTC", "ETH"]
[strategy]
name = "two_sided"
[strategy.params]
half_spread_bp = 5
[risk]
order_notional_usdc_max = 2000
"""


def config_in(folder: Path) -> Config:
    """The settings of an engine, through a file as those of a user are."""
    path = folder / "config.toml"
    path.write_text(SETTINGS.format(address=ACCOUNT))
    return load(path, {}).config


# The engine.


class Unkept:
    """A journal that keeps nothing: what is in it has tests of its own."""

    trouble = ""

    def __getattr__(self, name: str) -> Callable[..., None]:
        assert name in ("inputs", "commands", "raw", "action", "note", "rotate", "rotate_if_due"), name
        return lambda *values: None


class EngineProcess:
    """One life of an engine."""

    def __init__(self, world: World) -> None:
        self.host = host = Host(world.time)
        self._world = world
        self._beats = 0
        config, signer, random = world.config, Signer(bytes([ENGINE]) * 32), world.random
        self._store = store = open_store(world.folder / "state", clock_ns=host.now_ns)
        self.session = begin_session(store, world.folder / "journal")
        found, strategy = world.venue.found(), load_strategy(config.strategy.name)
        # What stands in for parts that have a socket, a thread or a file.
        loop: Any = host
        http: Any = VirtualHttp(world.network, host, "engine")
        keeper: Any = Disk(host, random)
        journal: Any = Unkept()
        status: Any = None  # nobody asks
        timers = Timers(loop, loop, draw=lambda: random.randrange(backoff.DRAWS))
        connects, messages = budgets_of(config)
        self.hub = hub = Hub(
            clock=loop, timers=timers, http=http, keeper=keeper, connects=connects, messages=messages
        )  # fmt: skip
        nonces = NonceAllocator(store.mark(signer.address))
        brain = brain_of(config, strategy, tuple(found.markets))
        parts = parts_of(
            config, hub=hub, found=found, signer=signer, nonces=nonces, brain=brain, journal=journal, store=store,
            base_url="http://exchange",
        )  # fmt: skip
        leftovers = Leftovers(hub, signer, nonces, mainnet=False, vault_address=None)
        hub.timers.own("process", lambda name, draw: self._beat())
        with host.running():
            self.engine = Engine(parts, status=status, leftovers=leftovers.cancel, collects=False)
        self.lines = (self.engine.feed.line, *self.engine.orders.lines)
        for line in self.lines:
            line.transport = VirtualTransport(line, world.network, host, "engine")  # type: ignore[assignment]
        self.engine.start()
        self._beat()

    def kill(self, *, loses: bool) -> None:
        """What is under way to the exchange still arrives, or is lost."""
        self.host.kill()
        for line in self.lines:
            wire = line.transport.wire  # type: ignore[attr-defined]
            if wire is not None:
                wire.leave(loses=loses)
        self._store.close()

    @property
    def is_trading(self) -> bool:
        """Whether it agrees with the venue, and may quote."""
        return self.engine.stage is Stage.TRADING and self.engine.feed.line.is_live and all(self.engine.feed.fresh)

    def orders(self) -> set[int]:
        """The client order ids of what may fill, as far as it knows."""
        return {one.cloid for one in self.engine.parts.fates.live_orders()}

    def positions(self) -> list[int]:
        """In lots by market, as the core knows them."""
        return [int(lots) for lots in self.engine.parts.brain.lane.positions["position_lots"][: len(COINS)]]

    def _beat(self) -> None:
        now_ns = self.host.now_ns()
        self.hub.timers.set("process", "beat", now_ns + BEAT_NS)
        self._beats += 1
        engine = self.engine
        fates = engine.parts.fates
        beat = Beat(
            session=self.session, sequence=self._beats, time_ms=now_ns // MS, state=_STATES[engine.stage],
            last_expiry_ms=fates.last_expiry_ms, expires_after_ms=EXPIRES_AFTER_MS, orders=len(fates.live_orders()),
            reconciliation=engine.accounts.agreed,
        )  # fmt: skip
        self._world.carry(encode_beat(beat, SECRET))


# The watchdog.


class WatchdogProcess:
    """One life of a watchdog's machine, with a socket of its own."""

    def __init__(self, world: World) -> None:
        self.host = Host(world.time)
        self.reports: Counter[str] = Counter()
        settings = WatchdogSettings(
            account=ACCOUNT, owner=OWNER, mainnet=False, switch=False, expires_after_ms=EXPIRES_AFTER_MS
        )
        self.machine = Watchdog(settings, Signer(bytes([WATCHDOG]) * 32))
        self._random = world.random
        self._gate = BeatGate(SECRET)
        self._http = VirtualHttp(world.network, self.host, "watchdog")
        self.transport = VirtualTransport(self, world.network, self.host, "watchdog")
        self._sockets = 0
        self._heard_ns = 0
        self._timers: dict[TimerName, Any] = {}
        self._feed(Start())
        self._connect()
        self._ping()

    def kill(self, *, loses: bool) -> None:
        """What is under way to the exchange still arrives, or is lost."""
        self.host.kill()
        if self.transport.wire is not None:
            self.transport.wire.leave(loses=loses)

    def hear(self, message: bytes) -> None:
        """A beat came."""
        beat = self._gate.read(message, self.host.now_ns() // MS)
        if isinstance(beat, Beat) and not self.host.is_dead:
            self._feed(Heard(beat))

    # The socket.

    def up(self, socket: int) -> None:
        self._heard_ns = self.host.now_ns()

    def upgraded(self, socket: int) -> None:
        self._feed(SocketUp())

    def frame(self, socket: int, frame: memoryview) -> None:
        self._heard_ns = self.host.now_ns()
        text = bytes(frame)
        post = None if text.startswith(b"Websocket") else posted(text)
        assert not isinstance(post, Fault), text
        if post is not None:
            self._feed(Answered(post.id, post.body, self._draw(), post.text))

    def closed(self, socket: int, code: int, reason: str) -> None:
        self._feed(SocketDown())
        self.host.at(self.host.now_ns() + self._random.randrange(250, 2_000) * MS, self._connect)

    def pressed(self, socket: int, *, is_waiting: bool) -> None:
        raise AssertionError("nothing waits here")

    def broke(self, error: BaseException | None) -> None:
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


class World:
    """All of it. The engine and the watchdog are None while they are dead."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = Random(seed)
        self.folder = folder
        self.config = config_in(folder)
        self.time = Time()
        self.venue = Venue(self.time, seed + 1)
        self.network = Network(self.time, Random(seed + 2), self.venue)
        self.crowd = Crowd(self.venue, Random(seed + 3))
        self.engine: EngineProcess | None = None
        self.watchdog: WatchdogProcess | None = None
        self.beat_loss = 0.0
        self.time.run(5 * SECOND)

    def start_engine(self) -> None:
        """A new session."""
        assert self.engine is None, "one at a time"
        self.engine = EngineProcess(self)

    def start_watchdog(self) -> None:
        """One that knows nothing of before."""
        assert self.watchdog is None, "one at a time"
        self.watchdog = WatchdogProcess(self)

    def kill_engine(self) -> None:
        """Its orders stand."""
        assert self.engine is not None
        self.engine.kill(loses=self.random.random() < 0.5)
        self.engine = None

    def kill_watchdog(self) -> None:
        """Nobody watches."""
        assert self.watchdog is not None
        self.watchdog.kill(loses=self.random.random() < 0.5)
        self.watchdog = None

    def kill_exchange(self) -> None:
        """Nobody hears of it any more."""
        self.venue.kill()
        self.network.is_down = True
        self.network.cut(sorted(self.network.wires, key=lambda wire: wire.connection))

    def return_exchange(self) -> None:
        """As it was at its last block."""
        self.network.is_down = False
        self.venue.come_back()

    def carry(self, message: bytes) -> None:
        """A beat on its way."""
        if self.random.random() >= self.beat_loss:
            self.time.at(self.time.now_ns + self.random.randrange(1, 3) * MS, self._hear, message)

    def _hear(self, message: bytes) -> None:
        if self.watchdog is not None:
            self.watchdog.hear(message)

    def unowned(self) -> list[Cloid]:
        """Own orders at the venue whose owner is dead."""
        session = 0 if self.engine is None else self.engine.session
        return [mark for mark in self.venue.own_orders().values() if mark.session != session]

    def agrees(self) -> bool:
        """Whether engine and venue name the same orders and positions."""
        engine = self.engine
        assert engine is not None
        return engine.positions() == self.venue.positions() and engine.orders() == set(self.venue.own_orders())


__all__ = ["EngineProcess", "WatchdogProcess", "World"]
