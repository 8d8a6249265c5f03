"""What a fill does to an account's holding, and recorded round trips."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlhft.units import LOTS_MAX, TICKS_MAX, Market
from hlhft.venue.holding import HOLDING_DTYPE, apply_fill

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5).record()[0]
MAKER, TAKER = 1, 0


def new_holding(maker_rate: int = 150_000, taker_rate: int = 450_000):
    holding = np.zeros(1, HOLDING_DTYPE)
    holding["maker_rate_e9"], holding["taker_rate_e9"] = maker_rate, taker_rate
    return holding[0]


def totals(holding) -> dict[str, int]:
    return {name: int(holding[name]) for name in HOLDING_DTYPE.names[:8]}


def test_buying_selling_and_flipping():
    holding = new_holding()
    # Buys 2 BTC (200,000 lots) at 100,000.0 (1,000,000 ticks): 200,000 USDC, at 1.5 bp 30 USDC.
    assert apply_fill(holding, BTC, 1, 1_000_000, 200_000, MAKER) == 30_000_000
    # Sells 3 at 100,001.0: 300,003 USDC, at 4.5 bp 135.00135 USDC. The position flips in one fill.
    assert apply_fill(holding, BTC, -1, 1_000_010, 300_000, TAKER) == 135_001_350
    assert totals(holding) == {
        "position_lots": -100_000,
        "cash_quanta": -200_000_000_000 + 300_003_000_000,
        "fee_micro": 30_000_000 + 135_001_350,
        "funding_micro": 0,
        "maker_quanta": 200_000_000_000,
        "taker_quanta": 300_003_000_000,
        "traded_lots": 500_000,
        "fills": 2,
    }
    # Back to flat at 99,999.0: the cash is the result, 1 USDC on each of two coins long and 2 on the one short.
    apply_fill(holding, BTC, 1, 999_990, 100_000, MAKER)
    assert holding["position_lots"] == 0
    assert holding["cash_quanta"] == (100_001 - 100_000) * 2 * 1_000_000 + (100_001 - 99_999) * 1 * 1_000_000


def test_a_rebate_is_a_negative_fee_cut_toward_zero():
    holding = new_holding(maker_rate=-30_000)
    # 1 lot at 100,000.5 is 1.000005 USDC; at -0.3 bp -0.00003000015, cut to -0.000030.
    assert apply_fill(holding, BTC, 1, 1_000_005, 1, MAKER) == -30
    assert holding["fee_micro"] == -30


FILLS_MAX = 20
QUANTA_MAX = (2**63 - 1) // FILLS_MAX  # of one fill, so that the sums of all stay exact
PRICED = st.integers(1, TICKS_MAX).flatmap(
    lambda ticks: st.tuples(st.just(ticks), st.integers(1, min(LOTS_MAX, QUANTA_MAX // ticks)))
)
FILLS = st.tuples(st.sampled_from([1, -1]), PRICED, st.booleans()).map(lambda fill: (fill[0], *fill[1], fill[2]))


@settings(max_examples=60)
@given(
    st.lists(FILLS, max_size=FILLS_MAX),
    st.integers(-30_000, 150_000),
    st.integers(0, 450_000),
)
@example([(1, TICKS_MAX, QUANTA_MAX // TICKS_MAX, True)] * FILLS_MAX, 150_000, 450_000)
@example([(-1, TICKS_MAX, QUANTA_MAX // TICKS_MAX, False)] * FILLS_MAX, 150_000, 450_000)
def test_a_holding_is_the_sum_of_its_fills(fills, maker_rate, taker_rate):
    holding = new_holding(maker_rate, taker_rate)
    fees = [apply_fill(holding, BTC, side, ticks, lots, int(maker)) for side, ticks, lots, maker in fills]
    rates = [maker_rate if maker else taker_rate for *_, maker in fills]
    assert fees == [int(Fraction(t * n * rate, 10**9)) for (_, t, n, _), rate in zip(fills, rates)]
    assert totals(holding) == {
        "position_lots": sum(side * lots for side, _, lots, _ in fills),
        "cash_quanta": -sum(side * ticks * lots for side, ticks, lots, _ in fills),
        "fee_micro": sum(fees),
        "funding_micro": 0,
        "maker_quanta": sum(ticks * lots for _, ticks, lots, maker in fills if maker),
        "taker_quanta": sum(ticks * lots for _, ticks, lots, maker in fills if not maker),
        "traded_lots": sum(lots for _, _, lots, _ in fills),
        "fills": len(fills),
    }


@pytest.fixture(scope="module")
def recorded_chains(recordings: Path) -> list[list[dict]]:
    """The fills of each account and coin of the main dex, in the order of the venue."""
    (path,) = (recordings / "hyperliquid/node_fills_by_block_20251027").glob("*.jsonl.gz")
    chains = defaultdict(list)
    with gzip.open(path, "rt") as lines:
        for line in lines:
            for user, fill in json.loads(line)["events"]:
                if not set(":@/") & set(fill["coin"]):
                    chains[user, fill["coin"]].append(fill)
    return list(chains.values())


def test_recorded_round_trips_earn_what_the_venue_says(recorded_chains):
    """From flat to flat the cash of the fills is the sum of the profits that the venue published on closing, and
    before each fill the position is the published one.

    The venue cuts the average entry price to a tick, so each may be off by a tick of the largest position.
    """
    differences = []
    for chain in recorded_chains:
        size_decimals = max(len(fill["sz"].partition(".")[2].rstrip("0")) for fill in chain)
        market = Market.perpetual("X", asset_id=0, size_decimals=size_decimals)
        record = market.record()[0]
        holding, closed, largest = None, Fraction(0), 0
        for fill in chain:
            start = Fraction(fill["startPosition"])
            if holding is None and start == 0:
                holding, closed, largest = new_holding(), Fraction(0), 0
            if holding is None:
                continue
            if Fraction(int(holding["position_lots"]), 10**size_decimals) != start:
                holding = None  # the fills of one block are not always published in the order of their execution
                continue
            side = 1 if fill["side"] == "B" else -1
            apply_fill(holding, record, side, market.ticks(fill["px"]), market.lots(fill["sz"]), MAKER)
            closed += Fraction(fill["closedPnl"]) * 10**6
            largest = max(largest, abs(int(holding["position_lots"])))
            if holding["position_lots"] == 0:
                differences.append(abs(int(holding["cash_quanta"]) - closed))
                assert differences[-1] <= largest
                holding = None
    assert len(differences) >= 20
    assert differences.count(0) >= 15
