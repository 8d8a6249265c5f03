"""Planted faults are found, counted and named by line; recorded sets give the figures of their descriptions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data import validate
from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.merge import Events
from hlhft.data.order import by_both_clocks
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.data.validate import Code, Finding, Report, Severity, examine
from hlhft.units import Market
from tests.data.making import (  # fmt: skip
    BTC,
    END,
    ETH,
    LOCAL,
    SECOND,
    ListSource,
    bbo,
    cut,
    fault_of,
    joined,
    level,
    snapshot,
    trade,
    write,
)
from tests.data.synthetic import bbo_line, book_line, clean_log, clean_set, trades_line, write_set

BOOK = [(100, 5)], [(101, 5)]
QUIET = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def of(*arrays: Events, markets: tuple[Market, ...] = (BTC,), **more: int) -> Report:
    return examine(ListSource(arrays, markets), **more)


def only(report: Report, *codes: Code) -> list[Finding]:
    """The findings, which are just those codes (and notes of what a reader leaves out)."""
    found = [finding for finding in report.findings if finding.code is not Code.LEFT_OUT]
    assert [finding.code for finding in found] == list(codes), report.text()
    return found


def test_a_clean_recording_has_no_finding() -> None:
    report = of(snapshot(10, *BOOK), bbo(20, (100, 5), (101, 5)), trade(30, 1, 101, 1))
    assert report.findings == []
    assert report.ok
    assert (report.rows, report.kinds) == (7, {"DEPTH_LEVEL": 2, "SNAPSHOT_BEGIN": 1, "SNAPSHOT_END": 1, "BBO": 2,
                                              "TRADE": 1})  # fmt: skip
    assert (report.first_local_ns, report.last_local_ns) == (1010, 1030)
    assert (report.latency_ns_min, report.latency_ns_median, report.latency_ns_max) == (1000, 1000, 1000)
    assert not report.split


def test_latency_is_that_of_rows_that_both_sides_see() -> None:
    late = joined([trade(10, 1, 100, 1, 1, local=110), trade(20, 1, 100, 1, 2, local=220), trade(30, 1, 100, 1, 3,
                   local=1030), trade(5, 1, 100, 1, 4, local=5000, flags=LOCAL | END)])  # fmt: skip
    report = of(late)
    assert (report.latency_ns_min, report.latency_ns_median, report.latency_ns_max) == (100, 200, 1000)


def test_the_median_is_taken_over_a_bounded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "LATENCY_SAMPLES_MAX", 2)
    rows = [trade(place, 1, 100, 1, place, local=place + wait) for place, wait in ((10, 5), (20, 7), (30, 90))]
    report = of(*rows)
    assert (report.latency_ns_median, report.latency_ns_max) == (6, 90)


def test_rows_that_arrive_before_the_row_above_them() -> None:
    (finding,) = only(of(joined([trade(10, 1, 100, 1, 1, local=90), trade(20, 1, 100, 1, 2, local=80)])),
                      Code.ARRIVAL_ORDER)  # fmt: skip
    assert (finding.severity, finding.count, finding.place) == (Severity.ERROR, 1, "row 1")
    assert finding.message == "1 rows arrive before the row above them, the first is row 1"


def test_rows_overtaken_on_the_way_are_a_note_and_beyond_a_minute_an_error() -> None:
    def report(late_ns: int) -> Report:
        return of(trade(late_ns, 1, 100, 1, 1), trade(0, 1, 100, 1, 2, local=late_ns + 2000))

    (note,) = only(report(60 * SECOND), Code.EXCHANGE_ORDER)
    assert (note.severity, note.count) == (Severity.NOTE, 1)
    assert "1 rows were overtaken on the way, at most 60000.000 ms" in note.message
    (error,) = only(report(60 * SECOND + 1), Code.EXCHANGE_ORDER)
    assert (error.severity, error.count, error.place) == (Severity.ERROR, 1, "row 1")


def test_rows_that_arrive_before_they_happened() -> None:
    (finding,) = only(of(trade(100, 1, 100, 1, 1), trade(2000, 1, 100, 1, 2, local=1999)), Code.NEGATIVE_LATENCY)
    assert (finding.severity, finding.count, finding.place) == (Severity.ERROR, 1, "row 1")
    assert "the least latency is -0.000 ms" in finding.message


def test_a_silence_is_a_gap() -> None:
    rows = joined([trade(0, 1, 100, 1, 1), trade(11 * SECOND, 1, 100, 1, 2), trade(13 * SECOND, 1, 100, 1, 3)])
    (finding,) = only(of(rows), Code.GAP)
    assert (finding.severity, finding.count, finding.place) == (Severity.WARNING, 1, "row 1")
    assert "1 silences above 10 s, the longest 11.000 s, the first before row 1" in finding.message
    assert only(of(rows, gap_ns=11 * SECOND)) == []
    assert only(of(rows, gap_ns=SECOND), Code.GAP)[0].count == 2


def test_a_silent_book_is_a_gap_while_trades_go_on() -> None:
    trades = [trade(place * SECOND, 1, 100, 1, place + 1) for place in range(1, 13)]
    rows = joined([snapshot(0, *BOOK), snapshot(0, *BOOK, market=1), *trades, snapshot(13 * SECOND, *BOOK),
                   snapshot(14 * SECOND, *BOOK)])  # fmt: skip
    (finding,) = only(of(rows, markets=(BTC, ETH)), Code.GAP)
    assert (finding.count, finding.place) == (1, "row 20")
    assert "1 silences of the BTC book above 10 s, the longest 13.000 s from 1970-01-01T00:00:00.000 UTC by the" in (
        finding.message
    )


@pytest.mark.parametrize(
    "rows",
    [
        joined([snapshot(10, *BOOK), snapshot(20, [(101, 1)], [(101, 1)])]),
        joined([snapshot(10, *BOOK), bbo(20, (102, 1), (101, 1))]),
        joined([level(10, 1, 100, 5), level(11, -1, 101, 5), level(12, 1, 101, 1)]),
    ],
)
def test_a_crossed_or_locked_book(rows: Events) -> None:
    (finding,) = only(of(rows), Code.CROSSED_BOOK)
    assert (finding.severity, finding.count) == (Severity.WARNING, 1)
    assert finding.place == f"row {len(rows) - 1}"


def test_repeated_trades_are_found_and_the_repeat_is_named() -> None:
    rows = joined([trade(10, 1, 100, 1, 1), trade(10, 1, 100, 1, 2), trade(10, 1, 100, 1, 1), trade(11, 1, 100, 1, 1)])
    (finding,) = only(of(rows), Code.DUPLICATE_TRADES)
    assert (finding.severity, finding.count, finding.place) == (Severity.WARNING, 1, "row 2")
    assert only(of(joined([trade(10, 1, 100, 1, 0), trade(10, 1, 100, 1, 0)]))) == []


def test_a_split_trade_is_one_trade() -> None:
    rows = joined([trade(20, 1, 100, 1, 1, local=30), trade(10, 1, 100, 1, 2, local=40)])
    split = joined(by_both_clocks([rows], name="a"))
    assert len(split) == 3
    report = of(split)
    assert only(report) == []
    assert report.split
    backfill = trade(10, 1, 100, 1, 2, flags=LOCAL | END | 32)
    assert only(of(joined([backfill, backfill])), Code.DUPLICATE_TRADES)[0].count == 1


def test_an_empty_recording_is_unfit() -> None:
    report = of()
    assert only(report, Code.EMPTY)[0].severity is Severity.ERROR
    assert (report.ok, report.rows, report.first_local_ns, report.latency_ns_min) == (False, 0, None, None)
    assert report.text() == "list: 0 events of BTC ()\n  error EMPTY: the recording gives no event"


@pytest.mark.parametrize(("line", "place"), [(7, "line 7"), ("row 7", "row 7"), (None, None)])
def test_what_can_not_be_read_is_a_finding_after_what_can(line: int | str | None, place: str | None) -> None:
    source = ListSource([trade(10, 1, 100, 1, 1)], fault=DataError("a.gz", line, "it is torn"))
    report = examine(source)
    (finding,) = only(report, Code.UNREADABLE)
    assert (finding.severity, finding.place, report.rows, report.ok) == (Severity.ERROR, place, 1, False)
    assert finding.message == str(source.fault)


def test_what_the_reader_did_is_noted() -> None:
    class Reader(ListSource):
        def _arrays(self, meter):
            self.counts["clock_shift_ns"] = 1_272_156_851
            self.counts["levels_cut_to_whole_lots"] = 3
            self.counts["snapshot"] = 9
            yield from super()._arrays(meter)

    report = examine(Reader([trade(10, 1, 100, 1, 1)]))
    assert [(finding.code, finding.severity, finding.message) for finding in report.findings] == [
        (Code.CLOCK_OFFSET, Severity.NOTE, "the local clock was behind and was moved by 1272156851 ns"),
        (Code.LEFT_OUT, Severity.NOTE, "levels cut to whole lots: 3"),
    ]
    assert report.counts == {"clock_shift_ns": 1_272_156_851, "levels_cut_to_whole_lots": 3, "snapshot": 9}


def test_the_report_as_text_and_as_json() -> None:
    report = of(joined([snapshot(0, *BOOK), trade(1_500_000_000, 1, 101, 1, 1), trade(1_500_000_000, 1, 101, 1, 1)]))
    assert report.text().splitlines() == [
        "list: 6 events of BTC (2 depth_level, 1 snapshot_begin, 1 snapshot_end, 2 trade)",
        "  from 1970-01-01T00:00:00.000 UTC, 1.500 s by the local clock",
        "  feed latency 0.001 ms least, 0.001 ms median, 0.001 ms most",
        "  warning DUPLICATE_TRADES: 1 trades are repeated, the first at row 5",
    ]
    found = json.loads(report.json())
    assert found["ok"] is True
    assert found["findings"] == [
        {"code": "DUPLICATE_TRADES", "severity": "warning", "count": 1,
         "message": "1 trades are repeated, the first at row 5", "place": "row 5"}
    ]  # fmt: skip
    assert (found["rows"], found["markets"], found["split"]) == (6, ["BTC"], False)
    assert of(trade(1, 1, 100, 1)).text().endswith("\n  nothing found")


MESSAGES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(0, 3), st.integers(99, 102)), min_size=1, max_size=10
)


@given(MESSAGES, st.sets(st.integers(1, 40)))
@settings(max_examples=40)
def test_a_report_does_not_depend_on_how_rows_are_cut(messages: list[tuple[int, ...]], places: set[int]) -> None:
    arrays = []
    for number, (kind, seconds, wait, price) in enumerate(messages):
        exch, local = seconds * SECOND, (seconds + wait) * SECOND
        arrays.append(
            [snapshot(exch, [(price, 1)], [(101, 1)], local=local), bbo(exch, (100, 1), (price, 1), local=local),
             trade(exch, 1, price, 1, number % 2, local=local), level(exch, 1, price, wait, local=local)][kind]
        )  # fmt: skip
    rows = joined(arrays)
    assert of(*cut(rows, places)).json() == of(rows).json()


# Faults planted in clean recordings.


def test_the_clean_recordings_are_clean(tmp_path: Path) -> None:
    for source in (write(tmp_path / "log", clean_log(12)), write_set(tmp_path / "set", clean_set(6))):
        assert only(examine(open_source(source))) == []


@given(st.integers(0, 8), st.integers(1, 3))
@QUIET
def test_a_line_of_a_log_out_of_its_place_is_named(tmp_path: Path, first: int, distance: int) -> None:
    lines = clean_log(12)
    lines[first], lines[first + distance] = lines[first + distance], lines[first]
    (finding, *rest) = examine(open_source(write(tmp_path / "log", lines))).findings
    assert (finding.code, finding.severity) == (Code.ARRIVAL_ORDER, Severity.WARNING)
    assert finding.place == f"line {first + 2}"
    assert all(other.code in (Code.LEFT_OUT,) for other in rest)


@given(st.integers(0, 2), st.integers(4, 11), st.booleans())
@QUIET
def test_repeated_trades_of_a_log_are_named(tmp_path: Path, which: int, place: int, same: bool) -> None:
    lines = clean_log(12)
    origin = 3 * which + 2
    place = max(place, origin + 1)
    # A reconnection sends them again as a new message; a recorder's fault writes the very line twice.
    again = lines[origin] if same else trades_line(place, of=origin)
    lines[place : place + (0 if same else 1)] = [again]
    report = examine(open_source(write(tmp_path / "log", lines)))
    (finding,) = [finding for finding in report.findings if finding.code is Code.DUPLICATE_TRADES]
    assert (finding.severity, finding.count, finding.place) == (Severity.NOTE, 2, f"line {place + 1}")


@given(st.integers(0, 11), st.integers(0, 2))
@QUIET
def test_a_crossed_message_of_a_log_is_named(tmp_path: Path, place: int, over: int) -> None:
    lines = clean_log(12)
    kind = book_line if place % 3 == 0 else bbo_line
    lines[place] = kind(place, bid=1001 + over)
    (finding,) = only(examine(open_source(write(tmp_path / "log", lines))), Code.CROSSED_BOOK)
    assert (finding.count, finding.place) == (1, f"line {place + 1}")


@given(st.sampled_from(["orderbooks", "prices", "trades"]), st.integers(1, 4), st.integers(1, 2))
@QUIET
def test_a_row_of_a_set_out_of_its_place_is_named(tmp_path: Path, kind: str, first: int, distance: int) -> None:
    lines = clean_set(6)
    step = 2 if kind == "prices" else 1
    first, second = step * (first - 1) + 1, step * (first - 1 + distance) + 1
    content = lines[kind]
    content[first], content[second] = content[second], content[first]
    source = open_source(write_set(tmp_path / "set", lines))
    findings = examine(source).findings
    assert (findings[0].code, findings[0].severity) == (Code.ARRIVAL_ORDER, Severity.ERROR)
    assert findings[0].place == f"line {first + 2} of {kind}_BTC.csv"
    # An ordinary reading refuses it and names the same line.
    _, error = fault_of(source)
    assert error is not None
    assert error.line == first + 2


@given(st.integers(1, 5), st.integers(2, 6))
@QUIET
def test_a_repeated_trade_of_a_set_is_named(tmp_path: Path, origin: int, place: int) -> None:
    lines = clean_set(6)
    place = max(place, origin + 1)
    again, there = lines["trades"][origin].split(","), lines["trades"][place].split(",")
    lines["trades"].insert(place, ",".join([there[0], *again[1:]]))
    report = examine(open_source(write_set(tmp_path / "set", lines)))
    (finding,) = only(report, Code.DUPLICATE_TRADES)
    assert (finding.severity, finding.count, finding.place) == (Severity.NOTE, 1, f"line {place + 1} of trades_BTC.csv")


@given(st.sampled_from(["orderbooks", "prices"]), st.integers(1, 6), st.integers(1001, 1003))
@QUIET
def test_a_crossed_row_of_a_set_is_named(tmp_path: Path, kind: str, number: int, bid: int) -> None:
    lines = clean_set(6)
    row = number if kind == "orderbooks" else 2 * number - 1
    lines[kind][row] = lines[kind][row].replace(",1000,", f",{bid},")
    (finding,) = only(examine(open_source(write_set(tmp_path / "set", lines))), Code.CROSSED_BOOK)
    # A touch is two rows, and it is the second that ends the message.
    line = row + 1 if kind == "orderbooks" else row + 2
    assert (finding.count, finding.place) == (1, f"line {line} of {kind}_BTC.csv")


def test_the_recorded_silence_of_the_book_is_found(recordings: Path, tmp_path: Path) -> None:
    """The description: one gap of 17.98 s beginning at 1757015891504 ms, 17.5 s in the touch at the same place."""
    folder = recordings / "hyperliquid/l2_trades_bbo_20250904"
    gap_line = 0
    for kind in ("orderbooks", "prices", "trades"):
        head, *rows = gzip.decompress((folder / f"{kind}_BTC.csv.gz").read_bytes()).splitlines()
        near = [row for row in rows if 1757015870 < float(row.split(b",")[0]) < 1757015930]
        write(tmp_path / f"{kind}_BTC.csv", [head, *near])
        if kind == "orderbooks":
            times = [int(row.split(b",")[2]) for row in near]
            gap_line = times.index(1757015891504) + 3
    report = examine(open_source(tmp_path))
    feed, book = [finding for finding in report.findings if finding.code is Code.GAP]
    assert "1 silences above 10 s, the longest 17.497 s" in feed.message
    assert "1 silences of the BTC book above 10 s, the longest 17.976 s from 2025-09-04T19:58:11.504 UTC" in (
        book.message
    )
    assert book.place == f"line {gap_line} of orderbooks_BTC.csv"
    assert report.ok


def test_recorded_sessions_and_repeats_are_found(recordings: Path) -> None:
    report = examine(open_source(recordings / "hyperliquid/btc_bbo_trades_202509"))
    assert report.ok
    assert (report.rows, report.counts["duplicate_trades"], report.counts["sessions"]) == (67_364, 10, 7)
    (repeats,) = [finding for finding in report.findings if finding.code is Code.DUPLICATE_TRADES]
    assert (repeats.severity, repeats.count, repeats.place) == (Severity.NOTE, 10, "line 424 of trades_BTC.csv.gz")


def test_the_bundled_samples_clock_is_found_behind(tmp_path: Path) -> None:
    """Its description: about 1.27 s."""
    source = open_source(write(tmp_path / "a", LineFile(bundled()).head(900)))
    report = examine(source)
    assert report.ok
    (offset,) = [finding for finding in report.findings if finding.code is Code.CLOCK_OFFSET]
    assert offset.severity is Severity.NOTE
    assert 1_260_000_000 < report.counts["clock_shift_ns"] < 1_280_000_000
    assert f"moved by {report.counts['clock_shift_ns']} ns" in offset.message
    assert report.latency_ns_min == 0
