"""Every action about an account, by its effect on the ledger."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from hlhft.exchange import account_plans, actions
from hlhft.exchange.machine import Machine
from hlhft.hyperliquid.wire import ZERO_ADDRESS
from hlhft.units import MICRO
from tests.exchange.clients import CHAIN, ETH, START_MS, Client, order, orders, small_machine

DEFAULT = {"status": "ok", "response": {"type": "default"}}
NOBODY = "0x" + "77" * 20


@pytest.fixture(scope="module")
def machine() -> Machine:
    return small_machine(accounts_max=64)


@pytest.fixture
def alice(machine: Machine) -> Client:
    return fresh(machine)


@pytest.fixture
def bob(machine: Machine) -> Client:
    return fresh(machine)


def fresh(machine: Machine) -> Client:
    return Client(machine, len(machine.addresses) + 1)


def sub_account(client: Client) -> str:
    client.machine.kernel.chain.fees.traded_micro[client.account] = 200_000 * MICRO
    answer = client.send({"type": "createSubAccount", "name": "second"})
    assert answer["response"]["type"] == "createSubAccount", answer
    return str(answer["response"]["data"])


def collateral(machine: Machine, address: str) -> int:
    number = machine.addresses.number(address)
    assert number is not None
    return int(machine.kernel.chain.exchange.collateral[number])


def spot_usdc(client: Client) -> str:
    balances = client.info("spotClearinghouseState")["balances"]
    return next((str(one["total"]) for one in balances if one["coin"] == "USDC"), "0.0")


def test_every_action_has_a_planner() -> None:
    assert set(account_plans.PLANNERS) == set(get_args(actions.Action))


def test_leverage_of_a_market(alice: Client) -> None:
    assert alice.send({"type": "updateLeverage", "asset": ETH, "isCross": False, "leverage": 7}) == DEFAULT
    leverage = alice.info("activeAssetData", coin="ETH")["leverage"]
    assert (leverage["type"], leverage["value"]) == ("isolated", 7)
    assert alice.refusal({"type": "updateLeverage", "asset": ETH, "isCross": True, "leverage": 26}) == (
        "Invalid leverage value"
    )
    assert alice.refusal({"type": "updateLeverage", "asset": 9, "isCross": True, "leverage": 2}) == (
        "Asset 9 does not exist."
    )


def test_isolated_margin_needs_an_isolated_position(alice: Client, bob: Client) -> None:
    margin = {"type": "updateIsolatedMargin", "asset": ETH, "isBuy": True, "ntli": 5 * MICRO}
    assert alice.refusal(margin) == "Position does not use isolated margin."
    assert alice.send({"type": "updateLeverage", "asset": ETH, "isCross": False, "leverage": 5}) == DEFAULT
    bob.statuses(orders(order(buy=False, price="4000", size="1", tif="Alo")))
    alice.statuses(orders(order(price="4000", size="1", tif="Ioc")))
    before = float(alice.info("clearinghouseState")["assetPositions"][0]["position"]["marginUsed"])
    assert alice.send(margin) == DEFAULT
    after = float(alice.info("clearinghouseState")["assetPositions"][0]["position"]["marginUsed"])
    assert after - before == pytest.approx(5, abs=1e-5)


def test_usdc_goes_to_another_account(alice: Client, bob: Client) -> None:
    send = {"type": "usdSend", "destination": bob.address, "amount": "12.5", "time": 0, **CHAIN}
    assert alice.send(send) == DEFAULT
    assert (alice.collateral_micro, bob.collateral_micro) == (99_987_500_000, 100_012_500_000)
    assert alice.send({**send, "destination": NOBODY, "amount": "1.0"}) == DEFAULT
    assert collateral(alice.machine, NOBODY) == MICRO
    assert alice.refusal({**send, "amount": "0"}) == "Invalid amount"
    assert alice.refusal({**send, "amount": "0.0000001"}) == "Invalid amount"
    assert alice.refusal({**send, "amount": "-5"}) == "Invalid amount"
    assert alice.refusal({**send, "amount": "1000000"}) == "Insufficient margin to transfer."
    assert alice.refusal({**send, "destination": ZERO_ADDRESS}) == f"Invalid address {ZERO_ADDRESS}."


def test_usdc_leaves(alice: Client) -> None:
    assert alice.send({"type": "withdraw3", "destination": NOBODY, "amount": "100", "time": 0, **CHAIN}) == DEFAULT
    assert alice.collateral_micro == 99_900_000_000


def test_usdc_between_perpetuals_and_spot(alice: Client, bob: Client) -> None:
    move = {"type": "usdClassTransfer", "amount": "40", "toPerp": False, "nonce": 0, **CHAIN}
    assert alice.send(move) == DEFAULT
    assert (alice.collateral_micro, spot_usdc(alice)) == (99_960_000_000, "40.0")
    token = next(token for token in alice.machine.settings.listing.tokens if token.name == "USDC")
    spot = {"type": "spotSend", "destination": bob.address, "token": f"USDC:{token.token_id}", "time": 0, **CHAIN}
    assert alice.send({**spot, "amount": "15.5"}) == DEFAULT
    assert (spot_usdc(alice), spot_usdc(bob)) == ("24.5", "15.5")
    assert alice.refusal({**spot, "amount": "1", "token": "GOLD:0x1"}) == "Token GOLD:0x1 does not exist."
    assert alice.refusal({**spot, "amount": "1000"}) == "Insufficient balance for token transfer."
    assert alice.refusal({**spot, "amount": "0"}) == "Invalid amount"
    assert alice.refusal({**spot, "amount": "1", "destination": ZERO_ADDRESS}) == f"Invalid address {ZERO_ADDRESS}."
    assert alice.send({**move, "toPerp": True, "amount": "24.5"}) == DEFAULT
    assert alice.collateral_micro == 99_984_500_000


def test_send_asset_goes_where_its_dexs_say(alice: Client, bob: Client) -> None:
    send = {
        "type": "sendAsset", "destination": bob.address, "sourceDex": "", "destinationDex": "", "token": "USDC",
        "amount": "10", "fromSubAccount": "", "nonce": 0, **CHAIN,
    }  # fmt: skip
    assert alice.send(send) == DEFAULT
    assert (alice.collateral_micro, bob.collateral_micro) == (99_990_000_000, 100_010_000_000)
    own = {**send, "destination": alice.address, "destinationDex": "spot"}
    assert alice.send(own) == DEFAULT
    assert spot_usdc(alice) == "10.0"
    assert alice.send({**send, "sourceDex": "spot", "destinationDex": "spot", "amount": "4"}) == DEFAULT
    assert (spot_usdc(alice), spot_usdc(bob)) == ("6.0", "4.0")
    assert alice.send({**own, "sourceDex": "spot", "destinationDex": "", "amount": "6"}) == DEFAULT
    assert alice.collateral_micro == 99_986_000_000
    assert alice.refusal({**send, "destinationDex": "spot"}) == "Cannot send USDC from dex '' to dex 'spot'."
    assert alice.refusal({**send, "destinationDex": "xyz"}) == "Cannot send USDC from dex '' to dex 'xyz'."
    assert alice.refusal({**send, "destination": ZERO_ADDRESS}) == f"Invalid address {ZERO_ADDRESS}."
    assert alice.refusal({**send, "fromSubAccount": bob.address}).startswith("Sub-account")


def test_an_agent_moves_funds_within_its_account_only(alice: Client, bob: Client) -> None:
    move = {
        "type": "agentSendAsset", "destination": bob.address, "sourceDex": "", "destinationDex": "spot",
        "token": "USDC", "amount": "10", "fromSubAccount": "", "nonce": 1,
    }  # fmt: skip
    assert alice.refusal(move) == account_plans.OTHER_ACCOUNT
    assert alice.send({**move, "destination": alice.address}) == DEFAULT
    assert spot_usdc(alice) == "10.0"


def test_a_sub_account_trades_for_its_master(alice: Client, bob: Client) -> None:
    assert alice.refusal({"type": "createSubAccount", "name": "x"}).startswith("Cannot create sub-accounts")
    address = sub_account(alice)
    number = alice.machine.addresses.number(address)
    assert number is not None
    assert alice.machine.kernel.chain.fees.master[number] == alice.account
    move = {"type": "subAccountTransfer", "subAccountUser": address, "isDeposit": True, "usd": 500 * MICRO}
    assert alice.send(move) == DEFAULT
    assert (collateral(alice.machine, address), alice.collateral_micro) == (500 * MICRO, 99_500 * MICRO)
    assert alice.statuses(orders(order(size="0.01")), vault=address) == [{"resting": {"oid": OrderId()}}]
    assert alice.send({**move, "isDeposit": False, "usd": 100 * MICRO}) == DEFAULT
    assert collateral(alice.machine, address) == 400 * MICRO
    class_transfer = {"type": "usdClassTransfer", "toPerp": False, "nonce": 0, **CHAIN}
    assert alice.send({**class_transfer, "amount": f"20 subaccount:{address}"}) == DEFAULT
    assert collateral(alice.machine, address) == 380 * MICRO
    spot = {"type": "subAccountSpotTransfer", "subAccountUser": address, "token": "USDC", "amount": "5"}
    assert alice.send({**spot, "isDeposit": False}) == DEFAULT
    assert spot_usdc(alice) == "5.0"
    for action in (move, {**spot, "isDeposit": True}):
        assert bob.refusal(action) == f"Sub-account {address} is not registered."
    assert bob.refusal({**class_transfer, "amount": f"20 subaccount:{address}"}).startswith("Sub-account")
    assert bob.refusal(orders(order()), vault=address) == f"Vault not registered: {address}"


class OrderId:
    """Equal to every order id."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, int) and other > 0

    def __hash__(self) -> int:
        return 0


def test_an_agent_acts_for_its_master(alice: Client) -> None:
    agent = Client(alice.machine, 200, usdc=0)
    unknown = f"User or API Wallet {agent.address} does not exist."
    assert agent.refusal(orders(order())) == unknown
    approve = {"type": "approveAgent", "agentAddress": agent.address, "agentName": "bot", "nonce": 0, **CHAIN}
    assert alice.send(approve) == DEFAULT
    assert agent.statuses(orders(order(size="0.01"))) == [{"resting": {"oid": OrderId()}}]
    assert alice.info("extraAgents")[0]["name"] == "bot"
    send = {"type": "usdSend", "destination": NOBODY, "amount": "1", "time": 0, **CHAIN}
    assert agent.refusal(send) == f"Must deposit before performing actions. User: {agent.address}"
    assert alice.refusal({**approve, "agentAddress": alice.address}) == "Cannot use existing user as agent."
    assert alice.send({**approve, "agentAddress": ZERO_ADDRESS}) == DEFAULT
    assert agent.refusal(orders(order())) == unknown


def test_builders_are_approved(alice: Client, bob: Client) -> None:
    approve = {"type": "approveBuilderFee", "maxFeeRate": "0.02%", "builder": bob.address, "nonce": 0, **CHAIN}
    assert alice.send(approve) == DEFAULT
    assert alice.info("maxBuilderFee", builder=bob.address) == 20
    assert alice.refusal({**approve, "maxFeeRate": "5"}) == "Invalid builder fee rate."
    assert alice.refusal({**approve, "builder": ZERO_ADDRESS}).startswith("Invalid address")
    stranger = "0x" + "B" * 40
    assert alice.send({**approve, "builder": stranger}) == DEFAULT, "a builder that was never here can be approved"
    assert alice.statuses(orders(order(size="0.01"), builder={"b": stranger.lower(), "f": 20})) == [
        {"resting": {"oid": OrderId()}}
    ]


def test_requests_are_bought(alice: Client, bob: Client) -> None:
    assert alice.send({"type": "reserveRequestWeight", "weight": 100}) == DEFAULT
    assert alice.collateral_micro == 100_000 * MICRO - 50_000
    assert alice.info("userRateLimit")["nRequestsSurplus"] == 99
    assert alice.send({"type": "reserveRequestWeight", "weight": 10, "destination": bob.address}) == DEFAULT
    assert bob.info("userRateLimit")["nRequestsSurplus"] == 10
    assert alice.refusal({"type": "reserveRequestWeight", "weight": 10, "destination": "0x" + "d" * 40}).startswith(
        "Must deposit"
    )
    assert alice.refusal({"type": "reserveRequestWeight", "weight": 2**32 - 1}) == "Insufficient margin to transfer."
    assert alice.info("userRateLimit")["nRequestsSurplus"] == 96


@pytest.mark.parametrize(
    "action",
    [
        {"type": "noop"},
        {"type": "setReferrer", "code": "X"},
        {"type": "agentSetAbstraction", "abstraction": "i"},
        {"type": "agentEnableDexAbstraction"},
        {"type": "evmUserModify", "usingBigBlocks": True},
        {"type": "claimRewards"},
        {"type": "userSetAbstraction", "user": NOBODY, "abstraction": "disabled", "nonce": 0, **CHAIN},
    ],
)
def test_what_means_nothing_here_is_done_with_nothing_done(alice: Client, action: dict[str, Any]) -> None:
    assert alice.send(action) == DEFAULT
    assert alice.collateral_micro == 100_000 * MICRO


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ({"type": "vaultTransfer", "vaultAddress": NOBODY, "isDeposit": True, "usd": 5}, "Vault not registered: 0x777"),
        ({"type": "topUpIsolatedOnlyMargin", "asset": 0, "leverage": "3"}, "topUpIsolatedOnlyMargin is not supported"),
        ({"type": "gossipPriorityBid", "slotId": 0, "ip": "1.2.3.4", "maxGas": 5}, "gossipPriorityBid is not"),
    ],
)
def test_what_cannot_be_done_here_is_refused(alice: Client, action: dict[str, Any], text: str) -> None:
    assert alice.refusal(action).startswith(text)


def test_a_scheduled_cancel_needs_volume(alice: Client) -> None:
    later = alice.machine.time_ns // 1_000_000 + 60_000
    assert alice.refusal({"type": "scheduleCancel", "time": later}) == (
        "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $0.00."
    )
    alice.machine.kernel.chain.fees.traded_micro[alice.account] = 2_000_000 * MICRO
    assert alice.refusal({"type": "scheduleCancel", "time": START_MS}).startswith("Scheduled cancel time too early")
    assert alice.refusal({"type": "scheduleCancel", "time": 0}).startswith("Scheduled cancel time too early")
    assert alice.send({"type": "scheduleCancel", "time": later}) == DEFAULT
    assert alice.send({"type": "scheduleCancel"}) == DEFAULT


def test_twaps(alice: Client, bob: Client) -> None:
    bob.statuses(orders(order(buy=False, price="4000", size="10", tif="Alo")))

    def start(**more: Any) -> Any:
        twap = {"a": ETH, "b": True, "s": "1", "r": False, "m": 30, "t": False, **more}
        return alice.send({"type": "twapOrder", "twap": twap})

    answer = start()
    assert answer["response"]["type"] == "twapOrder"
    number = answer["response"]["data"]["status"]["running"]["twapId"]
    assert start(m=1)["response"]["data"]["status"] == {"error": "Invalid TWAP duration: 1 min(s)"}
    assert start(s="0")["response"]["data"]["status"] == {"error": "Order has zero size. asset=1"}
    assert alice.refusal({"type": "twapOrder", "twap": {"a": 9, "b": True, "s": "1", "r": False, "m": 5, "t": False}})
    cancel = {"type": "twapCancel", "a": ETH, "t": number}
    assert alice.send(cancel)["response"] == {"type": "twapCancel", "data": {"status": "success"}}
    assert alice.send(cancel)["response"]["data"]["status"] == {
        "error": "TWAP was never placed, already canceled, or filled."
    }
    assert alice.refusal({**cancel, "a": 9}) == "Asset 9 does not exist."
