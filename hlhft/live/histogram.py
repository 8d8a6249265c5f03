"""Latencies counted in fixed memory: buckets that are as fine as their values, so that a percentile is right to 3 %."""

from __future__ import annotations

SUB_BITS = 5  # 32 buckets for each doubling
_SUBS = 1 << SUB_BITS
VALUE_MAX = (1 << 62) - 1
_BUCKETS = (62 - SUB_BITS + 1) * _SUBS + _SUBS


class Histogram:
    """Counts of values from 0 on; what is below counts as 0, what is above VALUE_MAX as that."""

    __slots__ = ("_buckets", "count", "maximum")

    def __init__(self) -> None:
        self.count = 0
        self.maximum = 0
        self._buckets = [0] * _BUCKETS

    def note(self, value: int) -> None:
        """Counts one value."""
        value = min(max(value, 0), VALUE_MAX)
        self.count += 1
        if value > self.maximum:
            self.maximum = value
        shift = value.bit_length() - SUB_BITS - 1
        self._buckets[(shift << SUB_BITS) + (value >> shift) if shift > 0 else value] += 1

    def percentile(self, share: float) -> int | None:
        """The least value that `share` of all do not exceed, rounded up within its bucket; None when there are none."""
        if self.count == 0:
            return None
        assert 0.0 <= share <= 1.0, "a share lies between 0 and 1"
        wanted = max(1, -(-self.count * int(share * 1_000_000) // 1_000_000))
        seen = 0
        for place, count in enumerate(self._buckets):
            seen += count
            if seen >= wanted:
                return min(_upper(place), self.maximum)
        raise AssertionError("the buckets hold as many as were counted")

    def clear(self) -> None:
        """Forgets all."""
        self.count = self.maximum = 0
        self._buckets = [0] * _BUCKETS


def _upper(place: int) -> int:
    """The largest value of a bucket."""
    if place < 2 * _SUBS:
        return place
    shift = (place >> SUB_BITS) - 1
    mantissa = place - (shift << SUB_BITS)
    return ((mantissa + 1) << shift) - 1
