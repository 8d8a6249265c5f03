"""Naive quoters in the synthetic market and on the recording: nobody may win there who would not win here.

A naive quoter keeps one order a side at the touch, or so many basis points outside or inside of it, up to a position.
On the recording it is tests/bench/strategies/touch.py in a backtest; in the synthetic market it is `run_quoters`, whose
orders stand in the book with everybody else's, and who are late by as much: what they see is `SEEN_BLOCKS` blocks old.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.runs import results_of
from hlhft.backtest.session import Settings, run_backtest
from hlhft.compiled import compiled
from hlhft.data.sources import Source
from hlhft.exchange.flow.legs import CLIENT_ID_BASE, add_cancel, add_post
from hlhft.exchange.flow.makers import step_at
from hlhft.exchange.flow.rehearsal import START_NS, new_rehearsal, only_orders
from hlhft.exchange.flow.state import ACCOUNTS, MarketFlow
from hlhft.exchange.flow.synthetic import flow_legs
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.strategies import load
from hlhft.units import Market
from hlhft.venue.blocks import next_block_time
from hlhft.venue.matching import execute_block
from hlhft.venue.order_index import find_order

AWAY_BP = (1.5, 0.0, -0.3)
ORDER_USDC, POSITION_USDC = 500.0, 5_000.0
STRATEGY = Path(__file__).parent / "strategies" / "touch.py"
LATENCY = "constant:200"  # what the recorder's own 0.36 s come before
SEEN_BLOCKS = 7  # both together

QUOTER_DTYPE = np.dtype(
    [(name, np.int64) for name in ("account", "away_e9", "lots", "cap_lots", "bid_ticks", "ask_ticks", "sent")]
)

# As above; the compiled subset wants plain constants.
_SEEN_BLOCKS = 7
_E9 = 1_000_000_000
_IDS = 2**60 + 2**59  # above those of the joiners


@dataclass(frozen=True)
class Outcome:
    """What a naive quoter got: profit before fees in basis points of what it traded, and that in USDC."""

    profit_bp: float
    volume_usdc: float


@compiled
def _price(venue, market, quoter, side, bid, ask):
    """Where the order of a side should be: on the grid, away from the touch, at least a step from the other side."""
    step = step_at(venue, market, bid)
    away = (bid + ask) // 2 * quoter["away_e9"]
    if side > 0:
        return min((bid * _E9 - away) // _E9 // step * step, ask - step)
    return max(-((-ask * _E9 - away) // _E9 // step) * step, bid + step)


@compiled
def _side_legs(venue, legs, row, flow, quoter, side, wanted, ts_ns):
    """Moves the order of a side to the price wanted, 0 nowhere; returns the next row."""
    account = quoter["account"]
    held = quoter["bid_ticks"] if side > 0 else quoter["ask_ticks"]
    client_id = CLIENT_ID_BASE + _IDS + (account << 33) + (held << 1) + (1 if side > 0 else 0)
    there = held != 0 and find_order(venue, account, 0, client_id, True) != 0
    if there and held != wanted:
        row = add_cancel(flow, legs, row, account, 0, client_id, ts_ns)
        there = False
    if wanted != 0 and not there:
        client_id += (wanted - held) << 1
        row = add_post(flow, legs, row, account, 0, client_id, side, wanted, quoter["lots"], ts_ns)
    if side > 0:
        quoter["bid_ticks"] = wanted
    else:
        quoter["ask_ticks"] = wanted
    return row


@compiled
def _quoter_legs(venue, flow, legs, row, quoter, bid, ask, ts_ns):
    position = venue.holdings[quoter["account"], 0]["position_lots"]
    for side in (1, -1):
        wanted = 0
        if position * side < quoter["cap_lots"]:
            wanted = _price(venue, 0, quoter, side, bid, ask)
        row = _side_legs(venue, legs, row, flow, quoter, side, wanted, ts_ns)
    return row


@compiled
def run_quoters(venue, flow, clock, spacings, legs, order, quoters, seen, until_ns):
    """Runs blocks of the first market with quoters (QUOTER_DTYPE) in it, who see the touch of SEEN_BLOCKS ago.

    `seen` is int64[SEEN_BLOCKS, 2] of zeros to begin with.
    """
    block = 0
    while clock[0]["time_ns"] < until_ns:
        ts_ns = next_block_time(clock[0], spacings)
        count = flow_legs(venue, flow, legs, 0, ts_ns)
        count = only_orders(venue, legs, count)
        bid, ask = seen[block % _SEEN_BLOCKS]
        if bid != 0:
            for index in range(len(quoters)):
                count = _quoter_legs(venue, flow, legs, count, quoters[index], bid, ask, ts_ns)
        execute_block(venue, legs, count, order, ts_ns)
        venue.engine[0]["event_count"] = 0
        ladder = venue.ladders[0]
        if ladder["best_bid_ticks"] != BID_NONE and ladder["best_ask_ticks"] != ASK_NONE:
            seen[block % _SEEN_BLOCKS, 0] = ladder["best_bid_ticks"]
            seen[block % _SEEN_BLOCKS, 1] = ladder["best_ask_ticks"]
        block += 1


def in_market(market: Market, numbers: MarketFlow, *, seed: int, seconds: float) -> list[Outcome]:
    """The quoters of AWAY_BP together in one synthetic market, each with an account of its own."""
    rehearsal = new_rehearsal([market], [numbers], seed=seed, seconds=1.0, visitors=len(AWAY_BP))
    venue, usdc = rehearsal.venue, numbers.start_price / 10**market.size_decimals
    quoters = np.zeros(len(AWAY_BP), QUOTER_DTYPE)
    quoters["account"] = ACCOUNTS + 1 + np.arange(len(AWAY_BP))
    quoters["away_e9"] = np.round(np.array(AWAY_BP) * 1e5).astype(np.int64)
    quoters["lots"], quoters["cap_lots"] = max(round(ORDER_USDC / usdc), 1), max(round(POSITION_USDC / usdc), 1)
    room = len(rehearsal.legs) + 4 * len(AWAY_BP)
    run_quoters(
        venue, rehearsal.flow, rehearsal.clock, rehearsal.spacings, np.zeros(room, rehearsal.legs.dtype),
        np.zeros(room, np.int64), quoters, np.zeros((SEEN_BLOCKS, 2), np.int64), START_NS + round(seconds * 1e9),
    )  # fmt: skip
    held = venue.holdings[quoters["account"], 0]
    mid = (venue.ladders[0]["best_bid_ticks"] + venue.ladders[0]["best_ask_ticks"]) / 2
    gains = held["cash_quanta"] + held["position_lots"] * mid
    traded = held["maker_quanta"] + held["taker_quanta"]
    assert (held["taker_quanta"] == 0).all()
    quantum = market.micro(1, 1) / 1e6
    return [
        Outcome(float(gain) / max(float(value), 1.0) * 1e4, float(value) * quantum)
        for gain, value in zip(gains, traded, strict=True)
    ]


def on_recording(source: Source) -> list[Outcome]:
    """The same quoters in a backtest, one by one, without fees and with no breaker in the way."""
    recording, strategy = compile_recording(source, profile="recorded"), load(str(STRATEGY))
    found = []
    for away_bp in AWAY_BP:
        settings = Settings(
            strategy=strategy,
            params={"away_bp": away_bp, "order_notional_usdc": ORDER_USDC, "position_notional_usdc": POSITION_USDC},
            latency=LATENCY,
            fees="0,0",
            feed_age_ns_max=0,
            price_band_e6=0,
            rejections_max=0,
            address_enforced=False,
            drawdown_e6_max=1_000_000,
            capital_micro=10**12,
        )
        trading = results_of(run_backtest(settings, recording)).scenarios[0].metrics.trading
        found.append(Outcome(trading.profit_bp or 0.0, trading.volume_usdc))
    return found
