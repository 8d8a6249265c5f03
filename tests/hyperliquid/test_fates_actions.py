"""Answers, refusals and silence: what they mean for each order of an action."""

from __future__ import annotations

from hlhft.events import EventKind
from tests.hyperliquid.fate_news import NOW, error, kinds, ok, placed, rests

K = EventKind


def test_each_status_reaches_its_order() -> None:
    fates = placed(1024, 2049)
    rows = fates.answered(1, ok(rests(7), error("Insufficient margin to place order. asset=1")), NOW)
    assert kinds(rows) == [K.ORDER_ACKNOWLEDGED, K.ORDER_REJECTED]
    assert fates.in_flight == 0
