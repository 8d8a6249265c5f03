"""One executed block, as the kernel hands it to everything that remembers and tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """One executed block. The arrays are copies that nobody writes to."""

    height: int
    time_ns: int
    legs: np.ndarray  # ACTION_DTYPE, in the order of arrival
    hashes: tuple[str, ...]  # transaction hash of each leg's action, "0x" and 64 digits
    events: np.ndarray  # VENUE_EVENT_DTYPE, in the order of execution; `leg` is a row of `legs` or -1
