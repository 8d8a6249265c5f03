"""Times as text, exact to the nanosecond, and times out of range."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.times import TIME_NS_MAX, out_of_range, utc_ns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00", 0),
        ("1970-01-01T00:00:00.000000001", 1),
        ("1970-01-02T00:00:01.5Z", 86_401_500_000_000),
        ("2025-10-27T17:00:00.063787823", 1_761_584_400_063_787_823),
    ],
)
def test_known_times(text: str, expected: int) -> None:
    assert utc_ns(text) == expected


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999_999))
@settings(max_examples=50)
def test_any_time_comes_back(seconds: int, nanoseconds: int) -> None:
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds:09d}"
    assert utc_ns(text) == seconds * 1_000_000_000 + nanoseconds


@pytest.mark.parametrize(
    "text",
    ["", "17:00", "2025-10-27 17:00:00", "2025-10-27T17:00:00+02:00", "2025-13-01T00:00:00", "2025-10-27T17:00:00.",
     "2025-10-27T17:00:00.0123456789", "2025-10-27T17:00:00\n", "\uff12025-10-27T17:00:00", "2025-10-27T25:00:00"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        utc_ns(text)


def test_a_time_is_in_range_from_0_to_below_the_most() -> None:
    times = np.array([-1, 0, TIME_NS_MAX - 1, TIME_NS_MAX, -(2**63), 2**63 - 1])
    assert out_of_range(times).tolist() == [True, False, False, True, True, True]
