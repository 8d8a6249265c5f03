"""An engine as a process: files and locks taken in their order, the engine run on its loop, and its end told.

Nothing is sent before the session's number is on disk, the journal is open and the venue has said whose key it is. It
ends as its `Exit` says: the verdict on what is left at the venue decides the exit code.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hlhft.config.folders import Folders, alpha_places_of, base_url, folders_of, metrics_folder_of
from hlhft.config.load import Loaded
from hlhft.config.settings import Config, whole
from hlhft.config.show import as_toml
from hlhft.core.brain import Brain
from hlhft.core.state import Mode
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor_events import Exit, Verdict
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.hyperliquid.watchdog_beats import EngineState
from hlhft.live.assembly import (
    alpha_of,
    begin_session,
    brain_of,
    budgets_of,
    node_of,
    open_journal,
    parts_of,
    warm_alpha,
)
from hlhft.live.clock import Clock
from hlhft.live.control import ControlServer, Reloaded
from hlhft.live.covers import covers_of, is_remote
from hlhft.live.engine import Engine, Parts
from hlhft.live.heartbeat import HeartbeatSender
from hlhft.live.http import Http
from hlhft.live.hub import Hub
from hlhft.live.journal.writer import Journal
from hlhft.live.keeper import Keeper
from hlhft.live.leftovers import Leftovers
from hlhft.live.metrics import EngineMetrics, Known
from hlhft.live.notify import Notifier
from hlhft.live.preflight import Found, Preflight, StartError, settings_faults, signer_of
from hlhft.live.private_files import read_or_make_secret, read_signer
from hlhft.live.profit import ProfitTally
from hlhft.live.status import StatusMaker
from hlhft.live.store import Store, open_store
from hlhft.live.timers import Timers
from hlhft.live.view import Cover
from hlhft.live.warming import warm, warm_node
from hlhft.monitor.metrics import Source
from hlhft.monitor.opening import opened
from hlhft.strategies import Strategy, load

STOPPING = (signal.SIGINT, signal.SIGTERM)
BEAT_NS = 200_000_000  # a third of the shortest silence that a watchdog may be told to take for death
NS_PER_MS = 1_000_000
_OWNER = "process"  # of the timers here
STATES = {
    Stage.STARTING: EngineState.STARTING,
    Stage.WAITING: EngineState.STARTING,
    Stage.TRADING: EngineState.TRADING,
    Stage.HALTED: EngineState.HALTED,
    Stage.STOPPING: EngineState.STOPPING,
    Stage.STOPPED: EngineState.STOPPED,
}


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What a process is started with."""

    loaded: Loaded
    environment: Mapping[str, str]
    is_paper: bool = False
    compresses: bool = True  # closed segments of the journal
    signer: Signer | None = None  # None: the key file of the settings
    reload: Callable[[Engine], Reloaded] | None = None
    covers: Callable[[], list[Cover]] | None = None
    on_ready: Callable[[Engine], None] | None = None  # once it runs

    @property
    def config(self) -> Config:
        """The settings."""
        return self.loaded.config


async def run(orders: Orders) -> Exit:
    """Runs an engine until it ends. Raises what its parts raise when it cannot start; nothing was sent then."""
    config = orders.config
    faults = settings_faults(config)
    if faults:
        raise StartError("; ".join(faults))
    signer = orders.signer or signer_of(config.account, orders.environment)
    folders = folders_of(config, orders.environment)
    pin(config.engine.cpu)
    clock = Clock()
    http, node = Http(base_url(config)), Http(config.market_data.node_url)
    store: Store | None = None
    try:
        store = open_store(folders.state, clock_ns=clock.now_ns)
        found = await Preflight(config, signer, http, clock).look()
        return await _Session(orders, folders, signer, clock, http, node, store, found).run()
    finally:
        await http.close()
        await node.close()
        if store is not None:
            store.close()


def pin(cpu: int) -> None:
    """Stays on one processor; -1 wherever the system likes. Raises StartError for one that is not there."""
    if cpu < 0:
        return
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        raise StartError(f"engine.cpu is {cpu}: this process cannot stay there ({error.strerror})") from None


class _Session:
    """One session: from files and machines to the engine's end."""

    def __init__(
        self,
        orders: Orders,
        folders: Folders,
        signer: Signer,
        clock: Clock,
        http: Http,
        node: Http,
        store: Store,
        found: Found,
    ) -> None:
        self._orders = orders
        self._config = orders.config
        self._folders = folders
        self._signer = signer
        self._clock = clock
        self._http = http
        self._node = node
        self._store = store
        self._found = found
        self._notifier = Notifier(orders.environment)
        self._sender: HeartbeatSender | None = None
        self._status: StatusMaker | None = None
        self._ended: asyncio.Future[Exit]
        self._watchdogs = {self._config.watchdog.heartbeat: folders.heartbeat}  # addresses by how they are named
        if self._config.watchdog.remote_heartbeat:
            self._watchdogs[self._config.watchdog.remote_heartbeat] = self._config.watchdog.remote_heartbeat
        self._expires_ms = whole(self._config, "batch.expires_after_ms") // NS_PER_MS

    async def run(self) -> Exit:
        """Runs it. The store and the connections to the venue are the caller's."""
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        strategy = load(self._config.strategy.name)
        markets = tuple(self._found.markets)
        unseen = brain_of(self._config, strategy, markets)
        warm(unseen, markets, now_ns=self._clock.now_ns())
        warm_alpha(self._config, strategy, unseen, now_ns=self._clock.now_ns())
        if self._config.market_data.source == "node":
            warm_node(markets, now_ns=self._clock.now_ns())
        brain = brain_of(self._config, strategy, markets)
        session = begin_session(self._store, self._folders.journal)
        journal = open_journal(
            self._config, self._folders.journal, brain, session=session, strategy=strategy, markets=markets,
            shown=as_toml(self._orders.loaded), compress=self._orders.compresses,
        )  # fmt: skip
        keeper = Keeper(loop)
        timers = Timers(loop, self._clock)
        try:
            connects, messages = budgets_of(self._config)
            hub = Hub(
                clock=self._clock, timers=timers, http=self._http, keeper=keeper, connects=connects, messages=messages
            )  # fmt: skip
            tally = ProfitTally(markets)
            engine = self._engine(hub, brain, journal, strategy, tally)
            metrics = self._metrics(engine, journal, strategy, tally)
            ended = await self._live(engine, metrics)
        finally:
            timers.close()
            keeper.close()
            journal.close()
        if ended.verdict is not Verdict.NOT_EMPTY:
            # Nothing of it can arrive any more: the next session need not wait for what expires.
            self._store.end_session()
        return ended

    def _engine(self, hub: Hub, brain: Brain, journal: Journal, strategy: Strategy, tally: ProfitTally) -> Engine:
        nonces = NonceAllocator(self._store.mark(self._signer.address))
        parts = parts_of(
            self._config, hub=hub, found=self._found, signer=self._signer, nonces=nonces, brain=brain,
            journal=journal, store=self._store, base_url=base_url(self._config),
            node=node_of(self._config, tuple(self._found.markets), self._node),
            alpha=alpha_of(
                self._config, alpha_places_of(self._config, self._orders.environment), strategy, brain,
                session=self._store.session,
            ),
        )  # fmt: skip
        leftovers = Leftovers(
            hub, self._signer, nonces, mainnet=self._config.account.network == "mainnet",
            vault_address=self._config.account.vault_address or None, record=parts.keep.action,
            sent=lambda actions: engine.sent_elsewhere(actions),
            answered=lambda actions: engine.answered_elsewhere(actions),
        )  # fmt: skip
        hub.timers.own(_OWNER, lambda name, draw: self._beat(engine))
        self._status = StatusMaker(
            self._config, session=self._store.session, strategy=strategy.name, tally=tally,
            covers=self._orders.covers or self._covers, is_paper=self._orders.is_paper,
        )  # fmt: skip
        engine = Engine(
            parts, loop=asyncio.get_running_loop(), on_end=self._ended.set_result, status=self._status, tally=tally,
            reload=self._orders.reload, ready=self._notifier.ready, stopping=self._notifier.stopping,
            every_second=self._every_second, leftovers=leftovers.cancel, polls=self._config.engine.busy_poll,
        )  # fmt: skip
        return engine

    def _metrics(self, engine: Engine, journal: Journal, strategy: Strategy, tally: ProfitTally) -> EngineMetrics:
        """What it shows of itself. Raises ConfigError where no folder can be named."""
        folder = metrics_folder_of(self._config, self._orders.environment)
        block = opened(
            folder, Source.ENGINE, labels={"account": self._found.address}, clock_ns=self._clock.now_ns,
            say=lambda sentence: engine.hub.say(sentence, "warning"),
        )  # fmt: skip
        maker = self._status
        assert maker is not None, "it is made with the engine"
        known = Known(
            network=self._config.account.network, strategy=strategy.name, session=self._store.session,
            venue_ahead_ms=self._found.offset_ms, expects_signals=self._config.alpha.enabled,
            drawdown_max=lambda: maker.config.risk.drawdown_share_max,
            covers=self._orders.covers or self._covers, heard=self._heard,
        )  # fmt: skip
        return EngineMetrics(engine, block, clock=self._clock, tally=tally, journal=journal, known=known)

    async def _live(self, engine: Engine, metrics: EngineMetrics) -> Exit:
        loop = asyncio.get_running_loop()
        control = ControlServer(self._folders.control_socket, engine)
        for number in STOPPING:
            loop.add_signal_handler(number, engine.stop, signal.Signals(number).name)
        try:
            await control.start()
            secret = read_or_make_secret(self._folders.secret_file)
            self._sender = HeartbeatSender(list(self._watchdogs.values()), secret, session=self._store.session)
            engine.start()
            self._beat(engine)
            metrics.start()
            if self._orders.on_ready is not None:
                self._orders.on_ready(engine)
            ended = await self._ended
            self._tell(engine)
            metrics.close()
            return ended
        finally:
            engine.close()
            await control.stop()
            if self._sender is not None:
                self._sender.close()
            for number in STOPPING:
                loop.remove_signal_handler(number)

    # Signs of life.

    def _beat(self, engine: Engine) -> None:
        engine.hub.timers.set(_OWNER, "beat", self._clock.now_ns() + BEAT_NS)
        self._tell(engine)

    def _tell(self, engine: Engine) -> None:
        assert self._sender is not None, "it was made before the engine started"
        parts: Parts = engine.parts
        lane = parts.brain.lane.lane
        state = STATES[engine.stage]
        if state is EngineState.HALTED and int(lane["close_at_market"][0]):
            state = EngineState.FLATTENING
        self._sender.beat(
            state,
            now_ns=self._clock.now_ns(),
            breaker=int(lane["halt_code"][0]) if int(lane["mode"][0]) == Mode.HALTED else 0,
            last_expiry_ms=parts.fates.last_expiry_ms,
            expires_after_ms=self._expires_ms,
            orders=parts.fates.live_count,
            reconciliation=engine.accounts.agreed,
        )

    def _covers(self) -> list[Cover]:
        """Which losses are covered now: a watchdog that does not answer covers none."""
        if self._sender is None:
            return covers_of(self._config, heard_at=frozenset())
        heard_at = self._sender.heard_at()
        named = frozenset(name for name, address in self._watchdogs.items() if address in heard_at)
        return covers_of(self._config, heard_at=named)

    def _heard(self) -> dict[str, bool]:
        """Whether a watchdog answers, here and on another host."""
        heard_at = self._sender.heard_at() if self._sender is not None else frozenset[str]()
        places: dict[str, bool] = {}
        for name, address in self._watchdogs.items():
            place = "remote" if is_remote(name) else "local"
            places[place] = places.get(place, False) or address in heard_at
        return places

    def _every_second(self, engine: Engine) -> None:
        self._notifier.alive(f"{engine.stage}: session {self._store.session}")


def paper_key(path: Path) -> Signer:
    """The key of a paper account, made where there is none; it never belongs to real money."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(os.urandom(32).hex() + "\n")
    return read_signer(path)
