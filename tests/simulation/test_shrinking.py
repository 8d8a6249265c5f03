"""What is left of a failing plan still fails, and fails no more without any of it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.faults import Fault, FaultKind
from hlhft.simulation.shrinking import shrink


def faults(count: int) -> tuple[Fault, ...]:
    return tuple(Fault(at, FaultKind.CUT, 0, 1) for at in range(count))


@given(
    st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), max_size=4)))
)
def test_just_what_is_needed_is_left(case: tuple[int, set[int]]) -> None:
    count, needed = case
    plan = faults(count)

    def fails(some: Sequence[Fault]) -> bool:
        return needed <= {fault.at_ns for fault in some}

    assert {fault.at_ns for fault in shrink(plan, fails, runs_max=10_000)} == needed


def test_it_stops_after_so_many_runs_with_something_that_fails() -> None:
    runs = [0]

    def fails(some: Sequence[Fault]) -> bool:
        runs[0] += 1
        return {3, 50} <= {fault.at_ns for fault in some}

    left = shrink(faults(64), fails, runs_max=5)
    assert runs[0] <= 6
    assert {3, 50} <= {fault.at_ns for fault in left}
