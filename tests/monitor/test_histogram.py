"""Percentiles from buckets against those of the sorted values."""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hlhft.monitor.histogram import BOUNDS_NS, BUCKETS, SUB_BITS, VALUE_MAX, Histogram, coarse

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


def test_nothing_counted_is_unknown_and_not_0() -> None:
    histogram = Histogram()
    assert histogram.percentile(0.5) is None
    histogram.note(3)
    histogram.clear()
    assert (histogram.count, histogram.maximum, histogram.percentile(0.5)) == (0, 0, None)


def test_what_lies_outside_counts_at_the_border() -> None:
    histogram = Histogram()
    histogram.note(-5)
    histogram.note(10**30)
    assert histogram.percentile(0.0) == 0
    assert histogram.percentile(1.0) == VALUE_MAX


@given(VALUES)
def test_the_total_is_that_of_the_values_within_half_a_bucket(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.note(value)
    assert abs(histogram.total - sum(values)) <= sum(value >> SUB_BITS for value in values) / 2 + len(values)


@given(VALUES)
def test_a_bound_has_at_least_what_is_a_bucket_below_it_and_nothing_above(values: list[int]) -> None:
    storage = array("q", bytes(8 * BUCKETS))
    histogram = Histogram(memoryview(storage))
    for value in values:
        histogram.note(value)
    counts = coarse(storage, BOUNDS_NS)
    for bound, count in zip(BOUNDS_NS, counts, strict=True):
        assert sum(value + (value >> SUB_BITS) <= bound for value in values) <= count
        assert count <= sum(value <= bound for value in values)
    assert all(low <= high for low, high in pairwise(counts))


def test_what_is_shown_resolves_ten_microseconds_to_ten_seconds_in_five_steps_a_decade() -> None:
    assert (BOUNDS_NS[0], BOUNDS_NS[-1], len(BOUNDS_NS)) == (10_000, 10_000_000_000, 31)
    assert all(1.5 <= high / low <= 1.7 for low, high in pairwise(BOUNDS_NS))


def test_counts_lie_in_the_memory_that_was_given() -> None:
    storage = array("q", bytes(8 * BUCKETS))
    histogram = Histogram(memoryview(storage))
    histogram.note(40)
    histogram.note(40)
    assert storage[40] == 2
    later = Histogram(memoryview(storage))
    assert (later.count, later.maximum, later.percentile(1.0)) == (2, 40, 40), "what was counted before is counted"
