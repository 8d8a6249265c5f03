"""The gate and the breakers: each with its hand-computed border, and a test that misses it when it is not wired."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core import risk
from hlhft.core.risk import (
    BREAKERS,
    REFUSAL_MEANING,
    Breaker,
    RiskRefusal,
    breakers_table,
    refusals_table,
)
from hlhft.core.state import REFUSALS, Mode, OrderState
from hlhft.events import EventKind as Kind
from hlhft.strategies import failures
from hlhft.units import Market
from hlhft.venue.refusals import Refusal
from tests.core.worlds import ALO, BUY, GTC, IOC, MS, SECOND, SELL, USDC, Command, Quote, World

MINUTE = 60 * SECOND
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)


def approve(
    world: World,
    side: int = BUY,
    ticks: int = 1000,
    lots: int = 1000,
    *,
    time_in_force: int = ALO,
    reduce_only: int = 0,
    market: int = 0,
) -> tuple[int, int]:
    lots, code = risk.approve(
        world.row, world.position(market), world.data.books[market], world.data.markets[market], world.limits[0], side,
        ticks, lots, time_in_force, reduce_only,
    )  # fmt: skip
    return int(lots), int(code)


def refused(code: RiskRefusal) -> tuple[int, int]:
    return 0, int(code)


def hold(world: World, lots: int, *, ticks: int = 1000, market: int = 0) -> None:
    """A position, bought or sold at `ticks` by one fill that no order of ours made."""
    world.feed_silently(
        Kind.ORDER_FILLED, side=BUY if lots > 0 else SELL, price_ticks=ticks, size_lots=abs(lots), market=market
    )


# The gate. A lot at 1000 ticks is worth 1000 micro-USDC; the touch is 999 to 1001, the mid 1000.


def test_without_limits_a_quote_passes_as_it_is():
    assert approve(World()) == (1000, 0)


def test_a_halted_lane_places_nothing_unless_it_closes():
    world = World()
    hold(world, 5)
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


def test_the_worst_case_stays_within_the_cap_in_money():
    """2 USDC at 1001 ticks are 1998 lots."""
    world = World(position_notional_micro_max=2 * USDC)
    assert approve(world, SELL, 1001, 5000) == (1998, 0)
    world.position()["position_lots"] = -1998
    assert approve(world, SELL, 1001, 5000) == refused(RiskRefusal.POSITION_LIMIT)
    assert approve(world, BUY, 999, 5000) == (4000, 0)


def test_one_order_stays_within_its_cap_in_money():
    """0.5 USDC at 1000 ticks are 500 lots; a cap below one lot leaves nothing."""
    assert approve(World(order_notional_micro_max=USDC // 2)) == (500, 0)
    assert approve(World(order_notional_micro_max=999)) == refused(RiskRefusal.POSITION_LIMIT)


def test_a_size_beyond_arithmetic_is_cut_even_without_limits():
    lots, code = approve(World(), BUY, 2**31 - 1, 2**46 - 1)
    assert code == 0
    assert lots == 2**61 // (2**31 - 1)


def test_the_exposure_of_all_markets_stays_within_its_cap():
    """Cap 10 USDC. Market 1 holds 4 USDC (at its offer of 1001: 4.004); 5.996 are left for market 0."""
    world = World(markets=2, exposure_micro_max=10 * USDC)
    world.position(1)["position_lots"] = 4000
    world.row["exposure_micro"] = risk.exposure_micro(world.lane.positions, world.data.books, world.data.markets)
    assert world.row["exposure_micro"] == 4_004_000
    assert approve(world, BUY, 999, 5990) == (5990, 0)
    assert approve(world, BUY, 999, 5991) == refused(RiskRefusal.EXPOSURE_LIMIT)
    # Selling in market 1 adds nothing until it turns the position over: the worst case is the larger side.
    assert approve(world, SELL, 1001, 8000, market=1) == (8000, 0)
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
                if order["reduce_only"] or mode == Mode.REDUCING:
                    assert side * position < 0
                    assert worst <= 0
                assert worst <= max(100, abs(position))
        world.acknowledge(0)
        world.acknowledge(1)
        for order in world.active(0)[:fills]:
            world.fill(order, max(int(order["remaining_lots"]) // 2, 1))


# Breakers, through decisions. A bid rests; what trips must cancel it.


def resting(**limits: int) -> World:
    world = World(**limits)
    world.quotes(Quote(BUY, 999))
    world.decide()
    world.acknowledge()
    return world


def started(*, markets: int = 1, **limits: int) -> World:
    """A world that has seen its equity once, and quotes nothing."""
    world = World(markets=markets, **limits)
    assert world.decide() == []
    return world


CANCELLED = [Command("CANCEL", BUY, 999, 1000)]


def check_pause(world: World, breaker: Breaker) -> None:
    """What does not latch cancels, quotes nothing for a second, and goes on by itself."""
    assert world.row["halt_code"] == breaker
    assert (world.row["mode"], world.row["latches"]) == (Mode.ACTIVE, 0)
    world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
    assert world.decide(after_ns=900 * MS) == []
    assert world.row["halt_code"] == breaker
    assert world.decide(after_ns=101 * MS) == [Command("PLACE", BUY, 999, 1000)]
    assert world.row["halt_code"] == 0


def check_latch(world: World, breaker: Breaker) -> None:
    """What latches stays until an operator resumes."""
    assert (world.row["halt_code"], world.row["mode"]) == (breaker, Mode.HALTED)
    assert world.row["latches"] == 1 << breaker
    for order in world.active():
        world.say(Kind.ORDER_CANCELLED, order_id=order["order_id"])
    assert world.decide(after_ns=MINUTE) == []
    assert world.row["halt_code"] == breaker


@pytest.mark.parametrize(("elapsed", "trips"), [(150 * MS, False), (150 * MS + 1, True)])
def test_tick_to_trade(elapsed, trips):
    """From receipt of the frame to the last byte written; the stop does not wait for the next frame."""
    world = resting()
    commands = world.say(Kind.COMMAND_SENT, aux0=world.now - elapsed, aux1=world.now)
    assert world.row["tick_to_trade_ns"] == elapsed
    assert commands == (CANCELLED if trips else [])
    if trips:
        check_pause(world, Breaker.TICK_TO_TRADE)
    else:
        assert world.decide() == []
        assert world.row["halt_code"] == 0


@pytest.mark.parametrize(("lost", "trips"), [(30, False), (31, True)])
def test_drawdown_cancels_all_and_closes_at_market(lost, trips):
    """1000 USDC, 3 %: 1000 lots of 1000 ticks lose a USDC for each 1000 ticks that they fall: here `lost` in all."""
    world = resting(drawdown_e6_max=30_000)
    world.quotes()
    hold(world, 1_000_000, ticks=1000)
    world.touch(999 - lost, 1001 - lost)
    commands = world.decide()
    assert world.row["equity_micro"] == (1000 - lost) * USDC
    # 5 % below the bid, on the grid and rounded toward the touch.
    price = -(-(999 - lost) * 95 // 100)
    assert commands == CANCELLED + ([Command("PLACE", SELL, price, 1_000_000)] if trips else [])
    if trips:
        close = world.raw[1]
        assert (close["time_in_force"], close["reduce_only"]) == (IOC, 1)
        assert (world.row["halt_code"], world.row["mode"]) == (Breaker.DRAWDOWN, Mode.HALTED)


def test_a_close_is_tried_until_the_position_is_flat():
    world = started(drawdown_e6_max=30_000)
    hold(world, -100_000_000)
    world.touch(1000, 1002)
    (first,) = world.decide()
    # 5 % above the offer, rounded toward it: 1052.1.
    assert first == Command("PLACE", BUY, 1052, 100_000_000)
    assert world.decide() == []  # one is on its way
    order = world.active()[0]
    assert world.fill(order, 60_000_000) == []
    commands = world.say(Kind.ORDER_EXPIRED, order_id=order["order_id"])
    assert commands == [Command("PLACE", BUY, 1052, 40_000_000)]
    # A close whose fate is unknown does not keep the next one back: neither can turn the position round.
    assert world.say(Kind.ORDER_UNKNOWN, order_id=world.active()[0]["order_id"]) == commands
    assert world.fill(world.active()[1], 40_000_000) == []
    assert world.position()["position_lots"] == 0
    assert world.decide() == []


def test_a_close_does_not_wait_for_other_orders():
    world = resting(drawdown_e6_max=30_000)
    world.quotes(Quote(SELL, 1001))
    world.decide()  # cancels the bid, places an offer that nobody answers
    hold(world, 1_000_000)
    world.touch(899, 901)
    assert world.decide()[-1] == Command("PLACE", SELL, 855, 1_000_000)


def test_a_close_stays_within_the_gates_band():
    """5 % below a bid lies beyond 5 % from the mid: the close takes the nearer of the two."""
    for side, price in ((SELL, 855), (BUY, 945)):
        world = started(drawdown_e6_max=30_000, price_band_e6=50_000)
        hold(world, -side * 1_000_000, ticks=1000 if side == SELL else 800)
        world.touch(890, 910)
        assert world.decide() == [Command("PLACE", side, price, 1_000_000)]
        assert world.row["refused"] == 0


def test_a_close_needs_both_sides_of_a_book():
    world = World()
    hold(world, 1000)
    world.touch(999, 0)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=2) == []
    world.touch(999, 1001)
    assert world.decide() == [Command("PLACE", SELL, 950, 1000)]


def test_both_legs_are_closed_as_one():
    world = started(markets=2, drawdown_e6_max=30_000)
    hold(world, 1_000_000, market=0)
    hold(world, -900_000, market=1)
    world.touch(959, 961, market=0)
    assert world.decide() == [
        Command("PLACE", SELL, 912, 1_000_000, 0),
        Command("PLACE", BUY, 1051, 900_000, 1),
    ]


def test_the_peak_is_that_of_the_last_hour():
    """Up to 1100, then 33 down each half hour: 3 % of 1100 are 33, and after an hour the peak is a lower one."""
    world = World(drawdown_e6_max=30_000)
    world.quotes()
    hold(world, 1_000_000)
    for after, mid in ((0, 1100), (30, 1070), (40, 1067)):
        world.touch(mid - 1, mid + 1)
        assert world.decide(after_ns=after * MINUTE) == []
        assert world.row["equity_micro"] == mid * USDC
    assert world.row["peak_max_micro"] == 1070 * USDC
    world.touch(1039, 1040)
    assert world.decide() == []
    world.touch(1036, 1038)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_within_the_hour_the_peak_stays():
    world = World(drawdown_e6_max=30_000)
    world.quotes()
    hold(world, 1_000_000)
    for after, mid in ((0, 1100), (0, 1070), (59, 1068)):
        world.touch(mid - 1, mid + 1)
        world.decide(after_ns=after * MINUTE)
        assert world.row["halt_code"] == 0
    world.touch(1065, 1067)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_silence_of_days_leaves_the_peak_at_what_was():
    world = World()
    hold(world, 1_000_000)
    world.decide()
    world.touch(1099, 1101)
    world.decide(after_ns=3 * 24 * 60 * MINUTE)
    assert world.row["peak_max_micro"] == 1100 * USDC
    assert world.row["peak_next_ns"] == world.now + MINUTE


def test_a_withdrawal_is_no_loss_and_a_deposit_hides_none():
    world = resting(drawdown_e6_max=30_000)
    hold(world, 1_000_000)
    world.feed_silently(Kind.LEDGER_TRANSFER, aux0=-900 * USDC)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=100 * USDC, aux1=10_000)
    assert world.decide() == []
    world.feed_silently(Kind.LEDGER_TRANSFER, aux0=5000 * USDC)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=5100 * USDC, aux1=10_000)
    assert world.row["transfers_micro"] == 4100 * USDC
    world.touch(968, 970)
    assert world.decide()[0] == CANCELLED[0]
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_fees_and_funding_are_part_of_the_equity():
    world = World()
    world.quotes(Quote(BUY, 999, 1000))
    world.decide()
    world.fill(world.active()[0], 1000, fee_micro=150)
    world.feed_silently(Kind.FUNDING_PAYMENT, aux0=-40)
    world.decide()
    # 1000 lots bought at 999, worth 1000 each: 1000 micro-USDC gained, less 150 and 40.
    assert world.row["equity_micro"] == 1000 * USDC + 1000 - 150 - 40


def test_a_side_that_runs_empty_halves_nothing():
    world = World(drawdown_e6_max=30_000)
    hold(world, 1_000_000)
    world.decide()
    world.data.books[0]["last_trade_ticks"] = 990
    world.touch(999, 0)
    world.decide()
    assert (world.row["equity_micro"], world.row["latches"]) == (990 * USDC, 0)


def test_without_any_price_the_equity_stays_what_it_was():
    world = World(drawdown_e6_max=30_000)
    hold(world, 1_000_000)
    world.touch(1009, 1011)
    world.decide()
    world.touch(0, 0)
    world.decide()
    assert (world.row["equity_micro"], world.row["latches"]) == (1010 * USDC, 0)


def test_the_mark_is_the_price_where_the_venue_names_one():
    world = World()
    hold(world, 1_000_000)
    world.data.books[0]["mark_ticks"] = 1005
    world.decide()
    assert world.row["equity_micro"] == 1005 * USDC


@pytest.mark.parametrize(("cash", "micro"), [(-1001, -10), (1001, 10), (-1099, -10), (100, 1), (-99, 0)])
def test_money_finer_than_micro_is_cut_toward_zero(cash, micro):
    """A spot market's ticks x lots are hundredths of a micro-USDC."""
    world = World(of=Market.spot("X", asset_id=10_000, size_decimals=2))
    world.position()["cash_quanta"] = cash
    value = risk.position_value_micro(world.position(), world.data.books[0], world.data.markets[0])
    assert value == micro


@pytest.mark.parametrize(("age", "stale"), [(SECOND, False), (SECOND + 1, True)])
def test_stale_data_pulls_the_markets_quotes(age, stale):
    world = World(markets=2, feed_age_ns_max=SECOND)
    world.quotes(Quote(BUY, 999), Quote(BUY, 999, market=1))
    world.decide()
    world.acknowledge(0)
    world.acknowledge(1)
    world.now += age
    world.touch(999, 1001, market=1)
    assert world.decide() == (CANCELLED if stale else [])
    assert world.row["halt_code"] == (Breaker.STALE_DATA if stale else 0)
    if stale:
        assert (world.row["latches"], world.row["mode"]) == (0, Mode.ACTIVE)
        world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
        refusals = int(world.row["refusals"][RiskRefusal.NO_BOOK])
        assert world.decide() == []
        assert world.row["refusals"][RiskRefusal.NO_BOOK] == refusals + 1
        world.touch(999, 1001)
        assert world.decide() == [Command("PLACE", BUY, 999, 1000)]
        assert world.row["halt_code"] == 0


@pytest.mark.parametrize(("bid", "ask"), [(0, 0), (0, 1001), (999, 0)])
def test_without_two_sides_there_are_no_quotes(bid, ask):
    world = resting()
    world.touch(bid, ask)
    assert world.decide() == CANCELLED


@pytest.mark.parametrize(("elapsed", "trips"), [(400 * MS, False), (400 * MS + 1, True)])
def test_a_late_answer(elapsed, trips):
    world = World(acknowledgement_ns_max=400 * MS)
    world.quotes(Quote(BUY, 999))
    world.decide()
    world.acknowledge(after_ns=elapsed)
    assert world.row["acknowledgement_ns"] == elapsed
    assert world.decide() == (CANCELLED if trips else [])
    if trips:
        check_pause(world, Breaker.ACKNOWLEDGEMENT)


def test_an_answer_that_never_comes_is_late_too():
    world = World(acknowledgement_ns_max=400 * MS)
    world.quotes(Quote(BUY, 999))
    world.decide()
    assert world.decide(after_ns=400 * MS) == []
    assert world.row["halt_code"] == 0
    world.decide(after_ns=1)
    assert world.row["halt_code"] == Breaker.ACKNOWLEDGEMENT
    world.acknowledge()
    assert world.decide() == CANCELLED


@pytest.mark.parametrize(("lots", "trips"), [(100, False), (101, True), (-101, True)])
def test_a_position_beyond_its_cap_in_lots(lots, trips):
    world = resting(position_lots_max=100)
    hold(world, lots)
    assert world.decide() == ([Command("CANCEL", BUY, 999, 100)] if trips else [])
    if trips:
        check_latch(world, Breaker.EXPOSURE)


@pytest.mark.parametrize(("lots", "trips"), [(1100, False), (1101, True)])
def test_a_position_beyond_its_cap_in_money_by_more_than_a_tenth(lots, trips):
    """Cap 1 USDC: up to 1.1 USDC may be the price's doing."""
    world = resting(position_notional_micro_max=USDC)
    hold(world, lots)
    assert world.decide() == (CANCELLED if trips else [])
    assert world.row["halt_code"] == (Breaker.EXPOSURE if trips else 0)


def test_a_position_that_was_there_before_any_fill_counts():
    world = resting(position_lots_max=100)
    world.position()["position_lots"], world.position()["cash_quanta"] = 101, -101_000
    assert world.decide() == [Command("CANCEL", BUY, 999, 100)]
    assert world.row["halt_code"] == Breaker.EXPOSURE


@pytest.mark.parametrize(("value", "trips"), [(120 * USDC, False), (120 * USDC - 1, True)])
def test_margin_distance_closes(value, trips):
    """A maintenance margin of 100 USDC, at least 20 % above it."""
    world = resting(margin_distance_e6_min=200_000)
    hold(world, 1000)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=value, order_id=100 * USDC, size_lots=100 * USDC, aux1=10_000)
    close = [Command("PLACE", SELL, 950, 1000)]
    assert world.decide() == (CANCELLED + close if trips else [])
    assert world.row["halt_code"] == (Breaker.MARGIN_DISTANCE if trips else 0)
    assert world.row["margin_used_micro"] == 100 * USDC


def test_margin_is_no_matter_without_a_position_to_maintain():
    world = resting(margin_distance_e6_min=200_000)
    world.feed_silently(Kind.ACCOUNT_STATE, price_ticks=0, order_id=0, aux1=10_000)
    assert world.decide() == []


def reject(world: World, code: Refusal, after_ns: int = 0) -> None:
    world.now += after_ns
    world.feed_silently(Kind.ORDER_REJECTED, order_id=1, aux0=int(code))


def test_a_rejection_storm():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(3):
        reject(world, Refusal.MARGIN)
    assert world.decide() == []
    reject(world, Refusal.TICK, after_ns=10 * SECOND)
    assert world.decide() == CANCELLED
    check_latch(world, Breaker.REJECTION_STORM)


def test_rejections_far_apart_are_no_storm():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(12):
        reject(world, Refusal.MARGIN, after_ns=4 * SECOND)
        assert world.decide() == []


def test_post_only_rejections_are_normal_business():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(50):
        reject(world, Refusal.BAD_ALO_PRICE)
    assert world.decide() == []
    assert world.row["rejections"] == 0


def test_without_a_bound_no_number_of_rejections_is_a_storm():
    world = resting()
    for _ in range(5):
        reject(world, Refusal.MARGIN)
    assert world.decide() == []


def test_a_used_up_budget_leaves_cancels_and_reductions():
    """4 actions allowed, 2 of them kept back: after 2 placements only what reduces passes."""
    world = World(address_enforced=1, address_reserve=2)
    world.row["address_initial"] = world.row["address_allowance"] = 4
    world.quotes(Quote(BUY, 999), Quote(BUY, 998))
    assert len(world.decide()) == 2
    world.acknowledge()
    assert world.row["mode"] == Mode.ACTIVE
    world.quotes(Quote(BUY, 999), Quote(BUY, 997))
    assert world.decide() == [Command("CANCEL", BUY, 998, 1000)]
    assert (world.row["halt_code"], world.row["mode"], world.script[0]["seen_mode"]) == (
        Breaker.BUDGET,
        Mode.REDUCING,
        1,
    )
    assert world.row["refusals"][RiskRefusal.REDUCING] == 1
    hold(world, 400)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001, 600))
    assert world.decide() == [Command("PLACE", SELL, 1001, 400)]
    assert world.row["address_actions"] == 4
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(SELL, 1002))
    hold(world, 400)
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.BUDGET] == 1
    # 6 USDC traded buy 6 actions; it stays REDUCING for a second, then goes on.
    hold(world, 5300)
    assert world.decide(after_ns=SECOND - 1) == [Command("PLACE", SELL, 1002, 1000)]
    assert world.row["address_allowance"] == 10
    world.quotes(Quote(BUY, 999), Quote(BUY, 997))
    world.decide(after_ns=1)
    assert (world.row["halt_code"], world.row["mode"]) == (0, Mode.ACTIVE)
    assert world.raw["side"].tolist() == [BUY]


def test_a_close_is_tried_even_with_a_used_up_budget():
    world = World(address_enforced=1)
    hold(world, 500)
    world.decide()
    world.row["address_actions"] = 10_000
    assert world.say(Kind.OPERATOR_COMMAND, aux0=2) == [Command("PLACE", SELL, 950, 500)]


def test_even_cancels_end_with_the_budget():
    world = resting(address_enforced=1)
    world.row["address_actions"] = 20_000
    world.quotes()
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.BUDGET] == 1
    assert world.active()[0]["state"] == OrderState.OPEN


@pytest.mark.parametrize(("step", "trips"), [(SECOND, False), (SECOND + 1, True), (-1, True), (0, False)])
def test_a_clock_that_jumps_or_runs_back(step, trips):
    world = resting(clock_step_ns_max=SECOND)
    assert world.decide(after_ns=step) == (CANCELLED if trips else [])
    if trips:
        world.limits["clock_step_ns_max"] = 0
        check_latch(world, Breaker.CLOCK_STEP)


def test_where_the_clock_is_not_watched_it_may_jump():
    assert resting().decide(after_ns=24 * 60 * MINUTE) == []


def test_an_order_whose_fate_is_unknown_for_too_long():
    """It counts from when the fate became unknown, however long the order had rested."""
    world = resting(unknown_age_ns_max=5 * SECOND)
    world.say(Kind.ORDER_UNKNOWN, order_id=world.active()[0]["order_id"], after_ns=60 * MINUTE)
    assert world.row["halt_code"] == 0
    world.decide(after_ns=5 * SECOND)
    assert world.row["halt_code"] == 0
    assert world.decide(after_ns=1) == []
    check_latch(world, Breaker.UNKNOWN_ORDER)


def test_an_order_that_is_found_again_trips_nothing():
    world = resting(unknown_age_ns_max=5 * SECOND)
    order = world.active()[0]
    world.say(Kind.ORDER_UNKNOWN, order_id=order["order_id"])
    world.say(
        Kind.ORDER_ACKNOWLEDGED, after_ns=SECOND, order_id=order["order_id"], side=BUY, price_ticks=999, size_lots=1000
    )
    assert world.decide(after_ns=60 * SECOND) == []
    assert world.row["halt_code"] == 0


def test_an_illegal_transition():
    world = resting()
    world.feed_silently(Kind.ORDER_REJECTED, order_id=world.active()[0]["order_id"], aux0=int(Refusal.MARGIN))
    assert world.decide() == CANCELLED
    check_latch(world, Breaker.ILLEGAL_TRANSITION)


def test_a_strategy_that_fails():
    world = resting()
    world.script[0]["fails"] = 1
    with failures() as texts:
        assert world.decide() == CANCELLED
    assert texts == ["ValueError: as told"]
    assert (world.row["strategy_failures"], world.row["quote_fault"]) == (1, 1)
    world.script[0]["fails"] = 0
    check_latch(world, Breaker.STRATEGY)


@pytest.mark.parametrize("count", [-2, 65])
def test_a_strategy_that_answers_nonsense(count):
    world = resting()
    world.script[0]["count"] = count
    assert world.decide() == CANCELLED
    assert world.row["quote_fault"] == 2
    check_latch(world, Breaker.STRATEGY)


def test_a_strategy_that_is_too_slow():
    """The shell measures; the core halts."""
    world = resting()
    assert world.say(Kind.OPERATOR_COMMAND, aux0=3) == CANCELLED
    check_latch(world, Breaker.STRATEGY)


def test_an_operator_halts_and_resumes():
    world = resting()
    assert world.say(Kind.OPERATOR_COMMAND, aux0=0) == CANCELLED
    check_latch(world, Breaker.OPERATOR)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=1) == [Command("PLACE", BUY, 999, 1000)]
    assert (world.row["halt_code"], world.row["latches"], world.row["mode"]) == (0, 0, Mode.ACTIVE)


def test_an_operator_flattens():
    world = resting()
    hold(world, 300)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=2) == [*CANCELLED, Command("PLACE", SELL, 950, 300)]
    assert world.row["halt_code"] == Breaker.OPERATOR


def test_without_a_connection_there_are_no_quotes():
    world = resting()
    assert world.say(Kind.CONNECTION_DOWN) == CANCELLED
    assert (world.row["halt_code"], world.row["mode"]) == (Breaker.DISCONNECTED, Mode.ACTIVE)
    world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
    assert world.say(Kind.CONNECTION_UP) == [Command("PLACE", BUY, 999, 1000)]
    assert world.row["halt_code"] == 0


def test_while_the_venue_is_down_there_are_no_quotes():
    world = resting()
    assert world.say(Kind.VENUE_MODE, aux0=2) == CANCELLED
    assert world.row["halt_code"] == Breaker.DISCONNECTED


# Causes.


def test_the_first_cause_is_kept():
    world = World()
    for breaker in (Breaker.DRAWDOWN, Breaker.STRATEGY):
        risk.trip(world.row, breaker, True)
        assert world.row["halt_code"] == Breaker.DRAWDOWN
    assert world.row["latches"] == 1 << Breaker.DRAWDOWN | 1 << Breaker.STRATEGY


def test_the_first_that_latches_stands_before_what_does_not():
    world = World()
    risk.trip(world.row, Breaker.STALE_DATA, False)
    risk.trip(world.row, Breaker.TICK_TO_TRADE, False)
    assert world.row["halt_code"] == Breaker.STALE_DATA
    risk.trip(world.row, Breaker.DRAWDOWN, True)
    risk.trip(world.row, Breaker.TICK_TO_TRADE, False)
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_resuming_starts_the_peak_again():
    world = started(drawdown_e6_max=30_000)
    hold(world, 1_000_000)
    world.touch(949, 951)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN
    world.say(Kind.OPERATOR_COMMAND, aux0=1)
    assert (world.row["halt_code"], world.row["close_at_market"]) == (0, 0)
    assert world.row["peak_max_micro"] == 950 * USDC
    world.touch(922, 924)
    world.decide()
    assert world.row["halt_code"] == 0
    world.touch(920, 922)
    world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN


def test_resuming_forgets_what_was_counted():
    world = resting(rejections_max=3, rejection_window_ns=10 * SECOND)
    for _ in range(4):
        reject(world, Refusal.MARGIN)
    world.feed_silently(Kind.TRADE, market=0)
    world.row["illegal_transitions"] = 1
    world.decide()
    world.say(Kind.OPERATOR_COMMAND, aux0=1)
    assert world.row["latches"] == 0
    reject(world, Refusal.MARGIN)
    world.decide()
    assert world.row["latches"] == 0


# Documentation.


def test_the_tables_hold_every_code():
    breakers = breakers_table().splitlines()
    assert len(breakers) == 2 + len(Breaker) - 1 == 2 + len(BREAKERS)
    assert breakers[2] == (
        "| 1 | TICK_TO_TRADE | we reacted too late: cancel all, pause | itself | `hlhft_tick_to_trade_seconds` |"
    )
    for breaker, rule in BREAKERS.items():
        assert rule.metric.startswith("hlhft_")
        assert any(line.startswith(f"| {int(breaker)} | {breaker.name} |") for line in breakers)
    assert len({rule.metric for rule in BREAKERS.values()}) == len(BREAKERS)
    refusals = refusals_table().splitlines()
    assert len(refusals) == 2 + len(RiskRefusal) - 1
    assert set(REFUSAL_MEANING) == set(RiskRefusal)
    assert refusals[-1] == "| 14 | POST_ONLY | the venue accepts only post-only orders for now |"
    assert max(RiskRefusal) < REFUSALS


def test_which_breakers_latch():
    """The mission's: only these go on by themselves."""
    passing = {breaker for breaker, rule in BREAKERS.items() if not rule.latched}
    assert passing == {
        Breaker.TICK_TO_TRADE, Breaker.STALE_DATA, Breaker.ACKNOWLEDGEMENT, Breaker.BUDGET, Breaker.DISCONNECTED,
    }  # fmt: skip
