"""Levels of the book, as they are and grouped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.venue.depth import grouped_ticks, new_levels, read_levels, read_touches
from tests.venue.desk import ALO, BUY, SELL, Desk

BIDS, ASKS = 0, 1


def levels(desk: Desk, row: int, *, count: int = 20, figures: int = 0, mantissa: int = 1) -> list[tuple[int, int, int]]:
    out = new_levels(count)
    found = read_levels(desk.exchange, 0, row, figures, mantissa, out)
    return [tuple(level) for level in out[:found].tolist()]


@pytest.fixture
def desk():
    made = Desk()
    for account, side, price, lots in (
        (0, BUY, 99, 5),
        (1, BUY, 99, 7),
        (0, BUY, 98, 1),
        (1, BUY, 85, 2),
        (0, SELL, 101, 3),
        (1, SELL, 109, 4),
        (2, SELL, 111, 6),
    ):
        made.place(account, side, price, lots, ALO)
    made.run()
    return made


def test_levels_go_from_the_touch_outward_with_their_lots_and_orders(desk):
    assert levels(desk, BIDS) == [(99, 12, 2), (98, 1, 1), (85, 2, 1)]
    assert levels(desk, ASKS) == [(101, 3, 1), (109, 4, 1), (111, 6, 1)]


def touches(desk: Desk) -> list[list[tuple[int, int, int]]]:
    out = new_levels(2 * len(desk.exchange.markets)).reshape(-1, 2)
    out["price_ticks"] = 7  # of an earlier reading
    read_touches(desk.exchange, out)
    return out.tolist()


def test_the_touch_of_every_market_is_its_first_levels(desk):
    first = touches(desk)[0]
    assert first == [(99, 12, 2), (101, 3, 1)]


def test_an_empty_side_has_a_touch_of_price_zero():
    desk = Desk()
    assert [side[0] for side in touches(desk)[0]] == [0, 0]
    desk.place(0, SELL, 101, 3, ALO)
    desk.run()
    assert touches(desk)[0][0][0] == 0
    assert touches(desk)[0][1] == (101, 3, 1)


def test_no_more_than_there_is_room_for(desk):
    assert levels(desk, BIDS, count=1) == [(99, 12, 2)]
    assert levels(desk, ASKS, count=2, figures=2) == [(110, 7, 2), (120, 6, 1)]


def test_an_empty_side_has_none():
    assert levels(Desk(), BIDS) == []
    assert levels(Desk(), ASKS) == []


def test_bids_are_grouped_down_and_asks_up(desk):
    assert levels(desk, BIDS, figures=2) == [(99, 12, 2), (98, 1, 1), (85, 2, 1)]
    assert levels(desk, BIDS, figures=2, mantissa=5) == [(95, 13, 3), (85, 2, 1)]
    assert levels(desk, ASKS, figures=2) == [(110, 7, 2), (120, 6, 1)]


def test_a_bid_that_would_be_shown_at_nothing_is_left_out():
    desk = Desk()
    desk.place(0, BUY, 3, 1, ALO).run()
    assert levels(desk, BIDS, figures=1, mantissa=5) == []


@given(st.integers(1, 10**9), st.integers(2, 5), st.sampled_from([1, 2, 5]))
def test_a_grouped_price_is_near_and_on_the_cautious_side(ticks, figures, mantissa):
    down, up = grouped_ticks(ticks, BIDS, figures, mantissa), grouped_ticks(ticks, ASKS, figures, mantissa)
    assert down <= ticks <= up
    step = mantissa * 10 ** max(len(str(ticks)) - figures, 0)
    assert up - down in (0, step)
    assert down % step == 0
