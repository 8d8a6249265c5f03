"""The table of /info, and what it does with what is malformed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.exchange.info import InfoSettings
from tests.exchange.hall import ALO, ANN, BOB, BUY, IOC, SELL, Hall, address

# Appendix A of the venue reference, and what else this exchange answers.
ASKED = {
    "spotMeta": {},
    "meta": {"dex": ""},
    "perpDexs": {},
    "clearinghouseState": {"user": address(ANN), "dex": ""},
    "spotClearinghouseState": {"user": address(ANN)},
    "openOrders": {"user": address(ANN), "dex": ""},
    "frontendOpenOrders": {"user": address(ANN), "dex": ""},
    "allMids": {"dex": ""},
    "userFills": {"user": address(ANN)},
    "userFillsByTime": {"user": address(ANN), "startTime": 0, "endTime": None, "aggregateByTime": False},
    "metaAndAssetCtxs": {},
    "spotMetaAndAssetCtxs": {},
    "fundingHistory": {"coin": "BTC", "startTime": 0},
    "userFunding": {"user": address(ANN), "startTime": 0},
    "l2Book": {"coin": "BTC"},
    "candleSnapshot": {"req": {"coin": "BTC", "interval": "1m", "startTime": 0, "endTime": 1}},
    "userFees": {"user": address(ANN)},
    "userRateLimit": {"user": address(ANN)},
    "userRole": {"user": address(ANN)},
    "extraAgents": {"user": address(ANN)},
    "orderStatus": {"user": address(ANN), "oid": 1},
    "historicalOrders": {"user": address(ANN)},
    "userNonFundingLedgerUpdates": {"user": address(ANN), "startTime": 0, "endTime": None},
    "portfolio": {"user": address(ANN)},
    "userTwapSliceFills": {"user": address(ANN)},
    "userTwapSliceFillsByTime": {"user": address(ANN), "startTime": 0},
    "twapHistory": {"user": address(ANN)},
    "userVaultEquities": {"user": address(ANN)},
    "referral": {"user": address(ANN)},
    "subAccounts": {"user": address(ANN)},
    "userToMultiSigSigners": {"user": address(ANN)},
    "perpDeployAuctionStatus": {},
    "userDexAbstraction": {"user": address(ANN)},
    "userAbstraction": {"user": address(ANN)},
    "delegatorSummary": {"user": address(ANN)},
    "delegations": {"user": address(ANN)},
    "delegatorRewards": {"user": address(ANN)},
    "delegatorHistory": {"user": address(ANN)},
    "exchangeStatus": {},
    "activeAssetData": {"user": address(ANN), "coin": "BTC"},
    "maxMarketOrderNtls": {},
    "perpsAtOpenInterestCap": {},
    "predictedFundings": {},
    "recentTrades": {"coin": "BTC"},
    "maxBuilderFee": {"user": address(ANN), "builder": address(BOB)},
    "allPerpMetas": {},
    "marginTable": {"id": 50},
    "perpDexLimits": {"dex": ""},
    "perpDexStatus": {"dex": ""},
    "spotPairDeployAuctionStatus": {},
    "vaultDetails": {"vaultAddress": address(BOB)},
    "vaultSummaries": {},
    "leadingVaults": {"user": address(ANN)},
    "isVip": {"user": address(ANN)},
    "legalCheck": {"user": address(ANN)},
    "liquidatable": {},
    "gossipRootIps": {},
    "gossipPriorityAuctionStatus": {},
}
HALL = Hall()


def test_every_request_of_the_sdk_is_answered_and_no_other_is_known():
    assert set(HALL.info.types) == set(ASKED)


@pytest.mark.parametrize("kind", ASKED)
def test_each_request_has_an_answer(kind):
    HALL.ask(kind, **ASKED[kind])


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("perpDexs", [None]),
        ("userVaultEquities", []),
        ("delegations", []),
        ("userToMultiSigSigners", None),
        ("perpsAtOpenInterestCap", []),
        ("vaultDetails", None),
        ("liquidatable", []),
        ("gossipPriorityAuctionStatus", [[None, None], []]),
    ],
)
def test_what_this_exchange_does_not_have_is_empty(kind, answer):
    assert HALL.ask(kind, **ASKED[kind]) == answer


def test_staking_and_referral_have_their_shapes():
    assert HALL.ask("delegatorSummary", user=address(ANN)) == {
        "delegated": "0.0",
        "undelegated": "0.0",
        "totalPendingWithdrawal": "0.0",
        "nPendingWithdrawals": 0,
    }
    assert HALL.ask("referral", user=address(ANN))["referredBy"] is None
    assert HALL.ask("perpDeployAuctionStatus")["currentGas"] is None


def test_status_and_the_largest_orders():
    assert HALL.ask("exchangeStatus") == {"time": HALL.now_ms, "specialStatuses": None}
    assert HALL.ask("maxMarketOrderNtls") == [
        [25, "30000000.0"],
        [20, "5000000.0"],
        [10, "2000000.0"],
        [1, "500000.0"],
    ]
    assert HALL.ask("allPerpMetas") == [HALL.ask("meta")]


def test_trades_and_candles_are_those_that_were():
    hall = Hall().mark("80000")
    hall.place(BOB, SELL, "80000", "1", ALO).place(BOB, SELL, "80001", "1", ALO).run()
    hall.place(ANN, BUY, "80001", "2", IOC).run()
    assert [trade["px"] for trade in hall.ask("recentTrades", coin="BTC")] == ["80001.0", "80000.0"]
    request = {"coin": "BTC", "interval": "1h", "startTime": 0}
    (candle,) = hall.ask("candleSnapshot", req=request)
    assert (candle["o"], candle["c"], candle["v"], candle["n"]) == ("80000.0", "80001.0", "2.0", 2)


def test_the_number_of_elements_is_told_for_the_weight():
    hall = Hall().mark("80000")
    hall.place(BOB, SELL, "80000", "1", ALO).place(ANN, BUY, "80000", "1", ALO).run()
    assert hall.answer(type="openOrders", user=address(BOB)).items == 1
    assert hall.answer(type="meta").items == 0
    assert hall.answer(type="allPerpMetas").items == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"5",
        b"{}",
        b'{"type":5}',
        b'{"type":"nothing of that name"}',
        b'{"type":["meta"]}',
        b'{"type":"clearinghouseState"}',
        b'{"type":"clearinghouseState","user":"0x1"}',
        b'{"type":"l2Book","coin":"BTC","nSigFigs":9}',
        b'{"type":"candleSnapshot","coin":"BTC"}',
    ],
)
def test_what_cannot_be_read_is_422_in_plain_text(body):
    answer = HALL.info.answer_bytes(body, HALL.now_ms)
    assert (answer.status, answer.is_text, answer.items) == (422, True, 0)
    assert answer.body.startswith(b"Failed to deserialize")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "l2Book", "coin": "NONE"}, 200),
        ({"type": "recentTrades", "coin": "NONE"}, 500),
        ({"type": "fundingHistory", "coin": "NONE", "startTime": 0}, 500),
        ({"type": "candleSnapshot", "req": {"coin": "NONE", "interval": "1m", "startTime": 0}}, 500),
        ({"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "7m", "startTime": 0}}, 500),
        ({"type": "meta", "dex": "xyz"}, 500),
        ({"type": "metaAndAssetCtxs", "dex": "xyz"}, 500),
        ({"type": "allMids", "dex": "xyz"}, 500),
        ({"type": "marginTable", "id": 51}, 500),
        ({"type": "l2Book", "coin": "BTC", "mantissa": 1}, 500),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 1}, 500),
        ({"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2}, 500),
    ],
)
def test_what_does_not_exist_is_null_with_a_status(body, status):
    answer = HALL.answer(**body)
    assert (answer.status, answer.body, answer.is_text) == (status, b"null", False)


def test_how_a_missing_market_is_answered_is_a_setting():
    hall = Hall(info=InfoSettings(unknown_coin_of_a_book_status=500, unknown_coin_status=422))
    assert hall.answer(type="l2Book", coin="NONE").status == 500
    assert hall.answer(type="recentTrades", coin="NONE").status == 422


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**60)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["BTC", address(ANN)]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["coin", "interval"]), inner, max_size=3)
    ),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["user", "coin", "dex", "startTime", "endTime", "oid", "req", "nSigFigs", "mantissa", "builder"]
)


@settings(max_examples=60)
@given(st.sampled_from(sorted(ASKED)), st.dictionaries(NAMES, VALUES, max_size=5))
def test_every_body_has_an_answer_and_nothing_is_raised(kind, fields):
    answer = HALL.info.answer({"type": kind, **fields}, HALL.now_ms)
    assert answer.status in (200, 422, 500)
    if not answer.is_text:
        msgspec.json.decode(answer.body)
