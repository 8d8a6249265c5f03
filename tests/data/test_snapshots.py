"""What happened between two pictures of the book: the stated assumption, by hand and as a property."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.data.merge import Events
from hlhft.data.order import by_both_clocks
from hlhft.data.snapshots import EXCHANGE_SIDE, KNOWN_LEVELS_MAX, LOCAL_SIDE, SNAPSHOT_LEVELS_MAX, levels_from_snapshots
from hlhft.data.sources import open_source
from hlhft.events import EventKind
from tests.data.making import (  # fmt: skip
    BOTH,
    END,
    EXCHANGE,
    LOCAL,
    SYNTHETIC,
    Level,
    bbo,
    columns,
    event,
    joined,
    level,
    snapshot,
    together,
    trade,
)

ONE = np.array([True])
BUY, SELL = 1, -1
VENUE, OURS = EXCHANGE, LOCAL


def converted(arrays: Iterable[Events], side: int = EXCHANGE_SIDE, markets: np.ndarray = ONE) -> list[Events]:
    return list(levels_from_snapshots(arrays, snapshot_markets=markets, side=side))


def seen(rows: Events, side: int) -> list[tuple[int, ...]]:
    """(kind, side, ticks, lots, flags) of the rows that one side sees."""
    return columns(rows[(rows["flags"] & side) != 0], "kind", "side", "price_ticks", "size_lots", "flags")


class Book:
    """The plainest book that follows events: two dictionaries."""

    def __init__(self) -> None:
        self.levels: dict[int, dict[int, int]] = {BUY: {}, SELL: {}}

    def apply(self, rows: Events, side: int) -> None:
        for row in rows[(rows["flags"] & side) != 0]:
            kind, which, ticks, lots = (int(row[name]) for name in ("kind", "side", "price_ticks", "size_lots"))
            if kind == EventKind.DEPTH_LEVEL:
                self.set(which, ticks, lots)
            elif kind == EventKind.BBO:
                for better in [price for price in self.levels[which] if ticks == 0 or (price - ticks) * which > 0]:
                    del self.levels[which][better]
                if ticks:
                    self.set(which, ticks, lots)
            elif kind == EventKind.DEPTH_CLEAR:
                for each in (BUY, SELL) if which == 0 else (which,):
                    kept = {price: size for price, size in self.levels[each].items() if (ticks - price) * each > 0}
                    self.levels[each] = kept if ticks else {}

    def set(self, which: int, ticks: int, lots: int) -> None:
        self.levels[which].pop(ticks, None)
        if lots:
            self.levels[which][ticks] = lots

    def best(self, which: int, count: int | None = None) -> list[Level]:
        return sorted(self.levels[which].items(), reverse=which == BUY)[:count]


def shows(book: Book, picture: Events) -> bool:
    """Whether the book is the picture's: as far as it shows, and nothing more where it shows a whole side."""
    limit = int(picture["aux0"][0])
    for which in (BUY, SELL):
        rows = picture[(picture["kind"] == EventKind.DEPTH_LEVEL) & (picture["side"] == which)]
        shown = columns(rows, "price_ticks", "size_lots")
        if book.best(which, len(shown) if len(shown) >= limit else None) != shown:
            return False
    return True


def test_the_first_picture_adds_every_level_at_its_block_time() -> None:
    (rows,) = converted([snapshot(10, [(100, 5), (99, 7)], [(101, 3)])])
    assert seen(rows, VENUE) == [(1, BUY, 100, 5, EXCHANGE), (1, BUY, 99, 7, EXCHANGE), (1, SELL, 101, 3, EXCHANGE)]
    assert set(rows["ts_exch_ns"].tolist()) == {10}
    # What we see stays as it was sent.
    assert [kind for kind, *_ in seen(rows, OURS)] == [3, 1, 1, 1, 4]


def test_the_next_picture_gives_the_difference_removals_first() -> None:
    first = snapshot(10, [(100, 5), (99, 7)], [(101, 3), (102, 4)])
    _, rows = converted([first, snapshot(20, [(99, 7), (98, 1)], [(100, 2), (102, 9)])])
    assert seen(rows, VENUE) == [
        (1, BUY, 100, 0, EXCHANGE),
        (1, SELL, 101, 0, EXCHANGE),
        (1, BUY, 98, 1, EXCHANGE),
        (1, SELL, 100, 2, EXCHANGE),
        (1, SELL, 102, 9, EXCHANGE),
    ]


def test_an_equal_picture_changes_nothing_for_the_venue() -> None:
    _, rows = converted([snapshot(10, [(100, 5)], [(101, 3)]), snapshot(20, [(100, 5)], [(101, 3)])])
    assert seen(rows, VENUE) == []


def test_a_trade_takes_from_its_level_at_once_and_the_next_picture_corrects_it() -> None:
    picture = snapshot(10, [(100, 5)], [(101, 3)])
    _, taken, after = converted([picture, trade(15, BUY, 101, 2), snapshot(20, [(100, 5)], [(101, 3)])])
    assert seen(taken, VENUE) == [(6, BUY, 101, 2, BOTH | END), (1, SELL, 101, 1, EXCHANGE | SYNTHETIC)]
    assert taken["ts_exch_ns"].tolist() == [15, 15]
    assert seen(after, VENUE) == [(1, SELL, 101, 3, EXCHANGE)]


def test_a_trade_takes_at_most_the_whole_level() -> None:
    picture = snapshot(10, [(100, 5)], [(101, 3)])
    _, taken, after = converted([picture, trade(15, SELL, 100, 9), trade(16, SELL, 100, 1)])
    assert seen(taken, VENUE) == [(6, SELL, 100, 9, BOTH | END), (1, BUY, 100, 0, EXCHANGE | SYNTHETIC)]
    assert seen(after, VENUE) == [(6, SELL, 100, 1, BOTH | END)]


def test_a_trade_at_an_unknown_price_changes_nothing() -> None:
    _, taken = converted([snapshot(10, [(100, 5)], [(101, 3)]), trade(15, BUY, 102, 2)])
    assert seen(taken, VENUE) == [(6, BUY, 102, 2, BOTH | END)]


def test_a_trade_that_the_venue_does_not_see_changes_nothing() -> None:
    _, taken = converted([snapshot(10, [(100, 5)], [(101, 3)]), trade(15, BUY, 101, 2, flags=LOCAL | END)])
    assert len(taken) == 1


def test_the_touch_removes_what_is_better_and_sets_its_level() -> None:
    # The bid falls to 99, the ask level shrinks; so the next picture has nothing to say.
    arrays = [snapshot(10, [(100, 5), (99, 7)], [(101, 3)]), bbo(15, (99, 6), (101, 2)),
              snapshot(20, [(99, 6)], [(101, 2)])]  # fmt: skip
    assert [seen(rows, VENUE) for rows in converted(arrays)[2:]] == [[]]


def test_an_empty_side_of_the_touch_empties_the_side() -> None:
    _, _, rows = converted(
        [snapshot(10, [(100, 5)], [(101, 3)]), bbo(15, (100, 5), (0, 0)), snapshot(20, [(100, 5)], [(101, 3)])]
    )
    assert seen(rows, VENUE) == [(1, SELL, 101, 3, EXCHANGE)]


def test_levels_beyond_the_last_one_shown_stay_where_the_channel_is_full() -> None:
    arrays = [snapshot(10, [(100, 5), (99, 7), (98, 1)], [(101, 3)], levels=3),
              snapshot(20, [(100, 5), (99, 8)], [(101, 3)], levels=2),
              snapshot(30, [(100, 5), (97, 1)], [(101, 3)], levels=3)]  # fmt: skip
    _, partial, whole = converted(arrays)
    assert seen(partial, VENUE) == [(1, BUY, 99, 8, EXCHANGE)]
    # Two of three levels: the side is complete, so 99 and 98 are gone.
    assert seen(whole, VENUE) == [(1, BUY, 99, 0, EXCHANGE), (1, BUY, 98, 0, EXCHANGE), (1, BUY, 97, 1, EXCHANGE)]


def test_an_empty_side_of_a_picture_empties_the_side() -> None:
    _, rows = converted([snapshot(10, [(100, 5)], [(101, 3)]), snapshot(20, [], [(101, 3)])])
    assert seen(rows, VENUE) == [(1, BUY, 100, 0, EXCHANGE)]


def test_levels_in_any_order_are_put_in_place_and_a_repeated_price_takes_the_later_size() -> None:
    (rows,) = converted([snapshot(10, [(99, 7), (100, 5), (99, 8)], [(103, 1), (101, 3), (102, 0)])])
    assert seen(rows, VENUE) == [
        (1, BUY, 100, 5, EXCHANGE), (1, BUY, 99, 8, EXCHANGE), (1, SELL, 101, 3, EXCHANGE), (1, SELL, 103, 1, EXCHANGE),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clear", "left"),
    [
        ((0, 0), [(1, BUY, 100, 5, EXCHANGE), (1, BUY, 99, 7, EXCHANGE), (1, SELL, 101, 3, EXCHANGE)]),
        ((SELL, 0), [(1, SELL, 101, 3, EXCHANGE)]),
        ((BUY, 0), [(1, BUY, 100, 5, EXCHANGE), (1, BUY, 99, 7, EXCHANGE)]),
        ((BUY, 100), [(1, BUY, 100, 5, EXCHANGE)]),
        ((SELL, 101), [(1, SELL, 101, 3, EXCHANGE)]),
    ],
)
def test_what_a_clear_took_is_added_again(clear: tuple[int, int], left: list[tuple[int, ...]]) -> None:
    picture = [(100, 5), (99, 7)], [(101, 3)]
    arrays = [snapshot(10, *picture), event(EventKind.DEPTH_CLEAR, 15, side=clear[0], price=clear[1]),
              snapshot(20, *picture)]  # fmt: skip
    assert seen(converted(arrays)[2], VENUE) == left


def test_a_level_outside_a_picture_is_followed() -> None:
    arrays = [snapshot(10, [(100, 5)], [(101, 3)]), level(12, BUY, 100, 0), level(13, BUY, 99, 4),
              snapshot(20, [(99, 4)], [(101, 3)])]  # fmt: skip
    assert seen(converted(arrays)[3], VENUE) == []


def test_markets_do_not_mix_and_others_pass_as_they_are() -> None:
    other = snapshot(10, [(50, 1)], [(51, 1)], market=1)
    third = snapshot(10, [(70, 1)], [(71, 1)], market=2)
    rows = joined(
        converted([joined([snapshot(10, [(100, 5)], [(101, 3)]), other, third])], markets=np.array([True, True, False]))
    )
    venue = rows[(rows["flags"] & EXCHANGE) != 0]
    assert columns(venue, "market", "kind", "price_ticks")[:4] == [(0, 1, 100), (0, 1, 101), (1, 1, 50), (1, 1, 51)]
    assert rows[rows["market"] == 2].tobytes() == third.tobytes()


def test_rows_in_order_of_arrival_are_converted_for_the_venues_side_too() -> None:
    """As a live feed does: the older picture tells nothing of the touch and what is better."""
    arrays = [bbo(10, (100, 2), (103, 5)), snapshot(9, [(101, 1), (100, 9), (98, 3)], [(102, 1), (104, 6)])]
    rows = converted(arrays)[1]
    assert columns(rows, "side", "price_ticks", "size_lots")[-2:] == [(BUY, 98, 3), (SELL, 104, 6)]
    assert (rows["flags"] & EXCHANGE != 0).sum() == 2


def test_a_local_picture_older_than_the_touch_does_not_move_it() -> None:
    # The touch of block 20 arrives before the picture of block 15.
    arrays = [snapshot(10, [(100, 5), (99, 7)], [(101, 3), (102, 4)]), bbo(20, (99, 6), (102, 2), local=1020),
              snapshot(15, [(100, 4), (99, 9), (98, 1)], [(101, 1), (102, 8), (103, 2)], local=1030)]  # fmt: skip
    rows = converted(arrays, LOCAL_SIDE)[2]
    assert seen(rows, OURS) == [(1, BUY, 98, 1, LOCAL), (1, SELL, 103, 2, LOCAL | END)]
    assert [kind for kind, *_ in seen(rows, VENUE)] == [3, 1, 1, 1, 1, 1, 1, 4]


def test_a_local_picture_of_the_touchs_own_block_counts() -> None:
    arrays = [bbo(20, (99, 6), (102, 2)), snapshot(20, [(100, 4)], [(102, 2)], local=5000)]
    assert seen(converted(arrays, LOCAL_SIDE)[1], OURS) == [(1, BUY, 99, 0, LOCAL), (1, BUY, 100, 4, LOCAL | END)]


def test_a_local_picture_that_changes_nothing_still_is_one_row_that_ends_the_frame() -> None:
    arrays = [snapshot(10, [(100, 5)], [(101, 3)]), snapshot(20, [(100, 5)], [(101, 3)])]
    assert seen(converted(arrays, LOCAL_SIDE)[1], OURS) == [(1, BUY, 100, 5, LOCAL | END)]
    asks_only = [snapshot(10, [], [(101, 3)]), snapshot(20, [], [(101, 3)])]
    assert seen(converted(asks_only, LOCAL_SIDE)[1], OURS) == [(1, SELL, 101, 3, LOCAL | END)]


def test_a_picture_in_the_middle_of_a_message_does_not_end_it() -> None:
    rows = joined([snapshot(10, [(100, 5)], [(101, 3)]), bbo(10, (100, 5), (101, 3))])
    (found,) = converted([together(rows)], LOCAL_SIDE)
    assert [flags for *_, flags in seen(found, OURS)] == [LOCAL, LOCAL, BOTH, BOTH | END]


def test_an_unknown_side_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"side must be EXCHANGE_SIDE or LOCAL_SIDE, not 3"):
        converted([], 3)


def test_known_levels_are_bounded_and_what_is_forgotten_is_removed() -> None:
    many = joined(level(10, SELL, 200 + place, 1) for place in range(KNOWN_LEVELS_MAX))
    nearer, shown = level(11, SELL, 150, 1), snapshot(20, [], [(140, 1), (145, 1)], levels=2)
    full, one_more, picture = converted([many, nearer, shown])
    last = 200 + KNOWN_LEVELS_MAX - 1
    assert len(full) == KNOWN_LEVELS_MAX
    assert seen(one_more, VENUE)[1:] == [(1, SELL, last, 0, EXCHANGE | SYNTHETIC)]
    assert seen(picture, VENUE) == [
        (1, SELL, 140, 1, EXCHANGE), (1, SELL, 145, 1, EXCHANGE),
        (1, SELL, last - 2, 0, EXCHANGE), (1, SELL, last - 1, 0, EXCHANGE),
    ]  # fmt: skip


def test_a_picture_shows_a_bounded_number_of_levels() -> None:
    asks = [(200 + place, 1) for place in range(SNAPSHOT_LEVELS_MAX + 3)]
    (rows,) = converted([snapshot(10, [], asks)])
    assert [ticks for _, _, ticks, _, _ in seen(rows, VENUE)] == [ticks for ticks, _ in asks[:SNAPSHOT_LEVELS_MAX]]


SIDES = st.dictionaries(st.integers(1, 6), st.integers(1, 3), max_size=4)
MESSAGES = st.lists(
    st.one_of(
        st.tuples(st.just("picture"), SIDES, SIDES, st.integers(1, 4)),
        st.tuples(st.just("bbo"), st.integers(0, 6), st.integers(0, 6), st.integers(1, 3)),
        st.tuples(st.just("trade"), st.sampled_from([BUY, SELL]), st.integers(1, 12), st.integers(1, 3)),
        st.tuples(st.just("clear"), st.sampled_from([BUY, SELL, 0]), st.just(0), st.just(0)),
    ),
    max_size=12,
)


def message(now: int, kind: str, first: object, second: object, third: int) -> Events:
    """Bids lie at 1..6, asks at 7..12."""
    if kind == "picture":
        assert isinstance(first, dict) and isinstance(second, dict)
        bids = sorted(first.items(), reverse=True)[:third]
        asks = sorted((6 + price, lots) for price, lots in second.items())[:third]
        return snapshot(now, bids, asks, levels=third)
    assert isinstance(first, int) and isinstance(second, int)
    if kind == "bbo":
        return bbo(now, (first, third if first else 0), (6 + second if second else 0, third if second else 0))
    if kind == "trade":
        return trade(now, first, second, third)
    return event(EventKind.DEPTH_CLEAR, now, side=first)


@pytest.mark.parametrize(("side", "flag"), [(EXCHANGE_SIDE, VENUE), (LOCAL_SIDE, OURS)])
@given(messages=MESSAGES)
@settings(max_examples=60)
def test_applying_the_events_gives_every_picture_exactly(side: int, flag: int, messages: list[tuple]) -> None:
    arrays = [message(10 * (place + 1), *content) for place, content in enumerate(messages)]
    book = Book()
    for before, after in zip(arrays, converted(arrays, side), strict=True):
        book.apply(after, flag)
        assert before["kind"][0] != EventKind.SNAPSHOT_BEGIN or shows(book, before)
        other = BOTH - flag
        unchanged = before[before["kind"] != EventKind.TRADE]
        kept = after[((after["flags"] & other) != 0) & (after["kind"] != EventKind.TRADE)]
        assert columns(kept, "kind", "price_ticks", "size_lots") == columns(
            unchanged, "kind", "price_ticks", "size_lots"
        )
    assert joined(converted([joined(arrays)], side)).tobytes() == joined(converted(arrays, side)).tobytes()


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "WLFI"])
def test_recorded_pictures_come_out_exactly(recordings: Path, coin: str) -> None:
    source = open_source(recordings / f"hyperliquid/l2_trades_bbo_20250904/orderbooks_{coin}.csv.gz")
    rows = next(by_both_clocks(source.chunks(), name=coin, block_ranked=ONE))[:7000]
    ends = np.flatnonzero((rows["kind"] == EventKind.SNAPSHOT_END) & ((rows["flags"] & EXCHANGE) != 0)) + 1
    parts = np.split(rows, ends)[:-1]
    book, pictures = Book(), 0
    for before, after in zip(parts, levels_from_snapshots(parts, snapshot_markets=ONE), strict=True):
        book.apply(after, VENUE)
        begins = np.flatnonzero((before["kind"] == EventKind.SNAPSHOT_BEGIN) & ((before["flags"] & EXCHANGE) != 0))
        pictures += 1
        assert shows(book, before[begins[-1] :])
        assert book.best(BUY, 1) < book.best(SELL, 1)
    assert pictures > 35
