"""The time of this process: nanoseconds since the Unix epoch that never run backwards.

Between two looks at the wall clock the monotonic clock carries it. What the two differ by is taken up slowly, at most
SLEW_SHARE of the time that passed, so that two readings are as far apart as the moments were. Only a wall clock that
leaps ahead is followed at once: it was set right, or the machine slept, and expiries and nonces need the venue's time.
Behind one that leaps back this clock waits, by the same slow share. Either leap is counted, and told to whoever asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SLEW_SHARE = 1_000  # one part in a thousand: a second of error is gone after a quarter of an hour
STEP_NS = 250_000_000  # a difference that no drift of a quartz between two looks explains


class Clock:
    """One clock; `now_ns` is cheap enough for every frame, `discipline` is called about once a second."""

    def __init__(
        self,
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.steps = 0  # leaps of the wall clock so far
        self.step_ns = 0  # the last of them, signed
        self.error_ns = 0  # what is left to be taken up, at the last look
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._looked_ns = monotonic_ns()
        self._offset_ns = wall_ns() - self._looked_ns
        self._floor_ns = 0  # what was the time when the offset fell last

    def now_ns(self) -> int:
        """The time, never before what was returned earlier."""
        now_ns = self._monotonic_ns() + self._offset_ns
        return now_ns if now_ns > self._floor_ns else self._floor_ns

    def discipline(self) -> int:
        """Looks at the wall clock, and takes up a part of the difference; returns the leap, 0 without one."""
        monotonic_ns = self._monotonic_ns()
        passed_ns = monotonic_ns - self._looked_ns
        self._looked_ns = monotonic_ns
        error_ns = self._wall_ns() - (monotonic_ns + self._offset_ns)
        leap_ns = error_ns - self.error_ns
        is_leap = abs(leap_ns) > STEP_NS
        if is_leap:
            self.steps += 1
            self.step_ns = leap_ns
        if error_ns > STEP_NS:
            taken_ns = error_ns
        else:
            slew_ns = passed_ns // SLEW_SHARE
            taken_ns = max(-slew_ns, min(slew_ns, error_ns))
        if taken_ns < 0:
            # Whoever looked just now must not see less: for a moment the time stands still.
            self._floor_ns = self.now_ns()
        self._offset_ns += taken_ns
        self.error_ns = error_ns - taken_ns
        return leap_ns if is_leap else 0
