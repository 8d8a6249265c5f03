"""Percentiles from buckets against those of the sorted values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.histogram import SUB_BITS, VALUE_MAX, Histogram

VALUES = st.lists(st.integers(0, 10**12) | st.integers(0, 200), min_size=1, max_size=200)


@given(VALUES, st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 1.0]))
def test_percentiles_are_those_of_the_sorted_values_within_a_bucket(values: list[int], share: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.note(value)
    exact = sorted(values)[max(1, -(-len(values) * int(share * 1_000_000) // 1_000_000)) - 1]
    found = histogram.percentile(share)
    assert found is not None
    assert exact <= found <= exact + (exact >> SUB_BITS)
    assert (histogram.count, histogram.maximum) == (len(values), max(values))
    assert histogram.percentile(1.0) == max(values)


def test_nothing_counted_is_unknown_and_not_0():
    histogram = Histogram()
    assert histogram.percentile(0.5) is None
    histogram.note(3)
    histogram.clear()
    assert (histogram.count, histogram.maximum, histogram.percentile(0.5)) == (0, 0, None)


def test_what_lies_outside_counts_at_the_border():
    histogram = Histogram()
    histogram.note(-5)
    histogram.note(10**30)
    assert histogram.percentile(0.0) == 0
    assert histogram.percentile(1.0) == VALUE_MAX
