"""A node's folder as a recording: against lists, against the kernel, and what is wrong with it in a sentence."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.recordings import compile_recording
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.node.source import NodeSource, open_node
from hlhft.data.sources import open_source
from hlhft.data.validate import examine
from hlhft.events import EventKind
from hlhft.exchange.node_text import Layout
from tests.data.node.making import BTC, COINS, ETH, FIRST_HEIGHT, Block, Lists, random_blocks, random_step
from tests.data.node.test_book import levels_told
from tests.exchange.node_sample import Sample, write_sample

NAMES = {"diffs": "node_raw_book_diffs", "statuses": "node_order_statuses", "fills": "node_fills"}


def write_blocks(root: Path, blocks: list[Block], hour: int = 13, suffix: str = "_by_block") -> None:
    for what, name in NAMES.items():
        path = root / f"{name}{suffix}" / "hourly" / "20231114" / str(hour)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(block.line(getattr(block, what)) for block in blocks))


def diffs_file(root: Path, hour: int = 13) -> Path:
    return root / "node_raw_book_diffs_by_block" / "hourly" / "20231114" / str(hour)


def played(seed: int, before: int, after: int) -> tuple[Lists, list[Block], bytes]:
    """(books at the end, blocks, the snapshot after `before` of them)."""
    lists, blocks = random_blocks(seed, before)
    snapshot = lists.snapshot()
    generator = np.random.default_rng(seed)
    for _ in range(after):
        for _ in range(4):
            random_step(lists, generator, ("BTC", "ETH"))
        blocks.append(lists.end_block())
    return lists, blocks, snapshot


def events_of(source) -> np.ndarray:
    return np.concatenate(list(source.chunks()))


def books_of(events: np.ndarray) -> dict:
    held: dict = {}
    levels_told(events, held)
    return {key: levels for key, levels in held.items() if levels}


def expected(lists: Lists) -> dict:
    found = {
        (place, 1 - 2 * row): lists.levels(coin, side)
        for place, coin in enumerate(COINS)
        for row, side in enumerate("BA")
    }
    return {key: levels for key, levels in found.items() if levels}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Sample:
    return write_sample(tmp_path_factory.mktemp("node"), seed=3, blocks=60)


def test_a_folder_is_recognised_and_gives_the_books_of_its_changes(tmp_path):
    lists, blocks, snapshot = played(1, 20, 20)
    write_blocks(tmp_path, blocks[:30])
    write_blocks(tmp_path, blocks[30:], hour=14)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    source = open_source(tmp_path)
    assert isinstance(source, NodeSource)
    assert [market.name for market in source.markets] == ["BTC", "ETH"]
    assert not any(source.snapshot_markets)
    events = events_of(source)
    assert books_of(events) == expected(lists)
    assert source.counts["blocks"] == 20
    assert len(events_of(source)) == len(events)
    fingerprint = source.fingerprint()
    packed = diffs_file(tmp_path, 14)
    packed.with_name("14.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    again = open_source(tmp_path)
    assert events_of(again).tobytes() == events.tobytes()
    assert again.fingerprint() != fingerprint


@pytest.mark.parametrize("layout", [Layout.BY_BLOCK, Layout.STREAM])
def test_the_files_of_the_embedded_exchange_give_the_kernels_books(tmp_path, layout):
    sample = write_sample(tmp_path, layout=layout, seed=5, blocks=60)
    source = open_source(tmp_path)
    events = events_of(source)
    held = books_of(events)
    truth = sample.books[sample.machine.height]
    for place, market in enumerate(source.markets):
        for row, side in enumerate((1, -1)):
            levels: dict[int, tuple[int, int]] = {}
            for order in truth[market.name][row]:
                lots, count = levels.get(order.ticks, (0, 0))
                levels[order.ticks] = (lots + order.lots, count + 1)
            assert held.get((place, side), {}) == levels
    assert source.counts["new_orders_without_status"] == 0
    assert source.counts["statuses_that_differ"] == 0
    assert (events["kind"] == int(EventKind.TRADE)).sum() > 0


def test_the_checks_and_the_replay_take_it_as_any_recording(sample, tmp_path, monkeypatch):
    source = open_source(sample.folder)
    report = examine(source)
    assert report.ok, report.text()
    monkeypatch.setenv("HLHFT_CACHE", str(tmp_path))
    recording = compile_recording(source, profile="recorded")
    assert recording.events == report.rows


def test_coins_and_markets_are_chosen_by_name(sample):
    assert [market.name for market in open_source(sample.folder, market="ETH").markets] == ["ETH"]
    chosen = open_source(sample.folder, coins=["ETH"])
    both = open_source(sample.folder)
    events = events_of(both)
    only = events[events["market"] == 1]
    fields = ["kind", "side", "price_ticks", "size_lots", "order_id", "aux0", "aux1", "flags"]
    assert events_of(chosen)[fields].tolist() == only[fields].tolist()


def test_every_event_stands_at_a_line(tmp_path):
    _, blocks, snapshot = played(4, 10, 20)
    write_blocks(tmp_path, blocks[:15])
    write_blocks(tmp_path, blocks[15:], hour=14)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    source = open_source(tmp_path)
    found = list(source.numbered(ProgressMeter(None, 0)))
    assert sum(len(rows.events) for _, rows in found) == len(events_of(source))
    for path, rows in found:
        lines = path.read_bytes().split(b"\n")
        for event, line in zip(rows.events, rows.places, strict=True):
            block_ms = int(event["ts_exch_ns"]) // 1_000_000
            assert f".{block_ms % 1000:03d}".encode() in lines[line - 1]


def test_a_torn_last_line_is_left_out_and_counted(tmp_path):
    lists, blocks, snapshot = played(6, 10, 10)
    write_blocks(tmp_path, blocks)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    path = diffs_file(tmp_path)
    path.write_bytes(path.read_bytes() + Block(FIRST_HEIGHT + 20).line([])[:60])
    source = open_source(tmp_path)
    assert books_of(events_of(source)) == expected(lists)
    assert source.counts["torn_last_line"] == 1


def test_after_a_missing_block_the_next_snapshot_goes_on(tmp_path):
    lists, blocks, snapshot = played(7, 10, 20)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "later.json").write_bytes(lists.snapshot())
    more = [Block(FIRST_HEIGHT + 30), Block(FIRST_HEIGHT + 31)]
    write_blocks(tmp_path, [*blocks[:15], *blocks[17:], *more])
    source = open_source(tmp_path)
    assert books_of(events_of(source)) == expected(lists)
    assert source.counts["blocks_missing"] == 2
    assert source.counts["losses"] == 1


def test_a_missing_block_without_a_later_snapshot_names_the_line_after_what_was_good(tmp_path):
    _, blocks, snapshot = played(8, 10, 20)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    write_blocks(tmp_path, [*blocks[:15], *blocks[17:]])
    given = []
    with pytest.raises(DataError) as caught:
        given.extend(open_source(tmp_path).chunks())
    assert f"{diffs_file(tmp_path)}, line 16: 2 blocks from {FIRST_HEIGHT + 15} on are missing" in str(caught.value)
    assert books_of(np.concatenate(given)) == {}


def test_a_line_that_cannot_be_read_is_named(tmp_path):
    _, blocks, snapshot = played(9, 10, 20)
    (tmp_path / "snapshot.json").write_bytes(snapshot)
    write_blocks(tmp_path, blocks)
    path = diffs_file(tmp_path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:17], lines[17][:50], *lines[18:]]))
    with pytest.raises(DataError, match="a line cannot be read"):
        events_of(open_source(tmp_path))
    with pytest.raises(DataError, match="line 18: no line of raw book diffs"):
        events_of(open_source(tmp_path, snapshot="empty"))


@pytest.mark.parametrize(
    ("prepare_folder", "options", "message"),
    [
        (lambda root: None, {}, "there is no order-level snapshot beside the files"),
        (lambda root: (root / "snapshot.json").write_bytes(b"[1]"), {"snapshot": "snapshot.json"}, "names no height"),
        (lambda root: (root / "snapshot.json").write_bytes(b"[5,[]]"), {}, "do not meet"),
        (lambda root: (root / "snapshot.json").write_bytes(b"[99999,[]]"), {}, None),
        (lambda root: (root / "snapshot.json").write_bytes(b"[1005,[1]]"), {}, "no order-level snapshot"),
        (lambda root: None, {"snapshot": "empty", "coins": ["NONE"]}, "market NONE is not in the specification"),
        (lambda root: None, {"snapshot": "empty", "depth": 1}, "has no option depth"),
        (lambda root: None, {"snapshot": "empty", "hidden_users": ["me"]}, "is no address"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_sentence(tmp_path, prepare_folder, options, message):
    write_blocks(tmp_path, random_blocks(1, 12)[1])
    prepare_folder(tmp_path)
    if options.get("snapshot", "empty") != "empty":
        options = options | {"snapshot": tmp_path / options["snapshot"]}
    if message is None:
        # The node's files end before the block of the snapshot: nothing is told of them, and nothing is wrong.
        assert list(open_source(tmp_path, **options).chunks()) == []
        return
    with pytest.raises(DataError, match=message):
        events_of(open_source(tmp_path, **options))


def test_plain_lines_take_no_snapshot_but_may_begin_empty(tmp_path):
    sample = write_sample(tmp_path, layout=Layout.HOURLY, seed=3, blocks=12, snapshot_after=2)
    assert sample.heights
    with pytest.raises(DataError, match="the node wrote no block numbers"):
        open_source(tmp_path)
    with pytest.raises(DataError, match="an order changes that was never told"):
        events_of(open_source(tmp_path, snapshot="empty"))


def test_coins_that_nobody_specified_are_refused(tmp_path):
    write_blocks(tmp_path, random_blocks(1, 12)[1])
    with pytest.raises(DataError, match="no coin of the node's files is in the market specification"):
        open_node(tmp_path, None, {"SOL": BTC}, {"snapshot": "empty"})
    assert [market.name for market in open_node(tmp_path, None, {"ETH": ETH}, {"snapshot": "empty"}).markets] == ["ETH"]
