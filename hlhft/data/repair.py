"""A recording made fit: what `validate` finds and can be mended without guessing, is.

Mended: everything up to the first unreadable place is kept; rows that arrive out of order are sorted within the window;
local times are moved so that the least latency is not negative; repeated trades and crossed snapshots or best bids and
offers are dropped. What was done is counted. Gaps stay: nothing is invented.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import Progress
from hlhft.data.merge import Events, whole_frames
from hlhft.data.order import in_arrival_order
from hlhft.data.sessions import TradeMemory, without_rows
from hlhft.data.sources import Source
from hlhft.data.validate import Report
from hlhft.events import EventFlag, EventKind, Side

WINDOW_NS = 60_000_000_000

_BOTH = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)
_FRAME_END = int(EventFlag.FRAME_END)


def repaired(
    source: Source, report: Report, counts: Counter[str], *, progress: Progress | None = None
) -> Iterator[Events]:
    """The rows of `source`, mended as `report` (of the same source) asks; `counts` says what was done.

    Rows that only one side sees are passed as they are: such arrays were put in order by somebody who knew both clocks.
    Raises DataError when rows are out of order by more than WINDOW_NS.
    """
    shift_ns = max(0, -(report.latency_ns_min or 0))
    if shift_ns:
        counts["clock_moved_ns"] = shift_ns
    readable = _readable(source, counts, progress)
    moved = _moved(readable, shift_ns)
    memory = TradeMemory()
    for rows in whole_frames(_sorted(moved, source.name)):
        split = (rows["flags"] & _BOTH) != _BOTH
        numbered = rows if split.any() or (rows["order_id"] == 0).all() else memory.without_repeats(rows, counts)
        crossed = crossed_frames(numbered)
        counts["rows_of_crossed_frames_dropped"] += int(crossed.sum())
        yield without_rows(numbered, ~crossed) if crossed.any() else numbered


def _readable(source: Source, counts: Counter[str], progress: Progress | None) -> Iterator[Events]:
    try:
        yield from source.chunks(progress=progress)
    except DataError as error:
        # The report already holds the sentence; what came before the fault is whole.
        counts["stopped_at_unreadable"] = 1
        counts["stopped_at_line"] = error.line if isinstance(error.line, int) else 0


def _moved(arrays: Iterator[Events], shift_ns: int) -> Iterator[Events]:
    for rows in arrays:
        if shift_ns:
            rows = rows.copy()
            rows["ts_local_ns"] += shift_ns
        yield rows


def _sorted(arrays: Iterator[Events], name: str) -> Iterator[Events]:
    """Sorted by arrival, unless the first array has rows that one side alone sees."""
    first = next(arrays, None)
    if first is None:
        return
    rest = _chained(first, arrays)
    if ((first["flags"] & _BOTH) == int(EventFlag.EXCHANGE_VISIBLE)).any():
        yield from rest
    else:
        yield from in_arrival_order(rest, name=name, window_ns=WINDOW_NS)


def _chained(first: Events, rest: Iterator[Events]) -> Iterator[Events]:
    yield first
    yield from rest


def crossed_frames(rows: Events) -> NDArray[np.bool_]:
    """Which rows of whole frames belong to a snapshot or bbo whose bids reach its asks, bool[n]."""
    crossed = np.zeros(len(rows), dtype=np.bool_)
    if len(rows) == 0:
        return crossed
    end = (rows["flags"] & _FRAME_END) != 0
    frame = np.append(0, np.cumsum(end)[:-1])
    picture = np.zeros(int(frame[-1]) + 1, dtype=np.bool_)
    picture[frame[np.isin(rows["kind"], (int(EventKind.SNAPSHOT_BEGIN), int(EventKind.BBO)))]] = True
    level = np.isin(rows["kind"], (int(EventKind.DEPTH_LEVEL), int(EventKind.BBO)))
    level &= (rows["size_lots"] > 0) & (rows["price_ticks"] > 0) & picture[frame]
    bids = np.full(len(picture), -1, dtype=np.int64)
    asks = np.full(len(picture), 2**62, dtype=np.int64)
    bid_rows, ask_rows = level & (rows["side"] == int(Side.BUY)), level & (rows["side"] == int(Side.SELL))
    np.maximum.at(bids, frame[bid_rows], rows["price_ticks"][bid_rows])
    np.minimum.at(asks, frame[ask_rows], rows["price_ticks"][ask_rows])
    return np.asarray((bids >= asks)[frame])
