"""What of ours rested at the venue, at which price, from which block to which: from a journal, after the fact.

The venue's books hold our own orders. The core takes out what it believes to rest when a frame comes; afterwards more
is known: the frames of the user's channels name the block at which an order came to rest and the one at which it ended,
and fills theirs. So `Resting` says what of ours is in a picture of a block, and `OthersOnly` takes it out: what is left
is the market without us, which another world's strategy may trade in.

What cannot be taken out is what others did because of us. A trade that hit our order stays, because whoever traded
wanted to; one in which we were the aggressor goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.hyperliquid.decode import Decoder
from hlhft.hyperliquid.messages import OrderUpdates
from hlhft.live.journal.records import Record, RecordKind, read_inputs
from hlhft.units import Market

_ACKNOWLEDGED, _FILLED, _ADOPTED = (
    int(EventKind.ORDER_ACKNOWLEDGED), int(EventKind.ORDER_FILLED), int(EventKind.ORDER_ADOPTED),
)  # fmt: skip
_ENDS = (int(EventKind.ORDER_CANCELLED), int(EventKind.ORDER_EXPIRED))
_TOLD = (_ACKNOWLEDGED, _FILLED, _ADOPTED, *_ENDS)
_LEVEL, _BEGIN, _END = int(EventKind.DEPTH_LEVEL), int(EventKind.SNAPSHOT_BEGIN), int(EventKind.SNAPSHOT_END)
_BBO, _TRADE = int(EventKind.BBO), int(EventKind.TRADE)
_FRAME_END, _MAKER = int(EventFlag.FRAME_END), int(EventFlag.MAKER)
_OPEN = "open"
_SHIFT = 40  # of a price in a key: prices are below 2^31 ticks, markets below 2^16
Key = tuple[int, int, int]  # market, side, price in ticks


@dataclass
class _Order:
    """One order that rests: what is left of it, and the venue's number."""

    key: Key
    oid: int
    lots: int


@dataclass
class Resting:
    """What rested, by block time. Takes a session's records in order, then answers.

    Memory grows with our own orders: about 200 bytes for each that rested.
    """

    markets: Sequence[Market]
    opened_ns: dict[int, int] = field(default_factory=dict)  # by the venue's number of the order: its block
    ended_ns: dict[int, int] = field(default_factory=dict)
    _told: list[tuple[int, ...]] = field(default_factory=list)
    _taken: Counter[tuple[int, ...]] = field(default_factory=Counter)
    _steps: dict[Key, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    _keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    _taken_ns: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        self._decoder = Decoder(self.markets)

    def take(self, record: Record) -> None:
        """The next record."""
        if record.kind is RecordKind.INPUTS:
            rows = read_inputs(record.payload)
            for row in rows[np.isin(rows["kind"], _TOLD)]:
                self._told.append(row.item())
        elif record.kind is RecordKind.RAW:
            self._frame(record.payload, record.ts_ns)

    def settle(self) -> None:
        """All records were taken: from now on it answers."""
        changes: dict[Key, list[tuple[int, int, int]]] = {}
        orders: dict[tuple[int, int], _Order] = {}
        for row in self._told:
            self._one(row, orders, changes)
        self._told.clear()
        for key, steps in changes.items():
            steps.sort()
            times = np.array([step[0] for step in steps], np.int64)
            self._steps[key] = times, np.cumsum(np.array([step[1:] for step in steps], np.int64), axis=0)
        self._keys = np.sort(np.array([_key(*key) for key in self._steps], np.int64))
        self._taken_ns = np.unique(np.array([one[0] for one in self._taken], np.int64))

    def at(self, market: int, side: int, ticks: int, ts_ns: int) -> tuple[int, int]:
        """Lots and orders of ours that rest at a price in the picture of the block at `ts_ns`."""
        found = self._steps.get((market, side, ticks))
        if found is None:
            return 0, 0
        place = int(np.searchsorted(found[0], ts_ns, side="right")) - 1
        if place < 0:
            return 0, 0
        lots, orders = found[1][place]
        return max(int(lots), 0), max(int(orders), 0)

    def may_rest(self, rows: np.ndarray) -> np.ndarray:
        """bool[n]: the rows, EVENT_DTYPE, at whose price and side an order of ours ever rested."""
        return np.isin(_key(rows["market"], rows["side"], rows["price_ticks"]), self._keys)

    def taken(self, rows: np.ndarray) -> np.ndarray:
        """bool[n]: the trades among `rows`, EVENT_DTYPE, in which we were the aggressor."""
        found = np.zeros(len(rows), np.bool_)
        for place in np.flatnonzero((rows["kind"] == _TRADE) & np.isin(rows["ts_exch_ns"], self._taken_ns)):
            row = rows[place]
            trade = tuple(int(row[name]) for name in ("ts_exch_ns", "market", "side", "price_ticks", "size_lots"))
            found[place] = trade in self._taken
        return found

    # Parts.

    def _frame(self, payload: bytes, ts_ns: int) -> None:
        """A frame of a user's channel: only what it says of orders counts here."""
        if self._decoder.decode(payload, ts_ns) != 0 or not isinstance(self._decoder.message, OrderUpdates):
            return
        for update in self._decoder.message.updates:
            times = self.opened_ns if update.status == _OPEN else self.ended_ns
            times.setdefault(update.oid, update.status_ns)

    def _one(
        self,
        row: tuple[int, ...],
        orders: dict[tuple[int, int], _Order],
        changes: dict[Key, list[tuple[int, int, int]]],
    ) -> None:
        """What one event says; `row` has EVENT_DTYPE's fields."""
        exchange_ns, local_ns, ticks, lots, order_id, aux0, _, kind, flags, market, side, _ = row
        name = market, order_id
        at_ns = exchange_ns or local_ns
        if kind in (_ACKNOWLEDGED, _ADOPTED):
            before = orders.pop(name, None)
            if before is not None and (before.key, before.oid, before.lots) == ((market, side, ticks), aux0, lots):
                orders[name] = before  # told again after a doubt
                return
            if before is not None:
                _change(changes, before, self.ended_ns.get(before.oid, at_ns), before.lots, is_over=True)
            orders[name] = _Order((market, side, ticks), aux0, lots)
            since_ns = 0 if kind == _ADOPTED else self.opened_ns.get(aux0, at_ns)
            changes.setdefault(orders[name].key, []).append((since_ns, lots, 1))
            return
        order = orders.get(name)
        if kind == _FILLED:
            if not flags & _MAKER:
                self._taken[exchange_ns, market, side, ticks, lots] += 1
            if order is not None and (flags & _MAKER or aux0 > 0):
                _change(changes, order, at_ns, min(lots, order.lots), is_over=aux0 == 0)
                if aux0 == 0:
                    del orders[name]
        elif order is not None:
            _change(changes, order, exchange_ns or self.ended_ns.get(order.oid, at_ns), order.lots, is_over=True)
            del orders[name]


def _change(
    changes: dict[Key, list[tuple[int, int, int]]], order: _Order, at_ns: int, lots: int, *, is_over: bool
) -> None:
    """`lots` of an order are gone; when it is over, all that is left."""
    gone = order.lots if is_over else lots
    changes.setdefault(order.key, []).append((at_ns, -gone, -1 if is_over else 0))
    order.lots -= gone


def _key(market: np.ndarray | int, side: np.ndarray | int, ticks: np.ndarray | int) -> np.ndarray:
    """Market, side and price as one number."""
    whole = np.asarray(market).astype(np.int64) << _SHIFT
    return np.asarray((whole | np.asarray(ticks).astype(np.int64)) * 4 + np.asarray(side).astype(np.int64) + 1)


class OthersOnly:
    """Takes what is ours out of market data, frame by frame, in order.

    A level that was only ours goes, and a picture then says that its channel carries a level less, so that nobody takes
    its side for complete. Behind a best bid or offer that was only ours the touch of the others is what was known of it
    before; where that was a better price and is gone, the next level of the newest picture; where there is none,
    nothing is said of that side.
    """

    def __init__(self, resting: Resting) -> None:
        self._resting = resting
        self._before = np.zeros(0, EVENT_DTYPE)  # of the array before: each market's newest picture, then its touches

    def of(self, rows: np.ndarray) -> np.ndarray:
        """EVENT_DTYPE[n], whole frames, without us; the rows given are not changed."""
        held = len(self._before)
        rows = np.concatenate([self._before, rows])
        kept = ~self._resting.taken(rows)
        kinds, fresh = rows["kind"], np.arange(len(rows)) >= held
        mine = fresh & self._resting.may_rest(rows) & ((kinds == _LEVEL) | (kinds == _BBO))
        begins, ends = np.flatnonzero(kinds == _BEGIN), np.flatnonzero(kinds == _END)
        for begin in begins[begins >= held]:
            end = int(ends[np.searchsorted(ends, begin)])
            self._picture(rows, kept, np.flatnonzero(mine[begin:end]) + begin, int(begin), end)
        for place in np.flatnonzero(mine & (kinds == _BBO)):
            self._touch(rows, kept, int(place), begins, ends)
        self._before = _newest(rows, kept, begins, ends)
        kept[:held] = False
        if kept[held:].all():
            return rows[held:]
        _hand_on_ends(rows, kept)
        return np.asarray(rows[kept])

    def _left(self, row: np.void) -> tuple[int, int]:
        """Lots and orders of others at a row's price; an unknown number of orders stays 0."""
        lots, orders = self._resting.at(
            int(row["market"]), int(row["side"]), int(row["price_ticks"]), int(row["ts_exch_ns"])
        )
        return max(int(row["size_lots"]) - lots, 0), max(int(row["aux0"]) - orders, 0)

    def _picture(self, rows: np.ndarray, kept: np.ndarray, places: np.ndarray, begin: int, end: int) -> None:
        """Takes our levels out of a picture, and says of it how many it shows now."""
        for place in places:
            lots, orders = self._left(rows[place])
            rows["size_lots"][place], rows["aux0"][place] = lots, orders
            kept[place] = lots > 0
        gone = ~kept[begin:end]
        if not gone.any():
            return
        sides, limit = rows["side"][begin:end], int(rows["aux0"][begin])
        is_level = rows["kind"][begin:end] == _LEVEL
        lost = [
            int((gone & (sides == side)).sum()) if int((is_level & (sides == side)).sum()) >= limit else 0
            for side in (1, -1)
        ]
        rows["aux0"][begin] = max(limit - max(lost), 1)
        rows["aux0"][end] = max(int(rows["aux0"][end]) - int(gone.sum()), 0)

    def _touch(self, rows: np.ndarray, kept: np.ndarray, place: int, begins: np.ndarray, ends: np.ndarray) -> None:
        """Takes our lots out of a best price; behind one that was only ours stands the touch of the others."""
        row = rows[place]
        lots, orders = self._left(row)
        if lots > 0:
            rows["size_lots"][place], rows["aux0"][place] = lots, orders
            return
        market, side, ticks = int(row["market"]), int(row["side"]), int(row["price_ticks"])
        newest = begins[(begins < place) & (rows["market"][begins] == market)]
        begin = int(newest[-1]) if len(newest) else 0
        told = (rows["kind"] == _BBO) & (rows["market"] == market) & (rows["side"] == side) & kept
        before = np.flatnonzero(told[begin:place]) + begin
        levels = rows[:0]
        if len(newest):
            part = rows[begin : int(ends[np.searchsorted(ends, begin)])]
            levels = part[(part["kind"] == _LEVEL) & (part["side"] == side) & (part["size_lots"] > 0)]
        behind = levels[levels["price_ticks"] * side < ticks * side]
        if len(before) and _is_behind(rows[before[-1]], side, ticks):
            behind = rows[before[-1:]]
        if not len(behind):
            kept[place] = False
            return
        for name in ("price_ticks", "size_lots", "aux0"):
            rows[name][place] = behind[name][0]


def _is_behind(touch: np.void, side: int, ticks: int) -> bool:
    """Whether a best price is worse than this one, or that of an empty side."""
    price = int(touch["price_ticks"])
    return price == 0 or price * side < ticks * side


def _newest(rows: np.ndarray, kept: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Each market's newest picture, and the best prices that were told after it: what a later row may need."""
    chosen: list[np.ndarray] = []
    for market, begin in {int(rows["market"][begin]): int(begin) for begin in begins}.items():
        chosen.append(np.arange(begin, int(ends[np.searchsorted(ends, begin)]) + 1))
        told = (rows["kind"] == _BBO) & (rows["market"] == market) & kept
        told[:begin] = False
        for side in (1, -1):
            chosen.append(np.flatnonzero(told & (rows["side"] == side))[-1:])
    return rows[np.concatenate(chosen)] if chosen else rows[:0].copy()


def _hand_on_ends(rows: np.ndarray, kept: np.ndarray) -> None:
    """Where the last row of a frame goes, the last one that stays of it ends it."""
    ends = np.flatnonzero(rows["flags"] & _FRAME_END)
    for place in np.flatnonzero(~kept & (rows["flags"] & _FRAME_END != 0)):
        first = ends[np.searchsorted(ends, place) - 1] + 1 if place > ends[0] else 0
        staying = np.flatnonzero(kept[first:place])
        if len(staying):
            rows["flags"][first + int(staying[-1])] |= _FRAME_END
