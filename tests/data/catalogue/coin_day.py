"""A seeded coin-day as events: what an archive's day of one coin holds, at the rates that recordings show.

A picture of 20 levels a side every 540 ms; from one to the next two levels in three change their size and the touch
moves in one of five (measured on the recorded sets, venue reference section 11).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.merge import Events
from hlhft.events import EVENT_DTYPE, EventFlag, EventKind, Side

LINES_PER_DAY = 160_000
LEVELS = 20
ROWS_PER_LINE = 2 * LEVELS + 2
BEGIN_NS = 1_775_001_600_000_000_000  # 2026-04-01
_INTERVAL_NS = 540_000_000
_MILLISECOND_NS = 1_000_000
_STEP_TICKS = 10  # BTC's grid: whole dollars
_BOTH = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)


def _mixed(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 bits that look random, a function of the values alone (splitmix64)."""
    mixed = values.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _times(lines: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(block times, whole milliseconds; times of receipt) of each picture."""
    random = np.random.default_rng(seed)
    apart = np.full(lines, _INTERVAL_NS) + random.integers(-40, 130, lines) * _MILLISECOND_NS
    exch = BEGIN_NS + np.cumsum(apart) // _MILLISECOND_NS * _MILLISECOND_NS
    local = exch + 250_000_000 + random.integers(0, 200_000_000, lines)
    return exch, np.maximum.accumulate(local)


def books(lines: int = LINES_PER_DAY, *, seed: int = 1, lines_at_once: int = 2_000) -> Iterator[Events]:
    """The pictures in order of arrival, in arrays of whole ones."""
    random = np.random.default_rng(seed)
    exch, local = _times(lines, seed)
    touch = 68_000 + np.cumsum(random.choice([-1, 0, 1], lines, p=[0.1, 0.8, 0.1]))
    away = np.arange(LEVELS)
    for first in range(0, lines, lines_at_once):
        number = np.arange(first, min(first + lines_at_once, lines))
        slots = np.concatenate([touch[number, None] - away, touch[number, None] + 1 + away], axis=1)
        # Each price changes its size every one to three pictures, at a beat of its own.
        period = 1 + _mixed(slots + seed) % 3
        drawn = _mixed(slots * 1_000_003 + ((number[:, None] + slots) // period.astype(np.int64)) * 7 + seed)
        out = np.zeros((len(number), ROWS_PER_LINE), EVENT_DTYPE)
        out["ts_exch_ns"], out["ts_local_ns"] = exch[number, None], local[number, None]
        out["flags"], out["kind"] = _BOTH, int(EventKind.DEPTH_LEVEL)
        out["flags"][:, -1] |= int(EventFlag.FRAME_END)
        out["kind"][:, 0], out["kind"][:, -1] = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
        out["aux0"][:, 0], out["aux0"][:, -1] = LEVELS, 2 * LEVELS
        levels = out[:, 1:-1]
        levels["side"][:, :LEVELS], levels["side"][:, LEVELS:] = int(Side.BUY), int(Side.SELL)
        levels["price_ticks"] = slots * _STEP_TICKS
        levels["size_lots"] = 1 + (np.exp2(((drawn >> np.uint64(40)) % np.uint64(2**16)) / 3000)).astype(np.int64)
        levels["aux0"] = 1 + (drawn % np.uint64(29)).astype(np.int64)
        yield out.reshape(-1)
