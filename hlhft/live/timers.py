"""Named timers of many owners over one alarm of the event loop.

A machine asks for a timer by name and time; one of a name replaces the one before, and none is ever cancelled. What
fires brings a draw, the machine's only randomness: it is taken from the system here, and nowhere else.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from hlhft.hyperliquid.backoff import DRAWS
from hlhft.live.loop import Handle, Loop, Time

NAMES_MAX = 256  # timers that may be set at one time; more is an error of this program
STALE_MAX = 1024  # entries of the heap that were replaced, before it is made anew
NS_PER_SECOND = 1_000_000_000

Fired = Callable[[str, int], None]  # name, draw
Key = tuple[str, str]  # owner, name


class Timers:
    """All timers of an event loop. `draw` gives whole numbers below `hlhft.hyperliquid.backoff.DRAWS`."""

    def __init__(self, loop: Loop, clock: Time, *, draw: Callable[[], int] | None = None) -> None:
        self._loop = loop
        self._clock = clock
        self._system = random.SystemRandom()
        self.draw = draw or (lambda: self._system.randrange(DRAWS))
        self._owners: dict[str, Fired] = {}
        self._due: dict[Key, int] = {}
        self._heap: list[tuple[int, Key]] = []
        self._alarm: Handle | None = None
        self._alarm_ns = 0
        self._is_closed = False

    def own(self, owner: str, fired: Fired) -> None:
        """What happens when a timer of this owner fires. An owner registers once."""
        assert owner not in self._owners, f"{owner} has timers already"
        self._owners[owner] = fired

    def set(self, owner: str, name: str, at_ns: int) -> None:
        """`fired(name, draw)` of the owner at this time or soon after, in place of the owner's timer of this name."""
        key = owner, name
        assert owner in self._owners, f"{owner} has no timers"
        assert key in self._due or len(self._due) < NAMES_MAX, "timers are few, and have constant names"
        self._due[key] = at_ns
        heapq.heappush(self._heap, (at_ns, key))
        if len(self._heap) > len(self._due) + STALE_MAX:
            self._heap = [(due_ns, waiting) for waiting, due_ns in self._due.items()]
            heapq.heapify(self._heap)
        self._arm()

    def close(self) -> None:
        """Nothing fires any more."""
        self._is_closed = True
        self._due.clear()
        self._heap.clear()
        self._arm()

    def __len__(self) -> int:
        return len(self._due)

    def _arm(self) -> None:
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        if not heap:
            self._disarm()
            return
        at_ns = heap[0][0]
        if self._alarm is not None and self._alarm_ns == at_ns:
            return
        self._disarm()
        wait_s = max(0, at_ns - self._clock.now_ns()) / NS_PER_SECOND
        self._alarm_ns = at_ns
        self._alarm = self._loop.call_later(wait_s, self._ring)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _ring(self) -> None:
        """Fires what is due; what is set meanwhile waits for the next turn of the loop, so that sockets have theirs."""
        self._alarm = None
        now_ns = self._clock.now_ns()
        due = []
        while self._heap and self._heap[0][0] <= now_ns:
            at_ns, key = heapq.heappop(self._heap)
            if self._due.get(key) == at_ns:
                due.append((at_ns, key))
        for at_ns, key in due:
            # One that fired before it may have been set anew, or all closed.
            if self._due.get(key) == at_ns and not self._is_closed:
                del self._due[key]
                self._owners[key[0]](key[1], self.draw())
        self._arm()
