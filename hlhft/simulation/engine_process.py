"""One life of an engine: all of `hlhft.live` that has no socket, wired as `hlhft.live.process` wires it.

What stands in for something real: the loop and the clock (`Host`), sockets and HTTP, the thread of the store, and the
thread and the disk of the journal. A kill drops all of it and keeps the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hlhft.hyperliquid import backoff
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.hyperliquid.watchdog_beats import Beat, EngineState, encode_beat
from hlhft.hyperliquid.wire import ms_of
from hlhft.live.assembly import begin_session, brain_of, budgets_of, open_journal, parts_of
from hlhft.live.engine import Engine
from hlhft.live.hub import Hub
from hlhft.live.journal.records import Action
from hlhft.live.leftovers import Leftovers
from hlhft.live.process import BEAT_NS, STATES
from hlhft.live.profit import ProfitTally
from hlhft.live.store import open_store
from hlhft.live.timers import Timers
from hlhft.simulation.account import COINS, SECRET, signer_of
from hlhft.simulation.disk import Disk
from hlhft.simulation.host import Host
from hlhft.simulation.time import MS
from hlhft.simulation.transports import SimulatedHttp, SimulatedTransport
from hlhft.strategies import load as load_strategy

if TYPE_CHECKING:
    from hlhft.simulation.world import World

LABEL = "engine"  # of its connections
UNDER_WAY_MS_MAX = 5_000  # after its expiry an order has come, or never does


class EngineProcess:
    """One life of an engine."""

    def __init__(self, world: World) -> None:
        self.host = host = Host(world.time, world.engine_wall)
        self.host.after = world.engine_turned
        self.journal_folder = world.folder / "journal"
        self._world = world
        self._beats = 0
        self._hindered_ns = 0
        config, signer, random = world.config, signer_of(world.exchange.shocks.engine_number), world.random
        self._store = store = open_store(world.folder / "state", clock_ns=host.now_ns)
        self.key = world.exchange.shocks.engine_number
        self.session = begin_session(store, self.journal_folder)
        found, strategy = world.exchange.found(), load_strategy(config.strategy.name)
        self.markets = markets = tuple(found.markets)
        http: Any = SimulatedHttp(world.network, host, LABEL, world.judge.leaves)
        self.disk = disk = Disk(host, random)
        keeper: Any = disk
        status: Any = None  # nobody asks
        timers = Timers(host, host, draw=lambda: random.randrange(backoff.DRAWS))
        connects, messages = budgets_of(config)
        self.hub = hub = Hub(
            clock=host, timers=timers, http=http, keeper=keeper, connects=connects, messages=messages
        )  # fmt: skip
        nonces = NonceAllocator(store.mark(signer.address))
        brain = brain_of(config, strategy, markets)
        self.journal = open_journal(
            config, self.journal_folder, brain, session=self.session, strategy=strategy, markets=markets,
            shown="a simulation", compress=False, has_thread=False, clock_ns=host.now_ns, segment=disk.segment,
        )  # fmt: skip
        parts = parts_of(
            config, hub=hub, found=found, signer=signer, nonces=nonces, brain=brain, journal=self.journal, store=store,
            base_url="http://exchange",
        )  # fmt: skip
        record = parts.keep.action

        def signs(action: Action) -> None:
            world.judge.signs(self, action)
            record(action)

        parts.keep.action = signs  # type: ignore[method-assign]
        leftovers = Leftovers(
            hub, signer, nonces, mainnet=False, vault_address=None, record=parts.keep.action,
            sent=lambda actions: self.engine.sent_elsewhere(actions),
            answered=lambda actions: self.engine.answered_elsewhere(actions),
        )  # fmt: skip
        hub.timers.own("process", self._fired)
        self.tally = ProfitTally(parts.markets)
        self.engine = Engine(
            parts, loop=host, status=status, tally=self.tally, leftovers=leftovers.cancel, collects=False,
        )  # fmt: skip
        self.engine.pulse.loop = host.carry(self.engine.pulse)
        self.lines = (self.engine.feed.line, *self.engine.orders.lines)
        for line in self.lines:
            line.transport = SimulatedTransport(  # type: ignore[assignment]
                line, world.network, host, LABEL, world.judge.leaves
            )
        self.lane = lane = parts.brain.lane.lane
        self.budgets = lane["ip_weight_e3"], lane["messages_e3"], lane["posts_in_flight"]  # views of them
        self._under_way_ns = (world.settings.expires_after_ms + UNDER_WAY_MS_MAX) * MS
        self._work: dict[str, Callable[[], None]] = {"beat": self._beat}
        self.engine.start()
        self._beat()
        disk.keep(self.journal)

    def kill(self, *, loses: bool) -> None:
        """What is under way to the exchange still arrives, or is lost."""
        self.host.kill()
        for line in self.lines:
            connection = line.transport.connection  # type: ignore[attr-defined]
            if connection is not None:
                connection.leave(loses=loses)
        if loses:
            self._world.network.lose(LABEL)
        self.disk.drop()
        self._store.close()

    def freeze(self) -> None:
        """The process stands still; the kernel goes on to take what comes."""
        self.host.freeze()
        for connection in self._world.network.of(LABEL):
            connection.stand_still()

    def thaw(self) -> None:
        """It goes on: what came is there to be read, and all timers are due."""
        if self.host.is_dead:
            return
        self.host.is_frozen = False
        for connection in self._world.network.of(LABEL):
            connection.go_on()
        self.host.thaw()

    @property
    def is_trading(self) -> bool:
        """Whether it agrees with the venue, and may quote."""
        listed = self._world.exchange.coins
        is_fresh = (fresh for market, fresh in zip(self.markets, self.engine.feed.fresh) if market.name in listed)
        return self.engine.stage is Stage.TRADING and self.engine.feed.line.is_live and all(is_fresh)

    def carries_ns(self, now_ns: int) -> int:
        """Since when a connection for orders stands at both ends in a process that runs, and the venue takes another
        post; now, where none does."""
        settings = self.engine.orders.gateway.settings
        is_full = self.engine.orders.gateway.posts_in_flight >= settings.posts_max + settings.posts_kept
        if self.host.is_frozen or is_full:
            self._hindered_ns = now_ns
        stand = [
            line.transport.connection.up_ns  # type: ignore[attr-defined]
            for line in self.engine.orders.lines
            if line.transport.connection is not None and line.transport.connection.stands  # type: ignore[attr-defined]
        ]
        return max(min(stand, default=now_ns), self._hindered_ns)

    def orders(self) -> set[int]:
        """The client order ids of what may fill, as far as it knows."""
        return {one.cloid for one in self.engine.parts.fates.live_orders()}

    def resting(self) -> set[int]:
        """Of these what it knows to rest, or cannot be under way any more."""
        left_ns = self.host.now_ns() - self._under_way_ns
        live = self.engine.parts.fates.live_orders()
        return {one.cloid for one in live if one.oid or one.sent_ns < left_ns}

    def positions(self) -> list[int]:
        """In lots by market, as the core knows them."""
        held = self.engine.parts.brain.lane.positions["position_lots"]
        by_name = {market.name: int(held[row]) for row, market in enumerate(self.markets)}
        return [by_name.get(coin, 0) for coin in COINS]

    def _fired(self, name: str, draw: int) -> None:
        self._work[name]()

    def _beat(self) -> None:
        now_ns = self.host.now_ns()
        self.hub.timers.set("process", "beat", now_ns + BEAT_NS)
        self._beats += 1
        engine = self.engine
        fates = engine.parts.fates
        beat = Beat(
            session=self.session, sequence=self._beats, time_ms=ms_of(now_ns), state=self._state(),
            last_expiry_ms=fates.last_expiry_ms, expires_after_ms=self._world.settings.expires_after_ms,
            orders=fates.live_count, reconciliation=engine.accounts.agreed,
        )  # fmt: skip
        self._world.carry(encode_beat(beat, SECRET))

    def _state(self) -> EngineState:
        return STATES[self.engine.stage]
