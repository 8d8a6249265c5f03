"""The result of a backtest as one object: what it made under every fee scenario, and the facts it rests on.

`plain` gives it as JSON-ready values, `results.json` of a run folder; the page and the table of the terminal show the
same object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from hlhft.report.assumptions import fill_model
from hlhft.report.attribution import PART_NAMES, Attribution, Parts, attribute
from hlhft.report.fill_rates import FillRates, fill_rates
from hlhft.report.grid import Grid
from hlhft.report.latencies import Latency
from hlhft.report.markouts import Markout, markouts
from hlhft.report.metrics import LaneLog, Metrics, measure
from hlhft.report.origins import STAMP
from hlhft.units import MICRO


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """One fee scenario: its lane, the split of its profit, and its figures."""

    name: str
    maker_rate_e9: int
    taker_rate_e9: int
    lane: LaneLog
    split: Attribution
    metrics: Metrics
    markouts: tuple[Markout, ...]
    mid_half_ticks: np.ndarray  # int64[F, H]: twice the venue's mid after each entry of the log, 0 unknown
    failures: tuple[str, ...] = ()  # what the strategy raised
    fill_rates: FillRates | None = None  # None where no order is known to have come to rest
    by_strategy: Mapping[str, Parts] = field(default_factory=dict)  # where it is known who placed what

    @property
    def profit_usdc(self) -> float:
        """The change in equity, after fees and funding, with the position at its mark."""
        return self.split.usdc(self.split.equity_change)

    @property
    def is_halted(self) -> bool:
        """Whether a breaker or a failing strategy stopped it for good."""
        return self.metrics.mode == "halted"

    @property
    def halt_words(self) -> str:
        """Which breaker halted it and why; what the strategy raised, where it did."""
        return f"{self.metrics.breaker}, {self.failures[0] if self.failures else self.metrics.reason}"

    @property
    def maker_bp(self) -> float:
        """The maker fee in basis points, negative for a rebate."""
        return self.maker_rate_e9 / 1e5

    @property
    def part_usdc(self) -> dict[str, float]:
        """The parts of the profit in USDC, by name."""
        return self._usdc(self.split.parts)

    def _usdc(self, parts: Parts) -> dict[str, float]:
        return {name: self.split.usdc(value) for name, value in zip(PART_NAMES, parts.values(), strict=True)}

    def plain(self) -> dict[str, Any]:
        """Everything as JSON-ready values; money in USDC."""
        split = self.split
        return {
            "name": self.name,
            "maker_bp": self.maker_bp,
            "taker_bp": self.taker_rate_e9 / 1e5,
            "profit": {
                "usdc": self.profit_usdc,
                "exact": split.usdc_text(split.equity_change),
                "parts": self.part_usdc,
                "residual": split.usdc_text(split.residual),
                "residual_largest": split.usdc_text(split.residual_largest),
                "by_side": {side: self._usdc(parts) for side, parts in split.by_side.items()},
                "by_hour": {str(hour): self._usdc(parts) for hour, parts in split.by_hour.items()},
                "by_market": {one.market: self._usdc(one.parts) for one in split.markets},
                "by_strategy": {name: self._usdc(parts) for name, parts in self.by_strategy.items()},
            },
            **asdict(self.metrics),
            "markouts": [asdict(one) for one in self.markouts],
            "fill_rates": None if self.fill_rates is None else self.fill_rates.plain(),
            "failures": list(self.failures),
        }


def scenario_result(
    *,
    name: str,
    rates_e9: tuple[int, int],
    lane: LaneLog,
    mid_half_ticks: np.ndarray,
    failures: Sequence[str] = (),
    strategy: str = "",
) -> ScenarioResult:
    """Measures one lane; `mid_half_ticks` int64[F, H] as `hlhft.report.markouts.markouts` wants it. `strategy` placed
    all of its orders."""
    split = attribute(lane.markets, lane.log, lane.records)
    value_usdc = lane.value_usdc(lane.log)
    return ScenarioResult(
        name=name,
        maker_rate_e9=rates_e9[0],
        taker_rate_e9=rates_e9[1],
        lane=lane,
        split=split,
        metrics=measure(lane, split),
        markouts=markouts(lane.log, mid_half_ticks, value_usdc),
        mid_half_ticks=mid_half_ticks,
        failures=tuple(failures),
        fill_rates=fill_rates(lane.markets, lane.placed, lane.log, mid_half_ticks, value_usdc),
        by_strategy={strategy: split.parts} if strategy else {},
    )


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What models said during a backtest, and for how much of its time something of it stood."""

    record: Mapping[str, Any]  # the track's
    signal_shares: tuple[float, ...]  # by market, 0..1
    policy_shares: tuple[float, ...]
    counters: Mapping[str, int]  # what the core ignored or brought within its bounds, in the user's scenario

    def plain(self, markets: Sequence[str]) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return {
            **self.record,
            "signal_stood": dict(zip(markets, self.signal_shares, strict=True)),
            "policy_stood": dict(zip(markets, self.policy_shares, strict=True)),
            **self.counters,
        }


class Comparison(Protocol):
    """Live fills beside simulated ones of the same time, as the page shows them."""

    @property
    def sentence(self) -> str:
        """What came of it."""

    def plain(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""

    def grids(self) -> tuple[Grid, ...]:
        """Its tables."""

    def figure(self) -> dict[str, Any] | None:
        """Its chart, {"data": traces, "layout": {"xaxis": …, "yaxis": …}} for plotly, None where there is none. A line
        whose colour is `hlhft.report.plots.INK` takes the page's."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """A finished backtest, the user's own scenario first; or a live session, which is its only scenario."""

    title: str
    scenarios: tuple[ScenarioResult, ...]
    identity: Mapping[str, Any]  # the run's record: equal identities mean equal results
    models: Mapping[str, str]  # latency, queue, profile as specified
    snapshots: bool  # some market's book was recorded as snapshots only
    interrupted: bool
    events: int
    levels_outside: int  # recorded levels too far from every trade to be kept
    is_live: bool = False
    without_trades: tuple[str, ...] = ()  # markets of which the recording has no trade
    counts: Mapping[str, int] = field(default_factory=dict)  # what the reader found and left out
    heard: Heard | None = None  # None without models
    past: Mapping[str, Any] | None = None  # of the venue's own history: what it rests on and what does not fit, as JSON
    in_sample: tuple[str, ...] = ()  # how its time meets what was fitted or chosen: a sentence a meeting
    latencies: tuple[Latency, ...] = ()  # that a live session took
    missing: tuple[str, ...] = ()  # what of a session its journal does not hold, a sentence each
    comparison: Comparison | None = None  # with a simulation of the same time

    @property
    def stamp(self) -> str:
        """What every table and plot of it bears: IN-SAMPLE, or nothing."""
        return STAMP if self.in_sample else ""

    @property
    def first_ns(self) -> int:
        """Start of the replay."""
        return self.scenarios[0].lane.first_ns

    @property
    def span_ns(self) -> int:
        """How much of the recording was replayed."""
        return self.scenarios[0].lane.span_ns

    @property
    def markets(self) -> list[str]:
        """Names of the markets."""
        return [market.name for market in self.scenarios[0].lane.markets]

    def plain(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        from hlhft.report.verdict import verdict

        spoken = verdict(self)
        return {
            "verdict": {"sentence": spoken.sentence, "remarks": list(spoken.remarks)},
            "title": self.title,
            "interrupted": self.interrupted,
            "missing": list(self.missing),
            "halted": any(one.is_halted for one in self.scenarios),
            "first_ns": self.first_ns,
            "span_ns": self.span_ns,
            "capital_usdc": self.scenarios[0].lane.capital_micro / MICRO,
            "events": self.events,
            "levels_outside": self.levels_outside,
            "reader": dict(self.counts),
            "fill_model": fill_model(self.without_trades),
            "without_trades": list(self.without_trades),
            "in_sample": list(self.in_sample),
            "signals": None if self.heard is None else self.heard.plain(self.markets),
            "latencies": [asdict(one) for one in self.latencies],
            "comparison": None if self.comparison is None else self.comparison.plain(),
            "past": None if self.past is None else dict(self.past),
            "scenarios": [{"stamp": self.stamp, **one.plain()} for one in self.scenarios],
        }
