"""Binance's streams: times, the clock, snapshots that are older than what came before them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from hlhft.data import files
from hlhft.data.errors import DataError
from hlhft.data.files import LineFile, ProgressMeter
from hlhft.data.markets import find
from hlhft.data.readers import binance
from hlhft.data.readers.binance import BinanceSource, open_binance, recognises
from hlhft.data.sources import Source, open_source
from hlhft.events import EventKind
from tests.data.making import BOTH, END, LOCAL, SYNTHETIC, columns, fault_of, rows_of, write
from tests.data.readers.fuzz import check, mutated

NOW, TIME = 1_723_161_255_030_000_000, 1_723_161_255_000  # thirty milliseconds apart
MS = 1_000_000
USDM = find("usdm_btcusdt")


def message(wait_ms: float, stream: str, **data: object) -> str:
    return f"{NOW + int(wait_ms * MS)} " + json.dumps(
        {"stream": f"btcusdt@{stream}", "data": data}, separators=(",", ":")
    )


def depth(wait_ms: float, update: int, bids: list, asks: list, *, time: int = TIME, futures: bool = True) -> str:
    clock = {"E": time + 1, "T": time} if futures else {"E": time}
    return message(wait_ms, "depth@0ms", e="depthUpdate", s="BTCUSDT", u=update, b=bids, a=asks, **clock)


def ticker(wait_ms: float, bid: list, ask: list, *, time: int | None = TIME) -> str:
    clock = {} if time is None else {"T": time, "E": time + 1}
    return message(
        wait_ms, "bookTicker", e="bookTicker", s="BTCUSDT", u=1, b=bid[0], B=bid[1], a=ask[0], A=ask[1], **clock
    )


def trade(wait_ms: float, price: str, size: str, *, sells: bool = False, identity: int = 7, **more: object) -> str:
    return message(wait_ms, "trade", e="trade", s="BTCUSDT", E=TIME + 1, T=TIME, t=identity, p=price, q=size, m=sells,
                   **more)  # fmt: skip


def rest(wait_ms: float, update: int, bids: list, asks: list, **more: object) -> str:
    return f"{NOW + int(wait_ms * MS)} " + json.dumps({"lastUpdateId": update, "bids": bids, "asks": asks, **more})


FIRST = depth(0, 1, [["61800.0", "1.000"]], [["61800.1", "2.000"]])


def opened(path: Path, **options: bool) -> Source:
    return open_binance(LineFile(path), None, None, options)


def rows_in(folder: Path, *lines: str, **options: bool) -> tuple[np.ndarray, Source]:
    source = opened(write(folder / "a.gz", lines), **options)
    return rows_of(source), source


def test_the_four_channels(tmp_path: Path) -> None:
    rows, source = rows_in(
        tmp_path, FIRST, ticker(1, ["61800.0", "1.5"], ["61800.1", "0.000"]), trade(2, "61800.1", "0.5", X="MARKET"),
        trade(3, "61800.0", "0.25", sells=True), rest(4, 1, [["61799.0", "3"]], [["61802.0", "4"], ["61803", "5"]]),
    )  # fmt: skip
    assert source.markets == (USDM,)
    assert columns(rows, "kind", "side", "price_ticks", "size_lots", "order_id", "aux0", "flags") == [
        (1, 1, 618_000, 1000, 0, 0, BOTH), (1, -1, 618_001, 2000, 0, 0, BOTH | END),
        (5, 1, 618_000, 1500, 0, 0, BOTH), (5, -1, 618_001, 0, 0, 0, BOTH | END),
        (6, 1, 618_001, 500, 7, 0, BOTH | END), (6, -1, 618_000, 250, 7, 0, BOTH | END),
        (3, 0, 0, 0, 0, 2, BOTH), (1, 1, 617_990, 3000, 0, 0, BOTH), (1, -1, 618_020, 4000, 0, 0, BOTH),
        (1, -1, 618_030, 5000, 0, 0, BOTH), (4, 0, 0, 0, 0, 3, BOTH | END),
    ]  # fmt: skip
    assert source.counts == {"clock_shift_ns": 0, "depth_level": 1, "bbo": 1, "trade": 2, "snapshot": 1}
    assert rows["ts_local_ns"].tolist()[::2][:3] == [NOW, NOW + MS, NOW + 2 * MS]


def test_events_are_numbered_by_line_with_the_clock_moved(tmp_path: Path) -> None:
    lines = [depth(wait - 1000, 1, [["61800", "1"]], []) for wait in (4, 0)]
    source = opened(write(tmp_path / "a", lines))
    ((path, (events, places)),) = source.numbered(ProgressMeter(None, 1))
    assert (path.name, places.tolist()) == ("a", [1, 2])
    assert (events["ts_local_ns"] - events["ts_exch_ns"]).tolist() == [4 * MS, 0]


def test_nothing_depends_on_how_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = opened(write(tmp_path / "a.gz", [*map(bytes.decode, LINES), rest(9, 1, [["61800", "1"]], [], T=TIME)]))
    whole, counts = rows_of(source), dict(source.counts)
    assert counts["updates_applied_again"] == 1
    for count in (1, 100, 300):
        monkeypatch.setattr(files, "BLOCK_BYTES", count)
        assert rows_of(source).tobytes() == whole.tobytes()
        assert dict(source.counts) == counts


def test_times_are_the_transactions_on_futures_and_the_events_on_spot(tmp_path: Path) -> None:
    rows, source = rows_in(tmp_path, depth(0, 1, [["61800.01", "0.00001"]], [], futures=False))
    assert source.markets[0].name == "spot_btcusdt"
    assert columns(rows, "ts_exch_ns", "price_ticks", "size_lots") == [(TIME * MS, 6_180_001, 1)]
    rows, _ = rows_in(tmp_path, FIRST)
    assert set(rows["ts_exch_ns"].tolist()) == {TIME * MS}


def test_a_message_without_time_happened_the_median_latency_before_it_came(tmp_path: Path) -> None:
    lines = [depth(wait, 1, [["61800", "1"]], [], futures=False) for wait in (0, 10, 70)]
    rows, source = rows_in(tmp_path, *lines, ticker(80, ["61800", "1"], ["61801", "1"], time=None),
                           rest(90, 9, [["61800", "1"]], []))  # fmt: skip
    assert isinstance(source, BinanceSource)
    assert source.clock() == (0, 40 * MS)
    assert columns(rows[3:5], "ts_exch_ns") == [((TIME + 70) * MS,)] * 2
    assert set(columns(rows[5:], "ts_exch_ns")) == {((TIME + 80) * MS,)}
    rows, _ = rows_in(tmp_path, *lines, rest(90, 9, [["61800", "1"]], [], T=TIME + 1))
    assert rows["ts_exch_ns"][-1] == (TIME + 1) * MS


def test_a_clock_that_runs_behind_is_moved_by_the_most_negative_latency(tmp_path: Path) -> None:
    lines = [depth(wait - 1000, 1, [["61800", "1"]], []) for wait in (0, 4, 10)]
    rows, source = rows_in(tmp_path, *lines)
    assert source.counts["clock_shift_ns"] == 970 * MS
    assert (rows["ts_local_ns"] - rows["ts_exch_ns"]).tolist() == [0, 4 * MS, 10 * MS]
    rows, source = rows_in(tmp_path, *lines, base_latency_ns=MS)
    assert source.counts["clock_shift_ns"] == 971 * MS
    assert isinstance(source, BinanceSource)
    assert source.clock() == (971 * MS, 5 * MS)
    rows, source = rows_in(tmp_path, FIRST, base_latency_ns=MS)
    assert source.counts["clock_shift_ns"] == 0
    assert set((rows["ts_local_ns"] - rows["ts_exch_ns"]).tolist()) == {30 * MS}


def test_only_what_gives_events_sets_the_clock(tmp_path: Path) -> None:
    behind = [ticker(-1000, ["61800", "1"], ["61801", "1"]), trade(-900, "61800", "1", X="INSURANCE_FUND"),
              message(-800, "markPrice", e="markPriceUpdate", E=TIME)]  # fmt: skip
    rows, source = rows_in(tmp_path, *behind, FIRST, book_ticker=False)
    assert source.counts == {"clock_shift_ns": 0, "messages_of_other_channels": 2, "trades_not_at_market": 1,
                             "depth_level": 1}  # fmt: skip
    assert len(rows) == 2
    _, source = rows_in(tmp_path, *behind, FIRST)
    assert source.counts["clock_shift_ns"] == 970 * MS


def test_the_median_is_taken_over_a_bounded_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance, "LATENCY_SAMPLES_MAX", 2)
    path = write(tmp_path / "a", [depth(wait, 1, [["61800", "1"]], []) for wait in (0, 10, 99, 99, -40)])
    assert BinanceSource(LineFile(path), USDM).clock() == (10 * MS, 45 * MS)


def test_updates_that_a_snapshot_lacks_are_applied_again_behind_it(tmp_path: Path) -> None:
    lines = [
        depth(0, 10, [["61800", "1"]], []), depth(1, 11, [["61799", "2"]], [["61801", "3"]], time=TIME + 1),
        rest(2, 10, [["61800", "1"], ["61799", "9"]], [["61801", "9"]], T=TIME),
    ]  # fmt: skip
    rows, source = rows_in(tmp_path, *lines)
    assert columns(rows[3:], "kind", "price_ticks", "size_lots", "flags") == [
        (3, 0, 0, BOTH), (1, 618_000, 1000, BOTH), (1, 617_990, 9000, BOTH), (1, 618_010, 9000, BOTH), (4, 0, 0, BOTH),
        (1, 617_990, 2000, LOCAL | SYNTHETIC), (1, 618_010, 3000, LOCAL | SYNTHETIC | END),
    ]  # fmt: skip
    assert source.counts["updates_applied_again"] == 1
    bare, source = rows_in(tmp_path, *lines, mend_snapshots=False)
    assert len(bare) == len(rows) - 2
    assert source.counts["updates_applied_again"] == 0


def test_an_update_of_the_snapshots_own_time_is_applied_again_for_the_venue_too(tmp_path: Path) -> None:
    rows, _ = rows_in(tmp_path, depth(0, 11, [["61800", "1"]], []), rest(2, 10, [["61800", "5"]], [], T=TIME))
    assert columns(rows[-1:], "size_lots", "flags") == [(1000, BOTH | SYNTHETIC | END)]


def test_what_is_finer_than_a_lot_is_cut_from_levels_only(tmp_path: Path) -> None:
    rows, source = rows_in(tmp_path, depth(0, 1, [["61800", "25.426189"]], []))
    assert (rows["size_lots"].tolist(), source.counts["levels_cut_to_whole_lots"]) == ([25_426], 1)
    _, error = fault_of(opened(write(tmp_path / "a", [FIRST, trade(1, "61800", "0.0001")])))
    assert error is not None
    assert "line 2: size 0.0001 has more than 3 decimals" in str(error)


def test_a_single_stream_is_read_too(tmp_path: Path) -> None:
    lines = [f"{NOW} " + json.dumps({"e": "depthUpdate", "E": TIME, "T": TIME, "s": "BTCUSDT", "u": 1,
                                     "b": [["61800", "1"]], "a": []}),
             f"{NOW} " + json.dumps({"e": "trade", "E": TIME, "T": TIME, "t": 1, "p": "61800", "q": "1", "m": True}),
    ]  # fmt: skip
    rows, source = rows_in(tmp_path, *lines)
    assert rows["kind"].tolist() == [1, 6]
    assert source.markets == (USDM,)


def test_white_space_in_levels_changes_nothing(tmp_path: Path) -> None:
    loose = FIRST.replace('"b":[["61800.0","1.000"]]', '"b": [ ["61800.0", "1.000"] ]')
    assert rows_in(tmp_path, loose)[0].tobytes() == rows_in(tmp_path, FIRST)[0].tobytes()


BAD_LINES = [
    ("", 'the line begins with "", expected a clock of 19 digits (nanoseconds) and a space'),
    ("17231612550300000 {}", "expected a clock of 19 digits"),
    ("9999999999999999999 {}", "expected a clock of 19 digits"),
    (FIRST.replace(" ", "\t", 1), "expected a clock of 19 digits"),
    (FIRST[:-9], "no Binance message"),
    (f"{NOW} []", "no Binance message"),
    (f"{NOW} \xff", "no Binance message"),
    (f"{NOW} " + "[" * 100_000, "no Binance message"),
    (f'{NOW} {{"data":' + "[" * 100_000, "no Binance message"),
    (f'{NOW} {{"stream":"x@depth"}}', "the message holds no data, expected a stream's data or a snapshot"),
    (depth(0, 1, [], [], time=10**16), "is not in milliseconds"),
    (depth(0, 1, [], [], time=-5), "exchange time -5 is not in milliseconds"),
    (rest(0, 1, [], [], T=10**16), "is not in milliseconds"),
    (trade(0, "61800", "1", identity=2**63), "trade id 9223372036854775808 is out of range"),
    (trade(0, "61800", "1", identity=-1), "trade id -1 is out of range"),
    (trade(0, "NaN", "1"), '"NaN" is not a decimal number'),
    (trade(0, "-5", "1"), "price -5 with size 1 is out of range"),
    (trade(0, "1,5", "1"), "a price or size holds a comma"),
    (depth(0, 1, [["61800"]], []), "no Binance message"),
    (depth(0, 1, [["61800", "1", "2"]], []), "no Binance message"),
    (depth(0, 1, [[61800, 1]], []), "no Binance message"),
    (depth(0, 1, {"x": 1}, []), "no Binance message"),  # type: ignore[arg-type]
    (depth(0, 1, [["61800.05", "1"]], []), "price 61800.05 has more than 1 decimals"),
    (message(0, "depth@0ms", e="depthUpdate", T=TIME), "no Binance message"),
    (ticker(0, ["", "1"], ["1", "1"]), '"" is not a decimal number'),
    (ticker(0, [["1", "2"], "1"], ["1", "1"]), "a price or size holds a comma"),
]


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
def test_a_line_of_another_shape_is_named_after_those_before_it(tmp_path: Path, line: str, problem: str) -> None:
    path = write(tmp_path / "a", [FIRST.encode(), line.encode("latin-1"), FIRST.encode()])
    rows, error = fault_of(opened(path))
    assert error is not None
    assert (error.line, problem in str(error)) == (2, True), str(error)
    assert len(rows) == 2


def test_a_file_without_times_can_not_set_the_clock(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [rest(0, 1, [], [])])
    _, error = fault_of(open_binance(LineFile(path), USDM, None, {}))
    assert "no message has an exchange time, expected depth updates or trades" in str(error)
    _, error = fault_of(open_binance(LineFile(write(tmp_path / "a", [FIRST[:30]])), USDM, None, {}))
    assert error is not None
    assert (error.line, "no Binance message" in str(error)) == (1, True)


def test_a_market_that_the_file_does_not_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [trade(0, "61800", "1")])
    with pytest.raises(DataError, match=r"no depth update in the first 1000 lines names the market, name the market"):
        opened(path)
    assert open_binance(LineFile(path), USDM, None, {}).markets == (USDM,)
    with pytest.raises(DataError, match=r"a, line 1: no Binance message"):
        opened(write(tmp_path / "a", [FIRST[:-9]]))
    other = write(tmp_path / "a", [FIRST.replace("BTCUSDT", "DOGEUSDT")])
    with pytest.raises(
        DataError, match=r"market usdm_dogeusdt is not in the specification; the nearest known market is"
    ):
        opened(other)


def test_unknown_options_and_negative_latencies_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [FIRST])
    with pytest.raises(DataError, match=r"has no option coins, it has base_latency_ns, book_ticker, mend_snapshots"):
        opened(path, coins=True)
    with pytest.raises(ValueError, match=r"base_latency_ns must not be negative, not -1"):
        opened(path, base_latency_ns=-1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ([FIRST.encode()], True),
        ([b"", rest(0, 1, [], []).encode()], True),
        ([f'{NOW} {{"e":"trade"'.encode()], True),
        ([f'{NOW} {{"channel":"bbo"'.encode()], False),
        ([b'{"stream"'], False),
        ([], False),
    ],
)
def test_recognition(head: list[bytes], expected: bool) -> None:
    assert recognises(head) is expected


LINES = [FIRST.encode(), rest(1, 0, [["61799.0", "3"]], [["61802.0", "4"]]).encode(),
         ticker(2, ["61800.0", "1.5"], ["61800.1", "0.5"]).encode(), trade(3, "61800.1", "0.5", X="MARKET").encode(),
         depth(4, 2, [["61800.0", "0.000"]], [["61800.1", "2.000"], ["61800.2", "1"]]).encode()]  # fmt: skip


@given(mutated(LINES))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_gives_rows_or_names_the_line(tmp_path: Path, lines: tuple[list[bytes], int]) -> None:
    check(tmp_path, "a", *lines, lambda path: open_binance(LineFile(path), USDM, None, {}))


def test_the_bundled_sample(sample: tuple[np.ndarray, dict[str, int]]) -> None:
    """Its description: 93,954 lines; 6,551 depth messages with 443,521 levels, 66,089 tickers, 21,313 trades, one
    snapshot, by a clock 1.27 s behind; hftbacktest's converter moves it by 1,272,156,851 ns, for a median of 4.0 ms."""
    rows, counts = sample
    assert counts == {"clock_shift_ns": 1_272_156_851, "depth_level": 6551, "messages_of_other_channels": 66_089,
                      "trade": 21_313, "snapshot": 1}  # fmt: skip
    assert sum(counts.values()) - counts["clock_shift_ns"] == 93_954
    assert (rows["kind"] == EventKind.DEPTH_LEVEL).sum() == 443_521 + 2000
    latency = (rows["ts_local_ns"] - rows["ts_exch_ns"]) / MS
    assert latency.min() == 0
    assert 3.5 < np.median(latency) < 4.5


def test_the_recorded_spot_streams(recordings: Path) -> None:
    """The description: 3,451 depth messages with 124,090 levels, 28,040 tickers without a time, 9,757 trades."""
    source = open_source(recordings / "binance/spot_btcusdt_20240808.gz")
    rows = rows_of(source)
    counts = source.counts
    assert (counts["depth_level"], counts["bbo"], counts["trade"], counts["snapshot"]) == (3451, 28_040, 9757, 1)
    fresh = rows[(rows["flags"] & SYNTHETIC) == 0]
    assert (fresh["kind"] == EventKind.DEPTH_LEVEL).sum() == 124_090 + 2000
    assert (np.diff(rows["ts_local_ns"]) >= 0).all()
