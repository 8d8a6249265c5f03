"""What we believe the book is: ranges and block times, two buffers, two forms, and ourselves taken out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.book import apply_event, own_lots_at, read_levels, refresh_touch, without_own
from hlhft.core.state import LEVEL_DTYPE, LEVELS, ORDER_DTYPE, BookKind, MarketData, new_market_data
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.units import Market
from tests.core.allocations import during

BUY, SELL, NONE = 1, -1, 0
BIDS, ASKS = 0, 1
FULL, FAST = 0, 1
END = int(EventFlag.FRAME_END)
BASE, WIDTH = 0, 64
MARKET = Market.perpetual("COIN", asset_id=0, size_decimals=2)
Levels = list[tuple[int, int]]


class Book:
    """One market's book of either kind, told frames and asked for levels."""

    def __init__(self, kind: BookKind = BookKind.SNAPSHOT) -> None:
        self.buffer, self.data = new_market_data(MARKET.record(), 1, WIDTH)
        self.data.books["kind"] = int(kind)
        self.data.books["ladder_index"] = 0 if kind is BookKind.LADDER else -1

    @property
    def row(self) -> Any:
        return self.data.books[0]

    def say(self, kind: EventKind, time_ns: int, **fields: int) -> None:
        """One event, received 5 ns after its block time."""
        record = np.zeros(1, EVENT_DTYPE)
        record["kind"], record["ts_exch_ns"], record["ts_local_ns"] = int(kind), time_ns, time_ns + 5
        for name, value in fields.items():
            record[name] = value
        apply_event(self.data, 0, record[0])
        if self.row["kind"] == BookKind.LADDER:
            refresh_touch(self.row, self.data.ladders, self.data.cells)

    def open(self, time_ns: int, bids: Levels, asks: Levels, *, channel: int = FULL, limit: int = 20) -> None:
        """A full frame without its end."""
        self.say(EventKind.SNAPSHOT_BEGIN, time_ns, aux0=limit, aux1=channel)
        for side, levels in ((BUY, bids), (SELL, asks)):
            for ticks, lots in levels:
                self.say(EventKind.DEPTH_LEVEL, time_ns, side=side, price_ticks=ticks, size_lots=lots, aux0=lots + 1)

    def frame(self, time_ns: int, bids: Levels, asks: Levels, *, channel: int = FULL, limit: int = 20) -> None:
        """A full frame."""
        self.open(time_ns, bids, asks, channel=channel, limit=limit)
        self.say(EventKind.SNAPSHOT_END, time_ns, aux1=channel, flags=END)

    def bbo(self, time_ns: int, bid: tuple[int, int], ask: tuple[int, int]) -> None:
        """Both best prices; price 0 for an empty side."""
        self.say(EventKind.BBO, time_ns, side=BUY, price_ticks=bid[0], size_lots=bid[1], aux0=1)
        self.say(EventKind.BBO, time_ns, side=SELL, price_ticks=ask[0], size_lots=ask[1], aux0=1, flags=END)

    def records(self, side: int, room: int = LEVELS) -> np.ndarray:
        out = np.zeros(room, LEVEL_DTYPE)
        return out[: read_levels(self.data, 0, side, out)]

    def levels(self, side: int, room: int = LEVELS) -> Levels:
        return pairs(self.records(side, room))

    def previous(self) -> tuple[Levels, Levels]:
        """The book before the newest merge."""
        before = self.data.levels[0, 1 - self.row["front"]]
        return pairs(before[0, : self.row["previous_bid_count"]]), pairs(before[1, : self.row["previous_ask_count"]])

    def touch(self) -> tuple[int, int, int, int]:
        names = ("best_bid_ticks", "best_bid_lots", "best_ask_ticks", "best_ask_lots")
        return tuple(int(self.row[name]) for name in names)


def pairs(levels: np.ndarray) -> Levels:
    return [(int(level["price_ticks"]), int(level["size_lots"])) for level in levels]


def ladder_of(best: int, step: int, count: int, lots: int = 10) -> Levels:
    return [(best + step * index, lots + index) for index in range(count)]


DEEP_BIDS, DEEP_ASKS = ladder_of(40, -1, 20), ladder_of(42, 1, 20)
BOTH = [BookKind.LADDER, BookKind.SNAPSHOT]


@pytest.mark.parametrize("kind", BOTH)
def test_a_full_frame_is_the_book(kind: BookKind) -> None:
    book = Book(kind)
    assert book.levels(BIDS) == book.levels(ASKS) == []
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    assert (book.levels(BIDS), book.levels(ASKS)) == (DEEP_BIDS, DEEP_ASKS)
    assert book.touch() == (40, 10, 42, 10)
    assert (book.row["time_exch_ns"], book.row["time_local_ns"]) == (100, 105)
    assert book.levels(BIDS, room=3) == DEEP_BIDS[:3]


def test_levels_keep_their_orders_and_block_time() -> None:
    book = Book()
    book.frame(100, [(40, 7)], [(42, 8)])
    book.frame(200, [(40, 9)], [(42, 8)], channel=FAST, limit=1)
    assert book.records(BIDS)[["orders", "time_ns"]].tolist() == [(10, 200)]


def test_a_newer_touch_owns_its_prices_and_older_levels_lie_beyond() -> None:
    """The best bid falls to 38 and the best ask to 41: what the old frame said of better prices is gone."""
    book = Book()
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.bbo(150, (38, 99), (41, 77))
    assert book.levels(BIDS) == [(38, 99), *DEEP_BIDS[3:]]
    assert book.levels(ASKS) == [(41, 77), *DEEP_ASKS[:19]]
    assert book.records(BIDS)["time_ns"].tolist() == [150] + [100] * 17
    assert book.touch() == (38, 99, 41, 77)


def test_a_newer_fast_frame_owns_its_range() -> None:
    """Five levels from 41 to 35 with a hole at 38: the full frame adds nothing at 38, and all below 35."""
    book = Book()
    fast = [(41, 1), (39, 2), (37, 3), (36, 4), (35, 5)]
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.frame(150, fast, DEEP_ASKS[:5], channel=FAST, limit=5)
    assert book.levels(BIDS) == fast + [level for level in DEEP_BIDS if level[0] < 35]
    assert book.levels(ASKS) == DEEP_ASKS


def test_a_newer_full_frame_leaves_older_channels_nothing_but_what_lies_beyond_it() -> None:
    book = Book()
    book.frame(100, [(41, 1), (40, 1), (39, 1)], [(45, 1)], channel=FAST, limit=3)
    book.bbo(120, (41, 3), (44, 3))
    book.frame(200, [(38, 5), (37, 5)], [(46, 5), (47, 5)], limit=2)
    assert (book.levels(BIDS), book.levels(ASKS)) == ([(38, 5), (37, 5)], [(46, 5), (47, 5)])


def test_a_frame_that_ends_before_its_limit_shows_the_whole_side() -> None:
    """Two of five possible bids: there are no others, whatever the older frame had."""
    book = Book()
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.frame(150, [(40, 1), (39, 1)], [], channel=FAST, limit=5)
    assert (book.levels(BIDS), book.levels(ASKS)) == ([(40, 1), (39, 1)], [])
    book.bbo(160, (0, 0), (43, 2))
    assert book.levels(BIDS) == [] and book.touch() == (0, 0, 43, 2)


def test_the_narrower_channel_wins_a_tie() -> None:
    book = Book()
    book.bbo(100, (40, 1), (42, 1))
    book.frame(100, [(40, 2), (39, 2)], [(42, 2), (43, 2)], channel=FAST, limit=2)
    book.frame(100, [(40, 3), (39, 3), (38, 3)], [(42, 3), (43, 3), (44, 3)], limit=3)
    assert book.levels(BIDS) == [(40, 1), (39, 2), (38, 3)]
    assert book.levels(ASKS) == [(42, 1), (43, 2), (44, 3)]


def test_older_levels_that_a_newer_touch_crosses_are_dropped() -> None:
    """A newest frame that is crossed itself, as a bad feed sends: its own word stands, older levels give way."""
    book = Book()
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.bbo(150, (46, 1), (37, 1))
    assert book.levels(BIDS) == [(46, 1), *[level for level in DEEP_BIDS if level[0] < 37]]
    assert book.levels(ASKS) == [(37, 1), *[level for level in DEEP_ASKS if level[0] > 46]]


def test_an_older_frame_changes_nothing() -> None:
    book = Book()
    book.frame(200, DEEP_BIDS, DEEP_ASKS)
    book.bbo(200, (40, 1), (42, 1))
    before = book.data.levels.tobytes(), book.data.sources.tobytes()
    book.frame(199, [(30, 1)], [(50, 1)])
    book.bbo(199, (31, 1), (49, 1))
    assert (book.data.levels.tobytes(), book.data.sources.tobytes()) == before
    assert (book.row["time_exch_ns"], book.row["time_local_ns"]) == (200, 205)
    book.frame(200, [(30, 1)], [(50, 1)])
    assert book.levels(BIDS) == [(40, 1), (30, 1)]


def test_a_frame_shows_only_when_it_is_whole() -> None:
    book = Book()
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.open(200, [(30, 1)], [(50, 1)])
    assert book.levels(BIDS) == DEEP_BIDS
    book.say(EventKind.SNAPSHOT_END, 200, flags=END)
    assert (book.levels(BIDS), book.levels(ASKS)) == ([(30, 1)], [(50, 1)])
    book.say(EventKind.BBO, 300, side=BUY, price_ticks=31, size_lots=9)
    assert book.levels(BIDS) == [(30, 1)]
    book.say(EventKind.BBO, 300, side=SELL, price_ticks=51, size_lots=9, flags=END)
    assert (book.levels(BIDS), book.levels(ASKS)) == ([(31, 9), (30, 1)], [(51, 9)])


def test_levels_outside_a_frame_beyond_its_limit_or_empty_are_not_taken() -> None:
    book = Book()
    book.say(EventKind.DEPTH_LEVEL, 50, side=BUY, price_ticks=40, size_lots=1)
    book.frame(100, [(40, 1), (39, 0), (38, 2), (37, 3)], [(0, 5), (42, 1)], limit=2)
    book.say(EventKind.DEPTH_LEVEL, 100, side=SELL, price_ticks=43, size_lots=1)
    book.bbo(100, (40, 1), (42, 1))
    assert (book.levels(BIDS), book.levels(ASKS)) == ([(40, 1), (38, 2)], [(42, 1)])
    book.frame(101, [(level, 1) for level in range(60, 30, -1)], [], limit=400)
    assert len(book.levels(BIDS)) == LEVELS


def test_the_book_before_stays_readable_and_the_rest_of_a_buffer_is_blank() -> None:
    book = Book()
    frames = [(ladder_of(40 - n, -1, 7 - 2 * n), ladder_of(42 + n, 1, 4 - n)) for n in range(3)]
    before: tuple[Levels, Levels] = ([], [])
    for number, (bids, asks) in enumerate(frames, start=1):
        book.frame(100 * number, bids, asks)
        assert (book.levels(BIDS), book.levels(ASKS)) == (bids, asks)
        assert book.previous() == before
        before = bids, asks
        front = book.data.levels[0, book.row["front"]]
        for side, levels in ((0, bids), (1, asks)):
            assert not front[side, len(levels) :].copy().view(np.uint8).any()


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize(("side", "left"), [(BUY, (False, True)), (SELL, (True, False)), (NONE, (False, False))])
def test_a_clear_empties_sides(kind: BookKind, side: int, left: tuple[bool, bool]) -> None:
    book = Book(kind)
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.say(EventKind.DEPTH_CLEAR, 110, side=side)
    assert (book.levels(BIDS) == DEEP_BIDS, book.levels(ASKS) == DEEP_ASKS) == left
    assert (bool(book.levels(BIDS)), bool(book.levels(ASKS))) == left
    assert (book.touch()[:2] != (0, 0), book.touch()[2:] != (0, 0)) == left


def test_a_ladder_takes_levels_and_a_partial_clear() -> None:
    book = Book(BookKind.LADDER)
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.say(EventKind.DEPTH_LEVEL, 110, side=BUY, price_ticks=41, size_lots=3)
    book.say(EventKind.DEPTH_LEVEL, 110, side=SELL, price_ticks=42, size_lots=0)
    assert book.touch() == (41, 3, 43, 11)
    book.say(EventKind.DEPTH_CLEAR, 120, side=BUY, price_ticks=35)
    assert (book.levels(BIDS), book.levels(ASKS)) == (DEEP_BIDS[6:], DEEP_ASKS[1:])
    book.say(EventKind.DEPTH_CLEAR, 130, side=SELL, price_ticks=44)
    assert book.levels(ASKS) == DEEP_ASKS[3:]


def test_a_best_price_moves_a_ladder_s_touch_both_ways() -> None:
    book = Book(BookKind.LADDER)
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.bbo(110, (38, 99), (44, 77))
    assert (book.levels(BIDS), book.levels(ASKS)) == ([(38, 99), *DEEP_BIDS[3:]], [(44, 77), *DEEP_ASKS[3:]])
    book.bbo(120, (41, 1), (43, 2))
    assert book.touch() == (41, 1, 43, 2)
    book.bbo(130, (0, 0), (43, 2))
    assert book.levels(BIDS) == []
    book.bbo(140, (41, 1), (0, 0))
    assert book.touch() == (41, 1, 0, 0)


def test_context_and_trades_leave_book_and_age_alone() -> None:
    """A frozen book does not become fresh because trades go on."""
    book = Book()
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.say(EventKind.ASSET_CONTEXT, 200, price_ticks=41, order_id=43, aux0=-12, aux1=5)
    book.say(EventKind.TRADE, 300, side=SELL, price_ticks=39, size_lots=4)
    names = ("mark_ticks", "oracle_ticks", "funding_rate_e12", "premium_e12", "context_time_ns", "last_trade_ticks")
    assert [int(book.row[name]) for name in names] == [41, 43, -12, 5, 205, 39]
    assert (book.row["last_trade_side"], book.row["time_exch_ns"], book.row["time_local_ns"]) == (-1, 100, 105)
    assert book.levels(BIDS) == DEEP_BIDS


@pytest.mark.parametrize("kind", BOTH)
def test_an_event_without_a_kind_changes_no_level(kind: BookKind) -> None:
    book = Book(kind)
    book.frame(100, DEEP_BIDS, DEEP_ASKS)
    book.say(EventKind.NONE, 110, side=BUY, price_ticks=41, size_lots=5)
    assert (book.levels(BIDS), book.levels(ASKS)) == (DEEP_BIDS, DEEP_ASKS)


# Both forms.

sizes = st.integers(1, 50)


def side_of(best: int, step: int) -> st.SearchStrategy[Levels]:
    """Up to 12 levels from `best` outward, with holes."""
    gaps = st.lists(st.tuples(st.integers(1, 2), sizes), max_size=12)

    def build(drawn: list[tuple[int, int]]) -> Levels:
        levels, ticks = [], best
        for gap, lots in drawn:
            ticks += step * gap
            levels.append((ticks, lots))
        return levels

    return gaps.map(build)


frames = st.integers(26, 34).flatmap(lambda middle: st.tuples(side_of(middle, -1), side_of(middle, 1)))


@given(st.lists(frames, min_size=1, max_size=4), st.data())
@settings(max_examples=40)
def test_a_ladder_and_a_snapshot_book_read_the_same(shown: list[tuple[Levels, Levels]], draw: st.DataObject) -> None:
    """After every frame, and after a best bid and offer that belongs to a later block."""
    books = [Book(kind) for kind in BOTH]
    for number, (bids, asks) in enumerate(shown):
        for book in books:
            book.frame(100 * number + 100, bids, asks)
            assert (book.levels(BIDS), book.levels(ASKS)) == (bids, asks)
        assert books[0].touch() == books[1].touch()
    middle = draw.draw(st.integers(12, 48))
    bid = draw.draw(st.sampled_from([(0, 0), (middle - 1, 3)]))
    ask = draw.draw(st.sampled_from([(0, 0), (middle + 1, 4)]))
    for book in books:
        book.bbo(10_000, bid, ask)
    assert books[0].touch() == books[1].touch() == (*bid, *ask)
    for side in (BIDS, ASKS):
        assert books[0].levels(side) == books[1].levels(side)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 2), frames), max_size=12))
@settings(max_examples=40)
def test_any_order_of_frames_gives_a_sorted_book_of_the_newest(
    shown: list[tuple[int, int, tuple[Levels, Levels]]],
) -> None:
    """Frames of all channels with any block times: what is read is sorted, uncrossed, without doubles, and every level
    was said by a frame of the time it carries; the touch is the newest frame's."""
    book, limits = Book(), (20, 5, 1)
    newest: dict[int, tuple[int, Levels, Levels]] = {}
    for time_ns, channel, (bids, asks) in shown:
        bids, asks = bids[: limits[channel]], asks[: limits[channel]]
        if channel == 2:
            book.bbo(time_ns, bids[0] if bids else (0, 0), asks[0] if asks else (0, 0))
        else:
            book.frame(time_ns, bids, asks, channel=channel, limit=limits[channel])
        if time_ns >= newest.get(channel, (0,))[0]:
            newest[channel] = (time_ns, bids, asks)
    said = {(time_ns, *level) for time_ns, bids, asks in newest.values() for level in bids + asks}
    sides = [book.records(BIDS), book.records(ASKS)]
    for side, sign in zip(sides, (-1, 1), strict=True):
        outward = (side["price_ticks"] * sign).tolist()
        assert outward == sorted(set(outward))
        assert {(int(level["time_ns"]), *pair) for level, pair in zip(side, pairs(side), strict=True)} <= said
    if len(sides[0]) and len(sides[1]):
        assert sides[0]["price_ticks"][0] < sides[1]["price_ticks"][0]
    if newest:
        _, channel = max((value[0], key) for key, value in newest.items())
        _, bids, asks = newest[channel]
        assert (book.levels(BIDS)[: len(bids)], book.levels(ASKS)[: len(asks)]) == (bids, asks)


# Ourselves.


def own_orders(orders: Iterable[tuple[int, int, int, bool]]) -> tuple[np.ndarray, np.ndarray, int]:
    """Orders of (side, ticks, lots, acknowledged), their slots, and how many; slots are not in order."""
    listed = list(orders)
    records, active = np.zeros(128, ORDER_DTYPE), np.zeros(128, np.int16)
    for index, (side, ticks, lots, acknowledged) in enumerate(listed):
        slot = 100 - index
        records[slot]["side"], records[slot]["price_ticks"] = side, ticks
        records[slot]["remaining_lots"], records[slot]["size_lots"] = lots, lots + 5
        records[slot]["acknowledged_ns"] = int(acknowledged)
        active[index] = slot
    return records, active, len(listed)


def test_only_acknowledged_orders_of_that_side_and_price_count() -> None:
    orders = own_orders([(BUY, 40, 3, True), (BUY, 40, 4, True), (BUY, 40, 8, False), (SELL, 40, 16, True)])
    assert own_lots_at(*orders, BUY, 40) == 7
    assert own_lots_at(*orders, SELL, 40) == 16
    assert own_lots_at(*orders, BUY, 41) == 0


def test_a_level_keeps_what_others_have_and_goes_when_it_was_ours() -> None:
    """More of ours than the level shows happens while an acknowledgement overtakes the book: the level goes."""
    levels = np.zeros(4, LEVEL_DTYPE)
    levels["price_ticks"], levels["size_lots"] = (40, 39, 38, 37), (10, 5, 6, 7)
    levels["orders"], levels["time_ns"] = (1, 2, 3, 4), (11, 12, 13, 14)
    orders = own_orders([(BUY, 40, 4, True), (BUY, 39, 5, True), (BUY, 38, 9, True)])
    assert without_own(levels, 4, *orders, BUY) == 2
    assert levels[:2].tolist() == [(40, 6, 1, 11), (37, 7, 4, 14)]


@pytest.mark.parametrize("kind", BOTH)
@given(frames, st.lists(st.tuples(st.sampled_from([BUY, SELL]), st.integers(2, 60), sizes), max_size=6))
@settings(max_examples=30)
def test_our_orders_change_nothing_that_is_read_without_them(
    kind: BookKind, shown: tuple[Levels, Levels], own: list[tuple[int, int, int]]
) -> None:
    bids, asks = shown
    best_bid, best_ask = max((ticks for ticks, _ in bids), default=1), min((ticks for ticks, _ in asks), default=63)
    # We never rest at or through the other side.
    own = [(side, ticks, lots) for side, ticks, lots in own if (ticks < best_ask if side > 0 else ticks > best_bid)]
    own_bids = [ticks for side, ticks, _ in own if side > 0]
    own = [order for order in own if order[0] > 0 or order[1] > max(own_bids, default=0)]
    sides = {BUY: dict(bids), SELL: dict(asks)}
    for side, ticks, lots in own:
        sides[side][ticks] = sides[side].get(ticks, 0) + lots
    book = Book(kind)
    book.frame(100, sorted(sides[BUY].items(), reverse=True), sorted(sides[SELL].items()))
    orders = own_orders([(*order, True) for order in own])
    for row, side, expected in ((BIDS, BUY, bids), (ASKS, SELL, asks)):
        levels = book.records(row)
        assert pairs(levels[: without_own(levels, len(levels), *orders, side)]) == expected


def test_reading_and_applying_allocate_nothing() -> None:
    books = [Book(kind) for kind in BOTH]
    out, orders = np.zeros(LEVELS, LEVEL_DTYPE), own_orders([(BUY, 40, 4, True)])

    def work() -> None:
        for book in books:
            book.frame(100, DEEP_BIDS, DEEP_ASKS)
            book.bbo(100, (40, 1), (42, 1))
            without_own(out, read_levels(book.data, 0, BIDS, out), *orders, BUY)

    work()
    before, after = during(work)
    assert after == before


def test_two_books_of_the_same_events_have_the_same_bytes() -> None:
    snapshots = []
    for _ in range(2):
        book = Book()
        book.frame(100, DEEP_BIDS, DEEP_ASKS)
        book.bbo(150, (39, 1), (43, 1))
        snapshots.append(book.buffer.tobytes())
    assert snapshots[0] == snapshots[1]
    assert isinstance(book.data, MarketData)
