"""The recordings of the comparison and the parameters of both strategies."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Instrument:
    """One recording and the least ratios to reach on it: the rival's time over ours."""

    name: str
    file: str
    tick: float
    lot: float
    loop_ratio_min: float
    with_columns_ratio_min: float


INSTRUMENTS = (
    Instrument("USD-M BTC", "usdm_btcusdt_20240808.gz", 0.1, 0.001, 2.0, 1.5),
    Instrument("USD-M ETH", "usdm_ethusdt_20240808.gz", 0.01, 0.001, 2.0, 1.5),
    Instrument("spot BTC", "spot_btcusdt_20240808.gz", 0.01, 0.00001, 1.5, 1.2),
)


@dataclass(frozen=True)
class Quoting:
    """One of the two strategies: when it decides and what it quotes."""

    name: str
    interval_ns: int
    parameters: MappingProxyType[str, int]


STRATEGIES = (
    Quoting(
        "two quotes each 10 ms",
        10_000_000,
        MappingProxyType({"order_lots": 1, "cap_lots": 10, "half": 5, "skew": 1, "grid": 1, "levels": 1}),
    ),
    Quoting(
        "20+20 grid each 100 ms",
        100_000_000,
        MappingProxyType({"order_lots": 1, "cap_lots": 20, "half": 5, "skew": 1, "grid": 5, "levels": 20}),
    ),
)
LATENCY_MS = 10
MAKER_RATE_E9, TAKER_RATE_E9 = 20_000, 70_000
