"""Small recordings written as tables, a strategy that quotes what a script says, and what came of it.

One tick is 0.001 USDC and one lot 0.001 units, so a tick times a lot is one micro-USDC and money can be computed by
hand. A recording is a table of lines

    AT[+DELAY] level buy|sell PRICE SIZE
    AT[+DELAY] trade buy|sell PRICE SIZE
    AT[+DELAY] bbo buy|sell PRICE SIZE
    AT[+DELAY] clear buy|sell PRICE
    AT[+DELAY] context MARK ORACLE RATE_E12

with AT in milliseconds of the venue's clock after ORIGIN_NS, a full hour, and DELAY in milliseconds until we have it.
Lines that reach us at the same time are one frame. With `!` before the kind only the venue's side sees the line, with
`?` only ours. A script is a list of orders, each with when it is wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from hlhft.backtest.latency import blocks, constant, lognormal_quantiles
from hlhft.backtest.replay import Replay, ReplayOutput, ReplayPlan, RowArray, prepare, run
from hlhft.backtest.rows import ROW_DTYPE, ROWS_PER_EVENT_MAX, price_range, rows_from_events
from hlhft.core.state import LIMITS_DTYPE, Feature
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.strategies import Strategy, load
from hlhft.units import MICRO, Market
from hlhft.venue import rules as venue_rules
from hlhft.venue.queue import QueueModel
from hlhft.venue.recorded import FillReason

ORIGIN_NS = 1_756_994_400_000_000_000
MS = 1_000_000
HOUR_MS = 3_600_000
MARKET = Market.perpetual("TEST", asset_id=0, size_decimals=3, maximum_leverage=10)
OTHER = Market.perpetual("OTHER", asset_id=1, size_decimals=3, maximum_leverage=10)
SCRIPTED = Path(__file__).parent / "strategies" / "scripted.py"
ALO, GTC, IOC = 0, 1, 2
BUY, SELL = 1, -1
CAPITAL_MICRO = 10_000 * MICRO
BOTH = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_KINDS = {
    "level": EventKind.DEPTH_LEVEL,
    "trade": EventKind.TRADE,
    "bbo": EventKind.BBO,
    "clear": EventKind.DEPTH_CLEAR,
    "context": EventKind.ASSET_CONTEXT,
}
_SIDES = {"buy": BUY, "sell": SELL}
# One bid and one ask far enough apart for quotes between them.
BOOK = """
    0 level buy 99.9 5
    0 level sell 100.1 5
"""


def ns(ms: float) -> int:
    """The moment `ms` milliseconds after the scenario's origin."""
    return ORIGIN_NS + round(ms * MS)


def events_of(table: str, *, market: int = 0, delay_ms: float = 0) -> np.ndarray:
    """The table as EVENT_DTYPE, in its order; `delay_ms` where a line names none."""
    lines = [line.split() for line in table.strip().splitlines() if line.strip()]
    events = np.zeros(len(lines), EVENT_DTYPE)
    for event, (when, kind, *rest) in zip(events, lines, strict=True):
        at, _, delay = when.partition("+")
        event["ts_exch_ns"] = ns(float(at))
        event["ts_local_ns"] = ns(float(at) + float(delay or delay_ms))
        event["market"] = market
        event["flags"] = BOTH
        if kind[0] in "!?":
            event["flags"] = int(EventFlag.EXCHANGE_VISIBLE if kind[0] == "!" else EventFlag.LOCAL_VISIBLE)
        kind = kind.lstrip("!?")
        event["kind"] = _KINDS[kind]
        if kind == "context":
            event["price_ticks"], event["order_id"] = MARKET.ticks(rest[0]), MARKET.ticks(rest[1])
            event["aux0"] = int(rest[2])
        else:
            event["side"] = _SIDES[rest[0]]
            event["price_ticks"] = MARKET.ticks(rest[1])
            event["size_lots"] = MARKET.lots(rest[2]) if len(rest) > 2 else 0
    last = np.append(events["ts_local_ns"][1:] != events["ts_local_ns"][:-1], True)
    events["flags"] |= np.where(last, np.uint16(EventFlag.FRAME_END), np.uint16(0))
    return events


def rows_of(events: np.ndarray, market: int = 0) -> np.ndarray:
    """The events of one market as ROW_DTYPE, as a recording is compiled."""
    rows = np.zeros(len(events) * ROWS_PER_EVENT_MAX, ROW_DTYPE)
    last = np.full(2, np.iinfo(np.int64).min, np.int64)
    count, _, fault, place = rows_from_events(events, market, last, rows)
    assert fault == 0, f"event {place} is faulty: {fault}"
    return rows[:count].copy()


def stream_of(rows: np.ndarray) -> RowArray:
    """The rows as a stream."""
    low, high = price_range(rows, len(rows))
    return RowArray(rows, int(low), int(high))


@dataclass
class Pieces:
    """A row stream that gives at most `size` rows a time, and so never one that can be walked where it is."""

    rows: np.ndarray
    size: int
    position: int = 0

    def __post_init__(self) -> None:
        self.low_ticks, self.high_ticks = (int(bound) for bound in price_range(self.rows, len(self.rows)))
        self.rows_total = len(self.rows)

    def whole(self) -> None:
        """Nothing at once: read piece by piece."""

    def read(self, rows_max: int) -> np.ndarray:
        """The next rows."""
        part = self.rows[self.position : self.position + min(self.size, rows_max)]
        self.position += len(part)
        return part


@dataclass(frozen=True)
class Order:
    """One line of a script: an order that is wanted from `start` until `until`, milliseconds after the origin."""

    start: float
    until: float
    side: int
    price: str
    size: str
    time_in_force: int = ALO
    reduce_only: bool = False
    market: int = 0


Script = Sequence[Order]


def params_of(script: Script) -> dict[str, float]:
    """The script as parameters of the scripted strategy."""
    params: dict[str, float] = {}
    for number, order in enumerate(script):
        kind = order.time_in_force + 10 * order.reduce_only + 100 * order.market
        values = (order.start, order.until, order.side, MARKET.ticks(order.price), MARKET.lots(order.size), kind)
        for name, value in zip(("from", "until", "side", "ticks", "lots", "kind"), values, strict=True):
            params[f"{name}_{number}"] = float(value)
    return params


def limits(**values: int) -> np.ndarray:
    """Limits that stand in nobody's way: one decision a frame and a reply, nothing held back, all caps off."""
    record = np.zeros(1, LIMITS_DTYPE)
    open_door = {
        "tick_to_trade_ns_max": 150 * MS,
        "drawdown_e6_max": 1_000_000,
        "open_orders_max": 1000,
        "legs_max": 200,
        "decide_on_frame": 1,
        "decide_on_fill": 1,
    }
    for name, value in {**open_door, **values}.items():
        record[name] = value
    return record


def rules(**values: float) -> np.ndarray:
    """The venue's rules with the queue that needs no power: only trades move us up."""
    record = venue_rules.hyperliquid()
    for name, value in {"queue_model": QueueModel.RISK_AVERSE, **values}.items():
        record[name] = value
    return record


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Recordings, one a market, and scripts, one a lane; what is not said is as simple as can be."""

    tables: Sequence[str] = ()
    events: Sequence[np.ndarray] = ()  # instead of tables
    scripts: Sequence[Script] = ((),)
    params: Sequence[Mapping[str, Any]] = ()  # instead of scripts
    strategy: Strategy | None = None
    markets: Sequence[Market] = ()
    entry_ms: float = 0.0
    reply_ms: float = 0.0
    latency: tuple[np.ndarray, np.ndarray] | None = None
    delay_ms: float = 0.0
    limits: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, float] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> list[np.ndarray]:
        """The rows of each market."""
        events = self.events or [
            events_of(table, market=index, delay_ms=self.delay_ms) for index, table in enumerate(self.tables)
        ]
        return [rows_of(one, index) for index, one in enumerate(events)]

    def planned(self, **values: Any) -> ReplayPlan:
        """The plan of a replay of it; `values` replace fields of the plan."""
        streams = values.pop("streams", None) or [stream_of(rows) for rows in self.rows()]
        latency = self.latency or constant(entry_ns=round(self.entry_ms * MS), reply_ns=round(self.reply_ms * MS))
        fields: dict[str, Any] = {
            "markets": self.markets or (MARKET, OTHER)[: len(streams)],
            "streams": streams,
            "strategy": self.strategy or scripted(),
            "params": self.params or [params_of(script) for script in self.scripts],
            "limits": limits(**self.limits),
            "rules": rules(**self.rules),
            "latency": latency[0],
            "latency_table": latency[1],
            "seed": 1,
            "capital_micro": CAPITAL_MICRO,
            "record_interval_ns": 0,
        }
        return ReplayPlan(**{**fields, **self.plan, **values})

    def prepared(self, **values: Any) -> Replay:
        """The replay, set up and not run."""
        return prepare(self.planned(**values))

    def run(self, **values: Any) -> ReplayOutput:
        """What came of it."""
        return run(self.prepared(**values))


_LOADED: dict[Path, Strategy] = {}


def scripted() -> Strategy:
    """The strategy of the scripts, loaded once."""
    if SCRIPTED not in _LOADED:
        _LOADED[SCRIPTED] = load(str(SCRIPTED))
    return _LOADED[SCRIPTED]


@dataclass(frozen=True)
class Fill:
    """A fill as a person would write it down."""

    at_ms: float
    learned_ms: float
    side: int
    price: str
    size: str
    fee_micro: int
    reason: int


def fills_of(output: ReplayOutput, *, lane: int = 0, kind: int = EventKind.ORDER_FILLED) -> list[Fill]:
    """The fills of a lane, or its payments for another `kind`, in order of learning."""
    log = output.fills[(output.fills["lane"] == lane) & (output.fills["kind"] == kind)]
    return [
        Fill(
            at_ms=(int(row["ts_exch_ns"]) - ORIGIN_NS) / MS,
            learned_ms=(int(row["ts_local_ns"]) - ORIGIN_NS) / MS,
            side=int(row["side"]),
            price=MARKET.price_text(int(row["price_ticks"])),
            size=str(Decimal(int(row["size_lots"])) / 1000),
            fee_micro=int(row["aux1"]),
            reason=int(row["reason"]),
        )
        for row in log
    ]


def bytes_of(output: ReplayOutput) -> dict[str, bytes]:
    """Everything a run leaves that decides anything; the strategy's address is where a process put its code."""
    lane = output.lanes.lane.copy()
    lane["strategy_address"] = 0
    state = {name: array.tobytes() for name, array in output.lanes._asdict().items() if name != "lane"}
    return {
        "fills": output.fills.tobytes(),
        "records": output.records.tobytes(),
        "holdings": output.holdings.tobytes(),
        "lane": lane.tobytes(),
        **state,
    }


# A lively market: random levels and trades, and orders that meet them.
THERE, BACK = lognormal_quantiles(20 * MS, 90 * MS), lognormal_quantiles(10 * MS, 30 * MS)
SPACING = np.full(4096, 70 * MS)
BLOCKS = blocks(THERE, BACK, SPACING, mean_ns=70 * MS, seed=5)
LIVELY = [
    Order(0, 300, BUY, "99.97", "0.6"),
    Order(0, 300, SELL, "100.03", "0.6"),
    Order(100, 500, BUY, "99.95", "0.5"),
    Order(100, 500, SELL, "100.05", "0.5"),
    Order(250, 900, SELL, "100.01", "0.3", IOC),
]
LEVELS = ("99.9", "99.93", "99.95", "99.97", "100.03", "100.05", "100.07", "100.1")


def random_events(seed: int, *, frames: int = 40, market: int = 0) -> np.ndarray:
    """Random levels and trades around 100, one every 20 ms at the venue, ours 5 to 15 ms later."""
    draw = np.random.default_rng(seed)
    lines = ["0+5 level buy 99.9 5", "0+5 level sell 100.1 5"]
    local = 5
    for frame in range(1, frames):
        at = 20 * frame
        local = max(local, at + int(draw.integers(5, 16)))
        price = LEVELS[int(draw.integers(len(LEVELS)))]
        side = "buy" if price < "99.99" and not price.startswith("1") else "sell"
        size = f"{int(draw.integers(0, 30)) / 10}"
        if draw.random() < 0.5:
            lines.append(f"{at}+{local - at} level {side} {price} {size}")
        else:
            aggressor = "sell" if side == "buy" else "buy"
            lines.append(f"{at}+{local - at} trade {aggressor} {price} {max(float(size), 0.1)}")
    return events_of("\n".join(lines), market=market)


def seen_apart(seed: int, market: int = 0) -> np.ndarray:
    """A random recording of which every third event is the venue's alone."""
    events = random_events(seed, market=market)
    events["flags"][::3] &= ~np.uint16(EventFlag.LOCAL_VISIBLE | EventFlag.FRAME_END)
    return events


def lively(**values: Any) -> Scenario:
    """A short run with fills, refusals and cancels in four lanes, features on, by the latency of blocks."""
    scripts = [LIVELY[: 2 + lane] for lane in range(4)]
    fields: dict[str, Any] = {"events": [seen_apart(47)], "scripts": scripts, "latency": BLOCKS}
    return Scenario(**{**fields, "limits": {"features": int(Feature.ALL)}, **values})


def digest(output: ReplayOutput) -> str:
    """One line that says whether two runs are the same, byte for byte."""
    whole = hashlib.blake2b(digest_size=16)
    for name, part in sorted(bytes_of(output).items()):
        whole.update(name.encode() + part)
    return f"{len(output.fills)} {len(output.records)} {whole.hexdigest()}"


QUEUE, THROUGH, CROSSED, TAKER = (
    int(reason)
    for reason in (FillReason.QUEUE_REACHED, FillReason.TRADED_THROUGH, FillReason.CROSSED, FillReason.TAKER)
)


def position(output: ReplayOutput, lane: int = 0, market: int = 0) -> int:
    """What a lane holds at the end, signed lots."""
    return int(output.lanes.positions[lane, market]["position_lots"])


def memory(output: ReplayOutput, lane: int = 0) -> tuple[int, float, float]:
    """How often the scripted strategy was asked, first and last when, in milliseconds."""
    asked, first, last = output.lanes.memory[lane, :24].view(np.int64).tolist()
    return asked, (first - ORIGIN_NS) / MS, (last - ORIGIN_NS) / MS
