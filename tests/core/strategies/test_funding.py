"""Funding arbitrage: when a carry is entered and left, and that no fault of a leg leaves more than the caps apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.risk import Breaker
from hlhft.core.state import QUOTE_DTYPE, MarketState, new_lane
from hlhft.core.strategies import common, funding
from hlhft.core.strategies.funding import CARRY, IDLE, LEAVING
from hlhft.events import EventKind as Kind
from hlhft.strategies import StrategyError, load, pair_legs
from hlhft.units import Market, MarketKind
from tests.core.strategies.conftest import build_view
from tests.core.strategies.saga import OUTCOMES, PERP, RATE_E12, SPOT, Desk
from tests.core.worlds import ALO, IOC, MS, SECOND, USDC

HOUR = 3600 * SECOND
CAP = 99_900  # lots that cost at most 100 USDC at 1001 micro-USDC each
TARGET = 249_750  # 250 USDC
WAYS = list(product((0.0, 1.0), (0.0, 1.0)))  # which leg is worked, and how
SPOT_COIN = Market.spot("HYPE/USDC", asset_id=10_107, size_decimals=2)
PERP_COIN = Market.perpetual("HYPE", asset_id=159, size_decimals=2)


def record(**values: float) -> np.void:
    """The strategy's parameters."""
    strategy = load("funding")
    return strategy.params_bytes(values)[: strategy.params_dtype.itemsize].view(strategy.params_dtype)[0]


# Rates, units.


@pytest.mark.parametrize(
    ("worked_leg", "immediate", "fees_bp"),
    # Spot maker 4, taker 7; perpetual maker 1.5, taker 4.5; both legs in and out.
    [(0, 0, 2 * (4 + 4.5)), (0, 1, 2 * (7 + 4.5)), (1, 0, 2 * (1.5 + 7)), (1, 1, 2 * (4.5 + 7))],
)
def test_the_net_rate_is_the_rate_less_both_legs_fees_over_the_horizon(worked_leg, immediate, fees_bp):
    spot = build_view(SPOT_COIN, maker_rate_e9=400_000, taker_rate_e9=700_000)[0]
    perp = build_view(PERP_COIN, maker_rate_e9=150_000, taker_rate_e9=450_000, funding_rate_e12=50_000_000)[0]
    params = record(worked_leg=worked_leg, worked_immediate=immediate, horizon_hours=100.0)
    assert funding.net_percent(spot, perp, params) == pytest.approx(0.005 - fees_bp / 100 / 100)


@pytest.mark.parametrize(("decimals", "expected"), [((2, 2), (1, 1)), ((4, 1), (1000, 1)), ((0, 3), (1, 1000))])
def test_a_unit_is_a_lot_of_the_coarser_market(decimals, expected):
    spot = build_view(Market.spot("A/USDC", asset_id=1, size_decimals=decimals[0]))[0]
    perp = build_view(Market.perpetual("A", asset_id=1, size_decimals=decimals[1]))[0]
    assert funding.scales(spot, perp) == expected


@pytest.mark.parametrize("missing", [0, 1])
def test_without_sizes_or_prices_there_is_no_unit(missing):
    views = [build_view(SPOT_COIN)[0], build_view(PERP_COIN)[0]]
    views[missing]["lot_size"] = 0.0
    assert funding.scales(*views) == (0, 0)
    assert funding.unit_usdc(build_view(bid=0)[0], build_view(ask=0)[0], 1) == 0.0


def test_positions_are_cut_toward_zero():
    assert [funding.whole_units(lots, 10) for lots in (29, -29, 0)] == [2, -2, 0]


# A life.


@pytest.mark.parametrize(("worked_leg", "immediate"), WAYS)
def test_a_carry_is_entered_in_slices_kept_and_left(worked_leg, immediate):
    """Three slices of at most the cap, each hedged before the next; left the same way when the rate falls."""
    desk = Desk(worked_leg=worked_leg, worked_immediate=immediate)
    desk.run(60)
    assert desk.held == [TARGET, -TARGET]
    assert (desk.phase, desk.is_quiet, desk.apart_max) == (CARRY, True, CAP)
    first, second = (PERP, SPOT) if worked_leg else (SPOT, PERP)
    assert [order[0] for order in desk.sent] == [first, second] * 3
    assert [order[2] for order in desk.sent] == [CAP, CAP, CAP, CAP, 49_950, 49_950]
    assert [order[3] for order in desk.sent] == [IOC if immediate else ALO, IOC] * 3
    sent = len(desk.sent)
    desk.run(20)
    assert len(desk.sent) == sent
    desk.rate(0)
    desk.run(20)
    assert len(desk.sent) == sent  # not below the threshold
    desk.rate(-1)
    desk.run(80)
    assert desk.held == [0, 0]
    assert (desk.phase, desk.is_quiet, desk.apart_max) == (IDLE, True, CAP)
    assert desk.world.row["latches"] == 0


@pytest.mark.parametrize(("rate_e12", "enters"), [(20_000_000, False), (20_000_001, True), (-RATE_E12, False)])
def test_the_default_threshold_is_two_thousandths_of_a_percent_an_hour(rate_e12, enters):
    """Without fees; spot cannot be short, so that a negative rate is no trade."""
    desk = Desk(rate_e12=rate_e12)
    desk.run(4)
    assert (desk.phase, len(desk.sent) > 0) == (CARRY if enters else IDLE, enters)


def test_between_the_thresholds_what_is_there_is_kept_and_nothing_is_added():
    desk = Desk()
    desk.run(60, until=lambda desk: desk.held == [CAP, -CAP])
    desk.rate(10_000_000)
    desk.run(40)
    assert desk.phase == CARRY
    assert desk.held[SPOT] == -desk.held[PERP] > 0
    assert desk.held[SPOT] <= 2 * CAP
    assert desk.is_quiet
    desk.rate(-1)
    desk.run(60)
    assert desk.held == [0, 0]


def test_a_carry_is_left_by_age():
    desk = Desk(age_hours_max=1.0)
    desk.run(60)
    assert desk.held == [TARGET, -TARGET]
    desk.step(HOUR)
    assert desk.phase == LEAVING
    desk.run(80, until=lambda desk: desk.held == [0, 0])
    assert desk.held == [0, 0]


def test_without_a_known_rate_nothing_is_entered_or_left():
    desk = Desk()
    desk.world.data.books[PERP]["context_time_ns"] = desk.world.data.books[PERP]["funding_rate_e12"] = 0
    desk.run(8)
    assert (desk.phase, desk.sent) == (IDLE, [])
    desk = Desk()
    desk.run(60)
    desk.world.data.books[PERP]["context_time_ns"] = desk.world.data.books[PERP]["funding_rate_e12"] = 0
    desk.run(20)
    assert desk.held == [TARGET, -TARGET]


def test_a_carry_of_an_earlier_session_is_kept():
    desk = Desk(rate_e12=1_000_000)
    for market, lots in ((SPOT, TARGET), (PERP, -TARGET)):
        desk.world.hold(lots, market=market)
        desk.held[market] = lots
    desk.run(10)
    assert (desk.phase, desk.sent) == (CARRY, [])
    assert desk.world.script[0]["opened_ns"][0] > 0


def test_only_whole_pairs_are_quoted():
    for kinds in ((MarketKind.SPOT,) * 2, (MarketKind.PERPETUAL,) * 2):
        desk = Desk()
        desk.world.lane.views["kind"] = [int(kind) for kind in kinds]
        desk.run(8)
        assert desk.sent == []
    swapped = Desk()
    swapped.world.lane.views["kind"] = [int(MarketKind.PERPETUAL), int(MarketKind.SPOT)]
    swapped.world.data.books[0]["funding_rate_e12"], swapped.world.data.books[0]["context_time_ns"] = RATE_E12, 1
    swapped.world.data.markets["kind"] = [int(MarketKind.PERPETUAL), int(MarketKind.SPOT)]
    swapped.step()
    assert swapped.sent == [(1, 1, CAP, ALO)]


def test_while_only_reducing_is_allowed_nothing_is_entered():
    desk = Desk()
    desk.world.row["mode"] = 1
    desk.run(8)
    assert desk.sent == []


@pytest.mark.parametrize(("away", "stays"), [(0, True), (1, False)])
def test_a_worked_order_moves_when_the_touch_moved_away(away, stays):
    """20 bp of 1000 are 2 ticks; and it moves only after its cancel was heard of."""
    desk = Desk([["resting"] * 2, []], requote_bp=20.0)
    desk.step()
    desk.run(2)
    (order,) = desk.world.active(SPOT)
    assert order["price_ticks"] == 999
    for market in (SPOT, PERP):
        desk.world.touch(1001 + away, 1003 + away, market=market)
    desk.step()
    assert len(desk.sent) == 1
    if not stays:
        desk.run(3)
        (order,) = desk.world.active(SPOT)
        assert (order["price_ticks"], len(desk.sent)) == (1002, 2)


# Faults of a leg.


def test_a_hedge_that_fails_is_repeated_after_a_second_and_then_taken_back():
    desk = Desk([[], ["rejected"] * 9], unhedged_s=5.0, retry_s=30.0)
    desk.run(10, until=lambda desk: desk.held[SPOT] > 0 and len(desk.world.active(SPOT)) == 0)
    began = desk.world.now
    desk.run(60, until=lambda desk: desk.taken_back > 0)
    assert 5 * SECOND < desk.world.now - began < 7 * SECOND
    tries = [order for order in desk.sent if order[0] == PERP]
    assert 4 <= len(tries) <= 6
    desk.run(3)
    assert desk.held == [0, 0]
    assert desk.sent[-1] == (SPOT, -1, CAP, IOC)
    # And the pair rests.
    sent = len(desk.sent)
    desk.run(20)
    assert len(desk.sent) == sent
    desk.run(40)
    assert len(desk.sent) > sent


def test_a_leg_without_a_market_cannot_hedge_and_the_other_is_taken_back():
    desk = Desk(unhedged_s=3.0)
    desk.run(2)
    desk.world.say(Kind.MARKET_STATE, market=PERP, aux0=int(MarketState.CLOSED))
    desk.run(12)
    assert desk.held == [0, 0]
    assert desk.taken_back == 1
    assert [order[0] for order in desk.sent] == [SPOT, SPOT]


def test_what_was_worked_is_hedged_late_where_it_cannot_be_taken_back():
    """The spot market is gone; the perpetual refused for too long and then takes it."""
    desk = Desk([[], ["rejected"] * 4], unhedged_s=3.0)
    desk.run(2)
    desk.world.say(Kind.MARKET_STATE, market=SPOT, aux0=int(MarketState.STALE))
    desk.run(20)
    assert desk.held == [CAP, -CAP]
    for market in (SPOT, PERP):
        desk.world.say(Kind.MARKET_STATE, market=market, aux0=int(MarketState.STALE))
    assert desk.world.row["halt_code"] == Breaker.STALE_DATA


def test_neither_market_leaves_what_is_there():
    desk = Desk([[], ["rejected"]], unhedged_s=1.0)
    desk.run(2)
    for market in (SPOT, PERP):
        desk.world.say(Kind.MARKET_STATE, market=market, aux0=int(MarketState.STALE))
    sent = len(desk.sent)
    desk.run(10)
    assert len(desk.sent) == sent


@pytest.mark.parametrize("market", [SPOT, PERP])
def test_an_unknown_leg_blocks_new_ones(market):
    outcomes = [[], []]
    outcomes[market] = ["unknown and gone"]
    desk = Desk(outcomes, unhedged_s=0.0)
    desk.run(30, until=lambda desk: any(order["state"] == 3 for order in desk.world.active(market)))
    sent = len(desk.sent)
    while any(order["state"] == 3 for order in desk.world.active(market)):
        assert len(desk.sent) == sent
        desk.step(100 * MS)
    desk.run(60)
    assert desk.held == [TARGET, -TARGET]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{'perp' if way[0] else 'spot'}{' at once' if way[1] else ''}")
@pytest.mark.parametrize("hedge", OUTCOMES)
@pytest.mark.parametrize("worked", OUTCOMES)
def test_whatever_becomes_of_a_leg_the_caps_hold(worked, hedge, way):
    """The first two orders of each leg, in and out again; what is executed counts, not what we have heard of."""
    first = int(way[0])
    outcomes = [[worked] * 2, [hedge] * 2] if first == SPOT else [[hedge] * 2, [worked] * 2]
    desk = Desk(outcomes, worked_leg=way[0], worked_immediate=way[1])
    desk.run(200, until=lambda desk: desk.held == [TARGET, -TARGET] and desk.is_quiet)
    assert desk.held == [TARGET, -TARGET]
    desk.outcomes = [[worked] * 2, [hedge] * 2] if first == SPOT else [[hedge] * 2, [worked] * 2]
    desk.rate(-RATE_E12)
    desk.run(200, until=lambda desk: desk.held == [0, 0] and desk.is_quiet)
    assert desk.held == [0, 0]
    assert desk.apart_max <= CAP
    # 5 s, and a second to the next try.
    assert desk.idle_apart_ns <= 6 * SECOND
    assert desk.world.row["latches"] == 0


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(OUTCOMES), max_size=12),
    st.lists(st.sampled_from(OUTCOMES), max_size=12),
    st.sampled_from(WAYS),
    st.lists(st.sampled_from([RATE_E12, -RATE_E12]), max_size=6),
)
def test_faults_in_any_order_and_a_rate_that_changes_its_mind(spot, perp, way, rates):
    desk = Desk([spot, perp], worked_leg=way[0], worked_immediate=way[1])
    for rate in rates:
        desk.rate(rate)
        desk.run(15)
    desk.rate(-RATE_E12)
    desk.run(400, until=lambda desk: desk.held == [0, 0] and desk.is_quiet)
    assert desk.held == [0, 0]
    assert desk.apart_max <= CAP
    assert desk.idle_apart_ns <= 6 * SECOND
    assert desk.world.row["latches"] == 0


# Flattened, a carry is one unit.


def test_a_flatten_closes_both_legs_in_slices_of_the_cap():
    desk = Desk()
    desk.run(60)
    desk.world.limits["decide_on_fill"] = 1
    desk.take(len(desk.world.say(Kind.OPERATOR_COMMAND, aux0=2)))
    assert sorted(desk.sent[-2:]) == [(SPOT, -1, CAP, IOC), (PERP, 1, CAP, IOC)]
    desk.run(40, until=lambda desk: desk.held == [0, 0] and desk.is_quiet)
    assert desk.held == [0, 0]
    assert desk.apart_max <= CAP
    assert desk.world.row["close_at_market"] == 0


# Who belongs together.


def test_neighbours_are_pairs():
    spot, perp = SPOT_COIN, PERP_COIN
    _, lane = new_lane(4)
    pair_legs(load("funding"), {"unhedged_notional_usdc": 250.5}, [spot, perp, perp, spot], lane.positions)
    assert lane.positions["pair"].tolist() == [2, 1, 4, 3]
    assert lane.positions["unhedged_micro_max"].tolist() == [250_500_000] * 4
    _, lane = new_lane(2)
    pair_legs(load("glft"), {}, [perp, perp], lane.positions)
    assert not lane.positions["pair"].any()
    free = replace(load("funding"), parameters={})
    pair_legs(free, {}, [perp, spot], lane.positions)
    assert (lane.positions["pair"].tolist(), lane.positions["unhedged_micro_max"].tolist()) == ([2, 1], [0, 0])


@pytest.mark.parametrize("markets", [[SPOT_COIN], [PERP_COIN, PERP_COIN], [SPOT_COIN, PERP_COIN, SPOT_COIN]])
def test_markets_that_are_no_pairs_are_refused(markets):
    _, lane = new_lane(len(markets))
    with pytest.raises(StrategyError, match="strategy funding trades pairs of neighbouring markets") as refused:
        pair_legs(load("funding"), {}, markets, lane.positions)
    assert f"{markets[0].name} ({markets[0].kind.name.lower()})" in str(refused.value)


def test_the_venues_smallest_order_is_level():
    """10 USDC and a bit at 1001 micro-USDC a lot."""
    spot = build_view(minimum_notional_micro=10 * USDC)[0]
    assert funding.least_units(spot, spot, 0.001001) == 10_190
    assert funding.slice_units(LEAVING, 25_000, 0, 20_000, 10_190) == 14_810
    assert funding.slice_units(LEAVING, 25_000, 0, 10_189, 10_190) == 0
    assert funding.slice_units(CARRY, 240_000, 250_000, 99_900, 10_190) == 0


def test_a_helper_that_python_called_before_does_not_stand_in_for_the_strategys_own():
    """Compiled: `put_ladder` is linked with its own copy of `put_quote`, of which the loader must not know the name."""
    common.put_ladder(np.zeros(8, QUOTE_DTYPE), build_view()[0], 618_000.5, 10.0, 10, 100, 1, 20.0)
    desk = Desk()
    desk.step()
    assert desk.sent == [(SPOT, 1, CAP, ALO)]
