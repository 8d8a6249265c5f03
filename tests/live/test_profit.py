"""The running split closes whatever happens, and each part is what a person would count."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.live.profit import Booked, ProfitTally
from hlhft.live.view import Profit
from hlhft.units import MICRO, Market

BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)  # ticks of 0.1, lots of 0.00001: a micro-USDC each
PURR = Market.spot("PURR/USDC", asset_id=10_000, size_decimals=0)  # ticks of 1e-8


def test_a_round_trip_by_hand() -> None:
    tally = ProfitTally([BTC])
    tally.moved(0, mid_half_ticks=2_000_001)  # 100000.05
    # Bought 0.01 at 100000.0, half a tick below the mid: 0.01 x 0.05 = 0.0005 USDC. Fee 0.15.
    tally.filled(
        0, side=1, price_ticks=1_000_000, size_lots=1000, mid_half_ticks=2_000_001, fee_micro=150_000, is_maker=True
    )
    tally.moved(0, mid_half_ticks=2_000_201)  # up by 10 USDC: 0.01 x 10 = 0.1
    tally.funded(0, amount_micro=-2_000)
    # Sold 0.01 at 100010.1, half a tick above the mid; a rebate of 0.03.
    tally.filled(
        0, side=-1, price_ticks=1_000_101, size_lots=1000, mid_half_ticks=2_000_201, fee_micro=-30_000, is_maker=True
    )
    assert tally.position_lots(0) == 0
    split = tally.profit()
    assert split == Profit(
        total=pytest.approx(0.001 + 0.1 - 0.12 - 0.002),
        spread=pytest.approx(0.001),
        inventory=pytest.approx(0.1),
        basis=0.0,
        fees=pytest.approx(-0.12),
        funding=pytest.approx(-0.002),
        rebates=pytest.approx(0.03),
        realised=pytest.approx(0.101),
    )
    assert split.residual == 0.0
    # Bought 1000 lots at 1,000,000 ticks, sold them at 1,000,101.
    assert tally.booked(0) == Booked(position_lots=0, cash_quanta=101_000, fee_micro=120_000, funding_micro=-2_000)
    total, *parts = tally.grains(0)
    assert total == sum(parts[:6]) == round(split.total * 2 * MICRO)


def test_the_mark_s_distance_from_the_mid_is_the_basis() -> None:
    tally = ProfitTally([BTC])
    tally.filled(
        0, side=-1, price_ticks=1_000_000, size_lots=100_000, mid_half_ticks=2_000_000, fee_micro=0, is_maker=False
    )
    tally.moved(0, mid_half_ticks=0, mark_ticks=1_000_010)  # 1 USDC above: a loss of 1 for a short of 1
    assert (tally.profit().basis, tally.profit().total) == (-1.0, -1.0)


def test_a_position_of_an_earlier_session_begins_worth_nothing() -> None:
    tally = ProfitTally([PURR, BTC])
    tally.opened(1, position_lots=-500, mark_ticks=1_000_000)
    assert (tally.profit().total, tally.position_lots(1)) == (0.0, -500)
    tally.moved(1, mid_half_ticks=1_999_980, mark_ticks=999_990)  # down by 1 USDC: 0.005 for the short
    assert tally.profit(1).total == tally.profit(1).inventory == pytest.approx(0.005)
    assert tally.profit(0) == Profit(total=0, spread=0, inventory=0, basis=0, fees=0, funding=0)
    with pytest.raises(AssertionError):
        tally.opened(1, position_lots=1, mark_ticks=1)


def test_a_fill_before_any_price_is_known_makes_no_spread() -> None:
    tally = ProfitTally([BTC])
    tally.filled(0, side=1, price_ticks=1_000_000, size_lots=10, mid_half_ticks=0, fee_micro=0, is_maker=False)
    assert (tally.profit().spread, tally.profit().total) == (0.0, 0.0)


FILL = st.tuples(
    st.just("fill"), st.sampled_from([1, -1]), st.integers(1, 10**6), st.integers(1, 10**6), st.integers(-999, 999)
)
MOVE = st.tuples(st.just("move"), st.integers(0, 2 * 10**6), st.integers(0, 10**6))
FUNDING = st.tuples(st.just("funding"), st.integers(-(10**6), 10**6))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), FILL | MOVE | FUNDING), max_size=30))
def test_the_parts_sum_to_the_change_in_equity_exactly(events: list[tuple[int, tuple[object, ...]]]) -> None:
    tally = ProfitTally([BTC, PURR])
    cash, booked = [0, 0], 0
    for index, (market, (kind, *facts)) in enumerate(events):
        values = [fact for fact in facts if isinstance(fact, int)]
        if kind == "fill":
            side, price, size, fee = values
            # Every third fill comes with the mid of its moment.
            tally.filled(market, side=side, price_ticks=price, size_lots=size, mid_half_ticks=2 * price + 1
                         if index % 3 == 0 else 0, fee_micro=fee, is_maker=index % 2 == 0)  # fmt: skip
            cash[market] -= side * price * size
            booked -= fee
        elif kind == "move":
            tally.moved(market, mid_half_ticks=values[0], mark_ticks=values[1])
        else:
            tally.funded(market, amount_micro=values[0])
            booked += values[0]
    assert tally.profit().residual == 0.0
    assert tally.profit().total == pytest.approx(tally.profit(0).total + tally.profit(1).total, abs=1e-9)
    held = [tally.position_lots(market) for market in (0, 1)]
    if held == [0, 0]:
        exact = Fraction(cash[0], 10**6) + Fraction(cash[1], 10**8) + Fraction(booked, 10**6)
        assert tally.profit().total == pytest.approx(float(exact), abs=1e-9)
    for split in (tally.profit(0), tally.profit(1), tally.profit()):
        other = split.realised + split.unrealised + split.fees + split.funding
        assert other == pytest.approx(split.total, abs=1e-9)


SOLD_AND_BOUGHT = st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10**6)), min_size=1, max_size=30)


@settings(max_examples=60)
@given(SOLD_AND_BOUGHT, st.integers(1, 10**6))
def test_what_is_realised_is_that_of_exact_fractions_within_a_grain_a_fill(
    fills: list[tuple[int, int]], mark: int
) -> None:
    tally = ProfitTally([BTC])
    position, cost, realised = 0, Fraction(0), Fraction(0)
    for change, price in fills:
        side = 1 if change > 0 else -1
        tally.filled(
            0, side=side, price_ticks=price, size_lots=abs(change), mid_half_ticks=0, fee_micro=0, is_maker=True
        )
        closed = 0
        if position * change < 0:
            closed = side * min(abs(change), abs(position))
            part = cost * Fraction(-closed, position)
            realised -= closed * price + part
            cost -= part
        cost += (change - closed) * price
        position += change
    tally.moved(0, mid_half_ticks=0, mark_ticks=mark)
    split = tally.profit()
    grains = len(fills) * 0.5e-6 + 1e-9
    assert split.realised == pytest.approx(float(realised / 10**6), abs=grains)
    assert split.unrealised == pytest.approx(float((position * mark - cost) / 10**6), abs=grains)


def test_fills_are_counted_by_side_and_liquidity() -> None:
    tally = ProfitTally([BTC, PURR])
    for side, is_maker in ((1, True), (1, False), (-1, True), (-1, True)):
        tally.filled(
            0, side=side, price_ticks=1_000_000, size_lots=1_000, mid_half_ticks=0, fee_micro=0, is_maker=is_maker
        )
    assert tally.fills(0) == ((1, 1000.0), (1, 1000.0), (2, 2000.0), (0, 0.0))
    assert tally.fills(1) == ((0, 0.0),) * 4


def test_rebates_stand_apart_from_fees() -> None:
    tally = ProfitTally([BTC])
    for fee in (500_000, -200_000):
        tally.filled(
            0, side=1, price_ticks=1_000_000, size_lots=1, mid_half_ticks=2_000_000, fee_micro=fee, is_maker=True
        )
    assert (tally.profit().fees, tally.profit().rebates) == (pytest.approx(-0.3), pytest.approx(0.2))
