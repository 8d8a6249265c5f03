"""Streams cut, kept whole by frame, numbered, and merged by arrival."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data import merge
from hlhft.data.errors import DataError
from hlhft.data.merge import Events, by_arrival, by_row, chosen, copied, rechunk, whole_frames
from tests.data.making import BOTH, END, cut, joined, trade


def timed(times: list[int], market: int = 0, flags: int = BOTH | END) -> Events:
    """Trades that arrive at these times, numbered in order."""
    return joined(
        trade(time, 1, 10, 1, place, local=time, market=market, flags=flags) for place, time in enumerate(times)
    )


def test_rechunk_keeps_rows_and_bounds_arrays() -> None:
    arrays = list(rechunk([timed([1, 2, 3, 4, 5]), timed([]), timed([6])], 2))
    assert [array["ts_local_ns"].tolist() for array in arrays] == [[1, 2], [3, 4], [5], [6]]


def test_rechunk_refuses_a_bound_below_one() -> None:
    with pytest.raises(ValueError, match=r"rows_max must be at least 1, not 0"):
        list(rechunk([timed([1])], 0))


def test_rows_are_numbered_through_all_arrays() -> None:
    numbered = list(by_row([timed([5, 6]), timed([7])]))
    assert [places.tolist() for _, places in numbered] == [[0, 1], [2]]
    assert [events["ts_local_ns"].tolist() for events, _ in numbered] == [[5, 6], [7]]


def test_rows_are_copied_joined_and_chosen_as_numpy_does() -> None:
    rows = timed([1, 2, 3, 4])
    copy = copied(rows[::2])
    assert copy.tobytes() == rows[::2].tobytes()
    copy["order_id"] = 9
    assert rows["order_id"].tolist() == [0, 1, 2, 3]
    assert merge.joined([rows[1:], rows[:0], rows[:1]]).tobytes() == np.concatenate([rows[1:], rows[:1]]).tobytes()
    assert merge.joined([]).dtype == rows.dtype
    assert chosen(rows, np.array([3, 0, 0])).tobytes() == rows[[3, 0, 0]].tobytes()
    assert chosen(rows, rows["ts_local_ns"] > 2).tobytes() == rows[2:].tobytes()


def test_whole_frames_holds_an_open_frame_back() -> None:
    rows = timed([1, 2, 3, 4])
    rows["flags"] = [BOTH, BOTH | END, BOTH, BOTH]
    arrays = list(whole_frames(cut(rows, [1, 3])))
    assert [array["ts_local_ns"].tolist() for array in arrays] == [[1, 2], [3, 4]]


@given(st.lists(st.booleans(), max_size=12), st.sets(st.integers(1, 11)))
@settings(max_examples=40)
def test_whole_frames_never_cuts_inside_a_frame(ends: list[bool], places: set[int]) -> None:
    rows = timed(list(range(len(ends))))
    rows["flags"] = [BOTH | END if end else BOTH for end in ends]
    arrays = list(whole_frames(cut(rows, places)))
    assert joined(arrays).tobytes() == rows.tobytes()
    assert all(array["flags"][-1] & END for array in arrays[:-1])


TIMES = st.lists(st.integers(0, 9), max_size=12).map(sorted)


@given(st.lists(st.tuples(TIMES, st.sets(st.integers(1, 11))), min_size=1, max_size=4))
@settings(max_examples=60)
def test_merged_streams_are_sorted_and_an_earlier_stream_goes_first(streams: list[tuple[list[int], set[int]]]) -> None:
    arrays = [cut(timed(times, market), places) for market, (times, places) in enumerate(streams)]
    merged = joined(by_arrival([iter(parts) for parts in arrays]))
    everything = joined(part for parts in arrays for part in parts)
    expected = everything[np.argsort(everything["ts_local_ns"], kind="stable")]
    assert merged.tobytes() == expected.tobytes()


def test_empty_arrays_of_a_stream_are_passed_over() -> None:
    streams = [iter([timed([]), timed([1]), timed([]), timed([4])]), iter([timed([2, 3], 1), timed([], 1)])]
    assert joined(by_arrival(streams))["ts_local_ns"].tolist() == [1, 2, 3, 4]


def failing(rows: Events) -> Iterator[Events]:
    yield rows
    raise DataError("trades.csv", 7, "it is torn")


@pytest.mark.parametrize("broken_first", [True, False])
@pytest.mark.parametrize("other", [[1, 2, 3, 4], [1, 3], [9], []])
def test_a_fault_of_one_stream_comes_after_all_rows_up_to_its_last(broken_first: bool, other: list[int]) -> None:
    streams = [failing(timed([2, 3], market=0)), iter([timed(other, market=1)])]
    merged = by_arrival(streams if broken_first else streams[::-1])
    taken: list[Events] = []
    with pytest.raises(DataError, match=r"trades.csv, line 7"):
        taken.extend(merged)
    assert joined(taken)["ts_local_ns"].tolist() == sorted([2, 3, *(time for time in other if time <= 3)])


@given(st.lists(st.tuples(TIMES, st.integers(0, 3)), min_size=1, max_size=5))
@settings(max_examples=40)
def test_streams_that_begin_when_their_time_comes_merge_alike(given_streams: list[tuple[list[int], int]]) -> None:
    arrays = [timed(times, market=market) for market, (times, _) in enumerate(given_streams)]
    starts = [(times[0] if times else 5) - early for times, early in given_streams]
    plain = joined(by_arrival([iter(cut(rows, [2])) for rows in arrays]))
    assert joined(by_arrival([iter(cut(rows, [2])) for rows in arrays], starts)).tobytes() == plain.tobytes()


def test_a_stream_is_not_asked_before_its_time() -> None:
    asked: list[int] = []

    def stream(begin: int) -> Iterator[Events]:
        asked.append(begin)
        yield timed([begin, begin + 5])

    begins = [20, 0, 10]
    merged = by_arrival([stream(begin) for begin in begins], begins)
    assert next(merged)["ts_local_ns"].tolist() == [0, 5] and asked == [0]
    assert joined(merged)["ts_local_ns"].tolist() == [10, 15, 20, 25] and asked == [0, 10, 20]
