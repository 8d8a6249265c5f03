"""The gate, border by border: what `approve` lets through, shrinks or refuses, by hand and whatever is quoted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core import risk
from hlhft.core.risk import Breaker, RiskRefusal
from hlhft.core.state import Mode
from hlhft.events import EventKind as Kind
from hlhft.units import Market, MarketKind
from tests.core.worlds import ALO, BUY, GTC, IOC, SELL, USDC, Quote, World, approve

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)


def refused(code: RiskRefusal) -> tuple[int, int]:
    return 0, int(code)


# A lot at 1000 ticks is worth 1000 micro-USDC; the touch is 999 to 1001, the mid 1000.


def test_without_limits_a_quote_passes_as_it_is():
    assert approve(World()) == (1000, 0)


def test_a_halted_lane_places_nothing_unless_it_closes():
    world = World()
    world.hold(5)
    risk.trip(world.row, Breaker.OPERATOR, True)
    assert approve(world, SELL, reduce_only=1) == refused(RiskRefusal.HALTED)
    world.row["close_at_market"] = 1
    assert approve(world, SELL, 999, 9, time_in_force=IOC, reduce_only=1) == (5, 0)
    assert approve(world, BUY) == refused(RiskRefusal.REDUCING)


@pytest.mark.parametrize(
    ("position", "side", "lots", "reduce_only", "expected"),
    [
        (0, BUY, 5, 1, refused(RiskRefusal.REDUCING)),
        (7, BUY, 5, 1, refused(RiskRefusal.REDUCING)),
        (7, SELL, 5, 1, (5, 0)),
        (7, SELL, 9, 1, (7, 0)),
        (-7, BUY, 9, 1, (7, 0)),
        (-7, SELL, 9, 1, refused(RiskRefusal.REDUCING)),
    ],
)
def test_reduce_only_never_increases(position, side, lots, reduce_only, expected):
    for mode in (Mode.ACTIVE, Mode.REDUCING):
        world = World()
        world.position()["position_lots"] = position
        world.row["mode"] = mode
        assert approve(world, side, lots=lots, reduce_only=reduce_only) == expected
        if mode == Mode.REDUCING:
            assert approve(world, side, lots=lots) == expected


def test_what_orders_on_their_way_already_close_is_not_closed_twice():
    world = World()
    world.row["mode"] = Mode.REDUCING
    world.position()["position_lots"], world.position()["open_sell_lots"] = 10, 7
    assert approve(world, SELL, lots=10) == (3, 0)
    assert approve(world, SELL, lots=10, reduce_only=1) == (3, 0)
    world.position()["open_sell_lots"] = 10
    assert approve(world, SELL, lots=10) == refused(RiskRefusal.REDUCING)
    # Closing at market does not wait for the fates of others: the venue lets no reduce-only order turn a position.
    world.row["close_at_market"] = 1
    assert approve(world, SELL, 999, 10, time_in_force=IOC, reduce_only=1) == (10, 0)


@pytest.mark.parametrize(("ticks", "valid"), [(1_110_000, True), (1_110_010, True), (1_110_005, False), (0, False)])
def test_a_price_lies_on_the_grid(ticks, valid):
    """BTC at 111,000.0: five significant figures are steps of 1.0, that is 10 ticks."""
    world = World(of=BTC)
    world.touch(1_110_000, 1_110_010)
    assert approve(world, BUY, ticks) == ((1000, 0) if valid else refused(RiskRefusal.INVALID_PRICE))


def test_a_negative_price_is_none():
    assert approve(World(), BUY, -10) == refused(RiskRefusal.INVALID_PRICE)


@pytest.mark.parametrize(("ticks", "inside"), [(950, True), (949, False), (1050, True), (1051, False)])
def test_a_price_lies_within_the_band(ticks, inside):
    """5 % of the mid of 1000."""
    world = World(price_band_e6=50_000)
    assert approve(world, BUY, ticks) == ((1000, 0) if inside else refused(RiskRefusal.PRICE_BAND))


@pytest.mark.parametrize("lots", [0, -5])
def test_no_size_is_no_order(lots):
    assert approve(World(), lots=lots) == refused(RiskRefusal.ZERO_SIZE)


@pytest.mark.parametrize(("side", "left"), [(BUY, 35), (SELL, 155)])
def test_the_worst_case_stays_within_the_cap_in_lots(side, left):
    """Cap 100, position 60, 5 bids and 5 offers out: 100 - 65 to buy, 100 + 60 - 5 to sell."""
    world = World(position_lots_max=100)
    world.position()["position_lots"] = 60
    world.position()["open_buy_lots"] = world.position()["open_sell_lots"] = 5
    assert approve(world, side, lots=30) == (30, 0)
    assert approve(world, side, lots=1000) == (left, 0)
    world.position()["open_buy_lots" if side == BUY else "open_sell_lots"] += left
    assert approve(world, side, lots=1000) == refused(RiskRefusal.POSITION_LIMIT)


@pytest.mark.parametrize(("held_only", "left"), [(1, 7), (0, 30)])
def test_live_spot_is_sold_only_as_far_as_it_is_held(held_only, left):
    """10 held, 3 of them offered already; there is nothing to borrow."""
    world = World(spot_held_only=held_only)
    world.data.markets["kind"] = int(MarketKind.SPOT)
    world.position()["position_lots"], world.position()["open_sell_lots"] = 10, 3
    assert approve(world, SELL, lots=30) == (left, 0)
    assert approve(world, BUY, lots=30) == (30, 0)
    world.position()["open_sell_lots"] = 10
    assert approve(world, SELL, lots=30) == (refused(RiskRefusal.POSITION_LIMIT) if held_only else (30, 0))
    world.data.markets["kind"] = int(MarketKind.PERPETUAL)
    assert approve(world, SELL, lots=30) == (30, 0)


def test_the_worst_case_stays_within_the_cap_in_money():
    """2 USDC at 1001 ticks are 1998 lots."""
    world = World(position_notional_micro_max=2 * USDC)
    assert approve(world, SELL, 1001, 5000) == (1998, 0)
    world.position()["position_lots"] = -1998
    assert approve(world, SELL, 1001, 5000) == refused(RiskRefusal.POSITION_LIMIT)
    assert approve(world, BUY, 999, 5000) == (4000, 0)


@pytest.mark.parametrize(("mark", "left"), [(1000, 1998), (1101, 1998), (1102, 1996), (2200, 1000), (0, 1998)])
@pytest.mark.parametrize("side", [BUY, SELL])
def test_what_fills_far_from_the_mark_does_not_trip_the_breaker(side, mark, left):
    """2 USDC at 1001 ticks are 1998 lots; at a mark of 1102 they are worth 2.2018, and 2.2 are allowed. Without a mark
    the mid of 1000 counts."""
    world = World(position_notional_micro_max=2 * USDC)
    world.data.books["mark_ticks"] = mark
    assert approve(world, side, 1001, 5000) == (left, 0)
    world.hold(left * side)
    world.decide()
    assert world.row["halt_code"] == 0


def test_one_order_stays_within_its_cap_in_money():
    """0.5 USDC at 1000 ticks are 500 lots; a cap below one lot leaves nothing."""
    assert approve(World(order_notional_micro_max=USDC // 2)) == (500, 0)
    assert approve(World(order_notional_micro_max=999)) == refused(RiskRefusal.POSITION_LIMIT)


def test_a_size_beyond_arithmetic_is_cut_even_without_limits():
    lots, code = approve(World(), BUY, 2**31 - 1, 2**46 - 1)
    assert code == 0
    assert lots == 2**61 // (2**31 - 1)


def test_the_exposure_of_all_markets_stays_within_its_cap():
    """Cap 9.99999 USDC. Market 1 holds 4000 lots (at its offer of 1001: 4.004); 5990 more are 5.99599."""
    world = World(markets=2, exposure_micro_max=9_999_990)
    world.position(1)["position_lots"] = 4000
    world.row["exposure_micro"] = risk.exposure_micro(world.lane.positions, world.data.books, world.data.markets)
    assert world.row["exposure_micro"] == 4_004_000
    assert approve(world, BUY, 999, 5990) == (5990, 0)
    assert approve(world, BUY, 999, 5991) == refused(RiskRefusal.EXPOSURE_LIMIT)
    # Selling in market 1 adds nothing until it turns the position over: the worst case is the larger side.
    assert approve(world, SELL, 1001, 13_990, market=1) == (13_990, 0)
    assert approve(world, SELL, 1001, 13_991, market=1) == refused(RiskRefusal.EXPOSURE_LIMIT)


def test_the_larger_of_all_bought_and_all_sold_is_the_worst_case():
    world = World()
    position = world.position()
    position["position_lots"], position["open_buy_lots"], position["open_sell_lots"] = -100, 30, 50
    arguments = (position, world.data.books[0], world.data.markets[0])
    assert risk.market_exposure_micro(*arguments, BUY, 0) == 150 * 1001
    assert risk.market_exposure_micro(*arguments, SELL, 7) == 157 * 1001
    assert risk.market_exposure_micro(*arguments, BUY, 250) == 180 * 1001
    world.data.books[0]["mark_ticks"] = 2000
    assert risk.market_exposure_micro(*arguments, BUY, 0) == 150 * 2000


def test_a_venue_wants_a_least_value_but_for_what_closes():
    """10 USDC at 1000 ticks are 10,000 lots; closing orders are exempt (venue reference section 2)."""
    world = World()
    world.data.markets[0]["minimum_notional_micro"] = 10 * USDC
    assert approve(world, lots=9999) == refused(RiskRefusal.MINIMUM_NOTIONAL)
    assert approve(world, lots=10_000) == (10_000, 0)
    world.position()["position_lots"] = 50
    assert approve(world, SELL, lots=50) == (50, 0)
    assert approve(world, SELL, lots=20) == (20, 0)
    assert approve(world, SELL, lots=51) == refused(RiskRefusal.MINIMUM_NOTIONAL)


def test_open_orders_are_bounded():
    world = World(open_orders_max=3)
    world.row["orders_open"] = 2
    assert approve(world) == (1000, 0)
    world.row["orders_open"] = 3
    assert approve(world) == refused(RiskRefusal.OPEN_ORDERS)


@pytest.mark.parametrize(("time_in_force", "allowed"), [(ALO, True), (GTC, False), (IOC, False)])
def test_after_an_upgrade_only_post_only_orders_pass(time_in_force, allowed):
    world = World()
    world.feed_silently(Kind.VENUE_MODE, aux0=1)
    assert approve(world, time_in_force=time_in_force) == ((1000, 0) if allowed else refused(RiskRefusal.POST_ONLY))
    world.feed_silently(Kind.VENUE_MODE, aux0=0)
    assert approve(world, time_in_force=time_in_force) == (1000, 0)


QUOTES = st.lists(
    st.builds(
        Quote,
        side=st.sampled_from([BUY, SELL]),
        ticks=st.integers(900, 1100),
        lots=st.integers(0, 400),
        market=st.integers(0, 1),
        time_in_force=st.sampled_from([ALO, GTC, IOC]),
        reduce_only=st.integers(0, 1),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(QUOTES, st.integers(0, 3)), min_size=1, max_size=4),
    st.sampled_from([Mode.ACTIVE, Mode.REDUCING]),
    st.tuples(st.integers(-90, 90), st.integers(-90, 90)),
)
def test_whatever_is_quoted_no_order_passes_a_limit(rounds, mode, held):
    """Caps of 100 lots, 0.095 USDC a market and 0.17 USDC in all, a band of 5 %, a grid of 5 ticks."""
    world = World(
        markets=2, position_lots_max=100, position_notional_micro_max=95_000, exposure_micro_max=170_000,
        price_band_e6=50_000,
    )  # fmt: skip
    world.data.markets["grid_step_ticks"] = 5
    for market in range(2):
        world.touch(995, 1005, market=market)
        world.position(market)["position_lots"] = held[market]
    world.row["mode"] = mode
    for quotes, fills in rounds:
        before = world.active(0), world.active(1)
        exposed = risk.exposure_micro(world.lane.positions, world.data.books, world.data.markets)
        world.quotes(*quotes)
        world.decide()
        assert world.row["halt_code"] == 0
        after = risk.exposure_micro(world.lane.positions, world.data.books, world.data.markets)
        assert after <= max(170_000, exposed)
        for market in range(2):
            known = set(before[market]["order_id"].tolist())
            position = int(world.position(market)["position_lots"])
            for order in world.active(market):
                side, ticks = int(order["side"]), int(order["price_ticks"])
                if order["order_id"] in known:
                    continue
                assert ticks % 5 == 0
                assert 950 <= ticks <= 1050
                worst = side * position + int(world.position(market)["open_buy_lots" if side > 0 else "open_sell_lots"])
                if order["reduce_only"]:
                    # A later quote of the same decision may turn the position round: that one is not reduce-only.
                    assert order["remaining_lots"] <= -side * position
                if mode == Mode.REDUCING:
                    assert side * position < 0
                    assert worst <= 0
                assert worst <= max(100, abs(position))
        world.acknowledge(0)
        world.acknowledge(1)
        for order in world.active(0)[:fills]:
            world.fill(order, max(int(order["remaining_lots"]) // 2, 1))
