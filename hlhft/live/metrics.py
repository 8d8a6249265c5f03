"""What an engine shows of itself: every metric of its own, written into its block.

Latencies are counted where they happen, in the block's memory. All else is copied from the engine's parts twice a
second, a market at a time; when that takes long, sockets are served in between, and what was copied is shown once all
of it is. Nothing here is asked by anything that decides. A block that cannot be made costs a warning: the numbers then
go where nobody sees them.

What is not known is not a number (NaN), and never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hlhft.core.budgets import MINUTE_NS, RESERVE_PART
from hlhft.core.risk import BREAKERS
from hlhft.hyperliquid.wire import NS_PER_MS
from hlhft.live.clock import Clock
from hlhft.live.clock_offset import ClockOffset
from hlhft.live.engine import Engine
from hlhft.live.journal.writer import Journal
from hlhft.live.market_metrics import MarketMetrics, OrderScan
from hlhft.live.node_health import Health
from hlhft.live.profit import ProfitTally
from hlhft.live.sheet import Rising, Sheet
from hlhft.live.status import stage_of
from hlhft.live.view import STAGES, Cover
from hlhft.monitor.block import BlockWriter
from hlhft.monitor.histogram import VALUE_MAX
from hlhft.units import MICRO

OWNER = "metrics"  # of the timers here
EVERY_NS = 500_000_000
SLICE_NS = 100_000  # of copying without a look at the sockets
NS_PER_S = 1e9
_LOSSES = ("engine", "host", "both")  # as hlhft.live.covers has them
_BREAKERS = tuple((breaker, breaker.name.lower()) for breaker in BREAKERS)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the engine's parts do not know themselves."""

    network: str
    strategy: str
    session: int
    venue_ahead_ms: int  # by which the venue's clock was ahead at the start
    expects_signals: bool
    drawdown_max: Callable[[], float]  # share at which the breaker trips
    covers: Callable[[], Sequence[Cover]]  # in the order of the losses: engine, host, both
    heard: Callable[[], Mapping[str, bool]]  # whether the watchdog of a place, local or remote, answers


class EngineMetrics:
    """Copies what one engine knows into its block. Made before the engine starts; `close` once it has ended."""

    def __init__(
        self, engine: Engine, block: BlockWriter, *, clock: Clock, tally: ProfitTally, journal: Journal, known: Known
    ) -> None:
        self.copied_ns = 0  # what the last whole copy took
        self._engine = engine
        self._block = block
        self._journal = journal
        self._known = known
        self._clock = clock
        self._sheet = Sheet(block)
        self._markets = [MarketMetrics(engine, row, tally, block) for row in range(len(engine.parts.markets))]
        self._slices: tuple[Callable[[int, float], None], ...] = (
            self._copy_state, self._copy_money, self._copy_counts, self._copy_budgets, self._copy_data, self._copy_disk,
            *(market.copy for market in self._markets), self._copy_orders,
        )  # fmt: skip
        self._next = 0
        self._spent_ns = self._now_ns = 0
        self._last_ns = 0  # when the copy before began, 0 before the first decision
        self._passed_s = 0.0
        self._illegal = Rising()
        self._clock_step_ns = 0
        self._is_missed = block.path is None
        self._is_closed = False
        self._offset = ClockOffset(
            offset_ns=-known.venue_ahead_ms * NS_PER_MS, now_ns=self._clock.now_ns()
        )  # fmt: skip
        self._count_in(block, known.venue_ahead_ms * NS_PER_MS)
        engine.hub.timers.own(OWNER, self._fired)

    def _count_in(self, block: BlockWriter, venue_ahead_ns: int) -> None:
        """From now on latencies are counted in the block."""
        engine = self._engine
        engine.feed.venue_ahead_ns = venue_ahead_ns
        engine.feed.latency = block.histogram("hlhft_feed_latency_seconds")
        engine.dispatch.steps = block.histogram("hlhft_step_seconds")
        engine.orders.tick_to_trade = block.histogram("hlhft_tick_to_trade_seconds")
        engine.orders.answers = block.histogram("hlhft_acknowledgement_seconds")
        engine.pulse.lateness = block.histogram("hlhft_loop_lateness_seconds")
        self._journal.syncs = block.histogram("hlhft_journal_sync_seconds")
        age = block.histogram("hlhft_signal_data_age_seconds")
        if engine.alpha is not None:
            engine.alpha.age = age

    def start(self) -> None:
        """Shows a first set, and goes on twice a second."""
        self.copy()
        if self._block.fault:
            self._engine.hub.say(self._block.fault, "warning")
        self._arm()

    def copy(self) -> None:
        """Copies and shows everything at this moment."""
        self._open_set()
        while self._next < len(self._slices):
            self._do_slice()
        self._end_set()

    def close(self) -> None:
        """Shows how it ended; nothing follows."""
        if not self._is_closed:
            self._is_closed = True
            self.copy()
            self._block.close()

    # Time.

    def _arm(self) -> None:
        self._engine.hub.timers.set(OWNER, "copy", self._clock.now_ns() + EVERY_NS)

    def _fired(self, name: str, draw: int) -> None:
        if not self._is_missed and not self._block.is_shown:
            self._is_missed = True
            self._engine.hub.say(
                f"{self._block.path} was removed: nobody sees this engine's metrics until it is started again",
                "warning",
            )
        self._open_set()
        self._go_on()

    def _go_on(self) -> None:
        """A slice of the copy, and as many more as fit."""
        if self._is_closed:
            return
        began_ns = self._clock.now_ns()
        while self._next < len(self._slices):
            self._do_slice()
            if self._next < len(self._slices) and self._clock.now_ns() - began_ns > SLICE_NS:
                self._spent_ns += self._clock.now_ns() - began_ns
                self._engine.loop.call_soon(self._go_on)
                return
        self._spent_ns += self._clock.now_ns() - began_ns
        self._end_set()
        self.copied_ns = self._spent_ns
        self._arm()

    def _open_set(self) -> None:
        self._next = self._spent_ns = 0
        self._now_ns = self._clock.now_ns()
        has_decided = int(self._engine.parts.brain.lane.lane["decisions"][0]) > 0
        self._passed_s = (self._now_ns - self._last_ns) / NS_PER_S if self._last_ns else 0.0
        self._last_ns = self._now_ns if has_decided else 0

    def _do_slice(self) -> None:
        self._slices[self._next](self._now_ns, self._passed_s)
        self._next += 1

    def _end_set(self) -> None:
        self._block.end()

    # What is copied.

    def _copy_state(self, now_ns: int, passed_s: float) -> None:
        engine, known, sheet = self._engine, self._known, self._sheet
        sheet["hlhft_engine_info", known.network, known.strategy, str(known.session)] = 1.0
        stage = stage_of(engine)
        for name in STAGES:
            sheet["hlhft_stage", name] = float(name == stage)
        sheet["hlhft_stage_changes_total"] = engine.stage_changes
        sheet["hlhft_halted"] = float(engine.supervisor.halt is not None)
        lane = engine.parts.brain.lane.lane
        latches, code = int(lane["latches"][0]), int(lane["halt_code"][0])
        for breaker, name in _BREAKERS:
            is_latched = bool(latches & (1 << breaker))
            sheet["hlhft_breaker_latched", name] = float(is_latched)
            sheet["hlhft_breaker_tripped", name] = float(is_latched or code == breaker)
        for loss, cover in zip(_LOSSES, known.covers(), strict=True):
            sheet["hlhft_loss_covered", loss] = float(cover.is_covered)
        for place, is_heard in known.heard().items():
            sheet["hlhft_watchdog_heard", place] = float(is_heard)
        sheet["hlhft_signals_expected"] = float(known.expects_signals)

    def _copy_money(self, now_ns: int, passed_s: float) -> None:
        sheet, brain = self._sheet, self._engine.parts.brain
        lane = _fields(brain.lane.lane[0])
        start, equity, peak = lane["starting_equity_micro"], lane["equity_micro"], lane["peak_max_micro"]
        is_known = start != 0
        sheet["hlhft_equity_usdc"] = (equity + lane["transfers_micro"]) / MICRO if is_known else math.nan
        sheet["hlhft_equity_start_usdc"] = start / MICRO if is_known else math.nan
        sheet["hlhft_equity_peak_usdc"] = peak / MICRO if is_known and peak else math.nan
        sheet["hlhft_drawdown_ratio"] = max(0.0, 1.0 - equity / peak) if is_known and peak > 0 else math.nan
        sheet["hlhft_drawdown_limit_ratio"] = self._known.drawdown_max()
        sheet["hlhft_exposure_usdc"] = lane["exposure_micro"] / MICRO
        sheet["hlhft_exposure_limit_usdc"] = int(brain.limits["exposure_micro_max"][0]) / MICRO
        value = lane["margin_value_micro"]
        sheet["hlhft_margin_distance_ratio"] = (value - lane["maintenance_micro"]) / value if value > 0 else math.nan

    def _copy_counts(self, now_ns: int, passed_s: float) -> None:
        sheet, engine = self._sheet, self._engine
        lane = _fields(engine.parts.brain.lane.lane[0])
        sheet["hlhft_orders_placed_total"] = lane["placed"]
        sheet["hlhft_orders_cancelled_total"] = lane["cancelled"]
        sheet["hlhft_quotes_refused_total"] = lane["refused"]
        sheet["hlhft_decisions_total"] = lane["decisions"]
        sheet["hlhft_strategy_failures_total"] = lane["strategy_failures"]
        sheet["hlhft_illegal_transitions_total"] = self._illegal.at(lane["illegal_transitions"])
        sheet["hlhft_rejections_total"] = engine.rejections
        sheet["hlhft_orders_open"] = lane["orders_open"]
        sheet.add("hlhft_trading_seconds_total", passed_s)
        accounts = engine.accounts
        sheet["hlhft_reconciliations_total"] = accounts.compared
        sheet["hlhft_reconciliation_age_seconds"] = _age_s(now_ns, accounts.compared_ns)

    def _copy_budgets(self, now_ns: int, passed_s: float) -> None:
        engine = self._engine
        hub, brain, gateway = engine.hub, engine.parts.brain, engine.parts.gateway
        lane, limits = _fields(brain.lane.lane[0]), _fields(brain.limits[0])
        kept = 1 / RESERVE_PART
        self._budget("messages", hub.messages.used(now_ns), hub.messages.limit, kept)
        self._budget("posts", gateway.posts_in_flight, limits["posts_in_flight_max"], kept)
        self._budget("open_orders", lane["orders_open"], limits["open_orders_max"], 0.0)
        allowance = lane["address_allowance"]
        self._budget(
            "address_actions", lane["address_actions"] if allowance else math.nan, allowance,
            limits["address_reserve"] / allowance if allowance else math.nan,
        )  # fmt: skip
        weight = limits["ip_weight_per_minute"]
        refilled = weight * (now_ns - lane["ip_time_ns"]) / MINUTE_NS if lane["ip_time_ns"] else weight
        left = min(lane["ip_weight_e3"] / 1000 + refilled, weight)
        asked = engine.accounts.reconciliation.weights.used(now_ns) + gateway.weight_used(now_ns)
        self._budget("http_weight", weight - left + asked, weight, kept)

    def _budget(self, name: str, used: float, limit: float, reserve: float) -> None:
        sheet = self._sheet
        sheet["hlhft_budget_used", name] = used
        sheet["hlhft_budget_limit", name] = limit if limit else math.nan
        sheet["hlhft_budget_ratio", name] = used / limit if limit else math.nan
        sheet["hlhft_budget_reserve_ratio", name] = reserve

    def _copy_data(self, now_ns: int, passed_s: float) -> None:
        sheet, engine = self._sheet, self._engine
        decoder, feed = engine.feed.decoder, engine.feed
        sheet["hlhft_frames_total"] = decoder.scanned + decoder.typed
        sheet["hlhft_frame_faults_total"] = sum(decoder.faults)
        for line in (feed.line, *engine.orders.lines):
            since_ns = line.heard_ns if line.is_live and line.heard_ns else line.changed_ns
            self._connection(line.name, line.is_live, (now_ns - since_ns) / NS_PER_S, line.reconnects)
        node, alpha = engine.node, engine.alpha
        if node is not None:
            since_ns = node.heard_ns or engine.started_ns
            self._connection("node", node.health.state is Health.FRESH, (now_ns - since_ns) / NS_PER_S, node.losses)
        if alpha is not None:
            since_ns = alpha.heard_ns or engine.started_ns
            silences = alpha.counters["times the alpha process fell silent"]
            self._connection("alpha", alpha.is_heard, (now_ns - since_ns) / NS_PER_S, silences)
        if self._offset.look(now_ns, feed.least_ns if feed.least_ns < VALUE_MAX else None):
            feed.least_ns = VALUE_MAX
        sheet["hlhft_clock_offset_seconds"] = self._offset.offset_ns / NS_PER_S
        self._clock_step_ns = max(self._clock_step_ns, abs(self._clock.step_ns))
        sheet["hlhft_clock_step_seconds"] = self._clock_step_ns / NS_PER_S

    def _connection(self, name: str, is_live: bool, age_s: float, reconnects: int) -> None:
        sheet = self._sheet
        sheet["hlhft_connected", name] = float(is_live)
        sheet["hlhft_connection_age_seconds", name] = age_s
        sheet["hlhft_reconnects_total", name] = reconnects

    def _copy_disk(self, now_ns: int, passed_s: float) -> None:
        sheet, journal, hub = self._sheet, self._journal, self._engine.hub
        sheet["hlhft_journal_lag_seconds"] = journal.lag_ns / NS_PER_S
        sheet["hlhft_journal_bytes_total"] = journal.bytes_appended
        has_trouble = journal.trouble is not None or not self._engine.dispatch.has_journal
        sheet["hlhft_journal_trouble"] = float(has_trouble)
        sheet["hlhft_store_failures_total"] = hub.keeper.failures

    def _copy_orders(self, now_ns: int, passed_s: float) -> None:
        """What the orders of all markets add up to, as the markets' slices have just found them."""
        scans: list[OrderScan] = [market.scan for market in self._markets]
        self._sheet["hlhft_unknown_orders"] = sum(scan.unknown for scan in scans)
        since_ns = min((scan.unknown_ns for scan in scans if scan.unknown), default=0)
        self._sheet["hlhft_unknown_order_age_seconds"] = (now_ns - since_ns) / NS_PER_S if since_ns else 0.0


def _fields(record: Any) -> dict[str, Any]:
    """A record's fields by name: read all at once, they cost a fraction."""
    return dict(zip(record.dtype.names, record.item(), strict=True))


def _age_s(now_ns: int, since_ns: int) -> float:
    return (now_ns - since_ns) / NS_PER_S if since_ns else math.nan
