"""Event rows become the background's legs: what each kind means, and what happens without room."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.exchange.flow.background import NOT_LISTED, Background, feed_legs, new_background, price_legs
from hlhft.ladder import new_header
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from tests.data.making import bbo, event, joined, level, trade
from tests.exchange.flow.host import book_of

BUY, SELL = 1, -1
MAKER, TAKER = 7, 8
BASE, WIDTH = 50, 100  # prices 50 to 149
LEVEL, TRADE = ActionKind.BACKGROUND_LEVEL, ActionKind.BACKGROUND_TRADE


class Followed:
    """One followed market, and a second one that the feed has and the exchange has not."""

    def __init__(self, room: int = 40) -> None:
        self.background: Background = new_background(new_header(BASE, WIDTH), [0, NOT_LISTED], first_account=MAKER)
        self.room = room

    def feed(self, *events: np.ndarray, until: int = 1_000) -> list[tuple[int, ...]]:
        """The legs of these rows: (side, price, lots, lots before) of a level, (side, price, lots) of a trade."""
        said, cursor, rows = [], 0, joined(events)
        while True:
            legs = np.zeros(self.room, ACTION_DTYPE)
            at, cursor = feed_legs(self.background, rows, cursor, legs, 0, 5, until)
            said += [self.said(leg) for leg in legs[:at]]
            if at < self.room - 1:
                return said

    def said(self, leg: np.void) -> tuple[int, ...]:
        assert (leg["action"], leg["market"], leg["arrival_ns"]) == (5, 0, 1_000)
        side, price, lots = int(leg["side"]), int(leg["price_ticks"]), int(leg["size_lots"])
        if leg["kind"] == TRADE:
            assert (leg["account"], leg["counterparty"]) == (TAKER, MAKER)
            return side, price, lots
        assert (leg["kind"], leg["account"]) == (LEVEL, MAKER)
        return side, price, lots, int(leg["amount"])

    def book(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        return book_of(self.background.ladders[0], self.background.cells[0], 20)

    def prices(self, ts_ns: int, room: int = 10) -> list[tuple[int, int]]:
        legs = np.zeros(room, ACTION_DTYPE)
        at = price_legs(self.background, legs, 0, 3, ts_ns)
        assert legs["action"][:at].tolist() == list(range(3, 3 + at))
        return [(int(leg["kind"]), int(leg["price_ticks"])) for leg in legs[:at]]


@pytest.fixture
def followed() -> Followed:
    return Followed()


def test_levels_are_followed(followed):
    rows = (level(1, BUY, 100, 5), level(2, SELL, 103, 4), level(3, BUY, 100, 6), level(4, SELL, 103, 0))
    assert followed.feed(*rows) == [(BUY, 100, 5, 0), (SELL, 103, 4, 0), (BUY, 100, 6, 5), (SELL, 103, 0, 4)]
    assert followed.book() == ([(100, 6)], [])


def test_a_level_removes_what_it_crosses(followed):
    followed.feed(level(1, SELL, 101, 5), level(1, SELL, 102, 4), level(1, SELL, 104, 3), level(1, BUY, 99, 2))
    assert followed.feed(level(2, BUY, 102, 7)) == [(SELL, 101, 0, 5), (SELL, 102, 0, 4), (BUY, 102, 7, 0)]
    assert followed.feed(level(3, SELL, 99, 1)) == [(BUY, 102, 0, 7), (BUY, 99, 0, 2), (SELL, 99, 1, 0)]
    assert followed.book() == ([], [(99, 1), (104, 3)])


def test_what_the_band_does_not_hold_is_counted(followed):
    assert followed.feed(level(1, BUY, 49, 5), level(1, SELL, 150, 5), level(1, SELL, 149, 5)) == [(SELL, 149, 5, 0)]
    assert followed.background.followed[0]["outside"] == 2


def test_a_trade_takes_from_its_level(followed):
    followed.feed(level(1, BUY, 100, 5), level(1, SELL, 101, 2))
    assert followed.feed(trade(2, SELL, 100, 3), trade(2, BUY, 101, 4)) == [(SELL, 100, 3), (BUY, 101, 4)]
    assert followed.book() == ([(100, 2)], [])
    # Nothing was known there: the trade prints all the same.
    assert followed.feed(trade(3, SELL, 90, 1), trade(3, BUY, 400, 1)) == [(SELL, 90, 1), (BUY, 400, 1)]
    assert followed.background.followed[0]["trades"] == 4
    assert followed.feed(trade(4, BUY, 0, 1), trade(4, BUY, 100, 0)) == []


def test_a_best_price_is_the_touch(followed):
    followed.feed(level(1, BUY, 100, 5), level(1, BUY, 99, 4), level(1, SELL, 101, 2), level(1, SELL, 102, 3))
    assert followed.feed(bbo(2, (99, 4), (102, 9))) == [(BUY, 100, 0, 5), (SELL, 101, 0, 2), (SELL, 102, 9, 3)]
    # One that is repeated changes nothing.
    assert followed.feed(bbo(3, (99, 4), (102, 9))) == []
    assert followed.feed(bbo(4, (101, 1), (103, 1))) == [(BUY, 101, 1, 0), (SELL, 102, 0, 9), (SELL, 103, 1, 0)]
    assert followed.feed(bbo(5, (0, 0), (0, 0))) == [(BUY, 101, 0, 1), (BUY, 99, 0, 4), (SELL, 103, 0, 1)]


def clear(side: int, price: int = 0) -> np.ndarray:
    return event(EventKind.DEPTH_CLEAR, 3, side=side, price=price)


def test_levels_are_cleared_from_the_touch_to_a_price_or_all(followed):
    levels = [level(1, BUY, price, 1) for price in (98, 99, 100)] + [level(1, SELL, price, 1) for price in (102, 103)]
    followed.feed(*levels)
    assert followed.feed(clear(BUY, 99)) == [(BUY, 100, 0, 1), (BUY, 99, 0, 1)]
    assert followed.feed(clear(SELL, 102)) == [(SELL, 102, 0, 1)]
    assert followed.feed(clear(0)) == [(BUY, 98, 0, 1), (SELL, 103, 0, 1)]
    assert followed.book() == ([], [])


def full_book(*levels: np.ndarray) -> list[np.ndarray]:
    return [event(EventKind.SNAPSHOT_BEGIN, 5), *levels, event(EventKind.SNAPSHOT_END, 5)]


def test_a_full_book_replaces_the_one_before_and_keeps_what_it_repeats(followed):
    followed.feed(level(1, BUY, 100, 5), level(1, BUY, 98, 5), level(1, SELL, 102, 2), level(1, SELL, 104, 2))
    rows = full_book(level(5, BUY, 98, 5), level(5, SELL, 102, 3), level(5, SELL, 400, 1))
    assert followed.feed(*rows) == [(BUY, 98, 5, 5), (SELL, 102, 3, 2), (BUY, 100, 0, 5), (SELL, 104, 0, 2)]
    assert followed.book() == ([(98, 5)], [(102, 3)])
    # The next one knows nothing of what this one named.
    assert followed.feed(*full_book(level(6, SELL, 102, 3))) == [(SELL, 102, 3, 3), (BUY, 98, 0, 5)]


def test_rows_of_other_markets_and_of_later_times_are_not_followed(followed):
    rows = joined([level(1, BUY, 100, 5, market=1), level(2, BUY, 101, 1), level(2_000, BUY, 102, 1)])
    legs = np.zeros(10, ACTION_DTYPE)
    assert feed_legs(followed.background, rows, 0, legs, 0, 1, 1_000) == (1, 2)
    assert followed.background.followed[0]["rows"] == 1


@pytest.mark.parametrize("room", [2, 3, 4, 5])
def test_what_finds_no_room_is_said_in_the_next_block(room):
    whole, cut = Followed(), Followed(room)
    rows = [
        *(level(1, SELL, price, 2) for price in (101, 102, 103)), level(2, BUY, 104, 1), trade(3, SELL, 104, 1),
        trade(3, SELL, 104, 1), level(4, BUY, 99, 1), level(4, BUY, 98, 1), level(4, SELL, 105, 1),
        bbo(5, (98, 3), (101, 2)), *full_book(level(6, BUY, 97, 1), level(6, SELL, 105, 9)), clear(0),
        level(7, BUY, 90, 4),
    ]  # fmt: skip
    expected, said = whole.feed(*rows), cut.feed(*rows)
    assert cut.book() == whole.book() == ([(90, 4)], [])
    # A row that was cut may be said twice, which changes nothing, but a trade never.
    assert [leg for leg in said if len(leg) == 3] == [leg for leg in expected if len(leg) == 3]
    assert {leg for leg in said if leg[2] != leg[3:]} >= {leg for leg in expected if len(leg) == 3}
    assert cut.background.followed[0]["trades"] == 2


ORACLE, OUTSIDE = ActionKind.ORACLE_PRICE, ActionKind.EXTERNAL_MARK


def test_prices_are_the_recorded_ones_every_three_seconds(followed):
    followed.feed(event(EventKind.ASSET_CONTEXT, 1, price=101, order_id=100))
    assert followed.prices(1_000) == [(ORACLE, 100), (OUTSIDE, 101)]
    assert followed.prices(3_000_000_999) == []
    assert followed.prices(3_000_001_000) == [(ORACLE, 100), (OUTSIDE, 101)]


def test_where_none_is_recorded_the_middle_is_the_price(followed):
    assert followed.prices(0) == []
    followed.feed(level(1, BUY, 100, 1))
    assert followed.prices(1) == []
    followed.feed(level(1, SELL, 107, 1))
    assert followed.prices(2, room=1) == []
    assert followed.prices(2) == [(ORACLE, 103), (OUTSIDE, 103)]
