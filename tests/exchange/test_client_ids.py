from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.exchange.client_ids import ClientIds


def test_the_latest_use_of_a_name_is_meant() -> None:
    ids = ClientIds()
    first, second, other = ids.use(1, 7), ids.use(1, 7), ids.use(2, 7)
    assert len({first, second, other}) == 3
    assert min(first, second, other) > 0
    assert (ids.find(1, 7), ids.find(2, 7), ids.find(1, 8)) == (second, other, 0)
    assert ids.cloid_of(first) == ids.cloid_of(second) == "0x" + "0" * 31 + "7"
    assert ids.cloid_of(0) is None


def test_the_oldest_are_forgotten() -> None:
    ids = ClientIds(maximum=2)
    numbers = [ids.use(1, cloid) for cloid in (7, 8, 9)]
    assert ids.find(1, 7) == 0
    assert ids.cloid_of(numbers[0]) is None
    assert [ids.find(1, 8), ids.find(1, 9)] == numbers[1:]
    assert ids.forgotten == 1


def test_forgetting_an_old_use_keeps_the_latest() -> None:
    ids = ClientIds(maximum=1)
    ids.use(1, 7)
    second = ids.use(1, 7)
    assert ids.find(1, 7) == second


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**128 - 1) | st.integers(0, 3)), max_size=30))
def test_state_goes_on(uses: list[tuple[int, int]]) -> None:
    ids = ClientIds(maximum=8)
    for account, cloid in uses:
        ids.use(account, cloid)
    again = ClientIds.from_state(ids.state(), maximum=8)
    assert again.state() == ids.state()
    assert [again.find(*use) for use in uses] == [ids.find(*use) for use in uses]
    assert again.use(1, 5) == ids.use(1, 5)
