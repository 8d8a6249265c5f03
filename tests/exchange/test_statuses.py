"""What an action is answered, by what the book made of it."""

from __future__ import annotations

from typing import Any

import pytest

from hlhft.exchange.listing import Listed, Listing, Token
from hlhft.exchange.machine import Machine
from hlhft.units import MICRO, Market
from hlhft.venue.blocks import ActionKind
from tests.exchange.clients import BTC, ETH, Client, order, orders, small_machine, small_settings, stop

CLOID = "0x" + "0f" * 16


@pytest.fixture
def machine() -> Machine:
    return small_machine()


@pytest.fixture
def alice(machine: Machine) -> Client:
    return Client(machine, 1)


@pytest.fixture
def bob(machine: Machine) -> Client:
    return Client(machine, 2)


def sell(price: str, size: str, **more: Any) -> dict[str, Any]:
    return order(buy=False, price=price, size=size, **more)


def test_a_resting_order(alice: Client) -> None:
    assert alice.statuses(orders(order(), order(price="3998", cloid=CLOID))) == [
        {"resting": {"oid": 1}},
        {"resting": {"oid": 2, "cloid": CLOID}},
    ]


def test_fills_are_summed_and_averaged(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "0.1"), sell("4001", "0.2"), sell("4003", "5")))
    (status,) = alice.statuses(orders(order(price="4003", size="0.4", tif="Ioc", cloid=CLOID)))
    # (0.1 x 4000 + 0.2 x 4001 + 0.1 x 4003) / 0.4 = 4001.25
    assert status == {"filled": {"totalSz": "0.4", "avgPx": "4001.25", "oid": 4, "cloid": CLOID}}
    # (2 x 4003 + 4005) / 3 = 4003.666..., to the nearest tick.
    bob.statuses(orders(sell("4005", "5")))
    alice.statuses(orders(order(price="4003", size="4.7", tif="Ioc")))
    (status,) = alice.statuses(orders(order(price="4005", size="0.3", tif="Ioc")))
    assert status["filled"]["avgPx"] == "4003.67"


def test_the_rest_of_a_gtc_rests_without_a_status_of_its_own(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "0.1")))
    (status,) = alice.statuses(orders(order(price="4000", size="0.3")))
    assert status == {"filled": {"totalSz": "0.1", "avgPx": "4000.0", "oid": 2}}
    assert [(one["oid"], one["sz"]) for one in alice.info("openOrders")] == [(2, "0.2")]


def test_the_rest_of_an_ioc_is_silently_gone(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "0.1")))
    (status,) = alice.statuses(orders(order(price="4000", size="0.3", tif="Ioc")))
    assert status["filled"]["totalSz"] == "0.1"
    assert alice.info("openOrders") == []


def test_errors_name_their_cause(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "1"), order(price="3990", size="1")))
    cases = [
        (order(price="4000", tif="Alo"), "Post only order would have immediately matched, bbo was 3990@4000."),
        (order(price="3989", tif="Ioc"), "Order could not immediately match against any resting orders."),
        (order(price="3000.05"), "Price must be divisible by tick size."),
        (order(size="0.001"), "Order must have minimum value of $10."),
        (order(size="900", price="3980"), "Insufficient margin to place order."),
        (order(reduce=True), "Reduce only order would increase position."),
        (order(size="80000", price="3980"), "Order value too large. Max is $300000000."),
        (order(size="8000", price="3999", tif="FrontendMarket"), "Order value too large. Max is $30000000."),
        (order(price="100"), "Order price cannot be more than 95% away from the reference price"),
    ]
    for number, (made, text) in enumerate(cases):
        # The last three are recorded without the asset.
        assert alice.statuses(orders(made)) == [{"error": f"{text} asset=1" if number < 6 else text}]


def test_the_suffix_is_a_setting() -> None:
    alice = Client(small_machine(asset_suffix=False), 1)
    assert alice.statuses(orders(order(size="0.001"))) == [{"error": "Order must have minimum value of $10."}]


def test_a_market_order_without_a_market(alice: Client) -> None:
    (status,) = alice.statuses(orders(order(price="4000", tif="FrontendMarket")))
    assert status == {"error": "No liquidity available for market order. asset=1"}


def test_an_order_that_meets_the_accounts_own_is_told_from_it(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4001", "0.1")))
    alice.statuses(orders(sell("4000", "0.1")))
    (status,) = alice.statuses(orders(order(price="4001", size="0.1")))
    assert status == {"filled": {"totalSz": "0.1", "avgPx": "4001.0", "oid": 3}}
    (status,) = alice.statuses(orders(sell("4000", "0.1"), sell("4002", "0.1")))[:1]
    assert status == {"resting": {"oid": 4}}
    # The account's own order is the only one within reach: it ends, and the new one rests.
    (status,) = alice.statuses(orders(order(price="4000", size="0.1")))
    assert status == {"resting": {"oid": 6}}


def test_a_trimmed_older_order_is_not_mistaken_for_the_new_one(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "1")))
    alice.statuses(orders(order(price="4000", size="1", tif="Ioc")))
    assert alice.statuses(orders(sell("4010", "1", reduce=True))) == [{"resting": {"oid": 3}}]
    bob.statuses(orders(order(price="4005", size="0.4")))
    # The position falls to 0.6: the resting order is trimmed, which is told by the same leg.
    (status,) = alice.statuses(orders(sell("4005", "0.4", tif="Ioc")))
    assert status == {"filled": {"totalSz": "0.4", "avgPx": "4005.0", "oid": 5}}
    assert [one["sz"] for one in alice.info("openOrders")] == ["0.6"]


def test_waiting_orders(alice: Client, bob: Client) -> None:
    loss = sell("3700", "0.1", trigger=stop("3800"), reduce=True)
    assert alice.statuses(orders(order(), loss, grouping="normalTpsl")) == [{"resting": {"oid": 1}}, "waitingForFill"]
    assert alice.statuses(orders(loss)) == ["waitingForTrigger"]
    assert alice.statuses(orders(sell("3700", "0.1", trigger=stop("4100"), reduce=True))) == [
        {"error": "Invalid TP/SL price. asset=1"}
    ]


def test_cancels(alice: Client, bob: Client) -> None:
    alice.statuses(orders(order(), order(price="3998", cloid=CLOID), order(price="110000", size="0.01", asset=BTC)))
    gone = {"error": "Order was never placed, already canceled, or filled. asset=1"}
    by_number = {"type": "cancel", "cancels": [{"a": ETH, "o": 1}, {"a": ETH, "o": 1}, {"a": BTC, "o": 3}]}
    assert alice.statuses(by_number) == ["success", gone, "success"]
    by_name = {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": CLOID}], "f": True}
    assert bob.statuses(by_name) == [gone]
    assert alice.statuses(by_name) == ["success"]
    assert alice.statuses(by_name) == [gone]


def test_a_fast_cancel_does_not_reach_waiting_orders(alice: Client) -> None:
    alice.statuses(orders(sell("3700", "0.1", trigger=stop("3800"), cloid=CLOID)))
    cancel = {"type": "cancelByCloid", "cancels": [{"asset": ETH, "cloid": CLOID}]}
    assert alice.statuses({**cancel, "f": True}) == [{"error": "Fast cancel cannot cancel trigger orders. asset=1"}]
    assert alice.statuses(cancel) == ["success"]


def test_one_modification_is_answered_as_an_action(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "1")))
    alice.statuses(orders(order()))
    done = {"status": "ok", "response": {"type": "default"}}
    assert alice.send({"type": "modify", "oid": 2, "order": order(price="3990")}) == done
    assert [one["limitPx"] for one in alice.info("openOrders")] == ["3990.0"]
    assert alice.refusal({"type": "modify", "oid": 2, "order": order(price="3990")}) == (
        "Cannot modify canceled or filled order"
    )
    assert alice.refusal({"type": "modify", "oid": 3, "order": order(size="0")}) == "Order has zero size."
    crossing = {"type": "modify", "oid": 3, "order": order(price="4000")}
    assert alice.refusal(crossing) == (
        "Error placing new order during modify: Post only order would have immediately matched, bbo was none@4000."
    )
    assert alice.info("openOrders") == []


def test_modifications_get_statuses(alice: Client, bob: Client) -> None:
    bob.statuses(orders(sell("4000", "1")))
    alice.statuses(orders(order(), order(price="3998")))
    batch = [{"oid": 2, "order": order(price="3997", cloid=CLOID)}, {"oid": 9, "order": order()}]
    assert alice.statuses({"type": "batchModify", "modifies": batch}) == [
        {"resting": {"oid": 4, "cloid": CLOID}},
        {"error": "Cannot modify canceled or filled order asset=1"},
    ]
    always = [{"oid": 9, "order": order(price="4000", size="0.2", tif="Ioc")}]
    (status,) = alice.statuses({"type": "batchModify", "modifies": always, "a": True})
    assert status["filled"]["totalSz"] == "0.2"


def test_a_refusal_of_an_action_has_its_figures(alice: Client) -> None:
    alice.machine.kernel.chain.fees.traded_micro[alice.account] = 87_457_460_000
    later = alice.machine.time_ns // 1_000_000 + 60_000
    assert alice.refusal({"type": "scheduleCancel", "time": later}) == (
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $87457.46."
    )


def test_an_action_about_the_account_is_done_or_refused_as_a_whole(alice: Client) -> None:
    leverage = {"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 5}
    assert alice.send(leverage) == {"status": "ok", "response": {"type": "default"}}
    assert alice.refusal({**leverage, "leverage": 200}) == "Invalid leverage value"
    assert alice.statuses({"type": "batchModify", "modifies": [{"oid": 99, "order": order()}]}) == [
        {"error": "Cannot modify canceled or filled order asset=1"}
    ]


def test_the_venues_own_legs_are_told_apart(alice: Client) -> None:
    machine = alice.machine
    machine.deposit(alice.address, 5 * MICRO)
    outcome = machine.advance(machine.time_ns + 1)
    assert [int(leg["kind"]) for leg in outcome.blocks[0].legs] == [ActionKind.DEPOSIT]
    assert outcome.answers == []


def test_twaps(alice: Client) -> None:
    def status(**more: Any) -> Any:
        twap = {"a": ETH, "b": True, "s": "1", "r": False, "m": 30, "t": False, **more}
        answer = alice.send({"type": "twapOrder", "twap": twap})
        assert answer["response"]["type"] == "twapOrder"
        return answer["response"]["data"]["status"]

    running = status()
    assert set(running) == {"running"}
    assert status(m=1) == {"error": "Invalid TWAP duration: 1 min(s)"}
    assert status(s="0") == {"error": "Order has zero size. asset=1"}
    assert status(b=False, r=True) == {"error": "Reduce only order would increase position."}
    cancel = {"type": "twapCancel", "a": ETH, "t": running["running"]["twapId"]}
    assert alice.send(cancel)["response"] == {"type": "twapCancel", "data": {"status": "success"}}
    assert alice.send(cancel)["response"]["data"]["status"] == {
        "error": "TWAP was never placed, already canceled, or filled."
    }


def test_a_new_sub_account_is_named(alice: Client) -> None:
    alice.machine.kernel.chain.fees.traded_micro[alice.account] = 200_000 * MICRO
    answer = alice.send({"type": "createSubAccount", "name": "two"})
    assert answer["response"] == {"type": "createSubAccount", "data": alice.info("subAccounts")[0]["subAccountUser"]}


def test_spot_has_a_minimum_of_its_own() -> None:
    pair = Listed(market=Market.spot("@0", asset_id=10_000, size_decimals=2), base_token=1)
    tokens = (Token(name="USDC", index=0), Token(name="GOLD", index=1))
    machine = small_machine(
        listing=Listing((*small_settings().listing.markets, pair), tokens=tokens),
        reference_ticks=(*small_settings().reference_ticks, 100_000_000),
    )
    alice = Client(machine, 1)
    (status,) = alice.statuses(orders(order(asset=10_000, price="100", size="0.01")))
    assert status == {"error": "Order must have minimum value of 10 USDC. asset=10000"}
