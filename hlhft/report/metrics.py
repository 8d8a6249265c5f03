"""What one lane of a replay did, in figures: trading, quoting, inventory, queue, drawdown, Sharpe ratio, budgets.

Everything is defined on empty input: a figure without its data is None, never NaN. Profit and its parts are
`hlhft.report.attribution`, markouts `hlhft.report.markouts`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hlhft.core.quotes import MEANING, QuoteFault
from hlhft.core.risk import BREAKERS, Breaker, RiskRefusal
from hlhft.core.state import Mode
from hlhft.report.attribution import Attribution
from hlhft.report.fill_rates import PLACED_DTYPE
from hlhft.report.markouts import FILL_KIND, REASONS
from hlhft.units import MICRO, Market

HOUR_NS = 3_600_000_000_000
YEAR_S = 365 * 86_400
# Returns are taken over this long, the shorter one for recordings of less than an hour.
SHARPE_INTERVALS_NS = (10_000_000_000, 60_000_000_000)
SHARPE_RETURNS_MIN = 10
# Below this no Sharpe ratio says anything about a strategy: at a true ratio of 2 a year, the standard error of a
# ratio estimated over T years is about 1 / sqrt(T), so three standard errors take 2.25 years. A hundred days is the
# least at which a ratio of 6 shows.
CLAIM_NS_MIN = 100 * 24 * HOUR_NS


@dataclass(frozen=True, kw_only=True)
class LaneLog:
    """What a replay logged of one lane: the input of every figure."""

    markets: Sequence[Market]
    log: np.ndarray  # REPLY_DTYPE: fills and funding payments in order of our learning of them
    records: np.ndarray  # RECORD_DTYPE in order of time, all markets at each time
    lane: np.ndarray  # LANE_DTYPE[1]
    positions: np.ndarray  # POSITION_DTYPE[M]
    first_ns: int
    last_ns: int
    capital_micro: int
    # PLACED_DTYPE in order of time: the orders that came to rest; empty where nobody kept them.
    placed: np.ndarray = field(default_factory=lambda: np.zeros(0, PLACED_DTYPE))

    @property
    def span_ns(self) -> int:
        """How long it ran."""
        return max(self.last_ns - self.first_ns, 0)

    def fills(self) -> np.ndarray:
        """The fills alone, REPLY_DTYPE."""
        return np.asarray(self.log[self.log["kind"] == FILL_KIND])

    def value_usdc(self, log: np.ndarray) -> np.ndarray:
        """price x size of log entries in USDC, float64."""
        return np.asarray(log["price_ticks"] * log["size_lots"].astype(np.float64) * self._unit_usdc()[log["market"]])

    def _unit_usdc(self) -> np.ndarray:
        """USDC of one tick x lot, by market."""
        return np.array([market.record()["tick_size"][0] * market.record()["lot_size"][0] for market in self.markets])


@dataclass(frozen=True, kw_only=True)
class Trading:
    """Orders and fills."""

    fills: int
    buys: int
    sells: int
    maker_share: float | None  # of the volume
    volume_usdc: float
    turnover: float  # volume over capital
    orders_placed: int | None
    orders_cancelled: int | None
    orders_filled: int  # at least in part
    fill_rate: float | None  # orders filled over orders placed
    orders_per_fill: float | None
    fee_bp: float | None  # fees less rebates, of the volume
    profit_bp: float | None  # of the volume
    fills_by_reason: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Quoting:
    """How steadily it quoted, and what kept it from it."""

    uptime: float | None  # share of the time with orders on both sides, mean of the markets
    uptime_by_market: Mapping[str, float | None]
    decisions: int | None
    refused: Mapping[str, int] | None  # quotes that the risk gate refused, by reason


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """One market's position; averages over time as the records sampled it, `largest` from every fill."""

    market: str
    final_lots: int
    final_usdc: float | None
    largest_usdc: float | None  # absolute
    mean_usdc: float | None
    mean_absolute_usdc: float | None
    flat_share: float | None  # of the time


@dataclass(frozen=True, kw_only=True)
class Queue:
    """How far back our orders stood. Lots ahead as the queue model estimates them, valued at the order's price."""

    entry_usdc_median: float | None  # ahead when the filled order joined
    entry_front_share: float | None  # of the fills whose order joined an empty level
    ahead_usdc_median: float | None  # still ahead when the fill came: 0 where a trade reached us
    wait_ns_median: int | None  # from joining to the fill


@dataclass(frozen=True, kw_only=True)
class Drawdown:
    """The deepest fall of equity from its peak, as the records sampled it."""

    usdc: float
    share: float  # of the peak equity
    peak_ns: int
    trough_ns: int


@dataclass(frozen=True, kw_only=True)
class Sharpe:
    """Mean over deviation of returns on the starting capital, with the standard error of Lo (2002) for independent
    returns, sqrt((1 + S^2 / 2) / T). Fills cluster, so the true error is larger."""

    interval_s: float
    returns: int
    value: float  # per interval
    error: float
    annual: float
    annual_error: float
    carries_a_claim: bool  # the recording is long enough to say anything


@dataclass(frozen=True, kw_only=True)
class AddressBudget:
    """The venue's allowance of actions an address: 10,000 and one for each USDC traded (venue reference section 7)."""

    used: int | None
    allowance: int | None
    share: float | None
    refused: int | None  # quotes refused because a budget was used up


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Every figure of one lane but profit and markouts."""

    trading: Trading
    quoting: Quoting
    inventory: tuple[Inventory, ...]
    queue: Queue
    drawdown: Drawdown | None
    sharpe: Sharpe | None
    address: AddressBudget
    mode: str | None  # active, reducing, halted
    breaker: str | None  # the one that halted it, else the first that tripped
    reason: str | None  # why, in words
    liquidations: int


def of_fills_alone(metrics: Metrics) -> Metrics:
    """The same of an account of which nothing but its fills is known: what only who quotes can tell is None."""
    trading, quoting = metrics.trading, metrics.quoting
    return replace(
        metrics,
        trading=replace(trading, orders_placed=None, orders_cancelled=None, fill_rate=None, orders_per_fill=None),
        quoting=Quoting(
            uptime=None, uptime_by_market=dict.fromkeys(quoting.uptime_by_market), decisions=None, refused=None
        ),
        address=AddressBudget(used=None, allowance=None, share=None, refused=None),
        mode=None,
    )


def measure(lane: LaneLog, split: Attribution) -> Metrics:
    """All figures of a lane, whose attribution gives equity and fees."""
    ts_ns, equity = equity_path(lane, split)
    state = lane.lane[0]
    breaker = _breaker(state)
    return Metrics(
        trading=_trading(lane, split),
        quoting=_quoting(lane),
        inventory=tuple(_inventory(lane, index) for index in range(len(lane.markets))),
        queue=_queue(lane),
        drawdown=drawdown(ts_ns, equity, lane.capital_micro / MICRO),
        sharpe=sharpe(ts_ns, equity, lane.capital_micro / MICRO, lane.span_ns),
        address=_address(lane),
        mode=Mode(int(state["mode"])).name.lower(),
        breaker=_words(breaker.name) if breaker else None,
        reason=_reason(breaker, QuoteFault(int(state["quote_fault"]))) if breaker else None,
        liquidations=int((lane.log["reason"] == 5).sum()),
    )


def _breaker(state: np.void) -> Breaker:
    """The breaker that latched, else the first that tripped."""
    latched = [breaker for breaker in Breaker if int(state["latches"]) >> breaker & 1]
    return latched[0] if latched else Breaker(int(state["halt_code"]))


def _reason(breaker: Breaker, fault: QuoteFault) -> str:
    return MEANING[fault] if breaker == Breaker.STRATEGY and fault else BREAKERS[breaker].meaning


def equity_path(lane: LaneLog, split: Attribution) -> tuple[np.ndarray, np.ndarray]:
    """Times int64[R] and profit since the start float64[R] in USDC over all markets, at each record."""
    if not len(lane.records):
        return np.zeros(0, np.int64), np.zeros(0)
    total = sum(market.path.equity.astype(np.float64) for market in split.markets)
    return split.markets[0].path.ts_ns, np.asarray(total) / (split.grains_per_micro * MICRO)


def drawdown(ts_ns: np.ndarray, profit_usdc: np.ndarray, capital_usdc: float) -> Drawdown | None:
    """The deepest drawdown; None without records. Starts from the capital, so a first loss counts."""
    if len(ts_ns) == 0:
        return None
    equity = np.concatenate([[0.0], profit_usdc]) + capital_usdc
    times = np.concatenate([ts_ns[:1], ts_ns])
    peaks = np.maximum.accumulate(equity)
    trough = int(np.argmax(peaks - equity))
    peak = int(np.argmax(equity[: trough + 1]))
    usdc = float(peaks[trough] - equity[trough])
    return Drawdown(
        usdc=usdc,
        share=usdc / float(peaks[trough]) if peaks[trough] > 0.0 else 0.0,
        peak_ns=int(times[peak]),
        trough_ns=int(times[trough]),
    )


def sharpe(ts_ns: np.ndarray, profit_usdc: np.ndarray, capital_usdc: float, span_ns: int) -> Sharpe | None:
    """The Sharpe ratio of the profit path; None with fewer than SHARPE_RETURNS_MIN returns or without any change."""
    interval_ns = SHARPE_INTERVALS_NS[0] if span_ns < HOUR_NS else SHARPE_INTERVALS_NS[1]
    if len(ts_ns) == 0 or capital_usdc <= 0.0:
        return None
    grid = np.arange(ts_ns[0], ts_ns[-1] + 1, interval_ns)
    sampled = profit_usdc[np.searchsorted(ts_ns, grid, side="right") - 1]
    returns = np.diff(sampled) / capital_usdc
    if len(returns) < SHARPE_RETURNS_MIN or not np.any(returns != returns[0]):
        return None
    value = float(returns.mean() / returns.std(ddof=1))
    error = math.sqrt((1.0 + 0.5 * value * value) / len(returns))
    year = math.sqrt(YEAR_S * 1e9 / interval_ns)
    return Sharpe(
        interval_s=interval_ns / 1e9,
        returns=len(returns),
        value=value,
        error=error,
        annual=value * year,
        annual_error=error * year,
        carries_a_claim=span_ns >= CLAIM_NS_MIN,
    )


def _trading(lane: LaneLog, split: Attribution) -> Trading:
    fills = lane.fills()
    value = lane.value_usdc(fills)
    volume = float(value.sum())
    orders = _orders(fills)
    placed = int(lane.lane[0]["placed"])
    reasons = {name: int((fills["reason"] == reason).sum()) for reason, name in REASONS.items()}
    return Trading(
        fills=len(fills),
        buys=int((fills["side"] > 0).sum()),
        sells=int((fills["side"] < 0).sum()),
        maker_share=float(value[fills["maker"] == 1].sum()) / volume if volume > 0.0 else None,
        volume_usdc=volume,
        turnover=volume * MICRO / lane.capital_micro if lane.capital_micro > 0 else 0.0,
        orders_placed=placed,
        orders_cancelled=int(lane.lane[0]["cancelled"]),
        orders_filled=orders,
        fill_rate=orders / placed if placed else None,
        orders_per_fill=placed / len(fills) if len(fills) else None,
        fee_bp=-split.usdc(split.parts.fees + split.parts.rebates) / volume * 1e4 if volume > 0.0 else None,
        profit_bp=split.usdc(split.equity_change) / volume * 1e4 if volume > 0.0 else None,
        fills_by_reason={name: number for name, number in reasons.items() if number},
    )


def _orders(fills: np.ndarray) -> int:
    """Distinct orders among the fills. Ids are a lane's own in each market; 0 is a liquidation's."""
    return len(np.unique(np.stack([fills["market"], fills["order_id"]], axis=1)[fills["order_id"] > 0], axis=0))


def _quoting(lane: LaneLog) -> Quoting:
    quoted_ns = lane.positions["quoted_ns"].astype(np.int64)
    since_ns = lane.positions["quoted_since_ns"]
    quoted_ns = quoted_ns + np.where(since_ns > 0, np.maximum(lane.last_ns - since_ns, 0), 0)
    span = lane.span_ns
    shares = [min(int(ns) / span, 1.0) if span else None for ns in quoted_ns]
    refusals = lane.lane[0]["refusals"]
    return Quoting(
        uptime=sum(share or 0.0 for share in shares) / len(shares) if span and shares else None,
        uptime_by_market={market.name: share for market, share in zip(lane.markets, shares, strict=True)},
        decisions=int(lane.lane[0]["decisions"]),
        refused={_words(code.name): int(refusals[code]) for code in RiskRefusal if code and refusals[code]},
    )


def _inventory(lane: LaneLog, index: int) -> Inventory:
    market = lane.markets[index]
    spec = market.record()[0]
    unit = float(spec["tick_size"] * spec["lot_size"])
    records = lane.records[lane.records["market"] == index]
    fills = lane.fills()
    fills = fills[fills["market"] == index]
    final = int(lane.positions[index]["position_lots"])
    known = (records["best_bid_ticks"] > 0) & (records["best_ask_ticks"] > 0)
    mid = np.where(known, records["best_bid_ticks"] + records["best_ask_ticks"], 2 * records["mark_ticks"]) / 2.0
    held = records["position_lots"] * mid * unit
    # A sample holds until the next one; the last one until the end.
    weights = np.diff(records["ts_ns"], append=max(lane.last_ns, int(records["ts_ns"].max(initial=0)))).astype(
        np.float64
    )
    total = float(weights.sum())
    path = np.cumsum(fills["side"] * fills["size_lots"])
    largest = float((np.abs(path) * fills["price_ticks"]).max()) * unit if len(path) else 0.0
    return Inventory(
        market=market.name,
        final_lots=final,
        final_usdc=final * float(mid[-1]) * unit if len(mid) else None,
        largest_usdc=largest,
        mean_usdc=float((weights * held).sum()) / total if total else None,
        mean_absolute_usdc=float((weights * np.abs(held)).sum()) / total if total else None,
        flat_share=float(weights[records["position_lots"] == 0].sum()) / total if total else None,
    )


def _queue(lane: LaneLog) -> Queue:
    fills = lane.fills()
    # A real venue does not say where an order stood, and its fills have no reason.
    fills = fills[(fills["maker"] == 1) & (fills["reason"] != 4) & (fills["reason"] != 0)]
    if not len(fills):
        return Queue(entry_usdc_median=None, entry_front_share=None, ahead_usdc_median=None, wait_ns_median=None)
    lot_usdc = lane.value_usdc(fills) / fills["size_lots"]
    ahead = np.maximum(fills["front"], 0.0)
    return Queue(
        entry_usdc_median=float(np.median(fills["front_at_entry"] * lot_usdc)),
        entry_front_share=float((fills["front_at_entry"] <= 0.0).mean()),
        ahead_usdc_median=float(np.median(ahead * lot_usdc)),
        wait_ns_median=int(np.median(fills["ts_exch_ns"] - fills["placed_ns"])),
    )


def _address(lane: LaneLog) -> AddressBudget:
    state = lane.lane[0]
    used, allowance = int(state["address_actions"]), int(state["address_allowance"])
    return AddressBudget(
        used=used,
        allowance=allowance,
        share=used / allowance if allowance else None,
        refused=int(state["refusals"][RiskRefusal.BUDGET]),
    )


def _words(name: str) -> str:
    return name.replace("_", " ").lower()
