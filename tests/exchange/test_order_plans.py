"""What the table of order actions makes of its input before any block; what the book says is in test_statuses.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hlhft.exchange import order_plans
from hlhft.exchange.account_plans import plan
from hlhft.exchange.actions import decode
from hlhft.exchange.listing import Listing
from hlhft.exchange.machine import Machine
from hlhft.exchange.plans import Form, Plan, Refused, Scope
from hlhft.venue.blocks import ActionKind, Grouping, TimeInForce, TriggerKind
from hlhft.venue.refusals import TEXT, Refusal
from tests.exchange.clients import BTC, ETH, START_MS, Client, order, orders, small_machine, stop

CLOID = "0x" + "0f" * 16
TAKE = {"isMarket": False, "triggerPx": "4100", "tpsl": "tp"}


@pytest.fixture(scope="module")
def machine() -> Machine:
    return small_machine()


@pytest.fixture
def scope(machine: Machine) -> Scope:
    return Scope(
        listing=machine.settings.listing, addresses=machine.addresses, client_ids=machine.client_ids, account=1,
        signer_account=1, now_ms=START_MS, volume_micro=0, masters=machine.kernel.chain.fees.master,
        reserve_requests=machine.account_limits.reserve,
    )  # fmt: skip


def planned(action: dict[str, Any], scope: Scope) -> Plan:
    made = plan(decode(action), scope)
    assert isinstance(made, Plan), made
    return made


def refusal(action: dict[str, Any], scope: Scope) -> str:
    made = plan(decode(action), scope)
    assert isinstance(made, Refused), made
    return made.text


def test_an_order_becomes_a_leg(scope: Scope) -> None:
    made = planned(orders(order(price="3999.5", size="0.1234", buy=False, reduce=True, cloid=CLOID)), scope)
    assert made.form == Form.ORDER
    assert made.items == [0]
    assert made.legs == [
        {
            "kind": ActionKind.PLACE, "market": ETH, "client_id": scope.client_ids.find(1, int(CLOID, 16)), "side": -1,
            "price_ticks": 399950, "size_lots": 1234, "reduce_only": 1, "time_in_force": TimeInForce.GTC,
            "grouping": Grouping.NONE, "priority_rate_e8": 0,
        }
    ]  # fmt: skip
    assert made.legs[0]["client_id"] > 0


def test_times_in_force(scope: Scope) -> None:
    kinds = ("Alo", "Gtc", "Ioc", "FrontendMarket")
    legs = planned(orders(*(order(tif=tif) for tif in kinds)), scope).legs
    wanted = [TimeInForce.ALO, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.MARKET]
    assert [leg["time_in_force"] for leg in legs] == wanted


def test_a_trigger_order_becomes_a_leg_of_its_own_kind(scope: Scope) -> None:
    leg = planned(orders(order(price="3700", trigger=stop("3800.5"))), scope).legs[0]
    assert leg["kind"] == ActionKind.PLACE_TRIGGER
    assert (leg["trigger_kind"], leg["trigger_ticks"], leg["trigger_is_market"]) == (TriggerKind.STOP_LOSS, 380050, 1)
    assert leg["price_ticks"] == 370000
    assert planned(orders(order(trigger=TAKE)), scope).legs[0]["trigger_kind"] == TriggerKind.TAKE_PROFIT


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (order(price="0"), "Order has invalid price."),
        (order(price="-1"), "Order has invalid price."),
        (order(price="99999999999"), "Order has invalid price."),
        (order(price="3999.123"), "Price must be divisible by tick size."),
        (order(size="0"), "Order has zero size."),
        (order(size="-0"), "Order has zero size."),
        (order(size="-1"), "Order has invalid size."),
        (order(size="0.00001"), "Order has invalid size."),
        (order(size="9" * 30), "Order has invalid size."),
        (order(trigger=stop("0")), "Invalid TP/SL price."),
    ],
)
def test_a_fault_of_one_order_is_its_own(fault: dict[str, Any], text: str, scope: Scope) -> None:
    made = planned(orders(order(), fault, order(asset=BTC, price="100000")), scope)
    assert made.items == [0, f"{text} asset=1", 1]
    assert [leg["market"] for leg in made.legs] == [ETH, BTC]


def test_whole_batches_are_refused(scope: Scope) -> None:
    assert refusal(orders(), scope) == order_plans.NO_ORDERS
    assert refusal(orders(*[order()] * 201), scope) == "Signed action over weight limit of 200."
    assert len(planned(orders(*[order()] * 200), scope).legs) == 200
    assert refusal(orders(order(asset=77)), scope) == "Asset 77 does not exist."
    assert refusal({"type": "cancel", "cancels": [{"a": 1, "o": 1}] * 201}, scope) == order_plans.OVER_WEIGHT
    assert refusal({"type": "cancel", "cancels": []}, scope) == order_plans.NO_ORDERS
    assert refusal({"type": "modify", "oid": 1, "order": order(asset=9)}, scope) == "Asset 9 does not exist."
    assert refusal({"type": "batchModify", "modifies": []}, scope) == order_plans.NO_ORDERS


def test_a_group_is_an_entry_and_what_waits_for_it(scope: Scope) -> None:
    loss, profit = order(trigger=stop("3800"), reduce=True, buy=False), order(trigger=TAKE, reduce=True, buy=False)
    made = planned(orders(order(), profit, loss, grouping="normalTpsl"), scope)
    assert [leg["grouping"] for leg in made.legs] == [Grouping.NORMAL_TPSL] * 3
    assert len(planned(orders(profit, loss, grouping="positionTpsl"), scope).legs) == 2
    wrong = [
        orders(order(), grouping="normalTpsl"),
        orders(order(), order(), grouping="normalTpsl"),
        orders(loss, profit, grouping="normalTpsl"),
        orders(order(), loss, loss, loss, grouping="normalTpsl"),
        orders(order(), loss, grouping="positionTpsl"),
    ]
    assert {refusal(action, scope) for action in wrong} == {"Unexpected number of trigger orders"}
    increasing = orders(order(), order(trigger=stop("3800"), buy=False), grouping="normalTpsl")
    assert planned(increasing, scope) == Plan(form=Form.ORDER, items=[order_plans.GROUP_NOT_REDUCING])
    # What belongs together is not placed in part.
    half = planned(orders(order(size="0"), loss, grouping="normalTpsl"), scope)
    assert half == Plan(form=Form.ORDER, items=["Order has zero size. asset=1"])


def test_priority_is_for_actions_of_one_kind(scope: Scope) -> None:
    made = planned(orders(order(tif="Alo"), order(tif="Alo"), grouping={"p": 500}), scope)
    assert [leg["priority_rate_e8"] for leg in made.legs] == [500, 500]
    assert planned(orders(order(tif="Ioc", reduce=True), grouping={"p": 5}), scope).legs
    for mixed in (
        orders(order(tif="Alo"), order(tif="Ioc"), grouping={"p": 5}),
        orders(order(tif="Alo", reduce=True), grouping={"p": 5}),
        orders(order(tif="Gtc"), grouping={"p": 5}),
        orders(order(trigger=stop("3800")), grouping={"p": 5}),
    ):
        assert planned(mixed, scope).items == [
            "Priority is only for actions of IOC or of post-only orders that are not reduce-only"
        ]


def test_a_builder_needs_approval(machine: Machine, scope: Scope) -> None:
    builder = Client(machine, 9)
    action = orders(order(), builder={"b": "0x" + builder.address[2:].upper(), "f": 10})
    assert refusal(action, scope) == "Builder fee has not been approved."
    assert machine.addresses.approve_builder_fee(1, builder.address, "0.01%") is None
    leg = planned(action, scope).legs[0]
    assert (leg["builder"], leg["builder_rate_e9"]) == (builder.account + 1, 100_000)
    assert refusal(orders(order(), builder={"b": builder.address, "f": 11}), scope) == (
        "Builder fee has not been approved."
    )
    assert refusal(orders(order(), builder={"b": builder.address, "f": 101}), scope) == order_plans.BUILDER_FEE_TOO_HIGH
    stranger = {"b": "0x" + "9" * 40, "f": 1}
    assert refusal(orders(order(), builder=stranger), scope) == "Builder fee has not been approved."
    (leg,) = planned(orders(order(), builder={**stranger, "f": 0}), scope).legs
    assert "builder" not in leg, "who takes nothing needs no approval"


def test_cancels(scope: Scope) -> None:
    made = planned({"type": "cancel", "cancels": [{"a": 0, "o": 5}, {"a": 1, "o": 0}], "f": True}, scope)
    assert made.legs == [
        {"kind": ActionKind.CANCEL, "market": BTC, "target_id": 5, "target_is_client_id": 0, "fast": 1}
    ]
    assert made.items == [0, "Order was never placed, already canceled, or filled. asset=1"]
    number = scope.client_ids.use(1, 77)
    cancels = [{"asset": 1, "cloid": f"0x{cloid:032x}"} for cloid in (76, 77)]
    made = planned({"type": "cancelByCloid", "cancels": cancels}, scope)
    assert made.items == ["Order was never placed, already canceled, or filled. asset=1", 0]
    assert (made.legs[0]["target_id"], made.legs[0]["target_is_client_id"], made.legs[0]["fast"]) == (number, 1, 0)


def test_a_modification_becomes_one_leg(scope: Scope) -> None:
    made = planned({"type": "modify", "oid": 7, "order": order(tif="Alo")}, scope)
    assert made.form == Form.MODIFY
    leg = made.legs[0]
    assert (leg["kind"], leg["target_id"], leg["always_place"]) == (ActionKind.MODIFY, 7, 0)
    batch = {"type": "batchModify", "modifies": [{"oid": 7, "order": order()}, {"oid": 8, "order": order(size="0")}]}
    made = planned({**batch, "a": True}, scope)
    assert made.items == [0, "Order has zero size. asset=1"]
    assert made.legs[0]["always_place"] == 1


def test_a_modification_that_cannot_be_one(scope: Scope) -> None:
    def items(entry: dict[str, Any], **more: Any) -> Any:
        return planned({"type": "batchModify", "modifies": [entry], **more}, scope).items

    invalid = ["Attempted to modify to invalid new order"]
    assert items({"oid": 7, "order": order(tif="Ioc")}) == invalid
    assert items({"oid": 7, "order": order(tif="FrontendMarket")}) == invalid
    assert items({"oid": 7, "order": order(trigger=stop("3800"))}) == invalid
    unknown = "0x" + "d" * 32
    assert items({"oid": unknown, "order": order()}) == ["Cannot modify canceled or filled order asset=1"]
    # Always placed: the new order comes even where the old one never was.
    made = planned({"type": "modify", "oid": unknown, "order": order(tif="Ioc"), "a": True}, scope)
    assert [leg["kind"] for leg in made.legs] == [ActionKind.PLACE]


def test_a_waiting_order_takes_the_place_of_another_by_two_legs(scope: Scope) -> None:
    entry = {"oid": 7, "order": order(trigger=stop("3800"))}
    made = planned({"type": "batchModify", "modifies": [entry, {"oid": 8, "order": order()}], "a": True}, scope)
    assert [leg["kind"] for leg in made.legs] == [ActionKind.CANCEL, ActionKind.PLACE_TRIGGER, ActionKind.MODIFY]
    assert made.items == [1, 2]
    lonely = {"oid": "0x" + "e" * 32, "order": order(trigger=stop("3800"))}
    made = planned({"type": "batchModify", "modifies": [lonely], "a": True}, scope)
    assert ([leg["kind"] for leg in made.legs], made.items) == ([ActionKind.PLACE_TRIGGER], [0])


def test_after_an_upgrade_only_post_only_orders_pass(scope: Scope) -> None:
    scope.post_only = True
    assert planned(orders(order(tif="Alo")), scope).items == [0]
    refused = f"{TEXT[Refusal.POST_ONLY_WINDOW]} asset={ETH}"
    for tif in ("Gtc", "Ioc"):
        assert planned(orders(order(tif=tif)), scope).items == [refused]


def test_what_is_delisted_takes_no_order(scope: Scope) -> None:
    markets = scope.listing.markets
    scope.listing = Listing(
        tuple(replace(one, is_delisted=row == ETH) for row, one in enumerate(markets)), tokens=scope.listing.tokens
    )
    assert planned(orders(order()), scope).items == [f"{order_plans.DELISTED} asset={ETH}"]
    assert planned(orders(order(asset=BTC, price="60000", size="0.01")), scope).items == [0]
