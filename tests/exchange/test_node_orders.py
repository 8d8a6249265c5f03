"""The snapshot of every book: each order in its place, and what waits where it is asked for."""

from __future__ import annotations

from hlhft.exchange.machine import Machine
from hlhft.exchange.node_orders import l4_snapshot, records_of
from tests.exchange.clients import Client, order, orders, small_machine, stop


def snapshot(machine: Machine, **options: bool) -> dict[str, list[list[object]]]:
    return dict(l4_snapshot(machine.kernel.chain, machine.settings.listing, machine.register, **options))


def test_best_prices_come_first_and_of_one_price_the_oldest() -> None:
    machine = small_machine()
    ann, bob = Client(machine, 1), Client(machine, 2)
    for client, price in ((ann, "3990"), (bob, "3995"), (bob, "3990"), (ann, "3995")):
        client.send(orders(order(price=price, size="1", tif="Alo")))
    for price in ("4012", "4011", "4012"):
        bob.send(orders(order(buy=False, price=price, size="1", tif="Alo")))
    bids, asks = snapshot(machine, with_users=False)["ETH"]
    assert [(one["limitPx"], one["oid"]) for one in bids] == [
        ("3995.0", 2),
        ("3995.0", 4),
        ("3990.0", 1),
        ("3990.0", 3),
    ]
    assert [(one["limitPx"], one["oid"]) for one in asks] == [("4011.0", 6), ("4012.0", 5), ("4012.0", 7)]
    assert snapshot(machine)["BTC"] == [[], []]
    assert [user for user, _ in snapshot(machine)["ETH"][0]] == [bob.address, ann.address, ann.address, bob.address]


def test_an_order_has_the_shape_that_everybody_is_shown_with_what_is_left_of_it() -> None:
    machine = small_machine()
    ann, bob = Client(machine, 1), Client(machine, 2)
    ann.send(orders(order(price="3990", size="1", tif="Gtc", cloid="0x" + "ab" * 16)))
    bob.send(orders(order(buy=False, price="3990", size="0.25", tif="Ioc")))
    user, shape = snapshot(machine)["ETH"][0][0]
    assert user == ann.address
    assert shape == machine.records.account(machine.addresses.number(ann.address)).open[1].frontend(7500)
    assert (shape["sz"], shape["origSz"], shape["tif"]) == ("0.75", "1.0", "Gtc")


def test_what_waits_comes_last_where_it_is_asked_for_and_with_its_parent() -> None:
    machine = small_machine()
    ann = Client(machine, 1)
    ann.send(
        orders(
            order(price="3990", size="1"),
            order(buy=False, price="3800", size="1", reduce=True, trigger=stop("3850")),
            grouping="normalTpsl",
        )
    )
    ann.send(orders(order(buy=False, price="4100", size="1", trigger=stop("4200", is_market=False, tpsl="tp"))))
    ann.send(orders(order(buy=False, price="4010", size="1")))
    assert [[one["oid"] for _, one in side] for side in snapshot(machine)["ETH"]] == [[1], [4]]
    bids, asks = snapshot(machine, with_triggers=True)["ETH"]
    assert [one["oid"] for _, one in asks] == [4, 2, 3]
    (child,) = bids[0][1]["children"]
    assert child == asks[1][1]
    own = machine.records.account(machine.addresses.number(ann.address)).open
    assert [one for _, one in asks] == [own[oid].frontend(10_000) for oid in (4, 2, 3)]
    found = records_of(machine.kernel.chain, machine.settings.listing, machine.register)
    assert sorted(found) == [1, 2, 3, 4]
