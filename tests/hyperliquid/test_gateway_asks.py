"""Orders in doubt are asked about, within a rate, until there is no doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.backoff import DRAWS, BackoffSettings
from hlhft.hyperliquid.backoff import SECOND_NS as S
from hlhft.hyperliquid.gateway_asks import Asks

WAITS = BackoffSettings(first_ns=2 * S, longest_ns=8 * S)


def test_a_new_doubt_is_asked_about_at_once_and_then_after_waits_that_grow() -> None:
    asks = Asks(100, WAITS)
    assert asks.due([5], 0, DRAWS - 1) == [5]
    assert asks.due([5], 2 * S - 1, DRAWS - 1) == []
    assert asks.due([5], 2 * S, DRAWS - 1) == [5]
    assert asks.due([5], 5 * S, DRAWS - 1) == []
    assert asks.due([5], 6 * S, DRAWS - 1) == [5]
    assert asks.asked == 3


def test_a_doubt_that_is_gone_is_forgotten() -> None:
    asks = Asks(100, WAITS)
    asks.due([5, 6], 0, 0)
    assert len(asks) == 2
    assert asks.due([], 0, 0) == []
    assert len(asks) == 0
    assert asks.due([5], 0, 0) == [5], "another doubt about the same order"


def test_what_the_rate_does_not_allow_is_asked_later_the_longest_waiting_first() -> None:
    asks = Asks(2, WAITS)
    assert asks.due([1, 2, 3], 0, 0) == [1, 2]
    assert asks.due([1, 2, 3], 30 * S, 0) == []
    assert asks.due([1, 2, 3], 61 * S, 0) == [3, 1]


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.sets(st.integers(1, 5))), max_size=40))
def test_never_more_than_the_rate_and_never_what_is_not_in_doubt(looks: list[tuple[int, set[int]]]) -> None:
    asks, now_ns, times = Asks(4, WAITS), 0, []
    for passed_ns, doubts in looks:
        now_ns += passed_ns
        found = asks.due(sorted(doubts), now_ns, 0)
        assert set(found) <= doubts and len(set(found)) == len(found)
        times += [now_ns] * len(found)
        assert sum(time > now_ns - 60 * S for time in times) <= 4
