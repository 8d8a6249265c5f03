"""What models say: kept within its bounds, counted where it was not, and seen by the next decision alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.signals import (
    ASYMMETRY_E6_MAX,
    GAMMA_E6_MAX,
    GAMMA_E6_MIN,
    POLICY_LIFE_NS_MAX,
    SIGNAL_E6_MAX,
    SPREAD_E6_MAX,
    SPREAD_E6_MIN,
)
from hlhft.events import EventKind as Kind
from tests.core.worlds import BUY, SECOND, Quote, World, started

LEAST, MOST = -(2**63), 2**63 - 1
NEUTRAL = (0, 1_000_000, 1_000_000, 1_000_000, 0)
FIELDS = ("price_ticks", "size_lots", "order_id", "aux1")


def tell(world, gamma=1_000_000, signal=1_000_000, spread=1_000_000, asymmetry=0, *, life_ns=SECOND, market=0):
    """A policy that stands for `life_ns`; the commands that it led to."""
    values = dict(zip(FIELDS, (gamma, signal, spread, asymmetry), strict=True))
    return world.say(Kind.POLICY, market=market, aux0=world.now + life_ns, **values)


def seen(world, market=0):
    """What a strategy sees of the policy at the next decision."""
    world.decide()
    names = ("policy_valid", "policy_gamma_e6", "policy_signal_e6", "policy_spread_e6", "policy_asymmetry_e6")
    return tuple(int(world.lane.views[market][name]) for name in names)


def counters(world):
    return tuple(int(world.row[name]) for name in ("signals_ignored", "policies_ignored", "policies_clamped"))


def test_without_a_policy_the_view_is_neutral():
    assert seen(World()) == NEUTRAL


def test_a_policy_stands_in_its_market_until_it_expires():
    world = World(markets=2)
    tell(world, 2_000_000, 500_000, 1_500_000, -250_000, market=1)
    assert seen(world, 1) == (1, 2_000_000, 500_000, 1_500_000, -250_000)
    assert seen(world, 0) == NEUTRAL
    world.decide(after_ns=SECOND - 1)
    assert seen(world, 1)[0] == 1
    world.decide(after_ns=1)
    assert seen(world, 1) == NEUTRAL
    assert counters(world) == (0, 0, 0)


def test_neither_a_signal_nor_a_policy_leads_to_a_decision():
    world = World()
    world.quotes(Quote(BUY, 990))
    before = int(world.row["decisions"])
    for _ in range(1000):
        assert tell(world) == []
        assert world.say(Kind.SIGNAL, price_ticks=100, size_lots=5, aux0=world.now + SECOND) == []
    assert int(world.row["decisions"]) == before
    assert [command.ticks for command in world.decide()] == [990]


def test_the_newest_policy_replaces_the_one_before():
    world = World()
    tell(world, 2_000_000, life_ns=10 * SECOND)
    tell(world, 3_000_000, life_ns=SECOND)
    assert seen(world)[1] == 3_000_000


@settings(deadline=None, max_examples=200)
@given(
    values=st.tuples(*[st.integers(LEAST, MOST) | st.integers(-10_000_000, 10_000_000)] * 4),
    life_ns=st.integers(-2 * SECOND, 200 * SECOND),
)
def test_whatever_comes_stands_within_its_bounds_or_not_at_all(values, life_ns):
    world = started()
    tell(world, *values, life_ns=life_ns)
    valid, gamma, signal, spread, asymmetry = seen(world)
    if life_ns <= 0 or LEAST in values or MOST in values:
        assert (valid, gamma, signal, spread, asymmetry) == NEUTRAL
        assert counters(world) == (0, 1, 0)
        return
    assert valid == 1
    assert GAMMA_E6_MIN <= gamma <= GAMMA_E6_MAX and 0 <= signal <= SIGNAL_E6_MAX
    assert SPREAD_E6_MIN <= spread <= SPREAD_E6_MAX and -ASYMMETRY_E6_MAX <= asymmetry <= ASYMMETRY_E6_MAX
    assert counters(world) == (0, 0, int((gamma, signal, spread, asymmetry) != values))
    assert int(world.position()["policy_until_ns"]) == world.now + min(life_ns, POLICY_LIFE_NS_MAX)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("value", [LEAST, MOST])
def test_what_is_no_number_changes_nothing(place, value):
    """numpy makes int64 of NaN, and of infinity, like this."""
    world = World()
    tell(world, 2_000_000, 1_000_000, 1_500_000, 100_000)
    numbers = [1_000_000] * 4
    numbers[place] = value
    tell(world, *numbers)
    assert seen(world) == (1, 2_000_000, 1_000_000, 1_500_000, 100_000)
    assert counters(world) == (0, 1, 0)


def test_a_policy_for_ever_is_one_for_a_minute():
    world = World()
    world.say(Kind.POLICY, price_ticks=2_000_000, size_lots=1_000_000, order_id=1_000_000, aux0=MOST)
    world.decide(after_ns=POLICY_LIFE_NS_MAX - 1)
    assert seen(world)[0] == 1
    world.decide(after_ns=1)
    assert seen(world) == NEUTRAL


@pytest.mark.parametrize(
    ("move", "deviation"), [(LEAST, 5), (MOST, 5), (10**9 + 1, 5), (-(10**9) - 1, 5), (7, -1), (7, LEAST), (7, MOST)]
)
def test_a_signal_that_makes_no_sense_leaves_the_one_before(move, deviation):
    world = World()
    world.say(Kind.SIGNAL, price_ticks=100, size_lots=3, aux0=world.now + SECOND)
    world.say(Kind.SIGNAL, price_ticks=move, size_lots=deviation, aux0=world.now + SECOND)
    assert (world.position()["signal_e9"], world.position()["signal_deviation_e9"]) == (100, 3)
    assert counters(world) == (1, 0, 0)


def test_the_largest_signals_that_make_sense_are_heard():
    world = World()
    for move in (10**9, -(10**9)):
        world.say(Kind.SIGNAL, price_ticks=move, aux0=world.now + SECOND)
        assert world.position()["signal_e9"] == move
    assert counters(world) == (0, 0, 0)


@pytest.mark.parametrize("kind", [Kind.SIGNAL, Kind.POLICY])
def test_a_model_cannot_halt_the_core_by_naming_a_market_that_is_not_there(kind):
    world = World()
    world.quotes(Quote(BUY, 990))
    assert world.say(kind, market=7, price_ticks=1_000_000, aux0=world.now + SECOND) == []
    assert counters(world)[0] == 1
    assert (world.row["illegal_transitions"], world.row["mode"], world.row["latches"]) == (0, 0, 0)
    assert [command.ticks for command in world.decide()] == [990]


def test_a_flood_changes_no_more_than_its_last_word():
    """The state after a flood is that after its last message, counters apart."""
    flooded, told = World(), World()
    draw = np.random.default_rng(3)
    for _ in range(5000):
        tell(flooded, *draw.integers(-(2**62), 2**62, 4).tolist())
    for world in (flooded, told):
        tell(world, 2_000_000, 500_000, 1_500_000, 50_000)
        world.decide()
    assert counters(flooded) == (0, 0, 5000)
    flooded.row["policies_clamped"] = 0
    for world in (flooded, told):
        world.row["strategy_address"] = 0
    assert flooded.lane_buffer.tobytes() == told.lane_buffer.tobytes()
