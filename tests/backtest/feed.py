"""Events and rows for tests of the replay's two sides."""

from __future__ import annotations

import numpy as np

from hlhft.backtest.rows import ROW_DTYPE, ROWS_PER_EVENT_MAX, rows_from_events
from hlhft.events import EVENT_DTYPE, EventFlag

EXCHANGE, LOCAL, END = EventFlag.EXCHANGE_VISIBLE, EventFlag.LOCAL_VISIBLE, EventFlag.FRAME_END
BOTH = EXCHANGE | LOCAL
T = 1_757_000_000_000_000_000


def event(kind: int, *, at: int = T, delay: int = 100, flags: int = BOTH, **fields: int) -> np.ndarray:
    """EVENT_DTYPE[1] that happened at `at` and reached us `delay` later."""
    made = np.zeros(1, EVENT_DTYPE)
    made["kind"], made["ts_exch_ns"], made["ts_local_ns"], made["flags"] = kind, at, at + delay, flags
    for name, value in fields.items():
        made[name] = value
    return made


def convert(*events: np.ndarray, market: int = 0, last: np.ndarray | None = None) -> tuple[np.ndarray, int, int, int]:
    """Rows, events read, fault and its place."""
    joined = np.concatenate(events)
    out = np.zeros(len(joined) * ROWS_PER_EVENT_MAX, ROW_DTYPE)
    last = np.full(2, -(2**63), np.int64) if last is None else last
    count, read, fault, place = rows_from_events(joined, market, last, out)
    return out[:count], int(read), int(fault), int(place)


def rows_of(*events: np.ndarray) -> np.ndarray:
    """The events' rows, ROW_DTYPE, with nothing at fault."""
    rows, _, fault, _ = convert(*events)
    assert fault == 0
    return rows
