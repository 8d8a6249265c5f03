"""Answers, refusals and silence: what they mean for each order of an action."""

from __future__ import annotations

from typing import Any

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.answers import LegStatus, Outcome
from hlhft.hyperliquid.cloids import REVISION_MAX
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import FateCode, FatesError, FateSettings, Reason, Sent
from hlhft.hyperliquid.fates_table import State
from hlhft.hyperliquid.fates_words import DURING_MODIFY
from hlhft.hyperliquid.packing import ActionKind
from tests.hyperliquid.fate_news import (
    IOC,
    LATER,
    LIFE_MS,
    NOW,
    SUCCESS,
    T0,
    S,
    cancels,
    cloid,
    command,
    commands,
    error,
    field,
    fill,
    fills,
    kinds,
    modifies,
    new_fates,
    ok,
    orders,
    placed,
    resting,
    rests,
    status,
    takes,
    update,
)

K = EventKind
ALO_TEXT = "Post only order would have immediately matched, bbo was 1@2. asset=1"
GONE_TEXT = "Order was never placed, already canceled, or filled. asset=1"


def codes(fates: Fates) -> list[FateCode]:
    return [report.code for report in fates.take_reports()]


def told(rows: list[Any], *names: str) -> list[tuple[int, ...]]:
    return [tuple(field(row, name) for name in names) for row in rows]


# What leaves.


def test_an_action_is_in_flight_until_it_is_answered() -> None:
    fates = placed(1024, 2049)
    assert fates.in_flight == 1
    assert [one.state for one in fates.live_orders()] == [State.SENT] * 2
    assert fates.last_expiry_ms == T0 + LIFE_MS
    fates.answered(1, ok(rests(7), rests(8)), NOW)
    assert fates.in_flight == 0
    assert fates.last_expiry_ms == 0


def test_an_action_that_is_about_no_order_changes_nothing() -> None:
    fates = new_fates()
    assert fates.sent(Sent(ActionKind.NOOP, 1, None, 0, commands())) == []
    assert fates.in_flight == 0


def test_what_cannot_be_sent_is_said_and_leaves_no_trace() -> None:
    fates = resting(1024)
    for action, reason in (
        (orders(2, command(2049), expires_ms=None), "has no expiry"),
        (orders(2, command(2049), command(1024)), "order 1024 is in the books"),
        (orders(2, command(2049), command(2049)), "names an order twice"),
        (modifies(2, command(2049)), "order 2049 is over"),
        (Sent(ActionKind.MODIFY, 2, None, 1, commands(command(1024))), "has no expiry"),
    ):
        with pytest.raises(FatesError, match=reason):
            fates.sent(action)
    assert [one.order_id for one in fates.live_orders()] == [1024]
    assert fates.in_flight == 0
    fates.sent(orders(2, command(2049)))
    with pytest.raises(FatesError, match="nonce 2 is under way"):
        fates.sent(orders(2, command(3074)))


def test_there_is_room_for_so_many() -> None:
    fates = new_fates(settings=FateSettings(live_max=2))
    assert fates.has_room(2)
    with pytest.raises(FatesError, match="0 orders are not over"):
        fates.sent(orders(1, command(1), command(2), command(3)))
    fates.sent(orders(1, command(1), command(2)))
    assert not fates.has_room(1)


def test_an_order_can_be_modified_so_often() -> None:
    fates = resting(1024)
    for revision in range(1, REVISION_MAX + 1):
        fates.sent(modifies(100 + revision, command(1024)))
        fates.refused(100 + revision, "Insufficient margin to place order.", NOW)
    with pytest.raises(FatesError, match="was modified 255 times"):
        fates.sent(modifies(9, command(1024)))


def test_a_command_without_a_time_is_as_old_as_its_nonce() -> None:
    fates = new_fates()
    fates.sent(orders(T0 + 5, command(1024, ts_ns=0)))
    assert fates.live_orders()[0].sent_ns == (T0 + 5) * 1_000_000


def test_the_oldest_unanswered_action_is_given_up() -> None:
    fates = new_fates(settings=FateSettings(flights_max=1))
    fates.sent(orders(1, command(1024)))
    rows = fates.sent(orders(2, command(2049)))
    assert told(rows, "kind", "order_id") == [(K.ORDER_UNKNOWN, 1024)]
    assert codes(fates) == [FateCode.GIVEN_UP]
    assert [one.order_id for one in fates.doubts(NOW)] == [1024]


def test_what_never_left_is_over() -> None:
    fates = placed(1024, 2049)
    rows = fates.never_left(1, NOW)
    assert told(rows, "kind", "order_id", "aux0") == [
        (K.COMMAND_SEND_FAILED, 1024, 0), (K.COMMAND_SEND_FAILED, 2049, 0)
    ]  # fmt: skip
    assert fates.live_orders() == ()
    assert fates.never_left(1, NOW) == []


def test_a_cancel_that_never_left_is_told_where_the_core_waits_for_it() -> None:
    fates = resting(1024, 2049, 3074)
    fates.sent(cancels(2, 1024, 777))
    assert told(fates.never_left(2, NOW), "kind", "order_id") == [(K.COMMAND_SEND_FAILED, 1024)]
    fates.sent(cancels(3, 1024, batch_id=0))
    assert fates.never_left(3, NOW) == [], "the core did not ask for it"
    fates.sent(cancels(4, 2049))
    fates.silent(4, NOW)
    assert fates.never_left(4, NOW) == []
    fates.sent(cancels(5, 3074))
    fates.filled(fills(fill(3074, 1, 10)), NOW)
    assert fates.never_left(5, NOW) == []


# Answers.


def test_each_status_reaches_its_order() -> None:
    fates = placed(1024, 2049, 3074)
    rows = fates.answered(1, ok(rests(7), error(ALO_TEXT), takes(9, "0.001")), NOW)
    assert told(rows, "kind", "order_id", "aux0") == [(K.ORDER_ACKNOWLEDGED, 1024, 7), (K.ORDER_REJECTED, 2049, 5)]
    assert [(one.order_id, one.state) for one in fates.live_orders()] == [(1024, State.LIVE), (3074, State.ENDING)]


def test_what_was_filled_at_once_ends_with_its_fills() -> None:
    fates = placed(1024)
    assert fates.answered(1, ok(takes(1124, "0.001")), NOW) == []
    assert [one.reason for one in fates.doubts(NOW + S)] == [Reason.FILLS_MISSING]
    assert told(fates.filled(fills(fill(1024, 1, 10)), NOW), "kind", "aux0") == [(K.ORDER_FILLED, 0)]
    assert fates.doubts(NOW + S) == ()


def test_the_rest_of_an_immediate_order_is_gone() -> None:
    fates = placed(1024, time_in_force=IOC)
    assert fates.answered(1, ok(takes(1124, "0.0004")), NOW) == []
    rows = fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert told(rows, "kind", "size_lots") == [(K.ORDER_FILLED, 4), (K.ORDER_EXPIRED, 6)]


def test_the_venues_own_sum_is_better_than_a_difference() -> None:
    fates = placed(1024, time_in_force=IOC)
    fates.updated(update(1024, "filled", left=0), NOW)
    fates.answered(1, ok(takes(1124, "0.0004")), NOW)
    assert kinds(fates.filled(fills(fill(1024, 1, 4)), NOW)) == [K.ORDER_FILLED, K.ORDER_EXPIRED]
    assert codes(fates) == []


def test_the_rest_of_an_order_that_took_rests() -> None:
    fates = placed(1024)
    (row,) = fates.answered(1, ok(takes(1124, "0.0004")), NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_ACKNOWLEDGED, 10), "four are filled and not booked"
    assert [one.reason for one in fates.doubts(NOW + S)] == [Reason.FILLS_MISSING]
    fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert fates.doubts(NOW + S) == ()


def test_a_size_that_is_none_still_says_that_it_was_taken() -> None:
    fates = placed(1024)
    assert kinds(fates.answered(1, ok(takes(1124, "?")), NOW)) == [K.ORDER_ACKNOWLEDGED]
    assert codes(fates) == [FateCode.UNREADABLE]


def test_one_error_stands_for_a_whole_batch() -> None:
    fates = placed(1024, 2049)
    rows = fates.answered(1, ok(error("Order has invalid price.")), NOW)
    assert told(rows, "order_id", "aux0") == [(1024, 10), (2049, 10)]


@pytest.mark.parametrize(
    "statuses", [(), (rests(7),), (rests(7), rests(8), rests(9)), (error("x"), error("x"), error("x"))]
)
def test_an_answer_that_does_not_fit_leaves_its_orders_unknown(statuses: tuple[LegStatus, ...]) -> None:
    fates = placed(1024, 2049)
    assert kinds(fates.answered(1, ok(*statuses), NOW)) == [K.ORDER_UNKNOWN] * 2
    assert codes(fates) == [FateCode.MISFIT]
    assert [one.reason for one in fates.doubts(NOW)] == [Reason.UNRECOGNISED] * 2


def test_an_answer_under_another_name_is_not_taken() -> None:
    fates = placed(1024, 2049)
    rows = fates.answered(1, ok(rests(7, cloid=cloid(1024)), rests(8, cloid=cloid(1024))), NOW)
    assert kinds(rows) == [K.ORDER_ACKNOWLEDGED, K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.MISFIT]


@pytest.mark.parametrize(
    "outcome", [Outcome.SUCCESS, Outcome.WAITING_FOR_FILL, Outcome.WAITING_FOR_TRIGGER, Outcome.UNRECOGNISED]
)
def test_a_status_that_an_order_cannot_have_is_loud(outcome: Outcome) -> None:
    fates = placed(1024)
    assert kinds(fates.answered(1, ok(LegStatus(outcome=outcome, text="new")), NOW)) == [K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.UNRECOGNISED_STATUS]


def test_an_error_that_is_new_is_a_refusal_and_reported() -> None:
    fates = placed(1024)
    assert told(fates.answered(1, ok(error("The moon is full.")), NOW), "kind", "aux0") == [(K.ORDER_REJECTED, 0)]
    (report,) = fates.take_reports()
    assert (report.code, report.order_id) == (FateCode.UNRECOGNISED_ERROR, 1024)
    assert report.detail.endswith("The moon is full.")


def test_a_second_answer_is_late() -> None:
    fates = resting(1024)
    assert fates.answered(1, ok(error(ALO_TEXT)), NOW) == []
    assert fates.refused(1, "Invalid nonce", NOW) == []
    assert fates.counters["late"] == 2
    assert len(fates.live_orders()) == 1


def test_a_refusal_of_what_rests_is_asked_about() -> None:
    fates = placed(1024)
    fates.updated(update(1024, "open"), NOW)
    assert kinds(fates.answered(1, ok(error(ALO_TEXT)), NOW)) == [K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert [one.reason for one in fates.doubts(NOW)] == [Reason.CONTRADICTED]
    assert kinds(fates.status_read(1024, status(1024, "open"), LATER, NOW)) == [K.ORDER_ACKNOWLEDGED]


def test_another_venue_id_than_before_is_reported() -> None:
    fates = placed(1024)
    fates.updated(update(1024, "open"), NOW)
    fates.answered(1, ok(rests(9)), NOW)
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert fates.live_orders()[0].oid == 1124


# Refusals of whole actions.


def test_a_whole_refusal_reaches_every_order() -> None:
    fates = placed(1024, 2049)
    rows = fates.refused(1, "Action already expired", NOW)
    assert told(rows, "kind", "order_id", "aux0") == [(K.ORDER_REJECTED, 1024, 13), (K.ORDER_REJECTED, 2049, 13)]
    assert fates.in_flight == 0


def test_an_answer_that_refuses_is_a_refusal() -> None:
    fates = placed(1024)
    assert kinds(fates.answered(1, ok().__class__(is_ok=False, text="Must deposit before"), NOW)) == [K.ORDER_REJECTED]


def test_a_used_nonce_proves_nothing_and_the_first_answer_still_counts() -> None:
    fates = placed(1024)
    assert kinds(fates.refused(1, "Invalid nonce: duplicate", NOW)) == [K.ORDER_UNKNOWN]
    assert fates.in_flight == 1
    assert kinds(fates.answered(1, ok(rests(7)), NOW)) == [K.ORDER_ACKNOWLEDGED]
    assert fates.doubts(NOW + 9 * S) == ()


def test_a_refusal_of_the_second_post_proves_nothing_of_the_first() -> None:
    fates = placed(1024)
    fates.reposted(1)
    fates.reposted(99)
    assert kinds(fates.refused(1, "Action already expired", NOW)) == [K.ORDER_UNKNOWN]
    assert kinds(fates.status_read(1024, status(1024, "open"), T0, NOW)) == [K.ORDER_ACKNOWLEDGED]


def test_a_refused_cancel_leaves_the_order_resting() -> None:
    fates = resting(1024, 2049)
    fates.filled(fills(fill(2049, 1, 10)), NOW)
    fates.sent(Sent(ActionKind.CANCEL, 2, None, 1, commands(command(1024), command(2049), command(777))))
    rows = fates.refused(2, "Too many cumulative requests sent (3 > 2) for", NOW)
    assert told(rows, "kind", "order_id") == [(K.CANCEL_REJECTED, 1024)]


# Silence.


def test_silence_makes_unknown_what_nobody_heard_of() -> None:
    fates = placed(1024, 2049)
    fates.updated(update(1024, "open"), NOW)
    assert told(fates.silent(1, NOW), "kind", "order_id") == [(K.ORDER_UNKNOWN, 2049)]
    assert fates.silent(1, NOW) == []
    assert fates.silent(77, NOW) == []
    (doubt,) = fates.doubts(NOW)
    assert (doubt.order_id, doubt.cloid, doubt.oid, doubt.reason) == (2049, cloid(2049), 0, Reason.SILENT)


def test_an_immediate_order_without_an_answer_may_be_over() -> None:
    fates = placed(1024, time_in_force=IOC)
    fates.updated(update(1024, "open"), NOW)
    assert kinds(fates.silent(1, NOW)) == [K.ORDER_UNKNOWN]
    assert fates.status_read(1024, status(1024, "filled", left=6), T0, NOW) == []
    assert kinds(fates.filled(fills(fill(1024, 1, 4)), NOW)) == [K.ORDER_FILLED, K.ORDER_EXPIRED]


def test_a_silent_cancel_may_have_worked() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024, 777))
    assert kinds(fates.silent(2, NOW)) == [K.ORDER_UNKNOWN]
    assert fates.updated(update(1024, "open", time_ms=1), NOW) == [], "that may be older than the cancel"
    assert kinds(fates.answered(2, ok(SUCCESS, SUCCESS, kind="cancel"), NOW)) == []
    assert kinds(fates.updated(update(1024, "canceled"), NOW)) == [K.ORDER_CANCELLED]


def test_a_noop_under_its_nonce_proves_that_an_action_never_came() -> None:
    fates = placed(1024)
    fates.silent(1, NOW)
    (row,) = fates.voided(1, NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_REJECTED, 22)
    assert fates.voided(1, NOW) == []
    fates.updated(update(1024, "open"), NOW)
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert fates.is_done(1024)


def test_a_noop_under_the_nonce_of_what_lives_contradicts() -> None:
    fates = placed(1024)
    fates.updated(update(1024, "open"), NOW)
    assert fates.voided(1, NOW) == []
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert not fates.is_done(1024)


def test_a_voided_cancel_says_nothing_of_its_order() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    assert fates.voided(2, NOW) == []
    assert fates.in_flight == 0


# Cancels.


def test_a_cancel_that_worked_ends_an_order_once_its_fills_are_known() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    assert fates.answered(2, ok(SUCCESS, kind="cancel"), NOW) == []
    (doubt,) = fates.doubts(NOW + S)
    assert (doubt.reason, doubt.oid) == (Reason.END_UNTOLD, 1124)
    rows = fates.status_read(1024, status(1024, "canceled", left=10), T0, NOW)
    assert told(rows, "kind", "size_lots", "aux0") == [(K.ORDER_CANCELLED, 10, 21)]


def test_a_success_about_what_is_over_changes_nothing() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    fates.updated(update(1024, "canceled"), NOW)
    assert fates.answered(2, ok(SUCCESS, kind="cancel"), NOW) == []
    assert codes(fates) == []


def test_nothing_to_cancel_is_unknown_until_somebody_says_why() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    assert kinds(fates.answered(2, ok(error(GONE_TEXT), kind="cancel"), NOW)) == [K.ORDER_UNKNOWN]
    assert fates.doubts(NOW) == (), "a fill may be on its way"
    assert [one.reason for one in fates.doubts(NOW + S)] == [Reason.NOTHING_TO_CANCEL]
    assert told(fates.filled(fills(fill(1024, 1, 10)), NOW), "kind", "aux0") == [(K.ORDER_FILLED, 0)]


def test_nothing_to_cancel_of_what_is_over_is_nothing() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    fates.filled(fills(fill(1024, 1, 10)), NOW)
    assert fates.answered(2, ok(error(GONE_TEXT), kind="cancel"), NOW) == []
    assert fates.doubts(NOW + 9 * S) == ()


def test_another_refusal_of_a_cancel_leaves_the_order_resting() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    rows = fates.answered(2, ok(error("Fast cancel cannot cancel trigger orders."), kind="cancel"), NOW)
    assert told(rows, "kind", "aux0") == [(K.CANCEL_REJECTED, 23)]


def test_a_cancel_is_not_answered_as_an_order() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    assert kinds(fates.answered(2, ok(rests(1124), kind="cancel"), NOW)) == [K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.UNRECOGNISED_STATUS]


def test_a_cancel_of_another_session_is_not_ours_of_the_same_number() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024, session=2))
    assert fates.answered(2, ok(SUCCESS, kind="cancel"), NOW) == []
    assert fates.live_orders()[0].state is State.LIVE


def test_a_cancel_may_name_a_revision() -> None:
    fates = resting(1024)
    fates.sent(modifies(2, command(1024)))
    legs = commands(command(1024, kind=2), command(1024, kind=2))
    fates.sent(Sent(ActionKind.CANCEL, 3, None, 0, legs, revisions=(0, 5)))
    fates.answered(3, ok(SUCCESS, SUCCESS, kind="cancel"), NOW)
    assert [(one.revision, one.state) for one in fates.live_orders()] == [(0, State.ENDING), (1, State.SENT)]


# Modifications.


def modified(kind: ActionKind = ActionKind.BATCH_MODIFY, **more: int) -> Fates:
    fates = resting(1024)
    fates.sent(modifies(2, command(1024, **more), kind=kind))
    return fates


def test_a_single_modification_is_answered_without_a_status() -> None:
    fates = modified(ActionKind.MODIFY)
    assert fates.answered(2, ok(kind="default"), NOW) == []
    (row,) = fates.updated(update(1024, "canceled"), NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_ACKNOWLEDGED, 0), "its venue id comes with its update"


def test_a_refused_post_only_modification_may_have_cancelled_the_order() -> None:
    fates = modified()
    assert fates.answered(2, ok(error(ALO_TEXT)), NOW) == [], "nobody knows yet"
    assert fates.doubts(NOW) == ()
    assert [one.reason for one in fates.doubts(NOW + S)] == [Reason.MODIFIED]
    rows = fates.updated(update(1024, "canceled"), NOW)
    assert told(rows, "kind", "aux0") == [(K.ORDER_REJECTED, 5)]
    assert fates.is_done(1024)


def test_or_it_rests_as_before() -> None:
    fates = modified()
    fates.answered(2, ok(error(ALO_TEXT)), NOW)
    rows = fates.status_read(1024, status(1024, "open"), T0, NOW, revision=0)
    assert told(rows, "kind", "aux0", "size_lots") == [(K.CANCEL_REJECTED, 5, 0), (K.ORDER_ACKNOWLEDGED, 1124, 10)]
    assert fates.doubts(NOW + 9 * S) == ()


def test_nothing_to_modify_is_unknown() -> None:
    fates = modified()
    assert kinds(fates.answered(2, ok(error("Cannot modify canceled or filled order asset=1")), NOW)) == [
        K.ORDER_UNKNOWN
    ]
    assert told(fates.filled(fills(fill(1024, 1, 10)), NOW), "kind", "aux0") == [(K.ORDER_FILLED, 0)]


def test_the_text_of_a_single_modification_says_that_the_order_was_cancelled() -> None:
    fates = modified(ActionKind.MODIFY)
    assert fates.refused(2, DURING_MODIFY + ALO_TEXT, NOW) == []
    assert told(fates.updated(update(1024, "canceled"), NOW), "kind", "aux0") == [(K.ORDER_REJECTED, 5)]


def test_the_text_of_a_single_modification_says_that_there_was_none() -> None:
    fates = modified(ActionKind.MODIFY)
    assert kinds(fates.refused(2, "Cannot modify canceled or filled order", NOW)) == [K.ORDER_UNKNOWN]


def test_a_whole_refusal_leaves_what_was_to_be_modified_alone() -> None:
    fates = modified()
    rows = fates.refused(2, "Action already expired", NOW)
    assert told(rows, "kind", "aux0") == [(K.CANCEL_REJECTED, 13), (K.ORDER_ACKNOWLEDGED, 1124)]


def test_a_refusal_after_the_order_was_filled_is_no_news_of_it() -> None:
    fates = modified()
    assert told(fates.filled(fills(fill(1024, 1, 10)), NOW), "kind", "aux0") == [(K.ORDER_FILLED, 10)]
    rows = fates.answered(2, ok(error("Cannot modify canceled or filled order")), NOW)
    assert told(rows, "kind", "size_lots") == [(K.ORDER_CANCELLED, 0)]
    assert fates.is_done(1024)


def test_a_refusal_while_the_order_is_in_doubt_adds_none() -> None:
    fates = resting(1024)
    fates.sent(cancels(3, 1024))
    fates.silent(3, NOW)
    fates.sent(modifies(2, command(1024)))
    fates.answered(2, ok(error(ALO_TEXT)), NOW)
    assert [one.reason for one in fates.doubts(NOW + S)] == [Reason.SILENT]


def test_a_modification_that_never_left_changes_nothing() -> None:
    fates = modified()
    rows = fates.never_left(2, NOW)
    assert told(rows, "kind", "aux0") == [(K.CANCEL_REJECTED, 22), (K.ORDER_ACKNOWLEDGED, 1124)]


def test_a_silent_modification_leaves_both_possible() -> None:
    fates = modified(size_lots=7)
    assert kinds(fates.silent(2, NOW)) == [K.ORDER_UNKNOWN]
    assert [one.left_lots for one in fates.live_orders()] == [10, 7]
    assert kinds(fates.voided(2, NOW)) == [K.ORDER_ACKNOWLEDGED]
    assert [one.left_lots for one in fates.live_orders()] == [10]
