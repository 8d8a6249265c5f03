"""Takes its time: some ten milliseconds compiled, more interpreted."""

import numpy as np

from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "slow"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}
MEMORY_DTYPE = np.dtype([("calls", np.int64)])


def quote(view, params, memory, quotes):
    value = float(view[0]["best_bid_ticks"])
    for _ in range(400000):
        value = np.sin(value) + 1.0
    return 0 if value > -1.0 else 1
