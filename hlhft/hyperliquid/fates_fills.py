"""Which fills are news: each trade id counts once, over all channels, reconnects and readings.

The venue tells a fill by `userFills` (again in the snapshot after every reconnect), by `userEvents` and when it is
asked by `userFillsByTime` (venue reference sections 3.2 and 6.4). Trade ids are hashes in no order, and both sides of a
trade bear the same one, so the number of the order stands beside it.
"""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """What a fill is."""

    NEW = 0
    KNOWN = 1
    TOO_OLD = 2  # older than what was forgotten: whether it was counted is not known any more


class SeenFills:
    """Remembers the `maximum` youngest fills by arrival. Of what was forgotten the latest time stays: an unknown fill
    that is not later than it is TOO_OLD, because it may have been counted."""

    def __init__(self, maximum: int) -> None:
        assert maximum >= 1, "at least one fill must be remembered"
        self.maximum = maximum
        self.watermark_ns = 0
        self._seen: dict[tuple[int, int], int] = {}  # (order, trade) -> time; oldest arrival first

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, oid: int, tid: int, ts_ns: int) -> Verdict:
        """What a fill is; a NEW one is KNOWN from now on."""
        key = (oid, tid)
        if key in self._seen:
            return Verdict.KNOWN
        if ts_ns <= self.watermark_ns:
            return Verdict.TOO_OLD
        self._seen[key] = ts_ns
        if len(self._seen) > self.maximum:
            oldest = next(iter(self._seen))
            self.watermark_ns = max(self.watermark_ns, self._seen.pop(oldest))
        return Verdict.NEW
