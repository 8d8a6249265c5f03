"""One array in the order of both clocks, however rows are cut; the rule is hftbacktest's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.merge import Events, Numbered, by_row
from hlhft.data.order import by_both_clocks, in_arrival_order
from hlhft.data.tally import Tally
from tests.data.making import BOTH, END, EXCHANGE, LOCAL, bbo, columns, cut, joined, level, snapshot, trade

TIMES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=14)


def trades(times: list[tuple[int, int]]) -> Events:
    """Trades numbered in order, of (exchange, local) times."""
    return joined(trade(1000 + exch, 1, 10, 1, place, local=2000 + local) for place, (exch, local) in enumerate(times))


@given(TIMES, st.sets(st.integers(1, 13)))
@settings(max_examples=50)
def test_arrival_order_is_a_stable_sort(times: list[tuple[int, int]], places: set[int]) -> None:
    rows, tally = trades(times), Tally()
    found = joined(in_arrival_order(by_row(cut(rows, places)), name="a", window_ns=20, tally=tally))
    assert found.tobytes() == rows[np.argsort(rows["ts_local_ns"], kind="stable")].tobytes()
    late = rows["ts_local_ns"] < np.maximum.accumulate(rows["ts_local_ns"]) if len(rows) else np.zeros(0, bool)
    assert tally["rows_out_of_order"] == late.sum()
    if late.any():
        assert tally.first["rows_out_of_order"].tobytes() == rows[late][:1].tobytes()


def test_what_is_released_can_not_be_preceded() -> None:
    arrays = in_arrival_order(by_row([trades([(0, 0)]), trades([(0, 10)]), trades([(0, 20)])]), name="a", window_ns=10)
    assert [array["ts_local_ns"].tolist() for array in arrays] == [[2000], [2010], [2020]]


@pytest.mark.parametrize(("unit", "place"), [("line", 9), ("row", "row 9")])
def test_a_row_beyond_the_window_is_named_after_what_stands_before_it(unit: str, place: int | str) -> None:
    rows = trades([(0, 0), (0, 100), (0, 90), (0, 89), (0, 200)])
    taken: list[Events] = []
    numbered = Numbered(rows, np.array([3, 5, 7, 9, 11]))
    with pytest.raises(
        DataError, match=r"the arrival time is 0.000 s before an earlier row's, expected at most"
    ) as caught:
        taken.extend(in_arrival_order([numbered], name="a.gz", unit=unit, window_ns=10))
    assert (caught.value.line, caught.value.path) == (place, "a.gz")
    assert joined(taken)["ts_local_ns"].tolist() == [2000, 2090, 2100]


def test_a_fault_of_the_reader_comes_after_what_is_held() -> None:
    def failing():
        yield Numbered(trades([(0, 5), (0, 3)]), np.arange(2))
        raise DataError("a", 4, "torn")

    taken: list[Events] = []
    with pytest.raises(DataError, match=r"a, line 4: torn"):
        taken.extend(in_arrival_order(failing(), name="a"))
    assert joined(taken)["ts_local_ns"].tolist() == [2003, 2005]


def by_hand(rows: Events) -> Events:
    """hftbacktest's correct_event_order, re-stated: two stable sorts walked together."""
    exchange = rows[np.argsort(rows["ts_exch_ns"], kind="stable")]
    local = rows[np.argsort(rows["ts_local_ns"], kind="stable")]
    out, place, other = [], 0, 0
    while place < len(rows) or other < len(rows):
        venue_row = exchange[place : place + 1].copy()
        our_row = local[other : other + 1].copy()
        if len(venue_row) and len(our_row) and venue_row.tobytes() == our_row.tobytes():
            out.append(venue_row)
            place, other = place + 1, other + 1
        elif len(venue_row) and (
            not len(our_row)
            or (venue_row["ts_exch_ns"][0], venue_row["ts_local_ns"][0])
            < (our_row["ts_exch_ns"][0], our_row["ts_local_ns"][0])
        ):
            venue_row["flags"] &= ~np.uint16(LOCAL | END)
            out.append(venue_row)
            place += 1
        else:
            our_row["flags"] &= ~np.uint16(EXCHANGE)
            out.append(our_row)
            other += 1
    return joined(out)


def is_ordered(rows: Events) -> bool:
    """hftbacktest's validate_event_order."""
    venue, ours = (rows["flags"] & EXCHANGE) != 0, (rows["flags"] & LOCAL) != 0
    return bool((np.diff(rows["ts_exch_ns"][venue]) >= 0).all() and (np.diff(rows["ts_local_ns"][ours]) >= 0).all())


def arrived(times: list[tuple[int, int]]) -> Events:
    rows = trades(times)
    return rows[np.argsort(rows["ts_local_ns"], kind="stable")]


def test_an_overtaken_event_becomes_two_rows() -> None:
    rows = arrived([(10, 20), (5, 30), (30, 40)])
    found = joined(by_both_clocks([rows], name="a"))
    assert columns(found, "order_id", "ts_exch_ns", "flags") == [
        (1, 1005, EXCHANGE), (0, 1010, BOTH | END), (1, 1005, LOCAL | END), (2, 1030, BOTH | END),
    ]  # fmt: skip


@given(TIMES, st.sets(st.integers(1, 13)), st.integers(20, 25))
@settings(max_examples=60)
def test_both_sides_are_sorted_and_nothing_is_lost(times: list[tuple[int, int]], places: set[int], window: int) -> None:
    rows = arrived(times)
    found = joined(by_both_clocks(cut(rows, places), name="a", window_ns=window))
    assert is_ordered(found)
    for flag in (EXCHANGE, LOCAL):
        assert sorted(found["order_id"][(found["flags"] & flag) != 0].tolist()) == sorted(rows["order_id"].tolist())
    assert found.tobytes() == joined(by_both_clocks([rows], name="a", window_ns=window)).tobytes()
    again = joined(by_both_clocks([found], name="a", window_ns=window))
    assert again.tobytes() == found.tobytes()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=10, unique=True))
@settings(max_examples=60)
def test_the_order_is_hftbacktests(times: list[tuple[int, int]]) -> None:
    rows = arrived([(exch, exch + late) for exch, late in times])
    found, expected = joined(by_both_clocks([rows], name="a")), by_hand(rows)
    assert len(found) == len(expected)
    for flag in (EXCHANGE, LOCAL):
        ours, theirs = (part[(part["flags"] & flag) != 0] for part in (found, expected))
        assert columns(ours, "ts_exch_ns", "ts_local_ns") == columns(theirs, "ts_exch_ns", "ts_local_ns")


@given(TIMES, st.lists(st.sampled_from([EXCHANGE, LOCAL, BOTH]), min_size=14, max_size=14), st.sets(st.integers(1, 13)))
@settings(max_examples=60)
def test_rows_of_one_side_alone_do_not_make_it_depend_on_the_cuts(
    times: list[tuple[int, int]], sides: list[int], places: set[int]
) -> None:
    rows = arrived(times)
    rows["flags"] = [side | (END if side & LOCAL else 0) for side in sides[: len(rows)]]
    found = joined(by_both_clocks(cut(rows, places), name="a", window_ns=20))
    assert is_ordered(found)
    assert found.tobytes() == joined(by_both_clocks([rows], name="a", window_ns=20)).tobytes()


def test_rows_in_order_come_out_as_they_are_also_where_one_side_alone_sees_them() -> None:
    rows = arrived([(10, 10), (10, 11), (10, 12), (20, 20), (15, 21), (20, 22), (20, 23)])
    rows["flags"] = [EXCHANGE, LOCAL | END, EXCHANGE, BOTH | END, LOCAL | END, EXCHANGE, LOCAL | END]
    assert joined(by_both_clocks(cut(rows, [2, 5]), name="a")).tobytes() == rows.tobytes()


def test_within_a_block_trades_come_before_the_touch_and_the_touch_before_the_book() -> None:
    ranked = np.array([True, False])
    book, touch, deal = snapshot(10, [(1, 1)], [(2, 1)], local=20), bbo(10, (1, 1), (2, 1), local=30), trade(
        10, 1, 2, 1, local=40)  # fmt: skip
    found = joined(by_both_clocks([joined([book, touch, deal])], name="a", block_ranked=ranked))
    venue = found[(found["flags"] & EXCHANGE) != 0]
    assert venue["kind"].tolist() == [6, 5, 5, 3, 1, 1, 4]
    ours = found[(found["flags"] & LOCAL) != 0]
    assert ours["kind"].tolist() == [3, 1, 1, 4, 5, 5, 6]
    rows = joined([book, touch, deal])
    rows["market"] = 1
    assert joined(by_both_clocks([rows], name="a", block_ranked=ranked)).tobytes() == rows.tobytes()


def test_released_rows_are_those_that_nothing_can_precede() -> None:
    asked: list[int] = []

    def arrays() -> Iterator[Events]:
        for time in (0, 10, 21):
            asked.append(time)
            yield arrived([(time, time)])

    found = [(array["ts_exch_ns"].tolist(), len(asked)) for array in by_both_clocks(arrays(), name="a", window_ns=10)]
    assert found == [([1000], 3), ([1010], 3), ([1021], 3)]


def test_what_only_we_see_is_released_too() -> None:
    rows = arrived([(place, place) for place in range(20)])
    rows["flags"] = LOCAL | END
    arrays = list(by_both_clocks(cut(rows, range(1, 20)), name="a", window_ns=5))
    assert len(arrays) > 10
    assert joined(arrays).tobytes() == rows.tobytes()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (arrived([(0, 0), (15, 5), (4, 6)]), "a, row 2: the exchange time is 0.000 s before an earlier row's"),
        (
            trades([(0, 5), (0, 3)]),
            "a, row 1: the arrival time is 0.000 s before an earlier row's, expected at most 0.0",
        ),
        (joined([level(0, 1, 5, 1), level(2**60, 1, 5, 1)]), "a, row 1: exchange time 1152921504606846976 is years"),
    ],
)
def test_a_row_that_can_not_be_put_in_order_is_named(rows: Events, problem: str) -> None:
    for arrays in ([rows], cut(rows, range(1, 9))):
        with pytest.raises(DataError, match=problem):
            list(by_both_clocks(arrays, name="a", window_ns=10))


def test_a_negative_window_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"window_ns must not be negative, not -1"):
        list(by_both_clocks([], name="a", window_ns=-1))
