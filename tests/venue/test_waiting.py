"""The slab of waiting orders: found, listed by age and by account, ended, and reached by cancels."""

from __future__ import annotations

import pytest

from hlhft.venue.blocks import Grouping, TriggerKind
from hlhft.venue.matching import cancel_all
from hlhft.venue.refusals import Refusal
from hlhft.venue.waiting import find_waiting
from tests.venue.desk import (
    ALO,
    ANN,
    BOB,
    BUY,
    CANCEL_REJECTED,
    CANCELLED,
    SELL,
    WAITING,
    Desk,
    asks,
    assert_consistent,
    bids,
)

SL, TP = TriggerKind.STOP_LOSS, TriggerKind.TAKE_PROFIT
CHILD = {"grouping": Grouping.NORMAL_TPSL}


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = Desk(markets=2, mark=100)
    yield made
    assert_consistent(made.exchange, made.history)


def stops(desk: Desk, *accounts: int) -> None:
    """One waiting order each, in this order."""
    for account in accounts:
        desk.trigger(account, SELL, SL, 90, 1, client_id=7).run()


def test_an_order_is_found_by_either_id_by_its_owner_in_its_market(desk):
    stops(desk, ANN, BOB, ANN)
    slots = [find_waiting(desk.exchange, ANN, 0, order_id, False) for order_id in (1, 2, 3)]
    assert slots == [1, 0, 3]
    assert find_waiting(desk.exchange, ANN, 0, 7, True) == 3  # the younger one
    assert find_waiting(desk.exchange, BOB, 0, 7, True) == 2
    assert find_waiting(desk.exchange, ANN, 1, 1, False) == 0
    assert find_waiting(desk.exchange, ANN, 0, 0, True) == 0


@pytest.mark.parametrize("gone", range(5))
def test_whoever_leaves_leaves_the_others_in_their_turn(desk, gone):
    stops(desk, ANN, BOB, ANN, BOB, ANN)
    account = (ANN, BOB, ANN, BOB, ANN)[gone]
    assert desk.cancel(account, gone + 1).short() == [(CANCELLED, account, 1, Refusal.REQUESTED)]
    assert_consistent(desk.exchange, desk.history)
    stops(desk, ANN)  # takes the slot that became free, and is the youngest
    assert find_waiting(desk.exchange, ANN, 0, 6, False) == gone + 1
    assert desk.exchange.open_orders.tolist() == ([3, 2, 0, 0] if account == ANN else [4, 1, 0, 0])


def test_a_cancel_by_own_id_and_one_of_somebody_elses(desk):
    stops(desk, ANN)
    assert desk.cancel(BOB, 1).short() == [(CANCEL_REJECTED, BOB, Refusal.NEVER_PLACED)]
    assert desk.cancel(ANN, 7, target_is_client_id=1).short() == [(CANCELLED, ANN, 1, Refusal.REQUESTED)]


def test_a_fast_cancel_does_not_reach_what_waits(desk):
    stops(desk, ANN)
    refused = (CANCEL_REJECTED, ANN, Refusal.FAST_CANCEL_OF_TRIGGER)
    assert desk.cancel(ANN, 1, fast=1).short() == [refused]
    assert desk.cancel(ANN, 7, target_is_client_id=1, fast=1).short() == [refused]
    assert desk.cancel(ANN, 2, fast=1).short() == [(CANCEL_REJECTED, ANN, Refusal.NEVER_PLACED)]
    bids(desk, (ANN, 80, 1))
    assert desk.cancel(ANN, 2, fast=1).short() == [(CANCELLED, ANN, 1, Refusal.REQUESTED)]


def test_only_the_children_of_the_parent_are_armed_and_only_they_end(desk):
    """ANN has two parents with a child each, and an order that waits alone."""
    for number, price in ((1, 95), (2, 96)):
        desk.place(ANN, BUY, price, 1, ALO, action=number, **CHILD)
        desk.trigger(ANN, SELL, TP, 110, 1, action=number, **CHILD)
    stops(desk, ANN)
    told = desk.place(BOB, SELL, 96, 1).run()
    assert [(event.kind, event.order_id, event.aux0) for event in told[2:]] == [(WAITING, 4, 1)]
    assert [event.order_id for event in desk.cancel(ANN, 1).run()] == [1, 2]
    assert desk.exchange.engine[0]["waiting"] == 2


def test_ending_all_of_an_account_goes_by_the_venues_ids(desk):
    """Whatever slots they took: those that rest and those that wait, a parent with its children."""
    asks(desk, (BOB, 120, 1), (BOB, 121, 1))
    desk.cancel(BOB, 1).cancel(BOB, 2).run()
    stops(desk, ANN)  # 3
    bids(desk, (ANN, 80, 1))  # 4
    desk.trigger(ANN, SELL, SL, 90, 1, market=1).run()  # 5
    desk.place(ANN, BUY, 81, 1, ALO, action=1, **CHILD).trigger(ANN, SELL, TP, 110, 1, action=1, **CHILD).run()  # 6, 7
    desk.place(ANN, BUY, 82, 1, ALO, market=1).run()  # 8
    stops(desk, ANN, BOB)  # 9, 10
    assert cancel_all(desk.exchange, ANN, 1, Refusal.LIQUIDATED, desk.now_ns) == 2
    assert [event.order_id for event in desk.drain()] == [5, 8]
    assert cancel_all(desk.exchange, ANN, -1, Refusal.LIQUIDATED, desk.now_ns) == 4
    told = desk.drain()
    assert [event.order_id for event in told] == [3, 4, 6, 7, 9]
    assert [event.aux0 for event in told] == [Refusal.LIQUIDATED] * 3 + [Refusal.PARENT_CANCELLED, Refusal.LIQUIDATED]
    assert cancel_all(desk.exchange, ANN, -1, Refusal.LIQUIDATED, desk.now_ns) == 0
    assert desk.exchange.open_orders.tolist() == [0, 1, 0, 0]
