"""Percentiles are values that were there, and nothing has no distribution."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hlhft.report.latencies import Latency, latency_of


def test_a_hundred_times_by_hand() -> None:
    found = latency_of("there", np.arange(100, 0, -1))
    assert found == Latency(name="there", count=100, p50_ns=50, p90_ns=90, p99_ns=99, max_ns=100)
    assert latency_of("there", [7]) == Latency(name="there", count=1, p50_ns=7, p90_ns=7, p99_ns=7, max_ns=7)


def test_nothing_has_none() -> None:
    assert latency_of("there", []) is None


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1))
def test_a_percentile_is_the_least_that_so_many_do_not_exceed(times: list[int]) -> None:
    found = latency_of("there", times)
    assert found is not None
    for share, value in ((50, found.p50_ns), (90, found.p90_ns), (99, found.p99_ns), (100, found.max_ns)):
        assert value in times
        assert 100 * sum(time <= value for time in times) >= share * len(times)
        assert 100 * sum(time < value for time in times) < share * len(times)
