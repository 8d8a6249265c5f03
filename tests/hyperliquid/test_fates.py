"""The life of orders as a whole: what leaves, what comes back, what the core is told and what stays open."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.cloids import CloidError
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import DEFAULTS, Doubt, FateCode, Identity, LiveOrder, Question, Reason
from hlhft.hyperliquid.fates_table import State
from tests.hyperliquid.fate_news import (
    ETH,
    LATER,
    LIFE_MS,
    NOW,
    OWNER,
    SESSION,
    SUCCESS,
    T0,
    S,
    cancels,
    cloid,
    command,
    ended,
    error,
    field,
    fill,
    fills,
    kinds,
    markets,
    modifies,
    new_fates,
    ok,
    open_order,
    orders,
    placed,
    resting,
    rests,
    status,
    update,
)

K = EventKind


def test_an_order_that_rests_fills_and_ends() -> None:
    fates = placed(1024)
    (row,) = fates.answered(1, ok(rests(7)), NOW)
    assert kinds([row]) == [K.ORDER_ACKNOWLEDGED]
    assert (field(row, "order_id"), field(row, "aux0"), field(row, "size_lots")) == (1024, 7, 10)
    (part,) = fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert (field(part, "size_lots"), field(part, "aux0"), field(part, "aux1")) == (4, 6, 5)
    (last,) = fates.filled(fills(fill(1024, 2, 6)), NOW)
    assert field(last, "aux0") == 0
    assert fates.is_done(1024)
    assert fates.live_orders() == ()


def test_a_cancel_is_told_when_it_is_known_how_much_was_filled() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    assert fates.answered(2, ok(SUCCESS, kind="cancel"), NOW) == []
    assert fates.updated(update(1024, "canceled", left=6), NOW) == [], "four lots of fills are on their way"
    rows = fates.filled(fills(fill(1024, 1, 4)), NOW)
    assert kinds(rows) == [K.ORDER_FILLED, K.ORDER_CANCELLED]
    assert field(rows[1], "size_lots") == 6


def test_silence_is_resolved_by_a_reading_past_the_expiry() -> None:
    fates = placed(1024)
    assert kinds(fates.silent(1, NOW)) == [K.ORDER_UNKNOWN]
    (doubt,) = fates.doubts(NOW)
    assert fates.status_read(1024, None, doubt.proof_ms, NOW) == []
    assert kinds(fates.status_read(1024, None, LATER, NOW + 5 * S)) == [K.ORDER_REJECTED]
    assert fates.doubts(NOW + 5 * S) == ()


def test_one_error_for_a_batch_reaches_every_order() -> None:
    fates = placed(1024, 2049)
    rows = fates.answered(1, ok(error("Order has invalid price.")), NOW)
    assert [(field(row, "order_id"), field(row, "aux0")) for row in rows] == [(1024, 10), (2049, 10)]


def test_owner_and_session_are_in_range() -> None:
    with pytest.raises(CloidError):
        Fates(markets(), owner=0, session=1)


# Questions.


def test_a_doubt_says_whom_to_ask_for_and_what_would_prove_it() -> None:
    fates = placed(1024, 2049)
    fates.silent(1, NOW)
    first, second = fates.doubts(NOW)
    assert first == Doubt(
        order_id=1024, revision=0, cloid=cloid(1024), oid=0, market=ETH, reason=Reason.SILENT,
        question=Question.STATUS, since_ms=T0 - DEFAULTS.skew_ms, proof_ms=T0 + LIFE_MS + DEFAULTS.margin_ms,
    )  # fmt: skip
    assert second.order_id == 2049


def test_missing_fills_are_asked_for_by_time() -> None:
    fates = resting(1024)
    fates.updated(update(1024, "filled", left=0), NOW)
    (doubt,) = fates.doubts(NOW + S)
    assert (doubt.reason, doubt.question, doubt.oid) == (Reason.FILLS_MISSING, Question.FILLS, 1124)


def test_live_orders_are_told_oldest_first_and_both_of_a_modification() -> None:
    fates = resting(1024)
    fates.sent(modifies(2, command(1024, price_ticks=990, size_lots=7)))
    fates.sent(orders(3, command(2049, reduce_only=1)))
    old, new, other = fates.live_orders()
    assert fates.live_count == 3
    assert old == LiveOrder(
        order_id=1024, revision=0, session=SESSION, cloid=cloid(1024), oid=1124, market=ETH, side=1, price_ticks=1000,
        left_lots=10, reduce_only=False, state=State.LIVE, sent_ns=NOW,
    )  # fmt: skip
    assert (new.revision, new.price_ticks, new.left_lots, new.state) == (1, 990, 7, State.SENT)
    assert (other.order_id, other.reduce_only) == (2049, True)


def test_an_identity_names_the_newest_that_is_not_over() -> None:
    fates = resting(1024)
    assert fates.identity(1024) == Identity(SESSION, 0, 0, 1124, ETH)
    fates.sent(modifies(2, command(1024)))
    assert fates.identity(1024) == Identity(SESSION, 1, 1, 0, ETH)
    fates.refused(2, "Insufficient margin to place order.", NOW)
    assert fates.identity(1024) == Identity(SESSION, 0, 1, 1124, ETH), "revision 1 is never used again"
    fates.sent(modifies(3, command(1024)))
    assert fates.identity(1024) == Identity(SESSION, 2, 2, 0, ETH)
    assert fates.identity(5) is None


def test_an_order_that_is_being_modified_has_two_names_and_what_is_ending_none() -> None:
    fates = resting(1024)
    assert fates.names(1024) == (Identity(SESSION, 0, 0, 1124, ETH),)
    fates.sent(modifies(2, command(1024)))
    assert fates.names(1024) == (Identity(SESSION, 1, 1, 0, ETH), Identity(SESSION, 0, 1, 1124, ETH))
    fates.sent(cancels(3, 1024, 1024)._replace(revisions=[1, 0]))
    never = error("Order was never placed, already canceled, or filled. asset=0")
    fates.answered(3, ok(never, SUCCESS, kind="cancel"), NOW)
    assert fates.names(1024) == (Identity(SESSION, 1, 1, 0, ETH),), "the one that was there is ending"
    fates.answered(2, ok(error("Cannot modify canceled or filled order")), NOW)
    assert fates.names(1024) == fates.names(5) == ()


def test_what_is_not_in_the_books_is_done() -> None:
    fates = placed(1024)
    assert fates.is_done(5)
    assert not fates.is_done(1024)


def test_the_last_expiry_is_that_of_what_may_still_arrive() -> None:
    fates = Fates(markets(), owner=OWNER, session=SESSION, earlier_expiry_ms=T0 + 50)
    assert fates.last_expiry_ms == T0 + 50
    fates.sent(orders(1, command(1024), expires_ms=T0 + 100))
    fates.sent(orders(2, command(2049), expires_ms=T0 + 90))
    assert fates.last_expiry_ms == T0 + 100
    fates.answered(1, ok(rests(7)), NOW)
    assert fates.last_expiry_ms == T0 + 90


def test_empty_is_only_said_once_earlier_sessions_cannot_place_any_more() -> None:
    fates = Fates(markets(), owner=OWNER, session=SESSION, earlier_expiry_ms=T0)
    fates.listed([], T0 + DEFAULTS.margin_ms, NOW, NOW)
    assert not fates.is_empty_proven
    fates.listed([], T0 + DEFAULTS.margin_ms + 1, NOW, NOW)
    assert fates.is_empty_proven


def test_empty_is_not_said_while_anything_is_open() -> None:
    fates = resting(1024)
    fates.listed([], T0, NOW, NOW)
    assert not fates.is_empty_proven
    fates.sent(cancels(2, 1024))
    fates.updated(update(1024, "canceled"), NOW)
    assert fates.is_empty_proven


def test_an_order_of_an_earlier_session_is_left_until_it_is_adopted() -> None:
    fates, earlier = new_fates(begun_ms=None), cloid(5, session=2)
    assert fates.is_left(earlier, 105)
    assert not fates.is_left(None, 106) and not fates.is_left(cloid(5, owner=9), 107), "of somebody else"
    assert not fates.is_left(cloid(5), 108), "of this session: another fault"
    fates.adopted(open_order(5, cloid=earlier), T0, NOW)
    assert not fates.is_left(earlier, 105)


def test_every_door_leads_in() -> None:
    fates = new_fates(begun_ms=None)
    assert fates.has_room(DEFAULTS.live_max)
    assert fates.begun(T0, NOW) == []
    assert len(fates.adopted(open_order(5, cloid=cloid(5, session=2)), T0, NOW)) == 1
    fates.sent(orders(1, command(1024)))
    fates.reposted(1)
    assert kinds(fates.refused(1, "Action already expired", NOW)) == [K.ORDER_UNKNOWN]
    assert kinds(fates.status_read(1024, status(1024, "open"), T0, NOW)) == [K.ORDER_ACKNOWLEDGED]
    assert fates.ended(ended(1124), NOW) == []
    assert kinds(fates.fills_read(T0 - 20_000, T0 + 300, NOW, NOW)) == []
    fates.listed([open_order(5, cloid=cloid(5, session=2))], LATER, NOW, NOW)
    assert kinds(fates.fills_read(T0 - 20_000, LATER, NOW, NOW)) == [K.ORDER_CANCELLED]
    fates.sent(orders(2, command(2049)))
    assert kinds(fates.never_left(2, NOW)) == [K.COMMAND_SEND_FAILED]
    fates.sent(orders(3, command(3074)))
    assert kinds(fates.voided(3, NOW)) == [K.ORDER_REJECTED]
    assert fates.in_flight == 1, "the first post of the first may still be answered"
    fates.updated(update(9, "open", cloid=None), NOW)
    assert [report.code for report in fates.take_reports()] == [FateCode.FOREIGN]
    assert fates.counters["foreign"] == 1
