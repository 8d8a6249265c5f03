"""A recording made fit: what `validate` finds and can be mended without guessing, is.

Mended: everything up to the first unreadable place is kept; rows that arrive out of order are sorted within the window;
local times are moved so that the least latency is not negative; repeated trades and crossed snapshots or best bids and
offers are dropped. What was done is counted. Gaps stay: nothing is invented.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.errors import DataError
from hlhft.data.files import Progress
from hlhft.data.merge import Events, by_row, whole_frames
from hlhft.data.order import in_arrival_order
from hlhft.data.sessions import TradeMemory, without_rows
from hlhft.data.sources import Source
from hlhft.data.tally import Tally
from hlhft.data.validate import Report
from hlhft.events import EventFlag, EventKind, Side

# Counted by readers on the way: what a mending reading puts right itself.
_DONE_BY_READER = ("rows_out_of_order", "duplicate_trades", "clock_shift_ns")
_FRAME_END = int(EventFlag.FRAME_END)


def repaired(source: Source, report: Report, tally: Tally, *, progress: Progress | None = None) -> Iterator[Events]:
    """The rows of `source`, mended as `report` (of the same source) asks; `tally` says what was done.

    Where some rows are the venue's alone, all are passed as they are but for the clock: such arrays were put in order
    by somebody who knew both clocks. Raises DataError when rows are out of order by more than WINDOW_NS.
    """
    shift_ns = max(0, -(report.latency_ns_min or 0))
    if shift_ns:
        tally["clock_moved_ns"] = shift_ns
    moved = _moved(_readable(source, tally, progress), shift_ns)
    if report.split:
        yield from moved
        return
    memory = TradeMemory()
    for rows in whole_frames(in_arrival_order(by_row(moved), name=source.name, unit="row", tally=tally)):
        fresh = memory.without_repeats(rows, tally)
        crossed = crossed_frames(fresh)
        if crossed.any():
            tally.note("rows_of_crossed_frames_dropped", fresh[crossed])
        yield without_rows(fresh, ~crossed) if crossed.any() else fresh


def _readable(source: Source, tally: Tally, progress: Progress | None) -> Iterator[Events]:
    try:
        yield from source.chunks(progress=progress, mending=True)
    except DataError as error:
        # The report already holds the sentence; what came before the fault is whole.
        tally["stopped_at_unreadable"] = 1
        if isinstance(error.line, int):
            tally["stopped_at_line"] = error.line
    tally.update({name: count for name, count in source.counts.items() if name in _DONE_BY_READER})


def _moved(arrays: Iterator[Events], shift_ns: int) -> Iterator[Events]:
    for rows in arrays:
        if shift_ns:
            rows = rows.copy()
            rows["ts_local_ns"] += shift_ns
        yield rows


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
