"""The brain as one object: its state, and one call a frame.

A call from Python pays for each array it passes. The compiled side is therefore given one array of addresses, written
when the brain is made, and finds market data, lane and limits through it; the arrays stay where they were allocated, so
everything else may look at them by name.
"""

from __future__ import annotations

import numpy as np

from hlhft.compiled import JIT_DISABLED, array_at, compiled, compiled_views
from hlhft.core.batch import next_deadline_ns
from hlhft.core.state import (
    BOOK_DTYPE,
    COMMAND_DTYPE,
    FEATURES_DTYPE,
    LANE_DTYPE,
    LEVEL_DTYPE,
    LEVELS,
    LIMITS_DTYPE,
    MEMORY_BYTES,
    ORDER_DTYPE,
    ORDERS_PER_MARKET,
    PARAMS_BYTES,
    POSITION_DTYPE,
    QUOTE_DTYPE,
    QUOTES_MAX,
    VIEW_DTYPE,
    WAITING_MAX,
    Lane,
    MarketData,
    new_lane,
    new_market_data,
)
from hlhft.core.step import prepare_view, step
from hlhft.ladder import LADDER_DTYPE
from hlhft.units import MARKET_DTYPE

COMMANDS_MAX = 512
_FEATURE_MEMORY = 128
_UINT8, _INT16, _INT64, _FLOAT64 = np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.int64), np.dtype(np.float64)

# Places in the handle: three sizes, then the addresses of the arrays in the order of MarketData, Lane and the rest.
_MARKETS, _LADDERS, _WIDTH, _DATA = 0, 1, 2, 3
_LANE = _DATA + len(MarketData._fields)
_LIMITS = _LANE + len(Lane._fields)
_SCRATCH = _LIMITS + 1


@compiled_views
def data_at(handle):  # pragma: no cover - only compiled code follows addresses
    """The market data behind `handle`, as a Brain writes it."""
    markets, ladders = handle[_MARKETS], handle[_LADDERS]
    return MarketData(
        array_at(handle[_DATA], (markets,), MARKET_DTYPE),
        array_at(handle[_DATA + 1], (markets,), BOOK_DTYPE),
        array_at(handle[_DATA + 2], (markets, 2, 2, LEVELS), LEVEL_DTYPE),
        array_at(handle[_DATA + 3], (markets, 3, 2, LEVELS), LEVEL_DTYPE),
        array_at(handle[_DATA + 4], (markets,), FEATURES_DTYPE),
        array_at(handle[_DATA + 5], (markets, _FEATURE_MEMORY), _FLOAT64),
        array_at(handle[_DATA + 6], (ladders,), LADDER_DTYPE),
        array_at(handle[_DATA + 7], (ladders, 2, handle[_WIDTH]), _INT64),
    )


@compiled_views
def lane_at(handle):  # pragma: no cover - only compiled code follows addresses
    """The lane behind `handle`, as a Brain writes it."""
    markets = handle[_MARKETS]
    return Lane(
        array_at(handle[_LANE], (1,), LANE_DTYPE),
        array_at(handle[_LANE + 1], (markets,), POSITION_DTYPE),
        array_at(handle[_LANE + 2], (markets, ORDERS_PER_MARKET), ORDER_DTYPE),
        array_at(handle[_LANE + 3], (markets, ORDERS_PER_MARKET), _INT16),
        array_at(handle[_LANE + 4], (PARAMS_BYTES,), _UINT8),
        array_at(handle[_LANE + 5], (MEMORY_BYTES,), _UINT8),
        array_at(handle[_LANE + 6], (markets,), VIEW_DTYPE),
        array_at(handle[_LANE + 7], (QUOTES_MAX,), QUOTE_DTYPE),
        array_at(handle[_LANE + 8], (WAITING_MAX,), COMMAND_DTYPE),
    )


@compiled
def step_at(handle, events, count, out):  # pragma: no cover - only compiled code follows addresses
    """`hlhft.core.step.step` on the state behind `handle`, int64[_SCRATCH + 1] as a Brain writes it."""
    return step(
        data_at(handle),
        lane_at(handle),
        array_at(handle[_LIMITS], (1,), LIMITS_DTYPE),
        array_at(handle[_SCRATCH], (2, LEVELS), LEVEL_DTYPE),
        events,
        count,
        out,
    )


@compiled
def deadline_of(lane, limits):
    """`hlhft.core.batch.next_deadline_ns` of LANE_DTYPE[1] and LIMITS_DTYPE[1]."""
    return next_deadline_ns(lane[0], limits[0])


class Brain:
    """A brain over M markets, allocated once; `buffers` are all of its state, byte for byte."""

    def __init__(self, markets: np.ndarray, limits: np.ndarray, *, ladders: int = 0, width: int = 1) -> None:
        """MARKET_DTYPE[M] `markets`, LIMITS_DTYPE[1] `limits`; `ladders` incremental books of `width` ticks."""
        assert markets.dtype == MARKET_DTYPE and limits.dtype == LIMITS_DTYPE and limits.shape == (1,)
        data_buffer, self.data = new_market_data(markets, ladders, width)
        lane_buffer, self.lane = new_lane(len(markets))
        self.limits = limits.copy()
        self.buffers = (data_buffer, lane_buffer)
        self.commands = np.zeros(COMMANDS_MAX, COMMAND_DTYPE)
        self._scratch = np.zeros((2, LEVELS), LEVEL_DTYPE)
        arrays = (*self.data, *self.lane, self.limits, self._scratch)
        self.handle = np.array([len(markets), ladders, width, *(array.ctypes.data for array in arrays)], np.int64)
        prepare_view(self.data, self.lane)

    def step(self, events: np.ndarray, count: int) -> int:
        """Applies the first `count` of EVENT_DTYPE `events` as one frame; returns how many `commands` it led to."""
        if JIT_DISABLED:
            return int(step(self.data, self.lane, self.limits, self._scratch, events, count, self.commands))
        return int(step_at(self.handle, events, count, self.commands))  # pragma: no cover - as above

    def next_deadline_ns(self) -> int:
        """When what batching holds back must leave; `hlhft.core.batch.NEVER` when it holds nothing back. A TIMER event
        then lets it go."""
        return int(deadline_of(self.lane.lane, self.limits))

    def snapshot(self) -> bytes:
        """All of the state; equal bytes decide equally from here on."""
        return b"".join(buffer.tobytes() for buffer in self.buffers)

    def restore(self, snapshot: bytes) -> None:
        """Puts back what `snapshot` gave; strategies' addresses belong to a process, so the present one is kept.

        Raises ValueError when the bytes are not those of a brain of this shape.
        """
        expected = sum(len(buffer) for buffer in self.buffers)
        if len(snapshot) != expected:
            raise ValueError(f"a snapshot of this brain has {expected} bytes, not {len(snapshot)}")
        address = int(self.lane.lane["strategy_address"][0])
        place = 0
        for buffer in self.buffers:
            buffer[:] = np.frombuffer(snapshot, np.uint8, len(buffer), place)
            place += len(buffer)
        self.lane.lane["strategy_address"] = address
