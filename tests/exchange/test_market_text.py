"""What the markets are and how they stand."""

from __future__ import annotations

import pytest

from hlhft.venue.funding import RATE_NONE
from tests.exchange.hall import ALO, ANN, BOB, BTC, BUY, ETH, IOC, PURR, SELL, Hall


def quoted() -> Hall:
    """A book around 80,000.5."""
    hall = Hall().mark("80000")
    for price, size in (("80000", "1"), ("79999", "2"), ("79990", "3")):
        hall.place(BOB, BUY, price, size, ALO)
    for price, size in (("80001", "1"), ("80002", "2"), ("80011", "3")):
        hall.place(BOB, SELL, price, size, ALO)
    hall.run()
    return hall


def test_meta_names_every_perpetual_and_lists_the_tables_with_tiers():
    meta = Hall().ask("meta", dex="")
    assert [entry["name"] for entry in meta["universe"]] == ["BTC", "ETH", "ILL"]
    assert meta["universe"][1] == {"szDecimals": 4, "name": "ETH", "maxLeverage": 25, "marginTableId": 25}
    assert meta["universe"][2] == {
        "szDecimals": 2,
        "name": "ILL",
        "maxLeverage": 3,
        "marginTableId": 3,
        "onlyIsolated": True,
        "marginMode": "strictIsolated",
    }
    tiers = [{"lowerBound": "0.0", "maxLeverage": 40}, {"lowerBound": "150000000.0", "maxLeverage": 20}]
    assert meta["marginTables"] == [[50, {"description": "tiered 40x", "marginTiers": tiers}]]
    assert meta["collateralToken"] == 0
    assert Hall().ask("marginTable", id=50) == meta["marginTables"][0][1]
    flat = {"description": "", "marginTiers": [{"lowerBound": "0.0", "maxLeverage": 25}]}
    assert Hall().ask("marginTable", id=25) == flat, "a table that is not listed is flat"


def test_spot_meta_has_tokens_and_pairs():
    meta = Hall().ask("spotMeta")
    assert meta["universe"] == [{"tokens": [1, 0], "name": "PURR/USDC", "index": 0, "isCanonical": True}]
    assert [(token["name"], token["index"], token["szDecimals"]) for token in meta["tokens"]] == [
        ("USDC", 0, 8),
        ("PURR", 1, 0),
    ]


def test_a_mid_is_the_middle_the_last_trade_or_the_mark():
    hall = quoted()
    assert hall.ask("allMids") == {"BTC": "80000.5"}
    hall.mark("2000.5", ETH)
    hall.chain.exchange.marks[PURR] = 12
    assert hall.ask("allMids") == {"BTC": "80000.5", "ETH": "2000.5", "PURR/USDC": "0.00000012"}
    hall = Hall().mark("80000")
    hall.place(BOB, SELL, "80010", "1", ALO).run()
    hall.place(ANN, BUY, "80010", "1", IOC).run()
    assert hall.ask("allMids") == {"BTC": "80010.0"}


def test_the_touch_of_every_market_is_told_with_its_lots_and_orders_and_nothing_for_an_empty_side():
    hall = quoted()
    assert hall.info.markets.touches()[:2] == [((800_000, 100_000, 1), (800_010, 100_000, 1)), (None, None)]


def test_a_book_is_shown_from_the_touch_outward():
    hall = quoted()
    book = hall.ask("l2Book", coin="BTC")
    assert (book["coin"], book["time"]) == ("BTC", hall.now_ms)
    assert book["levels"][0] == [
        {"px": "80000.0", "sz": "1.0", "n": 1},
        {"px": "79999.0", "sz": "2.0", "n": 1},
        {"px": "79990.0", "sz": "3.0", "n": 1},
    ]
    assert [level["px"] for level in book["levels"][1]] == ["80001.0", "80002.0", "80011.0"]
    assert "spread" not in book


@pytest.mark.parametrize(
    ("grouping", "bids", "asks", "spread"),
    [
        ({"nSigFigs": 5}, ["80000.0", "79999.0", "79990.0"], ["80001.0", "80002.0", "80011.0"], "1.0"),
        ({"nSigFigs": 4}, ["80000.0", "79990.0"], ["80010.0", "80020.0"], "10.0"),
        ({"nSigFigs": 5, "mantissa": 5}, ["80000.0", "79995.0", "79990.0"], ["80005.0", "80015.0"], "5.0"),
        ({"nSigFigs": 2}, ["80000.0", "79000.0"], ["81000.0"], "1000.0"),
    ],
)
def test_a_grouped_book_says_its_spread(grouping, bids, asks, spread):
    book = quoted().ask("l2Book", coin="BTC", **grouping)
    assert [[level["px"] for level in side] for side in book["levels"]] == [bids, asks]
    assert book["spread"] == spread


def test_an_empty_book_has_no_levels_and_no_spread():
    book = Hall().ask("l2Book", coin="ETH", nSigFigs=3)
    assert (book["levels"], book["spread"]) == ([[], []], "0.0")


def test_at_most_twenty_levels_a_side():
    hall = Hall().mark("80000")
    for step in range(25):
        hall.place(BOB, BUY, str(79_000 - step), "0.1", ALO)
    hall.run()
    assert len(hall.ask("l2Book", coin="BTC")["levels"][0]) == 20


def test_a_context_tells_prices_interest_volume_and_impact():
    hall = quoted()
    hall.place(ANN, BUY, "80001", "0.5", IOC).run()
    hall.place(BOB, SELL, "80001", "0.5", ALO).run()
    meta, contexts = hall.ask("metaAndAssetCtxs")
    assert len(meta["universe"]) == len(contexts) == 3
    context = contexts[BTC]
    # 20,000 USDC are a quarter of a bitcoin: all of it at the touch.
    assert context == {
        "funding": context["funding"],
        "openInterest": "0.5",
        "prevDayPx": "80001.0",
        "dayNtlVlm": "40000.5",
        "premium": context["premium"],
        "oraclePx": "80000.0",
        "markPx": "80000.0",
        "midPx": "80000.5",
        "impactPxs": ["80000.0", "80001.0"],
        "dayBaseVlm": "0.5",
    }


def test_what_is_not_known_is_null():
    context = Hall().ask("metaAndAssetCtxs")[1][ETH]
    assert (context["midPx"], context["impactPxs"], context["premium"]) == (None, None, None)
    assert (context["funding"], context["prevDayPx"]) == ("0.0", "0.0")


def test_a_book_that_is_too_thin_has_no_impact_prices():
    hall = Hall().mark("80000")
    hall.place(BOB, BUY, "80000", "0.1", ALO).place(BOB, SELL, "80001", "5", ALO).run()
    assert hall.ask("metaAndAssetCtxs")[1][BTC]["impactPxs"] is None


@pytest.mark.parametrize(
    ("samples", "total", "hourly", "text"),
    [
        (0, 0, RATE_NONE, "0.0"),
        (0, 0, 12_500_000, "0.0000125"),
        (4, 0, RATE_NONE, "0.0000125"),  # no premium: the interest alone, a ten thousandth in eight hours
        (2, 4_000_000_000, RATE_NONE, "0.0001875"),  # (0.002 - 0.0005) / 8
        (2, -4_000_000_000, RATE_NONE, "-0.0001875"),
    ],
)
def test_the_rate_is_that_of_the_premiums_so_far_or_of_the_last_hour(samples, total, hourly, text):
    hall = Hall()
    funding = hall.chain.funding[BTC]
    funding["samples"], funding["premium_sum_e12"] = samples, total
    hall.chain.prices[BTC]["hourly_rate_e12"] = hourly
    assert hall.ask("metaAndAssetCtxs")[1][BTC]["funding"] == text
    coin, venues = hall.ask("predictedFundings")[0]
    assert (coin, venues[0][0], venues[0][1]["fundingRate"]) == ("BTC", "HlPerp", text)
    assert venues[0][1]["nextFundingTime"] % 3_600_000 == 0
    assert 0 < venues[0][1]["nextFundingTime"] - hall.now_ms <= 3_600_000


def test_a_premium_is_shown_with_ten_decimals():
    hall = Hall()
    hall.chain.prices[BTC]["premium_e12"] = 376_138_900
    assert hall.ask("metaAndAssetCtxs")[1][BTC]["premium"] == "0.0003761389"


def test_a_spot_pair_has_a_context_of_its_own():
    hall = Hall()
    hall.chain.exchange.marks[PURR] = 12_345
    meta, contexts = hall.ask("spotMetaAndAssetCtxs")
    assert len(meta["universe"]) == 1
    assert contexts == [
        {
            "prevDayPx": "0.00012345",
            "dayNtlVlm": "0.0",
            "markPx": "0.00012345",
            "midPx": None,
            "circulatingSupply": "0.0",
            "coin": "PURR/USDC",
            "totalSupply": "0.0",
            "dayBaseVlm": "0.0",
        }
    ]


def test_rates_of_the_past_are_told_by_time():
    hall = Hall()
    hall.records.markets[BTC].rates.extend([(1000, 12_500_000, -30_000), (2000, 1, 100), (3000, 0, 0)])
    assert hall.ask("fundingHistory", coin="BTC", startTime=1000, endTime=2000) == [
        {"coin": "BTC", "fundingRate": "0.0000125", "premium": "-0.00000003", "time": 1000},
        {"coin": "BTC", "fundingRate": "0.0", "premium": "0.0000000001", "time": 2000},
    ]
    assert len(hall.ask("fundingHistory", coin="BTC", startTime=2000)) == 2


def test_marks_and_mids_are_told_where_there_are_any():
    hall = quoted()
    assert hall.info.markets.marks_and_mids() == {
        "BTC": {"markPx": "80000.0", "midPx": "80000.5"},
        "ETH": {},
        "ILL": {},
        "PURR/USDC": {},
    }
