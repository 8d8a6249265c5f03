"""Synthetic histories of a lane: fills, funding payments and sampled records that agree, booked by hand in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hlhft.backtest.loop import RECORD_DTYPE
from hlhft.core.state import LANE_DTYPE, POSITION_DTYPE
from hlhft.report.attribution import FUNDING_KIND
from hlhft.report.markouts import HORIZONS_NS
from hlhft.report.metrics import LaneLog
from hlhft.report.results import Results, ScenarioResult, scenario_result
from hlhft.units import Market, MarketKind
from hlhft.venue.recorded import REPLY_DTYPE

SECOND = 1_000_000_000
FILL_KIND = 18
PERPETUAL = Market.perpetual("BTC", asset_id=0, size_decimals=5)
SPOT = Market.spot("PURR", asset_id=10_000, size_decimals=0)
FINE = Market(name="FINE", asset_id=1, price_decimals=7, size_decimals=6, kind=MarketKind.SPOT)


@dataclass
class Book:
    """What is known and held of one market."""

    bid: int = 0
    ask: int = 0
    mark: int = 0
    lots: int = 0
    cash: int = 0
    fee: int = 0
    funding: int = 0
    fills: int = 0
    traded: int = 0
    quanta: int = 0


@dataclass
class History:
    """Adds events in order of time; `log` and `records` are what a replay would have logged."""

    markets: Sequence[Market]
    start_ns: int = 1_700_000_000 * SECOND
    rows: list[dict[str, int | float]] = field(default_factory=list)
    samples: list[dict[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now_ns = self.start_ns
        self.books = [Book() for _ in self.markets]

    def wait(self, ns: int) -> None:
        self.now_ns += ns

    def quote(self, market: int, bid: int, ask: int, mark: int | None = None) -> None:
        """What we see of the market from now on."""
        book = self.books[market]
        book.bid, book.ask = bid, ask
        if mark is not None:
            book.mark = mark

    def fill(
        self, side: int, ticks: int, lots: int, *, market: int = 0, fee: int = 0, mid: int = 0, **more: float
    ) -> None:
        """A fill; `mid` is twice the venue's mid, 0 unknown; `more` are further fields of the log."""
        book = self.books[market]
        book.lots += side * lots
        book.cash -= side * lots * ticks
        book.fee += fee
        book.fills += 1
        book.traded += lots
        book.quanta += lots * ticks
        self._log(
            kind=FILL_KIND, market=market, side=side, price_ticks=ticks, size_lots=lots, aux1=fee, mid_half_ticks=mid,
            **{"maker": 1, "reason": 1, "order_id": len(self.rows) + 1, **more},
        )  # fmt: skip

    def fund(self, amount: int, *, market: int = 0) -> None:
        """A funding payment in micro-USDC, received when above 0."""
        self.books[market].funding += amount
        self._log(kind=FUNDING_KIND, market=market, aux0=amount, price_ticks=1, size_lots=1)

    def _log(self, **values: float) -> None:
        self.rows.append({"ts_exch_ns": self.now_ns, "ts_local_ns": self.now_ns, "placed_ns": self.now_ns, **values})

    def record(self) -> None:
        """Samples all markets."""
        for market, book in enumerate(self.books):
            self.samples.append(
                {
                    "ts_ns": self.now_ns, "market": market, "best_bid_ticks": book.bid, "best_ask_ticks": book.ask,
                    "mark_ticks": book.mark, "position_lots": book.lots, "cash_quanta": book.cash,
                    "maker_quanta": book.quanta, "fee_micro": book.fee, "funding_micro": book.funding,
                    "fills": book.fills, "traded_lots": book.traded,
                }
            )  # fmt: skip

    @property
    def log(self) -> np.ndarray:
        return _array(self.rows, REPLY_DTYPE)

    @property
    def records(self) -> np.ndarray:
        return _array(self.samples, RECORD_DTYPE)

    def lane(self, *, capital_micro: int = 10_000_000_000, **state: int) -> LaneLog:
        """The history as a finished lane; `state` are further fields of the lane's record."""
        lane, positions = np.zeros(1, LANE_DTYPE), np.zeros(len(self.markets), POSITION_DTYPE)
        for name, value in state.items():
            lane[name] = value
        positions["position_lots"] = [book.lots for book in self.books]
        return LaneLog(
            markets=self.markets,
            log=self.log,
            records=self.records,
            lane=lane,
            positions=positions,
            first_ns=self.start_ns,
            last_ns=self.now_ns,
            capital_micro=capital_micro,
        )


def _array(rows: Sequence[dict], dtype: np.dtype) -> np.ndarray:
    array = np.zeros(len(rows), dtype)
    for index, row in enumerate(rows):
        for name, value in row.items():
            array[index][name] = value
    return array


def scenario(
    made: History, name: str = "new account, maker +1.5 bp", maker_rate_e9: int = 150_000, **more: Any
) -> ScenarioResult:
    """The history as a measured scenario; mids after its fills are those at its fills. `more` goes to the lane."""
    failures = more.pop("failures", ())
    lane = made.lane(**more)
    mids = np.repeat(lane.log["mid_half_ticks"][:, np.newaxis], len(HORIZONS_NS), axis=1)
    return scenario_result(
        name=name, rates_e9=(maker_rate_e9, 450_000), lane=lane, mid_half_ticks=mids, failures=failures
    )


def results(*scenarios: ScenarioResult, **more: Any) -> Results:
    """Scenarios as a result."""
    facts: dict[str, Any] = {
        "title": "a recording",
        "identity": {"version": "1.2.3", "seed": 1, "settings": {"strategy": "glft", "params": {"gamma": 0.05}}},
        "models": {"latency": "constant:10", "queue": "power:2", "profile": "recorded"},
        "snapshots": False,
        "interrupted": False,
        "events": 10,
        "levels_outside": 0,
        **more,
    }
    return Results(scenarios=scenarios, **facts)


def traded(profit_usdc: int, *, mid: bool = True, market: Market = PERPETUAL) -> History:
    """Ten minutes in which one lot bought and sold made so much, without fees: half of it spread."""
    made = History([market])
    unit = 10 ** (market.price_decimals + market.size_decimals)
    lots = unit // 10**6 * 100
    gain = profit_usdc * unit // lots
    price = 2 * abs(gain) + 1_000_000
    made.quote(0, price - 1, price + 1)
    made.record()
    made.wait(300 * SECOND)
    made.fill(1, price, lots, mid=2 * price + gain if mid else 0)
    made.record()
    made.wait(300 * SECOND)
    made.fill(-1, price + gain, lots, mid=2 * price + gain if mid else 0)
    made.record()
    return made
