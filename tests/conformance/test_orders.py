"""Orders through the official SDK: every kind, and what each does to the books and accounts."""

from __future__ import annotations

from decimal import Decimal

from hyperliquid.utils.types import Cloid

from tests.conformance.desk import ALO, GTC, IOC, Desk, Trader, eventually, only, refusal, statuses, truncated

MAKER_RATE = Decimal("0.00015")  # of a new account (venue reference section 10)
TAKER_RATE = Decimal("0.00045")


def test_a_post_only_order_rests(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    oid = maker.rest("ETH", True, 2.5, price, ALO)
    (order,) = maker.open_orders()
    assert order["coin"] == "ETH"
    assert order["side"] == "B"
    assert order["oid"] == oid
    assert Decimal(order["limitPx"]) == price
    assert order["limitPx"] == f"{price}.0"
    assert order["sz"] == order["origSz"] == "2.5"
    assert abs(order["timestamp"] - desk.now_ms()) < 10_000
    assert desk.book("ETH") == [[(price, Decimal("2.5"), 1)], []]
    (shown,) = desk.info.frontend_open_orders(maker.address)
    assert shown["tif"] == "Alo"
    assert shown["orderType"] == "Limit"
    assert shown["isTrigger"] is False
    assert shown["reduceOnly"] is False
    assert maker.word(oid) == "open"


def test_a_post_only_order_that_would_take_is_rejected(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price)
    error = taker.order("ETH", True, 1, price, ALO)["error"]
    assert error.startswith("Post only order would have immediately matched")
    assert taker.open_orders() == []
    assert taker.fills() == []
    assert taker.newest_word() == "badAloPxRejected"
    assert desk.book("ETH") == [[], [(price, 1, 1)]]


def test_a_limit_order_takes_what_it_can_and_its_rest_rests(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    sold = maker.rest("ETH", False, 1, price)
    filled = taker.order("ETH", True, 3, price + 1, GTC)["filled"]
    assert (filled["totalSz"], filled["avgPx"]) == ("1.0", f"{price}.0")
    (left,) = taker.open_orders()
    assert (left["oid"], left["sz"], left["origSz"]) == (filled["oid"], "2.0", "3.0")
    assert desk.book("ETH") == [[(price + 1, 2, 1)], []]
    assert maker.word(sold) == "filled"
    assert taker.word(filled["oid"]) == "open"


def test_a_trade_moves_position_and_cash_of_both_sides(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", True, 0.1234, price)
    taker.order("ETH", False, 0.1234, price, IOC)
    notional = price * Decimal("0.1234")
    assert maker.signed_size("ETH") == Decimal("0.1234")
    assert taker.signed_size("ETH") == Decimal("-0.1234")
    (bought,), (sold,) = maker.fills(), taker.fills()
    assert (bought["crossed"], sold["crossed"]) == (False, True)
    assert Decimal(bought["fee"]) == truncated(notional * MAKER_RATE)
    assert Decimal(sold["fee"]) == truncated(notional * TAKER_RATE)
    assert bought["tid"] == sold["tid"]
    assert bought["hash"] == sold["hash"]
    assert (bought["dir"], sold["dir"]) == ("Open Long", "Open Short")
    for trader, fee in ((maker, bought["fee"]), (taker, sold["fee"])):
        position = trader.position("ETH")
        assert position is not None
        profit = Decimal(position["unrealizedPnl"])
        paid = Decimal(position["cumFunding"]["allTime"])
        assert Decimal(position["entryPx"]) == price
        assert trader.value() == 1_000_000 - Decimal(fee) + profit - paid


def test_an_immediate_order_leaves_nothing_behind(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price)
    filled = taker.order("ETH", True, 3, price, IOC)["filled"]
    assert filled["totalSz"] == "1.0"
    assert taker.open_orders() == []
    assert taker.signed_size("ETH") == 1
    assert desk.book("ETH") == [[], []]


def test_an_immediate_order_without_a_match_is_rejected(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price + 10)
    error = taker.order("ETH", True, 1, price, IOC)["error"]
    assert error.startswith("Order could not immediately match against any resting orders.")
    assert taker.newest_word() == "iocCancelRejected"
    assert taker.signed_size("ETH") == 0


def test_a_taker_gets_the_makers_price_the_best_first_then_the_oldest(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    other = desk.trader()
    first = maker.rest("ETH", False, 1, price + 2)
    second = other.rest("ETH", False, 1, price + 2)
    best = other.rest("ETH", False, 1, price + 1)
    filled = taker.order("ETH", True, 2, price + 5)["filled"]
    assert Decimal(filled["avgPx"]) == price + Decimal("1.5")
    assert other.word(best) == maker.word(first) == "filled"
    assert other.word(second) == "open"
    assert [Decimal(fill["px"]) for fill in reversed(taker.fills())] == [price + 1, price + 2]


def test_market_open_and_close(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", True, 5, price - 1)
    maker.rest("ETH", False, 5, price + 1)
    filled = only(taker.exchange.market_open("ETH", True, 2))["filled"]
    assert (filled["totalSz"], Decimal(filled["avgPx"])) == ("2.0", price + 1)
    assert taker.signed_size("ETH") == 2
    filled = only(taker.exchange.market_close("ETH"))["filled"]
    assert (filled["totalSz"], Decimal(filled["avgPx"])) == ("2.0", price - 1)
    assert taker.position("ETH") is None
    closing = taker.fills()[0]
    assert closing["dir"] == "Close Long"
    assert Decimal(closing["closedPnl"]) == -4
    fees = sum(Decimal(fill["fee"]) for fill in taker.fills())
    assert taker.value() == 1_000_000 - 4 - fees
    assert taker.exchange.market_close("ETH") is None


def test_a_market_order_of_the_front_end_needs_liquidity(desk: Desk, taker: Trader) -> None:
    error = taker.order("ETH", True, 1, desk.price("ETH", 1.05), {"limit": {"tif": "FrontendMarket"}})["error"]
    assert error.startswith("No liquidity available for market order.")
    assert taker.newest_word() == "marketOrderNoLiquidityRejected"


def test_a_flip_is_one_fill(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price)
    taker.order("ETH", True, 1, price)
    maker.rest("ETH", True, 3, price)
    taker.order("ETH", False, 3, price)
    assert taker.signed_size("ETH") == -2
    assert maker.signed_size("ETH") == 2
    newest = taker.fills()[0]
    assert (newest["dir"], newest["sz"], newest["startPosition"]) == ("Long > Short", "3.0", "1.0")


def test_a_reduce_only_order_shrinks_to_the_position(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    error = taker.order("ETH", False, 1, price, reduce_only=True)["error"]
    assert error.startswith("Reduce only order would increase position.")
    assert taker.newest_word() == "reduceOnlyRejected"
    maker.rest("ETH", False, 1, price)
    taker.order("ETH", True, 1, price)
    oid = taker.rest("ETH", False, 4, price + 5, reduce_only=True)
    (order,) = taker.open_orders()
    assert (order["sz"], order["origSz"], order["reduceOnly"]) == ("1.0", "4.0", True)
    maker.rest("ETH", True, 1, price)
    taker.order("ETH", False, 1, price)
    assert taker.signed_size("ETH") == 0
    assert taker.word(oid) == "reduceOnlyCanceled"
    assert taker.open_orders() == []


def test_a_reduce_only_immediate_order_never_flips(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", False, 1, price)
    taker.order("ETH", True, 1, price)
    maker.rest("ETH", True, 5, price)
    filled = taker.order("ETH", False, 5, price, IOC, reduce_only=True)["filled"]
    assert filled["totalSz"] == "1.0"
    assert taker.signed_size("ETH") == 0


def test_many_orders_in_one_action_are_answered_in_their_order(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH")
    orders = [
        {"coin": "ETH", "is_buy": True, "sz": 1, "limit_px": price - 1, "order_type": ALO, "reduce_only": False},
        {"coin": "SOL", "is_buy": True, "sz": 0, "limit_px": 100, "order_type": ALO, "reduce_only": False},
        {"coin": "BTC", "is_buy": False, "sz": 0.5, "limit_px": desk.price("BTC", 1.01), "order_type": ALO},
    ]
    orders[2]["reduce_only"] = False
    first, second, third = statuses(maker.exchange.bulk_orders(orders))
    assert second["error"].startswith("Order has zero size.")
    assert {first["resting"]["oid"], third["resting"]["oid"]} == maker.open_ids()
    assert first["resting"]["oid"] < third["resting"]["oid"]
    assert {order["coin"] for order in maker.open_orders()} == {"ETH", "BTC"}


def test_an_order_is_found_by_the_id_that_its_owner_gave_it(desk: Desk, maker: Trader) -> None:
    cloid = Cloid.from_int(2**127 + 1)
    status = maker.order("ETH", True, 1, desk.price("ETH", 0.98), cloid=cloid)["resting"]
    assert status["cloid"] == cloid.to_raw()
    found = desk.info.query_order_by_cloid(maker.address, cloid)["order"]["order"]
    assert (found["oid"], found["cloid"]) == (status["oid"], cloid.to_raw())
    assert maker.open_orders()[0]["cloid"] == cloid.to_raw()
    assert desk.info.query_order_by_cloid(maker.address, Cloid.from_int(5))["status"] == "unknownOid"


def test_an_account_does_not_trade_with_itself(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    own = maker.rest("ETH", False, 1, price)
    others = taker.rest("ETH", False, 1, price)
    filled = maker.order("ETH", True, 2, price, IOC)["filled"]
    assert filled["totalSz"] == "1.0"
    assert maker.word(own) == "selfTradeCanceled"
    assert taker.word(others) == "filled"
    assert len(maker.fills()) == 1


def test_a_builder_gets_the_fee_that_was_approved(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    builder = desk.trader(1_000)
    fee = {"b": builder.address, "f": 10}
    maker.rest("ETH", False, 1, price)
    answer = taker.exchange.order("ETH", True, 1, price, IOC, builder=dict(fee))
    told = refusal(answer) if answer["status"] == "err" else only(answer)["error"]
    assert told.startswith("Builder fee has not been approved.")
    assert taker.signed_size("ETH") == 0
    assert taker.exchange.approve_builder_fee(builder.address, "0.01%")["status"] == "ok"
    assert desk.ask({"type": "maxBuilderFee", "user": taker.address, "builder": builder.address}) == 10
    taker.order("ETH", True, 1, price, IOC, builder=dict(fee))
    (fill,) = taker.fills()
    assert Decimal(fill["builderFee"]) == truncated(price * Decimal("0.0001"))
    assert Decimal(fill["fee"]) == truncated(price * TAKER_RATE) + Decimal(fill["builderFee"])
    assert taker.signed_size("ETH") == 1


def test_a_stale_action_is_refused(desk: Desk, maker: Trader) -> None:
    maker.exchange.set_expires_after(desk.now_ms() - 1_000)
    told = refusal(maker.exchange.order("ETH", True, 1, desk.price("ETH", 0.97), ALO))
    assert "expired" in told.lower()
    assert maker.open_orders() == []
    maker.exchange.set_expires_after(desk.now_ms() + 60_000)
    oid = maker.rest("ETH", True, 1, desk.price("ETH", 0.97), ALO)
    assert maker.open_ids() == {oid}


def test_a_higher_priority_goes_ahead_of_the_youngest_of_its_level(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    wire = {"coin": "ETH", "is_buy": False, "sz": 1, "limit_px": price, "order_type": ALO, "reduce_only": False}
    other = desk.trader()
    # Priority re-sorts what is younger than 400 ms (venue reference section 9): both must be placed within that time.
    first = maker.rest("ETH", False, 1, price, ALO)
    second = only(other.exchange.bulk_orders([wire], grouping={"p": 1_000}))["resting"]["oid"]
    placed = [
        trader.desk.info.query_order_by_oid(trader.address, oid) for trader, oid in ((maker, first), (other, second))
    ]
    between_ms = placed[1]["order"]["order"]["timestamp"] - placed[0]["order"]["order"]["timestamp"]
    taker.order("ETH", True, 1, price, IOC)
    ahead, behind = ((other, second), (maker, first)) if between_ms < 400 else ((maker, first), (other, second))
    assert ahead[0].word(ahead[1]) == "filled"
    assert behind[0].word(behind[1]) == "open"


def test_ids_grow_with_rejected_orders_too(desk: Desk, maker: Trader) -> None:
    low = desk.price("ETH", 0.5)
    first = maker.rest("ETH", True, 1, low, ALO)
    assert "error" in maker.order("ETH", True, 1, low, IOC)
    second = maker.rest("ETH", True, 1, low, ALO)
    assert second >= first + 2
    assert eventually(lambda: maker.open_ids()) == {first, second}
