"""Times that a session took, as percentiles: from a book's arrival to the order's last byte, and to the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TIMES_MAX = 1 << 20  # of one kind that are looked at; a longer session's are those of its beginning


@dataclass(frozen=True, kw_only=True)
class Latency:
    """The distribution of one time, in ns: the least value that such a share of all do not exceed."""

    name: str
    count: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    max_ns: int


def latency_of(name: str, times_ns: Sequence[int] | np.ndarray) -> Latency | None:
    """The distribution of these times; None of none."""
    times = np.sort(np.asarray(times_ns, np.int64))
    if not len(times):
        return None
    p50, p90, p99 = (int(times[-(-len(times) * share // 100) - 1]) for share in (50, 90, 99))
    return Latency(name=name, count=len(times), p50_ns=p50, p90_ns=p90, p99_ns=p99, max_ns=int(times[-1]))
