"""What a session's journal knows of its orders beyond the fills: where each came to rest, and how long things took.

Where an order stands in the queue the venue does not say; what was shown at its price when it was decided, without our
own orders there, is the nearest that anybody here knows. It is followed beside the brain that steps over the journal.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

import numpy as np

from hlhft.core.brain import Brain
from hlhft.core.state import ORDERS_PER_MARKET, BookKind, CommandKind
from hlhft.events import EventKind
from hlhft.report.fill_rates import ORDERS_MAX, PLACED_DTYPE
from hlhft.report.latencies import TIMES_MAX, Latency, latency_of

TICK_TO_TRADE = "a frame's arrival to its order's last byte"
ACKNOWLEDGED = "an order's decision to its rest"
FEED = "a book's time at the venue to its arrival"
_ACKNOWLEDGED, _SENT = int(EventKind.ORDER_ACKNOWLEDGED), int(EventKind.COMMAND_SENT)
_BOOKS = (int(EventKind.DEPTH_LEVEL), int(EventKind.BBO))


class _Decided(NamedTuple):
    """An order that was decided and of which nothing was heard yet."""

    order_id: int
    ts_ns: int
    touch_ticks: int
    ahead_lots: float


class SessionOrders:
    """Takes a session's steps in order. Remembers at most ORDERS_MAX orders and TIMES_MAX times of each kind: what
    comes after them is not looked at."""

    def __init__(self) -> None:
        self._decided: dict[tuple[int, int], _Decided] = {}  # by market and slot: as many as the order table has
        self._placed: list[tuple[int | float, ...]] = []
        self._times: dict[str, array[int]] = {name: array("q") for name in (TICK_TO_TRADE, ACKNOWLEDGED, FEED)}

    def told(self, rows: np.ndarray) -> None:
        """EVENT_DTYPE rows that a step is about to apply."""
        for row in rows[rows["kind"] == _ACKNOWLEDGED]:
            self._rests(row)
        sent = rows[(rows["kind"] == _SENT) & (rows["order_id"] != 0)]
        self._note(TICK_TO_TRADE, sent["aux1"] - sent["aux0"])
        books = rows[np.isin(rows["kind"], _BOOKS)]
        if len(books):
            self._note(FEED, books["ts_local_ns"][-1:] - books["ts_exch_ns"].max())

    def decided(self, brain: Brain, count: int, now_ns: int) -> None:
        """The step led to the first `count` of the brain's commands."""
        for command in brain.commands[:count]:
            if command["kind"] == CommandKind.PLACE:
                market, order_id = int(command["market"]), int(command["order_id"])
                self._decided[market, order_id % ORDERS_PER_MARKET] = _Decided(
                    order_id, now_ns, *_around(brain, market, int(command["side"]), int(command["price_ticks"]))
                )

    def placed(self) -> np.ndarray:
        """The orders that came to rest, PLACED_DTYPE, in order of our learning of it."""
        return np.array(self._placed, PLACED_DTYPE)

    def latencies(self) -> tuple[Latency, ...]:
        """The times of which there are any."""
        found = (latency_of(name, times) for name, times in self._times.items())
        return tuple(one for one in found if one is not None)

    def _rests(self, row: np.void) -> None:
        market, order_id = int(row["market"]), int(row["order_id"])
        key = (market, order_id % ORDERS_PER_MARKET)
        decided = self._decided.get(key)
        if decided is None or decided.order_id != order_id:
            return
        del self._decided[key]  # told again, it counts once
        self._note(ACKNOWLEDGED, row["ts_local_ns"].reshape(1) - decided.ts_ns)
        if len(self._placed) < ORDERS_MAX:
            self._placed.append(
                (
                    int(row["ts_exch_ns"]), int(row["ts_local_ns"]), order_id, int(row["price_ticks"]),
                    decided.touch_ticks, int(row["size_lots"]), decided.ahead_lots, 0, market, int(row["side"]),
                )
            )  # fmt: skip

    def _note(self, name: str, times_ns: np.ndarray) -> None:
        times = self._times[name]
        times.extend(times_ns[: TIMES_MAX - len(times)].tolist())


def _around(brain: Brain, market: int, side: int, price_ticks: int) -> tuple[int, float]:
    """The best price of a side as the strategy saw it, without our own orders, and what others showed at a price; -1
    where the book does not reach so far, or is none of levels."""
    touch = int(brain.lane.views[market]["best_bid_ticks" if side > 0 else "best_ask_ticks"])
    book = brain.data.books[market]
    if book["kind"] != BookKind.SNAPSHOT:
        return touch, -1.0
    count = int(book["bid_count" if side > 0 else "ask_count"])
    levels = brain.data.levels[market, int(book["front"]), 0 if side > 0 else 1, :count]
    if not count or side * (price_ticks - int(levels["price_ticks"][-1])) < 0:
        return touch, -1.0
    shown = int(levels["size_lots"][levels["price_ticks"] == price_ticks].sum())
    return touch, float(max(shown - _own(brain, market, side, price_ticks), 0)) if shown else 0.0


def _own(brain: Brain, market: int, side: int, price_ticks: int) -> int:
    """Lots of our orders at a price that the venue told rest, where the book holds them."""
    if not brain.data.books[market]["contains_own"]:
        return 0
    orders = brain.lane.orders[market]
    there = (orders["side"] == side) & (orders["price_ticks"] == price_ticks) & (orders["acknowledged_ns"] > 0)
    active = np.zeros(len(orders), np.bool_)
    active[brain.lane.active[market][: int(brain.lane.positions[market]["active_count"])]] = True
    return int(orders["remaining_lots"][there & active].sum())
