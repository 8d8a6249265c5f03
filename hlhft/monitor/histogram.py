"""Latencies counted in fixed memory: buckets that are as fine as their values, so that a percentile is right to 3 %.

All that is kept is the buckets. They may lie in memory that another process reads: a count is one number written at
once, so whoever copies the buckets at any moment has counts that were true.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

SUB_BITS = 5  # 32 buckets for each doubling
_SUBS = 1 << SUB_BITS
VALUE_MAX = (1 << 62) - 1
BUCKETS = (62 - SUB_BITS + 1) * _SUBS + _SUBS  # int64 each

# What is shown of it: five bounds a decade, from 10 us to 10 s.
BOUNDS_NS: tuple[int, ...] = (
    *(step * 10**power for power in range(3, 9) for step in (10, 16, 25, 40, 63)),
    10_000_000_000,
)


class Histogram:
    """Counts of values from 0 on; what is below counts as 0, what is above VALUE_MAX as that.

    `storage` is BUCKETS whole numbers, 0 or counted before: a list, or a memoryview of format "q".
    """

    __slots__ = ("_buckets", "maximum")

    def __init__(self, storage: memoryview[int] | list[int] | None = None) -> None:
        self._buckets = [0] * BUCKETS if storage is None else storage
        assert len(self._buckets) == BUCKETS, f"a histogram has {BUCKETS} buckets"
        # Of what was counted before, as far as its bucket tells.
        self.maximum = max((_upper(place) for place, count in enumerate(self._buckets) if count), default=0)

    def note(self, value: int) -> None:
        """Counts one value."""
        if value > self.maximum:
            value = self.maximum = min(value, VALUE_MAX)
        elif value < 0:
            value = 0
        shift = value.bit_length() - SUB_BITS - 1
        if shift > 0:
            self._buckets[(shift << SUB_BITS) + (value >> shift)] += 1
        else:
            self._buckets[value] += 1

    @property
    def count(self) -> int:
        """How many were counted."""
        return sum(self._buckets)

    @property
    def total(self) -> int:
        """The sum of all values as far as the buckets tell, each in the middle of its own: right to 1.6 %."""
        return total(self._buckets)

    def percentile(self, share: float) -> int | None:
        """The least value that `share` of all do not exceed, rounded up within its bucket; None when there are none."""
        assert 0.0 <= share <= 1.0, "a share lies between 0 and 1"
        sums = list(accumulate(self._buckets))
        if not sums[-1]:
            return None
        wanted = max(1, -(-sums[-1] * int(share * 1_000_000) // 1_000_000))
        place = next(place for place, seen in enumerate(sums) if seen >= wanted)
        return min(_upper(place), self.maximum)

    def clear(self) -> None:
        """Forgets all."""
        self.maximum = 0
        for place in range(BUCKETS):
            self._buckets[place] = 0


def total(buckets: Sequence[int]) -> int:
    """The sum of what BUCKETS `buckets` counted, each value in the middle of its own, rounded down: right to 1.6 %."""
    return sum(count * ((_lower(place) + _upper(place)) // 2) for place, count in enumerate(buckets) if count)


def coarse(buckets: Sequence[int], bounds_ns: Sequence[int]) -> tuple[int, ...]:
    """How many of what BUCKETS `buckets` counted are at most each of the rising `bounds_ns`.

    A value of the bucket that a bound lies in is above it, so what is up to 3 % below a bound may count as above.
    """
    sums = (0, *accumulate(buckets))
    return tuple(sums[bisect_right(_UPPERS, bound)] for bound in bounds_ns)


def _upper(place: int) -> int:
    """The largest value of a bucket."""
    if place < 2 * _SUBS:
        return place
    shift = (place >> SUB_BITS) - 1
    mantissa = place - (shift << SUB_BITS)
    return ((mantissa + 1) << shift) - 1


def _lower(place: int) -> int:
    """The smallest value of a bucket."""
    return _upper(place - 1) + 1 if place else 0


_UPPERS = tuple(map(_upper, range(BUCKETS)))
