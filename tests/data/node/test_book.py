"""Order-level books against lists, and every fault that makes one unknown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.node.book import FRAME_DTYPE, Fault, apply, clear, events_of_picture, load, new_books, queue, room
from hlhft.data.node.changes import CHANGE_DTYPE, TRADE_DTYPE, Change
from hlhft.data.node.decoding import Decoder, Stream
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from tests.data.node.making import BTC, COINS, ETH, Lists, block_ms, random_blocks, text_of

MARKETS = [BTC, ETH]
NEW, UPDATE, REMOVE, UNKNOWN = Change.NEW, Change.UPDATE, Change.REMOVE, Change.UNKNOWN
END = int(EventFlag.FRAME_END)
MS = 1_000_000


def change(kind, oid, ticks=100, lots=0, *, side=1, before=0, was=-1, market=0, hidden=0):
    return (1, oid, before, ticks, lots, was, market, side, int(kind), hidden, 0)


def frames_of(*groups, at=1, market=0, whole=1):
    """(frames, changes) of a frame a group of changes."""
    frames = np.zeros(len(groups), FRAME_DTYPE)
    frames["changes_end"] = np.cumsum([len(group) for group in groups])
    frames["ts_exch_ns"] = [(at + index) * MS for index in range(len(groups))]
    frames["ts_local_ns"] = frames["ts_exch_ns"] + 7
    frames["market"], frames["is_whole"] = market, whole
    return frames, np.array([row for group in groups for row in group], CHANGE_DTYPE)


def told(books, *groups, trades=(), **how):
    """(events, frames applied, fault) of one frame a group of changes; the trades belong to the last."""
    frames, changes = frames_of(*groups, **how)
    trades = np.array(list(trades), TRADE_DTYPE)
    frames["trades_end"][-1:] = len(trades)
    out = np.zeros(room(1, len(frames), len(changes), len(trades)), EVENT_DTYPE)
    count, applied, fault = apply(books, frames, changes, trades, out)
    return out[:count], applied, Fault(fault)


def queue_of(books, market, row, ticks):
    out = np.zeros((64, 2), np.int64)
    return out[: queue(books, market, row, ticks, out)].tolist()


def short(events):
    """(kind, side, ticks, lots, orders, placed in ms)."""
    rows = events[["kind", "side", "price_ticks", "size_lots", "aux0", "aux1"]].tolist()
    return [(EventKind(kind).name, *rest, placed // MS) for kind, *rest, placed in rows]


def test_orders_make_levels_in_the_order_in_which_they_came():
    books = new_books(1)
    events, applied, fault = told(
        books,
        [change(NEW, 11, 100, 5), change(NEW, 12, 100, 3), change(NEW, 13, 103, 4, side=-1)],
        [change(NEW, 14, 100, 2, before=12), change(UPDATE, 11, 100, 1, was=5), change(REMOVE, 12, 100)],
    )
    assert (applied, fault) == (2, Fault.NONE)
    assert short(events) == [
        ("DEPTH_LEVEL", 1, 100, 5, 1, 1),
        ("DEPTH_LEVEL", 1, 100, 8, 2, 1),
        ("DEPTH_LEVEL", -1, 103, 4, 1, 1),
        ("BBO", 1, 100, 8, 2, 0),
        ("BBO", -1, 103, 4, 1, 0),
        # The one let in before order 12 stands ahead of the same orders: it counts as placed when that was.
        ("DEPTH_LEVEL", 1, 100, 10, 3, 1),
        ("DEPTH_LEVEL", 1, 100, 6, 3, 1),
        ("DEPTH_LEVEL", 1, 100, 3, 2, 1),
        ("BBO", 1, 100, 3, 2, 0),
    ]
    assert np.flatnonzero(events["flags"] & END).tolist() == [4, 8]
    assert queue_of(books, 0, 0, 100) == [[11, 1], [14, 2]]


def test_a_change_says_when_its_order_was_placed():
    books = new_books(1)
    told(books, [change(NEW, 11, 100, 5)], [change(NEW, 12, 100, 5)], at=10)
    events, _, _ = told(books, [change(REMOVE, 12, 100), change(REMOVE, 11, 100)], at=90)
    levels = events[events["kind"] == int(EventKind.DEPTH_LEVEL)]
    assert (levels["aux1"] // MS).tolist() == [11, 10]


def test_trades_are_told_before_the_change_of_the_order_that_they_met_and_the_rest_at_the_end():
    books = new_books(1)
    told(books, [change(NEW, 11, 100, 5), change(NEW, 12, 100, 5)])
    trades = [(1, tid, maker, 100, lots, 0, -1, 1, (0, 0)) for tid, maker, lots in ((1, 11, 2), (2, 11, 3), (3, 99, 1))]
    events, _, fault = told(books, [change(REMOVE, 12, 100), change(REMOVE, 11, 100)], trades=trades)
    assert fault is Fault.NONE
    kinds = [(EventKind(row["kind"]).name, int(row["order_id"]), int(row["size_lots"])) for row in events]
    assert kinds == [
        ("DEPTH_LEVEL", 0, 5), ("TRADE", 1, 2), ("TRADE", 2, 3), ("DEPTH_LEVEL", 0, 0), ("TRADE", 3, 1), ("BBO", 0, 0),
    ]  # fmt: skip


def test_hidden_orders_hold_their_place_and_show_nothing():
    books = new_books(1)
    events, _, _ = told(books, [change(NEW, 11, 100, 5), change(NEW, 12, 100, 7, hidden=1)])
    assert short(events) == [("DEPTH_LEVEL", 1, 100, 5, 1, 1), ("BBO", 1, 100, 5, 1, 0)]
    events, _, _ = told(books, [change(NEW, 13, 100, 2, before=12), change(REMOVE, 11, 100), change(REMOVE, 13, 100)])
    assert [row[:5] for row in short(events)][-2:] == [("DEPTH_LEVEL", 1, 100, 0, 0), ("BBO", 1, 0, 0, 0)]
    assert queue_of(books, 0, 0, 100) == [[12, 7]]
    events, _, fault = told(books, [change(UPDATE, 12, 100, 3, was=7, hidden=1)], [change(REMOVE, 12, 100)])
    assert (len(events), fault) == (0, Fault.NONE)


def test_an_order_without_lots_stays_until_it_is_removed():
    books = new_books(1)
    told(books, [change(NEW, 11, 100, 5), change(NEW, 12, 99, 1)])
    events, _, _ = told(books, [change(UPDATE, 11, 100, 0, was=5)])
    assert short(events)[-1] == ("BBO", 1, 99, 1, 1, 0)
    events, _, fault = told(books, [change(REMOVE, 11, 100)])
    assert fault is Fault.NONE
    assert short(events) == [("DEPTH_LEVEL", 1, 100, 0, 0, 1)]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([change(REMOVE, 9)], Fault.UNKNOWN_ORDER),
        ([change(UPDATE, 9, lots=1)], Fault.UNKNOWN_ORDER),
        ([change(NEW, 9, 100, 1, before=8)], Fault.UNKNOWN_ORDER),
        ([change(NEW, 11, 100, 1)], Fault.KNOWN_ORDER),
        ([change(UPDATE, 11, 100, 1, was=4)], Fault.OTHER_SIZE),
        ([change(REMOVE, 11, 101)], Fault.OTHER_LEVEL),
        ([change(REMOVE, 11, 100, side=-1)], Fault.OTHER_LEVEL),
        ([change(REMOVE, 11, 100, market=1)], Fault.OTHER_LEVEL),
        ([change(NEW, 9, 99, 1, before=11)], Fault.OTHER_LEVEL),
        ([change(NEW, 9, 100, 1, side=-1, before=11)], Fault.OTHER_LEVEL),
        ([change(NEW, 9, 100, 1, side=0)], Fault.NO_SIDE),
        ([change(UNKNOWN, 11)], Fault.UNKNOWN_CHANGE),
        ([change(NEW, 9, 100, 1, side=-1)], Fault.CROSSED),
        ([change(NEW, 20 + index, 100, 1) for index in range(3)], Fault.TOO_MANY_ORDERS),
        ([change(NEW, 20, 90, 1), change(NEW, 21, 80, 1)], Fault.TOO_MANY_LEVELS),
    ],
)
def test_what_does_not_fit_is_a_fault_and_its_frame_tells_nothing(rows, fault):
    books = new_books(2, orders_max=4, levels_max=2)
    told(books, [change(NEW, 11, 100, 5)])
    events, applied, found = told(books, [change(NEW, 15, 100, 1)], [*rows, change(UPDATE, 11, 100, 1)])
    assert (applied, found) == (1, fault)
    assert short(events) == [("DEPTH_LEVEL", 1, 100, 6, 2, 1), ("BBO", 1, 100, 6, 2, 0)]
    assert int(books.state[3]) == (-1 if fault is Fault.CROSSED else len(rows))


def test_a_side_that_no_change_says_is_the_orders_own():
    books = new_books(1)
    told(books, [change(NEW, 11, 100, 5, side=-1)])
    events, _, fault = told(books, [change(UPDATE, 11, 100, 2, side=0)])
    assert fault is Fault.NONE
    assert short(events)[0] == ("DEPTH_LEVEL", -1, 100, 2, 1, 1)


def test_pieces_of_a_block_may_cross_until_it_is_whole():
    books = new_books(1)
    told(books, [change(NEW, 11, 100, 5)])
    events, _, fault = told(books, [change(NEW, 12, 100, 5, side=-1)], whole=0)
    assert (len(events), fault) == (2, Fault.NONE)


def test_clearing_forgets_every_order_and_gives_every_slot_back():
    books = new_books(1, orders_max=4, levels_max=4)
    for _ in range(3):
        _, _, fault = told(books, [change(NEW, 11 + index, 100 - index, 1) for index in range(4)])
        assert fault is Fault.NONE
        clear(books)
        assert queue_of(books, 0, 0, 100) == []


def test_slots_are_used_again():
    books = new_books(1, orders_max=3, levels_max=2)
    for number in range(50):
        rows = [change(NEW, 10 + number, 100 + number % 7, 1), change(REMOVE, 10 + number, 100 + number % 7)]
        _, _, fault = told(books, [change(NEW, 1000 + number, 50, 1), *rows, change(REMOVE, 1000 + number, 50)])
        assert fault is Fault.NONE
    assert int(books.state[2]) == 0


def levels_told(events, held):
    """Follows levels and touches as a reader of the events would; `held` by (market, side)."""
    for row in events:
        key = int(row["market"]), int(row["side"])
        if row["kind"] == int(EventKind.DEPTH_CLEAR):
            for side in (1, -1):
                held[key[0], side] = {}
        elif row["kind"] == int(EventKind.DEPTH_LEVEL):
            held.setdefault(key, {})[int(row["price_ticks"])] = (int(row["size_lots"]), int(row["aux0"]))
            if row["size_lots"] == 0:
                del held[key][int(row["price_ticks"])]
        elif row["kind"] == int(EventKind.BBO):
            levels = held.get(key, {})
            best = (max if key[1] > 0 else min)(levels, default=0)
            assert (int(row["price_ticks"]), (int(row["size_lots"]), int(row["aux0"]))) == (
                best,
                levels.get(best, (0, 0)),
            )


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_random_flow_gives_the_books_of_lists_order_by_order(seed):
    lists, blocks = random_blocks(seed, 25)
    decoded = Decoder(MARKETS).read(Stream.DIFFS, text_of(blocks, "diffs"))
    books, held = new_books(2), {}
    for place in range(len(MARKETS)):
        rows = decoded.rows[decoded.rows["market"] == place]
        heights = np.unique(rows["height"])
        frames = np.zeros(len(heights), FRAME_DTYPE)
        frames["height"], frames["market"], frames["is_whole"] = heights, place, 1
        frames["ts_exch_ns"] = [block_ms(int(height)) * MS for height in heights]
        frames["changes_end"] = np.searchsorted(rows["height"], heights, side="right")
        out = np.zeros(room(1, len(frames), len(rows), 0), EVENT_DTYPE)
        count, applied, fault = apply(books, frames, rows, np.zeros(0, TRADE_DTYPE), out)
        assert (applied, fault) == (len(frames), 0)
        assert frames["events_end"][-1:].tolist() in ([], [count])
        levels_told(out[:count], held)
    assert_equal(books, held, lists)
    for place in range(len(MARKETS)):
        picture: dict = {}
        levels_told(events_of_picture(books, place, MS, MS), picture)
        assert {side: picture[place, side] for side in (1, -1)} == {
            side: held.get((place, side), {}) for side in (1, -1)
        }


def assert_equal(books, held, lists: Lists) -> None:
    for place, coin in enumerate(COINS):
        for row, side in enumerate("BA"):
            assert held.get((place, 1 - 2 * row), {}) == lists.levels(coin, side)
    for (coin, side, ticks), orders in lists.queues.items():
        found = queue_of(books, list(COINS).index(coin), "BA".index(side), ticks)
        assert found == [[order.oid, order.lots] for order in orders]


def test_a_snapshot_is_loaded_in_its_order_and_contradictions_are_faults():
    books = new_books(1)
    rows = np.array([change(NEW, 11, 100, 5), change(NEW, 12, 100, 1)], CHANGE_DTYPE)
    assert load(books, rows, np.array([3 * MS, 2 * MS])) == 0
    assert queue_of(books, 0, 0, 100) == [[11, 5], [12, 1]]
    events, _, _ = told(books, [change(REMOVE, 12, 100)], [change(REMOVE, 11, 100)], at=2)
    assert [row[5] for row in short(events) if row[0] == "DEPTH_LEVEL"] == [2, 3]
    clear(books)
    assert (
        load(books, np.array([change(NEW, 11, 100, 5)] * 2, CHANGE_DTYPE), np.zeros(2, np.int64)) == Fault.KNOWN_ORDER
    )
