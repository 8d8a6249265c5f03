"""Updates, fills and cancels by the venue, in whatever order they come."""

from __future__ import annotations

from tests.hyperliquid.fate_news import NOW, fill, fills, resting


def test_a_fill_is_booked_once() -> None:
    fates = resting(1024)
    assert len(fates.filled(fills(fill(1024, 1, 4), fill(1024, 1, 4)), NOW)) == 1
    assert fates.filled(fills(fill(1024, 1, 4), is_snapshot=True), NOW) == []
    assert fates.counters["fills known"] == 2
