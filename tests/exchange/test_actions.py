from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from hlhft.exchange.actions import Action, block_class, decode, decode_json, hashed, legs_of
from tests.exchange.clients import CHAIN, order, orders, stop

ADDRESS = "0x" + "ab" * 20
CLOID = "0x" + "0f" * 16

WHOLE: dict[str, dict[str, Any]] = {
    "order": orders(order()),
    "cancel": {"cancels": [{"a": 1, "o": 5}], "f": True},
    "cancelByCloid": {"cancels": [{"asset": 1, "cloid": CLOID}]},
    "modify": {"oid": CLOID, "order": order(), "a": True},
    "batchModify": {"modifies": [{"oid": 3, "order": order()}]},
    "scheduleCancel": {"time": 5},
    "noop": {},
    "twapOrder": {"twap": {"a": 1, "b": True, "s": "1", "r": False, "m": 30, "t": True}},
    "twapCancel": {"a": 1, "t": 2},
    "updateLeverage": {"asset": 0, "isCross": False, "leverage": 3},
    "updateIsolatedMargin": {"asset": 0, "isBuy": True, "ntli": -5},
    "topUpIsolatedOnlyMargin": {"asset": 0, "leverage": "3.5"},
    "reserveRequestWeight": {"weight": 10},
    "createSubAccount": {"name": "one"},
    "subAccountTransfer": {"subAccountUser": ADDRESS, "isDeposit": True, "usd": 5},
    "subAccountSpotTransfer": {"subAccountUser": ADDRESS, "isDeposit": True, "token": "USDC:0x1", "amount": "1"},
    "vaultTransfer": {"vaultAddress": ADDRESS, "isDeposit": True, "usd": 5},
    "setReferrer": {"code": "X"},
    "agentSetAbstraction": {"abstraction": "i"},
    "agentEnableDexAbstraction": {},
    "agentSendAsset": {
        "destination": ADDRESS, "sourceDex": "", "destinationDex": "spot", "token": "USDC", "amount": "1.0",
        "fromSubAccount": "", "nonce": 1,
    },
    "gossipPriorityBid": {"slotId": 0, "ip": "1.2.3.4", "maxGas": 5},
    "evmUserModify": {"usingBigBlocks": True},
    "claimRewards": {},
    "usdSend": {"destination": ADDRESS, "amount": "1.0", "time": 1, **CHAIN},
    "spotSend": {"destination": ADDRESS, "token": "USDC:0x1", "amount": "1", "time": 1, **CHAIN},
    "withdraw3": {"destination": ADDRESS, "amount": "1", "time": 1, **CHAIN},
    "usdClassTransfer": {"amount": f"1 subaccount:{ADDRESS}", "toPerp": True, "nonce": 1, **CHAIN},
    "sendAsset": {
        "destination": ADDRESS, "sourceDex": "", "destinationDex": "", "token": "USDC", "amount": "1",
        "fromSubAccount": "", "nonce": 1, **CHAIN,
    },
    "approveAgent": {"agentAddress": ADDRESS, "agentName": "a", "nonce": 1, **CHAIN},
    "approveBuilderFee": {"maxFeeRate": "0.001%", "builder": ADDRESS, "nonce": 1, **CHAIN},
    "userSetAbstraction": {"user": ADDRESS, "abstraction": "disabled", "nonce": 1, **CHAIN},
    "userDexAbstraction": {"user": ADDRESS, "enabled": True, "nonce": 1, **CHAIN},
    "tokenDelegate": {"validator": ADDRESS, "wei": 1, "isUndelegate": False, "nonce": 1, **CHAIN},
}  # fmt: skip


def action(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, **{key: value for key, value in WHOLE[kind].items() if key != "type"}, **more}


def holds(found: Any, wanted: Any) -> bool:
    """Whether `found` says all that `wanted` says; optional fields may be there besides."""
    if isinstance(wanted, dict):
        return all(holds(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted)


def test_every_action_is_tried() -> None:
    assert {str(one.__struct_config__.tag) for one in get_args(Action)} == set(WHOLE)


@pytest.mark.parametrize("kind", WHOLE)
def test_an_action_survives_the_round_trip(kind: str) -> None:
    decoded = decode(action(kind))
    assert decoded.__struct_config__.tag == kind
    assert holds(msgspec.to_builtins(decoded), action(kind))


@pytest.mark.parametrize("kind", WHOLE)
def test_text_deserialises_alike(kind: str) -> None:
    assert decode_json(msgspec.json.encode(action(kind))) == decode(action(kind))
    with pytest.raises(msgspec.DecodeError):
        decode_json(msgspec.json.encode(action(kind, surplus=1)))


@pytest.mark.parametrize("kind", WHOLE)
def test_unknown_fields_and_missing_ones_do_not_deserialise(kind: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(action(kind, surplus=1))
    optional = {"f", "a", "time", "agentName", "destination", "type"}
    for name in set(WHOLE[kind]) - optional:
        with pytest.raises(msgspec.ValidationError):
            decode({key: value for key, value in action(kind).items() if key != name})


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "unheardOf"},
        {"type": 5},
        {},
        orders(order(asset=-1)),
        orders(order(asset="1")),  # type: ignore[arg-type]
        orders(order(asset=2**32)),
        orders(order(price="1e5")),
        orders(order(price="NaN")),
        orders(order(price="")),
        orders(order(price=" 1")),
        orders(order(price="1" * 31)),
        orders(order(price=5)),  # type: ignore[arg-type]
        orders(order(size="-")),
        orders(order(tif="Fok")),
        orders(order(cloid="0x12")),
        orders({**order(), "t": {}}),
        orders({**order(), "t": {"limit": {"tif": "Gtc"}, "trigger": stop("1")}}),
        orders(order(trigger={**stop("1"), "tpsl": "xx"})),
        orders(order(), grouping="other"),
        orders(order(), grouping={"p": -1}),
        orders(order(), builder={"b": "0x1", "f": 1}),
        {"type": "cancel", "cancels": [{"a": 1, "o": -1}]},
        {"type": "cancel", "cancels": {"a": 1, "o": 1}},
        {"type": "cancel", "cancels": [{"a": 1, "o": 2**63}]},
        {"type": "cancel", "cancels": [], "f": 1},
        {"type": "scheduleCancel", "time": 1.5},
        {"type": "createSubAccount", "name": "x" * 200},
    ],
)
def test_what_is_no_action_does_not_deserialise(bad: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(bad)


def test_a_batch_counts_its_items() -> None:
    assert legs_of(decode(orders(order(), order(), order()))) == 3
    assert legs_of(decode(orders())) == 1
    assert legs_of(decode({"type": "cancel", "cancels": [{"a": 1, "o": 1}] * 2})) == 2
    assert legs_of(decode(action("batchModify", modifies=[{"oid": 3, "order": order()}] * 4))) == 4
    assert legs_of(decode(action("noop"))) == 1


def test_the_class_is_that_of_what_takes() -> None:
    assert block_class(decode(orders(order(tif="Alo")))) == 0
    assert block_class(decode(orders(order(tif="Alo"), order(tif="Ioc")))) == 2
    assert block_class(decode(orders(order(tif="FrontendMarket")))) == 2
    assert block_class(decode(orders(order(trigger=stop("1"))))) == 0
    assert block_class(decode(action("cancel"))) == 1
    assert block_class(decode(action("cancelByCloid"))) == 1
    assert block_class(decode(action("modify"))) == 2
    assert block_class(decode(action("batchModify", modifies=[{"oid": 3, "order": order(tif="Alo")}]))) == 0
    assert block_class(decode(action("updateLeverage"))) == 0


def test_what_is_hashed_is_what_was_understood() -> None:
    cancels = {"type": "cancel", "cancels": []}
    assert hashed({**cancels, "f": False}) == cancels
    assert list(hashed({**cancels, "f": True})) == ["type", "cancels", "f"]
    plain = orders(order(price="100", size="0.1"))
    assert hashed(plain) is plain
    assert hashed(orders(order(price="100.0", size="0.10"))) == plain
    single = {"type": "modify", "oid": 1, "order": order(price="100"), "a": False}
    assert hashed(single) == {"type": "modify", "oid": 1, "order": order(price="100")}
    assert hashed({**single, "order": order(price="100.50")})["order"]["p"] == "100.5"
    batch = {"type": "batchModify", "modifies": [{"oid": 1, "order": order(size="1.000")}]}
    assert hashed(batch)["modifies"][0]["order"]["s"] == "1"
    assert hashed({"type": "noop"}) == {"type": "noop"}
