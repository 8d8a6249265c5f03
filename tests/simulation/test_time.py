"""What is due happens in the order of its times, and of one time in the order in which it was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.simulation.time import AT_ONCE_MAX, START_NS, Time


@given(st.lists(st.integers(-5, 50), max_size=40), st.integers(0, 60))
def test_order(waits_ns: list[int], span_ns: int) -> None:
    time, happened = Time(), []
    for place, wait_ns in enumerate(waits_ns):
        time.at(START_NS + wait_ns, happened.append, (max(wait_ns, 0), place))
    time.run(span_ns)
    due = sorted((max(wait_ns, 0), place) for place, wait_ns in enumerate(waits_ns) if max(wait_ns, 0) <= span_ns)
    assert happened == due
    assert time.now_ns == START_NS + span_ns


def test_what_is_cancelled_does_not_happen_and_what_is_due_now_does() -> None:
    time, happened = Time(), []
    time.at(START_NS + 5, happened.append, "never").cancel()
    time.at(START_NS + 1, lambda: time.at(time.now_ns, happened.append, time.now_ns - START_NS))
    time.run(10)
    assert happened == [1]


def test_what_is_due_again_at_once_for_ever_is_told() -> None:
    time, happened = Time(), []

    def again() -> None:
        happened.append(time.now_ns)
        time.at(time.now_ns, again)

    time.at(START_NS + 5, again)
    with pytest.raises(RuntimeError, match=r"calls at one instant, the last of .*again"):
        time.run(10)
    assert len(happened) == AT_ONCE_MAX + 1


def test_many_calls_at_times_of_their_own_are_no_standstill() -> None:
    time, happened = Time(), []
    for number in range(AT_ONCE_MAX + 10):
        time.at(START_NS + number, happened.append, number)
    time.run(AT_ONCE_MAX + 20)
    assert len(happened) == AT_ONCE_MAX + 10
