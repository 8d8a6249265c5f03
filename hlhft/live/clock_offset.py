"""How far this clock has gone from the venue's since they were compared: a pure machine.

The venue stamps every book, and a book takes some time to come. The least that any took in a while hardly changes;
when it does, one of the clocks has moved. So what the least of a window is above that of the first is what this clock
gained.
"""

from __future__ import annotations

WINDOW_NS = 10_000_000_000


class ClockOffset:
    """This clock less the venue's. `offset_ns` is what was measured at the start, at `now_ns`."""

    def __init__(self, *, offset_ns: int, now_ns: int) -> None:
        self.offset_ns = offset_ns
        self._start_ns = offset_ns
        self._first_ns: int | None = None  # least time of the first window
        self._begun_ns = now_ns

    def look(self, now_ns: int, least_ns: int | None) -> bool:
        """Takes the least time that a book took since the window began, None where none came, by the clocks as they
        are; whether the window is over, and the next one begins."""
        if now_ns - self._begun_ns < WINDOW_NS:
            return False
        self._begun_ns = now_ns
        if least_ns is None:
            return True  # nothing is known that is newer
        if self._first_ns is None:
            self._first_ns = least_ns
        self.offset_ns = self._start_ns + least_ns - self._first_ns
        return True
