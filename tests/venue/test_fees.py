"""Fees by tier, truncated toward zero at six decimals, against Python's whole numbers and recorded fills."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.units import LOTS_MAX, RATE_SCALE, TICKS_MAX, Market
from hlhft.venue.fees import fee_micro, notional_micro

MICRO = 1_000_000
INT_MAX = 2**63 - 1
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5).record()[0]
SPOT = Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0).record()[0]

# Venue reference section 10: percent of notional for taker and maker, here as 1e-9.
TIERS = [
    (450_000, 150_000),
    (400_000, 120_000),
    (350_000, 80_000),
    (300_000, 40_000),
    (280_000, 0),
    (260_000, 0),
    (240_000, 0),
]
REBATES = [-10_000, -20_000, -30_000]


def truncated(value: Fraction) -> int:
    return int(value)  # Python truncates toward zero


@pytest.mark.parametrize(
    ("notional", "rate", "expected"),
    [
        # 4215.9 x 0.3565 = 1502.96835 USDC at 4.5 bp = 0.6763357575, cut to six decimals (a recorded fill).
        (1_502_968_350, 450_000, 676_335),
        # 255 x 0.15021 = 38.30355 USDC at a rebate of 0.1 bp = -0.0003830355, cut toward zero (a recorded fill).
        (38_303_550, -10_000, -383),
        (10_000 * MICRO, 150_000, 1_500_000),  # 10,000 USDC at 1.5 bp: 1.50
        (10_000 * MICRO, 450_000, 4_500_000),  # and at 4.5 bp: 4.50
        (10_000 * MICRO, 120_000, 1_200_000),
        (10_000 * MICRO, -30_000, -300_000),  # a rebate of 0.3 bp
        (10_000 * MICRO, 0, 0),
        (2_222, 450_000, 0),  # 0.9999 micro
        (2_223, 450_000, 1),  # 1.00035 micro
        (2_223, -450_000, -1),
        (6_666, -150_000, 0),  # -0.9999 micro: a rebate is cut toward zero too
        (-6_667, 150_000, -1),
        (-6_667, -150_000, 1),
        (0, 450_000, 0),
    ],
)
def test_by_hand(notional, rate, expected):
    assert fee_micro(notional, rate) == expected


@pytest.mark.parametrize("discount_percent", [0, 5, 10, 15, 20, 30, 40])
@pytest.mark.parametrize(("taker", "maker"), TIERS)
def test_every_tier_with_every_staking_discount(taker, maker, discount_percent):
    notional = 123_456_789_012
    for rate in (taker, maker):
        discounted = rate * (100 - discount_percent) // 100
        assert discounted * 100 == rate * (100 - discount_percent), "the rate is a whole 1e-9"
        assert fee_micro(notional, discounted) == truncated(Fraction(notional * discounted, RATE_SCALE))


@settings(max_examples=200)
@given(st.integers(-(INT_MAX - 23_372_036_854_775_807), INT_MAX - 23_372_036_854_775_807), st.integers(-(10**9), 10**9))
@example(9_200_000_000_000_000_000, 10**9)
@example(-9_200_000_000_000_000_000, 10**9)
@example(9_200_000_000_000_000_000, -(10**9))
@example(9_199_999_999_999_999_999, 999_999_999)
def test_exact_up_to_the_stated_extremes(notional, rate):
    assert fee_micro(notional, rate) == truncated(Fraction(notional * rate, RATE_SCALE))


@settings(max_examples=100)
@given(st.integers(0, 2**62), st.integers(0, 10**6))
def test_a_fee_never_exceeds_its_rate_and_a_rebate_is_its_mirror(notional, rate):
    fee = fee_micro(notional, rate)
    assert 0 <= fee * RATE_SCALE <= notional * rate < (fee + 1) * RATE_SCALE
    assert fee_micro(notional, -rate) == -fee


@settings(max_examples=100)
@given(st.integers(1, TICKS_MAX), st.integers(-(2**31), 2**31))
def test_a_perpetuals_notional_is_the_product(ticks, lots):
    assert notional_micro(BTC, ticks, lots) == ticks * lots


@settings(max_examples=100)
@given(st.integers(1, TICKS_MAX), st.integers(-(2**31), 2**31))
@example(1, -99)
@example(99, 1)
@example(TICKS_MAX, 2**31)
def test_a_spot_notional_is_cut_toward_zero(ticks, lots):
    # Eight decimals are shared, so a micro-USDC is a hundred ticks x lots.
    assert notional_micro(SPOT, ticks, lots) == truncated(Fraction(ticks * lots, 100))


def test_the_notional_of_the_largest_order_that_validation_lets_through():
    # Validation keeps ticks x lots below 2^62: 2^46 - 1 lots fit up to a price of 2^16.
    assert notional_micro(BTC, 2**16, LOTS_MAX) == 2**16 * (2**46 - 1)


def discounted_rates() -> list[int]:
    """Every rate that tiers, staking and referral discounts give, in 1e-9."""
    rates = set(REBATES)
    for rate in {rate for tier in TIERS for rate in tier}:
        for staking in (0, 5, 10, 15, 20, 30, 40):
            for referral in (0, 4):
                rates.add(rate * (100 - staking) * (100 - referral) // 10_000)
    return sorted(rates)


@pytest.fixture(scope="module")
def recorded_fills(recordings: Path) -> list[dict]:
    """The fills of the main dex above $200: below that, a rate is lost in its truncation."""
    (path,) = (recordings / "hyperliquid/node_fills_by_block_20251027").glob("*.jsonl.gz")
    with gzip.open(path, "rt") as lines:
        fills = [fill for line in lines for _, fill in json.loads(line)["events"]]
    main = [f for f in fills if f["feeToken"] == "USDC" and not set(":@/") & set(f["coin"])]
    return [f for f in main if Decimal(f["px"]) * Decimal(f["sz"]) >= 200]


def test_recorded_fees_are_truncated_toward_zero(recorded_fills):
    """Each fee as charged is the nearest rate of the schedule times notional, cut at six decimals: rounding to the
    nearest, or down, explains clearly fewer."""
    rates = discounted_rates()
    exact, rounded, floored, signs = 0, 0, 0, set()
    for fill in recorded_fills:
        value = Decimal(fill["px"]) * Decimal(fill["sz"]) * MICRO
        charged = int((Decimal(fill["fee"]) - Decimal(fill.get("builderFee", "0"))) * MICRO)
        notional = int(value)
        assert notional == value, "a perpetual's notional is whole micro-USDC"
        rate = min(rates, key=lambda rate: abs(notional * rate - charged * RATE_SCALE))
        exact += fee_micro(notional, rate) == charged
        rounded += (2 * notional * rate + RATE_SCALE) // (2 * RATE_SCALE) == charged
        floored += notional * rate // RATE_SCALE == charged
        signs.add((charged > 0) - (charged < 0))
    assert len(recorded_fills) > 3000
    assert signs == {-1, 0, 1}
    assert exact >= 0.99 * len(recorded_fills)
    assert rounded < 0.8 * len(recorded_fills)
    assert floored < 0.9 * len(recorded_fills)
