"""The order table: transitions as data, worst case and position as sums; answers late, doubled or missing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core import orders
from hlhft.core.orders import (
    APPLIED,
    FAULT,
    IGNORED,
    ILLEGAL,
    ORPHAN_FILL,
    TABLE,
    TRANSITIONS,
    OrderEvent,
    transitions_table,
)
from hlhft.core.state import ORDERS_PER_MARKET, SLOT_BITS, OrderState, TimeInForce
from hlhft.events import EventKind as Kind
from hlhft.venue.refusals import Refusal
from tests.core.tables import BUY, LIVE, SELL, Table

DONE = [state for state in OrderState if state >= OrderState.DONE_FILLED]
# An event kind, and lots left, that stand for each event the venue or the gateway can bring.
NEWS: dict[OrderEvent, tuple[Kind, int]] = {
    OrderEvent.SEND_FAILED: (Kind.COMMAND_SEND_FAILED, 0),
    OrderEvent.ACKNOWLEDGE: (Kind.ORDER_ACKNOWLEDGED, 77),
    OrderEvent.REJECT: (Kind.ORDER_REJECTED, Refusal.MARGIN),
    OrderEvent.FILL_PART: (Kind.ORDER_FILLED, 6),
    OrderEvent.FILL_ALL: (Kind.ORDER_FILLED, 0),
    OrderEvent.CANCEL_DONE: (Kind.ORDER_CANCELLED, Refusal.REQUESTED),
    OrderEvent.CANCEL_REJECT: (Kind.CANCEL_REJECTED, Refusal.REQUEST_LOST),
    OrderEvent.EXPIRE: (Kind.ORDER_EXPIRED, 0),
    OrderEvent.LOSE: (Kind.ORDER_UNKNOWN, 0),
}


# The table itself.


def test_what_the_table_lacks_is_illegal_and_what_it_has_is_there():
    for state in OrderState:
        for event in OrderEvent:
            expected = TRANSITIONS.get(state, {}).get(event, ILLEGAL)
            assert TABLE[state, event] == expected


def test_only_commands_of_ours_need_a_living_order():
    for state in DONE:
        assert set(TRANSITIONS[state].values()) == {state}
        for event in (OrderEvent.SEND, OrderEvent.CANCEL_SEND, OrderEvent.MODIFY_SEND):
            assert TABLE[state, event] == ILLEGAL
    assert (TABLE[OrderState.FREE] == ILLEGAL).all()


def test_a_living_state_leads_to_its_end_only_by_evidence():
    """No silence, no failed cancel and no command of ours ends an order; a placement that never left does."""
    ends = {
        OrderEvent.REJECT, OrderEvent.FILL_ALL, OrderEvent.CANCEL_DONE, OrderEvent.EXPIRE, OrderEvent.SEND_FAILED,
    }  # fmt: skip
    for state in LIVE:
        for event, following in TRANSITIONS[state].items():
            if following in DONE:
                assert event in ends
            if event == OrderEvent.SEND_FAILED:
                assert (following in DONE) == (state in (OrderState.NEW, OrderState.SENT))


@pytest.mark.parametrize("state", [state for state in OrderState if state != OrderState.FREE])
@pytest.mark.parametrize("event", NEWS)
def test_every_pair_of_state_and_event_does_what_the_table_says(state, event):
    table = Table()
    order_id = table.create()
    if state >= OrderState.DONE_FILLED:
        table.send(order_id)
        end = {
            OrderState.DONE_FILLED: OrderEvent.FILL_ALL,
            OrderState.DONE_CANCELLED: OrderEvent.CANCEL_DONE,
            OrderState.DONE_REJECTED: OrderEvent.REJECT,
            OrderState.DONE_EXPIRED: OrderEvent.EXPIRE,
        }[state]
        kind, left = NEWS[end]
        assert table.apply(kind, order_id, lots=10, left=left) == APPLIED
        assert table.state(order_id) == state
    else:
        table.order(order_id)["state"] = state
    before = table.position.copy()
    kind, left = NEWS[event]
    outcome = table.apply(kind, order_id, lots=4, left=left)
    following = TRANSITIONS[state].get(event)
    if following is None:
        assert outcome == FAULT
        assert table.row["illegal_transitions"] == 1
        assert table.state(order_id) == state
        assert table.open_lots() == (before["open_buy_lots"], before["open_sell_lots"])
    else:
        assert table.row["illegal_transitions"] == 0
        assert table.state(order_id) == following
        if state in DONE:
            assert outcome == (ORPHAN_FILL if kind == Kind.ORDER_FILLED else IGNORED)
        else:
            assert outcome == APPLIED
            table.check_sums()
    bought = 4 if kind == Kind.ORDER_FILLED else 0
    assert table.position["position_lots"] - before["position_lots"] == bought


@pytest.mark.parametrize("state", LIVE)
def test_a_cancel_leaves_only_for_an_order_that_rests(state):
    table = Table()
    order_id = table.create()
    table.order(order_id)["state"] = state
    slot = orders.find(table.orders, order_id)
    allowed = state in (OrderState.OPEN, OrderState.PARTIAL)
    assert orders.may_cancel(table.orders, slot) == allowed
    table.order(order_id)["time_in_force"] = TimeInForce.IOC
    assert not orders.may_cancel(table.orders, slot)
    if allowed:
        orders.request_cancel(table.orders, slot)
        assert table.state(order_id) == OrderState.CANCEL_SENT
    assert table.open_lots() == (10, 0)


def test_the_documentation_shows_every_transition():
    lines = transitions_table().splitlines()
    assert lines[:2] == ["| state | event → next state; any other event is an error |", "| --- | --- |"]
    assert len(lines) == 2 + len(OrderState) - 1
    assert lines[2] == "| NEW | SEND → SENT, SEND_FAILED → DONE_REJECTED, REJECT → DONE_REJECTED |"
    assert sum(line.count("→") for line in lines[2:]) == (TABLE != ILLEGAL).sum()


# One order's life.


def test_a_life_from_creation_to_the_last_fill():
    table = Table()
    order_id = table.create(SELL, 101, 10, now_ns=5)
    assert order_id == 1 << SLOT_BITS
    assert table.state(order_id) == OrderState.NEW
    assert orders.is_new(table.orders, order_id)
    assert table.open_lots() == (0, 10)
    table.send(order_id, batch_id=3, now_ns=10)
    order = table.order(order_id)
    assert (table.state(order_id), order["sent_ns"], order["batch_id"]) == (OrderState.SENT, 10, 3)
    assert not orders.is_new(table.orders, order_id)
    assert table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, lots=10, left=555, ts_ns=210) == APPLIED
    assert (order["venue_order_id"], order["acknowledged_ns"]) == (555, 210)
    assert table.row["acknowledgement_ns"] == 200
    fill = {"side": SELL, "ticks": 101}
    assert table.apply(Kind.ORDER_FILLED, order_id, lots=4, left=6, fee=3, ts_ns=300, **fill) == APPLIED
    assert table.state(order_id) == OrderState.PARTIAL
    assert table.open_lots() == (0, 6)
    assert table.apply(Kind.ORDER_FILLED, order_id, lots=6, left=0, fee=-1, maker=0, ts_ns=400, **fill) == APPLIED
    assert table.state(order_id) == OrderState.DONE_FILLED
    assert table.open_lots() == (0, 0)
    position = table.position
    assert (position["position_lots"], position["cash_quanta"], position["fee_micro"]) == (-10, 1010, 2)
    assert (position["maker_quanta"], position["taker_quanta"]) == (404, 606)
    assert (position["traded_lots"], position["fills"], position["active_count"]) == (10, 2, 0)
    assert table.row["acknowledgement_ns"] == 200
    table.check_sums()


def test_a_new_order_holds_nothing_of_the_one_before_it():
    table = Table()
    for name in table.orders.dtype.names:
        table.orders[0][name] = 99
    table.orders[0]["state"] = OrderState.DONE_FILLED
    order_id = int(
        orders.create(table.row, table.position, table.orders, table.active, SELL, 101, 10, TimeInForce.IOC, 1, 5, 8)
    )
    expected = {
        "order_id": order_id, "price_ticks": 101, "size_lots": 10, "remaining_lots": 10, "sent_ns": 5,
        "acknowledged_ns": 0, "expires_ns": 8, "venue_order_id": 0, "state": OrderState.NEW, "side": SELL,
        "time_in_force": TimeInForce.IOC, "reduce_only": 1, "batch_id": 0, "unknown_ns": 0, "replacement_ticks": 0,
        "replacement_lots": 0,
    }  # fmt: skip
    assert {name: int(table.orders[0][name]) for name in table.orders.dtype.names} == expected


def test_a_late_acknowledgement_does_not_bring_back_what_was_filled():
    table = Table()
    order_id = table.create()
    table.send(order_id)
    table.apply(Kind.ORDER_FILLED, order_id, lots=4, left=6)
    assert table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, lots=10, left=9) == APPLIED
    assert table.state(order_id) == OrderState.PARTIAL
    assert table.open_lots() == (6, 0)
    table.apply(Kind.ORDER_FILLED, order_id, lots=6, left=0)
    assert table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, lots=10, left=9) == IGNORED
    assert table.open_lots() == (0, 0)
    assert table.row["illegal_transitions"] == 0


def test_an_acknowledgement_may_say_that_less_rests_than_was_sent():
    table = Table()
    order_id = table.create()
    table.send(order_id)
    table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, lots=7, left=9)
    assert table.open_lots() == (7, 0)


def test_fills_that_overtake_each_other_leave_what_the_later_one_said():
    """Of 10, first 3 then 2 are filled; the second notice comes first."""
    table = Table()
    order_id = table.placed()
    table.apply(Kind.ORDER_FILLED, order_id, lots=2, left=5)
    table.apply(Kind.ORDER_FILLED, order_id, lots=3, left=7)
    assert table.position["position_lots"] == 5
    assert table.open_lots() == (5, 0)


def test_a_fill_that_comes_twice_is_booked_twice():
    """The core cannot know: whoever feeds it drops repeated trade ids. The worst case does not double."""
    table = Table()
    order_id = table.placed()
    for _ in range(2):
        assert table.apply(Kind.ORDER_FILLED, order_id, lots=10, left=0) in (APPLIED, ORPHAN_FILL)
    assert table.position["position_lots"] == 20
    assert table.row["orphan_fills"] == 1
    assert table.open_lots() == (0, 0)


@pytest.mark.parametrize("end", [(Kind.ORDER_CANCELLED, 0), (Kind.ORDER_EXPIRED, 0)])
def test_a_fill_after_the_end_counts_as_money_and_is_no_fault(end):
    table = Table()
    order_id = table.placed()
    table.apply(end[0], order_id)
    assert table.apply(Kind.ORDER_FILLED, order_id, lots=4, left=6) == ORPHAN_FILL
    assert (table.position["position_lots"], table.row["orphan_fills"]) == (4, 1)
    assert table.row["illegal_transitions"] == 0


@pytest.mark.parametrize("late", [(Kind.ORDER_ACKNOWLEDGED, 10), (Kind.ORDER_FILLED, 4)])
def test_life_after_a_rejection_is_a_contradiction(late):
    """The order that we count as dead may rest: only a person can tell."""
    table = Table()
    order_id = table.create()
    table.send(order_id)
    table.apply(Kind.ORDER_REJECTED, order_id, left=Refusal.MARGIN)
    assert table.apply(late[0], order_id, lots=late[1], left=6) == FAULT
    assert table.row["illegal_transitions"] == 1
    assert table.position["position_lots"] == (4 if late[0] == Kind.ORDER_FILLED else 0)


def test_news_of_an_order_whose_slot_was_used_again():
    table = Table()
    first = table.placed()
    table.apply(Kind.ORDER_CANCELLED, first)
    for _ in range(ORDERS_PER_MARKET):
        table.apply(Kind.ORDER_CANCELLED, table.placed())
    second = table.create(SELL, 101, 3)
    assert orders.find(table.orders, first) == -1
    assert table.apply(Kind.ORDER_ACKNOWLEDGED, first, lots=10) == IGNORED
    assert table.apply(Kind.ORDER_FILLED, first, lots=4, left=6) == ORPHAN_FILL
    assert table.position["position_lots"] == 4
    assert table.state(second) == OrderState.NEW
    assert table.open_lots() == (0, 3)
    orders.mark_sent(table.orders, first, 9, 9)
    assert table.order(second)["batch_id"] == 0
    assert not orders.is_new(table.orders, first)


def test_a_fill_of_an_order_that_never_was_is_booked():
    table = Table()
    assert table.apply(Kind.ORDER_FILLED, 0, lots=4, left=0) == ORPHAN_FILL
    assert table.apply(Kind.ORDER_FILLED, -12345, side=SELL, lots=1, left=0) == ORPHAN_FILL
    assert table.apply(Kind.ORDER_FILLED, 1023, lots=1, left=0) == ORPHAN_FILL
    assert (table.position["position_lots"], table.row["orphan_fills"]) == (4, 3)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Kind.ORDER_FILLED, {"lots": 0, "left": 6}),
        (Kind.ORDER_FILLED, {"lots": -4, "left": 6}),
        (Kind.ORDER_FILLED, {"lots": 4, "left": -1}),
        (Kind.ORDER_FILLED, {"lots": 4, "left": 6, "ticks": 0}),
        (Kind.ORDER_FILLED, {"lots": 4, "left": 6, "side": 0}),
        (Kind.ORDER_ACKNOWLEDGED, {"lots": 0}),
        (Kind.ORDER_ACKNOWLEDGED, {"lots": -5}),
        (Kind.COMMAND_SENT, {}),
        (Kind.TRADE, {}),
    ],
)
def test_what_cannot_be_true_is_a_fault_and_changes_nothing(kind, fields):
    table = Table()
    order_id = table.placed()
    before = table.position.copy(), table.order(order_id).copy()
    assert table.apply(kind, order_id, **fields) == FAULT
    assert (table.position, table.order(order_id)) == before
    assert table.row["illegal_transitions"] == 1


def test_a_fill_on_the_other_side_is_money_and_a_fault():
    table = Table()
    order_id = table.placed(BUY)
    assert table.apply(Kind.ORDER_FILLED, order_id, side=SELL, lots=4, left=6) == FAULT
    assert table.position["position_lots"] == -4
    assert table.open_lots() == (10, 0)


# Cancels.


def cancelling(table: Table) -> int:
    order_id = table.placed()
    orders.request_cancel(table.orders, orders.find(table.orders, order_id))
    table.send(order_id, batch_id=2)
    return order_id


@pytest.mark.parametrize("code", [Refusal.NEVER_PLACED, Refusal.CANNOT_MODIFY])
def test_a_cancel_that_finds_nothing_leaves_the_fate_unknown(code):
    """To cancel again would be refused again; the fill that explains it may still come."""
    table = Table()
    order_id = cancelling(table)
    assert table.apply(Kind.CANCEL_REJECTED, order_id, left=code, ts_ns=50) == APPLIED
    assert table.state(order_id) == OrderState.UNKNOWN
    assert table.order(order_id)["unknown_ns"] == 50
    assert table.open_lots() == (10, 0)
    assert not orders.may_cancel(table.orders, orders.find(table.orders, order_id))
    table.apply(Kind.ORDER_FILLED, order_id, lots=4, left=6, ts_ns=60)
    assert (table.state(order_id), table.order(order_id)["unknown_ns"]) == (OrderState.PARTIAL, 0)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.CANCEL_REJECTED, Refusal.REQUEST_LOST),
        (Kind.COMMAND_REFUSED, 1),
        (Kind.COMMAND_SEND_FAILED, 0),
    ],
)
def test_a_cancel_that_did_not_reach_the_venue_leaves_the_order_open(kind, code):
    table = Table()
    order_id = cancelling(table)
    assert table.apply(kind, order_id, left=code) == APPLIED
    assert table.state(order_id) == OrderState.OPEN
    assert table.open_lots() == (10, 0)


@pytest.mark.parametrize("kind", [Kind.COMMAND_REFUSED, Kind.COMMAND_SEND_FAILED])
def test_a_placement_that_never_left_ends(kind):
    table = Table()
    order_id = table.create()
    table.send(order_id)
    assert table.apply(kind, order_id, ts_ns=900) == APPLIED
    assert table.state(order_id) == OrderState.DONE_REJECTED
    assert table.open_lots() == (0, 0)
    # Our own gateway's word says nothing about how fast the venue answers.
    assert table.row["acknowledgement_ns"] == 0


# Times.


def test_silence_is_no_acknowledgement():
    table = Table()
    order_id = table.create()
    table.send(order_id, now_ns=10)
    for ts_ns in (500, 600):
        table.apply(Kind.ORDER_UNKNOWN, order_id, ts_ns=ts_ns)
    order = table.order(order_id)
    assert (order["acknowledged_ns"], order["unknown_ns"], table.row["acknowledgement_ns"]) == (0, 500, 0)
    # What a query finds out long after does not measure the venue either.
    table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, lots=10, ts_ns=9000)
    assert (order["acknowledged_ns"], order["unknown_ns"], table.row["acknowledgement_ns"]) == (9000, 0, 0)


@pytest.mark.parametrize(("code", "measured"), [(Refusal.BAD_ALO_PRICE, 90), (Refusal.REQUEST_LOST, 0)])
def test_a_rejection_measures_the_venue_unless_it_never_heard_of_us(code, measured):
    table = Table()
    order_id = table.create()
    table.send(order_id, now_ns=10)
    table.apply(Kind.ORDER_REJECTED, order_id, left=code, ts_ns=100)
    assert table.row["acknowledgement_ns"] == measured


def test_age_of_an_unknown_fate_counts_from_when_it_became_unknown():
    table = Table()
    order_id = cancelling(table)
    table.apply(Kind.ORDER_UNKNOWN, order_id, ts_ns=1_000_000)
    assert table.order(order_id)["unknown_ns"] == 1_000_000
    assert table.apply(Kind.CANCEL_REJECTED, order_id, left=Refusal.REQUEST_LOST, ts_ns=2_000_000) == APPLIED
    assert (table.state(order_id), table.order(order_id)["unknown_ns"]) == (OrderState.UNKNOWN, 1_000_000)


# Which action an answer answers.


def test_news_answers_the_action_of_the_newest_command():
    table = Table()
    order_id = table.create()
    answered = lambda kind, left=0: orders.answered_batch(table.orders, int(kind), order_id, left)  # noqa: E731
    assert answered(Kind.ORDER_ACKNOWLEDGED) == 0
    table.send(order_id, batch_id=3)
    for kind in (Kind.ORDER_ACKNOWLEDGED, Kind.ORDER_REJECTED, Kind.ORDER_FILLED, Kind.ORDER_UNKNOWN):
        assert answered(kind, 5) == 3
    table.order(order_id)["state"] = OrderState.CANCEL_SENT
    for kind, left, batch in [
        (Kind.ORDER_ACKNOWLEDGED, 0, 0),
        (Kind.ORDER_FILLED, 5, 0),
        (Kind.ORDER_FILLED, 0, 3),
        (Kind.ORDER_CANCELLED, 0, 3),
        (Kind.CANCEL_REJECTED, 0, 3),
    ]:
        assert answered(kind, left) == batch
    table.order(order_id)["state"] = OrderState.REPLACING
    assert (answered(Kind.ORDER_ACKNOWLEDGED), answered(Kind.ORDER_FILLED, 5)) == (3, 0)
    assert orders.answered_batch(table.orders, int(Kind.ORDER_ACKNOWLEDGED), order_id + (1 << SLOT_BITS), 0) == 0


# Slots.


def test_a_full_table_refuses_and_an_end_makes_room():
    table = Table()
    ids = [table.create() for _ in range(ORDERS_PER_MARKET)]
    assert len(set(ids)) == ORDERS_PER_MARKET
    assert table.create() == 0
    assert table.row["orders_open"] == ORDERS_PER_MARKET
    table.apply(Kind.COMMAND_SEND_FAILED, ids[40])
    again = table.create()
    assert again & ((1 << SLOT_BITS) - 1) == 40
    assert orders.find(table.orders, ids[40]) == -1
    assert table.create() == 0
    table.check_sums()


def test_slots_are_used_in_turn():
    """What is done stays readable for as long as it can."""
    table = Table()
    slots = []
    for _ in range(ORDERS_PER_MARKET + 2):
        order_id = table.placed()
        slots.append(order_id & ((1 << SLOT_BITS) - 1))
        table.apply(Kind.ORDER_CANCELLED, order_id)
    assert slots == [*range(ORDERS_PER_MARKET), 0, 1]


# Anything in any order.

KINDS = [
    Kind.ORDER_ACKNOWLEDGED, Kind.ORDER_REJECTED, Kind.ORDER_FILLED, Kind.ORDER_CANCELLED, Kind.ORDER_EXPIRED,
    Kind.ORDER_UNKNOWN, Kind.CANCEL_REJECTED, Kind.COMMAND_SEND_FAILED, Kind.COMMAND_REFUSED,
]  # fmt: skip
ACTIONS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from([BUY, SELL]), st.integers(1, 50)),
    st.tuples(st.just("send"), st.integers(0, 5), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0)),
    st.tuples(st.sampled_from(KINDS), st.integers(0, 8), st.integers(0, 60)),
)


@settings(max_examples=60)
@given(st.lists(ACTIONS, min_size=5, max_size=40))
def test_worst_case_and_position_are_sums_whatever_comes_in_whatever_order(actions):
    table = Table()
    ids: list[int] = []
    position = cash = 0
    for what, first, second in actions:
        if what == "create":
            ids.append(table.create(first, 100 + second, second))
        elif not ids:
            continue
        elif what == "send":
            table.send(ids[first % len(ids)])
        elif what == "cancel":
            slot = orders.find(table.orders, ids[first % len(ids)])
            if orders.may_cancel(table.orders, slot):
                orders.request_cancel(table.orders, slot)
        else:
            order_id = ids[-1 - first] if first < len(ids) else 999_999
            side = int(table.order(order_id)["side"]) if first < len(ids) else BUY
            left = second // 2
            outcome = table.apply(what, order_id, side=side, ticks=100, lots=second, left=left)
            if what == Kind.ORDER_FILLED and second > 0:
                position += side * second
                cash -= side * 100 * second
            if outcome == ORPHAN_FILL:
                assert what == Kind.ORDER_FILLED
        table.check_sums()
        assert (table.position["position_lots"], table.position["cash_quanta"]) == (position, cash)
    assert np.count_nonzero(table.orders["state"] == OrderState.FREE) == ORDERS_PER_MARKET - len(ids)


# Modifications.


def amended(lots: int = 10, by: int = 6) -> tuple[Table, int]:
    """An order of `lots` at 100 that is being replaced by one of `by` at 101."""
    table = Table()
    order_id = table.placed(lots=lots)
    slot = order_id & ((1 << SLOT_BITS) - 1)
    assert orders.may_amend(table.orders, slot)
    orders.request_amend(table.position, table.orders, slot, 101, by, 99)
    assert table.state(order_id) == OrderState.REPLACING
    assert not orders.may_amend(table.orders, slot)
    assert table.open_lots() == (lots + by, 0)
    table.check_sums()
    return table, order_id


def test_both_count_until_the_venue_says_which_rests():
    table, order_id = amended()
    assert orders.is_replacing(table.orders, order_id)
    assert not orders.is_replacing(table.orders, order_id + 1)
    assert table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, ticks=101, lots=6, left=8) == APPLIED
    order = table.order(order_id)
    assert (table.state(order_id), order["price_ticks"], order["remaining_lots"]) == (OrderState.OPEN, 101, 6)
    assert (order["venue_order_id"], order["expires_ns"], order["size_lots"]) == (8, 99, 6)
    assert table.open_lots() == (6, 0)
    assert orders.may_amend(table.orders, order_id & 1023)


def test_an_acknowledgement_without_a_price_is_that_of_the_new_order():
    table, order_id = amended()
    table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, ticks=0, lots=6)
    assert table.order(order_id)["price_ticks"] == 101


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.COMMAND_SEND_FAILED, 0),
        (Kind.COMMAND_REFUSED, 0),
        (Kind.CANCEL_REJECTED, Refusal.REQUEST_LOST),
    ],
)
def test_a_modification_that_was_not_carried_out_leaves_the_order_as_it_was(kind, code):
    table, order_id = amended()
    table.apply(Kind.ORDER_FILLED, order_id, lots=3, left=13)
    assert (table.state(order_id), table.open_lots()) == (OrderState.REPLACING, (13, 0))
    assert table.apply(kind, order_id, left=code) == APPLIED
    order = table.order(order_id)
    assert (table.state(order_id), order["price_ticks"], order["remaining_lots"]) == (OrderState.OPEN, 100, 7)
    assert (table.open_lots(), order["replacement_lots"]) == ((7, 0), 0)


def test_a_modification_whose_fate_is_unknown_counts_twice_until_it_is_known():
    table, order_id = amended()
    assert table.apply(Kind.ORDER_UNKNOWN, order_id) == APPLIED
    table.apply(Kind.ORDER_FILLED, order_id, lots=2, left=14)
    assert (table.state(order_id), table.open_lots()) == (OrderState.PARTIAL, (14, 0))
    assert not orders.may_amend(table.orders, order_id & 1023)
    table.apply(Kind.ORDER_ACKNOWLEDGED, order_id, ticks=101, lots=4)
    assert (table.order(order_id)["price_ticks"], table.open_lots()) == (101, (4, 0))


@pytest.mark.parametrize("kind", [Kind.ORDER_REJECTED, Kind.ORDER_CANCELLED, Kind.ORDER_EXPIRED])
def test_the_end_of_both_is_the_end(kind):
    table, order_id = amended()
    assert table.apply(kind, order_id) == APPLIED
    assert (table.open_lots(), table.row["orders_open"]) == ((0, 0), 0)


def test_what_does_not_rest_post_only_is_not_amended():
    table = Table()
    waiting = table.create()
    assert not orders.may_amend(table.orders, waiting & 1023)
    resting = table.placed()
    table.order(resting)["time_in_force"] = TimeInForce.GTC
    assert not orders.may_amend(table.orders, resting & 1023)
