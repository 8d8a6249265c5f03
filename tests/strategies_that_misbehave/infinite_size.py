"""Makes a size of an infinity."""

import numpy as np

from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "infinite_size"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}
MEMORY_DTYPE = np.dtype([("calls", np.int64)])


def quote(view, params, memory, quotes):
    quotes[0]["price_ticks"] = view[0]["best_bid_ticks"]
    quotes[0]["size_lots"] = int(float(params["size"]) * 1e308 * 1e308)
    quotes[0]["side"] = 1
    quotes[0]["market"] = 0
    quotes[0]["time_in_force"] = 0
    return 1
