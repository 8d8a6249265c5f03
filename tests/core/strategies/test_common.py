"""The helpers all strategies build on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.state import QUOTE_DTYPE
from hlhft.core.strategies import common
from hlhft.units import GridRule, Market
from tests.core.strategies.conftest import build_view

SOL = Market.perpetual("SOL", asset_id=5, size_decimals=2)


def put(view, side, price, *, lots=3, edge=0.0, capacity=2):
    quotes = np.zeros(capacity, QUOTE_DTYPE)
    count = common.put_quote(quotes, 0, view[0], side, price, lots, edge)
    return [(int(row["side"]), int(row["price_ticks"]), int(row["size_lots"])) for row in quotes[:count]]


def test_a_price_is_rounded_away_from_the_touch(view):
    fixed = view(bid=618_000, ask=618_010)
    assert put(fixed, 1, 617_990.7) == [(1, 617_990, 3)]
    assert put(fixed, -1, 618_020.2) == [(-1, 618_021, 3)]
    # 200.12 has five significant figures in ticks of 1e-4: the grid step there is 100 ticks.
    significant = view(SOL, bid=2_001_200, ask=2_001_300)
    assert put(significant, 1, 2_001_199.0) == [(1, 2_001_100, 3)]
    assert put(significant, -1, 2_001_301.0) == [(-1, 2_001_400, 3)]


def test_a_price_stops_one_step_and_the_edge_before_the_other_side(view):
    book = view(bid=618_000, ask=618_010)
    assert put(book, 1, 700_000.0) == [(1, 618_009, 3)]
    assert put(book, -1, 500_000.0) == [(-1, 618_001, 3)]
    assert put(book, 1, 700_000.0, edge=5.0) == [(1, 618_004, 3)]
    assert put(book, -1, 500_000.0, edge=5.0) == [(-1, 618_006, 3)]


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf, 2.1e9, 0.5, -1.0])
def test_an_unusable_price_writes_nothing(view, price):
    assert put(view(), 1, price) == []
    assert put(view(), -1, price) == []


def test_no_size_and_no_room_write_nothing(view):
    assert put(view(), 1, 100.0, lots=0) == []
    assert put(view(), 1, 100.0, lots=-1) == []
    assert put(view(), 1, 100.0, capacity=0) == []


def test_a_buy_below_the_lowest_valid_price_writes_nothing(view):
    coarse = Market(
        name="X", asset_id=1, price_decimals=1, size_decimals=1, grid_rule=GridRule.FIXED, grid_step_ticks=5
    )
    assert put(view(coarse, bid=5, ask=10), 1, 4.0) == []
    assert put(view(coarse, bid=5, ask=10), 1, 5.0) == [(1, 5, 3)]
    # Below an ask of one tick no bid is possible.
    assert put(view(bid=1, ask=1), 1, 1.0) == []


def test_two_levels_that_round_to_one_price_are_one_quote(view):
    book = view()
    quotes = np.zeros(4, QUOTE_DTYPE)
    assert common.put_quote(quotes, 0, book[0], 1, 1000.2, 3, 0.0) == 1
    assert common.put_quote(quotes, 1, book[0], 1, 1000.1, 3, 0.0) == 1
    assert common.put_quote(quotes, 1, book[0], 1, 999.9, 3, 0.0) == 2
    # The same price on the other side, or in another market, is another quote.
    crossing = view(bid=900, ask=1100)
    assert common.put_quote(quotes, 0, crossing[0], 1, 1000.0, 3, 0.0) == 1
    assert common.put_quote(quotes, 1, crossing[0], -1, 1000.0, 3, 0.0) == 2
    other = view(bid=900, ask=1100, market=1)
    assert common.put_quote(quotes, 2, other[0], -1, 1000.0, 3, 0.0) == 3
    assert quotes[2]["market"] == 1


def ladder(view, *, lots=10, cap_lots=100, levels=3, gap=20.0):
    quotes = np.zeros(64, QUOTE_DTYPE)
    count = common.put_ladder(quotes, view[0], 618_000.5, 10.0, lots, cap_lots, levels, gap)
    rows = [(int(row["side"]), int(row["price_ticks"]), int(row["size_lots"])) for row in quotes[:count]]
    return [row[1:] for row in rows if row[0] > 0], [row[1:] for row in rows if row[0] < 0]


def test_a_ladder_is_symmetric_and_evenly_spaced(view):
    bids, asks = ladder(view())
    assert bids == [(617_990, 10), (617_970, 10), (617_950, 10)]
    assert asks == [(618_011, 10), (618_031, 10), (618_051, 10)]


def test_a_whole_ladder_filled_ends_at_the_cap(view):
    bids, asks = ladder(view(position_lots=76))
    assert [lots for _, lots in bids] == [10, 10, 4]
    assert [lots for _, lots in asks] == [10, 10, 10]
    bids, asks = ladder(view(position_lots=-100))
    assert asks == []
    assert [lots for _, lots in bids] == [10, 10, 10]


@pytest.mark.parametrize(("position", "bid_lots", "ask_lots"), [(15, [], [10, 5]), (-25, [10, 10, 5], []), (0, [], [])])
def test_a_whole_ladder_filled_while_reducing_ends_flat(view, position, bid_lots, ask_lots):
    bids, asks = ladder(view(position_lots=position, mode=1))
    assert [lots for _, lots in bids] == bid_lots
    assert [lots for _, lots in asks] == ask_lots


@pytest.mark.parametrize(
    ("working", "bid_lots"),
    [(0, [10, 10, 10]), (30, [10, 10, 10]), (36, [10, 10, 4]), (51, [9]), (60, []), (1000, [])],
)
def test_what_works_beyond_a_whole_ladder_counts_as_held(view, working, bid_lots):
    # Room for 30 more lots, and a whole ladder of 30 is the strategy's own to replace; the other side has its own.
    bids, asks = ladder(view(position_lots=70, open_buy_lots=working))
    assert [lots for _, lots in bids] == bid_lots and len(asks) == 3
    bids, asks = ladder(view(position_lots=-70, open_sell_lots=working))
    assert [lots for _, lots in asks] == bid_lots and len(bids) == 3


@settings(deadline=None, max_examples=60)
@given(
    position=st.integers(-200, 200),
    working=st.integers(0, 200),
    lots=st.integers(1, 20),
    levels=st.integers(1, 4),
    mode=st.sampled_from([0, 1]),
)
def test_a_ladder_and_what_works_beyond_one_stay_within_the_cap(view, position, working, lots, levels, mode):
    answered = ladder(
        view(position_lots=position, open_buy_lots=working, open_sell_lots=working, mode=mode), lots=lots, levels=levels
    )
    beyond = max(working - levels * lots, 0)
    for side, quoted in zip((1, -1), answered, strict=True):
        total = sum(size for _, size in quoted)
        assert total == 0 or side * position + beyond + total <= (100 if mode == 0 else 0)


def test_a_clamped_ladder_keeps_its_gaps(view):
    quotes = np.zeros(64, QUOTE_DTYPE)
    count = common.put_ladder(quotes, view()[0], 700_000.0, 10.0, 1, 100, 3, 20.0)
    assert [int(price) for price in quotes["price_ticks"][:count][:3]] == [618_000, 617_980, 617_960]


def test_order_lots(view):
    # One lot is 0.001 BTC at 61,800.05: 61.80 USDC.
    assert common.order_lots(view()[0], 500.0, 618_000.5) == 8
    assert common.order_lots(view()[0], 1.0, 618_000.5) == 1
    assert common.order_lots(view()[0], 0.0, 618_000.5) == 0
    assert common.order_lots(view()[0], 500.0, 0.0) == 0
    assert common.order_lots(view()[0], 500.0, 1e-30) == 10**12


def test_a_fee_is_a_floor_and_a_rebate_narrows_down_to_nothing(view):
    paying, paid = view(maker_rate_e9=150_000)[0], view(maker_rate_e9=-30_000)[0]
    assert common.after_fees(paying, 1.0, 1.0) == pytest.approx(1.5)
    assert common.after_fees(paying, 1.0, 2.0) == pytest.approx(3.0)
    assert common.after_fees(paying, 4.0, 1.0) == 4.0
    assert common.after_fees(paid, 1.0, 1.0) == pytest.approx(0.7)
    assert common.after_fees(paid, 0.1, 1.0) == 0.0
    assert common.after_fees(view()[0], 1.0, 1.0) == 1.0


def test_funding_moves_quotes_to_the_side_that_receives_it(view):
    at = 20_000_000
    for rate in (0, at, -at):
        assert common.funding_bp(view(funding_rate_e12=rate)[0], 8.0, 5.0) == 0.0
    # Longs pay a positive rate: quotes move down. 0.001 % above the threshold for 8 hours is 0.8 basis points.
    assert common.funding_bp(view(funding_rate_e12=at + 10_000_000)[0], 8.0, 5.0) == pytest.approx(-0.8)
    assert common.funding_bp(view(funding_rate_e12=-at - 10_000_000)[0], 8.0, 5.0) == pytest.approx(0.8)
    # The venue's largest rate is 4 % an hour.
    assert common.funding_bp(view(funding_rate_e12=40_000_000_000)[0], 8.0, 5.0) == -5.0
    assert common.funding_bp(view(funding_rate_e12=-40_000_000_000)[0], 8.0, 5.0) == 5.0


def test_a_signal_counts_while_it_is_valid_and_within_its_bound(view):
    assert common.signal_bp(view(signal_e9=100_000)[0], 1.0, 5.0) == 0.0
    assert common.signal_bp(view(signal_e9=100_000, signal_valid=1)[0], 1.0, 5.0) == pytest.approx(1.0)
    assert common.signal_bp(view(signal_e9=-100_000, signal_valid=1)[0], 0.5, 5.0) == pytest.approx(-0.5)
    assert common.signal_bp(view(signal_e9=10**9, signal_valid=1)[0], 1.0, 5.0) == 5.0
    assert common.signal_bp(view(signal_e9=-(10**9), signal_valid=1)[0], 1.0, 5.0) == -5.0


def test_calibrated_values_are_bounded_and_unknown_ones_are_the_fallback(view):
    features = {"volatility": [10.0, 20.0, 30.0], "intensity_a": 2.0, "intensity_k": 0.5}
    unknown, known = view(features=features)[0], view(features={**features, "ready": 16 | 64})[0]
    mid = 100_000.0  # a basis point is ten ticks
    assert common.volatility_bp(unknown, mid, 1, 0.3, 0.0, 9.0) == 0.3
    assert [common.volatility_bp(known, mid, scale, 0.3, 0.0, 9.0) for scale in range(3)] == pytest.approx([1, 2, 3])
    assert common.volatility_bp(known, mid, 2, 0.3, 0.0, 2.5) == 2.5
    assert common.volatility_bp(known, mid, 0, 0.3, 1.5, 2.5) == 1.5
    assert common.intensity_a(unknown, 7.0, 0.1, 9.0) == 7.0
    assert common.intensity_a(known, 7.0, 0.1, 9.0) == 2.0
    assert common.intensity_a(known, 7.0, 0.1, 1.0) == 1.0
    assert common.intensity_k_per_bp(unknown, mid, 7.0, 0.1, 9.0) == 7.0
    assert common.intensity_k_per_bp(known, mid, 7.0, 0.1, 9.0) == pytest.approx(5.0)
    assert common.intensity_k_per_bp(known, mid, 7.0, 6.0, 9.0) == 6.0


@pytest.mark.parametrize(("bid", "ask", "usable"), [(1, 2, True), (0, 2, False), (1, 0, False), (2, 2, False)])
def test_a_touch_needs_both_sides_uncrossed(view, bid, ask, usable):
    assert bool(common.has_touch(view(bid=bid, ask=ask)[0])) is usable


def test_the_mid_is_halfway(view):
    assert common.mid_ticks(view(bid=3, ask=4)[0]) == 3.5


@settings(deadline=None, max_examples=200)
@given(
    decimals=st.integers(0, 5),
    bid=st.integers(1, 10**9),
    spread=st.integers(1, 10**5),
    side=st.sampled_from([1, -1]),
    price=st.floats(-1e10, 1e10),
    edge=st.floats(0.0, 1e6),
)
def test_any_quote_written_is_valid_and_does_not_cross(view, decimals, bid, spread, side, price, edge):
    market = Market.perpetual("X", asset_id=1, size_decimals=decimals)
    bid = max(bid - bid % market.grid_step(bid), 1)
    ask = bid + spread
    ask += -ask % market.grid_step(ask)
    for _, ticks, lots in put(view(market, bid=bid, ask=ask), side, price, edge=edge):
        assert market.is_valid_price(ticks)
        assert (ticks < ask and ticks <= price) if side > 0 else (ticks > bid and ticks >= price)
        assert lots == 3


# Immediate orders.


def take(view, side, *, lots=3, slippage=0.001, capacity=2):
    quotes = np.zeros(capacity, QUOTE_DTYPE)
    count = common.put_taking(quotes, 0, view[0], side, lots, slippage, 1)
    return [tuple(int(row[name]) for name in quotes.dtype.names) for row in quotes[:count]]


def test_an_immediate_order_takes_up_to_its_slippage_on_the_grid():
    """0.1 % beyond 2,001,300 and 2,001,200 ticks, where the grid step is 100 ticks."""
    book = build_view(SOL, bid=2_001_200, ask=2_001_300)
    assert take(book, 1) == [(2_003_300, 3, 0, 1, 2, 1)]
    assert take(book, -1) == [(1_999_200, 3, 0, -1, 2, 1)]


def test_an_immediate_order_is_never_short_of_the_touch():
    book = build_view(SOL, bid=2_001_200, ask=2_001_300)
    assert take(book, 1, slippage=0.0)[0][0] == 2_001_300
    assert take(book, -1, slippage=0.0)[0][0] == 2_001_200


def test_an_immediate_order_without_size_room_or_a_price_in_range_writes_nothing():
    assert take(build_view(), 1, lots=0) == []
    assert take(build_view(), 1, capacity=0) == []
    assert take(build_view(bid=1_999_999_998, ask=1_999_999_999), 1) == []
