"""How much was traded: by market over the last day, by account and UTC day.

A market's day is the 24 hours before now, kept by minutes (that it rolls is unverified); the price of the previous day
is the first one known of those 24 hours. An account's volumes are kept for the 14 days that fees depend on, and today.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from hlhft.exchange.candles import DAY_MS, MINUTE_MS

ACCOUNT_DAYS = 15  # venue reference section 10: 14 days, and the one that is not over


class MarketDay:
    """What one market traded in the last 24 hours."""

    __slots__ = ("lots", "minutes", "quanta")

    def __init__(self) -> None:
        self.minutes: deque[list[int]] = deque()  # begin in ms, quanta, lots, first price; at most 1441
        self.quanta = 0
        self.lots = 0

    def observe(self, time_ms: int, ticks: int, quanta: int, lots: int) -> None:
        """Adds what was traded at a time and the price then; times do not descend."""
        start_ms = time_ms - time_ms % MINUTE_MS
        if not self.minutes or self.minutes[-1][0] != start_ms:
            self.minutes.append([start_ms, 0, 0, ticks])
            self.forget(time_ms)
        self.minutes[-1][1] += quanta
        self.minutes[-1][2] += lots
        self.quanta += quanta
        self.lots += lots

    def forget(self, time_ms: int) -> None:
        """Drops what is older than a day at `time_ms`."""
        while self.minutes and self.minutes[0][0] <= time_ms - DAY_MS - MINUTE_MS:
            _, quanta, lots, _ = self.minutes.popleft()
            self.quanta -= quanta
            self.lots -= lots

    def previous_ticks(self) -> int:
        """The price of a day ago in ticks, the first one known when the market is younger; 0 before any."""
        return self.minutes[0][3] if self.minutes else 0


class DayVolumes:
    """Volumes in micro-USDC by UTC day: [date in ms, taken, added], the latest ACCOUNT_DAYS days with a trade."""

    __slots__ = ("days", "total_micro")

    def __init__(self) -> None:
        self.days: deque[list[int]] = deque(maxlen=ACCOUNT_DAYS)
        self.total_micro = 0

    def observe(self, time_ms: int, micro: int, *, taken: bool) -> None:
        """Adds one fill of the notional `micro`."""
        start_ms = time_ms - time_ms % DAY_MS
        if not self.days or self.days[-1][0] != start_ms:
            self.days.append([start_ms, 0, 0])
        self.days[-1][1 if taken else 2] += micro
        self.total_micro += micro

    def on(self, start_ms: int) -> tuple[int, int]:
        """(taken, added) in micro-USDC on the UTC day that begins at `start_ms`."""
        for day, taken, added in self.days:
            if day == start_ms:
                return taken, added
        return 0, 0


def date_text(time_ms: int) -> str:
    """The UTC date as in `dailyUserVlm`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
