"""Two accounts trade, a third client watches: every subscription that the official SDK knows delivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hyperliquid.info import Info

from tests.conformance.desk import ALO, GTC, IOC, Desk, Trader, eventually, only
from tests.conformance.process import ExchangeProcess

SLOW_S = 15.0  # some channels are told every few seconds only


class Watcher:
    """The SDK's `Info` with its socket; what is delivered is kept by subscription."""

    def __init__(self, info: Info) -> None:
        self.info = info
        self.watched: list[tuple[dict[str, Any], int]] = []

    def watch(self, subscription: dict[str, Any]) -> tuple[list[Any], int]:
        """The data of all messages of the subscription, as they come, and its number."""
        seen: list[Any] = []
        number = self.info.subscribe(subscription, lambda message: seen.append(message["data"]))
        self.watched.append((subscription, number))
        return seen, number

    def end(self) -> None:
        """Ends what was not ended."""
        for subscription, number in self.watched:
            self.info.unsubscribe(subscription, number)


@pytest.fixture(scope="session")
def listening(session_desk: Desk, exchange_process: ExchangeProcess) -> Info:
    """One socket for all: the SDK's takes ten seconds to close, unless it is the exchange that closes it."""
    info = Info(session_desk.url)
    manager = info.ws_manager
    assert manager is not None
    eventually(lambda: manager.ws_ready)
    # Whatever the SDK's client does when the other side hangs up first, it forgets to close its own end.
    ends = [info.disconnect_websocket, lambda: manager.join(timeout=SLOW_S), manager.ws.sock.shutdown]
    exchange_process.then.extend(ends)
    return info


@pytest.fixture
def watcher(desk: Desk, listening: Info) -> Iterator[Watcher]:
    """The third client."""
    made = Watcher(listening)
    yield made
    made.end()


def wait_for(seen: list[Any], holds: Callable[[Any], bool]) -> Any:
    """The first message of which it holds."""
    return eventually(lambda: next((message for message in list(seen) if holds(message)), None), within_s=SLOW_S)


def trade(maker: Trader, taker: Trader, size: float, price: int) -> tuple[int, int]:
    """A trade; the ids of both orders."""
    oid = maker.rest("ETH", False, size, price, ALO)
    return oid, taker.order("ETH", True, size, price, IOC)["filled"]["oid"]


def test_mids(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", True, 1, price - 5, ALO)
    maker.rest("ETH", False, 1, price + 6, ALO)
    seen, _ = watcher.watch({"type": "allMids"})
    wait_for(seen, lambda data: Decimal(data["mids"]["ETH"]) == price + Decimal("0.5"))


def test_the_touch(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    seen, _ = watcher.watch({"type": "bbo", "coin": "ETH"})
    oid = maker.rest("ETH", True, 1.5, price, ALO)
    data = wait_for(seen, lambda data: data["bbo"][0] is not None)
    assert data["bbo"] == [{"px": f"{price}.0", "sz": "1.5", "n": 1}, None]
    assert set(data) == {"coin", "time", "bbo"}
    maker.exchange.cancel("ETH", oid)
    wait_for(seen, lambda later: later["time"] > data["time"] and later["bbo"] == [None, None])


def test_the_book(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    maker.rest("ETH", True, 1, price, ALO)
    seen, _ = watcher.watch({"type": "l2Book", "coin": "ETH"})
    first = wait_for(seen, lambda data: data["levels"][0])
    assert first["coin"] == "ETH"
    assert first["levels"] == [[{"px": f"{price}.0", "sz": "1.0", "n": 1}], []]
    maker.rest("ETH", False, 2, price + 1, ALO)
    wait_for(seen, lambda data: data["levels"][1] == [{"px": f"{price + 1}.0", "sz": "2.0", "n": 1}])


def test_trades(desk: Desk, maker: Trader, taker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    seen, _ = watcher.watch({"type": "trades", "coin": "ETH"})
    trade(maker, taker, 0.75, price)
    tid = taker.fills()[0]["tid"]
    (told,) = (one for one in wait_for(seen, lambda data: tid in [one["tid"] for one in data]) if one["tid"] == tid)
    assert set(told) == {"coin", "side", "px", "sz", "time", "hash", "tid", "users"}
    assert (told["coin"], told["side"], told["px"], told["sz"]) == ("ETH", "B", f"{price}.0", "0.75")
    assert told["users"] == [taker.address, maker.address]
    assert told["time"] == taker.fills()[0]["time"]


def test_candles(desk: Desk, maker: Trader, taker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH") + 3
    seen, _ = watcher.watch({"type": "candle", "coin": "ETH", "interval": "1d"})
    trade(maker, taker, 1, price)
    data = wait_for(seen, lambda data: Decimal(data["c"]) == price)
    assert set(data) == {"t", "T", "s", "i", "o", "c", "h", "l", "v", "n"}
    assert (data["s"], data["i"]) == ("ETH", "1d")


def test_contexts(desk: Desk, watcher: Watcher) -> None:
    seen, _ = watcher.watch({"type": "activeAssetCtx", "coin": "ETH"})
    data = wait_for(seen, bool)
    assert data["coin"] == "ETH"
    assert data["ctx"]["oraclePx"] == desk.context("ETH")["oraclePx"]
    assert set(data["ctx"]) == set(desk.context("ETH"))


def test_what_an_account_can_trade(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    seen, _ = watcher.watch({"type": "activeAssetData", "user": maker.address, "coin": "ETH"})
    data = wait_for(seen, bool)
    assert (data["user"], data["coin"]) == (maker.address, "ETH")
    assert set(data) == {"user", "coin", "leverage", "maxTradeSzs", "availableToTrade", "markPx"}


def test_order_updates(desk: Desk, maker: Trader, taker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    seen, _ = watcher.watch({"type": "orderUpdates", "user": taker.address})
    resting = taker.rest("ETH", True, 2, price - 9, ALO)
    _, taken = trade(maker, taker, 1, price)
    only(taker.exchange.cancel("ETH", resting))

    def told() -> list[tuple[int, str, str]]:
        return [(one["order"]["oid"], one["status"], one["order"]["sz"]) for data in list(seen) for one in data]

    eventually(lambda: (resting, "canceled", "2.0") in told(), within_s=SLOW_S)
    assert told() == [
        (resting, "open", "2.0"),
        (taken, "open", "1.0"),
        (taken, "filled", "0.0"),
        (resting, "canceled", "2.0"),
    ]
    pair = next(data for data in seen if data[0]["order"]["oid"] == taken)
    assert [one["status"] for one in pair] == ["open", "filled"]
    assert set(seen[0][0]) == {"order", "status", "statusTimestamp"}


def test_fills_begin_with_a_snapshot(desk: Desk, maker: Trader, taker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    trade(maker, taker, 1, price)
    seen, _ = watcher.watch({"type": "userFills", "user": taker.address})
    snapshot = wait_for(seen, bool)
    assert (snapshot["isSnapshot"], snapshot["user"]) == (True, taker.address)
    assert [fill["sz"] for fill in snapshot["fills"]] == ["1.0"]
    trade(maker, taker, 2, price)
    update = wait_for(seen[1:], bool) if len(seen) > 1 else eventually(lambda: seen[1:], within_s=SLOW_S)[0]
    assert not update.get("isSnapshot")
    assert update["fills"][0] == taker.fills()[0]


def test_events_of_an_account(desk: Desk, maker: Trader, taker: Trader, watcher: Watcher) -> None:
    seen, _ = watcher.watch({"type": "userEvents", "user": maker.address})
    oid, _ = trade(maker, taker, 1, desk.price("ETH"))
    data = wait_for(seen, lambda data: "fills" in data)
    assert [fill["oid"] for fill in data["fills"]] == [oid]


def test_an_order_that_only_reduces_ends_with_its_position(
    desk: Desk, maker: Trader, taker: Trader, watcher: Watcher
) -> None:
    """Its end comes in the message that tells the closing order (venue reference section 4.5)."""
    price = desk.price("ETH")
    trade(maker, taker, 1, price)
    resting = taker.rest("ETH", False, 1, price + 9, ALO, reduce_only=True)
    seen, _ = watcher.watch({"type": "orderUpdates", "user": taker.address})
    events, _ = watcher.watch({"type": "userEvents", "user": taker.address})
    maker.rest("ETH", True, 1, price, ALO)
    closing = taker.order("ETH", False, 1, price, IOC)["filled"]["oid"]
    data = wait_for(seen, lambda data: resting in [one["order"]["oid"] for one in data])
    told = [(one["order"]["oid"], one["status"]) for one in data]
    assert (resting, "reduceOnlyCanceled") in told
    assert (closing, "filled") in told
    wait_for(events, lambda data: "fills" in data)
    assert [data for data in events if "nonUserCancel" in data] == []


def test_an_order_that_its_owner_did_not_cancel(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    price = desk.price("ETH")
    own = maker.rest("ETH", False, 1, price, ALO)
    events, _ = watcher.watch({"type": "userEvents", "user": maker.address})
    updates, _ = watcher.watch({"type": "orderUpdates", "user": maker.address})
    maker.order("ETH", True, 1, price, GTC)
    wait_for(updates, lambda data: (own, "selfTradeCanceled") in [(one["order"]["oid"], one["status"]) for one in data])
    data = wait_for(events, lambda data: "nonUserCancel" in data)
    assert data["nonUserCancel"] == [{"coin": "ETH", "oid": own}]


def test_a_liquidation_is_an_event(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    price = desk.price("SOL")
    victim = desk.trader(1_000)
    size = round(15_000 / price)
    maker.rest("SOL", False, size, price, ALO)
    victim.order("SOL", True, size, price, IOC)
    events, _ = watcher.watch({"type": "userEvents", "user": victim.address})
    position = victim.position("SOL")
    assert position is not None
    # Just below: further down the backstop would take the position, and sell it into the next bid that comes.
    lower = int(Decimal(position["liquidationPx"]))
    maker.rest("SOL", True, size, lower - 1, ALO)
    try:
        desk.move("SOL", lower)
        told = wait_for(events, lambda data: "liquidation" in data)["liquidation"]
        assert set(told) == {
            "lid",
            "liquidator",
            "liquidated_user",
            "liquidated_ntl_pos",
            "liquidated_account_value",
        }
        assert told["liquidated_user"] == victim.address
        fills = wait_for(events, lambda data: "fills" in data)["fills"]
        assert fills[0]["liquidation"]["liquidatedUser"] == victim.address
        assert victim.signed_size("SOL") == 0
    finally:
        desk.sweep()
        desk.move("SOL", price)


def test_ledger_updates(desk: Desk, maker: Trader, taker: Trader, watcher: Watcher) -> None:
    seen, _ = watcher.watch({"type": "userNonFundingLedgerUpdates", "user": maker.address})
    snapshot = wait_for(seen, bool)
    assert snapshot["isSnapshot"] is True
    assert [entry["delta"]["type"] for entry in snapshot["nonFundingLedgerUpdates"]] == ["deposit"]
    maker.exchange.usd_transfer(11, taker.address)
    update = eventually(lambda: seen[1:], within_s=SLOW_S)[0]
    assert update["user"] == maker.address
    (entry,) = update["nonFundingLedgerUpdates"]
    assert Decimal(entry["delta"]["usdc"]) == 11


def test_fundings_begin_with_a_snapshot(maker: Trader, watcher: Watcher) -> None:
    seen, _ = watcher.watch({"type": "userFundings", "user": maker.address})
    assert wait_for(seen, bool) == {"isSnapshot": True, "user": maker.address, "fundings": []}


def test_what_the_venue_gave_up_is_refused_quietly(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    """The SDK ignores error frames: the subscription stays silent and its socket lives."""
    refused, _ = watcher.watch({"type": "webData2", "user": maker.address})
    seen, _ = watcher.watch({"type": "bbo", "coin": "ETH"})
    maker.rest("ETH", True, 1, desk.price("ETH"), ALO)
    wait_for(seen, lambda data: data["bbo"][0] is not None)
    assert refused == []


def test_a_subscription_ends(desk: Desk, maker: Trader, watcher: Watcher) -> None:
    bbo = {"type": "bbo", "coin": "ETH"}
    seen, number = watcher.watch(bbo)
    other, _ = watcher.watch({"type": "bbo", "coin": "SOL"})
    maker.rest("ETH", True, 1, desk.price("ETH"), ALO)
    wait_for(seen, lambda data: data["bbo"][0] is not None)
    assert watcher.info.unsubscribe(bbo, number)
    count = len(seen)
    maker.rest("ETH", True, 1, desk.price("ETH") + 1, ALO)
    maker.rest("SOL", True, 1, desk.price("SOL"), ALO)
    wait_for(other, lambda data: data["bbo"][0] is not None)
    assert len(seen) == count
