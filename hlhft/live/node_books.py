"""The books of a node's markets as the core takes them: the best levels, whole, as one frame a block.

What a node's files tell is every order; the core's book is the one that the venue's own stream of books makes, of at
most twenty levels a side, with nothing left to guess between two of them. So features, strategies and a replay are the
same whoever tells the book. Pure; prices are ticks, sizes lots.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from hlhft.core.state import LEVELS
from hlhft.data.merge import Events
from hlhft.events import EventFlag, EventKind
from hlhft.hyperliquid.decode import Row

FULL_DEPTH = 0  # the channel of a snapshot (hlhft.events)
_FIELDS = ["kind", "side", "price_ticks", "size_lots", "aux0", "order_id"]
_LEVEL, _CLEAR, _TRADE = int(EventKind.DEPTH_LEVEL), int(EventKind.DEPTH_CLEAR), int(EventKind.TRADE)
_BEGIN, _END = int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
_VISIBLE = int(EventFlag.EXCHANGE_VISIBLE | EventFlag.LOCAL_VISIBLE)


class _Side:
    """One side's levels, as many as the market has."""

    __slots__ = ("levels", "prices", "sign")

    def __init__(self, sign: int) -> None:
        self.sign = sign  # 1 bids, -1 asks
        self.prices: list[int] = []  # negative for bids: the best first
        self.levels: dict[int, tuple[int, int]] = {}  # by price: lots, orders

    def put(self, ticks: int, lots: int, orders: int) -> int:
        """Gives a level a new total, 0 removes it; returns its place from the touch."""
        key = -self.sign * ticks
        place = bisect_left(self.prices, key)
        if lots > 0:
            if ticks not in self.levels:
                insort(self.prices, key)
            self.levels[ticks] = lots, orders
        elif self.levels.pop(ticks, None) is not None:
            del self.prices[place]
        return place

    def clear(self) -> None:
        """Forgets all of it."""
        self.prices.clear()
        self.levels.clear()


class NodeBook:
    """One market's book."""

    def __init__(self, market: int) -> None:
        self.market = market
        self.is_changed = False  # what is shown of it, since it was shown last
        self._sides = {1: _Side(1), -1: _Side(-1)}

    def take(self, events: Events) -> list[Row]:
        """Takes in the events of one or more frames of this market; the trades among them, without their times."""
        trades: list[Row] = []
        for kind, side, ticks, lots, orders, trade_id in events[_FIELDS].tolist():
            if kind == _LEVEL:
                self.is_changed |= self._sides[side].put(ticks, lots, orders) < LEVELS
            elif kind == _TRADE:
                trades.append((0, 0, ticks, lots, trade_id, 0, 0, _TRADE, _VISIBLE, self.market, side, 0))
            elif kind in (_CLEAR, _BEGIN):
                assert ticks == 0, "a node's book is cleared whole, or a side of it"
                for sign, one in self._sides.items():
                    if kind == _BEGIN or side in (0, sign):
                        one.clear()
                self.is_changed = True
        return trades

    def touch(self) -> tuple[int, int]:
        """(best bid, best ask), 0 for an empty side."""
        bids, asks = self._sides[1].prices, self._sides[-1].prices
        return (-bids[0] if bids else 0), (asks[0] if asks else 0)

    def picture(self) -> list[Row]:
        """The best levels as the rows of one snapshot, without their times; it is shown then."""
        self.is_changed = False
        rows: list[Row] = [(0, 0, 0, 0, 0, LEVELS, FULL_DEPTH, _BEGIN, _VISIBLE, self.market, 0, 0)]
        for sign, side in self._sides.items():
            for key in side.prices[:LEVELS]:
                ticks = -sign * key
                lots, orders = side.levels[ticks]
                rows.append((0, 0, ticks, lots, 0, orders, 0, _LEVEL, _VISIBLE, self.market, sign, 0))
        rows.append((0, 0, 0, 0, 0, len(rows) - 1, FULL_DEPTH, _END, _VISIBLE, self.market, 0, 0))
        return rows


def timed(rows: Sequence[Row], block_ns: int, now_ns: int) -> list[Row]:
    """The rows as of a block, received now."""
    return [(block_ns, now_ns, *row[2:]) for row in rows]
