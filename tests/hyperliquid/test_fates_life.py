"""What evidence does to placements, alone and modified."""

from __future__ import annotations

from hlhft.events import EventKind
from tests.hyperliquid.fate_news import NOW, command, kinds, modifies, ok, resting, rests, update

K = EventKind


def test_a_modification_is_told_when_both_are_known() -> None:
    fates = resting(1024)
    assert fates.sent(modifies(2, command(1024, price_ticks=990))) == []
    assert fates.answered(2, ok(rests(500)), NOW) == [], "how much of the old one was filled is not known"
    (row,) = fates.updated(update(1024, "canceled"), NOW)
    assert kinds([row]) == [K.ORDER_ACKNOWLEDGED]
