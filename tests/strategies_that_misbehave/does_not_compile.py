"""Uses what compiled code cannot."""

import numpy as np

from hlhft.core.state import Feature
from hlhft.core.strategies.common import Parameter

NAME = "does_not_compile"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = False
PARAMS = {"size": Parameter(1.0, 0.0, 1e6, "lots", "order size")}
MEMORY_DTYPE = np.dtype([("calls", np.int64)])


def quote(view, params, memory, quotes):
    text = str(view[0])
    return len({"text": text})
