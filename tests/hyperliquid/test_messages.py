"""The venue's messages beside market data: in whole units, refused, recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hlhft.hyperliquid.answers import ActionAnswer, ActionPosted, PostRefused
from hlhft.hyperliquid.messages import (
    Acknowledged,
    Complaint,
    Ended,
    Fill,
    Fills,
    Funding,
    Fundings,
    Liquidation,
    Message,
    NonUserCancels,
    OrderUpdate,
    OrderUpdates,
    Pong,
    Reader,
    Subscription,
    Transfers,
)
from hlhft.hyperliquid.reading import TEXT_MAX, Fault
from hlhft.units import Market

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)
ETH = Market.perpetual("ETH", asset_id=1, size_decimals=4)
SPOT = Market.spot("@151", asset_id=10_151, size_decimals=4)
READER = Reader((BTC, ETH, SPOT))
MS, NS = 1_770_381_849_546, 1_770_381_849_546_000_000
CLOID = "0x00030050c6301a2b00000100000000d2"
DEEP = b"[" * 100_000


def read(channel: str, data: Any) -> Message | Fault:
    return READER.read(channel, json.dumps(data).encode())


# Connection.


def test_an_acknowledgement_repeats_the_subscription() -> None:
    plain = read("subscriptionResponse", {"method": "subscribe", "subscription": {"type": "bbo", "coin": "SOL"}})
    assert plain == Acknowledged(method="subscribe", subscription=Subscription(type="bbo", coin="SOL"))
    normalised = {"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 2, "fast": True, "new": 1}
    assert read("subscriptionResponse", {"method": "unsubscribe", "subscription": normalised}) == Acknowledged(
        method="unsubscribe",
        subscription=Subscription(type="l2Book", coin="BTC", figures=5, mantissa=2, fast=True),
    )
    of_user = {"type": "userFills", "user": "0x1", "aggregateByTime": True, "dex": "", "interval": "1m"}
    acknowledged = read("subscriptionResponse", {"method": "subscribe", "subscription": of_user})
    assert isinstance(acknowledged, Acknowledged)
    assert acknowledged.subscription == Subscription(
        type="userFills", user="0x1", aggregate=True, dex="", interval="1m"
    )


def test_pong_and_complaints() -> None:
    assert READER.read("pong", b"null") == Pong()
    assert read("error", "Already subscribed: {}") == Complaint("Already subscribed: {}")
    assert read("error", "x" * 1000) == Complaint("x" * TEXT_MAX)


def test_posts_are_answered_and_refused() -> None:
    answer = {"type": "action", "payload": {"status": "err", "response": "no"}}
    expected = ActionPosted(id=3, answer=ActionAnswer(is_ok=False, text="no"))
    assert read("post", {"id": 3, "response": answer}) == expected
    assert read("post", {"id": 4, "response": {"type": "error", "payload": "429"}}) == PostRefused(id=4, text="429")


# The user.


def order(**changes: Any) -> dict[str, Any]:
    values = {
        "coin": "ETH", "side": "B", "limitPx": "1500.0", "sz": "0.25", "oid": 313890189710, "timestamp": MS,
        "origSz": "1.0", "cloid": CLOID,
    }  # fmt: skip
    return {"order": {**values, **changes}, "status": "open", "statusTimestamp": MS + 1}


def update(told: Message | Fault) -> OrderUpdate:
    assert isinstance(told, OrderUpdates) and len(told.updates) == 1
    return told.updates[0]


def test_an_order_update_in_whole_units() -> None:
    assert update(read("orderUpdates", [order()])) == OrderUpdate(
        coin="ETH", market=1, side=1, price_ticks=150_000, left_lots=2500, size_lots=10_000, oid=313890189710,
        cloid=int(CLOID, 16), reduce_only=False, status="open", placed_ns=NS, status_ns=NS + 1_000_000,
        price_text="1500.0", left_text="0.25", size_text="1.0", fault=Fault.NONE,
    )  # fmt: skip


def test_an_order_update_of_all_kinds() -> None:
    bare = update(read("orderUpdates", [order(side="A", cloid=None, reduceOnly=True)]))
    assert (bare.side, bare.cloid, bare.reduce_only) == (-1, None, True)
    foreign = update(read("orderUpdates", [order(coin="DOGE", cloid="mine")]))
    assert (foreign.market, foreign.price_ticks, foreign.fault) == (-1, 0, Fault.OTHER_COIN)
    assert (foreign.cloid, foreign.price_text) == (None, "1500.0")
    fine = update(read("orderUpdates", [order(limitPx="1500.123")]))
    assert (fine.market, fine.left_lots, fine.fault) == (1, 0, Fault.TOO_FINE)
    assert read("orderUpdates", []) == OrderUpdates(updates=())


def fill(**changes: Any) -> dict[str, Any]:
    values = {
        "coin": "BTC", "px": "82771.8", "sz": "0.00061", "side": "A", "time": MS, "startPosition": "-0.00004",
        "dir": "Open Short", "closedPnl": "0.0", "hash": "0xab", "oid": 232375809344, "crossed": True,
        "fee": "0.022712", "tid": 372973698966409, "feeToken": "USDC", "twapId": None,
    }  # fmt: skip
    return {**values, **changes}


def only_fill(told: Message | Fault) -> Fill:
    assert isinstance(told, Fills) and len(told.fills) == 1
    return told.fills[0]


def test_a_fill_in_whole_units() -> None:
    assert read("userFills", {"isSnapshot": True, "user": "0x1", "fills": [fill()]}) == Fills(
        is_snapshot=True,
        user="0x1",
        fills=(
            Fill(
                coin="BTC", market=0, side=-1, price_ticks=827_718, size_lots=61, start_lots=-4, fee_micro=22_712,
                closed_micro=0, fee_token="USDC", oid=232375809344, tid=372973698966409, cloid=None, is_taker=True,
                is_liquidation=False, direction="Open Short", hash="0xab", ts_ns=NS, price_text="82771.8",
                size_text="0.00061", fault=Fault.NONE,
            ),
        ),
    )  # fmt: skip


def test_fills_of_all_kinds() -> None:
    liquidated = {"liquidatedUser": "0x2", "markPx": "1", "method": "market"}
    told = only_fill(
        read("user", {"fills": [fill(side="B", fee="-0.01", cloid=CLOID, liquidation=liquidated, crossed=False)]})
    )
    assert (told.side, told.fee_micro, told.cloid) == (1, -10_000, int(CLOID, 16))
    assert (told.is_liquidation, told.is_taker) == (True, False)
    assert not only_fill(read("user", {"fills": [fill(liquidation=None)]})).is_liquidation
    held = fill(coin="@151", sz="0.0526", startPosition="0.052626746", closedPnl="0.09994001")
    spot = only_fill(read("userFills", {"user": "0x1", "fills": [held]}))
    assert (spot.start_lots, spot.size_lots, spot.closed_micro, spot.fault) == (526, 526, 99_940, Fault.NONE)
    dust = only_fill(read("userFills", {"user": "0x1", "fills": [fill(coin="@151", sz="0.000026746")]}))
    assert (dust.size_lots, dust.size_text, dust.fault) == (0, "0.000026746", Fault.TOO_FINE)
    foreign = only_fill(read("userFills", {"user": "0x1", "fills": [fill(coin="DOGE")]}))
    assert (foreign.market, foreign.fee_micro, foreign.fault) == (-1, 0, Fault.OTHER_COIN)


def test_fundings_of_both_channels() -> None:
    paid = {"time": MS, "coin": "BTC", "usdc": "-0.000794", "szi": "0.00026", "fundingRate": "0.0000412775",
            "nSamples": None}  # fmt: skip
    expected = Funding(
        coin="BTC", market=0, amount_micro=-794, position_lots=26, rate_e12=41_277_500, ts_ns=NS,
        amount_text="-0.000794", fault=Fault.NONE,
    )  # fmt: skip
    assert read("user", {"funding": paid}) == Fundings(payments=(expected,))
    both = read("userFundings", {"isSnapshot": True, "user": "0x1", "fundings": [paid, {**paid, "coin": "xyz:SILVER"}]})
    assert isinstance(both, Fundings) and (both.is_snapshot, both.user) == (True, "0x1")
    assert both.payments[0] == expected
    assert (both.payments[1].market, both.payments[1].fault) == (-1, Fault.OTHER_COIN)
    assert both.payments[1].amount_text == "-0.000794"


def test_transfers_have_the_sign_of_the_user() -> None:
    user = "0x" + "ab" * 20
    entry = {"type": "internalTransfer", "usdc": "5.0", "user": user, "destination": "0x1", "fee": "0.0"}
    frame = {"isSnapshot": True, "user": user, "nonFundingLedgerUpdates": [{"time": MS, "hash": "0x1", "delta": entry}]}
    told = read("userNonFundingLedgerUpdates", frame)
    assert isinstance(told, Transfers) and (told.is_snapshot, told.user) == (True, user)
    assert [(one.kind, one.amount_micro, one.ts_ns) for one in told.transfers] == [("internalTransfer", -5_000_000, NS)]
    receiver = read("userNonFundingLedgerUpdates", {**frame, "user": "0x1"})
    assert isinstance(receiver, Transfers) and receiver.transfers[0].amount_micro == 5_000_000


def test_lists_of_answers_are_read_as_in_frames() -> None:
    assert READER.fills(json.dumps([fill()]).encode()) == (only_fill(read("user", {"fills": [fill()]})),)
    delta = {"coin": "BTC", "usdc": "-0.000794", "szi": "0.00026", "fundingRate": "0.0000412775", "type": "funding"}
    (paid,) = READER.fundings(json.dumps([{"time": MS, "hash": "0x1", "delta": delta}]).encode())
    told = read("user", {"funding": {**delta, "time": MS}})
    assert isinstance(told, Fundings) and told.payments == (paid,)


def test_what_the_venue_did_to_the_account() -> None:
    shape = {
        "lid": 5, "liquidator": "0x1", "liquidated_user": "0x2", "liquidated_ntl_pos": "100.0",
        "liquidated_account_value": "1.0",
    }  # fmt: skip
    assert read("user", {"liquidation": shape}) == Liquidation(
        id=5, liquidator="0x1", liquidated_user="0x2", notional_text="100.0", account_value_text="1.0"
    )
    cancels = read("user", {"nonUserCancel": [{"coin": "ETH", "oid": 5}, {"coin": "DOGE", "oid": 6}]})
    ended = (Ended(coin="ETH", market=1, oid=5), Ended(coin="DOGE", market=-1, oid=6))
    assert cancels == NonUserCancels(orders=ended)


@pytest.mark.parametrize(
    ("channel", "data"),
    [
        ("subscriptionResponse", {"method": "other", "subscription": {"type": "bbo"}}),
        ("subscriptionResponse", {"method": "subscribe"}),
        ("error", {"text": "x"}),
        ("post", {"id": -1, "response": {"type": "error", "payload": ""}}),
        ("post", {"response": {"type": "error", "payload": ""}}),
        ("orderUpdates", order()),
        ("orderUpdates", [order(side="C")]),
        ("orderUpdates", [order(oid=2**63)]),
        ("orderUpdates", [order(timestamp=0)]),
        ("orderUpdates", [order(sz=1.0)]),
        ("userFills", {"fills": []}),
        ("userFills", {"user": "0x1", "fills": [fill(fee=None)]}),
        ("userFundings", {"user": "0x1", "fundings": [{}]}),
        ("userNonFundingLedgerUpdates", {"user": "0x1"}),
        ("userNonFundingLedgerUpdates", {"user": "0x1", "nonFundingLedgerUpdates": [{"time": 1, "hash": ""}]}),
        ("user", {}),
        ("user", {"liquidation": {"lid": 5}}),
        ("user", []),
    ],
)
def test_what_has_not_the_shape_of_its_channel_is_a_fault(channel: str, data: Any) -> None:
    assert read(channel, data) is Fault.WRONG_SHAPE


@pytest.mark.parametrize("channel", sorted(Reader.channels - {"pong"}))
def test_no_content_raises(channel: str) -> None:
    for data in (b"", b"null", b"[", b'"\xff"', b"{}x", b"5", DEEP, b'{"id":1e999}'):
        assert READER.read(channel, data) is Fault.WRONG_SHAPE
        assert READER.read(channel, msgspec.Raw(data)) is Fault.WRONG_SHAPE


def test_every_recorded_message_is_read(recordings: Path) -> None:
    lines = (recordings / "hyperliquid" / "api" / "recorded_messages_2026" / "messages.jsonl").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    read_ones = [
        read(message["channel"], message.get("data"))
        for message in messages
        if isinstance(message, dict) and message.get("channel") in Reader.channels
    ]
    assert len(read_ones) >= 18 and not [message for message in read_ones if isinstance(message, Fault)]


def test_the_watchdog_can_read_without_compiled_code() -> None:
    code = "import sys, hlhft.hyperliquid.messages; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
