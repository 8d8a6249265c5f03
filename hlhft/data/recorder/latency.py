"""Receive latencies, counted in fixed memory: local time of receipt less the block's time, in nanoseconds.

Both clocks' errors are in it, so it may be below zero: that is counted, not hidden.
"""

from __future__ import annotations

from bisect import bisect_right

MILLISECOND_NS = 1_000_000
# Upper bounds of the buckets in ms: fine where the venue's are (about 200 to 400 ms, venue reference section 6), coarse
# elsewhere. The first holds what is below zero, the last what is later than all.
BOUNDS_MS = (
    *(0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100), *range(110, 500, 10), *range(500, 1000, 50),
    *(1000, 1500, 2000, 3000, 5000, 10_000, 30_000, 60_000),
)  # fmt: skip
_BOUNDS_NS = tuple(bound * MILLISECOND_NS for bound in BOUNDS_MS)


class Latencies:
    """Counts by bucket, with the least and the largest."""

    __slots__ = ("_buckets", "count", "maximum_ns", "minimum_ns")

    def __init__(self) -> None:
        self.count = 0
        self.minimum_ns = self.maximum_ns = 0
        self._buckets = [0] * (len(_BOUNDS_NS) + 1)

    def note(self, latency_ns: int) -> None:
        """Counts one."""
        self.minimum_ns = min(self.minimum_ns, latency_ns) if self.count else latency_ns
        self.maximum_ns = max(self.maximum_ns, latency_ns) if self.count else latency_ns
        self.count += 1
        self._buckets[bisect_right(_BOUNDS_NS, latency_ns)] += 1

    def add(self, other: Latencies) -> None:
        """Counts all of another's."""
        if other.count:
            self.minimum_ns = min(self.minimum_ns, other.minimum_ns) if self.count else other.minimum_ns
            self.maximum_ns = max(self.maximum_ns, other.maximum_ns) if self.count else other.maximum_ns
            self.count += other.count
            self._buckets = [mine + theirs for mine, theirs in zip(self._buckets, other._buckets, strict=True)]

    def percentile_ns(self, percent: int) -> int | None:
        """What `percent` of all do not exceed, rounded up to its bucket's bound, never above the largest; None of none.

        Below zero the buckets end: then it is the least.
        """
        assert 0 < percent <= 100, "a percentile lies in 1..100"
        wanted, seen = -(-self.count * percent // 100), 0
        for place, count in enumerate(self._buckets):
            seen += count
            if wanted and seen >= wanted:
                if place == 0:
                    return self.minimum_ns
                return self.maximum_ns if place == len(_BOUNDS_NS) else min(_BOUNDS_NS[place], self.maximum_ns)
        return None

    def counts(self) -> dict[str, int]:
        """For a manifest: `latency_ns_min`, `_median`, `_p99`, `_max`, and `latency_below_N_ms` for each bucket in use.

        Empty when nothing was counted.
        """
        if self.count == 0:
            return {}
        median, late = self.percentile_ns(50), self.percentile_ns(99)
        assert median is not None and late is not None, "something was counted"
        found = {
            "latency_ns_min": self.minimum_ns,
            "latency_ns_median": median,
            "latency_ns_p99": late,
            "latency_ns_max": self.maximum_ns,
        }
        names = [f"latency_below_{bound}_ms" for bound in BOUNDS_MS] + ["latency_above"]
        return found | {name: count for name, count in zip(names, self._buckets, strict=True) if count}
