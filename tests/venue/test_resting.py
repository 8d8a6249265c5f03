"""Resting orders in hand-computed scenarios: reduce-only ones shrink and end, and whoever leaves leaves the others."""

from __future__ import annotations

import pytest

from hlhft.venue.blocks import Grouping, TriggerKind
from hlhft.venue.refusals import Refusal
from tests.venue.desk import (
    ACKNOWLEDGED,
    ALO,
    ANN,
    BOB,
    BUY,
    CANCELLED,
    CAT,
    DAN,
    EXPIRED,
    FILLED,
    IOC,
    REJECTED,
    SELL,
    TRIGGERED,
    Desk,
    asks,
    assert_consistent,
    bids,
    level,
    position,
    walked,
)

CHILD = {"grouping": Grouping.NORMAL_TPSL}


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = Desk()
    yield made
    assert_consistent(made.exchange, made.history)


# Reduce-only.


def test_reduce_only_is_rejected_without_a_position_or_on_its_side(desk):
    assert desk.place(ANN, SELL, 110, 1, reduce_only=1).short() == [(REJECTED, ANN, Refusal.REDUCE_ONLY)]
    position(desk, ANN, 5)
    assert desk.place(ANN, BUY, 90, 1, reduce_only=1).short() == [(REJECTED, ANN, Refusal.REDUCE_ONLY)]
    assert desk.place(ANN, SELL, 110, 1, reduce_only=1).short() == [(ACKNOWLEDGED, ANN, SELL, 110, 1)]


def test_reduce_only_is_shrunk_to_the_position_resting_and_immediate(desk):
    position(desk, ANN, 5)
    assert desk.place(ANN, SELL, 110, 8, ALO, reduce_only=1).short() == [(ACKNOWLEDGED, ANN, SELL, 110, 5)]
    bids(desk, (BOB, 99, 20))
    assert desk.place(ANN, SELL, 99, 8, IOC, reduce_only=1).short() == [
        (FILLED, BOB, BUY, 99, 5, 15),
        (FILLED, ANN, SELL, 99, 5, 0),  # five, not eight
        (CANCELLED, ANN, 5, Refusal.REDUCE_ONLY_CANCELLED),  # and the resting one has nothing left to reduce
    ]
    assert desk.position(ANN) == 0


def test_resting_reduce_only_shrinks_as_the_position_shrinks(desk):
    position(desk, ANN, 10)
    desk.place(ANN, SELL, 110, 10, ALO, reduce_only=1).run()
    bids(desk, (BOB, 99, 20))
    assert desk.place(ANN, SELL, 99, 4, IOC).short() == [
        (FILLED, BOB, BUY, 99, 4, 16),
        (FILLED, ANN, SELL, 99, 4, 0),
        (ACKNOWLEDGED, ANN, SELL, 110, 6),
    ]
    assert desk.exchange.orders["original_lots"].max() == 20
    assert desk.place(BOB, BUY, 110, 9, IOC).short()[:2] == [
        (FILLED, BOB, BUY, 110, 6, 3),
        (FILLED, ANN, SELL, 110, 6, 0),
    ]
    assert desk.position(ANN) == 0, "it never flips the position"


def test_a_maker_that_reduces_its_position_is_trimmed_as_well(desk):
    position(desk, ANN, 10)
    desk.place(ANN, SELL, 110, 10, ALO, reduce_only=1).run()
    asks(desk, (ANN, 105, 4))
    assert desk.place(BOB, BUY, 105, 4, IOC).short() == [
        (FILLED, BOB, BUY, 105, 4, 0),
        (FILLED, ANN, SELL, 105, 4, 0),
        (ACKNOWLEDGED, ANN, SELL, 110, 6),
    ]


def test_of_several_reduce_only_orders_the_oldest_is_trimmed_first(desk):
    position(desk, ANN, -10)
    desk.place(ANN, BUY, 95, 6, ALO, reduce_only=1).run()
    assert desk.place(ANN, BUY, 94, 8, ALO, reduce_only=1).short() == [
        (ACKNOWLEDGED, ANN, BUY, 94, 8),
        (ACKNOWLEDGED, ANN, BUY, 95, 2),  # 6 + 8 is 4 too many
    ]
    assert desk.place(ANN, BUY, 93, 9, ALO, reduce_only=1).short() == [
        (ACKNOWLEDGED, ANN, BUY, 93, 9),
        (CANCELLED, ANN, 2, Refusal.REDUCE_ONLY_CANCELLED),  # 9 too many: all of the oldest
        (ACKNOWLEDGED, ANN, BUY, 94, 1),  # and 7 of the next
    ]


def test_a_trimmed_order_keeps_its_place(desk):
    position(desk, ANN, 10)
    desk.place(ANN, SELL, 110, 10, ALO, reduce_only=1).run()
    asks(desk, (BOB, 110, 3))
    bids(desk, (CAT, 99, 4))
    desk.place(ANN, SELL, 99, 4, IOC).run()
    assert desk.resting(SELL, 110) == [(ANN, 6), (BOB, 3)]


def test_a_flip_ends_the_reduce_only_orders_of_the_old_side(desk):
    position(desk, ANN, 5)
    desk.place(ANN, SELL, 110, 2, ALO, reduce_only=1).place(ANN, SELL, 111, 3, ALO, reduce_only=1).run()
    bids(desk, (BOB, 99, 20))
    assert desk.place(ANN, SELL, 99, 8, IOC).short()[2:] == [
        (CANCELLED, ANN, 2, Refusal.REDUCE_ONLY_CANCELLED),
        (CANCELLED, ANN, 3, Refusal.REDUCE_ONLY_CANCELLED),
    ]
    assert desk.position(ANN) == -3


def test_a_maker_of_the_level_that_a_trade_ends_is_not_traded_with(desk):
    """CAT's two reduce-only orders stand in the same level: filling the first leaves nothing for the second."""
    position(desk, CAT, 5)
    desk.place(CAT, SELL, 110, 5, ALO, reduce_only=1).run()
    desk.place(CAT, SELL, 110, 2, ALO, reduce_only=1).run()  # trims the first to 3
    assert desk.resting(SELL, 110) == [(CAT, 3), (CAT, 2)]
    asks(desk, (BOB, 110, 1))
    bids(desk, (ANN, 99, 9))
    desk.place(CAT, SELL, 99, 4, IOC).run()  # one lot is left: the first goes, the second is one
    assert desk.resting(SELL, 110) == [(CAT, 1), (BOB, 1)]
    assert [e[:2] for e in desk.place(ANN, BUY, 110, 3, IOC).short()] == [
        (FILLED, ANN),
        (FILLED, CAT),
        (FILLED, ANN),
        (FILLED, BOB),
        (EXPIRED, ANN),
    ]


# Leaving.


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_cancel_leaves_the_others_of_the_level_in_their_turn(desk, gone):
    bids(desk, (ANN, 90, 1), (BOB, 90, 2), (CAT, 90, 3))
    desk.cancel(gone, gone + 1).run()
    assert desk.resting(BUY, 90) == [order for order in [(ANN, 1), (BOB, 2), (CAT, 3)] if order[0] != gone]
    assert_consistent(desk.exchange)
    assert desk.place(DAN, SELL, 90, 9).run()[-1].short == (ACKNOWLEDGED, DAN, SELL, 90, 9 - (6 - gone - 1))


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_cancelled_reduce_only_order_is_no_longer_trimmed(desk, gone):
    position(desk, ANN, 10)
    for price in (110, 111, 112):
        desk.place(ANN, SELL, price, 3, ALO, reduce_only=1).run()
    desk.cancel(ANN, 3 + gone).run()
    assert_consistent(desk.exchange)
    # An order that is not reduce-only comes and goes beside them.
    desk.place(ANN, SELL, 120, 1, ALO).cancel(ANN, 6).run()
    assert_consistent(desk.exchange)
    # Seven more make thirteen of ten: the oldest that is left goes.
    left = [price for price in (110, 111, 112) if price != 110 + gone]
    assert [event.price for event in desk.place(ANN, SELL, 113, 7, ALO, reduce_only=1).run()] == [113, left[0]]


# The lists of an account, and who belongs to whom.


def test_an_order_that_has_waited_takes_its_place_by_its_id(desk):
    """The account's list goes by the venue's ids; the level by time."""
    position(desk, ANN, 10)
    desk.mark(100).trigger(ANN, SELL, TriggerKind.TAKE_PROFIT, 110, 1, 120).run()  # 3
    asks(desk, (ANN, 120, 1), (ANN, 121, 1))  # 4, 5
    desk.mark(110).run()
    assert [int(order["order_id"]) for order in level(desk.exchange, 0, SELL, 120)] == [4, 3]
    assert_lists_hold(desk, [3, 4, 5])
    desk.cancel(ANN, 4).run()
    assert_lists_hold(desk, [3, 5])
    desk.trigger(ANN, SELL, TriggerKind.TAKE_PROFIT, 115, 1, 122).run()  # 6
    asks(desk, (ANN, 123, 1))  # 7
    desk.mark(115).run()
    assert_lists_hold(desk, [3, 5, 6, 7])


def assert_lists_hold(desk: Desk, ids: list[int]) -> None:
    owned = desk.exchange.owned[ANN]
    listed = walked(desk.exchange.orders, owned["resting_head"], owned["resting_tail"], "owner_next", "owner_previous")
    assert [int(desk.exchange.orders[slot - 1]["order_id"]) for slot in listed] == ids


def test_a_parent_that_ends_takes_its_children_along(desk):
    desk.mark(100).place(ANN, BUY, 90, 1, ALO, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.STOP_LOSS, 80, 1, action=1, **CHILD).run()
    assert desk.place(ANN, SELL, 90, 1, IOC).short() == [
        (CANCELLED, ANN, 1, Refusal.SELF_TRADE),
        (CANCELLED, ANN, 1, Refusal.PARENT_CANCELLED),
        (REJECTED, ANN, Refusal.IOC_NO_MATCH),
    ]


@pytest.mark.parametrize("rests", [True, False])
def test_the_other_of_a_pair_ends_wherever_it_stands(desk, rests):
    """The take-profit comes to rest, or still waits, when the stop is executed."""
    asks(desk, (BOB, 100, 4))
    desk.mark(100).place(ANN, BUY, 100, 4, IOC, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.TAKE_PROFIT, 110, 4, 112, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.STOP_LOSS, 90, 4, action=1, **CHILD).run()
    if rests:
        desk.mark(110).run()
    bids(desk, (CAT, 90, 1))
    told = desk.mark(90).short()
    assert (CANCELLED, ANN, 3 if rests else 4, Refusal.SIBLING_FILLED) in told
    assert desk.exchange.open_orders[ANN] == 0


def test_the_other_of_a_pair_may_be_gone(desk):
    asks(desk, (BOB, 100, 4))
    desk.mark(100).place(ANN, BUY, 100, 4, IOC, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.TAKE_PROFIT, 110, 4, 112, action=1, **CHILD)
    desk.trigger(ANN, SELL, TriggerKind.STOP_LOSS, 90, 4, action=1, **CHILD).run()
    desk.cancel(ANN, 3).run()
    bids(desk, (CAT, 90, 1))
    assert [event[0] for event in desk.mark(90).short()] == [TRIGGERED, FILLED, FILLED, EXPIRED]
