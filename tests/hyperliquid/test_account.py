"""Answers about an account: in whole units, refused, from the embedded exchange, recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hlhft.hyperliquid import account
from hlhft.hyperliquid.account import (
    ANSWER_BYTES_MAX,
    Abstraction,
    AccountReader,
    AccountState,
    Agent,
    AssetSetting,
    Balance,
    ExchangeStatus,
    Fees,
    OpenOrder,
    OrderStatus,
    Position,
    RateLimit,
    Role,
    SpotState,
)
from hlhft.hyperliquid.reading import Fault
from hlhft.units import MICRO, Market
from tests.exchange.clients import BTC as BTC_ROW
from tests.exchange.clients import START_MS, Client, listing, order, orders, small_machine

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
ETH = Market.perpetual("ETH", asset_id=1, size_decimals=4)
SPOT = Market.spot("@151", asset_id=10_151, size_decimals=4)
USER = "0x" + "aB" * 20
READER = AccountReader((BTC, ETH, SPOT), user=USER)
MS, NS = 1_770_381_849_546, 1_770_381_849_546_000_000
CLOID = "0x00030050c6301a2b00000100000000d2"

READERS: dict[str, Callable[[bytes], Any]] = {
    "openOrders": READER.open_orders,
    "orderStatus": READER.order_status,
    "clearinghouseState": READER.state,
    "spotClearinghouseState": READER.spot_state,
    "activeAssetData": READER.asset_setting,
    "userFillsByTime": READER.fills,
    "userFunding": READER.fundings,
    "userNonFundingLedgerUpdates": READER.transfers,
    "userFees": account.fees,
    "userRateLimit": account.rate_limit,
    "userAbstraction": account.abstraction,
    "userRole": account.role,
    "extraAgents": account.agents,
    "exchangeStatus": account.exchange_status,
}


def read(kind: str, answer: Any) -> Any:
    return READERS[kind](json.dumps(answer).encode())


# Orders.


def listed(**changes: Any) -> dict[str, Any]:
    values = {
        "coin": "ETH", "side": "B", "limitPx": "1500.0", "sz": "0.25", "oid": 313890189710, "timestamp": MS,
        "origSz": "1.0", "cloid": CLOID,
    }  # fmt: skip
    return {**values, **changes}


EXPECTED = OpenOrder(
    coin="ETH", market=1, side=1, price_ticks=150_000, left_lots=2500, size_lots=10_000, oid=313890189710,
    cloid=int(CLOID, 16), is_reduce_only=False, is_trigger=False, placed_ns=NS, price_text="1500.0", left_text="0.25",
    size_text="1.0", fault=Fault.NONE,
)  # fmt: skip


def test_open_orders_in_whole_units() -> None:
    assert read("openOrders", []) == ()
    told = read("openOrders", [listed(), listed(side="A", cloid=None, reduceOnly=True, isTrigger=True, children=[])])
    assert told[0] == EXPECTED
    assert (told[1].side, told[1].cloid, told[1].is_reduce_only, told[1].is_trigger) == (-1, None, True, True)


def test_open_orders_of_all_kinds() -> None:
    foreign, fine, old = read(
        "openOrders",
        [listed(coin="DOGE", cloid="mine"), listed(limitPx="1500.123"), {**listed(), "origSz": None}],
    )
    assert (foreign.market, foreign.left_lots, foreign.left_text, foreign.cloid) == (-1, 0, "0.25", None)
    assert foreign.fault is Fault.OTHER_COIN
    assert (fine.market, fine.fault) == (1, Fault.TOO_FINE)
    assert (old.size_lots, old.size_text) == (2500, "0.25"), "as listed in 2023"


def test_too_many_orders_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "LISTING_MAX", 1)
    assert len(read("openOrders", [listed()])) == 1
    assert read("openOrders", [listed(), listed()]) is Fault.TOO_MANY


def test_the_status_of_an_order() -> None:
    told = {"status": "order", "order": {"order": listed(), "status": "filled", "statusTimestamp": MS + 1}}
    assert read("orderStatus", told) == OrderStatus(order=EXPECTED, status="filled", status_ns=NS + 1_000_000)
    assert read("orderStatus", {"status": "unknownOid"}) is None
    assert read("orderStatus", {"status": "order"}) is Fault.WRONG_SHAPE
    assert read("orderStatus", {"status": "busy"}) is Fault.WRONG_SHAPE


# Positions and balances.


def position(**changes: Any) -> dict[str, Any]:
    values = {
        "coin": "BTC", "szi": "-0.00061", "leverage": {"type": "cross", "value": 20}, "entryPx": "82771.8",
        "positionValue": "50.49105", "unrealizedPnl": "-0.00025", "returnOnEquity": "0.1", "liquidationPx": None,
        "marginUsed": "2.524552", "maxLeverage": 40, "cumFunding": {},
    }  # fmt: skip
    return {"type": "oneWay", "position": {**values, **changes}}


def state(*positions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    margin = {"accountValue": "99.5", "totalNtlPos": "50.49105", "totalRawUsd": "150.0", "totalMarginUsed": "2.5"}
    return {
        "marginSummary": margin, "crossMarginSummary": {**margin, "accountValue": "98.5", "totalMarginUsed": "2.0"},
        "crossMaintenanceMarginUsed": "0.63", "withdrawable": "90.1234567", "assetPositions": list(positions),
        "time": MS, **changes,
    }  # fmt: skip


def test_a_state_in_whole_units() -> None:
    assert read("clearinghouseState", state(position())) == AccountState(
        block_ms=MS, account_value_micro=99_500_000, notional_micro=50_491_050, margin_used_micro=2_500_000,
        cross_value_micro=98_500_000, cross_margin_used_micro=2_000_000, maintenance_micro=630_000,
        withdrawable_micro=90_123_456,
        positions=(
            Position(
                coin="BTC", market=0, lots=-61, mark_ticks=827_722, leverage=20, is_cross=True,
                value_micro=50_491_050, unrealized_micro=-250, margin_used_micro=2_524_552, size_text="-0.00061",
                entry_text="82771.8", liquidation_text=None, fault=Fault.NONE,
            ),
        ),
    )  # fmt: skip


def test_positions_of_all_kinds() -> None:
    isolated = {"type": "isolated", "value": 3, "rawUsd": "-1.5"}
    told = read(
        "clearinghouseState",
        state(
            position(coin="ETH", szi="1.5", leverage=isolated, positionValue="6000.0", liquidationPx="3000.5"),
            position(coin="DOGE", szi="7.0"),
            position(szi="0.0"),
            position(szi="x"),
        ),
    )
    eth, doge, flat, broken = told.positions
    assert (eth.market, eth.lots, eth.mark_ticks, eth.is_cross, eth.leverage) == (1, 15_000, 400_000, False, 3)
    assert eth.liquidation_text == "3000.5"
    assert (doge.market, doge.lots, doge.size_text, doge.fault) == (-1, 0, "7.0", Fault.OTHER_COIN)
    assert (flat.lots, flat.mark_ticks, flat.fault) == (0, 0, Fault.NONE)
    assert (broken.market, broken.lots, broken.fault) == (0, 0, Fault.NO_NUMBER)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (state(time=None), Fault.WRONG_SHAPE),
        (state(withdrawable=None), Fault.WRONG_SHAPE),
        (state(withdrawable="x"), Fault.NO_NUMBER),
        (state(withdrawable="1" + "0" * 20), Fault.OUT_OF_RANGE),
        (state(position(positionValue="x")), Fault.NO_NUMBER),
    ],
)
def test_what_is_missing_in_a_state_is_not_0(answer: Any, fault: Fault) -> None:
    assert read("clearinghouseState", answer) is fault


def test_balances() -> None:
    told = read(
        "spotClearinghouseState",
        {"balances": [{"coin": "USDC", "token": 0, "hold": "1.5", "total": "12.3456789", "entryNtl": "0.0"}]},
    )
    assert told == SpotState(balances=(Balance(coin="USDC", token=0, total_text="12.3456789", held_text="1.5"),))
    assert told.balances[0].total(6) == (12_345_678, Fault.NONE)
    broken = Balance(coin="USDC", token=0, total_text="", held_text="")
    assert broken.total(6) == (0, Fault.NO_NUMBER)


def test_a_leverage_setting() -> None:
    told = {
        "user": USER, "coin": "ETH", "leverage": {"type": "isolated", "value": 3, "rawUsd": "0.0"},
        "maxTradeSzs": ["1.0", "2.0"], "availableToTrade": ["1.0", "2.0"], "markPx": "4000.123",
    }  # fmt: skip
    assert read("activeAssetData", told) == AssetSetting(
        coin="ETH", market=1, leverage=3, is_cross=False, mark_ticks=400_012
    )
    assert read("activeAssetData", {**told, "coin": "DOGE"}) is Fault.OTHER_COIN
    assert read("activeAssetData", {**told, "markPx": "x"}) is Fault.NO_NUMBER
    assert read("activeAssetData", None) is Fault.WRONG_SHAPE


# What happened.


def test_fills_fundings_and_transfers() -> None:
    fill = {
        "coin": "BTC", "px": "82771.8", "sz": "0.00061", "side": "A", "time": MS, "startPosition": "-0.00004",
        "dir": "Open Short", "closedPnl": "0.0", "hash": "0xab", "oid": 7, "crossed": True, "fee": "0.022712",
        "tid": 5, "feeToken": "USDC", "twapId": None,
    }  # fmt: skip
    (told,) = read("userFillsByTime", [fill])
    assert (told.market, told.size_lots, told.tid, told.ts_ns) == (0, 61, 5, NS)
    delta = {"type": "funding", "coin": "BTC", "usdc": "-0.5", "szi": "0.1", "fundingRate": "0.0000125"}
    (paid,) = read("userFunding", [{"time": MS, "hash": "0x1", "delta": {**delta, "nSamples": None}}])
    assert (paid.market, paid.amount_micro, paid.rate_e12, paid.ts_ns) == (0, -500_000, 12_500_000, NS)
    entry = {"type": "internalTransfer", "usdc": "5.0", "user": USER.lower(), "destination": "0x1", "fee": "0.0"}
    (moved,) = read("userNonFundingLedgerUpdates", [{"time": MS, "hash": "0x1", "delta": entry}])
    assert moved.amount_micro == -5_000_000


# The rest.


def test_fees() -> None:
    told = {"userCrossRate": "0.00045", "userAddRate": "-0.00003", "userSpotCrossRate": "0.0007",
            "userSpotAddRate": "0.0004"}  # fmt: skip
    discounts = {"activeReferralDiscount": "0.04", "activeStakingDiscount": {"bpsOfMaxSupply": "1", "discount": "0.1"}}
    expected = Fees(
        maker_rate_e9=-30_000, taker_rate_e9=450_000, spot_maker_rate_e9=400_000, spot_taker_rate_e9=700_000,
        referral_discount_text="0.04", staking_discount_text="0.1",
    )  # fmt: skip
    assert read("userFees", {**told, **discounts}) == expected
    assert read("userFees", {**told, "activeStakingDiscount": None}).staking_discount_text is None
    assert read("userFees", {**told, "userAddRate": None}) is Fault.WRONG_SHAPE
    assert read("userFees", {**told, "userAddRate": "free"}) is Fault.NO_NUMBER


def test_a_rate_limit() -> None:
    told = {"cumVlm": "2854574.59", "nRequestsUsed": 2890, "nRequestsCap": 2_864_574}
    assert read("userRateLimit", told) == RateLimit(
        used=2890, allowed=2_864_574, surplus=None, volume_micro=2_854_574_590_000
    )
    assert read("userRateLimit", {**told, "nRequestsSurplus": -3}).surplus == -3


def test_modes_roles_agents_and_the_venue() -> None:
    assert read("userAbstraction", "default") is Abstraction.DEFAULT
    assert read("userAbstraction", "portfolioMargin") is Abstraction.PORTFOLIO
    assert read("userAbstraction", "somethingNew") is Abstraction.UNRECOGNISED
    assert read("userRole", {"role": "missing"}) == Role(kind="missing", of=None)
    assert read("userRole", {"role": "agent", "data": {"user": "0xAB"}}) == Role(kind="agent", of="0xab")
    assert read("userRole", {"role": "subAccount", "data": {"master": "0xAB"}}).of == "0xab"
    assert read("extraAgents", [{"name": "bot", "address": "0xAB", "validUntil": MS}]) == (
        Agent(name="bot", address="0xab", valid_until_ms=MS),
    )
    assert read("exchangeStatus", {"time": MS, "specialStatuses": None}) == ExchangeStatus(time_ms=MS, special=None)
    assert read("exchangeStatus", {"time": MS, "specialStatuses": ["x"]}).special == '["x"]'


@pytest.mark.parametrize("kind", sorted(READERS))
def test_no_body_raises(kind: str) -> None:
    reader = READERS[kind]
    assert reader(b"<html>429</html>") is Fault.UNREADABLE
    for body in (b"", b"{", b"[", b'"\xff', b"[" * 100_000):
        assert reader(body) in (Fault.UNREADABLE, Fault.WRONG_SHAPE)
    for body in (b"null", b"5", b"[5]", b'{"status":5}'):
        assert reader(body) is Fault.WRONG_SHAPE
    assert reader(b" " * (ANSWER_BYTES_MAX + 1)) is Fault.TOO_LONG


# The embedded exchange.


def test_what_the_embedded_exchange_says() -> None:
    machine = small_machine()
    maker, taker = Client(machine, 1), Client(machine, 2)
    own = AccountReader([one.market for one in listing().markets], user=maker.address)
    answers: dict[str, Any] = {}

    def ask(kind: str, **more: Any) -> bytes:
        return json.dumps(maker.info(kind, **more)).encode()

    maker.send(orders(order(price="4001", size="0.5", buy=False, cloid=CLOID)))
    taker.send(orders(order(price="4001", size="0.2", tif="Ioc")))
    (rests,) = own.open_orders(ask("openOrders"))
    (shown,) = own.open_orders(ask("frontendOpenOrders"))
    assert rests == shown and (rests.left_lots, rests.size_lots, rests.cloid) == (3000, 5000, int(CLOID, 16))
    answers["status"] = own.order_status(ask("orderStatus", oid=CLOID))
    assert answers["status"].order == rests and answers["status"].status == "open"
    (fill,) = own.fills(ask("userFillsByTime", startTime=0))
    assert (fill.size_lots, fill.oid, fill.is_taker) == (2000, rests.oid, False)
    held = own.state(ask("clearinghouseState"))
    assert isinstance(held, AccountState) and held.block_ms > START_MS
    (short,) = held.positions
    assert (short.market, short.lots, short.leverage) == (1, -2000, 20)
    assert short.mark_ticks == int(machine.kernel.chain.exchange.marks[1])
    assert held.account_value_micro == 100_000 * MICRO - fill.fee_micro + short.unrealized_micro
    setting = own.asset_setting(ask("activeAssetData", coin="BTC"))
    assert isinstance(setting, AssetSetting) and (setting.market, setting.is_cross) == (BTC_ROW, True)
    (deposit,) = own.transfers(ask("userNonFundingLedgerUpdates", startTime=0))
    assert (deposit.kind, deposit.amount_micro) == ("deposit", 100_000 * MICRO)
    assert own.fundings(ask("userFunding", startTime=0)) == ()
    assert isinstance(own.spot_state(ask("spotClearinghouseState")), SpotState)
    rates = account.fees(ask("userFees"))
    assert isinstance(rates, Fees) and (rates.maker_rate_e9, rates.taker_rate_e9) == (150_000, 450_000)
    limit = account.rate_limit(ask("userRateLimit"))
    assert isinstance(limit, RateLimit) and limit.used == 1 and limit.allowed > 10_000
    assert account.abstraction(ask("userAbstraction")) in (Abstraction.DEFAULT, Abstraction.DISABLED)
    assert account.role(ask("userRole")) == Role(kind="user", of=None)
    assert account.agents(ask("extraAgents")) == ()
    assert isinstance(account.exchange_status(ask("exchangeStatus")), ExchangeStatus)


# What was recorded.

CASSETTES = "hyperliquid/api/sdk_cassettes"
RECORDED = {
    "openOrders": ("test_get_open_orders", 196),
    "frontendOpenOrders": ("test_get_frontend_open_orders", 3),
    "userNonFundingLedgerUpdates": ("test_user_non_funding_ledger_updates_without_end_time", 5),
    "userFunding": ("test_user_funding_history_without_end_time", 218),
    "extraAgents": ("test_extra_agents", 2),
}


@pytest.mark.parametrize("kind", sorted(RECORDED))
def test_every_recorded_list_is_read(kind: str, recordings: Path) -> None:
    name, count = RECORDED[kind]
    cassette = json.loads((recordings / CASSETTES / f"{name}.json").read_text())
    told = read("openOrders" if kind == "frontendOpenOrders" else kind, cassette["response"])
    assert len(told) == count


def test_the_other_cassettes_are_read(recordings: Path) -> None:
    def recorded(name: str) -> Any:
        return json.loads((recordings / CASSETTES / f"{name}.json").read_text())["response"]

    assert read("userRateLimit", recorded("test_user_rate_limit")).volume_micro == 170_043_721_737_450_012
    assert read("userRole", recorded("test_user_role")) == Role(kind="vault", of=None)
    old = recorded("test_get_user_state")
    assert read("clearinghouseState", old) is Fault.WRONG_SHAPE, "the shape of 2023 tells no time"
    now = read("clearinghouseState", {"crossMaintenanceMarginUsed": "0.0", **old, "time": MS})
    assert isinstance(now, AccountState)
    assert [one.lots for one in now.positions[:2]] == [-785, 1334]
    assert read("userFillsByTime", recorded("test_get_user_fills")) is Fault.WRONG_SHAPE, "nor has a fill of 2023 ids"


def test_every_recorded_answer_of_2026_is_read(recordings: Path) -> None:
    lines = (recordings / "hyperliquid/api/recorded_messages_2026/messages.jsonl").read_text().splitlines()
    sources = {
        "json_get_clearing_house_state_ack": "clearinghouseState",
        "json_get_open_orders_ack": "openOrders",
        "json_get_spot_clearing_house_state_ack": "spotClearinghouseState",
        "json_get_user_fills_ack": "userFillsByTime",
    }
    count = 0
    for line in lines:
        recorded = json.loads(line)
        kind = sources.get(recorded["source"])
        if kind is not None:
            count += 1
            message = recorded["message"]
            told = READERS[kind](message.encode() if isinstance(message, str) else json.dumps(message).encode())
            assert not isinstance(told, Fault), recorded
    assert count >= 6


def test_the_watchdog_can_read_without_compiled_code() -> None:
    code = "import sys, hlhft.hyperliquid.account; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
