"""What an operator sees of a running engine: one object, made by the engine, shown by `hlhft status` and the screen.

Prices and sizes are the venue's texts, money is USDC, times are nanoseconds; whatever is not known is None and is never
shown as 0. Lists are bounded where they are made.
"""

from __future__ import annotations

import msgspec

HAPPENINGS_MAX = 50  # newest last; older ones are in the log

STAGES = ("starting", "connecting", "reconciling", "quoting", "reducing", "halted", "stopping", "stopped")


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """One own order that may still trade."""

    side: int  # 1 buy, -1 sell
    price: str
    size: str
    state: str = "open"  # the name of its state in the order table, in lower case


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy that stands makes of the parameters, as the core bounded it."""

    gamma: float  # times the risk aversion
    signal: float  # times the weight of the signal
    spread: float  # times the half-spread
    asymmetry: float  # share of the half-spread that moves the centre up
    left_s: float  # until it expires


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """One market."""

    name: str
    is_fresh: bool
    age_ms: float | None = None  # of the newest data
    bid: str | None = None
    bid_size: str | None = None
    ask: str | None = None
    ask_size: str | None = None
    quotes: list[Quote] = []
    position: str = "0"  # signed
    notional_usdc: float | None = None  # of the position at its mark, unsigned
    notional_usdc_max: float | None = None  # None: no cap
    profit_usdc: float | None = None
    fills: int = 0
    note: str = ""  # why nothing is quoted, where that is so
    signal_bp: float | None = None  # expected move by the signal that stands, None: none does
    signal_deviation_bp: float | None = None
    policy: PolicyView | None = None  # None: none stands, and the parameters alone decide


class Profit(msgspec.Struct, frozen=True, kw_only=True):
    """Where the money of this session came from, in USDC; `total` is the change in equity, and no sum."""

    total: float
    spread: float
    inventory: float
    basis: float
    fees: float  # paid: at most 0; a rebate makes it positive
    funding: float
    residual: float = 0.0  # total less the parts: 0, or a record is missing
    rebates: float = 0.0  # what of the fees was received
    realised: float = 0.0  # by closed trades, at average cost, before fees and funding
    unrealised: float = 0.0  # by the open position, at average cost and the mark


class Equity(msgspec.Struct, frozen=True, kw_only=True):
    """The account."""

    usdc: float
    start_usdc: float | None = None
    peak_usdc: float | None = None  # of the last hour
    drawdown_share: float | None = None
    drawdown_share_max: float | None = None


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """One measured time, in microseconds."""

    name: str
    count: int
    p50_us: float | None = None
    p90_us: float | None = None
    p99_us: float | None = None
    max_us: float | None = None


class BudgetView(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what the venue allows is used."""

    name: str
    used: float
    limit: float


class BreakerView(msgspec.Struct, frozen=True, kw_only=True):
    """One breaker: how near it is, and whether it tripped."""

    name: str
    is_tripped: bool
    is_latched: bool = False  # tripped, and only an operator clears it
    value: str = ""  # as people read it, with its unit
    limit: str = ""


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to the venue."""

    name: str
    state: str
    age_ms: float | None = None  # of the newest data, or since it went down
    reconnects: int = 0


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """A loss, and whether something cancels for us when it happens."""

    loss: str
    is_covered: bool
    by: str  # what covers it, or what would


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that an operator wants to have read."""

    at_ns: int
    text: str
    level: str = "info"  # debug, info, warning or error


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment."""

    version: str
    session: int
    stage: str  # one of STAGES
    network: str
    base_url: str
    account: str
    strategy: str
    now_ns: int
    started_ns: int
    is_paper: bool = False
    halt: str = ""  # why it is halted, in words; empty when it is not
    equity: Equity | None = None
    profit: Profit | None = None
    markets: list[MarketView] = []
    latencies: list[Latency] = []
    budgets: list[BudgetView] = []
    breakers: list[BreakerView] = []
    connections: list[ConnectionView] = []
    covers: list[Cover] = []
    counters: dict[str, int] = {}
    happenings: list[Happening] = []
