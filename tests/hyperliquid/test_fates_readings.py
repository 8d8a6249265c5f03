"""What readings prove, and what they do not."""

from __future__ import annotations

from hlhft.events import EventKind
from tests.hyperliquid.fate_news import LATER, NOW, T0, kinds, placed

K = EventKind


def test_a_listing_and_the_fills_up_to_it_prove_that_an_order_never_came() -> None:
    fates = placed(1024)
    fates.silent(1, NOW)
    assert fates.listed([], LATER, NOW) == [], "it may have been filled"
    assert not fates.is_empty_proven
    assert kinds(fates.fills_read(T0 - 20_000, LATER, NOW)) == [K.ORDER_REJECTED]
    assert fates.is_empty_proven
