"""What anybody may read of the market: names, prices, books, trades, candles, funding (venue reference section 3.1)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hyperliquid.info import Info

from tests.conformance.desk import ALO, IOC, Desk, Trader

MINUTE_MS = 60_000
CONTEXT_KEYS = {
    "funding",
    "openInterest",
    "prevDayPx",
    "dayNtlVlm",
    "premium",
    "oraclePx",
    "markPx",
    "midPx",
    "impactPxs",
    "dayBaseVlm",
}


def trade(desk: Desk, maker: Trader, taker: Trader, coin: str, size: float, price: int) -> None:
    maker.rest(coin, False, size, price, ALO)
    taker.order(coin, True, size, price, IOC)


def test_markets_are_as_the_venue_has_them(desk: Desk) -> None:
    universe = desk.info.meta()["universe"]
    names = [asset["name"] for asset in universe]
    assert names == ["BTC", "ETH", "SOL"]
    assert [asset["szDecimals"] for asset in universe] == [5, 4, 2]
    assert [asset["maxLeverage"] for asset in universe] == [40, 25, 20]
    assert desk.info.meta_and_asset_ctxs()[0] == desk.info.meta()
    tables = dict(desk.info.meta()["marginTables"])
    for asset in universe:
        assert asset["marginTableId"] < 50 or asset["marginTableId"] in tables


def test_the_sdk_finds_its_way_with_the_names_of_dexs(desk: Desk) -> None:
    dexs = desk.info.perp_dexs()
    assert dexs[0] is None
    assert Info(desk.url, skip_ws=True, perp_dexs=[""]).name_to_asset("ETH") == 1


def test_contexts_tell_prices_and_the_day(desk: Desk, maker: Trader, taker: Trader) -> None:
    before = desk.context("ETH")
    assert set(before) == CONTEXT_KEYS
    price = desk.price("ETH")
    trade(desk, maker, taker, "ETH", 3, price)
    after = desk.context("ETH")
    assert Decimal(after["openInterest"]) == Decimal(before["openInterest"]) + 3
    assert Decimal(after["dayNtlVlm"]) == Decimal(before["dayNtlVlm"]) + 3 * price
    assert Decimal(after["dayBaseVlm"]) == Decimal(before["dayBaseVlm"]) + 3
    assert abs(Decimal(after["markPx"]) / Decimal(after["oraclePx"]) - 1) < Decimal("0.05")


def test_mids_are_the_middle_of_the_book(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", True, 1, price - 3, ALO)
    maker.rest("ETH", False, 1, price + 4, ALO)
    assert Decimal(desk.info.all_mids()["ETH"]) == price + Decimal("0.5")
    assert Decimal(desk.context("ETH")["midPx"]) == price + Decimal("0.5")


def test_the_book_sums_the_orders_of_a_level(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    for trader, size in ((maker, 1), (taker, 2.5)):
        trader.rest("ETH", True, size, price - 1, ALO)
        trader.rest("ETH", False, size, price + 1, ALO)
    maker.rest("ETH", True, 4, price - 2, ALO)
    book = desk.info.l2_snapshot("ETH")
    assert book["coin"] == "ETH"
    assert book["levels"] == [
        [{"px": f"{price - 1}.0", "sz": "3.5", "n": 2}, {"px": f"{price - 2}.0", "sz": "4.0", "n": 1}],
        [{"px": f"{price + 1}.0", "sz": "3.5", "n": 2}],
    ]
    assert abs(book["time"] - desk.now_ms()) < 10_000


def test_the_book_has_at_most_twenty_levels(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH")
    orders = [
        {"coin": "ETH", "is_buy": True, "sz": 1, "limit_px": price - step, "order_type": ALO, "reduce_only": False}
        for step in range(25)
    ]
    maker.exchange.bulk_orders(orders)
    bids, asks = desk.book("ETH")
    assert [bid[0] for bid in bids] == [price - step for step in range(20)]
    assert asks == []


def test_a_book_of_fewer_figures(desk: Desk, maker: Trader) -> None:
    price = desk.price("BTC") // 1000 * 1000
    for step in (1, 2, 150):
        maker.rest("BTC", True, 1, price - step, ALO)
    request = {"type": "l2Book", "coin": "BTC", "nSigFigs": 3, "mantissa": None}
    answer = desk.ask(request)
    bids = answer["levels"][0]
    assert "spread" in answer
    assert sum(Decimal(bid["sz"]) for bid in bids) == 3
    step = Decimal(10) ** (len(str(price - 1)) - 3)
    assert all(Decimal(bid["px"]) % step == 0 for bid in bids)


def test_recent_trades(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    trade(desk, maker, taker, "ETH", 0.7, price)
    trades = desk.ask({"type": "recentTrades", "coin": "ETH"})
    newest = max(trades, key=lambda one: one["time"])
    assert (newest["coin"], newest["side"], newest["sz"]) == ("ETH", "B", "0.7")
    assert newest["users"] == [taker.address, maker.address]
    assert newest["tid"] == taker.fills()[0]["tid"]
    assert newest["hash"] == taker.fills()[0]["hash"]


def test_candles(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("BTC")
    trade(desk, maker, taker, "BTC", 0.5, price)
    trade(desk, maker, taker, "BTC", 0.25, price + 7)
    now_ms = desk.now_ms()
    found = desk.info.candles_snapshot("BTC", "1h", now_ms - 2 * 60 * MINUTE_MS, now_ms)
    newest = found[-1]
    assert set(newest) == {"t", "T", "s", "i", "o", "c", "h", "l", "v", "n"}
    assert (newest["s"], newest["i"]) == ("BTC", "1h")
    assert newest["T"] - newest["t"] == 60 * MINUTE_MS - 1
    assert newest["t"] <= now_ms <= newest["T"]
    assert Decimal(newest["c"]) == price + 7
    assert Decimal(newest["h"]) >= price + 7
    assert Decimal(newest["l"]) <= price
    assert newest["n"] >= 2


def test_funding_history_is_a_list(desk: Desk) -> None:
    now_ms = desk.now_ms()
    for answer in (desk.info.funding_history("ETH", 0), desk.info.funding_history("ETH", now_ms - 1, now_ms)):
        assert isinstance(answer, list)
        assert all(set(entry) == {"coin", "fundingRate", "premium", "time"} for entry in answer)
    predicted = dict(desk.ask({"type": "predictedFundings"}))
    assert "ETH" in predicted


def test_spot_markets_have_their_contexts(desk: Desk) -> None:
    meta = desk.info.spot_meta()
    assert meta["tokens"][0]["name"] == "USDC"
    also, contexts = desk.info.spot_meta_and_asset_ctxs()
    assert also == meta
    assert len(contexts) == len(meta["universe"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"type": "exchangeStatus"}, dict),
        ({"type": "perpsAtOpenInterestCap"}, list),
        ({"type": "maxMarketOrderNtls"}, list),
        ({"type": "perpDeployAuctionStatus"}, dict),
        ({"type": "allPerpMetas"}, list),
    ],
)
def test_other_requests_are_answered(desk: Desk, body: dict[str, Any], kind: type) -> None:
    assert isinstance(desk.ask(body), kind)
