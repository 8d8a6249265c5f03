"""Take-profit and stop-loss orders in hand-computed scenarios."""

from __future__ import annotations

import pytest

from hlhft.venue.blocks import ActionKind, Grouping, TriggerKind
from hlhft.venue.refusals import Refusal
from hlhft.venue.triggers import is_reached, worst_ticks
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
    GTC,
    IOC,
    REJECTED,
    SELL,
    TRIGGERED,
    WAITING,
    Desk,
    Event,
    asks,
    assert_consistent,
    bids,
    position,
)

TP, SL = TriggerKind.TAKE_PROFIT, TriggerKind.STOP_LOSS
CHILD, OF_POSITION = {"grouping": Grouping.NORMAL_TPSL}, {"grouping": Grouping.POSITION_TPSL}


@pytest.fixture
def desk():
    """Every scenario ends with every invariant intact."""
    made = Desk(mark=100)
    yield made
    assert_consistent(made.exchange, made.history)


def together(desk: Desk, first: int) -> None:
    """The legs that wait, from the one with index `first` on, become one action."""
    for fields in desk.pending[first:]:
        fields["action"] = desk.pending[first]["action"]


@pytest.mark.parametrize(
    ("side", "kind", "below", "above"),
    [
        (SELL, TP, False, True),  # a long takes its profit when the mark rises
        (SELL, SL, True, False),
        (BUY, TP, True, False),
        (BUY, SL, False, True),
    ],
)
def test_the_side_on_which_a_trigger_waits(side, kind, below, above):
    assert [is_reached(side, kind, 100, mark) for mark in (99, 100, 101)] == [below, True, above]
    assert not is_reached(side, kind, 100, 0)  # no mark


def test_a_market_order_may_execute_within_a_tenth_of_its_trigger():
    assert worst_ticks(BUY, 1000, 100_000) == 1100
    assert worst_ticks(SELL, 1000, 100_000) == 900
    assert worst_ticks(SELL, 1005, 100_000) == 905  # the distance is cut to whole ticks
    assert worst_ticks(SELL, 1, 2_000_000) == 1


# Alone.


def test_a_stop_waits_for_the_mark_and_then_takes_under_its_id(desk):
    position(desk, ANN, 10)
    desk.mark(100)
    bids(desk, (BOB, 95, 4), (CAT, 86, 4), (DAN, 85, 9))
    (waiting,) = desk.trigger(ANN, SELL, SL, 95, 10, client_id=77).run()
    assert waiting == Event(WAITING, ANN, 0, 77, 6, SELL, 95, 10, 1, 95)
    assert desk.exchange.open_orders[ANN] == 1
    assert desk.mark(96).short() == []
    # 95 less its tenth, cut to 9, is 86: what rests lower is not taken.
    told = desk.mark(95).run()
    assert [event.short for event in told] == [
        (TRIGGERED, ANN, 6, 10),
        (FILLED, BOB, BUY, 95, 4, 0),
        (FILLED, ANN, SELL, 95, 4, 6),
        (FILLED, CAT, BUY, 86, 4, 0),
        (FILLED, ANN, SELL, 86, 4, 2),
        (EXPIRED, ANN, 2),
    ]
    assert {(event.client_id, event.order_id) for event in told if event.account == ANN} == {(77, 6)}
    assert told[0].fee == 95  # aux1: the mark
    assert desk.position(ANN) == 2
    assert desk.exchange.open_orders[ANN] == 0
    assert desk.mark(80).short() == []


def test_what_comes_of_it_is_the_venues_own_doing(desk):
    position(desk, ANN, 10)
    bids(desk, (BOB, 95, 10))
    desk.trigger(ANN, SELL, SL, 95, 10).run()
    desk.mark(95)
    desk.place(CAT, BUY, 50, 1).leg(kind=ActionKind.NOOP, account=CAT)
    desk.execute()
    told = desk.exchange.events[: desk.exchange.engine[0]["event_count"]]
    assert told["leg"].tolist() == [1, 0, -1, -1, -1]  # the NOOP holds no taker and is ahead of the GTC
    desk.drain()


def test_a_limit_order_rests_at_its_limit_with_its_old_id(desk):
    position(desk, ANN, 10)
    desk.trigger(ANN, SELL, TP, 105, 10, 110).run()
    desk.place(ANN, SELL, 120, 1, ALO).run()
    bids(desk, (BOB, 95, 4))
    told = desk.mark(105).run()
    assert [event.short for event in told] == [(TRIGGERED, ANN, 3, 10), (ACKNOWLEDGED, ANN, SELL, 110, 10)]
    assert told[1].order_id == 3
    assert desk.resting(SELL, 110) == [(ANN, 10)]
    # The account's list is by ids: the one that waited is the older one.
    assert_consistent(desk.exchange, desk.history)
    assert [event.order_id for event in desk.cancel(ANN, 3).cancel(ANN, 4).run()] == [3, 4]


def test_a_limit_order_takes_what_crosses_it(desk):
    position(desk, ANN, 10)
    desk.trigger(ANN, SELL, SL, 95, 10, 90).run()
    bids(desk, (BOB, 92, 4))
    assert desk.mark(94).short() == [
        (TRIGGERED, ANN, 3, 10),
        (FILLED, BOB, BUY, 92, 4, 0),
        (FILLED, ANN, SELL, 92, 4, 6),
        (ACKNOWLEDGED, ANN, SELL, 90, 6),
    ]


def test_a_trigger_that_is_not_reduce_only_opens(desk):
    asks(desk, (BOB, 105, 4))
    desk.trigger(ANN, BUY, SL, 105, 4, reduce_only=0).run()
    assert desk.mark(105).short() == [
        (TRIGGERED, ANN, 2, 4),
        (FILLED, ANN, BUY, 105, 4, 0),
        (FILLED, BOB, SELL, 105, 4, 0),
    ]


def test_reduce_only_is_judged_when_it_fires(desk):
    desk.trigger(ANN, SELL, SL, 95, 10).run()  # without a position it waits as well
    assert desk.mark(95).short() == [(TRIGGERED, ANN, 1, 10), (CANCELLED, ANN, 10, Refusal.REDUCE_ONLY_CANCELLED)]
    desk.mark(100)
    position(desk, ANN, 3)
    bids(desk, (BOB, 95, 20))
    desk.trigger(ANN, SELL, SL, 95, 10).run()
    desk.mark(95).run()
    assert desk.position(ANN) == 0
    assert desk.resting(BUY, 95) == [(BOB, 17)]


def test_nothing_rests_for_a_market_order():
    desk = Desk(mark=100)
    desk.trigger(ANN, BUY, SL, 105, 4, reduce_only=0).run()
    assert desk.mark(105).short() == [(TRIGGERED, ANN, 1, 4), (REJECTED, ANN, Refusal.NO_LIQUIDITY)]


def test_margin_is_judged_when_it_fires():
    desk = Desk(mark=100, margin=True, leverage=1, collateral=0)
    desk.trigger(ANN, BUY, SL, 105, 4, reduce_only=0).run()
    assert desk.mark(105).short() == [(TRIGGERED, ANN, 1, 4), (REJECTED, ANN, Refusal.MARGIN)]


def test_the_oldest_fires_first_however_far_the_mark_is_beyond(desk):
    position(desk, ANN, 10)
    position(desk, CAT, 10)
    bids(desk, (BOB, 90, 5))
    desk.trigger(ANN, SELL, SL, 91, 5).run()
    desk.trigger(CAT, SELL, SL, 99, 5).run()
    told = desk.mark(90).short()
    assert [event[:2] for event in told] == [
        (TRIGGERED, ANN),
        (FILLED, BOB),
        (FILLED, ANN),
        (TRIGGERED, CAT),
        (REJECTED, CAT),
    ]


@pytest.mark.parametrize(("side", "kind", "trigger"), [(SELL, TP, 100), (SELL, SL, 100), (BUY, TP, 101), (BUY, SL, 99)])
def test_a_trigger_that_is_reached_already_is_rejected(desk, side, kind, trigger):
    assert desk.trigger(ANN, side, kind, trigger, 1).short() == [(REJECTED, ANN, Refusal.BAD_TRIGGER_PRICE)]


@pytest.mark.parametrize(("trigger", "kind"), [(0, SL), (2**60, TP), (95, TriggerKind.NONE)])
def test_a_trigger_that_is_none_is_rejected(desk, trigger, kind):
    assert desk.trigger(ANN, SELL, kind, trigger, 1, 90).short() == [(REJECTED, ANN, Refusal.BAD_TRIGGER_PRICE)]


def test_what_is_wrong_with_the_order_itself():
    desk = Desk(validate=True, mark=200_000, width=10)
    wrong = [
        ((150_000, 0, 150_000), Refusal.ZERO_SIZE),
        ((150_000, 1000, 0), Refusal.INVALID_PRICE),
        ((150_005, 1000, 150_000), Refusal.TICK),
        ((150_000, 1000, 150_005), Refusal.TICK),
        ((150_000, 1000, 7_000), Refusal.PRICE_BAND),  # measured from the trigger
        ((150_000, 1, 150_000), Refusal.MINIMUM_NOTIONAL),
    ]
    for (trigger, lots, price), code in wrong:
        (told,) = desk.trigger(ANN, SELL, SL, trigger, lots, price, reduce_only=0).run()
        assert (told.kind, told.aux0) == (REJECTED, code)
        assert (told.order_id == 0) == (code == Refusal.INVALID_PRICE)
    desk.exchange.rules["open_orders_reduce_only_max"] = 1
    assert desk.trigger(ANN, SELL, SL, 150_000, 1000, reduce_only=0).short() == [(WAITING, ANN, 6, 1000)]
    assert desk.trigger(ANN, SELL, SL, 150_000, 1000, reduce_only=0).short() == [
        (REJECTED, ANN, Refusal.TOO_MANY_OPEN_ORDERS)
    ]
    assert desk.trigger(BOB, SELL, SL, 150_000, 1000, priority_rate_e8=1).short() == [
        (REJECTED, BOB, Refusal.PRIORITY_NOT_ALLOWED)
    ]


def test_a_full_slab_rejects():
    desk = Desk(mark=100, waiting=2)
    for _ in range(2):
        desk.trigger(ANN, SELL, SL, 95, 1).run()
    assert desk.trigger(BOB, SELL, SL, 95, 1).short() == [(REJECTED, BOB, Refusal.TOO_MANY_TRIGGERS)]
    desk.cancel(ANN, 1).run()
    assert desk.trigger(BOB, SELL, SL, 95, 1).short() == [(WAITING, BOB, 4, 1)]
    assert_consistent(desk.exchange, desk.history)


def test_the_builder_is_paid_when_it_executes(desk):
    position(desk, ANN, 10)
    bids(desk, (BOB, 95, 10))
    desk.trigger(ANN, SELL, SL, 95, 10, builder=CAT + 1, builder_rate_e9=10_000_000).run()
    desk.mark(95).run()
    assert desk.exchange.builder_fees.tolist() == [0, 0, 9, 0]  # a hundredth of 950, truncated


# With a parent.


def bracket(desk: Desk, *, price: int = 100, lots: int = 10, tif: int = GTC, tp: int = 110, sl: int = 90) -> Desk:
    """ANN buys, with a take-profit and a stop."""
    first = len(desk.pending)
    desk.place(ANN, BUY, price, lots, tif, **CHILD)
    desk.trigger(ANN, SELL, TP, tp, lots, **CHILD).trigger(ANN, SELL, SL, sl, lots, **CHILD)
    together(desk, first)
    return desk


def test_children_wait_for_the_whole_of_the_parents_fill(desk):
    told = bracket(desk).run()
    assert [event.short for event in told] == [
        (ACKNOWLEDGED, ANN, BUY, 100, 10),
        (WAITING, ANN, 2, 10),
        (WAITING, ANN, 3, 10),
    ]
    assert [(event.aux0, event.fee) for event in told[1:]] == [(0, 110), (0, 90)]
    assert desk.mark(85).short() == []  # they do not look at the mark yet
    assert [event[0] for event in desk.mark(100).place(BOB, SELL, 100, 4, IOC).short()] == [FILLED, FILLED]
    told = desk.place(BOB, SELL, 100, 6, IOC).run()
    assert [event.short for event in told[2:]] == [(WAITING, ANN, 2, 10), (WAITING, ANN, 3, 10)]
    assert [event.aux0 for event in told[2:]] == [1, 1]
    bids(desk, (CAT, 90, 20))
    assert desk.mark(90).short() == [
        (TRIGGERED, ANN, 3, 10),
        (FILLED, CAT, BUY, 90, 10, 10),
        (FILLED, ANN, SELL, 90, 10, 0),
        (CANCELLED, ANN, 10, Refusal.SIBLING_FILLED),
    ]
    assert desk.exchange.engine[0]["waiting"] == 0


def test_children_of_a_parent_that_fills_at_once_are_armed_at_once(desk):
    asks(desk, (BOB, 100, 10))
    told = bracket(desk).run()
    assert [event.short for event in told[2:]] == [(WAITING, ANN, 3, 10), (WAITING, ANN, 4, 10)]
    assert [event.aux0 for event in told[2:]] == [1, 1]


def test_children_armed_beyond_their_trigger_fire_in_the_same_block(desk):
    bracket(desk).run()
    bids(desk, (CAT, 90, 20))
    desk.mark(88)
    told = desk.place(BOB, SELL, 100, 10, IOC).short()
    assert [event[0] for event in told] == [FILLED, FILLED, WAITING, WAITING, TRIGGERED, FILLED, FILLED, CANCELLED]


@pytest.mark.parametrize("by_all", [False, True])
def test_children_end_with_a_parent_that_is_cancelled(desk, by_all):
    bracket(desk).run()
    desk.place(BOB, SELL, 100, 4, IOC).run()
    desk.trigger(ANN, SELL, SL, 50, 1).run()  # alone: it stays
    assert desk.cancel(ANN, 1).short() == [
        (CANCELLED, ANN, 6, Refusal.REQUESTED),
        (CANCELLED, ANN, 10, Refusal.PARENT_CANCELLED),
        (CANCELLED, ANN, 10, Refusal.PARENT_CANCELLED),
    ]
    assert desk.exchange.engine[0]["waiting"] == 1


@pytest.mark.parametrize("tif", [ALO, IOC])
def test_children_of_a_parent_that_is_rejected_or_expires_are_rejected(desk, tif):
    asks(desk, (BOB, 100, 4))
    told = bracket(desk, tif=tif).short()
    assert told[-2:] == [(REJECTED, ANN, Refusal.PARENT_CANCELLED)] * 2


def test_a_child_that_comes_to_rest_ends_its_sibling_when_it_is_filled(desk):
    asks(desk, (BOB, 100, 10))
    first = len(desk.pending)
    desk.place(ANN, BUY, 100, 10, **CHILD)
    desk.trigger(ANN, SELL, TP, 110, 10, 112, **CHILD).trigger(ANN, SELL, SL, 90, 10, **CHILD)
    together(desk, first)
    desk.run()
    assert desk.mark(110).short() == [(TRIGGERED, ANN, 3, 10), (ACKNOWLEDGED, ANN, SELL, 112, 10)]
    assert desk.place(CAT, BUY, 112, 1, IOC).short() == [
        (FILLED, CAT, BUY, 112, 1, 0),
        (FILLED, ANN, SELL, 112, 1, 9),
        (CANCELLED, ANN, 10, Refusal.SIBLING_FILLED),
    ]
    assert desk.resting(SELL, 112) == [(ANN, 9)]


def test_a_stop_that_is_executed_ends_the_sibling_that_rests(desk):
    asks(desk, (BOB, 100, 10))
    first = len(desk.pending)
    desk.place(ANN, BUY, 100, 10, **CHILD)
    desk.trigger(ANN, SELL, TP, 110, 10, 112, **CHILD).trigger(ANN, SELL, SL, 90, 10, **CHILD)
    together(desk, first)
    desk.run()
    desk.mark(110).run()
    bids(desk, (CAT, 90, 4))
    told = desk.mark(90).short()
    assert told == [
        (TRIGGERED, ANN, 4, 10),
        (FILLED, CAT, BUY, 90, 4, 0),
        (FILLED, ANN, SELL, 90, 4, 6),
        (ACKNOWLEDGED, ANN, SELL, 112, 6),  # trimmed to what is left of the position
        (CANCELLED, ANN, 6, Refusal.SIBLING_FILLED),
        (EXPIRED, ANN, 6),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": BUY},
        {"market": 1},
        {"account": BOB},
        {"reduce_only": 0},
    ],
)
def test_a_child_that_does_not_fit_its_parent_is_rejected(wrong):
    desk = Desk(markets=2, mark=100)
    desk.place(ANN, BUY, 90, 10, **CHILD)
    fields = {"account": ANN, "side": SELL, "kind": TP, "trigger": 110, "lots": 10, **CHILD, **wrong}
    desk.trigger(**fields)
    together(desk, 0)
    assert desk.short()[1] == (REJECTED, fields["account"], Refusal.TRIGGER_COUNT)


def test_a_child_without_a_parent_and_one_too_many_are_rejected(desk):
    refused = (REJECTED, ANN, Refusal.TRIGGER_COUNT)
    assert desk.trigger(ANN, SELL, TP, 110, 10, **CHILD).short() == [refused]
    # The parent of another action, and an order that is none.
    desk.place(ANN, BUY, 90, 10, ALO, **CHILD).trigger(ANN, SELL, TP, 110, 10, **CHILD)
    assert desk.short()[1] == refused
    desk.place(ANN, BUY, 90, 10).trigger(ANN, SELL, TP, 110, 10, **CHILD)
    together(desk, 0)
    assert desk.short()[1] == refused
    for third in (TP, SL):
        bracket(desk, price=80).trigger(ANN, SELL, third, 111 if third == TP else 79, 10, **CHILD)
        together(desk, 0)
        assert [event[0] for event in desk.short()] == [ACKNOWLEDGED, WAITING, WAITING, REJECTED]


def test_a_parent_of_an_earlier_block_is_none(desk):
    desk.place(ANN, BUY, 90, 10, action=1, **CHILD).run()
    assert desk.trigger(ANN, SELL, TP, 110, 10, action=1, **CHILD).short() == [(REJECTED, ANN, Refusal.TRIGGER_COUNT)]


# With the position.


def test_it_closes_the_position_whatever_that_has_become(desk):
    position(desk, ANN, 10)
    assert desk.trigger(ANN, SELL, SL, 90, 0, **OF_POSITION).short() == [(WAITING, ANN, 3, 10)]
    position(desk, ANN, 5)
    bids(desk, (BOB, 90, 40))
    assert desk.mark(90).short() == [
        (TRIGGERED, ANN, 3, 15),
        (FILLED, BOB, BUY, 90, 15, 25),
        (FILLED, ANN, SELL, 90, 15, 0),
    ]
    assert desk.position(ANN) == 0


@pytest.mark.parametrize("after", [0, -5])
def test_it_ends_with_the_position(desk, after):
    position(desk, ANN, 10)
    desk.trigger(ANN, SELL, SL, 90, 0, **OF_POSITION).trigger(ANN, SELL, TP, 110, 0, **OF_POSITION).run()
    desk.place(BOB, BUY, 100, 10 - after).run()
    told = desk.place(ANN, SELL, 100, 10 - after).short()
    assert told[2:] == [(CANCELLED, ANN, 10, Refusal.REDUCE_ONLY_CANCELLED)] * 2


def test_at_most_one_of_a_kind_in_a_market():
    desk = Desk(markets=2, mark=100)
    for market in range(2):
        desk.place(BOB, SELL, 100, 5, market=market).place(ANN, BUY, 100, 5, market=market)
    desk.run()
    for market in range(2):
        for kind, trigger in ((TP, 110), (SL, 90)):
            assert desk.trigger(ANN, SELL, kind, trigger, 0, market=market, **OF_POSITION).short()[0][0] == WAITING
            assert desk.trigger(ANN, SELL, kind, trigger, 0, market=market, **OF_POSITION).short() == [
                (REJECTED, ANN, Refusal.TRIGGER_COUNT)
            ]
    assert_consistent(desk.exchange, desk.history)


def test_it_needs_a_position_on_the_other_side_and_reduces_only(desk):
    assert desk.trigger(ANN, SELL, SL, 90, 0, **OF_POSITION).short() == [(REJECTED, ANN, Refusal.REDUCE_ONLY)]
    position(desk, ANN, 10)
    assert desk.trigger(ANN, BUY, SL, 110, 0, **OF_POSITION).short() == [(REJECTED, ANN, Refusal.REDUCE_ONLY)]
    assert desk.trigger(ANN, SELL, SL, 90, 0, reduce_only=0, **OF_POSITION).short() == [
        (REJECTED, ANN, Refusal.TRIGGER_COUNT)
    ]
