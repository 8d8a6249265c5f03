"""Orders that close positions: the right side, a valid price within the distance, nothing that could rest."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.hyperliquid.watchdog_flatten import BPS, closing_orders
from hlhft.hyperliquid.watchdog_reading import Asset, Position
from hlhft.units import TICKS_MAX, Market

ASSETS = {"ETH": Asset(asset_id=1, size_decimals=4), "LOT": Asset(asset_id=9, size_decimals=0)}


def held(coin: str = "ETH", *, is_long: bool = True, size: str = "0.5", mark: str = "4000") -> Position:
    return Position(coin=coin, is_long=is_long, size=size, mark=Decimal(mark))


def test_a_long_is_sold_and_a_short_bought_within_the_distance() -> None:
    sell, buy = closing_orders([held(), held("LOT", is_long=False, size="12", mark="0.012345")], ASSETS, 300)
    assert sell == {"a": 1, "b": False, "p": "3880", "s": "0.5", "r": True, "t": {"limit": {"tif": "Ioc"}}}
    # 0.012345 x 1.03 = 0.01271535, cut at six decimals and five figures.
    assert buy == {"a": 9, "b": True, "p": "0.012715", "s": "12", "r": True, "t": {"limit": {"tif": "Ioc"}}}


def test_what_cannot_be_closed_is_left_out() -> None:
    assert closing_orders([held("OTHER"), held(size="0.00001")], ASSETS, 300) == []


@pytest.mark.parametrize(("mark", "price"), [("0.0000001", "0.01"), ("99999999999", "21474836")])
def test_prices_stay_within_what_can_be_written(mark: str, price: str) -> None:
    (order,) = closing_orders([held(is_long=False, mark=mark)], ASSETS, 300)
    assert order["p"] == price
    assert Decimal(order["p"]) * 100 <= TICKS_MAX


@given(
    mark=st.decimals(min_value=Decimal("0.1"), max_value=Decimal("1e6"), places=6),
    is_long=st.booleans(),
    slippage=st.integers(1, 2000),
)
def test_a_price_is_valid_and_never_beyond_the_distance(mark: Decimal, is_long: bool, slippage: int) -> None:
    (order,) = closing_orders([held(is_long=is_long, mark=str(mark))], ASSETS, slippage)
    market = Market.perpetual("ETH", asset_id=1, size_decimals=4)
    ticks = market.ticks(order["p"])
    assert market.is_valid_price(ticks)
    side = -1 if is_long else 1
    limit = mark * (BPS + side * slippage) / BPS
    worse = (Decimal(order["p"]) - limit) * side
    # One step of the grid is the least there is.
    assert worse <= 0 or ticks == market.grid_step(1)
