"""What a line of a node's files says, as records: one change of one order, or one trade.

Prices and sizes are whole ticks and lots of the market, times nanoseconds since the epoch. The exchange's time is the
block's, cut to the milliseconds in which the venue's other feeds tell it, so that all feeds agree on it.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Change(IntEnum):
    """What became of an order (venue reference section 12: `raw_book_diff`)."""

    NEW = 1  # it rests now, behind all orders of its price or before a named one
    UPDATE = 2  # it has another size, in its place
    REMOVE = 3  # it rests no more
    UNKNOWN = 4  # something that the reference does not name: the book is not known after it


CHANGE_DTYPE = np.dtype(
    [
        ("height", np.int64),  # of the block, as in LINE_DTYPE
        ("order_id", np.int64),
        ("before_id", np.int64),  # NEW: the order that it stands before, 0 for none
        ("price_ticks", np.int64),
        ("size_lots", np.int64),  # NEW and UPDATE: what rests from now on
        ("before_lots", np.int64),  # UPDATE: what rested until now, -1 where the line does not say
        ("market", np.int32),
        ("side", np.int8),  # 1 bid, -1 ask, 0 where the line does not say
        ("change", np.int8),
        ("hidden", np.int8),  # 1: an order of ours that is left out of what the book shows
        ("padding", np.int8),
    ]
)

# A line tells both sides of a trade, or each side has its own; `hlhft.data.node.joining` puts them together.
TRADE_DTYPE = np.dtype(
    [
        ("height", np.int64),
        ("trade_id", np.int64),
        ("maker_id", np.int64),  # the order that rested, 0 unknown
        ("price_ticks", np.int64),
        ("size_lots", np.int64),
        ("market", np.int32),
        ("side", np.int8),  # of whom the row is; of the aggressor once the sides are put together
        ("crossed", np.int8),  # 1: the aggressor's side
        ("padding", np.int8, (2,)),
    ]
)

# An order that came to rest, as its status says.
ENTRY_DTYPE = np.dtype(
    [
        ("height", np.int64),
        ("order_id", np.int64),
        ("market", np.int32),
        ("side", np.int8),
        ("padding", np.int8, (3,)),
    ]
)

LINE_DTYPE = np.dtype(
    [
        ("height", np.int64),  # of the block; its time in ns where the node wrote none
        ("block_ns", np.int64),  # whole milliseconds
        ("local_ns", np.int64),  # the node's clock when it wrote the line; the block's where it does not say
        ("rows", np.int64),  # rows of the markets looked for
        ("others", np.int64),  # and of others
    ]
)

HEIGHT_MAX = 2**50  # below it a height is one, above it a time

Changes = NDArray[np.void]
Trades = NDArray[np.void]
Entries = NDArray[np.void]
Lines = NDArray[np.void]
