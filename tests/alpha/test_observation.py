"""What a policy sees: each number against a hand-made state, and finite whatever the state holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.alpha import observation
from hlhft.alpha.observation import LIMIT, MEMORY_DTYPE, NAMES, observe
from hlhft.core.state import Feature, Lane, MarketData, new_lane, new_market_data
from hlhft.units import Market

MARKET = Market.perpetual("TEST", asset_id=0, size_decimals=3)  # a tick and a lot of 0.001
HOUR_NS = 3_600_000_000_000
NOW_NS = 1000 * HOUR_NS + HOUR_NS // 4
MID = 100_000.0  # 100 USDC
ORDER, CAP = 500.0, 5000.0  # 5000 and 50000 lots


def state() -> tuple[MarketData, Lane]:
    _, data = new_market_data(MARKET.record(), 0, 1)
    _, lane = new_lane(1)
    features, book = data.features[0], data.books[0]
    features["ready"] = Feature.ALL
    features["mid_price"], features["micro_price"], features["spread_ticks"] = MID, MID + 2.0, 10.0
    features["volatility"] = (40.0, 20.0, 10.0)
    features["imbalance"][0] = 0.25
    book["best_bid_ticks"], book["best_ask_ticks"] = 99_995, 100_005
    return data, lane


def seen(data: MarketData, lane: Lane, memory: np.ndarray | None = None, now_ns: int = NOW_NS) -> dict[str, float]:
    out = np.full(observation.SIZE, np.nan, np.float32)
    observe(data, lane, 0, (np.zeros(1, MEMORY_DTYPE) if memory is None else memory)[0], ORDER, CAP, now_ns, out)
    assert np.isfinite(out).all() and np.abs(out).max() <= LIMIT
    return dict(zip(NAMES, map(float, out), strict=True))


def test_a_market_is_seen_in_basis_points() -> None:
    found = seen(*state())
    assert found["volatility_1s"] == pytest.approx(math.log(4.0))
    assert found["volatility_10s"] == pytest.approx(math.log(2.0))
    assert found["volatility_level"] == pytest.approx(math.log(2.0))  # 20 ticks are 2 bp
    assert found["spread"] == pytest.approx(1.0) and found["micro_price"] == pytest.approx(0.2)
    assert found["imbalance"] == 0.25 and found["funding_due"] == 0.75


def test_a_position_and_what_works_are_seen_in_caps() -> None:
    data, lane = state()
    position = lane.positions[0]
    position["position_lots"], position["open_buy_lots"], position["open_sell_lots"] = -25_000, 5000, 50_000
    found = seen(data, lane)
    assert (found["inventory"], found["working_bids"], found["working_asks"]) == pytest.approx((-0.5, 0.1, 1.0))


def test_a_signal_is_seen_until_it_expires() -> None:
    data, lane = state()
    position = lane.positions[0]
    position["signal_e9"], position["signal_deviation_e9"] = 30_000, 200_000  # 0.3 and 2 bp
    position["signal_until_ns"] = NOW_NS + 1
    found = seen(data, lane)
    assert (found["signal"], found["signal_deviation"]) == pytest.approx((0.3, 2.0))
    position["signal_until_ns"] = NOW_NS
    assert seen(data, lane)["signal"] == 0.0 == seen(data, lane)["signal_deviation"]


def test_funding_is_seen_with_its_sign() -> None:
    data, lane = state()
    data.books[0]["funding_rate_e12"] = -50_000_000  # half a basis point an hour to longs
    assert seen(data, lane)["funding"] == pytest.approx(-0.5)


def test_fills_are_counted_by_side_and_valued_at_the_next_decision() -> None:
    """Two orders bought a basis point below the mid, one sold two above: 4 bp over three orders."""
    data, lane = state()
    memory = np.zeros(1, MEMORY_DTYPE)
    seen(data, lane, memory)
    position = lane.positions[0]
    position["position_lots"], position["traded_lots"] = 5000, 15_000
    position["cash_quanta"] = -10_000 * 99_990 + 5000 * 100_020
    found = seen(data, lane, memory, NOW_NS + 1)
    assert (found["bought"], found["sold"]) == pytest.approx((2.0, 1.0))
    assert found["markout"] == pytest.approx(4.0 / 3.0)
    later = seen(data, lane, memory, NOW_NS + 1 + round(observation.FILL_HALF_LIFE_S * 1e9))
    assert (later["bought"], later["sold"]) == pytest.approx((1.0, 0.5))
    assert later["markout"] == pytest.approx(4.0 / 3.0)


def test_a_drawdown_is_seen_and_forgotten() -> None:
    data, lane = state()
    memory = np.zeros(1, MEMORY_DTYPE)
    position = lane.positions[0]
    position["funding_micro"] = 3_000_000
    assert seen(data, lane, memory)["drawdown"] == 0.0
    position["funding_micro"] = 2_000_000  # a dollar of a cap of 5000
    assert seen(data, lane, memory, NOW_NS + 1)["drawdown"] == pytest.approx(2.0, rel=1e-6)
    later_ns = NOW_NS + 1 + round(observation.PEAK_HALF_LIFE_S * 1e9)
    assert seen(data, lane, memory, later_ns)["drawdown"] == pytest.approx(1.0, rel=1e-6)


def test_what_is_not_known_yet_is_nothing() -> None:
    data, lane = state()
    data.features[0]["ready"] = 0
    found = seen(data, lane)
    assert all(found[name] == 0.0 for name in (*NAMES[1:4], "imbalance", "micro_price"))
    data.features[:] = 0
    assert seen(data, lane)["spread"] == 0.0


WILD = st.floats(allow_nan=True, allow_infinity=True)
WHOLE = st.integers(-(2**40), 2**40)


@settings(max_examples=40)
@given(st.lists(WILD, min_size=7, max_size=7), st.lists(WHOLE, min_size=9, max_size=9), st.booleans())
def test_no_state_makes_it_undefined(numbers: list[float], wholes: list[int], is_started: bool) -> None:
    data, lane = state()
    features, position = data.features[0], lane.positions[0]
    features["mid_price"], features["micro_price"], features["spread_ticks"] = numbers[:3]
    features["volatility"] = numbers[3:6]
    features["imbalance"][0] = numbers[6]
    for name, value in zip(
        ("position_lots", "cash_quanta", "traded_lots", "signal_e9", "signal_deviation_e9", "open_buy_lots"),
        wholes[:6],
        strict=True,
    ):
        position[name] = value
    position["signal_until_ns"] = NOW_NS + 1
    data.books[0]["funding_rate_e12"] = wholes[6]
    memory = np.zeros(1, MEMORY_DTYPE)
    memory["started"], memory["time_ns"] = int(is_started), NOW_NS - abs(wholes[7])
    memory["peak_micro"] = wholes[8]
    seen(data, lane, memory)
    seen(data, lane, memory, NOW_NS + 1)
