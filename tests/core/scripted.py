"""A strategy that quotes what its memory holds: a test writes there what it wants quoted."""

import numpy as np

NAME = "scripted"
FEATURES = 0
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
PARAMS = {}
MEMORY_DTYPE = np.dtype(
    [
        ("count", np.int64),  # what quote returns
        ("fails", np.int64),  # 1: it raises
        ("calls", np.int64),
        ("seen_mode", np.int64),
        ("price_ticks", np.int64, (64,)),
        ("size_lots", np.int64, (64,)),
        ("market", np.int64, (64,)),
        ("side", np.int64, (64,)),
        ("time_in_force", np.int64, (64,)),
        ("reduce_only", np.int64, (64,)),
    ]
)


def quote(view, params, memory, quotes):
    memory["calls"] += 1
    memory["seen_mode"] = view[0]["mode"]
    if memory["fails"]:
        raise ValueError("as told")
    for index in range(min(max(memory["count"], 0), 64)):
        entry = quotes[index]
        entry["price_ticks"] = memory["price_ticks"][index]
        entry["size_lots"] = memory["size_lots"][index]
        entry["market"] = memory["market"][index]
        entry["side"] = memory["side"][index]
        entry["time_in_force"] = memory["time_in_force"][index]
        entry["reduce_only"] = memory["reduce_only"][index]
    return memory["count"]
