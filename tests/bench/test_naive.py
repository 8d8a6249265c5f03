"""Naive quoters: what they do in a market that stands still, and that they never take."""

from __future__ import annotations

import numpy as np

from hlhft.exchange.flow.rehearsal import START_NS, new_rehearsal
from hlhft.exchange.flow.state import ACCOUNTS
from tests.bench.naive import AWAY_BP, QUOTER_DTYPE, SEEN_BLOCKS, in_market, run_quoters
from tests.exchange.flow.stage import BTC, CALM, STILL, resting


def quoters() -> np.ndarray:
    rows = np.zeros(3, QUOTER_DTYPE)
    rows["account"] = ACCOUNTS + 1 + np.arange(3)
    rows["away_e9"] = (150_000, 0, -30_000)
    rows["lots"], rows["cap_lots"] = 500, 5_000
    return rows


def test_they_stand_where_they_should():
    market = new_rehearsal([BTC], [STILL], seed=1, seconds=1.0, visitors=3)
    room, rows = len(market.legs) + 12, quoters()
    rows["cap_lots"][2] = 0  # has had enough of both sides
    run_quoters(
        market.venue, market.flow, market.clock, market.spacings, np.zeros(room, market.legs.dtype),
        np.zeros(room, np.int64), rows, np.zeros((SEEN_BLOCKS, 2), np.int64), START_NS + 3 * 10**9,
    )  # fmt: skip
    ladder = market.venue.ladders[0]
    bid, ask = int(ladder["best_bid_ticks"]), int(ladder["best_ask_ticks"])
    # 1.5 bp of 100,000 USDC are 15 USDC, 150 ticks, and the mid is half a step away.
    assert resting(market, ACCOUNTS + 1) == {(1, bid - 160): 500, (-1, ask + 160): 500}
    assert resting(market, ACCOUNTS + 2) == {(1, bid): 500, (-1, ask): 500}
    assert resting(market, ACCOUNTS + 3) == {}


def test_they_trade_as_makers_and_the_same_seed_says_all():
    lively = in_market(BTC, CALM, seed=2, seconds=90.0)
    assert len(lively) == len(AWAY_BP)
    assert lively[1].volume_usdc > 0.0
    assert abs(lively[1].profit_bp) < 20.0
    assert in_market(BTC, CALM, seed=2, seconds=90.0) == lively
