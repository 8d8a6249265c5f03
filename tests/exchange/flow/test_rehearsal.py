"""A rehearsal keeps what market data would have shown, and nothing else."""

from __future__ import annotations

import numpy as np

from hlhft.compiled import JIT_DISABLED
from hlhft.exchange.flow.rehearsal import DEPTH_NS, START_NS
from hlhft.exchange.flow.state import DEEP_LEVELS
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below
from tests.exchange.flow.stage import CALM, STILL, changed, settle, stage

LIVELY = changed(CALM, bursts_per_minute=600.0, improves_per_s=20.0)


def test_touches_are_the_changes_of_the_best_bid_and_offer():
    rehearsal = stage(LIVELY)
    settle(rehearsal, 8.0)
    touches = rehearsal.touches(0)
    ladder, cells = rehearsal.venue.ladders[0], rehearsal.venue.cells[0]
    last = touches[-1]
    assert last["bid_ticks"] == ladder["best_bid_ticks"]
    assert last["ask_lots"] == cells[1, ladder["best_ask_ticks"] - ladder["base_ticks"]]
    names = ["bid_ticks", "bid_lots", "ask_ticks", "ask_lots"]
    assert (touches[names][1:] != touches[names][:-1]).all()
    assert (np.diff(touches["ts_ns"]) > 0).all()
    assert (touches["bid_ticks"] < touches["ask_ticks"]).all()


def test_trades_are_told_once_by_their_takers():
    rehearsal = stage(LIVELY)
    settle(rehearsal, 8.0)
    trades, holdings = rehearsal.trades(0), rehearsal.venue.holdings[:, 0]
    assert len(trades) > 10
    assert trades["size_lots"].sum() * 2 == holdings["traded_lots"].sum()
    taken = np.abs(trades["price_ticks"] * trades["size_lots"]).sum()
    assert taken == holdings["taker_quanta"].sum()
    assert len(trades) == rehearsal.venue.engine[0]["next_trade_id"] - 1
    assert {1, -1} == set(trades["side"])


def test_depth_is_that_of_twenty_levels_a_side():
    rehearsal = stage(STILL)
    rehearsal.tape.counts[0]["next_depth_ns"] = START_NS + DEPTH_NS
    settle(rehearsal, 5.6)
    (depth,) = rehearsal.depths(0)
    ladder, cells = rehearsal.venue.ladders[0], rehearsal.venue.cells[0]
    lots = 0
    bid, ask = ladder["best_bid_ticks"], ladder["best_ask_ticks"]
    for _ in range(20):
        lots += cells[0, bid - ladder["base_ticks"]] + cells[1, ask - ladder["base_ticks"]]
        bid, ask = bid_below(ladder, cells, bid), ask_above(ladder, cells, ask)
    assert depth["levels"] == 40
    assert abs(int(depth["lots"]) / int(lots) - 1) < 0.05, "a few sizes have changed since"


def test_depth_counts_only_what_is_there():
    rehearsal = stage(STILL)
    rehearsal.flow.makers["next_ns"] = 2**62
    settle(rehearsal, 0.3)
    assert rehearsal.depths(0)[0]["levels"] == 2 * DEEP_LEVELS, "the deep orders"


def test_one_sided_books_are_counted():
    rehearsal = stage(STILL)
    rehearsal.flow.makers["next_ns"] = 2**62
    rehearsal.flow.numbers["lots_min"] = 0
    rehearsal.flow.deep_lots[:] = 0
    settle(rehearsal, 1.0)
    counts = rehearsal.tape.counts[0]
    assert counts["one_sided"] == counts["blocks"] > 5
    assert len(rehearsal.touches(0)) == 0
    assert rehearsal.venue.ladders[0]["best_bid_ticks"] == BID_NONE
    assert rehearsal.venue.ladders[0]["best_ask_ticks"] == ASK_NONE


def test_a_full_tape_ends_it():
    rehearsal = stage(changed(LIVELY, bursts_per_minute=3_000.0), seconds=0.5)
    room = len(rehearsal.tape.trades)
    settle(rehearsal, 60.0 if JIT_DISABLED else 600.0)
    assert rehearsal.tape.counts[0]["trades"] == room
    assert rehearsal.clock[0]["time_ns"] < START_NS + 60 * 10**9
    assert len(rehearsal.touches(0)) <= len(rehearsal.tape.touches)


def test_markets_are_apart():
    rehearsal = stage(CALM, markets=2)
    settle(rehearsal, 4.0)
    for market in (0, 1):
        assert set(rehearsal.touches(market)["market"]) == {market}
    assert rehearsal.touches(0)["bid_lots"].tolist() != rehearsal.touches(1)["bid_lots"].tolist()
    assert len(rehearsal.touches(0)) + len(rehearsal.touches(1)) == rehearsal.tape.counts[0]["touches"]
    assert rehearsal.tape.counts[0]["legs"] > 300
