"""Quotes in waves: new prices in all markets at once, a few times a second, and the same ones with each frame between.

What an address may send is counted in actions and weights, not in orders: where everything moves together, sixty orders
leave in one action. It decides on every frame, as the strategies that trade do. A call may return 64 quotes, so with
fifty markets each has one side, in turn with the other, and the first fourteen have both.
"""

import numpy as np

from hlhft.core.state import QUOTES_MAX
from hlhft.core.strategies.common import Parameter, has_touch, mid_ticks, order_lots, put_quote
from hlhft.core.strategies.glft import FEATURES as DEFAULT_FEATURES

NAME = "waves"
FEATURES = DEFAULT_FEATURES
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {
    "wave_ms": Parameter(260, 10, 60_000, "ms", "time between two waves"),
    "away_bp": Parameter(3, 0, 100, "bp", "from the mid, outward"),
    "order_notional_usdc": Parameter(100, 1, 1e7, "USDC", "size of an order"),
    "position_notional_usdc": Parameter(5_000, 1, 1e9, "USDC", "position at which a side stops"),
}
PLACES = 2 * QUOTES_MAX  # a market has a place for each of its sides
MEMORY_DTYPE = np.dtype(
    [
        ("wave_ns", np.int64),
        ("wave", np.int64),
        ("ticks", np.int64, (PLACES,)),
        ("lots", np.int64, (PLACES,)),
    ]
)


def quote(view, params, memory, quotes):
    markets = min(len(view), QUOTES_MAX)
    now_ns = view[0]["now_ns"]
    is_new = now_ns - memory["wave_ns"] >= int(params["wave_ms"]) * 1_000_000
    if is_new:
        memory["wave_ns"] = now_ns
        memory["wave"] += 1
    count = 0
    for index in range(markets):
        market = view[index]
        first = 1 if (index + memory["wave"]) % 2 == 0 else -1
        for turn in range(2):
            if turn == 1 and index >= QUOTES_MAX - markets:
                continue
            side = first if turn == 0 else -first
            place = 2 * index + turn
            if is_new:
                memory["ticks"][place] = 0
                if has_touch(market):
                    mid = mid_ticks(market)
                    cap = order_lots(market, params["position_notional_usdc"], mid)
                    lots = order_lots(market, params["order_notional_usdc"], mid)
                    # A side that comes again stands elsewhere: every wave moves every order.
                    away = (params["away_bp"] + 0.5 * (memory["wave"] % 4)) * mid / 1e4
                    if side * market["position_lots"] < cap:
                        before = count
                        count = put_quote(quotes, count, market, side, mid - side * away, lots, 0.0)
                        if count > before:
                            memory["ticks"][place] = quotes[before]["price_ticks"]
                            memory["lots"][place] = lots
                continue
            ticks = memory["ticks"][place]
            opposite = market["best_ask_ticks"] if side > 0 else market["best_bid_ticks"]
            # A price that the market has come to is left alone until the next wave: it would be refused.
            if ticks > 0 and opposite > 0 and side * (opposite - ticks) > 0:
                quotes[count]["market"] = index
                quotes[count]["side"] = side
                quotes[count]["price_ticks"] = ticks
                quotes[count]["size_lots"] = memory["lots"][place]
                quotes[count]["time_in_force"] = 0
                quotes[count]["reduce_only"] = 0
                count += 1
    return count
