"""A matching engine in plain Python, written from the venue reference: dictionaries of deques, no links, no indexes.

It tells the same events as `hlhft.venue.matching` without validation, for prices 1 .. width, all positions cross.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from fractions import Fraction

from hlhft.venue.blocks import ActionKind, TimeInForce
from hlhft.venue.refusals import Refusal
from tests.venue.desk import ACKNOWLEDGED, CANCEL_REJECTED, CANCELLED, EXPIRED, FILLED, REJECTED, Event

ALO, GTC, IOC, MARKET = TimeInForce


@dataclass(eq=False)
class Order:
    """One resting order."""

    account: int
    market: int
    client_id: int
    order_id: int
    side: int
    price: int
    left: int
    reduce_only: bool


@dataclass
class Oracle:
    """The venue for `markets`, with room for `slots` orders."""

    width: int
    slots: int
    maker_rate_e9: int = 150_000
    taker_rate_e9: int = 450_000
    books: dict[tuple[int, int], dict[int, deque[Order]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(deque))
    )
    live: list[Order] = field(default_factory=list)  # in the order of their placement
    positions: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    money: dict[int, int] = field(default_factory=lambda: defaultdict(int))  # collateral, cash and fees of an account
    marks: dict[int, int] = field(default_factory=dict)  # by market; margin is checked when there are any
    leverage: int = 1
    events: list[Event] = field(default_factory=list)
    next_order_id: int = 1
    next_trade_id: int = 1

    def block(self, legs: list[dict[str, int]], now_ns: int) -> list[Event]:
        """Executes the legs of one block, each of which names its action, and returns the events."""
        batches: dict[int, list[dict[str, int]]] = defaultdict(list)
        for leg in legs:
            batches[leg["action"]].append(leg)
        before = len(self.events)
        for batch in sorted(batches.values(), key=self.block_class):
            for leg in batch:
                self.execute(leg, now_ns)
        return self.events[before:]

    @staticmethod
    def block_class(batch: list[dict[str, int]]) -> int:
        if any(leg["kind"] != ActionKind.CANCEL and leg.get("time_in_force", ALO) != ALO for leg in batch):
            return 2
        return 1 if all(leg["kind"] == ActionKind.CANCEL for leg in batch) else 0

    def execute(self, leg: dict[str, int], now_ns: int) -> None:
        leg = {"market": 0, "client_id": 0, "side": 0, "price_ticks": 0, "size_lots": 0, "reduce_only": 0, **leg}
        leg = {
            "time_in_force": ALO,
            "expires_ns": 0,
            "target_id": 0,
            "target_is_client_id": 0,
            "always_place": 0,
            **leg,
        }
        owner = leg["account"], leg["market"]
        expired = 0 < leg["expires_ns"] < now_ns
        if leg["kind"] == ActionKind.CANCEL:
            order = self.find(leg)
            if expired or order is None:
                ids = (leg["target_id"], 0) if leg["target_is_client_id"] else (0, leg["target_id"])
                code = Refusal.ACTION_EXPIRED if expired else Refusal.NEVER_PLACED
                self.tell(CANCEL_REJECTED, *owner, *ids, 0, 0, 0, code)
            else:
                self.end(order, Refusal.REQUESTED)
            return
        new = (leg["client_id"], leg["side"], leg["price_ticks"], leg["size_lots"])
        tif = leg["time_in_force"]
        if expired:
            self.tell(REJECTED, *owner, new[0], 0, *new[1:], Refusal.ACTION_EXPIRED)
            return
        if leg["kind"] == ActionKind.MODIFY:
            order = self.find(leg)
            if not leg["always_place"]:
                if order is None or tif == IOC:
                    self.tell(REJECTED, *owner, new[0], 0, *new[1:], Refusal.CANNOT_MODIFY)
                    return
                tif = ALO
            if order is not None:
                self.end(order, Refusal.REQUESTED)
        self.place(*owner, *new, tif, bool(leg["reduce_only"]))

    def find(self, leg: dict[str, int]) -> Order | None:
        for order in reversed(self.live):
            if (order.account, order.market) == (leg["account"], leg["market"]):
                if leg["target_is_client_id"] and order.client_id == leg["target_id"] != 0:
                    return order
                if not leg["target_is_client_id"] and order.order_id == leg["target_id"]:
                    return order
        return None

    def best(self, market: int, side: int) -> int | None:
        prices = [price for price, level in self.books[market, side].items() if level]
        return (max if side > 0 else min)(prices, default=None)

    def crosses(self, market: int, side: int, price: int) -> bool:
        best = self.best(market, -side)
        return best is not None and (price - best) * side >= 0

    def place(
        self, account: int, market: int, client_id: int, side: int, price: int, lots: int, tif: int, reduce_only: bool
    ) -> None:
        order_id = self.next_order_id
        self.next_order_id += 1
        position = self.positions[account, market]
        code = None
        if reduce_only and side * position >= 0:
            code = Refusal.REDUCE_ONLY
        elif tif != IOC and not 1 <= price <= self.width:
            code = Refusal.PRICE_BAND
        elif tif == ALO and self.crosses(market, side, price):
            code = Refusal.BAD_ALO_PRICE
        elif tif != IOC and len(self.live) == self.slots and not self.crosses(market, side, price):
            code = Refusal.TOO_MANY_OPEN_ORDERS
        elif not reduce_only and self.marks and not self.admits(account, market, side, lots):
            code = Refusal.MARGIN
        if code is not None:
            self.tell(REJECTED, account, market, client_id, order_id, side, price, lots, code)
            return
        wanted = min(lots, abs(position)) if reduce_only else lots
        taker = Order(account, market, client_id, order_id, side, price, wanted, reduce_only)
        while taker.left > 0 and self.crosses(market, side, price):
            maker = self.books[market, -side][self.best(market, -side)][0]  # type: ignore[index]
            if maker.account == account:
                self.end(maker, Refusal.SELF_TRADE)
            elif self.lost_margin(maker):
                self.end(maker, Refusal.MARGIN_CANCELLED)
            else:
                self.trade(maker, taker)
        if taker.left > 0 and tif == IOC:
            if taker.left == wanted:
                self.tell(REJECTED, account, market, client_id, order_id, side, price, wanted, Refusal.IOC_NO_MATCH)
            else:
                self.tell(EXPIRED, account, market, client_id, order_id, side, price, taker.left, 0)
        elif taker.left > 0:
            self.books[market, side][price].append(taker)
            self.live.append(taker)
            self.acknowledge(taker)
            self.trim(account, market)

    def tied_up(self, account: int, market: int, more: dict[int, int]) -> int:
        """Initial margin of the position and of the orders that go beyond closing it."""
        position = self.positions[account, market]
        lots = abs(position)
        for side in (1, -1):
            owned = [o.left for o in self.live if (o.account, o.market, o.side) == (account, market, side)]
            lots += max(sum(owned) + more.get(side, 0) - max(-side * position, 0), 0)
        return lots * self.marks[market] // self.leverage

    def free(self, account: int) -> int:
        """Equity less what is tied up."""
        worth = sum(self.positions[account, market] * mark for market, mark in self.marks.items())
        return self.money[account] + worth - sum(self.tied_up(account, market, {}) for market in self.marks)

    def admits(self, account: int, market: int, side: int, lots: int) -> bool:
        more = self.tied_up(account, market, {side: lots}) - self.tied_up(account, market, {})
        return more <= 0 or more <= self.free(account)

    def lost_margin(self, maker: Order) -> bool:
        only_closes = maker.side * self.positions[maker.account, maker.market] + maker.left <= 0
        return bool(self.marks) and not only_closes and self.free(maker.account) < 0

    def trade(self, maker: Order, taker: Order) -> None:
        lots = min(maker.left, taker.left)
        maker.left -= lots
        taker.left -= lots
        if maker.left == 0:
            self.remove(maker)
        for order in sorted((maker, taker), key=lambda order: -order.side):
            rate = self.maker_rate_e9 if order is maker else self.taker_rate_e9
            owner = order.account, order.market
            fee = int(Fraction(maker.price * lots * rate, 10**9))
            told = (*owner, order.client_id, order.order_id, order.side, maker.price, lots, order.left, fee)
            self.events.append(Event(FILLED, *told, order is maker, self.next_trade_id, self.positions[owner]))
            self.positions[owner] += order.side * lots
            self.money[order.account] -= order.side * lots * maker.price + fee
        self.next_trade_id += 1
        self.trim(maker.account, maker.market)
        self.trim(taker.account, taker.market)

    def trim(self, account: int, market: int) -> None:
        """Takes what exceeds the position from the oldest reduce-only orders."""
        position = self.positions[account, market]
        owned = [o for o in self.live if (o.account, o.market, o.reduce_only) == (account, market, True)]
        excess = sum(order.left for order in owned) - abs(position)
        for order in owned:
            if order.side * position >= 0:
                self.end(order, Refusal.REDUCE_ONLY_CANCELLED)
            elif excess >= order.left:
                excess -= order.left
                self.end(order, Refusal.REDUCE_ONLY_CANCELLED)
            elif excess > 0:
                order.left -= excess
                excess = 0
                self.acknowledge(order)

    def end(self, order: Order, cause: Refusal) -> None:
        self.remove(order)
        ids = order.client_id, order.order_id
        self.tell(CANCELLED, order.account, order.market, *ids, order.side, order.price, order.left, cause)

    def remove(self, order: Order) -> None:
        self.books[order.market, order.side][order.price].remove(order)
        self.live.remove(order)

    def acknowledge(self, order: Order) -> None:
        ids = order.client_id, order.order_id
        self.tell(ACKNOWLEDGED, order.account, order.market, *ids, order.side, order.price, order.left, order.order_id)

    def tell(
        self, kind, account: int, market: int, client_id: int, order_id: int, side: int, price: int, lots: int, aux: int
    ) -> None:
        self.events.append(Event(kind, account, market, client_id, order_id, side, price, lots, int(aux)))
