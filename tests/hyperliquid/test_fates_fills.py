"""A fill is news once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.fates_fills import SeenFills, Verdict


def test_a_fill_is_new_once() -> None:
    seen = SeenFills(4)
    assert seen.take(1, 10, 100) is Verdict.NEW
    assert seen.take(1, 10, 100) is Verdict.KNOWN
    assert seen.take(2, 10, 100) is Verdict.NEW, "the other side of the trade, were it ours too"
    assert len(seen) == 2


def test_what_is_older_than_the_forgotten_is_not_counted_again() -> None:
    seen = SeenFills(2)
    for tid, ts_ns in ((1, 100), (2, 300), (3, 200)):
        assert seen.take(1, tid, ts_ns) is Verdict.NEW
    assert seen.watermark_ns == 100
    assert seen.take(1, 1, 100) is Verdict.TOO_OLD
    assert seen.take(1, 4, 101) is Verdict.NEW
    assert seen.watermark_ns == 300, "of what was forgotten, the latest"
    assert seen.take(1, 5, 250) is Verdict.TOO_OLD


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 50)), max_size=60), st.integers(1, 8))
def test_nothing_is_ever_new_twice_and_memory_is_bounded(told: list[tuple[int, int, int]], maximum: int) -> None:
    seen, new = SeenFills(maximum), set()
    times: dict[tuple[int, int], int] = {}
    for oid, tid, ts_ns in told:
        at = times.setdefault((oid, tid), ts_ns)  # a fill has one time, whoever tells it
        if seen.take(oid, tid, at) is Verdict.NEW:
            assert (oid, tid) not in new
            new.add((oid, tid))
        assert len(seen) <= maximum
