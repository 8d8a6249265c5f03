"""Everything that ends an order at its owner's wish (venue reference section 4.2)."""

from __future__ import annotations

import pytest
from hyperliquid.utils.signing import get_timestamp_ms
from hyperliquid.utils.types import Cloid

from tests.conformance.desk import (
    ALO,
    IOC,
    NEVER_PLACED,
    Desk,
    Trader,
    default,
    eventually,
    only,
    refusal,
    statuses,
)

LEGS_MAX = 200


def test_cancel_by_id(desk: Desk, maker: Trader) -> None:
    oid = maker.rest("ETH", True, 1, desk.price("ETH", 0.99), ALO)
    assert only(maker.exchange.cancel("ETH", oid)) == "success"
    assert maker.open_orders() == []
    assert maker.word(oid) == "canceled"
    assert desk.book("ETH") == [[], []]
    assert only(maker.exchange.cancel("ETH", oid))["error"].startswith(NEVER_PLACED)


def test_cancel_by_the_owners_id(desk: Desk, maker: Trader) -> None:
    cloid = Cloid.from_int(77)
    maker.rest("ETH", True, 1, desk.price("ETH", 0.99), ALO, cloid=cloid)
    assert only(maker.exchange.cancel_by_cloid("ETH", cloid)) == "success"
    assert maker.word(cloid) == "canceled"
    assert only(maker.exchange.cancel_by_cloid("ETH", cloid))["error"].startswith(NEVER_PLACED)


def test_many_cancels_in_one_action(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    oids = [maker.rest("ETH", True, 1, price - step, ALO) for step in range(3)]
    cancels = [{"coin": "ETH", "oid": oid} for oid in [oids[0], 1, oids[2]]]
    first, second, third = statuses(maker.exchange.bulk_cancel(cancels))
    assert (first, third) == ("success", "success")
    assert second["error"].startswith(NEVER_PLACED)
    assert maker.open_ids() == {oids[1]}
    cloids = [Cloid.from_int(step) for step in (31, 32)]
    for cloid in cloids:
        maker.rest("ETH", True, 1, price, ALO, cloid=cloid)
    answer = maker.exchange.bulk_cancel_by_cloid([{"coin": "ETH", "cloid": cloid} for cloid in cloids])
    assert statuses(answer) == ["success", "success"]
    assert maker.open_ids() == {oids[1]}


def test_nobody_cancels_the_orders_of_others(desk: Desk, maker: Trader, taker: Trader) -> None:
    oid = maker.rest("ETH", True, 1, desk.price("ETH", 0.99), ALO)
    assert only(taker.exchange.cancel("ETH", oid))["error"].startswith(NEVER_PLACED)
    assert maker.open_ids() == {oid}


def test_a_fast_cancel(desk: Desk, maker: Trader) -> None:
    oid = maker.rest("ETH", True, 1, desk.price("ETH", 0.99), ALO)
    assert only(maker.post({"type": "cancel", "cancels": [{"a": 1, "o": oid}], "f": True})) == "success"
    assert maker.word(oid) == "canceled"


def test_an_action_has_at_most_two_hundred_cancels(desk: Desk, maker: Trader) -> None:
    oid = maker.rest("ETH", True, 1, desk.price("ETH", 0.99), ALO)
    cancels = [{"coin": "ETH", "oid": oid}] + [{"coin": "ETH", "oid": 1}] * LEGS_MAX
    assert refusal(maker.exchange.bulk_cancel(cancels)) == "Signed action over weight limit of 200."
    assert maker.open_ids() == {oid}
    assert statuses(maker.exchange.bulk_cancel(cancels[:LEGS_MAX]))[0] == "success"
    assert maker.open_ids() == set()


def test_a_noop_uses_its_nonce_up(desk: Desk, maker: Trader) -> None:
    nonce = get_timestamp_ms() - 1_000
    assert default(maker.exchange.noop(nonce))
    order = {"a": 1, "b": True, "p": "1000", "s": "1", "r": False, "t": ALO}
    told = refusal(maker.post({"type": "order", "orders": [order], "grouping": "na"}, nonce=nonce))
    assert "nonce" in told.lower()
    assert maker.open_orders() == []


def test_scheduled_cancels_are_for_who_has_traded_enough(desk: Desk, maker: Trader) -> None:
    told = refusal(maker.exchange.schedule_cancel(desk.now_ms() + 60_000))
    assert told.startswith("Cannot set scheduled cancel time until enough volume traded. Required: $1000000.")


@pytest.fixture
def veteran(desk: Desk, maker: Trader) -> Trader:
    """An account that has traded more than a million USDC, and holds nothing."""
    price = desk.price("BTC")
    trader = desk.trader()
    size = round(600_000 / price, 3)
    for is_buy in (True, False):
        maker.rest("BTC", not is_buy, size, price, ALO)
        trader.order("BTC", is_buy, size, price, IOC)
    assert trader.signed_size("BTC") == 0
    return trader


def test_a_scheduled_cancel_ends_all_orders_when_its_time_comes(desk: Desk, veteran: Trader) -> None:
    price = desk.price("ETH", 0.98)
    told = refusal(veteran.exchange.schedule_cancel(desk.now_ms() + 1_000))
    assert "5 seconds" in told
    assert default(veteran.exchange.schedule_cancel(desk.now_ms() + 60_000))
    assert default(veteran.exchange.schedule_cancel(None))
    assert default(veteran.exchange.schedule_cancel(desk.now_ms() + 6_000))
    oids = [veteran.rest("ETH", True, 1, price, ALO), veteran.rest("BTC", True, 0.1, desk.price("BTC", 0.98), ALO)]
    assert veteran.open_ids() == set(oids)
    eventually(lambda: not veteran.open_ids(), within_s=12.0)
    assert [veteran.word(oid) for oid in oids] == ["scheduledCancel"] * 2
    again = veteran.rest("ETH", True, 1, price, ALO)
    assert veteran.open_ids() == {again}
