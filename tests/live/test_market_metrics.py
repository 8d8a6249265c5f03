"""What the orders of a market are like, from the core's own records; a running engine shows the rest."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlhft.core.state import ORDER_DTYPE, ORDERS_PER_MARKET, OrderState
from hlhft.live.market_metrics import OrderScan, scan_orders
from tests.live.engines import BTC, Exchange, Owner, Trader, engine, run_on_uvloop, until, write_settings
from tests.live.test_metrics import Shown, at_one_moment, place

RESTING = {OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCEL_SENT, OrderState.REPLACING}
ORDER = st.tuples(
    st.sampled_from(list(OrderState)), st.sampled_from([1, -1]), st.integers(1, 10**6), st.integers(1, 10**9)
)


@given(st.lists(ORDER, max_size=20), st.randoms())
def test_orders_are_counted_by_side_with_the_best_and_the_oldest_unknown(
    orders: list[tuple[OrderState, int, int, int]], random
) -> None:  # type: ignore[no-untyped-def]
    records = np.zeros(ORDERS_PER_MARKET, ORDER_DTYPE)
    places = random.sample(range(ORDERS_PER_MARKET), len(orders))
    for slot, (state, side, price, unknown_ns) in zip(places, orders, strict=True):
        record = records[slot]
        record["state"], record["side"], record["price_ticks"], record["unknown_ns"] = state, side, price, unknown_ns
    scan = scan_orders(records, np.array(places, np.int16))
    bids = [price for state, side, price, _ in orders if state in RESTING and side > 0]
    asks = [price for state, side, price, _ in orders if state in RESTING and side < 0]
    unknown = [since_ns for state, _, _, since_ns in orders if state is OrderState.UNKNOWN]
    assert scan == OrderScan(
        len(bids), len(asks), max(bids, default=0), min(asks, default=0), len(unknown), min(unknown, default=0)
    )


def test_a_market_without_limit_mark_or_price_says_so(exchange: Exchange, market: Trader, tmp_path: Path) -> None:
    owner = Owner(exchange.url, 25)
    path = write_settings(tmp_path, exchange, owner)

    async def work() -> None:
        async with engine(path) as (there, _):
            await until(lambda: owner.sides("BTC") == {"A", "B"})
            there.halt("so that what is written below is not traded on")
            await until(lambda: not owner.own_orders())
            brain = there.parts.brain
            book, position, limits = brain.data.books[BTC], brain.lane.positions[BTC], brain.limits[0]
            mark_ticks = int(book["mark_ticks"])
            assert mark_ticks > 0

            def shown() -> Shown:
                at_one_moment(there)
                return Shown(place(tmp_path))

            position["position_lots"] = -155
            assert shown()["position_size", "BTC"] == -0.00155, "to the last digit"
            position["position_lots"] = -1_000  # 0.01
            limits["position_notional_micro_max"] = mark_ticks * 1_000
            assert shown()["inventory_skew_percent", "BTC"] == pytest.approx(-100)
            limits["position_notional_micro_max"] = mark_ticks * 4_000
            assert shown()["inventory_skew_percent", "BTC"] == pytest.approx(-25)
            assert shown()["position_usdc", "BTC"] == pytest.approx(-mark_ticks * 1_000 / 1e6)
            limits["position_notional_micro_max"], limits["position_lots_max"] = 0, 2_000
            assert (shown()["inventory_skew_percent", "BTC"], shown()["position_limit_usdc", "BTC"]) == (-50, 0)
            limits["position_lots_max"] = 0
            assert math.isnan(shown()["inventory_skew_percent", "BTC"])
            book["mark_ticks"] = 0
            without = shown()
            assert math.isnan(without["position_usdc", "BTC"]) and math.isnan(without["mark_price", "BTC"])
            position["position_lots"], book["mark_ticks"] = 0, mark_ticks
            flat = shown()
            assert (flat["position_usdc", "BTC"], flat["inventory_skew_percent", "BTC"]) == (0, 0)
            assert (flat["quotes", "BTC", "buy"], flat["quoting", "BTC"]) == (0, 0)
            assert math.isnan(flat["quote_distance_ratio", "BTC", "buy"])

    run_on_uvloop(work)
