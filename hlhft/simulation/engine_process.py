"""One life of an engine: all of `hlhft.live` that has no socket, wired as `hlhft.live.process` wires it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.hyperliquid.watchdog_beats import Beat, encode_beat
from hlhft.live.assembly import begin_session, brain_of, budgets_of, parts_of
from hlhft.live.engine import Engine
from hlhft.live.hub import Hub
from hlhft.live.leftovers import Leftovers
from hlhft.live.process import _STATES, BEAT_NS
from hlhft.live.store import open_store
from hlhft.live.timers import Timers
from hlhft.simulation.disk import Disk
from hlhft.simulation.heartbeats import EXPIRES_AFTER_MS, SECRET
from hlhft.simulation.host import Host
from hlhft.simulation.time import MS
from hlhft.simulation.transports import SimulatedHttp, SimulatedTransport
from hlhft.simulation.venue import COINS, ENGINE
from hlhft.strategies import load as load_strategy

if TYPE_CHECKING:
    from hlhft.simulation.world import World


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
        http: Any = SimulatedHttp(world.network, host, "engine")
        keeper: Any = Disk(host, random)
        journal: Any = Unkept()
        status: Any = None  # nobody asks
        timers = Timers(host, host, draw=lambda: random.randrange(backoff.DRAWS))
        connects, messages = budgets_of(config)
        self.hub = hub = Hub(
            clock=host, timers=timers, http=http, keeper=keeper, connects=connects, messages=messages
        )  # fmt: skip
        nonces = NonceAllocator(store.mark(signer.address))
        brain = brain_of(config, strategy, tuple(found.markets))
        parts = parts_of(
            config, hub=hub, found=found, signer=signer, nonces=nonces, brain=brain, journal=journal, store=store,
            base_url="http://exchange",
        )  # fmt: skip
        leftovers = Leftovers(hub, signer, nonces, mainnet=False, vault_address=None)
        hub.timers.own("process", lambda name, draw: self._beat())
        self.engine = Engine(parts, loop=host, status=status, leftovers=leftovers.cancel, collects=False)
        self.lines = (self.engine.feed.line, *self.engine.orders.lines)
        for line in self.lines:
            line.transport = SimulatedTransport(line, world.network, host, "engine")  # type: ignore[assignment]
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
