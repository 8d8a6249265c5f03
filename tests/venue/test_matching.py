"""The order-level matching engine in hand-computed scenarios: cancels, modifies, actions and blocks."""

from __future__ import annotations

import pytest

from hlhft.venue.blocks import ActionKind, Grouping, TriggerKind
from hlhft.venue.matching import cancel_all
from hlhft.venue.refusals import Refusal
from tests.venue.desk import (
    ACKNOWLEDGED,
    ALO,
    ANN,
    BOB,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    CAT,
    DONE,
    EXPIRED,
    FILLED,
    GTC,
    IOC,
    MARKET,
    REFUSED,
    REJECTED,
    SELL,
    WAITING,
    Desk,
    asks,
    assert_consistent,
    bids,
)


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = Desk()
    yield made
    assert_consistent(made.exchange, made.history)


# Cancel and modify.


def test_a_cancel_by_either_id(desk):
    desk.place(ANN, BUY, 90, 3, client_id=7).run()
    desk.place(ANN, BUY, 91, 4).run()
    assert desk.cancel(ANN, 7, target_is_client_id=1).short() == [(CANCELLED, ANN, 3, Refusal.REQUESTED)]
    assert desk.cancel(ANN, 2).short() == [(CANCELLED, ANN, 4, Refusal.REQUESTED)]
    assert desk.touch() == (None, None)


def test_a_cancel_of_what_is_not_there_or_not_ones_own(desk):
    desk.place(ANN, BUY, 90, 3, client_id=7).run()
    for target, is_own in ((1, 0), (7, 1)):
        assert desk.cancel(BOB, target, target_is_client_id=is_own).short() == [
            (CANCEL_REJECTED, BOB, Refusal.NEVER_PLACED)
        ]
    by_own, by_venue = desk.cancel(ANN, 8, target_is_client_id=1).cancel(ANN, 99).run()
    assert (by_own.client_id, by_own.order_id) == (8, 0)
    assert (by_venue.client_id, by_venue.order_id) == (0, 99)
    assert desk.resting(BUY, 90) == [(ANN, 3)]


def test_the_own_id_of_none_cancels_nothing(desk):
    desk.place(ANN, BUY, 90, 3).run()
    assert desk.cancel(ANN, 0, target_is_client_id=1).short() == [(CANCEL_REJECTED, ANN, Refusal.NEVER_PLACED)]


def test_a_modify_gets_a_new_id_and_the_last_place_even_for_less(desk):
    bids(desk, (ANN, 90, 5), (BOB, 90, 5))
    ended, placed = desk.modify(ANN, 1, BUY, 90, 2, client_id=4).run()
    assert ended.short == (CANCELLED, ANN, 5, Refusal.REQUESTED)
    assert placed.short == (ACKNOWLEDGED, ANN, BUY, 90, 2)
    assert (ended.order_id, placed.order_id, placed.client_id) == (1, 3, 4)
    assert desk.resting(BUY, 90) == [(BOB, 5), (ANN, 2)]


def test_a_modify_of_what_is_gone_places_nothing_unless_told_to(desk):
    assert desk.modify(ANN, 55, BUY, 90, 2).short() == [(REJECTED, ANN, Refusal.CANNOT_MODIFY)]
    assert desk.modify(ANN, 55, BUY, 90, 2, always_place=1).short() == [(ACKNOWLEDGED, ANN, BUY, 90, 2)]


def test_a_modify_is_post_only_and_its_cancel_stands(desk):
    asks(desk, (BOB, 101, 5))
    bids(desk, (ANN, 90, 5))
    assert desk.modify(ANN, 2, BUY, 101, 5, GTC).short() == [
        (CANCELLED, ANN, 5, Refusal.REQUESTED),
        (REJECTED, ANN, Refusal.BAD_ALO_PRICE),
    ]


def test_a_modify_that_always_places_may_take(desk):
    asks(desk, (BOB, 101, 5))
    bids(desk, (ANN, 90, 5))
    assert desk.modify(ANN, 2, BUY, 101, 6, GTC, always_place=1).short() == [
        (CANCELLED, ANN, 5, Refusal.REQUESTED),
        (FILLED, ANN, BUY, 101, 5, 1),
        (FILLED, BOB, SELL, 101, 5, 0),
        (ACKNOWLEDGED, ANN, BUY, 101, 1),
    ]


def test_a_modify_to_an_immediate_order_is_refused_and_nothing_happens(desk):
    bids(desk, (ANN, 90, 5))
    assert desk.modify(ANN, 1, BUY, 91, 5, IOC).short() == [(REJECTED, ANN, Refusal.CANNOT_MODIFY)]
    assert desk.resting(BUY, 90) == [(ANN, 5)]


def test_cancelling_all_of_an_account(desk):
    desk = Desk(markets=2)
    desk.place(ANN, BUY, 90, 1).place(ANN, SELL, 110, 2).place(BOB, BUY, 90, 3).place(ANN, BUY, 90, 4, market=1).run()
    assert cancel_all(desk.exchange, ANN, 0, Refusal.LIQUIDATED, desk.now_ns) == 2
    assert [event.short for event in desk.drain()] == [
        (CANCELLED, ANN, 1, Refusal.LIQUIDATED),
        (CANCELLED, ANN, 2, Refusal.LIQUIDATED),
    ]
    assert desk.resting(BUY, 90) == [(BOB, 3)]
    assert cancel_all(desk.exchange, ANN, -1, Refusal.LIQUIDATED, desk.now_ns) == 1
    assert [event.market for event in desk.drain()] == [1]
    assert_consistent(desk.exchange, desk.history)


SL = TriggerKind.STOP_LOSS


def test_a_waiting_order_can_be_modified_to_one_that_rests(desk):
    desk.mark(100).trigger(ANN, SELL, SL, 90, 3).run()
    assert desk.modify(ANN, 1, BUY, 80, 2, GTC).short() == [
        (CANCELLED, ANN, 3, Refusal.REQUESTED),
        (ACKNOWLEDGED, ANN, BUY, 80, 2),
    ]


def test_an_order_that_waits_for_its_trigger_takes_the_place_only_when_told_to(desk):
    desk.mark(100)
    bids(desk, (ANN, 80, 3))
    trigger = {"trigger_kind": SL, "trigger_ticks": 90, "trigger_is_market": 1, "reduce_only": 1}
    assert desk.modify(ANN, 1, SELL, 90, 2, **trigger).short() == [(REJECTED, ANN, Refusal.CANNOT_MODIFY)]
    assert desk.modify(ANN, 1, SELL, 90, 2, always_place=1, **trigger).short() == [
        (CANCELLED, ANN, 3, Refusal.REQUESTED),
        (WAITING, ANN, 2, 2),
    ]
    assert desk.modify(ANN, 1, SELL, 89, 2, always_place=1, **trigger).short() == [(WAITING, ANN, 3, 2)]


@pytest.mark.parametrize("tif", [IOC, MARKET])
def test_a_waiting_order_is_not_modified_to_an_immediate_one(desk, tif):
    desk.mark(100).trigger(ANN, SELL, SL, 90, 3).run()
    assert desk.modify(ANN, 1, BUY, 80, 2, tif).short() == [(REJECTED, ANN, Refusal.CANNOT_MODIFY)]
    assert desk.exchange.engine[0]["waiting"] == 1


def test_a_cancel_reaches_what_waits_and_a_fast_one_does_not(desk):
    desk.mark(100).trigger(ANN, SELL, SL, 90, 3).run()
    bids(desk, (ANN, 80, 3))
    assert desk.cancel(ANN, 1, fast=1).short() == [(CANCEL_REJECTED, ANN, Refusal.FAST_CANCEL_OF_TRIGGER)]
    assert desk.cancel(ANN, 2, fast=1).short() == [(CANCELLED, ANN, 3, Refusal.REQUESTED)]
    assert desk.cancel(ANN, 2, fast=1).short() == [(CANCEL_REJECTED, ANN, Refusal.NEVER_PLACED)]
    assert desk.cancel(ANN, 1).short() == [(CANCELLED, ANN, 3, Refusal.REQUESTED)]


def test_ending_all_orders_goes_by_their_ids_and_not_by_their_slots():
    desk = Desk(markets=2, mark=100)
    bids(desk, (BOB, 80, 1), (BOB, 81, 1), (BOB, 82, 1))
    desk.cancel(BOB, 3).cancel(BOB, 2).cancel(BOB, 1).run()  # the slab's last becomes its first
    desk.place(ANN, BUY, 80, 1, ALO).run()  # 4
    desk.place(ANN, BUY, 81, 1, ALO, market=1).run()  # 5
    desk.trigger(ANN, SELL, SL, 90, 1).run()  # 6
    desk.trigger(ANN, SELL, SL, 90, 1, market=1).run()  # 7
    bids(desk, (ANN, 79, 1), (BOB, 78, 1))  # 8, 9
    assert cancel_all(desk.exchange, ANN, 0, Refusal.LIQUIDATED, desk.now_ns) == 3
    assert [event.order_id for event in desk.drain()] == [4, 6, 8]
    assert cancel_all(desk.exchange, ANN, -1, Refusal.LIQUIDATED, desk.now_ns) == 2
    assert [event.order_id for event in desk.drain()] == [5, 7]
    assert_consistent(desk.exchange, desk.history)


def test_ending_all_orders_ends_the_children_that_come_next():
    """The parent's children stand where the list of those that wait would go on."""
    desk = Desk(mark=100)
    desk.place(ANN, BUY, 80, 1, ALO, action=1, grouping=Grouping.NORMAL_TPSL)  # 1
    desk.trigger(ANN, SELL, SL, 70, 1, action=1, grouping=Grouping.NORMAL_TPSL).run()  # 2
    desk.trigger(ANN, SELL, SL, 60, 1).run()  # 3
    bids(desk, (ANN, 81, 1))  # 4
    assert cancel_all(desk.exchange, ANN, -1, Refusal.LIQUIDATED, desk.now_ns) == 3
    told = [(event.order_id, event.aux0) for event in desk.drain()]
    ended = Refusal.LIQUIDATED
    assert told == [(1, ended), (2, Refusal.PARENT_CANCELLED), (3, ended), (4, ended)]
    assert_consistent(desk.exchange, desk.history)


def test_a_modified_order_pays_the_builder_of_its_new_one(desk):
    bids(desk, (ANN, 80, 3))
    desk.modify(ANN, 1, BUY, 81, 10**6, builder=CAT + 1, builder_rate_e9=10**6).run()
    desk.place(BOB, SELL, 81, 10**6, IOC).run()
    assert desk.exchange.builder_fees.tolist() == [0, 0, 81_000, 0]


def test_a_batch_modifies_each_of_its_orders_by_itself(desk):
    bids(desk, (ANN, 80, 3), (ANN, 81, 3))
    for target, price in ((1, 82), (7, 83), (2, 84)):
        desk.modify(ANN, target, BUY, price, 1, action=1)
    assert [event[0] for event in desk.short()] == [CANCELLED, ACKNOWLEDGED, REJECTED, CANCELLED, ACKNOWLEDGED]


# Actions and blocks.


def test_an_action_expires_in_the_first_block_after_its_time(desk):
    expires = desk.now_ns + 75_000_000  # the time of the next block
    assert desk.place(ANN, BUY, 90, 1, expires_ns=expires).short() == [(ACKNOWLEDGED, ANN, BUY, 90, 1)]
    desk.place(ANN, BUY, 90, 1, client_id=5, expires_ns=expires)
    desk.cancel(ANN, 1, expires_ns=expires)
    desk.cancel(ANN, 6, target_is_client_id=1, expires_ns=expires)
    desk.modify(ANN, 1, BUY, 91, 2, client_id=7, expires_ns=expires)
    events = desk.run()
    assert {event.aux0 for event in events} == {Refusal.ACTION_EXPIRED}
    assert [(e.kind, e.client_id, e.order_id) for e in events] == [
        (REJECTED, 7, 0),  # the modify is post-only, so first
        (CANCEL_REJECTED, 0, 1),
        (CANCEL_REJECTED, 6, 0),
        (REJECTED, 5, 0),
    ]
    assert desk.resting(BUY, 90) == [(ANN, 1)]


def test_a_cancel_is_ahead_of_the_taker_that_came_before_it(desk):
    asks(desk, (ANN, 101, 5))
    assert desk.place(BOB, BUY, 101, 5, IOC).cancel(ANN, 1).short() == [
        (CANCELLED, ANN, 5, Refusal.REQUESTED),
        (REJECTED, BOB, Refusal.IOC_NO_MATCH),
    ]


def test_post_only_is_ahead_of_the_taker_that_came_before_it(desk):
    assert desk.place(BOB, BUY, 101, 5, IOC).place(ANN, SELL, 101, 5, ALO).short() == [
        (ACKNOWLEDGED, ANN, SELL, 101, 5),
        (FILLED, BOB, BUY, 101, 5, 0),
        (FILLED, ANN, SELL, 101, 5, 0),
    ]


def test_takers_of_a_block_come_in_the_order_of_arrival(desk):
    asks(desk, (ANN, 101, 5))
    assert [e[:2] for e in desk.place(CAT, BUY, 101, 4, IOC).place(BOB, BUY, 101, 4, IOC).short()] == [
        (FILLED, CAT),
        (FILLED, ANN),
        (FILLED, BOB),
        (FILLED, ANN),
        (EXPIRED, BOB),
    ]


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (ActionKind.PLACE, REJECTED),
        (ActionKind.MODIFY, REJECTED),
        (ActionKind.PLACE_TRIGGER, REJECTED),
        (ActionKind.CANCEL, CANCEL_REJECTED),
        (ActionKind.NOOP, REFUSED),
    ],
)
def test_each_kind_of_leg_expires_in_its_own_way(desk, kind, event):
    assert desk.leg(kind=kind, account=ANN, expires_ns=1).short() == [(event, ANN, Refusal.ACTION_EXPIRED)]


def test_a_noop_is_done_and_what_is_no_order_is_refused(desk):
    assert desk.leg(kind=ActionKind.NOOP, account=ANN).short() == [(DONE, ANN, ActionKind.NOOP)]
    for kind in (ActionKind.DEPOSIT, ActionKind.PLACE_TWAP, 99):
        (told,) = desk.leg(kind=kind, account=ANN).run()
        assert (told.kind, told.aux0, told.fee) == (REFUSED, Refusal.UNKNOWN_ACTION, kind)
