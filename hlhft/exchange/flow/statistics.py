"""What a market's data look like in a few figures: the same code for a recording and for a simulated run.

Both are the best bid and offer, the trades, and the depth of the book (hlhft.exchange.flow.rehearsal). Figures of the
book are taken at samples SAMPLE_NS apart, the cadence of the recordings' snapshots. A markout is what the mid did after
a passive fill, from the passive side: side x (mid at the horizon - price) / price. Three are told: of every fill, each
counting the same, where large takers, who fill many, count much; of the first fill of every taker, which is what an
order at the touch gets; and of the money, where a few sweeps decide.

A part is a choice of blocks of BLOCK_NS, so that one part can be fitted and the other compared. Errors are from leaving
out one block at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hlhft.units import Market

SAMPLE_NS = 540_000_000
BLOCK_NS = 60_000_000_000  # the longest horizon
SILENCE_NS = 5_000_000_000  # samples farther than this from the last update are none: the recorder was silent
HORIZONS_S = (1, 10, 60)
TRAIN = 10  # samples

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The figures. Rates are per minute or second of the part; money is USDC, distances are basis points."""

    spread_bp: float  # median
    one_step_share: float
    touches_per_s: float  # changes of the best bid and offer
    trades_per_minute: float
    events_per_minute: float  # blocks with trades, each direction counted
    usdc_per_minute: float
    event_usdc: float  # median
    move_bp: float  # deviation of the mid's change between samples
    unmoved_share: float
    train_ratio: float  # variance of the change over ten samples, over ten times that over one: above 1, moves go on
    touch_usdc: float  # median of both sides
    depth_usdc: float  # median of 20 levels, both sides together
    markout_1_bp: float
    markout_10_bp: float
    markout_60_bp: float
    touch_markout_1_bp: float
    touch_markout_10_bp: float
    value_markout_1_bp: float
    imbalance_share: float  # of samples whose next move goes where the imbalance points

    def values(self) -> Float64:
        """In the order of the fields."""
        return np.array([getattr(self, field.name) for field in fields(self)])


NAMES = tuple(field.name for field in fields(Statistics))


@dataclass(frozen=True)
class MarketData:
    """One market's data: touches, trades, depths as in hlhft.exchange.flow.rehearsal, sorted by time."""

    market: Market
    touches: np.ndarray
    trades: np.ndarray
    depths: np.ndarray

    def blocks(self) -> Int64:
        """The numbers of the whole blocks that there are."""
        first, last = self.touches["ts_ns"][0], self.touches["ts_ns"][-1]
        return np.arange((last - first) // BLOCK_NS, dtype=np.int64)

    def block_of(self, ts_ns: Int64) -> Int64:
        """The number of the block that each time lies in."""
        return np.asarray((ts_ns - self.touches["ts_ns"][0]) // BLOCK_NS)


def measure(data: MarketData, blocks: Int64) -> Statistics:
    """The figures of the given blocks. Raises ValueError when there is nothing to measure."""
    touches, market = data.touches, data.market
    if len(blocks) == 0 or len(data.trades) == 0:
        raise ValueError(f"{market.name}: no whole block of data or no trade to measure")
    mids = (touches["bid_ticks"] + touches["ask_ticks"]) * 0.5
    times, places = _samples(data, blocks)
    sampled, mid = touches[places], mids[places]
    moves = _moves_bp(times, mid)
    spread = sampled["ask_ticks"] - sampled["bid_ticks"]
    step = np.array([market.grid_step(int(ticks)) for ticks in sampled["bid_ticks"]])
    value = market.micro(1, 1) / 1e6
    trades = data.trades[np.isin(data.block_of(data.trades["ts_ns"]), blocks)]
    depths = data.depths[np.isin(data.block_of(data.depths["ts_ns"]), blocks)]
    minutes = len(blocks) * BLOCK_NS / 60e9
    changes = np.isin(data.block_of(touches["ts_ns"]), blocks).sum()
    firsts, event_value = _events(trades)
    markouts = [_markout_bp(data, mids, trades, horizon_s) for horizon_s in HORIZONS_S]
    at_touch = [_markout_bp(data, mids, firsts, horizon_s) for horizon_s in HORIZONS_S[:2]]
    notional = np.concatenate([sampled["bid_ticks"] * sampled["bid_lots"], sampled["ask_ticks"] * sampled["ask_lots"]])
    return Statistics(
        spread_bp=float(np.median(spread / mid)) * 1e4,
        one_step_share=float(np.mean(spread <= step)),
        touches_per_s=float(changes) / minutes / 60,
        trades_per_minute=len(trades) / minutes,
        events_per_minute=len(firsts) / minutes,
        usdc_per_minute=float((trades["price_ticks"] * trades["size_lots"]).sum()) * value / minutes,
        event_usdc=float(np.median(event_value)) * value,
        move_bp=float(np.std(moves)),
        unmoved_share=float(np.mean(moves == 0.0)),
        train_ratio=_train_ratio(times, mid),
        touch_usdc=float(np.median(notional)) * value,
        depth_usdc=float(np.median(depths["lots"])) * float(np.median(mid)) * value,
        markout_1_bp=markouts[0],
        markout_10_bp=markouts[1],
        markout_60_bp=markouts[2],
        touch_markout_1_bp=at_touch[0],
        touch_markout_10_bp=at_touch[1],
        value_markout_1_bp=_markout_bp(data, mids, trades, HORIZONS_S[0], by_value=True),
        imbalance_share=_imbalance_share(mids, sampled, places),
    )


def errors(data: MarketData, blocks: Int64) -> Float64:
    """The standard error of every figure, by leaving out one block at a time."""
    without = np.array([measure(data, np.delete(blocks, row)).values() for row in range(len(blocks))])
    count = len(blocks)
    return np.asarray(np.sqrt((count - 1) / count * ((without - without.mean(axis=0)) ** 2).sum(axis=0)))


def _samples(data: MarketData, blocks: Int64) -> tuple[Int64, Int64]:
    """Times of the samples and the rows of `touches` that held then."""
    ts_ns = data.touches["ts_ns"]
    times = np.arange(ts_ns[0], ts_ns[-1], SAMPLE_NS)
    places = np.searchsorted(ts_ns, times, side="right") - 1
    good = np.isin(data.block_of(times), blocks) & (times - ts_ns[places] <= SILENCE_NS)
    return times[good], places[good]


def _moves_bp(times: Int64, mid: Float64) -> Float64:
    """What the mid moved by between neighbouring samples."""
    neighbours = np.diff(times) == SAMPLE_NS
    return np.asarray((np.diff(mid) / mid[:-1])[neighbours] * 1e4)


def _train_ratio(times: Int64, mid: Float64) -> float:
    """1 for a mid that never moves."""
    together = times[TRAIN:] - times[:-TRAIN] == TRAIN * SAMPLE_NS
    longer = ((mid[TRAIN:] - mid[:-TRAIN]) / mid[:-TRAIN])[together] * 1e4
    once = float(np.var(_moves_bp(times, mid)))
    return float(np.var(longer)) / (TRAIN * once) if once > 0.0 and len(longer) else 1.0


def _events(trades: np.ndarray) -> tuple[np.ndarray, Int64]:
    """The best fill of each event, and the event's price ticks x lots. An event: one time, one direction."""
    best = trades[np.lexsort((trades["side"] * trades["price_ticks"], trades["side"], trades["ts_ns"]))]
    begins = np.append(True, best[["ts_ns", "side"]][1:] != best[["ts_ns", "side"]][:-1])
    value = np.add.reduceat(best["price_ticks"] * best["size_lots"], np.flatnonzero(begins))
    return best[begins], value


def _markout_bp(
    data: MarketData, mids: Float64, trades: np.ndarray, horizon_s: int, *, by_value: bool = False
) -> float:
    """The mean markout of the passive side; 0 where no horizon lies within the data."""
    ts_ns = data.touches["ts_ns"]
    later = trades["ts_ns"] + horizon_s * 1_000_000_000
    known = later <= ts_ns[-1]
    if not known.any():
        return 0.0
    trades, later = trades[known], later[known]
    mid = mids[np.searchsorted(ts_ns, later, side="right") - 1]
    gains = -trades["side"] * (mid - trades["price_ticks"]) / trades["price_ticks"]
    weights = trades["price_ticks"] * trades["size_lots"] if by_value else None
    return float(np.average(gains, weights=weights)) * 1e4


def _imbalance_share(mids: Float64, sampled: np.ndarray, places: Int64) -> float:
    """How often the next change of the mid goes toward the shorter queue; 0.5 where the mid never changes."""
    changed = np.flatnonzero(np.diff(mids)) + 1
    following = np.searchsorted(changed, places, side="right")
    known = following < len(changed)
    lean = np.sign(sampled["bid_lots"] - sampled["ask_lots"])
    known &= lean != 0
    if not known.any():
        return 0.5
    to = mids[changed[following[known]]] - mids[places[known]]
    return float(np.mean(np.sign(to) == lean[known]))
