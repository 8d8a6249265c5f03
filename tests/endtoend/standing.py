"""Quotes where it first stood: a bid below and an ask above round prices, which a moving market does not change."""

from __future__ import annotations

from hlhft.core.strategies.common import Parameter, has_touch, mid_ticks, order_lots, put_quote
from hlhft.core.strategies.glft import FEATURES as DEFAULT_FEATURES
from hlhft.core.strategies.glft import MEMORY_DTYPE as DEFAULT_MEMORY_DTYPE

NAME = "standing"
FEATURES = DEFAULT_FEATURES
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {"order_notional_usdc": Parameter(100, 1, 1e7, "USDC", "size of an order at the round price")}
MEMORY_DTYPE = DEFAULT_MEMORY_DTYPE
ROUND = 0.02  # the prices stand on a grid of this share, so far from the market that it stays between two


def quote(view, params, memory, quotes):
    count = 0
    for index in range(len(view)):
        market = view[index]
        if not has_touch(market):
            continue
        # A power of two is the same for every mid between it and the next one.
        base = 1.0
        mid = mid_ticks(market)
        while base * 2.0 <= mid:
            base *= 2.0
        step = ROUND * base
        below = step * ((mid // step) - 1.0)
        lots = order_lots(market, params["order_notional_usdc"], base)
        count = put_quote(quotes, count, market, 1, below, lots, 0.0)
        count = put_quote(quotes, count, market, -1, below + 3.0 * step, lots, 0.0)
    return count
