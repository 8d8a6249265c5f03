"""Closing at market: by the depth that is there, a pair as one unit, until nothing is held and nothing can fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlhft.core.risk import Breaker
from hlhft.core.state import BookKind
from hlhft.events import EventKind as Kind
from hlhft.units import GridRule, Market, MarketKind
from tests.core.worlds import BUY, SECOND, SELL, USDC, Command, Quote, World, ladder_world, resting, snapshot, started

BIDS = [(999, 100), (998, 200), (960, 300), (940, 1000)]
ASKS = [(1001, 100), (1002, 200), (1040, 300), (1060, 1000)]
FLATTEN = {"aux0": 2}


def flatten(world: World) -> list[Command]:
    return world.say(Kind.OPERATOR_COMMAND, **FLATTEN)


def answer(world: World, lots: int | None = None, *, market: int = 0) -> None:
    """The venue fills `lots` of the newest order, all of it unless said, and ends it; nothing is decided."""
    on_fill, world.limits["decide_on_fill"] = int(world.limits["decide_on_fill"][0]), 0
    order = world.active(market)[-1]
    filled = int(order["remaining_lots"]) if lots is None else lots
    if filled:
        world.fill(order, filled, market=market)
    if filled < order["remaining_lots"]:
        world.say(Kind.ORDER_CANCELLED, market=market, order_id=order["order_id"])
    world.limits["decide_on_fill"] = on_fill


# One order after the other.


def test_a_close_is_tried_until_the_position_is_flat():
    world = started(drawdown_e6_max=30_000)
    world.hold(-100_000_000)
    world.touch(1000, 1002, lots=100_000_000)
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


def test_a_close_that_expired_unheard_is_sent_again():
    world = World(expires_after_ns=14 * SECOND)
    world.hold(500)
    close = world.say(Kind.OPERATOR_COMMAND, aux0=2)
    assert world.decide(after_ns=14 * SECOND) == []
    assert world.decide(after_ns=1) == close == [Command("PLACE", SELL, 950, 500)]


def test_a_close_does_not_wait_for_other_orders():
    world = resting(drawdown_e6_max=30_000)
    world.quotes(Quote(SELL, 1001))
    world.decide()  # cancels the bid, places an offer that nobody answers
    world.hold(1_000_000)
    world.touch(899, 901)
    assert world.decide()[-1] == Command("PLACE", SELL, 855, 1_000_000)


def test_a_close_stays_within_the_gates_band():
    """5 % below a bid lies beyond 5 % from the mid: the close takes the nearer of the two."""
    for side, price in ((SELL, 855), (BUY, 945)):
        world = started(drawdown_e6_max=30_000, price_band_e6=50_000)
        world.hold(-side * 1_000_000, ticks=1000 if side == SELL else 800)
        world.touch(890, 910)
        assert world.decide() == [Command("PLACE", side, price, 1_000_000)]
        assert world.row["refused"] == 0


def test_a_close_needs_both_sides_of_a_book():
    world = World()
    world.hold(1000)
    world.touch(999, 0)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=2) == []
    world.touch(999, 1001)
    assert world.decide() == [Command("PLACE", SELL, 950, 1000)]


def test_both_legs_are_closed_as_one():
    world = started(markets=2, drawdown_e6_max=30_000)
    world.hold(1_000_000, market=0)
    world.hold(-900_000, market=1)
    world.touch(959, 961, market=0)
    assert world.decide() == [
        Command("PLACE", SELL, 912, 1_000_000, 0),
        Command("PLACE", BUY, 1051, 900_000, 1),
    ]


# One market.


@pytest.mark.parametrize("kind", [BookKind.SNAPSHOT, BookKind.LADDER])
@pytest.mark.parametrize(("side", "limit", "shown"), [(SELL, 950, 600), (BUY, 1051, 600)])
def test_a_close_takes_what_the_book_shows_within_its_limit(kind, side, limit, shown):
    """5 % beyond the touch: the fourth level lies outside."""
    world = ladder_world() if kind == BookKind.LADDER else World()
    if kind == BookKind.LADDER:
        world.data.ladders["base_ticks"], world.data.ladders["width"] = 900, 256
        world.data = world.data._replace(cells=np.zeros((1, 2, 256), np.int64))
    world.hold(-side * 5000)
    world.feed(snapshot(world.now, BIDS, ASKS))
    assert flatten(world) == [Command("PLACE", side, limit, shown)]
    assert (world.raw[0]["time_in_force"], world.raw[0]["reduce_only"]) == (2, 1)


def test_the_next_slice_follows_the_answer():
    world = World()
    world.hold(1000)
    world.feed(snapshot(world.now, BIDS, ASKS))
    assert flatten(world) == [Command("PLACE", SELL, 950, 600)]
    assert world.decide() == []
    answer(world, 500)
    assert world.decide() == [Command("PLACE", SELL, 950, 500)]


def test_what_is_ours_in_the_book_is_no_depth():
    world = World()
    world.data.books["contains_own"] = 1
    world.quotes(Quote(BUY, 998, 150))
    world.decide()
    world.acknowledge()
    world.hold(5000)
    world.feed(snapshot(world.now, BIDS, ASKS))
    assert flatten(world)[-1] == Command("PLACE", SELL, 950, 450)


def test_an_empty_looking_book_is_tried_with_the_smallest_order():
    """Of 10 USDC at 999 ticks: 10,011 lots."""
    world = World()
    world.data.markets["minimum_notional_micro"] = 10 * USDC
    world.hold(500_000)
    world.feed(snapshot(world.now, [(999, 3)], [(1001, 3)]))
    assert flatten(world) == [Command("PLACE", SELL, 950, 10_011)]


def test_it_ends_when_nothing_is_held_and_nothing_can_fill_and_begins_again_when_something_appears():
    world = World()
    world.quotes(Quote(BUY, 990))
    world.decide()
    world.hold(300)
    bid = world.active()[0]
    world.say(Kind.ORDER_UNKNOWN, order_id=bid["order_id"])
    flatten(world)
    answer(world)
    world.decide()
    # Flat, but a bid whose fate is unknown may still buy.
    assert (world.position()["position_lots"], world.row["close_at_market"]) == (0, 1)
    world.say(Kind.ORDER_CANCELLED, order_id=bid["order_id"])
    assert (world.row["close_at_market"], world.row["must_be_flat"]) == (0, 1)
    # A fill that comes late is closed, too.
    world.hold(70)
    assert world.decide() == [Command("PLACE", SELL, 950, 70)]
    assert world.row["close_at_market"] == 1
    world.say(Kind.OPERATOR_COMMAND, aux0=1)
    assert (world.row["close_at_market"], world.row["must_be_flat"]) == (0, 0)


@pytest.mark.parametrize(
    ("gone", "back"),
    [((Kind.CONNECTION_DOWN, 0), (Kind.CONNECTION_UP, 0)), ((Kind.VENUE_MODE, 2), (Kind.VENUE_MODE, 0))],
)
def test_without_a_venue_nothing_is_closed(gone, back):
    world = World()
    world.hold(300)
    world.say(gone[0], aux0=gone[1])
    assert flatten(world) == []
    assert world.decide(after_ns=SECOND) == []
    assert world.row["close_at_market"] == 1
    assert world.say(back[0], aux0=back[1]) == [Command("PLACE", SELL, 950, 300)]


def test_a_book_of_one_side_is_waited_for():
    world = World()
    world.hold(300)
    world.touch(999, 0)
    assert flatten(world) == []


def of_kinds(*kinds: MarketKind, cap: int = 0, decimals: tuple[int, int] = (3, 3), minimum: int = 0) -> World:
    """Two markets of these kinds that are the legs of a pair; a lot of the coarser one is worth a micro-USDC a tick."""
    world = World(markets=2)
    for index, kind in enumerate(kinds):
        world.data.markets[index]["kind"] = int(kind)
        world.data.markets[index]["size_decimals"] = decimals[index]
        world.data.markets[index]["micro_denominator"] = 10 ** (decimals[index] - min(decimals))
        world.data.markets[index]["minimum_notional_micro"] = minimum
        world.position(index)["pair"] = 2 - index
        world.position(index)["unhedged_micro_max"] = cap
    return world


def carrying(lots: int, other: int, **more: int) -> World:
    """Long spot in market 0, short the perpetual in market 1."""
    world = of_kinds(MarketKind.SPOT, MarketKind.PERPETUAL, **more)  # type: ignore[arg-type]
    world.hold(lots, market=0)
    world.hold(other, market=1)
    return world


# What our own orders on the close's side may still sell.


def holding(lots: int, *asks: int, **limits: int) -> World:
    """A world that holds `lots` and has sent these offers, which nobody has answered."""
    world = World(**limits)
    world.hold(lots)
    world.quotes(*(Quote(SELL, 1001 + place, size) for place, size in enumerate(asks)))
    world.decide()
    return world


@pytest.mark.parametrize(
    ("limits", "asks", "lots"),
    [
        ({}, (1100, 900), 1000),
        ({"position_lots_max": 1500}, (1100, 900), 500),
        # 1.501501 USDC are 1500 lots at the offer.
        ({"position_notional_micro_max": 1_501_501}, (1100, 900), 500),
        ({"exposure_micro_max": 1_501_501}, (1100, 900), 500),
        # No more than what is held already: that much of the other side is no greater risk.
        ({"position_lots_max": 1000}, (500, 500), 1000),
    ],
)
def test_a_close_leaves_no_more_to_sell_than_the_caps_allow(limits, asks, lots):
    """Unanswered offers cannot be cancelled, and once the position is gone they make one."""
    world = holding(1000, *asks, **limits)
    assert len(world.active()) == len(asks)
    assert flatten(world) == [Command("PLACE", SELL, 950, lots)]


def test_what_may_not_be_closed_yet_is_closed_once_the_offers_are_gone():
    world = holding(1000, 1100, 900, position_lots_max=1500)
    flatten(world)
    answer(world)
    assert [command.kind for command in world.decide()] == []
    world.acknowledge()
    assert [command.kind for command in world.decide()] == ["CANCEL", "CANCEL"]
    world.say(Kind.ORDER_CANCELLED, order_id=world.active()[0]["order_id"])
    assert world.active()[-1]["remaining_lots"] == 500
    answer(world)
    assert world.position()["position_lots"] == 0


def test_a_remainder_below_the_smallest_order_waits_for_the_offers_end():
    world = holding(1000, 1100, 1000, position_lots_max=1200)
    world.data.markets["minimum_notional_micro"] = USDC // 5
    assert flatten(world) == []
    world = holding(1000, 1100, 1000, position_lots_max=1301)
    world.data.markets["minimum_notional_micro"] = USDC // 5
    assert flatten(world) == [Command("PLACE", SELL, 950, 201)]


def test_a_cap_that_was_outgrown_keeps_nothing_from_being_closed():
    world = holding(1000, position_lots_max=100, exposure_micro_max=1)
    assert flatten(world) == [Command("PLACE", SELL, 950, 1000)]


def test_what_is_held_elsewhere_counts_against_the_cap_of_all():
    world = World(markets=2, exposure_micro_max=2_002_000)
    world.hold(600, market=1)
    world.hold(1000)
    world.quotes(Quote(SELL, 1001, 2000))
    world.decide()
    # 2000 lots at the offer in all, 600 of them in the other market: 1400 may be short, and are offered.
    assert flatten(world) == [Command("PLACE", SELL, 950, 400), Command("PLACE", SELL, 950, 600, 1)]


def test_neither_leg_of_a_pair_leaves_more_than_the_caps_allow():
    world = of_kinds(MarketKind.PERPETUAL, MarketKind.PERPETUAL)
    world.limits["position_lots_max"] = 5000
    world.hold(4000)
    world.hold(-4000, market=1)
    world.quotes(Quote(SELL, 1001, 8000))
    world.decide()
    assert flatten(world) == [Command("PLACE", SELL, 950, 1000, 0), Command("PLACE", BUY, 1051, 1000, 1)]
    world = of_kinds(MarketKind.PERPETUAL, MarketKind.PERPETUAL, minimum=USDC)
    world.limits["position_lots_max"] = 5000
    world.hold(4000)
    world.hold(-4000, market=1)
    world.quotes(Quote(SELL, 1001, 8100))
    world.decide()
    assert flatten(world) == []


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 3000),
    st.lists(st.integers(1, 2000), max_size=3),
    st.lists(st.sampled_from(["close", "offer", "acknowledge", "cancelled"]), max_size=20),
)
def test_whatever_fills_in_whatever_order_the_cap_holds(lots, asks, happenings):
    cap = 2000
    world = holding(lots, *asks, position_lots_max=cap)
    flatten(world)
    for happening in happenings:
        orders = world.active()
        closes, offers = orders[orders["reduce_only"] == 1], orders[orders["reduce_only"] == 0]
        held = int(world.position()["position_lots"])
        # All offers at once, after every close: the worst that can come.
        assert held - min(int(closes["remaining_lots"].sum()), max(held, 0)) - int(offers["remaining_lots"].sum()) >= (
            -max(cap, lots)
        )
        if happening == "close" and len(closes):
            world.fill(closes[0], int(closes[0]["remaining_lots"]))
        elif happening == "offer" and len(offers):
            world.fill(offers[0], int(offers[0]["remaining_lots"]))
        elif happening == "acknowledge":
            world.acknowledge()
        elif happening == "cancelled" and len(offers):
            world.say(Kind.ORDER_CANCELLED, order_id=offers[0]["order_id"])
        world.decide()


# A pair.


def test_a_spot_position_is_sold_without_reduce_only_and_waited_for_whatever_its_fate():
    """Nothing at the venue keeps a second sale from following the first: an unknown one blocks."""
    world = World()
    world.data.markets["kind"] = int(MarketKind.SPOT)
    world.hold(500)
    assert flatten(world) == [Command("PLACE", SELL, 950, 500)]
    assert (world.raw[0]["reduce_only"], world.active()[0]["reduce_only"]) == (0, 1)
    world.say(Kind.ORDER_UNKNOWN, order_id=world.active()[0]["order_id"])
    assert world.decide(after_ns=60 * SECOND) == []
    world.say(Kind.ORDER_EXPIRED, order_id=world.active()[0]["order_id"])
    assert len(world.active()) == 1


def test_both_legs_go_together():
    world = carrying(5000, -5000)
    assert flatten(world) == [Command("PLACE", SELL, 950, 5000, 0), Command("PLACE", BUY, 1051, 5000, 1)]
    assert world.raw["reduce_only"].tolist() == [0, 1]


def test_both_legs_are_cut_to_the_thinner_book_and_to_the_cap():
    """A lot costs 1001 micro-USDC at most: 3 USDC are 2997 lots."""
    world = carrying(5000, -5000, cap=3 * USDC)
    assert [command.lots for command in flatten(world)] == [2997, 2997]
    world = carrying(5000, -5000, cap=3 * USDC)
    world.feed(snapshot(world.now, BIDS, ASKS, market=1))
    assert [command.lots for command in flatten(world)] == [600, 600]


def test_a_leg_waits_for_the_other_ones_answer():
    world = carrying(5000, -5000, cap=3 * USDC)
    flatten(world)
    answer(world, market=0)
    assert world.decide() == []
    world.say(Kind.ORDER_UNKNOWN, market=1, order_id=world.active(1)[0]["order_id"])
    assert world.decide(after_ns=60 * SECOND) == []
    answer(world, 0, market=1)
    # The spot leg was sold, the other was not: what exceeds goes first, and alone.
    assert world.decide() == [Command("PLACE", BUY, 1051, 2997, 1)]
    answer(world, market=1)
    assert [command.lots for command in world.decide()] == [2003, 2003]


@pytest.mark.parametrize(
    ("lots", "other", "expected"),
    [
        (5000, -3000, [Command("PLACE", SELL, 950, 2000, 0)]),
        (3000, -5000, [Command("PLACE", BUY, 1051, 2000, 1)]),
        (5000, 0, [Command("PLACE", SELL, 950, 5000, 0)]),
        (0, -5000, [Command("PLACE", BUY, 1051, 5000, 1)]),
        (0, 0, []),
        # Two longs hedge nothing.
        (10, 20, [Command("PLACE", SELL, 950, 10, 0), Command("PLACE", SELL, 950, 20, 1)]),
    ],
)
def test_what_exceeds_the_other_leg_goes_first(lots, other, expected):
    assert flatten(carrying(lots, other, cap=USDC)) == expected


def test_a_leg_without_a_book_keeps_the_other_one():
    world = carrying(5000, -5000)
    world.touch(0, 1001, market=1)
    assert flatten(world) == []
    world = carrying(5000, -5000)
    world.touch(0, 1001, market=0)
    assert flatten(world) == []


def test_legs_of_different_lots_are_closed_in_lots_of_the_coarser():
    """Spot lots are a tenth: 50,004 of them are 5000 of the perpetual's, and the last slice takes the rest along."""
    world = carrying(50_004, -5000, decimals=(4, 3), cap=3 * USDC)
    assert [command.lots for command in flatten(world)] == [29_970, 2997]
    answer(world, market=0)
    answer(world, market=1)
    assert [command.lots for command in world.decide()] == [20_034, 2003]


def test_an_excess_too_small_for_an_order_goes_with_the_last_slice():
    world = carrying(50_000, -45_000, minimum=10 * USDC)
    assert [command.lots for command in flatten(world)] == [50_000, 45_000]


@pytest.mark.parametrize("names", [(2, 0), (1, 1), (9, 1)])
def test_a_pair_that_does_not_name_both_its_legs_is_none(names):
    world = carrying(5000, -5000, cap=USDC)
    for index, name in enumerate(names):
        world.position(index)["pair"] = name
    assert [command.lots for command in flatten(world)] == [5000, 5000]


def test_a_drawdown_closes_a_pair_as_one_unit():
    world = carrying(1_000_000, -1_000_000, cap=400 * USDC)
    world.limits["drawdown_e6_max"] = 30_000
    world.decide()
    world.touch(979, 981, market=0)
    world.touch(1019, 1021, market=1)
    commands = world.decide()
    assert world.row["halt_code"] == Breaker.DRAWDOWN
    assert [(command.side, command.lots) for command in commands] == [(SELL, 407_747), (BUY, 407_747)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.booleans()), max_size=12),
)
def test_whatever_each_leg_fills_the_pair_never_stands_apart_further_than_it_did_or_than_the_cap(lots, other, answers):
    """In every order of partly filled, refused and unknown answers; at the end of good ones it is flat."""
    cap = 3 * USDC
    world = carrying(lots, -other, cap=cap)
    flatten(world)
    widest = max(abs(lots - other), cap // 1000)
    for percent, other_percent, swap in [*answers, *[(100, 100, False)] * 16]:
        legs = [(0, percent), (1, other_percent)]
        for market, share in legs[::-1] if swap else legs:
            if len(world.active(market)):
                left = int(world.active(market)[-1]["remaining_lots"])
                answer(world, left * share // 100, market=market)
            apart = abs(int(world.position(0)["position_lots"] + world.position(1)["position_lots"]))
            assert apart <= widest
            assert world.position(0)["position_lots"] >= 0 >= world.position(1)["position_lots"]
            if swap:
                world.decide()
        world.decide()
        widest = max(min(widest, apart), cap // 1000)
    assert (world.position(0)["position_lots"], world.position(1)["position_lots"]) == (0, 0)
    assert world.row["close_at_market"] == 0


def test_the_smallest_order_is_worth_the_minimum():
    coin = Market(name="X", asset_id=0, price_decimals=3, size_decimals=3, grid_rule=GridRule.FIXED)
    world = World(of=coin)
    world.hold(1_000_000)
    world.touch(1000, 1001, lots=1)
    (command,) = flatten(world)
    assert coin.micro(1000, command.lots) == 10 * USDC
