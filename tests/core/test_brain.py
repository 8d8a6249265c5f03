"""The core as one object: what the compiled side finds through the handle is what lies in the arrays."""

from __future__ import annotations

import numpy as np
import pytest

from hlhft.backtest.session import Settings, limits_of
from hlhft.core.batch import NEVER
from hlhft.core.brain import Brain
from hlhft.core.state import LEVEL_DTYPE, LEVELS, BookKind
from hlhft.core.step import step
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side
from hlhft.strategies import load
from hlhft.units import Market

MARKET = Market(name="TEST", asset_id=0, price_decimals=1, size_decimals=5)
STRATEGY = load("two_sided")
START_NS = 1_700_000_000_000_000_000


def new_brain(markets: int = 1) -> Brain:
    """A brain that quotes two sides of snapshot books, funded and connected."""
    limits = limits_of(Settings(strategy=STRATEGY))
    limits["markets"] = markets
    brain = Brain(np.concatenate([MARKET.record()] * markets), limits)
    brain.data.books["kind"] = BookKind.SNAPSHOT
    lane = brain.lane.lane
    lane["strategy_address"] = STRATEGY.address()
    lane["connected"] = 1
    lane["starting_equity_micro"] = lane["equity_micro"] = 10_000_000_000
    lane["address_initial"] = lane["address_allowance"] = 1_000_000
    brain.lane.params[:] = STRATEGY.params_bytes({})
    return brain


def book_frame(mid_ticks: int, *, number: int, market: int = 0) -> np.ndarray:
    """A two-sided snapshot of five levels around the mid, one second after the one before."""
    events = np.zeros(12, EVENT_DTYPE)
    events["ts_exch_ns"] = START_NS + number * 1_000_000_000
    events["ts_local_ns"] = events["ts_exch_ns"] + 1_000_000
    events["flags"] = EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE
    events["market"] = market
    events["kind"] = EventKind.DEPTH_LEVEL
    events["kind"][[0, -1]] = EventKind.SNAPSHOT_BEGIN, EventKind.SNAPSHOT_END
    events["aux0"][0] = 20
    for level in range(5):
        for row, side in ((1 + level, Side.BUY), (6 + level, Side.SELL)):
            events["side"][row] = side
            events["price_ticks"][row] = mid_ticks - side * (10 + 10 * level)
            events["size_lots"][row] = 100_000
    events["flags"][-1] |= EventFlag.FRAME_END
    return events


def test_a_frame_leads_to_two_quotes_and_they_are_in_the_table() -> None:
    brain = new_brain()
    frame = book_frame(1_000_000, number=0)
    assert brain.step(frame, len(frame)) == 2
    assert sorted(brain.commands["side"][:2]) == [-1, 1]
    assert brain.lane.positions["active_count"][0] == 2
    assert brain.data.books["best_bid_ticks"][0] == 999_990


def test_the_handle_gives_what_passing_every_array_gives() -> None:
    by_handle, by_arrays = new_brain(2), new_brain(2)
    scratch = np.zeros((2, LEVELS), LEVEL_DTYPE)
    for number in range(20):
        frame = book_frame(1_000_000 + 30 * number, number=number, market=number % 2)
        count = by_handle.step(frame, len(frame))
        assert count == step(
            by_arrays.data, by_arrays.lane, by_arrays.limits, scratch, frame, len(frame), by_arrays.commands
        )
        assert by_handle.commands[:count].tobytes() == by_arrays.commands[:count].tobytes()
    assert by_handle.snapshot() == by_arrays.snapshot()


def test_a_snapshot_brings_a_brain_back() -> None:
    brain, restored = new_brain(), new_brain()
    for number in range(3):
        frame = book_frame(1_000_000 + number, number=number)
        brain.step(frame, len(frame))
    restored.restore(brain.snapshot())
    frame = book_frame(1_000_500, number=3)
    assert restored.step(frame, len(frame)) == brain.step(frame, len(frame))
    assert restored.snapshot() == brain.snapshot()


def test_a_snapshot_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        new_brain().restore(new_brain(2).snapshot())


def test_the_brain_says_when_what_batching_holds_back_must_leave() -> None:
    brain = new_brain()
    brain.limits["batch_window_ns"] = 2_000_000
    assert brain.next_deadline_ns() == NEVER
    brain.lane.lane["batch_busy_until_ns"] = 2**62
    frame = book_frame(1_000_000, number=0)
    assert brain.step(frame, len(frame)) == 0
    assert brain.next_deadline_ns() == int(frame["ts_local_ns"][-1]) + 2_000_000
