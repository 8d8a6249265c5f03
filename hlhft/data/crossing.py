"""Books followed frame by frame, to count those whose bids reach their asks."""

from __future__ import annotations

import numpy as np

from hlhft.compiled import compiled
from hlhft.data.merge import Events
from hlhft.data.snapshots import drop_better, new_books, set_known
from hlhft.events import EVENT_DTYPE

# Kinds and flags as in hlhft.events; the compiled subset wants plain constants.
_LEVEL, _CLEAR, _BEGIN, _BBO = 1, 2, 3, 5
_FRAME_END, _LOCAL = 4, 2
# Columns of what is followed besides the books: the touch, which of it this frame said, whether it had depth.
_BBO_BID, _BBO_ASK, _BBO_SEEN, _DEPTH_SEEN = 0, 1, 2, 3


class CrossedBooks:
    """The books and touches of some markets, followed from array to array."""

    def __init__(self, markets: int) -> None:
        self._books = new_books(markets)
        self._bbo = np.zeros((markets, 4), dtype=np.int64)
        self._scratch = np.zeros(1, dtype=EVENT_DTYPE)

    def count(self, rows: Events) -> tuple[int, int]:
        """(crossed or locked books at the end of a frame, place of the first in `rows` or -1), in what we see.

        The book is that of the depth events alone: two channels of one feed do not keep step, so a best bid and offer
        is judged by itself.
        """
        crossed, first = count_crossed(rows, self._books, self._bbo, self._scratch)
        return int(crossed), int(first)


@compiled
def follow(books, bbo, event, scratch):
    """Applies one event to the followed book, or to the followed best bid and offer."""
    market = int(event["market"])
    keys, lots, counts = books.keys[market], books.lots[market], books.counts[market]
    kind, ticks, side = event["kind"], event["price_ticks"], event["side"]
    row = 0 if side >= 0 else 1
    key = -ticks if row == 0 else ticks
    if kind == _LEVEL:
        bbo[market, _DEPTH_SEEN] = 1
        set_known(keys, lots, counts, row, key, event["size_lots"], scratch, 0, event, 0)
    elif kind == _BEGIN:
        counts[0] = 0
        counts[1] = 0
    elif kind == _CLEAR:
        for each in range(2):
            if (each == 0 and side >= 0) or (each == 1 and side <= 0):
                if ticks == 0:
                    counts[each] = 0
                else:
                    drop_better(keys, lots, counts, each, (-ticks if each == 0 else ticks) + 1)
    elif kind == _BBO:
        bbo[market, _BBO_BID + row] = ticks
        bbo[market, _BBO_SEEN] |= 1 << row


@compiled
def count_crossed(rows, books, bbo, scratch):
    """As `CrossedBooks.count`; `bbo` is int64[markets, 4], `scratch` an event array of one row."""
    crossed = 0
    first = -1
    for index in range(len(rows)):
        event = rows[index]
        if int(event["flags"]) & _LOCAL == 0:
            continue
        follow(books, bbo, event, scratch)
        if int(event["flags"]) & _FRAME_END == 0:
            continue
        market = int(event["market"])
        bad = False
        if bbo[market, _BBO_SEEN] == 3:
            bid, ask = bbo[market, _BBO_BID], bbo[market, _BBO_ASK]
            bad = bid != 0 and ask != 0 and bid >= ask
        if bbo[market, _DEPTH_SEEN] != 0:
            counts, keys = books.counts[market], books.keys[market]
            bad = bad or (counts[0] > 0 and counts[1] > 0 and -keys[0, 0] >= keys[1, 0])
        bbo[market, _BBO_SEEN] = 0
        bbo[market, _DEPTH_SEEN] = 0
        if bad:
            crossed += 1
            if first < 0:
                first = index
    return crossed, first
