"""A market where nothing happens: an oracle that stands still and no order flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hlhft.venue.blocks import ActionKind
from hlhft.venue.chain_state import Chain


class StandingPrices:
    """Tells the same oracle prices every `interval_ns`, so that marks exist and funding is paid."""

    kind: ClassVar[str] = "none"

    def __init__(self, reference_ticks: Sequence[int], *, interval_ns: int) -> None:
        self.reference_ticks = list(reference_ticks)
        self.interval_ns = interval_ns
        self.accounts: Sequence[int] = ()
        self.next_ns = 0

    def legs(self, chain: Chain, legs: np.ndarray, first: int, ts_ns: int) -> int:
        """Writes the legs of the block at `ts_ns` to legs[first:]; returns how many."""
        if ts_ns < self.next_ns:
            return 0
        self.next_ns = ts_ns + self.interval_ns
        count = len(self.reference_ticks)
        rows = legs[first : first + count]
        rows["kind"] = ActionKind.ORACLE_PRICE
        rows["market"] = np.arange(count)
        rows["price_ticks"] = self.reference_ticks
        rows["arrival_ns"] = ts_ns
        return count

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as plain values."""
        return {"reference_ticks": self.reference_ticks, "next_ns": self.next_ns}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Becomes what `state` told."""
        self.reference_ticks = list(state["reference_ticks"])
        self.next_ns = state["next_ns"]
