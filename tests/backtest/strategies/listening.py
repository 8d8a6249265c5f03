"""Quotes nothing and folds what models say, and when it was seen, into its memory."""

import numpy as np

from hlhft.core.state import Feature

NAME = "listening"
FEATURES = Feature.NONE
INTERVAL_NS = 0
ON_FRAME = True
ON_FILL = True
ORIGIN_NS = 1_756_994_400_000_000_000
PARAMS = {}
MEMORY_DTYPE = np.dtype([("asked", np.int64), ("last_ns", np.int64), ("signal_e9", np.int64), ("seen", np.float64)])


def quote(view, params, memory, quotes):
    """Nothing."""
    memory["asked"] += 1
    memory["last_ns"] = view[0]["now_ns"]
    for index in range(len(view)):
        seen = float(view[index]["now_ns"] - ORIGIN_NS) * 1e-6
        if view[index]["signal_valid"]:
            memory["signal_e9"] = view[index]["signal_e9"]
            seen += 3.0 * float(view[index]["signal_e9"]) + 5.0 * float(view[index]["signal_deviation_e9"])
        seen += 7.0 * float(view[index]["policy_gamma_e6"]) + 11.0 * float(view[index]["policy_signal_e6"])
        seen += 13.0 * float(view[index]["policy_spread_e6"]) + 17.0 * float(view[index]["policy_asymmetry_e6"])
        seen += float(view[index]["policy_valid"])
        memory["seen"] = memory["seen"] * 0.75 + seen
    return 0
