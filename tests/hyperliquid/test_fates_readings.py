"""What readings prove, and what they do not."""

from __future__ import annotations

import pytest

from hlhft.events import EventKind
from hlhft.hyperliquid.fates import Fates
from hlhft.hyperliquid.fates_records import FateCode, FatesError, FateSettings, Reason
from hlhft.hyperliquid.fates_table import State
from hlhft.hyperliquid.reading import Fault
from tests.hyperliquid.fate_news import (
    ETH,
    LATER,
    NOW,
    SUCCESS,
    T0,
    S,
    cancels,
    cloid,
    command,
    ended,
    field,
    fill,
    fills,
    kinds,
    modifies,
    new_fates,
    ok,
    open_order,
    orders,
    placed,
    resting,
    rests,
    status,
    takes,
    update,
)

K = EventKind
FROM = T0 - 20_000


def codes(fates: Fates) -> list[FateCode]:
    return [report.code for report in fates.take_reports()]


def silent(order_id: int = 1024, **more: int) -> Fates:
    fates = placed(order_id, **more)
    assert kinds(fates.silent(1, NOW)) == [K.ORDER_UNKNOWN]
    return fates


# One order.


def test_a_reading_shows_an_order_that_nobody_answered_for() -> None:
    fates = silent()
    (row,) = fates.status_read(1024, status(1024, "open"), T0, NOW)
    assert kinds([row]) == [K.ORDER_ACKNOWLEDGED]
    assert field(row, "aux0") == 1124
    assert fates.doubts(NOW + 9 * S) == ()


def test_not_being_known_proves_nothing_before_the_expiry() -> None:
    fates = silent()
    assert fates.status_read(1024, None, LATER - 1, NOW) == []
    assert [one.reason for one in fates.doubts(NOW)] == [Reason.SILENT]
    (row,) = fates.status_read(1024, None, LATER, NOW)
    assert (field(row, "kind"), field(row, "aux0")) == (K.ORDER_REJECTED, 22)


def test_an_order_that_was_seen_and_is_not_known_any_more_is_reported() -> None:
    fates = resting(1024)
    assert fates.status_read(1024, None, LATER, NOW) == []
    assert codes(fates) == [FateCode.FORGOTTEN]
    assert not fates.is_done(1024)
    over = fates.fills_read(FROM, LATER, NOW, NOW)
    assert kinds(over) == [K.ORDER_CANCELLED], "it does not rest and has no more fills"


def test_what_an_unrecognised_status_was_told_of_was_not_never_there() -> None:
    fates = placed(1024)
    assert kinds(fates.updated(update(1024, "newStatus"), NOW)) == [K.ORDER_UNKNOWN]
    assert codes(fates) == [FateCode.UNRECOGNISED_STATUS]
    assert fates.status_read(1024, None, LATER, NOW) == []
    assert codes(fates) == [FateCode.FORGOTTEN]
    assert kinds(fates.fills_read(FROM, LATER, NOW, NOW)) == [K.ORDER_CANCELLED]


def test_a_reading_of_another_order_is_not_taken() -> None:
    fates = placed(1024, 2049)
    assert fates.status_read(1024, status(2049, "open"), T0, NOW) == []
    assert fates.status_read(1024, status(5, "open"), T0, NOW) == []
    assert codes(fates) == [FateCode.MISFIT] * 2


def test_questions_about_what_is_over_or_unknown_change_nothing() -> None:
    fates = resting(1024)
    fates.filled(fills(fill(1024, 1, 10)), NOW)
    assert fates.status_read(1024, None, LATER, NOW) == []
    assert fates.status_read(77, None, LATER, NOW) == []
    assert codes(fates) == []


def test_a_reading_may_be_about_an_earlier_revision() -> None:
    fates = resting(1024)
    fates.sent(modifies(2, command(1024)))
    fates.silent(2, NOW)
    assert kinds(fates.status_read(1024, status(1024, "open"), T0, NOW, revision=0)) == []
    assert fates.status_read(1024, None, LATER, NOW, revision=1) == [], "the old one may be gone all the same"
    (doubt,) = fates.doubts(NOW)
    assert (doubt.revision, doubt.reason) == (0, Reason.MODIFIED)
    rows = fates.status_read(1024, status(1024, "open"), LATER, NOW, revision=0)
    assert kinds(rows) == [K.ORDER_ACKNOWLEDGED]
    assert fates.status_read(1024, None, LATER, NOW, revision=7) == []


def test_what_was_modified_may_be_over_when_the_modification_never_came() -> None:
    fates = resting(1024)
    fates.sent(modifies(2, command(1024)))
    fates.silent(2, NOW)
    fates.ended(ended(1124), NOW)
    assert fates.status_read(1024, None, LATER, NOW) == []
    assert kinds(fates.status_read(1024, status(1024, "canceled"), LATER, NOW)) == [K.ORDER_CANCELLED]


# All open orders.


def test_a_listing_and_the_fills_up_to_it_end_an_order_that_nobody_heard_of() -> None:
    fates = silent()
    assert fates.listed([], LATER, NOW, NOW) == [], "it may have been filled"
    assert not fates.is_empty_proven
    assert fates.fills_read(FROM, LATER - 1, NOW, NOW) == [], "not up to the listing"
    assert fates.fills_read(LATER, LATER + 5, NOW, NOW) == [], "not from the beginning"
    assert kinds(fates.fills_read(FROM, LATER, NOW, NOW)) == [K.ORDER_CANCELLED]
    assert fates.is_empty_proven
    fates.updated(update(1024, "selfTradeCanceled"), NOW)
    assert codes(fates) == [], "it had come and gone: nothing contradicts"


def test_a_listing_before_the_expiry_says_nothing_of_what_was_not_heard_of() -> None:
    fates = silent()
    fates.listed([], LATER - 1, NOW, NOW)
    assert fates.fills_read(FROM, LATER, NOW, NOW) == []
    assert not fates.is_done(1024)


def test_fills_that_were_asked_for_before_the_listing_had_come_do_not_end_what_it_lacks() -> None:
    """Both are no older than their block; the listing may be younger, and what it lacks filled in between."""
    fates = silent()
    fates.fills_read(FROM, T0 + 500, NOW, NOW)
    fates.fills_read(T0 + 500, LATER + 5, NOW, NOW)
    assert fates.listed([], LATER, NOW + 1, NOW + 2) == []
    assert fates.fills_read(T0 + 500, LATER + 5, 0, NOW + 2) == [], "not all of them"
    # A later listing without it says nothing new.
    assert fates.listed([], LATER + 9, NOW + 3, NOW + 3) == []
    assert kinds(fates.fills_read(T0 + 500, LATER + 5, NOW + 1, NOW + 4)) == [K.ORDER_CANCELLED]


def test_fills_count_that_were_asked_for_later_than_those_after_them() -> None:
    """A gap that is closed leaves the newest time at which fills were asked for; a new beginning forgets it."""
    fates = silent()
    fates.listed([], LATER, NOW + 1, NOW + 1)
    fates.fills_read(T0 + 500, LATER + 5, NOW + 1, NOW + 2)
    assert kinds(fates.fills_read(FROM, T0 + 500, NOW, NOW + 3)) == [K.ORDER_CANCELLED]
    fates = silent()
    fates.listed([], LATER, NOW + 1, NOW + 1)
    fates.fills_read(LATER + 50, LATER + 60, NOW + 1, NOW + 2)
    assert fates.fills_read(FROM, LATER + 5, NOW, NOW + 3) == []


def test_an_order_that_is_seen_again_is_missed_anew() -> None:
    fates = silent()
    fates.listed([], LATER, NOW, NOW)
    fates.listed([open_order(1024)], LATER, NOW, NOW)
    fates.listed([], LATER + 1, NOW + 5, NOW + 5)
    assert fates.fills_read(FROM, LATER + 1, NOW + 4, NOW + 6) == []
    assert kinds(fates.fills_read(FROM, LATER + 1, NOW + 5, NOW + 6)) == [K.ORDER_CANCELLED]


def test_a_listing_shows_what_rests() -> None:
    fates = silent()
    (row,) = fates.listed([open_order(1024, left=7)], T0 + 900, NOW, NOW)
    assert kinds([row]) == [K.ORDER_ACKNOWLEDGED]
    assert not fates.is_empty_proven
    (doubt,) = fates.doubts(NOW + 2 * S)
    assert doubt.reason is Reason.FILLS_MISSING, "three lots are filled and no fill came"


def test_an_order_that_is_missing_is_asked_about() -> None:
    fates = placed(1024)
    fates.updated(update(1024, "open", time_ms=100), NOW)
    fates.listed([], T0 + 100, NOW, NOW)
    assert fates.doubts(NOW + 9 * S) == (), "it came to rest in the block of the listing, or after it"
    fates.listed([], T0 + 101, NOW, NOW)
    assert fates.doubts(NOW) == (), "its end may be on the way"
    (doubt,) = fates.doubts(NOW + S)
    assert doubt.reason is Reason.ABSENT
    fates.listed([], T0 + 400, NOW + S, NOW + S)
    assert kinds(fates.status_read(1024, status(1024, "canceled"), T0 + 500, NOW)) == [K.ORDER_CANCELLED]


def test_a_listing_ends_the_doubt_about_what_it_shows() -> None:
    fates = resting(1024)
    fates.sent(cancels(2, 1024))
    assert kinds(fates.silent(2, NOW)) == [K.ORDER_UNKNOWN]
    assert kinds(fates.listed([open_order(1024)], T0 + 900, NOW, NOW)) == [K.ORDER_ACKNOWLEDGED]
    assert fates.doubts(NOW + 9 * S) == ()


def test_an_order_listed_after_its_end_contradicts() -> None:
    fates = resting(1024)
    fates.updated(update(1024, "canceled", time_ms=500), NOW)
    fates.listed([open_order(1024)], T0 + 500, NOW, NOW)
    assert codes(fates) == []
    fates.listed([open_order(1024)], T0 + 501, NOW, NOW)
    assert codes(fates) == [FateCode.CONTRADICTION]
    assert fates.is_done(1024)
    assert not fates.is_empty_proven


def test_foreign_orders_do_not_fill_the_house_and_lost_ones_of_ours_do() -> None:
    fates = new_fates()
    fates.listed([open_order(5, cloid=None), open_order(6, cloid=cloid(6, owner=9))], LATER, NOW, NOW)
    assert fates.counters["foreign"] == 2
    assert codes(fates) == [FateCode.FOREIGN], "once"
    assert fates.is_empty_proven
    fates.listed([open_order(5, cloid=cloid(5, session=2))], LATER, NOW, NOW)
    assert not fates.is_empty_proven
    assert fates.counters["own unknown"] == 1
    assert codes(fates) == []
    fates.listed([open_order(5)], LATER, NOW, NOW)
    assert codes(fates) == [FateCode.OWN_UNKNOWN], "of this session, and we never sent it"


def test_what_is_sent_after_the_listing_may_rest() -> None:
    fates = new_fates()
    fates.listed([], LATER, NOW, NOW)
    assert fates.is_empty_proven
    fates.sent(orders(1, command(1024)))
    assert not fates.is_empty_proven
    fates.never_left(1, NOW)
    assert not fates.is_empty_proven, "only another listing says so"


# All fills.


def test_a_reduce_only_order_that_shrank_ends_when_all_fills_are_known() -> None:
    fates = resting(1024, reduce_only=1)
    fates.sent(cancels(2, 1024))
    fates.answered(2, ok(SUCCESS, kind="cancel"), NOW)
    assert fates.updated(update(1024, "canceled", left=6), NOW) == [], "filled, or shrunk"
    assert fates.fills_read(FROM, T0 + 99, NOW, NOW) == []
    (row,) = fates.fills_read(FROM, T0 + 100, NOW, NOW)
    assert (field(row, "kind"), field(row, "size_lots"), field(row, "aux0")) == (K.ORDER_CANCELLED, 10, 21)
    assert codes(fates) == []


def test_fills_that_are_nowhere_are_reported() -> None:
    fates = resting(1024)
    fates.updated(update(1024, "canceled", left=6), NOW)
    assert kinds(fates.fills_read(FROM, LATER, NOW, NOW)) == [K.ORDER_CANCELLED]
    assert codes(fates) == [FateCode.FILLS_SHORT]


def test_an_immediate_order_ends_by_the_fills_too() -> None:
    fates = placed(1024, time_in_force=2)
    fates.answered(1, ok(takes(7, "no number")), NOW)
    assert codes(fates) == [FateCode.UNREADABLE]
    assert fates.fills_read(FROM, LATER, NOW, NOW) == [], "when it ended is not told"
    assert kinds(fates.listed([], LATER, NOW, NOW)) == [K.ORDER_EXPIRED]


def test_readings_apart_do_not_make_one() -> None:
    fates = silent()
    fates.listed([], LATER, NOW, NOW)
    fates.fills_read(FROM, T0, NOW, NOW)
    assert fates.fills_read(T0 + 1, LATER, NOW, NOW) == []
    with pytest.raises(FatesError, match="cannot be read"):
        fates.fills_read(2, 1, NOW, NOW)


# Orders of earlier sessions.


def adopting(left: int = 7, **settings: int) -> Fates:
    fates = new_fates(settings=FateSettings(**settings)) if settings else new_fates()
    order = open_order(1024, left=left, cloid=cloid(1024, 4, session=2))
    (row,) = fates.adopted(order, T0 + 50, NOW)
    assert (field(row, "kind"), field(row, "size_lots"), field(row, "order_id")) == (K.ORDER_ADOPTED, left, 1024)
    return fates


def test_an_adopted_order_lives_on() -> None:
    fates = adopting()
    identity = fates.identity(1024)
    assert identity is not None
    assert (identity.session, identity.revision, identity.oid) == (2, 4, 1124)
    (row,) = fates.filled(fills(fill(1024, 1, 3, cloid=cloid(1024, 4, session=2))), NOW)
    assert (field(row, "order_id"), field(row, "aux0")) == (1024, 4)
    fates.sent(cancels(2, 1024, session=2))
    fates.answered(2, ok(SUCCESS, kind="cancel"), NOW)
    canceled = update(1024, "canceled", left=4, cloid=cloid(1024, 4, session=2))
    assert kinds(fates.updated(canceled, NOW)) == [K.ORDER_CANCELLED]


def test_fills_from_before_the_listing_are_not_taken_off_twice() -> None:
    fates = adopting()
    old = fill(1024, 1, 3, time_ms=50, cloid=cloid(1024, 4, session=2))
    (row,) = fates.filled(fills(old), NOW)
    assert field(row, "aux0") == 7, "the money is news, what is left of the order is not"


def test_fills_that_the_position_has_shrink_an_adopted_order_without_money() -> None:
    fates = new_fates(begun_ms=T0 + 300)
    fates.adopted(open_order(1024, left=7, cloid=cloid(1024, session=2)), T0 + 50, NOW)
    (row,) = fates.filled(fills(fill(1024, 1, 3, time_ms=200, cloid=cloid(1024, session=2))), NOW)
    assert (field(row, "kind"), field(row, "size_lots")) == (K.ORDER_ACKNOWLEDGED, 4)


def test_what_filled_after_the_listing_and_was_told_before_the_session_began_is_the_adopted_orders() -> None:
    fates = new_fates(begun_ms=None)
    name = cloid(1024, session=2)
    assert (
        fates.filled(fills(fill(1024, 1, 3, time_ms=40, cloid=name), fill(1024, 2, 4, time_ms=60, cloid=name)), NOW)
        == []
    )
    fates.adopted(open_order(1024, left=7, cloid=name), T0 + 50, NOW)
    (row,) = fates.begun(T0 + 50, NOW)
    assert (field(row, "order_id"), field(row, "size_lots"), field(row, "aux0")) == (1024, 4, 3), (
        "once, and of this order"
    )


def test_an_adopted_order_is_modified_under_this_session() -> None:
    fates = adopting()
    fates.sent(modifies(2, command(1024)))
    identity = fates.identity(1024)
    assert identity is not None
    assert (identity.session, identity.revision) == (3, 5)
    assert [one.session for one in fates.live_orders()] == [2, 3]
    fates.answered(2, ok(rests(500, cloid=cloid(1024, 5))), NOW)
    rows = fates.updated(update(1024, "canceled", left=7, cloid=cloid(1024, 4, session=2)), NOW)
    assert kinds(rows) == [K.ORDER_ACKNOWLEDGED]


def test_what_cannot_be_adopted_is_said() -> None:
    fates = resting(1024)
    for order, reason in (
        (open_order(9, cloid=None), "not of an earlier session"),
        (open_order(9), "not of an earlier session"),
        (open_order(9, left=0, cloid=cloid(9, session=2)), "cannot be adopted"),
        (open_order(9, cloid=cloid(9, session=2), fault=Fault.TOO_FINE), "cannot be adopted"),
        (open_order(1024, cloid=cloid(1024, session=2)), "is taken"),
        (open_order(2048, cloid=cloid(2048, session=2)), "is taken"),
    ):
        with pytest.raises(FatesError, match=reason):
            fates.adopted(order, T0, NOW)
    fates.adopted(open_order(2048, market=1 - ETH, cloid=cloid(2048, session=2)), T0, NOW)


def test_there_must_be_room_to_adopt() -> None:
    fates = adopting(live_max=1)
    with pytest.raises(FatesError, match="1 orders are not over"):
        fates.adopted(open_order(1025, cloid=cloid(1025, session=2)), T0, NOW)


def test_an_adopted_order_ends_by_its_absence() -> None:
    fates = adopting()
    fates.listed([], T0 + 60, NOW, NOW)
    assert fates.live_orders()[0].state is State.LIVE
    assert kinds(fates.fills_read(T0 + 50, T0 + 60, NOW, NOW)) == [K.ORDER_CANCELLED]
