"""How long to wait before the next try, and how often something may be done within a minute.

Pure: time is an argument in nanoseconds that never runs backwards, a random number comes in as a whole number below
DRAWS. The venue allows 30 new connections and 2,000 sent messages a minute, per IP address and not per socket (venue
reference section 7): a `Budget` is a record that everything in a process that draws on the same limit shares.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000
DRAWS = 1 << 32  # a draw is a whole number from 0 to DRAWS - 1
CONNECTS_PER_MINUTE_MAX = 30
MESSAGES_PER_MINUTE_MAX = 2_000
# A minute at the venue, and one second for what is under way: of two messages sent a minute apart the first may arrive
# late and the second at once.
WINDOW_NS = 61 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffSettings:
    """Waits double from the first to the longest; each is drawn from the upper half of its length, so that clients cut
    off together do not come back together."""

    first_ns: int = 250 * MILLISECOND_NS
    longest_ns: int = 30 * SECOND_NS

    def __post_init__(self) -> None:
        if not 0 < self.first_ns <= self.longest_ns:
            raise ValueError(f"waits go from {self.first_ns} to {self.longest_ns} ns: more than 0, and not down")


DEFAULTS = BackoffSettings()


def wait_ns(failures: int, draw: int, settings: BackoffSettings = DEFAULTS) -> int:
    """The wait before the next try after so many failures in a row, 0 for the first; from half of
    min(first · 2^failures, longest) to all of it, by `draw`."""
    assert failures >= 0, "failures are counted from 0"
    assert 0 <= draw < DRAWS, "a draw is a whole number from 0 to DRAWS - 1"
    # A shift of more bits than the longest wait has changes nothing, and would make ever larger numbers.
    length_ns = min(settings.first_ns << min(failures, settings.longest_ns.bit_length()), settings.longest_ns)
    half_ns = length_ns // 2
    return half_ns + (length_ns - half_ns) * draw // (DRAWS - 1)


class Budget:
    """At most `limit` uses within any `window_ns`, sliding: a use counts until a whole window after it. Keeps one time
    for each of them."""

    __slots__ = ("_times", "limit", "window_ns")

    def __init__(self, limit: int, *, window_ns: int = WINDOW_NS) -> None:
        if limit <= 0 or window_ns <= 0:
            raise ValueError(f"a budget of {limit} uses in {window_ns} ns allows nothing: both are at least 1")
        self.limit = limit
        self.window_ns = window_ns
        self._times: deque[int] = deque(maxlen=limit)

    def used(self, now_ns: int) -> int:
        """How many uses count now."""
        while self._times and self._times[0] <= now_ns - self.window_ns:
            self._times.popleft()
        return len(self._times)

    def take(self, now_ns: int, *, keep: int = 0) -> int:
        """Counts one use and returns 0; or counts nothing, and returns after how many nanoseconds one fits. Leaves
        `keep` of the budget, less than all of it, to others."""
        assert 0 <= keep < self.limit, "less than the whole budget is kept for others"
        excess = self.used(now_ns) - (self.limit - keep)
        if excess >= 0:
            return self._times[excess] + self.window_ns - now_ns
        assert not self._times or self._times[-1] <= now_ns, "time does not run backwards"
        self._times.append(now_ns)
        return 0


def connect_budget() -> Budget:
    """The record of connects of one IP address."""
    return Budget(CONNECTS_PER_MINUTE_MAX)


def message_budget() -> Budget:
    """The record of messages sent by one IP address over all its sockets."""
    return Budget(MESSAGES_PER_MINUTE_MAX)
