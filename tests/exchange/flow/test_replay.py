"""A recording as background: its book stands level by level, its takers take, our orders wait their turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hlhft.compiled import JIT_DISABLED
from hlhft.data.sources import open_source
from hlhft.events import EVENT_DTYPE, EventKind
from hlhft.exchange.flow.rehearsal import START_NS
from hlhft.exchange.flow.replay import LEGS_ROOM, STACK, Replay, is_over, new_replay, replay_legs
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind, TimeInForce
from hlhft.venue.matching import execute_block
from tests.exchange.flow.stage import MS
from tests.venue.desk import ALO, BUY, FILLED, SELL, Desk

BOOK, TAKER, US = 0, 1, 2
LEVEL, CLEAR, BBO, TRADE = EventKind.DEPTH_LEVEL, EventKind.DEPTH_CLEAR, EventKind.BBO, EventKind.TRADE
BEGIN, END = EventKind.SNAPSHOT_BEGIN, EventKind.SNAPSHOT_END
BLOCK = 100 * MS
RECORDED_NS = 77 * 10**15


def events(rows) -> np.ndarray:
    """(block, kind, side, price, lots) rows; an event of block b happens in the middle of the time up to it."""
    found = np.zeros(len(rows), EVENT_DTYPE)
    for event, (block, kind, side, price, lots) in zip(found, rows):
        event["ts_exch_ns"] = RECORDED_NS + block * BLOCK - (BLOCK // 2 if block else 0)
        event["kind"], event["side"], event["price_ticks"], event["size_lots"] = int(kind), side, price, lots
    return found


class Session:
    """A recording on a desk: prices from 1 to 199 ticks."""

    def __init__(self, rows, room: int = LEGS_ROOM) -> None:
        self.desk = Desk()
        self.replay: Replay = new_replay(
            events(rows), markets=1, width=200, book=BOOK, taker=TAKER, start_ns=self.desk.now_ns
        )
        self.legs = np.zeros(room, ACTION_DTYPE)
        self.block = 0
        self.start_ns = self.desk.now_ns
        self.done: list[np.ndarray] = []

    def go(self, blocks: int = 1):
        """Runs blocks and returns their events."""
        found = []
        for _ in range(blocks):
            self.desk.now_ns = self.start_ns + self.block * BLOCK
            self.block += 1
            venue = self.desk.exchange
            count = replay_legs(venue, self.replay, self.legs, 0, self.desk.now_ns)
            legs = self.legs[:count]
            self.done.append(legs.copy())
            orders = legs[legs["kind"] <= ActionKind.MODIFY].copy()
            execute_block(venue, orders, len(orders), np.zeros(len(orders), np.int64), self.desk.now_ns)
            found += self.desk.drain()
        return found

    def book(self, side: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for order in self.desk.exchange.orders:
            if order["order_id"] != 0 and order["account"] == BOOK and order["side"] == side:
                price = int(order["price_ticks"])
                found[price] = found.get(price, 0) + int(order["remaining_lots"])
        return found


PICTURE = [
    (0, BEGIN, 0, 0, 0),
    (0, LEVEL, 1, 100, 50),
    (0, LEVEL, 1, 99, 70),
    (0, LEVEL, -1, 101, 40),
    (0, LEVEL, -1, 102, 60),
    (0, END, 0, 0, 0),
]


def test_the_book_stands_a_block_after_it_was_recorded():
    session = Session(PICTURE)
    session.go()
    assert session.book(1) == {}
    session.go()
    assert session.book(1) == {100: 50, 99: 70}
    assert session.book(-1) == {101: 40, 102: 60}
    assert is_over(session.replay)
    assert session.go(3) == [], "what does not change is left alone"


def test_levels_grow_shrink_and_go():
    session = Session(
        [
            *PICTURE,
            (3, LEVEL, 1, 100, 80),
            (4, LEVEL, 1, 100, 60),
            (5, LEVEL, 1, 100, 20),
            (6, LEVEL, 1, 100, 0),
            (6, CLEAR, -1, 101, 0),
            (7, CLEAR, 1, 0, 0),
            (8, CLEAR, 0, 0, 0),
        ]
    )
    session.go(5)
    assert session.book(1)[100] == 80
    assert [lots for _, lots in session.desk.resting(BUY, 100)] == [50, 30]
    session.go()
    assert [lots for _, lots in session.desk.resting(BUY, 100)] == [50, 10], "the youngest shrinks"
    session.go()
    assert [lots for _, lots in session.desk.resting(BUY, 100)] == [20]
    session.go()
    assert (session.book(1), session.book(-1)) == ({99: 70}, {102: 60})
    session.go()
    assert (session.book(1), session.book(-1)) == ({}, {102: 60})
    session.go()
    assert session.book(-1) == {}


def test_a_snapshot_replaces_the_book():
    session = Session([*PICTURE, (3, BEGIN, 0, 0, 0), (3, LEVEL, 1, 99, 70), (3, LEVEL, -1, 103, 5), (3, END, 0, 0, 0)])
    session.go(5)
    assert (session.book(1), session.book(-1)) == ({99: 70}, {103: 5})


def test_nothing_stands_before_a_recorded_touch():
    session = Session([*PICTURE, (3, BBO, 1, 99, 33), (3, BBO, -1, 102, 44), (5, BBO, 1, 100, 9)])
    session.go(5)
    assert (session.book(1), session.book(-1)) == ({99: 33}, {102: 44})
    session.go(2)
    assert (session.book(1), session.book(-1)) == ({100: 9, 99: 33}, {102: 44})
    prices = [leg for legs in session.done for leg in legs if leg["kind"] == ActionKind.ORACLE_PRICE]
    assert [int(leg["price_ticks"]) for leg in prices] == [100], "(99 + 102) // 2, once in three seconds"


def test_recorded_takers_take_what_was_there():
    session = Session([*PICTURE, (3, TRADE, -1, 100, 30), (3, LEVEL, 1, 100, 20), (4, TRADE, 0, 100, 5)])
    session.go(3)
    told = session.go()
    assert [event.short for event in told] == [(FILLED, BOOK, BUY, 100, 30, 20), (FILLED, TAKER, SELL, 100, 30, 0)]
    assert session.go(3) == [], "the recorded change of the level is the trade's"
    assert session.book(1)[100] == 20


def test_our_order_waits_behind_what_was_there_and_before_what_comes():
    session = Session(
        [
            *PICTURE,
            (4, LEVEL, 1, 100, 90),  # forty lots come behind us
            (6, LEVEL, 1, 100, 60),  # and thirty of them leave
            (8, TRADE, -1, 100, 50),
            (9, TRADE, -1, 100, 15),
        ]
    )
    session.go(3)
    session.desk.place(US, BUY, 100, 20, ALO).run()
    session.go(2)
    assert session.desk.resting(BUY, 100) == [(BOOK, 50), (US, 20)]
    session.go()
    assert session.desk.resting(BUY, 100) == [(BOOK, 50), (US, 20), (BOOK, 40)]
    session.go(2)
    assert session.desk.resting(BUY, 100) == [(BOOK, 50), (US, 20), (BOOK, 10)]
    session.go()
    assert session.desk.position(US) == 0
    assert session.desk.resting(BUY, 100)[0] == (US, 20)
    session.go()
    assert session.desk.position(US) == 15


def test_a_book_that_moves_through_our_order_trades_with_it():
    session = Session([*PICTURE, (4, BBO, 1, 98, 10), (4, BBO, -1, 99, 25)])
    session.go(3)
    session.desk.place(US, BUY, 100, 20, ALO).run()
    session.go(3)
    assert session.desk.position(US) == 20
    assert session.book(-1)[99] == 5


def test_a_level_holds_so_many_orders():
    session = Session([*PICTURE, *[(3 + n, LEVEL, 1, 100, 60 + 10 * n) for n in range(STACK + 3)]])
    session.go(STACK + 8)
    lots = [lots for _, lots in session.desk.resting(BUY, 100)]
    assert sum(lots) == 60 + 10 * (STACK + 2)
    assert len(lots) == STACK


def test_what_finds_no_room_waits():
    session = Session([*PICTURE, (2, TRADE, -1, 100, 10), (2, TRADE, -1, 100, 11)], room=STACK)
    session.go(2)
    assert (session.book(1), session.book(-1)) == ({100: 50}, {})
    assert not is_over(session.replay)
    session.go(5)
    assert (session.book(1), session.book(-1)) == ({100: 29, 99: 70}, {101: 40, 102: 60})
    assert session.desk.position(TAKER) == -21


def test_prices_outside_the_band_are_counted():
    session = Session([*PICTURE, (3, LEVEL, 1, 5_000, 7), (3, BBO, -1, 9_000, 8)])
    session.go(6)
    assert session.replay.state[0]["outside"] == 2
    assert session.book(1) == {100: 50, 99: 70}


def test_an_empty_recording_is_an_error():
    with pytest.raises(ValueError, match="the recording holds no event to replay"):
        new_replay(np.zeros(0, EVENT_DTYPE), markets=1, width=10, book=0, taker=1, start_ns=0)


def test_a_real_recording_is_replayed_twice_alike_and_stands_as_recorded(recordings: Path):
    source = open_source(recordings / "hyperliquid/l2_trades_bbo_20250904/trades_WLFI.csv.gz")
    rows = np.concatenate(list(source.chunks()))
    seconds = 6 if JIT_DISABLED else 60
    rows = rows[rows["ts_exch_ns"] >= rows["ts_exch_ns"][rows["kind"] == int(BEGIN)][0]]
    runs = []
    for _ in range(2):
        desk = Desk(width=2**17, slots=4_096)
        base = int(rows["price_ticks"][rows["kind"] == int(BBO)][0]) - 2**16
        desk.exchange.ladders["base_ticks"] = base
        replay = new_replay(rows, markets=1, width=2**17, book=BOOK, taker=TAKER, start_ns=START_NS)
        legs = np.zeros(LEGS_ROOM, ACTION_DTYPE)
        told: list[bytes] = []
        for block in range(seconds * 12):
            ts_ns = START_NS + block * 80 * MS
            count = replay_legs(desk.exchange, replay, legs, 0, ts_ns)
            orders = legs[:count][legs["kind"][:count] <= ActionKind.MODIFY].copy()
            told.append(orders.tobytes())
            execute_block(desk.exchange, orders, len(orders), np.zeros(len(orders), np.int64), ts_ns)
            desk.exchange.engine[0]["event_count"] = 0
        runs.append(told)
        now_ns = ts_ns - 80 * MS - int(replay.state[0]["shift_ns"])
        seen = rows[(rows["kind"] == int(BBO)) & (rows["ts_exch_ns"] <= now_ns)]
        bid = int(seen["price_ticks"][seen["side"] == 1][-1])
        ask = int(seen["price_ticks"][seen["side"] == -1][-1])
        assert (desk.exchange.ladders[0]["best_bid_ticks"], desk.exchange.ladders[0]["best_ask_ticks"]) == (bid, ask)
        assert desk.exchange.engine[0]["dropped"] == 0
    assert runs[0] == runs[1]
    taken = np.frombuffer(b"".join(runs[0]), ACTION_DTYPE)
    assert (taken["time_in_force"][taken["account"] == TAKER] == TimeInForce.IOC).all()
