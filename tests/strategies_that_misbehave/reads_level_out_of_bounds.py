"""Reads a sixth level of five."""

import numpy as np

from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "reads_level_out_of_bounds"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}
MEMORY_DTYPE = np.dtype([("calls", np.int64)])


def quote(view, params, memory, quotes):
    total = 0
    for level in range(6):
        total += view[0]["bid_ticks"][level]
    return 0 * total
