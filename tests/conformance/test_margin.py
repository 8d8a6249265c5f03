"""Leverage, margin and liquidation, each seen in the account's state (venue reference sections 3.2 and 10)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.conformance.desk import ALO, IOC, Desk, Trader, default, eventually, refusal

COIN = "SOL"


@pytest.fixture
def price(desk: Desk) -> Iterator[int]:
    """The market's price, which the test may move: it stands where it stood afterwards."""
    found = desk.price(COIN)
    yield found
    desk.sweep()
    desk.move(COIN, found)


def buy(maker: Trader, taker: Trader, size: float, price: int) -> None:
    maker.rest(COIN, False, size, price, ALO)
    taker.order(COIN, True, size, price, IOC)


def test_leverage_decides_the_margin_of_a_cross_position(desk: Desk, maker: Trader, taker: Trader, price: int) -> None:
    assert default(taker.exchange.update_leverage(5, COIN))
    buy(maker, taker, 10, price)
    position = taker.position(COIN)
    assert position is not None
    assert position["leverage"] == {"type": "cross", "value": 5}
    assert Decimal(position["marginUsed"]) == Decimal(position["positionValue"]) / 5
    assert default(taker.exchange.update_leverage(10, COIN))
    position = taker.position(COIN)
    assert position is not None
    assert Decimal(position["marginUsed"]) == Decimal(position["positionValue"]) / 10
    state = taker.state()
    assert Decimal(state["marginSummary"]["totalMarginUsed"]) == Decimal(position["marginUsed"])
    assert Decimal(state["marginSummary"]["totalNtlPos"]) == Decimal(position["positionValue"])


def test_the_leverage_of_a_market_without_position_is_seen_too(desk: Desk, taker: Trader) -> None:
    assert default(taker.exchange.update_leverage(7, "ETH", is_cross=False))
    data = desk.ask({"type": "activeAssetData", "user": taker.address, "coin": "ETH"})
    assert data["leverage"]["type"] == "isolated"
    assert data["leverage"]["value"] == 7


@pytest.mark.parametrize("leverage", [0, 1000])
def test_leverage_beyond_the_markets_is_refused(desk: Desk, taker: Trader, leverage: int) -> None:
    told = refusal(taker.exchange.update_leverage(leverage, "ETH"))
    assert "Invalid leverage value" in told
    data = desk.ask({"type": "activeAssetData", "user": taker.address, "coin": "ETH"})
    assert data["leverage"]["value"] != leverage


def test_an_isolated_position_has_margin_of_its_own(desk: Desk, maker: Trader, taker: Trader, price: int) -> None:
    assert default(taker.exchange.update_leverage(10, COIN, is_cross=False))
    buy(maker, taker, 100, price)
    position = taker.position(COIN)
    assert position is not None
    assert (position["leverage"]["type"], position["leverage"]["value"]) == ("isolated", 10)
    raw = Decimal(position["leverage"]["rawUsd"])
    assert Decimal(position["marginUsed"]) == Decimal(position["positionValue"]) + raw
    told = refusal(taker.exchange.update_leverage(10, COIN, is_cross=True))
    assert told.startswith("Cannot switch leverage type with open position.")
    assert default(taker.exchange.update_isolated_margin(250, COIN))
    grown = taker.position(COIN)
    assert grown is not None
    assert Decimal(grown["leverage"]["rawUsd"]) == raw + 250
    assert default(taker.exchange.update_isolated_margin(-200, COIN))
    shrunk = taker.position(COIN)
    assert shrunk is not None
    assert Decimal(shrunk["leverage"]["rawUsd"]) == raw + 50
    assert Decimal(taker.state()["crossMaintenanceMarginUsed"]) == 0


def test_a_cross_position_has_no_margin_of_its_own(maker: Trader, taker: Trader, price: int) -> None:
    buy(maker, taker, 10, price)
    told = refusal(taker.exchange.update_isolated_margin(100, COIN))
    assert "isolated margin" in told


def test_an_order_needs_margin(desk: Desk, price: int) -> None:
    poor = desk.trader(100)
    size = round(100 * 30 / price)
    error = poor.order(COIN, True, size, price)["error"]
    assert error.startswith("Insufficient margin to place order.")
    assert poor.newest_word() == "perpMarginRejected"
    poor.rest(COIN, True, round(100 * 10 / price), round(price * 0.99))
    assert len(poor.open_orders()) == 1
    assert Decimal(poor.state()["withdrawable"]) < 100


def test_what_positions_need_stays(desk: Desk, maker: Trader, price: int) -> None:
    trader = desk.trader(1_000)
    buy(maker, trader, round(5_000 / price), price)
    refusal(trader.exchange.usd_transfer(999, maker.address))
    free = Decimal(trader.state()["withdrawable"])
    assert 0 < free < 1_000
    assert default(trader.exchange.usd_transfer(float(int(free)), maker.address))
    assert Decimal(trader.state()["withdrawable"]) == free - int(free)


def test_an_account_below_its_maintenance_margin_is_liquidated(desk: Desk, maker: Trader, price: int) -> None:
    victim = desk.trader(1_000)
    size = round(15_000 / price)
    buy(maker, victim, size, price)
    position = victim.position(COIN)
    assert position is not None
    liquidation_price = Decimal(position["liquidationPx"])
    assert price * Decimal("0.9") < liquidation_price < price
    resting = victim.rest(COIN, True, 1, round(price * 0.85), ALO)
    maker.rest(COIN, True, size, int(liquidation_price) - 1, ALO)
    # Just below: further down the backstop would take the position, and sell it into the next bid that comes.
    desk.move(COIN, int(liquidation_price))
    eventually(lambda: victim.signed_size(COIN) == 0)
    newest = victim.fills()[0]
    assert newest["liquidation"]["liquidatedUser"] == victim.address
    assert newest["liquidation"]["method"] == "market"
    assert Decimal(newest["px"]) == int(liquidation_price) - 1
    assert victim.word(resting) == "liquidatedCanceled"
    assert victim.value() >= 0
    assert desk.ask({"type": "exchangeStatus"})["time"] > 0


def test_an_account_far_below_goes_to_the_backstop_which_sells_what_it_took(
    desk: Desk, maker: Trader, price: int
) -> None:
    victim = desk.trader(1_000)
    size = round(15_000 / price)
    buy(maker, victim, size, price)
    position = victim.position(COIN)
    assert position is not None
    lower = int(Decimal(position["liquidationPx"])) - 2
    desk.move(COIN, lower)
    eventually(lambda: victim.signed_size(COIN) == 0)
    assert victim.fills()[0]["liquidation"]["method"] == "backstop"
    assert victim.value() == 0
    bid = maker.rest(COIN, True, size, lower + 1)  # it sells at the mark or better
    eventually(lambda: maker.word(bid) == "filled")
    assert maker.signed_size(COIN) == 0
