"""Virtual time: everything that happens is a call at a time, in whole nanoseconds.

The earliest is first, and of one time the first that was asked for. Whatever raises ends the run, and so does what goes
on for ever while time does not: a timer that is due at once, does nothing and is set again keeps a real process busy.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

START_NS = 1_790_002_620_000_000_000  # three minutes before a full hour, when funding is paid
MS = 1_000_000
SECOND = 1_000_000_000
AT_ONCE_MAX = 100_000  # calls at one instant; a block, and all who hear of it, are some dozen


class Call:
    """Something that is to happen, unless it is cancelled."""

    __slots__ = ("values", "work")

    def __init__(self, work: Callable[..., object], values: tuple[Any, ...]) -> None:
        self.work: Callable[..., object] | None = work
        self.values = values

    def cancel(self) -> None:
        """It does not happen."""
        self.work = None

    def happen(self) -> None:
        """Its time has come, and nobody cancelled it."""
        assert self.work is not None
        self.work(*self.values)


class Time:
    """The one order of all that happens."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self._calls: list[tuple[int, int, Call]] = []
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many calls wait for their time."""
        return len(self._calls)

    def at(self, at_ns: int, work: Callable[..., None], *values: Any) -> Call:
        """Happens at this time, or as soon as possible."""
        call = Call(work, values)
        self.put(at_ns, call)
        return call

    def put(self, at_ns: int, call: Call) -> None:
        """As `at`, for a call that is made already."""
        self._count += 1
        heapq.heappush(self._calls, (at_ns if at_ns > self.now_ns else self.now_ns, self._count, call))

    def run(self, wait_ns: int) -> None:
        """Lets time pass, and happen what is due in it. Raises RuntimeError where that does not end."""
        until_ns, calls, at_once = self.now_ns + wait_ns, self._calls, 0
        while calls and calls[0][0] <= until_ns:
            at_ns, _, call = heapq.heappop(calls)
            at_once = at_once + 1 if at_ns == self.now_ns else 0
            if at_once > AT_ONCE_MAX:
                raise RuntimeError(f"{AT_ONCE_MAX} calls at one instant, the last of {call.work}")
            self.now_ns = at_ns
            if call.work is not None:
                call.happen()
        self.now_ns = until_ns
