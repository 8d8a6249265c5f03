"""CSV recordings of the venue: three files a coin become one stream."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data import files
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.readers import hyperliquid_csv
from hlhft.data.readers.hyperliquid_csv import open_csv, open_folder, recognises, set_of
from hlhft.data.sources import Source, open_source
from hlhft.events import EventKind
from tests.data.making import BACKFILL, BOTH, BTC, END, ETH, columns, fault_of, joined, rows_of, write
from tests.data.readers.fuzz import check, mutated
from tests.data.synthetic import clean_set, times, write_set

BOOK = "timestamp,sequence,exchange_timestamp,bid_price_0,bid_size_0,ask_price_0,ask_size_0"
TOUCH = "timestamp,price,size,side,exchange_timestamp"
TRADE = "timestamp,price,size,side,trade_id,exchange_timestamp"
RECORDED = "hyperliquid/l2_trades_bbo_20250904"


def opened(path: Path) -> Source:
    return open_csv(path, None, None, {})


def of(folder: Path, **content: list[str]) -> Source:
    """The set of these files."""
    shutil.rmtree(folder / "set", ignore_errors=True)
    (folder / "set").mkdir()
    paths = [write(folder / "set" / f"{kind}_BTC.csv", lines) for kind, lines in content.items()]
    return opened(paths[0])


def test_a_book_row_is_a_picture_without_the_levels_it_lacks(tmp_path: Path) -> None:
    head = BOOK + ",bid_price_1,bid_size_1,ask_price_1,ask_size_1"
    source = of(tmp_path, orderbooks=[head, "2.5,0,2000,100.5,1,101,0.00001,99,1,0,0"])
    rows = rows_of(source)
    assert columns(rows, "kind", "side", "price_ticks", "size_lots", "aux0", "flags") == [
        (3, 0, 0, 0, 2, BOTH), (1, 1, 1005, 100_000, 0, BOTH), (1, 1, 990, 100_000, 0, BOTH),
        (1, -1, 1010, 1, 0, BOTH), (4, 0, 0, 0, 3, BOTH | END),
    ]  # fmt: skip
    assert set(columns(rows, "ts_exch_ns", "ts_local_ns")) == {(2_000_000_000, 2_500_000_000)}
    assert (source.name, source.markets, source.snapshot_markets) == ("set/BTC", (BTC,), (True,))


def test_a_touch_is_a_bid_an_ask_or_both(tmp_path: Path) -> None:
    lines = [TOUCH, "2.5,100,1,bid,2000", "2.5,101,1,ask,2000", "2.6,100,2,bid,2100", "2.7,101,3,ask,2100",
             "2.8,101,4,ask,2200", "2.8,100,4,bid,2200", "2.9,0,0,bid,2300"]  # fmt: skip
    rows = rows_of(of(tmp_path, prices=lines))
    assert [bool(flags & END) for flags in rows["flags"].tolist()] == [False, True, True, True, True, True, True]
    assert rows["size_lots"].tolist() == [100_000, 100_000, 200_000, 300_000, 400_000, 400_000, 0]


def test_a_touch_that_reads_on_in_the_next_block_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [TOUCH, "2.5,100,1,bid,2000", "2.5,101,1,ask,2000", "2.6,100,2,bid,2100", "2.8,100,4,bid,2200"]
    whole = rows_of(of(tmp_path, prices=lines))
    for count in (1, 2, 3):
        monkeypatch.setattr(hyperliquid_csv, "_LINES_AT_ONCE", count)
        assert rows_of(of(tmp_path, prices=lines)).tobytes() == whole.tobytes()
    assert [bool(flags & END) for flags in whole["flags"].tolist()] == [False, True, True, True]


def test_nothing_depends_on_how_the_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = clean_set(7)
    lines["trades"].insert(5, lines["trades"][4])
    source = opened(write_set(tmp_path / "set", lines) / "trades_BTC.csv")
    whole, counts = rows_of(source), dict(source.counts)
    assert counts["duplicate_trades"] == 1
    for at_once, count in ((1, 1 << 20), (3, 1 << 20), (4096, 1), (4096, 100)):
        monkeypatch.setattr(hyperliquid_csv, "_LINES_AT_ONCE", at_once)
        monkeypatch.setattr(files, "BLOCK_BYTES", count)
        assert rows_of(source).tobytes() == whole.tobytes()
        assert dict(source.counts) == counts


def test_trades_of_one_time_are_a_message_sorted_by_exchange_time_without_repeats(tmp_path: Path) -> None:
    lines = [TRADE, "2.5,100,1,buy,11,2100", "2.5,100,1,sell,10,2000", "2.6,100,1,sell,10,2000",
             "2.7,100,1,sell,12,2000"]  # fmt: skip
    source = of(tmp_path, trades=lines)
    rows = rows_of(source)
    assert columns(rows, "order_id", "side", "flags") == [(10, -1, BOTH), (11, 1, BOTH | END), (12, -1, BOTH | END)]
    assert source.counts == {"trade_rows": 4, "duplicate_trades": 1}


def test_the_three_files_are_merged_by_arrival_book_first(tmp_path: Path) -> None:
    source = of(tmp_path, trades=[TRADE, "2.5,101,1,buy,1,2000", "2.4,101,1,buy,2,1900"][:2],
                prices=[TOUCH, "2.4,100,1,bid,1900", "2.5,100,2,bid,2000"],
                orderbooks=[BOOK, "2.5,0,2000,100,1,101,1"])  # fmt: skip
    assert rows_of(source)["kind"].tolist() == [5, 3, 1, 1, 4, 5, 6]
    assert source.counts == {"snapshot": 1, "bbo_rows": 2, "trade_rows": 1, "sessions": 1, "backfill_trades": 0}


def test_backfill_is_marked_and_a_long_silence_starts_a_session(tmp_path: Path) -> None:
    source = of(tmp_path, trades=[TRADE, "2.0,101,1,buy,1,1000", "2.5,101,1,buy,2,2000"],
                prices=[TOUCH, "2.4,100,1,bid,1900", "99.5,100,1,bid,99000"])  # fmt: skip
    rows = rows_of(source)
    assert columns(rows, "kind", "flags") == [(6, 2 | END | BACKFILL), (5, BOTH | END), (6, BOTH | END), (2, BOTH | 16),
                                              (5, BOTH | END)]  # fmt: skip
    assert source.counts["sessions"] == 2


def test_trades_alone_are_no_backfill(tmp_path: Path) -> None:
    assert rows_of(of(tmp_path, trades=[TRADE, "2.0,101,1,buy,1,1000"]))["flags"].tolist() == [BOTH | END]


def test_carriage_returns_and_exponents_are_read(tmp_path: Path) -> None:
    rows = rows_of(of(tmp_path, trades=[TRADE + "\r", "2.5e0,1.01e2,1e-05,buy,1,2000\r"]))
    assert columns(rows, "price_ticks", "size_lots", "ts_local_ns") == [(1010, 1, 2_500_000_000)]


def test_a_header_alone_gives_nothing(tmp_path: Path) -> None:
    assert len(rows_of(of(tmp_path, trades=[TRADE], prices=[TOUCH], orderbooks=[BOOK]))) == 0


BAD_ROWS = [
    ("orderbooks", "2.5,0,2000,100,1,101", "the row has 6 columns, expected 7, drop the line"),
    ("orderbooks", "", "the row has 1 columns, expected 7"),
    ("orderbooks", "2.5,0,2000,NaN,1,101,1", 'column bid_price_0: "NaN" is not a decimal number'),
    ("orderbooks", "2.5,0,2000,-100,1,101,1", "price or size is out of range, expected positive numbers"),
    ("orderbooks", "2.5,0,2000,100.55,1,101,1", "bid_price_0 100.55 has more than 1 decimals, expected at most 1"),
    ("orderbooks", "2.5,0,2000,100,0.000001,101,1", "bid_size_0 0.000001 has more than 5 decimals"),
    ("orderbooks", "2.5,0,2000,214748364.8,1,101,1", "price or size is out of range"),
    ("orderbooks", "2.5,0,2000.5,100,1,101,1", "exchange_timestamp 2000.5 has more than 0 decimals"),
    ("orderbooks", "2.5,0,0,100,1,101,1", "exchange_timestamp is not in milliseconds"),
    ("orderbooks", "2.5,0,10000000000000,100,1,101,1", "exchange_timestamp is not in milliseconds"),
    ("orderbooks", "0,0,2000,100,1,101,1", "timestamp is not in seconds"),
    ("orderbooks", "-2.5,0,2000,100,1,101,1", "timestamp is not in seconds"),
    ("orderbooks", "5000000000,0,2000,100,1,101,1", "timestamp is not in seconds"),
    ("orderbooks", "2.3,0,2000,100,1,101,1", "timestamp is earlier than the row before, expected order of arrival"),
    ("prices", "2.5,100,1,buy,2000", 'column side: "buy" is not bid or ask'),
    ("prices", "2.5,100,1,1,2000", 'column side: "1" is not bid or ask'),
    ("prices", "2.5,bid,1,bid,2000", 'column price: "bid" is not a number'),
    ("prices", "2.5,-1,1,bid,2000", "price or size is out of range"),
    ("trades", "2.5,0,1,buy,7,2000", "price or size is out of range"),
    ("trades", "2.5,100,0,buy,7,2000", "price or size is out of range"),
    ("trades", "2.5,100,1,buy,-7,2000", "trade_id is negative, expected a number from 0"),
    ("trades", "2.5,100,1,buy,7.5,2000", "trade_id 7.5 has more than 0 decimals"),
    ("trades", "2.5,100,1,,7,2000", 'column side: "" is not buy or sell'),
    ("trades", "2.5,100,inf,buy,7,2000", 'column size: "inf" is not a decimal number'),
]
GOOD = {"orderbooks": (BOOK, "2.4,0,1900,100,1,101,1"), "prices": (TOUCH, "2.4,100,1,bid,1900"),
        "trades": (TRADE, "2.4,101,1,buy,1,1900")}  # fmt: skip


@pytest.mark.parametrize(("kind", "row", "problem"), BAD_ROWS)
def test_a_bad_row_is_named(tmp_path: Path, kind: str, row: str, problem: str) -> None:
    source = of(tmp_path, **{kind: [*GOOD[kind], row, GOOD[kind][1].replace("2.4,", "2.6,")]})
    rows, error = fault_of(source)
    assert error is not None
    assert (error.line, problem in str(error)) == (3, True), str(error)
    assert error.path.endswith(f"{kind}_BTC.csv")
    # What arrived before is given, but for a message that may not be whole.
    assert set(rows["ts_exch_ns"].tolist()) <= {1_900_000_000}


@pytest.mark.parametrize(
    ("kind", "header", "problem"),
    [
        ("orderbooks", TOUCH, "column bid_price_0 is missing, expected timestamp, exchange_timestamp, bid_price_0"),
        ("trades", TOUCH, "column trade_id is missing"),
        ("prices", "", "column timestamp is missing"),
        ("orderbooks", BOOK + ",bid_price_1,bid_size_1,ask_size_1", "column ask_price_1 is missing beside bid_price_1"),
    ],
)
def test_a_header_without_a_column_is_named(tmp_path: Path, kind: str, header: str, problem: str) -> None:
    with pytest.raises(DataError) as caught:
        of(tmp_path, **{kind: [header]})
    assert (caught.value.line, problem in str(caught.value)) == (1, True), str(caught.value)


def test_a_mending_reading_puts_rows_in_order(tmp_path: Path) -> None:
    lines = [TRADE, "2.7,101,1,buy,1,2000", "2.5,101,1,buy,2,1900", "2.6,101,1,buy,3,1950"]
    source = of(tmp_path, trades=lines)
    rows = joined(source.chunks(mending=True))
    assert rows["order_id"].tolist() == [2, 3, 1]
    assert source.counts["rows_out_of_order"] == 2
    assert not source.sorts
    rows, error = fault_of(source)
    assert "mend it with `hlhft data check --repair`" in str(error)


def test_rows_are_numbered_by_line_file_after_file(tmp_path: Path) -> None:
    source = opened(write_set(tmp_path / "set", clean_set(2)) / "trades_BTC.csv")
    found = [(path.name, places.tolist()) for path, (_, places) in source.numbered(ProgressMeter(None, 1))]
    assert found == [("orderbooks_BTC.csv", [2] * 6 + [3] * 6), ("prices_BTC.csv", [2, 3, 4, 5]),
                     ("trades_BTC.csv", [2, 3])]  # fmt: skip


def test_the_set_of_a_file(tmp_path: Path) -> None:
    for name in ("trades_BTC.csv", "prices_BTC.csv.gz", "orderbooks_ETH.csv", "trades_BTC.csv.gz"):
        (tmp_path / name).touch()
    coin, found = set_of(tmp_path / "trades_BTC.csv")
    assert (coin, {kind: path.name for kind, path in found.items()}) == (
        "BTC", {"trades": "trades_BTC.csv", "prices": "prices_BTC.csv.gz"},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["book.csv", "fills_BTC.csv", "trades_.csv", "trades"])
def test_a_name_that_does_not_say_what_it_holds(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [TRADE])
    with pytest.raises(DataError, match=r"the name does not say what it holds, expected one of orderbooks, prices, tr"):
        opened(path)


def test_a_folder_is_all_its_coins_or_one(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", clean_set(2))
    write_set(folder, clean_set(2), "ETH")
    write(folder / "notes.csv", ["x"])
    write(folder / "my_notes.csv", ["x"])
    assert [source.markets for source in open_folder(folder, None, None, {})] == [(BTC,), (ETH,)]
    assert [source.markets for source in open_folder(folder, ETH, None, {})] == [(ETH,)]
    with pytest.raises(DataError, match=r"the folder holds no CSV recording, expected files as trades_BTC.csv.gz"):
        open_folder(tmp_path, None, None, {})
    (folder / "orderbooks_SOL.csv").touch()
    with pytest.raises(DataError, match=r"orderbooks_SOL.csv: the file is empty"):
        open_folder(folder, None, None, {})


def test_a_coin_that_is_not_known_and_options_are_refused(tmp_path: Path) -> None:
    path = write_set(tmp_path / "set", clean_set(1), "DOGE") / "trades_DOGE.csv"
    with pytest.raises(DataError, match=r"market DOGE is not in the specification"):
        opened(path)
    assert open_csv(path, BTC, None, {}).markets == (BTC,)
    with pytest.raises(DataError, match=r"the reader of CSV sets has no option book_ticker, leave it out"):
        open_csv(path, BTC, None, {"book_ticker": False})


@pytest.mark.parametrize(
    ("head", "expected"),
    [([BOOK.encode()], True), ([b"exchange_timestamp, timestamp"], True), ([b"timestamp,price"], False), ([], False)],
)
def test_recognition(head: list[bytes], expected: bool) -> None:
    assert recognises(head) is expected


def test_memory_does_not_grow_with_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 13)
    monkeypatch.setattr(hyperliquid_csv, "_LINES_AT_ONCE", 64)

    def peak(count: int) -> int:
        source = opened(write_set(tmp_path / str(count), clean_set(count)) / "trades_BTC.csv")
        tracemalloc.start()
        try:
            assert sum(len(rows) for rows in source.chunks(256)) == count * 9
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1800)  # what is compiled is loaded once, on the way
    # Of the growth that stays, trades remembered against repeats are bounded by their number.
    assert peak(1800) < peak(600) + 1200 * 250


@pytest.mark.parametrize("kind", ["orderbooks", "prices", "trades"])
@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_gives_rows_or_names_the_line(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = [line.encode() for line in clean_set(3)[kind]]
    lines, place = data.draw(mutated(content))
    (tmp_path / kind).mkdir(exist_ok=True)
    check(tmp_path / kind, f"{kind}_BTC.csv", lines, place, opened)


FIGURES = [("BTC", 27_792, 6675, 0), ("ETH", 30_518, 6884, 17), ("SOL", 26_422, 4437, 10), ("WLFI", 17_706, 2563, 8)]


@pytest.mark.parametrize(("coin", "touches", "trades", "repeats"), FIGURES)
def test_the_recorded_set(recordings: Path, coin: str, touches: int, trades: int, repeats: int) -> None:
    """The description: 3,785 books of 20 levels a side, none crossed; rows by file; repeats; latencies; backfill."""
    source = open_source(recordings / RECORDED / f"prices_{coin}.csv.gz")
    rows = rows_of(source)
    counts = source.counts
    assert (counts["snapshot"], counts["bbo_rows"], counts["trade_rows"]) == (3785, touches, trades)
    assert (counts["duplicate_trades"], counts["sessions"]) == (repeats, 1)
    assert 25 <= counts["backfill_trades"] <= 40
    levels = rows[rows["kind"] == EventKind.DEPTH_LEVEL]
    assert len(levels) == 3785 * 40
    by_book = levels["price_ticks"].reshape(-1, 40)
    assert (np.diff(by_book[:, :20]) < 0).all()
    assert (np.diff(by_book[:, 20:]) > 0).all()
    assert (by_book[:, 0] < by_book[:, 20]).all()
    if coin == "BTC":
        begins = rows[rows["kind"] == EventKind.SNAPSHOT_BEGIN]
        late = (begins["ts_local_ns"] - begins["ts_exch_ns"]) / 1e6
        assert np.percentile(late, [5, 50, 95]).round().tolist() == [295, 396, 646]
        touch = rows[rows["kind"] == EventKind.BBO]
        late = (touch["ts_local_ns"] - touch["ts_exch_ns"]) / 1e6
        assert np.percentile(late, [5, 50, 95]).round().tolist() == [264, 357, 627]
        steps = np.diff(begins["ts_exch_ns"]) / 1e6
        assert 540 <= np.median(steps) <= 542
        assert (steps.max(), int(begins["ts_exch_ns"][steps.argmax()]) // 10**6) == (
            17_976, 1_757_015_891_504,
        )  # fmt: skip


def test_times_of_the_synthetic_set_are_those_it_says(tmp_path: Path) -> None:
    source = opened(write_set(tmp_path / "set", clean_set(1)) / "trades_BTC.csv")
    exch_ms, local_ns = times(0)
    assert set(columns(rows_of(source), "ts_exch_ns", "ts_local_ns")) == {(exch_ms * 1_000_000, local_ns)}
