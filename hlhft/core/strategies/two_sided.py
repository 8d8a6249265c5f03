"""A fixed half-spread around the mid with a linear skew: the plain baseline every other strategy must beat."""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import Feature
from hlhft.core.strategies.common import (
    BP,
    COUNT,
    Parameter,
    after_fees,
    has_touch,
    mid_ticks,
    order_lots,
    put_ladder,
)

NAME = "two_sided"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "half_spread_bp": Parameter(1.0, 0.0, 1000.0, "bp", "half-spread around the skewed mid"),
    "skew_bp": Parameter(1.0, 0.0, 1000.0, "bp", "how far a full position moves the centre"),
    "order_notional_usdc": Parameter(500.0, 1.0, 1e7, "USDC", "value of one order"),
    "position_notional_usdc": Parameter(5000.0, 1.0, 1e9, "USDC", "largest position worth holding"),
    "levels": Parameter(1, 1, 20, COUNT, "price levels quoted a side"),
    "level_gap_bp": Parameter(1.0, 0.0, 1000.0, "bp", "distance between levels"),
    "fee_coverage": Parameter(0.0, 0.0, 10.0, "share", "share of the maker fee that the half-spread must cover"),
}
MEMORY_DTYPE = np.dtype([("decisions", np.int64)])


@compiled
def quote_market(market, params, quotes):
    """Quotes one market; returns the number of quotes."""
    if not has_touch(market):
        return 0
    mid = mid_ticks(market)
    lots = order_lots(market, params["order_notional_usdc"], mid)
    cap_lots = order_lots(market, params["position_notional_usdc"], mid)
    if lots == 0:
        return 0
    filled = float(market["position_lots"]) / float(cap_lots)
    unit = BP * mid
    centre = mid - params["skew_bp"] * unit * min(max(filled, -1.0), 1.0)
    half = after_fees(market, params["half_spread_bp"], params["fee_coverage"]) * unit
    return put_ladder(
        quotes, market, centre, half, lots, cap_lots, int(params["levels"]), params["level_gap_bp"] * unit
    )


def quote(view, params, memory, quotes):
    """Two sides in every market."""
    memory["decisions"] += 1
    count = 0
    for index in range(len(view)):
        count += quote_market(view[index], params, quotes[count:])
    return count
