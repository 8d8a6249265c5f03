"""Writes behind the end of the quotes."""

import numpy as np

from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "writes_out_of_bounds"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}
MEMORY_DTYPE = np.dtype([("calls", np.int64)])


def quote(view, params, memory, quotes):
    for index in range(len(quotes) + 1):
        quotes[index]["price_ticks"] = 100
    return 1
