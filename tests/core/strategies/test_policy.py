"""A policy around the closed forms: neutral it is not there to the bit, and each multiplier does what its name says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.strategies import avellaneda_stoikov, glft

NAMES = ("glft", "avellaneda_stoikov")
PARAMS = {"glft": glft.PARAMS, "avellaneda_stoikov": avellaneda_stoikov.PARAMS}
MID = 618_000.5
BP = MID * 1e-4
READY = {
    "ready": 127,
    "volatility": [30.0, 30.0, 30.0],
    "intensity_a": 1.0,
    "intensity_k": 0.001,
    "micro_price": MID,
}
NEUTRAL = {"policy_valid": 1, "policy_gamma_e6": 10**6, "policy_signal_e6": 10**6, "policy_spread_e6": 10**6}
# Quotes far enough from the touch to show every move, and not so far that a bound shows instead.
WIDE = {"position_notional_usdc": 1e6, "volatility_bp_max": 1000.0, "half_spread_bp_max": 5000.0}


def prices(answer):
    bids, asks = answer
    return bids[0].price_ticks, asks[0].price_ticks


def distances(answer):
    """Half-spread and how far the centre stands above the mid, in basis points."""
    bid, offer = prices(answer)
    return (offer - bid) / 2 / BP, ((offer + bid) / 2 - MID) / BP


def policy(gamma=1.0, signal=1.0, spread=1.0, asymmetry=0.0):
    values = {"gamma": gamma, "signal": signal, "spread": spread, "asymmetry": asymmetry}
    return {"policy_valid": 1, **{f"policy_{name}_e6": round(value * 1e6) for name, value in values.items()}}


def values_of(name):
    """Parameter sets of a strategy within its ranges."""
    return st.fixed_dictionaries(
        {},
        optional={
            key: st.integers(int(item.minimum), int(item.maximum)).map(float)
            if item.unit == "count"
            else st.floats(item.minimum, item.maximum)
            for key, item in PARAMS[name].items()
        },
    )


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=150)
@given(
    data=st.data(),
    position=st.integers(-1000, 1000),
    move=st.integers(-(10**6), 10**6),
    funding=st.integers(-(10**9), 10**9),
    maker=st.integers(-(10**6), 10**6),
    ready=st.integers(0, 127),
    volatility=st.floats(0.0, 1e4),
)
def test_a_neutral_policy_is_none_to_the_bit(view, ask, name, data, position, move, funding, maker, ready, volatility):
    params = data.draw(values_of(name))
    fields = {
        "features": {**READY, "ready": ready, "volatility": [volatility] * 3}, "position_lots": position,
        "signal_e9": move, "signal_valid": 1, "funding_rate_e12": funding, "maker_rate_e9": maker,
    }  # fmt: skip
    assert ask(name, view(**fields, **NEUTRAL), **params) == ask(name, view(**fields), **params)


@pytest.mark.parametrize("name", NAMES)
def test_gamma_is_that_of_the_parameter_times_the_policys(view, ask, name):
    for share in (0.25, 0.5, 2.0, 4.0):
        held = view(features=READY, position_lots=16, **policy(gamma=share))
        assert ask(name, held, gamma=0.05, **WIDE) == ask(
            name, view(features=READY, position_lots=16), gamma=0.05 * share, **WIDE
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_signals_weight_is_multiplied_and_its_bound_stands(view, ask, name):
    told = {"features": READY, "signal_e9": 200_000, "signal_valid": 1}
    _, without = distances(ask(name, view(features=READY), **WIDE))
    for share in (0.0, 0.5, 2.0):
        _, moved = distances(ask(name, view(**told, **policy(signal=share)), **WIDE))
        assert moved - without == pytest.approx(2.0 * share, abs=0.05)
    bounded = distances(ask(name, view(**told, **policy(signal=2.0)), signal_bp_max=2.5, **WIDE))
    assert bounded[1] - without == pytest.approx(2.5, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_half_spread_is_multiplied_before_fees_and_bounds(view, ask, name):
    half, centre = distances(ask(name, view(features=READY, position_lots=8), **WIDE))
    for share in (0.5, 2.0):
        wider, same = distances(ask(name, view(features=READY, position_lots=8, **policy(spread=share)), **WIDE))
        assert wider == pytest.approx(half * share, abs=0.05)
        assert same == pytest.approx(centre, abs=0.05)
    charged = view(features=READY, maker_rate_e9=5_000_000, **policy(spread=0.5))
    assert distances(ask(name, charged, **WIDE))[0] == pytest.approx(50.0, abs=0.05)
    bound = {**WIDE, "half_spread_bp_max": 1.25 * half}
    assert distances(ask(name, view(features=READY, **policy(spread=2.0)), **bound))[0] == pytest.approx(
        1.25 * half, abs=0.05
    )


@pytest.mark.parametrize("name", NAMES)
def test_asymmetry_moves_the_centre_by_its_share_of_the_half_spread(view, ask, name):
    charged = {"features": READY, "maker_rate_e9": 5_000_000}
    _, without = distances(ask(name, view(**charged), **WIDE))
    for share in (-0.5, 0.2, 0.5):
        half, centre = distances(ask(name, view(**charged, **policy(asymmetry=share)), **WIDE))
        assert half == pytest.approx(50.0, abs=0.05)
        assert centre - without == pytest.approx(share * 50.0, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=100)
@given(
    data=st.data(),
    gamma=st.floats(0.25, 4.0),
    signal=st.floats(0.0, 2.0),
    spread=st.floats(0.5, 2.0),
    asymmetry=st.floats(-0.5, 0.5),
    position=st.integers(-(10**6), 10**6),
)
def test_quotes_stay_valid_under_every_policy(view, ask, name, data, gamma, signal, spread, asymmetry, position):
    params = data.draw(values_of(name))
    told = policy(gamma, signal, spread, asymmetry)
    bids, asks = ask(
        name, view(features=READY, position_lots=position, signal_e9=10**9, signal_valid=1, **told), **params
    )
    assert all(quote.price_ticks < 618_001 and quote.size_lots > 0 for quote in bids)
    assert all(quote.price_ticks > 618_000 and quote.size_lots > 0 for quote in asks)
