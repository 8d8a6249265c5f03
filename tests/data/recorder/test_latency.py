"""Latencies in fixed memory, against the plain list of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.recorder.latency import BOUNDS_MS, Latencies

MS = 1_000_000


def of(values: list[int]) -> Latencies:
    made = Latencies()
    for value in values:
        made.note(value)
    return made


def test_what_was_never_measured_says_nothing() -> None:
    assert Latencies().percentile_ns(50) is None
    assert Latencies().counts() == {}


def test_bounds_ascend() -> None:
    assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))


def test_counts_name_each_bucket_in_use() -> None:
    counts = of([-3 * MS, 215 * MS, 216 * MS, 305 * MS, 90_000 * MS]).counts()
    assert counts == {
        "latency_ns_min": -3 * MS, "latency_ns_median": 220 * MS, "latency_ns_p99": 90_000 * MS,
        "latency_ns_max": 90_000 * MS, "latency_below_0_ms": 1, "latency_below_220_ms": 2, "latency_below_310_ms": 1,
        "latency_above": 1,
    }  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.integers(-2 * MS, 70_000 * MS), min_size=1, max_size=60), st.sampled_from([1, 50, 99, 100]))
def test_a_percentile_is_right_within_its_bucket(values: list[int], percent: int) -> None:
    exact = sorted(values)[-(-len(values) * percent // 100) - 1]
    found = of(values).percentile_ns(percent)
    assert found is not None and found <= max(values)
    if exact < 0:
        assert found == min(values)
    else:
        bound = min((bound * MS for bound in BOUNDS_MS if bound * MS > exact), default=max(values))
        assert exact <= found <= bound


@settings(max_examples=30)
@given(st.lists(st.integers(-MS, 10**9), max_size=20), st.lists(st.integers(-MS, 10**9), max_size=20))
def test_adding_counts_as_if_it_had_been_noted_here(mine: list[int], theirs: list[int]) -> None:
    both = of(mine)
    both.add(of(theirs))
    assert both.counts() == of(mine + theirs).counts()
    assert both.count == len(mine) + len(theirs)
