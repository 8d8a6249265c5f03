"""The books of a node as the core sees them: the same as a plain table of all levels gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.brain import Brain
from hlhft.core.state import LEVELS, LIMITS_DTYPE, BookKind
from hlhft.events import EventFlag, EventKind, Side, empty
from hlhft.live.node_books import NodeBook, timed
from hlhft.units import Market

MARKET = Market.perpetual("ETH", asset_id=0, size_decimals=4, maximum_leverage=25)
Level = tuple[int, int, int, int]  # side, price, lots, orders


def events_of(*levels: Level) -> np.ndarray:
    events = empty(len(levels))
    for event, (side, ticks, lots, orders) in zip(events, levels, strict=True):
        event["kind"], event["side"] = EventKind.DEPTH_LEVEL, side
        event["price_ticks"], event["size_lots"], event["aux0"] = ticks, lots, orders
    return events


def shown(book: NodeBook) -> list[list[tuple[int, int, int]]]:
    """(price, lots, orders) of bids and asks, of the picture."""
    begin, *levels, end = book.picture()
    assert (begin[7], begin[5], begin[6]) == (EventKind.SNAPSHOT_BEGIN, LEVELS, 0)
    assert (end[7], end[5]) == (EventKind.SNAPSHOT_END, len(levels))
    return [[(row[2], row[3], row[5]) for row in levels if row[10] == side] for side in (Side.BUY, Side.SELL)]


LEVEL_CHANGES = st.lists(
    st.tuples(st.sampled_from((1, -1)), st.integers(1, 60), st.integers(0, 5), st.integers(1, 9)), max_size=150
)


@settings(max_examples=60)
@given(changes=LEVEL_CHANGES)
def test_what_is_shown_is_the_best_of_all_levels_and_changes_are_noticed(changes: list[Level]) -> None:
    book = NodeBook(0)
    truth: dict[int, dict[int, tuple[int, int]]] = {1: {}, -1: {}}

    def best() -> list[list[tuple[int, int, int]]]:
        return [
            [(ticks, *truth[side][ticks]) for ticks in sorted(truth[side], reverse=side > 0)[:LEVELS]]
            for side in (1, -1)
        ]

    before = shown(book)
    for side, ticks, lots, orders in changes:
        assert book.take(events_of((side, ticks, lots, orders))) == []
        if lots:
            truth[side][ticks] = lots, orders
        else:
            truth[side].pop(ticks, None)
        now = best()
        assert book.is_changed or now == before, "a change that is seen is noticed"
        assert book.touch() == tuple(levels[0][0] if levels else 0 for levels in now)
        before = shown(book)
        assert before == now and not book.is_changed


def test_a_level_far_from_the_touch_is_no_change_of_what_is_shown() -> None:
    book = NodeBook(0)
    book.take(events_of(*((1, 100 - place, 1, 1) for place in range(LEVELS + 2))))
    book.picture()
    book.take(events_of((1, 100 - LEVELS, 7, 1)))
    assert not book.is_changed
    book.take(events_of((1, 90, 0, 0)))
    assert book.is_changed
    assert shown(book)[0][-1] == (100 - LEVELS, 7, 1), "what was hidden moves up"


def test_clears_and_pictures_empty_the_book_and_trades_are_handed_on() -> None:
    book = NodeBook(3)
    book.take(events_of((1, 99, 1, 1), (-1, 101, 1, 1)))
    clear = empty(1)
    clear["kind"], clear["side"] = EventKind.DEPTH_CLEAR, Side.SELL
    book.take(clear)
    assert shown(book) == [[(99, 1, 1)], []]
    clear["side"] = Side.NONE
    book.take(clear)
    assert shown(book) == [[], []]
    trade = empty(1)
    trade[["kind", "side", "price_ticks", "size_lots", "order_id"]] = (EventKind.TRADE, -1, 99, 5, 77)
    (row,) = timed(book.take(trade), 10, 20)
    flags = EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE
    assert row == (10, 20, 99, 5, 77, 0, 0, EventKind.TRADE, flags, 3, -1, 0)
    assert not book.is_changed


def test_the_core_takes_a_picture_as_its_book() -> None:
    limits = np.zeros(1, LIMITS_DTYPE)
    limits["markets"] = 1
    brain = Brain(MARKET.record(), limits)
    brain.data.books["kind"] = BookKind.SNAPSHOT
    book = NodeBook(0)
    book.take(events_of((1, 399_900, 5, 2), (1, 399_800, 6, 1), (-1, 400_100, 7, 3)))
    rows = timed(book.picture(), 1_000_000_000, 1_000_000_500)
    events = empty(len(rows))
    events[:] = np.array(rows, dtype=events.dtype)
    events["flags"][-1] |= EventFlag.FRAME_END
    brain.step(events, len(events))
    held = brain.data.books[0]
    assert (held["best_bid_ticks"], held["best_bid_lots"]) == (399_900, 5)
    assert (held["best_ask_ticks"], held["best_ask_lots"]) == (400_100, 7)
    assert (held["bid_count"], held["ask_count"], held["time_exch_ns"]) == (2, 1, 1_000_000_000)
