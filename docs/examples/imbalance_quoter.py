"""Quotes both sides around the mid, leaning with the imbalance of the book's first levels, less so with inventory.

Try it: hlhft backtest --strategy docs/examples/imbalance_quoter.py --param lean_bp=2
"""

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import Feature
from hlhft.core.strategies.common import COUNT, Parameter, has_touch, mid_ticks, order_lots, put_ladder

NAME = "imbalance_quoter"
FEATURES = Feature.IMBALANCE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "half_spread_bp": Parameter(2.0, 0.0, 100.0, "bp", "half-spread around the centre"),
    "lean_bp": Parameter(1.0, 0.0, 100.0, "bp", "how far a book with one side only would move the centre"),
    "depth": Parameter(3, 1, 5, COUNT, "levels that the imbalance counts"),
    "memory_share": Parameter(0.9, 0.0, 0.999, "share", "how much of the imbalance before a decision keeps"),
    "skew_bp": Parameter(2.0, 0.0, 100.0, "bp", "how far a full position moves the centre"),
    "order_notional_usdc": Parameter(200.0, 1.0, 1e6, "USDC", "value of one order"),
    "position_notional_usdc": Parameter(2000.0, 1.0, 1e7, "USDC", "largest position worth holding"),
}
MEMORY_DTYPE = np.dtype([("imbalance", np.float64)])


@compiled
def smoothed(memory, imbalance, share):
    """The imbalance, -1..1, averaged over decisions."""
    memory["imbalance"] = share * memory["imbalance"] + (1.0 - share) * imbalance
    return memory["imbalance"]


def quote(view, params, memory, quotes):
    """Two sides in the first market; none until the book has two sides and the imbalance is known."""
    market = view[0]
    if not has_touch(market) or market["features"]["ready"] & 2 == 0:
        return 0
    mid = mid_ticks(market)
    lots = order_lots(market, params["order_notional_usdc"], mid)
    cap_lots = order_lots(market, params["position_notional_usdc"], mid)
    imbalance = market["features"]["imbalance"][int(params["depth"]) - 1]
    filled = float(market["position_lots"]) / float(max(cap_lots, 1))
    shift_bp = params["lean_bp"] * smoothed(memory, imbalance, params["memory_share"])
    shift_bp -= params["skew_bp"] * min(max(filled, -1.0), 1.0)
    unit = 1e-4 * mid
    return put_ladder(quotes, market, mid + shift_bp * unit, params["half_spread_bp"] * unit, lots, cap_lots, 1, 0.0)
