"""An immediate order with every frame, at a price that does not trade: one action a frame, and nothing that rests."""

import numpy as np

from hlhft.core.strategies.common import Parameter, has_touch

NAME = "immediate"
FEATURES = 127
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"lots": Parameter(150, 1, 1e9, "lots", "size of an order")}
MEMORY_DTYPE = np.dtype([("unused", np.int64)])


def quote(view, params, memory, quotes):
    market = view[0]
    if not has_touch(market):
        return 0
    quotes[0]["market"] = 0
    quotes[0]["side"] = 1
    quotes[0]["price_ticks"] = market["best_bid_ticks"]
    quotes[0]["size_lots"] = int(params["lots"])
    quotes[0]["time_in_force"] = 2
    quotes[0]["reduce_only"] = 0
    return 1
