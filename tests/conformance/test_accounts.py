"""Who owns what and who acts for whom: transfers, sub-accounts, API wallets (venue reference sections 4.3 and 5.2)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import eth_account
import pytest
from hyperliquid.exchange import Exchange
from hyperliquid.utils.error import ClientError
from hyperliquid.utils.signing import get_timestamp_ms

from tests.conformance.desk import ALO, IOC, Desk, Trader, default, refusal

ZERO_ADDRESS = "0x" + "0" * 40


def test_usdc_moves_to_another_account(desk: Desk, maker: Trader) -> None:
    stranger = desk.wallet().address.lower()
    assert default(maker.exchange.usd_transfer(1234.5, stranger))
    assert maker.value() == Decimal("998765.5")
    assert Decimal(desk.info.user_state(stranger)["withdrawable"]) == Decimal("1234.5")
    told = refusal(maker.exchange.usd_transfer(10_000_000, stranger))
    assert told
    assert maker.value() == Decimal("998765.5")


def test_usdc_moves_between_perpetuals_and_spot(maker: Trader) -> None:
    assert default(maker.exchange.usd_class_transfer(1000.25, False))
    assert maker.value() == Decimal("998999.75")
    assert maker.spot_usdc() == Decimal("1000.25")
    assert default(maker.exchange.usd_class_transfer(1000.25, True))
    assert maker.value() == 1_000_000
    assert maker.spot_usdc() == 0
    assert refusal(maker.exchange.usd_class_transfer(1, True))
    assert maker.value() == 1_000_000


def test_spot_tokens_move_to_another_account(desk: Desk, maker: Trader, taker: Trader) -> None:
    (usdc,) = (token for token in desk.info.spot_meta()["tokens"] if token["name"] == "USDC")
    maker.exchange.usd_class_transfer(100, False)
    assert default(maker.exchange.spot_transfer(40, taker.address, f"USDC:{usdc['tokenId']}"))
    assert (maker.spot_usdc(), taker.spot_usdc()) == (60, 40)
    assert refusal(maker.exchange.spot_transfer(61, taker.address, f"USDC:{usdc['tokenId']}"))
    assert (maker.spot_usdc(), taker.spot_usdc()) == (60, 40)


def test_assets_are_sent_across_spot_and_perpetuals(desk: Desk, maker: Trader, taker: Trader) -> None:
    (usdc,) = (token for token in desk.info.spot_meta()["tokens"] if token["name"] == "USDC")
    token = f"USDC:{usdc['tokenId']}"
    assert default(maker.exchange.send_asset(maker.address, "", "spot", token, 50))
    assert (maker.value(), maker.spot_usdc()) == (999_950, 50)
    assert default(maker.exchange.send_asset(taker.address, "spot", "spot", token, 20))
    assert (maker.spot_usdc(), taker.spot_usdc()) == (30, 20)
    assert default(maker.exchange.send_asset(taker.address, "", "", token, 10))
    assert (maker.value(), taker.value()) == (999_940, 1_000_010)


def test_a_withdrawal_leaves_the_exchange(desk: Desk, maker: Trader) -> None:
    assert default(maker.exchange.withdraw_from_bridge(500, maker.address))
    assert maker.value() == 999_500
    kinds = [entry["delta"]["type"] for entry in desk.info.user_non_funding_ledger_updates(maker.address, 0)]
    assert sorted(kinds) == ["deposit", "withdraw"]
    assert refusal(maker.exchange.withdraw_from_bridge(2_000_000, maker.address))
    assert maker.value() == 999_500


@pytest.fixture
def master(desk: Desk, maker: Trader) -> Trader:
    """An account that has traded enough for sub-accounts, and holds nothing."""
    trader = desk.trader()
    price = desk.price("BTC")
    size = round(60_000 / price, 4)
    for is_buy in (True, False):
        maker.rest("BTC", not is_buy, size, price, ALO)
        trader.order("BTC", is_buy, size, price, IOC)
    return trader


def test_a_new_account_has_no_sub_accounts(desk: Desk, maker: Trader) -> None:
    told = refusal(maker.exchange.create_sub_account("early"))
    assert "volume" in told
    assert not desk.info.query_sub_accounts(maker.address)


def test_a_sub_account_is_traded_by_its_master(desk: Desk, master: Trader, maker: Trader) -> None:
    before = master.value()
    made = master.exchange.create_sub_account("desk one")["response"]
    assert made["type"] == "createSubAccount"
    sub = made["data"]
    (listed,) = desk.info.query_sub_accounts(master.address)
    assert (listed["name"], listed["subAccountUser"], listed["master"]) == ("desk one", sub, master.address)
    assert desk.info.user_role(sub) == {"role": "subAccount", "data": {"master": master.address}}
    assert default(master.exchange.sub_account_transfer(sub, True, 5_000_000_000))
    assert master.value() == before - 5_000
    trader = Trader(desk, Exchange(master.exchange.wallet, desk.url, vault_address=sub), sub)
    desk.traders.append(trader)
    assert trader.value() == 5_000
    oid = trader.rest("ETH", True, 1, desk.price("ETH", 0.99), ALO)
    assert trader.open_ids() == {oid}
    assert master.open_ids() == set()
    assert default(master.exchange.sub_account_transfer(sub, False, 1_000_000_000))
    assert (trader.value(), master.value()) == (4_000, before - 4_000)
    stranger = Exchange(maker.exchange.wallet, desk.url, vault_address=sub)
    told = refusal(stranger.cancel("ETH", oid))
    assert told == f"Vault not registered: {sub}"
    assert trader.open_ids() == {oid}


def agent_of(desk: Desk, trader: Trader, key: str) -> Trader:
    exchange = Exchange(eth_account.Account.from_key(key), desk.url, account_address=trader.address)
    return Trader(desk, exchange, trader.address)


def test_an_api_wallet_trades_for_its_master_and_cannot_withdraw(desk: Desk, maker: Trader, taker: Trader) -> None:
    answer, key = maker.exchange.approve_agent()
    assert default(answer)
    agent = agent_of(desk, maker, key)
    wallet = agent.exchange.wallet.address.lower()
    assert desk.info.user_role(wallet) == {"role": "agent", "data": {"user": maker.address}}
    price = desk.price("ETH")
    oid = agent.rest("ETH", True, 1, price, ALO)
    assert maker.open_ids() == {oid}
    assert desk.info.open_orders(wallet) == []
    taker.order("ETH", False, 1, price, IOC)
    assert maker.signed_size("ETH") == 1
    taker.rest("ETH", True, 1, price, ALO)
    assert "filled" in agent.exchange.market_close("ETH", px=price)["response"]["data"]["statuses"][0]
    assert maker.position("ETH") is None
    value = maker.value()
    told = refusal(agent.exchange.usd_transfer(1, taker.address))
    assert told.startswith("Must deposit before performing actions. User: 0x")
    assert maker.value() == value


def test_a_new_unnamed_api_wallet_replaces_the_old_one(desk: Desk, maker: Trader) -> None:
    _, first = maker.exchange.approve_agent()
    _, second = maker.exchange.approve_agent()
    old, new = agent_of(desk, maker, first), agent_of(desk, maker, second)
    price = desk.price("ETH", 0.99)
    told = refusal(old.exchange.order("ETH", True, 1, price, ALO))
    assert told == f"User or API Wallet {old.exchange.wallet.address.lower()} does not exist."
    oid = new.rest("ETH", True, 1, price, ALO)
    assert maker.open_ids() == {oid}


def test_three_named_api_wallets_stand_side_by_side(desk: Desk, maker: Trader) -> None:
    keys = [maker.exchange.approve_agent(f"agent {number}")[1] for number in range(3)]
    agents = [agent_of(desk, maker, key) for key in keys]
    listed = desk.info.extra_agents(maker.address)
    assert [entry["name"] for entry in listed] == ["agent 0", "agent 1", "agent 2"]
    assert [entry["address"] for entry in listed] == [agent.exchange.wallet.address.lower() for agent in agents]
    days = (listed[0]["validUntil"] - desk.now_ms()) / 86_400_000
    assert 89 < days <= 90
    answer, _ = maker.exchange.approve_agent("agent 3")
    assert answer["status"] == "err"
    price = desk.price("ETH", 0.99)
    oids = {agent.rest("ETH", True, 1, price, ALO) for agent in agents}
    assert maker.open_ids() == oids


def test_an_api_wallet_trades_for_the_sub_accounts_of_its_master(desk: Desk, master: Trader) -> None:
    sub = master.exchange.create_sub_account("two")["response"]["data"]
    master.exchange.sub_account_transfer(sub, True, 1_000_000_000)
    _, key = master.exchange.approve_agent("second")
    exchange = Exchange(eth_account.Account.from_key(key), desk.url, vault_address=sub)
    trader = Trader(desk, exchange, sub)
    desk.traders.append(trader)
    oid = trader.rest("ETH", True, 0.1, desk.price("ETH", 0.99), ALO)
    assert trader.open_ids() == {oid}


def test_spot_tokens_move_to_a_sub_account(desk: Desk, master: Trader) -> None:
    sub = master.exchange.create_sub_account("spot")["response"]["data"]
    master.exchange.usd_class_transfer(90, False)
    (usdc,) = (token for token in desk.info.spot_meta()["tokens"] if token["name"] == "USDC")
    token = f"USDC:{usdc['tokenId']}"
    assert default(master.exchange.sub_account_spot_transfer(sub, True, token, 50.5))
    assert (master.spot_usdc(), Trader(desk, master.exchange, sub).spot_usdc()) == (Decimal("39.5"), Decimal("50.5"))
    assert default(master.exchange.sub_account_spot_transfer(sub, False, token, 0.5))
    assert (master.spot_usdc(), Trader(desk, master.exchange, sub).spot_usdc()) == (40, 50)


def test_there_are_no_vaults(desk: Desk, maker: Trader) -> None:
    vault = desk.wallet().address.lower()
    assert refusal(maker.exchange.vault_usd_transfer(vault, True, 1_000_000)) == f"Vault not registered: {vault}"
    assert maker.value() == 1_000_000


NOTHING_HERE: dict[str, Callable[[Exchange], Any]] = {
    "set_referrer": lambda exchange: exchange.set_referrer("FRIEND"),
    "user_set_abstraction": lambda exchange: exchange.user_set_abstraction(exchange.wallet.address, "disabled"),
    "agent_set_abstraction": lambda exchange: exchange.agent_set_abstraction("i"),
    "user_dex_abstraction": lambda exchange: exchange.user_dex_abstraction(exchange.wallet.address, True),
    "agent_enable_dex_abstraction": lambda exchange: exchange.agent_enable_dex_abstraction(),
    "use_big_blocks": lambda exchange: exchange.use_big_blocks(True),
    "token_delegate": lambda exchange: exchange.token_delegate(ZERO_ADDRESS, 1, False),
    "gossip_priority_bid": lambda exchange: exchange.gossip_priority_bid(0, "1.2.3.4", 1),
}


@pytest.mark.parametrize("name", NOTHING_HERE)
def test_what_means_nothing_here_is_answered_and_changes_nothing(desk: Desk, maker: Trader, name: str) -> None:
    answer = NOTHING_HERE[name](maker.exchange)
    assert default(answer) or refusal(answer)
    assert (maker.value(), maker.spot_usdc()) == (1_000_000, 0)
    assert len(desk.info.user_non_funding_ledger_updates(maker.address, 0)) == 1


UNKNOWN: dict[str, Callable[[Exchange], Any]] = {
    "convert_to_multi_sig_user": lambda exchange: exchange.convert_to_multi_sig_user([ZERO_ADDRESS], 1),
    "multi_sig": lambda exchange: exchange.multi_sig(ZERO_ADDRESS, {"type": "noop"}, [], get_timestamp_ms()),
    "spot_deploy_register_token": lambda exchange: exchange.spot_deploy_register_token("T", 2, 8, 1, "token"),
    "c_signer_jail_self": lambda exchange: exchange.c_signer_jail_self(),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_actions_of_deployers_and_validators_are_no_actions_here(maker: Trader, name: str) -> None:
    """Unknown to the exchange, as any action is that its version does not have (venue reference section 1)."""
    try:
        answer = UNKNOWN[name](maker.exchange)
    except ClientError as error:
        assert error.status_code == 422
    else:
        assert refusal(answer)
    assert maker.value() == 1_000_000


def test_an_account_begins_with_its_deposit(desk: Desk) -> None:
    stranger = desk.trader(0)
    told = refusal(stranger.exchange.order("ETH", True, 1, desk.price("ETH", 0.99), ALO))
    assert told == f"User or API Wallet {stranger.address} does not exist."
    assert desk.info.user_role(stranger.address) == {"role": "missing"}
    told = refusal(stranger.exchange.usd_transfer(1, ZERO_ADDRESS))
    assert told == f"Must deposit before performing actions. User: {stranger.address}"
    desk.deposit(stranger.address, 100)
    assert desk.info.user_role(stranger.address) == {"role": "user"}
    assert stranger.value() == 100


def test_requests_are_bought(desk: Desk, maker: Trader) -> None:
    assert default(maker.post({"type": "reserveRequestWeight", "weight": 2_000}))
    assert maker.value() == 999_999
    limit = desk.info.user_rate_limit(maker.address)
    assert (limit["nRequestsUsed"], limit["nRequestsCap"]) == (0, 10_000)
    assert 1_990 <= limit["nRequestsSurplus"] <= 2_000
