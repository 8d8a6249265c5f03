"""A node's folder as a recording: against lists, against the kernel, and what is wrong with it in a sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from hlhft.backtest.bus import FAR
from hlhft.backtest.recordings import compile_recording
from hlhft.backtest.venue_side import run_rows
from hlhft.data.errors import DataError
from hlhft.data.files import ProgressMeter
from hlhft.data.node.source import NodeSource, open_node
from hlhft.data.sources import open_source
from hlhft.data.validate import examine
from hlhft.events import EventKind
from hlhft.exchange.node_files import NodeFiles
from hlhft.exchange.node_text import Layout
from hlhft.exchange.opening import open_machine, open_settings
from hlhft.venue import recorded
from hlhft.venue.queue import QueueModel
from hlhft.venue.rules import hyperliquid
from tests.backtest.feed import rows_of
from tests.data.node.making import BTC, COINS, ETH, FIRST_HEIGHT, Block, Lists, random_blocks, random_step
from tests.data.node.test_book import levels_told
from tests.exchange.clients import Client, order, orders
from tests.exchange.node_sample import START_NS, Sample, snapshot_request, write_sample

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
            for rests in truth[market.name][row]:
                lots, count = levels.get(rests.ticks, (0, 0))
                levels[rests.ticks] = (lots + rests.lots, count + 1)
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


# Our order among the flow of the embedded exchange, and the same order replayed into the files without it.


def run_with_our_order(folder: Path, seed: int, blocks: int, place_at: int, away: int = 0) -> tuple[int, str]:
    """(ticks of its order, address of the client) of a run in which it rests one order `away` ticks below the bid."""
    settings = open_settings(["BTC"], seed=seed, start_ns=START_NS, with_limits=False, with_delays=False)
    machine = open_machine(settings, synthetic=True)
    client, ticks = Client(machine, 7), 0
    for _ in range(2):
        machine.advance(machine.next_deadline_ns())
    files = NodeFiles(folder, machine, Layout.BY_BLOCK, local_ns=lambda: machine.time_ns + 1_000_000)
    for number in range(blocks):
        now_ns = machine.next_deadline_ns()
        if number == place_at:
            ticks = int(machine.kernel.touch()[0][0]) - away
            wish = order(asset=0, buy=True, size="0.3", price=BTC.price_text(ticks), tif="Alo")
            machine.admit(client.body(orders(wish)), client.label, now_ns)
        for block in machine.advance(now_ns).blocks:
            files.write(block)
        if number == 3:
            assert files.snapshot(snapshot_request(folder / "snapshot.json")).status == 200
    files.close()
    return ticks, client.address


def lines_of(folder: Path, stream: str) -> list[dict]:
    paths = sorted((folder / stream / "hourly").glob("*/*"), key=lambda path: (path.parent.name, int(path.name)))
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def our_life(folder: Path, address: str) -> tuple[int, int, bool, dict[int, int]]:
    """(ms at which ours came to rest, lots, whether another joined its level in that block behind it, fills by ms)."""
    entered_ms, lots, others_behind = 0, 0, False
    for line in lines_of(folder, "node_raw_book_diffs_by_block"):
        for diff in line["events"]:
            is_new = isinstance(diff["raw_book_diff"], dict) and "new" in diff["raw_book_diff"]
            if diff["user"] == address and is_new:
                entered_ms, price = block_ms_of(line), diff["px"]
                lots = BTC.lots(diff["raw_book_diff"]["new"]["sz"])
            elif entered_ms == block_ms_of(line) and is_new and diff["px"] == price:
                others_behind = True
    fills: dict[int, int] = {}
    for line in lines_of(folder, "node_fills_by_block"):
        for user, fill in line["events"]:
            if user == address:
                assert not fill["crossed"]
                fills[fill["time"]] = fills.get(fill["time"], 0) + BTC.lots(fill["sz"])
    return entered_ms, lots, others_behind, fills


def block_ms_of(line: dict) -> int:
    return int(np.datetime64(line["block_time"], "ms").astype(np.int64))


def replayed_fills(
    events: np.ndarray, ticks: int, lots: int, entered_ms: int, model: QueueModel = QueueModel.ORDER_LEVEL
) -> dict[int, int]:
    """What our order is filled when it is replayed into these events, lots by ms."""
    rules = hyperliquid()
    rules["queue_model"], rules["enforce_validation"] = int(model), 0
    prices = events["price_ticks"][events["price_ticks"] > 0]
    low, high = int(prices.min()), int(prices.max())
    venue = recorded.new_venue(BTC.record(), rules, lanes=1, base_ticks=[low], width=high - low + 1, slots=16)
    rows, fills = rows_of(events), {}
    # Behind everything of the block in which it came to rest, before everything of the next.
    placed_ns = entered_ms * 1_000_000 + 999_999
    cursor = int(run_rows(venue, 0, rows, 0, len(rows), placed_ns, False))
    recorded.place(venue, 0, 0, 1, 1, ticks, lots, 0, 0, 0, placed_ns)
    venue.venue[0]["reply_count"] = 0
    while cursor < len(rows):
        cursor = int(run_rows(venue, 0, rows, cursor, len(rows), FAR, True))
        for reply in venue.replies[: int(venue.venue[0]["reply_count"])]:
            at_ms = int(reply["ts_exch_ns"]) // 1_000_000
            fills[at_ms] = fills.get(at_ms, 0) + int(reply["size_lots"])
        venue.venue[0]["reply_count"] = 0
    return fills


def test_an_order_replayed_into_the_files_without_it_is_filled_as_the_kernel_filled_it(tmp_path):
    """Behind K real orders it is filled exactly when they are gone, and by as much."""
    filled = in_pieces = misjudged = 0
    for seed, away in ((2, 10), (3, 20), (1, 30), (3, 30)):
        folder = tmp_path / f"{seed}-{away}"
        ticks, address = run_with_our_order(folder, seed, blocks=200, place_at=10, away=away)
        entered_ms, lots, others_behind, truth = our_life(folder, address)
        assert entered_ms > 0
        assert not others_behind
        events = events_of(open_source(folder, hidden_users=[address]))
        assert replayed_fills(events, ticks, lots, entered_ms) == truth, f"seed {seed}, {away} ticks away"
        filled += bool(truth)
        in_pieces += len(truth) > 1
        misjudged += replayed_fills(events, ticks, lots, entered_ms, QueueModel.RISK_AVERSE) != truth
    assert (filled, in_pieces >= 2, misjudged >= 1) == (4, True, True)
