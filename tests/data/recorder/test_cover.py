"""What a stream knows: hand-computed gaps, and rules that hold whatever happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.manifest import Gap
from hlhft.data.recorder.cover import GAPS_MAX, SETTLED_NS, Cover

S = 1_000_000_000
DOWN, STALE = "disconnected", "silence"


def told(cover: Cover, *times: int) -> Cover:
    for time_ns in times:
        cover.told(time_ns, time_ns)
    return cover


def test_a_stream_covers_from_its_first_row_to_its_last() -> None:
    cover = told(Cover(), 100 * S, 103 * S, 102 * S)
    assert cover.covers(104 * S) == (100 * S, 103 * S + 1)
    assert cover.gaps() == () and cover.carried(104 * S) == (103 * S + 1, "")


def test_a_quiet_stream_covers_until_shortly_before_the_newest_block() -> None:
    assert told(Cover(), 100 * S).covers(400 * S) == (100 * S, 400 * S - SETTLED_NS)


def test_what_was_never_heard_is_not_known() -> None:
    cover = Cover()
    cover.lost(DOWN, 50 * S)
    assert not cover.is_known and not cover.is_missing


def test_a_lost_connection_is_a_gap_from_the_last_row_to_the_next() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 101 * S)
    assert cover.is_missing
    told(cover, 130 * S, 131 * S)
    assert cover.gaps() == (Gap(100 * S + 1, 130 * S, DOWN),)
    assert cover.covers(131 * S) == (100 * S, 131 * S + 1)


def test_a_quiet_stream_s_gap_begins_shortly_before_the_newest_block() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 160 * S)
    told(cover, 170 * S)
    assert cover.gaps() == (Gap(158 * S, 170 * S, DOWN),)


def test_a_stale_stream_s_silence_meant_nothing() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(STALE)
    told(cover, 170 * S)
    assert cover.gaps() == (Gap(100 * S + 1, 170 * S, STALE),)


def test_the_first_cause_is_the_reason() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(STALE)
    cover.lost(DOWN, 120 * S)
    told(cover, 130 * S)
    assert cover.gaps() == (Gap(100 * S + 1, 130 * S, STALE),)


def test_rows_that_reach_back_to_what_was_known_leave_no_gap() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 100 * S)
    cover.told(105 * S, 110 * S, goes_on=True)
    assert cover.gaps() == () and cover.covers(110 * S) == (100 * S, 110 * S + 1)


def test_nothing_new_ends_what_was_missing_too() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 100 * S)
    cover.resumed(90 * S, goes_on=True)
    assert not cover.is_missing and cover.gaps() == ()


def test_a_frame_of_the_time_already_known_leaves_no_gap() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 100 * S)
    told(cover, 100 * S)
    assert cover.gaps() == ()


def test_a_gap_ends_at_the_earliest_row_behind_it_though_another_came_first() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 100 * S)
    told(cover, 130 * S, 129 * S)
    assert cover.gaps() == (Gap(100 * S + 1, 129 * S, DOWN),)


def test_what_is_missing_at_the_end_of_an_hour_is_told_by_the_hour_after() -> None:
    cover = told(Cover(), 100 * S)
    cover.lost(DOWN, 110 * S)
    assert cover.covers(110 * S) == (100 * S, 108 * S) and cover.gaps() == ()
    floor_ns, missing = cover.carried(110 * S)
    assert (floor_ns, missing) == (108 * S, DOWN)
    after = told(Cover(floor_ns, missing), 7_000 * S)
    assert after.gaps() == (Gap(108 * S, 7_000 * S, DOWN),)
    assert after.covers(7_000 * S) == (108 * S, 7_000 * S + 1)


def test_an_hour_in_which_nothing_came_answers_for_nothing() -> None:
    assert Cover(100 * S, DOWN).covers(500 * S) == (100 * S, 100 * S)
    assert Cover(100 * S).covers(500 * S) == (100 * S, 498 * S)


def test_only_what_was_heard_can_be_missing() -> None:
    with pytest.raises(AssertionError, match="only what was heard"):
        Cover(None, DOWN)
    with pytest.raises(AssertionError, match="before the floor"):
        told(Cover(100 * S), 99 * S)


def test_gaps_are_bounded_and_further_ones_claim_less() -> None:
    cover = told(Cover(), S)
    for place in range(GAPS_MAX + 10):
        cover.lost(STALE)
        told(cover, (place + 2) * S)
    gaps = cover.gaps()
    assert len(gaps) == GAPS_MAX
    assert gaps[-1] == Gap(GAPS_MAX * S + 1, (GAPS_MAX + 11) * S, STALE)


STEPS = st.lists(
    st.tuples(st.sampled_from(["row", "down", "stale", "turn"]), st.integers(0, 5 * S)), min_size=1, max_size=40
)


@settings(max_examples=60)
@given(STEPS)
def test_hours_follow_each_other_and_no_row_lies_in_a_gap(steps: list[tuple[str, int]]) -> None:
    cover, now_ns, end_ns = Cover(), 1_000 * S, 0
    times: list[int] = []
    for what, later_ns in steps:
        now_ns += later_ns
        if what == "row":
            cover.told(max(now_ns, cover.floor_ns), max(now_ns, cover.floor_ns))
            times.append(max(now_ns, cover.floor_ns))
        elif what == "down":
            cover.lost(DOWN, now_ns)
        elif what == "stale":
            cover.lost(STALE)
        elif cover.is_known:
            begin_ns, until_ns = cover.covers(now_ns)
            assert end_ns in (0, begin_ns) and begin_ns <= until_ns
            for gap in cover.gaps():
                assert begin_ns <= gap.from_ns < gap.to_ns <= until_ns
            for time_ns in times:
                assert begin_ns <= time_ns < until_ns
                assert not any(gap.from_ns <= time_ns < gap.to_ns for gap in cover.gaps())
            floor_ns, missing = cover.carried(now_ns)
            cover, end_ns, times = Cover(floor_ns, missing), until_ns, []
