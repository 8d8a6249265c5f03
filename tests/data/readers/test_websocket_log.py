"""Raw logs of the venue's WebSocket, in both forms."""

from __future__ import annotations

import gzip
import itertools
import statistics
import tracemalloc
from collections import Counter
from pathlib import Path

import lz4.frame
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hlhft.data import files
from hlhft.data.errors import DataError
from hlhft.data.files import LineFile
from hlhft.data.readers.websocket_log import open_log, recognises
from hlhft.data.sources import Source, open_source
from hlhft.events import EventKind
from tests.data.making import BACKFILL, BTC, ETH, columns, fault_of, rows_of, write
from tests.data.readers.fuzz import check, mutated
from tests.data.synthetic import bbo_line, book_line, clean_log, line, times, trades_line


def opened(path: Path) -> Source:
    return open_log(LineFile(path), None, None, {})


def test_both_forms_give_the_same_rows(tmp_path: Path) -> None:
    lines = clean_log(9)
    wrapped = []
    for text in lines:
        clock, _, message = text.partition(" ")
        wrapped.append(f'{{"ts_local":{clock},"msg":{message}}}')
    first, second = opened(write(tmp_path / "a.gz", lines)), opened(write(tmp_path / "b", wrapped))
    rows = rows_of(first)
    assert rows_of(second).tobytes() == rows.tobytes()
    assert first.counts == {"snapshot": 3, "bbo": 3, "trade_messages": 3, "sessions": 1, "backfill_trades": 0}
    (tmp_path / "c.lz4").write_bytes(lz4.frame.compress("\n".join(lines).encode()))
    assert rows_of(opened(tmp_path / "c.lz4")).tobytes() == rows.tobytes()


def test_rows_carry_both_clocks(tmp_path: Path) -> None:
    rows = rows_of(opened(write(tmp_path / "a", [bbo_line(4)])))
    exch_ms, local_ns = times(4)
    assert columns(rows, "ts_exch_ns", "ts_local_ns") == [(exch_ms * 1_000_000, local_ns)] * 2


def test_repeats_are_dropped_backfill_marked_and_lines_sorted(tmp_path: Path) -> None:
    lines = [trades_line(2, of=0), book_line(3), trades_line(6, of=0), bbo_line(5), trades_line(4)]
    source = opened(write(tmp_path / "a", lines))
    rows = rows_of(source)
    assert columns(rows[rows["kind"] != 1], "kind", "order_id") == [(6, 1), (6, 2), (3, 0), (4, 0),
                                                                    (6, 4001), (6, 4002), (5, 0), (5, 0)]  # fmt: skip
    assert (rows["flags"][:2] & BACKFILL).all()
    assert source.counts["duplicate_trades"] == 2
    assert source.counts["rows_out_of_order"] == 4
    assert source.counts["backfill_trades"] == 2


def test_nothing_depends_on_how_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [*clean_log(9), CONTEXT_LINE, trades_line(10, of=2), bbo_line(4)]
    source = opened(write(tmp_path / "a.gz", lines))
    whole, counts = rows_of(source), dict(source.counts)
    for count in (1, 100, 700):
        monkeypatch.setattr(files, "BLOCK_BYTES", count)
        assert rows_of(source).tobytes() == whole.tobytes()
        assert dict(source.counts) == counts


def test_one_market_of_a_log(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [bbo_line(1), bbo_line(2).replace("BTC", "ETH")])
    assert opened(path).markets == (BTC, ETH)
    only = open_log(LineFile(path), ETH, None, {})
    assert (only.markets, len(rows_of(only)), only.counts["messages_of_other_coins"]) == ((ETH,), 2, 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the line begins with"),
        ("1737918843 {}", 'the line begins with "1737918843 {}", expected 19 digits of nanoseconds and a space'),
        ("x" * 19 + " {}", "the line begins with"),
        ('{"ts_local":1}', "missing required field `msg`"),
        ('{"ts_local":"1","msg":{}}', "Expected `int`, got `str`"),
        ('{"ts_local":5,"msg":{"channel":"pong"}', 'expected {"ts_local": ns, "msg": message}, drop the line'),
        ('{"ts_local":-5,"msg":{"channel":"pong"}}', "local time -5 is not in nanoseconds"),
        ("9999999999999999999 {}", "local time 9999999999999999999 is not in nanoseconds"),
        ('1737918843895087112 {"channel":"bbo"', "no Hyperliquid message"),
    ],
)
def test_a_line_of_another_shape_is_named_after_those_before_it(tmp_path: Path, text: str, problem: str) -> None:
    rows, error = fault_of(opened(write(tmp_path / "a", [book_line(0), bbo_line(1), text, bbo_line(2)])))
    assert error is not None
    assert (error.line, problem in str(error)) == (3, True), str(error)
    assert len(rows) == 10


def test_a_line_late_by_more_than_a_minute_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [book_line(700), bbo_line(701), bbo_line(0), bbo_line(702)])
    rows, error = fault_of(opened(path))
    assert str(error).startswith(
        f"{path}, line 3: the arrival time is 70.100 s before an earlier row's, expected at most"
    )
    assert len(rows) == 10


def test_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the reader of WebSocket logs has no option book_ticker, leave it out"):
        open_log(LineFile(write(tmp_path / "a", [bbo_line(0)])), None, None, {"book_ticker": False})


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ([bbo_line(0).encode()], True),
        ([b"", bbo_line(0).encode()], True),
        ([b'{"ts_local":1,"msg":{}}'], True),
        ([b'1723161255030000000 {"stream":"btcusdt@trade"}'], False),
        ([b'{"time":"x"}'], False),
        ([], False),
    ],
)
def test_recognition(head: list[bytes], expected: bool) -> None:
    assert recognises(head) is expected


def test_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_BYTES", 1 << 14)
    book = book_line(0, depth=20).partition(" ")[2]

    def peak(count: int) -> int:
        path = write(tmp_path / str(count), (f"{times(20 * number)[1]} {book}" for number in range(count)))
        source = opened(path)
        tracemalloc.start()
        try:
            assert sum(len(rows) for rows in source.chunks()) == count * 42
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(450) < peak(150) * 1.2


CONTEXT = {"funding": "0.00001", "openInterest": "1.5", "oraclePx": "10", "markPx": "10.1", "premium": "0.1"}
CONTEXT_LINE = line(times(6)[1], "activeAssetCtx", {"coin": "BTC", "ctx": CONTEXT})
LINES = [text.encode() for text in (*clean_log(5), bbo_line(5).replace("BTC", "ETH"), CONTEXT_LINE)]


@given(mutated(LINES))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mutation_gives_rows_or_names_the_line(tmp_path: Path, lines: tuple[list[bytes], int]) -> None:
    check(tmp_path, "a", *lines, lambda path: open_log(LineFile(path), None, {"BTC": BTC, "ETH": ETH}, {}))


@given(st.integers(1, 400))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_off_file_gives_the_lines_before_the_cut(tmp_path: Path, missing: int) -> None:
    content = gzip.compress("\n".join(clean_log(30)).encode())
    path = tmp_path / "a.gz"
    path.write_bytes(content[: max(40, len(content) - missing)])
    try:
        source = opened(path)
    except DataError as error:
        assert "line 1: the gzip stream is cut off in this line" in str(error)
        return
    rows, error = fault_of(source)
    assert error is not None
    assert "the gzip stream is cut off in this line" in str(error)
    frames = Counter(rows["flags"].astype(int) & 4)[4]
    assert error.line in (frames + 1, frames + 2)


RECORDED = ("hyperliquid/ws_raw_20250126/btcusd_20250126.gz", "lob/hyperliquid_ws_btc_20250126.jsonl.gz")


@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_log(recordings: Path, name: str) -> None:
    """The description: 55 lines, 46 books of 20 levels a side 9 messages of trades, the median book 0.60 s apart."""
    source = open_source(recordings / name)
    rows = rows_of(source)
    assert (source.counts["snapshot"], source.counts["trade_messages"], source.counts["backfill_trades"]) == (46, 9, 30)
    assert (rows["kind"] == EventKind.DEPTH_LEVEL).sum() == 46 * 40
    begins = rows["ts_local_ns"][rows["kind"] == EventKind.SNAPSHOT_BEGIN].tolist()
    steps = [after - before for before, after in itertools.pairwise(begins)]
    assert round(statistics.median(steps) / 1e9, 1) == 0.6
    assert (rows["aux0"][rows["kind"] == EventKind.DEPTH_LEVEL] > 0).all()


def test_both_recorded_forms_hold_the_same_messages(recordings: Path) -> None:
    first, second = (rows_of(open_source(recordings / name)) for name in RECORDED)
    assert first.tobytes() == second.tobytes()
    assert len(first) == 1996
