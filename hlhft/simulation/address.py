"""What was sent with an address: its allowance is one, and of those who use it none knows what the others send.

What is told here is what reached the exchange, in order of time. A nonce is that of an engine; 0 is somebody else's, or
of what the engine cannot know any more.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from hlhft.hyperliquid.gateway_send import STALE_CHARGE
from hlhft.simulation.account import READ_NS_MAX
from hlhft.simulation.time import SECOND

USED_MAX = 4096  # actions that are remembered
UNDER_WAY_NS = 15 * SECOND  # what somebody sent before an engine began is executed by then


class Address:
    """All that was sent with one."""

    def __init__(self) -> None:
        # Of each action when, its nonce, and for how many it counts at most.
        self._used: deque[tuple[int, int, int]] = deque(maxlen=USED_MAX)
        self._sent_ns: dict[str, int] = {}  # when each sender did last

    def begins(self, now_ns: int) -> None:
        """An engine begins: what was sent long before it, it has been told of."""
        while self._used and self._used[0][0] < now_ns - UNDER_WAY_NS:
            self._used.popleft()
        self._sent_ns = {name: at_ns for name, at_ns in self._sent_ns.items() if now_ns - at_ns < UNDER_WAY_NS}

    def sent(self, sender: str, action: dict[str, Any], nonce: int, now_ns: int) -> None:
        """An action arrived."""
        legs = action.get("orders") or action.get("cancels") or action.get("modifies") or (action,)
        self._used.append((now_ns, nonce, STALE_CHARGE * len(legs)))
        self._sent_ns[sender] = now_ns

    def voids(self, nonce: int, now_ns: int) -> None:
        """A noop arrived under a nonce: what it voids may be executed long after, and is charged then."""
        voided = [legs for _, given, legs in self._used if given == nonce]
        self._used.extend((now_ns, 0, legs) for legs in voided)

    def of_others(self, earlier_nonce: int) -> int:
        """For how many actions at most it may count what the engine does not know: of sessions up to a nonce, too."""
        return sum(legs for _, nonce, legs in self._used if nonce <= earlier_nonce)

    def is_shared(self, sender: str, now_ns: int) -> bool:
        """Whether somebody else sent something that the sender need not know of yet: where the allowance is used up,
        one of them was first."""
        return any(now_ns - at_ns < READ_NS_MAX for name, at_ns in self._sent_ns.items() if name != sender)
