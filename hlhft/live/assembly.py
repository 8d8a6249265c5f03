"""From settings, a key and what the venue says to the parts of an engine, and what outlives it on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.alpha.observation import FEATURES as OBSERVED
from hlhft.alpha.schema import FeatureSchema
from hlhft.alpha.sockets import keys_of
from hlhft.compiled import running_key
from hlhft.config.folders import AlphaPlaces
from hlhft.config.settings import Config, limit_values, whole
from hlhft.core.brain import Brain
from hlhft.core.state import LIMITS_DTYPE, BookKind
from hlhft.data.node.following import Follower
from hlhft.hyperliquid.backoff import CONNECTS_PER_MINUTE_MAX, Budget
from hlhft.hyperliquid.connection import Connection, ConnectionSettings
from hlhft.hyperliquid.encode import Encoder
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.gateway import Gateway
from hlhft.hyperliquid.gateway_asks import FILLS_WEIGHT, STATUS_WEIGHT
from hlhft.hyperliquid.gateway_events import LANES
from hlhft.hyperliquid.gateway_settings import GatewaySettings
from hlhft.hyperliquid.messages import Fills
from hlhft.hyperliquid.nonces import NonceAllocator
from hlhft.hyperliquid.reconcile import Reconciliation
from hlhft.hyperliquid.reconcile_compare import Account, Policy
from hlhft.hyperliquid.reconcile_questions import QuestionSettings
from hlhft.hyperliquid.reconcile_settings import ReconcileSettings
from hlhft.hyperliquid.signing import Signer
from hlhft.hyperliquid.supervisor import Supervisor
from hlhft.hyperliquid.supervisor_events import Halt, HaltCause
from hlhft.hyperliquid.wire import ms_of
from hlhft.live.alpha_link import E9_OF_BP, AlphaParts, LinkSettings
from hlhft.live.alpha_observer import AlphaObserver
from hlhft.live.alpha_rows import AlphaRows
from hlhft.live.engine import Keep, Parts
from hlhft.live.http import Http
from hlhft.live.hub import Hub
from hlhft.live.journal.brains import source_of
from hlhft.live.journal.records import Action, NoteKind
from hlhft.live.journal.segments import JournalFull, files
from hlhft.live.journal.writer import Journal, JournalSettings
from hlhft.live.keeper import Keeper
from hlhft.live.loop import Time
from hlhft.live.node_feed import NodeParts
from hlhft.live.node_health import HealthSettings
from hlhft.live.preflight import Found, StartError
from hlhft.live.private_files import read_private
from hlhft.live.store import Store
from hlhft.live.transport import TransportSettings
from hlhft.strategies import Strategy, pair_legs
from hlhft.units import Market

NS_PER_MS = 1_000_000
MIB, GIB = 1 << 20, 1 << 30
USER_CHANNEL = 1  # of the journal's RAW records: the user's streams
# How the engine's weight of a minute is split: reading the account, asking about orders, and actions over HTTP.
READING_SHARE, ASKING_SHARE, HTTP_SHARE = 70, 20, 10
READING_MIN = 120
FILL_ASKS_PER_MINUTE = 4
MESSAGES_MIN = 200  # a connection subscribes with hundreds
NOTIONALS = ("order_notional_usdc", "position_notional_usdc")  # of a strategy that a policy can steer
_CAUSE_SHIFT = 8  # the store keeps one code: the breaker, and above it the cause of the halt


def limits_of(config: Config, strategy: Strategy, markets: int) -> np.ndarray:
    """LIMITS_DTYPE[1] of an engine."""
    limits = np.zeros(1, LIMITS_DTYPE)
    for name, value in limit_values(config).items():
        limits[name] = value
    limits["address_enforced"] = 1
    limits["features"] = strategy.features | (OBSERVED if _shows_policy(config) else 0)
    own = config.strategy.interval_ms
    limits["interval_ns"] = strategy.interval_ns if own is None else whole(config, "strategy.interval_ms")
    limits["decide_on_frame"] = int(strategy.on_frame)
    limits["decide_on_fill"] = int(strategy.on_fill)
    limits["markets"] = markets
    limits["spot_held_only"] = 1
    return limits


def brain_of(config: Config, strategy: Strategy, markets: tuple[Market, ...]) -> Brain:
    """A brain that quotes snapshot books with our own orders in them. Raises StrategyError as `strategy` does."""
    records = np.concatenate([market.record() for market in markets])
    brain = Brain(records, limits_of(config, strategy, len(markets)))
    brain.data.books["kind"] = BookKind.SNAPSHOT
    brain.data.books["contains_own"] = 1
    brain.lane.lane["strategy_address"] = strategy.address()
    brain.lane.params[:] = strategy.params_bytes(config.strategy.params)
    pair_legs(strategy, config.strategy.params, markets, brain.lane.positions)
    return brain


def stored_halt(store: Store) -> Halt | None:
    """The halt of an earlier session, as the supervisor knows it; None for an engine that may trade."""
    halt = store.halt()
    if halt.latches == 0 and halt.code == 0:
        return None
    cause, breaker = halt.code >> _CAUSE_SHIFT, halt.code & ((1 << _CAUSE_SHIFT) - 1)
    known = HaltCause(cause) if cause in set(HaltCause) else HaltCause.STATE  # the store's own doubt names none
    return Halt(known, halt.reason, halt.latches, breaker)


@dataclass(kw_only=True)
class Keeping(Keep):
    """What outlives the process, in the store and the journal. Fills are counted once they are known to the fates."""

    store: Store
    keeper: Keeper
    clock: Time
    signer: str
    journal: Journal

    def halt(self, halt: Halt | None, reason: str) -> str:
        """The halt is on disk when this returns."""
        latches, code = 0, 0
        if halt is not None:
            latches, code = halt.latches, int(halt.cause) << _CAUSE_SHIFT | halt.breaker
            reason = halt.reason
        return self.keeper.now(lambda: self.store.write_halt(latches=latches, code=code, reason=reason))

    def mark(self, mark: int) -> None:
        """The mark of nonces is on disk when this returns."""
        self.store.write_mark(self.signer, mark)

    def fills(self, fills: Fills) -> None:
        """These fills are known."""
        known = [(fill.tid, ms_of(fill.ts_ns)) for fill in fills.fills]
        if known:
            self.keeper.later(lambda: self.store.write_fills(known))

    def watermark(self, block_ms: int) -> None:
        """All is known up to this block."""
        self.keeper.later(lambda: self.store.write_watermark(block_ms))

    def peak(self, equity_micro: int) -> None:
        """The highest equity of the running minute."""
        now_ns = self.clock.now_ns()
        self.keeper.later(lambda: self.store.write_peak(equity_micro, now_ns))

    def begin_peaks(self, transferred_micro: int, block_ms: int) -> None:
        """Peaks from now on are of the session that began at this block."""
        self.keeper.later(lambda: self.store.begin_peaks(transferred_micro, block_ms))

    def moved(self, amount_micro: int, time_ms: int) -> None:
        """A deposit, or a withdrawal below 0, was told to the core."""
        self.keeper.later(lambda: self.store.write_moved(amount_micro, time_ms))

    def raw(self, frame: memoryview, now_ns: int) -> None:
        """A frame of the user's streams, as it came. Where the journal is full, the core's way finds out."""
        try:
            self.journal.raw(USER_CHANNEL, frame, now_ns)
        except JournalFull:
            return

    def action(self, action: Action) -> None:
        """An action that leaves next; where the journal is full, only what cancels leaves."""
        with contextlib.suppress(JournalFull):
            self.journal.action(action)

    def trouble(self) -> str:
        """What keeps the journal from going on."""
        return self.journal.trouble or ""

    def tend(self) -> None:
        """Begins a new segment where this one is nearly full: the snapshot at its head costs no reaction now."""
        try:
            self.journal.rotate_if_due()
        except JournalFull:
            return  # the next step finds out

    def note(self, text: str) -> None:
        """A line for people who read the journal."""
        try:
            self.journal.note(NoteKind.REPORT, text.encode())
        except JournalFull:
            return

    def rotate(self) -> None:
        """The state was changed by something but a step: what follows is replayed from here."""
        try:
            self.journal.rotate()
        except JournalFull:
            return  # the next step finds out


def open_journal(
    config: Config,
    folder: Path,
    brain: Brain,
    *,
    session: int,
    strategy: Strategy,
    markets: tuple[Market, ...],
    shown: str,
    **means: Any,
) -> Journal:
    """The journal of this session; `shown` are the settings as `hlhft config` shows them. Raises JournalError.

    `means` are those of `Journal`: what it compresses with, and in a simulation clock and files.
    """
    settings = JournalSettings(
        segment_bytes=config.journal.segment_mib * MIB,
        sync_ms=max(1, whole(config, "journal.sync_ms") // NS_PER_MS),
        checkpoint_steps=config.journal.checkpoint_steps,
        total_bytes_max=max(int(config.journal.total_gib_max * GIB), 4 * config.journal.segment_mib * MIB),
        keep_days=min(config.journal.keep_days, 3650),
    )
    source = source_of(
        brain, session=session, strategy=strategy, markets=markets, configuration=shown,
        checkpoint_steps=settings.checkpoint_steps,
    )  # fmt: skip
    return Journal(folder, settings, source, session=session, **means)


def newest_session(folder: Path) -> int:
    """The newest session that the journal knows, 0 for none."""
    return max((file.name.session for file in files(folder)), default=0) if folder.is_dir() else 0


def gateway_settings(config: Config, address: str) -> GatewaySettings:
    """The numbers of the gateway."""
    weight = limit_values(config)["ip_weight_per_minute"]
    posts = limit_values(config)["posts_in_flight_max"]
    asking = max(weight * ASKING_SHARE // 100, 60)
    return GatewaySettings(
        account=address,
        answer_ns=whole(config, "gateway.answer_ms"),
        repeat_ns=min(whole(config, "gateway.cancel_repeat_ms"), whole(config, "gateway.answer_ms") - 1),
        repeats_max=max(config.gateway.cancel_repeats_max, 1),
        posts_max=max(posts * 3 // 4, 1),
        posts_kept=max(posts // 4, 1),
        asks_per_minute=max((asking - FILL_ASKS_PER_MINUTE * FILLS_WEIGHT) // STATUS_WEIGHT, 1),
        fill_asks_per_minute=FILL_ASKS_PER_MINUTE,
    )


def parts_of(
    config: Config,
    *,
    hub: Hub,
    found: Found,
    signer: Signer,
    nonces: NonceAllocator,
    brain: Brain,
    journal: Journal,
    store: Store,
    base_url: str,
    node: NodeParts | None = None,
    alpha: AlphaParts | None = None,
) -> Parts:
    """All machines of an engine, for the session that the store has begun. Raises ValueError (CloidError, SigningError,
    EncodeError) for what cannot be, and RuntimeError when nothing can be signed."""
    markets = tuple(found.markets)
    session, owner = store.session, config.account.owner
    mainnet = config.account.network == "mainnet"
    limits = limit_values(config)
    expires_ms = limits["expires_after_ns"] // NS_PER_MS
    encoder = Encoder(
        np.concatenate([market.record() for market in markets]), signer, owner=owner, session=session,
        mainnet=mainnet, vault_address=config.account.vault_address or None, legs_max=int(limits["legs_max"]),
        expires_after_ms=expires_ms,
    )  # fmt: skip
    fates = Fates(markets, owner=owner, session=session, begun_ms=None)
    weight = limits["ip_weight_per_minute"]
    gateway = Gateway(
        gateway_settings(config, found.address), encoder=encoder, nonces=nonces, fates=fates, messages=hub.messages,
        requests=Budget(max(weight * HTTP_SHARE // 100, 1)),
    )  # fmt: skip
    now_ns = hub.clock.now_ns()
    watermark, peak = store.watermark(), store.peak(now_ns)
    reconciliation = Reconciliation(
        ReconcileSettings(
            policy=Policy(config.engine.leftovers),
            round_ns=whole(config, "engine.reconcile_ms"),
            watermark_ms=watermark.time_ms,
            transfers_ms=store.moved().time_ms,
            peak_micro=peak or 0,
            peak_ns=now_ns if peak else 0,
            questions=QuestionSettings(
                weight_per_minute=max(weight * READING_SHARE // 100, READING_MIN),
                weight_kept=weight * ASKING_SHARE // 100,  # nothing is asked of single orders while nothing is sent
            ),
        ),
        Account(markets, owner=owner, session=session, asset_ids=found.asset_ids, base_tokens=found.base_tokens),
        user=found.address,
    )
    stop_ns_max = whole(config, "engine.stop_ms_max")
    url = "ws" + base_url.removeprefix("http") + "/ws"
    feed, *lanes = (
        Connection(ConnectionSettings(url=url), connects=hub.connects, messages=hub.messages) for _ in range(LANES + 1)
    )
    return Parts(
        hub=hub, markets=markets, address=found.address, brain=brain, journal=journal, fates=fates, gateway=gateway,
        reconciliation=reconciliation,
        supervisor=Supervisor(lanes=LANES, stop_ns_max=stop_ns_max, halt=stored_halt(store)),
        feed=feed, lanes=lanes, tick_to_trade_ns_max=int(limits["tick_to_trade_ns_max"]), stop_ns_max=stop_ns_max,
        settled_ms=0 if store.has_ended_well else now_ns // NS_PER_MS + expires_ms,
        transport=TransportSettings(),
        keep=Keeping(
            store=store, keeper=hub.keeper, clock=hub.clock, signer=signer.address, journal=journal
        ),
        node=node,
        alpha=alpha,
        horizon_ns=config.alpha.horizon_ms * NS_PER_MS,
    )  # fmt: skip


def schema_of(config: Config) -> FeatureSchema:
    """The features that rows for an alpha process are made of."""
    alpha = config.alpha
    return FeatureSchema(levels=alpha.levels, clock_ms=alpha.clock_ms, half_life_ms=alpha.half_life_ms)


def _shows_policy(config: Config) -> bool:
    return config.alpha.enabled and config.alpha.decision_ms > 0


def observer_of(config: Config, strategy: Strategy, brain: Brain) -> AlphaObserver | None:
    """Who shows a policy the markets; None where none is served. Raises StartError for a strategy that does not say
    what an order and the largest position are worth."""
    if not _shows_policy(config):
        return None
    for name in NOTIONALS:
        if name not in strategy.parameters:
            raise StartError(
                f"alpha.decision_ms serves a policy, and strategy {strategy.name} has no parameter {name}; "
                "set it to 0, or trade the strategy that the policy steers"
            )
    order, position = (float(config.strategy.params.get(name, strategy.parameters[name].default)) for name in NOTIONALS)
    interval_ns = config.alpha.decision_ms * NS_PER_MS
    return AlphaObserver(brain, order_usdc=order, position_usdc=position, interval_ns=interval_ns)


def warm_alpha(config: Config, strategy: Strategy, unseen: Brain, *, now_ns: int) -> None:
    """Loads, or compiles, what makes rows and observations, on a brain that is thrown away."""
    if config.alpha.enabled:
        AlphaRows(unseen, schema_of(config), kept=1).warm()
        observer = observer_of(config, strategy, unseen)
        if observer is not None:
            observer.observation(0, now_ns)


def alpha_of(
    config: Config, places: AlphaPlaces, strategy: Strategy, brain: Brain, *, session: int
) -> AlphaParts | None:
    """What an engine tells its alpha process and believes of it; None where there is none. Raises PrivateFileError and
    EndpointError for keys that are none, StartError as `observer_of` does."""
    alpha = config.alpha
    if not alpha.enabled:
        return None
    keys = keys_of(read_private(Path(alpha.key_file)), alpha.peer_key) if alpha.key_file else None
    settings = LinkSettings(
        places=places,
        keys=keys,
        models=frozenset(int(model, 16) for model in alpha.models),
        time_to_live_ns=whole(config, "alpha.time_to_live_ms"),
        policy_time_to_live_ns=whole(config, "alpha.policy_time_to_live_ms"),
        move_e9_max=round(alpha.move_bp_max * E9_OF_BP),
    )
    rows = AlphaRows(brain, schema_of(config), kept=alpha.rows_kept)
    return AlphaParts(
        settings=settings, session=session, rows=rows, observer=observer_of(config, strategy, brain)
    )  # fmt: skip


def node_of(config: Config, markets: Sequence[Market], http: Http) -> NodeParts | None:
    """The node that books come from, and where it is asked for snapshots; None where they come from the venue."""
    data = config.market_data
    if data.source != "node":
        return None
    folder = Path(data.node_folder)
    return NodeParts(
        folder=folder,
        health=HealthSettings(
            age_ns_max=whole(config, "market_data.node_age_ms_max"),
            lag_ns_max=whole(config, "market_data.node_lag_ms_max"),
        ),
        http=http,
        reader=lambda feed: Follower(folder, markets, feed.told, on_lost=feed.lost),
    )


def budgets_of(config: Config) -> tuple[Budget, Budget]:
    """The engine's parts of what an IP address may do in a minute: connects and messages."""
    percent = config.limits.share.engine_percent
    connects = Budget(max(CONNECTS_PER_MINUTE_MAX * percent // 100, 3))
    return connects, Budget(max(limit_values(config)["messages_per_minute"], MESSAGES_MIN))


def begin_session(store: Store, journal_folder: Path) -> int:
    """A session of its own, on disk. Raises StoreError."""
    return store.begin_session(running_key(), newest_elsewhere=newest_session(journal_folder))
