"""From the numbers a person reads to what the agents work with."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hlhft.exchange.flow import draws, fair, joiners, makers, state, takers
from hlhft.exchange.flow.draws import ONE, WAIT_NS_MAX
from hlhft.exchange.flow.state import ACCOUNTS, DEEP_SHARES, LEAN_PLACES, LEVELS, MAKERS, legs_max, new_flow
from hlhft.venue.blocks import ACTION_DTYPE
from tests.exchange.flow.stage import BTC, CALM, changed

BLANK = np.zeros(1, ACTION_DTYPE)


def flow_of(**values: float) -> state.Flow:
    return new_flow([BTC], [changed(CALM, **values)], first_account=7, seed=1, blank=BLANK)


def test_units_are_converted():
    numbers = flow_of(
        start_price=100_000.0,
        jumps_per_minute=6.0,
        jump_bp=2.0,
        jump_at_once=0.25,
        half_spread_steps=-0.5,
        maker_delay_s=0.1,
        bursts_per_minute=60.0,
        burst_orders=4.0,
        informed_usdc=250_000.0,
    ).numbers[0]
    assert numbers["start_subticks"] == 1_000_000 * ONE
    assert numbers["jump_wait_ns"] == 10 * 10**9
    assert numbers["jump_subticks"] == 200 * ONE
    assert numbers["jump_at_once"] == ONE // 4
    assert numbers["half_spread"] == -ONE // 2
    assert numbers["delay_steps"] == 4
    assert numbers["burst_wait_ns"] == 10**9
    assert numbers["burst_more"] == 3 * ONE // 4
    assert numbers["informed_lots"] == 250_000, "2.5 bitcoins"
    assert numbers["home_lots"] == 40 * 250_000
    assert numbers["lots_min"] == 12


def test_what_hardly_ever_happens_waits_no_longer_than_can_be_counted():
    assert flow_of(jumps_per_minute=1e-9).numbers[0]["jump_wait_ns"] == WAIT_NS_MAX


def test_the_fair_price_follows_large_orders_more():
    flow = flow_of(start_price=100_000.0, impact_bp=0.5, impact_power=0.5, order_usdc=1e4, order_usdc_max=4e4)
    lots, impact = flow.order_lots[0], flow.order_impact[0]
    assert impact[lots == 10_000][0] == 50 * ONE, "0.5 bp for 10,000 USDC"
    assert impact[-1] == 100 * ONE, "and twice that for four times as much"
    assert impact[0] == pytest.approx(50 * ONE * (12 / 10_000) ** 0.5, rel=1e-4), "the smallest order there is"
    assert (np.diff(impact) >= 0).all()


def test_the_ladder_profile_goes_from_the_touch_to_the_full_level():
    flow = flow_of(level_usdc=400_000.0, touch_share=0.25, ramp_levels=2.0, density=0.5)
    # A maker of four, with an order at every second price: two bitcoins far out, a quarter at the touch.
    assert list(flow.level_lots[0][:4]) == [50_000, 125_000, 200_000, 200_000]
    assert len(flow.level_lots[0]) == LEVELS


def test_deep_orders_are_no_larger_than_the_venue_takes():
    for leverage, most in ((40, 100e6), (20, 16e6), (10, 6e6), (5, 1.6e6)):
        market = dataclasses.replace(BTC, maximum_leverage=leverage)
        flow = new_flow([market], [changed(CALM, level_usdc=1e6)], first_account=0, seed=1, blank=BLANK)
        usdc = [int(lots) * 1e-5 * CALM.start_price for lots in flow.deep_lots[0]]
        assert usdc == [pytest.approx(min(times * 1e6, most), rel=1e-4) for times in DEEP_SHARES]


def test_the_lean_is_even_in_the_middle_and_adds_up():
    lean = flow_of(queue_lean=4.0).lean[0]
    assert lean[LEAN_PLACES // 2] == ONE // 2
    assert (abs(lean + lean[::-1] - ONE) <= 1).all()
    assert (np.diff(lean) >= 0).all()


def test_accounts_follow_each_other_and_room_is_made_for_all():
    flow = flow_of()
    assert list(flow.accounts) == list(range(7, 7 + ACCOUNTS))
    assert flow.states[0]["fair_subticks"] == flow.history[0, 5] == 1_000_000 * ONE
    assert legs_max(2) - legs_max(1) > MAKERS * 2 * LEVELS


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"seed"):
        new_flow([BTC], [CALM], first_account=0, seed=-1, blank=BLANK)


def test_every_number_is_used():
    """None of a market's numbers is for nothing: each changes what the agents work with."""
    before = flow_of()
    for field in dataclasses.fields(CALM):
        after = flow_of(**{field.name: getattr(CALM, field.name) * 0.1 + 0.01})
        assert any(a.tobytes() != b.tobytes() for a, b in zip(before, after)), field.name


def test_the_agents_constants_are_those_of_the_state():
    """The compiled subset wants plain constants; here they are held against what they repeat."""
    for module, names in {
        fair: {"_ONE": ONE, "_STEP_NS": state.FAIR_STEP_NS, "_HISTORY": state.HISTORY},
        makers: {
            "_ONE": ONE,
            "_HISTORY": state.HISTORY,
            "_MAKERS": MAKERS,
            "_LEVELS": LEVELS,
            "_DEEP": state.DEEP,
            "_DEEP_LEVELS": state.DEEP_LEVELS,
        },
        joiners: {"_ONE": ONE, "_JOINER": state.JOINER, "_JOINERS": state.JOINERS, "_LEAN_PLACES": LEAN_PLACES},
        takers: {
            "_ONE": ONE,
            "_NOISE": state.NOISE,
            "_INFORMED": state.INFORMED,
            "_MOMENTUM": state.MOMENTUM,
            "_BURST_ORDERS_MAX": state.BURST_ORDERS_MAX,
        },
        draws: {"ONE": ONE},
    }.items():
        for name, value in names.items():
            assert getattr(module, name) == value, f"{module.__name__}.{name}"
