"""What a policy sees: one compiled definition, called by the environment and by live trading alike.

`observe` looks at one market of the core's state at a moment of decision and writes float32[len(NAMES)], each value
finite and within -LIMIT..LIMIT, so that a broken feed can make a policy wrong and never undefined. It needs a little
memory of its own (MEMORY_DTYPE, one record a market and lane, zeros at first), because recent fills, markouts and the
drawdown are no part of the core's state. What it reads does not depend on our own resting orders (hlhft.core.view),
except for what is said to be about them.

The features of FEATURES must be among those that the core computes; one that is not ready yet counts as 0.

Units: positions in whole caps (1 is the largest position worth holding), prices in basis points of the mid, time in
hours where a name says so. A policy that was trained on another DEFINITION is refused.
"""

from __future__ import annotations

import math

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.risk import position_value_micro

LIMIT = 5.0
FILL_HALF_LIFE_S = 30.0  # of fills a side and of their markouts
PEAK_HALF_LIFE_S = 300.0  # how fast a drawdown is forgotten
VOLATILITY_BP_MIN = 1e-3  # a quieter market counts as this quiet: its logarithm must exist

# What of the core's features (hlhft.core.state.Feature) an observation is made of.
FEATURES = 1 | 2 | 16  # micro-price, imbalance, volatility
_MICRO, _IMBALANCE, _VOLATILITY = 1, 2, 16

NAMES = (
    "inventory",  # position over the cap, signed
    "volatility_1s",  # ln of the 1-s over the 60-s volatility
    "volatility_10s",  # ln of the 10-s over the 60-s volatility
    "volatility_level",  # ln of the 10-s volatility in bp per root second
    "signal",  # expected move in bp, 0 without a valid signal
    "signal_deviation",  # its deviation in bp, 0 without a valid signal
    "imbalance",  # of the touch, -1..1
    "spread",  # in bp
    "micro_price",  # micro-price less mid, in bp
    "bought",  # fills of our bids, in order sizes, decayed
    "sold",  # fills of our asks, likewise
    "markout",  # what fills earned up to the next decision, in bp of what they traded, decayed
    "funding_due",  # hours to the next payment
    "funding",  # bp an hour, positive when longs pay
    "drawdown",  # below the decayed peak of what was earned, in bp of the cap
    "working_bids",  # lots that our bids may still buy over the cap
    "working_asks",  # lots that our asks may still sell over the cap
)
SIZE = len(NAMES)

MEMORY_DTYPE = np.dtype(
    [
        ("started", np.int64),
        ("time_ns", np.int64),  # of the last observation
        ("position_lots", np.int64),
        ("cash_quanta", np.int64),
        ("traded_lots", np.int64),
        ("bought", np.float64),
        ("sold", np.float64),
        ("markout", np.float64),  # bp times order sizes, decayed
        ("markout_weight", np.float64),  # order sizes, decayed
        ("peak_micro", np.float64),
    ]
)

_LN2 = 0.6931471805599453
_HOUR_NS = 3_600_000_000_000

# Everything that decides what an observation means; its hash names it (hlhft.alpha.policy).
DEFINITION = repr((NAMES, LIMIT, FILL_HALF_LIFE_S, PEAK_HALF_LIFE_S, VOLATILITY_BP_MIN, "observation-1"))


@compiled
def bounded(value):
    """The value within -LIMIT..LIMIT, 0 for what is no number."""
    if not math.isfinite(value):
        return 0.0
    return min(max(value, -LIMIT), LIMIT)


@compiled
def earned_micro(data, lane):
    """What a lane has earned since its start over all markets, fees and funding included, micro-USDC: the core's own
    valuation, positions at the mark, at the mid where the venue names none."""
    total = 0
    for market in range(len(data.books)):
        total += position_value_micro(lane.positions[market], data.books[market], data.markets[market])
    return total


@compiled
def lots_per(market, mid, notional_usdc):
    """Lots that `notional_usdc` buys at `mid` ticks, at least one; 1 without a price."""
    value = mid * float(market["tick_size"]) * float(market["lot_size"])
    if not value > 0.0:
        return 1.0
    return max(notional_usdc / value, 1.0)


@compiled
def _note_fills(memory, position, mid, order_lots, elapsed_s):
    """Moves the memory of fills on to now: lots by side and what they earned come from what the position did since."""
    decay = math.exp(-_LN2 * max(elapsed_s, 0.0) / FILL_HALF_LIFE_S)
    traded = float(position["traded_lots"] - memory["traded_lots"])
    moved = float(position["position_lots"] - memory["position_lots"])
    cash = float(position["cash_quanta"] - memory["cash_quanta"])
    memory["bought"] = float(memory["bought"]) * decay + 0.5 * (traded + moved) / order_lots
    memory["sold"] = float(memory["sold"]) * decay + 0.5 * (traded - moved) / order_lots
    markout, weight = float(memory["markout"]) * decay, float(memory["markout_weight"]) * decay
    if traded > 0.0 and mid > 0.0:
        markout += (cash + moved * mid) / mid * 1e4 / order_lots
        weight += traded / order_lots
    memory["markout"], memory["markout_weight"] = markout, weight
    memory["traded_lots"] = position["traded_lots"]
    memory["position_lots"] = position["position_lots"]
    memory["cash_quanta"] = position["cash_quanta"]


@compiled
def _note_peak(memory, earned, elapsed_s):
    """Moves the decayed peak on; returns how far what was earned lies below it, at least 0, micro-USDC."""
    if memory["started"] == 0:
        memory["peak_micro"] = earned
    below = max(float(memory["peak_micro"]) - earned, 0.0) * math.exp(-_LN2 * max(elapsed_s, 0.0) / PEAK_HALF_LIFE_S)
    memory["peak_micro"] = earned + below
    return below


@compiled
def _see_volatility(features, mid, out):
    out[1] = out[2] = out[3] = 0.0
    if features["ready"] & _VOLATILITY == 0 or not mid > 0.0:
        return
    floor = VOLATILITY_BP_MIN
    short = max(float(features["volatility"][0]) / mid * 1e4, floor)
    middle = max(float(features["volatility"][1]) / mid * 1e4, floor)
    long = max(float(features["volatility"][2]) / mid * 1e4, floor)
    out[1] = bounded(math.log(short / long))
    out[2] = bounded(math.log(middle / long))
    out[3] = bounded(math.log(middle))


@compiled
def _see_signal(position, now_ns, out):
    out[4] = out[5] = 0.0
    if position["signal_until_ns"] > now_ns:
        out[4] = bounded(float(position["signal_e9"]) * 1e-5)
        out[5] = bounded(float(position["signal_deviation_e9"]) * 1e-5)


@compiled
def _see_book(features, mid, out):
    out[6] = out[7] = out[8] = 0.0
    if features["ready"] & _IMBALANCE:
        out[6] = bounded(float(features["imbalance"][0]))
    if mid > 0.0:
        out[7] = bounded(float(features["spread_ticks"]) / mid * 1e4)
        if features["ready"] & _MICRO:
            out[8] = bounded((float(features["micro_price"]) - mid) / mid * 1e4)


@compiled
def observe(data, lane, market, memory, order_usdc, position_usdc, now_ns, out):
    """Writes the observation of `market` at `now_ns` into `out`, float32[SIZE], and moves `memory` on.

    `data` MarketData, `lane` Lane, `memory` one record of MEMORY_DTYPE; `order_usdc` and `position_usdc` are what the
    strategy calls an order and the largest position, both above 0. Call it once a decision, times never falling.
    """
    features, position, book = data.features[market], lane.positions[market], data.books[market]
    # Plain floats: where this runs interpreted, an overflow of theirs is infinity and no warning.
    mid = float(features["mid_price"])
    order_lots = lots_per(data.markets[market], mid, order_usdc)
    cap_lots = lots_per(data.markets[market], mid, position_usdc)
    elapsed_s = float(now_ns - memory["time_ns"]) * 1e-9 if memory["started"] != 0 else 0.0
    _note_fills(memory, position, mid, order_lots, elapsed_s)
    below = _note_peak(memory, float(earned_micro(data, lane)), elapsed_s)
    memory["started"] = 1
    memory["time_ns"] = now_ns
    out[0] = bounded(float(position["position_lots"]) / cap_lots)
    _see_volatility(features, mid, out)
    _see_signal(position, now_ns, out)
    _see_book(features, mid, out)
    out[9] = bounded(float(memory["bought"]))
    out[10] = bounded(float(memory["sold"]))
    weight = float(memory["markout_weight"])
    out[11] = bounded(float(memory["markout"]) / weight) if weight > 1e-3 else 0.0
    out[12] = float(_HOUR_NS - now_ns % _HOUR_NS) / float(_HOUR_NS)
    out[13] = bounded(float(book["funding_rate_e12"]) * 1e-8)
    out[14] = bounded(below * 1e-6 / position_usdc * 1e4)
    out[15] = bounded(float(position["open_buy_lots"]) / cap_lots)
    out[16] = bounded(float(position["open_sell_lots"]) / cap_lots)
