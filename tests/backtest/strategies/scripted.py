"""Quotes what its parameters say: up to eight orders, each wanted from one moment until another.

A `kind` is time in force + 10 x reduce-only + 100 x market. Moments are milliseconds after ORIGIN_NS. The memory keeps
how often it was asked and a sum over everything it saw, so that two runs that show it different things differ there.
"""

import numpy as np

from hlhft.compiled import compiled
from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "scripted"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
ORIGIN_NS = 1_756_994_400_000_000_000
STEPS = 8
FIELDS = ("from", "until", "side", "ticks", "lots", "kind")
PARAMS = {
    f"{field}_{step}": Parameter(0.0, -1e12, 1e12, "", "part of a step") for step in range(STEPS) for field in FIELDS
}
MEMORY_DTYPE = np.dtype([("asked", np.int64), ("first_ns", np.int64), ("last_ns", np.int64), ("seen", np.float64)])


@compiled
def step(quotes, count, now_ms, start, until, side, ticks, lots, kind):
    """Adds one order when its time is now; returns the count."""
    if not start <= now_ms < until:
        return count
    quote = quotes[count]
    quote["price_ticks"] = int(ticks)
    quote["size_lots"] = int(lots)
    quote["market"] = int(kind) // 100
    quote["side"] = int(side)
    quote["time_in_force"] = int(kind) % 10
    quote["reduce_only"] = int(kind) // 10 % 10
    return count + 1


@compiled
def observe(view, memory):
    """Folds what a market shows into the memory; weights keep a swap of two values from going unnoticed."""
    features = view["features"]
    seen = 3.0 * float(view["best_bid_ticks"]) + 5.0 * float(view["best_ask_ticks"]) + float(view["mark_ticks"])
    seen += 7.0 * float(view["best_bid_lots"]) + 11.0 * float(view["best_ask_lots"]) + float(view["book_age_ns"])
    seen += features["micro_price"] + features["vamp"] + features["trade_imbalance"] + features["intensity_a"]
    for level in range(5):
        seen += features["imbalance"][level] + features["order_flow_imbalance"][level]
        seen += float(view["bid_ticks"][level] * view["bid_lots"][level])
        seen += float(view["ask_ticks"][level] * view["ask_lots"][level])
    for scale in range(3):
        seen += features["volatility"][scale]
    memory["seen"] = memory["seen"] * 0.75 + seen


def quote(view, params, memory, quotes):
    """The orders whose time it is."""
    now_ns = view[0]["now_ns"]
    memory["asked"] += 1
    memory["last_ns"] = now_ns
    if memory["first_ns"] == 0:
        memory["first_ns"] = now_ns
    for index in range(len(view)):
        observe(view[index], memory)
    now = float(now_ns - ORIGIN_NS) * 1e-6
    p = params
    count = step(quotes, 0, now, p["from_0"], p["until_0"], p["side_0"], p["ticks_0"], p["lots_0"], p["kind_0"])
    count = step(quotes, count, now, p["from_1"], p["until_1"], p["side_1"], p["ticks_1"], p["lots_1"], p["kind_1"])
    count = step(quotes, count, now, p["from_2"], p["until_2"], p["side_2"], p["ticks_2"], p["lots_2"], p["kind_2"])
    count = step(quotes, count, now, p["from_3"], p["until_3"], p["side_3"], p["ticks_3"], p["lots_3"], p["kind_3"])
    count = step(quotes, count, now, p["from_4"], p["until_4"], p["side_4"], p["ticks_4"], p["lots_4"], p["kind_4"])
    count = step(quotes, count, now, p["from_5"], p["until_5"], p["side_5"], p["ticks_5"], p["lots_5"], p["kind_5"])
    count = step(quotes, count, now, p["from_6"], p["until_6"], p["side_6"], p["ticks_6"], p["lots_6"], p["kind_6"])
    return step(quotes, count, now, p["from_7"], p["until_7"], p["side_7"], p["ticks_7"], p["lots_7"], p["kind_7"])
