"""Which frames a block causes."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import msgspec
import numpy as np
import pytest

from hlhft.events import EventKind
from hlhft.exchange.channels import ORDER, Channels, ChannelSettings
from hlhft.exchange.memory import Changes
from hlhft.exchange.subscriptions import KINDS
from hlhft.units import MICRO
from hlhft.venue.adl import INTO_BOOK
from hlhft.venue.blocks import ACTION_DTYPE, ActionKind
from hlhft.venue.refusals import Refusal
from tests.exchange.hall import (
    ALO,
    ANN,
    BLOCK_NS,
    BOB,
    BTC,
    BUY,
    ETH,
    GTC,
    IOC,
    LISTING,
    PURR,
    SELL,
    STRANGER,
    Hall,
    address,
    event,
)

CLOID = "0x00030050c6301a2b00000100000000d2"
SECOND = 1_000_000_000


class Lounge:
    """A hall with two listeners, connections 0 and 1."""

    def __init__(self, settings: ChannelSettings | None = None) -> None:
        self.hall = Hall().mark("80000")
        self.channels = Channels(self.hall.info, settings)
        for connection in range(2):
            self.channels.open(connection)

    def listen(self, kind: str, *, connection: int = 0, **more: Any) -> list[dict[str, Any]]:
        """Subscribes; the frames that follow the acknowledgement."""
        subscription = {"type": kind, **more}
        raw = msgspec.json.encode(subscription).decode()
        frames = self.channels.subscribe(connection, subscription, raw, self.hall.now_ns)
        decoded = [msgspec.json.decode(frame) for frame in frames]
        assert decoded[0]["channel"] == "subscriptionResponse"
        return decoded[1:]

    def told(self, changes: Changes) -> list[dict[str, Any]]:
        """The frames of a block for connection 0."""
        frames = self.channels.frames_of(self.hall.block, changes)
        return [msgspec.json.decode(data) for connection, data in frames if connection == 0]

    def run(self, *, after_ns: int = BLOCK_NS) -> list[dict[str, Any]]:
        return self.told(self.hall.run(after_ns=after_ns))

    def take(self, *events: np.ndarray, legs: np.ndarray | None = None) -> list[dict[str, Any]]:
        return self.told(self.hall.take(np.concatenate(events), legs))


def named(frames: list[dict[str, Any]], channel: str) -> list[Any]:
    return [frame["data"] for frame in frames if frame["channel"] == channel]


# Markets.


def test_the_touch_is_told_at_first_and_in_blocks_in_which_it_changed():
    lounge = Lounge()
    (first,) = lounge.listen("bbo", coin="BTC")
    assert first["data"] == {"coin": "BTC", "time": lounge.hall.now_ms, "bbo": [None, None]}
    lounge.hall.place(ANN, BUY, "79000", "0.5", ALO)
    (frame,) = lounge.run()
    assert frame == {
        "channel": "bbo",
        "data": {"coin": "BTC", "time": lounge.hall.now_ms, "bbo": [{"px": "79000.0", "sz": "0.5", "n": 1}, None]},
    }
    lounge.hall.place(ANN, BUY, "78000", "0.5", ALO)
    assert lounge.run() == []
    lounge.hall.place(ANN, BUY, "79000", "0.1", ALO)
    (frame,) = lounge.run()
    assert frame["data"]["bbo"][0] == {"px": "79000.0", "sz": "0.6", "n": 2}
    (again,) = lounge.listen("bbo", connection=1, coin="BTC")
    assert again["data"]["bbo"][0]["n"] == 2
    assert lounge.run() == []


@pytest.mark.parametrize(
    ("fast", "levels", "cadence_ns"), [(False, 20, 54 * SECOND // 10), (True, 5, 54 * SECOND // 100)]
)
def test_books_come_whole_by_their_cadence(fast, levels, cadence_ns):
    lounge = Lounge()
    for step in range(25):
        lounge.hall.place(BOB, BUY, str(79_000 - step), "0.1", ALO)
    lounge.run()
    (first,) = lounge.listen("l2Book", coin="BTC", fast=fast)
    assert len(first["data"]["levels"][0]) == levels
    assert first["data"].get("fast") == (True if fast else None)
    assert "spread" not in first["data"]
    assert lounge.run(after_ns=cadence_ns - BLOCK_NS) == []
    (frame,) = lounge.run()
    assert frame["channel"] == "l2Book"
    assert frame["data"]["time"] == lounge.hall.now_ms
    assert lounge.run() == []


def test_a_grouped_book_says_its_spread():
    lounge = Lounge()
    lounge.hall.place(BOB, BUY, "79994", "0.1", ALO).place(BOB, SELL, "80006", "0.1", ALO).run()
    (first,) = lounge.listen("l2Book", coin="BTC", nSigFigs=4)
    assert first["data"]["spread"] == "20.0"


def test_the_last_thirty_trades_come_at_first_and_then_those_of_each_block():
    lounge = Lounge()
    assert lounge.listen("trades", connection=1, coin="BTC") == []
    for _ in range(16):
        lounge.hall.place(BOB, SELL, "80000", "0.01", ALO).place(BOB, SELL, "80001", "0.01", ALO)
        lounge.hall.place(ANN, BUY, "80001", "0.02", IOC).run()
    (first,) = lounge.listen("trades", coin="BTC")
    assert len(first["data"]) == 30
    lounge.listen("trades", coin="ETH")
    lounge.hall.place(BOB, SELL, "80000", "0.01", ALO).place(BOB, SELL, "80001", "0.01", ALO)
    lounge.hall.place(ANN, BUY, "80001", "0.02", IOC)
    (frame,) = lounge.run()
    assert [trade["px"] for trade in frame["data"]] == ["80000.0", "80001.0"]
    assert frame["data"][0]["users"] == [address(ANN), address(BOB)]


def test_a_frame_is_made_once_for_all_who_listen():
    lounge = Lounge()
    lounge.listen("trades", coin="BTC")
    lounge.listen("trades", connection=1, coin="BTC")
    changes = lounge.hall.place(BOB, SELL, "80000", "1", ALO).place(ANN, BUY, "80000", "1", IOC).run()
    (one, first), (two, second) = lounge.channels.frames_of(lounge.hall.block, changes)
    assert (one, two) == (0, 1)
    assert first is second


def test_a_candle_comes_with_every_block_that_trades():
    lounge = Lounge()
    assert lounge.listen("candle", coin="BTC", interval="1h") == []
    lounge.hall.place(BOB, SELL, "80000", "1", ALO).place(ANN, BUY, "80000", "0.4", IOC)
    (frame,) = lounge.run()
    assert (frame["channel"], frame["data"]["s"], frame["data"]["i"], frame["data"]["v"]) == (
        "candle",
        "BTC",
        "1h",
        "0.4",
    )
    (first,) = lounge.listen("candle", coin="BTC", interval="1d")
    assert first["data"]["n"] == 1
    assert lounge.run() == []


def test_mids_and_contexts_come_by_time():
    lounge = Lounge()
    (mids,) = lounge.listen("allMids")
    assert mids == {"channel": "allMids", "data": {"mids": {"BTC": "80000.0"}}}
    assert lounge.listen("allMids", dex="xyz")[0]["data"] == {"mids": {}}
    (context,) = lounge.listen("activeAssetCtx", coin="BTC")
    assert context["data"]["coin"] == "BTC"
    assert context["data"]["ctx"]["markPx"] == "80000.0"
    assert [frame["channel"] for frame in lounge.run(after_ns=SECOND)] == ["activeAssetCtx"]
    frames = lounge.run(after_ns=4 * SECOND)
    assert [frame["channel"] for frame in frames] == ["allMids", "allMids", "activeAssetCtx"]
    lounge.channels.unsubscribe(0, {"type": "activeAssetCtx", "coin": "BTC"}, "")
    assert lounge.run(after_ns=SECOND) == []


def test_a_spot_pair_has_a_channel_of_its_own():
    (frame,) = Lounge().listen("activeAssetCtx", coin=LISTING.names[PURR])
    assert frame["channel"] == "activeSpotAssetCtx"
    assert frame["data"]["coin"] == "PURR/USDC"
    assert "circulatingSupply" in frame["data"]["ctx"]


def unpacked(frame: dict[str, Any]) -> Any:
    return msgspec.json.decode(zlib.decompress(base64.b64decode(frame["data"]), wbits=-15))


def test_fast_contexts_come_whole_at_first_and_then_what_changed():
    lounge = Lounge()
    (first,) = lounge.listen("fastAssetCtxs")
    assert unpacked(first) == {"BTC": {"markPx": "80000.0"}}
    assert lounge.run(after_ns=SECOND) == []
    lounge.hall.mark("2000", ETH)
    (frame,) = lounge.run(after_ns=SECOND)
    assert unpacked(frame) == {"ETH": {"markPx": "2000.0"}}
    (second,) = lounge.listen("fastAssetCtxs", connection=1)
    assert unpacked(second) == {"BTC": {"markPx": "80000.0"}, "ETH": {"markPx": "2000.0"}}
    assert lounge.run(after_ns=SECOND) == []


def test_the_contexts_of_all_dexs_are_those_of_the_main_one():
    (frame,) = Lounge().listen("allDexsAssetCtxs")
    ((dex, contexts),) = frame["data"]["ctxs"]
    assert (dex, len(contexts)) == ("", 3)


# Users.


def test_the_life_of_an_order_is_told_as_recorded():
    lounge = Lounge()
    assert lounge.listen("orderUpdates", user=address(ANN)) == []
    lounge.hall.place(ANN, BUY, "79000", "1", ALO, cloid=CLOID)
    (frame,) = lounge.run()
    order = {
        "coin": "BTC",
        "side": "B",
        "limitPx": "79000.0",
        "sz": "1.0",
        "oid": 1,
        "timestamp": lounge.hall.now_ms,
        "origSz": "1.0",
        "cloid": CLOID,
    }
    placed_ms = lounge.hall.now_ms
    assert frame["data"] == [{"order": order, "status": "open", "statusTimestamp": placed_ms}]
    lounge.hall.cancel(ANN, 1)
    (frame,) = lounge.run()
    assert frame["data"] == [{"order": order, "status": "canceled", "statusTimestamp": placed_ms + 100}]


def test_what_is_filled_at_once_is_open_and_filled_in_one_frame():
    lounge = Lounge()
    for kind in ("orderUpdates", "userFills", "userEvents", "notification", "userHistoricalOrders"):
        lounge.listen(kind, user=address(ANN))
    lounge.hall.place(BOB, SELL, "80000", "1", ALO)
    assert lounge.run() == []
    lounge.hall.place(ANN, BUY, "80001", "0.01", GTC)
    frames = lounge.run()
    assert [frame["channel"] for frame in frames] == [
        "orderUpdates",
        "userFills",
        "user",
        "notification",
        "userHistoricalOrders",
    ]
    (updates,) = named(frames, "orderUpdates")
    assert [(update["status"], update["order"]["sz"]) for update in updates] == [("open", "0.01"), ("filled", "0.0")]
    (fills,) = named(frames, "userFills")
    assert set(fills) == {"user", "fills"}
    assert named(frames, "user") == [{"fills": fills["fills"]}]
    assert named(frames, "notification") == [{"notification": "Order filled: Bought 0.01 BTC at $80000"}]
    (history,) = named(frames, "userHistoricalOrders")
    assert [entry["status"] for entry in history["orderHistory"]] == ["open", "filled"]


def test_a_resting_order_that_is_filled_is_announced_as_recorded():
    lounge = Lounge()
    lounge.listen("notification", user=address(BOB))
    lounge.hall.place(BOB, SELL, "80000.1", "0.01", ALO, row=BTC).run()
    lounge.hall.place(BOB, SELL, "80000", "0.0063", ALO).run()
    lounge.hall.place(ANN, BUY, "80000", "0.003", IOC)
    assert lounge.run() == []
    lounge.hall.place(ANN, BUY, "80000", "0.0033", IOC)
    (frame,) = lounge.run()
    assert frame["data"] == {"notification": "Resting order filled: Sold 0.0033 BTC at $80000"}


def test_fills_begin_with_a_snapshot_the_oldest_first_and_can_be_put_together():
    lounge = Lounge()
    lounge.hall.place(BOB, SELL, "80000", "1", ALO).place(BOB, SELL, "80003", "2", ALO)
    lounge.hall.place(ANN, BUY, "80003", "3", IOC).run()
    (first,) = lounge.listen("userFills", user=address(ANN))
    assert first["data"]["isSnapshot"] is True
    assert first["data"]["user"] == address(ANN)
    assert [fill["px"] for fill in first["data"]["fills"]] == ["80000.0", "80003.0"]
    (merged,) = lounge.listen("userFills", user=address(ANN), aggregateByTime=True)
    assert [fill["px"] for fill in merged["data"]["fills"]] == ["80002.0"]
    lounge.hall.place(ANN, SELL, "80100", "1", ALO).place(ANN, SELL, "80101", "1", ALO)
    lounge.hall.place(BOB, BUY, "80100", "1", IOC)
    frames = named(lounge.run(), "userFills")
    assert [len(data["fills"]) for data in frames] == [1, 1]
    assert "isSnapshot" not in frames[0]


SNAPSHOTS = {
    "userFills": "fills",
    "userFundings": "fundings",
    "userNonFundingLedgerUpdates": "nonFundingLedgerUpdates",
    "userHistoricalOrders": "orderHistory",
    "userTwapSliceFills": "twapSliceFills",
    "userTwapHistory": "history",
}


@pytest.mark.parametrize("kind", SNAPSHOTS)
def test_a_snapshot_comes_also_when_there_is_nothing_and_for_nobody(kind):
    for user in (address(ANN), STRANGER):
        (first,) = Lounge().listen(kind, user=user)
        assert first == {"channel": kind, "data": {"isSnapshot": True, "user": user, SNAPSHOTS[kind]: []}}


@pytest.mark.parametrize("kind", ["userEvents", "orderUpdates", "notification"])
def test_some_channels_have_no_snapshot(kind):
    assert Lounge().listen(kind, user=address(ANN)) == []


def test_payments_and_transfers_are_told_on_their_channels():
    lounge = Lounge()
    for kind in ("userFundings", "userNonFundingLedgerUpdates", "userEvents"):
        lounge.listen(kind, user=address(ANN))
    frames = lounge.take(event(EventKind.FUNDING_PAYMENT, account=ANN, aux0=7, aux1=12_500_000, size_lots=4))
    payment = {
        "time": lounge.hall.now_ms,
        "coin": "BTC",
        "usdc": "0.000007",
        "szi": "0.00004",
        "fundingRate": "0.0000125",
        "nSamples": None,
    }
    assert named(frames, "user") == [{"funding": payment}]
    assert named(frames, "userFundings") == [{"user": address(ANN), "fundings": [payment]}]
    lounge.hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=MICRO)
    (frame,) = lounge.run()
    assert frame["data"]["nonFundingLedgerUpdates"][0]["delta"] == {"type": "deposit", "usdc": "1.0"}


def test_liquidations_and_orders_that_others_ended_are_told_one_by_one():
    lounge = Lounge()
    lounge.listen("userEvents", user=address(ANN))
    lounge.hall.place(ANN, BUY, "79000", "1", ALO).run()
    ended = event(EventKind.ORDER_CANCELLED, account=ANN, venue_order_id=1, size_lots=1, aux0=Refusal.LIQUIDATED)
    frames = lounge.take(event(EventKind.LIQUIDATION, account=ANN, aux0=INTO_BOOK), ended)
    liquidation, cancel = named(frames, "user")
    assert set(liquidation["liquidation"]) == {
        "lid",
        "liquidator",
        "liquidated_user",
        "liquidated_ntl_pos",
        "liquidated_account_value",
    }
    assert cancel == {"nonUserCancel": [{"coin": "BTC", "oid": 1}]}


def test_twaps_are_told_with_their_slices():
    lounge = Lounge()
    for kind in ("userTwapSliceFills", "userTwapHistory", "twapStates"):
        lounge.listen(kind, user=address(ANN))
    legs = np.zeros(1, ACTION_DTYPE)
    legs["kind"], legs["account"], legs["side"], legs["size_lots"] = ActionKind.PLACE_TWAP, ANN, 1, 50
    frames = lounge.take(event(EventKind.TWAP_STATE, account=ANN, order_id=6, leg=0), legs=legs)
    assert named(frames, "userTwapHistory")[0]["history"][0]["status"] == {"status": "activated"}
    part = {"price_ticks": 800_000, "size_lots": 5, "twap_id": 6}
    fill = event(EventKind.ORDER_FILLED, account=ANN, venue_order_id=9, side=1, **part)
    other = event(EventKind.ORDER_FILLED, account=BOB, venue_order_id=8, side=-1, price_ticks=1, size_lots=5, flags=9)
    frames = lounge.take(fill, event(EventKind.TWAP_STATE, account=ANN, order_id=6, size_lots=5), other)
    (slices,) = named(frames, "userTwapSliceFills")
    assert [(entry["twapId"], entry["fill"]["sz"]) for entry in slices["twapSliceFills"]] == [(6, "0.00005")]
    (states,) = named(lounge.run(after_ns=5 * SECOND), "twapStates")
    assert states["states"][0][0] == 6
    assert states["states"][0][1]["executedSz"] == "0.00005"
    assert lounge.hall.ask("twapHistory", user=address(ANN))[0]["twapId"] == 6


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("clearinghouseState", {"dex", "user", "clearinghouseState"}),
        ("openOrders", {"dex", "user", "orders"}),
        ("spotState", {"user", "spotState"}),
        ("twapStates", {"dex", "user", "states"}),
        ("allDexsClearinghouseState", {"user", "clearinghouseStates"}),
        ("webData3", {"userState", "perpDexStates"}),
    ],
)
def test_states_come_whole_every_five_seconds_and_not_on_change(kind, keys):
    lounge = Lounge()
    (first,) = lounge.listen(kind, user=address(ANN))
    assert set(first["data"]) == keys
    lounge.hall.place(ANN, BUY, "79000", "1", ALO)
    assert lounge.run() == []
    (frame,) = lounge.run(after_ns=5 * SECOND)
    assert frame["channel"] == kind


def test_an_open_order_is_in_the_state_and_a_deposit_in_the_web_data():
    lounge = Lounge()
    lounge.hall.leg(kind=ActionKind.DEPOSIT, account=ANN, amount=5 * MICRO)
    lounge.hall.place(ANN, BUY, "79000", "1", ALO).run()
    (orders,) = lounge.listen("openOrders", user=address(ANN))
    assert orders["data"]["orders"][0]["oid"] == 1
    (web,) = lounge.listen("webData3", user=address(ANN))
    assert web["data"]["userState"]["cumLedger"] == "5.0"
    assert web["data"]["userState"]["serverTime"] == lounge.hall.now_ms
    assert Lounge().listen("webData3", user=STRANGER)[0]["data"]["userState"]["cumLedger"] == "0.0"


def test_what_an_account_can_trade_is_told_also_for_one_that_does_not_exist():
    lounge = Lounge()
    for user in (address(ANN), STRANGER):
        (frame,) = lounge.listen("activeAssetData", user=user, coin="BTC")
        assert (frame["data"]["user"], frame["data"]["coin"]) == (user, "BTC")


# All together.


def test_the_order_of_the_channels_in_a_block_is_a_setting():
    lounge = Lounge()
    for kind in ("trades", "bbo", "l2Book"):
        lounge.listen(kind, coin="BTC")
    lounge.listen("orderUpdates", user=address(ANN))
    lounge.hall.place(BOB, SELL, "80000", "1", ALO).place(ANN, BUY, "80000", "0.5", IOC)
    frames = lounge.run(after_ns=6 * SECOND)
    assert [frame["channel"] for frame in frames] == ["bbo", "l2Book", "trades", "orderUpdates"]
    turned = Lounge(ChannelSettings(order=tuple(reversed(ORDER))))
    for kind in ("trades", "bbo"):
        turned.listen(kind, coin="BTC")
    turned.hall.place(BOB, SELL, "80000", "1", ALO).place(ANN, BUY, "80000", "0.5", IOC)
    assert [frame["channel"] for frame in turned.run()] == ["trades", "bbo"]
    with pytest.raises(ValueError, match="must name each"):
        Lounge(ChannelSettings(order=ORDER[1:]))


def test_every_channel_can_be_subscribed_to_and_left_and_then_nothing_is_sent():
    lounge = Lounge()
    everything = {"coin": "BTC", "user": address(ANN), "interval": "1m"}
    for kind in KINDS:
        lounge.listen(kind, **everything)
    lounge.hall.place(BOB, SELL, "80000", "1", ALO).place(ANN, BUY, "80000", "0.5", IOC)
    assert len(lounge.run(after_ns=10 * SECOND)) > 15
    lounge.channels.close(0)
    assert lounge.channels.subscriptions.count == 0
    assert lounge.run(after_ns=10 * SECOND) == []


def test_an_error_is_the_only_frame_of_what_is_refused():
    lounge = Lounge()
    (frame,) = lounge.channels.subscribe(0, {"type": "bbo", "coin": "NONE"}, "raw", 0)
    assert frame == b'{"channel":"error","data":"Invalid subscription raw"}'
    (frame,) = lounge.channels.unsubscribe(0, {"type": "bbo", "coin": "BTC"}, "raw")
    assert b"Already unsubscribed" in frame
