"""Orders that take the place of others (venue reference section 4.2)."""

from __future__ import annotations

from decimal import Decimal

from hyperliquid.utils.types import Cloid

from tests.conformance.desk import ALO, GTC, IOC, Desk, Trader, default, only, refusal, statuses


def test_a_modified_order_is_a_new_one(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = maker.rest("ETH", True, 1, price, ALO)
    new = only(maker.exchange.modify_order(old, "ETH", True, 2, price - 1, ALO))["resting"]["oid"]
    assert new > old
    assert maker.word(old) == "canceled"
    (order,) = maker.open_orders()
    assert (order["oid"], order["sz"], Decimal(order["limitPx"])) == (new, "2.0", price - 1)
    assert desk.book("ETH")[0] == [(price - 1, 2, 1)]


def test_an_order_is_modified_by_the_id_that_its_owner_gave_it(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    cloids = [Cloid.from_int(11), Cloid.from_int(12)]
    old = maker.rest("ETH", True, 1, price, ALO, cloid=cloids[0])
    status = only(maker.exchange.modify_order(cloids[0], "ETH", True, 1, price - 2, ALO, cloid=cloids[1]))["resting"]
    assert status["cloid"] == cloids[1].to_raw()
    assert maker.open_ids() == {status["oid"]}
    assert maker.word(cloids[0]) == maker.word(old) == "canceled"
    assert maker.word(cloids[1]) == "open"


def test_a_modify_loses_the_place_in_the_queue(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    other = desk.trader()
    first = maker.rest("ETH", False, 2, price, ALO)
    second = other.rest("ETH", False, 1, price, ALO)
    moved = only(maker.exchange.modify_order(first, "ETH", False, 1, price, ALO))["resting"]["oid"]
    taker.order("ETH", True, 1, price)
    assert other.word(second) == "filled"
    assert maker.word(moved) == "open"


def test_a_modify_of_what_is_gone_places_nothing(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = maker.rest("ETH", True, 1, price, ALO)
    maker.exchange.cancel("ETH", old)
    answer = maker.exchange.modify_order(old, "ETH", True, 1, price, ALO)
    told = refusal(answer) if answer["status"] == "err" else only(answer)["error"]
    assert "Cannot modify canceled or filled order" in told
    assert maker.open_orders() == []


def test_always_place_places_although_the_old_order_is_gone(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = maker.rest("ETH", True, 1, price, ALO)
    maker.exchange.cancel("ETH", old)
    order = {"a": 1, "b": True, "p": str(price - 3), "s": "1", "r": False, "t": ALO}
    answer = maker.post({"type": "batchModify", "modifies": [{"oid": old, "order": order}], "a": True})
    assert maker.open_ids() == {only(answer)["resting"]["oid"]}


def test_a_limit_order_that_replaces_another_becomes_post_only(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    taker.rest("ETH", False, 1, price + 5, ALO)
    old = maker.rest("ETH", True, 1, price, GTC)
    new = only(maker.exchange.modify_order(old, "ETH", True, 1, price + 1, GTC))["resting"]["oid"]
    (shown,) = desk.info.frontend_open_orders(maker.address)
    assert (shown["oid"], shown["tif"]) == (new, "Alo")
    assert "error" in only(maker.exchange.modify_order(new, "ETH", True, 1, price + 5, GTC))
    assert maker.fills() == []


def test_many_orders_are_modified_in_one_action(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = [maker.rest("ETH", True, 1, price - step, ALO) for step in range(3)]
    modifies = [
        {
            "oid": oid,
            "order": {
                "coin": "ETH",
                "is_buy": True,
                "sz": 2,
                "limit_px": price - 10 - step,
                "order_type": ALO,
                "reduce_only": False,
            },
        }
        for step, oid in enumerate(old)
    ]
    new = [status["resting"]["oid"] for status in statuses(maker.exchange.bulk_modify_orders_new(modifies))]
    assert maker.open_ids() == set(new)
    assert desk.book("ETH")[0] == [(price - 10 - step, 2, 1) for step in range(3)]
    assert [maker.word(oid) for oid in old] == ["canceled"] * 3


def test_a_single_modify_tells_nothing_but_that_it_was_done(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = maker.rest("ETH", True, 1, price, ALO)
    order = {"a": 1, "b": True, "p": str(price - 7), "s": "1.5", "r": False, "t": ALO}
    assert default(maker.post({"type": "modify", "oid": old, "order": order}))
    (found,) = maker.open_orders()
    assert (found["sz"], Decimal(found["limitPx"])) == ("1.5", price - 7)
    assert found["oid"] != old


def test_a_new_order_off_the_grid_leaves_the_old_one(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = maker.rest("ETH", True, 1, price, ALO)
    order = {"a": 1, "b": True, "p": f"{price}.123", "s": "1", "r": False, "t": ALO}
    answer = maker.post({"type": "batchModify", "modifies": [{"oid": old, "order": order}]})
    assert only(answer)["error"].startswith("Price must be divisible by tick size.")
    assert maker.open_ids() == {old}


def test_a_new_order_that_would_take_ends_the_old_one_too(desk: Desk, maker: Trader, taker: Trader) -> None:
    """The old order is cancelled before the new one is tried (venue reference section 4.4)."""
    price = desk.price("ETH")
    taker.rest("ETH", False, 1, price + 1, ALO)
    old = maker.rest("ETH", True, 1, price - 1, ALO)
    order = {"a": 1, "b": True, "p": str(price + 2), "s": "1", "r": False, "t": ALO}
    told = refusal(maker.post({"type": "modify", "oid": old, "order": order}))
    assert told.startswith("Error placing new order during modify: ")
    assert maker.open_ids() == set()
    assert maker.word(old) == "canceled"
    assert maker.fills() == []


def test_an_order_does_not_become_an_immediate_one(desk: Desk, maker: Trader) -> None:
    price = desk.price("ETH", 0.99)
    old = maker.rest("ETH", True, 1, price, ALO)
    order = {"a": 1, "b": True, "p": str(price), "s": "1", "r": False, "t": IOC}
    assert (
        refusal(maker.post({"type": "modify", "oid": old, "order": order}))
        == "Attempted to modify to invalid new order"
    )
    assert maker.open_ids() == {old}
