"""Waits that grow and stay within bounds, and budgets that no window ever exceeds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.hyperliquid.backoff import (
    DRAWS,
    MILLISECOND_NS,
    SECOND_NS,
    WINDOW_NS,
    BackoffSettings,
    Budget,
    connect_budget,
    message_budget,
    wait_ns,
)


@pytest.mark.parametrize(
    ("failures", "least_ms", "most_ms"),
    [(0, 125, 250), (1, 250, 500), (2, 500, 1000), (6, 8_000, 16_000), (7, 15_000, 30_000), (10**9, 15_000, 30_000)],
)
def test_waits_double_up_to_the_longest(failures: int, least_ms: int, most_ms: int) -> None:
    assert wait_ns(failures, 0) == least_ms * MILLISECOND_NS
    assert wait_ns(failures, DRAWS - 1) == most_ms * MILLISECOND_NS


@given(st.integers(0, 200), st.integers(0, DRAWS - 1), st.integers(1, 10**12), st.integers(0, 10**12))
def test_a_wait_is_never_nothing_and_never_too_long(failures: int, draw: int, first_ns: int, more_ns: int) -> None:
    chosen = BackoffSettings(first_ns=first_ns, longest_ns=first_ns + more_ns)
    waited = wait_ns(failures, draw, chosen)
    assert first_ns // 2 <= waited <= chosen.longest_ns
    assert waited <= wait_ns(failures + 1, DRAWS - 1, chosen)


@pytest.mark.parametrize(("first_ns", "longest_ns"), [(0, 5), (-1, 5), (6, 5)])
def test_waits_that_are_none_are_refused(first_ns: int, longest_ns: int) -> None:
    with pytest.raises(ValueError, match="waits go from"):
        BackoffSettings(first_ns=first_ns, longest_ns=longest_ns)


@pytest.mark.parametrize(("failures", "draw"), [(-1, 0), (0, -1), (0, DRAWS)])
def test_a_wrong_draw_is_a_broken_invariant(failures: int, draw: int) -> None:
    with pytest.raises(AssertionError):
        wait_ns(failures, draw)


def test_a_budget_counts_within_the_last_window() -> None:
    budget = Budget(2, window_ns=100)
    assert [budget.take(now) for now in (10, 40, 50, 109)] == [0, 0, 60, 1]
    assert budget.used(109) == 2
    assert budget.take(110) == 0, "the use at 10 counted until 110"
    assert budget.take(111) == 29
    assert budget.used(1000) == 0


def test_a_part_of_a_budget_is_kept_for_others() -> None:
    budget = Budget(3, window_ns=100)
    assert [budget.take(now, keep=1) for now in (0, 10, 20)] == [0, 0, 80]
    assert budget.take(30) == 0, "what was kept is there for the others"
    assert budget.take(40, keep=1) == 70, "two of three must have gone"
    assert budget.take(40) == 60


def test_the_budgets_of_the_venue_have_a_margin() -> None:
    connects, messages = connect_budget(), message_budget()
    assert [connects.take(0) for _ in range(31)] == [0] * 30 + [61 * SECOND_NS]
    assert [messages.take(5) for _ in range(2001)] == [0] * 2000 + [WINDOW_NS]


@pytest.mark.parametrize(("limit", "window_ns"), [(0, 5), (5, 0)])
def test_a_budget_that_allows_nothing_is_refused(limit: int, window_ns: int) -> None:
    with pytest.raises(ValueError, match="allows nothing"):
        Budget(limit, window_ns=window_ns)


def test_misuse_of_a_budget_is_a_broken_invariant() -> None:
    budget = Budget(2, window_ns=100)
    with pytest.raises(AssertionError):
        budget.take(0, keep=2)
    budget.take(50)
    with pytest.raises(AssertionError):
        budget.take(49)


@settings(max_examples=60)
@given(st.integers(1, 5), st.lists(st.integers(0, 60), max_size=60))
def test_no_window_holds_more_than_the_limit(limit: int, gaps: list[int]) -> None:
    budget, now_ns, taken = Budget(limit, window_ns=100), 0, []
    for gap in gaps:
        now_ns += gap
        waited = budget.take(now_ns)
        if waited:
            assert len([time for time in taken if time > now_ns - 100]) == limit
            assert len([time for time in taken if time > now_ns + waited - 100]) < limit, "the wait is enough"
            assert len([time for time in taken if time > now_ns + waited - 101]) == limit, "and no longer than needed"
        else:
            taken.append(now_ns)
    assert all(len([time for time in taken if start <= time < start + 100]) <= limit for start in taken)
