"""Avellaneda-Stoikov: the paper's formulas for both horizons, sessions that restart, and the common rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.strategies import avellaneda_stoikov
from hlhft.units import Market

NAME = "avellaneda_stoikov"
READY = {"ready": 80, "volatility": [30.0, 30.0, 30.0], "intensity_k": 0.05}
MID = 618_000.5
BP = MID * 1e-4
SIGMA, K = 30.0 / BP, 0.05 * BP
SECOND = 1_000_000_000


@pytest.mark.parametrize("gamma", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("left_s", [0.0, 1.0, 60.0])
@pytest.mark.parametrize("inventory", [-4.0, 0.0, 2.5])
def test_the_finite_horizon_is_the_papers(gamma, left_s, inventory):
    sigma, k = 0.7, 1.3
    reservation = -inventory * gamma * sigma**2 * left_s
    spread = gamma * sigma**2 * left_s + 2.0 / gamma * math.log(1.0 + gamma / k)
    below, above = avellaneda_stoikov.finite(gamma, sigma, k, inventory, left_s)
    assert below == pytest.approx(spread / 2 - reservation, rel=1e-12)
    assert above == pytest.approx(spread / 2 + reservation, rel=1e-12)


@pytest.mark.parametrize("gamma", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("inventory", [-9.0, -1.0, 0.0, 4.0])
def test_the_infinite_horizon_is_the_papers(gamma, inventory):
    sigma, k, most = 0.7, 1.3, 10.0
    omega = 0.5 * gamma**2 * sigma**2 * (most + 1.0) ** 2
    variance = gamma**2 * sigma**2

    def reservation(sign):
        drift = (sign - 2.0 * inventory) * variance
        return math.log(1.0 + drift / (2.0 * omega - variance * inventory**2)) / gamma

    widening = math.log(1.0 + gamma / k) / gamma
    below, above = avellaneda_stoikov.infinite(gamma, sigma, k, inventory, most)
    assert below == pytest.approx(widening - reservation(-1.0), rel=1e-9)
    assert above == pytest.approx(widening + reservation(1.0), rel=1e-9)


def test_at_the_largest_inventory_the_infinite_horizon_never_buys():
    for beyond in (10.0, 11.0, 500.0):
        below, above = avellaneda_stoikov.infinite(0.05, 0.7, 1.3, beyond, 10.0)
        assert below > 400.0 and math.isfinite(below)
        assert math.isfinite(above)


def test_at_the_largest_short_the_infinite_horizon_stays_finite_on_both_sides():
    # The model is not symmetric: there the logarithm's argument is 2, and the cap alone takes the growing side away.
    _, above = avellaneda_stoikov.infinite(0.05, 0.7, 1.3, -10.0, 10.0)
    assert above == pytest.approx((math.log(2.0) + math.log1p(0.05 / 1.3)) / 0.05)


def test_without_volatility_the_infinite_horizon_only_widens():
    assert avellaneda_stoikov.infinite(0.05, 0.0, 1.3, 3.0, 10.0) == pytest.approx([math.log1p(0.05 / 1.3) / 0.05] * 2)


@settings(deadline=None, max_examples=200)
@given(
    gamma=st.floats(1e-6, 10.0),
    sigma=st.floats(0.0, 1e3),
    k=st.floats(1e-3, 1e3),
    inventory=st.floats(-1e9, 1e9),
    most=st.floats(1.0, 1e9),
)
def test_the_infinite_horizon_is_finite_everywhere(gamma, sigma, k, inventory, most):
    assert all(math.isfinite(value) for value in avellaneda_stoikov.infinite(gamma, sigma, k, inventory, most))


def prices(answer):
    bids, asks = answer
    return bids[0].price_ticks, asks[0].price_ticks


def session_memory():
    return np.zeros(4096, np.uint8)


def test_quotes_are_the_finite_formulas_in_ticks(view, ask):
    for held in (0, 3, -2):
        risk = 0.05 * SIGMA**2 * 60.0
        half = (0.5 * risk + math.log1p(0.05 / K) / 0.05) * BP
        shift = -held * risk * BP
        bid, offer = prices(ask(NAME, view(features=READY, position_lots=8 * held)))
        assert bid == math.floor(min(MID + shift - half, 618_000.0))
        assert offer == math.ceil(max(MID + shift + half, 618_001.0))


def test_quotes_narrow_toward_the_end_of_a_session_and_sessions_restart(view, ask):
    memory, start = session_memory(), 1_723_161_256 * SECOND
    widths = []
    for second in (0, 30, 59, 60, 90, 1_000):
        seen = view(features={**READY, "volatility": [300.0] * 3}, now_ns=start + second * SECOND)
        bid, offer = prices(ask(NAME, seen, memory=memory))
        widths.append(offer - bid)
    assert widths[0] > widths[1] > widths[2]
    assert widths[3] == widths[0] and widths[4] == widths[1]
    # After a long silence a session begins anew, not in the middle.
    assert widths[5] == widths[0]


def test_an_infinite_horizon_does_not_depend_on_time(view, ask):
    memory, start = session_memory(), 1_723_161_256 * SECOND
    answers = {
        prices(ask(NAME, view(features=READY, now_ns=start + second * SECOND), memory=memory, horizon_s=0.0))
        for second in (0, 59, 61)
    }
    assert len(answers) == 1
    assert not memory.any()


@pytest.mark.parametrize("horizon_s", [0.0, 60.0])
def test_inventory_moves_both_quotes_against_it(view, ask, horizon_s):
    answers = []
    for held in (-6, -3, 0, 3, 6):
        seen = view(features=READY, position_lots=8 * held, maker_rate_e9=2_000_000)
        answers.append(prices(ask(NAME, seen, horizon_s=horizon_s, gamma=0.2)))
    assert answers == sorted(answers, reverse=True)
    assert len({bid for bid, _ in answers}) == 5 and len({offer for _, offer in answers}) == 5


@pytest.mark.parametrize("horizon_s", [0.0, 60.0])
def test_flat_quotes_are_symmetric(view, ask, horizon_s):
    bids, asks = ask(NAME, view(features=READY), horizon_s=horizon_s, levels=3)
    assert [MID - quote.price_ticks for quote in bids] == [quote.price_ticks - MID for quote in asks]
    assert len(bids) == 3


def test_more_risk_aversion_skews_more(view, ask):
    seen = view(features=READY, position_lots=16, maker_rate_e9=2_000_000)
    bids = [prices(ask(NAME, seen, gamma=gamma))[0] for gamma in (0.01, 0.1, 0.5)]
    assert bids == sorted(bids, reverse=True) and len(set(bids)) == 3


def test_the_half_spread_covers_the_fee_and_stays_below_its_bound(view, ask):
    charged = prices(ask(NAME, view(features=READY, maker_rate_e9=500_000)))
    assert charged == (math.floor(MID - 5.0 * BP), math.ceil(MID + 5.0 * BP))
    bounded = prices(ask(NAME, view(features=READY, maker_rate_e9=500_000), half_spread_bp_max=3.0))
    assert bounded == (math.floor(MID - 3.0 * BP), math.ceil(MID + 3.0 * BP))


def test_funding_and_a_signal_move_both_quotes(view, ask):
    flat = prices(ask(NAME, view(features=READY, maker_rate_e9=2_000_000)))
    same = prices(ask(NAME, view(features=READY, maker_rate_e9=2_000_000, funding_rate_e12=20_000_000)))
    paying = prices(ask(NAME, view(features=READY, maker_rate_e9=2_000_000, funding_rate_e12=60_000_000)))
    rising = prices(ask(NAME, view(features=READY, maker_rate_e9=2_000_000, signal_e9=100_000, signal_valid=1)))
    assert same == flat
    assert [after - before for after, before in zip(paying, flat, strict=True)] == pytest.approx([-3.2 * BP] * 2, abs=1)
    assert [after - before for after, before in zip(rising, flat, strict=True)] == pytest.approx([BP] * 2, abs=1)


def test_the_cap_takes_the_growing_side_away(view, ask):
    bids, asks = ask(NAME, view(features=READY, position_lots=80))
    assert bids == [] and [quote.size_lots for quote in asks] == [8]
    assert ask(NAME, view(features=READY, mode=1)) == ([], [])


@pytest.mark.parametrize(("bid", "offer"), [(0, 0), (0, 618_001), (618_000, 0), (618_001, 618_000)])
def test_without_a_usable_book_there_are_no_quotes(view, ask, bid, offer):
    assert ask(NAME, view(features=READY, bid=bid, ask=offer)) == ([], [])


def test_without_unit_sizes_there_are_no_quotes(view, ask):
    assert ask(NAME, view(features=READY, lot_size=0.0)) == ([], [])


@settings(deadline=None, max_examples=100)
@given(
    bid=st.integers(10, 10**7),
    steps=st.integers(1, 500),
    position=st.integers(-(10**9), 10**9),
    volatility=st.floats(0.0, 1e6),
    horizon_s=st.one_of(st.just(0.0), st.floats(1e-3, 86400.0)),
    gamma=st.floats(1e-6, 10.0),
    levels=st.integers(1, 20),
)
def test_quotes_are_valid_whatever_the_input(view, ask, bid, steps, position, volatility, horizon_s, gamma, levels):
    market = Market.perpetual("X", asset_id=1, size_decimals=2)
    bid -= bid % market.grid_step(bid)
    offer = bid + steps * market.grid_step(bid)
    offer += -offer % market.grid_step(offer)
    features = {"ready": 80, "volatility": [volatility] * 3, "intensity_k": 0.05}
    seen = view(market, bid=bid, ask=offer, features=features, position_lots=position)
    bids, asks = ask(NAME, seen, horizon_s=horizon_s, gamma=gamma, levels=levels)
    assert all(market.is_valid_price(quote.price_ticks) and quote.size_lots > 0 for quote in bids + asks)
    assert all(quote.price_ticks < offer for quote in bids) and all(quote.price_ticks > bid for quote in asks)
