"""Answers about accounts."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.exchange.requests import OfUser
from hlhft.units import MICRO
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from tests.exchange.hall import (
    AGENT,
    ALO,
    ANN,
    BOB,
    BUY,
    CAT,
    IOC,
    LISTING,
    PURR,
    SELL,
    STRANGER,
    Hall,
    address,
    event,
)

CLOID = "0x" + "12" * 16


def traded() -> Hall:
    """ANN bought 1 and 2 of one order from BOB in one block, and rests one order."""
    hall = Hall().mark("80000")
    hall.place(BOB, SELL, "80000", "1", ALO).place(BOB, SELL, "80003", "2", ALO).run()
    hall.place(ANN, BUY, "80003", "3", IOC, cloid=CLOID).run()
    hall.place(ANN, BUY, "79000", "0.5", ALO).run()
    return hall


def test_an_address_is_read_in_any_case_and_an_agent_is_empty():
    hall = traded()
    upper = "0x" + address(ANN)[2:].upper()
    assert len(hall.ask("userFills", user=upper)) == 2
    for nobody in (AGENT, STRANGER):
        assert hall.ask("userFills", user=nobody) == []
        assert hall.ask("openOrders", user=nobody) == []
        assert hall.ask("clearinghouseState", user=nobody)["assetPositions"] == []
        assert hall.ask("spotClearinghouseState", user=nobody) == {"balances": []}
        assert hall.ask("orderStatus", user=nobody, oid=1) == {"status": "unknownOid"}
        assert hall.ask("userRateLimit", user=nobody)["nRequestsCap"] == 10_000
        assert hall.ask("extraAgents", user=nobody) == []
        assert hall.ask("subAccounts", user=nobody) is None
        assert hall.ask("maxBuilderFee", user=nobody, builder=address(BOB)) == 0
        assert hall.ask("userAbstraction", user=nobody) == "default"
        assert hall.ask("portfolio", user=nobody)[0][1]["vlm"] == "0.0"
        asset = hall.ask("activeAssetData", user=nobody, coin="BTC")
        assert (asset["leverage"], asset["maxTradeSzs"]) == ({"type": "cross", "value": 20}, ["0.0", "0.0"])
        assert hall.ask("activeAssetData", user=nobody, coin="ILL")["leverage"]["value"] == 3
    assert hall.ask("activeAssetData", user=address(ANN), coin="NONE") is None


def test_another_dex_is_empty():
    hall = traded()
    assert hall.ask("clearinghouseState", user=address(ANN), dex="xyz")["marginSummary"]["accountValue"] == "0.0"
    assert hall.ask("openOrders", user=address(ANN), dex="xyz") == []


def test_open_orders_are_told_the_youngest_first_and_finished_ones_not():
    hall = traded()
    hall.place(ANN, BUY, "78000", "0.25", ALO).run()
    orders = hall.ask("openOrders", user=address(ANN))
    assert [(order["oid"], order["limitPx"], order["sz"]) for order in orders] == [
        (5, "78000.0", "0.25"),
        (4, "79000.0", "0.5"),
    ]
    assert list(orders[0]) == ["coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz"]
    long = hall.ask("frontendOpenOrders", user=address(ANN))
    assert [order["oid"] for order in long] == [5, 4]
    assert (long[0]["orderType"], long[0]["tif"], long[0]["cloid"]) == ("Limit", "Alo", None)


def test_an_order_is_found_by_its_id_or_its_cloid():
    hall = traded()
    by_cloid = hall.ask("orderStatus", user=address(ANN), oid=CLOID)
    assert by_cloid == hall.ask("orderStatus", user=address(ANN), oid=3)
    assert by_cloid["status"] == "order"
    assert by_cloid["order"]["status"] == "filled"
    assert by_cloid["order"]["order"]["cloid"] == CLOID
    unknown = {"status": "unknownOid"}
    assert hall.ask("orderStatus", user=address(ANN), oid="0x" + "77" * 16) == unknown
    assert hall.ask("orderStatus", user=address(BOB), oid=3) == unknown


def test_the_history_has_one_entry_a_status_the_youngest_first():
    hall = traded()
    history = hall.ask("historicalOrders", user=address(ANN))
    assert [(entry["order"]["oid"], entry["status"]) for entry in history] == [
        (4, "open"),
        (3, "filled"),
        (3, "open"),
    ]


def test_fills_are_told_the_youngest_first_and_by_time_the_oldest_first():
    hall = traded()
    first, second = hall.ask("userFills", user=address(ANN))
    assert (first["px"], second["px"]) == ("80003.0", "80000.0")
    by_time = hall.ask("userFillsByTime", user=address(ANN), startTime=0)
    assert by_time == [second, first]
    assert hall.ask("userFillsByTime", user=address(ANN), startTime=0, reversed=True) == [first, second]
    assert hall.ask("userFillsByTime", user=address(ANN), startTime=first["time"] + 1) == []
    assert hall.ask("userFillsByTime", user=address(ANN), startTime=0, endTime=first["time"] - 1) == []


def test_fills_of_one_order_in_one_block_are_put_together_on_request():
    hall = traded()
    (whole,) = hall.ask("userFills", user=address(ANN), aggregateByTime=True)
    assert (whole["px"], whole["sz"]) == ("80002.0", "3.0")
    assert whole["startPosition"] == "0.0"
    assert float(whole["fee"]) == pytest.approx(3 * 80_002 * 0.00045)
    assert hall.ask("userFillsByTime", user=address(ANN), startTime=0, aggregateByTime=True) == [whole]
    assert len(hall.ask("userFills", user=address(BOB), aggregateByTime=True)) == 2  # two orders


def test_fees_of_builders_add_up():
    hall = Hall()
    fields = {
        "venue_order_id": 4,
        "side": 1,
        "price_ticks": 800_000,
        "size_lots": 10,
        "builder_fee_micro": 5,
        "aux1": 9,
    }
    hall.take(np.concatenate([event(EventKind.ORDER_FILLED, account=ANN, aux0=left, **fields) for left in (10, 0)]))
    (whole,) = hall.ask("userFills", user=address(ANN), aggregateByTime=True)
    assert (whole["builderFee"], whole["fee"]) == ("0.00001", "0.000018")


def test_slices_of_twaps_have_their_own_list():
    hall = traded()
    assert hall.ask("userTwapSliceFills", user=address(ANN)) == []
    hall.records.account(ANN).fills[0].twap_id = 9
    hall.records.account(ANN).fills[0]._json = None
    (slice_,) = hall.ask("userTwapSliceFills", user=address(ANN))
    assert (slice_["twapId"], slice_["fill"]["twapId"]) == (9, 9)
    time_ms = slice_["fill"]["time"]
    assert hall.ask("userTwapSliceFillsByTime", user=address(ANN), startTime=time_ms, endTime=time_ms) == [slice_]
    assert hall.ask("userTwapSliceFillsByTime", user=address(ANN), startTime=time_ms + 1) == []
    legs = np.zeros(1, ACTION_DTYPE)
    legs["kind"], legs["account"], legs["side"] = ActionKind.PLACE_TWAP, ANN, 1
    hall.take(event(EventKind.TWAP_STATE, account=ANN, order_id=6, leg=0), legs)
    (status,) = hall.ask("twapHistory", user=address(ANN))
    assert (status["twapId"], status["status"]) == (6, {"status": "activated"})


def test_payments_and_transfers_are_told_by_time():
    hall = Hall()
    hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=5 * MICRO).run()
    deposit_ms = hall.now_ms
    hall.now_ns += 10**9
    hall.take(event(EventKind.FUNDING_PAYMENT, account=ANN, aux0=7, aux1=1))
    assert [entry["delta"]["type"] for entry in hall.ask("userFunding", user=address(ANN), startTime=0)] == ["funding"]
    assert hall.ask("userFunding", user=address(ANN), startTime=0, endTime=deposit_ms) == []
    (update,) = hall.ask("userNonFundingLedgerUpdates", user=address(ANN))
    assert update == {"time": deposit_ms, "hash": hall_hash(1), "delta": {"type": "deposit", "usdc": "5.0"}}
    assert hall.ask("userNonFundingLedgerUpdates", user=address(ANN), startTime=deposit_ms + 1) == []


def hall_hash(action: int) -> str:
    return f"0x{action:064x}"


def test_tokens_are_told_with_what_orders_hold_and_what_they_cost():
    hall = Hall()
    assert hall.ask("spotClearinghouseState", user=address(ANN)) == {"balances": []}
    hall.chain.exchange.tokens[ANN, 0] = 12_345_678_900
    hall.chain.exchange.tokens[ANN, 1] = 3 * 10**8
    assert hall.ask("spotClearinghouseState", user=address(ANN))["balances"] == [
        {"coin": "USDC", "token": 0, "total": "123.456789", "hold": "0.0", "entryNtl": "0.0"},
        {"coin": "PURR", "token": 1, "total": "3.0", "hold": "0.0", "entryNtl": "0.0"},
    ]
    hall.place(ANN, SELL, "0.00001", "2", ALO, row=PURR).run()
    hall.records.account_records(ANN).entry(PURR).fill(1, 2000, 3)
    shape = hall.ask("spotClearinghouseState", user=address(ANN))["balances"][1]
    assert (shape["hold"], shape["entryNtl"]) == ("2.0", "0.00006")
    assert LISTING.tokens[1].name == "PURR"


def test_who_is_who_is_told_as_the_directory_has_it():
    hall = Hall()
    assert hall.ask("extraAgents", user=address(ANN)) == [
        {"name": "bot", "address": AGENT, "validUntil": hall.now_ms + 1000}
    ]
    assert hall.ask("userRole", user=address(BOB)) == {"role": "user"}
    assert hall.ask("userRole", user=STRANGER) == {"role": "missing"}
    assert hall.ask("userRole", user=AGENT) == {"role": "agent", "data": {"user": address(ANN)}}
    assert hall.ask("userRole", user=address(CAT)) == {"role": "subAccount", "data": {"master": address(ANN)}}
    assert hall.ask("maxBuilderFee", user=address(ANN), builder=address(BOB)) == 10
    assert hall.ask("userAbstraction", user=address(ANN)) == "disabled"
    assert hall.ask("userRateLimit", user=address(ANN)) == {
        "cumVlm": "100.0",
        "nRequestsUsed": 7,
        "nRequestsCap": 10_100,
        "nRequestsSurplus": 0,
    }


def test_sub_accounts_are_told_with_their_states():
    hall = Hall()
    (sub,) = hall.ask("subAccounts", user=address(ANN))
    assert (sub["name"], sub["subAccountUser"], sub["master"]) == ("hedge", address(CAT), address(ANN))
    assert sub["clearinghouseState"]["withdrawable"] == "1000000.0"
    assert sub["spotState"] == {"balances": []}
    assert hall.ask("subAccounts", user=address(BOB)) is None


def test_a_portfolio_has_eight_periods_and_the_value_now():
    hall = traded()
    hall.chain.exchange.margins[ANN, 0]["isolated"] = 1  # its equity counts all the same
    portfolio = hall.ask("portfolio", user=address(ANN))
    assert [period for period, _ in portfolio] == [
        "day",
        "week",
        "month",
        "allTime",
        "perpDay",
        "perpWeek",
        "perpMonth",
        "perpAllTime",
    ]
    state = hall.ask("clearinghouseState", user=address(ANN))
    assert portfolio[0][1]["accountValueHistory"] == [[hall.now_ms, state["marginSummary"]["accountValue"]]]
    assert portfolio[0][1]["vlm"] == "240006.0"


def test_the_web_data_of_an_account_says_what_it_brought():
    hall = Hall()
    hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=5 * MICRO).run()
    data = hall.info.accounts.web_data(OfUser(user=address(ANN)), hall.now_ms)
    assert data["userState"] == {
        "agentAddress": STRANGER,
        "agentValidUntil": hall.now_ms + 7,
        "cumLedger": "5.0",
        "serverTime": hall.now_ms,
        "isVault": False,
        "user": address(ANN),
        "abstraction": "disabled",
    }


def test_running_twaps_are_told_by_their_number():
    hall = Hall()
    legs = np.zeros(1, ACTION_DTYPE)
    legs["kind"], legs["account"], legs["side"], legs["size_lots"] = ActionKind.PLACE_TWAP, ANN, 1, 50
    hall.take(event(EventKind.TWAP_STATE, account=ANN, order_id=6, leg=0), legs)
    ((number, state),) = hall.info.accounts.twap_states(OfUser(user=address(ANN)))
    assert (number, state["sz"]) == (6, "0.0005")
    assert hall.info.accounts.twap_states(OfUser(user=address(ANN), dex="xyz")) == []


def test_what_can_be_traded_is_told_for_one_market():
    hall = Hall().mark("80000")
    asset = hall.ask("activeAssetData", user=address(ANN), coin="BTC")
    assert (asset["maxTradeSzs"], asset["markPx"]) == (["250.0", "250.0"], "80000.0")
