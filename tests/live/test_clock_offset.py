"""A clock that drifts is seen by the least time that books take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hlhft.live.clock_offset import WINDOW_NS, ClockOffset

MS = 1_000_000


def test_the_offset_is_that_of_the_start_until_books_take_longer() -> None:
    offset = ClockOffset(offset_ns=-3 * MS, now_ns=0)
    assert not offset.look(WINDOW_NS - 1, 40 * MS)
    assert offset.look(WINDOW_NS, 40 * MS)
    assert offset.offset_ns == -3 * MS
    assert not offset.look(WINDOW_NS + 1, 90 * MS)
    assert offset.look(2 * WINDOW_NS, 90 * MS)
    assert offset.offset_ns == 47 * MS, "our clock is ahead of where it was"
    assert offset.look(3 * WINDOW_NS, None)
    assert offset.offset_ns == 47 * MS, "no book, no news"
    assert offset.look(4 * WINDOW_NS, 10 * MS)
    assert offset.offset_ns == -33 * MS


@given(
    st.integers(-1000, 1000),
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(-500, 500), st.integers(0, 9)), max_size=20),
)
def test_it_follows_any_drift_within_what_the_least_time_changes(
    start_ms: int, way_ms: int, windows: list[tuple[int, int]]
) -> None:
    offset = ClockOffset(offset_ns=start_ms * MS, now_ns=0)
    offset.look(WINDOW_NS, way_ms * MS)
    for number, (drift_ms, jitter_ms) in enumerate(windows, 2):
        assert offset.look(number * WINDOW_NS, (way_ms + drift_ms + jitter_ms) * MS)
        assert 0 <= offset.offset_ns - (start_ms + drift_ms) * MS <= 9 * MS
