"""One call a frame: atomic, one re-quote, the same bytes for the same events, and nothing allocated on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python, rtsys

from hlhft.compiled import JIT_DISABLED
from hlhft.core.risk import Breaker, RiskRefusal
from hlhft.core.state import ORDERS_PER_MARKET, BookKind, CommandClass, Feature, OrderState, TimeInForce
from hlhft.core.step import step
from hlhft.events import EVENT_DTYPE, EventFlag
from hlhft.events import EventKind as Kind
from hlhft.ladder import ASK_NONE, BID_NONE
from hlhft.strategies import failures
from hlhft.units import Market
from tests.core.worlds import ALO, BUY, GTC, IOC, MS, SECOND, SELL, USDC, Command, Quote, World, event, snapshot

BIDS = [(999 - level, 1000 + level) for level in range(20)]
ASKS = [(1001 + level, 1000 + level) for level in range(20)]
BTC = Market.perpetual("BTC", asset_id=0, size_decimals=5)


def calls(world: World) -> int:
    return int(world.script[0]["calls"])


def resting(*quotes: Quote, markets: int = 1, **limits: int) -> World:
    """A world in which these quotes are acknowledged orders."""
    world = World(markets=markets, **limits)
    world.quotes(*quotes)
    world.decide()
    for market in range(markets):
        world.acknowledge(market)
    return world


def ladder_world(**limits: int) -> World:
    """A world whose market 0 keeps a ladder from 980 to 1043."""
    world = World(**limits)
    world.data.books["kind"], world.data.books["ladder_index"] = int(BookKind.LADDER), 0
    world.data.ladders[0] = (980, 64, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    return world


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
        (Kind.TIMER, 0, 0, True),
        (Kind.CONNECTION_UP, 0, 0, True),
        (Kind.CONNECTION_DOWN, 0, 0, True),
        (Kind.VENUE_MODE, 0, 0, True),
        (Kind.OPERATOR_COMMAND, 0, 0, True),
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


def test_commands_carry_what_the_wire_needs():
    world = World(expires_after_ns=14 * SECOND)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1002, 7, time_in_force=GTC))
    world.decide()
    alo, other = world.raw
    assert (alo["command_class"], alo["time_in_force"]) == (CommandClass.ALO, ALO)
    assert (other["command_class"], other["time_in_force"]) == (CommandClass.OTHER, GTC)
    for command, order in zip(world.raw, world.active(), strict=True):
        assert command["order_id"] == order["order_id"] != 0
        assert command["batch_id"] == order["batch_id"] != 0
        assert command["expires_ns"] == order["expires_ns"] == world.now + 14 * SECOND
        assert command["ts_ns"] == order["sent_ns"] == world.now
    world.acknowledge()
    world.quotes()
    world.decide()
    assert world.raw["command_class"].tolist() == [CommandClass.CANCEL] * 2
    assert world.raw["expires_ns"].tolist() == [0, 0]
    assert world.row["cancelled"] == 2


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


def test_reduce_only_quotes_become_reduce_only_orders():
    world = World()
    world.position()["position_lots"] = 50
    world.quotes(Quote(SELL, 1001, 80, reduce_only=1))
    assert world.decide() == [Command("PLACE", SELL, 1001, 50)]
    assert (world.raw[0]["reduce_only"], world.active()[0]["reduce_only"]) == (1, 1)


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


def test_the_orders_of_one_decision_share_the_exposure_cap():
    """2.5 USDC, an order of 1 USDC each: the first two pass, bids and offers apart."""
    world = World(markets=2, exposure_micro_max=2_500_000)
    quotes = [Quote(BUY, 999 - level, market=market) for level in range(3) for market in range(2)]
    world.quotes(*quotes)
    assert [command.ticks for command in world.decide()] == [999, 999]
    assert world.row["refusals"][RiskRefusal.EXPOSURE_LIMIT] == 4
    assert world.row["exposure_micro"] == 2 * 1001 * 1000
    # Offers are another worst case: all bought or all sold.
    world.acknowledge(0)
    world.acknowledge(1)
    world.quotes(*quotes, Quote(SELL, 1001), Quote(SELL, 1002))
    assert world.decide() == [Command("PLACE", SELL, 1001, 1000)]


def test_what_does_not_fit_into_the_answer_is_refused_or_comes_later():
    world = World()
    world.out = world.out[:2]
    world.quotes(*[Quote(BUY, 999 - level) for level in range(3)])
    assert len(world.decide()) == 2
    assert world.row["refusals"][RiskRefusal.TABLE_FULL] == 1
    assert len(world.decide()) == 1
    world.acknowledge()
    world.quotes()
    assert [command.ticks for command in world.decide()] == [999, 998]
    assert [command.ticks for command in world.decide()] == [997]


def test_a_full_order_table_refuses():
    world = World()
    world.position()["active_count"] = ORDERS_PER_MARKET
    world.quotes(Quote(BUY, 999))
    assert world.decide() == []
    assert world.row["refusals"][RiskRefusal.TABLE_FULL] == 1


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
    assert world.active()["state"].tolist() == [OrderState.OPEN] * 2
    assert [command.kind for command in world.decide()] == ["CANCEL", "CANCEL"]


def test_a_rejected_cancel_is_not_repeated_for_ever():
    """The venue knows no such order; its fill may be under way: it counts, and nobody asks again."""
    world = resting(Quote(BUY, 999))
    world.quotes()
    world.decide()
    order = world.active()[0]
    assert world.say(Kind.CANCEL_REJECTED, order_id=order["order_id"], aux0=11) == []
    for _ in range(3):
        assert world.decide() == []
    assert world.position()["open_buy_lots"] == 1000
    world.fill(order, 1000)
    assert (world.position()["open_buy_lots"], world.position()["position_lots"]) == (0, 1000)


def test_traded_volume_buys_actions():
    world = resting(Quote(BUY, 999, 5_000_500), address_enforced=1)
    world.fill(world.active()[0], 5_000_500)
    world.decide()
    # 4995.4995 USDC.
    assert (world.row["volume_micro"], world.row["address_allowance"]) == (4_995_499_500, 14_995)


# The two kinds of book, and features.


def test_a_ladder_and_a_snapshot_book_give_the_same_commands():
    snapshots, ladder = World(of=BTC, strategy="glft"), World(of=BTC, strategy="glft")
    ladder.data.books["kind"], ladder.data.books["ladder_index"] = int(BookKind.LADDER), 0
    ladder.data.ladders[0] = (1_109_900, 64, BID_NONE, ASK_NONE, ASK_NONE, BID_NONE, 0)
    _, ladder.data = wider(ladder.data)
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


def wider(data: Any) -> tuple[None, Any]:
    """The same market data with a ladder of 1024 ticks."""
    cells = np.zeros((1, 2, 1024), np.int64)
    data.ladders["width"] = 1024
    return None, data._replace(cells=cells)


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


# Determinism and allocation.


def tape(seed: int, frames: int) -> list[np.ndarray]:
    """Frames of a wandering book with trades, and now and then a timer or an operator's resume."""
    generator = np.random.default_rng(seed)
    now, mid, made = World().now, 1000, []
    for _ in range(frames):
        now += int(generator.integers(1, 700)) * MS
        mid = int(np.clip(mid + generator.integers(-2, 3), 950, 1050))
        parts = []
        if generator.random() < 0.5:
            side = int(generator.choice([BUY, SELL]))
            parts.append(event(Kind.TRADE, now, side=side, price_ticks=mid + side, size_lots=5))
        depth = int(generator.integers(1, 21))
        lots = generator.integers(1, 5000, (2, depth)).tolist()
        bids = [(mid - 1 - level, lots[0][level]) for level in range(depth)]
        asks = [(mid + 1 + level, lots[1][level]) for level in range(depth)]
        parts.append(snapshot(now, bids, asks))
        made.append(np.concatenate(parts))
    return made


def drive(frames: list[np.ndarray]) -> tuple[World, list[list[Command]]]:
    """GLFT over the frames; the venue acknowledges everything and fills now and then."""
    world = World(
        strategy="glft", params={"order_notional_usdc": 1.0, "position_notional_usdc": 20.0, "levels": 3},
        batch_window_ns=2 * MS, address_enforced=1, exposure_micro_max=50 * USDC,
    )  # fmt: skip
    commands = []
    for number, frame in enumerate(frames):
        world.now = int(frame[0]["ts_local_ns"])
        commands.append(world.feed(frame))
        world.acknowledge(after_ns=MS // 2)
        commands.append(fill_one(world, number))
    return world, commands


def fill_one(world: World, number: int) -> list[Command]:
    """Every third frame fills half of the oldest open order."""
    orders = world.active()
    orders = orders[orders["state"] == OrderState.OPEN]
    if number % 3 or not len(orders):
        return []
    return world.fill(orders[0], max(int(orders[0]["remaining_lots"]) // 2, 1), fee_micro=3)


def test_the_same_events_give_the_same_bytes():
    frames = tape(3, 60)
    first, commands = drive(frames)
    second, again = drive(frames)
    assert commands == again
    assert sum(map(len, commands)) > 20
    assert first.position()["fills"] > 3
    # Where the strategy's code lies differs from process to process; here it is the same.
    assert first.lane_buffer.tobytes() == second.lane_buffer.tobytes()
    assert first.data_buffer.tobytes() == second.data_buffer.tobytes()
    assert first.row["mode"] == 0


def test_a_snapshot_of_the_state_goes_on_where_it_was_taken():
    frames = tape(4, 30)
    straight, commands = drive(frames)
    half, _ = drive(frames[:15])
    copy = World(strategy="glft")
    copy.limits[:] = half.limits
    copy.lane_buffer[:] = half.lane_buffer
    copy.data_buffer[:] = half.data_buffer
    rest = []
    for number, frame in enumerate(frames[15:], 15):
        copy.now = int(frame[0]["ts_local_ns"])
        rest.append(copy.feed(frame))
        copy.acknowledge(after_ns=MS // 2)
        rest.append(fill_one(copy, number))
    assert rest == commands[30:]
    assert copy.lane_buffer.tobytes() == straight.lane_buffer.tobytes()


def allocations(steps: int) -> tuple[Any, Any]:
    """numba's allocation statistics before and after so many steps of frames with re-quotes."""
    world = World(strategy="glft", params={"order_notional_usdc": 1.0, "position_notional_usdc": 20.0})
    frames = tape(5, 50)
    arguments = (world.data, world.lane, world.limits, world.scratch)
    for frame in frames:
        step(*arguments, frame, len(frame), world.out)
    rtsys.initialize(cpu_target.target_context)
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        for number in range(steps):
            frame = frames[number % len(frames)]
            step(*arguments, frame, len(frame), world.out)
        after = rtsys.get_allocation_stats()
        rtsys.meminfo_alloc(64)
        # What is allocated is seen.
        assert rtsys.get_allocation_stats().alloc > after.alloc
    finally:
        _nrt_python.memsys_disable_stats()
    assert world.row["decisions"] == steps + len(frames)
    return before, after


def test_nothing_is_allocated_after_the_start():
    before, after = allocations(200 if JIT_DISABLED else 100_000)
    assert before == after


@pytest.mark.slow
def test_nothing_is_allocated_in_a_million_steps():
    before, after = allocations(2_000 if JIT_DISABLED else 1_000_000)
    assert before == after


# Anything at all.

KINDS = [*sorted(set(Kind) - {Kind.OPERATOR_COMMAND}), 9, 30, 60]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.integers(-2, 3), st.integers(0, 5), st.integers(0, 2), st.integers(0, 40),
        st.integers(0, 12),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(EVENTS, max_size=6), st.sampled_from([BookKind.SNAPSHOT, BookKind.LADDER]))
def test_whatever_arrives_the_ledgers_agree(frames, kind):
    """Contradictory, doubled and orphaned news: the position is the sum of fills, the worst case that of the living."""
    world = ladder_world() if kind == BookKind.LADDER else World()
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(BUY, 998))
    world.decide()
    bought = 0
    for rows in frames:
        world.now += MS
        records = []
        for number, side, pick, market, lots, ticks in rows:
            orders = world.active()
            order_id = int(orders[pick]["order_id"]) if pick < len(orders) else 5000 + pick
            record = event(number, world.now, market=0 if market else market, side=max(min(side, 1), -1))
            record["order_id"], record["size_lots"], record["price_ticks"] = order_id, lots, 990 + ticks
            record["aux0"], record["flags"] = lots // 2, int(EventFlag.FRAME_END) if pick == 1 else 0
            if number == Kind.COMMAND_SENT:
                record["aux0"] = record["aux1"] = world.now
            if number == Kind.ORDER_FILLED and lots > 0 and record["side"][0] != 0:
                bought += int(record["side"][0]) * lots
            records.append(record)
        if records:
            world.feed(*records)
        position, living = world.position(), world.active()
        assert position["position_lots"] == bought
        for side, name in ((BUY, "open_buy_lots"), (SELL, "open_sell_lots")):
            assert position[name] == living["remaining_lots"][living["side"] == side].sum()
        assert world.row["orders_open"] == len(living)
        assert (world.row["latches"] != 0) == (world.row["illegal_transitions"] > 0) or not records


def test_time_in_force_has_the_numbers_that_the_core_uses():
    assert [int(value) for value in TimeInForce] == [ALO, GTC, IOC]
    assert EVENT_DTYPE.itemsize == 64
