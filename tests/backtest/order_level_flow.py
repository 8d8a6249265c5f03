"""Random order flow through the true engine, price-time priority order by order, and what a recording of it shows.

Takers are GTC: what an immediate order found nobody for leaves no trace in any recording, so no replay can know it.
For the same reason nobody posts at a price that only our own order would refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hlhft.events import EVENT_DTYPE, EventFlag, EventKind
from hlhft.venue import matching
from hlhft.venue.order_index import find_order
from hlhft.venue.rules import hyperliquid
from hlhft.venue.state import new_exchange
from tests.backtest.feed import BOTH, END, event
from tests.venue.recorded_market import ALO, BASE, GTC, MARKET, WIDTH

US, MAKERS, TAKERS = 0, 1, 2
SLOTS = 256


@dataclass(frozen=True)
class Action:
    """What somebody else does, at `at` ns: rest or take at a price, or cancel the order of an earlier action."""

    at: int
    name: str  # "rest", "take" or "cancel"
    number: int  # the action's, from 1; with "cancel" the number of the action whose order is meant
    side: int = 0
    ticks: int = 0
    lots: int = 0


@dataclass(frozen=True)
class Ours:
    """Our order, which arrives right after the action with number `after`."""

    after: int
    side: int
    ticks: int
    lots: int


@dataclass
class Resting:
    """An order in the recorded book."""

    side: int
    ticks: int
    lots: int
    placed: int
    number: int


@dataclass
class Engine:
    """The true engine and what it said, drained action by action."""

    said: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        rules = hyperliquid()
        rules["enforce_validation"] = rules["enforce_margin"] = 0
        self.venue = new_exchange(MARKET.record(), rules, accounts=3, base_ticks=[BASE], width=WIDTH, slots=SLOTS)

    def play(self, action: Action) -> np.ndarray:
        owner = TAKERS if action.name == "take" else MAKERS
        if action.name == "cancel":
            for account in (MAKERS, TAKERS):
                if find_order(self.venue, account, 0, action.number, True):
                    matching.cancel(self.venue, account, 0, action.number, True, action.at)
        else:
            tif = GTC if action.name == "take" else ALO
            matching.place(
                self.venue, owner, 0, action.number, action.side, action.ticks, action.lots, tif, 0, action.at
            )
        return self.drain()

    def place_ours(self, ours: Ours, at: int) -> np.ndarray:
        matching.place(self.venue, US, 0, 1, ours.side, ours.ticks, ours.lots, ALO, 0, at)
        return self.drain()

    def drain(self) -> np.ndarray:
        count = int(self.venue.engine[0]["event_count"])
        self.venue.engine["event_count"] = 0
        return self.venue.events[:count].copy()


def true_first_fill(actions: list[Action], ours: Ours) -> tuple[int, int] | None:
    """When our order is first filled and by how much at that instant, with our order in the true engine."""
    engine = Engine()
    fills: list[tuple[int, int]] = []
    for action in actions:
        said = engine.play(action)
        if action.number == ours.after and action.name != "cancel":
            engine.place_ours(ours, action.at)
        own = said[(said["account"] == US) & (said["kind"] == EventKind.ORDER_FILLED)]
        fills.extend((int(row["ts_exch_ns"]), int(row["size_lots"])) for row in own)
    return first(fills)


def first(fills: list[tuple[int, int]]) -> tuple[int, int] | None:
    """The earliest time among (time, lots) and all lots of it."""
    if not fills:
        return None
    return fills[0][0], sum(lots for at, lots in fills if at == fills[0][0])


class Recorder:
    """Plays the flow without us and records it order by order."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.resting: dict[tuple[int, int], Resting] = {}
        self.arrived = 0

    def play(self, action: Action) -> np.ndarray:
        """The market-data events, EVENT_DTYPE, that an order-level recording has of the action."""
        out: list[np.ndarray] = []
        for said in self.engine.play(action):
            key, lots = (int(said["account"]), int(said["order_id"])), int(said["size_lots"])
            ticks, side = int(said["price_ticks"]), int(said["side"])
            if said["kind"] == EventKind.ORDER_ACKNOWLEDGED:
                self.arrived += 1
                self.resting[key] = Resting(side, ticks, lots, action.at, self.arrived)
                out.append(self.level(action.at, self.resting[key]))
            elif said["kind"] == EventKind.ORDER_CANCELLED:
                out.append(self.level(action.at, self.resting.pop(key)))
            elif said["kind"] == EventKind.ORDER_FILLED and said["flags"] & EventFlag.MAKER:
                maker = self.resting[key]
                maker.lots -= lots
                if maker.lots == 0:
                    del self.resting[key]
                out.append(event(EventKind.TRADE, at=action.at, price_ticks=ticks, size_lots=lots, side=-side))
                out.append(self.level(action.at, maker))
        return np.concatenate(out) if out else np.zeros(0, EVENT_DTYPE)

    def level(self, at: int, changed: Resting) -> np.ndarray:
        side, ticks = changed.side, changed.ticks
        total = sum(order.lots for order in self.resting.values() if (order.side, order.ticks) == (side, ticks))
        return event(
            EventKind.DEPTH_LEVEL, at=at, flags=BOTH | END, side=side, price_ticks=ticks, size_lots=total,
            aux1=changed.placed,
        )  # fmt: skip

    def ahead(self, ours: Ours, arrived: int) -> int:
        """Lots at our price of orders among the first `arrived` ones that came to rest."""
        return sum(
            order.lots
            for order in self.resting.values()
            if (order.side, order.ticks) == (ours.side, ours.ticks) and order.number <= arrived
        )
