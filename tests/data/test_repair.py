"""A mended recording is fit: what was planted is gone, what was whole is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.merge import Events
from hlhft.data.order import by_both_clocks
from hlhft.data.readers.events_npz import write_events
from hlhft.data.repair import crossed_frames, repaired
from hlhft.data.sources import Source, open_source
from hlhft.data.tally import Tally
from hlhft.data.validate import Code, Report, examine
from tests.data.making import ListSource, bbo, columns, cut, event, joined, level, rows_of, snapshot, trade, write
from tests.data.synthetic import bbo_line, book_line, clean_log, clean_set, trades_line, write_set

BOOK = [(100, 5)], [(101, 5)]
QUIET = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mended(source: Source, folder: Path) -> tuple[Events, Tally, Report]:
    """(the mended rows, what was done, the report on what was written)."""
    tally = Tally()
    path = folder / "mended.events.npz"
    write_events(path, repaired(source, examine(source), tally), source)
    again = open_source(path)
    return rows_of(again), tally, examine(again)


def test_a_clean_recording_comes_out_as_it_is(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "log", clean_log(12)))
    clean = rows_of(source)
    rows, tally, report = mended(source, tmp_path)
    assert rows.tobytes() == clean.tobytes()
    assert +tally == {}
    assert report.findings == []


FAULTS = st.lists(
    st.tuples(st.sampled_from(["swap", "repeat", "cross"]), st.integers(0, 11), st.integers(1, 5)), max_size=4
)


@given(FAULTS)
@QUIET
def test_a_log_with_any_planted_faults_is_mended(tmp_path: Path, faults: list[tuple[str, int, int]]) -> None:
    lines = clean_log(12)
    for kind, place, distance in faults:
        other = (place + distance) % 12
        if kind == "swap":
            lines[place], lines[other] = lines[other], lines[place]
        elif kind == "repeat":
            origin = 3 * (other // 3) + 2
            lines.insert(place, trades_line(origin + distance, of=origin))
        else:
            lines.insert(place, (book_line if place % 2 else bbo_line)(place, bid=1002))
    crossed = sum(kind == "cross" for kind, *_ in faults)
    source = open_source(write(tmp_path / "log", lines))
    rows, tally, report = mended(source, tmp_path)
    assert report.findings == []
    assert report.ok
    clean = rows_of(open_source(write(tmp_path / "clean", clean_log(12))))
    names = ("ts_exch_ns", "kind", "side", "price_ticks", "size_lots", "order_id", "aux0")
    assert set(columns(rows, *names)) == set(columns(clean, *names))
    assert len(rows) == len(clean)
    assert (tally["rows_of_crossed_frames_dropped"] > 0) == (crossed > 0)


@given(st.sampled_from(["orderbooks", "prices", "trades"]), st.integers(1, 4), st.integers(1, 2), st.integers(1, 5))
@example("trades", 4, 2, 4)
@QUIET
def test_a_set_with_planted_faults_is_mended(
    tmp_path: Path, kind: str, first: int, distance: int, repeated: int
) -> None:
    lines = clean_set(6)
    # The repeat arrives with the last trade, after its original, also where lines are exchanged.
    again, last = lines["trades"][repeated].split(","), lines["trades"][-1].split(",")
    content = lines[kind]
    content[first], content[first + distance] = content[first + distance], content[first]
    lines["trades"].append(",".join([last[0], *again[1:]]))
    source = open_source(write_set(tmp_path / "set", lines))
    clean = rows_of(open_source(write_set(tmp_path / "clean", clean_set(6))))
    rows, tally, report = mended(source, tmp_path)
    assert report.findings == []
    names = ("ts_exch_ns", "kind", "side", "price_ticks", "size_lots")
    assert sorted(columns(rows, *names)) == sorted(columns(clean, *names))
    assert tally["duplicate_trades"] == 1
    # A bid and its ask arrive together: to exchange them is no fault of order.
    assert (tally["rows_out_of_order"] > 0) == (kind != "prices" or distance == 2 or first % 2 == 0)


def test_of_a_repeated_trade_the_one_that_arrives_first_is_kept(tmp_path: Path) -> None:
    """Nothing tells which of the two is the repeat; what stands between them was overtaken, which is no fault."""
    rows = joined([snapshot(10, *BOOK), trade(40, 1, 101, 1, 2, local=1015), trade(20, 1, 101, 1, 1),
                   trade(40, 1, 101, 1, 2)])  # fmt: skip
    found, tally, report = mended(ListSource([rows]), tmp_path)
    assert columns(found, "ts_exch_ns", "ts_local_ns", "order_id")[4:] == [(40, 1015, 2), (20, 1020, 1)]
    assert dict(+tally) == {"duplicate_trades": 1}
    assert [(finding.code, finding.count) for finding in report.findings] == [(Code.EXCHANGE_ORDER, 1)]


@pytest.mark.parametrize("line", [2, 5, 12])
def test_what_stands_before_an_unreadable_line_is_kept(tmp_path: Path, line: int) -> None:
    lines = clean_log(12)
    lines[line - 1] = lines[line - 1][:40]
    source = open_source(write(tmp_path / "log", lines))
    rows, tally, report = mended(source, tmp_path)
    whole = rows_of(open_source(write(tmp_path / "whole", lines[: line - 1])))
    assert rows.tobytes() == whole.tobytes()
    assert (tally["stopped_at_unreadable"], tally["stopped_at_line"]) == (1, line)
    assert report.ok


def test_a_fault_without_a_line_is_counted_too(tmp_path: Path) -> None:
    source = ListSource([snapshot(10, *BOOK)], fault=DataError("a", None, "torn"))
    rows, tally, _ = mended(source, tmp_path)
    assert len(rows) == 4
    assert dict(+tally) == {"stopped_at_unreadable": 1}


def test_a_clock_that_runs_behind_is_moved_by_the_least_latency(tmp_path: Path) -> None:
    source = ListSource([snapshot(10_000, *BOOK, local=9_500), trade(20_000, 1, 101, 1, local=19_400)])
    assert not examine(source).ok
    rows, tally, report = mended(source, tmp_path)
    assert tally["clock_moved_ns"] == 600
    assert rows["ts_local_ns"].tolist() == [10_100] * 4 + [20_000]
    assert (report.ok, report.latency_ns_min) == (True, 0)


def test_rows_that_one_side_alone_sees_keep_their_order(tmp_path: Path) -> None:
    rows = joined([trade(20, 1, 100, 1, 1, local=30), trade(10, 1, 100, 1, 2, local=40)])
    split = joined(by_both_clocks([rows], name="a"))
    found, tally, report = mended(ListSource([split]), tmp_path)
    assert found.tobytes() == split.tobytes()
    assert +tally == {}
    assert report.ok


def test_disorder_beyond_the_window_can_not_be_mended() -> None:
    late = joined([trade(100 * 10**9, 1, 100, 1, 1), trade(20 * 10**9, 1, 100, 1, 2)])
    source = ListSource([late])
    with pytest.raises(DataError, match=r"list, row 1: the arrival time is 80.000 s before an earlier row's"):
        list(repaired(source, examine(source), Tally()))


def test_mending_does_not_depend_on_how_rows_are_cut() -> None:
    rows = joined([snapshot(10, *BOOK), snapshot(20, [(102, 1)], [(101, 1)]), trade(30, 1, 101, 1, 1),
                   bbo(40, (100, 5), (101, 5)), trade(30, 1, 101, 1, 1, local=2000),
                   bbo(35, (99, 1), (101, 1))])  # fmt: skip
    whole = joined(repaired(ListSource([rows]), examine(ListSource([rows])), Tally()))
    for step in (1, 3, 7):
        source = ListSource(cut(rows, range(step, len(rows), step)))
        assert joined(repaired(source, examine(source), Tally())).tobytes() == whole.tobytes()
    assert whole["kind"].tolist() == [3, 1, 1, 4, 6, 5, 5, 5, 5]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (snapshot(10, *BOOK), False),
        (snapshot(10, [(101, 5)], [(101, 5)]), True),
        (snapshot(10, [(99, 1), (102, 5)], [(101, 5), (103, 1)]), True),
        (snapshot(10, [(101, 5)], []), False),
        (snapshot(10, [(102, 0)], [(101, 5)]), False),
        (bbo(10, (101, 1), (101, 1)), True),
        (bbo(10, (101, 1), (0, 0)), False),
        (joined([level(10, 1, 102, 1), level(10, -1, 101, 1)]), False),
        (event(1, 10, side=1, price=5), False),
    ],
)
def test_which_frames_are_crossed(rows: Events, expected: bool) -> None:
    around = joined([bbo(5, (100, 1), (101, 1)), rows, trade(20, 1, 50, 1)])
    assert crossed_frames(around).tolist() == [False] * 2 + [expected] * len(rows) + [False]


def test_no_rows_are_not_crossed() -> None:
    assert crossed_frames(joined([])).tolist() == []


def test_a_recorded_set_needs_no_mending(recordings: Path, tmp_path: Path) -> None:
    source = open_source(recordings / "hyperliquid/ws_raw_20250126/btcusd_20250126.gz")
    rows, tally, report = mended(source, tmp_path)
    assert rows.tobytes() == rows_of(source).tobytes()
    assert +tally == {}
    assert [finding.code for finding in report.findings] in ([], [Code.LEFT_OUT])
    assert np.all(np.diff(rows["ts_local_ns"]) >= 0)
