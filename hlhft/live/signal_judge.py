"""Signals judged while the session runs: was the move what was expected, and as far from it as the deviation said?

Of each market at most one signal a second is remembered, with the mid of the moment it was heard; once its horizon has
passed, the mid of that moment is compared. A pure machine: time and mids are arguments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum

EVERY_NS = 1_000_000_000
E9 = 1_000_000_000
SURPRISE_MAX = 1e6  # of one signal; a deviation that is next to nothing does not hide all others


class Outcome(IntEnum):
    """What became of a signal; the value is its place in the counts."""

    HIT = 0
    MISS = 1
    FLAT = 2  # the mid stands where it stood


@dataclass(slots=True)
class Judged:
    """One market."""

    counts: list[int] = field(default_factory=lambda: [0] * len(Outcome))
    surprise: float = 0.0  # sum of squared errors, each in its own deviations
    data_ns: int = 0  # of what the newest signal was made of, 0 for none
    noted_ns: int = 0
    pending: deque[tuple[int, int, int, int]] = field(default_factory=deque)  # due, twice the mid, move, deviation


class SignalJudge:
    """Judges the signals of `markets` markets `horizon_ns` after they were heard; of each remembers at most one for
    every second of the horizon, and two more."""

    def __init__(self, markets: int, *, horizon_ns: int) -> None:
        assert horizon_ns > 0, "a move takes time"
        self.markets = [Judged() for _ in range(markets)]
        self._horizon_ns = horizon_ns
        self._pending_max = horizon_ns // EVERY_NS + 2

    def heard(
        self, market: int, *, now_ns: int, data_ns: int, move_e9: int, deviation_e9: int, mid_half_ticks: int
    ) -> None:
        """A signal stands from now on: expected move and deviation in 1e-9 of the mid, which is told twice, 0 unknown.

        It is not judged where the mid is not known or it has no deviation, as the end of a signal has none.
        """
        judged = self.markets[market]
        if deviation_e9 <= 0:
            return
        judged.data_ns = data_ns
        if not mid_half_ticks or (judged.noted_ns and now_ns - judged.noted_ns < EVERY_NS):
            return
        judged.noted_ns = now_ns
        if len(judged.pending) >= self._pending_max:
            judged.pending.popleft()  # nobody has looked for longer than the horizon
        judged.pending.append((now_ns + self._horizon_ns, mid_half_ticks, move_e9, deviation_e9))

    def look(self, market: int, *, now_ns: int, mid_half_ticks: int) -> None:
        """Judges what is due by the present mid, twice it; 0 unknown: then what is due is dropped."""
        judged = self.markets[market]
        pending = judged.pending
        while pending and pending[0][0] <= now_ns:
            _, before, move_e9, deviation_e9 = pending.popleft()
            if not mid_half_ticks:
                continue
            moved = mid_half_ticks - before
            judged.counts[_outcome(moved, move_e9)] += 1
            error = (moved * E9 / before - move_e9) / deviation_e9
            judged.surprise += min(error * error, SURPRISE_MAX)


def _outcome(moved: int, expected: int) -> Outcome:
    if moved == 0:
        return Outcome.FLAT
    return Outcome.HIT if moved * expected > 0 else Outcome.MISS
