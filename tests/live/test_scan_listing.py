"""What the venue lists, read and chosen from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from hlhft.hyperliquid.markets import MarketError
from hlhft.hyperliquid.reading import Fault
from hlhft.live.scan_listing import Listed, chosen, read_listing
from tests.data.readers.fuzz import mutated


def answer(*markets: tuple[str, str], **more: Any) -> bytes:
    universe = [{"name": name, "szDecimals": 2, "maxLeverage": 10, **more} for name, _ in markets]
    contexts = [{"funding": "0.0000125", "dayNtlVlm": volume, "markPx": "10.0"} for _, volume in markets]
    return json.dumps([{"universe": universe, "marginTables": []}, contexts]).encode()


def listed(*markets: tuple[str, str]) -> tuple[Listed, ...]:
    found = read_listing(answer(*markets))
    assert not isinstance(found, Fault)
    return found


def test_markets_are_numbered_by_place_and_keep_what_the_venue_said() -> None:
    first, second = listed(("BTC", "1000.5"), ("ETH", "2000"))
    assert (first.market.name, first.market.asset_id, first.market.price_decimals) == ("BTC", 0, 4)
    assert (second.market.asset_id, second.volume_usdc) == (1, 2000.0)
    assert json.loads(bytes(first.context))["funding"] == "0.0000125"


def test_what_is_delisted_is_not_there() -> None:
    assert read_listing(answer(("BTC", "1"), isDelisted=True)) == ()


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"[]", Fault.WRONG_SHAPE),
        (b"\xff", Fault.WRONG_SHAPE),
        (json.dumps([{"universe": []}, [{}]]).encode(), Fault.WRONG_SHAPE),
        (answer(("BTC", "much")), Fault.WRONG_SHAPE),
        (answer(("BTC", "inf")), Fault.OUT_OF_RANGE),
        (answer(("BTC", "-1")), Fault.OUT_OF_RANGE),
        (answer(("BTC", "1"), szDecimals=9), Fault.OUT_OF_RANGE),
    ],
)
def test_what_is_no_listing(body: bytes, fault: Fault) -> None:
    assert read_listing(body) is fault


def test_the_busiest_are_chosen_or_those_that_are_named() -> None:
    markets = listed(("A", "5"), ("B", "50"), ("C", "500"), ("D", "50"))
    assert [one.market.name for one in chosen(markets, (), 3)] == ["C", "B", "D"]
    assert [one.market.name for one in chosen(markets, ("A", "C", "A"), 2)] == ["C", "A"]


def test_names_that_cannot_be_watched() -> None:
    markets = listed(("BTC", "5"), ("ETH", "50"))
    with pytest.raises(MarketError, match=r"BTX is not listed, the nearest is BTC"):
        chosen(markets, ("BTX", "ETH"), 5)
    with pytest.raises(MarketError, match=r"2 markets are named, .* is enough for 1: name fewer"):
        chosen(markets, ("BTC", "ETH"), 1)


@settings(max_examples=60)
@given(mutated([answer(("BTC", "5"), ("ETH", "50"))]))
def test_any_answer_is_a_listing_or_a_fault(changed: tuple[list[bytes], int]) -> None:
    found = read_listing(changed[0][0])
    if not isinstance(found, Fault):
        assert all(one.volume_usdc >= 0 for one in found)
