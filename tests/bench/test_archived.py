"""The objects that the bench makes are as the archives': everything in them is read the quick way."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.markets import known
from hlhft.data.mining.decoding import decode_books, decode_contexts, decode_fills
from hlhft.data.readers.archive_scan import scan_lines
from hlhft.data.readers.fills import BY_BLOCK
from hlhft.events import empty
from hlhft.hyperliquid.scan import PADDING, new_coins
from tests.bench import data_ours, data_rival
from tests.bench.archived import BOOK_MS, Book, contexts_csv, fills_by_block, write_books, write_lines
from tests.data.making import BTC, ETH, joined

BEGIN_MS = 1_775_001_600_000
TEN_SECONDS_MS = 10_000


def test_equal_seeds_give_equal_objects_and_a_book_goes_on(tmp_path: Path) -> None:
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    for folder, seed in ((first, 1), (again, 1), (other, 2)):
        folder.mkdir()
        write_books(folder, "BTC", BEGIN_MS, hours=2, hour_ms=TEN_SECONDS_MS, seed=seed)
    assert sorted(path.name for path in first.iterdir()) == ["0.lz4", "1.lz4"]
    assert (first / "1.lz4").read_bytes() == (again / "1.lz4").read_bytes() != (other / "1.lz4").read_bytes()


def test_every_line_is_one_that_the_archive_would_hold() -> None:
    for market in known().values():
        if not market.name.isalpha():
            continue
        text = b"".join(islice(Book(market, 3).lines(BEGIN_MS, BEGIN_MS + TEN_SECONDS_MS), 18)).rstrip(b"\n")
        padded = np.frombuffer(text + bytes(PADDING), dtype=np.uint8)
        events, lines = empty(4096), np.zeros(4096, dtype=np.int64)
        clock, coins = np.zeros(1, dtype=np.int64), new_coins([market])
        assert scan_lines(padded, 0, len(text), 1, coins, clock, events, lines) == (len(text) + 1, 19, 18 * 42)


def test_books_of_an_object_are_decoded_whole(tmp_path: Path) -> None:
    write_books(tmp_path, "BTC", BEGIN_MS, hours=1, hour_ms=TEN_SECONDS_MS)
    decoded = decode_books(tmp_path / "0.lz4", BTC)
    rows = joined(batch.rows for batch in decoded.batches())
    assert decoded.counts("BTC") == {"snapshot": TEN_SECONDS_MS // BOOK_MS}
    touch = rows[rows["kind"] == 1]
    assert ((touch["price_ticks"] % 10) == 0).all()
    assert 0.2e9 < float(np.median(rows["ts_local_ns"] - rows["ts_exch_ns"])) < 0.4e9


def test_fills_and_contexts_are_decoded_whole(tmp_path: Path) -> None:
    coins = {"BTC": BTC, "ETH": ETH}
    write_lines(tmp_path / "fills", fills_by_block(BEGIN_MS, BEGIN_MS + TEN_SECONDS_MS, list(coins)))
    fills = decode_fills(tmp_path / "fills", coins, BY_BLOCK)
    found = {coin: joined(batch.rows for batch in fills.batches() if batch.coin == coin) for coin in ("BTC",)}
    assert len(found["BTC"]) > 100
    assert fills.counts("ETH")["trades"] > 100
    write_lines(tmp_path / "contexts", contexts_csv(BEGIN_MS, 5, list(coins)))
    contexts = decode_contexts(tmp_path / "contexts", coins)
    assert [len(batch.rows) for batch in contexts.batches()] == [5, 5]


def test_both_sides_of_the_bench_write_the_same_levels(tmp_path: Path) -> None:
    (books := tmp_path / "books").mkdir()
    write_books(books, "BTC", BEGIN_MS, hours=1, hour_ms=TEN_SECONDS_MS)
    decoded = joined(batch.rows for batch in decode_books(books / "0.lz4", BTC).batches())
    rows = data_rival.convert(books / "0.lz4", tmp_path / "0.parquet")
    levels = decoded[decoded["kind"] == 1]
    assert rows == len(levels)
    table = pq.read_table(tmp_path / "0.parquet")
    np.testing.assert_allclose(table["px"].to_numpy(), levels["price_ticks"] / 10)
    np.testing.assert_allclose(table["sz"].to_numpy(), levels["size_lots"] / 1e5)
    np.testing.assert_array_equal(table["n"].to_numpy(), levels["aux0"])


def test_what_the_bench_writes_is_what_was_decoded(tmp_path: Path) -> None:
    (books := tmp_path / "books").mkdir()
    write_books(books, "BTC", BEGIN_MS, hours=2, hour_ms=TEN_SECONDS_MS)
    assert data_ours.mine(books, tmp_path / "catalog") == 2 * 18 * 42
    (first, second) = Catalogue(tmp_path / "catalog").manifests()
    assert (first.name, first.counts, second.rows) == ("archive-00", {"snapshot": 18}, 18 * 42)
    expected = joined(batch.rows for batch in decode_books(books / "0.lz4", BTC).batches())
    assert joined(Catalogue(tmp_path / "catalog").batches(first)).tobytes() == expected.tobytes()
