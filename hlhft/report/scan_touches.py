"""Recordings reduced to what a quoter at the touch lives on: best prices, trades, contexts, and where a session ends.

A picture of the book becomes the two best prices that it shows, so that archives (books only) and live feeds (`bbo`)
are looked at alike; levels behind the touch are left out. Rows stand in the venue's time: within a block trades before
best prices, which are the state after it (venue reference section 6.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from hlhft.data.files import Progress
from hlhft.data.merge import Events, whole_frames
from hlhft.data.order import by_both_clocks
from hlhft.data.sources import Source
from hlhft.events import EventFlag, EventKind, Side

_BEGIN, _END, _LEVEL = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END), int(EventKind.DEPTH_LEVEL)
_BBO, _CLEAR = int(EventKind.BBO), int(EventKind.DEPTH_CLEAR)
_KEPT = (_BBO, int(EventKind.TRADE), int(EventKind.ASSET_CONTEXT), _CLEAR)
_FRAME_END = np.uint16(EventFlag.FRAME_END)
_EXCHANGE = np.uint16(EventFlag.EXCHANGE_VISIBLE)

Bool = NDArray[np.bool_]


def blocks_of(source: Source, *, progress: Progress | None = None) -> Iterator[Events]:
    """The touches, trades, contexts and clears of a recording as the venue had them, sorted by ts_exch_ns.

    A block is never split between two arrays. Trades of a subscription's backfill are not among them. Raises DataError
    for what cannot be read, or is out of order by more than a minute.
    """
    snapshots = np.array(source.snapshot_markets, dtype=np.bool_)
    arrays = touches(whole_frames(source.chunks(progress=progress)), snapshots)
    if not source.ordered:
        arrays = by_both_clocks(arrays, name=source.name, block_ranked=snapshots)
    for array in arrays:
        seen = array[(array["flags"] & _EXCHANGE) != 0]
        if len(seen):
            yield seen


def touches(arrays: Iterable[Events], snapshot_markets: Bool) -> Iterator[Events]:
    """Arrays of whole frames in order of arrival with pictures as two BBO rows each, and without levels.

    `snapshot_markets`, bool by market: whose books come as pictures. The book of any other market is made of changes,
    which say nothing by themselves: of those only best prices, trades and contexts are kept, and no clears. A side of a
    picture that shows nothing is a BBO row of price 0.
    """
    for array in arrays:
        reduced = _reduced(array, snapshot_markets)
        if len(reduced):
            yield reduced


def _reduced(array: Events, snapshot_markets: Bool) -> Events:
    kind = array["kind"]
    of_pictures = snapshot_markets[array["market"]]
    kept = np.flatnonzero(np.isin(kind, _KEPT) & (of_pictures | (kind != _CLEAR)))
    begins = np.flatnonzero((kind == _BEGIN) & of_pictures)
    ends = np.flatnonzero((kind == _END) & of_pictures)
    assert len(begins) == len(ends), "frames are whole, and a picture is one frame"
    if len(begins) == 0:
        return array[kept]
    bids, asks = (_best(array, begins, ends, side) for side in (Side.BUY, Side.SELL))
    rows = np.concatenate([array[kept], bids, asks])
    # A bid stands where its picture began, its ask right behind it.
    order = np.argsort(np.concatenate([2 * kept, 2 * begins, 2 * begins + 1]), kind="stable")
    return rows[order]


def _best(array: Events, begins: NDArray[np.int64], ends: NDArray[np.int64], side: Side) -> Events:
    """The first level of this side of each picture, the best one (venue reference section 3), as BBO rows."""
    levels = np.flatnonzero((array["kind"] == _LEVEL) & (array["side"] == int(side)))
    place = np.searchsorted(levels, begins)
    first = np.append(levels, len(array))[place]
    shown = first < ends
    rows: Events = array[begins].copy()
    for name in ("price_ticks", "size_lots", "aux0"):
        rows[name] = np.where(shown, array[name][np.where(shown, first, begins)], 0)
    rows["aux1"] = 0
    rows["kind"] = _BBO
    rows["side"] = int(side)
    if side is Side.SELL:
        rows["flags"] |= _FRAME_END
    return rows
