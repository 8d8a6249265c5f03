"""A catalogue as a recording: overlaps merged, ranges kept to, marks as every other recording of the venue has them."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.catalogue import columns
from hlhft.data.catalogue.layout import DAY_NS, date_of
from hlhft.data.catalogue.manifest import Gap
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.catalogue.source import CatalogueSource, open_named
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.merge import Events
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from tests.data.catalogue.making import NOON, put
from tests.data.making import BACKFILL, BTC, ETH, SECOND, bbo, event, level, rows_of, snapshot, trade
from tests.data.making import columns as columns_of

MINUTE = 60 * SECOND


def book(step: int, *, local: int | None = None, size: int = 1) -> Events:
    return snapshot(NOON + step * SECOND, [(1000, size)], [(1001, size)], local=local)


def ids(events: Events) -> list[int]:
    return [int(row["order_id"]) for row in events if row["kind"] == EventKind.TRADE]


def test_kinds_and_coins_are_merged_in_order_of_arrival(tmp_path: Path) -> None:
    put(tmp_path, "book", "a", [book(0), book(4)])
    put(tmp_path, "bbo", "a", [bbo(NOON, (1000, 1), (1001, 1))])
    put(tmp_path, "trade", "a", [trade(NOON, 1, 1001, 1, 7), trade(NOON + 2 * SECOND, 1, 1001, 1, 8)])
    put(tmp_path, "context", "a", [event(EventKind.ASSET_CONTEXT, NOON + SECOND, price=1000)])
    put(tmp_path, "book", "a", [snapshot(NOON + 3 * SECOND, [(5, 1)], [(6, 1)])], market=ETH)
    source = Catalogue(tmp_path).source(["ETH", "BTC"])
    rows = rows_of(source)
    assert [market.name for market in source.markets] == ["ETH", "BTC"]
    kinds = [(int(row["kind"]), int(row["market"])) for row in rows if row["kind"] != EventKind.DEPTH_LEVEL]
    assert kinds == [(3, 1), (4, 1), (5, 1), (5, 1), (6, 1), (7, 1), (6, 1), (3, 0), (4, 0), (3, 1), (4, 1)]
    assert source.snapshot_markets == (True, True)
    assert source.without_trades == ("ETH",)


def test_a_second_session_clears_and_backfill_is_marked(tmp_path: Path) -> None:
    put(tmp_path, "book", "a", [book(0), book(120)])
    put(tmp_path, "trade", "a", [trade(NOON - SECOND, 1, 1001, 1, 7, local=NOON + 1000)])
    source = Catalogue(tmp_path).source(["BTC"])
    rows = rows_of(source)
    assert [int(row["flags"]) & BACKFILL for row in rows if row["kind"] == EventKind.TRADE] == [BACKFILL]
    clears = rows[rows["kind"] == EventKind.DEPTH_CLEAR]
    assert clears["ts_exch_ns"].tolist() == [NOON + 120 * SECOND]
    assert source.counts["sessions"] == 2 and source.counts["backfill_trades"] == 1


def test_incremental_books_get_no_marks(tmp_path: Path) -> None:
    put(tmp_path, "book", "a", [level(NOON, 1, 10, 1), level(NOON + 120 * SECOND, 1, 10, 2)], snapshots=False)
    put(tmp_path, "trade", "a", [trade(NOON - SECOND, 1, 11, 1, local=NOON)], snapshots=True)
    source = Catalogue(tmp_path).source(["BTC"])
    rows = rows_of(source)
    assert source.snapshot_markets == (False,)
    assert columns_of(rows, "kind", "size_lots") == [(6, 1), (1, 1), (1, 2)]
    assert not (rows["flags"] & BACKFILL).any()


def test_overlapping_sources_give_each_event_once_and_fill_each_other_s_gaps(tmp_path: Path) -> None:
    hole = Gap(NOON + 10 * SECOND, NOON + 20 * SECOND, "disconnected")
    for source, name, extra, gaps in (("recorder", "r", 0, [hole]), ("archive", "a", 50 * 1000, [])):
        steps = [step for step in range(30) if source == "archive" or not 10 < step < 20]
        rows = [book(step, local=NOON + step * SECOND + 1000 + extra, size=1 + extra) for step in steps]
        put(tmp_path, "book", name, rows, source=source, gaps=gaps)
    rows = rows_of(Catalogue(tmp_path).source(["BTC"]))
    begins = rows[rows["kind"] == EventKind.SNAPSHOT_BEGIN]
    assert begins["ts_exch_ns"].tolist() == [NOON + step * SECOND for step in range(30)]
    sizes = rows[rows["kind"] == EventKind.DEPTH_LEVEL]["size_lots"][::2].tolist()
    assert [size > 1 for size in sizes] == [10 < step < 20 for step in range(30)]
    assert (np.diff(rows["ts_local_ns"]) >= 0).all()


def test_trades_of_two_inputs_are_given_once(tmp_path: Path) -> None:
    # The recorder had a gap and got again after it what it had before; fills know all of it.
    put(tmp_path, "trade", "r", [trade(NOON + step, 1, 5, 1, step) for step in (1, 2, 9)], source="recorder",
        gaps=[Gap(NOON + 2, NOON + 9, "disconnected")])  # fmt: skip
    fills = [trade(NOON + step, 1, 5, 1, step, local=NOON + step + 1000) for step in range(1, 12)]
    put(tmp_path, "trade", "f", fills, source="fills")
    put(tmp_path, "trade", "x", [trade(NOON + 5, 1, 5, 1, 5), trade(NOON + 40, 1, 5, 1, 40)], source="import")
    assert ids(rows_of(Catalogue(tmp_path).source(["BTC"]))) == [*range(1, 12), 40]


def test_pieces_of_one_input_give_late_rows_too(tmp_path: Path) -> None:
    def piece(name: str, *rows: Events) -> None:
        put(tmp_path, "trade", name, rows, origin="session", source="recorder")

    piece("recorder-12", trade(NOON, 1, 5, 1, 1), trade(NOON + 9, 1, 5, 1, 2))
    piece("recorder-13", trade(NOON + 4, 1, 5, 1, 3, local=NOON + 2000), trade(NOON + 5000, 1, 5, 1, 4))
    assert ids(rows_of(Catalogue(tmp_path).source(["BTC"]))) == [1, 2, 3, 4]


SOURCES = ("recorder", "archive", "import")


@given(
    st.dictionaries(
        st.sampled_from(SOURCES),
        st.tuples(st.sets(st.integers(0, 15), min_size=1), st.integers(0, 2), st.integers(1, 9)),
        min_size=1,
    ),
    st.tuples(st.integers(0, 16), st.integers(0, 16)),
    st.integers(1, 5),
)
@settings(max_examples=30)
def test_no_event_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory,
    inputs: dict[str, tuple[set[int], int, int]],
    bounds: tuple[int, int],
    group_rows: int,
) -> None:
    """Each source has some of sixteen instants, in parts cut anywhere; what no source lacks comes exactly once."""
    root = tmp_path_factory.mktemp("catalogue")
    expected: dict[int, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "ROW_GROUP_ROWS", group_rows)
        for source in reversed(SOURCES):
            if source not in inputs:
                continue
            have, delay, pieces = inputs[source]
            steps = sorted(have)
            for number, piece in enumerate(np.array_split(np.array(steps), min(pieces, len(steps)))):
                rows = [trade(NOON + step, 1, 5, 1 + SOURCES.index(source), 0, local=NOON + step + 3 + delay)
                        for step in piece.tolist()]  # fmt: skip
                gaps = [Gap(NOON + one, NOON + other, "silence")
                        for one, other in pairwise(piece.tolist()) if other > one + 1]  # fmt: skip
                put(root, "trade", f"{source}-{number}", rows, source=source, gaps=gaps)
            expected.update(dict.fromkeys(steps, source))
    begin, end = NOON + min(bounds), NOON + max(bounds)
    wanted = {step: source for step, source in expected.items() if begin <= NOON + step < end}
    if not wanted:
        with pytest.raises(DataError, match="there is nothing for"):
            Catalogue(root).source(["BTC"], begin_ns=begin, end_ns=end)
        return
    rows = rows_of(Catalogue(root).source(["BTC"], begin_ns=begin, end_ns=end))
    found = sorted((int(row["ts_exch_ns"]) - NOON, SOURCES[int(row["size_lots"]) - 1]) for row in rows)
    assert found == sorted(wanted.items())
    assert (np.diff(rows["ts_local_ns"]) >= 0).all()


def test_only_what_a_range_needs_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROW_GROUP_ROWS", 10)
    for hour in range(4):
        rows = [trade(NOON + hour * 60 * MINUTE + step * SECOND, 1, 5, 1, 100 * hour + step) for step in range(100)]
        put(tmp_path, "trade", f"fills-{12 + hour}", rows, source="fills")
    put(tmp_path, "trade", "fills-12", [trade(NOON, 1, 5, 1, 1)], market=ETH)
    read: list[int] = []
    original = pq.ParquetFile.read_row_groups

    def counted(file: pq.ParquetFile, indexes: list[int], **more: object) -> object:
        read.extend(indexes)
        return original(file, indexes, **more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    begin = NOON + 60 * MINUTE + 15 * SECOND
    source = Catalogue(tmp_path).source(["BTC"], begin_ns=begin, end_ns=begin + 20 * SECOND)
    assert [manifest.name for manifest in source.manifests] == ["fills-13"]
    assert source.bytes_total == source.manifests[0].bytes
    assert ids(rows_of(source)) == [100 + step for step in range(15, 35)]
    assert read == [1, 2, 3]


def test_parts_are_opened_when_their_time_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(5):
        put(tmp_path, "trade", f"fills-{hour}", [trade(NOON + hour * MINUTE, 1, 5, 1, hour + 1)], source="fills")
    opened: list[str] = []
    original = Catalogue._opened
    monkeypatch.setattr(
        Catalogue,
        "_opened",
        lambda self, manifest, schema: opened.append(manifest.name) or original(self, manifest, schema),
    )
    chunks = Catalogue(tmp_path).source(["BTC"]).chunks()
    assert ids(next(chunks)) == [1]
    assert len(opened) <= 2
    chunks.close()


def test_the_fingerprint_follows_contents_and_range_and_reads_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "trade", "a", [trade(NOON, 1, 5, 1, 1), trade(NOON + 5, 1, 5, 1, 2)])
    monkeypatch.setattr(pq, "ParquetFile", None)
    catalogue = Catalogue(tmp_path)
    whole, again, less = (catalogue.source(["BTC"], end_ns=end).fingerprint() for end in (None, None, NOON + 1))
    put(tmp_path, "trade", "a", [trade(NOON, 1, 5, 2, 1), trade(NOON + 5, 1, 5, 1, 2)])
    other = catalogue.source(["BTC"]).fingerprint()
    assert whole == again and len({whole, less, other}) == 3 and len(whole) == 32


def test_numbered_rows_are_those_of_the_file(tmp_path: Path) -> None:
    put(tmp_path, "trade", "a", [trade(NOON + step, 1, 5, 1, step + 1) for step in range(5)])
    source = Catalogue(tmp_path).source(["BTC"], begin_ns=NOON + 2)
    [(path, rows)] = source.numbered(ProgressMeter(None, 0))
    assert path == source.files[0]
    assert rows.places.tolist() == [2, 3, 4] and rows.events["order_id"].tolist() == [3, 4, 5]


def test_parts_must_agree_on_what_numbers_mean(tmp_path: Path) -> None:
    put(tmp_path, "trade", "a", [trade(NOON, 1, 5, 1, 1)])
    put(tmp_path, "trade", "b", [trade(NOON + 5, 1, 5, 1, 2)], market=replace(BTC, maximum_leverage=3))
    assert Catalogue(tmp_path).source(["BTC"]).markets[0].maximum_leverage == 3
    put(tmp_path, "trade", "c", [trade(NOON + 9, 1, 5, 1, 3)], market=replace(BTC, size_decimals=2))
    with pytest.raises(DataError, match=r"market BTC is specified in another way than in 2026-04-01/c"):
        Catalogue(tmp_path).source(["BTC"])


def test_a_name_opens_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "catalog", "trade", "a", [trade(NOON, 1, 5, 1, 1)])
    put(tmp_path / "catalog", "trade", "b", [trade(NOON + DAY_NS, 1, 5, 1, 2)], date=date_of(NOON + DAY_NS))
    source = open_source("2026-04-01/btc")
    assert isinstance(source, CatalogueSource) and source.name == "2026-04-01/btc"
    assert ids(rows_of(source)) == [1]
    assert ids(rows_of(open_source("2026-04-01..2026-04-02/BTC", catalogue=tmp_path / "catalog"))) == [1, 2]
    assert open_named("bundled.gz", None) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("2026-04-01/BTX", r"there is nothing of coin BTX in this catalogue, it holds BTC, ETH"),
        ("2026-04-03/BTC", r"nothing for 2026-04-03/BTC, of BTC it holds 2026-04-01, 2026-03-01, the nearest first"),
        ("2026-04-31/BTC", r"there is no date 2026-04-31"),
        ("2026-04-01T05/BTC", r"nothing for 2026-04-01/BTC, of BTC it holds 2026-04-01"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(tmp_path: Path, name: str, said: str) -> None:
    put(tmp_path, "trade", "a", [trade(NOON, 1, 5, 1, 1)])
    put(tmp_path, "trade", "a", [trade(NOON - 31 * DAY_NS, 1, 5, 1, 1)], date="2026-03-01")
    put(tmp_path, "trade", "a", [trade(NOON, 1, 5, 1, 1)], market=ETH)
    with pytest.raises(DataError, match=said):
        open_source(name, catalogue=tmp_path)


def test_without_a_catalogue_the_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no catalogue for 2026-04-01/BTC, name its folder with --catalogue"):
        open_source("2026-04-01/BTC", catalogue=tmp_path / "absent")
    with pytest.raises(DataError, match=r"there is nothing in this catalogue, fill it with `hlhft mine`"):
        open_source("2026-04-01/BTC", catalogue=tmp_path)


def test_a_file_of_that_name_goes_before_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2026-04-01").mkdir()
    (tmp_path / "2026-04-01" / "BTC").write_text("no recording\n")
    with pytest.raises(DataError, match="no known recording begins with"):
        open_source("2026-04-01/BTC")


def test_memory_does_not_grow_with_the_range(tmp_path: Path) -> None:
    def peak(parts: int) -> int:
        root = tmp_path / str(parts)
        for number in range(parts):
            begin = NOON + number * 60 * MINUTE
            for kind, make in (("trade", trade_at), ("bbo", bbo_at)):
                put(root, kind, f"a-{number:02d}", [make(begin + step * SECOND) for step in range(400)])
        chunks = Catalogue(root).source(["BTC"]).chunks()
        tracemalloc.start()
        try:
            # Each later hour is a session of its own, and begins with a clear.
            assert sum(len(rows) for rows in chunks) == parts * 1200 + parts - 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(3)  # what is compiled is loaded once, on the way
    # Manifests are small, and the last trades are remembered against repeats.
    assert peak(12) < peak(3) + 9 * 400 * 300


def trade_at(exch: int) -> Events:
    return trade(exch, 1, 1001, 1, exch)


def bbo_at(exch: int) -> Events:
    return bbo(exch + 1, (1000, 1), (1001, 1))
