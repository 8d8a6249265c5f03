"""What an operator sees travels as JSON without loss, and what is unknown stays unknown."""

from __future__ import annotations

import msgspec
import pytest

from hlhft.live.view import MarketView, Status
from tests.live.samples import full_status


def test_a_status_comes_back_as_it_was() -> None:
    status = full_status()
    assert msgspec.json.decode(msgspec.json.encode(status), type=Status) == status


def test_what_is_not_known_is_none_and_not_nothing() -> None:
    market = msgspec.convert({"name": "BTC", "is_fresh": False}, MarketView)
    assert (market.bid, market.age_ms, market.profit_usdc, market.notional_usdc_max) == (None, None, None, None)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "BTC"}, MarketView)
