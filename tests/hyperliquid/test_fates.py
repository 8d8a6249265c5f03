"""The life of orders as a whole: what leaves, what comes back, what the core is told."""

from __future__ import annotations

from hlhft.events import EventKind
from tests.hyperliquid.fate_news import (
    LATER,
    NOW,
    SUCCESS,
    S,
    cancels,
    error,
    field,
    fill,
    fills,
    kinds,
    ok,
    placed,
    resting,
    rests,
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
