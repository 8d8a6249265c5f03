"""GLFT: the paper's formulas, what moves the quotes and which way, and validity under any input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.strategies import glft
from hlhft.units import GridRule, Market

READY = {
    "ready": 127,
    "volatility": [30.0, 30.0, 30.0],
    "intensity_a": 1.0,
    "intensity_k": 0.05,
    "micro_price": 618_000.5,
}
MID = 618_000.5
BP = MID * 1e-4


def paper(gamma, xi, a, k):
    """c1 and c2 as printed in Gueant (2017), with an order size of one."""
    if xi == 0.0:
        return 1.0 / k, math.sqrt(gamma * math.e / (2.0 * a * k))
    return math.log1p(xi / k) / xi, math.sqrt(gamma / (2.0 * a * k) * (1.0 + xi / k) ** (k / xi + 1.0))


@pytest.mark.parametrize("gamma", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("a", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("k", [0.05, 1.0, 50.0])
def test_coefficients_are_the_papers(gamma, share, a, k):
    assert glft.coefficients(gamma, share * gamma, a, k) == pytest.approx(paper(gamma, share * gamma, a, k), rel=1e-9)


def test_the_limit_of_small_xi_is_reached_smoothly():
    assert glft.coefficients(0.05, 1.01e-6, 1.0, 1.0) == pytest.approx(glft.coefficients(0.05, 0.0, 1.0, 1.0), rel=1e-5)


@settings(deadline=None, max_examples=200)
@given(gamma=st.floats(1e-6, 10.0), share=st.floats(0.0, 1.0), a=st.floats(1e-3, 1e3), k=st.floats(1e-3, 1e3))
def test_coefficients_are_finite_and_positive_over_the_whole_range(gamma, share, a, k):
    c1, c2 = glft.coefficients(gamma, share * gamma, a, k)
    assert math.isfinite(c1) and c1 > 0.0
    assert math.isfinite(c2) and c2 > 0.0


def test_the_quotes_are_the_papers_in_ticks(view, ask):
    # sigma 30 ticks and k 0.05 a tick are these in basis points of the mid.
    sigma, k = 30.0 / BP, 0.05 * BP
    c1, c2 = paper(0.05, 0.05, 1.0, k)
    lots = 8  # 500 USDC
    for held in (0, 2, -3):
        half, skew = (c1 + 0.5 * sigma * c2) * BP, sigma * c2 * held * BP
        bids, asks = ask("glft", view(features=READY, position_lots=held * lots))
        assert [quote.price_ticks for quote in bids] == [min(math.floor(MID - half - skew), 618_000)]
        assert [quote.price_ticks for quote in asks] == [max(math.ceil(MID + half - skew), 618_001)]


def test_the_fallbacks_stand_until_features_are_ready(view, ask):
    c1, c2 = paper(0.05, 0.05, 1.0, 1.0)
    half = (c1 + 0.25 * c2) * BP
    bids, _ = ask("glft", view(features={**READY, "ready": 0, "micro_price": 0.0}))
    assert bids[0].price_ticks == math.floor(MID - half)


def test_flat_quotes_are_symmetric(view, ask):
    bids, asks = ask("glft", view(features=READY), levels=3, level_gap_bp=2.0)
    assert len(bids) == len(asks) == 3
    for bid, offer in zip(bids, asks, strict=True):
        assert MID - bid.price_ticks == offer.price_ticks - MID
        assert bid.size_lots == offer.size_lots == 8


def prices(answer):
    bids, asks = answer
    return bids[0].price_ticks, asks[0].price_ticks


WIDE = {"half_spread_bp_min": 20.0, "position_notional_usdc": 1e6}


def test_inventory_moves_both_quotes_against_it(view, ask):
    answers = [prices(ask("glft", view(features=READY, position_lots=8 * held), **WIDE)) for held in (-6, -3, 0, 3, 6)]
    assert answers == sorted(answers, reverse=True)
    assert len({bid for bid, _ in answers}) == 5 and len({offer for _, offer in answers}) == 5


def test_more_risk_aversion_skews_more(view, ask):
    seen = view(features=READY, position_lots=40)
    bids = [prices(ask("glft", seen, gamma=gamma, **WIDE))[0] for gamma in (0.01, 0.1, 1.0)]
    assert bids == sorted(bids, reverse=True) and len(set(bids)) == 3


def test_more_volatility_widens_and_skews_more(view, ask):
    flat, held = [], []
    for sigma in (10.0, 100.0, 400.0):
        features = {**READY, "volatility": [sigma] * 3}
        bid, offer = prices(ask("glft", view(features=features)))
        flat.append(offer - bid)
        held.append(prices(ask("glft", view(features=features, position_lots=40), **WIDE))[0])
    assert flat == sorted(flat) and len(set(flat)) == 3
    assert held == sorted(held, reverse=True) and len(set(held)) == 3


def test_the_volatility_scale_is_the_users(view, ask):
    features = {**READY, "volatility": [10.0, 100.0, 400.0]}
    bids = [prices(ask("glft", view(features=features), volatility_scale=scale))[0] for scale in (0, 1, 2)]
    assert bids[0] > bids[1] > bids[2]


def test_the_half_spread_covers_the_fee_and_a_rebate_narrows_it(view, ask):
    free = prices(ask("glft", view(features=READY)))
    charged = prices(ask("glft", view(features=READY, maker_rate_e9=150_000), fee_coverage=2.0))
    paid = prices(ask("glft", view(features=READY, maker_rate_e9=-10_000)))
    assert charged == (math.floor(MID - 3.0 * BP), math.ceil(MID + 3.0 * BP))
    assert free[0] < paid[0] < MID < paid[1] < free[1]


def test_the_half_spread_stays_within_its_bounds(view, ask):
    least = prices(ask("glft", view(features=READY), half_spread_bp_min=7.0))
    assert least == (math.floor(MID - 7.0 * BP), math.ceil(MID + 7.0 * BP))
    most = prices(ask("glft", view(features=READY, maker_rate_e9=900_000), half_spread_bp_max=3.0))
    assert most == (math.floor(MID - 3.0 * BP), math.ceil(MID + 3.0 * BP))


def test_the_growing_side_shrinks_and_vanishes_at_the_cap(view, ask):
    # 5,000 USDC are 80 lots, an order is 8.
    for position, bid_lots, ask_lots in (
        (75, [5], [8]),
        (80, [], [8]),
        (200, [], [8]),
        (-77, [8], [3]),
        (-80, [8], []),
    ):
        bids, asks = ask("glft", view(features=READY, position_lots=position))
        assert [quote.size_lots for quote in bids] == bid_lots
        assert [quote.size_lots for quote in asks] == ask_lots


def test_reducing_quotes_only_what_reduces(view, ask):
    assert ask("glft", view(features=READY, mode=1)) == ([], [])
    bids, asks = ask("glft", view(features=READY, mode=1, position_lots=5), levels=5)
    assert bids == [] and [quote.size_lots for quote in asks] == [5]


def test_funding_moves_quotes_only_above_the_threshold(view, ask):
    flat = prices(ask("glft", view(features=READY)))
    assert prices(ask("glft", view(features=READY, funding_rate_e12=20_000_000))) == flat
    down = prices(ask("glft", view(features=READY, funding_rate_e12=60_000_000)))
    up = prices(ask("glft", view(features=READY, funding_rate_e12=-60_000_000)))
    # 0.004 % above the threshold for eight hours are 3.2 basis points.
    assert down[0] - flat[0] == pytest.approx(-3.2 * BP, abs=1.0) and down[1] < flat[1]
    assert up[1] - flat[1] == pytest.approx(3.2 * BP, abs=1.0) and up[0] > flat[0]


def test_a_signal_moves_both_quotes(view, ask):
    flat = prices(ask("glft", view(features=READY), **WIDE))
    moved = prices(ask("glft", view(features=READY, signal_e9=200_000, signal_valid=1), **WIDE))
    assert [after - before for after, before in zip(moved, flat, strict=True)] == pytest.approx([2 * BP] * 2, abs=1.0)


def test_the_centre_follows_the_micro_price(view, ask):
    flat = prices(ask("glft", view(features=READY), **WIDE))
    above = prices(ask("glft", view(features={**READY, "micro_price": MID + 40.0}), **WIDE))
    assert [after - before for after, before in zip(above, flat, strict=True)] == [20, 20]


@pytest.mark.parametrize(("bid", "offer"), [(0, 0), (0, 618_001), (618_000, 0), (618_001, 618_000), (5, 5)])
def test_without_a_usable_book_there_are_no_quotes(view, ask, bid, offer):
    assert ask("glft", view(features=READY, bid=bid, ask=offer)) == ([], [])


def test_without_unit_sizes_there_are_no_quotes(view, ask):
    assert ask("glft", view(features=READY, tick_size=0.0)) == ([], [])


def test_memory_counts_decisions(view, ask):
    memory = np.zeros(4096, np.uint8)
    for _ in range(3):
        ask("glft", view(), memory=memory)
    assert memory[:8].view(np.int64)[0] == 3


MARKETS = [
    (Market(name="BTCUSDT", asset_id=0, price_decimals=1, size_decimals=3, grid_rule=GridRule.FIXED), 618_000),
    (Market.perpetual("BTC", asset_id=0, size_decimals=5), 1_110_000),
    (Market.perpetual("SOL", asset_id=5, size_decimals=2), 2_100_000),
    (Market.perpetual("HYPE", asset_id=159, size_decimals=2), 450_000),
    (Market.perpetual("kPEPE", asset_id=15, size_decimals=0), 10_000),
]


@pytest.mark.parametrize(("market", "bid"), MARKETS, ids=lambda value: getattr(value, "name", ""))
def test_the_defaults_quote_each_market_alike(view, ask, market, bid):
    """A market's tick says nothing: the same features in basis points give the same distances, grid apart."""
    step = market.grid_step(bid)
    mid = bid + 0.5 * step
    features = {
        **READY,
        "volatility": [0.5e-4 * mid] * 3,
        "intensity_k": 1e4 / mid,
        "micro_price": mid,
    }
    bids, asks = ask("glft", view(market, bid=bid, ask=bid + step, features=features, maker_rate_e9=150_000))
    for quote in (bids[0], asks[0]):
        distance_bp = abs(quote.price_ticks - mid) / mid * 1e4
        assert 1.5 <= distance_bp <= 1.6 + step / mid * 1e4
        assert 438.0 < market.micro(int(mid), quote.size_lots) / 1e6 <= 500.0


def parameter_values(parameters):
    """A strategy of parameter sets that the ranges allow."""
    return st.fixed_dictionaries(
        {},
        optional={
            name: st.integers(int(item.minimum), int(item.maximum)).map(float)
            if item.unit == "count"
            else st.floats(item.minimum, item.maximum)
            for name, item in parameters.items()
        },
    )


@settings(deadline=None, max_examples=150)
@given(
    chosen=st.sampled_from(MARKETS),
    steps=st.integers(1, 1000),
    position=st.integers(-(10**9), 10**9),
    rates=st.tuples(
        st.integers(-(10**6), 10**6), st.integers(-(4 * 10**10), 4 * 10**10), st.integers(-(10**12), 10**12)
    ),
    mode=st.integers(0, 1),
    measured=st.tuples(st.integers(0, 127), st.floats(0.0, 1e6), st.floats(1e-3, 1e3), st.floats(1e-4, 10.0)),
    params=parameter_values(glft.PARAMS),
)
def test_quotes_are_valid_whatever_the_market_and_the_parameters(
    view, ask, chosen, steps, position, rates, mode, measured, params
):
    market, bid = chosen
    step = market.grid_step(bid)
    offer = bid + steps * step
    offer += -offer % market.grid_step(offer)
    features = dict(zip(("ready", "intensity_a", "intensity_k"), (measured[0], *measured[2:]), strict=True))
    features |= {"volatility": [measured[1]] * 3, "micro_price": bid + step / 3}
    seen = view(
        market, bid=bid, ask=offer, features=features, position_lots=position, mode=mode, maker_rate_e9=rates[0],
        funding_rate_e12=rates[1], signal_e9=rates[2], signal_valid=1,
    )  # fmt: skip
    bids, asks = ask("glft", seen, **params)
    for quote in bids + asks:
        assert market.is_valid_price(quote.price_ticks)
        assert quote.size_lots > 0
    assert all(quote.price_ticks < offer for quote in bids) and all(quote.price_ticks > bid for quote in asks)
    mid = 0.5 * (bid + offer)
    notional = params.get("position_notional_usdc", glft.PARAMS["position_notional_usdc"].default)
    cap = (
        0
        if mode
        else max(int(min(notional / (mid * 10.0**-market.price_decimals * 10.0**-market.size_decimals), 1e12)), 1)
    )
    assert sum(quote.size_lots for quote in bids) <= max(cap + 1 - position, 0)
    assert sum(quote.size_lots for quote in asks) <= max(cap + 1 + position, 0)
    assert len({quote.price_ticks for quote in bids}) == len(bids)
    assert len({quote.price_ticks for quote in asks}) == len(asks)
