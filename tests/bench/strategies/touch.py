"""Quotes the touch, or so far from it: who would win if nobody knew better. tests/bench/naive.py does the same."""

import numpy as np

from hlhft.core.strategies.common import Parameter, has_touch, mid_ticks, order_lots, put_quote

NAME = "touch"
FEATURES = 0
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "away_bp": Parameter(0, -100, 100, "bp", "from the touch, outward"),
    "order_notional_usdc": Parameter(500, 1, 1e7, "USDC", "size of an order"),
    "position_notional_usdc": Parameter(5_000, 1, 1e9, "USDC", "position at which a side stops"),
}
MEMORY_DTYPE = np.dtype([("unused", np.int64)])


def quote(view, params, memory, quotes):
    market = view[0]
    if not has_touch(market):
        return 0
    mid = mid_ticks(market)
    lots = order_lots(market, params["order_notional_usdc"], mid)
    cap = order_lots(market, params["position_notional_usdc"], mid)
    away = params["away_bp"] * mid / 1e4
    count = 0
    if market["position_lots"] < cap:
        count = put_quote(quotes, count, market, 1, float(market["best_bid_ticks"]) - away, lots, 0.0)
    if market["position_lots"] > -cap:
        count = put_quote(quotes, count, market, -1, float(market["best_ask_ticks"]) + away, lots, 0.0)
    return count
