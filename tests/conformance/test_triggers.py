"""Orders that wait for the mark price, alone and in groups (venue reference sections 4.1 and 4.4), and TWAPs."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.conformance.desk import (
    ALO,
    GTC,
    IOC,
    Desk,
    Trader,
    eventually,
    only,
    statuses,
    trigger,
)

COIN = "SOL"
ASSET = 2


@pytest.fixture
def price(desk: Desk) -> Iterator[int]:
    """The market's price, which the test may move: it stands where it stood afterwards."""
    found = desk.price(COIN)
    yield found
    desk.sweep()
    desk.move(COIN, found)


@pytest.fixture
def holder(desk: Desk, maker: Trader, price: int) -> Trader:
    """An account that is ten long."""
    trader = desk.trader()
    maker.rest(COIN, False, 10, price, ALO)
    trader.order(COIN, True, 10, price, IOC)
    assert trader.signed_size(COIN) == 10
    return trader


def wanted(is_buy: bool, size: float, price: float, kind: Any, *, reduce_only: bool) -> dict[str, Any]:
    return {
        "coin": COIN,
        "is_buy": is_buy,
        "sz": size,
        "limit_px": price,
        "order_type": kind,
        "reduce_only": reduce_only,
    }


def test_a_stop_waits_and_sells_at_the_market_when_the_mark_falls(
    desk: Desk, maker: Trader, holder: Trader, price: int
) -> None:
    stop = round(price * 0.95)
    holder.exchange.order(COIN, False, 10, round(stop * 0.9), trigger(stop, "sl"), reduce_only=True)
    (shown,) = desk.info.frontend_open_orders(holder.address)
    assert shown["isTrigger"] is True
    assert shown["orderType"] == "Stop Market"
    assert Decimal(shown["triggerPx"]) == stop
    assert shown["triggerCondition"] != "N/A"
    assert desk.book(COIN) == [[], []]
    bid = round(price * 0.93)
    maker.rest(COIN, True, 10, bid, ALO)
    assert holder.signed_size(COIN) == 10
    desk.move(COIN, round(price * 0.94))
    eventually(lambda: holder.signed_size(COIN) == 0)
    assert holder.word(shown["oid"]) == "filled"
    fill = holder.fills()[0]
    assert (Decimal(fill["px"]), fill["oid"], fill["dir"]) == (bid, shown["oid"], "Close Long")


def test_an_armed_trigger_is_answered_as_waiting(holder: Trader, price: int) -> None:
    status = holder.order(COIN, False, 1, round(price * 0.8), trigger(round(price * 0.9), "sl"), reduce_only=True)
    assert status == "waitingForTrigger" or "resting" in status
    assert len(holder.open_orders()) == 1


def test_a_take_profit_with_a_limit_rests_when_the_mark_rises(desk: Desk, holder: Trader, price: int) -> None:
    target = round(price * 1.05)
    kind = trigger(target, "tp", is_market=False)
    holder.exchange.order(COIN, False, 4, target + 3, kind, reduce_only=True)
    (shown,) = desk.info.frontend_open_orders(holder.address)
    assert shown["orderType"] == "Take Profit Limit"
    desk.move(COIN, round(price * 1.06))
    eventually(lambda: desk.book(COIN)[1] == [(target + 3, 4, 1)])
    assert holder.signed_size(COIN) == 10
    assert holder.open_ids() == {shown["oid"]}
    assert holder.word(shown["oid"]) in ("open", "triggered")


def test_a_trigger_beyond_the_mark_is_rejected(holder: Trader, price: int) -> None:
    status = holder.order(COIN, False, 1, round(price * 0.9), trigger(round(price * 1.1), "sl"), reduce_only=True)
    assert status["error"].startswith("Invalid TP/SL price.")
    assert holder.newest_word() == "badTriggerPxRejected"


def test_a_waiting_order_is_cancelled_but_not_by_a_fast_cancel(holder: Trader, price: int) -> None:
    holder.exchange.order(COIN, False, 1, round(price * 0.8), trigger(round(price * 0.9), "sl"), reduce_only=True)
    (oid,) = holder.open_ids()
    assert "error" in only(holder.post({"type": "cancel", "cancels": [{"a": ASSET, "o": oid}], "f": True}))
    assert holder.open_ids() == {oid}
    assert only(holder.exchange.cancel(COIN, oid)) == "success"
    assert holder.open_ids() == set()
    assert holder.word(oid) == "canceled"


def test_a_waiting_order_is_replaced_where_it_is_always_placed(desk: Desk, holder: Trader, price: int) -> None:
    holder.exchange.order(COIN, False, 1, round(price * 0.8), trigger(round(price * 0.9), "sl"), reduce_only=True)
    (old,) = holder.open_ids()
    moved = str(round(price * 0.92))
    kind = {"trigger": {"isMarket": True, "triggerPx": moved, "tpsl": "sl"}}
    order = {"a": ASSET, "b": False, "p": str(round(price * 0.82)), "s": "2", "r": True, "t": kind}
    answer = holder.post({"type": "batchModify", "modifies": [{"oid": old, "order": order}], "a": True})
    assert only(answer) == "waitingForTrigger"
    (shown,) = desk.info.frontend_open_orders(holder.address)
    assert shown["oid"] != old
    assert (shown["sz"], Decimal(shown["triggerPx"])) == ("2.0", Decimal(moved))
    assert holder.word(old) == "canceled"


def test_triggers_of_a_short_are_the_other_way_round(desk: Desk, maker: Trader, taker: Trader, price: int) -> None:
    maker.rest(COIN, True, 5, price, ALO)
    taker.order(COIN, False, 5, price, IOC)
    for tpsl, factor, condition in (("sl", 1.1, "above"), ("tp", 0.9, "below")):
        at = round(price * factor)
        assert taker.order(COIN, True, 5, round(at * 1.05), trigger(at, tpsl), reduce_only=True) == "waitingForTrigger"
        (shown,) = (one for one in desk.info.frontend_open_orders(taker.address) if Decimal(one["triggerPx"]) == at)
        assert shown["triggerCondition"] == f"Price {condition} {at}"
    maker.rest(COIN, False, 5, round(price * 0.9), ALO)
    desk.move(COIN, round(price * 0.89))
    eventually(lambda: taker.signed_size(COIN) == 0)
    newest = taker.fills()[0]
    assert (newest["dir"], Decimal(newest["px"])) == ("Close Short", round(price * 0.9))
    assert Decimal(newest["closedPnl"]) == 5 * (price - round(price * 0.9))


def grouped(trader: Trader, price: int, parent_price: int) -> list[Any]:
    """A buy with both its children."""
    parent = wanted(True, 2, parent_price, GTC, reduce_only=False)
    children = [
        wanted(False, 2, round(price * 1.1), trigger(round(price * 1.1), "tp"), reduce_only=True),
        wanted(False, 2, round(price * 0.8), trigger(round(price * 0.9), "sl"), reduce_only=True),
    ]
    return statuses(trader.exchange.bulk_orders([parent, *children], grouping="normalTpsl"))


def test_children_wait_for_their_parent(desk: Desk, maker: Trader, taker: Trader, price: int) -> None:
    parent, profit, stop = grouped(taker, price, price - 2)
    assert (profit, stop) == ("waitingForFill", "waitingForFill")
    oid = parent["resting"]["oid"]
    found = desk.info.query_order_by_oid(taker.address, oid)["order"]["order"]
    assert len(found["children"]) == 2
    maker.order(COIN, False, 2, price - 2, IOC)
    assert taker.signed_size(COIN) == 2
    armed = eventually(lambda: [one for one in desk.info.frontend_open_orders(taker.address) if one["isTrigger"]])
    assert sorted(one["orderType"] for one in armed) == ["Stop Market", "Take Profit Market"]
    # One child is executed and ends the other.
    maker.rest(COIN, True, 2, round(price * 0.88), ALO)
    desk.move(COIN, round(price * 0.89))
    eventually(lambda: taker.signed_size(COIN) == 0)
    words = {one["orderType"]: taker.word(one["oid"]) for one in armed}
    assert words == {"Stop Market": "filled", "Take Profit Market": "siblingFilledCanceled"}


def test_children_end_with_their_parent(taker: Trader, price: int) -> None:
    parent, *_ = grouped(taker, price, price - 2)
    assert only(taker.exchange.cancel(COIN, parent["resting"]["oid"])) == "success"
    assert eventually(lambda: not taker.open_orders())


def test_triggers_of_a_position_follow_it(desk: Desk, maker: Trader, holder: Trader, price: int) -> None:
    pair = [
        wanted(False, 10, round(price * 1.1), trigger(round(price * 1.1), "tp"), reduce_only=True),
        wanted(False, 10, round(price * 0.8), trigger(round(price * 0.9), "sl"), reduce_only=True),
    ]
    assert statuses(holder.exchange.bulk_orders(pair, grouping="positionTpsl")) == ["waitingForTrigger"] * 2
    shown = desk.info.frontend_open_orders(holder.address)
    assert [one["isPositionTpsl"] for one in shown] == [True, True]
    maker.rest(COIN, True, 10, price, ALO)
    holder.order(COIN, False, 10, price, IOC)
    assert holder.signed_size(COIN) == 0
    eventually(lambda: not desk.info.frontend_open_orders(holder.address))


def test_a_twap_begins_and_is_cancelled(desk: Desk, maker: Trader, taker: Trader, price: int) -> None:
    maker.rest(COIN, False, 100, price + 1, ALO)
    maker.rest(COIN, True, 100, price - 1, ALO)
    twap = {"a": ASSET, "b": True, "s": "20", "r": False, "m": 5, "t": False}
    running = taker.post({"type": "twapOrder", "twap": twap})["response"]
    assert running["type"] == "twapOrder"
    number = running["data"]["status"]["running"]["twapId"]
    first = eventually(lambda: taker.fills())[0]
    assert first["twapId"] == number
    assert set(first["hash"].removeprefix("0x")) == {"0"}
    assert Decimal(first["px"]) == price + 1
    assert len(desk.info.user_twap_slice_fills(taker.address)) == 1
    cancel = {"type": "twapCancel", "a": ASSET, "t": number}
    assert taker.post(cancel)["response"] == {"type": "twapCancel", "data": {"status": "success"}}
    again = taker.post(cancel)["response"]["data"]["status"]["error"]
    assert again.startswith("TWAP was never placed, already canceled, or filled.")
    short = taker.post({"type": "twapOrder", "twap": twap | {"m": 1}})["response"]["data"]["status"]["error"]
    assert short.startswith("Invalid TWAP duration: 1 min(s)")
