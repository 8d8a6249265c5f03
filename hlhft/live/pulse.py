"""How late the event loop is, and garbage collected only while it has nothing to do.

A timer beats every few milliseconds. Sockets that became readable are served before a timer that is due, so a callback
can see by the beat that is overdue for how long the loop, or the whole process, stood still: what it now reads may have
waited all that time in the kernel.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable

from hlhft.live.loop import Handle, Loop, Time
from hlhft.monitor.histogram import Histogram

PERIOD_NS = 10_000_000
QUIET_NS = 2_000_000  # without a frame: the next is due no sooner than in about as long
YOUNG_MAX = 2_000  # objects made since the last collection, before a quiet moment is used for the next
YOUNG_FORCED = 200_000  # the same, when no moment is quiet
MIDDLE_EVERY_NS = 15_000_000_000
FULL_EVERY_NS = 300_000_000_000
NS_PER_SECOND = 1_000_000_000


class Pulse:
    """The beat of one loop. `late(lateness_ns)` hears of each beat that is later than `told_ns`."""

    def __init__(self, loop: Loop, clock: Time, *, told_ns: int, late: Callable[[int], None]) -> None:
        self.loop = loop  # that it beats in
        self.due_ns = 0  # when the next beat is due
        self.busy_ns = 0  # when a frame came last; the feed writes it
        self.lateness = Histogram()
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._told_ns = told_ns
        self._late = late
        self._told_due_ns = 0
        self._middle_ns = 0
        self._full_ns = 0
        self._is_collecting = False
        self._is_polling = False
        self._timer: Handle | None = None

    def start(self, *, collects: bool, polls: bool = False) -> None:
        """Begins to beat. With `collects` the collector runs in quiet moments only, and what is there now is looked
        through no more. With `polls` the loop never sleeps: what arrives waits for no wake-up."""
        self._is_collecting = collects
        self._is_polling = polls
        if polls:
            self.loop.call_soon(self._turn)
        if collects:
            gc.collect()
            gc.freeze()
            gc.disable()
        now_ns = self._clock.now_ns()
        self._middle_ns, self._full_ns = now_ns + MIDDLE_EVERY_NS, now_ns + FULL_EVERY_NS
        self._arm(now_ns)

    def stop(self) -> None:
        """Beats no more; the collector is as it was."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.due_ns = 0
        self._is_polling = False
        if self._is_collecting:
            self._is_collecting = False
            gc.enable()
            gc.unfreeze()

    def lateness_ns(self, now_ns: int) -> int:
        """How overdue the beat is, 0 when it is not; tells it once when it is much."""
        late_ns = now_ns - self.due_ns
        if late_ns <= 0 or self.due_ns == 0:
            return 0
        if late_ns > self._told_ns and self._told_due_ns != self.due_ns:
            self._told_due_ns = self.due_ns
            self.counters["times the loop was late"] += 1
            self._late(late_ns)
        return late_ns

    def _turn(self) -> None:
        """Has the loop look at its sockets again at once."""
        if self._is_polling:
            self.loop.call_soon(self._turn)

    def _arm(self, now_ns: int) -> None:
        self.due_ns = now_ns + PERIOD_NS
        self._timer = self.loop.call_later(PERIOD_NS / NS_PER_SECOND, self._beat)

    def _beat(self) -> None:
        now_ns = self._clock.now_ns()
        self.lateness.note(self.lateness_ns(now_ns))
        # Armed first: what follows may be told to somebody who asks how late it is.
        self._arm(now_ns)
        if self._is_collecting:
            self._collect(now_ns)
            self.due_ns = max(self.due_ns, self._clock.now_ns())

    def _collect(self, now_ns: int) -> None:
        """The smallest collection that is due, when it is quiet."""
        young = gc.get_count()[0]
        is_quiet = now_ns - self.busy_ns > QUIET_NS
        if young < YOUNG_MAX or not (is_quiet or young > YOUNG_FORCED):
            return
        generation = 0
        if is_quiet and now_ns >= self._full_ns:
            generation = 2
            self._full_ns = now_ns + FULL_EVERY_NS
        elif is_quiet and now_ns >= self._middle_ns:
            generation = 1
            self._middle_ns = now_ns + MIDDLE_EVERY_NS
        gc.collect(generation)
        self.counters[f"collections of generation {generation}"] += 1
