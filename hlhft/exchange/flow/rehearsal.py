"""A rehearsal: the flow alone on an empty exchange, and what its market data would have shown.

For measuring and fitting: matching only, no margin, so that thousands of seconds pass in one. What is kept are the best
bid and offer after each block that changed them, every trade, and the depth of the book every DEPTH_NS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hlhft.compiled import compiled
from hlhft.exchange.flow.state import ACCOUNTS, Flow, MarketFlow, legs_max, new_flow
from hlhft.exchange.flow.synthetic import flow_legs
from hlhft.ladder import ASK_NONE, BID_NONE, ask_above, bid_below, lots_at
from hlhft.units import Market
from hlhft.venue.blocks import ACTION_DTYPE, new_clock, next_block_time, spacing_quantiles
from hlhft.venue.matching import execute_block
from hlhft.venue.rules import hyperliquid
from hlhft.venue.state import Exchange, new_exchange

START_NS = 1_750_000_000_000_000_000
DEPTH_NS = 5_400_000_000
DEPTH_LEVELS = 20
WIDTH = 2**18
SLOTS_PER_MARKET = 512
REBATE_E9 = -30_000

TOUCH_DTYPE = np.dtype(
    [(name, np.int64) for name in ("ts_ns", "market", "bid_ticks", "bid_lots", "ask_ticks", "ask_lots")]
)
TRADE_DTYPE = np.dtype([(name, np.int64) for name in ("ts_ns", "market", "side", "price_ticks", "size_lots")])
DEPTH_DTYPE = np.dtype([(name, np.int64) for name in ("ts_ns", "market", "lots", "levels")])
COUNT_DTYPE = np.dtype(
    [(name, np.int64) for name in ("touches", "trades", "depths", "blocks", "legs", "one_sided", "next_depth_ns")]
)

# As in hlhft.venue.blocks, hlhft.events and hlhft.exchange.flow.rehearsal; the compiled subset wants plain constants.
_ORACLE_PRICE, _EXTERNAL_MARK = 15, 16
_MODIFY = 2
_FILLED, _MAKER = 18, 8
_DEPTH_NS, _DEPTH_LEVELS = 5_400_000_000, 20


class Tape(NamedTuple):
    """What a rehearsal keeps; the arrays are used up to the counts, and what finds no room ends the rehearsal."""

    touches: np.ndarray  # TOUCH_DTYPE
    trades: np.ndarray  # TRADE_DTYPE
    depths: np.ndarray  # DEPTH_DTYPE
    counts: np.ndarray  # COUNT_DTYPE[1]
    last: np.ndarray  # TOUCH_DTYPE[M]


@dataclass(frozen=True)
class Rehearsal:
    """One under way; `run_until` goes on."""

    venue: Exchange
    flow: Flow
    clock: np.ndarray
    spacings: np.ndarray
    tape: Tape
    legs: np.ndarray
    order: np.ndarray

    def run_until(self, ts_ns: int) -> None:
        """Runs blocks to the last one before `ts_ns`, or until the tape is full."""
        run_blocks(
            self.venue, self.flow, self.clock, self.spacings, self.tape, self.legs, self.order, ts_ns,
        )  # fmt: skip

    def touches(self, market: int) -> np.ndarray:
        """What the best bid and offer were, TOUCH_DTYPE."""
        found = self.tape.touches[: self.tape.counts[0]["touches"]]
        return np.asarray(found[found["market"] == market])

    def trades(self, market: int) -> np.ndarray:
        """TRADE_DTYPE."""
        found = self.tape.trades[: self.tape.counts[0]["trades"]]
        return np.asarray(found[found["market"] == market])

    def depths(self, market: int) -> np.ndarray:
        """DEPTH_DTYPE."""
        found = self.tape.depths[: self.tape.counts[0]["depths"]]
        return np.asarray(found[found["market"] == market])


def new_rehearsal(
    markets: Sequence[Market],
    flows: Sequence[MarketFlow],
    *,
    seed: int,
    seconds: float,
    start_ns: int = START_NS,
    visitors: int = 0,
) -> Rehearsal:
    """A rehearsal with room for `seconds` of market data. Visitors have the accounts after those of the flow."""
    rules = hyperliquid()
    rules["enforce_margin"] = 0
    flow = new_flow(markets, flows, first_account=1, seed=seed, blank=np.zeros(1, ACTION_DTYPE))
    starts = [round(numbers.start_price * 10**market.price_decimals) for market, numbers in zip(markets, flows)]
    venue = new_exchange(
        np.concatenate([market.record() for market in markets]),
        rules,
        accounts=ACCOUNTS + 1 + visitors,
        base_ticks=[max(start - WIDTH // 2, 1) for start in starts],
        width=WIDTH,
        slots=SLOTS_PER_MARKET * len(markets),
    )
    venue.holdings["maker_rate_e9"] = REBATE_E9
    room = legs_max(len(markets))
    blocks = int(seconds * 16) + 64
    tape = Tape(
        touches=np.zeros(blocks * len(markets), TOUCH_DTYPE),
        trades=np.zeros(4 * blocks * len(markets), TRADE_DTYPE),
        depths=np.zeros((int(seconds / (DEPTH_NS / 1e9)) + 16) * len(markets), DEPTH_DTYPE),
        counts=np.zeros(1, COUNT_DTYPE),
        last=np.zeros(len(markets), TOUCH_DTYPE),
    )
    return Rehearsal(
        venue=venue,
        flow=flow,
        clock=new_clock(start_ns=start_ns, seed=seed),
        spacings=spacing_quantiles(
            mean_ns=int(rules["block_ns"][0]),
            deviation_ns=int(rules["block_deviation_ns"][0]),
            ns_min=int(rules["block_ns_min"][0]),
            ns_max=int(rules["block_ns_max"][0]),
        ),
        tape=tape,
        legs=np.zeros(room, ACTION_DTYPE),
        order=np.zeros(room, np.int64),
    )


@compiled
def only_orders(venue, legs, count):
    """Moves the orders among the legs together, takes the prices as marks, and returns how many orders there are."""
    kept = 0
    for row in range(count):
        leg = legs[row]
        if leg["kind"] == _ORACLE_PRICE or leg["kind"] == _EXTERNAL_MARK:
            venue.marks[leg["market"]] = leg["price_ticks"]
        elif leg["kind"] <= _MODIFY:
            if kept != row:
                legs[kept] = legs[row]
            kept += 1
    return kept


@compiled
def _write_trades(venue, tape):
    counts = tape.counts[0]
    for row in range(venue.engine[0]["event_count"]):
        event = venue.events[row]
        if event["kind"] == _FILLED and event["flags"] & _MAKER == 0:
            trade = tape.trades[counts["trades"]]
            counts["trades"] += 1
            trade["ts_ns"] = event["ts_exch_ns"]
            trade["market"] = event["market"]
            trade["side"] = event["side"]
            trade["price_ticks"] = event["price_ticks"]
            trade["size_lots"] = event["size_lots"]
            if counts["trades"] == len(tape.trades):
                break
    venue.engine[0]["event_count"] = 0


@compiled
def _write_touch(venue, tape, market, ts_ns):
    ladder = venue.ladders[market]
    counts = tape.counts[0]
    last = tape.last[market]
    bid = ladder["best_bid_ticks"]
    ask = ladder["best_ask_ticks"]
    if bid == BID_NONE or ask == ASK_NONE:
        counts["one_sided"] += 1
        return
    bid_lots = lots_at(ladder, venue.cells[market], 0, bid)
    ask_lots = lots_at(ladder, venue.cells[market], 1, ask)
    if (
        bid == last["bid_ticks"]
        and ask == last["ask_ticks"]
        and bid_lots == last["bid_lots"]
        and ask_lots == last["ask_lots"]
    ):
        return
    last["ts_ns"] = ts_ns
    last["market"] = market
    last["bid_ticks"] = bid
    last["bid_lots"] = bid_lots
    last["ask_ticks"] = ask
    last["ask_lots"] = ask_lots
    if counts["touches"] < len(tape.touches):
        tape.touches[counts["touches"]] = last
        counts["touches"] += 1


@compiled
def _write_depth(venue, tape, market, ts_ns):
    """The lots of the DEPTH_LEVELS nearest levels of both sides together."""
    ladder = venue.ladders[market]
    cells = venue.cells[market]
    depth = tape.depths[tape.counts[0]["depths"]]
    tape.counts[0]["depths"] += 1
    depth["ts_ns"] = ts_ns
    depth["market"] = market
    bid = ladder["best_bid_ticks"]
    ask = ladder["best_ask_ticks"]
    for _ in range(_DEPTH_LEVELS):
        if bid != BID_NONE:
            depth["lots"] += lots_at(ladder, cells, 0, bid)
            depth["levels"] += 1
            bid = bid_below(ladder, cells, bid)
        if ask != ASK_NONE:
            depth["lots"] += lots_at(ladder, cells, 1, ask)
            depth["levels"] += 1
            ask = ask_above(ladder, cells, ask)


@compiled
def _write_market_data(venue, tape, ts_ns):
    counts = tape.counts[0]
    due = ts_ns >= counts["next_depth_ns"]
    for market in range(len(tape.last)):
        _write_touch(venue, tape, market, ts_ns)
        if due and counts["depths"] < len(tape.depths):
            _write_depth(venue, tape, market, ts_ns)
    if due:
        counts["next_depth_ns"] = ts_ns + _DEPTH_NS


@compiled
def run_blocks(venue, flow, clock, spacings, tape, legs, order, until_ns):
    """Runs one block after another while they begin before `until_ns` and the tape has room for trades."""
    counts = tape.counts[0]
    while clock[0]["time_ns"] < until_ns and counts["trades"] < len(tape.trades):
        ts_ns = next_block_time(clock[0], spacings)
        count = flow_legs(venue, flow, legs, 0, ts_ns)
        count = only_orders(venue, legs, count)
        execute_block(venue, legs, count, order, ts_ns)
        counts["blocks"] += 1
        counts["legs"] += count
        _write_trades(venue, tape)
        _write_market_data(venue, tape, ts_ns)
