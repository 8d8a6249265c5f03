"""What is read of an account: orders, fills, fees, limits, ledgers (venue reference section 3.2)."""

from __future__ import annotations

from decimal import Decimal

from tests.conformance.desk import ALO, IOC, Desk, Trader

FILL_KEYS = {
    "coin",
    "px",
    "sz",
    "side",
    "time",
    "startPosition",
    "dir",
    "closedPnl",
    "hash",
    "oid",
    "crossed",
    "fee",
    "tid",
    "feeToken",
}


def trade(maker: Trader, taker: Trader, size: float, price: int) -> None:
    maker.rest("ETH", False, size, price, ALO)
    taker.order("ETH", True, size, price, IOC)


def test_the_state_of_an_account_that_never_was(desk: Desk) -> None:
    state = desk.info.user_state(desk.wallet().address.lower())
    assert state["assetPositions"] == []
    assert Decimal(state["withdrawable"]) == 0
    assert Decimal(state["marginSummary"]["accountValue"]) == 0


def test_the_state_of_a_position_adds_up(desk: Desk, maker: Trader, taker: Trader) -> None:
    trade(maker, taker, 3, desk.price("ETH"))
    state = taker.state()
    (entry,) = state["assetPositions"]
    assert entry["type"] == "oneWay"
    position = entry["position"]
    size, value = Decimal(position["szi"]), Decimal(position["positionValue"])
    mark = Decimal(desk.context("ETH")["markPx"])
    assert value == size * mark
    assert Decimal(position["unrealizedPnl"]) == size * (mark - Decimal(position["entryPx"]))
    summary = state["marginSummary"]
    assert Decimal(summary["accountValue"]) == Decimal(summary["totalRawUsd"]) + value
    assert state["crossMarginSummary"] == summary
    assert set(position["cumFunding"]) == {"allTime", "sinceOpen", "sinceChange"}


def test_fills_are_told_newest_first_and_by_time(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    before = desk.now_ms()
    for size in (1, 2, 3):
        trade(maker, taker, size, price)
    fills = taker.fills()
    assert set(fills[0]) >= FILL_KEYS
    assert [fill["sz"] for fill in fills] == ["3.0", "2.0", "1.0"]
    by_time = desk.info.user_fills_by_time(taker.address, before - 1)
    assert [fill["sz"] for fill in by_time] == ["1.0", "2.0", "3.0"]
    assert desk.info.user_fills_by_time(taker.address, fills[0]["time"] + 1) == []
    until = desk.info.user_fills_by_time(taker.address, before - 1, fills[2]["time"])
    assert until[0]["tid"] == fills[2]["tid"]


def test_fills_of_one_order_are_combined_on_request(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    for step in (0, 0):
        maker.rest("ETH", False, 1, price + step, ALO)
    before = desk.now_ms() - 1
    taker.order("ETH", True, 2, price, IOC)
    assert len(desk.info.user_fills_by_time(taker.address, before)) == 2
    (combined,) = desk.info.user_fills_by_time(taker.address, before, aggregate_by_time=True)
    assert combined["sz"] == "2.0"


def test_every_order_has_a_history(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    trade(maker, taker, 1, price)
    cancelled = taker.rest("ETH", True, 1, price - 20, ALO)
    taker.exchange.cancel("ETH", cancelled)
    rejected = taker.order("ETH", True, 0.001, price, ALO)["error"]
    assert rejected.startswith("Order must have minimum value of $10.")
    told: dict[int, str] = {}
    for entry in desk.info.historical_orders(taker.address):  # the newest first
        told.setdefault(entry["order"]["oid"], entry["status"])
    assert told[cancelled] == "canceled"
    assert sorted(told.values()).count("filled") == 1
    assert "minTradeNtlRejected" in told.values()
    for oid, status in told.items():
        found = desk.info.query_order_by_oid(taker.address, oid)
        assert (found["status"], found["order"]["status"]) == ("order", status)
    assert desk.info.query_order_by_oid(taker.address, 2**50) == {"status": "unknownOid"}
    assert desk.info.query_order_by_oid(maker.address, cancelled) == {"status": "unknownOid"}


def test_fees_are_those_that_are_charged(desk: Desk, maker: Trader, taker: Trader) -> None:
    fees = desk.info.user_fees(taker.address)
    assert (fees["userCrossRate"], fees["userAddRate"]) == ("0.00045", "0.00015")
    assert fees["feeSchedule"]["tiers"]["vip"][0]["cross"] == "0.0004"
    assert fees["feeSchedule"]["cross"] == "0.00045"
    trade(maker, taker, 2, desk.price("ETH"))
    today = desk.info.user_fees(taker.address)["dailyUserVlm"]
    assert sum(Decimal(day["userCross"]) for day in today) == 2 * desk.price("ETH")
    assert sum(Decimal(day["userAdd"]) for day in desk.info.user_fees(maker.address)["dailyUserVlm"]) == sum(
        Decimal(day["userCross"]) for day in today
    )


def test_the_rate_limit_grows_with_volume(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    before = desk.info.user_rate_limit(taker.address)
    assert before["nRequestsCap"] == 10_000
    trade(maker, taker, 2, price)
    after = desk.info.user_rate_limit(taker.address)
    assert Decimal(after["cumVlm"]) == Decimal(before["cumVlm"]) + 2 * price
    assert after["nRequestsCap"] == 10_000 + 2 * price


def test_the_ledger_tells_deposits_and_transfers(desk: Desk, maker: Trader, taker: Trader) -> None:
    maker.exchange.usd_class_transfer(5, False)
    maker.exchange.usd_transfer(7, taker.address)
    updates = desk.info.user_non_funding_ledger_updates(maker.address, 0)
    assert [entry["delta"]["type"] for entry in updates] == ["deposit", "accountClassTransfer", "internalTransfer"]
    deposit, moved, sent = (entry["delta"] for entry in updates)
    assert Decimal(deposit["usdc"]) == 1_000_000
    assert (Decimal(moved["usdc"]), moved["toPerp"]) == (5, False)
    assert Decimal(sent["usdc"]) == 7
    assert all(set(entry) == {"time", "hash", "delta"} for entry in updates)
    newest = updates[-1]["time"]
    assert desk.info.user_non_funding_ledger_updates(maker.address, newest + 1) == []


def test_what_there_is_not_is_empty(desk: Desk, maker: Trader) -> None:
    info, user = desk.info, maker.address
    assert info.user_funding_history(user, 0) == []
    assert info.user_funding_history(user, 0, desk.now_ms()) == []
    assert info.user_twap_slice_fills(user) == []
    assert info.user_vault_equities(user) == []
    assert info.user_staking_delegations(user) == []
    assert info.user_staking_rewards(user) == []
    assert info.delegator_history(user) == []
    assert Decimal(info.user_staking_summary(user)["delegated"]) == 0
    assert info.extra_agents(user) == []
    assert not info.query_sub_accounts(user)
    assert info.query_user_to_multi_sig_signers(user) is None
    assert info.query_user_abstraction_state(user) in ("default", "disabled")
    assert info.query_user_dex_abstraction_state(user) in (None, False)
    assert isinstance(info.query_referral_state(user), dict)
    assert isinstance(info.query_perp_deploy_auction_status(), dict)


def test_a_portfolio_has_all_its_periods(desk: Desk, maker: Trader) -> None:
    found = dict(desk.info.portfolio(maker.address))
    assert set(found) == {"day", "week", "month", "allTime", "perpDay", "perpWeek", "perpMonth", "perpAllTime"}
    assert all(set(period) == {"accountValueHistory", "pnlHistory", "vlm"} for period in found.values())


def test_the_most_that_can_be_traded_shrinks_with_the_position(desk: Desk, maker: Trader, taker: Trader) -> None:
    price = desk.price("ETH")
    data = desk.ask({"type": "activeAssetData", "user": taker.address, "coin": "ETH"})
    assert set(data) == {"user", "coin", "leverage", "maxTradeSzs", "availableToTrade", "markPx"}
    most = Decimal(data["maxTradeSzs"][0])
    assert most > 0
    maker.rest("ETH", False, 1, price, ALO)
    taker.order("ETH", True, 1, price, IOC)
    fewer = desk.ask({"type": "activeAssetData", "user": taker.address, "coin": "ETH"})
    assert Decimal(fewer["maxTradeSzs"][0]) < most
