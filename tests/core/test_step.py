"""One call a frame: atomic, one re-quote, the same bytes for the same events, and nothing allocated on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hlhft.core.risk import Breaker, RiskRefusal
from hlhft.core.state import BookKind, CommandClass, Feature, OrderState
from hlhft.core.step import step
from hlhft.events import EventKind as Kind
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.strategies import failures
from hlhft.units import Market
from tests.core.worlds import (
    BUY,
    IOC,
    MS,
    SECOND,
    SELL,
    USDC,
    Command,
    Quote,
    World,
    event,
    ladder_world,
    resting,
    snapshot,
)

BIDS = [(999 - level, 1000 + level) for level in range(20)]
ASKS = [(1001 + level, 1000 + level) for level in range(20)]
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)


def calls(world: World) -> int:
    return int(world.script[0]["calls"])


# Frames.


def test_a_frame_is_one_decision_after_its_last_event():
    world = World()
    world.quotes(Quote(BUY, 990))
    assert world.feed(snapshot(world.now, BIDS, ASKS)) == [Command("PLACE", BUY, 990, 1000)]
    assert (calls(world), world.row["decisions"]) == (1, 1)
    book, view = world.data.books[0], world.lane.views[0]
    assert (book["bid_count"], book["ask_count"]) == (20, 20)
    assert (view["best_bid_ticks"], view["best_bid_lots"], view["best_ask_ticks"]) == (999, 1000, 1001)


def test_a_decision_sees_the_whole_frame():
    """A fill and the book that it changed arrive together: one decision knows both."""
    world = resting(Quote(BUY, 990))
    order = world.active()[0]
    fill = event(Kind.ORDER_FILLED, world.now, side=BUY, price_ticks=990, size_lots=400, aux0=600)
    fill["order_id"] = order["order_id"]
    before = calls(world)
    world.feed(snapshot(world.now, BIDS, ASKS), fill)
    view = world.lane.views[0]
    assert calls(world) == before + 1
    assert (view["position_lots"], view["open_buy_lots"], view["best_bid_ticks"]) == (400, 600, 999)


def test_the_time_of_a_frame_is_its_newest():
    world = World()
    world.feed(snapshot(world.now, BIDS, ASKS), event(Kind.TIMER, world.now + 5), event(Kind.TIMER, world.now + 3))
    assert world.row["now_ns"] == world.now + 5


def test_no_event_is_no_decision():
    world = World()
    assert step(world.data, world.lane, world.limits, world.scratch, event(Kind.TIMER, world.now), 0, world.out) == 0
    assert world.row["decisions"] == 0


@pytest.mark.parametrize(
    ("kind", "on_frame", "on_fill", "due"),
    [
        (Kind.DEPTH_LEVEL, 1, 0, True),
        (Kind.DEPTH_LEVEL, 0, 1, False),
        (Kind.TRADE, 1, 0, True),
        (Kind.ORDER_EXPIRED, 0, 1, True),
        (Kind.ORDER_EXPIRED, 1, 0, False),
        (Kind.COMMAND_SENT, 1, 1, False),
        (Kind.COMMAND_SEND_FAILED, 1, 1, False),
        (Kind.ACCOUNT_STATE, 1, 1, False),
        (Kind.LEDGER_TRANSFER, 1, 1, False),
        (Kind.FUNDING_PAYMENT, 1, 1, False),
        (Kind.FEE_CHANGE, 1, 1, False),
        (Kind.LEVERAGE_CHANGE, 1, 1, False),
        (Kind.SIGNAL, 1, 1, False),
        (Kind.POLICY, 1, 1, False),
        (Kind.TIMER, 0, 0, True),
        (Kind.CONNECTION_UP, 0, 0, True),
        (Kind.CONNECTION_DOWN, 0, 0, True),
        (Kind.VENUE_MODE, 0, 0, True),
        (Kind.OPERATOR_COMMAND, 0, 0, True),
        (Kind.MARKET_STATE, 0, 0, True),
        (Kind.POSITION_STATE, 0, 0, True),
        (Kind.EQUITY_STATE, 0, 0, True),
        (Kind.RESTORED, 0, 0, True),
        (Kind.ORDER_ADOPTED, 0, 1, True),
    ],
)
def test_what_a_decision_is_due_after(kind, on_frame, on_fill, due):
    world = World(decide_on_frame=on_frame, decide_on_fill=on_fill)
    world.say(kind)
    assert world.row["decisions"] == due


def test_an_event_of_a_market_that_is_not_there_halts():
    for kind in (Kind.TRADE, Kind.ORDER_FILLED):
        world = resting(Quote(BUY, 999))
        before = world.data_buffer.copy()
        commands = world.say(kind, market=1, side=BUY, price_ticks=7, size_lots=7, aux0=1)
        assert commands == [Command("CANCEL", BUY, 999, 1000)]
        assert world.row["halt_code"] == Breaker.ILLEGAL_TRANSITION
        assert np.array_equal(world.data_buffer, before)


def test_kinds_without_a_meaning_change_nothing_but_the_clock():
    world = World()
    lane = world.lane_buffer.copy()
    for kind in (Kind.LEVERAGE_CHANGE, 53, 63):
        assert world.feed(event(kind, world.now)) == []  # type: ignore[arg-type]
    assert np.array_equal(world.lane_buffer, lane)


# Quotes and orders.


def test_a_kept_price_is_never_touched():
    """Nor is its size: it would cost the place in the queue."""
    world = resting(Quote(BUY, 999), Quote(SELL, 1001))
    before = world.active()
    for lots in (1000, 10, 5000):
        world.quotes(Quote(SELL, 1001, lots), Quote(BUY, 999, lots))
        assert world.decide() == []
    assert np.array_equal(world.active(), before)


def test_a_move_that_is_not_worth_its_action_is_not_made():
    """0.2 % of 999 and 1001 are a tick: an order stays where a quote is one tick away, and moves for two."""
    world = resting(Quote(BUY, 999), Quote(SELL, 1001), requote_e6_min=2_000)
    for shift in (1, -1, 0):
        world.quotes(Quote(BUY, 999 + shift), Quote(SELL, 1001 + shift))
        assert world.decide() == []
    world.quotes(Quote(BUY, 997), Quote(SELL, 1001))
    assert world.decide() == [Command("CANCEL", BUY, 999, 1000), Command("PLACE", BUY, 997, 1000)]
    # What is on its way out holds nothing.
    world.quotes(Quote(BUY, 998), Quote(SELL, 1001))
    world.acknowledge()
    assert world.decide() == []
    world.quotes(Quote(BUY, 1000), Quote(SELL, 1002))
    assert world.decide() == [Command("CANCEL", BUY, 997, 1000), Command("PLACE", BUY, 1000, 1000)]


def test_a_ladder_that_shifts_by_less_than_that_costs_no_more_than_it_would():
    """A price where an order of ours stands is that order's: nothing is placed twice."""
    world = resting(*[Quote(BUY, 999 - level) for level in range(4)], requote_e6_min=2_000)
    world.quotes(*[Quote(BUY, 998 - level) for level in range(4)])
    assert world.decide() == [Command("CANCEL", BUY, 999, 1000), Command("PLACE", BUY, 995, 1000)]


def test_where_it_is_set_a_move_is_one_modification_and_what_cannot_be_one_is_two_commands():
    world = resting(Quote(BUY, 999), Quote(SELL, 1001), amend=1)
    world.quotes(Quote(BUY, 998), Quote(SELL, 1002, 5000))
    assert world.decide() == [
        Command("MODIFY", BUY, 998, 1000),
        Command("CANCEL", SELL, 1001, 1000),
        Command("PLACE", SELL, 1002, 5000),
    ]


def test_a_quote_of_a_stale_market_is_refused_and_what_waited_is_taken_back():
    world = World(markets=2, batch_window_ns=2 * MS, exposure_micro_max=10 * USDC)
    world.row["batch_busy_until_ns"][:] = world.now + SECOND
    world.quotes(Quote(BUY, 999), Quote(BUY, 999, market=1))
    assert world.decide() == []
    assert world.row["exposure_micro"] == 2 * 1001 * 1000
    world.say(Kind.MARKET_STATE, market=1, aux0=1)
    assert [len(world.active(market)) for market in (0, 1)] == [1, 0]
    assert world.row["refusals"][RiskRefusal.NO_BOOK] == 1
    assert world.decide(after_ns=2 * MS) == [Command("PLACE", BUY, 999, 1000)]


def test_a_flatten_cancels_and_closes_and_an_old_answer_is_looked_for():
    world = resting(Quote(BUY, 999), unknown_age_ns_max=SECOND)
    world.hold(300)
    assert world.say(Kind.OPERATOR_COMMAND, aux0=2) == [
        Command("CANCEL", BUY, 999, 1000),
        Command("PLACE", SELL, 950, 300),
    ]


def test_an_order_that_nobody_knows_of_holds_no_neighbouring_quote():
    world = resting(Quote(BUY, 999), requote_e6_min=2_000)
    world.say(Kind.ORDER_UNKNOWN, order_id=world.active()[0]["order_id"])
    world.quotes(Quote(BUY, 998))
    assert world.decide() == [Command("PLACE", BUY, 998, 1000)]


def test_a_quote_of_no_size_is_no_quote():
    world = resting(Quote(BUY, 999))
    world.quotes(Quote(BUY, 999, 0), Quote(SELL, 1001, 0))
    assert world.decide() == [Command("CANCEL", BUY, 999, 1000)]
    assert world.row["refused"] == 0


@pytest.mark.parametrize("shift", [1, -1])
@pytest.mark.parametrize("levels", [1, 5, 20])
def test_a_ladder_that_shifts_by_one_costs_two_actions_a_side(levels, shift):
    def ladder(moved: int) -> list[Quote]:
        return [
            Quote(side, 1000 + moved - side * (3 + level), market=0) for side in (BUY, SELL) for level in range(levels)
        ]

    world = resting(*ladder(0))
    world.quotes(*ladder(shift))
    commands = world.decide()
    for side in (BUY, SELL):
        kinds = [command.kind for command in commands if command.side == side]
        assert sorted(kinds) == ["CANCEL", "PLACE"]
    # Cancels come first, and the classes apart: two actions.
    assert [command.kind for command in commands] == ["CANCEL", "CANCEL", "PLACE", "PLACE"]
    assert len(set(world.raw["batch_id"].tolist())) == 2


def test_an_occupied_price_gets_no_second_order_whatever_the_state_of_the_first():
    world = World()
    world.quotes(Quote(BUY, 999))
    assert len(world.decide()) == 1
    assert world.decide() == []  # sent
    world.acknowledge()
    world.quotes()
    assert [command.kind for command in world.decide()] == ["CANCEL"]
    world.quotes(Quote(BUY, 999))
    assert world.decide() == []  # its cancel is on its way
    order = world.active()[0]["order_id"]
    assert world.say(Kind.ORDER_CANCELLED, order_id=order) == [Command("PLACE", BUY, 999, 1000)]
    world.say(Kind.ORDER_UNKNOWN, order_id=world.active()[0]["order_id"])
    assert world.decide() == []


def test_two_quotes_at_one_price_are_one_order():
    world = World()
    world.quotes(Quote(BUY, 999), Quote(BUY, 999, 500))
    assert world.decide() == [Command("PLACE", BUY, 999, 1000)]


def test_an_immediate_order_is_no_resting_one():
    """It is sent once while it is under way, never cancelled, and its price may be taken again after its end."""
    world = resting(Quote(BUY, 999))
    taking = Quote(BUY, 1001, 300, time_in_force=IOC)
    world.quotes(Quote(BUY, 999), taking)
    assert world.decide() == [Command("PLACE", BUY, 1001, 300)]
    assert world.raw[0]["command_class"] == CommandClass.OTHER
    assert world.decide() == []
    order = world.active()[1]
    world.quotes(Quote(BUY, 999))
    assert world.fill(order, 100) == []
    assert world.active()[1]["state"] == OrderState.PARTIAL
    assert world.decide() == []
    assert world.say(Kind.OPERATOR_COMMAND, aux0=0) == [Command("CANCEL", BUY, 999, 1000)]
    assert world.say(Kind.ORDER_EXPIRED, order_id=order["order_id"]) == []
    assert world.position()["open_buy_lots"] == 1000
    assert world.position()["position_lots"] == 100


def test_markets_are_quoted_by_themselves():
    world = resting(Quote(BUY, 999), Quote(BUY, 999, market=1), Quote(SELL, 1001, market=2), markets=3)
    world.quotes(Quote(BUY, 999, market=1), Quote(SELL, 1002, market=2))
    assert world.decide() == [
        Command("CANCEL", BUY, 999, 1000, 0),
        Command("CANCEL", SELL, 1001, 1000, 2),
        Command("PLACE", SELL, 1002, 1000, 2),
    ]
    # Cancels of several markets are one action.
    assert world.raw["batch_id"][0] == world.raw["batch_id"][1]


def test_frames_of_several_markets_are_finished_each():
    world = World(markets=2, strategy="glft")
    for market in range(2):
        world.touch(0, 0, market=market)
    first = snapshot(world.now, BIDS, ASKS)
    second = snapshot(world.now, [(899, 50)], [(901, 70)], market=1)
    world.feed(first, second)
    assert [float(features["mid_price"]) for features in world.data.features] == [1000.0, 900.0]
    assert world.row["decisions"] == 1


# Actions and their answers.


def test_an_action_is_in_flight_until_the_first_answer_to_any_of_its_orders():
    world = World(markets=2, address_enforced=1)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(BUY, 998, market=1))
    world.decide()
    assert (world.row["posts_in_flight"], world.row["address_actions"]) == (1, 3)
    first = world.active()[0]
    acknowledged = {"side": BUY, "price_ticks": 999, "size_lots": 1000}
    world.say(Kind.ORDER_ACKNOWLEDGED, order_id=first["order_id"], **acknowledged)
    assert world.row["posts_in_flight"] == 0
    assert not world.active()["batch_id"].any() and not world.active(1)["batch_id"].any()
    # The rest of the same answer, and anything later, answers nothing.
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(BUY, 998, market=1), Quote(BUY, 990))
    world.decide()
    assert world.row["posts_in_flight"] == 1
    world.acknowledge(1)
    world.fill(first, 10)
    assert world.row["posts_in_flight"] == 1
    world.acknowledge()
    assert world.row["posts_in_flight"] == 0


def test_a_fill_does_not_answer_a_cancel():
    world = resting(Quote(BUY, 999), address_enforced=1)
    world.quotes()
    world.decide()
    order = world.active()[0]
    world.fill(order, 10)
    assert world.row["posts_in_flight"] == 1
    world.say(Kind.ORDER_CANCELLED, order_id=order["order_id"])
    assert world.row["posts_in_flight"] == 0


def test_an_action_that_never_left_takes_its_orders_along():
    world = World(markets=2, address_enforced=1)
    world.quotes(Quote(BUY, 999), Quote(BUY, 998), Quote(SELL, 1001, market=1))
    world.decide()
    batch = int(world.raw[0]["batch_id"])
    world.say(Kind.COMMAND_SEND_FAILED, order_id=batch + 1, aux0=1)
    assert (world.row["orders_open"], world.row["posts_in_flight"]) == (3, 1)
    world.say(Kind.COMMAND_SEND_FAILED, order_id=batch, aux0=1)
    assert (world.row["orders_open"], world.row["posts_in_flight"]) == (0, 0)
    assert [position["open_buy_lots"] + position["open_sell_lots"] for position in world.lane.positions] == [0, 0]
    assert world.row["illegal_transitions"] == 0


def test_cancels_that_never_left_leave_their_orders_open():
    world = resting(Quote(BUY, 999), Quote(BUY, 998))
    world.quotes()
    world.decide()
    world.say(Kind.COMMAND_SEND_FAILED, order_id=int(world.raw[0]["batch_id"]), aux0=1)
    assert world.active()[["state", "batch_id"]].tolist() == [(OrderState.OPEN, 0)] * 2
    assert [command.kind for command in world.decide()] == ["CANCEL", "CANCEL"]


def test_a_rejected_cancel_is_not_repeated_for_ever():
    """The venue knows no such order; its fill may be under way: it counts, and nobody asks again."""
    world = resting(Quote(BUY, 999), unknown_age_ns_max=SECOND)
    world.quotes()
    world.decide()
    order = world.active()[0]
    assert world.say(Kind.CANCEL_REJECTED, order_id=order["order_id"], aux0=11) == []
    assert [world.decide() for _ in range(3)] == [[], [], []]
    assert world.position()["open_buy_lots"] == 1000
    world.fill(order, 1000)
    assert (world.position()["open_buy_lots"], world.position()["position_lots"]) == (0, 1000)


def test_traded_volume_buys_actions():
    world = resting(Quote(BUY, 999, 5_000_500), address_enforced=1)
    world.fill(world.active()[0], 5_000_500)
    world.decide()
    # 4995.4995 USDC.
    assert (world.row["volume_micro"], world.row["address_allowance"]) == (4_995_499_500, 14_995)


# What else arrives.


def test_account_events_go_where_they_belong():
    world = World(markets=2)
    world.feed(
        event(Kind.FEE_CHANGE, world.now, market=1, aux0=-30_000, aux1=450_000),
        event(Kind.FUNDING_PAYMENT, world.now, market=1, aux0=-25),
        event(Kind.LEDGER_TRANSFER, world.now, aux0=900),
        event(Kind.LEDGER_TRANSFER, world.now, aux0=-400),
        event(Kind.SIGNAL, world.now, market=1, price_ticks=70, size_lots=8, aux0=world.now + 1),
        event(Kind.ACCOUNT_STATE, world.now, price_ticks=50, size_lots=20, order_id=10, aux0=3, aux1=12_000),
        event(Kind.VENUE_MODE, world.now, aux0=1),
        event(Kind.CONNECTION_DOWN, world.now),
    )
    position, row = world.position(1), world.row
    assert (position["maker_rate_e9"], position["taker_rate_e9"], position["funding_micro"]) == (-30_000, 450_000, -25)
    assert (position["signal_e9"], position["signal_deviation_e9"]) == (70, 8)
    assert position["signal_until_ns"] == world.now + 1
    assert (row["transfers_micro"], row["venue_mode"], row["connected"]) == (500, 1, -1)
    assert (row["margin_value_micro"], row["margin_used_micro"], row["maintenance_micro"]) == (50, 20, 10)
    assert (row["address_actions"], row["address_allowance"]) == (3, 12_000)
    world.feed(event(Kind.CONNECTION_UP, world.now), event(Kind.ADDRESS_ACTIONS, world.now, aux0=4))
    assert (row["connected"], row["address_actions"]) == (1, 7)


def test_operator_commands():
    """0 halt, 1 resume, 2 flatten, 3 strategy too slow, 4 stop."""
    world = World()
    for command, code, mode in ((0, Breaker.OPERATOR, 2), (1, 0, 0), (3, Breaker.STRATEGY, 2), (1, 0, 0)):
        world.say(Kind.OPERATOR_COMMAND, aux0=command)
        assert (world.row["halt_code"], world.row["mode"], world.row["must_be_flat"]) == (code, mode, 0)
    world.say(Kind.OPERATOR_COMMAND, aux0=2)
    assert (world.row["halt_code"], world.row["must_be_flat"]) == (Breaker.OPERATOR, 1)
    world.say(Kind.OPERATOR_COMMAND, aux0=4)
    assert (world.row["latches"], world.row["stopping"]) == (1 << Breaker.OPERATOR, 1)


# The two kinds of book, and features.


@pytest.mark.parametrize("kind", [BookKind.LADDER, BookKind.SNAPSHOT])
def test_our_own_orders_are_not_in_the_features(kind):
    worlds = [ladder_world(strategy="glft") if kind == BookKind.LADDER else World(strategy="glft") for _ in range(2)]
    clean, dirty = worlds
    dirty.data.books["contains_own"] = 1
    for slot, (side, ticks) in enumerate([(BUY, 1000), (SELL, 1001)]):
        order = dirty.lane.orders[0, slot]
        order["order_id"], order["side"], order["price_ticks"], order["remaining_lots"] = 1024 + slot, side, ticks, 7
        order["state"], order["acknowledged_ns"] = OrderState.OPEN, 1
        dirty.lane.active[0, slot] = slot
    dirty.position()["active_count"], dirty.position()["open_buy_lots"], dirty.position()["open_sell_lots"] = 2, 7, 7
    ours = [(1000, 7), *BIDS], [(1001, ASKS[0][1] + 7), *ASKS[1:]]
    for world, (bids, asks) in ((clean, (BIDS, ASKS)), (dirty, ours)):
        trade = event(Kind.TRADE, world.now, side=SELL, price_ticks=998, size_lots=3)
        world.feed(snapshot(world.now, bids[:9], asks[:9]))
        world.feed(trade)
    assert clean.data.feature_memory.tobytes() == dirty.data.feature_memory.tobytes()
    assert clean.data.features.tobytes() == dirty.data.features.tobytes()
    assert dirty.lane.views[0]["best_bid_ticks"] == 999


def test_a_ladder_and_a_snapshot_book_give_the_same_commands():
    snapshots, ladder = World(of=BTC, strategy="glft"), World(of=BTC, strategy="glft")
    ladder.data.books["kind"], ladder.data.books["ladder_index"] = int(BookKind.LADDER), 0
    ladder.data.ladders[0] = (1_109_900, 64, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    ladder.data = wider(ladder.data)
    for number in range(40):
        mid = 1_110_000 + 10 * ((number * 7) % 5)
        bids = [(mid - 10 * level - 10, 500 + 13 * number + level) for level in range(8)]
        asks = [(mid + 10 * level + 10, 900 - 11 * number + level) for level in range(8)]
        commands = []
        for world in (snapshots, ladder):
            world.now += 500 * MS
            trade = event(Kind.TRADE, world.now, side=BUY, price_ticks=mid + 10, size_lots=5 + number)
            commands.append(world.feed(trade, snapshot(world.now, bids, asks)))
            world.acknowledge(after_ns=MS)
        assert commands[0] == commands[1]
        assert snapshots.data.features.tobytes() == ladder.data.features.tobytes()
    assert snapshots.data.features[0]["ready"] & Feature.VOLATILITY
    assert snapshots.row["placed"] > 2


def wider(data: Any) -> Any:
    """The same market data with a ladder of 1024 ticks."""
    data.ladders["width"] = 1024
    return data._replace(cells=np.zeros((1, 2, 1024), np.int64))


def test_only_declared_features_are_computed():
    world = World()
    world.feed(snapshot(world.now, BIDS, ASKS), event(Kind.TRADE, world.now, side=BUY, price_ticks=1001, size_lots=5))
    assert not world.data.feature_memory.any()
    assert not world.lane.views["bid_ticks"].any()


def test_a_trade_is_measured_from_the_touch_before_its_frame():
    """Four ticks above the old mid of 1000 it reaches four bins, whatever touch the same frame brings."""
    world = World(strategy="glft")
    world.feed(snapshot(world.now, BIDS, ASKS))
    trade = event(Kind.TRADE, world.now, side=BUY, price_ticks=1004, size_lots=5)
    world.feed(trade, snapshot(world.now, [(1004, 5)], [(1006, 5)]))
    assert np.count_nonzero(world.data.feature_memory[0, 52:64]) == 4


# Strategies.


def test_a_strategy_that_leaves_its_arrays_halts_and_the_ledger_stays_whole():
    world = World(strategy="tests/strategies_that_misbehave/writes_out_of_bounds.py")
    orders = world.lane.orders.copy()
    with failures():
        assert world.decide() == []
    assert (world.row["halt_code"], world.row["quote_fault"]) == (Breaker.STRATEGY, 1)
    assert np.array_equal(world.lane.orders, orders)
    assert world.row["decisions"] == 1


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [("price_ticks", 0, 3), ("size_lots", -1, 4), ("side", 0, 5), ("market", 1, 6), ("time_in_force", 3, 7)],
)
def test_one_malformed_quote_spoils_the_answer(field, value, fault):
    world = World()
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001))
    world.script[0][field][1] = value
    assert world.decide() == []
    assert (world.row["halt_code"], world.row["quote_fault"], world.row["orders_open"]) == (12, fault, 0)
    assert world.row["refusals"][RiskRefusal.QUOTE_FAULT] == 1
