"""What an operator sees of an engine, read from its parts at the moment of asking; nothing is kept for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hlhft import __version__
from hlhft.config.folders import base_url
from hlhft.config.settings import Config
from hlhft.core.risk import BREAKERS, Breaker
from hlhft.core.signals import E6
from hlhft.core.state import Mode, OrderState
from hlhft.hyperliquid.supervisor_events import HALT_MEANING
from hlhft.hyperliquid.supervisor_table import Stage
from hlhft.live.engine import Engine
from hlhft.live.line import Line
from hlhft.live.profit import ProfitTally
from hlhft.live.view import (
    BreakerView,
    BudgetView,
    ConnectionView,
    Cover,
    Equity,
    Latency,
    MarketView,
    PolicyView,
    Quote,
    Status,
)
from hlhft.monitor.histogram import Histogram
from hlhft.units import MICRO

NS_PER_S, NS_PER_MS, NS_PER_US = 1e9, 1e6, 1e3
E9_PER_BP = 1e5
QUOTES_MAX = 64  # of one market
COUNTERS_MAX = 200
_STAGES = {
    Stage.STARTING: "starting",
    Stage.TRADING: "quoting",
    Stage.HALTED: "halted",
    Stage.STOPPING: "stopping",
    Stage.STOPPED: "stopped",
}
_GONE = frozenset({OrderState.FREE, OrderState.DONE_FILLED, OrderState.DONE_CANCELLED, OrderState.DONE_REJECTED,
                   OrderState.DONE_EXPIRED})  # fmt: skip


class StatusMaker:
    """Makes the status of one engine; `covers` are the losses that something cancels for, as known now."""

    def __init__(
        self,
        config: Config,
        *,
        session: int,
        strategy: str,
        tally: ProfitTally,
        covers: Callable[[], list[Cover]],
        is_paper: bool = False,
    ) -> None:
        self.config = config
        self._session = session
        self._strategy = strategy
        self._tally = tally
        self._covers = covers
        self._is_paper = is_paper

    def __call__(self, engine: Engine) -> Status:
        """Everything at this moment."""
        halt = engine.supervisor.halt
        return Status(
            version=__version__,
            session=self._session,
            stage=stage_of(engine),
            network=self.config.account.network,
            base_url=base_url(self.config),
            account=engine.parts.address,
            strategy=self._strategy,
            now_ns=engine.hub.clock.now_ns(),
            started_ns=engine.started_ns,
            is_paper=self._is_paper,
            halt="" if halt is None else f"{HALT_MEANING[halt.cause]}: {halt.reason}",
            equity=self._equity(engine),
            profit=self._tally.profit(),
            markets=[self._market(engine, row) for row in range(len(engine.parts.markets))],
            latencies=_latencies(engine),
            budgets=self._budgets(engine),
            breakers=self._breakers(engine),
            connections=_connections(engine),
            covers=self._covers(),
            counters=_counters(engine),
            happenings=list(engine.hub.happenings),
        )

    def _market(self, engine: Engine, row: int) -> MarketView:
        parts = engine.parts
        market, brain = parts.markets[row], parts.brain
        book, position = brain.data.books[row], brain.lane.positions[row]
        quotes = []
        active = brain.lane.active[row]
        for index in range(min(int(position["active_count"]), QUOTES_MAX)):
            order = brain.lane.orders[row, active[index]]
            state = OrderState(int(order["state"]))
            if state not in _GONE:
                quotes.append(
                    Quote(
                        side=int(order["side"]),
                        price=market.price_text(int(order["price_ticks"])),
                        size=market.size_text(int(order["remaining_lots"])),
                        state=state.name.lower(),
                    )
                )
        lots, mark = int(position["position_lots"]), int(book["mark_ticks"])
        received_ns = int(book["time_local_ns"])
        cap = self.config.risk.position_notional_usdc_max
        return MarketView(
            name=market.name,
            is_fresh=engine.feed.fresh[row],
            age_ms=(engine.hub.clock.now_ns() - received_ns) / NS_PER_MS if received_ns else None,
            bid=_text(market.price_text, book["best_bid_ticks"]),
            bid_size=_text(market.size_text, book["best_bid_lots"]),
            ask=_text(market.price_text, book["best_ask_ticks"]),
            ask_size=_text(market.size_text, book["best_ask_lots"]),
            quotes=quotes,
            position=("-" if lots < 0 else "") + market.size_text(abs(lots)),
            notional_usdc=market.micro(mark, abs(lots)) / MICRO if mark or not lots else None,
            notional_usdc_max=cap or None,
            profit_usdc=self._tally.profit(row).total,
            fills=int(position["fills"]),
            note="" if engine.feed.fresh[row] else "its data are old",
            **_told(position, engine.hub.clock.now_ns()),
        )

    def _equity(self, engine: Engine) -> Equity | None:
        lane = engine.parts.brain.lane.lane[0]
        start = int(lane["starting_equity_micro"])
        if not start:
            return None
        equity, peak = int(lane["equity_micro"]), int(lane["peak_max_micro"])
        return Equity(
            usdc=(equity + int(lane["transfers_micro"])) / MICRO,
            start_usdc=start / MICRO,
            peak_usdc=peak / MICRO if peak else None,
            drawdown_share=max(0.0, 1.0 - equity / peak) if peak > 0 else None,
            drawdown_share_max=self.config.risk.drawdown_share_max,
        )

    def _budgets(self, engine: Engine) -> list[BudgetView]:
        lane, limits = engine.parts.brain.lane.lane[0], engine.parts.brain.limits[0]
        messages = engine.hub.messages
        now_ns = engine.hub.clock.now_ns()
        views = [
            BudgetView(name="messages", used=messages.used(now_ns), limit=messages.limit),
            BudgetView(
                name="posts in flight", used=engine.parts.gateway.posts_in_flight,
                limit=int(limits["posts_in_flight_max"]),
            ),
            BudgetView(name="open orders", used=int(lane["orders_open"]), limit=int(limits["open_orders_max"])),
        ]  # fmt: skip
        if int(lane["address_allowance"]):
            views.append(
                BudgetView(
                    name="address actions", used=int(lane["address_actions"]), limit=int(lane["address_allowance"])
                )
            )
        return views

    def _breakers(self, engine: Engine) -> list[BreakerView]:
        lane, limits = engine.parts.brain.lane.lane[0], engine.parts.brain.limits[0]
        latches, code = int(lane["latches"]), int(lane["halt_code"])
        shown = {
            Breaker.TICK_TO_TRADE: (f"{int(lane['tick_to_trade_ns']) / NS_PER_MS:.2f} ms",
                                    f"{int(limits['tick_to_trade_ns_max']) / NS_PER_MS:g} ms"),
            Breaker.DRAWDOWN: (_drawdown(lane), f"{int(limits['drawdown_e6_max']) / 1e4:g} %"),
            Breaker.ACKNOWLEDGEMENT: (f"{int(lane['acknowledgement_ns']) / NS_PER_MS:.0f} ms",
                                      f"{int(limits['acknowledgement_ns_max']) / NS_PER_MS:g} ms"),
            Breaker.EXPOSURE: (f"{int(lane['exposure_micro']) / MICRO:.0f} USDC",
                               f"{int(limits['exposure_micro_max']) / MICRO:g} USDC"),
            Breaker.REJECTION_STORM: (str(int(lane["rejections"])), str(int(limits["rejections_max"]))),
        }  # fmt: skip
        views = []
        for breaker in BREAKERS:
            is_latched = bool(latches & (1 << breaker))
            value, limit = shown.get(breaker, ("", ""))
            name = breaker.name.lower().replace("_", " ")
            views.append(
                BreakerView(
                    name=name, is_tripped=is_latched or code == breaker, is_latched=is_latched, value=value, limit=limit
                )
            )
        return views


def _told(position: Any, now_ns: int) -> dict[str, Any]:
    """What models say of a market, as far as it stands."""
    told: dict[str, Any] = {}
    if int(position["signal_until_ns"]) > now_ns:
        told["signal_bp"] = int(position["signal_e9"]) / E9_PER_BP
        told["signal_deviation_bp"] = int(position["signal_deviation_e9"]) / E9_PER_BP
    left_ns = int(position["policy_until_ns"]) - now_ns
    if left_ns > 0:
        shares = {name: int(position[f"policy_{name}_e6"]) / E6 for name in ("gamma", "signal", "spread", "asymmetry")}
        told["policy"] = PolicyView(**shares, left_s=left_ns / NS_PER_S)
    return told


def stage_of(engine: Engine) -> str:
    """One of hlhft.live.view.STAGES."""
    stage = engine.stage
    if stage is Stage.TRADING:
        return "reducing" if int(engine.parts.brain.lane.lane["mode"][0]) == Mode.REDUCING else "quoting"
    if stage is Stage.WAITING:
        return "reconciling" if engine.feed.line.socket else "connecting"
    return _STAGES[stage]


def _text(write: Callable[[int], str], value: Any) -> str | None:
    return write(int(value)) if int(value) else None


def _drawdown(lane: Any) -> str:
    peak = int(lane["peak_max_micro"])
    return f"{max(0.0, 1.0 - int(lane['equity_micro']) / peak) * 100:.2f} %" if peak > 0 else ""


def _latency(name: str, histogram: Histogram) -> Latency:
    def us(share: float) -> float | None:
        value = histogram.percentile(share)
        return None if value is None else value / NS_PER_US

    has = histogram.count > 0
    return Latency(
        name=name, count=histogram.count, p50_us=us(0.5), p90_us=us(0.9), p99_us=us(0.99),
        max_us=histogram.maximum / NS_PER_US if has else None,
    )  # fmt: skip


def _latencies(engine: Engine) -> list[Latency]:
    measured = [
        _latency("tick to trade", engine.orders.tick_to_trade),
        _latency("order answered", engine.orders.answers),
        _latency("loop lateness", engine.pulse.lateness),
    ]
    if engine.node is not None:
        measured.append(_latency("node's lag", engine.node.lag))
    if engine.alpha is not None:
        measured.append(_latency("age of a signal's data", engine.alpha.age))
    return measured


def _connections(engine: Engine) -> list[ConnectionView]:
    views = [_connection(engine, line) for line in (engine.feed.line, *engine.orders.lines)]
    node = engine.node
    if node is not None:
        heard_ns = node.heard_ns or engine.started_ns
        age_ms = (engine.hub.clock.now_ns() - heard_ns) / NS_PER_MS
        state = node.health.state.name.lower()
        views.append(ConnectionView(name="node", state=state, age_ms=age_ms, reconnects=node.losses))
    if engine.alpha is not None:
        views.append(ConnectionView(
            name="alpha", state="live" if engine.alpha.is_heard else "silent",
            age_ms=(engine.hub.clock.now_ns() - (engine.alpha.heard_ns or engine.started_ns)) / NS_PER_MS,
            reconnects=engine.alpha.counters["times the alpha process fell silent"],
        ))  # fmt: skip
    return views


def _connection(engine: Engine, line: Line) -> ConnectionView:
    since_ns = line.heard_ns if line.is_live and line.heard_ns else line.changed_ns
    return ConnectionView(
        name=line.name,
        state=str(line.connection.state).replace(" ", "_"),
        age_ms=(engine.hub.clock.now_ns() - since_ns) / NS_PER_MS,
        reconnects=line.reconnects,
    )


def _counters(engine: Engine) -> dict[str, int]:
    """Everything that was counted, by name; at most COUNTERS_MAX, the largest."""
    decoder, lane = engine.feed.decoder, engine.parts.brain.lane.lane[0]
    counters: Counter[str] = Counter(
        {
            "frames scanned": decoder.scanned,
            "frames decoded by type": decoder.typed,
            "messages": decoder.messages,
            "frames that cannot be decoded": sum(decoder.faults),
            "decisions": int(lane["decisions"]),
            "orders placed": int(lane["placed"]),
            "orders cancelled": int(lane["cancelled"]),
            "quotes refused": int(lane["refused"]),
            "signals that made no sense": int(lane["signals_ignored"]),
            "policies that made no sense": int(lane["policies_ignored"]),
            "policies brought within bounds": int(lane["policies_clamped"]),
            "fills": int(engine.parts.brain.lane.positions["fills"].sum()),
            "writes to the store that failed": engine.hub.keeper.failures,
        }
    )
    for more in (engine.hub.counters, engine.dispatch.counters, engine.parts.gateway.counters, engine.pulse.counters,
                 engine.parts.fates.counters, engine.feed.counters, engine.hub.http.counters):  # fmt: skip
        counters.update(more)
    for line in (engine.feed.line, *engine.orders.lines):
        counters.update(line.transport.counters)
    if engine.alpha is not None:
        counters.update({f"alpha: {name}": count for name, count in engine.alpha.counters.items()})
    if engine.node is not None:
        counters.update(engine.node.counters)
        counters["books of the node held against the venue's"] = engine.node.compared
        counters.update({f"node: {name.replace('_', ' ')}": count for name, count in engine.node.reader.counts.items()})
    return dict(counters.most_common(COUNTERS_MAX))
