"""An object on disk becomes its parts, all or none, the same whatever else was wished or done before."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Event

import lz4.frame
import numpy as np
import pytest

from hlhft.data.catalogue.layout import PartKey, part_path
from hlhft.data.catalogue.manifest import Clock, Gap, Manifest
from hlhft.data.catalogue.parts import PartWriter
from hlhft.data.catalogue.reading import Catalogue
from hlhft.data.markets import known
from hlhft.data.mining.decoding import decode_books
from hlhft.data.mining.errors import MiningError, ObjectError
from hlhft.data.mining.keys import (
    ARCHIVE,
    HOUR_NS,
    NODE,
    Layout,
    Listed,
    books_key,
    contexts_key,
    fills_key,
    midnight_ns,
    place_of,
)
from hlhft.data.mining.making import make_parts, write_missing
from hlhft.data.mining.plan import Missing, Plan, Task
from hlhft.data.mining.store import Stopped
from hlhft.events import EventKind
from tests.data.mining.objects import book_lines, contexts_lines, fills_lines, packed

DAY = date(2026, 4, 1)
TEXT = "2026-04-01"
BEGIN = midnight_ns(DAY) + 7 * HOUR_NS
SECOND = 1_000_000_000
COINS = ("BTC", "ETH")


def task(key: str, *parts: PartKey, etag: str = "1") -> Task:
    place = place_of(key)
    assert place is not None
    bucket = NODE if "fills" in key else ARCHIVE
    return Task(Listed(bucket, key, 1, etag), place, parts)


def books_task() -> Task:
    return task(books_key(DAY, 7, "BTC"), PartKey("book", "BTC", TEXT, "archive-07"))


def fills_task(*coins: str, kinds: tuple[str, ...] = ("trade",), layout: Layout = Layout.BY_BLOCK) -> Task:
    parts = [PartKey(kind, coin, TEXT, "fills-07") for coin in coins for kind in kinds]
    return task(fills_key(DAY, 7, layout), *parts)


def made(root: Path, wanted: Task, content: bytes, stop: Event | None = None) -> list[Manifest]:
    path = root / "object"
    root.mkdir(exist_ok=True)
    path.write_bytes(content)
    return make_parts(root, known(), stop or Event(), wanted, path)


def files(root: Path) -> dict[str, bytes]:
    """Every file of the catalogue by its path."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.glob("kind=*/**/*"))
        if path.is_file()
    }  # fmt: skip


def test_an_hour_of_books_is_one_part(tmp_path: Path) -> None:
    lines = book_lines("BTC", DAY, 7)
    (manifest,) = made(tmp_path, books_task(), packed(lines))
    assert (manifest.source, manifest.snapshots, manifest.rows) == ("archive", True, len(lines) * 12)
    assert manifest.origin == "s3://hyperliquid-archive/market_data/20260401/7/l2Book/BTC.lz4 1"
    assert manifest.clock == Clock("measured", "the archive's recorder")
    assert manifest.counts == {"snapshot": len(lines)}
    # Pictures near the hour's ends carry the block times that they have, and the part answers for those.
    assert manifest.covers == (BEGIN - 250_000_000, manifest.last_exch_ns + 1)
    assert (manifest.gaps, manifest.covers[0]) == ((), manifest.first_exch_ns)
    assert Catalogue(tmp_path).manifest(manifest.key) == manifest
    assert sum(len(batch) for batch in Catalogue(tmp_path).batches(manifest)) == manifest.rows


def test_silence_at_the_ends_is_a_gap_that_the_part_does_not_answer_for(tmp_path: Path) -> None:
    lines = book_lines("BTC", DAY, 7)[10:100]
    (manifest,) = made(tmp_path, books_task(), packed(lines))
    assert manifest.covers == (BEGIN, BEGIN + HOUR_NS)
    assert manifest.gaps == (
        Gap(BEGIN, manifest.first_exch_ns, "silence"),
        Gap(manifest.last_exch_ns + 1, BEGIN + HOUR_NS, "silence"),
    )


def test_an_hour_of_fills_is_trades_of_every_coin_and_fills_where_wished(tmp_path: Path) -> None:
    lines = fills_lines((*COINS, "SOL"), DAY, 7)
    manifests = made(tmp_path, fills_task(*COINS, kinds=("trade", "fill")), packed(lines))
    trades = {one.coin: one for one in manifests if one.kind == "trade"}
    fills = {one.coin: one for one in manifests if one.kind == "fill"}
    assert set(trades) == set(fills) == set(COINS)
    for coin in COINS:
        assert trades[coin].rows > 50
        assert fills[coin].rows == 2 * trades[coin].rows
        assert trades[coin].clock == Clock("measured", "the archive's node")
        assert (trades[coin].source, trades[coin].snapshots) == ("fills", False)
    # Whether or not a coin traded, the object answers for all that it holds.
    assert len({one.covers for one in manifests}) == 1


def test_a_coin_that_did_not_trade_has_a_part_without_rows(tmp_path: Path) -> None:
    btc, sol = made(tmp_path, fills_task("BTC", "SOL"), packed(fills_lines(["BTC"], DAY, 7)))
    assert (sol.rows, sol.covers, sol.gaps) == (0, btc.covers, ())


def test_older_layouts_say_that_their_clock_is_modelled(tmp_path: Path) -> None:
    content = packed(fills_lines(COINS, DAY, 7, layout=Layout.FILLS))
    manifest, _ = made(tmp_path, fills_task(*COINS, layout=Layout.FILLS), content)
    assert manifest.clock == Clock("modelled", "default delay of the channel trades", 300_000_000)
    assert manifest.first_local_ns == manifest.first_exch_ns + 300_000_000


def test_a_day_of_contexts_is_a_part_a_coin(tmp_path: Path) -> None:
    parts = [PartKey("context", coin, TEXT, "archive-day") for coin in COINS]
    found = made(tmp_path, task(contexts_key(DAY), *parts), packed(contexts_lines(COINS, DAY, every_minutes=1)))
    assert [(one.coin, one.rows, one.source, one.gaps) for one in found] == [
        ("BTC", 1440, "archive", ()), ("ETH", 1440, "archive", ())
    ]  # fmt: skip


def test_the_same_object_gives_the_same_bytes_in_one_go_or_in_two(tmp_path: Path) -> None:
    content = packed(fills_lines(COINS, DAY, 7))
    made(tmp_path / "one", fills_task(*COINS, kinds=("trade", "fill")), content)
    for coin in reversed(COINS):
        for kind in ("fill", "trade"):
            made(tmp_path / "two", fills_task(coin, kinds=(kind,)), content)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 8


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x1f\x8b\x08" + b"?" * 100, r"BTC.lz4.*gzip"),
        (b"\x28\xb5\x2f\xfd" + b"?" * 100, r"BTC.lz4: the file is packed with"),
        (packed(book_lines("BTC", DAY, 7))[:-500], r"BTC.lz4, line \d+: the lz4 stream is cut off"),
        (packed(["{}", *book_lines("BTC", DAY, 7)]), r"BTC.lz4, line 1: "),
        (b"", r"BTC.lz4"),
        (lz4.frame.compress(b"no json\n" * 5), r"BTC.lz4, line 1: "),
    ],
    ids=["gzip", "zstd", "cut off", "first line", "empty", "no json"],
)
def test_a_damaged_object_is_named_and_leaves_nothing(tmp_path: Path, content: bytes, says: str) -> None:
    made(tmp_path, fills_task("ETH"), packed(fills_lines(COINS, DAY, 7)))
    before = files(tmp_path)
    with pytest.raises(ObjectError, match=rf"^s3://hyperliquid-archive/market_data/20260401/7/l2Book/{says}"):
        made(tmp_path, books_task(), content)
    assert files(tmp_path) == before


def test_a_torn_last_line_is_tolerated_and_counted(tmp_path: Path) -> None:
    lines = book_lines("BTC", DAY, 7)
    (manifest,) = made(tmp_path, books_task(), packed([*lines[:-1], lines[-1][:50]]))
    assert manifest.counts == {"snapshot": len(lines) - 1, "torn_last_line": 1}
    assert [gap.reason for gap in manifest.gaps] == ["torn-line"]


@contextmanager
def file_limit(count: int) -> Iterator[None]:
    """No file grows beyond so many bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_it_and_loses_nothing(tmp_path: Path) -> None:
    content = packed(fills_lines(COINS, DAY, 7))
    made(tmp_path, fills_task("BTC"), content)
    before = files(tmp_path)
    (tmp_path / "object").write_bytes(content)
    with file_limit(1000), pytest.raises(MiningError, match=r"cannot be written.*what was finished is kept"):
        make_parts(tmp_path, known(), Event(), fills_task("BTC", "ETH"), tmp_path / "object")
    assert files(tmp_path) == before


def test_one_that_is_to_stop_stops_between_two_batches(tmp_path: Path) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(Stopped):
        made(tmp_path, books_task(), packed(book_lines("BTC", DAY, 7)), stop)
    assert files(tmp_path) == {}


def test_an_hour_that_is_missing_is_a_part_that_answers_for_nothing(tmp_path: Path) -> None:
    missing_hour(tmp_path, 7)
    (key,) = books_task().parts
    manifest = Catalogue(tmp_path).manifest(key)
    assert manifest is not None
    assert (manifest.rows, manifest.origin) == (0, "s3://bucket/7 missing")
    stretch = (BEGIN, BEGIN + HOUR_NS)
    assert (manifest.covers, manifest.gaps) == (stretch, (Gap(*stretch, "missing-hour"),))
    # The object that appears later takes its place.
    (later,) = made(tmp_path, books_task(), packed(book_lines("BTC", DAY, 7)))
    assert Catalogue(tmp_path).manifest(key) == later
    assert part_path(tmp_path, key).stat().st_size == later.bytes


def rows_of(root: Path) -> np.ndarray:
    """All book rows that the catalogue gives as one recording, less what reading adds."""
    chunks = list(Catalogue(root).source(["BTC"]).chunks())
    rows = np.concatenate(chunks)
    return rows[rows["kind"] != int(EventKind.DEPTH_CLEAR)]


def book_hours(root: Path, *hours: int) -> int:
    """Mines these hours of books; returns how many pictures they hold."""
    count = 0
    for hour in hours:
        lines = book_lines("BTC", DAY, hour, every_ms=10_000)
        count += len(lines)
        part = PartKey("book", "BTC", TEXT, f"archive-{hour:02d}")
        made(root, task(books_key(DAY, hour, "BTC"), part), packed(lines))
    return count


def missing_hour(root: Path, hour: int) -> None:
    """Says that the archive lacks this hour of books."""
    place = place_of(books_key(DAY, hour, "BTC"))
    assert place is not None
    missing = Missing(
        PartKey("book", "BTC", TEXT, f"archive-{hour:02d}"), place.what, f"s3://bucket/{hour}", place.stretch_ns
    )
    plan = Plan(
        tasks=(),
        missing=(missing,),
        new_missing=(missing,),
        parts_held=0,
        absent=(),
        unspecified=(),
        without_fills=None,
    )
    write_missing(root, plan, known())


def test_nothing_is_lost_or_doubled_where_hours_meet(tmp_path: Path) -> None:
    """The first pictures of an hour carry block times of the hour before: they are neither part's to drop."""
    pictures = book_hours(tmp_path, 6, 7, 8)
    rows = rows_of(tmp_path)
    begins = rows[rows["kind"] == int(EventKind.SNAPSHOT_BEGIN)]
    assert len(begins) == pictures
    assert (np.diff(begins["ts_exch_ns"]) == 10 * SECOND).all()


def test_a_missing_hour_is_filled_by_whoever_has_it(tmp_path: Path) -> None:
    """A gap answers for nothing, so that an import of worse rank gives that hour and nothing of the others."""
    pictures = book_hours(tmp_path, 6, 8)
    missing_hour(tmp_path, 7)
    lines = [line for hour in (6, 7, 8) for line in book_lines("BTC", DAY, hour, every_ms=10_000, seed=2)]
    path = tmp_path / "import.lz4"
    path.write_bytes(packed(lines))
    key = PartKey("book", "BTC", TEXT, "import-0123456789abcdef")
    clock = Clock("measured", "somebody")
    with PartWriter(
        tmp_path, key, known()["BTC"], source="import", origin="a file", clock=clock, snapshots=True
    ) as part:
        for batch in decode_books(path, known()["BTC"]).batches():
            part.write(batch.rows)
        part.finish()
    rows = rows_of(tmp_path)
    begins = rows[rows["kind"] == int(EventKind.SNAPSHOT_BEGIN)]
    assert len(begins) == pictures + 360
    hours = np.bincount((begins["ts_exch_ns"] + SECOND - midnight_ns(DAY)) // HOUR_NS)
    assert hours.tolist() == [0, 0, 0, 0, 0, 0, 360, 360, 360]
