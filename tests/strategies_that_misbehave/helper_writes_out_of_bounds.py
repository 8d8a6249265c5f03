"""Writes behind the end of the quotes in a compiled function of its own."""

import numpy as np

from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "helper_writes_out_of_bounds"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}
MEMORY_DTYPE = np.dtype([("calls", np.int64)])

from hlhft.compiled import compiled  # noqa: E402


@compiled
def fill(quotes, count):
    for index in range(count):
        quotes[index]["price_ticks"] = 100


def quote(view, params, memory, quotes):
    fill(quotes, len(quotes) + 1)
    return 1
