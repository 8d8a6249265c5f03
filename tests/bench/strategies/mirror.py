"""The bench's quoter, decision for decision what tests/bench/rival.py does with hftbacktest: 1 or 20 quotes a side."""

import math

import numpy as np

from hlhft.core.strategies.common import Parameter

NAME = "mirror"
FEATURES = 0
INTERVAL_NS = 10_000_000
ON_FRAME = False
ON_FILL = False
PARAMS = {
    "order_lots": Parameter(1, 1, 1e9, "lots", "size of an order"),
    "cap_lots": Parameter(10, 1, 1e12, "lots", "position at which a side stops"),
    "half": Parameter(5, 0, 1e6, "ticks", "half-spread"),
    "skew": Parameter(1, 0, 1e6, "ticks", "shift of the centre by one order size held"),
    "grid": Parameter(1, 1, 1e6, "ticks", "prices are multiples of this"),
    "levels": Parameter(1, 1, 20, "count", "prices a side"),
}
MEMORY_DTYPE = np.dtype([("unused", np.int64)])


def quote(view, params, memory, quotes):
    market = view[0]
    best_bid, best_ask = market["best_bid_ticks"], market["best_ask_ticks"]
    if best_bid <= 0 or best_ask <= 0 or best_bid >= best_ask:
        return 0
    position = market["position_lots"]
    grid = params["grid"]
    half = params["half"]
    order_lots = params["order_lots"]
    centre = 0.5 * (best_bid + best_ask) - params["skew"] * (float(position) / order_lots)
    bid = min(math.floor((centre - half) / grid) * grid, math.floor(best_bid / grid) * grid)
    ask = max(math.ceil((centre + half) / grid) * grid, math.ceil(best_ask / grid) * grid)
    levels = int(params["levels"])
    cap_lots = params["cap_lots"]
    lots = int(order_lots)
    count = 0
    if position < cap_lots:
        for level in range(levels):
            entry = quotes[count]
            entry["price_ticks"] = int(bid - level * grid)
            entry["size_lots"] = lots
            entry["market"] = 0
            entry["side"] = 1
            entry["time_in_force"] = 0
            entry["reduce_only"] = 0
            count += 1
    if position > -cap_lots:
        for level in range(levels):
            entry = quotes[count]
            entry["price_ticks"] = int(ask + level * grid)
            entry["size_lots"] = lots
            entry["market"] = 0
            entry["side"] = -1
            entry["time_in_force"] = 0
            entry["reduce_only"] = 0
            count += 1
    return count
