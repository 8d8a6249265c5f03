"""A strategy that quotes ten ticks around the middle and notes each decision: what it saw, and what it wanted."""

import numpy as np

NAME = "noting"
FEATURES = 0
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {}
MEMORY_DTYPE = np.dtype([("count", np.int64), ("now_ns", np.int64, (120,)), ("bid_ticks", np.int64, (120,))])


def quote(view, params, memory, quotes):
    bid, ask = view[0]["best_bid_ticks"], view[0]["best_ask_ticks"]
    if bid == 0 or ask == 0 or memory["count"] == 120:
        return 0
    middle = (bid + ask) // 2
    memory["now_ns"][memory["count"]] = view[0]["now_ns"]
    memory["bid_ticks"][memory["count"]] = middle - 10
    memory["count"] += 1
    for index in range(2):
        entry = quotes[index]
        entry["price_ticks"] = middle - 10 + 20 * index
        entry["size_lots"] = 1000
        entry["market"] = 0
        entry["side"] = 1 - 2 * index
        entry["time_in_force"] = 0
        entry["reduce_only"] = 0
    return 2
