"""Objects of the archives become batches by coin and kind, and what is known of them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import lz4.frame
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue.manifest import Clock, Gap
from hlhft.data.errors import DataError
from hlhft.data.files import BLOCK_BYTES
from hlhft.data.mining import decoding
from hlhft.data.mining.decoding import Decoded, decode_books, decode_contexts, decode_fills
from hlhft.data.readers.fills import BY_BLOCK, FILLS, FILLS_SCHEMA, TRADES
from hlhft.data.times import utc_ns
from tests.data.making import BTC, ETH, joined
from tests.data.readers.test_archive_scan import TIME, line
from tests.data.readers.test_contexts import HEADER, row
from tests.data.readers.test_fills import AT_NS, lines_of, trade
from tests.data.readers.test_node_fills import block, pair

COINS = {"BTC": BTC, "ETH": ETH}
SECOND = 1_000_000_000
HOUR = (TIME * 1_000_000 - 12 * SECOND, TIME * 1_000_000 + 3588 * SECOND)


def packed(path: Path, lines: list[bytes] | list[str]) -> Path:
    """An object as the archive has it."""
    text = b"".join((entry.encode() if isinstance(entry, str) else entry) + b"\n" for entry in lines)
    path.write_bytes(lz4.frame.compress(text))
    return path


def events_of(decoded: Decoded, coin: str = "BTC") -> np.ndarray:
    """All events of a coin; fills are passed over."""
    return joined(
        batch.rows for batch in decoded.batches() if batch.coin == coin and isinstance(batch.rows, np.ndarray)
    )


def test_books_are_pictures_with_the_archivers_clock(tmp_path: Path) -> None:
    decoded = decode_books(packed(tmp_path / "BTC.lz4", [line(number) for number in range(50)]), BTC)
    assert (decoded.snapshots, decoded.clock) == (True, Clock("measured", "the archive's recorder"))
    batches = list(decoded.batches())
    assert {(batch.coin, batch.kind) for batch in batches} == {("BTC", "book")}
    rows = joined(batch.rows for batch in batches)
    assert (len(rows), set(rows["market"].tolist())) == (50 * 42, {0})
    assert decoded.counts("BTC") == {"snapshot": 50}
    assert (decoded.first_exch_ns, decoded.last_exch_ns) == (TIME * 1_000_000, (TIME + 49 * 540) * 1_000_000)
    assert decoded.gaps((decoded.first_exch_ns, decoded.last_exch_ns + 1)) == ()


def test_books_whose_block_is_older_than_one_before_are_counted(tmp_path: Path) -> None:
    """Arrival is the archiver's: they stay where they arrived."""
    at = [line(0), line(5), line(3, clock="2026-04-01T00:00:06"), line(4, clock="2026-04-01T00:00:07"), line(8)]
    decoded = decode_books(packed(tmp_path / "BTC.lz4", at), BTC)
    rows = events_of(decoded)
    assert rows["ts_exch_ns"][::42].tolist() == [(TIME + 540 * number) * 1_000_000 for number in (0, 5, 3, 4, 8)]
    assert decoded.counts("BTC") == {"snapshot": 5, "snapshots_overtaken": 2}


def test_silences_within_and_at_both_ends_are_gaps(tmp_path: Path) -> None:
    decoded = decode_books(packed(tmp_path / "BTC.lz4", [line(0), line(200), line(311), line(423)]), BTC)
    assert len(events_of(decoded)) == 4 * 42
    first = TIME * 1_000_000
    at = [first + number * 540_000_000 for number in (0, 200, 311, 423)]
    assert decoded.gaps(HOUR) == (
        Gap(at[0], at[1], "silence"), Gap(at[2], at[3], "silence"), Gap(at[3] + 1, HOUR[1], "silence")
    )  # fmt: skip
    assert decoded.gaps((first - 61 * SECOND, at[3] + 1))[0] == Gap(first - 61 * SECOND, first, "silence")


@given(
    st.lists(st.lists(st.integers(1, 400), max_size=6), max_size=5), st.integers(-100, 200), st.integers(200, 700),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=60)
def test_gaps_are_what_no_message_is_near(arrays: list[list[int]], begin: int, end: int, is_torn: bool) -> None:
    """By brute force, over whole seconds: a second lies in a gap when the messages around it are more than 60 apart."""
    heard = decoding._Heard(60 * SECOND)
    for times in arrays:
        heard.take(np.array(times, dtype=np.int64) * SECOND)
    times = sorted({time for array in arrays for time in array})
    gaps = heard.gaps((begin * SECOND, end * SECOND), torn=is_torn)
    if not times:
        assert gaps == (Gap(begin * SECOND, end * SECOND, "silence"),)
        return
    first = arrays[next(index for index, array in enumerate(arrays) if array)][0]
    in_order, newest = [first], first
    for array in arrays:
        for time in array:
            newest = max(newest, time)
            in_order.append(newest)
    edges = list(pairwise(in_order))
    if first > begin:
        edges.insert(0, (begin, first))
    silent = {second for left, right in edges if right - left > 60 for second in range(left + 1, right)}
    if end > newest and (is_torn or end - newest > 60):
        silent |= set(range(newest + 1, end))
    found = {second for gap in gaps for second in range(gap.from_ns // SECOND + 1, -(-gap.to_ns // SECOND))}
    assert {second for second in silent if second > begin} == {second for second in found if second > begin}


def test_a_torn_last_line_is_counted_and_a_gap_to_the_end(tmp_path: Path) -> None:
    decoded = decode_books(packed(tmp_path / "BTC.lz4", [line(0), line(1)[:400]]), BTC)
    assert len(events_of(decoded)) == 42
    assert decoded.counts("BTC") == {"snapshot": 1, "torn_last_line": 1}
    end = TIME * 1_000_000 + 2 * SECOND
    assert decoded.gaps((TIME * 1_000_000, end)) == (Gap(TIME * 1_000_000 + 1, end, "torn-line"),)


def test_an_object_without_a_message_is_one_silence(tmp_path: Path) -> None:
    decoded = decode_books(packed(tmp_path / "BTC.lz4", [line(0, coin="ETH")]), BTC)
    assert len(events_of(decoded)) == 0
    assert decoded.gaps(HOUR) == (Gap(*HOUR, "silence"),)
    assert decoded.counts("BTC") == {"messages_of_other_coins": 1}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", lz4.frame.compress(line(0))[:-30]])
def test_a_damaged_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "BTC.lz4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"BTC\.lz4"):
        events_of(decode_books(path, BTC))


def test_blocks_of_fills_are_trades_by_coin_with_the_nodes_clock(tmp_path: Path) -> None:
    lines = [block(*pair("BTC", 11), *pair("SOL", 12), *pair("BTC", 13)), block(*pair("ETH", 0), *pair("ETH", 14))]
    decoded = decode_fills(packed(tmp_path / "0.lz4", lines), COINS, BY_BLOCK)
    assert (decoded.snapshots, decoded.clock) == (False, Clock("measured", "the archive's node"))
    batches = list(decoded.batches())
    assert [(batch.coin, batch.kind, batch.rows["order_id"].tolist()) for batch in batches] == [
        ("BTC", "trade", [11, 13]), ("ETH", "trade", [14])
    ]  # fmt: skip
    assert batches[1].rows["market"].tolist() == [0]
    assert decoded.counts("BTC") == {"trades": 2}
    assert decoded.counts("ETH") == {"trades": 1, "fills_without_trade": 1}


def test_counts_of_a_coin_do_not_depend_on_the_others(tmp_path: Path) -> None:
    path = packed(tmp_path / "0.lz4", [block(*pair("BTC", 11), *pair("ETH", 12), *pair("BTC", 0)), block()[:50]])
    alone, both = decode_fills(path, {"BTC": BTC}, BY_BLOCK), decode_fills(path, COINS, BY_BLOCK)
    assert events_of(alone).tobytes() == events_of(both).tobytes()
    assert alone.counts("BTC") == both.counts("BTC") == {"trades": 1, "fills_without_trade": 1, "torn_last_line": 1}


def test_fills_come_with_their_trades_where_they_are_asked_for(tmp_path: Path) -> None:
    path = packed(tmp_path / "0.lz4", [block(*pair("BTC", 11), *pair("SOL", 12)), block(*pair("ETH", 0))])
    batches = list(decode_fills(path, COINS, BY_BLOCK, fills=True).batches())
    fills = {batch.coin: batch.rows for batch in batches if batch.kind == "fill"}
    assert {coin: rows.column("tid").to_pylist() for coin, rows in fills.items()} == {"BTC": [11, 11], "ETH": [0, 0]}
    assert all(isinstance(rows, pa.RecordBatch) and rows.schema == FILLS_SCHEMA for rows in fills.values())


@pytest.mark.parametrize(("layout", "delay_ns"), [(FILLS, 300_000_000), (TRADES, 250_000_000)])
def test_the_older_layouts_have_a_modelled_clock(tmp_path: Path, layout: str, delay_ns: int) -> None:
    lines = lines_of(pair("BTC", 11)) if layout == FILLS else [trade()]
    decoded = decode_fills(packed(tmp_path / "0.lz4", lines), COINS, layout, delay_ns=delay_ns)
    kind = "default" if delay_ns == 300_000_000 else "given"
    assert decoded.clock == Clock("modelled", f"{kind} delay of the channel trades", delay_ns)
    assert events_of(decoded)["ts_local_ns"].tolist() == [AT_NS + delay_ns]


def test_the_trades_of_a_block_are_one_frame_wherever_the_text_is_cut(tmp_path: Path) -> None:
    """More lines of one block than a megabyte holds, then another block."""
    events = [pair("BTC", number)[1] for number in range(1, 4001)]
    lines = lines_of([*events, pair("BTC", 5000, time=AT_NS // 1_000_000 + 80)[1]])
    assert sum(map(len, lines)) > BLOCK_BYTES
    rows = events_of(decode_fills(packed(tmp_path / "0.lz4", lines), COINS, FILLS))
    assert rows["order_id"].tolist() == [*range(1, 4001), 5000]
    assert np.flatnonzero(rows["flags"] & 4).tolist() == [3999, 4000]


def test_contexts_are_a_row_a_minute(tmp_path: Path) -> None:
    lines = [HEADER, *(row(minute) for minute in (0, 1, 2, 9)), row(9, "ETH"), row(9, "PEPE", premium="")]
    decoded = decode_contexts(packed(tmp_path / "20260401.csv.lz4", lines), COINS, delay_ns=1)
    assert decoded.clock == Clock("modelled", "given delay of the channel activeAssetCtx", 1)
    batches = list(decoded.batches())
    assert [(batch.coin, batch.kind, len(batch.rows)) for batch in batches] == [
        ("BTC", "context", 4),
        ("ETH", "context", 1),
    ]
    assert decoded.counts("BTC") == {"rows": 4}
    assert decoded.counts("PEPE") == {}
    at = [utc_ns(f"2026-04-01T00:{minute:02d}:00") for minute in range(11)]
    assert decoded.gaps((at[0], at[10])) == (Gap(at[2], at[9], "silence"),)
