"""The same events give the same bytes, nothing is allocated on the way, and the ledgers agree whatever arrives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.registry import cpu_target
from numba.core.runtime import _nrt_python, rtsys

from hlhft.compiled import JIT_DISABLED
from hlhft.core.state import BookKind, OrderState
from hlhft.core.step import step
from hlhft.events import EventFlag
from hlhft.events import EventKind as Kind
from tests.core.worlds import BUY, MS, SELL, USDC, Command, Quote, World, event, ladder_world, snapshot


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

KINDS = [*sorted(set(Kind) - {Kind.OPERATOR_COMMAND, Kind.RESTORED}), 9, 30, 60]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.integers(-2, 3), st.integers(0, 5), st.integers(0, 2), st.integers(0, 40),
        st.integers(0, 12),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(EVENTS, max_size=6), st.sampled_from([BookKind.SNAPSHOT, BookKind.LADDER]), st.integers(0, 1))
def test_whatever_arrives_the_ledgers_agree(frames, kind, amend):
    """Contradictory, doubled and orphaned news: the position is the sum of fills, the worst case that of the living."""
    world = ladder_world(amend=amend) if kind == BookKind.LADDER else World(amend=amend)
    world.quotes(Quote(BUY, 999), Quote(SELL, 1001), Quote(BUY, 998))
    world.decide()
    bought = 0
    is_open = True  # until a position was stated or a fill booked
    for turn, rows in enumerate(frames):
        world.now += MS
        world.quotes(Quote(BUY, 999 - turn % 3), Quote(SELL, 1001 + turn % 2), Quote(BUY, 990))
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
                is_open = False
            if number == Kind.POSITION_STATE and is_open:
                bought, is_open = lots, False
            records.append(record)
        if records:
            world.feed(*records)
        position, living = world.position(), world.active()
        assert position["position_lots"] == bought
        for side, name in ((BUY, "open_buy_lots"), (SELL, "open_sell_lots")):
            assert position[name] == living["remaining_lots"][living["side"] == side].sum()
        assert world.row["orders_open"] == len(living)
        assert (world.row["latches"] != 0) == (world.row["illegal_transitions"] > 0) or not records
