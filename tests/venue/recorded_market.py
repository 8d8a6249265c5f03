"""A recorded market for tests of the venue's side: levels and trades by hand, replies in words."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hlhft.events import EventKind
from hlhft.ladder import set_ask, set_bid
from hlhft.units import LOTS_MAX, GridRule, Market
from hlhft.venue import recorded
from hlhft.venue.queue import QueueModel
from hlhft.venue.refusals import Refusal
from hlhft.venue.rules import hftbacktest, hyperliquid

ALO, GTC, IOC = 0, 1, 2
BUY, SELL = 1, -1
MS = 1_000_000
BASE, WIDTH = 50, 100  # the band holds the prices 50 to 149

# One tick is 1 USDC, one lot 1 unit: a lot at 100 is worth 100 USDC, its maker fee 15,000 micro-USDC.
MARKET = Market(
    name="TEST", asset_id=0, price_decimals=0, size_decimals=0, grid_rule=GridRule.FIXED, maximum_leverage=10
)


def rules(model: QueueModel = QueueModel.RISK_AVERSE, *, whole: bool = False, **others: float) -> np.ndarray:
    """Hyperliquid's rules, or with `whole` those of hftbacktest, with a queue model."""
    chosen = hftbacktest() if whole else hyperliquid()
    chosen["queue_model"], chosen["queue_power"] = int(model), 2.0
    for name, value in others.items():
        chosen[name] = value
    return chosen


@dataclass
class RecordedMarket:
    """One recorded market; `now` is the time of what happens next, in ns."""

    rules: np.ndarray = field(default_factory=rules)
    lanes: int = 1
    slots: int = 16
    now: int = 1_000_000_000

    def __post_init__(self) -> None:
        self.venue = recorded.new_venue(
            MARKET.record(), self.rules, lanes=self.lanes, base_ticks=[BASE], width=WIDTH, slots=self.slots
        )

    def level(self, side: int, ticks: int, lots: int) -> list[tuple]:
        """A level gets a new total, as the replay does it: ladder, queues, then what the touch crosses."""
        venue = self.venue
        ladder = venue.ladders[0]
        name = "best_bid_ticks" if side > 0 else "best_ask_ticks"
        touch = int(ladder[name])
        before = int((set_bid if side > 0 else set_ask)(ladder, venue.cells[0], ticks, lots))
        recorded.on_level(venue, 0, 0 if side > 0 else 1, ticks, before, lots, self.now)
        if (int(ladder[name]) - touch) * side > 0:
            recorded.on_touch(venue, 0, side, self.now)
        return self.replies()

    def trade(self, side: int, ticks: int, lots: int) -> list[tuple]:
        recorded.on_trade(self.venue, 0, side, ticks, lots, self.now)
        return self.replies()

    def place(
        self, number: int, side: int, ticks: int, lots: int, tif: int = ALO, *, lane: int = 0, reduce: int = 0,
        expires: int = 0,
    ) -> list[tuple]:  # fmt: skip
        recorded.place(self.venue, lane, 0, number, side, ticks, lots, tif, reduce, expires, self.now)
        return self.replies()

    def cancel(self, number: int, *, lane: int = 0) -> list[tuple]:
        recorded.cancel(self.venue, lane, 0, number, int(Refusal.REQUESTED), self.now)
        return self.replies()

    def liquidate(self, lane: int = 0, lots_max: int = LOTS_MAX) -> tuple[int, list[tuple]]:
        left = int(recorded.liquidate(self.venue, lane, 0, self.now, lots_max))
        return left, self.replies()

    def raw(self) -> np.ndarray:
        """The replies since the last time, REPLY_DTYPE."""
        count = int(self.venue.venue[0]["reply_count"])
        self.venue.venue["reply_count"] = 0
        return self.venue.replies[:count].copy()

    def replies(self) -> list[tuple]:
        """The replies since the last time, each as (what, order, price, lots, ...)."""
        self.last = self.raw()
        return [said(reply) for reply in self.last]

    def position(self, lane: int = 0) -> int:
        return int(self.venue.holdings[lane, 0]["position_lots"])

    def front(self, number: int, lane: int = 0) -> float:
        """Lots ahead of a resting order."""
        slot = int(self.venue.slots[lane, 0, number & 1023])
        assert slot and self.venue.orders[slot - 1]["order_id"] == number
        return float(self.venue.orders[slot - 1]["front"])


def said(reply: np.void) -> tuple:
    """A reply in short: a fill as (reason, order, price, lots, left), all else as (kind, order, lots, code)."""
    order, lots = int(reply["order_id"]), int(reply["size_lots"])
    if reply["kind"] == EventKind.ORDER_FILLED:
        reason = recorded.FillReason(int(reply["reason"])).name
        return (reason, order, int(reply["price_ticks"]), lots, int(reply["aux0"]))
    if reply["kind"] == EventKind.ORDER_ACKNOWLEDGED:
        return ("RESTS", order, lots)
    if reply["kind"] == EventKind.ORDER_EXPIRED:
        return ("EXPIRED", order, lots)
    return (EventKind(int(reply["kind"])).name, order, lots, Refusal(int(reply["aux0"])).name)
