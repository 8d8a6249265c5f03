"""Times: read from text, and held to what can be calculated with."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

_TEXT = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?Z?\Z", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME_NS_MAX = 2**62  # the difference of any two times in range is an int64


def utc_ns(text: str) -> int:
    """Nanoseconds since the epoch of an ISO time in UTC with up to nine decimals, exact. Else raises ValueError."""
    found = _TEXT.match(text)
    if found is None:
        raise ValueError(f'"{text[:40]}" is not a time as 2025-10-27T17:00:00.063787823')
    seconds = datetime.fromisoformat(found[1]).replace(tzinfo=UTC) - _EPOCH
    return (seconds.days * 86_400 + seconds.seconds) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))


def out_of_range(times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which times, int64[n], lie outside 0..TIME_NS_MAX, bool[n]."""
    return np.asarray((times_ns < 0) | (times_ns >= TIME_NS_MAX))
