"""A node's book held against the venue's: at the same block both have the same best prices, or one of them is wrong.

The venue's book of five levels comes twice a second and is the state after its block (venue reference section 6.2). It
is compared once the node has told a later block, so that nothing of that one is still to come. Pure; a market a piece.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

TOUCHES_MAX = 512  # of the node that are remembered, the newest: half a minute of blocks that each change it
DIFFERENCES_MAX = 3  # in a row; one may be a frame on its way while the books begin


class Agreement:
    """One market."""

    def __init__(self) -> None:
        self.compared = 0
        self.differences = 0  # in a row
        self._touches: deque[tuple[int, int, int]] = deque(maxlen=TOUCHES_MAX)  # block time in ms, bid, ask
        self._block_ms = 0  # of the node's newest block
        self._waiting: tuple[int, int, int] | None = None  # what the venue said of a block that is not over here

    def begin(self) -> None:
        """The node's book begins anew: what was said of the one before does not count."""
        self._touches.clear()
        self._waiting = None
        self.differences = 0

    def node(self, block_ms: int, bid_ticks: int, ask_ticks: int) -> bool:
        """The node's best prices after a block, or a part of it, 0 for an empty side; whether the books differ for too
        long by now."""
        self._block_ms = block_ms
        if not self._touches or self._touches[-1][1:] != (bid_ticks, ask_ticks):
            if self._touches and self._touches[-1][0] == block_ms:
                self._touches.pop()
            self._touches.append((block_ms, bid_ticks, ask_ticks))
        if self._waiting is None or self._waiting[0] >= block_ms:
            return False
        waiting, self._waiting = self._waiting, None
        return self._compare(*waiting)

    def venue(self, block_ms: int, bid_ticks: int, ask_ticks: int) -> bool:
        """The venue's best prices after a block; whether the books differ for too long by now."""
        if block_ms >= self._block_ms:
            # One that waits already comes first: of a node that is behind the newest would never be reached.
            self._waiting = self._waiting or (block_ms, bid_ticks, ask_ticks)
            return False
        return self._compare(block_ms, bid_ticks, ask_ticks)

    def _compare(self, block_ms: int, bid_ticks: int, ask_ticks: int) -> bool:
        place = bisect_right(self._touches, block_ms, key=lambda touch: touch[0])
        if place == 0:
            return False  # of a block before the book began, or one that is forgotten
        self.compared += 1
        if self._touches[place - 1][1:] == (bid_ticks, ask_ticks):
            self.differences = 0
        else:
            self.differences += 1
        return self.differences >= DIFFERENCES_MAX
