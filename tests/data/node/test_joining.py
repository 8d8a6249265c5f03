"""Streams put together: blocks, gaps, lines that are broken, snapshots, and what nobody may take for a book."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.node import joining
from hlhft.data.node.decoding import Decoder, Stream
from hlhft.data.node.formats import Snapshot, read_snapshot
from hlhft.data.node.joining import STATES, Joined, Joiner, State, Step
from hlhft.events import EventFlag, EventKind
from tests.data.node.making import (
    BTC,
    COINS,
    ETH,
    FIRST_HEIGHT,
    USERS,
    Block,
    Lists,
    block_ms,
    random_blocks,
    random_step,
    text_of,
)
from tests.data.node.test_book import levels_told

MARKETS = [BTC, ETH]
NAMES = {Stream.DIFFS: "diffs", Stream.STATUSES: "statuses", Stream.FILLS: "fills"}
DECODER = Decoder(MARKETS)


def joiner(*, by_block: bool = True, streams=tuple(Stream), **how) -> Joiner:
    return Joiner(MARKETS, streams, by_block=by_block, orders_max=4096, levels_max=256, **how)


def give(joined: Joiner, blocks: list[Block], streams=tuple(Stream)) -> None:
    for stream in streams:
        joined.add(stream, DECODER.read(stream, text_of(blocks, NAMES[stream])))


def books(*taken: Joined) -> dict:
    held: dict = {}
    for part in taken:
        levels_told(part.events, held)
    return {key: levels for key, levels in held.items() if levels}


def expected(lists: Lists) -> dict:
    found = {
        (place, 1 - 2 * row): lists.levels(coin, side)
        for place, coin in enumerate(COINS)
        for row, side in enumerate("BA")
    }
    return {key: levels for key, levels in found.items() if levels}


def snapshot_of(lists: Lists, folder: Path) -> Snapshot:
    path = folder / "snapshot.json"
    path.write_bytes(lists.snapshot())
    return read_snapshot(path, COINS)


def test_every_step_is_in_the_table():
    assert set(STATES) == {(state, step) for state in State for step in Step}


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=12), st.booleans())
def test_however_the_streams_arrive_the_books_are_those_of_the_lists(seed, pieces, in_pieces):
    lists, blocks = random_blocks(seed, sum(pieces))
    joined = joiner(by_block=not in_pieces)
    joined.begin_empty()
    taken, first = [], 0
    for piece in pieces:
        part = blocks[first : first + piece]
        first += piece
        for stream in Stream:
            texts = [text_of([block], NAMES[stream]) for block in part]
            if in_pieces:
                texts = [block.line([event]) for block in part for event in getattr(block, NAMES[stream])]
            for text in texts:
                joined.add(stream, DECODER.read(stream, text))
            taken.append(joined.take())
    for stream in Stream:
        joined.end(stream)
    taken.append(joined.take())
    assert joined.lost is None
    assert books(*taken) == expected(lists)
    heights = np.concatenate([part.blocks["height"] for part in taken])
    assert (np.diff(heights) >= 1).all()
    events = np.concatenate([part.events for part in taken])
    trades = events[events["kind"] == int(EventKind.TRADE)]
    assert len(trades) == sum(len(block.fills) for block in blocks) // 2
    assert (np.diff(events["ts_local_ns"]) > 0).all()
    assert (np.diff(events["ts_exch_ns"]) > 0).all()


def test_a_frame_is_one_market_in_one_block_and_blocks_that_tell_nothing_are_named():
    _, blocks = random_blocks(3, 20)
    joined = joiner()
    joined.begin_empty()
    give(joined, blocks)
    taken = joined.take()
    assert taken.blocks["height"].tolist() == [block.height for block in blocks]
    assert taken.blocks["block_ns"].tolist() == [block_ms(block.height) * 1_000_000 for block in blocks]
    begin = 0
    for frame in taken.frames:
        events = taken.events[begin : frame["events_end"]]
        begin = int(frame["events_end"])
        assert np.flatnonzero(events["flags"] & int(EventFlag.FRAME_END)).tolist() == [len(events) - 1]
        assert set(events["market"].tolist()) == {int(frame["market"])}
        assert set((events["ts_exch_ns"] // 1_000_000 * 1_000_000).tolist()) == {int(frame["ts_exch_ns"])}
    assert begin == len(taken.events)


def test_a_block_waits_for_the_other_streams_and_no_longer_than_told():
    _, blocks = random_blocks(4, 8)
    patient, hasty = joiner(), joiner(wait_blocks=2)
    for joined in (patient, hasty):
        joined.begin_empty()
        give(joined, blocks, [Stream.DIFFS])
        give(joined, blocks[:3], [Stream.STATUSES, Stream.FILLS])
    assert len(patient.take().blocks) == 3
    assert len(hasty.take().blocks) == 6


def test_blocks_in_pieces_are_whole_when_every_stream_told_a_later_one():
    _, blocks = random_blocks(4, 8)
    joined = joiner(by_block=False)
    joined.begin_empty()
    give(joined, blocks)
    assert len(joined.take().blocks) == 7
    at_once = joiner(by_block=False, at_once=True)
    at_once.begin_empty()
    give(at_once, blocks)
    assert len(at_once.take().blocks) == 8


def test_a_snapshot_stands_for_its_block_and_changes_follow_from_the_next(tmp_path):
    lists, before = random_blocks(6, 10)
    snapshot = snapshot_of(lists, tmp_path)
    assert snapshot.height == FIRST_HEIGHT + 9
    held = books_after(lists, before, snapshot, tmp_path)
    assert held == expected(lists)


def books_after(lists: Lists, before: list[Block], snapshot: Snapshot, folder: Path) -> dict:
    """Ten blocks more are played; the books of a joiner that got the blocks from 5 on, then the snapshot after 10."""
    generator = np.random.default_rng(1)
    later = []
    for _ in range(10):
        for _ in range(5):
            random_step(lists, generator, ("BTC", "ETH"))
        later.append(lists.end_block())
    joined = joiner()
    give(joined, [*before[5:], *later])
    assert len(joined.take().events) == 0
    assert joined.needs_snapshot
    assert joined.load(snapshot)
    taken = joined.take()
    assert taken.blocks["height"].tolist() == [block.height for block in later]
    assert EventKind(taken.events["kind"][0]) is EventKind.DEPTH_CLEAR
    return books(taken)


def test_a_missing_block_clears_the_books_and_a_later_snapshot_brings_them_back(tmp_path):
    lists, blocks = random_blocks(8, 12)
    joined = joiner()
    joined.begin_empty()
    give(joined, [*blocks[:6], *blocks[8:]])
    taken = joined.take()
    assert taken.blocks["height"].tolist() == [block.height for block in blocks[:6]]
    assert joined.lost is not None
    assert joined.lost.height == FIRST_HEIGHT + 6
    assert joined.lost.message == f"2 blocks from {FIRST_HEIGHT + 6} on are missing"
    assert joined.counts["blocks_missing"] == 2
    assert books(taken) == {}
    assert len(joined.take().events) == 0
    # A snapshot of before the gap is no help, nor one within it.
    assert not joined.load(Snapshot(FIRST_HEIGHT + 5, {}))
    assert not joined.load(Snapshot(FIRST_HEIGHT + 6, {}))
    assert joined.load(snapshot_of(lists, tmp_path))
    following, more = random_blocks(8, 13)
    give(joined, more[12:])
    assert books(taken, joined.take()) == expected(following)


def test_an_order_that_was_never_told_loses_the_books_before_its_block(tmp_path):
    lists, blocks = random_blocks(9, 10)
    removed = next(block for block in blocks[4:] if "remove" in [diff["raw_book_diff"] for diff in block.diffs])
    place = blocks.index(removed)
    removed.diffs[0:0] = [{**removed.diffs[0], "oid": 77, "raw_book_diff": "remove"}]
    joined = joiner()
    joined.begin_empty()
    give(joined, blocks)
    taken = joined.take()
    assert taken.blocks["height"].tolist() == [block.height for block in blocks[:place]]
    assert joined.lost is not None
    assert joined.lost.message == f"in block {removed.height} an order changes that was never told (order 77)"
    assert books(taken) == {}
    assert not joined.load(Snapshot(removed.height - 1, {}))
    assert joined.load(snapshot_of(lists, tmp_path))


@pytest.mark.parametrize("by_block", [True, False])
def test_a_line_that_cannot_be_read_loses_the_books_from_there(by_block):
    _, blocks = random_blocks(10, 8)
    lines = text_of(blocks, "diffs").splitlines(keepends=True)
    joined = joiner(by_block=by_block, streams=[Stream.DIFFS])
    joined.begin_empty()
    joined.add(Stream.DIFFS, DECODER.read(Stream.DIFFS, b"".join([*lines[:4], lines[4][:40] + b"\n", *lines[5:]])))
    taken = joined.take()
    # Of blocks in pieces the newest one may have lost one of its own.
    assert len(taken.blocks) == (4 if by_block else 3)
    assert joined.lost is not None
    assert joined.lost.message.startswith("a line cannot be read (no line of raw book diffs")
    assert joined.counts["lines_unreadable"] == 1
    assert books(taken) == {}


def test_lines_told_again_are_passed_over():
    lists, blocks = random_blocks(11, 9)
    joined = joiner()
    joined.begin_empty()
    give(joined, blocks[:6])
    first = joined.take()
    give(joined, blocks[3:])
    assert books(first, joined.take()) == expected(lists)
    assert joined.counts["lines_told_again"] == 9


def test_a_change_without_a_side_takes_that_of_its_status():
    lists, blocks = random_blocks(12, 9)
    for block in blocks:
        for diff in block.diffs:
            del diff["side"]
    joined = joiner()
    joined.begin_empty()
    give(joined, blocks)
    assert books(joined.take()) == expected(lists)
    alone = joiner(streams=[Stream.DIFFS])
    alone.begin_empty()
    give(alone, blocks, [Stream.DIFFS])
    alone.take()
    assert alone.lost is not None
    assert "a new order has no side" in alone.lost.message


def test_statuses_that_are_missing_or_say_something_else_are_counted():
    _, blocks = random_blocks(13, 9)
    entered = [status for block in blocks for status in block.statuses]
    entered[0]["status"], entered[1]["order"]["tif"] = "badAloPxRejected", "Ioc"
    entered[2]["order"]["side"] = "A" if entered[2]["order"]["side"] == "B" else "B"
    new = {diff["oid"] for block in blocks for diff in block.diffs if "new" in diff["raw_book_diff"]}
    joined = joiner()
    joined.begin_empty()
    give(joined, blocks)
    joined.take()
    oids = [status["order"]["oid"] for status in entered[:3]]
    assert joined.counts["new_orders_without_status"] == len(new & set(oids[:2]))
    assert joined.counts["statuses_that_differ"] == len(new & {oids[2]})
    assert len(new & set(oids)) >= 2


def test_a_triggered_order_enters_and_one_that_waits_does_not():
    status = {"status": "open", "order": {"coin": "BTC", "oid": 7, "side": "B", "isTrigger": True, "tif": None}}
    line = Block(FIRST_HEIGHT).line([status, {**status, "status": "triggered"}])
    assert DECODER.read(Stream.STATUSES, line).rows["order_id"].tolist() == [7]


def test_a_contradictory_snapshot_is_refused_and_says_why(tmp_path):
    lists, _ = random_blocks(14, 10)
    snapshot = snapshot_of(lists, tmp_path)
    doubled = {coin: orders * 2 for coin, orders in snapshot.orders.items()}
    joined = joiner()
    assert not joined.load(Snapshot(snapshot.height, doubled))
    assert joined.lost is not None
    assert joined.lost.message == "the snapshot contradicts itself: an order is new that rests already"
    assert joined.needs_snapshot


def test_plain_lines_have_no_heights_to_put_a_snapshot_beside():
    joined = joiner(by_block=False, streams=[Stream.DIFFS])
    line = b'{"time":"2026-06-10T12:56:15.03","oid":5,"coin":"BTC","side":"B","px":"100",'
    joined.add(Stream.DIFFS, DECODER.read(Stream.DIFFS, line + b'"raw_book_diff":{"new":{"sz":"1"}}}\n'))
    assert not joined.load(Snapshot(FIRST_HEIGHT, {}))
    joined.begin_empty()
    joined.end(Stream.DIFFS)
    assert books(joined.take()) == {(0, 1): {1000: (100_000, 1)}}


def test_what_waits_for_a_snapshot_is_bounded(monkeypatch):
    monkeypatch.setattr(joining, "BACKLOG_LINES_MAX", 5)
    _, blocks = random_blocks(16, 12)
    joined = joiner()
    for block in blocks:
        give(joined, [block])
    assert joined.counts["lines_dropped"] == 3 * 7
    assert not joined.load(Snapshot(FIRST_HEIGHT + 5, {}))
    monkeypatch.setattr(joining, "BACKLOG_LINES_MAX", 100)
    monkeypatch.setattr(joining, "BACKLOG_ROWS_MAX", 3)
    again = joiner()
    for block in blocks:
        give(again, [block])
    assert again.counts["lines_dropped"] > 0


def test_hidden_orders_of_ours_leave_the_book_without_us(tmp_path):
    lists, blocks = random_blocks(17, 20)
    decoder = Decoder(MARKETS, hidden_users=[USERS[0].upper().replace("X", "x")])
    joined = joiner(streams=[Stream.DIFFS])
    joined.begin_empty()
    joined.add(Stream.DIFFS, decoder.read(Stream.DIFFS, text_of(blocks, "diffs")))
    held = books(joined.take())
    for queue in lists.queues.values():
        queue[:] = [order for order in queue if order.user != USERS[0]]
    assert held == expected(lists)
    again = joiner(streams=[Stream.DIFFS])
    again.load(snapshot_of(lists, tmp_path), hidden_users=[USERS[1]])
    more = Block(FIRST_HEIGHT + 20)
    again.add(Stream.DIFFS, decoder.read(Stream.DIFFS, more.line([])))
    for queue in lists.queues.values():
        queue[:] = [order for order in queue if order.user != USERS[1]]
    assert books(again.take()) == expected(lists)
