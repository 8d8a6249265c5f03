"""What the exchange lists."""

from __future__ import annotations

import pytest

from hlhft.exchange.listing import Listed, Listing, MarginMode, Token
from hlhft.units import MICRO, Market
from tests.exchange.hall import BTC, BTC_TIERS, ETH, ILL, LISTING, PURR


def perpetual(name: str, asset_id: int) -> Listed:
    return Listed(market=Market.perpetual(name, asset_id=asset_id, size_decimals=2))


def test_markets_are_found_by_name_and_by_asset_id():
    assert [LISTING.row_of(name) for name in ("BTC", "ETH", "ILL", "PURR/USDC")] == [BTC, ETH, ILL, PURR]
    assert LISTING.row_of("DOGE") is None
    assert [LISTING.row_of_asset(asset) for asset in (0, 1, 2, 10_000)] == [BTC, ETH, ILL, PURR]
    assert LISTING.row_of_asset(10_001) is None
    assert LISTING.perpetuals == (BTC, ETH, ILL)
    assert LISTING.spots == (PURR,)
    assert LISTING.markets[PURR].spot_index == 0


def test_ticks_times_lots_is_money_with_the_decimals_of_both():
    assert [listed.quanta_decimals for listed in LISTING.markets] == [6, 6, 6, 8]


def test_a_flat_table_is_numbered_by_its_leverage_and_tiers_from_fifty_on():
    other = ((0, 10), (20_000_000 * MICRO, 5))
    listing = Listing(
        (
            Listed(market=Market.perpetual("A", asset_id=0, size_decimals=2, maximum_leverage=40), tiers=BTC_TIERS),
            Listed(market=Market.perpetual("B", asset_id=1, size_decimals=2, maximum_leverage=7)),
            Listed(market=Market.perpetual("C", asset_id=2, size_decimals=2), tiers=other),
            Listed(market=Market.perpetual("D", asset_id=3, size_decimals=2), tiers=other),
        )
    )
    assert listing.margin_tables() == [
        (0, 50, BTC_TIERS),
        (1, 7, ((0, 7),)),
        (2, 51, other),
        (3, 51, other),
    ]


def test_the_kernel_gets_one_record_a_market():
    assert LISTING.records()["asset_id"].tolist() == [0, 1, 2, 10_000]
    assert len(Listing(()).records()) == 0


def test_tokens_have_ids_that_differ_and_usdc_is_there_without_being_asked_for():
    assert [token.name for token in Listing(()).tokens] == ["USDC"]
    ids = {Token(name="x", index=index).token_id for index in range(100)}
    assert len(ids) == 100
    assert all(len(text) == 34 and text.startswith("0x") for text in ids)


@pytest.mark.parametrize(
    ("markets", "tokens", "complaint"),
    [
        ((perpetual("A", 0), perpetual("A", 1)), (), "differ"),
        ((perpetual("A", 0), perpetual("B", 0)), (), "differ"),
        ((perpetual("A", 1),), (), "its place 0"),
        ((LISTING.markets[PURR], perpetual("A", 0)), (), "first"),
        ((perpetual("A", 0),), (Token(name="USDC", index=1),), "order of their indices"),
    ],
)
def test_a_listing_that_the_wire_could_not_tell_is_refused(markets, tokens, complaint):
    with pytest.raises(ValueError, match=complaint):
        Listing(markets, tokens=tokens)


def test_modes_are_the_texts_of_the_wire():
    assert [mode.value for mode in MarginMode] == ["", "noCross", "strictIsolated"]
