"""Binance recordings as Parquet: the same events as from the messages they were made of."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data.errors import DataError
from hlhft.data.markets import find
from hlhft.data.readers import binance_parquet, parquet
from hlhft.data.readers.binance_parquet import open_parquet
from hlhft.data.sources import Source, open_source
from hlhft.events import EventKind
from tests.data.making import BOTH, END, LOCAL, SYNTHETIC, columns, fault_of, joined, rows_of

USDM, SPOT = find("usdm_btcusdt"), find("spot_btcusdt")
NOW, MS = 1_723_161_255_000_000_000, 1_000_000
Row = tuple[int, int, int, int, float, float, int]
NAMES = ("ts_local", "ts_exch", "kind", "side", "price", "qty", "last_id")


def changes(path: Path, rows: list[Row]) -> Path:
    pq.write_table(pa.table({name: list(values) for name, values in zip(NAMES, zip(*rows, strict=True), strict=True)}),
                   path)  # fmt: skip
    return path


def row(ms: float, kind: int, side: int, price: float, size: float, identity: int, *, exch: float | None = None) -> Row:
    when = NOW + int(ms * MS)
    return (when, when - 5 * MS if exch is None else int(exch and NOW + exch * MS), kind, side, price, size, identity)


def books(path: Path, rows: list[dict[str, float]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


SOUND = [
    row(10, 1, 1, 61800.0, 1.0, 5), row(10, 1, -1, 61800.1, 2.0, 5),
    row(11, 2, -1, 61800.0, 0.5, 77),
    row(12, 3, 1, 61800.0, 0.5, 6), row(12, 3, -1, 61800.1, 2.0, 6),
    row(13, 1, 1, 61799.9, 0.0, 7),
]  # fmt: skip


def test_rows_of_one_message_are_one_frame(tmp_path: Path) -> None:
    source = open_source(changes(tmp_path / "usdm_btcusdt.parquet", SOUND))
    assert source.markets == (USDM,)
    assert columns(rows_of(source), "kind", "side", "price_ticks", "size_lots", "order_id", "flags") == [
        (1, 1, 618_000, 1000, 0, BOTH), (1, -1, 618_001, 2000, 0, BOTH | END),
        (6, -1, 618_000, 500, 77, BOTH | END),
        (5, 1, 618_000, 500, 0, BOTH), (5, -1, 618_001, 2000, 0, BOTH | END),
        (1, 1, 617_999, 0, 0, BOTH | END),
    ]  # fmt: skip
    assert dict(source.counts) == {"clock_shift_ns": 0, "depth_level": 2, "trade": 1, "bbo": 1}


def test_two_messages_of_one_time_are_two_frames(tmp_path: Path) -> None:
    path = changes(tmp_path / "a", [row(10, 2, 1, 1.0, 1.0, 1), row(10, 2, 1, 1.0, 1.0, 2), row(10, 3, 1, 1.0, 1.0, 2)])
    assert columns(rows_of(open_parquet(path, USDM, None, {})), "flags") == [(BOTH | END,)] * 3


def test_the_clock_is_moved_and_missing_times_are_modelled(tmp_path: Path) -> None:
    rows = [row(0, 1, 1, 1.0, 1.0, 1, exch=9), row(10, 1, 1, 1.0, 2.0, 2, exch=18), row(20, 3, 1, 1.0, 2.0, 3, exch=0)]
    source = open_parquet(changes(tmp_path / "a", rows), SPOT, None, {})
    assert isinstance(source, binance_parquet.BinanceParquetSource)
    # The least latency is -9 ms, so clocks move by 9 ms; after that the median is half a millisecond.
    assert source.clock() == (9 * MS, MS // 2)
    found = rows_of(source)
    assert (found["ts_local_ns"] - NOW).tolist() == [9 * MS, 19 * MS, 29 * MS]
    assert (found["ts_exch_ns"] - NOW).tolist() == [9 * MS, 18 * MS, 29 * MS - MS // 2]


def test_a_late_snapshot_gets_what_it_lacks(tmp_path: Path) -> None:
    rows = [
        row(10, 1, 1, 100.0, 1.0, 5), row(11, 1, 1, 100.1, 1.0, 6), row(12, 1, -1, 100.2, 0.0, 7),
        row(13, 0, 1, 100.0, 9.0, 6, exch=6.5), row(13, 0, -1, 100.2, 9.0, 6, exch=6.5),
        row(14, 1, -1, 100.3, 1.0, 8),
    ]  # fmt: skip
    source = open_parquet(changes(tmp_path / "a", rows), USDM, None, {})
    found = rows_of(source)[3:]
    assert columns(found, "kind", "side", "price_ticks", "size_lots", "aux0", "flags") == [
        (3, 0, 0, 0, 1, BOTH), (1, 1, 1000, 9000, 0, BOTH), (1, -1, 1002, 9000, 0, BOTH), (4, 0, 0, 0, 2, BOTH),
        (1, -1, 1002, 0, 0, LOCAL | SYNTHETIC | END),
        (1, -1, 1003, 1000, 0, BOTH | END),
    ]  # fmt: skip
    assert len({*found["ts_local_ns"][:5].tolist()}) == len({*found["ts_exch_ns"][:5].tolist()}) == 1
    assert source.counts["updates_applied_again"] == 1


def test_how_rows_are_cut_into_blocks_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = changes(tmp_path / "a", [*SOUND, row(14, 0, 1, 61800.0, 3.0, 6), row(14, 0, -1, 61800.1, 3.0, 6), *[
        row(15, 1, side, 61800.0, 4.0, 8) for side in (1, -1)]])  # fmt: skip
    expected, counts = rows_of(open_parquet(path, USDM, None, {})), None
    for count in (1, 2, 3, 7):
        monkeypatch.setattr(parquet, "ROWS_AT_ONCE", count)
        source = open_parquet(path, USDM, None, {})
        assert rows_of(source).tobytes() == expected.tobytes()
        assert counts in (None, dict(source.counts))
        counts = dict(source.counts)


def test_a_message_longer_than_the_bound_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(binance_parquet, "FRAME_ROWS_MAX", 3)
    path = changes(tmp_path / "a", [row(1, 2, 1, 1.0, 1.0, 1), *[row(2, 1, 1, 1.0, 1.0, 2)] * 5])
    rows, error = fault_of(open_parquet(path, USDM, None, {}))
    assert str(error) == f"{path}, row 1: more than 3 rows from here on are of one message, write the file again"
    assert len(rows) == 1


def test_books_are_pictures(tmp_path: Path) -> None:
    first = {"ts_local": NOW, "ts_exch": NOW - MS, "ask_px_1": 101.0, "ask_qty_1": 1.0, "bid_px_1": 100.0,
             "bid_qty_1": 2.0, "ask_px_2": 102.0, "ask_qty_2": 3.0, "bid_px_2": 0.0, "bid_qty_2": 0.0}  # fmt: skip
    path = books(tmp_path / "usdm_btcusdt.book.parquet", [first, first | {"ts_local": NOW + MS, "bid_qty_2": 1.0}])
    source = open_source(path)
    assert source.snapshot_markets == (True,)
    found = columns(rows_of(source), "kind", "side", "price_ticks", "size_lots", "aux0", "flags")
    assert found[:5] == [
        (3, 0, 0, 0, 2, BOTH), (1, 1, 1000, 2000, 0, BOTH), (1, -1, 1010, 1000, 0, BOTH),
        (1, -1, 1020, 3000, 0, BOTH), (4, 0, 0, 0, 3, BOTH | END),
    ]  # fmt: skip
    assert len(found) == 10
    assert source.counts["snapshot"] == 2


BAD: dict[str, tuple[int, object, str]] = {
    "kind": (2, 4, "its kind is unknown, expected 0 to 3"),
    "side": (3, 0, "its side is unknown, expected 1 or -1"),
    "id": (6, -1, "last_id is negative, expected a number from 0"),
    "NaN": (4, float("nan"), "the price is not finite"),
    "no price": (4, 0.0, "the price is 0, expected the price of a level or trade"),
    "negative": (5, -1.0, "the size is out of range"),
    "too fine": (4, 61800.05, "the price is no whole tick of 1e-1"),
    "no trade": (5, 0.0, "the size is 0, expected the size of a trade"),
    "no time": (0, 0, "ts_local is out of range, expected nanoseconds"),
    "no exchange time": (1, -5, "ts_exch is out of range"),
    "seconds": (0, 1_723_161_255, "the arrival time is"),
}


@pytest.mark.parametrize(("column", "value", "problem"), BAD.values(), ids=BAD)
def test_a_wrong_row_is_named(tmp_path: Path, column: int, value: object, problem: str) -> None:
    rows = [*SOUND[:5]]
    rows[2] = (*rows[2][:column], value, *rows[2][column + 1 :])  # type: ignore[assignment]
    path = changes(tmp_path / "a", rows)
    _, error = fault_of(open_parquet(path, USDM, None, {}))
    assert error is not None
    assert f"{path}, row 2: {problem}" in str(error)


def test_files_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    def refused(path: Path, **options: bool) -> str:
        with pytest.raises(DataError) as caught:
            rows_of(open_source(path, **options))
        assert str(path) in str(caught.value)
        return str(caught.value)

    unnamed = changes(tmp_path / "a.parquet", SOUND)
    assert "does not say which market it holds, name the market" in refused(unnamed)
    named = changes(tmp_path / "usdm_btcusdt.parquet", SOUND)
    assert "the reader of Parquet files has no option book_ticker" in refused(named, book_ticker=False)
    timeless = changes(tmp_path / "usdm_btcusdt_2.parquet", [row(1, 3, 1, 1.0, 1.0, 1, exch=0)])
    assert "no row has an exchange time, expected depth updates or trades, check the file" in refused(timeless)
    part = books(tmp_path / "x.parquet", [{"ts_exch_ns": 1, "event": 1}])
    assert "this is one part of a catalogue, name what you want of it as DATE/COIN instead" in refused(part)
    foreign = books(tmp_path / "usdm_btcusdt_3.parquet", [{"open": 1.0}])
    assert "column ts_local is missing" in refused(foreign)
    log = tmp_path / "log.parquet"
    log.write_bytes(b"hello\n")
    assert "the name says parquet but the content is plain, expected parquet" in refused(log)


def sound(source: Source) -> None:
    found, _ = fault_of(source)
    assert (np.diff(found["ts_local_ns"]) >= 0).all()
    assert (found["price_ticks"] >= 0).all()
    assert np.isin(found["kind"], [int(kind) for kind in EventKind]).all()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), value=st.binary(min_size=1, max_size=6), cut=st.booleans())
def test_any_damage_is_rows_or_a_sentence(tmp_path: Path, place: int, value: bytes, cut: bool) -> None:
    path = tmp_path / "usdm_btcusdt.parquet"
    changes(path, SOUND)
    content = path.read_bytes()
    at = place % len(content)
    path.write_bytes(content[:at] if cut else content[:at] + value + content[at + len(value) :])
    try:
        sound(open_source(path))
    except DataError as error:
        assert str(path) in str(error)


def test_the_recorded_messages_give_the_same_events_in_both_forms(recordings: Path) -> None:
    raw = open_source(recordings / "binance/usdm_btcusdt_20240808.gz")
    table = open_source(recordings / "lob/binance_20240808/usdm_btcusdt.events.parquet")
    mine, theirs = (joined(itertools.islice(source.chunks(10_000), 20)) for source in (table, raw))
    count = min(len(mine), len(theirs))
    assert count > 100_000
    assert mine[:count].tobytes() == theirs[:count].tobytes()
    assert (table.clock(), table.counts["updates_applied_again"]) == (raw.clock(), 2)  # type: ignore[attr-defined]
