"""hftbacktest's arrays both ways: the same bytes after a round trip, and what it exports obeys that library's rules."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data import npz
from hlhft.data.errors import DataError
from hlhft.data.feed import replay_events
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.markets import find
from hlhft.data.npz import Rows
from hlhft.data.readers import hftbacktest_npz
from hlhft.data.readers.hftbacktest_npz import (
    HFTBACKTEST_DTYPE,
    export_rows,
    import_rows,
    open_npz,
    write_hftbacktest,
)
from hlhft.data.samples import bundled
from hlhft.data.sources import open_source
from hlhft.data.tally import Tally
from hlhft.events import EventKind
from hlhft.units import LOTS_MAX, TICKS_MAX
from tests.data.making import (  # fmt: skip
    BOTH,
    BTC,
    END,
    EXCHANGE,
    LOCAL,
    ListSource,
    columns,
    cut,
    event,
    fault_of,
    joined,
    level,
    rows_of,
    snapshot,
    trade,
    write,
)

EXCH, OURS, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28
DEPTH, TRADE, CLEAR, SNAPSHOT, BBO = 1, 2, 3, 4, 5


def row(ev: int, exch: int, local: int, price: float, size: float, order_id: int = 0) -> tuple[object, ...]:
    return (ev, exch, local, price, size, order_id, 0, 0.0)


def array(*rows: tuple[object, ...]) -> Rows:
    return np.array(list(rows), dtype=HFTBACKTEST_DTYPE)


SOUND = array(
    row(CLEAR | EXCH | OURS | BUY, 10, 20, 99.9, 0.0),
    row(SNAPSHOT | EXCH | OURS | BUY, 10, 20, 100.0, 1.5),
    row(SNAPSHOT | EXCH | OURS | BUY, 10, 20, 99.9, 0.00001),
    row(DEPTH | EXCH | SELL, 11, 30, 100.1, 2.0),
    row(DEPTH | OURS | SELL, 11, 30, 100.1, 0.0),
    row(TRADE | EXCH | OURS | BUY, 12, 30, 100.1, 0.25, 77),
    row(TRADE | EXCH | OURS, 12, 30, 100.1, 0.25),
    row(BBO | EXCH | OURS | SELL, 13, 40, 0.0, 0.0),
    row(CLEAR | EXCH | OURS, 14, 40, 0.0, 0.0),
)


def test_every_kind_comes_in(tmp_path: Path) -> None:
    found = import_rows(SOUND, BTC)
    assert columns(found, "kind", "side", "price_ticks", "size_lots", "order_id", "aux1", "flags") == [
        (2, 1, 999, 0, 0, 0, BOTH), (1, 1, 1000, 150_000, 0, 1, BOTH), (1, 1, 999, 1, 0, 1, BOTH),
        (1, -1, 1001, 200_000, 0, 0, EXCHANGE), (1, -1, 1001, 0, 0, 0, LOCAL), (6, 1, 1001, 25_000, 77, 0, BOTH),
        (6, 0, 1001, 25_000, 0, 0, BOTH), (5, -1, 0, 0, 0, 0, BOTH), (2, 0, 0, 0, 0, 0, BOTH),
    ]  # fmt: skip
    assert columns(found, "ts_exch_ns", "ts_local_ns")[3] == (11, 30)


def test_what_came_in_goes_out_as_the_same_bytes() -> None:
    assert export_rows(import_rows(SOUND, BTC), BTC).tobytes() == SOUND.tobytes()


@given(st.lists(st.tuples(st.integers(1, TICKS_MAX), st.integers(0, LOTS_MAX)), min_size=1, max_size=20))
@settings(max_examples=60)
def test_floats_are_those_nearest_to_the_decimals(levels: list[tuple[int, int]]) -> None:
    events = joined(level(10, 1, ticks, lots) for ticks, lots in levels)
    rows = export_rows(events, BTC)
    assert rows["px"].tolist() == [float(BTC.price_text(ticks)) for ticks, _ in levels]
    assert rows["qty"].tolist() == [float(BTC.size_text(lots)) for _, lots in levels]
    if max(lots for _, lots in levels) < 2**52:
        assert columns(import_rows(rows, BTC), "price_ticks", "size_lots") == levels


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (row(0 | EXCH, 1, 2, 1.0, 1.0), "its kind is unknown, expected depth, trade, clear, snapshot or bbo"),
        (row(10 | EXCH | BUY, 1, 2, 1.0, 1.0), "its kind is unknown"),
        (row(DEPTH | EXCH | BUY | 256, 1, 2, 1.0, 1.0), "it has unknown flags, expected bits 28 to 31"),
        (row(DEPTH | EXCH | BUY | SELL, 1, 2, 1.0, 1.0), "it is both buy and sell, expected one"),
        (row(DEPTH | EXCH, 1, 2, 1.0, 1.0), "it is neither buy nor sell, expected one"),
        (row(BBO | EXCH, 1, 2, 1.0, 1.0), "it is neither buy nor sell, expected one"),
        ((DEPTH | EXCH | BUY, 1, 2, 1.0, 1.0, 0, 5, 0.0), "ival or fval is set, expected 0 as for price-level data"),
        ((DEPTH | EXCH | BUY, 1, 2, 1.0, 1.0, 0, 0, 0.5), "ival or fval is set"),
        (row(TRADE | EXCH | BUY, 1, 2, 1.0, 1.0, 2**63), "order_id is out of range, expected less than 2^63"),
        (row(DEPTH | EXCH | BUY, 1, 2, float("nan"), 1.0), "px is not finite, expected a number"),
        (row(DEPTH | EXCH | BUY, 1, 2, 1.0, float("inf")), "qty is not finite"),
        (row(DEPTH | EXCH | BUY, 1, 2, -1.0, 1.0), "px is out of range, expected 0 or more"),
        (row(DEPTH | EXCH | BUY, 1, 2, 1e12, 1.0), "px is out of range"),
        (row(DEPTH | EXCH | BUY, 1, 2, 1.05, 1.0), "px is no whole tick of 1e-1"),
        (row(TRADE | EXCH | BUY, 1, 2, 1.0, 1e-6), "qty is no whole lot of 1e-5"),
        (row(DEPTH | EXCH | BUY, 1, 2, 0.0, 1.0), "px is 0, expected the price of a level or trade"),
        (row(TRADE | EXCH | BUY, 1, 2, 0.0, 1.0), "px is 0"),
        (row(TRADE | EXCH | BUY, 1, 2, 1.0, 0.0), "qty is 0, expected the size of a trade"),
        (row(DEPTH | EXCH | BUY, -1, 2, 1.0, 1.0), "a time is out of range, expected nanoseconds"),
        (row(DEPTH | EXCH | BUY, 1, 2**62, 1.0, 1.0), "a time is out of range"),
    ],
)
def test_a_row_that_is_none_is_named(bad: tuple[object, ...], problem: str) -> None:
    rows = np.concatenate([SOUND[:3], array(bad), SOUND[3:]])
    with pytest.raises(DataError) as caught:
        import_rows(rows, BTC, path="a.npz", first_row=100)
    assert (caught.value.line, problem in str(caught.value)) == ("row 103", True), str(caught.value)
    assert "correct or drop the row" in str(caught.value)


def test_a_price_within_a_billionth_of_a_tick_is_that_tick() -> None:
    rows = array(row(DEPTH | EXCH | BUY, 1, 2, 100.1 + 5e-10, 0.1 + 0.2))
    assert columns(import_rows(rows, BTC), "price_ticks", "size_lots") == [(1001, 30_000)]


def test_what_rests_at_a_level_is_cut_to_whole_lots_and_counted():
    """25.426189 at a lot of 0.00001 is 2,542,618 lots; a thousandth of a lot is none, which removes the level."""
    rows = array(*(row(DEPTH | EXCH | BUY, 1, 2, 1.0, size) for size in (25.426189, 1e-8, 2.0)))
    counts: Counter[str] = Counter()
    assert import_rows(rows, BTC, counts=counts)["size_lots"].tolist() == [2_542_618, 0, 200_000]
    assert counts == {"levels_cut_to_whole_lots": 2}


def test_pictures_go_out_as_clears_and_levels_as_that_librarys_converters_write_them() -> None:
    events = joined([trade(5, 1, 1001, 3), snapshot(10, [(1000, 5), (999, 7)], [(1001, 3)], local=20),
                     snapshot(11, [], [(1002, 1)], local=21), level(12, 1, 998, 1, local=22)])  # fmt: skip
    rows = export_rows(events, BTC)
    assert [(int(kind) & 0xFF, "B" if kind & BUY else "S", price) for kind, price in
            zip(rows["ev"].tolist(), rows["px"].tolist(), strict=True)] == [
        (TRADE, "B", 100.1), (CLEAR, "B", 99.9), (SNAPSHOT, "B", 100.0), (SNAPSHOT, "B", 99.9), (CLEAR, "S", 100.1),
        (SNAPSHOT, "S", 100.1), (CLEAR, "S", 100.2), (SNAPSHOT, "S", 100.2), (DEPTH, "B", 99.8),
    ]  # fmt: skip
    assert rows["qty"][1] == 0.0
    assert set(rows["exch_ts"][1:6].tolist()) == {10}


def test_a_kind_without_form_and_half_a_picture_are_named() -> None:
    with pytest.raises(DataError, match=r"events, row 9: kind 7 has no form in an hftbacktest array, drop it"):
        export_rows(joined([level(1, 1, 1, 1), event(EventKind.ASSET_CONTEXT, 2)]), BTC, row=8)
    picture = snapshot(10, [(1000, 5)], [(1001, 3)])
    for half in (picture[:-1], picture[1:], joined([picture[-1:], picture[:1]])):
        with pytest.raises(DataError, match=r"events, row 3: a snapshot is cut in two, expected whole frames"):
            export_rows(half, BTC, row=3)


def test_a_file_comes_in_as_frames_of_one_local_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "BTC_20250904.npz"
    np.savez_compressed(path, data=SOUND)
    whole = rows_of(open_npz(path, None, None, {}))
    ends = [bool(flags & END) for flags in whole["flags"].tolist()]
    assert ends == [False, False, True, False, False, False, True, False, True]
    monkeypatch.setattr(npz, "ROWS_AT_ONCE", 1)
    source = open_npz(path, None, None, {})
    assert rows_of(source).tobytes() == whole.tobytes()
    assert (source.markets, source.unit) == ((BTC,), "row")
    assert [places.tolist() for _, (_, places) in source.numbered(ProgressMeter(None, 1)) if len(places)] == [
        [0, 1, 2], [3, 4, 5, 6], [7, 8],
    ]  # fmt: skip


def test_a_bad_row_of_a_file_is_named_by_its_place_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "ROWS_AT_ONCE", 2)
    rows = SOUND.copy()
    rows["px"][5] = np.nan
    np.savez(tmp_path / "BTC.npz", data=rows)
    _, error = fault_of(open_npz(tmp_path / "BTC.npz", None, None, {}))
    assert str(error).startswith(f"{tmp_path / 'BTC.npz'}, row 5: px is not finite")


def test_rows_that_all_share_one_time_are_refused_when_they_are_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(hftbacktest_npz, "FRAME_ROWS_MAX", 10)
    np.savez(tmp_path / "BTC.npz", data=np.repeat(SOUND[5:6], 30))
    _, error = fault_of(open_npz(tmp_path / "BTC.npz", None, None, {}))
    assert "row 0: more than 10 rows from here on share one local time" in str(error)


def test_the_market_is_given_or_the_longest_name_that_the_file_begins_with(tmp_path: Path) -> None:
    for name in ("usdm_btcusdt_1.npz", "BTC_1.npz", "other.npz"):
        np.savez(tmp_path / name, data=SOUND[:0])
    assert open_npz(tmp_path / "usdm_btcusdt_1.npz", None, None, {}).markets[0].name == "usdm_btcusdt"
    assert open_npz(tmp_path / "BTC_1.npz", None, None, {}).markets == (BTC,)
    assert open_npz(tmp_path / "other.npz", BTC, None, {}).markets == (BTC,)
    with pytest.raises(DataError, match=r"an hftbacktest array does not say which market it holds, name the market"):
        open_npz(tmp_path / "other.npz", None, None, {})
    with pytest.raises(DataError, match=r"does not say which market"):
        open_npz(tmp_path / "BTC_1.npz", None, {}, {})
    with pytest.raises(DataError, match=r"the reader of hftbacktest arrays has no option coins, leave it out"):
        open_npz(tmp_path / "BTC_1.npz", None, None, {"coins": []})


def test_a_picture_that_reads_on_in_the_next_array_is_written_whole(tmp_path: Path) -> None:
    events = joined([event(EventKind.ASSET_CONTEXT, 1), snapshot(10, [(1000, 5), (999, 7)], [(1001, 3)]),
                     trade(20, 1, 1001, 1), snapshot(30, [(1000, 5)], [(1001, 3)])])  # fmt: skip
    tally = Tally()
    assert write_hftbacktest(tmp_path / "whole.npz", [events], BTC, tally) == 10
    assert tally["asset_contexts_left_out"] == 1
    for step in (1, 3, 4):
        write_hftbacktest(tmp_path / "parts.npz", cut(events, range(step, len(events), step)), BTC)
        assert (tmp_path / "parts.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    with pytest.raises(DataError, match=r"a snapshot is cut in two"):
        write_hftbacktest(tmp_path / "parts.npz", [events[:-1]], BTC)


def rules(rows: Rows) -> None:
    """What hftbacktest demands of an array (its validate_event_order, and the layout its converters keep)."""
    assert rows.dtype.names == ("ev", "exch_ts", "local_ts", "px", "qty", "order_id", "ival", "fval")
    assert rows.dtype.itemsize == 64
    exchange, ours = (rows["ev"] & EXCH) == EXCH, (rows["ev"] & OURS) == OURS
    assert (exchange | ours).all()
    assert (np.diff(rows["exch_ts"][exchange]) >= 0).all(), "exchange events are out of order."
    assert (np.diff(rows["local_ts"][ours]) >= 0).all(), "local events are out of order."
    assert (rows["local_ts"][exchange & ours] >= rows["exch_ts"][exchange & ours]).all()
    assert set(np.unique(rows["ev"] & 0xFF).tolist()) <= {DEPTH, TRADE, CLEAR, SNAPSHOT, BBO}
    assert np.isfinite(rows["px"]).all() and np.isfinite(rows["qty"]).all()


def loaded(path: Path) -> Rows:
    with np.load(path) as archive:
        return np.asarray(archive["data"])


def test_the_sample_exports_as_hftbacktests_own_converter_does(
    sample: tuple[np.ndarray, dict[str, int]], tmp_path: Path
) -> None:
    """Of usdm btcusdt that converter makes 466,836 events and 491,973 rows."""
    source = ListSource([sample[0]], [find("usdm_btcusdt")], snapshots_only=False)
    path = tmp_path / "usdm_btcusdt.npz"
    assert write_hftbacktest(path, replay_events(source), source.markets[0]) == 491_973
    rows = loaded(path)
    rules(rows)
    for side in (EXCH, OURS):
        seen = rows[(rows["ev"] & side) != 0]
        assert (len(seen), ((seen["ev"] & 0xFF) == SNAPSHOT).sum()) == (466_836, 2000)


def test_the_sample_round_trips(tmp_path: Path) -> None:
    lines = LineFile(bundled()).head(15_000)
    path, first, second = tmp_path / "a", tmp_path / "usdm_btcusdt.npz", tmp_path / "usdm_btcusdt_again.npz"
    source = open_source(write(path, lines))
    assert write_hftbacktest(first, replay_events(source), source.markets[0]) > 100_000
    again = open_source(first)
    write_hftbacktest(second, replay_events(again), again.markets[0])
    assert second.read_bytes() == first.read_bytes()


VALUES = st.tuples(
    st.integers(0, 2**32 - 1) | st.sampled_from([DEPTH | EXCH | BUY, TRADE | OURS | SELL, CLEAR | EXCH]),
    st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.floats() | st.just(100.5),
    st.floats() | st.just(1.0), st.integers(0, 2**64 - 1), st.sampled_from([0, 1]),
    st.sampled_from([0.0, float("nan")]),
)  # fmt: skip


@given(st.lists(VALUES, min_size=1, max_size=3))
@settings(max_examples=60)
def test_any_row_comes_in_within_all_ranges_or_is_named(values: list[tuple[object, ...]]) -> None:
    try:
        found = import_rows(array(*values), BTC)
    except DataError as error:
        assert error.line in {f"row {place}" for place in range(len(values))}
        return
    assert ((found["price_ticks"] >= 0) & (found["price_ticks"] <= TICKS_MAX)).all()
    assert ((found["size_lots"] >= 0) & (found["size_lots"] <= LOTS_MAX)).all()
    assert (found["ts_exch_ns"] >= 0).all() and (found["ts_local_ns"] >= 0).all()


def test_a_recorded_book_of_pictures_exports_by_the_rules_and_round_trips(recordings: Path, tmp_path: Path) -> None:
    source = open_source(recordings / "hyperliquid/ws_raw_20250126/btcusd_20250126.gz")
    first, second = tmp_path / "BTC.npz", tmp_path / "BTC_again.npz"
    write_hftbacktest(first, replay_events(source), BTC)
    rules(loaded(first))
    write_hftbacktest(second, replay_events(open_source(first)), BTC)
    assert second.read_bytes() == first.read_bytes()


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "ROWS_AT_ONCE", 2048)

    def peak(count: int) -> int:
        rows = np.repeat(SOUND[5:6], count)
        rows["local_ts"] = rows["exch_ts"] = np.arange(count)
        path = tmp_path / f"BTC_{count}.npz"
        np.savez(path, data=rows)
        del rows
        tracemalloc.start()
        try:
            assert sum(len(part) for part in open_npz(path, None, None, {}).chunks()) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60_000) < peak(20_000) * 1.2
